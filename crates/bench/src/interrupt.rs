//! Ctrl-C. Whatever runs for long asks here whether to go on, and returns with an error if not, so
//! that everything that was started is stopped and removed on the way out.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Takes the place of what SIGINT and SIGTERM do otherwise.
pub(crate) fn watch() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            ASKED.store(true, Ordering::Relaxed);
            eprintln!("\nstopping, and cleaning up");
            // To ask again changes nothing: some who ask do so twice at once, such as timeout(1).
            std::future::pending::<()>().await;
        });
    });
}

/// An error once somebody asked to stop.
pub(crate) fn check() -> Result<()> {
    if ASKED.load(Ordering::Relaxed) { Err("stopped before it was done".into()) } else { Ok(()) }
}

/// Waits, unless somebody asks to stop.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which serves nobody")]
pub(crate) fn sleep(span: Duration) -> Result<()> {
    let end = Instant::now() + span;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}
