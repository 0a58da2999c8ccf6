//! What others are told of a change that is durable.

use std::sync::Arc;

use kith_domain::{
    conversation::{Conversation, Head},
    event::{Audience, Event, MemberEvent},
    group::MemberChange,
    message::Message,
};
use kith_ports::{
    live::{Dispatch, Origin, Reply, TopicChange},
    log::{Applied, Change, Command, Opening},
};

/// Adds to `out` what `applied` means for sockets, in the order of its versions.
pub(super) fn announce(
    command: &Command,
    applied: &Applied,
    origin: Option<Origin>,
    out: &mut Vec<Dispatch>,
) {
    let event = |event, audience| Dispatch::Event { event, audience, origin: None };
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
        Applied::Edited(message, audience) => {
            out.push(event(Event::MessageUpdated(Arc::clone(message)), audience.clone()));
        }
        Applied::Deleted(message, audience) => {
            if let Some(audience) = audience {
                let deleted = Event::MessageDeleted {
                    conversation_id: message.conversation_id,
                    message_id: message.id,
                    seq: message.seq,
                    version: message.version,
                };
                out.push(event(deleted, audience.clone()));
            }
        }
        Applied::Opened(conversation, head, opening) => {
            // The other one hears of it with the first message.
            if let (Opening::Made | Opening::Shown, Change::Open(open)) = (opening, &command.change)
            {
                let created = Event::ConversationCreated(Arc::clone(conversation), *head);
                out.push(event(created, Audience::Users(vec![open.by])));
            }
        }
        Applied::Hidden(conversation) => {
            if let Change::Hide { member } = command.change {
                let removed = Event::ConversationRemoved(conversation.id);
                out.push(event(removed, Audience::Users(vec![member])));
            }
        }
        Applied::Created(conversation, head) => {
            if let Change::Create { members, .. } = &command.change {
                let members: Vec<_> = members.iter().map(|(user, _)| *user).collect();
                out.push(Dispatch::Topic {
                    conversation_id: conversation.id,
                    member_epoch: head.member_epoch,
                    change: TopicChange::Join(members.clone()),
                });
                let created = Event::ConversationCreated(Arc::clone(conversation), *head);
                out.push(event(created, Audience::Users(members)));
            }
        }
        Applied::MembersChanged { conversation, head, changes } => {
            for (change, role, version) in changes {
                let user_id = change.user();
                let member = MemberEvent {
                    conversation_id: conversation.id,
                    user_id,
                    role: *role,
                    version: *version,
                };
                member_changed(*change, member, conversation, head, out);
            }
        }
        Applied::Updated(conversation, head) => {
            let updated = Event::ConversationUpdated(Arc::clone(conversation), *head);
            out.push(event(updated, conversation.audience()));
        }
        Applied::Removed(conversation) => {
            out.push(event(Event::ConversationRemoved(conversation.id), conversation.audience()));
            out.push(Dispatch::Topic {
                conversation_id: conversation.id,
                member_epoch: i64::MAX,
                change: TopicChange::Dissolve,
            });
        }
    }
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
        out.push(Dispatch::Event { event: created, audience: audience.clone(), origin: None });
    }
    out.push(Dispatch::Event { event: Event::MessageSent(Arc::clone(message)), audience, origin });
}

fn member_changed(
    change: MemberChange,
    member: MemberEvent,
    conversation: &Arc<Conversation>,
    head: &Head,
    out: &mut Vec<Dispatch>,
) {
    let to_all = |event| Dispatch::Event { event, audience: conversation.audience(), origin: None };
    let to_one = |event| Dispatch::Event {
        event,
        audience: Audience::Users(vec![member.user_id]),
        origin: None,
    };
    let topic = |change| Dispatch::Topic {
        conversation_id: conversation.id,
        member_epoch: head.member_epoch,
        change,
    };
    match change {
        MemberChange::Joins(user, _) => {
            out.push(topic(TopicChange::Join(vec![user])));
            out.push(to_one(Event::ConversationCreated(Arc::clone(conversation), *head)));
            out.push(to_all(Event::MemberAdded(member)));
        }
        MemberChange::Becomes(..) => out.push(to_all(Event::MemberUpdated(member))),
        MemberChange::Leaves(user) => {
            out.push(to_all(Event::MemberRemoved(member)));
            out.push(topic(TopicChange::Leave(vec![user])));
            out.push(to_one(Event::ConversationRemoved(conversation.id)));
        }
    }
}
