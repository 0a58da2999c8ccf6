//! Kith on PostgreSQL against pgbench, on the same server.

use std::time::Duration;

use super::{
    Report,
    common::{self, Counts, Under, median_of, rates, saturate},
    in_turns, say,
};
use crate::{
    Result,
    ceilings::pgbench::Postgres,
    cli::{Figure, Plan},
    history::{CHATS, Reader},
    interrupt,
    kith::{Kith, Place, Setup},
    load::{CONTENT, Cast},
    table::Row,
};

/// The database that Kith uses.
const DATABASE: &str = "kith";

/// Measures all that is asked for.
pub(super) fn run(plan: &Plan, place: &Place, report: &mut Report) -> Result<()> {
    let wanted = [Figure::P2, Figure::P4, Figure::P5, Figure::P8];
    if !wanted.into_iter().any(|figure| plan.wants(figure)) {
        return Ok(());
    }
    let postgres = Postgres::start(&place.dir, false)?;
    println!("{:12} PostgreSQL {}", "database", postgres.version()?);
    let under = Under {
        database: "PostgreSQL",
        start: &|| start(&postgres, place),
        cpu: &|| Ok(postgres.server.cpu()),
    };
    let mut capacity = None;
    if plan.wants(Figure::P2) {
        capacity = Some(saturated(&under, &postgres, plan, place, report)?);
    }
    let mut lone_p99 = None;
    if plan.wants(Figure::P4) {
        let single = || postgres.lone_inserts(plan.lone());
        lone_p99 = Some(common::lone(&under, plan, single, report)?);
    }
    if plan.wants(Figure::P5) {
        if capacity.is_none() && plan.rate.is_none() {
            say("PostgreSQL: what it takes at most");
            let (window, spans) = (plan.window, plan.spans());
            capacity = Some(saturate(&under, Cast::PAIRS, window, spans, None)?.rate);
        }
        common::half_of(&under, capacity.unwrap_or_default(), lone_p99, plan, report)?;
    }
    if plan.wants(Figure::P8) {
        let small = pages(&under, &postgres, plan, 50, "10,000", report)?;
        if plan.large {
            let large = pages(&under, &postgres, plan, 50_000, "10,000,000", report)?;
            common::growth(&under, small, large, report);
        }
    }
    Ok(())
}

fn start(postgres: &Postgres, place: &Place) -> Result<Kith> {
    let url = postgres.fresh(DATABASE)?;
    Kith::start(place, Setup { database_url: Some(&url), ..Setup::default() })
}

/// P2. What it takes at most, in messages a second.
fn saturated(
    under: &Under<'_>,
    postgres: &Postgres,
    plan: &Plan,
    place: &Place,
    report: &mut Report,
) -> Result<f64> {
    let (spans, window) = (plan.spans(), plan.window);
    let mut capacity = 0.0;
    for (cast, chats) in [(Cast::PAIRS, "32 chats"), (Cast::MANY, "16,000 chats")] {
        say(&format!("PostgreSQL, {chats}: counting fsyncs and statements"));
        let counted = count(plan, place, cast)?;
        say(&format!("PostgreSQL, {chats}: saturated, against single-row inserts"));
        let (figures, ceilings) = in_turns(
            plan.rounds(),
            || saturate(under, cast, window, spans, None),
            || postgres.single_inserts(spans),
        )?;
        let measured: Vec<f64> = figures.iter().map(|figure| figure.rate).collect();
        let single: Vec<f64> = ceilings.iter().map(|told| told.rate).collect();
        report.notes.push(format!(
            "P2, {chats}: a single-row insert of pgbench cost the database {:.1} CPU-µs. The load generator took {:.1} CPU-µs for each message.",
            median_of(&ceilings, |told| told.cpu),
            median_of(&figures, |figure| figure.load_cpu),
        ));
        report.rows.push(Row {
            target: ">= 1, then 2; <= 45 µs together",
            server_cpu: Some(median_of(&figures, |figure| figure.server_cpu)),
            database_cpu: Some(median_of(&figures, |figure| figure.database_cpu)),
            syncs: Some(counted.syncs),
            statements: Some(counted.statements),
            ..rates(format!("P2 PostgreSQL saturated, {chats}"), &measured, &single)
        });
        if capacity == 0.0 {
            capacity = median_of(&measured, |rate| *rate);
            batched(postgres, plan, &measured, report)?;
        }
    }
    Ok(capacity)
}

