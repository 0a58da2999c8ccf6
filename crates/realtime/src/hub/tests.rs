use std::time::Duration;

use kith_domain::{
    ConnectionId, ConversationId, Refusal, SessionId, UserId,
    event::{Audience, Event},
    group::Role,
    message::Message,
};
use kith_ports::live::{CloseReason, Origin, Reply, TopicChange};
use kith_testkit::build::{self, at, conversation_id, session_id, user_id};
use uuid::Uuid;

use super::*;

mod narrow;
mod passing;

const PATIENCE: Duration = Duration::from_secs(5);

/// A socket and its queue.
struct Listener {
    socket: Socket,
    queue: mpsc::Receiver<Outgoing>,
}

impl Listener {
    /// The next frame's type, and whether it is an answer.
    async fn next(&mut self) -> Option<(String, bool)> {
        let outgoing = tokio::time::timeout(PATIENCE, self.queue.recv()).await.expect("in time");
        let (frame, answer) = match outgoing? {
            Outgoing::Frame(frame) => (frame, false),
            Outgoing::Answer(frame) => (frame, true),
            Outgoing::Close(reason) => return Some((format!("{reason:?}"), true)),
        };
        let json: serde_json::Value = serde_json::from_str(&frame).unwrap();
        Some((json["type"].as_str().unwrap().to_owned(), answer))
    }

    async fn types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..count {
            types.push(self.next().await.unwrap().0);
        }
        types
    }
}

struct Node {
    hub: Hub,
    workers: Vec<WorkerId>,
    sockets: u128,
}

impl Node {
    fn start(workers: usize, options: HubOptions) -> Self {
        let hub = Hub::new(options);
        let workers = (0..workers)
            .map(|_| {
                let (id, run) = hub.add_worker();
                tokio::spawn(run);
                id
            })
            .collect();
        Self { hub, workers, sockets: 0 }
    }

    /// A socket of `user` on a worker, in these groups.
    async fn listen(&mut self, worker: usize, user: UserId, groups: &[ConversationId]) -> Listener {
        let mut listener = self.attach(worker, user).await;
        let topics = groups.iter().map(|id| Topic {
            conversation_id: *id,
            member_epoch: 1,
            version: 4,
            last_seq: 4,
        });
        self.hub.subscribe(self.workers[worker], listener.socket, topics.collect()).await;
        listener.queue.try_recv().expect_err("nothing has happened yet");
        listener
    }

    /// Publishes something, and waits until it has been carried out.
    async fn carry_out(&mut self, dispatch: Dispatch) {
        let mut witness = self.listen(0, user_id(99), &[]).await;
        let audience = Audience::Users(vec![user_id(99)]);
        let event = Event::SettingsUpdated(conversation_id(99));
        let done = Dispatch::Event { event, audience, origin: None };
        self.hub.publish(vec![dispatch, done]).await;
        assert_eq!(witness.types(1).await, ["settings_updated"]);
    }

    /// Subscribes a socket to what was read for it.
    async fn subscribe(&self, listener: &Listener, groups: &[ConversationId]) {
        let topics = groups.iter().map(|id| Topic {
            conversation_id: *id,
            member_epoch: 1,
            version: 4,
            last_seq: 4,
        });
        self.hub.subscribe(self.workers[0], listener.socket, topics.collect()).await;
    }

    async fn attach(&mut self, worker: usize, user: UserId) -> Listener {
        self.attach_to(worker, user, None).await
    }

    /// A socket of `user` that carries one conversation, if one is named.
    async fn attach_to(
        &mut self,
        worker: usize,
        user: UserId,
        only: Option<ConversationId>,
    ) -> Listener {
        self.sockets += 1;
        let socket = Socket {
            connection: ConnectionId::from_uuid(Uuid::from_u128(self.sockets)),
            user_id: user,
            session_id: session(user),
            only,
        };
        let queue = self.hub.attach(self.workers[worker], socket).await.unwrap();
        Listener { socket, queue }
    }
}

