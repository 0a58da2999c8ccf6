//! The line to PostgreSQL cut while messages are being stored.

use kith_testkit::postgres::Server;

use super::{app_at, load::Load, quick};
use crate::support::{Proxy, eventually, run};

/// How often the line is cut, in each way.
const ROUNDS: usize = 10;

#[test]
fn cut_before_the_answer_to_a_commit_it_stores_every_message_once() {
    run(async {
        let server = Server::start(quick());
        let url = server.url("postgres");
        let (_, host) = url.split_once('@').unwrap();
        let line = Proxy::to(host.trim_end_matches("/postgres")).await;
        let app = app_at(format!("postgres://kith@{}/postgres", line.host()), |_| {}).await;
        let mut load = Load::start(&app).await;
        for _ in 0..ROUNDS {
            load.goes_on(2).await;
            // Answers are on their way at this moment, and commits under way.
            line.cut();
            line.mend();
            load.goes_on(2).await;
            // What is committed from here on is not heard of.
            let before = line.lost();
            line.deafen();
            eventually("a lost answer", || async { (line.lost() > before).then_some(()) }).await;
            line.cut();
            line.mend();
        }
        load.goes_on(2).await;
        load.check().await;
    });
}
