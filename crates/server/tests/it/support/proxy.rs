//! A line to a server that can be cut.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Passes bytes on to a server, until the line is cut.
pub(crate) struct Proxy {
    url: String,
    state: watch::Sender<State>,
    target: Arc<Mutex<String>>,
    lost: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// How the line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// How often it was cut. A connection lives until the next time.
    cuts: u64,
    /// Whether connections are refused.
    closed: bool,
    /// Whether what the server says gets lost.
    deaf: bool,
}

impl Proxy {
    /// A line to the server at this host and port.
    pub(crate) async fn to(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (state, line) = watch::channel(State::default());
        let target = Arc::new(Mutex::new(host.to_owned()));
        let lost = Arc::<AtomicU64>::default();
        let task =
            tokio::spawn(Self::accept(listener, Arc::clone(&target), Arc::clone(&lost), line));
        Self { url: format!("http://{address}"), state, target, lost, task }
    }

    async fn accept(
        listener: TcpListener,
        target: Arc<Mutex<String>>,
        lost: Arc<AtomicU64>,
        line: watch::Receiver<State>,
    ) {
        while let Ok((mut near, _)) = listener.accept().await {
            let State { cuts, closed, .. } = *line.borrow();
            if closed {
                continue;
            }
            let target = target.lock().expect("nobody crashed").clone();
            let (lost, line, mut cut) = (Arc::clone(&lost), line.clone(), line.clone());
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(target).await else { return };
                let (near, far) = (near.split(), far.split());
                let there = pass(near.0, far.1, |_| true);
                let back = pass(far.0, near.1, |bytes| {
                    let deaf = line.borrow().deaf;
                    if deaf {
                        lost.fetch_add(bytes, Ordering::Relaxed);
                    }
                    !deaf
                });
                tokio::select! {
                    _ = async { tokio::join!(there, back) } => {}
                    _ = cut.wait_for(|state| state.cuts != cuts) => {}
                }
            });
        }
    }

    /// Where the line begins.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port of its beginning.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Cuts all connections, and those that are tried from now on.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| {
            *state = State { cuts: state.cuts + 1, closed: true, deaf: false };
        });
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.state.send_modify(|state| state.closed = false);
    }

    /// Loses all that the server says from now on, until the line is cut. It still hears.
    pub(crate) fn deafen(&self) {
        self.state.send_modify(|state| state.deaf = true);
    }

    /// How many bytes of what the server said got lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, host: &str) {
        host.clone_into(&mut self.target.lock().expect("nobody crashed"));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes on to the end, except those that are not let through.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, lets: impl Fn(u64) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if lets(read as u64) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The other side may have hung up.
    let _ = to.shutdown().await;
}
