//! Two nodes of Kith on one PostgreSQL, with Redis between them.

mod delay;
mod deliveries;
mod publishes;
mod returning;

use std::time::Duration;

use kith_testkit::redis::Redis;

use super::Report;
use crate::{
    Result,
    ceilings::pgbench::Postgres,
    cli::{Figure, Plan},
    interrupt,
    kith::{Kith, Place, Setup},
    machine,
    stats::Spread,
};

/// The database that all nodes use.
const DATABASE: &str = "kith";
/// How long what was done last may still have consequences, such as a publish under way.
const SETTLED: Duration = Duration::from_millis(300);

/// Measures all that is asked for.
pub(super) fn run(plan: &Plan, place: &Place, report: &mut Report) -> Result<()> {
    let wanted = [Figure::N1, Figure::N2, Figure::N3, Figure::N4];
    if !wanted.into_iter().any(|figure| plan.wants(figure)) {
        return Ok(());
    }
    let server = std::env::var_os("KITH_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    if machine::said(&server.to_string_lossy(), &["--version"]) == "unknown" {
        report.notes.push("two nodes were not measured, as there is no redis-server".to_owned());
        return Ok(());
    }
    // It counts statements, which costs it a little: what is compared is compared on this one.
    let ground = Ground { place, postgres: Postgres::start(&place.dir, true)? };
    for (figure, measure) in [
        (Figure::N1, publishes::run as fn(&Ground<'_>, &Plan, &mut Report) -> Result<()>),
        (Figure::N2, deliveries::run),
        (Figure::N3, delay::run),
        (Figure::N4, returning::run),
    ] {
        interrupt::check()?;
        if plan.wants(figure) {
            measure(&ground, plan, report)?;
        }
    }
    Ok(())
}

/// What nodes stand on.
struct Ground<'a> {
    place: &'a Place,
    postgres: Postgres,
}

impl Ground<'_> {
    /// An empty database, in the place of the last one.
    fn fresh(&self) -> Result<String> {
        self.postgres.fresh(DATABASE)
    }

    /// A node that knows of no other.
    fn lone(&self, database_url: &str) -> Result<Kith> {
        let setup = Setup { database_url: Some(database_url), ..Setup::default() };
        Kith::start(self.place, setup)
    }

    /// One of several nodes.
    fn node(&self, database_url: &str, redis: &Redis) -> Result<Kith> {
        let redis_url = redis.url();
        Kith::start(
            self.place,
            Setup {
                database_url: Some(database_url),
                redis_url: Some(&redis_url),
                ..Setup::default()
            },
        )
    }
}

/// Where nodes are.
fn urls(nodes: &[Kith]) -> Vec<&str> {
    nodes.iter().map(|node| &*node.url).collect()
}

/// What failed, with the last words of all nodes.
fn explained<T>(outcome: Result<T>, nodes: &[Kith]) -> Result<T> {
    outcome.map_err(|failure| {
        let words: Vec<String> = nodes.iter().map(Kith::last_words).collect();
        format!("{failure}\n{}", words.join("\n--\n")).into()
    })
}

/// `publish 3.00, ping 0.50`: of each so many, most first, and no more of them than are worth reading.
fn listed<'a>(counts: impl IntoIterator<Item = &'a (String, u64)>, each: f64) -> String {
    const READ: usize = 12;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let entry = |(name, count): &(String, u64)| format!("{name} {:.2}", *count as f64 / each);
    let listed: Vec<String> = counts.into_iter().take(READ).map(entry).collect();
    if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
}

/// `1.00 (0.90 to 1.10)`, with a unit behind.
fn spread(values: &[f64], unit: &str) -> String {
    Spread::of(values).map_or_else(
        || "-".to_owned(),
        |it| format!("{:.2}{unit} ({:.2} to {:.2})", it.median, it.least, it.most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_listed_for_each() {
        let counts = [("ping".to_owned(), 5), ("time".to_owned(), 2)];
        assert_eq!(listed(&counts, 10.0), "ping 0.50, time 0.20");
        assert_eq!(listed(&[], 1.0), "none");
        let many = vec![("x".to_owned(), 1); 20];
        assert_eq!(listed(&many, 1.0).matches('x').count(), 12);
    }

    #[test]
    fn a_spread_is_written_with_its_unit() {
        assert_eq!(spread(&[1.0, 3.0, 2.0], " ms"), "2.00 ms (1.00 to 3.00)");
        assert_eq!(spread(&[], " ms"), "-");
    }
}
