//! Sends, edits, deletions: numbers, retries, rights.

use std::{collections::BTreeSet, sync::Arc};

use kith_domain::{
    Code, MessageId, UserId,
    conversation::{ConversationPatch, Kind, Posting, Seq, SettingsPatch},
    group::{MemberChange, Role},
    message::{Digest, MessageKind},
};
use kith_ports::{
    HistorySelector,
    log::{Applied, Change, Command, Entrance, Join, Rejected, Send},
};

use super::{
    Stores, World,
    world::{duplicate, messages, refused, sent},
};
use crate::build::{
    self, at, client_message_id, content, conversation_id, message_id, note_id, reaction, send,
    send_to, user_id,
};

fn with_reply(mut command: Command, reply: MessageId) -> Command {
    if let Change::Send(send) = &mut command.change {
        send.reply_to = Some(reply);
        send.digest = Digest::of(send.kind, &send.content, Some(reply));
    }
    command
}

async fn all(world: &World, viewer: UserId, id: kith_domain::ConversationId) -> Vec<Seq> {
    let mut seqs = Vec::new();
    let mut after = 0;
    loop {
        let (page, rest) = world.page(viewer, id, HistorySelector::After(after), 100).await;
        let Some(last) = page.last() else { return seqs };
        after = *last;
        seqs.extend(page);
        assert!(rest.version >= after);
    }
}

/// From 1 on, and the version counts everything.
pub async fn numbers_are_dense(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    for n in 1..=3 {
        let message = world.send(group, p[0], "one by one").await;
        assert_eq!((message.seq, message.version), (n, n + 1));
    }
    let batch =
        (0..5).map(|n| send_to(group, 50 + n, p[usize::from(n % 2 == 0)], "at once")).collect();
    for (n, outcome) in (4..).zip(world.apply_all(batch).await) {
        let message = sent(outcome);
        assert_eq!((message.seq, message.version), (n, n + 1));
    }
    let (_, head) = world.head(group).await;
    assert_eq!((head.last_seq, head.version), (8, 9));
    assert_eq!(head.last_message_at, Some(at(54)));
    assert_eq!(all(&world, p[1], group).await, (1..=8).collect::<Vec<_>>());
}

/// However late, with the server's new id for it, also as it is now.
pub async fn a_retry_is_answered_with_the_first_message(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[0], "hi")).await);
    world.send(group, p[1], "in between").await;
    assert_eq!(duplicate(world.apply(send_to(group, 1, p[0], "hi")).await), first);
    let mut other_id = send_to(group, 1, p[0], "hi");
    if let Change::Send(send) = &mut other_id.change {
        send.id = message_id(77);
    }
    assert_eq!(duplicate(world.apply(other_id.clone()).await), first);
    let edited = match world.edit(&first, "hi there").await.unwrap() {
        Applied::Revised(message, Some(_)) => message,
        other => panic!("expected an edited message, found {other:?}"),
    };
    assert_eq!(duplicate(world.apply(other_id).await), edited);
    assert_eq!(all(&world, p[0], group).await, [1, 2]);
}

/// The second of two in one batch.
pub async fn a_retry_inside_a_batch_is_a_duplicate(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    let batch = vec![
        send_to(group, 1, p[0], "hi"),
        send_to(group, 1, p[0], "hi"),
        send_to(group, 2, p[0], "ho"),
    ];
    let mut outcomes = world.apply_all(batch).await.into_iter();
    let first = sent(outcomes.next().unwrap());
    assert_eq!(duplicate(outcomes.next().unwrap()), first);
    assert_eq!(sent(outcomes.next().unwrap()).seq, 2);
}

/// A duplicate is looked up before rights are judged.
pub async fn a_retry_after_leaving_is_answered(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[1], "hi")).await);
    world.change_members(group, &[MemberChange::Leaves(p[1])]).await;
    assert_eq!(duplicate(world.apply(send_to(group, 1, p[1], "hi")).await), first);
    assert_eq!(
        refused(world.apply(send_to(group, 1, p[1], "other")).await),
        Code::ClientMessageIdReused
    );
    assert_eq!(refused(world.apply(send_to(group, 2, p[1], "new")).await), Code::NotAMember);
}

/// What is gone stays gone.
pub async fn a_retry_after_deleting_gives_the_tombstone(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[0], "hi")).await);
    world.delete(&first).await.unwrap();
    let tombstone = duplicate(world.apply(send_to(group, 1, p[0], "hi")).await);
    assert_eq!((tombstone.id, tombstone.content()), (first.id, None));
    assert!(tombstone.deleted_at.is_some());
}

