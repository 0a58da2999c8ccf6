//! Servers, people, and waiting for what must come.

mod app;
mod people;
mod process;
mod proxy;
mod tcp;

use std::{
    future::Future,
    time::{Duration, Instant},
};

pub(crate) use self::{
    app::TestApp,
    people::{Actor, Ask, PASSWORD, say},
    process::{Process, kith},
    proxy::Proxy,
    tcp::Tcp,
};

/// No test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing that must come takes longer.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Runs a test to its end, within [`PATIENCE`], on a runtime of its own. The servers that it
/// started are stopped after its clients are gone, and before this returns.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_within(PATIENCE, test)
}

/// The same, for one that may take longer.
pub(crate) fn run_within<F: Future>(patience: Duration, test: F) -> F::Output {
    let _servers = app::Stopping;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let outcome = runtime.block_on(async { tokio::time::timeout(patience, Box::pin(test)).await });
    runtime.shutdown_background();
    outcome.expect("a test ends in time")
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for what must come soon.
pub(crate) async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(SOON, coming).await;
    came.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}
