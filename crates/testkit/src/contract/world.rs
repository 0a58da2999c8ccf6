use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use kith_domain::{
    Code, ConversationId, MessageId, UserId,
    conversation::{Conversation, ConversationPatch, Head, Kind, Seq, SettingsPatch},
    group::MemberChange,
    message::Message,
    receipt::Watermarks,
    text::Emoji,
};
use kith_ports::{
    Advance, Advanced, ConversationCard, HistoryPage, HistorySelector, MessageCard, Receipt,
    SyncBody, SyncFrom, SyncRead, SyncRequest, SyncedConversation,
    log::{Applied, Change, Command, MemberChanged, React, Rejected},
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

    /// The id of a message that does not exist yet.
    pub fn new_message_id(&self) -> MessageId {
        build::message_id(self.next())
    }

    /// The command that changes members under the present epoch.
    pub async fn members_command(
        &self,
        by: UserId,
        id: ConversationId,
        changes: &[MemberChange],
    ) -> Command {
        let member_epoch = self.head(id).await.1.member_epoch;
        let changes =
            changes.iter().map(|change| (*change, self.new_message_id())).collect::<Vec<_>>();
        self.command(id, Change::Members { by, changes, member_epoch })
    }

    /// Changes members under the present epoch. It is the conversation's maker who does it.
    pub async fn change_members(
        &self,
        id: ConversationId,
        changes: &[MemberChange],
    ) -> Vec<MemberChanged> {
        let by = self.head(id).await.0.created_by;
        match self.apply(self.members_command(by, id, changes).await).await.unwrap() {
            Applied::MembersChanged { changes, .. } => changes,
            other => panic!("expected changed members, found {other:?}"),
        }
    }

    /// Somebody leaves.
    pub async fn leave(&self, id: ConversationId, member: UserId) {
        let leaving = self.members_command(member, id, &[MemberChange::Leaves(member)]).await;
        self.apply(leaving).await.unwrap();
    }

    /// Changes name, description, posting under the present epochs.
    pub async fn update(
        &self,
        by: UserId,
        id: ConversationId,
        patch: ConversationPatch,
    ) -> Result<Applied, Rejected> {
        let (conversation, head) = self.head(id).await;
        let (settings_epoch, member_epoch) = (conversation.settings_epoch, head.member_epoch);
        let note = self.new_message_id();
        let change = Change::Update { by, note, patch, member_epoch, settings_epoch };
        self.apply(self.command(id, change)).await
    }

    /// Gives a reaction, or takes it back.
    pub async fn react(
        &self,
        by: UserId,
        message: &Message,
        emoji: &str,
        given: bool,
    ) -> Result<Applied, Rejected> {
        let emoji = Emoji::parse(emoji).unwrap();
        let react = React { message_id: message.id, by, emoji, given };
        self.apply(self.command(message.conversation_id, Change::React(react))).await
    }

    /// Pins a message, or takes the pin away, under the present epoch and the version it came with.
    pub async fn pin(&self, message: &Message, pinned: bool) -> Result<Applied, Rejected> {
        let id = message.conversation_id;
        let change = Change::Pin {
            message_id: message.id,
            pinned,
            member_epoch: self.head(id).await.1.member_epoch,
        };
        self.apply(self.command(id, change)).await
    }

    /// Changes a member's own settings.
    pub async fn settle(
        &self,
        member: UserId,
        id: ConversationId,
        patch: SettingsPatch,
    ) -> Result<Applied, Rejected> {
        self.apply(self.command(id, Change::Settings { member, patch })).await
    }

    /// Moves a member's marks, and says what came of it.
    pub async fn advance(
        &self,
        reader: UserId,
        id: ConversationId,
        (delivered, read): (Seq, Seq),
    ) -> Option<Advanced> {
        let advance = self.advancing(reader, id, (delivered, read));
        self.stores.receipts.advance([advance].into()).await.unwrap().pop().unwrap()
    }

    /// A member's word on how far he has come, at the next second.
    pub fn advancing(
        &self,
        user_id: UserId,
        conversation_id: ConversationId,
        (delivered, read): (Seq, Seq),
    ) -> Advance {
        let (to, at) = (Watermarks { delivered, read }, at(self.next()));
        Advance { conversation_id, user_id, to, at }
    }

    /// How far a message has come with all the others, read in pages of any size.
    pub async fn receipts(
        &self,
        viewer: UserId,
        message: MessageId,
        limit: usize,
    ) -> Option<Vec<Receipt>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page =
                self.stores.receipts.receipts(viewer, message, after, limit).await.unwrap()?;
            assert!(page.items.len() <= limit);
            assert!(page.items.iter().all(|receipt| Some(receipt.user_id) > after));
            assert!(page.next.is_none() || page.next == page.items.last().map(|it| it.user_id));
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Some(all);
            }
        }
    }

    /// A message as one sees it.
    pub async fn message_card(&self, viewer: UserId, id: MessageId) -> Option<MessageCard> {
        self.stores.messages.card(viewer, id).await.unwrap()
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
        (page.items.iter().map(|card| card.message.seq).collect(), page)
    }

    /// A sync token for now.
    pub async fn horizon(&self) -> SyncFrom {
        (self.stores.settled)().await;
        self.stores.conversations.horizon().await.unwrap()
    }

    /// A page of a sync.
    pub async fn sync(&self, viewer: UserId, from: Option<SyncFrom>, limit: usize) -> SyncBody {
        (self.stores.settled)().await;
        let unchanged = match from.clone() {
            Some(from) => self.unchanged(viewer, from, limit).await,
            None => None,
        };
        match self.stores.conversations.sync(viewer, from, limit).await.unwrap() {
            SyncRead::Body(body) => {
                if let Some(unchanged) = unchanged {
                    assert_same_page(&unchanged, &body);
                }
                *body
            }
            SyncRead::Foreign => panic!("expected a page of a sync, found it foreign"),
        }
    }

    /// The sync of one for whom nothing changed, told beside that of one who has seen nothing yet.
    pub async fn unchanged(
        &self,
        viewer: UserId,
        from: SyncFrom,
        limit: usize,
    ) -> Option<SyncBody> {
        let anew = SyncFrom { since: 0, resume: None, ..from.clone() };
        let asked = [from, anew].map(|from| SyncRequest { viewer, from, limit });
        let told = self.stores.conversations.unchanged(&asked).await.unwrap();
        let [told, _]: [_; 2] = told.try_into().unwrap();
        told
    }
}

/// That a sync tells what was told of it together with others'.
#[track_caller]
fn assert_same_page(unchanged: &SyncBody, page: &SyncBody) {
    let nothing = page.conversations.is_empty() && page.removed.is_empty() && page.users.is_empty();
    assert!(nothing && !page.has_more, "something changed: {page:?}");
    assert_eq!(unchanged.correspondents, page.correspondents);
    assert_eq!(unchanged.blocks, page.blocks);
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

/// The ids of the conversations of a sync, in order.
pub(super) fn synced(conversations: &[SyncedConversation]) -> Vec<ConversationId> {
    conversations.iter().map(|synced| synced.card.conversation.id).collect()
}

/// The messages of cards.
pub(super) fn messages(cards: &[MessageCard]) -> Vec<Message> {
    cards.iter().map(|card| card.message.clone()).collect()
}
