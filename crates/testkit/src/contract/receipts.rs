//! Watermarks: how they move, and who is told.

use kith_domain::{
    ConversationId, UserId,
    conversation::Kind,
    group::{MemberChange, Role},
    receipt::{Status, Watermarks},
};
use kith_ports::{Advanced, HistorySelector, Receipt};

use super::{Stores, World, cards::shows_reading, world::synced};
use crate::build::{at, conversation_id, message_id, user_id};

const fn marks(delivered: i64, read: i64) -> Watermarks {
    Watermarks { delivered, read }
}

async fn own_marks(world: &World, viewer: UserId, id: ConversationId) -> Watermarks {
    world.card(viewer, id).await.unwrap().my.marks
}

/// Never back, never past the newest message; what was read was received.
pub async fn marks_move_forward(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(world.send(id, p[0], "x").await.id);
    }
    let steps = [
        ((2, 0), marks(2, 0), (Some(sent[1]), None)),
        ((1, 0), marks(2, 0), (None, None)),
        ((0, 1), marks(2, 1), (None, Some(sent[0]))),
        ((0, 3), marks(3, 3), (Some(sent[2]), Some(sent[2]))),
        ((0, 2), marks(3, 3), (None, None)),
        ((99, 4), marks(5, 4), (Some(sent[4]), Some(sent[3]))),
        ((0, i64::MAX), marks(5, 5), (None, Some(sent[4]))),
        ((-1, -1), marks(5, 5), (None, None)),
    ];
    let mut before = marks(0, 0);
    for (to, after, (delivered_message, read_message)) in steps {
        let told = |moved: bool| if moved { vec![p[0]] } else { Vec::new() };
        let expected = Advanced {
            before,
            after,
            delivered_message,
            read_message,
            senders_of_delivered: told(delivered_message.is_some()),
            senders_of_read: told(read_message.is_some()),
        };
        assert_eq!(world.advance(p[1], id, to).await, Some(expected), "{to:?}");
        assert_eq!(own_marks(&world, p[1], id).await, after, "{to:?}");
        before = after;
    }
    assert_eq!(own_marks(&world, p[0], id).await, marks(5, 5), "the other's are his own");
}

/// Strangers, those who left, and where there is nothing any more.
pub async fn who_is_no_member_moves_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    world.send(id, p[0], "x").await;
    let gone = world.group(&p[..2]).await;
    world.send(gone, p[0], "x").await;
    world.leave(id, p[1]).await;
    world.remove(gone).await;
    let cases =
        [(p[2], id), (user_id(99), id), (p[1], id), (p[1], gone), (p[0], conversation_id(99))];
    let batch: Vec<_> = cases
        .iter()
        .chain(&[(p[0], id)])
        .map(|(user, id)| world.advancing(*user, *id, (9, 9)))
        .collect();
    let answers = world.stores.receipts.advance(batch.into()).await.unwrap();
    assert_eq!(answers[..5], [None, None, None, None, None]);
    // His own has moved his marks, and the note of the leaving is the newest.
    let last = answers[5].as_ref().unwrap();
    assert_eq!((last.before, last.after), (marks(1, 1), marks(2, 2)));
    assert!(world.stores.receipts.advance([].into()).await.unwrap().is_empty());
}

/// Those who wrote what was passed, are still there, and are not the reader himself.
pub async fn senders_are_told_once(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let id = world.group(&p).await;
    for sender in [1, 2, 0, 1, 3] {
        world.send(id, p[sender], "x").await;
    }
    // He removes himself, which the history notes: seq 6.
    world.leave(id, p[3]).await;
    world.send(id, p[4], "x").await;
    let told = world.advance(p[0], id, (4, 2)).await.unwrap();
    assert_eq!(told.senders_of_delivered, [p[1], p[2]]);
    assert_eq!(told.senders_of_read, [p[1], p[2]]);
    let told = world.advance(p[0], id, (0, 6)).await.unwrap();
    assert_eq!(told.senders_of_delivered, [], "one has left, and of a note nobody is told");
    assert_eq!(told.senders_of_read, [p[1]]);
    let told = world.advance(p[0], id, (9, 9)).await.unwrap();
    assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![p[4]], vec![p[4]]));
}

