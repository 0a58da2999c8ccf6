//! Every durable change of a conversation: commands in, what came of them out.
//!
//! A lane hands over a batch; the store carries it out in one transaction, in order, and answers
//! per command. A send is judged by the store itself, after the head is locked: membership, right
//! to post, duplicate. Every other command carries what the domain decided and the guard it was
//! decided under.

use std::sync::Arc;

use async_trait::async_trait;
use kith_domain::{
    ConversationId, MessageId, Refusal, Timestamp, UserId,
    conversation::{Conversation, ConversationPatch, Head, Version},
    event::Audience,
    group::{MemberChange, Role},
    message::{Digest, Message, MessageKind},
    text::{ClientMessageId, Content},
};

use crate::error::StoreResult;

/// A durable change of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Which conversation. For a direct chat the derived id, whether it exists or not.
    pub conversation_id: ConversationId,
    /// When it was asked for: the time that people will see.
    pub at: Timestamp,
    /// What is to change.
    pub change: Change,
}

/// What is to change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Append a message.
    Send(Send),
    /// Give a message another text.
    Edit {
        /// Which message.
        message_id: MessageId,
        /// Its version when the decision was made.
        message_version: Version,
        /// The new text.
        content: Content,
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
    /// Delete a message for everyone: a tombstone stays.
    Delete {
        /// Which message.
        message_id: MessageId,
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
    /// Make a direct chat without a message, or find the one that is there.
    Open(Open),
    /// Make a group or channel.
    Create {
        /// What it is.
        conversation: Conversation,
        /// Its first members, the creator among them. All ids are known accounts.
        members: Vec<(UserId, Role)>,
    },
    /// Change members and roles, each change with a version of its own.
    Members {
        /// The changes.
        changes: Vec<MemberChange>,
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
    /// Change name, description, posting.
    Update {
        /// The changes.
        patch: ConversationPatch,
        /// The member epoch when the decision was made.
        member_epoch: i64,
        /// The settings epoch when the decision was made.
        settings_epoch: i64,
    },
    /// Hide it for one member, with what it holds so far. It takes no version: nobody else's view
    /// changes. One who is not a member is refused as not found.
    Hide {
        /// For whom.
        member: UserId,
    },
    /// Delete it for all, with its messages.
    Remove {
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
}

/// A direct chat to be opened by one of its two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Who opens it.
    pub by: UserId,
    /// The other. Whether that account exists and lives is judged by the store.
    pub peer: UserId,
}

/// A message to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// The id it will have. Made before the first attempt, so that a retry cannot double it.
    pub id: MessageId,
    /// Who sends.
    pub sender_id: UserId,
    /// Set when it was addressed to a person: the direct chat is made if it is missing.
    pub peer: Option<UserId>,
    /// The sender's own id for it, unique for sender and conversation, for ever.
    pub client_message_id: ClientMessageId,
    /// The fingerprint that tells a retry from a re-use of the id.
    pub digest: Digest,
    /// Its kind.
    pub kind: MessageKind,
    /// Its text.
    pub content: Content,
    /// The message it answers. It must stand in the same conversation and be visible to the sender.
    pub reply_to: Option<MessageId>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The message was appended.
    Sent {
        /// The message, numbered.
        message: Arc<Message>,
        /// Its conversation.
        conversation: Arc<Conversation>,
    },
    /// It was sent before; this is the first message, as it is now.
    Duplicate(Arc<Message>, Arc<Conversation>),
    /// A message has another text; told to those who may see it.
    Edited(Arc<Message>, Audience),
    /// A message is deleted; told to those who may see it. Deleting it again changes nothing, and
    /// is told to nobody.
    Deleted(Arc<Message>, Option<Audience>),
    /// The direct chat is there.
    Opened(Arc<Conversation>, Head, Opening),
    /// The group or channel was made.
    Created(Arc<Conversation>, Head),
    /// Members changed. Changes that changed nothing are left out.
    MembersChanged {
        /// The conversation after it.
        conversation: Arc<Conversation>,
        /// Its head after it.
        head: Head,
        /// What changed, with the number of each change and, for one who left, his last role.
        changes: Vec<(MemberChange, Role, Version)>,
    },
    /// Name, description or posting changed.
    Updated(Arc<Conversation>, Head),
    /// It is hidden for the member.
    Hidden(Arc<Conversation>),
    /// It is deleted for all.
    Removed(Arc<Conversation>),
}

/// What opening a direct chat did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It made the chat.
    Made,
    /// It brought back a chat that the opener had hidden.
    Shown,
    /// Nothing: the chat was there.
    Unchanged,
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// The answer is no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What it was decided from has changed: read and decide anew.
    #[error("the state changed since it was read")]
    Stale,
}

/// The one way to change a conversation.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConversationLog: std::marker::Send + Sync {
    /// Carries out a batch in one transaction, in order, and answers each command.
    ///
    /// # Contract
    /// - The heads of all conversations named MUST be locked first, in the order of their ids;
    ///   members, rights and duplicates are read only after that.
    /// - `seq` and `version` MUST be dense in each conversation.
    /// - A duplicate is looked up before rights are judged, so that a retry is answered even after
    ///   leaving.
    /// - A rejected command leaves no trace and does not touch its neighbours.
    /// - When this returns `Ok`, everything applied is durable.
    async fn apply(&self, batch: Arc<[Command]>) -> StoreResult<Vec<Result<Applied, Rejected>>>;
}
