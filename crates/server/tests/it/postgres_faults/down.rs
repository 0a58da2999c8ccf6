//! PostgreSQL gone, or silent, under load.

use std::time::{Duration, Instant};

use kith_client::protocol::frame::ClientFrame;
use kith_testkit::postgres::{Mode, Server};

use super::{app_on, load::Load, quick};
use crate::support::{Actor, Ask as _, TestApp, eventually_within, run};

/// Within this the server is ready again once its database is.
const RECOVERY: Duration = Duration::from_secs(3);
/// After this the server ends whatever is under way, unless it is told otherwise.
const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn stopped_in_order_under_load_it_acknowledges_nothing_and_goes_on_by_itself() {
    stopped(Mode::Fast);
}

#[test]
fn crashed_under_load_it_acknowledges_nothing_and_goes_on_by_itself() {
    stopped(Mode::Immediate);
}

fn stopped(mode: Mode) {
    run(async {
        let mut server = Server::start(quick());
        let app = app_on(&server, |_| {}).await;
        let mut load = Load::start(&app).await;
        load.goes_on(10).await;
        server.stop(mode);
        load.is_stuck().await;
        is_alive_and_not_ready(&app).await;
        server.start_again();
        is_ready(&app).await;
        load.goes_on(10).await;
        load.check().await;
    });
}

#[test]
fn paused_under_load_it_refuses_in_time_and_goes_on_by_itself() {
    run(async {
        let server = Server::start(quick());
        let app = app_on(&server, |_| {}).await;
        let mut load = Load::start(&app).await;
        load.goes_on(10).await;
        server.pause();
        load.is_stuck().await;
        is_alive_and_not_ready(&app).await;
        server.resume();
        is_ready(&app).await;
        load.goes_on(10).await;
        load.check().await;
    });
}

#[test]
fn asked_to_stop_while_its_database_is_silent_it_ends_in_time() {
    run(async {
        let server = Server::start(quick());
        let app = app_on(&server, |_| {}).await;
        let ann = app.user("ann").await;
        let group = ann.group("ours", &[]).await;
        let mut socket = ann.raw().await;
        server.pause();
        for _ in 0..3 {
            socket.send(&ClientFrame::SendMessage(Actor::frame(group, "hello"))).await.unwrap();
        }
        let asked = Instant::now();
        app.stop().await;
        assert!(asked.elapsed() < DEADLINE, "{:?}", asked.elapsed());
    });
}

async fn is_alive_and_not_ready(app: &TestApp) {
    let nobody = app.anonymous();
    assert_eq!(nobody.ask("GET", "/health/live", None).await.status, 200);
    let asked = Instant::now();
    let ready = nobody.ask("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

async fn is_ready(app: &TestApp) {
    let nobody = app.anonymous();
    eventually_within(RECOVERY, "a ready server", || async {
        (nobody.ask("GET", "/health/ready", None).await.status == 200).then_some(())
    })
    .await;
}