/// The mark itself may go on as far as it likes.
pub async fn senders_of_long_ago_are_not_told(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send(id, p[1], "x").await;
    world.send_many(id, p[2], 999).await;
    let told = world.advance(p[0], id, (1_000, 0)).await.unwrap();
    assert_eq!(told.senders_of_delivered, [p[1], p[2]]);
    world.send(id, p[2], "x").await;
    let told = world.advance(p[0], id, (0, 1_001)).await.unwrap();
    assert_eq!((told.after, told.senders_of_read), (marks(1_001, 1_001), vec![p[2]]));
}

/// That something was received is.
pub async fn hidden_reading_is_told_to_nobody(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send(id, p[1], "x").await;
    world.send(id, p[2], "x").await;
    shows_reading(&world, p[2], false).await;
    let told = world.advance(p[0], id, (0, 2)).await.unwrap();
    assert_eq!(told.senders_of_delivered, [p[1], p[2]]);
    assert_eq!(told.senders_of_read, [p[1]], "who hides his hears of nobody's");
    world.send(id, p[1], "x").await;
    let told = world.advance(p[2], id, (0, 3)).await.unwrap();
    assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![p[1]], vec![]));
}

/// Whoever of the two has blocked the other; a group they share is unaffected.
pub async fn nobody_is_told_across_a_block(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let chat = world.write(p[1], p[0], "x").await.conversation_id;
    let group = world.group(&p).await;
    world.send(group, p[0], "x").await;
    for (seq, (by, whom)) in (1..).zip([(p[0], p[1]), (p[1], p[0])]) {
        world.stores.blocks.block(by, whom, at(1)).await.unwrap();
        let told = world.advance(p[1], chat, (seq, seq)).await.unwrap();
        assert_eq!(told.after, marks(seq, seq));
        assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![], vec![]));
        world.stores.blocks.unblock(by, whom).await.unwrap();
        world.write(p[1], p[0], "x").await;
    }
    let told = world.advance(p[1], chat, (9, 9)).await.unwrap();
    assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![p[0]], vec![p[0]]));
    world.stores.blocks.block(p[1], p[0], at(1)).await.unwrap();
    let told = world.advance(p[1], group, (9, 9)).await.unwrap();
    assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![p[0]], vec![p[0]]));
}

/// Not even that he did something: his own devices alone find it. That something was received is seen.
pub async fn hidden_reading_leaves_no_trace(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send_many(id, p[0], 3).await;
    shows_reading(&world, p[1], false).await;
    world.advance(p[1], id, (2, 0)).await.unwrap();
    let start = world.horizon().await;
    let found =
        async |viewer| synced(&world.sync(viewer, Some(start.clone()), 10).await.conversations);
    world.advance(p[1], id, (0, 2)).await.unwrap();
    assert_eq!((found(p[0]).await, found(p[2]).await), (vec![], vec![]));
    assert_eq!(found(p[1]).await, [id]);
    world.advance(p[1], id, (0, 3)).await.unwrap();
    assert_eq!(found(p[0]).await, [id], "what is read was received");
    // When it was read is kept, for when he shows it again.
    shows_reading(&world, p[1], true).await;
    let message = world.page(p[0], id, HistorySelector::Newest, 1).await.1.items.remove(0).message;
    let receipts = world.receipts(p[0], message.id, 10).await.unwrap();
    assert_eq!((receipts[0].status, receipts[0].read_at.is_some()), (Status::Read, true));
}

