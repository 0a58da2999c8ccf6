//! N3. How much later a message is heard on another node.

use kith_testkit::redis::Redis;

use super::{Ground, Report, explained, spread, urls};
use crate::{
    Result,
    cli::Plan,
    figures::{
        common::{at, median_of},
        say,
    },
    load::{Crowd, FanOut, Pace, Shape, Spans, fan_out},
    stats::Spread,
    table::{Row, millis},
};

/// Messages in a second.
const RATE: f64 = 200.0;
/// Each is heard by two on each node, or so.
const GROUPS: Shape = Shape { chats: 20, members: 5, senders: 2 };

pub(super) fn run(ground: &Ground<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    say("two nodes: 200 messages a second in groups of five");
    let (database, redis) = (ground.fresh()?, Redis::start());
    let nodes = [ground.node(&database, &redis)?, ground.node(&database, &redis)?];
    let crowd = Crowd::gather(&nodes[0].url, "five", GROUPS)?;
    let spans = Spans { measured: plan.spans().measured * 2, ..plan.spans() };
    let mut runs: Vec<FanOut> = Vec::new();
    for _ in 0..plan.rounds() {
        let run = fan_out(&crowd, &urls(&nodes), Pace::Rate(RATE), spans, || Ok(()));
        runs.push(explained(run, &nodes)?);
    }
    let mut added = Vec::new();
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let far = at(runs.iter().map(|run| &run.far), quantile);
        let near = at(runs.iter().map(|run| &run.near), quantile);
        added = far.iter().zip(&near).map(|(far, near)| (far - near) / 1_000.0).collect();
        report.rows.push(Row {
            figure: format!("N3 send to receive on the other node, {name}"),
            measured: millis(median_of(&far, |it| *it)),
            ceiling: millis(median_of(&near, |it| *it)),
            ratio: Spread::of_ratios(&far, &near),
            ..Row::default()
        });
    }
    let later = at(runs.iter().map(|run| &run.added), 0.99);
    let later: Vec<f64> = later.iter().map(|micros| micros / 1_000.0).collect();
    report.rows.push(Row {
        figure: "N3 the same message later on the other node, p99".to_owned(),
        measured: spread(&later, " ms"),
        ceiling: "-".to_owned(),
        target: "<= 3 ms",
        ..Row::default()
    });
    report.rows.push(Row {
        figure: "N3 p99 there minus p99 here".to_owned(),
        measured: spread(&added, " ms"),
        ceiling: "-".to_owned(),
        target: "<= 3 ms",
        ..Row::default()
    });
    let late = at(runs.iter().map(|run| &run.late), 0.99);
    report.notes.push(format!(
        "N3: the ceiling is the receipt of the same messages on the sender's own node. The load generator was itself late by {} (p99), which is part of both.",
        millis(median_of(&late, |it| *it)),
    ));
    Ok(())
}
