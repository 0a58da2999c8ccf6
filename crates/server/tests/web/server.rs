//! The server, and people who use it without a browser.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use kith_client::{Client, protocol::rest};
use tempfile::TempDir;

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a test to its end.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let outcome = runtime.block_on(async { tokio::time::timeout(PATIENCE, Box::pin(test)).await });
    runtime.shutdown_background();
    outcome.expect("a test ends in time")
}

/// A server with data of its own. It is killed when dropped.
pub(crate) struct Server {
    home: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
        // Free now, and again whenever it starts anew: a page keeps talking to the same address.
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let home = tempfile::tempdir().expect("a directory can be made");
        let mut server = Self { home, port, child: None };
        server.go_on();
        server
    }

    /// Starts it on the data that is there.
    pub(crate) fn go_on(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kith"))
            .env_clear()
            .envs([
                ("KITH_PASSWORDS__MEMORY_KIB", "64"),
                ("KITH_PASSWORDS__ITERATIONS", "1"),
                ("KITH_LIMITS__MESSAGES_PER_SECOND", "0"),
                ("KITH_LIMITS__REQUESTS_PER_SECOND", "0"),
                ("KITH_SHUTDOWN__CLOSE_SPREAD_MS", "100"),
            ])
            .env("KITH_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("KITH_DATA_DIR", self.home.path().join("data"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let ready =
            lines.by_ref().map_while(Result::ok).any(|it| it.contains("listening on http://"));
        assert!(ready, "the server ended before it listened");
        // Its log is read on, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Halts it: it takes connections, as its kernel does that, and never answers. `CONT` has it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let done = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(done.is_ok_and(|it| it.success()), "it takes the signal");
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Somebody with an account, who uses the interface without a browser.
    pub(crate) async fn user(
        &self,
        name: &str,
        display_name: Option<&str>,
    ) -> (Client, uuid::Uuid) {
        let client = Client::new(&self.url()).expect("the address of a server");
        let account = rest::Register {
            username: name.to_owned(),
            email: format!("{name}@example.org"),
            password: PASSWORD.to_owned(),
            display_name: display_name.map(ToOwned::to_owned),
            device_name: None,
        };
        let answer = client.register(&account).await.expect("an account can be made");
        (client, answer.user.id)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
