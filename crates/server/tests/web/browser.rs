//! Chromium, driven over its own protocol (CDP): one process, and in it people who share nothing.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::page::Page;

/// Everything a test must have; nothing from the network.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--lang=en-GB",
    // Nobody watches: the next frame may come at once.
    "--disable-frame-rate-limit",
    "--disable-gpu-vsync",
    // There is a mouse, which headless it would not say.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
    "--remote-debugging-port=0",
];
/// How long Chromium may take to start.
const START: Duration = Duration::from_secs(40);

type Answers = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;
type Complaints = Arc<Mutex<Vec<(String, String)>>>;

/// A running Chromium. It is killed when dropped.
pub(crate) struct Browser {
    child: Child,
    link: Link,
    _home: TempDir,
}

/// The way to it.
#[derive(Clone)]
pub(crate) struct Link {
    outgoing: mpsc::UnboundedSender<Message>,
    answers: Answers,
    /// What pages complained about: errors, and what the security policy stopped. By session.
    complaints: Complaints,
    next: Arc<AtomicU64>,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory can be made");
        let mut child = Command::new(chromium())
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", home.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let port_file = home.path().join("DevToolsActivePort");
        let deadline = Instant::now() + START;
        let said = loop {
            let said = std::fs::read_to_string(&port_file).unwrap_or_default();
            if said.lines().count() >= 2 {
                break said;
            }
            assert!(child.try_wait().unwrap().is_none(), "Chromium ended at once");
            assert!(Instant::now() < deadline, "Chromium does not say where it listens");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let (port, path) = said.split_once('\n').expect("two lines");
        let link = Link::open(&format!("ws://127.0.0.1:{port}{}", path.trim())).await;
        Self { child, link, _home: home }
    }

    /// A page of somebody who shares nothing with the others.
    pub(crate) async fn page(&self, url: &str, (width, height): (u32, u32)) -> Page {
        let context = self.link.call("", "Target.createBrowserContext", json!({})).await;
        let context = context["browserContextId"].as_str().unwrap().to_owned();
        self.page_in(&context, url, (width, height)).await
    }

    /// Another page of somebody.
    pub(crate) async fn page_in(&self, context: &str, url: &str, size: (u32, u32)) -> Page {
        let made = json!({ "url": "about:blank", "browserContextId": context });
        let target = self.link.call("", "Target.createTarget", made).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.link.call("", "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        Page::new(self.link.clone(), session, context.to_owned(), url, size).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Link {
    async fn open(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.expect("Chromium takes the connection");
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut waiting) = mpsc::unbounded_channel();
        let (answers, complaints) = (Answers::default(), Complaints::default());
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn({
            let (answers, complaints) = (Arc::clone(&answers), Arc::clone(&complaints));
            async move {
                while let Some(Ok(message)) = stream.next().await {
                    let Ok(text) = message.into_text() else { continue };
                    let Ok(heard) = serde_json::from_str::<Value>(&text) else { continue };
                    if let Some(id) = heard["id"].as_u64() {
                        if let Some(answer) = answers.lock().unwrap().remove(&id) {
                            let _ = answer.send(heard);
                        }
                    } else if let Some(said) = complaint(&heard) {
                        let session = heard["sessionId"].as_str().unwrap_or_default().to_owned();
                        complaints.lock().unwrap().push((session, said));
                    }
                }
            }
        });
        Self { outgoing, answers, complaints, next: Arc::default() }
    }

    /// Has Chromium do something, in a page or, where `session` is empty, as a whole.
    pub(crate) async fn call(&self, session: &str, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            command["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        self.answers.lock().unwrap().insert(id, answer);
        self.outgoing.send(Message::text(command.to_string())).expect("Chromium is there");
        let mut answer = answered.await.expect("Chromium answers");
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    /// What a page has complained about so far.
    pub(crate) fn complaints(&self, of: &str) -> Vec<String> {
        let all = self.complaints.lock().unwrap();
        all.iter().filter(|(session, _)| session == of).map(|(_, said)| said.clone()).collect()
    }
}

/// What must not happen: an error nobody caught, a window that a script opened, a stop by the policy.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Page.javascriptDialogOpening" => Some(format!("a dialog: {}", params["message"])),
        "Log.entryAdded" if params["entry"]["source"] == "security" => {
            Some(params["entry"]["text"].to_string())
        }
        "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue" => {
            Some(params["issue"]["details"].to_string())
        }
        _ => None,
    }
}

/// Where Chromium is.
fn chromium() -> PathBuf {
    if let Some(path) = env::var_os("KITH_CHROMIUM") {
        return path.into();
    }
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| {
            let path = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&path).map(|dir| dir.join(name)).collect::<Vec<_>>()
        })
        .find(|path| path.is_file())
        .expect("these tests need Chromium: scripts/test installs it, or KITH_CHROMIUM names it")
}

/// The folder that pictures of pages land in.
pub(crate) fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
