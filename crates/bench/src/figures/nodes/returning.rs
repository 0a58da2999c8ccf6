//! N4. Clients that lose their node, and come to the other one.

use std::time::Duration;

use kith_testkit::redis::Redis;

use super::{DATABASE, Ground, Report, explained, listed, spread};
use crate::{
    Result,
    cli::Plan,
    figures::{common::median_of, say},
    interrupt,
    load::{Herd, Return},
    redis::Commands,
    statements::Statements,
    stats::{each, micros_each},
    table::Row,
};

/// How many are in each of the groups.
const MEMBERS: usize = 250;
/// After this a node has read and told all that was stored before.
const READ: Duration = Duration::from_secs(3);

struct Round {
    /// From the loss of the node, in seconds: until half were back, and the last.
    half: f64,
    last: f64,
    turned_away: u64,
    why: Option<String>,
    unanswered: u64,
    instead: Option<String>,
    told: u64,
    statements: Statements,
    commands: Commands,
    /// For each client, in microseconds of the processor.
    server: f64,
    database: f64,
}

pub(super) fn run(ground: &Ground<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    let (clients, chats) = plan.herd();
    say(&format!("{clients} clients of {chats} conversations lose their node"));
    let (database, redis) = (ground.fresh()?, Redis::start());
    let mut here = ground.node(&database, &redis)?;
    let mut herd = Herd::gather(&here.url, clients)?;
    fill(ground, &herd, clients, chats)?;
    // A token vouches for what the node has found in the log of changes, which it reads each second.
    interrupt::sleep(READ)?;
    explained(herd.come(&here.url), std::slice::from_ref(&here))?;
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds() {
        let there = ground.node(&database, &redis)?;
        // What their coming has left to do is not what is measured.
        interrupt::sleep(plan.spans().warm_up)?;
        ground.postgres.server.execute("postgres", "CHECKPOINT")?;
        let commands = Commands::at(redis.port())?;
        let cpu = (there.cpu()?, ground.postgres.server.cpu());
        Statements::forget(&ground.postgres)?;
        let back = herd.come_back(&there.url, || here.crash());
        let back = explained(back, std::slice::from_ref(&there))?;
        let Return { times, turned_away, why, unanswered, instead, told } = back;
        let count = clients as u64;
        let seconds = |micros: u64| each(micros, 1) / 1e6;
        let round = Round {
            half: seconds(times.value_at_quantile(0.5)),
            last: seconds(times.max()),
            turned_away,
            why,
            unanswered,
            instead,
            told,
            statements: Statements::in_database(&ground.postgres, DATABASE)?,
            commands: Commands::at(redis.port())?.since(&commands),
            server: micros_each(there.cpu()?.saturating_sub(cpu.0), count),
            database: micros_each(ground.postgres.server.cpu().saturating_sub(cpu.1), count),
        };
        say(&format!(
            "    the last was back after {:.2} s; {} statements",
            round.last,
            round.statements.total()
        ));
        rounds.push(round);
        here = there;
    }
    tell(clients, chats, &rounds, report);
    Ok(())
}

fn tell(clients: usize, chats: usize, rounds: &[Round], report: &mut Report) {
    let count = clients as u64;
    let statements: Vec<f64> =
        rounds.iter().map(|round| each(round.statements.total() * 50, count)).collect();
    let row = |what: &str, values: &[f64], unit: &str| Row {
        figure: format!("N4 {clients} clients lose their node: {what}"),
        measured: spread(values, unit),
        ceiling: "-".to_owned(),
        ..Row::default()
    };
    let half: Vec<f64> = rounds.iter().map(|round| round.half).collect();
    let last: Vec<f64> = rounds.iter().map(|round| round.last).collect();
    report.rows.push(row("half are back", &half, " s"));
    report.rows.push(Row {
        target: "<= 10 s",
        server_cpu: Some(median_of(rounds, |round| round.server)),
        database_cpu: Some(median_of(rounds, |round| round.database)),
        ..row("the last is back", &last, " s")
    });
    report.rows.push(Row {
        target: "<= 1",
        statements: Some(median_of(&statements, |it| *it) / 50.0),
        ..row("statements for 50 of them", &statements, "")
    });
    let Some(first) = rounds.first() else { return };
    let sum = |count: fn(&Round) -> u64| rounds.iter().map(count).sum::<u64>();
    let why = rounds.iter().find_map(|round| round.why.as_deref());
    let instead = rounds.iter().find_map(|round| round.instead.as_deref());
    report.notes.push(format!(
        "N4: each client is in {chats} groups of {MEMBERS}. All come at once, without the pause that clients make. In {} rounds {} were turned away and came again{}; {} were not told what they missed, and asked again{}; {} were told of something, though nothing had happened. In the first round, for each client: {:.2} statements ({}), and of Redis: {}.",
        rounds.len(),
        sum(|round| round.turned_away),
        why.map(|said| format!(" (the first: {said})")).unwrap_or_default(),
        sum(|round| round.unanswered),
        instead.map(|said| format!(" (the first was told `{said}`)")).unwrap_or_default(),
        sum(|round| round.told),
        each(first.statements.total(), count),
        listed(first.statements.most_first(), each(count, 1)),
        listed(&first.commands.most_first(), each(count, 1)),
    ));
}

/// Brings them together in groups, at random and without a server in between.
fn fill(ground: &Ground<'_>, herd: &Herd, clients: usize, chats: usize) -> Result<()> {
    let people: Vec<String> = herd.people().map(|id| format!("'{id}'")).collect();
    let groups_of_a_turn = clients.div_ceil(MEMBERS);
    ground.postgres.server.execute(
        DATABASE,
        &format!(
            "CREATE TEMP TABLE chat ON COMMIT DROP AS
             SELECT n, gen_random_uuid() AS id
             FROM generate_series(0, {chats} * {groups_of_a_turn} - 1) AS n;

             -- In each turn everybody gets into one group.
             CREATE TEMP TABLE place ON COMMIT DROP AS
             SELECT person, turn * {groups_of_a_turn}
                 + (row_number() OVER (PARTITION BY turn ORDER BY md5(turn || person::text)) - 1)
                 / {MEMBERS} AS n
             FROM unnest(ARRAY[{people}]::uuid[]) AS person, generate_series(0, {chats} - 1) AS turn;

             INSERT INTO conversations (id, kind, name, posting, created_by, created_at, updated_at,
                 member_count, settings_epoch, changed)
             SELECT id, 1, 'group ' || n, 0, (array_agg(person ORDER BY person))[1], now(), now(),
                 count(*), 1, pg_current_xact_id()::text::bigint
             FROM chat JOIN place USING (n)
             GROUP BY id, n;

             INSERT INTO heads (conversation_id, last_seq, version, member_epoch, changed)
             SELECT id, 0, 1, 1, pg_current_xact_id()::text::bigint FROM chat;

             INSERT INTO members (conversation_id, user_id, role, joined_at, first_seq, version,
                 delivered_seq, read_seq, pinned, archived, hidden, changed)
             SELECT id, person, CASE WHEN person = created_by THEN 2 ELSE 0 END, now(), 1, 1, 0, 0,
                 false, false, false, pg_current_xact_id()::text::bigint
             FROM chat JOIN place USING (n) JOIN conversations USING (id);",
            people = people.join(", "),
        ),
    )?;
    ground.postgres.server.execute(DATABASE, "VACUUM ANALYZE")?;
    Ok(ground.postgres.server.execute(DATABASE, "CHECKPOINT")?)
}
