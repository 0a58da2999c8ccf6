//! The load generator, and the ceilings it is compared with, printed as one table.
//!
//! Each figure is measured together with its ceiling, in turns, on the same machine, disk and
//! database; see docs/performance.md. Everything is started here, on fresh data, and is gone at the
//! end. Nothing is asserted about speed; what is asserted is that nothing was lost.

mod ceilings;
mod cli;
mod figures;
mod history;
mod interrupt;
mod kith;
mod load;
mod machine;
mod pages;
mod redis;
mod statements;
mod stats;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

/// What went wrong, for whoever runs the bench.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

fn main() -> ExitCode {
    let plan = cli::Plan::parse();
    interrupt::watch();
    match figures::run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What failed because it was stopped is of no interest.
            let failure = interrupt::check().err().unwrap_or(failure);
            eprintln!("kith-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
