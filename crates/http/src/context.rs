//! What handlers work with.

use std::{future::Future, sync::Arc, time::Duration};

use ipnet::IpNet;
use kith_app::{
    accounts::Accounts,
    blocks::Blocks,
    conversations::Conversations,
    invites::Invites,
    limits::Rate,
    messaging::Messaging,
    people::People,
    presence::PresenceService,
    receipts::Receipts,
    sessions::{Openings, Sessions},
    sync::SyncService,
    typing::Typing,
};
use kith_ports::{
    Clock, ConversationStore, Ids, Seals,
    live::{EventBus, Subscriptions},
};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{problem::Problem, ws::SocketCounts};

/// The use cases and ports that handlers call.
#[expect(
    missing_debug_implementations,
    reason = "use cases hold ports, which have nothing to show"
)]
pub struct Services {
    /// Registering, logging in, profile.
    pub accounts: Arc<Accounts>,
    /// Tokens and devices.
    pub sessions: Arc<Sessions>,
    /// Sockets that are opened.
    pub openings: Openings,
    /// Conversations and members.
    pub conversations: Conversations,
    /// Codes that let people in.
    pub invites: Invites,
    /// Sending, editing, deleting, reacting.
    pub messaging: Messaging,
    /// How far people have received and read.
    pub receipts: Receipts,
    /// Who types.
    pub typing: Typing,
    /// Others' profiles.
    pub people: People,
    /// Who wants to hear nothing of whom.
    pub blocks: Blocks,
    /// What changed.
    pub sync: SyncService,
    /// Who comes and goes.
    pub presence: PresenceService,
    /// How many requests a person may make.
    pub requests: Rate,
    /// Reads of conversations: the sign of life of the database.
    pub store: Arc<dyn ConversationStore>,
    /// Live delivery, the sockets' side.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Live delivery, for answers to commands.
    pub bus: Arc<dyn EventBus>,
    /// Seals cursors and tokens.
    pub seals: Arc<dyn Seals>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of requests and sockets.
    pub ids: Arc<dyn Ids>,
}

/// How the adapter behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's version, as it tells it.
    pub version: &'static str,
    /// Where browsers find this server, if not where it listens.
    pub public_url: Option<String>,
    /// Other origins whose pages may call it.
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How often a socket is pinged.
    pub heartbeat: Duration,
    /// How many sockets a person may have; 0: any number.
    pub sockets_per_user: u32,
    /// How many sockets an address may have; 0: any number.
    pub sockets_per_address: u32,
    /// Over how long sockets are closed when the server stops.
    pub close_spread: Duration,
}

/// The largest body of a request, in bytes.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// What every handler and socket has at hand.
#[expect(
    missing_debug_implementations,
    reason = "use cases hold ports, which have nothing to show"
)]
pub struct Context {
    /// The use cases.
    pub(crate) services: Services,
    /// The settings.
    pub(crate) settings: Settings,
    /// Where use cases run.
    runtime: Handle,
    /// Cancelled when the server stops.
    pub(crate) stop: CancellationToken,
    /// The sockets' drivers.
    pub(crate) sockets: TaskTracker,
    /// How many sockets there are, by person and address.
    pub(crate) counts: Arc<SocketCounts>,
}

impl Context {
    /// Use cases run on `runtime`; sockets are tracked by `sockets` and closed when `stop` is
    /// cancelled.
    pub fn new(
        services: Services,
        settings: Settings,
        runtime: Handle,
        stop: CancellationToken,
        sockets: TaskTracker,
    ) -> Arc<Self> {
        let counts =
            Arc::new(SocketCounts::new(settings.sockets_per_user, settings.sockets_per_address));
        Arc::new(Self { services, settings, runtime, stop, sockets, counts })
    }

    /// Forgets the rates of people who asked for nothing lately.
    pub fn forget_idle(&self) {
        self.services.requests.forget_idle();
        self.services.messaging.forget_idle();
    }

    /// Waits until one of the tasks of the use cases has ended, which none does while the server runs.
    pub async fn crashed(&self) {
        tokio::select! {
            () = self.services.messaging.crashed() => {}
            () = self.services.receipts.crashed() => {}
            () = self.services.typing.crashed() => {}
            () = self.services.presence.crashed() => {}
            () = self.services.openings.crashed() => {}
            () = self.services.sync.crashed() => {}
        }
    }

    /// Starts something on the main runtime.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task.in_current_span())
    }

    /// Runs a use case on the main runtime, where stores live, and waits for it. If the client goes
    /// away meanwhile, it still runs to its end: nothing is left half done.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, use_case: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = kith_app::Result<T>> + Send + 'static,
    {
        match self.spawn(use_case).await {
            Ok(outcome) => outcome.map_err(Problem::from),
            Err(crashed) => {
                tracing::error!(%crashed, "a use case crashed");
                Err(Problem::internal())
            }
        }
    }
}
