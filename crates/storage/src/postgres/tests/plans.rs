//! Statements at scale: none walks through a table, and each reads about as much as it tells.
//!
//! The server itself says how it carried out each statement, those inside of functions and of
//! foreign keys too (`auto_explain`), as the store sent it, with the plans that the store's
//! connections keep.

mod conversing;
mod reading;
mod tailing;
mod use_everything;

use std::{collections::BTreeMap, fmt::Write as _};

use kith_ports::{log::ConversationLog as _, tail::ChangeTail as _};
use kith_testkit::build::{send_to, user_id};

use super::{
    super::Postgres,
    ground::{Ground, options},
    proxy::{Notice, Proxy},
};

const FILL: &str = include_str!("plans/fill.sql");

/// Makes the server explain everything that is done in this database from now on. Only a superuser
/// may, as the one of the shared cluster is.
const EXPLAIN: &[(&str, &str)] = &[
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_nested_statements", "on"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_timing", "off"),
    ("client_min_messages", "log"),
];

/// The tables that are too long to be walked through.
const LONG: [&str; 14] = [
    "messages",
    "members",
    "conversations",
    "heads",
    "users",
    "user_words",
    "sessions",
    "last_seen",
    "reactions",
    "receipts",
    "blocks",
    "invites",
    "channel_words",
    "changes",
];

/// A statement that was carried out.
struct Explained {
    text: String,
    plan: String,
    nested: bool,
    milliseconds: f64,
    /// Pages that were looked at.
    buffers: u64,
}

impl Explained {
    /// Reads `duration: 1.5 ms  plan:`, `Query Text: …`, the plan.
    fn read(notice: &Notice) -> Option<Self> {
        let rest = notice.message.strip_prefix("duration: ")?;
        let (milliseconds, rest) = rest.split_once(" ms  plan:\nQuery Text: ")?;
        // The root of the plan is the first line with costs; its figures are indented by two.
        let root = rest.find("(cost=")?;
        let start = rest[..root].rfind('\n')?;
        let (text, plan) = rest.split_at(start);
        let figures = plan.lines().find_map(|line| line.strip_prefix("  Buffers: shared"));
        let buffers = figures.unwrap_or_default().split([' ', ',']).filter_map(|part| {
            let number = part.strip_prefix("hit=").or(part.strip_prefix("read="))?;
            number.parse::<u64>().ok()
        });
        Some(Self {
            text: text.to_owned(),
            plan: plan.to_owned(),
            nested: !notice.context.is_empty(),
            milliseconds: milliseconds.parse().ok()?,
            buffers: buffers.sum(),
        })
    }

    /// What is wrong with how it was carried out.
    fn fault(&self) -> Option<String> {
        self.plan.lines().find_map(|line| {
            let (_, walked) = line.split_once("Seq Scan on ")?;
            let table = walked.split(' ').next()?;
            LONG.contains(&table).then(|| format!("walks through {table}"))
        })
    }
}

/// Watches what a store does.
struct Meter {
    proxy: Proxy,
    faults: BTreeMap<String, String>,
    statements: usize,
    /// What each step took, line by line.
    table: String,
}

impl Meter {
    /// What `work` answers. It may look at so many pages.
    async fn measure<T>(&mut self, label: &str, most: u64, work: impl Future<Output = T>) -> T {
        self.proxy.notices();
        let answer = work.await;
        let explained: Vec<_> = self.proxy.notices().iter().filter_map(Explained::read).collect();
        self.statements += explained.len();
        let own = || explained.iter().filter(|it| !it.nested);
        let buffers: u64 = own().map(|it| it.buffers).sum();
        let milliseconds: f64 = own().map(|it| it.milliseconds).sum();
        let (count, nested) = (own().count(), explained.len() - own().count());
        writeln!(
            self.table,
            "{label:38} {count:4} {nested:5} {buffers:8} of {most:6} {milliseconds:9.2} ms"
        )
        .unwrap();
        for it in &explained {
            if let Some(fault) = it.fault() {
                self.fault(&format!("{label}: {fault}"), it);
            }
        }
        if buffers > most {
            let worst = explained.iter().max_by_key(|it| it.buffers).unwrap();
            self.fault(&format!("{label}: {buffers} pages instead of {most}"), worst);
        }
        answer
    }

    fn fault(&mut self, what: &str, it: &Explained) {
        let Explained { text, plan, buffers, .. } = it;
        self.faults.entry(what.to_owned()).or_insert_with(|| format!("{buffers}: {text}{plan}"));
    }
}

async fn explain(ground: &Ground) -> (Meter, Postgres) {
    let raw = ground.raw().await;
    for (name, value) in EXPLAIN {
        raw.run(&format!("ALTER DATABASE {} SET {name} = '{value}'", ground.database.name())).await;
    }
    let proxy = Proxy::new(ground.database.url());
    // One of each: what is prepared once stays prepared.
    let store = Postgres::open(&proxy.url(), options(1, 1)).await.unwrap();
    let table = format!("{:38} {:>4} {:>5} {:>18}\n", "", "own", "inner", "pages");
    (Meter { proxy, faults: BTreeMap::new(), statements: 0, table }, store)
}

/// Its plan may be made while it is short, and is kept as it grows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_log_is_not_walked_through() {
    let (ground, _, group) = Ground::furnished().await;
    let (mut meter, store) = explain(&ground).await;
    let position = store.end().await.unwrap();
    for n in 1..=3 {
        let send = send_to(group, n, user_id(1), "x");
        store.apply([send].into()).await.unwrap();
        let tail = meter.measure("since, while short", 60, store.since(position)).await.unwrap();
        assert!(!tail.changes.is_empty());
    }
    assert!(meter.faults.is_empty(), "{:?}", meter.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_walks_through_a_table() {
    let ground = Ground::new().await;
    let raw = ground.raw().await;
    raw.run(FILL).await;
    // As it would do by itself in time: index-only scans need it.
    raw.run("VACUUM (ANALYZE)").await;
    let (mut meter, store) = explain(&ground).await;
    use_everything::read(&mut meter, &store).await;
    use_everything::sync(&mut meter, &store).await;
    use_everything::accounts(&mut meter, &store).await;
    reading::read(&mut meter, &store).await;
    tailing::read(&mut meter, &store, &ground).await;
    use_everything::write(&mut meter, &store).await;
    use_everything::govern(&mut meter, &store, &ground).await;
    conversing::converse(&mut meter, &store).await;

    assert!(meter.statements > 200, "{} statements", meter.statements);
    let mut faults = String::new();
    for (what, plan) in &meter.faults {
        write!(faults, "{what}\n{plan}\n\n").unwrap();
    }
    assert!(faults.is_empty(), "{faults}");
    // To be read with `--nocapture`; in a failure it would hide what is wrong.
    println!("{}", meter.table);
}
