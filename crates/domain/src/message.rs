//! Messages: what they hold, what makes two sends the same, who may change them, reactions.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::{
    conversation::{Seq, Version},
    error::{Code, Refusal},
    group::Role,
    id::{ConversationId, MessageId, UserId},
    text::{ClientMessageId, Content, Emoji, Name},
    time::Timestamp,
};

/// How long after sending a message its text may be edited.
pub const EDIT_WINDOW: Duration = Duration::from_secs(15 * 60);

/// The most different emoji on one message.
pub const MOST_EMOJI: usize = 50;

/// What kind of message a person sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text.
    Text,
    /// A picture with an optional caption.
    Image,
    /// A file with an optional caption.
    File,
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where it stands.
    pub conversation_id: ConversationId,
    /// Its number there.
    pub seq: Seq,
    /// The number of its newest change.
    pub version: Version,
    /// Who wrote it.
    pub sender_id: UserId,
    /// The sender's own id for it.
    pub client_message_id: ClientMessageId,
    /// What it says.
    pub body: Body,
    /// The message it answers.
    pub reply_to: Option<ReplyRef>,
    /// The members it mentions, in the order of their ids.
    pub mentions: Vec<UserId>,
    /// The reactions to it, the emoji that was given first first.
    pub reactions: Vec<Reaction>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone.
    pub deleted_at: Option<Timestamp>,
    /// When it was pinned.
    pub pinned_at: Option<Timestamp>,
}

impl Message {
    /// Its text; `None` if it was deleted, or never had one.
    pub const fn content(&self) -> Option<&Content> {
        match &self.body {
            Body::Said { content, .. } => content.as_ref(),
            Body::Noted(_) => None,
        }
    }

    /// Whether it is the server's own word on what happened.
    pub const fn is_system(&self) -> bool {
        matches!(self.body, Body::Noted(_))
    }

    /// What is left of it when it is deleted at `at`: a tombstone in its place.
    #[must_use]
    pub fn deleted(self, at: Timestamp) -> Self {
        let body = match self.body {
            Body::Said { kind, .. } => Body::Said { kind, content: None },
            noted @ Body::Noted(_) => noted,
        };
        let (mentions, reactions) = (Vec::new(), Vec::new());
        Self { body, mentions, reactions, deleted_at: Some(at), pinned_at: None, ..self }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// What its sender wrote.
    Said {
        /// Its kind.
        kind: MessageKind,
        /// Its text; `None` once deleted.
        content: Option<Content>,
    },
    /// What its sender did in the conversation.
    Noted(SystemEvent),
}

/// What happened in a conversation, as its history tells it. Who did it is the message's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemEvent {
    /// This person came in: added by the sender, or the sender himself by an invite.
    MemberAdded(UserId),
    /// This person was removed.
    MemberRemoved(UserId),
    /// The sender left.
    MemberLeft,
    /// It has this name now.
    Renamed(Name),
}

/// One emoji under a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The emoji.
    pub emoji: Emoji,
    /// How many gave it.
    pub count: u32,
    /// The first of them, at most [`Reaction::NAMED`].
    pub users: Vec<UserId>,
}

impl Reaction {
    /// So many are named.
    pub const NAMED: usize = 20;
}

/// A message that another one answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyRef {
    /// Its id.
    pub id: MessageId,
    /// Its number, in the same conversation.
    pub seq: Seq,
    /// Who wrote it.
    pub sender_id: UserId,
}

/// The fingerprint of what a client sent: the same for a retry, another for other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The fingerprint of a send.
    pub fn of(kind: MessageKind, content: &Content, reply_to: Option<MessageId>) -> Self {
        let kind = match kind {
            MessageKind::Text => 0u8,
            MessageKind::Image => 1,
            MessageKind::File => 2,
        };
        let hash = Sha256::new()
            .chain_update([kind])
            .chain_update(reply_to.map_or([0; 16], |id| *id.as_uuid().as_bytes()))
            .chain_update(content.as_str())
            .finalize();
        Self(hash.into())
    }
}

/// Judges a send whose `client_message_id` was used before: the same content is a retry.
pub fn is_retry(stored: Digest, sent: Digest) -> Result<(), Refusal> {
    if stored == sent {
        return Ok(());
    }
    Err(Refusal::field(
        "client_message_id",
        Code::ClientMessageIdReused,
        "was used for a message with other content: make a new random id for each message",
    ))
}

/// Whether `actor` may change the text of `message` at `now`.
pub fn may_edit(message: &Message, actor: UserId, now: Timestamp) -> Result<(), Refusal> {
    if message.is_system() {
        return Err(system_message_stays());
    }
    if message.sender_id != actor {
        return Err(Refusal::forbidden("only its sender may edit a message"));
    }
    if message.deleted_at.is_some() {
        return Err(Refusal::new(Code::MessageDeleted, "the message was deleted"));
    }
    if now.since(message.created_at) > EDIT_WINDOW {
        return Err(Refusal::new(
            Code::EditWindow,
            "a message may be edited for 15 minutes after it was sent",
        ));
    }
    Ok(())
}

/// Whether `actor` may delete `message` for everyone. `sender` is the role of the message's sender,
/// `None` if he has left.
pub fn may_delete(
    message: &Message,
    actor: (UserId, Role),
    sender: Option<Role>,
) -> Result<(), Refusal> {
    let (actor_id, role) = actor;
    if message.is_system() {
        return Err(system_message_stays());
    }
    if message.sender_id == actor_id {
        return Ok(());
    }
    if role < Role::Admin {
        return Err(Refusal::forbidden(
            "only its sender, an admin or an owner may delete a message",
        ));
    }
    if sender == Some(Role::Owner) && role != Role::Owner {
        return Err(Refusal::forbidden("only an owner may delete an owner's message"));
    }
    Ok(())
}

