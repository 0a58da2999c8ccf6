//! What the executors' migrations have in common.

use diesel::{backend::Backend, migration::MigrationSource};
use diesel_migrations::EmbeddedMigrations;

/// A migration, and whether a database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its version.
    pub version: String,
    /// Its name; the version where this binary does not know it.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// The migrations that this binary knows, in their order, none of them applied.
pub(crate) fn known<DB>(source: &EmbeddedMigrations) -> Result<Vec<MigrationState>, String>
where
    DB: Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations =
        MigrationSource::<DB>::migrations(source).map_err(|error| error.to_string())?;
    let mut states: Vec<_> = migrations
        .iter()
        .map(|migration| MigrationState {
            version: migration.name().version().to_string(),
            name: migration.name().to_string(),
            applied: false,
        })
        .collect();
    states.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(states)
}

/// The migrations of this binary and those found in a database, which may know more.
pub(crate) fn compare(
    mut states: Vec<MigrationState>,
    applied: impl IntoIterator<Item = String>,
) -> Vec<MigrationState> {
    for version in applied {
        match states.iter_mut().find(|state| state.version == version) {
            Some(state) => state.applied = true,
            None => {
                states.push(MigrationState { name: version.clone(), version, applied: true });
            }
        }
    }
    states
}
