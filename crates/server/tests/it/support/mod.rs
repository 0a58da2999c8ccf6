//! Servers, people, and waiting for what must come.

mod app;
mod home;
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
    home::{Home, Store},
    people::{Actor, Ask, PASSWORD, as_told, command, heard, next_of, say},
    process::{Process, ends, kith, output, refuses},
    proxy::Proxy,
    tcp::Tcp,
};

/// No test takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing that must come takes longer.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Runs a test to its end, within [`PATIENCE`], on SQLite.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_on(Store::Sqlite, PATIENCE, test)
}

/// Runs a test to its end, within `patience`, on a runtime of its own. Its servers have their data
/// in such a database. They are stopped after its clients are gone, and before this returns.
pub(crate) fn run_on<F: Future>(store: Store, patience: Duration, test: F) -> F::Output {
    let _servers = app::Stopping;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let test = Box::pin(store.with(test));
    let outcome = runtime.block_on(async { tokio::time::timeout(patience, test).await });
    runtime.shutdown_background();
    outcome.expect("a test ends in time")
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T, F>(what: &str, ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_within(SOON, what, ask).await
}

/// The same, for what may take longer or must not take as long.
pub(crate) async fn eventually_within<T, F>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
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
