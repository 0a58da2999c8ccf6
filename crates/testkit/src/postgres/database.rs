use std::panic;

use tokio::task::spawn_blocking;

use super::{
    Attempt, Failure, fingerprint, random,
    session::{self, Session, with_database},
    shared::{self, Place},
};

/// A database of its own for one test. Dropped, it is gone, whoever is still connected to it.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    server: String,
}

impl Database {
    /// Its address: `postgres://…`, as tokio-postgres and libpq read it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // The test has said what it had to say; what stays goes with the cluster.
        let _ = session::apart(&self.server, |session| session.run(&sql));
    }
}

/// Makes a database as `migrate` leaves it.
///
/// `migrate` gets the address of an empty database. It runs once for each text of `migrations`,
/// which is to be all that it depends on; after that its result is copied, in some 30 ms.
///
/// The databases are on a cluster that is shared by all test processes of this user. It keeps
/// nothing safe (`fsync` is off), and goes away some seconds after the last of them. If
/// `KITH_TEST_DATABASE_URL` is set, they are made on that server instead, which must be PostgreSQL 14
/// or later, and its role be allowed to make databases. What `migrate` made stays there as
/// `kith_template_<hash>`, so that the next run need not make it again; what tests that were killed
/// made stays as `kith_test_<process>_<random>`.
///
/// ```
/// use kith_testkit::postgres::database;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let database = database("the text of all migrations", async |url| {
///     // Connects to `url`, and runs them.
///     # drop(url);
/// })
/// .await;
/// assert!(database.url().starts_with("postgres://"));
/// # }
/// ```
///
/// # Panics
///
/// If there is no PostgreSQL, or it does not do what it should.
pub async fn database(migrations: &str, migrate: impl AsyncFnOnce(String)) -> Database {
    let template = format!("kith_template_{:016x}", fingerprint(&migrations));
    let name = template.clone();
    let (place, copied) = blocking(move || {
        let place = shared::place()?;
        let copied = copy(&place, &name)?;
        Ok((place, copied))
    })
    .await;
    if let Some(database) = copied {
        return database;
    }
    let (server, name) = (place.url.clone(), template.clone());
    if let Some(draft) = blocking(move || Draft::begin(&server, name)).await {
        migrate(draft.url.clone()).await;
        blocking(move || draft.finish()).await;
    }
    let copied = blocking(move || copy(&place, &template)).await;
    copied.expect("the template was made, and nobody removes it")
}

/// Copies a template, if there is one.
fn copy(place: &Place, template: &str) -> Result<Option<Database>, Failure> {
    let name = format!("kith_test_{}_{:016x}", std::process::id(), random());
    let session = Session::open(&place.url)?;
    // To copy the files is several times quicker than to log each page, but means a checkpoint:
    // nothing on the cluster started here, much on a server that keeps what it was given.
    let strategy = if place.ours && session.version() >= 15 { "STRATEGY file_copy" } else { "" };
    match session.run(&format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}")) {
        Ok(()) => {
            let url = with_database(&place.url, &name);
            Ok(Some(Database { name, url, server: place.url.clone() }))
        }
        // There is no such template.
        Err(error) if session::code(&error) == Some("3D000") => Ok(None),
        Err(error) => Err(error).attempt(|| String::from("make a database")),
    }
}

/// A template that is being made. While it lives, nobody else makes it.
struct Draft {
    /// Holds the lock.
    session: Session,
    name: String,
    template: String,
    url: String,
}

impl Draft {
    /// Nothing if somebody else made the template meanwhile.
    fn begin(server: &str, template: String) -> Result<Option<Self>, Failure> {
        let name = format!("{template}_draft");
        let session = Session::open(server)?;
        let free = || {
            session.run(&format!("SELECT pg_advisory_lock({})", lock(&template)))?;
            let made = format!("SELECT FROM pg_database WHERE datname = '{template}'");
            if session.finds(&made)? {
                return Ok(false);
            }
            session.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
            // Nobody is ever connected to template0, so that it can always be copied.
            session.run(&format!("CREATE DATABASE {name} TEMPLATE template0"))?;
            Ok::<_, tokio_postgres::Error>(true)
        };
        if !free().attempt(|| String::from("make a template database"))? {
            return Ok(None);
        }
        let url = with_database(server, &name);
        Ok(Some(Self { session, name, template, url }))
    }

    /// A template has its name once it is complete, so that a half-made one is never used.
    fn finish(self) -> Result<(), Failure> {
        let Self { session, name, template, .. } = self;
        [
            // A database that somebody is connected to is neither renamed nor copied.
            format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"),
            format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
            format!("ALTER DATABASE {name} RENAME TO {template}"),
        ]
        .iter()
        .try_for_each(|sql| session.run(sql))
        .attempt(|| String::from("finish a template database"))
    }
}

/// The number of the lock under which a template is made.
fn lock(template: &str) -> i64 {
    fingerprint(&template).cast_signed()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> T {
    match spawn_blocking(work).await {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => panic!("{failure}"),
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}