/// Other content, another kind, another reply.
pub async fn the_id_of_another_message_is_refused(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[0], "hi")).await);
    let text = send_to(group, 1, p[0], "ho");
    let reply = with_reply(send_to(group, 1, p[0], "hi"), first.id);
    let mut kind = send_to(group, 1, p[0], "hi");
    if let Change::Send(send) = &mut kind.change {
        send.kind = MessageKind::File;
        send.digest = Digest::of(send.kind, &send.content, None);
    }
    for command in [text, reply, kind] {
        assert_eq!(refused(world.apply(command).await), Code::ClientMessageIdReused);
    }
    assert_eq!(all(&world, p[0], group).await, [1]);
}

/// The client's own id is unique for sender and conversation only.
pub async fn the_same_id_elsewhere_or_by_another_is_another_message(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let (one, two) = (world.group(&p).await, world.group(&p).await);
    let mut messages = BTreeSet::new();
    for (n, group, sender) in [(1, one, p[0]), (2, one, p[1]), (3, two, p[0])] {
        let send = Send { client_message_id: client_message_id("same"), ..send(n, sender, "hi") };
        let command = Command { conversation_id: group, at: at(n), change: Change::Send(send) };
        messages.insert(sent(world.apply(command).await).id);
    }
    assert_eq!(messages.len(), 3);
}

/// Whether the conversation exists makes no difference.
pub async fn strangers_are_refused(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p[..2]).await;
    for target in [group, conversation_id(99), kith_domain::ConversationId::direct(p[0], p[1])] {
        assert_eq!(refused(world.apply(send_to(target, 1, p[2], "hi")).await), Code::NotAMember);
    }
    assert_eq!(refused(world.apply(send_to(group, 1, user_id(99), "hi")).await), Code::NotAMember);
}

/// Neighbours in the same batch and the same conversation are numbered as if it were not there.
pub async fn a_rejected_neighbour_leaves_no_gap(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let group = world.group(&p[..2]).await;
    let stale =
        Command { conversation_id: group, at: at(1), change: Change::Remove { member_epoch: 77 } };
    let batch = vec![
        send_to(group, 1, p[0], "one"),
        send_to(group, 2, p[2], "stranger"),
        stale,
        with_reply(send_to(group, 3, p[0], "reply to nothing"), message_id(99)),
        send_to(group, 4, p[1], "two"),
        send_to(conversation_id(99), 5, p[1], "nowhere"),
        send_to(group, 1, p[0], "another text"),
        send_to(group, 6, p[0], "three"),
    ];
    let outcomes = world.apply_all(batch).await;
    let kept: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Ok(Applied::Sent { message, .. }) => Some((message.seq, message.version)),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(1, 2), (2, 3), (3, 4)]);
    assert_eq!(outcomes[2], Err(Rejected::Stale));
    assert_eq!(all(&world, p[1], group).await, [1, 2, 3]);
    // Judged anew: a refused send leaves no trace.
    world.change_members(group, &[MemberChange::Joins(p[2], Role::Member)]).await;
    // The fourth tells that he came.
    assert_eq!(sent(world.apply(send_to(group, 2, p[2], "stranger")).await).seq, 5);
}

/// Members read.
pub async fn only_admins_post_where_it_says_so(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let channel = world.room(Kind::Channel, &p).await;
    let patch = ConversationPatch { posting: Some(Posting::Admins), ..Default::default() };
    world.update(p[0], channel, patch).await.unwrap();
    world.change_members(channel, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    sent(world.apply(send_to(channel, 1, p[0], "owner")).await);
    sent(world.apply(send_to(channel, 2, p[1], "admin")).await);
    assert_eq!(refused(world.apply(send_to(channel, 3, p[2], "member")).await), Code::Forbidden);
}

/// In the same conversation, and not before he came.
pub async fn replies_name_a_message_that_the_sender_sees(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let (group, other) = (world.group(&p[..2]).await, world.group(&p[..2]).await);
    let first = world.send(group, p[0], "first").await;
    let elsewhere = world.send(other, p[0], "elsewhere").await;
    let reply = sent(world.apply(with_reply(send_to(group, 1, p[1], "re"), first.id)).await);
    let named = reply.reply_to.unwrap();
    assert_eq!((named.id, named.seq, named.sender_id), (first.id, 1, p[0]));
    let (_, page) = world.page(p[0], group, HistorySelector::Newest, 10).await;
    assert_eq!(page.items.last().map(|card| &card.message), Some(&*reply));

    world.delete(&first).await.unwrap();
    sent(world.apply(with_reply(send_to(group, 2, p[1], "to a tombstone"), first.id)).await);
    for (n, unknown) in [(3, elsewhere.id), (4, message_id(99))] {
        let command = with_reply(send_to(group, n, p[1], "re"), unknown);
        assert_eq!(refused(world.apply(command).await), Code::InvalidValue);
    }
    world.change_members(group, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let unseen = with_reply(send_to(group, 5, p[2], "re"), first.id);
    assert_eq!(refused(world.apply(unseen).await), Code::InvalidValue);
    let seen = with_reply(send_to(group, 6, p[2], "re"), world.send(group, p[0], "new").await.id);
    sent(world.apply(seen).await);
}

/// Its places are still there, but nobody is behind them.
pub async fn an_erased_account_sends_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[1], "hi")).await);
    world.stores.users.erase(p[1], at(5)).await.unwrap();
    assert_eq!(refused(world.apply(send_to(group, 2, p[1], "ho")).await), Code::NotAMember);
    assert_eq!(duplicate(world.apply(send_to(group, 1, p[1], "hi")).await), first);
}

