//! N2. What a delivery costs two nodes, beside one.

use std::time::Duration;

use kith_testkit::redis::Redis;

use super::{Ground, Report, explained, urls};
use crate::{
    Result,
    cli::Plan,
    figures::{common::median_of, in_turns, say},
    kith::Kith,
    load::{Crowd, Pace, Shape, fan_out},
    stats::{Spread, each, micros_each, rate},
    table::{Row, per_second},
};

/// One group; who writes in it is on both nodes.
const GROUP: Shape = Shape { chats: 1, members: 1_000, senders: 4 };

struct Cost {
    /// In a second.
    deliveries: f64,
    /// For each delivery, in microseconds of the processor.
    server: f64,
    database: f64,
    /// How often somebody was told of his own message first.
    own: u64,
}

pub(super) fn run(ground: &Ground<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    let (database, redis) = (ground.fresh()?, Redis::start());
    let first = ground.lone(&database)?;
    let crowd = Crowd::gather(&first.url, "crowd", GROUP)?;
    first.stop()?;
    for (pace, name) in
        [(Pace::Rate(100.0), "100 messages a second"), (Pace::Window(16), "16 at a time")]
    {
        say(&format!("a group of 1,000, {name}: over two nodes, against one"));
        let (two, one) = in_turns(
            plan.rounds(),
            || {
                let nodes = vec![ground.node(&database, &redis)?, ground.node(&database, &redis)?];
                cost(ground, plan, &crowd, nodes, pace)
            },
            || cost(ground, plan, &crowd, vec![ground.lone(&database)?], pace),
        )?;
        let of_a_second =
            |costs: &[Cost]| costs.iter().map(|cost| 1e6 / cost.server).collect::<Vec<f64>>();
        let (measured, ceiling) = (of_a_second(&two), of_a_second(&one));
        report.rows.push(Row {
            figure: format!("N2 deliveries/CPU-second, two nodes, {name}"),
            measured: per_second(median_of(&measured, |it| *it)),
            ceiling: per_second(median_of(&ceiling, |it| *it)),
            ratio: Spread::of_ratios(&measured, &ceiling),
            target: ">= 0.85",
            server_cpu: Some(median_of(&two, |cost| cost.server)),
            database_cpu: Some(median_of(&two, |cost| cost.database)),
            ..Row::default()
        });
        report.notes.push(format!(
            "N2, {name}: the ceiling is one node without Redis that has all 1,000 sockets; a delivery took it {:.2} CPU-µs, the two together {:.2}. {} were delivered by one, {} by two. {} times somebody was told of his own message before it was acknowledged.",
            median_of(&one, |cost| cost.server),
            median_of(&two, |cost| cost.server),
            per_second(median_of(&one, |cost| cost.deliveries)),
            per_second(median_of(&two, |cost| cost.deliveries)),
            two.iter().chain(&one).map(|cost| cost.own).sum::<u64>(),
        ));
    }
    Ok(())
}

/// Only what the nodes themselves take of the processor counts.
fn cost(
    ground: &Ground<'_>,
    plan: &Plan,
    crowd: &Crowd,
    nodes: Vec<Kith>,
    pace: Pace,
) -> Result<Cost> {
    let mut marks: Vec<(Duration, Duration)> = Vec::new();
    let done = fan_out(crowd, &urls(&nodes), pace, plan.spans(), || {
        let server = nodes.iter().map(Kith::cpu).sum::<Result<Duration>>()?;
        marks.push((server, ground.postgres.server.cpu()));
        Ok(())
    });
    let done = explained(done, &nodes)?;
    let [before, after] = marks[..] else { return Err("it was not measured".into()) };
    let count = nodes.len();
    for node in nodes {
        node.stop()?;
    }
    let cpu = |after: Duration, before| micros_each(after.saturating_sub(before), done.deliveries);
    let cost = Cost {
        deliveries: rate(done.deliveries, done.span),
        server: cpu(after.0, before.0),
        database: cpu(after.1, before.1),
        own: done.own,
    };
    say(&format!(
        "    {count}: {} deliveries of {} messages, {:.2} CPU-µs each",
        per_second(cost.deliveries),
        per_second(each(done.sent, 1) / done.span.as_secs_f64()),
        cost.server
    ));
    Ok(cost)
}
