//! What is read of conversations and messages. All writing goes through [`crate::log`].

use async_trait::async_trait;
use kith_domain::{
    ConversationId, MessageId, Timestamp, UserId,
    conversation::{Conversation, Head, Kind, Membership, Seq, Version},
    group::Role,
    message::Message,
    receipt::{Status, Watermarks},
    text::Excerpt,
    user::User,
};

use crate::error::StoreResult;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<C>,
}

/// A message as one member sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageCard {
    /// What is the same for all.
    pub message: Message,
    /// How far one's own message has come: what all others have reached. `None` for messages of
    /// others, system messages, and where the conversation is not small.
    pub status: Option<Status>,
    /// The beginning of the message it answers, where the member sees that one and it was not
    /// deleted.
    pub excerpt: Option<Excerpt>,
}

/// A conversation as one member sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationCard {
    /// What is the same for all.
    pub conversation: Conversation,
    /// Its head, read in the same snapshot.
    pub head: Head,
    /// The newest message the member may see.
    pub last_message: Option<MessageCard>,
    /// The other one of a direct chat.
    pub peer: Option<User>,
    /// The member's place.
    pub my: Membership,
    /// What he has not read.
    pub unread: Unread,
}

/// What a member has not read: messages after his mark, and after what he hid, that are not his own,
/// not deleted, and not the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many, exact up to [`Unread::MOST`].
    pub count: u32,
    /// How many of those counted mention him.
    pub mentions: u32,
}

impl Unread {
    /// Counting stops here.
    pub const MOST: u32 = 999;
}

/// Which conversations an inbox shows. Those that are hidden are never in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only archived ones, or only others; `None`: both.
    pub archived: Option<bool>,
    /// Only this kind.
    pub kind: Option<Kind>,
}

/// Where an inbox page goes on: after the conversation with this place in the order (pinned first,
/// then newest activity, then id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxCursor {
    /// Whether it is pinned.
    pub pinned: bool,
    /// Its newest activity: the newest message, else its making.
    pub active_at: Timestamp,
    /// Its id.
    pub id: ConversationId,
}

/// A member in a list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Who.
    pub user: User,
    /// His role.
    pub role: Role,
    /// When he joined.
    pub joined_at: Timestamp,
    /// The number of the newest change of his membership.
    pub version: Version,
    /// Whether he is in it no more; only in [`Changes`].
    pub left: bool,
}

/// Where a page of members goes on: after the member who joined then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberCursor {
    /// When he joined.
    pub joined_at: Timestamp,
    /// Who he is.
    pub user_id: UserId,
}

/// What decisions about members and settings are made from, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The conversation, with its settings epoch.
    pub conversation: Conversation,
    /// Its head, with its member epoch.
    pub head: Head,
    /// How many owners it has.
    pub owners: u32,
    /// Those asked for who are members now.
    pub members: Vec<MemberSnapshot>,
}

/// A member, as decisions need him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSnapshot {
    /// Who.
    pub user_id: UserId,
    /// His role.
    pub role: Role,
}

impl Snapshot {
    /// The role of one of those asked for; `None` if he is not a member.
    pub fn role_of(&self, user: UserId) -> Option<Role> {
        self.members.iter().find(|member| member.user_id == user).map(|member| member.role)
    }
}

/// A conversation whose events a member's sockets get by topic: a group or channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Which.
    pub conversation_id: ConversationId,
    /// The member epoch when it was read.
    pub member_epoch: i64,
    /// The version when it was read.
    pub version: Version,
    /// The number of the newest message when it was read.
    pub last_seq: Seq,
}

/// What changed in a conversation since a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The conversation, as the viewer sees it.
    pub card: ConversationCard,
    /// Everything up to this version is in here.
    pub version: Version,
    /// There is more after it.
    pub has_more: bool,
    /// Too much to list, or the viewer's role in a channel is another, and so are the members that he
    /// sees: drop what you hold, and load the newest page and the members.
    pub reset: bool,
    /// Messages changed since, in the order of their versions.
    pub messages: Vec<MessageCard>,
    /// Members changed since, those who left marked, in the order of their versions. One who may not
    /// list a channel's members finds himself and those in charge; who is so no longer has left, for him.
    pub members: Vec<MemberRow>,
}