/// Whatever people write.
pub async fn hostile_text_comes_back_unchanged(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    let texts = [
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺",
        "Z̷̢͇̼a̴̛ḽ͝g̵o\u{301}\u{302}\u{303}",
        "100% _under_ \\ back ' \" ; -- DROP TABLE messages; /* */",
        "\u{202E}right to left\u{202C} \u{200B}zero\u{FEFF}",
        "line\nline\r\n\ttab \u{1}\u{1F}\u{7F}",
        "\u{10FFFF}\u{FFFD}\u{E000}",
        "$1 ?1 :name @p {0} %s",
    ];
    for (n, text) in (1..).zip(texts) {
        let mut command = send_to(group, n, p[0], text);
        if let Change::Send(send) = &mut command.change {
            send.client_message_id = client_message_id(&format!("%_\\'\"👩‍👧 {n}"));
        }
        let message = sent(world.apply(command.clone()).await);
        assert_eq!(message.content(), Some(&content(text)));
        assert_eq!(duplicate(world.apply(command).await), message);
    }
    let long = "𝄞".repeat(4_000);
    sent(world.apply(send_to(group, 50, p[0], &long)).await);
    let (_, page) = world.page(p[0], group, HistorySelector::Newest, 50).await;
    let found: Vec<_> =
        page.items.iter().filter_map(|card| card.message.content()).cloned().collect();
    let expected: Vec<_> = texts.into_iter().chain([long.as_str()]).map(content).collect();
    assert_eq!(found, expected);
}