/// Whether `message` can be reacted to or pinned.
pub fn may_mark(message: &Message) -> Result<(), Refusal> {
    if message.is_system() {
        return Err(system_message_stays());
    }
    if message.deleted_at.is_some() {
        return Err(Refusal::new(Code::MessageDeleted, "the message was deleted"));
    }
    Ok(())
}

/// Whether one more emoji may stand under a message that has `emoji` already.
pub fn may_add_emoji<'e>(
    mut there: impl ExactSizeIterator<Item = &'e Emoji>,
    emoji: &Emoji,
) -> Result<(), Refusal> {
    if there.len() < MOST_EMOJI || there.any(|there| there == emoji) {
        return Ok(());
    }
    let detail = format!("a message has at most {MOST_EMOJI} different reactions");
    Err(Refusal::new(Code::TooManyReactions, detail))
}

fn system_message_stays() -> Refusal {
    Refusal::forbidden("a system message says what happened, and stays as it is")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    const SENT: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    fn message() -> Message {
        Message {
            id: MessageId::from_uuid(Uuid::from_u128(9)),
            conversation_id: ConversationId::direct(user(1), user(2)),
            seq: 1,
            version: 2,
            sender_id: user(1),
            client_message_id: ClientMessageId::parse("c-1").unwrap(),
            body: Body::Said {
                kind: MessageKind::Text,
                content: Some(Content::parse("hi").unwrap()),
            },
            reply_to: None,
            mentions: vec![user(3)],
            reactions: Vec::new(),
            created_at: SENT,
            edited_at: None,
            deleted_at: None,
            pinned_at: None,
        }
    }

    fn code(decision: Result<(), Refusal>) -> Option<Code> {
        decision.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_sender_edits_for_fifteen_minutes() {
        assert_eq!(code(may_edit(&message(), user(1), SENT.after(EDIT_WINDOW))), None);
        let late = SENT.after(EDIT_WINDOW + Duration::from_micros(1));
        assert_eq!(code(may_edit(&message(), user(1), late)), Some(Code::EditWindow));
    }

    #[test]
    fn nobody_edits_for_others() {
        assert_eq!(code(may_edit(&message(), user(2), SENT)), Some(Code::Forbidden));
    }

    #[test]
    fn a_deleted_message_is_not_edited() {
        let deleted = message().deleted(SENT);
        assert_eq!(code(may_edit(&deleted, user(1), SENT)), Some(Code::MessageDeleted));
        assert_eq!(code(may_mark(&deleted)), Some(Code::MessageDeleted));
    }

    #[test]
    fn nothing_that_was_said_is_left_of_a_deleted_message() {
        let deleted = Message { pinned_at: Some(SENT), ..message() }.deleted(SENT);
        assert_eq!((deleted.content(), deleted.pinned_at), (None, None));
        assert!(deleted.mentions.is_empty() && deleted.reactions.is_empty());
    }

    #[test]
    fn a_system_message_stays_as_it_is() {
        let noted = Message { body: Body::Noted(SystemEvent::MemberLeft), ..message() };
        let mine = (user(1), Role::Owner);
        assert_eq!(code(may_edit(&noted, user(1), SENT)), Some(Code::Forbidden));
        assert_eq!(code(may_delete(&noted, mine, Some(Role::Owner))), Some(Code::Forbidden));
        assert_eq!(code(may_mark(&noted)), Some(Code::Forbidden));
    }

    #[test]
    fn emoji_on_a_message_are_bounded() {
        let emoji =
            |n: u32| Emoji::parse(&char::from_u32(0x1F600 + n).unwrap().to_string()).unwrap();
        let there: Vec<Emoji> = (0..50).map(emoji).collect();
        assert!(may_add_emoji(there[1..].iter(), &emoji(0)).is_ok());
        assert!(may_add_emoji(there.iter(), &emoji(3)).is_ok());
        assert_eq!(code(may_add_emoji(there.iter(), &emoji(50))), Some(Code::TooManyReactions));
    }

    #[rstest]
    #[case(1, Role::Member, Some(Role::Member), true)]
    #[case(2, Role::Member, Some(Role::Member), false)]
    #[case(2, Role::Admin, Some(Role::Member), true)]
    #[case(2, Role::Admin, Some(Role::Admin), true)]
    #[case(2, Role::Admin, Some(Role::Owner), false)]
    #[case(2, Role::Admin, None, true)]
    #[case(2, Role::Owner, Some(Role::Owner), true)]
    fn deleting(
        #[case] actor: u128,
        #[case] role: Role,
        #[case] sender: Option<Role>,
        #[case] allowed: bool,
    ) {
        assert_eq!(may_delete(&message(), (user(actor), role), sender).is_ok(), allowed);
    }

    proptest! {
        #[test]
        fn only_the_same_send_is_a_retry(a in "\\PC{1,40}", b in "\\PC{1,40}", reply: Option<u128>) {
            let (Ok(a), Ok(b)) = (Content::parse(&a), Content::parse(&b)) else { return Ok(()) };
            let reply = reply.map(|n| MessageId::from_uuid(Uuid::from_u128(n)));
            let digest = |content: &Content| Digest::of(MessageKind::Text, content, reply);
            prop_assert_eq!(is_retry(digest(&a), digest(&b)).is_ok(), a == b);
            prop_assert!(is_retry(digest(&a), Digest::of(MessageKind::File, &a, reply)).is_err());
        }
    }
}