/// Neither that it is read now nor that it was; for as long as there is a block.
pub async fn nothing_is_known_across_a_block(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let first = world.write(p[1], p[0], "one").await;
    let (chat, last) = (first.conversation_id, world.write(p[1], p[0], "two").await);
    world.advance(p[1], chat, (1, 1)).await.unwrap();
    let blocks = &world.stores.blocks;
    let seen = async || {
        let whole = world.sync(p[0], None, 10).await.conversations.remove(0);
        let mut statuses = Vec::new();
        for id in [first.id, last.id] {
            let receipt = world.receipts(p[0], id, 10).await.unwrap()[0];
            let status = world.message_card(p[0], id).await.unwrap().status;
            assert_eq!(status, Some(receipt.status));
            assert_eq!(receipt.read_at.is_some(), receipt.status == Status::Read);
            assert_eq!(receipt.delivered_at.is_some(), receipt.status != Status::Sent);
            statuses.push(receipt.status);
        }
        (whole.marks.unwrap()[0].marks, statuses)
    };
    let known = (marks(1, 1), vec![Status::Read, Status::Sent]);
    assert_eq!(seen().await, known);
    let mut from = world.horizon().await;
    let mut found = async || {
        let mut counts = Vec::new();
        for viewer in &p {
            let body = world.sync(*viewer, Some(from.clone()), 10).await;
            counts.push(body.conversations.len());
        }
        from = world.horizon().await;
        counts
    };
    blocks.block(p[0], p[1], at(1)).await.unwrap();
    assert_eq!(found().await, [1, 1], "what they see of each other is another");
    let nothing = (marks(0, 0), vec![Status::Sent, Status::Sent]);
    assert_eq!(seen().await, nothing);
    blocks.block(p[0], p[1], at(2)).await.unwrap();
    blocks.block(p[1], p[0], at(2)).await.unwrap();
    blocks.unblock(p[0], p[1]).await.unwrap();
    blocks.unblock(p[0], p[1]).await.unwrap();
    assert_eq!(found().await, [0, 0], "nobody learns who has blocked whom");
    assert_eq!(seen().await, nothing);

    world.advance(p[1], chat, (2, 0)).await.unwrap();
    assert_eq!(found().await, [0, 1]);
    world.advance(p[1], chat, (2, 2)).await.unwrap();
    assert_eq!(found().await, [0, 1], "his own devices alone find it");
    assert_eq!(seen().await, nothing);
    assert_eq!(own_marks(&world, p[1], chat).await, marks(2, 2));

    blocks.unblock(p[1], p[0]).await.unwrap();
    assert_eq!(found().await, [1, 1]);
    let receipts = world.receipts(p[0], last.id, 10).await.unwrap();
    let (user_id, status) = (p[1], Status::Read);
    assert_eq!(receipts, [Receipt { user_id, status, delivered_at: None, read_at: None }]);
}

/// Nobody is told, no time is kept; one's own marks move, and one's own sync says so.
pub async fn a_large_room_keeps_marks_alone(stores: Stores) {
    let (world, p) = World::people(stores, 257).await;
    let id = world.group(&p).await;
    let message = world.send(id, p[0], "x").await;
    let start = world.horizon().await;
    let told = world.advance(p[1], id, (0, 1)).await.unwrap();
    assert_eq!((told.after, told.read_message), (marks(1, 1), Some(message.id)));
    assert_eq!((told.senders_of_delivered, told.senders_of_read), (vec![], vec![]));
    let of_reader = world.sync(p[1], Some(start.clone()), 10).await;
    assert_eq!(of_reader.conversations[0].card.my.marks, marks(1, 1));
    assert_eq!(of_reader.conversations[0].marks, None);
    assert!(world.sync(p[0], Some(start), 10).await.conversations.is_empty());
    let receipts = world.receipts(p[0], message.id, 100).await.unwrap();
    assert_eq!(receipts.len(), 256);
    let (user_id, status) = (p[1], Status::Read);
    let read = Receipt { user_id, status, delivered_at: None, read_at: None };
    assert_eq!(receipts[0], read);
    assert_eq!(receipts[1], Receipt { user_id: p[2], status: Status::Sent, ..read });
    // When it is small again, what was not kept stays unknown.
    world.leave(id, p[256]).await;
    let receipts = world.receipts(p[0], message.id, 100).await.unwrap();
    assert_eq!((receipts.len(), receipts[0]), (255, read));
}

