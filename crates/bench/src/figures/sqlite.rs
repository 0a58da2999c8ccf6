//! Kith on SQLite against bare SQLite.

use std::{rc::Rc, thread, time::Duration};

use super::{
    Report,
    common::{self, Counts, Under, median_of, rates, saturate},
    in_turns, say,
};
use crate::{
    Result,
    ceilings::sqlite::{self as bare, Bare},
    cli::{Figure, Plan},
    history::{CHATS, Reader},
    kith::{Home, Kith, Place, Setup},
    load::{Cast, Spans},
    machine,
    stats::{micros_each, rate},
    table::{Row, per_second},
};

/// Measures all that is asked for.
pub(super) fn run(plan: &Plan, place: &Place, report: &mut Report) -> Result<()> {
    let under = Under {
        database: "SQLite",
        start: &|| Kith::start(place, Setup::default()),
        cpu: &|| Ok(Duration::ZERO),
    };
    let mut capacity = None;
    if plan.wants(Figure::P3) {
        capacity = Some(saturated(&under, plan, place, Cast::PAIRS, "32 chats", report)?);
        saturated(&under, plan, place, Cast::MANY, "16,000 chats", report)?;
    }
    let mut lone_p99 = None;
    if plan.wants(Figure::P4) {
        let single = || Bare::open(&database(place)?.sqlite(), 1)?.insert_singly(plan.lone());
        lone_p99 = Some(common::lone(&under, plan, single, report)?);
    }
    if plan.wants(Figure::P5) {
        if capacity.is_none() && plan.rate.is_none() {
            say("SQLite: what it takes at most");
            let (window, spans) = (plan.window, plan.spans());
            capacity = Some(saturate(&under, Cast::PAIRS, window, spans, None)?.rate);
        }
        common::half_of(&under, capacity.unwrap_or_default(), lone_p99, plan, report)?;
    }
    if plan.wants(Figure::P8) {
        let small = pages(&under, plan, place, 50, "10,000", report)?;
        if plan.large {
            let large = pages(&under, plan, place, 50_000, "10,000,000", report)?;
            common::growth(&under, small, large, report);
        }
    }
    Ok(())
}

/// A database as a server makes it, with no server any more.
fn database(place: &Place) -> Result<Rc<Home>> {
    Kith::start(place, Setup::default())?.stop()
}

/// P3. What it takes at most, in messages a second.
fn saturated(
    under: &Under<'_>,
    plan: &Plan,
    place: &Place,
    cast: Cast,
    chats: &str,
    report: &mut Report,
) -> Result<f64> {
    let (spans, window) = (plan.spans(), plan.window);
    say(&format!("SQLite, {chats}: counting fsyncs"));
    let syncs = count_syncs(under, plan, place, cast, report)?;
    let batch = batch(syncs);
    say(&format!("SQLite, {chats}: saturated, against bare transactions of {batch}"));
    let (figures, ceilings) = in_turns(
        plan.rounds(),
        || saturate(under, cast, window, spans, None),
        || {
            let home = database(place)?;
            let mut bare = Bare::open(&home.sqlite(), cast.senders * cast.chats_each)?;
            let done = bare.insert(batch, spans)?;
            let rate = rate(done.rows, done.span);
            say(&format!("    bare: {}", per_second(rate)));
            Ok((rate, micros_each(done.cpu, done.rows)))
        },
    )?;
    let measured: Vec<f64> = figures.iter().map(|figure| figure.rate).collect();
    let bare: Vec<f64> = ceilings.iter().map(|ceiling| ceiling.0).collect();
    report.notes.push(format!(
        "P3, {chats}: the ceiling is a bare loop of transactions of {batch} rows, as many as Kith stores with one fsync; a row cost it {:.1} CPU-µs. The load generator took {:.1} CPU-µs for each message.",
        median_of(&ceilings, |ceiling| ceiling.1),
        median_of(&figures, |figure| figure.load_cpu),
    ));
    report.rows.push(Row {
        target: ">= 0.5; <= 40 µs; <= 0.031 fsyncs",
        server_cpu: Some(median_of(&figures, |figure| figure.server_cpu)),
        syncs,
        ..rates(format!("P3 SQLite saturated, {chats}"), &measured, &bare)
    });
    Ok(median_of(&measured, |rate| *rate))
}

/// In a run of its own, since whoever counts them slows the server down.
fn count_syncs(
    under: &Under<'_>,
    plan: &Plan,
    place: &Place,
    cast: Cast,
    report: &mut Report,
) -> Result<Option<f64>> {
    if machine::said("strace", &["-V"]) == "unknown" {
        report.notes.push("fsyncs were not counted, as there is no strace".to_owned());
        return Ok(None);
    }
    let counting = Under {
        start: &|| Kith::start(place, Setup { count_syncs: true, ..Setup::default() }),
        ..*under
    };
    let count = |kith: &Kith| Ok(Counts { syncs: kith.syncs()?, ..Counts::default() });
    Ok(Some(saturate(&counting, cast, plan.window, plan.spans(), Some(&count))?.syncs))
}

/// As many rows as the server stores with one fsync.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 256")]
fn batch(syncs: Option<f64>) -> u64 {
    syncs.map_or(64, |syncs| (1.0 / syncs.clamp(1.0 / 256.0, 1.0)).round() as u64)
}

/// P8. What a page among chats of `each` messages costs the server, in microseconds.
fn pages(
    under: &Under<'_>,
    plan: &Plan,
    place: &Place,
    each: u64,
    total: &str,
    report: &mut Report,
) -> Result<f64> {
    say(&format!("SQLite: pages of history among {total} messages"));
    let kith = Kith::start(place, Setup::default())?;
    let reader = Reader::new(&kith.url)?;
    let home = kith.stop()?;
    bare::fill(&home.sqlite(), &reader.chats, each)?;
    let (figures, ceilings) = in_turns(
        plan.rounds(),
        || {
            let kith = Kith::start_in(Rc::clone(&home), place, Setup::default())?;
            let pages = common::read_pages(under, &kith, &reader, plan.spans())?;
            kith.stop()?;
            Ok(pages)
        },
        || bare_pages(&home, &reader.chats, plan.spans()),
    )?;
    let measured: Vec<f64> = figures.iter().map(|figure| figure.0).collect();
    let cost = median_of(&figures, |figure| figure.1);
    let figure = format!("P8 SQLite page of 50 of {CHATS} chats, {total} messages");
    report.rows.push(Row { server_cpu: Some(cost), ..rates(figure, &measured, &ceilings) });
    Ok(cost)
}

/// The same pages, read by as many threads as there are cores.
fn bare_pages(home: &Home, chats: &[uuid::Uuid], spans: Spans) -> Result<f64> {
    let path = home.sqlite();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let reading: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| bare::read_pages(&path, chats, spans.measured)))
            .collect();
        let mut pages = 0.0;
        for thread in reading {
            pages += thread.join().map_err(|_| "a reading thread panicked")??;
        }
        say(&format!("    bare: {}", per_second(pages)));
        Ok(pages)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_what_one_fsync_stores() {
        assert_eq!(batch(Some(1.0 / 184.0)), 184);
        assert_eq!(batch(Some(0.0)), 256, "no more than the server takes at once");
        assert_eq!(batch(Some(1.5)), 1);
        assert_eq!(batch(None), 64);
    }
}
