//! What the tests of use cases share: a bus that remembers, and valid values.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kith_domain::{
    ConnectionId, ConversationId, MessageId, SessionId, UserId,
    conversation::{Conversation, Head, Kind, Posting},
    group::Role,
    message::{Body, Message, MessageKind, SystemEvent},
    session::{Device, Session},
    text::{ClientMessageId, Content, Email, Name, Username},
    user::{Privacy, User},
};
use kith_ports::{
    Clock as _, MemberSnapshot, MockBlockStore, MockConversationStore, MockMessageStore,
    MockReceiptStore, Seals, Snapshot, Tally,
    live::{Dispatch, EventBus, Origin},
    log::{Applied, Change, Command, ConversationLog},
};
use kith_testkit::{FixedClock, SequentialIds};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    limits::Rate,
    messaging::{LaneOptions, Messaging, Outgoing, Ports, Target},
    receipts::{self, ReceiptOptions, Receipts},
};

pub(crate) fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(0xaaaa_0000 + n))
}

pub(crate) fn group_id() -> ConversationId {
    ConversationId::from_uuid(Uuid::from_u128(0xbbbb))
}

pub(crate) fn session_id(n: u128) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0xcccc_0000 + n))
}

pub(crate) fn connection(n: u128) -> ConnectionId {
    ConnectionId::from_uuid(Uuid::from_u128(0xeeee_0000 + n))
}

pub(crate) fn message_id(n: u128) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(0xdddd_0000 + n))
}

pub(crate) fn account(n: u128) -> User {
    User {
        id: user(n),
        username: Some(Username::parse(&format!("user_{n}")).unwrap()),
        email: Some(Email::parse(&format!("user_{n}@example.org")).unwrap()),
        display_name: Name::parse(&format!("User {n}")).unwrap(),
        about: None,
        privacy: Privacy::default(),
        created_at: FixedClock::new().now(),
        deleted_at: None,
        last_seen: None,
    }
}

pub(crate) fn session(n: u128, generation: u32) -> Session {
    let now = FixedClock::new().now();
    Session {
        id: session_id(n),
        user_id: user(n),
        device: Device::default(),
        generation,
        created_at: now,
        last_used_at: now,
        expires_at: Session::expiry(now, now),
        revoked_at: None,
    }
}

pub(crate) fn group(members: u32) -> Conversation {
    let now = FixedClock::new().now();
    Conversation {
        id: group_id(),
        kind: Kind::Group,
        pair: None,
        name: Some(Name::parse("Family").unwrap()),
        description: None,
        posting: Posting::Everyone,
        created_by: user(1),
        created_at: now,
        updated_at: now,
        member_count: members,
        settings_epoch: 3,
    }
}

/// The direct chat of two people.
pub(crate) fn direct(a: u128, b: u128) -> Conversation {
    Conversation {
        id: ConversationId::direct(user(a), user(b)),
        kind: Kind::Direct,
        pair: Some((user(a).min(user(b)), user(a).max(user(b)))),
        name: None,
        ..group(2)
    }
}

pub(crate) fn head() -> Head {
    Head { last_seq: 5, version: 9, member_epoch: 7, last_message_at: None }
}

/// A group with these members, as a decision reads it.
pub(crate) fn snapshot(members: &[(u128, Role)]) -> Snapshot {
    Snapshot {
        conversation: group(u32::try_from(members.len()).unwrap()),
        head: head(),
        owners: u32::try_from(members.iter().filter(|m| m.1 == Role::Owner).count()).unwrap(),
        members: members
            .iter()
            .map(|&(n, role)| MemberSnapshot { user_id: user(n), role })
            .collect(),
    }
}

pub(crate) fn said(text: &str) -> Body {
    Body::Said { kind: MessageKind::Text, content: Some(Content::parse(text).unwrap()) }
}

/// What the history notes of a change.
pub(crate) fn note(n: u128, by: u128, seq: i64, event: SystemEvent) -> Arc<Message> {
    Arc::new(Message { body: Body::Noted(event), ..message(n, by, seq) })
}

