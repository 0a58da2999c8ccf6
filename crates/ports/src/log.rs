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
    conversation::{Conversation, ConversationPatch, Head, SettingsPatch, Version},
    event::{Audience, ReactionEvent},
    group::{MemberChange, Role},
    message::{Digest, Message, MessageKind},
    text::{ClientMessageId, Content, Emoji, InviteCode},
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
    /// Give a message another text. Whom it mentions is found anew. In a direct chat whose two have
    /// blocked each other it is refused, and so it is of a message that was deleted.
    ///
    /// Of two edits at once the last stands: they are the sender's own. Reactions and pins that came
    /// between do not make it stale, or a message that many react to could not be edited.
    Edit {
        /// Which message.
        message_id: MessageId,
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
    /// Pin a message, or take the pin away. As for an edit, only that it was deleted, or a block, stands
    /// against it.
    Pin {
        /// Which message.
        message_id: MessageId,
        /// Whether it is pinned from now on.
        pinned: bool,
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
    /// Give a reaction, or take it back. Like a send it is judged by the store itself.
    React(React),
    /// Make a direct chat without a message, or find the one that is there. Refused as blocked if one
    /// of the two has blocked the other.
    Open(Open),
    /// Make a group or channel.
    Create {
        /// What it is.
        conversation: Conversation,
        /// Its first members, the creator among them. All ids are known accounts.
        members: Vec<(UserId, Role)>,
    },
    /// Change members and roles, each change with a version of its own. In a group the history notes
    /// who came and went. Who is blocked by `by`, or has blocked him, cannot be made to join: the
    /// whole command is refused.
    Members {
        /// Who decided it.
        by: UserId,
        /// The changes, each with the id that a note of it will have.
        changes: Vec<(MemberChange, MessageId)>,
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
    /// Come in of one's own will. Judged by the store itself; for one who is in already nothing
    /// changes. In a group the history notes it.
    Join(Join),
    /// Change name, description, posting. The history notes another name. Where all of them are so
    /// already, nothing changes.
    Update {
        /// Who decided it.
        by: UserId,
        /// The id that a note of another name will have.
        note: MessageId,
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
    /// Change a member's own settings. Like hiding it takes no version.
    Settings {
        /// Whose.
        member: UserId,
        /// The changes.
        patch: SettingsPatch,
    },
    /// Delete it for all, with its messages.
    Remove {
        /// The member epoch when the decision was made.
        member_epoch: i64,
    },
}

/// A reaction to be given or taken back.
///
/// Refused as not found to one who cannot see the message, as the domain says for a message that
/// cannot be reacted to, as blocked in a direct chat whose two have blocked each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct React {
    /// To which message.
    pub message_id: MessageId,
    /// By whom.
    pub by: UserId,
    /// The emoji.
    pub emoji: Emoji,
    /// Given, or taken back.
    pub given: bool,
}

/// One who comes in of his own will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Who.
    pub user: UserId,
    /// By what right.
    pub by: Entrance,
    /// The id that a note of it will have.
    pub note: MessageId,
}

/// By what right one comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// It is a channel, and open to anyone. What is not there or no channel is refused as not found.
    Open,
    /// By an invite, which counts it. One that is spent, expired, or for another conversation is
    /// refused as not found.
    Invite(InviteCode),
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
    /// A message has another text, or is pinned or not any more; told to those who may see it. A pin
    /// that was there already, or was not, changes nothing, and is told to nobody.
    Revised(Arc<Message>, Option<Audience>),
    /// A reaction was given or taken back; told to those who may see the message. `None`: it was
    /// there already, or was not.
    Reacted(Option<(ReactionEvent, Audience)>),
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
        /// What changed, in the order of the versions.
        changes: Vec<MemberChanged>,
        /// Who is told of members, beside those who came or went: in a channel its admins and owners.
        audience: Audience,
    },
    /// Name, description and posting are as they were asked to be.
    Updated {
        /// The conversation after it.
        conversation: Arc<Conversation>,
        /// Its head after it, but before the note.
        head: Head,
        /// Whether any of them was another before. If not there is nothing to tell, and no version was
        /// taken.
        changed: bool,
        /// What the history notes of it.
        note: Option<Arc<Message>>,
    },
    /// A member's own settings are as they were asked to be; `true`: they were others before.
    Settled(bool),
    /// It is hidden for the member.
    Hidden(Arc<Conversation>),
    /// It is deleted for all.
    Removed(Arc<Conversation>),
}

/// A change of members that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberChanged {
    /// The change.
    pub change: MemberChange,
    /// The role that the person has; for one who left, his last.
    pub role: Role,
    /// The number of the change.
    pub version: Version,
    /// What the history notes of it, under the next number.
    pub note: Option<Arc<Message>>,
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
    /// - Blocks are read in the same step as membership.
    /// - Mentions are those of the names in the text (`Content::mentioned`) that members have.
    /// - A duplicate is looked up before rights are judged, so that a retry is answered even after
    ///   leaving.
    /// - A rejected command leaves no trace and does not touch its neighbours.
    /// - When this returns `Ok`, everything applied is durable.
    async fn apply(&self, batch: Arc<[Command]>) -> StoreResult<Vec<Result<Applied, Rejected>>>;
}