/// Beside many rows in one statement, which is the most there is.
fn batched(postgres: &Postgres, plan: &Plan, measured: &[f64], report: &mut Report) -> Result<()> {
    say("PostgreSQL: batched inserts");
    let told = (0..measured.len())
        .map(|_| postgres.batched_inserts(256, plan.spans()))
        .collect::<Result<Vec<_>>>()?;
    let ceilings: Vec<f64> = told.iter().map(|told| told.rate).collect();
    report.notes.push(format!(
        "P2: a row of a batched insert (256 in one statement) cost the database {:.1} CPU-µs.",
        median_of(&told, |told| told.cpu),
    ));
    let figure = "P2 the same, beside batched inserts".to_owned();
    report.rows.push(rates(figure, measured, &ceilings));
    Ok(())
}

/// On a cluster of its own, whose counting slows it down.
fn count(plan: &Plan, place: &Place, cast: Cast) -> Result<common::Saturation> {
    let postgres = Postgres::start(&place.dir, true)?;
    let under = Under {
        database: "PostgreSQL",
        start: &|| start(&postgres, place),
        cpu: &|| Ok(Duration::ZERO),
    };
    saturate(&under, cast, plan.window, plan.spans(), Some(&|_| counts(&postgres)))
}

fn counts(postgres: &Postgres) -> Result<Counts> {
    let version: u32 = postgres.ask("postgres", "SHOW server_version_num")?.parse()?;
    let syncs = if version >= 180_000 {
        "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"
    } else {
        "SELECT wal_sync FROM pg_stat_wal"
    };
    let statements = format!(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements \
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '{DATABASE}')"
    );
    Ok(Counts {
        syncs: postgres.ask("postgres", syncs)?.parse()?,
        statements: postgres.ask("postgres", &statements)?.parse()?,
    })
}

/// P8. What a page among chats of `each` messages costs server and database, in microseconds.
fn pages(
    under: &Under<'_>,
    postgres: &Postgres,
    plan: &Plan,
    each: u64,
    total: &str,
    report: &mut Report,
) -> Result<f64> {
    say(&format!("PostgreSQL: pages of history among {total} messages"));
    let kith = (under.start)()?;
    let reader = Reader::new(&kith.url)?;
    fill(postgres, &reader, each)?;
    let (figures, ceilings) = in_turns(
        plan.rounds(),
        || common::read_pages(under, &kith, &reader, plan.spans()),
        || postgres.pages(DATABASE, &reader.chats, plan.spans()),
    )?;
    let measured: Vec<f64> = figures.iter().map(|figure| figure.0).collect();
    let bare: Vec<f64> = ceilings.iter().map(|told| told.rate).collect();
    let figure = format!("P8 PostgreSQL page of 50 of {CHATS} chats, {total} messages");
    report.rows.push(Row {
        target: ">= 0.4",
        server_cpu: Some(median_of(&figures, |figure| figure.1)),
        database_cpu: Some(median_of(&figures, |figure| figure.2)),
        ..rates(figure, &measured, &bare)
    });
    Ok(median_of(&figures, |figure| figure.1 + figure.2))
}

/// Fills the reader's chats, without a server in between.
fn fill(postgres: &Postgres, reader: &Reader, each: u64) -> Result<()> {
    let content = CONTENT.replace('\'', "''");
    for (index, chat) in reader.chats.iter().enumerate() {
        interrupt::check()?;
        postgres.server.execute(
            DATABASE,
            &format!(
                "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id,
                     digest, kind, content, version, revised, created_at)
                 SELECT '{chat}', n,
                     (lpad({index}::text, 16, '0') || lpad(n::text, 16, '0'))::uuid,
                     (SELECT user_id FROM members WHERE conversation_id = '{chat}' LIMIT 1),
                     lpad(n::text, 36, '0'), decode(repeat('00', 32), 'hex'), 0, '{content}',
                     n + 1, false, now()
                 FROM generate_series(1, {each}) n;
                 UPDATE heads SET last_seq = {each}, version = {each} + 1, last_message_at = now()
                 WHERE conversation_id = '{chat}';"
            ),
        )?;
    }
    postgres.server.execute(DATABASE, "VACUUM ANALYZE messages")?;
    Ok(postgres.server.execute(DATABASE, "CHECKPOINT")?)
}