fn session(user: UserId) -> SessionId {
    SessionId::from_uuid(*user.as_uuid())
}

fn group() -> ConversationId {
    conversation_id(1)
}

fn message(seq: i64) -> Event {
    Event::MessageSent(Arc::new(Message {
        version: seq + 1,
        ..build::message(group(), seq, user_id(1))
    }))
}

fn to_group(event: Event, origin: Option<Origin>) -> Dispatch {
    Dispatch::Event { event, audience: Audience::Members(group()), origin }
}

fn from(listener: &Listener) -> Origin {
    Origin { connection: listener.socket.connection, frame_id: Some("7".into()) }
}

fn topic(member_epoch: i64, change: TopicChange) -> Dispatch {
    Dispatch::Topic { conversation_id: group(), member_epoch, change }
}

#[tokio::test]
async fn what_was_handed_over_before_somebody_listened_is_not_for_him() {
    let mut node = Node::start(1, HubOptions::default());
    let mut ann = node.listen(0, user_id(1), &[conversation_id(1)]).await;
    let mut bob = node.attach(0, user_id(2)).await;
    // The worker has had no turn since.
    node.hub.publish(vec![members_hear(conversation_id(1))]).await;
    node.subscribe(&bob, &[conversation_id(1)]).await;
    assert_eq!(ann.types(1).await, ["conversation_removed"]);
    bob.queue.try_recv().expect_err("it came before him");
}

fn members_hear(id: ConversationId) -> Dispatch {
    let event = Event::ConversationRemoved(id);
    Dispatch::Event { event, audience: Audience::Members(id), origin: None }
}

#[tokio::test]
async fn a_message_reaches_every_socket_of_every_member_and_answers_the_one_it_came_from() {
    let mut node = Node::start(2, HubOptions::default());
    let mut phone = node.listen(0, user_id(1), &[group()]).await;
    let mut laptop = node.listen(1, user_id(1), &[group()]).await;
    let mut friend = node.listen(1, user_id(2), &[group()]).await;
    let mut stranger = node.listen(0, user_id(3), &[]).await;
    let origin = from(&phone);
    node.hub.publish(vec![to_group(message(1), Some(origin))]).await;
    assert_eq!(phone.next().await.unwrap(), ("message_sent".to_owned(), true));
    assert_eq!(laptop.next().await.unwrap(), ("new_message".to_owned(), false));
    assert_eq!(friend.next().await.unwrap(), ("new_message".to_owned(), false));
    assert!(phone.queue.try_recv().is_err());
    assert!(stranger.queue.try_recv().is_err());
}

#[tokio::test]
async fn all_recipients_get_the_same_bytes() {
    let mut node = Node::start(2, HubOptions::default());
    let mut all = Vec::new();
    for n in 0..6 {
        all.push(node.listen(n % 2, user_id(n as u64 + 1), &[group()]).await);
    }
    node.hub.publish(vec![to_group(message(1), None)]).await;
    let mut frames = Vec::new();
    for listener in &mut all {
        match tokio::time::timeout(PATIENCE, listener.queue.recv()).await.unwrap() {
            Some(Outgoing::Frame(frame)) => frames.push(frame),
            other => panic!("{other:?}"),
        }
    }
    assert!(frames.iter().all(|frame| frame.as_ptr() == frames[0].as_ptr()), "encoded once");
}

#[tokio::test]
async fn answers_and_events_keep_their_order() {
    let mut node = Node::start(1, HubOptions::default());
    let mut socket = node.listen(0, user_id(1), &[group()]).await;
    let origin = from(&socket);
    let refused = Reply::Refused(Refusal::not_a_member());
    node.hub
        .publish(vec![
            to_group(message(1), None),
            Dispatch::Reply { origin: origin.clone(), reply: refused },
            to_group(message(2), Some(origin.clone())),
            Dispatch::Reply { origin, reply: Reply::Done },
            to_group(message(3), None),
        ])
        .await;
    assert_eq!(
        socket.types(5).await,
        ["new_message", "error", "message_sent", "ok", "new_message"]
    );
}

