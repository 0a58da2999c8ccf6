use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use kith_domain::{
    Code, ConversationId, UserId,
    conversation::{Conversation, Head, Kind, Seq, Version},
    group::{MemberChange, Role},
    message::Message,
};
use kith_ports::{
    ConversationCard, HistoryPage, HistorySelector, SyncBody, SyncFrom, SyncRead,
    log::{Applied, Change, Command, Rejected},
};

use super::Stores;
use crate::build::{self, at, user_id};

/// A store and what is in it: says in a line what a test needs.
#[derive(Debug)]
pub struct World {
    /// The store under test.
    pub stores: Stores,
    next: AtomicU64,
}

impl World {
    /// An empty world.
    pub fn new(stores: Stores) -> Self {
        Self { stores, next: AtomicU64::new(1) }
    }

    /// A number that was not given before.
    pub fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Registers the accounts 1 to `count`.
    pub async fn people(stores: Stores, count: u64) -> (Self, Vec<UserId>) {
        let world = Self::new(stores);
        for n in 1..=count {
            world.stores.users.register(build::account(n)).await.unwrap();
        }
        world.next.store(1_000, Ordering::Relaxed);
        (world, (1..=count).map(user_id).collect())
    }

    /// Applies one command.
    pub async fn apply(&self, command: Command) -> Result<Applied, Rejected> {
        self.apply_all(vec![command]).await.pop().unwrap()
    }

    /// Applies a batch.
    pub async fn apply_all(&self, batch: Vec<Command>) -> Vec<Result<Applied, Rejected>> {
        let count = batch.len();
        let outcomes = self.stores.log.apply(batch.into()).await.unwrap();
        assert_eq!(outcomes.len(), count, "an answer for each command");
        outcomes
    }

    /// Makes a group or channel of which the first person is the owner.
    pub async fn room(&self, kind: Kind, people: &[UserId]) -> ConversationId {
        let room = build::room(self.next(), kind, people[0]);
        let id = room.id;
        self.apply(build::create(room, &people[1..])).await.unwrap();
        id
    }

    /// Makes a group of which the first person is the owner.
    pub async fn group(&self, people: &[UserId]) -> ConversationId {
        self.room(Kind::Group, people).await
    }

    /// Sends to a conversation.
    pub async fn send(&self, to: ConversationId, sender: UserId, text: &str) -> Arc<Message> {
        sent(self.apply(build::send_to(to, self.next(), sender, text)).await)
    }

    /// Sends to a person.
    pub async fn write(&self, to: UserId, sender: UserId, text: &str) -> Arc<Message> {
        sent(self.apply(build::write_to(to, self.next(), sender, text)).await)
    }

    /// Sends many to a conversation in one batch.
    pub async fn send_many(&self, to: ConversationId, sender: UserId, count: usize) {
        let batch = (0..count).map(|_| build::send_to(to, self.next(), sender, "x")).collect();
        for outcome in self.apply_all(batch).await {
            sent(outcome);
        }
    }

    /// The epochs that decisions are made under, and the version.
    pub async fn head(&self, id: ConversationId) -> (Conversation, Head) {
        let snapshot = self.stores.conversations.snapshot(id, &[]).await.unwrap().unwrap();
        (snapshot.conversation, snapshot.head)
    }

    /// Changes members under the present epoch.
    pub async fn change_members(
        &self,
        id: ConversationId,
        changes: &[MemberChange],
    ) -> Vec<(MemberChange, Role, Version)> {
        let member_epoch = self.head(id).await.1.member_epoch;
        let change = Change::Members { changes: changes.to_vec(), member_epoch };
        match self.apply(self.command(id, change)).await.unwrap() {
            Applied::MembersChanged { changes, .. } => changes,
            other => panic!("expected changed members, found {other:?}"),
        }
    }

    /// Deletes a message under the present epoch.
    pub async fn delete(&self, message: &Message) -> Result<Applied, Rejected> {
        let id = message.conversation_id;
        let member_epoch = self.head(id).await.1.member_epoch;
        self.apply(self.command(id, Change::Delete { message_id: message.id, member_epoch })).await
    }

    /// Edits a message under the present epoch and the version it came with.
    pub async fn edit(&self, message: &Message, text: &str) -> Result<Applied, Rejected> {
        let id = message.conversation_id;
        let change = Change::Edit {
            message_id: message.id,
            message_version: message.version,
            content: build::content(text),
            member_epoch: self.head(id).await.1.member_epoch,
        };
        self.apply(self.command(id, change)).await
    }

    /// Deletes a group under the present epoch.
    pub async fn remove(&self, id: ConversationId) {
        let member_epoch = self.head(id).await.1.member_epoch;
        self.apply(self.command(id, Change::Remove { member_epoch })).await.unwrap();
    }

    /// Hides a conversation for one member.
    pub async fn hide(&self, member: UserId, id: ConversationId) -> Result<Applied, Rejected> {
        self.apply(self.command(id, Change::Hide { member })).await
    }

    /// A command at the next second.
    pub fn command(&self, conversation_id: ConversationId, change: Change) -> Command {
        Command { conversation_id, at: at(self.next()), change }
    }

    /// A conversation as one sees it.
    pub async fn card(&self, viewer: UserId, id: ConversationId) -> Option<ConversationCard> {
        self.stores.conversations.card(viewer, id).await.unwrap()
    }

    /// The numbers of a page of history.
    pub async fn page(
        &self,
        viewer: UserId,
        id: ConversationId,
        selector: HistorySelector,
        limit: usize,
    ) -> (Vec<Seq>, HistoryPage) {
        let page =
            self.stores.messages.history(viewer, id, selector, limit).await.unwrap().unwrap();
        (page.items.iter().map(|message| message.seq).collect(), page)
    }

    /// A sync token for now.
    pub async fn horizon(&self) -> SyncFrom {
        (self.stores.settled)().await;
        self.stores.conversations.horizon().await.unwrap()
    }

    /// A page of a sync.
    pub async fn sync(&self, viewer: UserId, from: Option<SyncFrom>, limit: usize) -> SyncBody {
        (self.stores.settled)().await;
        match self.stores.conversations.sync(viewer, from, limit).await.unwrap() {
            SyncRead::Body(body) => *body,
            SyncRead::Foreign => panic!("expected a page of a sync, found it foreign"),
        }
    }
}

/// The message of an outcome that must be a new one.
#[track_caller]
pub(super) fn sent(outcome: Result<Applied, Rejected>) -> Arc<Message> {
    match outcome.unwrap() {
        Applied::Sent { message, .. } => message,
        other => panic!("expected a new message, found {other:?}"),
    }
}

/// The message of an outcome that must be a duplicate.
#[track_caller]
pub(super) fn duplicate(outcome: Result<Applied, Rejected>) -> Arc<Message> {
    match outcome.unwrap() {
        Applied::Duplicate(message, _) => message,
        other => panic!("expected a duplicate, found {other:?}"),
    }
}

/// The code of an outcome that must be a refusal.
#[track_caller]
pub(super) fn refused(outcome: Result<Applied, Rejected>) -> Code {
    match outcome.unwrap_err() {
        Rejected::Refused(refusal) => match refusal.fields.as_slice() {
            [field] => field.code,
            _ => refusal.code,
        },
        Rejected::Stale => panic!("expected a refusal, found it stale"),
    }
}

/// The ids of cards, in order.
pub(super) fn ids(cards: &[ConversationCard]) -> Vec<ConversationId> {
    cards.iter().map(|card| card.conversation.id).collect()
}
