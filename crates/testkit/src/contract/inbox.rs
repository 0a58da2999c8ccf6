//! Conversations as one member sees them.

use kith_domain::{
    Code, ConversationId, conversation::Kind, group::MemberChange, receipt::Watermarks,
};
use kith_ports::{
    HistorySelector, InboxFilter, Unread,
    log::{Applied, Change, Open, Opening},
};

use super::{
    Stores, World,
    world::{ids, refused},
};
use crate::build::{conversation_id, send_to, user_id};

async fn inbox(world: &World, viewer: kith_domain::UserId) -> Vec<ConversationId> {
    let page =
        world.stores.conversations.inbox(viewer, InboxFilter::default(), None, 100).await.unwrap();
    assert_eq!(page.next, None);
    ids(&page.items)
}

/// As it is now: edited, deleted.
pub async fn a_card_shows_the_newest_message_and_the_peer(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    world.write(p[1], p[0], "one").await;
    let two = world.write(p[0], p[1], "two").await;
    let id = two.conversation_id;
    let card = world.card(p[0], id).await.unwrap();
    assert_eq!(card.peer.unwrap().username.unwrap().as_str(), "user_2");
    assert_eq!((card.last_message.unwrap().message, card.head.last_seq), ((*two).clone(), 2));
    let Applied::Deleted(tombstone, ..) = world.delete(&two).await.unwrap() else {
        panic!("expected a tombstone");
    };
    let card = world.card(p[0], id).await.unwrap();
    assert_eq!((card.last_message.unwrap().message, card.head.version), ((*tombstone).clone(), 4));
    for (viewer, id) in [(p[2], id), (p[0], conversation_id(99)), (user_id(99), id)] {
        assert_eq!(world.card(viewer, id).await, None);
    }
}

/// The making counts where nothing was said.
pub async fn the_inbox_is_ordered_by_activity(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let quiet = world.group(&p[..2]).await;
    let busy = world.group(&p[..2]).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    world.send(busy, p[1], "hi").await;
    assert_eq!(inbox(&world, p[0]).await, [busy, chat, quiet]);
    world.write(p[0], p[1], "hi").await;
    assert_eq!(inbox(&world, p[0]).await, [chat, busy, quiet]);
    world.change_members(busy, &[MemberChange::Leaves(p[1])]).await;
    world.remove(quiet).await;
    assert_eq!(inbox(&world, p[1]).await, [chat]);
    assert_eq!(inbox(&world, p[2]).await, []);
}

/// Many of the same moment, each once.
pub async fn the_inbox_is_paged_with_ties(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    // All made at the same second; some get a message.
    let mut rooms = Vec::new();
    for n in 0..9 {
        let id = world.group(&p).await;
        if n % 4 == 0 {
            world.send(id, p[0], "hi").await;
        }
        rooms.push(id);
    }
    let whole = inbox(&world, p[0]).await;
    assert_eq!(whole.len(), 9);
    assert_eq!(whole[..3], [rooms[8], rooms[4], rooms[0]]);
    for limit in 1..5 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world
                .stores
                .conversations
                .inbox(p[0], InboxFilter::default(), after, limit)
                .await
                .unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(ids(&page.items));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, whole, "pages of {limit}");
    }
}

/// By kind, and by what was archived (nothing was).
pub async fn the_inbox_is_filtered(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let channel = world.room(Kind::Channel, &p).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let filtered = async |kind, archived| {
        let filter = InboxFilter { kind, archived };
        let page = world.stores.conversations.inbox(p[0], filter, None, 10).await.unwrap();
        ids(&page.items)
    };
    assert_eq!(filtered(Some(Kind::Group), None).await, [group]);
    assert_eq!(filtered(Some(Kind::Channel), None).await, [channel]);
    assert_eq!(filtered(Some(Kind::Direct), Some(false)).await, [chat]);
    assert_eq!(filtered(None, Some(true)).await, []);
    assert_eq!(filtered(None, Some(false)).await.len(), 3);
}

/// Not one's own, not what was deleted.
pub async fn unread_counts_what_others_wrote(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send(id, p[0], "mine").await;
    let other = world.send(id, p[1], "other").await;
    world.send(id, p[2], "third").await;
    world.send(id, p[0], "mine again").await;
    let unread = async |viewer| world.card(viewer, id).await.unwrap().unread.count;
    assert_eq!((unread(p[0]).await, unread(p[1]).await, unread(p[2]).await), (2, 3, 3));
    world.delete(&other).await.unwrap();
    assert_eq!((unread(p[0]).await, unread(p[1]).await, unread(p[2]).await), (1, 3, 2));
    let page =
        world.stores.conversations.inbox(p[0], InboxFilter::default(), None, 9).await.unwrap();
    assert_eq!(page.items[0].unread, Unread { count: 1, mentions: 0 });
}

/// Exact up to there.
pub async fn unread_stops_at_its_most(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    for (more, expected) in [(998, 998), (1, 999), (5, 999)] {
        world.send_many(id, p[0], more).await;
        assert_eq!(world.card(p[1], id).await.unwrap().unread.count, expected);
    }
}

