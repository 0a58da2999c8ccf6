//! What others are told of a change that is durable.

use std::sync::Arc;

use kith_domain::{
    UserId,
    conversation::{Conversation, Head},
    event::{Audience, Event, MemberEvent, ReactionEvent},
    group::MemberChange,
    message::Message,
};
use kith_ports::{
    live::{Dispatch, Origin, Reply, TopicChange},
    log::{Applied, Change, Command, MemberChanged, Opening},
};

/// Adds to `out` what `applied` means for sockets, in the order of its versions.
pub(super) fn announce(
    command: &Command,
    applied: &Applied,
    origin: Option<Origin>,
    out: &mut Vec<Dispatch>,
) {
    match applied {
        Applied::Sent { message, conversation } => sent(message, conversation, origin, out),
        Applied::Duplicate(message, conversation) => {
            // The lane's own retry: it was stored at an attempt whose answer was lost, and nobody
            // has been told.
            let own = matches!(&command.change, Change::Send(send) if send.id == message.id);
            if own {
                sent(message, conversation, origin, out);
            } else if let Some(origin) = origin {
                out.push(Dispatch::Reply { origin, reply: Reply::Sent(Arc::clone(message)) });
            }
        }
        Applied::Revised(message, audience) => {
            if let Some(audience) = audience {
                out.push(told(Event::MessageUpdated(Arc::clone(message)), audience.clone()));
            }
        }
        Applied::Reacted(reacted) => {
            if let (Some((reaction, audience)), Change::React(react)) = (reacted, &command.change) {
                out.push(told(reaction_event(reaction.clone(), react.given), audience.clone()));
            }
        }
        Applied::Deleted(message, audience) => {
            if let Some(audience) = audience {
                let deleted = Event::MessageDeleted {
                    conversation_id: message.conversation_id,
                    message_id: message.id,
                    seq: message.seq,
                    version: message.version,
                };
                out.push(told(deleted, audience.clone()));
            }
        }
        Applied::Opened(conversation, head, opening) => {
            // The other one hears of it with the first message.
            if let (Opening::Made | Opening::Shown, Change::Open(open)) = (opening, &command.change)
            {
                let created = Event::ConversationCreated(Arc::clone(conversation), *head);
                out.push(to_one(created, open.by));
            }
        }
        Applied::Settled(changed) => {
            if let (true, Change::Settings { member, .. }) = (changed, &command.change) {
                out.push(to_one(Event::SettingsUpdated(command.conversation_id), *member));
            }
        }
        Applied::Hidden(conversation) => {
            if let Change::Hide { member } = command.change {
                out.push(to_one(Event::ConversationRemoved(conversation.id), member));
            }
        }
        Applied::Created(conversation, head) => {
            if let Change::Create { members, .. } = &command.change {
                let members: Vec<_> = members.iter().map(|(user, _)| *user).collect();
                out.push(topic(conversation, head, TopicChange::Join(members.clone())));
                let created = Event::ConversationCreated(Arc::clone(conversation), *head);
                out.push(told(created, Audience::Users(members)));
            }
        }
        Applied::MembersChanged { conversation, head, changes, audience } => {
            if let (Change::Join(join), []) = (&command.change, changes.as_slice()) {
                // Perhaps he came in by an attempt whose answer was lost, and his sockets do not
                // listen yet.
                out.push(topic(conversation, head, TopicChange::Join(vec![join.user])));
            }
            for changed in changes {
                member_changed(changed, conversation, head, audience, out);
            }
        }
        Applied::Updated { conversation, head, changed, note } => {
            if *changed {
                let updated = Event::ConversationUpdated(Arc::clone(conversation), *head);
                out.push(told(updated, conversation.audience()));
                noted(note.as_ref(), conversation, out);
            }
        }
        Applied::Removed(conversation) => {
            out.push(told(Event::ConversationRemoved(conversation.id), conversation.audience()));
            out.push(Dispatch::Topic {
                conversation_id: conversation.id,
                member_epoch: i64::MAX,
                change: TopicChange::Dissolve,
            });
        }
    }
}

const fn told(event: Event, audience: Audience) -> Dispatch {
    Dispatch::Event { event, audience, origin: None }
}

fn to_one(event: Event, user: UserId) -> Dispatch {
    told(event, Audience::Users(vec![user]))
}

fn topic(conversation: &Conversation, head: &Head, change: TopicChange) -> Dispatch {
    let conversation_id = conversation.id;
    Dispatch::Topic { conversation_id, member_epoch: head.member_epoch, change }
}

const fn reaction_event(reaction: ReactionEvent, given: bool) -> Event {
    if given { Event::ReactionAdded(reaction) } else { Event::ReactionRemoved(reaction) }
}

fn sent(
    message: &Arc<Message>,
    conversation: &Arc<Conversation>,
    origin: Option<Origin>,
    out: &mut Vec<Dispatch>,
) {
    let audience = conversation.audience();
    if conversation.pair.is_some() && message.seq == 1 {
        // Until now a direct chat was known to nobody, or to the one who opened it.
        let head = Head {
            last_seq: 0,
            version: message.version - 1,
            member_epoch: 0,
            last_message_at: None,
        };
        let created = Event::ConversationCreated(Arc::clone(conversation), head);
        out.push(told(created, audience.clone()));
    }
    out.push(Dispatch::Event { event: Event::MessageSent(Arc::clone(message)), audience, origin });
}

/// Tells the members what the history notes of a change, after the change.
fn noted(note: Option<&Arc<Message>>, conversation: &Arc<Conversation>, out: &mut Vec<Dispatch>) {
    if let Some(note) = note {
        sent(note, conversation, None, out);
    }
}

fn member_changed(
    changed: &MemberChanged,
    conversation: &Arc<Conversation>,
    head: &Head,
    audience: &Audience,
    out: &mut Vec<Dispatch>,
) {
    let MemberChanged { change, role, version, note } = changed;
    let user = change.user();
    let member = MemberEvent {
        conversation_id: conversation.id,
        user_id: user,
        role: *role,
        version: *version,
    };
    let audience = with(audience, user);
    match change {
        MemberChange::Joins(..) => {
            out.push(topic(conversation, head, TopicChange::Join(vec![user])));
            // As it is right after this change: what follows is told in its turn.
            let last_seq = note.as_ref().map_or(head.last_seq, |note| note.seq - 1);
            let head = Head { last_seq, version: *version, ..*head };
            out.push(to_one(Event::ConversationCreated(Arc::clone(conversation), head), user));
            out.push(told(Event::MemberAdded(member), audience));
        }
        MemberChange::Becomes(..) => out.push(told(Event::MemberUpdated(member), audience)),
        MemberChange::Leaves(_) => {
            out.push(told(Event::MemberRemoved(member), audience));
            out.push(topic(conversation, head, TopicChange::Leave(vec![user])));
            out.push(to_one(Event::ConversationRemoved(conversation.id), user));
        }
    }
    noted(note.as_ref(), conversation, out);
}

/// Those who are told of members, and the one concerned.
fn with(audience: &Audience, user: UserId) -> Audience {
    match audience {
        Audience::Users(users) if !users.contains(&user) => {
            Audience::Users(users.iter().copied().chain([user]).collect())
        }
        all => all.clone(),
    }
}
