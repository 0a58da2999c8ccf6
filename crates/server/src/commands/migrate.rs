//! `kith migrate`.

use kith_storage::sqlite::{Options, Sqlite};

use crate::{
    Failure,
    config::Config,
    lifecycle::{lock, private},
};

/// Applies what is missing.
pub(crate) fn up(config: &Config) -> Result<(), Failure> {
    let _locks = lock(config)?;
    let path = config.sqlite_path()?;
    private(&path)?;
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