#[tokio::test]
async fn a_removed_member_hears_of_his_removal_and_of_nothing_after_it() {
    let mut node = Node::start(1, HubOptions::default());
    let mut socket = node.listen(0, user_id(2), &[group()]).await;
    let another = node.attach(0, user_id(2)).await;
    let removed = Event::MemberRemoved(kith_domain::event::MemberEvent {
        conversation_id: group(),
        user_id: user_id(2),
        role: Role::Member,
        version: 3,
    });
    node.hub
        .publish(vec![
            to_group(message(1), None),
            to_group(removed, None),
            topic(2, TopicChange::Leave(vec![user_id(2)])),
            to_group(message(2), None),
        ])
        .await;
    assert_eq!(socket.types(2).await, ["new_message", "member_removed"]);
    node.hub.publish(vec![to_group(message(3), None)]).await;
    // What is read late does not bring him back in: the removal was newer.
    let stale = Topic { conversation_id: group(), member_epoch: 1, version: 4, last_seq: 4 };
    node.hub.subscribe(node.workers[0], another.socket, vec![stale]).await;
    node.hub.publish(vec![to_group(message(4), None)]).await;
    node.hub.subscribe(node.workers[0], socket.socket, Vec::new()).await;
    assert!(socket.queue.try_recv().is_err());
}

#[tokio::test]
async fn who_comes_in_while_his_topics_are_read_stays_in() {
    let mut node = Node::start(1, HubOptions::default());
    let mut socket = node.attach(0, user_id(2)).await;
    node.hub.publish(vec![topic(2, TopicChange::Join(vec![user_id(2)]))]).await;
    node.hub.subscribe(node.workers[0], socket.socket, Vec::new()).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(socket.types(1).await, ["new_message"]);
}

#[tokio::test]
async fn what_was_read_for_a_socket_that_is_gone_brings_nobody_in() {
    let mut node = Node::start(1, HubOptions::default());
    let gone = node.attach(0, user_id(2)).await;
    node.hub.detach(node.workers[0], gone.socket);
    node.hub.publish(vec![topic(2, TopicChange::Leave(vec![user_id(2)]))]).await;
    let mut socket = node.attach(0, user_id(2)).await;
    let stale = Topic { conversation_id: group(), member_epoch: 1, version: 4, last_seq: 4 };
    node.hub.subscribe(node.workers[0], gone.socket, vec![stale]).await;
    node.hub.subscribe(node.workers[0], socket.socket, Vec::new()).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    node.hub.subscribe(node.workers[0], socket.socket, Vec::new()).await;
    assert!(socket.queue.try_recv().is_err());
}

