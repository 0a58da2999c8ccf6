//! The program. See [`kith_server`].

use std::process::ExitCode;

fn main() -> ExitCode {
    kith_server::cli::run()
}
