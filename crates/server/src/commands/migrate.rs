//! `kith migrate`.

use kith_storage::postgres::Postgres;

use crate::{
    Failure,
    config::Config,
    database::{Database, Place},
    lifecycle::lock,
};

/// Applies what is missing.
#[tokio::main]
pub(crate) async fn up(config: &Config) -> Result<(), Failure> {
    let place = config.database()?;
    // A file is one program's; a server's database is brought up to date under a lock of its own.
    let _locks = matches!(place, Place::Sqlite(_)).then(|| lock(config)).transpose()?;
    Database::open(config).await?.close();
    match place {
        Place::Sqlite(path) => println!("{} is up to date", path.display()),
        Place::Postgres(url) => println!("{} is up to date", Postgres::address(&url)?),
    }
    Ok(())
}

/// Lists what is applied and what is missing.
#[tokio::main]
pub(crate) async fn status(config: &Config) -> Result<(), Failure> {
    for migration in Database::migrations(config).await? {
        let state = if migration.applied { "applied" } else { "missing" };
        println!("{state}  {}", migration.name);
    }
    Ok(())
}
