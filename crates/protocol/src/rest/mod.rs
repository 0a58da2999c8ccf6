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
        AddMembers, Changes, Conversation, ConversationPatch, Kind, Member, MemberChanged, My,
        NewConversation, NewGroup, Posting, PresenceEntry, Role, RoleChange, Sync,
    },
    messages::{
        Edit, History, Message, MessageType, Reaction, ReplyRef, SendMessage, SystemEvent,
        SystemEventKind,
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

/// Tells a field that is `null` from one that is absent.
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
