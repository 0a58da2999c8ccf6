//! What was done and seen, as plain values.

use std::collections::{BTreeMap, HashMap, HashSet};

use kith_client::protocol::rest::{Message, SystemEvent, SystemEventKind};
use uuid::Uuid;

/// A message, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) id: Uuid,
    pub(super) seq: i64,
    pub(super) version: i64,
    /// `None` if it was deleted.
    pub(super) content: Option<String>,
}

impl From<&Message> for Brief {
    fn from(message: &Message) -> Self {
        let Message { id, seq, version, content, .. } = message;
        Self { id: *id, seq: *seq, version: *version, content: content.clone() }
    }
}

/// A frame that tells something durable of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) conversation: Uuid,
    pub(super) news: News,
}

#[derive(Clone, Debug)]
pub(super) enum News {
    /// `new_message`.
    Sent(Brief),
    /// `message_updated`, with the whole message.
    Updated(Brief),
    /// `message_deleted`, a reaction: a message has changed.
    Touched { seq: i64, version: i64 },
    /// Something about a member.
    Member { user: Uuid, version: i64 },
    /// `conversation_created`: the witness is in it, from after these.
    Entered { seq: i64, version: i64 },
    /// `conversation_removed`.
    Left,
}

impl News {
    /// The message that it tells of.
    pub(super) const fn seq(&self) -> Option<i64> {
        match self {
            Self::Sent(brief) | Self::Updated(brief) => Some(brief.seq),
            Self::Touched { seq, .. } => Some(*seq),
            Self::Member { .. } | Self::Entered { .. } | Self::Left => None,
        }
    }

    /// The change that it tells of.
    pub(super) const fn version(&self) -> Option<i64> {
        match self {
            Self::Sent(brief) | Self::Updated(brief) => Some(brief.version),
            Self::Touched { version, .. } | Self::Member { version, .. } => Some(*version),
            Self::Entered { .. } | Self::Left => None,
        }
    }
}

/// One connection of a plain socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    /// How far each conversation was known when it had been synced: message and change.
    pub(super) began: HashMap<Uuid, (i64, i64)>,
    pub(super) frames: Vec<Frame>,
    /// Whether it held until the end.
    pub(super) lasted: bool,
}

/// The messages of each conversation by number.
pub(super) type Held = HashMap<Uuid, BTreeMap<i64, Brief>>;

/// What a person's devices saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    pub(super) who: Uuid,
    /// A plain socket that is opened again and again.
    pub(super) connections: Vec<Connection>,
    /// What that device holds in the end, by frames and by syncs.
    pub(super) holds: Held,
    /// What the server gives him who has nothing.
    pub(super) sees: Held,
    /// The numbers that a client which reconnects by itself has shown as new, in order.
    pub(super) shown: HashMap<Uuid, Vec<i64>>,
}

/// A send that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) who: Uuid,
    pub(super) conversation: Uuid,
    pub(super) client_message_id: String,
    pub(super) id: Uuid,
    pub(super) seq: i64,
}

/// What a message may be in the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    /// The last form that was acknowledged.
    pub(super) last: Option<String>,
    /// Those of which nobody knows whether and when they were stored.
    pub(super) perhaps: HashSet<Option<String>>,
}

/// What the witnesses and the senders say.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) sent: Vec<Sent>,
    pub(super) fates: HashMap<Uuid, Fate>,
    pub(super) witnesses: Vec<Witness>,
}

/// A message in the database.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) brief: Brief,
    pub(super) sender: Uuid,
    pub(super) client_message_id: String,
    pub(super) note: Option<SystemEvent>,
}

/// A conversation in the database.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    pub(super) id: Uuid,
    /// Who was in it from the beginning.
    pub(super) founders: HashSet<Uuid>,
    pub(super) messages: Vec<Stored>,
    /// What each transaction found and left, by the log of changes: versions.
    pub(super) steps: Vec<(i64, i64)>,
    pub(super) version: i64,
}

/// A time of which somebody was in a conversation: from and until a message and a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) from: (i64, i64),
    pub(super) until: Option<(i64, i64)>,
}

impl Stay {
    /// Whether he may hear of this message, and of this change.
    pub(super) fn covers(&self, seq: Option<i64>, version: Option<i64>) -> bool {
        let within = |number: Option<i64>, from: i64, until: Option<i64>| {
            number.is_none_or(|it| it >= from && until.is_none_or(|until| it < until))
        };
        within(seq, self.from.0, self.until.map(|it| it.0))
            && within(version, self.from.1, self.until.map(|it| it.1))
    }
}

impl Truth {
    /// Whether it is a chat of two, by its id.
    pub(super) fn is_direct(&self) -> bool {
        self.id.get_version_num() == 8
    }

    /// When somebody was in it, by what it notes.
    pub(super) fn stays(&self, who: Uuid) -> Vec<Stay> {
        let mut stays = Vec::new();
        if self.founders.contains(&who) {
            stays.push(Stay { from: (0, 0), until: None });
        }
        for stored in &self.messages {
            let Some(note) = stored.note.as_ref().filter(|it| it.user_id == Some(who)) else {
                continue;
            };
            // The change of the membership has the number before that of the note.
            let place = (stored.brief.seq, stored.brief.version - 1);
            match note.event {
                SystemEventKind::MemberAdded => stays.push(Stay { from: place, until: None }),
                SystemEventKind::MemberRemoved | SystemEventKind::MemberLeft => {
                    if let Some(stay) = stays.last_mut() {
                        stay.until = Some(place);
                    }
                }
                SystemEventKind::Renamed => {}
            }
        }
        stays
    }
}
