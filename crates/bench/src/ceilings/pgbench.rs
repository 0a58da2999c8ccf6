//! Bare PostgreSQL: pgbench, which comes with it, on the same server.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use kith_testkit::postgres::{Options, Server};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Result, interrupt,
    load::{CONTENT, Spans, histogram},
    stats::each,
};

/// The database that the ceilings use.
const DATABASE: &str = "ceiling";
/// Kith's own tables.
const TABLES: &str = concat!(
    include_str!("../../../../migrations/postgres/2026-11-20-000001_initial/up.sql"),
    include_str!("../../../../migrations/postgres/2026-11-21-000002_conversing/up.sql"),
    include_str!("../../../../migrations/postgres/2026-11-21-000003_tail/up.sql"),
);
/// How many connections there are where as much as possible is asked for.
const CLIENTS: &str = "32";

/// A PostgreSQL server, to itself.
pub(crate) struct Postgres {
    pub(crate) server: Server,
    scripts: TempDir,
}

/// What a run of pgbench told.
pub(crate) struct Told {
    /// Transactions in a second.
    pub(crate) rate: f64,
    /// What each cost the database, in microseconds of the processor.
    pub(crate) cpu: f64,
}

impl Postgres {
    /// Starts one that keeps what is committed. `counting` also has it count statements.
    pub(crate) fn start(dir: &Path, counting: bool) -> Result<Self> {
        let mut settings =
            vec![("shared_buffers", "512MB"), ("max_wal_size", "4GB"), ("max_connections", "200")];
        if counting {
            settings.push(("shared_preload_libraries", "pg_stat_statements"));
            settings.push(("pg_stat_statements.track", "all"));
        }
        let settings = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
        let server = Server::start(Options {
            durable: true,
            tcp: false,
            settings: settings.collect(),
            ..Options::default()
        });
        let scripts = tempfile::Builder::new().prefix("kith-bench-").tempdir_in(dir)?;
        let postgres = Self { server, scripts };
        postgres.fresh(DATABASE)?;
        postgres.server.execute(DATABASE, TABLES)?;
        if counting {
            postgres.server.execute("postgres", "CREATE EXTENSION pg_stat_statements")?;
        }
        Ok(postgres)
    }

    /// Makes an empty database, in the place of the one that has this name.
    pub(crate) fn fresh(&self, database: &str) -> Result<String> {
        let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        self.server.execute("postgres", &drop)?;
        self.server.execute("postgres", &format!("CREATE DATABASE {database}"))?;
        // What it has written so far is not to be written while something is measured.
        self.server.execute("postgres", "CHECKPOINT")?;
        Ok(self.server.socket_url(database))
    }

    /// Its version, as it tells.
    pub(crate) fn version(&self) -> Result<String> {
        self.ask("postgres", "SHOW server_version")
    }

