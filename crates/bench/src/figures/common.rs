//! What is measured alike, whatever the database.

use std::{cell::RefCell, time::Duration};

use hdrhistogram::Histogram;

use super::{Report, in_turns, say};
use crate::{
    Result,
    cli::Plan,
    history::Reader,
    kith::Kith,
    load::{self, Cast, Spans, Stage},
    machine,
    stats::{self, Spread, micros_each, rate},
    table::{self, Row, millis, per_second},
};

/// What has been done so far, on the disk and in the database.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) syncs: u64,
    pub(super) statements: u64,
}

/// Tells them, of one server.
pub(super) type Count<'a> = &'a dyn Fn(&Kith) -> Result<Counts>;

/// Servers on one kind of database.
pub(super) struct Under<'a> {
    pub(super) database: &'static str,
    /// Starts one on fresh data.
    pub(super) start: &'a dyn Fn() -> Result<Kith>,
    /// Processor time of what runs beside the server.
    pub(super) cpu: &'a dyn Fn() -> Result<Duration>,
}

/// What a saturated server did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saturation {
    pub(super) rate: f64,
    pub(super) server_cpu: f64,
    pub(super) database_cpu: f64,
    pub(super) load_cpu: f64,
    /// For each message, if they were counted.
    pub(super) syncs: f64,
    pub(super) statements: f64,
}

/// Saturates a fresh server.
pub(super) fn saturate(
    under: &Under<'_>,
    cast: Cast,
    window: u64,
    spans: Spans,
    count: Option<Count<'_>>,
) -> Result<Saturation> {
    let kith = (under.start)()?;
    let marks = RefCell::new(Vec::new());
    let stage = Stage::set(&kith.url, cast)?;
    let done = load::saturate(&stage, window, spans, || {
        let counts = count.map_or_else(|| Ok(Counts::default()), |count| count(&kith))?;
        marks.borrow_mut().push((kith.cpu()?, (under.cpu)()?, machine::own_cpu()?, counts));
        Ok(())
    });
    let done = done.map_err(|failure| format!("{failure}\n{}", kith.last_words()))?;
    let marks = marks.into_inner();
    let [before, after] = marks[..] else { return Err("it was not measured".into()) };
    let cpu =
        |after: Duration, before| micros_each(after.saturating_sub(before), done.acknowledged);
    let rate = rate(done.acknowledged, done.span);
    let refused =
        if done.refused > 0 { format!(", {} refused", done.refused) } else { String::new() };
    say(&format!("    Kith: {}{refused}", per_second(rate)));
    Ok(Saturation {
        rate,
        server_cpu: cpu(after.0, before.0),
        database_cpu: cpu(after.1, before.1),
        load_cpu: cpu(after.2, before.2),
        syncs: stats::each(after.3.syncs - before.3.syncs, done.acknowledged),
        statements: stats::each(after.3.statements - before.3.statements, done.acknowledged),
    })
}

pub(super) fn median_of<T>(items: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let values: Vec<f64> = items.iter().map(value).collect();
    Spread::of(&values).map_or(0.0, |spread| spread.median)
}

/// A rate beside a rate.
pub(super) fn rates(figure: String, measured: &[f64], ceiling: &[f64]) -> Row {
    Row {
        figure,
        measured: per_second(median_of(measured, |rate| *rate)),
        ceiling: per_second(median_of(ceiling, |rate| *rate)),
        ratio: Spread::of_ratios(measured, ceiling),
        ..Row::default()
    }
}

/// P4. The slowest of a hundred, in microseconds.
pub(super) fn lone(
    under: &Under<'_>,
    plan: &Plan,
    ceiling: impl FnMut() -> Result<Histogram<u64>>,
    report: &mut Report,
) -> Result<f64> {
    let database = under.database;
    say(&format!("{database}: a lone message, against a single committed insert"));
    let (figures, ceilings) = in_turns(
        plan.rounds(),
        || {
            let kith = (under.start)()?;
            load::lone(&Stage::set(&kith.url, Cast::PAIR)?, plan.lone())
        },
        ceiling,
    )?;
    let mut p99 = 0.0;
    for (name, quantile, target) in [("p50", 0.5, "<= 1.5"), ("p99", 0.99, "<= 2")] {
        let kith = at(&figures, quantile);
        p99 = median_of(&kith, |value| *value);
        let bare = at(&ceilings, quantile);
        report.rows.push(Row {
            figure: format!("P4 {database} lone message, {name}"),
            measured: millis(p99),
            ceiling: millis(median_of(&bare, |value| *value)),
            ratio: Spread::of_ratios(&kith, &bare),
            target,
            ..Row::default()
        });
    }
    Ok(p99)
}

