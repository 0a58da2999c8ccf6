//! What is measured, and against what.

mod common;
mod nodes;
mod postgres;
mod sqlite;

use crate::{
    Result,
    cli::{Database, Plan},
    interrupt, machine,
    table::{self, Row},
};

/// What goes to the reader in the end.
#[derive(Default)]
struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// Measures all that is asked for, and prints it.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let place = plan.place()?;
    for (what, is) in machine::describe(&place.dir) {
        println!("{what:12} {is}");
    }
    let (spans, rounds) = (plan.spans(), plan.rounds());
    println!("{:12} {rounds} rounds of {:?} after {:?}", "measured", spans.measured, spans.warm_up);
    let mut report = Report::default();
    if plan.wants_database(Database::Sqlite) {
        sqlite::run(plan, &place, &mut report)?;
    }
    if plan.wants_database(Database::Postgres) {
        postgres::run(plan, &place, &mut report)?;
        nodes::run(plan, &place, &mut report)?;
    }
    println!("{:12} {}", "load after", machine::load());
    println!("\n{}", table::render(&report.rows));
    for note in report.notes {
        println!("- {note}");
    }
    Ok(())
}

/// Tells what is going on, beside the table.
fn say(what: &str) {
    eprintln!("  {what}");
}

/// Runs both `rounds` times: A B, B A, A B, so that what changes with time harms neither.
fn in_turns<A, B>(
    rounds: usize,
    mut figure: impl FnMut() -> Result<A>,
    mut ceiling: impl FnMut() -> Result<B>,
) -> Result<(Vec<A>, Vec<B>)> {
    let (mut figures, mut ceilings) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        interrupt::check()?;
        if round % 2 == 0 {
            figures.push(figure()?);
            ceilings.push(ceiling()?);
        } else {
            ceilings.push(ceiling()?);
            figures.push(figure()?);
        }
    }
    Ok((figures, ceilings))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn figure_and_ceiling_take_turns_in_going_first() {
        let order = RefCell::new(String::new());
        let note = |letter| {
            order.borrow_mut().push(letter);
            Ok(letter)
        };
        let (figures, ceilings) = in_turns(3, || note('A'), || note('B')).unwrap();
        assert_eq!((order.into_inner().as_str(), figures.len(), ceilings.len()), ("ABBAAB", 3, 3));
    }
}