/// In a channel, one who may not list its members learns of those in charge, however few or many there
/// are.
pub async fn receipts_in_a_channel_do_not_list_it(stores: Stores) {
    let (world, p) = World::people(stores, 257).await;
    for people in [&p[..6], &p] {
        let id = world.room(Kind::Channel, people).await;
        let message = world.send(id, p[5], "x").await;
        world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
        let listed = async |viewer| -> Vec<_> {
            let receipts = world.receipts(viewer, message.id, 100).await.unwrap();
            receipts.into_iter().map(|receipt| receipt.user_id).collect()
        };
        assert_eq!(listed(p[5]).await, [p[0], p[1]]);
        assert_eq!(listed(p[1]).await.len(), people.len() - 1);
    }
}

/// Neither as it happens nor in a sync; but how far all have come, he is told of what he wrote.
pub async fn a_channel_tells_those_in_charge_who_reads(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.room(Kind::Channel, &p).await;
    world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    for sender in [0, 1] {
        world.send(id, p[sender], "x").await;
    }
    let last = world.send(id, p[2], "x").await.id;
    let told = world.advance(p[0], id, (3, 3)).await.unwrap();
    assert_eq!((&*told.senders_of_delivered, &*told.senders_of_read), (&p[1..2], &p[1..2]));
    let told = world.advance(p[1], id, (3, 3)).await.unwrap();
    assert_eq!((&*told.senders_of_delivered, &*told.senders_of_read), (&p[..1], &p[..1]));
    let synced = async |viewer| -> Vec<_> {
        let body = world.sync(viewer, None, 10).await;
        let marks = body.conversations.into_iter().next().unwrap().marks.unwrap();
        marks.into_iter().map(|of| of.user_id).collect()
    };
    assert_eq!(synced(p[2]).await, p[..2]);
    assert_eq!(synced(p[1]).await, [p[0], p[2], p[3]]);
    let status = async || world.message_card(p[2], last).await.unwrap().status;
    assert_eq!(status().await, Some(Status::Sent), "one whom he does not see has not");
    let told = world.advance(p[3], id, (3, 3)).await.unwrap();
    assert_eq!((&*told.senders_of_delivered, &*told.senders_of_read), (&p[..2], &p[..2]));
    assert_eq!(status().await, Some(Status::Read));
}

/// For the others he has what he has, whatever he puts away.
pub async fn who_hides_a_chat_stays_in_its_receipts(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..3]).await;
    let message = world.send(id, p[0], "x").await;
    world.advance(p[1], id, (1, 1)).await.unwrap();
    world.change_members(id, &[MemberChange::Joins(p[3], Role::Member)]).await;
    let readers = async || -> Vec<_> {
        let receipts = world.receipts(p[0], message.id, 100).await.unwrap();
        receipts.into_iter().map(|receipt| (receipt.user_id, receipt.status)).collect()
    };
    let before = readers().await;
    assert_eq!(before, [(p[1], Status::Read), (p[2], Status::Sent)]);
    world.hide(p[1], id).await.unwrap();
    assert_eq!(readers().await, before);
    world.send(id, p[0], "and back").await;
    world.change_members(id, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    assert_eq!(readers().await, before);
    // One who comes back is another.
    world.leave(id, p[1]).await;
    world.change_members(id, &[MemberChange::Joins(p[1], Role::Member)]).await;
    assert_eq!(readers().await, before[1..]);
}

