//! A line to a server that can be cut.

use std::sync::{Arc, Mutex};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes bytes on to a server, until the line is cut.
pub(crate) struct Proxy {
    url: String,
    /// Whether the line is whole.
    whole: watch::Sender<bool>,
    target: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A line to the server at this host and port.
    pub(crate) async fn to(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (whole, line) = watch::channel(true);
        let target = Arc::new(Mutex::new(host.to_owned()));
        let task = tokio::spawn(Self::accept(listener, Arc::clone(&target), line));
        Self { url: format!("http://{address}"), whole, target, task }
    }

    async fn accept(
        listener: TcpListener,
        target: Arc<Mutex<String>>,
        line: watch::Receiver<bool>,
    ) {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut line = line.clone();
            if !*line.borrow_and_update() {
                continue;
            }
            let target = target.lock().expect("nobody crashed").clone();
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(target).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = line.changed() => {}
                }
            });
        }
    }

    /// Where the line begins.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts all connections, and those that are tried from now on.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
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
