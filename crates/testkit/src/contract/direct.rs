//! Direct chats.

use std::sync::Arc;

use kith_domain::{Code, ConversationId, conversation::Kind};
use kith_ports::{
    InboxFilter,
    log::{Applied, Change, Opening},
};

use super::{
    Stores, World,
    world::{refused, sent},
};
use crate::build::{at, message_id, open, send_to, user_id, write_to};

/// Version 1 is the chat, version 2 the message.
pub async fn the_first_message_makes_the_chat(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let outcome = world.apply(write_to(p[1], 1, p[0], "hi")).await.unwrap();
    let Applied::Sent { message, conversation } = outcome else {
        panic!("expected a message, found {outcome:?}");
    };
    assert_eq!((message.seq, message.version), (1, 2));
    assert_eq!(conversation.kind, Kind::Direct);
    assert_eq!(conversation.pair, Some((p[0].min(p[1]), p[0].max(p[1]))));
    assert_eq!((conversation.created_by, conversation.member_count), (p[0], 2));
    for (me, peer, unread) in [(p[0], p[1], 0), (p[1], p[0], 1)] {
        let card = world.card(me, message.conversation_id).await.unwrap();
        assert_eq!(card.peer.map(|peer| peer.id), Some(peer));
        assert_eq!(card.last_message.map(|card| card.message).as_ref(), Some(&*message));
        assert_eq!(card.conversation, *conversation);
        assert_eq!((card.unread.count, card.my.first_seq, card.my.hidden), (unread, 1, false));
    }
}

/// At the same moment, from both sides, many times.
pub async fn both_sides_meet_in_one_chat(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let tasks: Vec<_> = (0..10u64)
        .map(|n| {
            let log = Arc::clone(&world.stores.log);
            let (from, to) = if n % 2 == 0 { (p[0], p[1]) } else { (p[1], p[0]) };
            tokio::spawn(async move {
                sent(log.apply([write_to(to, n, from, "hi")].into()).await.unwrap().pop().unwrap())
            })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        seqs.push(task.await.unwrap().seq);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    let (_, head) = world.head(ConversationId::direct(p[0], p[1])).await;
    assert_eq!((head.last_seq, head.version), (10, 11));
}

/// The second time it is there.
pub async fn a_chat_is_opened_once(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let outcome = world.apply(open(p[0], p[1])).await.unwrap();
    let Applied::Opened(conversation, head, Opening::Made) = outcome else {
        panic!("expected a chat made now, found {outcome:?}");
    };
    assert_eq!((head.last_seq, head.version, head.last_message_at), (0, 1, None));
    for (command, opening) in [
        (open(p[0], p[1]), Opening::Unchanged),
        // To the other it does not show before.
        (open(p[1], p[0]), Opening::Shown),
        (open(p[1], p[0]), Opening::Unchanged),
    ] {
        let outcome = world.apply(command).await.unwrap();
        assert_eq!(outcome, Applied::Opened(Arc::clone(&conversation), head, opening));
    }
    assert_eq!(sent(world.apply(write_to(p[0], 1, p[1], "hi")).await).version, 2);
    // Two in one batch.
    let outcomes = world.apply_all(vec![open(p[0], p[2]), open(p[2], p[0])]).await;
    assert!(matches!(outcomes[0], Ok(Applied::Opened(_, _, Opening::Made))));
    assert!(matches!(outcomes[1], Ok(Applied::Opened(_, _, Opening::Shown))));
}

/// Oneself, nobody, the erased: refused, naming the field.
pub async fn who_cannot_be_written_to(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    world.write(p[1], p[0], "while he was there").await;
    world.stores.users.erase(p[1], at(9)).await.unwrap();
    let write = async |to, from| refused(world.apply(write_to(to, 1, from, "hi")).await);
    assert_eq!(write(p[0], p[0]).await, Code::OneSelf);
    assert_eq!(write(user_id(99), p[0]).await, Code::UnknownUser);
    assert_eq!(write(p[1], p[0]).await, Code::PeerDeleted, "an old chat");
    assert_eq!(write(p[1], p[2]).await, Code::PeerDeleted, "a new chat");
    assert_eq!(write(p[0], p[1]).await, Code::NotAMember, "by the erased one");
    assert_eq!(write(p[2], user_id(99)).await, Code::NotAMember, "by nobody");
    let opened = async |by, peer| refused(world.apply(open(by, peer)).await);
    assert_eq!(opened(p[0], p[0]).await, Code::OneSelf);
    assert_eq!(opened(p[0], user_id(99)).await, Code::UnknownUser);
    assert_eq!(opened(p[2], p[1]).await, Code::PeerDeleted);
    // Under an address that is not theirs.
    let mut astray = write_to(p[3], 1, p[2], "hi");
    astray.conversation_id = ConversationId::direct(p[0], p[3]);
    assert_eq!(refused(world.apply(astray).await), Code::NotAMember);
    // A first message cannot answer anything.
    let mut reply = write_to(p[3], 1, p[2], "hi");
    if let Change::Send(send) = &mut reply.change {
        send.reply_to = Some(message_id(1));
    }
    assert_eq!(refused(world.apply(reply).await), Code::InvalidValue);
    for (a, b) in [(2, 3), (0, 3), (1, 2)] {
        assert!(world.card(p[b], ConversationId::direct(p[a], p[b])).await.is_none());
    }
}

/// Until then it is the opener's alone.
pub async fn an_opened_chat_shows_to_the_other_with_the_first_message(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    world.apply(open(p[0], p[1])).await.unwrap();
    let chat = ConversationId::direct(p[0], p[1]);
    let inbox = async |viewer| {
        let page = world
            .stores
            .conversations
            .inbox(viewer, InboxFilter::default(), None, 10)
            .await
            .unwrap();
        page.items.len()
    };
    assert_eq!((inbox(p[0]).await, inbox(p[1]).await), (1, 0));
    assert!(world.card(p[1], chat).await.unwrap().my.hidden);
    world.send(chat, p[0], "hi").await;
    assert_eq!((inbox(p[0]).await, inbox(p[1]).await), (1, 1));
    let card = world.card(p[1], chat).await.unwrap();
    assert_eq!((card.my.hidden, card.unread.count), (false, 1));
}

/// By its two only.
pub async fn an_existing_chat_is_addressed_by_its_id(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    assert_eq!(world.send(chat, p[1], "ho").await.seq, 2);
    assert_eq!(refused(world.apply(send_to(chat, 1, p[2], "me too")).await), Code::NotAMember);
}