/// By their ids, whatever the size of a page.
pub async fn receipts_are_paged(stores: Stores) {
    let (world, p) = World::people(stores, 9).await;
    let group = world.group(&p[..8]).await;
    let channel = world.room(Kind::Channel, &p[..8]).await;
    for id in [group, channel] {
        let message = world.send(id, p[3], "x").await;
        world.advance(p[5], id, (1, 0)).await.unwrap();
        for viewer in [p[0], p[4]] {
            let whole = world.receipts(viewer, message.id, 100).await.unwrap();
            assert_eq!(whole.len(), if (id, viewer) == (channel, p[4]) { 1 } else { 7 });
            for limit in 1..9 {
                assert_eq!(world.receipts(viewer, message.id, limit).await.unwrap(), whole);
            }
        }
        let store = &world.stores.receipts;
        let end = store.receipts(p[0], message.id, Some(p[7]), 5).await.unwrap().unwrap();
        assert_eq!((end.items, end.next), (vec![], None));
        assert_eq!(store.receipts(p[8], message.id, Some(p[7]), 5).await.unwrap(), None);
    }
}

/// Who, how far, and since when.
pub async fn receipts_of_a_message(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    let id = world.group(&p[..4]).await;
    let one = world.send(id, p[0], "one").await;
    let two = world.send(id, p[1], "two").await;
    world.change_members(id, &[MemberChange::Joins(p[4], Role::Member)]).await;
    let mut times = Vec::new();
    for (reader, to) in [(p[1], (1, 0)), (p[1], (2, 2)), (p[2], (2, 0)), (p[2], (3, 3))] {
        let advance = world.advancing(reader, id, to);
        times.push(advance.at);
        world.stores.receipts.advance([advance].into()).await.unwrap();
    }
    let receipts = async |viewer, message| {
        world.receipts(viewer, message, 2).await.map(|receipts| {
            receipts
                .into_iter()
                .map(|it| (it.user_id, it.status, it.delivered_at, it.read_at))
                .collect::<Vec<_>>()
        })
    };
    let (sent, delivered, read) = (Status::Sent, Status::Delivered, Status::Read);
    let (t0, t1, t2, t3) = (Some(times[0]), Some(times[1]), Some(times[2]), Some(times[3]));
    assert_eq!(
        receipts(p[0], one.id).await.unwrap(),
        [(p[1], read, t0, t1), (p[2], read, t2, t3), (p[3], sent, None, None)],
        "who came later is left out"
    );
    // The one who made it wrote before it and has what lay before it, but no time for the rest.
    assert_eq!(
        receipts(p[1], two.id).await.unwrap(),
        [(p[0], sent, None, None), (p[2], read, t2, t3), (p[3], sent, None, None)]
    );
    shows_reading(&world, p[2], false).await;
    let of_hidden = (p[2], delivered, t2, None);
    assert_eq!(receipts(p[0], one.id).await.unwrap()[1], of_hidden);
    assert_eq!(
        receipts(p[2], one.id).await.unwrap()[..2],
        [(p[1], delivered, t0, None), (p[2], read, t2, t3)],
        "he sees himself as he is, and others as they see him"
    );
    for (viewer, message) in [(p[4], one.id), (p[5], one.id), (p[0], message_id(9))] {
        assert_eq!(receipts(viewer, message).await, None);
    }
    world.leave(id, p[1]).await;
    assert_eq!(receipts(p[0], one.id).await.unwrap().len(), 2);
    assert_eq!(receipts(p[1], one.id).await, None);
}