/// The same quantile of all, in microseconds.
pub(super) fn at<'a>(
    times: impl IntoIterator<Item = &'a Histogram<u64>>,
    quantile: f64,
) -> Vec<f64> {
    times.into_iter().map(|times| stats::each(times.value_at_quantile(quantile), 1)).collect()
}

/// P5, at half of `capacity` messages a second.
pub(super) fn half_of(
    under: &Under<'_>,
    capacity: f64,
    lone_p99: Option<f64>,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let (database, at_rate) = (under.database, plan.rate.unwrap_or(capacity / 2.0));
    say(&format!("{database}: an open loop of {} messages", per_second(at_rate)));
    let mut runs = Vec::new();
    for _ in 0..plan.rounds() {
        let kith = (under.start)()?;
        let stage = Stage::set(&kith.url, Cast::PAIRS)?;
        let marks = RefCell::new(Vec::new());
        let run = load::open_loop(&stage, at_rate, plan.spans(), || {
            marks.borrow_mut().push((kith.cpu()?, (under.cpu)()?, machine::own_cpu()?));
            Ok(())
        });
        let run = run.map_err(|failure| format!("{failure}\n{}", kith.last_words()))?;
        let [before, after] = marks.borrow()[..] else { return Err("it was not measured".into()) };
        let count = run.count;
        let cpu = |after: Duration, before| micros_each(after.saturating_sub(before), count);
        runs.push((run, cpu(after.0, before.0), cpu(after.1, before.1), cpu(after.2, before.2)));
    }
    for (name, quantile, target) in [("p50", 0.5, ""), ("p99", 0.99, "<= 10 ms; <= 1.5")] {
        let received = at(runs.iter().map(|run| &run.0.received), quantile);
        let ceiling = lone_p99.filter(|_| name == "p99");
        report.rows.push(Row {
            figure: format!("P5 {database} send to receive at {}, {name}", per_second(at_rate)),
            measured: millis(median_of(&received, |value| *value)),
            ceiling: ceiling.map_or_else(|| "-".to_owned(), millis),
            ratio: ceiling
                .and_then(|ceiling| Spread::of_ratios(&received, &vec![ceiling; received.len()])),
            target,
            server_cpu: Some(median_of(&runs, |run| run.1)),
            database_cpu: Some(median_of(&runs, |run| run.2)),
            ..Row::default()
        });
    }
    let refused: u64 = runs.iter().map(|run| run.0.refused).sum();
    if refused > 0 {
        let count: u64 = runs.iter().map(|run| run.0.count).sum();
        report.notes.push(format!(
            "P5 {database}: {refused} of {count} messages were refused (`overloaded`): the machine was too busy for this rate.",
        ));
    }
    let late = at(runs.iter().map(|run| &run.0.late), 0.99);
    let acknowledged = at(runs.iter().map(|run| &run.0.acknowledged), 0.99);
    report.notes.push(format!(
        "P5 {database}: the ceiling is the p99 of a lone message. Acknowledged within {} (p99). The load generator took {:.1} CPU-µs for each message, and was itself late by {} (p99), which is part of all times.",
        millis(median_of(&acknowledged, |value| *value)),
        median_of(&runs, |run| run.3),
        millis(median_of(&late, |value| *value)),
    ));
    Ok(())
}

/// Pages read from a server, in a second, and what one cost it and its database, in microseconds.
pub(super) fn read_pages(
    under: &Under<'_>,
    kith: &Kith,
    reader: &Reader,
    spans: Spans,
) -> Result<(f64, f64, f64)> {
    let mut marks = Vec::new();
    let done = reader.read(&kith.url, spans, || {
        marks.push((kith.cpu()?, (under.cpu)()?));
        Ok(())
    })?;
    let [before, after] = marks[..] else { return Err("it was not measured".into()) };
    let cpu = |after: Duration, before| micros_each(after.saturating_sub(before), done.count);
    let rate = rate(done.count, done.span);
    say(&format!("    Kith: {}", per_second(rate)));
    Ok((rate, cpu(after.0, before.0), cpu(after.1, before.1)))
}

/// What 10 million messages cost beside 10,000, if both were measured.
pub(super) fn growth(under: &Under<'_>, small: f64, large: f64, report: &mut Report) {
    report.rows.push(Row {
        figure: format!("P8 {}, CPU of a page among 10,000,000", under.database),
        measured: format!("{large:.1} µs"),
        ceiling: format!("{small:.1} µs"),
        ratio: Spread::of_ratios(&[large], &[small]),
        target: "<= 1.2",
        ..table::Row::default()
    });
}
