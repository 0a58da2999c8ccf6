use std::sync::Mutex;

use kith_domain::group::Role;
use kith_domain::{
    ConnectionId,
    conversation::{Head, Kind},
};
use kith_ports::tail::MissedMember;
use kith_ports::{
    StoreError, Topic,
    live::{Outgoing, Socket, Subscriptions as _, WorkerId},
    tail::MockChangeTail,
};
use kith_testkit::build::{room, session_id, user_id};
use uuid::Uuid;

use super::*;
use crate::{
    HubOptions,
    cluster::{
        parcel::pack,
        testing::{group, message, parcel, sent, told},
    },
};

/// A node with one socket in the group, whose tail answers what it is told to.
struct Node {
    arrivals: mpsc::Sender<Arrival>,
    queue: mpsc::Receiver<Outgoing>,
    asked: Arc<Mutex<Vec<(ConversationId, Version)>>>,
    connection: ConnectionId,
    told: Arc<AtomicI64>,
}

impl Node {
    async fn start(answers: Vec<StoreResult<Option<Missed>>>) -> Self {
        let (interest, wishes) = Interest::new();
        // Nobody grants them, and nobody has to.
        std::mem::forget(wishes);
        let interest = Arc::new(interest);
        let hub = Arc::new(Hub::heard_by(HubOptions::default(), Arc::clone(&interest)));
        let (worker, run) = hub.add_worker();
        tokio::spawn(run);
        let connection = ConnectionId::from_uuid(Uuid::from_u128(1));
        let queue = listen(&hub, worker, connection).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answers) = (Arc::clone(&asked), Mutex::new(answers));
        let mut tail = MockChangeTail::new();
        tail.expect_missed().returning(move |id, since, _| {
            noted.lock().unwrap().push((id, since));
            answers.lock().unwrap().remove(0)
        });
        let (arrivals, arrived) = mpsc::channel(64);
        let dispatcher = Dispatcher::new(hub, interest, Arc::new(tail));
        let told = dispatcher.told();
        tokio::spawn(dispatcher.run(arrived));
        Self { arrivals, queue, asked, connection, told }
    }

    /// Up to where all has been told, once what has arrived is.
    async fn told(&mut self) -> i64 {
        let passing = told(Event::SettingsUpdated(group()));
        self.hear(Arrival::Foreign(pack(vec![passing]).remove(0))).await;
        while self.frames(1).await != ["settings_updated"] {}
        self.told.load(Ordering::Relaxed)
    }

    async fn hear(&self, arrival: Arrival) {
        self.arrivals.send(arrival).await.unwrap();
    }

    /// The types of the next frames, with their versions.
    async fn frames(&mut self, count: usize) -> Vec<String> {
        let mut frames = Vec::new();
        for _ in 0..count {
            let frame = match self.queue.recv().await {
                Some(Outgoing::Frame(frame) | Outgoing::Answer(frame)) => frame,
                Some(Outgoing::Close(reason)) => {
                    frames.push(format!("{reason:?}"));
                    break;
                }
                None => {
                    frames.push("the end".to_owned());
                    break;
                }
            };
            let json: serde_json::Value = serde_json::from_str(&frame).unwrap();
            let version = json["message"]["version"].as_i64().map(|it| format!(" {it}"));
            let kind = json["type"].as_str().unwrap();
            frames.push(format!("{kind}{}", version.unwrap_or_default()));
        }
        frames
    }
}

async fn listen(hub: &Hub, worker: WorkerId, connection: ConnectionId) -> mpsc::Receiver<Outgoing> {
    let (user_id, session_id) = (user_id(1), session_id(1));
    let socket = Socket { connection, user_id, session_id, only: None };
    let queue = hub.attach(worker, socket).await.unwrap();
    let topic = Topic { conversation_id: group(), member_epoch: 1, version: 4, last_seq: 4 };
    hub.subscribe(worker, socket, vec![topic]).await;
    queue
}

fn missed(version: Version, messages: &[Version]) -> Missed {
    let conversation = Arc::new(room(1, Kind::Group, user_id(1)));
    let audience = conversation.audience();
    let messages = messages.iter().map(|it| (message(*it, *it), audience.clone())).collect();
    let head = Head { last_seq: version, version, member_epoch: 1, last_message_at: None };
    let told_of_members = audience;
    Missed { conversation, head, messages, members: vec![], told_of_members, overflow: false }
}

fn logged(before: Version, version: Version) -> Arrival {
    let conversation_id = group();
    let change = Logged { conversation_id, before, version, pair: None, people: vec![] };
    read(vec![change], 20)
}

