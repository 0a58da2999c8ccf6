use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Me, Message, Profile, given, present};
use crate::Time;

/// The kinds of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Kind {
    /// Two people.
    Direct,
    /// Private, by invitation.
    Group,
    /// Listed; anyone may join.
    Channel,
}

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Posting {
    /// Every member.
    Everyone,
    /// Admins and owners.
    Admins,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Also names, adds, removes.
    Admin,
    /// Also gives roles and deletes.
    Owner,
}

/// A conversation. Frames leave out what is personal: `last_message`, `peer`, `my`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// Direct, group or channel.
    pub kind: Kind,
    /// Its name; direct chats have none.
    pub name: Option<String>,
    /// What it says of itself.
    pub description: Option<String>,
    /// Its picture, once there are pictures.
    pub avatar_url: Option<String>,
    /// Who made it.
    pub created_by: Uuid,
    /// When it was made.
    pub created_at: Time,
    /// When its name, description or rules last changed.
    pub updated_at: Time,
    /// How many members it has.
    pub member_count: u32,
    /// Who may write.
    pub posting: Posting,
    /// The number of its newest message; 0 for one who is not in it.
    pub last_seq: i64,
    /// The number of its newest durable change; 0 for one who is not in it.
    pub version: i64,
    /// When its newest message was sent; `null` for one who is not in it.
    pub last_message_at: Option<Time>,
    /// The newest message you may see; left out of a `sync` frame that would be too long with it.
    #[serde(default)]
    pub last_message: Option<Message>,
    /// The other one of a direct chat.
    #[serde(default)]
    pub peer: Option<Profile>,
    /// Your own place in it.
    #[serde(default)]
    pub my: Option<My>,
    /// The members, in the answer to making a group or channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// How far its other members have received and read, in a sync, up to 256 members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Vec<MemberMarks>>,
}

/// How far a member has received and read, as far as you may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberMarks {
    /// Who.
    pub user_id: Uuid,
    /// The newest message his devices have.
    pub delivered_seq: i64,
    /// The newest message he has read.
    pub read_seq: i64,
}

/// A member's own place in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct My {
    /// What you may do.
    pub role: Role,
    /// The first message you see.
    pub first_seq: i64,
    /// The newest message you have read.
    pub read_seq: i64,
    /// The newest message your devices have.
    pub delivered_seq: i64,
    /// How many messages you have not read, up to 999.
    pub unread_count: u32,
    /// How many of them mention you.
    pub unread_mentions: u32,
    /// Notifications are off until then.
    pub muted_until: Option<Time>,
    /// Kept at the top.
    pub pinned: bool,
    /// Kept out of the inbox.
    pub archived: bool,
    /// Taken out of the inbox until the next message.
    pub hidden: bool,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// Who.
    pub user_id: Uuid,
    /// The unique name; `null` once the account is erased.
    pub username: Option<String>,
    /// What people see.
    pub display_name: String,
    /// What he may do.
    pub role: Role,
    /// When he joined.
    pub joined_at: Time,
}

/// A member in a list of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberChanged {
    /// The member.
    #[serde(flatten)]
    pub member: Member,
    /// The number of the change.
    pub version: i64,
    /// Whether he is a member no more.
    pub left: bool,
}

/// A new conversation of any kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NewConversation {
    /// The chat with one other person; the one that is there, if there is one.
    Direct {
        /// The other person.
        user_id: Uuid,
    },
    /// A private group.
    Group {
        /// Its name.
        name: String,
        /// What it says of itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its first members beside you.
        #[serde(default, alias = "members")]
        member_ids: Vec<Uuid>,
    },
    /// A channel, listed for everyone.
    Channel {
        /// Its name.
        name: String,
        /// What it says of itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Who may write; `everyone` if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posting: Option<Posting>,
    },
}

/// A new channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewChannel {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(example = "Announcements"))]
    pub name: String,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who may write; `everyone` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posting: Option<Posting>,
}

/// A change of one's own settings of a conversation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsPatch {
    /// Until when notifications are off; `null` turns them on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Time>))]
    pub muted_until: Option<Option<Time>>,
    /// Whether it is kept at the top of the inbox.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
    /// Whether it is kept out of the inbox.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
}

/// An invite to be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewInvite {
    /// After how many seconds it ends; never, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = 86_400))]
    pub expires_in: Option<u64>,
    /// How many may come in by it; any number, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = 10))]
    pub max_uses: Option<u32>,
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Invite {
    /// What it is redeemed by.
    pub code: String,
    /// Where to send people.
    pub url: String,
    /// When it ends.
    pub expires_at: Option<Time>,
    /// How many may come in by it.
    pub max_uses: Option<u32>,
    /// How many have come in by it.
    pub uses: u32,
}

/// A new group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewGroup {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(example = "Family"))]
    pub name: String,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its first members beside you; `member_ids` is the same.
    #[serde(default, alias = "member_ids")]
    pub members: Vec<Uuid>,
}

/// A change of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConversationPatch {
    /// The new name.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new description; `null` removes it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub description: Option<Option<String>>,
    /// Who may write.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub posting: Option<Posting>,
}

/// New members: `user_id` or `user_ids`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddMembers {
    /// One.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// Or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ids: Option<Vec<Uuid>>,
}

/// Another role for a member.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleChange {
    /// The role.
    pub role: Role,
}

/// What changed in a conversation since a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changes {
    /// Everything up to this version is in here; ask again with it while `has_more`.
    pub version: i64,
    /// There is more.
    pub has_more: bool,
    /// Too far behind: drop what you hold of it and load the newest page.
    pub reset: bool,
    /// The conversation as it is now.
    pub conversation: Conversation,
    /// Messages changed since, in the order of their versions.
    pub messages: Vec<Message>,
    /// Members changed since, those who left marked.
    pub members: Vec<MemberChanged>,
}

/// Somebody's presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PresenceEntry {
    /// Whose.
    pub user_id: Uuid,
    /// Whether a device is connected; `null` where that is hidden.
    pub online: Option<bool>,
    /// When the last device went.
    pub last_seen: Option<Time>,
}

/// What changed for you since a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sync {
    /// Give it as `since` the next time.
    pub token: String,
    /// There is more: ask again with the token at once.
    pub has_more: bool,
    /// Conversations that changed.
    pub conversations: Vec<Conversation>,
    /// Conversations that are not yours any more, or that you hid.
    pub removed: Vec<Uuid>,
    /// Profiles that changed of people you share a direct chat or group with.
    pub users: Vec<Profile>,
    /// The presence of the people you have direct chats with, all of them over the pages of a sync.
    pub presence: Vec<PresenceEntry>,
    /// The people you have blocked, all of them over the pages of a sync.
    pub blocks: Vec<Uuid>,
    /// Your own account.
    pub me: Me,
}
