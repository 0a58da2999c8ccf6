//! Live delivery: this node alone, or one of several.

use std::{sync::Arc, time::Duration};

use kith_ports::{
    Tally,
    live::{EventBus, PresenceBoard, Subscriptions},
};
use kith_realtime::{Board, Cluster, ClusterOptions, Hub, HubOptions, LocalTally};
use secrecy::ExposeSecret as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Failure, config::Config, database::Database};

/// What delivers, by port.
pub(crate) struct Live {
    /// The sockets of this node.
    pub(crate) hub: Arc<Hub>,
    pub(crate) bus: Arc<dyn EventBus>,
    pub(crate) subscriptions: Arc<dyn Subscriptions>,
    pub(crate) board: Arc<dyn PresenceBoard>,
    pub(crate) tally: Arc<dyn Tally>,
    /// What ties this node to others.
    cluster: Option<Arc<Cluster>>,
}

impl Live {
    /// With a Redis, this node joins the others. It leaves them when `leave` is cancelled.
    ///
    /// # Errors
    /// [`Failure::Config`] if the URL of Redis is none.
    pub(crate) fn open(
        config: &Config,
        database: &Database,
        tasks: &TaskTracker,
        leave: &CancellationToken,
    ) -> Result<Self, Failure> {
        let options = HubOptions { socket_queue: config.sockets.queue, ..HubOptions::default() };
        let (Some(url), Some(tail)) = (&config.redis_url, database.tail()) else {
            let hub = Arc::new(Hub::new(options));
            let board = Arc::new(Board::new());
            let tally = Arc::new(LocalTally::default());
            return Ok(Self {
                bus: hub.clone(),
                subscriptions: hub.clone(),
                board,
                tally,
                hub,
                cluster: None,
            });
        };
        let nodes = ClusterOptions {
            url: url.expose_secret().to_owned(),
            tail_every: Duration::from_millis(config.nodes.tail_ms.get()),
            lease: Duration::from_millis(config.nodes.lease_ms.get()),
        };
        let cluster = Cluster::join(&nodes, options, tail, tasks, leave)
            .map_err(|error| Failure::Config(format!("KITH_REDIS_URL: {error}")))?;
        let cluster = Arc::new(cluster);
        let (hub, board) = (Arc::clone(cluster.hub()), cluster.board().clone());
        let tally = cluster.tally().clone();
        let (bus, subscriptions) = (cluster.clone(), cluster.clone());
        Ok(Self { hub, board, tally, bus, subscriptions, cluster: Some(cluster) })
    }

    /// Waits until a part of it has ended, which none does while the server runs.
    pub(crate) async fn crashed(&self) {
        let cluster = async {
            match &self.cluster {
                Some(cluster) => cluster.crashed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.hub.crashed() => {}
            () = cluster => {}
        }
    }
}