#[tokio::test]
async fn where_nobody_knows_who_is_in_all_listeners_are_let_go() {
    let mut node = Node::start(1, HubOptions::default());
    let mut inside = node.listen(0, user_id(1), &[group()]).await;
    let mut outside = node.listen(0, user_id(2), &[]).await;
    node.hub.publish(vec![topic(0, TopicChange::Doubtful), to_group(message(1), None)]).await;
    assert_eq!(inside.types(1).await, ["Missed"]);
    node.hub.subscribe(node.workers[0], outside.socket, Vec::new()).await;
    assert!(matches!(outside.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}

#[tokio::test]
async fn who_comes_back_after_a_doubt_hears_of_what_he_is_in_alone() {
    let mut node = Node::start(1, HubOptions::default());
    let mut removed = node.listen(0, user_id(2), &[group()]).await;
    let mut stays = node.listen(0, user_id(3), &[group()]).await;
    // A socket that the doubt does not concern: its person stays known.
    let elsewhere = node.attach_to(0, user_id(2), Some(conversation_id(2))).await;
    node.subscribe(&elsewhere, &[conversation_id(2)]).await;
    node.hub.publish(vec![topic(0, TopicChange::Doubtful)]).await;
    for let_go in [&mut removed, &mut stays] {
        assert_eq!(let_go.types(1).await, ["Missed"]);
    }
    let mut removed = node.listen(0, user_id(2), &[]).await;
    let mut stays = node.listen(0, user_id(3), &[group()]).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(stays.types(1).await, ["new_message"]);
    assert!(matches!(removed.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}

#[tokio::test]
async fn who_read_his_topics_before_a_doubt_reads_them_anew() {
    let mut node = Node::start(1, HubOptions::default());
    let mut early = node.attach(0, user_id(2)).await;
    node.carry_out(topic(0, TopicChange::Doubtful)).await;
    node.subscribe(&early, &[group()]).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(early.types(1).await, ["Missed"]);
}

#[tokio::test]
async fn who_read_his_topics_before_a_deletion_listens_to_nothing() {
    let mut node = Node::start(1, HubOptions::default());
    let mut early = node.attach(0, user_id(2)).await;
    node.carry_out(topic(i64::MAX, TopicChange::Dissolve)).await;
    node.subscribe(&early, &[group()]).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    node.subscribe(&early, &[]).await;
    assert!(matches!(early.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}

#[tokio::test]
async fn a_conversation_that_is_deleted_has_no_listeners() {
    let mut node = Node::start(1, HubOptions::default());
    let mut socket = node.listen(0, user_id(2), &[group()]).await;
    node.hub.publish(vec![topic(i64::MAX, TopicChange::Dissolve)]).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    node.hub.subscribe(node.workers[0], socket.socket, Vec::new()).await;
    assert!(socket.queue.try_recv().is_err());
}

#[tokio::test]
async fn a_socket_that_cannot_keep_up_is_let_go_and_the_others_lose_nothing() {
    let options = HubOptions { socket_queue: 4, ..HubOptions::default() };
    let mut node = Node::start(1, options);
    let mut slow = node.listen(0, user_id(1), &[group()]).await;
    let mut quick = node.listen(0, user_id(2), &[group()]).await;
    for seq in 1..=8 {
        node.hub.publish(vec![to_group(message(seq), None)]).await;
        assert_eq!(quick.types(1).await, ["new_message"]);
    }
    assert_eq!(slow.types(4).await, ["new_message"; 4]);
    assert_eq!(slow.next().await, None, "its queue ends without a last word");
}

#[tokio::test]
async fn ending_a_session_closes_its_sockets_and_no_others() {
    let mut node = Node::start(2, HubOptions::default());
    let mut ended = node.listen(0, user_id(1), &[group()]).await;
    let mut other = node.listen(1, user_id(1), &[group()]).await;
    let close = Dispatch::Close {
        user_id: user_id(1),
        session_id: session_id(99),
        reason: CloseReason::SignedOut,
    };
    node.hub.publish(vec![close, to_group(message(1), None)]).await;
    assert_eq!(ended.types(1).await, ["new_message"]);
    let close = Dispatch::Close {
        user_id: user_id(1),
        session_id: session(user_id(1)),
        reason: CloseReason::SignedOut,
    };
    node.hub.publish(vec![close]).await;
    assert_eq!(ended.next().await.unwrap().0, "SignedOut");
    assert_eq!(ended.next().await, None);
    assert_eq!(other.types(2).await, ["new_message", "SignedOut"]);
}

#[tokio::test]
async fn a_socket_that_went_is_forgotten() {
    let mut node = Node::start(1, HubOptions::default());
    let gone = node.listen(0, user_id(1), &[group()]).await;
    let mut stays = node.listen(0, user_id(2), &[group()]).await;
    node.hub.detach(node.workers[0], gone.socket);
    drop(gone.queue);
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(stays.types(1).await, ["new_message"]);
}

#[tokio::test]
async fn a_closed_hub_takes_no_sockets() {
    let mut node = Node::start(1, HubOptions::default());
    let mut socket = node.listen(0, user_id(1), &[group()]).await;
    node.hub.close();
    assert_eq!(socket.next().await, None);
    assert!(node.hub.attach(node.workers[0], socket.socket).await.is_none());
    node.hub.publish(vec![to_group(message(1), None)]).await;
}
