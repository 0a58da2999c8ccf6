//! Which adapter stands behind which port.

use std::{sync::Arc, time::Duration};

use kith_app::{
    accounts::{self, Accounts},
    conversations::{self, Conversations},
    limits::{LoginThrottle, Rate},
    messaging::{self, Messaging},
    people::People,
    presence::{self, PresenceService},
    sessions::{self, Sessions},
    sync::SyncService,
};
use kith_http::{Services, Settings};
use kith_ports::{
    Clock, Ids,
    live::{EventBus, PresenceBoard, Subscriptions},
};
use kith_realtime::{Board, Hub};
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
};

/// How often people who asked for nothing lately are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// Puts everything together.
pub(crate) fn services(
    config: &Config,
    database: &Database,
    hub: &Arc<Hub>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Services, Failure> {
    let secret = match &config.jwt_secret {
        Some(secret) => ServerSecret::from_text(secret.expose_secret())?,
        None => ServerSecret::load_or_create(&config.data_dir.join("secret"))?,
    };
    let mut access = JwtTokens::new(&secret);
    let mut refresh = DerivedRefreshTokens::new(&secret);
    if let Some(previous) = &config.jwt_previous_secret {
        let previous = ServerSecret::from_text(previous.expose_secret())?;
        access = access.with_previous(&previous);
        refresh = refresh.with_previous(&previous);
    }
    let cost = PasswordCost {
        memory_kib: config.passwords.memory_kib,
        iterations: config.passwords.iterations,
        ..PasswordCost::default()
    };
    let passwords = Argon2Passwords::start(cost)
        .map_err(|error| Failure::Config(format!("KITH_PASSWORDS: {error}")))?;

    let Stores { users, sessions: session_store, conversations: conversation_store, messages, log } =
        database.stores();
    let bus: Arc<dyn EventBus> = hub.clone();
    let subscriptions: Arc<dyn Subscriptions> = hub.clone();
    let board: Arc<dyn PresenceBoard> = Arc::new(Board::new());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);

    let messaging = Messaging::start(
        messaging::Ports {
            log,
            messages: messages.clone(),
            conversations: conversation_store.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        Rate::new(config.limits.messages_per_second, 5),
        database.lanes(),
        tasks,
    );
    let conversations = Conversations::new(
        conversations::Ports {
            store: conversation_store.clone(),
            messages: messages.clone(),
            users: users.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        messaging.clone(),
    );
    let sessions = Arc::new(Sessions::new(sessions::Ports {
        store: session_store,
        access: Arc::new(access),
        refresh: Arc::new(refresh),
        bus: bus.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    }));
    let accounts = Accounts::new(
        accounts::Ports {
            users: users.clone(),
            messages,
            passwords: Arc::new(passwords),
            bus: bus.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        sessions.clone(),
        conversations.clone(),
        messaging.clone(),
        LoginThrottle::new(config.limits.logins_per_minute),
    );
    let people = People::new(users.clone(), board.clone());
    let presence = PresenceService::start(
        presence::Ports { board, users: users.clone(), bus: bus.clone(), clock: clock.clone() },
        Duration::from_millis(config.sockets.offline_grace_ms),
        tasks.clone(),
        stop.clone(),
    );
    let sync =
        SyncService::new(conversation_store.clone(), users, people.clone(), messaging.clone());
    Ok(Services {
        accounts: Arc::new(accounts),
        sessions,
        conversations,
        messaging,
        people,
        sync,
        presence,
        requests: Rate::new(config.limits.requests_per_second, 1),
        store: conversation_store,
        subscriptions,
        bus,
        seals: Arc::new(Sealer::new(&secret)),
        clock,
        ids,
    })
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
