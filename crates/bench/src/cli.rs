//! What is asked for.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{Result, kith::Place, load::Spans};

/// Measures a Kith server against its ceilings, and prints one table.
///
/// Starts all it needs, on fresh data in the directory for temporary files (`TMPDIR`), and leaves
/// nothing behind.
#[derive(Clone, Debug, Parser)]
#[command(name = "kith-bench")]
pub(crate) struct Plan {
    /// One short round of everything: whether it works, rather than how fast it is.
    #[arg(long)]
    quick: bool,
    /// How often each figure and its ceiling are measured, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many seconds each measurement takes.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Only these figures.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Figure>,
    /// Only with these databases.
    #[arg(long, value_delimiter = ',')]
    database: Vec<Database>,
    /// How many messages each sender keeps under way.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: u64,
    /// P5: so many messages in a second, instead of half of what it takes.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Also history among 10 million messages, which takes minutes to fill.
    #[arg(long)]
    pub(crate) large: bool,
    /// The server; the one beside this program, if left out.
    #[arg(long)]
    kith: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Durable direct messages in a second, PostgreSQL, saturated.
    P2,
    /// The same, SQLite.
    P3,
    /// The acknowledgement of a lone message.
    P4,
    /// From send to receipt at half of capacity.
    P5,
    /// A page of history.
    P8,
    /// Two nodes: what is published for a message, and while nothing happens.
    N1,
    /// Two nodes: deliveries for each second of the processor, beside one node.
    N2,
    /// Two nodes: how much later a message is heard on the other one.
    N3,
    /// Two nodes: thousands of clients that lose theirs, and come to the other one.
    N4,
}

/// What the server keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    /// One file, in the server.
    Sqlite,
    /// A cluster of its own, on the same disk.
    Postgres,
}

impl Plan {
    pub(crate) fn wants(&self, figure: Figure) -> bool {
        self.only.is_empty() || self.only.contains(&figure)
    }

    pub(crate) fn wants_database(&self, database: Database) -> bool {
        self.database.is_empty() || self.database.contains(&database)
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.max(1) }
    }

    pub(crate) fn spans(&self) -> Spans {
        let (warm_up, measured) = if self.quick {
            (Duration::from_millis(300), Duration::from_secs(1))
        } else {
            (Duration::from_secs(1), Duration::from_secs(self.seconds.max(1)))
        };
        Spans { warm_up, measured }
    }

    /// How many lone messages are sent.
    pub(crate) fn lone(&self) -> u64 {
        if self.quick { 300 } else { 2_000 }
    }

    /// For how long nothing happens.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 10 })
    }

    /// How many clients lose their node, and in how many conversations each of them is.
    pub(crate) fn herd(&self) -> (usize, usize) {
        if self.quick { (500, 20) } else { (5_000, 100) }
    }

    pub(crate) fn place(&self) -> Result<Place> {
        let myself = std::env::current_exe()?;
        let beside = myself.parent().ok_or("this program is nowhere")?;
        let program = self.kith.clone().unwrap_or_else(|| beside.join("kith"));
        if !program.exists() {
            return Err(format!("there is no {}: build it, or name it", program.display()).into());
        }
        let dir = std::env::temp_dir().canonicalize()?;
        Ok(Place { program: program.canonicalize()?, dir })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_wanted_unless_something_is_named() {
        let plan = Plan::parse_from(["kith-bench"]);
        assert!(plan.wants(Figure::P2) && plan.wants_database(Database::Postgres));
        let plan = Plan::parse_from(["kith-bench", "--only", "p3,p4", "--database", "sqlite"]);
        assert!(plan.wants(Figure::P3) && plan.wants(Figure::P4) && !plan.wants(Figure::P5));
        assert!(!plan.wants_database(Database::Postgres));
    }
}