pub(crate) fn message(n: u128, sender: u128, seq: i64) -> Message {
    Message {
        id: message_id(n),
        conversation_id: group_id(),
        seq,
        version: seq + 1,
        sender_id: user(sender),
        client_message_id: ClientMessageId::parse(&format!("c-{n}")).unwrap(),
        body: said("hi"),
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        created_at: FixedClock::new().now(),
        edited_at: None,
        deleted_at: None,
        pinned_at: None,
    }
}

/// What a send to the group becomes when it is stored under `seq`.
pub(crate) fn stored(command: &Command, seq: i64) -> Applied {
    let Change::Send(send) = &command.change else { panic!("{command:?} is no send") };
    let message = Message {
        id: send.id,
        sender_id: send.sender_id,
        client_message_id: send.client_message_id.clone(),
        body: said(send.content.as_str()),
        ..message(0, 1, seq)
    };
    Applied::Sent { message: Arc::new(message), conversation: Arc::new(group(2)) }
}

pub(crate) fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        target: Target::Conversation(group_id()),
        content: Content::parse(text).unwrap(),
        client_message_id: None,
        kind: MessageKind::Text,
        reply_to: None,
    }
}

pub(crate) fn origin(n: u128) -> Origin {
    Origin { connection: connection(n), frame_id: Some(n.to_string().into()) }
}

/// A bus that remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Dispatch>>);

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What it was told, and forgets it.
    pub(crate) fn take(&self) -> Vec<Dispatch> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl EventBus for Recorder {
    async fn publish(&self, batch: Vec<Dispatch>) {
        self.0.lock().unwrap().extend(batch);
    }
}

/// Blocks between the first person and these.
pub(crate) fn blocking(others: &'static [u128]) -> MockBlockStore {
    let mut blocks = MockBlockStore::new();
    blocks.expect_blocked_among().returning(|_, asked| {
        Ok(others.iter().map(|n| user(*n)).filter(|other| asked.contains(other)).collect())
    });
    blocks
}

/// Receipts over this store, with their lane running.
pub(crate) fn receipts(
    store: MockReceiptStore,
    messages: MockMessageStore,
    bus: Arc<Recorder>,
    options: ReceiptOptions,
) -> Receipts {
    let ports = receipts::Ports {
        store: Arc::new(store),
        messages: Arc::new(messages),
        conversations: Arc::new(MockConversationStore::new()),
        bus,
        clock: Arc::new(FixedClock::new()),
    };
    Receipts::start(ports, options, &TaskTracker::new())
}

/// Messaging over this log, with its lanes running.
pub(crate) fn messaging(
    log: impl ConversationLog + 'static,
    messages: MockMessageStore,
    conversations: MockConversationStore,
    bus: Arc<Recorder>,
    options: LaneOptions,
) -> Messaging {
    let ports = Ports {
        log: Arc::new(log),
        messages: Arc::new(messages),
        conversations: Arc::new(conversations),
        bus,
        clock: Arc::new(FixedClock::new()),
        ids: Arc::new(SequentialIds::default()),
    };
    Messaging::start(ports, Rate::new(0, 1), options, &TaskTracker::new())
}

/// Seals that hide nothing.
pub(crate) struct PlainSeals;

impl Seals for PlainSeals {
    fn seal(&self, purpose: &str, owner: UserId, payload: &[u8]) -> String {
        format!("{purpose} {owner} {payload:?}")
    }

    fn open(&self, purpose: &str, owner: UserId, sealed: &str) -> Option<Vec<u8>> {
        let payload = sealed.strip_prefix(&format!("{purpose} {owner} ["))?.strip_suffix(']')?;
        payload.split(", ").map(|byte| byte.parse().ok()).collect()
    }
}

/// Counts that never pass.
#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<String, i64>>);

#[async_trait]
impl Tally for Counts {
    async fn add(&self, name: &str, by: i64, _lifetime: Duration) -> i64 {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(name.to_owned()).or_default();
        *count += by;
        *count
    }

    async fn get(&self, name: &str) -> i64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}
