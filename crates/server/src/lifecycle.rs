//! Starting and stopping.
//!
//! It starts from the inside out (data directory, database, lanes, hub, HTTP) and stops from the
//! outside in: not ready; sockets told to come back, spread over a moment; requests finished; lanes
//! drained; the database closed.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    future::Future,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use actix_cors::Cors;
use actix_web::{App, HttpServer, dev::Server, middleware::from_fn, rt::net::TcpStream, web};
use kith_http::{Context, Settings, WorkerSlot};
use kith_ports::live::Subscriptions as _;
use kith_realtime::Hub;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    Failure,
    config::Config,
    database::{Database, Place},
    live::Live,
    wiring,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4_096;
/// How long a request's head may take to arrive.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// A server that is bound and ready to run.
#[expect(missing_debug_implementations, reason = "it holds the server, which has nothing to show")]
pub struct Application {
    address: SocketAddr,
    server: Server,
    context: Arc<Context>,
    live: Live,
    database: Database,
    sockets: TaskTracker,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when this node has no sockets any more, and hears nothing of others.
    leave: CancellationToken,
    deadline: Duration,
    _locks: Vec<File>,
}

impl Application {
    /// Opens the data, starts the lanes, binds the address. Must be called on the main runtime.
    ///
    /// # Errors
    /// [`Failure`] says in one line what is wrong and what helps.
    pub async fn build(config: &Config) -> Result<Self, Failure> {
        let locks = lock(config)?;
        let listener = listen(config.listen)?;
        let address = listener.local_addr()?;
        let database = Database::open(config).await?;
        let (tasks, sockets) = (TaskTracker::new(), TaskTracker::new());
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let live = Live::open(config, &database, &tasks, &leave)?;
        let services = wiring::services(config, &database, &live, &tasks, &stop)?;
        let settings = wiring::settings(config)?;
        let heartbeat = settings.heartbeat;
        let context = Context::new(
            services,
            settings.clone(),
            Handle::current(),
            stop.clone(),
            sockets.clone(),
        );
        tasks.spawn(wiring::housekeeping(context.clone(), stop.clone()));
        tasks.spawn({
            let (database, stop) = (database.clone(), stop.clone());
            async move { stop.run_until_cancelled(database.upkeep()).await }
        });
        let server = serve(listener, &context, &live.hub, settings, heartbeat * 3)?;
        Ok(Self {
            address,
            server,
            context,
            live,
            database,
            sockets,
            tasks,
            stop,
            leave,
            deadline: config.stop_deadline(),
            _locks: locks,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `asked` is done, then stops in order.
    ///
    /// # Errors
    /// When a part of it ended by itself.
    pub async fn run_until(self, asked: impl Future<Output = ()>) -> Result<(), Failure> {
        let Self {
            address,
            server,
            context,
            live,
            database,
            sockets,
            tasks,
            stop,
            leave,
            deadline,
            ..
        } = self;
        let handle = server.handle();
        let running = tokio::spawn(server);
        info!(%address, "listening on http://{address}");
        let outcome = tokio::select! {
            () = asked => Ok(()),
            () = context.crashed() => Err(Failure::Crashed("a lane")),
            () = live.crashed() => Err(Failure::Crashed("a part of live delivery")),
        };
        info!("stopping");
        let in_order = async {
            // Not ready from here on; every socket's driver hears it too.
            stop.cancel();
            sockets.close();
            if tokio::time::timeout(deadline / 2, sockets.wait()).await.is_err() {
                warn!(
                    sockets = sockets.len(),
                    "some readers are too slow to be told; they are cut off"
                );
            }
            handle.stop(true).await;
            leave.cancel();
            live.hub.close();
            // The last handles of the lanes: what waits in them is done, then they end.
            drop((context, live));
            tasks.close();
            tasks.wait().await;
        };
        if tokio::time::timeout(deadline, in_order).await.is_err() {
            warn!("not everything ended in time");
        }
        running.abort();
        if tokio::task::spawn_blocking(move || database.close()).await.is_err() {
            warn!("the database was not closed in order");
        }
        info!("stopped");
        outcome
    }
}

/// Makes the data directory, for its owner alone, and takes its lock, and that of a database
/// elsewhere. They are given up with what is returned.
///
/// # Errors
/// [`Failure::Locked`] if another program of Kith works there.
pub(crate) fn lock(config: &Config) -> Result<Vec<File>, Failure> {
    let dir = &config.data_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|reason| Failure::DataDir { path: dir.clone(), reason })?;
    let mut places = vec![dir.join("lock")];
    if let (Some(_), Place::Sqlite(path)) = (&config.database_url, config.database()?) {
        let mut beside = path.into_os_string();
        beside.push(".lock");
        places.push(beside.into());
    }
    places.iter().map(|place| take(place)).collect()
}

fn take(place: &Path) -> Result<File, Failure> {
    let unusable = |reason| Failure::DataDir { path: place.to_owned(), reason };
    let file = File::create(place).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Locked(place.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Sees that a database that is about to be made is its owner's alone: SQLite gives the files beside
/// it the same mode.
///
/// # Errors
/// [`Failure::DataDir`] if no file can be made there.
pub(crate) fn private(database: &Path) -> Result<(), Failure> {
    if database.exists() {
        return Ok(());
    }
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(database);
    made.map(drop).map_err(|reason| Failure::DataDir { path: database.to_owned(), reason })
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::PortInUse(address),
        _ => Failure::Listen(address, error),
    })
}

fn serve(
    listener: TcpListener,
    context: &Arc<Context>,
    hub: &Arc<Hub>,
    settings: Settings,
    silence: Duration,
) -> Result<Server, Failure> {
    let (context, hub) = (web::Data::new(Arc::clone(context)), Arc::clone(hub));
    let server = HttpServer::new(move || {
        // This runs once on each worker: its part of the hub lives on the same thread.
        let (worker, run) = hub.add_worker();
        actix_web::rt::spawn(run);
        App::new()
            .app_data(context.clone())
            .app_data(web::Data::new(WorkerSlot(worker)))
            .wrap(cors(&settings))
            .wrap(from_fn(kith_http::gate))
            .configure(kith_http::configure)
    })
    .on_connect(move |connection, _| {
        if let Some(stream) = connection.downcast_ref::<TcpStream>() {
            // Frames are small and wait for nothing. A peer that takes nothing for so long is gone.
            let socket = SockRef::from(stream);
            let set =
                stream.set_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(silence)));
            if let Err(error) = set {
                warn!(%error, "a connection's options could not be set");
            }
        }
    })
    .disable_signals()
    .client_request_timeout(HEAD_PATIENCE)
    .shutdown_timeout(5)
    .listen(listener)?
    .run();
    Ok(server)
}

fn cors(settings: &Settings) -> Cors {
    let allowed = settings.cors_origins.iter().chain(&settings.public_url);
    let cors = allowed
        .fold(Cors::default(), |cors, origin| cors.allowed_origin(origin.trim_end_matches('/')));
    cors.allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers(["authorization", "content-type"])
        .expose_headers(["link", "retry-after", "x-request-id"])
        .max_age(3_600)
}