/// Writing does not skip what lies unread.
pub async fn sending_reads_only_what_was_read(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let marks = async |viewer| world.card(viewer, id).await.unwrap().my.marks;
    world.send(id, p[0], "one").await;
    world.send(id, p[0], "two").await;
    assert_eq!(marks(p[0]).await, Watermarks { delivered: 2, read: 2 });
    let three = world.send(id, p[1], "three").await;
    assert_eq!(marks(p[1]).await, Watermarks { delivered: 0, read: 0 });
    world.send(id, p[0], "four").await;
    assert_eq!(marks(p[0]).await.read, 2);
    // What was unread is deleted: now nothing lies before.
    world.delete(&three).await.unwrap();
    world.send(id, p[0], "five").await;
    assert_eq!(marks(p[0]).await, Watermarks { delivered: 5, read: 5 });
    // In one batch too.
    let batch = vec![
        crate::build::send_to(id, 1, p[0], "six"),
        crate::build::send_to(id, 2, p[1], "seven"),
        crate::build::send_to(id, 3, p[0], "eight"),
    ];
    world.apply_all(batch).await;
    assert_eq!(marks(p[0]).await, Watermarks { delivered: 6, read: 6 });
    assert_eq!(world.card(p[0], id).await.unwrap().unread.count, 1);
    // And when what was unread is deleted in the same batch.
    let member_epoch = world.head(id).await.1.member_epoch;
    let seven = crate::build::message_id(2);
    let batch = vec![
        crate::build::send_to(id, 4, p[0], "nine"),
        world.command(id, Change::Delete { message_id: seven, member_epoch }),
        crate::build::send_to(id, 5, p[0], "ten"),
    ];
    world.apply_all(batch).await;
    assert_eq!(marks(p[0]).await, Watermarks { delivered: 10, read: 10 });
}

/// Showing only what is new.
pub async fn a_hidden_chat_comes_back_with_the_next_message(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.write(p[1], p[0], "one").await.conversation_id;
    world.write(p[0], p[1], "two").await;
    let head = world.head(id).await;
    for _ in 0..2 {
        let Applied::Hidden(conversation) = world.hide(p[0], id).await.unwrap() else {
            panic!("expected it to be hidden");
        };
        assert_eq!((*conversation).clone(), head.0);
        assert_eq!(world.head(id).await, head, "it takes no version");
    }
    assert_eq!(inbox(&world, p[0]).await, []);
    assert_eq!(inbox(&world, p[1]).await, [id]);
    let card = world.card(p[0], id).await.unwrap();
    assert!(card.my.hidden);
    assert_eq!((card.my.first_seq, card.my.marks.read, card.last_message), (3, 2, None));
    let three = world.write(p[0], p[1], "three").await;
    assert_eq!(inbox(&world, p[0]).await, [id]);
    let card = world.card(p[0], id).await.unwrap();
    assert_eq!((card.my.hidden, card.unread.count), (false, 1));
    assert_eq!(card.last_message.unwrap().message, *three);
    assert_eq!(world.page(p[0], id, HistorySelector::After(0), 9).await.0, [3]);
    assert_eq!(world.page(p[1], id, HistorySelector::After(0), 9).await.0, [1, 2, 3]);
    world.hide(p[0], id).await.unwrap();
    assert_eq!(world.card(p[0], id).await.unwrap().my.first_seq, 4);
}

/// For the one who opens it.
pub async fn opening_brings_a_hidden_chat_back(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.write(p[1], p[0], "one").await.conversation_id;
    for viewer in [p[0], p[1]] {
        world.hide(viewer, id).await.unwrap();
    }
    let open = Change::Open(Open { by: p[0], peer: p[1] });
    let outcome = world.apply(world.command(id, open)).await.unwrap();
    assert!(matches!(outcome, Applied::Opened(_, _, Opening::Shown)), "{outcome:?}");
    assert_eq!(inbox(&world, p[0]).await, [id]);
    assert_eq!(inbox(&world, p[1]).await, []);
    assert_eq!(world.card(p[0], id).await.unwrap().last_message, None, "what was hidden stays so");
}

/// Strangers have nothing to hide.
pub async fn hiding_is_ones_own(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    assert_eq!(refused(world.hide(p[2], id).await), Code::NotFound);
    assert_eq!(refused(world.hide(p[0], conversation_id(99)).await), Code::NotFound);
    world.change_members(id, &[MemberChange::Leaves(p[1])]).await;
    assert_eq!(refused(world.hide(p[1], id).await), Code::NotFound);
    assert_eq!(inbox(&world, p[0]).await, [id]);
}

/// Whatever stands beside it in the batch.
pub async fn hiding_takes_its_place_in_a_batch(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let hide = || world.command(id, Change::Hide { member: p[0] });
    let batch = vec![
        send_to(id, 1, p[1], "one"),
        // With one unread, so that his own does not move the mark.
        send_to(id, 2, p[0], "two"),
        hide(),
        send_to(id, 3, p[0], "three"),
    ];
    for outcome in world.apply_all(batch).await {
        outcome.unwrap();
    }
    let card = world.card(p[0], id).await.unwrap();
    assert_eq!((card.my.hidden, card.my.first_seq, card.unread.count), (false, 3, 0));
    assert_eq!(card.my.marks, Watermarks { delivered: 3, read: 3 });
    assert_eq!((card.head.last_seq, card.head.version), (3, 4));
    assert_eq!(world.card(p[1], id).await.unwrap().my.first_seq, 1);
    let leaving = world.members_command(p[0], id, &[MemberChange::Leaves(p[0])]).await;
    let outcomes = world.apply_all(vec![hide(), leaving, hide()]).await;
    assert!(matches!(outcomes[0], Ok(Applied::Hidden(_))), "{outcomes:?}");
    assert_eq!(refused(outcomes[2].clone()), Code::NotFound);
}