/// Where a sync begins.
///
/// `changed` numbers are the store's transaction numbers: no clock decides what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFrom {
    /// The database the token is for: another one after a restore from backup.
    pub incarnation: [u8; 16],
    /// Everything changed in a transaction of this number or a later one is wanted.
    pub since: i64,
    /// Set inside a paged sync: the horizon of its first page, and how far it got.
    pub resume: Option<(i64, SyncStage)>,
}

/// One who asks what changed for him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// Who asks.
    pub viewer: UserId,
    /// Since when.
    pub from: SyncFrom,
    /// How many conversations a page has at most.
    pub limit: usize,
}

/// How far a paged sync got: the conversations come first, the people after them, each by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStage {
    /// Conversations up to this one.
    Conversations(ConversationId),
    /// All conversations, and people up to this one; `None`: none yet.
    People(Option<UserId>),
}

/// A conversation in a sync.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncedConversation {
    /// The conversation.
    pub card: ConversationCard,
    /// The marks of its other members, as the viewer may see them, of those in charge alone where he
    /// may not list them; `None` unless it is small.
    pub marks: Option<Vec<MemberMarks>>,
}

/// How far a member has received and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberMarks {
    /// Who.
    pub user_id: UserId,
    /// How far.
    pub marks: Watermarks,
}

/// One page of a sync.
#[derive(Clone, Debug)]
pub enum SyncRead {
    /// The token is for another database: start anew.
    Foreign,
    /// The page.
    Body(Box<SyncBody>),
}

/// The content of a page of a sync.
#[derive(Clone, Debug)]
pub struct SyncBody {
    /// Where the next page, or the next sync, begins.
    pub next: SyncFrom,
    /// This sync has more pages.
    pub has_more: bool,
    /// Conversations changed for the viewer.
    pub conversations: Vec<SyncedConversation>,
    /// Conversations that are not his any more: left, removed from, hidden, deleted.
    pub removed: Vec<ConversationId>,
    /// Changed profiles of people he shares a direct chat or a group with.
    pub users: Vec<User>,
    /// Those with whom he has a direct chat that holds a message, whoever wrote it, and no block
    /// between them: whose presence he wants to know. All of them over the pages of each sync.
    pub correspondents: Vec<UserId>,
    /// Those he has blocked, all of them over the pages of each sync.
    pub blocks: Vec<UserId>,
}

/// A channel as anyone may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The channel.
    pub conversation: Conversation,
    /// Its head.
    pub head: Head,
    /// Whether the viewer is a member.
    pub joined: bool,
}

/// Where a page of the directory goes on: after the channel with this name, in the form in which
/// names are compared, and this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryCursor {
    /// The name.
    pub name: String,
    /// The id.
    pub id: ConversationId,
}

/// The list of what one member reads of his conversations.
pub type Catalog = Page<ConversationCard, InboxCursor>;

