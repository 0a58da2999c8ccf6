//! What was missed, told from the database as it would have been told at the time.

use std::sync::Arc;

use kith_domain::{
    UserId,
    conversation::{Head, Version},
    event::{Audience, Event, MemberEvent},
    message::Message,
};
use kith_ports::{
    live::{Dispatch, TopicChange},
    tail::{Missed, MissedMember},
};

use super::line::Line;

/// What of it the sockets of this node have not been told, in the order of the changes.
///
/// Of a change that was followed by others only what it led to can be told. Who is out now, or was for
/// a while, is taken out first: what was said while he was out is not for him. What is older than
/// anything that has been told here is for those alone who came in before it: whoever else listens came
/// later.
pub(super) fn retell(missed: &Missed, line: &Line) -> Vec<Dispatch> {
    let messages: Vec<_> =
        missed.messages.iter().filter(|(message, _)| !line.told(message.version)).collect();
    // Nobody comes into a direct chat, or leaves it.
    let comes_and_goes = missed.conversation.pair.is_none();
    let members: Vec<_> = missed
        .members
        .iter()
        .filter(|member| comes_and_goes && !line.told(member.version))
        .collect();
    let new = messages.iter().map(|(message, _)| message.seq).filter(|seq| *seq > line.seq());
    let oldest = new.min();
    let mut out = Vec::new();
    for member in &members {
        let has_come = member.first_seq > line.seq();
        let was_out = has_come && oldest.is_some_and(|seq| member.first_seq > seq);
        if member.left || was_out {
            out.push(topic(missed, TopicChange::Leave(vec![member.user_id])));
        }
        if member.left {
            out.push(to_one(Event::ConversationRemoved(missed.conversation.id), member.user_id));
        }
    }
    let mut steps: Vec<(Version, Vec<Dispatch>)> = Vec::new();
    for (message, audience) in messages {
        let were_in = |it: &MissedMember| it.first_seq <= message.seq;
        let audience = if comes_and_goes && line.is_late(message.version) {
            only(missed, audience, were_in)
        } else {
            audience.clone()
        };
        steps.push((message.version, of_message(missed, message, audience, line)));
    }
    for member in members {
        let were_in = |it: &MissedMember| it.version < member.version;
        let audience = if line.is_late(member.version) {
            only(missed, &missed.told_of_members, were_in)
        } else {
            missed.told_of_members.clone()
        };
        steps.push((member.version, of_member(missed, *member, audience, line)));
    }
    let listed = steps.iter().filter(|(version, _)| *version > line.version()).count();
    steps.sort_by_key(|(version, _)| *version);
    out.extend(steps.into_iter().flat_map(|(_, dispatches)| dispatches).filter(is_for_somebody));
    // A name or a rule that changed is in no message and no member.
    let changes = usize::try_from(missed.head.version - line.version()).unwrap_or(0);
    if missed.conversation.pair.is_none() && changes > listed {
        let event = Event::ConversationUpdated(Arc::clone(&missed.conversation), missed.head);
        out.push(told(event, missed.conversation.audience()));
    }
    out
}

/// Of an audience those alone who are listed and were in it.
fn only(missed: &Missed, audience: &Audience, were_in: impl Fn(&MissedMember) -> bool) -> Audience {
    let listed = missed.members.iter().filter(|it| !it.left && were_in(it)).map(|it| it.user_id);
    Audience::Users(match audience {
        Audience::Users(some) => listed.filter(|it| some.contains(it)).collect(),
        Audience::Others(_, one) => listed.filter(|it| it != one).collect(),
        Audience::Members(_) => listed.collect(),
    })
}

fn is_for_somebody(dispatch: &Dispatch) -> bool {
    !matches!(dispatch, Dispatch::Event { audience: Audience::Users(people), .. } if people.is_empty())
}

fn of_message(
    missed: &Missed,
    message: &Arc<Message>,
    audience: Audience,
    line: &Line,
) -> Vec<Dispatch> {
    let untouched = message.edited_at.is_none()
        && message.deleted_at.is_none()
        && message.pinned_at.is_none()
        && message.reactions.is_empty();
    let is_new = if line.seq() > 0 { message.seq > line.seq() } else { untouched };
    let mut out = Vec::new();
    if is_new && missed.conversation.pair.is_some() && message.seq == 1 {
        let head = Head { last_seq: 0, version: 0, member_epoch: 0, last_message_at: None };
        let created = Event::ConversationCreated(Arc::clone(&missed.conversation), head);
        out.push(told(created, audience.clone()));
    }
    let event = if is_new {
        Event::MessageSent(Arc::clone(message))
    } else if message.deleted_at.is_some() {
        Event::MessageDeleted {
            conversation_id: message.conversation_id,
            message_id: message.id,
            seq: message.seq,
            version: message.version,
        }
    } else {
        Event::MessageUpdated(Arc::clone(message))
    };
    out.push(told(event, audience));
    out
}

fn of_member(
    missed: &Missed,
    member: MissedMember,
    audience: Audience,
    line: &Line,
) -> Vec<Dispatch> {
    let event = MemberEvent {
        conversation_id: missed.conversation.id,
        user_id: member.user_id,
        role: member.role,
        version: member.version,
    };
    if member.left {
        return vec![told(Event::MemberRemoved(event), audience)];
    }
    // Where nothing has been told yet, everybody is new, as may be who comes late.
    if member.first_seq <= line.seq() && !line.is_late(member.version) {
        return vec![told(Event::MemberUpdated(event), audience)];
    }
    let created = Event::ConversationCreated(Arc::clone(&missed.conversation), missed.head);
    vec![
        topic(missed, TopicChange::Join(vec![member.user_id])),
        to_one(created, member.user_id),
        told(Event::MemberAdded(event), audience),
    ]
}

fn topic(missed: &Missed, change: TopicChange) -> Dispatch {
    Dispatch::Topic {
        conversation_id: missed.conversation.id,
        member_epoch: missed.head.member_epoch,
        change,
    }
}

const fn told(event: Event, audience: Audience) -> Dispatch {
    Dispatch::Event { event, audience, origin: None }
}

fn to_one(event: Event, user: UserId) -> Dispatch {
    told(event, Audience::Users(vec![user]))
}

#[cfg(test)]
mod tests;