    /// The first value that a query gives.
    pub(crate) fn ask(&self, database: &str, query: &str) -> Result<String> {
        let mut psql = Command::new(self.server.bin("psql"));
        psql.args(["-X", "-A", "-t", "-c", query]).arg(self.server.socket_url(database));
        let output = psql.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(format!("{query}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// One row for each transaction, at 32 clients.
    pub(crate) fn single_inserts(&self, spans: Spans) -> Result<Told> {
        self.empty()?;
        self.run(DATABASE, &insert("1"), &["-c", CLIENTS, "-j", "2"], spans)
    }

    /// `batch` rows for each transaction, at as many clients as there are lanes.
    pub(crate) fn batched_inserts(&self, batch: u64, spans: Spans) -> Result<Told> {
        self.empty()?;
        let told =
            self.run(DATABASE, &insert(&batch.to_string()), &["-c", "4", "-j", "2"], spans)?;
        let rows = each(batch, 1);
        Ok(Told { rate: told.rate * rows, cpu: told.cpu / rows })
    }

    /// How long `count` transactions of one row took, each by itself.
    pub(crate) fn lone_inserts(&self, count: u64) -> Result<Histogram<u64>> {
        self.empty()?;
        let prefix = self.scripts.path().join("log");
        let prefix = prefix.to_str().ok_or("the path is not UTF-8")?;
        let unmeasured = count / 10;
        let transactions = (unmeasured + count).to_string();
        self.pgbench(
            DATABASE,
            &insert("1"),
            &["-c", "1", "-t", &transactions, "--log", "--log-prefix", prefix],
        )?;
        let mut times = histogram()?;
        for entry in fs::read_dir(self.scripts.path())? {
            let path = entry?.path();
            if path.to_string_lossy().starts_with(prefix) {
                let log = fs::read_to_string(&path)?;
                for line in log.lines().skip(usize::try_from(unmeasured)?) {
                    times.record(time_in(line).ok_or("pgbench's log is not understood")?)?;
                }
                fs::remove_file(path)?;
            }
        }
        Ok(times)
    }

    /// The newest 50 of chats at random, in the database of a server.
    pub(crate) fn pages(&self, database: &str, chats: &[Uuid], spans: Spans) -> Result<Told> {
        let list = chats.iter().map(|chat| format!("'{chat}'")).collect::<Vec<_>>().join(", ");
        let script = format!(
            "\\set chat random(1, {count})\n\
             SELECT seq, id, sender_id, client_message_id, kind, content, reply_to, version, \
             created_at, edited_at, deleted_at, pinned_at FROM messages \
             WHERE conversation_id = (ARRAY[{list}]::uuid[])[:chat] ORDER BY seq DESC LIMIT 50;\n",
            count = chats.len(),
        );
        self.run(database, &script, &["-c", CLIENTS, "-j", "2"], spans)
    }

    fn empty(&self) -> Result<()> {
        self.server.execute(DATABASE, "TRUNCATE messages")?;
        Ok(self.server.execute(DATABASE, "CHECKPOINT")?)
    }

    fn run(&self, database: &str, script: &str, options: &[&str], spans: Spans) -> Result<Told> {
        let seconds = spans.measured.as_secs().max(1).to_string();
        let before = self.server.cpu();
        let mut options = options.to_vec();
        options.extend(["-T", &seconds]);
        let output = self.pgbench(database, script, &options)?;
        let spent = self.server.cpu().saturating_sub(before);
        let number = |name: &str| -> Result<f64> {
            let found = value_after(&output, name);
            Ok(found.ok_or_else(|| format!("pgbench did not tell `{name}`:\n{output}"))?)
        };
        let rate = number("tps = ")?;
        eprintln!("      pgbench: {rate:.0} transactions/s");
        let count = number("number of transactions actually processed: ")?;
        Ok(Told { rate, cpu: spent.as_secs_f64() * 1e6 / count.max(1.0) })
    }

    fn pgbench(&self, database: &str, script: &str, options: &[&str]) -> Result<String> {
        let file = self.scripts.path().join("script.sql");
        fs::write(&file, script)?;
        let told = self.scripts.path().join("told");
        let mut pgbench = Command::new(self.server.bin("pgbench"));
        pgbench.args(["-n", "-M", "prepared", "-D", "seq=0"]).args(options);
        pgbench.arg("-f").arg(&file).arg(self.server.socket_url(database));
        pgbench.stdin(Stdio::null()).stdout(fs::File::create(&told)?);
        let mut child = pgbench.stderr(fs::File::options().append(true).open(&told)?).spawn()?;
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                let output = fs::read_to_string(&told)?;
                return if status.success() {
                    Ok(output)
                } else {
                    Err(format!("pgbench failed:\n{output}").into())
                };
            }
            let going_on = interrupt::sleep(Duration::from_millis(20));
            if going_on.is_err() || started.elapsed() > Duration::from_secs(600) {
                let _ = child.kill();
                let _ = child.wait();
                going_on?;
                return Err("pgbench does not end".into());
            }
        }
    }
}

/// A chat for each client; `count` messages for it in one transaction.
fn insert(count: &str) -> String {
    let content = CONTENT.replace('\'', "''");
    let values = |n: &str| {
        format!(
            "lpad(:client_id::text, 32, '0')::uuid, :seq::bigint{n}, \
             (lpad(to_hex(:seq::bigint{n}), 16, '0') || lpad(to_hex(:client_id::bigint), 16, '0'))::uuid, \
             lpad(:client_id::text, 32, '1')::uuid, gen_random_uuid()::text, \
             '\\x{digest}'::bytea, 0, '{content}', :seq::bigint{n}, false, now()",
            digest = "07".repeat(32),
        )
    };
    let into = "INSERT INTO messages (conversation_id, seq, id, sender_id, client_message_id, \
                digest, kind, content, version, revised, created_at)";
    if count == "1" {
        format!("\\set seq :seq + 1\n{into} VALUES ({});\n", values(""))
    } else {
        format!(
            "\\set seq :seq + {count}\n{into} SELECT {} FROM generate_series(1, {count}) n;\n",
            values(" + n")
        )
    }
}

fn value_after(text: &str, name: &str) -> Option<f64> {
    let (_, rest) = text.split_once(name)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The third field of a line of the log: microseconds.
fn time_in(line: &str) -> Option<u64> {
    line.split(' ').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_pgbench_tells() {
        let told = "number of transactions actually processed: 28123/28123\n\
                    latency average = 1.1 ms\ntps = 28012.5 (without initial connection time)\n";
        assert_eq!(value_after(told, "tps = "), Some(28_012.5));
        assert_eq!(value_after(told, "actually processed: "), Some(28_123.0));
        assert_eq!(value_after(told, "nothing"), None);
        assert_eq!(time_in("0 17 1234 0 1700000000 5"), Some(1_234));
    }
}
