//! Bodies of the REST calls.

mod accounts;
mod conversations;
mod messages;
mod system;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::{
    accounts::{
        Erase, Login, LoginAnswer, Me, MePatch, PasswordChange, Profile, Refresh, Register,
        SessionInfo, Ticket, Visibility,
    },
    conversations::{
        AddMembers, Changes, Conversation, ConversationPatch, Invite, Kind, Member, MemberChanged,
        MemberMarks, My, NewChannel, NewConversation, NewGroup, NewInvite, Posting, PresenceEntry,
        Role, RoleChange, SettingsPatch, Sync,
    },
    messages::{
        Edit, History, Message, MessageRead, MessageStatus, MessageType, Reaction, Receipt,
        ReplyRef, SendMessage, SystemEvent, SystemEventKind, UpTo,
    },
    system::{FieldProblem, Health, Problem, Welcome},
};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Reads a field that may be left out, but not be `null`.
fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