/// Many tasks, two conversations, one order in each.
pub async fn many_at_once_leave_no_gap(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let groups = [world.group(&p).await, world.group(&p).await];
    let log = &world.stores.log;
    let tasks: Vec<_> = (0..16u64)
        .map(|task| {
            let (log, p) = (Arc::clone(log), p.clone());
            tokio::spawn(async move {
                for round in 0..5 {
                    let sender = p[usize::try_from(task).unwrap() % p.len()];
                    let batch: Vec<_> = (0..4)
                        .map(|n| {
                            let number = 10_000 + task * 100 + round * 10 + n;
                            send_to(groups[usize::from(n % 2 == 0)], number, sender, "x")
                        })
                        .collect();
                    for outcome in log.apply(batch.into()).await.unwrap() {
                        sent(outcome);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for group in groups {
        assert_eq!(all(&world, p[0], group).await, (1..=160).collect::<Vec<_>>());
        let (_, head) = world.head(group).await;
        assert_eq!((head.last_seq, head.version), (160, 161));
    }
}

/// One row, one number, the same answer to all.
pub async fn one_id_from_many_tasks_is_one_message(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let chat = kith_domain::ConversationId::direct(p[0], p[1]);
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let log = Arc::clone(&world.stores.log);
            let send = Send {
                client_message_id: client_message_id("same"),
                peer: Some(p[1]),
                ..send(100 + n, p[0], "hi")
            };
            let command = Command { conversation_id: chat, at: at(n), change: Change::Send(send) };
            tokio::spawn(async move { log.apply([command].into()).await.unwrap().pop().unwrap() })
        })
        .collect();
    let (mut new, mut ids) = (0, BTreeSet::new());
    for task in tasks {
        match task.await.unwrap().unwrap() {
            Applied::Sent { message, .. } => {
                new += 1;
                ids.insert(message.id);
            }
            Applied::Duplicate(message, _) => {
                ids.insert(message.id);
            }
            other => panic!("expected a message, found {other:?}"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert_eq!(all(&world, p[0], chat).await, [1]);
}

/// A batch is stored whole or not at all, and the store goes on.
pub async fn who_stops_waiting_leaves_whole_batches(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    for round in 0..30u64 {
        let batch: Vec<_> =
            (0..7).map(|n| send_to(group, 20_000 + round * 10 + n, p[0], "x")).collect();
        let apply = world.stores.log.apply(batch.into());
        // Dropped at some point of its way, another one each round.
        let patience = std::time::Duration::from_micros(round * 20);
        let _ = tokio::time::timeout(patience, apply).await;
    }
    world.send(group, p[0], "the last").await;
    let seqs = all(&world, p[0], group).await;
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(seqs.len() % 7, 1, "batches of seven, and the last one");
}

/// Whatever became of the message meanwhile, but not of the members.
pub async fn of_two_edits_the_last_stands(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let first = world.send(group, p[0], "hi").await;
    world.send(group, p[1], "in between").await;
    let Applied::Revised(edited, Some(_)) = world.edit(&first, "hi!").await.unwrap() else {
        panic!("expected an edited message");
    };
    assert_eq!(edited.content(), Some(&content("hi!")));
    assert_eq!((edited.seq, edited.version), (1, 4));
    assert!(edited.edited_at.is_some());
    world.react(p[1], &first, "👍", true).await.unwrap();
    let Applied::Revised(last, Some(_)) = world.edit(&first, "hi there").await.unwrap() else {
        panic!("expected an edited message");
    };
    assert_eq!((last.content(), last.version), (Some(&content("hi there")), 6));
    assert_eq!(last.reactions.len(), 1);
    let change = Change::Edit {
        message_id: first.id,
        content: content("epoch"),
        member_epoch: world.head(group).await.1.member_epoch - 1,
    };
    assert_eq!(world.apply(world.command(group, change)).await, Err(Rejected::Stale));
    let (_, page) = world.page(p[1], group, HistorySelector::Newest, 10).await;
    assert_eq!(page.items[0].message, *last);
    assert_eq!(page.version, 6);
}

/// Its text is gone, its number stays.
pub async fn deleting_twice_changes_nothing(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let group = world.group(&p).await;
    let first = world.send(group, p[0], "hi").await;
    let Applied::Deleted(tombstone, Some(_)) = world.delete(&first).await.unwrap() else {
        panic!("expected it to be deleted now");
    };
    assert_eq!((tombstone.seq, tombstone.version, tombstone.content()), (1, 3, None));
    let again = world.delete(&first).await.unwrap();
    assert!(matches!(&again, Applied::Deleted(same, None) if *same == tombstone), "{again:?}");
    assert_eq!(world.head(group).await.1.version, 3);
    let (_, page) = world.page(p[0], group, HistorySelector::Newest, 10).await;
    assert_eq!(messages(&page.items), [(*tombstone).clone()]);
    assert_eq!(refused(world.edit(&first, "alive?").await), Code::MessageDeleted);
}

/// Missing messages and conversations answer alike, in any place.
pub async fn commands_on_what_is_not_there(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let (group, other) = (world.group(&p).await, world.group(&p).await);
    let elsewhere = world.send(other, p[0], "hi").await;
    let member_epoch = world.head(group).await.1.member_epoch;
    for (id, message_id) in
        [(group, message_id(99)), (group, elsewhere.id), (conversation_id(99), elsewhere.id)]
    {
        let delete = Change::Delete { message_id, member_epoch };
        assert_eq!(refused(world.apply(world.command(id, delete)).await), Code::NotFound);
        let edit = Change::Edit { message_id, content: content("x"), member_epoch };
        assert_eq!(refused(world.apply(world.command(id, edit)).await), Code::NotFound);
        let pin = Change::Pin { message_id, pinned: true, member_epoch };
        assert_eq!(refused(world.apply(world.command(id, pin)).await), Code::NotFound);
        let react = reaction(message_id, p[0], "👍");
        assert_eq!(refused(world.apply(world.command(id, react)).await), Code::NotFound);
    }
    for change in [
        Change::Remove { member_epoch },
        build::members(p[0], &[], 1, member_epoch),
        Change::Update {
            by: p[0],
            note: note_id(1),
            patch: ConversationPatch::default(),
            member_epoch,
            settings_epoch: 1,
        },
        Change::Hide { member: p[0] },
        Change::Settings { member: p[0], patch: SettingsPatch::default() },
        Change::Join(Join { user: p[0], by: Entrance::Open, note: note_id(1) }),
    ] {
        let command = world.command(conversation_id(99), change);
        assert_eq!(refused(world.apply(command).await), Code::NotFound);
    }
    assert_eq!(world.head(other).await.1.version, 2);
}
