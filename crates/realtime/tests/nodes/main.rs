//! Two nodes and a real Redis between them: one server, or a cluster of three.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod presence;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use kith_domain::{
    ConnectionId, ConversationId, UserId,
    conversation::{Head, Kind, Version},
    event::{Audience, Event},
    message::Message,
};
use kith_ports::{
    Tally as _, Topic,
    live::{
        Dispatch, EventBus as _, Found, Outgoing, PresenceBoard as _, Socket, Subscriptions as _,
        TopicChange, WorkerId,
    },
    tail::{Logged, Missed, MockChangeTail, Tail, TailPosition},
};
use kith_realtime::{Cluster, ClusterOptions, HubOptions};
use kith_testkit::{
    build::{self, conversation_id, room, session_id, user_id},
    redis::{Redis, RedisCluster},
};
use rstest::rstest;
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(1);

/// What is between the nodes.
enum Between {
    Server(Redis),
    Cluster(RedisCluster),
}

impl Between {
    fn server() -> Self {
        Self::Server(Redis::start())
    }

    fn cluster() -> Self {
        Self::Cluster(RedisCluster::start())
    }

    fn url(&self) -> String {
        match self {
            Self::Server(redis) => redis.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// The one that stops and goes on; of a cluster the one that holds the board.
    fn one(&mut self) -> &mut Redis {
        match self {
            Self::Server(redis) => redis,
            Self::Cluster(cluster) => &mut cluster.0[master_of("kith:{presence}:nodes", cluster)],
        }
    }

    /// How much was published.
    fn published(&self) -> u32 {
        match self {
            Self::Server(redis) => calls(redis, "publish"),
            Self::Cluster(cluster) => cluster.0.iter().map(|redis| calls(redis, "spublish")).sum(),
        }
    }
}

fn slot(key: &str, cluster: &RedisCluster) -> usize {
    cluster.0[0].ask(&format!("CLUSTER KEYSLOT {key}")).parse().unwrap()
}

fn master_of(key: &str, cluster: &RedisCluster) -> usize {
    slot(key, cluster) / 5_461
}

fn calls(redis: &Redis, command: &str) -> u32 {
    let stats = redis.ask("INFO commandstats");
    let calls = stats.split_once(&format!("cmdstat_{command}:calls="));
    calls.map_or(0, |(_, calls)| calls.split_once(',').unwrap().0.parse().unwrap())
}

/// The log of changes: what was stored.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Version>>>);

impl Log {
    fn add(&self, version: Version) {
        self.0.lock().unwrap().push(version);
    }

    fn since(&self, position: TailPosition) -> Tail {
        let log = self.0.lock().unwrap();
        let read = usize::try_from(position.0).unwrap();
        let changes = log[read..].iter().map(|version| Logged {
            conversation_id: group(),
            before: version - 1,
            version: *version,
            pair: None,
            people: Vec::new(),
        });
        let next = TailPosition(i64::try_from(log.len()).unwrap());
        Tail { changes: changes.collect(), ended: Vec::new(), next, lost: false }
    }

    fn missed(&self, since: Version) -> Missed {
        let log = self.0.lock().unwrap();
        let conversation = Arc::new(room(1, Kind::Group, user_id(1)));
        let audience = conversation.audience();
        let new = log.iter().filter(|version| **version > since);
        let version = log.last().copied().unwrap_or_default();
        Missed {
            conversation,
            head: Head { last_seq: version, version, member_epoch: 1, last_message_at: None },
            messages: new.map(|version| (message(*version), audience.clone())).collect(),
            members: Vec::new(),
            told_of_members: audience,
            overflow: false,
        }
    }
}

struct Node {
    cluster: Arc<Cluster>,
    worker: WorkerId,
    stop: CancellationToken,
    /// All that this node runs.
    runtime: Option<Runtime>,
    sockets: u128,
}

struct Listener {
    socket: Socket,
    queue: mpsc::Receiver<Outgoing>,
}

impl Node {
    /// A node whose log of changes says nothing.
    fn join(url: &str) -> Self {
        Self::follow(url, &Log::default())
    }

    fn follow(url: &str, log: &Log) -> Self {
        let mut tail = MockChangeTail::new();
        tail.expect_end().returning(|| Ok(TailPosition(0)));
        let read = log.clone();
        tail.expect_since().returning(move |position| Ok(read.since(position)));
        let read = log.clone();
        tail.expect_missed().returning(move |_, since, _| Ok(Some(read.missed(since))));
        let options = ClusterOptions {
            url: url.to_owned(),
            tail_every: Duration::from_millis(100),
            lease: LEASE,
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let cluster =
            Cluster::join(&options, HubOptions::default(), Arc::new(tail), &tasks, &stop).unwrap();
        let (worker, run) = cluster.add_worker();
        tokio::spawn(run);
        drop(inside);
        Self { cluster: Arc::new(cluster), worker, stop, runtime: Some(runtime), sockets: 0 }
    }

    /// It is gone from one moment to the next.
    fn die(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    async fn arrives(&self, n: u64) -> bool {
        self.cluster.board().arrive(user_id(n)).await
    }

    async fn goes(&self, n: u64) -> bool {
        self.cluster.board().leave(user_id(n)).await
            && self.cluster.board().settle(user_id(n)).await
    }

    async fn sees(&self, n: u64) -> bool {
        self.cluster.board().online(&[user_id(n)]).await == [true]
    }

    async fn until_it_sees(&self, n: u64, online: bool) {
        let wait = async {
            while self.sees(n).await != online {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the board changes in time");
    }

    async fn loses(&self) -> Vec<UserId> {
        let found = tokio::time::timeout(PATIENCE, self.cluster.board().found()).await.unwrap();
        let gone = |it| if let Found::Gone(user, _) = it { Some(user) } else { None };
        found.unwrap().into_iter().filter_map(gone).collect()
    }

    async fn linked(self) -> Self {
        self.until_linked(true).await;
        self
    }

    async fn until_linked(&self, linked: bool) {
        let wait = async {
            while self.cluster.is_whole() != linked {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the link changes in time");
    }

    async fn listen(&mut self, user: UserId, topics: &[ConversationId]) -> Listener {
        self.sockets += 1;
        let socket = Socket {
            connection: ConnectionId::from_uuid(Uuid::from_u128(self.sockets)),
            user_id: user,
            session_id: session_id(1),
            only: None,
        };
        let queue = self.cluster.attach(self.worker, socket).await.unwrap();
        let topics = topics.iter().map(|id| Topic {
            conversation_id: *id,
            member_epoch: 1,
            version: 0,
            last_seq: 0,
        });
        self.cluster.subscribe(self.worker, socket, topics.collect()).await;
        Listener { socket, queue }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Listener {
    async fn next(&mut self) -> String {
        let outgoing = tokio::time::timeout(PATIENCE, self.queue.recv()).await.expect("in time");
        match outgoing.unwrap() {
            Outgoing::Frame(frame) | Outgoing::Answer(frame) => {
                let json: serde_json::Value = serde_json::from_str(&frame).unwrap();
                let version = json["message"]["version"].as_i64();
                let version = version.map(|it| format!(" {it}")).unwrap_or_default();
                format!("{}{version}", json["type"].as_str().unwrap())
            }
            Outgoing::Close(reason) => format!("{reason:?}"),
        }
    }
}

fn group() -> ConversationId {
    conversation_id(1)
}

fn message(version: Version) -> Arc<Message> {
    Arc::new(build::message(group(), version, user_id(1)))
}

fn sent(version: Version) -> Dispatch {
    let (event, audience) = (Event::MessageSent(message(version)), Audience::Members(group()));
    Dispatch::Event { event, audience, origin: None }
}

fn to_user(user: UserId) -> Dispatch {
    let event = Event::SettingsUpdated(group());
    Dispatch::Event { event, audience: Audience::Users(vec![user]), origin: None }
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_stores_is_told_on_both_in_order(#[case] redis: Between) {
    let mut one = Node::join(&redis.url()).linked().await;
    let mut other = Node::join(&redis.url()).linked().await;
    let mut ann = one.listen(user_id(1), &[group()]).await;
    let mut bob = other.listen(user_id(2), &[group()]).await;
    let mut stranger = other.listen(user_id(3), &[]).await;
    for version in 1..=20 {
        let node = if version % 2 == 0 { &one } else { &other };
        node.cluster.publish(vec![sent(version)]).await;
    }
    for version in 1..=20 {
        assert_eq!(ann.next().await, format!("new_message {version}"));
        assert_eq!(bob.next().await, format!("new_message {version}"));
    }
    one.cluster.publish(vec![to_user(user_id(3))]).await;
    assert_eq!(stranger.next().await, "settings_updated");
    assert_eq!(redis.published(), 21, "one for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_on_one_node_hears_nothing_later_on_another() {
    let redis = Redis::start();
    let one = Node::join(&redis.url()).linked().await;
    let mut other = Node::join(&redis.url()).linked().await;
    let mut bob = other.listen(user_id(2), &[group()]).await;
    let removed = Event::MemberRemoved(kith_domain::event::MemberEvent {
        conversation_id: group(),
        user_id: user_id(2),
        role: kith_domain::group::Role::Member,
        version: 1,
    });
    let (audience, conversation_id) = (Audience::Members(group()), group());
    let change = TopicChange::Leave(vec![user_id(2)]);
    one.cluster
        .publish(vec![
            Dispatch::Event { event: removed, audience, origin: None },
            Dispatch::Topic { conversation_id, member_epoch: 2, change },
        ])
        .await;
    one.cluster.publish(vec![sent(2)]).await;
    one.cluster.publish(vec![to_user(user_id(2))]).await;
    assert_eq!(bob.next().await, "member_removed");
    assert_eq!(bob.next().await, "settings_updated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_on_one_node_ends_on_the_other() {
    let redis = Redis::start();
    let one = Node::join(&redis.url()).linked().await;
    let mut other = Node::join(&redis.url()).linked().await;
    let mut bob = other.listen(user_id(2), &[]).await;
    let (user_id, session_id) = (bob.socket.user_id, bob.socket.session_id);
    let reason = kith_ports::live::CloseReason::SignedOut;
    one.cluster.publish(vec![Dispatch::Close { user_id, session_id, reason }]).await;
    assert_eq!(bob.next().await, "SignedOut");
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_without_redis_and_finds_it_again(#[case] mut redis: Between) {
    let log = Log::default();
    let mut one = Node::follow(&redis.url(), &log).linked().await;
    let mut other = Node::follow(&redis.url(), &log).linked().await;
    let mut ann = one.listen(user_id(1), &[group()]).await;
    let mut bob = other.listen(user_id(2), &[group()]).await;
    redis.one().kill();
    for node in [&one, &other] {
        node.until_linked(false).await;
    }
    one.cluster.publish(vec![sent(1)]).await;
    assert_eq!(ann.next().await, "new_message 1");
    log.add(1);
    assert_eq!(bob.next().await, "new_message 1", "the log says it");
    // A socket that comes while it is away listens when it is back.
    let mut cleo = other.listen(user_id(3), &[]).await;
    redis.one().go_on();
    for node in [&one, &other] {
        node.until_linked(true).await;
    }
    one.cluster.publish(vec![to_user(user_id(3)), sent(2)]).await;
    assert_eq!(cleo.next().await, "settings_updated");
    assert_eq!(bob.next().await, "new_message 2", "nothing but Redis says it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_whose_slot_goes_to_another_master_is_listened_to_there() {
    let redis = RedisCluster::start();
    let one = Node::join(&redis.url()).linked().await;
    let mut other = Node::join(&redis.url()).linked().await;
    let mut bob = other.listen(user_id(2), &[]).await;
    let channel = format!("kith:u:{}", user_id(2).as_uuid().simple());
    let (slot, from) = (slot(&channel, &redis), master_of(&channel, &redis));
    let to = (from + 1) % redis.0.len();
    let name = |place: usize| redis.0[place].ask("CLUSTER MYID");
    redis.0[to].ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", name(from)));
    redis.0[from].ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", name(to)));
    for place in [to, from, (to + 1) % redis.0.len()] {
        redis.0[place].ask(&format!("CLUSTER SETSLOT {slot} NODE {}", name(to)));
    }
    let heard = async {
        loop {
            one.cluster.publish(vec![to_user(user_id(2))]).await;
            if tokio::time::timeout(Duration::from_millis(100), bob.queue.recv()).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it is heard again");
    assert!(other.cluster.is_whole() && calls(&redis.0[to], "ssubscribe") > 0);
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_without_redis_joins_when_it_comes(#[case] mut redis: Between) {
    redis.one().kill();
    let mut one = Node::join(&redis.url());
    let mut ann = one.listen(user_id(1), &[group()]).await;
    one.cluster.publish(vec![sent(1)]).await;
    assert_eq!(ann.next().await, "new_message 1");
    redis.one().go_on();
    one.until_linked(true).await;
}

#[rstest]
#[case::server(Between::server())]
#[case::cluster(Between::cluster())]
#[tokio::test(flavor = "multi_thread")]
async fn nodes_count_together_and_alone_while_redis_is_away(#[case] mut redis: Between) {
    const LONG: Duration = Duration::from_secs(60);
    let one = Node::join(&redis.url()).linked().await;
    let other = Node::join(&redis.url()).linked().await;
    let (here, there) = (one.cluster.tally(), other.cluster.tally());
    assert_eq!(here.add("a", 1, LONG).await, 1);
    assert_eq!(there.add("a", 1, LONG).await, 2);
    assert_eq!((here.get("a").await, there.get("b").await), (2, 0));
    assert_eq!(here.add("short", 1, Duration::from_millis(1)).await, 1);
    let gone = async {
        while there.get("short").await != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it passes");
    redis.one().kill();
    one.until_linked(false).await;
    assert_eq!((here.get("a").await, here.add("a", 1, LONG).await), (1, 2));
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let options = ClusterOptions {
        url: "http://redis".to_owned(),
        tail_every: Duration::from_secs(1),
        lease: LEASE,
    };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let tail = Arc::new(MockChangeTail::new());
    Cluster::join(&options, HubOptions::default(), tail, &tasks, &stop).unwrap_err();
}
