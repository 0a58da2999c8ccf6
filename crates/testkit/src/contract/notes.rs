//! System messages: what a history tells of who came, went, and of names.

use std::sync::Arc;

use kith_domain::{
    Code, ConversationId, UserId,
    conversation::{ConversationPatch, Kind, Seq, Version},
    group::{MemberChange, Role},
    message::{Body, Message, SystemEvent},
    receipt::Watermarks,
};
use kith_ports::{
    HistorySelector,
    log::{Applied, Change},
};

use super::{
    Stores, World,
    world::{messages, refused, sent},
};
use crate::build::{name, send_to};

fn patch(text: &str) -> ConversationPatch {
    ConversationPatch { name: Some(name(text)), ..ConversationPatch::default() }
}

/// What a note says, by whom, under which numbers.
fn told(note: Option<&Arc<Message>>) -> Option<(SystemEvent, UserId, Seq, Version)> {
    let note = note?;
    let Body::Noted(event) = &note.body else { panic!("expected a note, found {note:?}") };
    assert_eq!(note.client_message_id.as_str(), note.id.to_string());
    Some((event.clone(), note.sender_id, note.seq, note.version))
}

/// All that `viewer` sees.
async fn history(world: &World, viewer: UserId, id: ConversationId) -> Vec<Message> {
    messages(&world.page(viewer, id, HistorySelector::Newest, 100).await.1.items)
}

/// Each right after the change, and numbered like a message.
pub async fn a_group_notes_who_comes_and_goes(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..2]).await;
    world.send(group, p[0], "one").await;
    let changes = [
        MemberChange::Joins(p[2], Role::Member),
        MemberChange::Becomes(p[1], Role::Admin),
        MemberChange::Leaves(p[1]),
        MemberChange::Joins(p[3], Role::Member),
    ];
    let command = world.members_command(p[0], group, &changes).await;
    let at = command.at;
    let Applied::MembersChanged { head, changes, .. } = world.apply(command).await.unwrap() else {
        panic!("expected changed members");
    };
    let notes: Vec<_> = changes.iter().map(|it| (it.version, told(it.note.as_ref()))).collect();
    let expected = [
        (3, Some((SystemEvent::MemberAdded(p[2]), p[0], 2, 4))),
        (5, None),
        (6, Some((SystemEvent::MemberRemoved(p[1]), p[0], 3, 7))),
        (8, Some((SystemEvent::MemberAdded(p[3]), p[0], 4, 9))),
    ];
    assert_eq!(notes, expected);
    assert_eq!((head.last_seq, head.version, head.last_message_at), (4, 9, Some(at)));
    assert_eq!(world.head(group).await.1, head);
    let noted: Vec<Message> = changes.iter().filter_map(|it| it.note.as_deref()).cloned().collect();
    assert!(noted.iter().all(|note| note.created_at == at && note.is_system()));
    // Who came sees from the note of it on.
    assert_eq!(history(&world, p[0], group).await[1..], noted);
    assert_eq!(history(&world, p[2], group).await, noted);
    assert_eq!(history(&world, p[3], group).await, noted[2..]);
    assert_eq!(world.send(group, p[3], "two").await.seq, 5);
}

/// Not as one who was removed.
pub async fn one_who_leaves_is_noted_so(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let command = world.members_command(p[1], group, &[MemberChange::Leaves(p[1])]).await;
    let Applied::MembersChanged { changes, .. } = world.apply(command).await.unwrap() else {
        panic!("expected changed members");
    };
    let note = told(changes[0].note.as_ref());
    assert_eq!(note, Some((SystemEvent::MemberLeft, p[1], 1, 3)));
    assert_eq!(history(&world, p[0], group).await.len(), 1);
}

