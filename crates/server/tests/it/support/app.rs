//! The server inside the test's process.

use std::{cell::RefCell, path::PathBuf, thread::JoinHandle};

use kith_client::Client;
use kith_server::{Application, Failure, config::Config};
use tokio::sync::oneshot;

use super::{home::Home, people::Actor};

thread_local! {
    /// Servers of this test that have been asked to stop.
    static ENDING: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

/// Waits, when it is dropped, for the servers that this test has asked to stop.
pub(super) struct Stopping;

impl Drop for Stopping {
    fn drop(&mut self) {
        for server in ENDING.take() {
            let ended = server.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a server crashed");
        }
    }
}

/// A server on a free port with data of its own. It is stopped in order when dropped.
pub(crate) struct TestApp {
    url: String,
    home: Option<Home>,
    config: Config,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl TestApp {
    /// A server without limits, which hashes cheaply and stops quickly.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let home = Home::new().await;
        let mut config = home.config();
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config.limits.messages_per_second = 0;
        config.limits.requests_per_second = 0;
        config.limits.logins_per_minute = 0;
        config.limits.sockets_per_user = 0;
        config.limits.sockets_per_address = 0;
        config.passwords.memory_kib = 64;
        config.passwords.iterations = 1;
        config.sockets.offline_grace_ms = 50;
        config.shutdown.close_spread_ms = 0;
        change(&mut config);
        Self::on(home, config).await
    }

    async fn on(home: Home, config: Config) -> Self {
        let (bound, address) = oneshot::channel();
        let (stop, asked) = oneshot::channel::<()>();
        let settings = config.clone();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime can be built");
            let served: Result<(), Failure> = runtime.block_on(async move {
                let application = Application::build(&settings).await?;
                bound.send(application.address()).expect("the test waits");
                application.run_until(async move { drop(asked.await) }).await
            });
            served.expect("the server runs until it is asked to stop");
        });
        let address = address.await.expect("the server starts");
        Self {
            url: format!("http://{address}"),
            home: Some(home),
            config,
            stop: Some(stop),
            server: Some(server),
        }
    }

    /// Stops it in order and starts another one on the same data, at another port.
    pub(crate) async fn restart(mut self) -> Self {
        let home = self.home.take().expect("a server has a home");
        self.end().await;
        Self::on(home, self.config.clone()).await
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        drop(self.stop.take());
        let server = self.server.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || server.join()).await;
        ended.expect("joining does not crash").expect("the server does not crash");
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Where its data is.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.config.data_dir.clone()
    }

    /// Waits until a sync tells everything that was changed before, and the one after it nothing of
    /// that. On PostgreSQL it may be told twice for as long as other transactions last.
    pub(crate) async fn settled(&self) {
        self.home.as_ref().expect("a server has a home").settled().await;
    }

    /// A client that is signed in as nobody.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.url).expect("the address of a server")
    }

    /// A new account.
    pub(crate) async fn user(&self, name: &str) -> Actor {
        Actor::register(&self.anonymous(), name).await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let home = self.home.take();
            // The data stays until the server is done with it.
            let ending = std::thread::spawn(move || {
                let ended = server.join();
                drop(home);
                assert!(ended.is_ok(), "a server crashed");
            });
            ENDING.with_borrow_mut(|all| all.push(ending));
        }
    }
}
