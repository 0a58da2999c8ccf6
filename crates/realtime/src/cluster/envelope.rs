//! What goes between nodes: a parcel, encoded.
//!
//! The first byte says how the rest is to be read. A node that does not know it passes the envelope
//! over, so that old and new nodes may run side by side; what it missed it finds in the database.

use kith_domain::{ConversationId, SessionId, UserId, event::Audience};
use kith_ports::live::{CloseReason, TopicChange};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    cluster::parcel::{Parcel, Place},
    shard::{Delivery, News},
};

/// How the rest of an envelope is to be read.
const VERSION: u8 = 1;

/// A node while it runs: another one after each start.
pub(crate) type NodeId = u64;

/// Why an envelope was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// A newer node wrote it.
    #[error("it has a version that is not known here")]
    Unknown,
    /// It is no envelope.
    #[error("it is no envelope")]
    Broken,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    from: NodeId,
    place: Option<(Uuid, i64, i64, Option<i64>)>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Serialize, Deserialize)]
enum Item<'a> {
    Event { frame: &'a str, conversation: Option<Uuid>, passing: bool, audience: Whom },
    Topic { conversation: Uuid, member_epoch: i64, change: Change },
    Close { user: Uuid, session: Uuid, reason: Reason },
}

#[derive(Serialize, Deserialize)]
enum Whom {
    Members(Uuid),
    Others(Uuid, Uuid),
    Users(Vec<Uuid>),
    /// The person whose channel it came by.
    Listener,
}

#[derive(Serialize, Deserialize)]
enum Change {
    Join(Vec<Uuid>),
    Leave(Vec<Uuid>),
    Dissolve,
    Doubtful,
}

#[derive(Serialize, Deserialize)]
enum Reason {
    SignedOut,
    TooSlow,
    RightLost,
    Missed,
}

/// Encodes a parcel, once for all its channels.
pub(crate) fn seal(from: NodeId, parcel: &Parcel) -> Vec<u8> {
    let place = parcel
        .place
        .map(|place| (*place.conversation_id.as_uuid(), place.before, place.version, place.seq));
    let items = parcel.deliveries.iter().filter_map(|it| item(it, place.is_some())).collect();
    // Numbers, strings and lists, written to memory: that does not fail.
    postcard::to_extend(&Envelope { from, place, items }, vec![VERSION]).unwrap_or_default()
}

/// Decodes an envelope, and says who sent it. `listener` is the person whose channel it came by, if it
/// was a person's.
pub(crate) fn open(bytes: &[u8], listener: Option<UserId>) -> Result<(NodeId, Parcel), Unread> {
    let (version, rest) = bytes.split_first().ok_or(Unread::Broken)?;
    if *version != VERSION {
        return Err(Unread::Unknown);
    }
    let envelope: Envelope<'_> = postcard::from_bytes(rest).map_err(|_| Unread::Broken)?;
    let place = envelope.place.map(|(conversation, before, version, seq)| Place {
        conversation_id: ConversationId::from_uuid(conversation),
        before,
        version,
        seq,
    });
    let deliveries = envelope.items.into_iter().map(|it| delivery(it, listener));
    let deliveries = deliveries.collect::<Option<_>>().ok_or(Unread::Broken)?;
    Ok((envelope.from, Parcel { place, deliveries }))
}

/// What has a place goes to all its people together, what has none to each of them apart.
fn item(delivery: &Delivery, together: bool) -> Option<Item<'_>> {
    Some(match delivery {
        Delivery::Event { news, audience } => {
            let audience = match audience {
                Audience::Members(id) => Whom::Members(*id.as_uuid()),
                Audience::Others(id, one) => Whom::Others(*id.as_uuid(), *one.as_uuid()),
                Audience::Users(users) if together => Whom::Users(users.iter().map(uuid).collect()),
                Audience::Users(_) => Whom::Listener,
            };
            let conversation = news.conversation.map(|id| *id.as_uuid());
            Item::Event { frame: &news.frame, conversation, passing: news.passing, audience }
        }
        Delivery::Topic { conversation_id, member_epoch, change } => Item::Topic {
            conversation: *conversation_id.as_uuid(),
            member_epoch: *member_epoch,
            change: match change {
                TopicChange::Join(users) => Change::Join(users.iter().map(uuid).collect()),
                TopicChange::Leave(users) => Change::Leave(users.iter().map(uuid).collect()),
                TopicChange::Dissolve => Change::Dissolve,
                TopicChange::Doubtful => Change::Doubtful,
            },
        },
        Delivery::Close { user_id, session_id, reason } => Item::Close {
            user: uuid(user_id),
            session: *session_id.as_uuid(),
            reason: match reason {
                CloseReason::SignedOut => Reason::SignedOut,
                CloseReason::TooSlow => Reason::TooSlow,
                CloseReason::RightLost => Reason::RightLost,
                CloseReason::Missed => Reason::Missed,
            },
        },
        // Sockets of this node alone wait for answers.
        Delivery::Reply(..) | Delivery::LetGo => return None,
    })
}

fn delivery(item: Item<'_>, listener: Option<UserId>) -> Option<Delivery> {
    Some(match item {
        Item::Event { frame, conversation, passing, audience } => Delivery::Event {
            news: News {
                frame: frame.into(),
                conversation: conversation.map(ConversationId::from_uuid),
                passing,
                acknowledged: None,
            },
            audience: match audience {
                Whom::Members(id) => Audience::Members(ConversationId::from_uuid(id)),
                Whom::Others(id, one) => {
                    Audience::Others(ConversationId::from_uuid(id), UserId::from_uuid(one))
                }
                Whom::Users(users) => Audience::Users(people(users)),
                Whom::Listener => Audience::Users(vec![listener?]),
            },
        },
        Item::Topic { conversation, member_epoch, change } => Delivery::Topic {
            conversation_id: ConversationId::from_uuid(conversation),
            member_epoch,
            change: match change {
                Change::Join(users) => TopicChange::Join(people(users)),
                Change::Leave(users) => TopicChange::Leave(people(users)),
                Change::Dissolve => TopicChange::Dissolve,
                Change::Doubtful => TopicChange::Doubtful,
            },
        },
        Item::Close { user, session, reason } => Delivery::Close {
            user_id: UserId::from_uuid(user),
            session_id: SessionId::from_uuid(session),
            reason: match reason {
                Reason::SignedOut => CloseReason::SignedOut,
                Reason::TooSlow => CloseReason::TooSlow,
                Reason::RightLost => CloseReason::RightLost,
                Reason::Missed => CloseReason::Missed,
            },
        },
    })
}

fn uuid(user: &UserId) -> Uuid {
    *user.as_uuid()
}

fn people(users: Vec<Uuid>) -> Vec<UserId> {
    users.into_iter().map(UserId::from_uuid).collect()
}

#[cfg(test)]
mod tests;