fn read(changes: Vec<Logged>, next: i64) -> Arrival {
    Arrival::Logged { changes, next: TailPosition(next), asked_at: Instant::now() }
}

#[tokio::test(start_paused = true)]
async fn it_is_known_how_far_all_has_been_told() {
    let mut node = Node::start(vec![]).await;
    node.hear(Arrival::Foreign(parcel(4))).await;
    node.hear(read(vec![], 10)).await;
    assert_eq!(node.told().await, 10, "what was before this node was there");
    node.hear(logged(4, 5)).await;
    node.hear(read(vec![], 30)).await;
    assert_eq!(node.told().await, 10, "a change has been read, and is on its way");
    node.hear(Arrival::Foreign(parcel(5))).await;
    node.hear(read(vec![], 40)).await;
    assert_eq!(node.told().await, 30, "what was read before");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_has_not_been_told() {
    let mut node = Node::start(vec![Err(StoreError::Busy)]).await;
    node.hear(Arrival::Foreign(parcel(9))).await;
    node.hear(read(vec![], 10)).await;
    node.hear(logged(4, 5)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 4)]);
    node.hear(read(vec![], 30)).await;
    assert_eq!(node.told().await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_in_time_is_read() {
    let mut node = Node::start(vec![Ok(Some(missed(7, &[6, 7])))]).await;
    node.hear(Arrival::Foreign(parcel(5))).await;
    node.hear(Arrival::Foreign(parcel(7))).await;
    assert_eq!(node.frames(3).await, ["new_message 5", "new_message 6", "new_message 7"]);
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 5)]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_but_in_time_costs_no_reading() {
    let mut node = Node::start(vec![]).await;
    for version in [5, 7, 6, 8] {
        node.hear(Arrival::Foreign(parcel(version))).await;
    }
    let told = ["new_message 5", "new_message 6", "new_message 7", "new_message 8"];
    assert_eq!(node.frames(4).await, told);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(node.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_of_a_transaction_is_missed_too() {
    let mut node = Node::start(vec![Ok(Some(missed(6, &[5, 6])))]).await;
    let second = pack(vec![sent(5), sent(6)]).remove(1);
    node.hear(Arrival::Foreign(second)).await;
    assert_eq!(node.frames(2).await, ["new_message 5", "new_message 6"]);
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 4)]);
}

#[tokio::test(start_paused = true)]
async fn what_only_the_log_knows_is_read() {
    let mut node = Node::start(vec![Ok(Some(missed(5, &[5]))), Ok(Some(missed(7, &[6, 7])))]).await;
    node.hear(logged(4, 5)).await;
    assert_eq!(node.frames(1).await, ["new_message 5"]);
    node.hear(logged(5, 7)).await;
    assert_eq!(node.frames(2).await, ["new_message 6", "new_message 7"]);
    // What it has been told already is no news.
    node.hear(logged(4, 5)).await;
    node.hear(logged(5, 7)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 4), (group(), 5)]);
}

/// What was read for a socket that is to listen: the group at this version.
fn known(version: Version) -> (Arrival, oneshot::Receiver<()>) {
    let (wait, told) = oneshot::channel();
    let topic = Topic { conversation_id: group(), member_epoch: 1, version, last_seq: version };
    (Arrival::Known(vec![topic], wait), told)
}

#[tokio::test(start_paused = true)]
async fn who_has_come_in_listens_when_what_came_before_him_is_told() {
    let mut node = Node::start(vec![Ok(Some(missed(9, &[8, 9])))]).await;
    node.hear(Arrival::Foreign(parcel(5))).await;
    assert_eq!(node.frames(1).await, ["new_message 5"]);
    let (seven, mut told) = known(7);
    node.hear(seven).await;
    node.hear(Arrival::Foreign(parcel(6))).await;
    assert_eq!(node.frames(1).await, ["new_message 6"]);
    assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    node.hear(Arrival::Foreign(parcel(7))).await;
    told.await.unwrap_err();
    assert_eq!(node.frames(1).await, ["new_message 7"]);
    // Nothing to wait for; and something that has to be read.
    let (seven, told) = known(7);
    node.hear(seven).await;
    told.await.unwrap_err();
    let (nine, told) = known(9);
    node.hear(nine).await;
    told.await.unwrap_err();
    assert_eq!(node.frames(2).await, ["new_message 8", "new_message 9"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_from_before_somebody_came_in_is_read_for_those_who_may_hear_it() {
    let joined = MissedMember {
        user_id: user_id(1),
        role: Role::Member,
        first_seq: 1,
        left: false,
        version: 7,
    };
    let missed = Missed { members: vec![joined], ..missed(7, &[6]) };
    let mut node = Node::start(vec![Ok(Some(missed))]).await;
    // The node hears of it for the first time.
    node.hear(Arrival::Foreign(parcel(7))).await;
    node.hear(Arrival::Foreign(parcel(6))).await;
    assert_eq!(node.frames(2).await, ["new_message 7", "message_updated 6"]);
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 5)]);
    node.hear(Arrival::Foreign(parcel(6))).await;
    node.hear(Arrival::Foreign(parcel(8))).await;
    assert_eq!(node.frames(1).await, ["new_message 8"]);
}

