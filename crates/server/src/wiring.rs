//! Which adapter stands behind which port.

use std::{sync::Arc, time::Duration};

use kith_app::{
    accounts::{self, Accounts},
    blocks::{self, Blocks},
    conversations::{self, Conversations},
    invites::{self, Invites},
    limits::{LoginThrottle, Rate},
    messaging::{self, LaneOptions, Messaging},
    people::People,
    presence::{self, PresenceService},
    receipts::{self, ReceiptOptions, Receipts},
    sessions::{self, Openings, Sessions},
    sync::SyncService,
    typing::{self, Typing, TypingOptions},
};
use kith_http::{Services, Settings};
use kith_ports::{
    Clock, Ids, Seals,
    live::{EventBus, PresenceBoard},
};
use kith_security::{
    Argon2Passwords, DerivedRefreshTokens, JwtTokens, PasswordCost, RandomIds, Sealer,
    ServerSecret, SystemClock,
};
use secrecy::ExposeSecret as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Failure, VERSION,
    config::Config,
    database::{Database, Stores},
    live::Live,
};

/// How often people who asked for nothing lately are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What stands behind the ports that many use cases need.
struct Ground {
    stores: Stores,
    bus: Arc<dyn EventBus>,
    board: Arc<dyn PresenceBoard>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// Puts everything together.
pub(crate) fn services(
    config: &Config,
    database: &Database,
    live: &Live,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Services, Failure> {
    let secret = match &config.jwt_secret {
        Some(secret) => ServerSecret::from_text(secret.expose_secret())?,
        None => ServerSecret::load_or_create(&config.data_dir.join("secret"))?,
    };
    let ground = Ground {
        stores: database.stores(),
        bus: live.bus.clone(),
        board: live.board.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
    };
    let rate = Rate::new(config.limits.messages_per_second, 5);
    let messaging = messaging(&ground, rate, database.lanes(), tasks);
    let conversations = conversations(&ground, &messaging);
    let (receipts, typing) = (receipts(&ground, tasks), typing(&ground, tasks, stop));
    let people = People::new(
        ground.stores.users.clone(),
        ground.stores.blocks.clone(),
        ground.board.clone(),
    );
    let presence = PresenceService::start(
        presence::Ports {
            board: ground.board.clone(),
            users: ground.stores.users.clone(),
            bus: ground.bus.clone(),
            clock: ground.clock.clone(),
        },
        Duration::from_millis(config.sockets.offline_grace_ms),
        tasks.clone(),
        stop.clone(),
    );
    let seals: Arc<dyn Seals> = Arc::new(Sealer::new(&secret));
    let sessions = Arc::new(sessions(&ground, config, &secret, &seals, live)?);
    let accounts = Accounts::new(
        accounts::Ports {
            users: ground.stores.users.clone(),
            messages: ground.stores.messages.clone(),
            passwords: Arc::new(passwords(config)?),
            bus: ground.bus.clone(),
            clock: ground.clock.clone(),
            ids: ground.ids.clone(),
        },
        sessions.clone(),
        conversations.clone(),
        messaging.clone(),
        presence.clone(),
        LoginThrottle::new(config.limits.logins_per_minute, live.tally.clone()),
    );
    let Ground { stores, bus, clock, ids, .. } = ground;
    Ok(Services {
        accounts: Arc::new(accounts),
        invites: Invites::new(
            invites::Ports { store: stores.invites, clock: clock.clone(), ids: ids.clone() },
            conversations.clone(),
        ),
        blocks: Blocks::new(
            blocks::Ports { store: stores.blocks, clock: clock.clone() },
            people.clone(),
            presence.clone(),
        ),
        sync: SyncService::start(
            stores.conversations.clone(),
            stores.users,
            people.clone(),
            messaging.clone(),
            receipts.clone(),
            tasks,
        ),
        openings: Openings::start(
            sessions.clone(),
            stores.sessions,
            stores.conversations.clone(),
            messaging.clone(),
            tasks,
        ),
        sessions,
        conversations,
        messaging,
        receipts,
        typing,
        people,
        presence,
        requests: Rate::new(config.limits.requests_per_second, 1),
        store: stores.conversations,
        subscriptions: live.subscriptions.clone(),
        bus,
        seals,
        clock,
        ids,
    })
}

fn messaging(ground: &Ground, rate: Rate, lanes: LaneOptions, tasks: &TaskTracker) -> Messaging {
    let ports = messaging::Ports {
        log: ground.stores.log.clone(),
        messages: ground.stores.messages.clone(),
        conversations: ground.stores.conversations.clone(),
        bus: ground.bus.clone(),
        clock: ground.clock.clone(),
        ids: ground.ids.clone(),
    };
    Messaging::start(ports, rate, lanes, tasks)
}

fn conversations(ground: &Ground, messaging: &Messaging) -> Conversations {
    let ports = conversations::Ports {
        store: ground.stores.conversations.clone(),
        messages: ground.stores.messages.clone(),
        users: ground.stores.users.clone(),
        blocks: ground.stores.blocks.clone(),
        invites: ground.stores.invites.clone(),
        clock: ground.clock.clone(),
        ids: ground.ids.clone(),
    };
    Conversations::new(ports, messaging.clone())
}

fn receipts(ground: &Ground, tasks: &TaskTracker) -> Receipts {
    let ports = receipts::Ports {
        store: ground.stores.receipts.clone(),
        messages: ground.stores.messages.clone(),
        conversations: ground.stores.conversations.clone(),
        bus: ground.bus.clone(),
        clock: ground.clock.clone(),
    };
    Receipts::start(ports, ReceiptOptions::default(), tasks)
}

fn typing(ground: &Ground, tasks: &TaskTracker, stop: &CancellationToken) -> Typing {
    let ports = typing::Ports {
        conversations: ground.stores.conversations.clone(),
        users: ground.stores.users.clone(),
        blocks: ground.stores.blocks.clone(),
        bus: ground.bus.clone(),
    };
    Typing::start_service(ports, TypingOptions::default(), tasks, stop.clone())
}

fn sessions(
    ground: &Ground,
    config: &Config,
    secret: &ServerSecret,
    seals: &Arc<dyn Seals>,
    live: &Live,
) -> Result<Sessions, Failure> {
    let mut access = JwtTokens::new(secret);
    let mut refresh = DerivedRefreshTokens::new(secret);
    if let Some(previous) = &config.jwt_previous_secret {
        let previous = ServerSecret::from_text(previous.expose_secret())?;
        access = access.with_previous(&previous);
        refresh = refresh.with_previous(&previous);
    }
    Ok(Sessions::new(sessions::Ports {
        store: ground.stores.sessions.clone(),
        access: Arc::new(access),
        refresh: Arc::new(refresh),
        bus: ground.bus.clone(),
        clock: ground.clock.clone(),
        ids: ground.ids.clone(),
        seals: seals.clone(),
        tally: live.tally.clone(),
    }))
}

fn passwords(config: &Config) -> Result<Argon2Passwords, Failure> {
    let cost = PasswordCost {
        memory_kib: config.passwords.memory_kib,
        iterations: config.passwords.iterations,
        ..PasswordCost::default()
    };
    Argon2Passwords::start(cost)
        .map_err(|error| Failure::Config(format!("KITH_PASSWORDS: {error}")))
}

/// The settings of the HTTP adapter.
pub(crate) fn settings(config: &Config) -> Result<Settings, Failure> {
    Ok(Settings {
        version: VERSION,
        public_url: config.public_url.clone(),
        cors_origins: config.cors_origins.clone(),
        trusted_proxies: config.proxies()?,
        heartbeat: Duration::from_secs(config.sockets.heartbeat_seconds),
        sockets_per_user: config.limits.sockets_per_user,
        sockets_per_address: config.limits.sockets_per_address,
        close_spread: Duration::from_millis(config.shutdown.close_spread_ms),
    })
}

/// Forgets, again and again, what need not be remembered.
pub(crate) async fn housekeeping(context: Arc<kith_http::Context>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = interval.tick() => context.forget_idle(),
            () = stop.cancelled() => return,
        }
    }
}
