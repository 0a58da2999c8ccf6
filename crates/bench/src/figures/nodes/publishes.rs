//! N1. What goes through Redis: for a message, and while nothing happens.

use std::time::{Duration, Instant};

use kith_testkit::redis::Redis;

use super::{DATABASE, Ground, Report, SETTLED, explained, listed, urls};
use crate::{
    Result,
    cli::Plan,
    figures::say,
    interrupt,
    kith::Kith,
    load::{Crowd, Pace, Shape, fan_out},
    redis::Commands,
    statements::Statements,
    stats::each,
    table::Row,
};

/// Some messages at a time, as in a chat that is busy.
const PACE: Pace = Pace::Window(4);
/// For so long those who went are still taken to be there, their channels are listened to, and a little
/// longer.
const LINGER: Duration = Duration::from_secs(6);

pub(super) fn run(ground: &Ground<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    say("two nodes: what is published");
    let (database, redis) = (ground.fresh()?, Redis::start());
    let nodes = [ground.node(&database, &redis)?, ground.node(&database, &redis)?];
    let few = Shape { chats: 8, members: 10, senders: 2 };
    messages(ground, plan, &redis, &nodes, few, ("message to a group of 10", "1"), report)?;
    let many = Shape { chats: 1, members: 1_000, senders: 4 };
    let crowd =
        messages(ground, plan, &redis, &nodes, many, ("message to a group of 1,000", "1"), report)?;
    let left = Commands::at(redis.port())?;
    Statements::forget(&ground.postgres)?;
    interrupt::sleep(LINGER)?;
    let statements = Statements::in_database(&ground.postgres, DATABASE)?;
    let people = each(many.people() as u64, 1);
    report.notes.push(format!(
        "N1: for each of 1,000 people who went at once there were {:.2} statements ({}), and of Redis: {}.",
        each(statements.total(), 1) / people,
        listed(statements.most_first(), people),
        listed(&Commands::at(redis.port())?.since(&left).most_first(), people),
    ));
    // The last, because those who know each other are told of each other's going.
    let direct = Shape { chats: 8, members: 2, senders: 2 };
    messages(ground, plan, &redis, &nodes, direct, ("direct message", "<= 2"), report)?;
    idle(ground, plan, &redis, &nodes, &crowd, report)
}

/// What a message means for Redis.
fn messages(
    ground: &Ground<'_>,
    plan: &Plan,
    redis: &Redis,
    nodes: &[Kith; 2],
    shape: Shape,
    (name, target): (&str, &'static str),
    report: &mut Report,
) -> Result<Crowd> {
    let crowd = Crowd::gather(&nodes[0].url, &format!("of-{}", shape.members), shape)?;
    let (mut commands, mut statements) = (Vec::new(), Statements::default());
    let done = fan_out(&crowd, &urls(nodes), PACE, plan.spans(), || {
        interrupt::sleep(SETTLED)?;
        statements = Statements::in_database(&ground.postgres, DATABASE)?;
        commands.push(Commands::at(redis.port())?);
        Statements::forget(&ground.postgres)
    });
    let done = explained(done, nodes)?;
    let [before, after] = &commands[..] else { return Err("it was not measured".into()) };
    let commands = after.since(before);
    report.rows.push(Row {
        figure: format!("N1 publishes for a {name}"),
        measured: format!("{:.3}", each(commands.publishes(), done.sent)),
        ceiling: "-".to_owned(),
        target,
        statements: Some(each(statements.total(), done.sent)),
        ..Row::default()
    });
    say(&format!(
        "    {} messages: {}",
        done.sent,
        listed(&commands.most_first(), each(done.sent, 1))
    ));
    Ok(crowd)
}

/// What it costs that sockets are open, and nobody says anything.
fn idle(
    ground: &Ground<'_>,
    plan: &Plan,
    redis: &Redis,
    nodes: &[Kith; 2],
    crowd: &Crowd,
    report: &mut Report,
) -> Result<()> {
    say("two nodes: while nothing happens");
    let lines = crowd.open(&urls(nodes))?;
    interrupt::sleep(LINGER)?;
    let before = Commands::at(redis.port())?;
    Statements::forget(&ground.postgres)?;
    let start = Instant::now();
    interrupt::sleep(plan.idle())?;
    let statements = Statements::in_database(&ground.postgres, DATABASE)?;
    let commands = Commands::at(redis.port())?.since(&before);
    let span = start.elapsed().as_secs_f64();
    let sockets = lines.len() / nodes.len();
    drop(lines);
    report.rows.push(Row {
        figure: "N1 publishes in a second without a message".to_owned(),
        measured: format!("{:.2}/s", each(commands.publishes(), 1) / span),
        ceiling: "-".to_owned(),
        target: "0",
        ..Row::default()
    });
    let per_node = span * each(nodes.len() as u64, 1);
    let all: u64 = commands.most_first().iter().map(|(_, count)| count).sum();
    report.notes.push(format!(
        "N1: while nothing happened, over {span:.0} s, each node with {sockets} sockets gave {:.2} Redis commands a second (what scripts do counts, too: {}) and {:.2} statements ({}).",
        each(all, 1) / per_node,
        listed(&commands.most_first(), per_node),
        each(statements.total(), 1) / per_node,
        listed(statements.most_first(), per_node),
    ));
    Ok(())
}
