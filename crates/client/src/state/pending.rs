//! Commands that wait for their answers.

use std::{collections::BTreeMap, time::Duration};

use kith_protocol::{
    frame::{
        AddReaction, ClientFrame, DeleteMessage, EditMessage, MessageDelivered, MessageRead, Ping,
        RemoveReaction, SendMessage, TypingStart, TypingStop,
    },
    rest::Message,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::FrameError;

/// How long to wait before a send whose outcome is unknown is repeated.
const SETTLE: Duration = Duration::from_millis(200);

/// What an application asks of a socket.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Send(SendMessage),
    Edit { message_id: Uuid, content: String },
    Delete { message_id: Uuid },
    React { message_id: Uuid, emoji: String },
    Unreact { message_id: Uuid, emoji: String },
    Delivered { message_id: Uuid },
    Read { message_id: Uuid },
    Typing { conversation_id: Uuid, typing: bool },
    Ping,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Sent(Box<Message>),
    Done,
    Pong(String),
    Refused(Box<FrameError>),
    /// The connection broke after it was sent.
    Interrupted,
}

/// A command got its answer.
pub(super) struct Answered(pub(super) u64);

#[derive(Debug)]
struct Pending {
    frame: ClientFrame,
    written: bool,
    repeat_at: Option<Instant>,
}

impl Pending {
    /// A send can be repeated: its `client_message_id` makes it one message.
    fn is_send(&self) -> bool {
        matches!(self.frame, ClientFrame::SendMessage(_))
    }
}

/// Commands by number, which is also their order and the `id` of their frames.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    last: u64,
    waiting: BTreeMap<u64, Pending>,
}

impl Pendings {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a command; gives its number, and its frame if it is to be written now.
    pub(super) fn add(&mut self, command: Command, now: bool) -> (u64, Option<ClientFrame>) {
        self.last += 1;
        let id = Some(self.last.to_string());
        let frame = match command {
            Command::Send(mut message) => {
                message.id = id;
                message.client_message_id.get_or_insert_with(random_id);
                ClientFrame::SendMessage(message)
            }
            Command::Edit { message_id, content } => ClientFrame::EditMessage(EditMessage {
                id,
                message_id,
                content,
                ..Default::default()
            }),
            Command::Delete { message_id } => {
                ClientFrame::DeleteMessage(DeleteMessage { id, message_id, ..Default::default() })
            }
            Command::React { message_id, emoji } => ClientFrame::AddReaction(AddReaction {
                id,
                message_id,
                emoji,
                ..Default::default()
            }),
            Command::Unreact { message_id, emoji } => ClientFrame::RemoveReaction(RemoveReaction {
                id,
                message_id,
                emoji,
                ..Default::default()
            }),
            Command::Delivered { message_id } => ClientFrame::MessageDelivered(MessageDelivered {
                id,
                message_id: Some(message_id),
                ..Default::default()
            }),
            Command::Read { message_id } => ClientFrame::MessageRead(MessageRead {
                id,
                message_id: Some(message_id),
                ..Default::default()
            }),
            Command::Typing { conversation_id, typing: true } => {
                let conversation_id = Some(conversation_id);
                ClientFrame::TypingStart(TypingStart { id, conversation_id, ..Default::default() })
            }
            Command::Typing { conversation_id, typing: false } => {
                let conversation_id = Some(conversation_id);
                ClientFrame::TypingStop(TypingStop { id, conversation_id, ..Default::default() })
            }
            Command::Ping => ClientFrame::Ping(Ping { id, ..Default::default() }),
        };
        let written = now.then(|| frame.clone());
        self.waiting.insert(self.last, Pending { frame, written: now, repeat_at: None });
        (self.last, written)
    }

    /// Ends the command that a frame answers.
    pub(super) fn answered(&mut self, id: &str) -> Option<Answered> {
        let number = id.parse().ok()?;
        self.waiting.remove(&number).map(|_| Answered(number))
    }

    /// Keeps a send whose outcome the server does not know: sending it again settles that.
    pub(super) fn postpone(
        &mut self,
        id: &str,
        code: &str,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> bool {
        let pending = id.parse().ok().and_then(|id: u64| self.waiting.get_mut(&id));
        match pending {
            Some(pending) if code == "outcome_unknown" && pending.is_send() => {
                pending.repeat_at = Some(now + retry_after.unwrap_or(SETTLE));
                true
            }
            _ => false,
        }
    }

    /// When the next is to be repeated.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|pending| pending.repeat_at).min()
    }

    /// What is to be repeated by now.
    pub(super) fn repeat(&mut self, now: Instant) -> Vec<ClientFrame> {
        let due = self.waiting.values_mut().filter(|p| p.repeat_at.is_some_and(|at| at <= now));
        due.map(|pending| {
            pending.repeat_at = None;
            pending.frame.clone()
        })
        .collect()
    }

    /// The connection is gone: sends wait for the next, what else was written is lost. Gives the
    /// numbers of those.
    pub(super) fn interrupt(&mut self) -> Vec<u64> {
        let lost: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, pending)| pending.written && !pending.is_send())
            .map(|(id, _)| *id)
            .collect();
        for id in &lost {
            self.waiting.remove(id);
        }
        for pending in self.waiting.values_mut() {
            pending.written = false;
            pending.repeat_at = None;
        }
        lost
    }

    /// The connection is there: everything that waits, in order.
    pub(super) fn resume(&mut self) -> Vec<ClientFrame> {
        let unwritten = self.waiting.values_mut().filter(|pending| !pending.written);
        unwritten
            .map(|pending| {
                pending.written = true;
                pending.frame.clone()
            })
            .collect()
    }
}

/// An id for a message that no other message of this sender has.
fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
