use std::net::SocketAddr;

use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, DuplexStream, Lines, ReadHalf, WriteHalf, split,
    },
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::{Application, config::Config};

/// How long a line may take to come.
const SOON: Duration = Duration::from_secs(20);

/// A server of its own, gone with the test.
struct Server {
    url: String,
    _stop: oneshot::Sender<()>,
    _data: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: data.path().to_owned(),
            ..Config::default()
        };
        config.passwords.memory_kib = 64;
        config.passwords.iterations = 1;
        config.shutdown.close_spread_ms = 0;
        let application = Application::build(&config).await.unwrap();
        let url = format!("http://{}", application.address());
        let (stop, asked) = oneshot::channel();
        tokio::spawn(application.run_until(async move { drop(asked.await) }));
        Self { url, _stop: stop, _data: data }
    }

    /// Somebody at a terminal that is a pipe.
    fn chat(&self, name: Option<&str>, to: Option<&str>, ends: Ends) -> Person {
        let options = Options {
            server: self.url.clone(),
            name: name.map(Into::into),
            to: to.map(Into::into),
        };
        let (here, there) = tokio::io::duplex(64 * 1024);
        let (input, output) = split(there);
        let task = tokio::spawn(async move {
            let desk = Desk::new(BufReader::new(input), Screen::new(output, ends));
            chat(&options, desk, UtcOffset::UTC, std::future::pending()).await
        });
        let (reader, keys) = split(here);
        Person { lines: BufReader::new(reader).lines(), keys, task }
    }

    /// Somebody new, who is greeted.
    async fn newcomer(&self, name: &str) -> Person {
        let mut person = self.chat(Some(name), None, Ends::default());
        person.types("correct horse battery").await;
        person.types(&format!("{name}@example.org")).await;
        person.sees("/help lists the commands").await;
        person
    }
}

struct Person {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    keys: WriteHalf<DuplexStream>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Person {
    async fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for a line that holds this, and gives it.
    async fn sees(&mut self, part: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match tokio::time::timeout(SOON, self.lines.next_line()).await {
                Ok(Ok(Some(line))) if line.contains(part) => return line,
                Ok(Ok(Some(line))) => seen.push(line),
                other => panic!("{part:?} did not come, but {seen:#?}, then {other:?}"),
            }
        }
    }

    /// Ends the input, and gives what still came and how it ended.
    async fn ends(mut self) -> (Vec<String>, Result<(), Failure>) {
        self.keys.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Ok(Ok(Some(line))) = tokio::time::timeout(SOON, self.lines.next_line()).await {
            rest.push(line);
        }
        (rest, tokio::time::timeout(SOON, self.task).await.unwrap().unwrap())
    }
}

#[tokio::test]
async fn two_people_talk() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.newcomer("ann").await, server.newcomer("bob").await);
    ann.types("to whom?").await;
    ann.sees("/to NAME first").await;
    ann.types("/to bob").await;
    ann.sees("no messages yet").await;
    ann.types("hi \u{1b}[2Jbob").await;
    ann.sees("✓").await;
    assert!(bob.sees("hi").await.ends_with(r"[to you] ann: hi \u{1b}[2Jbob"));

    bob.types("/to ann").await;
    bob.sees("now talking to ann, who is online").await;
    bob.sees("ann: hi").await;
    bob.types("hello ann").await;
    assert!(ann.sees("hello").await.ends_with(" bob: hello ann"));

    ann.types("/new Our Family @bob").await;
    ann.sees("now talking to Our Family").await;
    ann.types("hi all").await;
    bob.sees("you are in the group Our Family").await;
    assert!(bob.sees("hi all").await.ends_with("[Our Family] ann: hi all"));
    bob.types("/to our family").await;
    bob.sees("ann: hi all").await;
    bob.types("/inbox").await;
    bob.sees("Our Family (2 members").await;
    bob.types("/leave").await;
    bob.sees("you left Our Family").await;
    ann.sees("— bob is no longer in Our Family").await;

    // What history has shown is not shown again, nor is what was left spoken of again.
    let (rest, ended) = bob.ends().await;
    assert_eq!(rest, Vec::<String>::new());
    ended.unwrap();
    // A script must learn that something it said went nowhere.
    let (_, ended) = ann.ends().await;
    assert_eq!(ended.unwrap_err().to_string(), "one message was not sent");
}

#[tokio::test]
async fn a_script_sends_all_it_says_before_it_ends() {
    let server = Server::start().await;
    let _bob = server.newcomer("bob").await;
    let (_, ended) = server.newcomer("ann").await.ends().await;
    ended.unwrap();
    let mut ann = server.chat(Some("ann"), Some("bob"), Ends::default());
    ann.types("correct horse battery").await;
    for number in 0..20 {
        ann.types(&format!("line {number}")).await;
    }
    let (lines, ended) = ann.ends().await;
    let sent: Vec<_> = lines.iter().filter_map(|line| line.split_once("line ")).collect();
    let numbers: Vec<_> = sent.iter().map(|(_, number)| number.to_string()).collect();
    assert_eq!(numbers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(sent.iter().all(|(mark, _)| mark.contains('✓')), "{sent:?}");
    ended.unwrap();
}

#[tokio::test]
async fn who_mistypes_is_asked_again() {
    let server = Server::start().await;
    let (_, ended) = server.newcomer("ann").await.ends().await;
    ended.unwrap();
    let mut ann = server.chat(None, None, Ends { typed: true, looked_at: false });
    for line in ["ann", "not this one", "", "ann", "correct horse battery"] {
        ann.types(line).await;
    }
    ann.sees("No account has this name and password").await;
    ann.sees("signed in as ann").await;
    ann.types("/quit").await;
    let (_, ended) = ann.ends().await;
    ended.unwrap();
}

#[tokio::test]
async fn a_script_that_cannot_go_on_fails() {
    let server = Server::start().await;
    let mut nobody = server.chat(Some("ann"), None, Ends::default());
    nobody.types("short").await;
    nobody.types("ann@example.org").await;
    let (_, ended) = nobody.ends().await;
    let said = ended.unwrap_err().to_string();
    assert!(said.contains("password: must have at least 8"), "{said}");

    let silent = server.chat(None, None, Ends::default());
    let (_, ended) = silent.ends().await;
    assert!(ended.unwrap_err().to_string().contains("the input ended"));

    let (_, ended) = server.newcomer("ann").await.ends().await;
    ended.unwrap();
    let mut lost = server.chat(Some("ann"), Some("nobody"), Ends::default());
    lost.types("correct horse battery").await;
    let (_, ended) = lost.ends().await;
    assert!(ended.unwrap_err().to_string().contains("no such person"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_in_one_line() {
    let said = reach("http://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(said.contains("nothing answers at http://127.0.0.1:1"), "{said}");
    let said = reach("127.0.0.1:1").await.unwrap_err().to_string();
    assert!(said.starts_with("--server 127.0.0.1:1"), "{said}");
}