/// One transaction, whatever is in it.
pub async fn a_batch_moves_many(stores: Stores) {
    let (world, p) = World::people(stores, 6).await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        let id = world.group(&p).await;
        world.send_many(id, p[0], 4).await;
        world.send(id, p[1], "x").await;
        rooms.push(id);
    }
    let mut batch = Vec::new();
    for (n, id) in (1..).zip(&rooms) {
        for (m, reader) in (1..).zip(&p[2..]) {
            batch.push(world.advancing(*reader, *id, (i64::max(n, m), i64::min(n, m))));
        }
    }
    let start = world.horizon().await;
    let answers = world.stores.receipts.advance(batch.clone().into()).await.unwrap();
    assert_eq!(answers.len(), batch.len());
    for (advance, answer) in batch.iter().zip(answers) {
        let answer = answer.unwrap();
        assert_eq!((answer.before, answer.after), (marks(0, 0), advance.to));
        let told = if advance.to.delivered == 5 { &p[..2] } else { &p[..1] };
        assert_eq!(answer.senders_of_delivered, told);
        assert_eq!(answer.senders_of_read, p[..1]);
        let card = world.card(advance.user_id, advance.conversation_id).await.unwrap();
        assert_eq!(card.my.marks, advance.to);
        assert_eq!(card.unread.count, u32::try_from(5 - advance.to.read).unwrap());
    }
    let body = world.sync(p[0], Some(start), 10).await;
    assert_eq!(synced(&body.conversations).len(), 5);
}

/// The next sync has nothing to tell.
pub async fn what_moves_nothing_writes_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    world.send(id, p[0], "x").await;
    world.advance(p[1], id, (1, 1)).await.unwrap();
    let head = world.head(id).await;
    let start = world.horizon().await;
    world.advance(p[1], id, (1, 1)).await.unwrap();
    world.advance(p[1], id, (0, 0)).await.unwrap();
    for viewer in &p {
        let body = world.sync(*viewer, Some(start.clone()), 10).await;
        assert!(body.conversations.is_empty());
    }
    assert_eq!(world.head(id).await, head, "marks take no version");
}

/// A sender is not told that a chat was read because it was put away.
pub async fn hiding_reads_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let message = world.write(p[1], p[0], "one").await;
    let id = message.conversation_id;
    world.hide(p[1], id).await.unwrap();
    let status = async || world.message_card(p[0], message.id).await.unwrap().status;
    assert_eq!(status().await, Some(Status::Sent));
    assert_eq!(own_marks(&world, p[1], id).await, marks(1, 1), "for him there is nothing to read");
    let marks_of_other = world.sync(p[0], None, 10).await.conversations[0].marks.clone().unwrap();
    assert_eq!(marks_of_other[0].marks, marks(0, 0));
    world.write(p[1], p[0], "two").await;
    let card = world.card(p[1], id).await.unwrap();
    assert_eq!((card.my.marks, card.unread.count), (marks(1, 1), 1));
    world.advance(p[1], id, (2, 2)).await.unwrap();
    assert_eq!(status().await, Some(Status::Read), "marks say all up to there");
}

/// One who reads and one who sends at once: no mark is lost, and none is waited for in a circle.
pub async fn advances_and_sends_at_once(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(world.group(&p).await);
    }
    let mut tasks = Vec::new();
    for round in 0..10 {
        let (log, receipts) = (world.stores.log.clone(), world.stores.receipts.clone());
        let mut order = rooms.clone();
        order.rotate_left(round % 4);
        let sends: Vec<_> = order
            .iter()
            .map(|id| crate::build::send_to(*id, world.next(), p[round % 4], "x"))
            .collect();
        let advances: Vec<_> = order
            .iter()
            .rev()
            .map(|id| world.advancing(p[(round + 1) % 4], *id, (99, 99)))
            .collect();
        tasks.push(tokio::spawn(async move {
            log.apply(sends.into()).await.unwrap();
        }));
        tasks.push(tokio::spawn(async move {
            receipts.advance(advances.into()).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (id, reader) in rooms.iter().flat_map(|id| p.iter().map(move |reader| (id, reader))) {
        let told = world.advance(*reader, *id, (99, 99)).await.unwrap();
        assert_eq!(told.after, marks(10, 10));
    }
}