/// What is asked for while it is read may not be in what is read.
#[tokio::test(start_paused = true)]
async fn what_is_asked_for_meanwhile_is_read_afterwards() {
    let readings = vec![Ok(Some(missed(7, &[7]))), Ok(Some(missed(7, &[6, 7])))];
    let mut node = Node::start(readings).await;
    node.hear(logged(6, 7)).await;
    node.hear(logged(5, 6)).await;
    assert_eq!(node.frames(1).await, ["new_message 7"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 6), (group(), 5)]);
}

/// A reading that failed is made again from where it was to begin.
#[tokio::test(start_paused = true)]
async fn a_reading_that_failed_is_made_again_as_it_was() {
    let away = StoreError::Unavailable("away".into());
    let mut node = Node::start(vec![Err(away), Ok(Some(missed(8, &[8])))]).await;
    node.hear(Arrival::Foreign(parcel(8))).await;
    node.hear(logged(5, 6)).await;
    assert_eq!(node.frames(1).await, ["new_message 8"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(*node.asked.lock().unwrap(), [(group(), 5), (group(), 5)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_conversation_that_is_gone() {
    let mut node = Node::start(vec![Ok(None)]).await;
    node.hear(Arrival::Foreign(parcel(5))).await;
    let (nine, told) = known(9);
    node.hear(nine).await;
    told.await.unwrap_err();
    assert_eq!(node.frames(2).await, ["new_message 5", "conversation_removed"]);
}

#[tokio::test(start_paused = true)]
async fn what_concerns_nobody_here_is_not_read() {
    let node = Node::start(vec![]).await;
    let (pair, people) = (Some((user_id(8), user_id(9))), vec![user_id(7)]);
    let conversation_id = kith_testkit::build::conversation_id(5);
    let change = Logged { conversation_id, before: 0, version: 1, pair, people };
    node.hear(read(vec![change], 0)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(node.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_a_database_that_is_away() {
    let away = StoreError::Unavailable("away".into());
    let mut node = Node::start(vec![Err(away), Ok(Some(missed(7, &[6, 7])))]).await;
    node.hear(Arrival::Foreign(parcel(5))).await;
    let Dispatch::Event { event, audience, .. } = sent(7) else { unreachable!() };
    let origin = Some(kith_ports::live::Origin { connection: node.connection, frame_id: None });
    node.hear(Arrival::Own(pack(vec![Dispatch::Event { event, audience, origin }]))).await;
    assert_eq!(node.frames(2).await, ["new_message 5", "message_sent 7"]);
    assert_eq!(node.frames(2).await, ["new_message 6", "new_message 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_gone_is_told_to_be() {
    let mut node = Node::start(vec![Ok(None)]).await;
    node.hear(logged(4, 5)).await;
    assert_eq!(node.frames(1).await, ["conversation_removed"]);
    node.hear(Arrival::Foreign(pack(vec![sent(6)]).remove(0))).await;
    node.hear(Arrival::Own(pack(vec![Dispatch::Event {
        event: Event::SettingsUpdated(group()),
        audience: Audience::Users(vec![user_id(1)]),
        origin: None,
    }])))
    .await;
    assert_eq!(node.frames(1).await, ["settings_updated"]);
}

#[tokio::test(start_paused = true)]
async fn where_too_much_is_missing_the_sockets_are_let_go() {
    let overflow = Missed { overflow: true, ..missed(900, &[]) };
    let mut node = Node::start(vec![Ok(Some(overflow))]).await;
    node.hear(logged(4, 900)).await;
    assert_eq!(node.frames(1).await, ["Missed"]);

    let mut node = Node::start(vec![]).await;
    node.hear(Arrival::Lost).await;
    assert_eq!(node.frames(2).await, ["Missed"]);
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_told_at_once() {
    let mut node = Node::start(vec![]).await;
    node.hear(Arrival::Foreign(parcel(5))).await;
    node.hear(Arrival::Foreign(parcel(7))).await;
    let passing = told(Event::SettingsUpdated(group()));
    node.hear(Arrival::Foreign(pack(vec![passing]).remove(0))).await;
    assert_eq!(node.frames(2).await, ["new_message 5", "settings_updated"]);
}
