//! What travels together: all that one change of a conversation means for sockets.
//!
//! Several nodes store changes of one conversation. Each change has a number, and is delivered in
//! that order everywhere; so what belongs to one number stays together.

use std::collections::HashMap;

use kith_domain::{
    ConversationId, UserId,
    conversation::{Seq, Version},
    event::{Audience, Event},
};
use kith_ports::live::{Dispatch, TopicChange};
use smallvec::SmallVec;

use crate::{encode::encode_into, shard::Delivery};

/// What is delivered together.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// Its place in the order of a conversation; `None` for what has no place in any.
    pub(crate) place: Option<Place>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// A place in the order of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) conversation_id: ConversationId,
    /// What is up to this number was stored by earlier transactions.
    pub(crate) before: Version,
    /// The number of the change.
    pub(crate) version: Version,
    /// The number of the message, if one was sent.
    pub(crate) seq: Option<Seq>,
}

/// Where a parcel is sent: to those who listen to a conversation, or for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    Conversation(ConversationId),
    User(UserId),
}

/// How something stands to its neighbours.
enum Step {
    /// It is this change.
    Is(ConversationId, Version, Option<Seq>),
    /// It belongs to the change that comes next.
    Leads(ConversationId),
    /// It belongs to the change that came before it.
    Follows(ConversationId),
    /// It belongs to none.
    Alone,
}

impl Step {
    /// How it stands after what came before it: that somebody went from the conversation `left`.
    fn of(dispatch: &Dispatch, left: Option<ConversationId>) -> Self {
        match dispatch {
            // Of a conversation that was deleted, or hidden by one person, nothing goes before it.
            Dispatch::Event { event: Event::ConversationRemoved(id), .. } => {
                if left == Some(*id) {
                    Self::Follows(*id)
                } else {
                    Self::Alone
                }
            }
            Dispatch::Event { event, .. } => Self::of_event(event),
            Dispatch::Topic { conversation_id, change, .. } => match change {
                TopicChange::Join(_) => Self::Leads(*conversation_id),
                TopicChange::Leave(_) => Self::Follows(*conversation_id),
                TopicChange::Dissolve | TopicChange::Doubtful => Self::Alone,
            },
            Dispatch::Reply { .. } | Dispatch::Close { .. } => Self::Alone,
        }
    }

    fn of_event(event: &Event) -> Self {
        match event {
            Event::MessageSent(it) => Self::Is(it.conversation_id, it.version, Some(it.seq)),
            Event::MessageUpdated(it) => Self::Is(it.conversation_id, it.version, None),
            Event::MessageDeleted { conversation_id, version, .. } => {
                Self::Is(*conversation_id, *version, None)
            }
            Event::ReactionAdded(it) | Event::ReactionRemoved(it) => {
                Self::Is(it.conversation_id, it.version, None)
            }
            Event::MemberAdded(it) | Event::MemberUpdated(it) | Event::MemberRemoved(it) => {
                Self::Is(it.conversation_id, it.version, None)
            }
            // A direct chat is there with its first message.
            Event::ConversationCreated(it, _) if it.pair.is_some() => Self::Leads(it.id),
            Event::ConversationCreated(it, head) | Event::ConversationUpdated(it, head) => {
                Self::Is(it.id, head.version, None)
            }
            Event::ConversationRemoved(_)
            | Event::ReceiptUpdated(_)
            | Event::TypingStarted(_)
            | Event::TypingStopped(_)
            | Event::SettingsUpdated(_)
            | Event::UserOnline(_)
            | Event::UserOffline { .. }
            | Event::UserUpdated(_) => Self::Alone,
        }
    }
}

/// Puts together what belongs together. What is handed over at once was stored by one transaction.
pub(crate) fn pack(batch: Vec<Dispatch>) -> Vec<Parcel> {
    let mut parcels: Vec<Parcel> = Vec::with_capacity(batch.len());
    let mut before: HashMap<ConversationId, Version> = HashMap::new();
    // The conversation whose next change the last parcel leads to.
    let mut leads = None;
    let mut left = None;
    for dispatch in batch {
        let step = Step::of(&dispatch, left);
        left = match &dispatch {
            Dispatch::Topic { conversation_id, change: TopicChange::Leave(_), .. } => {
                Some(*conversation_id)
            }
            _ => None,
        };
        let last = parcels.last().and_then(|last| last.place);
        let place = match step {
            Step::Is(conversation_id, version, seq) => {
                let before = *before.entry(conversation_id).or_insert(version - 1);
                Some(Place { conversation_id, before, version, seq })
            }
            Step::Leads(_) | Step::Follows(_) | Step::Alone => None,
        };
        let goes_along = match (&step, last) {
            (Step::Is(id, version, _), Some(last)) => {
                last.conversation_id == *id && last.version == *version
            }
            (Step::Is(id, ..) | Step::Leads(id), None) => leads == Some(*id),
            (Step::Follows(id), Some(last)) => last.conversation_id == *id,
            _ => false,
        };
        if !goes_along {
            parcels.push(Parcel::default());
        }
        leads = match step {
            Step::Leads(id) => Some(id),
            _ => None,
        };
        if let Some(parcel) = parcels.last_mut() {
            if let Some(place) = place {
                let seq = place.seq.or(parcel.place.and_then(|known| known.seq));
                parcel.place = Some(Place { seq, ..place });
            }
            encode_into(&mut parcel.deliveries, dispatch);
        }
    }
    parcels
}

impl Parcel {
    /// What of it is for the sockets of this node alone: answers.
    pub(crate) fn into_answers(self) -> Vec<Delivery> {
        let mut deliveries = self.deliveries;
        deliveries.retain(|it| matches!(it, Delivery::Reply(..)));
        deliveries
    }

    /// Where other nodes are told of it. A parcel with a place may come by several channels, and is
    /// delivered once. One without is delivered to each person by his own.
    pub(crate) fn routes(&self) -> SmallVec<[Channel; 4]> {
        // Whoever is in a group or channel hears its own channel; only those who come or go may not.
        let group = self.place.map(|place| place.conversation_id).filter(|id| !id.is_direct());
        let mut channels: SmallVec<[Channel; 4]> = SmallVec::new();
        channels.extend(group.map(Channel::Conversation));
        for delivery in &self.deliveries {
            match delivery {
                Delivery::Event { audience, .. } => match audience {
                    Audience::Members(id) | Audience::Others(id, _) => {
                        channels.push(Channel::Conversation(*id));
                    }
                    Audience::Users(_) if group.is_some() => {}
                    Audience::Users(users) => {
                        channels.extend(users.iter().copied().map(Channel::User));
                    }
                },
                Delivery::Topic { conversation_id, change, .. } => {
                    channels.push(Channel::Conversation(*conversation_id));
                    if let TopicChange::Join(users) | TopicChange::Leave(users) = change {
                        channels.extend(users.iter().copied().map(Channel::User));
                    }
                }
                Delivery::Close { user_id, .. } => channels.push(Channel::User(*user_id)),
                Delivery::Reply(..) | Delivery::LetGo => {}
            }
        }
        channels.sort_unstable();
        channels.dedup();
        channels
    }
}

#[cfg(test)]
mod tests;