/// In groups and channels; the name it has is no news.
pub async fn another_name_is_noted(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    for kind in [Kind::Group, Kind::Channel] {
        let id = world.room(kind, &p).await;
        let renamed = world.update(p[0], id, patch("Another")).await.unwrap();
        let Applied::Updated { conversation, head, changed: true, note } = renamed else {
            panic!("expected another name, found {renamed:?}");
        };
        assert_eq!((conversation.name.as_ref(), head.version), (Some(&name("Another")), 2));
        let event = SystemEvent::Renamed(name("Another"));
        assert_eq!(told(note.as_ref()), Some((event, p[0], 1, 3)));
        assert_eq!(history(&world, p[1], id).await, [(*note.unwrap()).clone()]);
        let same = world.update(p[0], id, patch("Another")).await.unwrap();
        let nothing = matches!(&same, Applied::Updated { note: None, .. });
        assert!(nothing, "{same:?}");
        assert_eq!(world.head(id).await.1.last_seq, 1);
    }
}

/// Too many do.
pub async fn a_channel_does_not_note_who_comes_and_goes(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let channel = world.room(Kind::Channel, &p[..2]).await;
    let changes = [MemberChange::Joins(p[2], Role::Member), MemberChange::Leaves(p[1])];
    let changed = world.change_members(channel, &changes).await;
    assert!(changed.iter().all(|it| it.note.is_none()), "{changed:?}");
    assert_eq!((changed[0].version, changed[1].version), (2, 3));
    assert_eq!(world.head(channel).await.1.last_seq, 0);
}

/// Nor does it lie before what one sends, nor move anybody's marks.
pub async fn a_note_is_nothing_to_read(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..2]).await;
    world.change_members(group, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let marks = async |who| world.card(who, group).await.unwrap().my.marks;
    let unread = async |who| world.card(who, group).await.unwrap().unread.count;
    for who in &p[..3] {
        assert_eq!((unread(*who).await, marks(*who).await.read), (0, 0), "{who}");
    }
    // One by one and in a batch alike.
    let own = world.send(group, p[1], "nothing unread before it").await;
    assert_eq!(marks(p[1]).await, Watermarks { delivered: own.seq, read: own.seq });
    world.change_members(group, &[MemberChange::Joins(p[3], Role::Member)]).await;
    let batch = vec![send_to(group, 1, p[1], "nor this"), send_to(group, 2, p[1], "nor that")];
    for outcome in world.apply_all(batch).await {
        sent(outcome);
    }
    assert_eq!(marks(p[1]).await, Watermarks { delivered: 5, read: 5 });
    assert_eq!((unread(p[0]).await, unread(p[2]).await, unread(p[3]).await), (3, 3, 2));
    // What others wrote does lie before it.
    world.send(group, p[2], "three unread before it").await;
    assert_eq!(marks(p[2]).await.read, 0);
}

/// It says what happened.
pub async fn a_note_stays_as_it_is(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p[..1]).await;
    let changed = world.change_members(group, &[MemberChange::Joins(p[1], Role::Member)]).await;
    let note = changed[0].note.clone().unwrap();
    for outcome in [
        world.edit(&note, "nothing happened").await,
        world.delete(&note).await,
        world.pin(&note, true).await,
        world.react(p[1], &note, "👍", true).await,
    ] {
        assert_eq!(refused(outcome), Code::Forbidden);
    }
    assert_eq!(history(&world, p[0], group).await, [(*note).clone()]);
    // Its client id is its own.
    let mut again = send_to(group, 1, p[0], "hi");
    if let Change::Send(send) = &mut again.change {
        send.client_message_id = note.client_message_id.clone();
    }
    assert_eq!(refused(world.apply(again).await), Code::ClientMessageIdReused);
}

/// Who hides a chat has not read it: its senders are told nothing.
pub async fn hiding_reads_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let first = world.write(p[1], p[0], "are you there?").await;
    let chat = first.conversation_id;
    world.hide(p[1], chat).await.unwrap();
    let receipts = world.receipts(p[0], first.id, 10).await.unwrap();
    let status = world.message_card(p[0], first.id).await.unwrap().status;
    let sent = kith_domain::receipt::Status::Sent;
    assert_eq!((receipts.len(), receipts[0].status, status), (1, sent, Some(sent)));
    // What was hidden is not unread before what he sends.
    let own = world.send(chat, p[1], "I am").await;
    let my = world.card(p[1], chat).await.unwrap().my;
    assert_eq!((my.first_seq, my.marks.read), (2, own.seq));
}
