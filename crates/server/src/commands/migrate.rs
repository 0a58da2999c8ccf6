//! `kith migrate`.

use std::fs;

use kith_storage::sqlite::{Options, Sqlite};

use crate::{Failure, config::Config};

/// Applies what is missing.
pub(crate) fn up(config: &Config) -> Result<(), Failure> {
    let path = config.sqlite_path()?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)
            .map_err(|reason| Failure::DataDir { path: dir.to_owned(), reason })?;
    }
    Sqlite::open(&path, Options::default())?.close();
    println!("{} is up to date", path.display());
    Ok(())
}

/// Lists what is applied and what is missing.
pub(crate) fn status(config: &Config) -> Result<(), Failure> {
    for migration in Sqlite::migration_status(&config.sqlite_path()?)? {
        let state = if migration.applied { "applied" } else { "missing" };
        println!("{state}  {}", migration.name);
    }
    Ok(())
}