/// Reads of conversations and members.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConversationStore: Send + Sync {
    /// One conversation of `viewer`; `None` if he is not in it or it was deleted.
    async fn card(
        &self,
        viewer: UserId,
        id: ConversationId,
    ) -> StoreResult<Option<ConversationCard>>;

    /// A page of `viewer`'s conversations, pinned first, then newest activity.
    async fn inbox(
        &self,
        viewer: UserId,
        filter: InboxFilter,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> StoreResult<Catalog>;

    /// A page of the members of a conversation, those who joined first first; in a channel, for one
    /// who may not list its members, admins and owners alone.
    ///
    /// `None` if `viewer` is not a member.
    async fn members(
        &self,
        viewer: UserId,
        id: ConversationId,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> StoreResult<Option<Page<MemberRow, MemberCursor>>>;

    /// A page of the channels, by name; with `prefix` those whose name, or a word of whose name,
    /// begins with it without regard to case.
    async fn directory(
        &self,
        viewer: UserId,
        prefix: Option<String>,
        after: Option<DirectoryCursor>,
        limit: usize,
    ) -> StoreResult<Page<Listing, DirectoryCursor>>;

    /// A channel, for anyone. `None` if it does not exist, was deleted, or is no channel.
    async fn listing(&self, viewer: UserId, id: ConversationId) -> StoreResult<Option<Listing>>;

    /// Those of `named` who are members now. Authorisation is the caller's.
    async fn members_named(
        &self,
        id: ConversationId,
        named: &[UserId],
    ) -> StoreResult<Vec<MemberRow>>;

    /// What a decision about a conversation is made from, with those of `users` who are members.
    /// `None` if it does not exist or was deleted.
    async fn snapshot(&self, id: ConversationId, users: &[UserId])
    -> StoreResult<Option<Snapshot>>;

    /// The groups and channels of each of `members`, in their order.
    async fn topics(&self, members: &[UserId]) -> StoreResult<Vec<Vec<Topic>>>;

    /// What changed since `since`, at most `limit` changes, for one who is a member.
    ///
    /// More than [`Changes`] lists (1,000 changes behind): `reset`.
    async fn changes(
        &self,
        viewer: UserId,
        id: ConversationId,
        since: Version,
        limit: usize,
    ) -> StoreResult<Option<Changes>>;

    /// What changed for `viewer` since `from` (`None`: everything), at most `limit` conversations a
    /// page, and a few times as many people, but no more than one where `limit` is one. People begin on
    /// the page of the last conversations.
    ///
    /// A conversation has changed when anything of its card, or of its members' marks, has.
    ///
    /// # Contract
    /// A change that commits after this read MUST be found by the next sync, whatever order the
    /// transactions began in.
    async fn sync(
        &self,
        viewer: UserId,
        from: Option<SyncFrom>,
        limit: usize,
    ) -> StoreResult<SyncRead>;

    /// The syncs of those for whom nothing changed, in the order of `asked`, each whole on one page.
    ///
    /// `None` where something may have changed, or there is more than a page holds: then
    /// [`sync`](Self::sync) tells.
    async fn unchanged(&self, asked: &[SyncRequest]) -> StoreResult<Vec<Option<SyncBody>>>;

    /// Whether [`unchanged`](Self::unchanged) tells anything: where a statement costs a way to a server.
    fn tells_of_many(&self) -> bool;

    /// A sync token for now: every transaction below it has ended.
    async fn horizon(&self) -> StoreResult<SyncFrom>;
}

/// Which page of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistorySelector {
    /// The newest.
    Newest,
    /// The messages just before this number.
    Before(Seq),
    /// The messages just after this number.
    After(Seq),
    /// This message, up to half a page before it, the rest after it.
    Around(Seq),
}

/// A page of a history, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// The messages.
    pub items: Vec<MessageCard>,
    /// There are visible messages before the first.
    pub has_before: bool,
    /// There are messages after the last.
    pub has_after: bool,
    /// The version of the conversation in the same snapshot: `changes` from there misses nothing.
    pub version: Version,
}

/// A message with what decides who may change it, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageContext {
    /// The message.
    pub message: Message,
    /// Its conversation.
    pub conversation: Conversation,
    /// The member epoch of the conversation.
    pub member_epoch: i64,
    /// The viewer's role.
    pub my_role: Role,
    /// The role of the message's sender; `None` if he has left.
    pub sender_role: Option<Role>,
}

/// Reads of messages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// A page of the history that `viewer` may see; `None` if he is not a member.
    async fn history(
        &self,
        viewer: UserId,
        id: ConversationId,
        selector: HistorySelector,
        limit: usize,
    ) -> StoreResult<Option<HistoryPage>>;

    /// A message that `viewer` may see, as he sees it.
    async fn card(&self, viewer: UserId, id: MessageId) -> StoreResult<Option<MessageCard>>;

    /// Where a message that `viewer` may see stands.
    async fn locate(
        &self,
        viewer: UserId,
        id: MessageId,
    ) -> StoreResult<Option<(ConversationId, Seq)>>;

    /// A message that `viewer` may see, with what decides who may change it.
    async fn message(&self, viewer: UserId, id: MessageId) -> StoreResult<Option<MessageContext>>;

    /// Up to `limit` living messages by `sender` in any conversation, in the order of their ids.
    async fn sent_by(
        &self,
        sender: UserId,
        after: Option<MessageId>,
        limit: usize,
    ) -> StoreResult<Vec<(ConversationId, MessageId)>>;
}
