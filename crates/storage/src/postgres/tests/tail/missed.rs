//! What one node is told of what it missed of a conversation.

use kith_domain::{
    UserId,
    event::Audience,
    message::{Body, Digest, Message, MessageKind},
};
use kith_ports::{log::Send, tail::Missed};

use super::*;

async fn missed(store: &Postgres, id: ConversationId, since: Version) -> Missed {
    store.missed(id, since, 100).await.unwrap().unwrap()
}

/// The numbers of what was missed, and their versions.
fn messages(missed: &Missed) -> Vec<(i64, Version)> {
    assert!(!missed.overflow);
    missed.messages.iter().map(|(message, _)| (message.seq, message.version)).collect()
}

/// Who was missed: whether he left, his first message, the version.
fn people(missed: &Missed) -> Vec<(UserId, bool, i64, Version)> {
    missed.members.iter().map(|it| (it.user_id, it.left, it.first_seq, it.version)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_is_as_it_is_now() {
    let (_ground, store, group) = Ground::furnished().await;
    store.register(build::account(4)).await.unwrap();
    let seen = missed(&store, group, 0).await;
    assert_eq!(messages(&seen), []);
    let first = |n| (user_id(n), false, 1, 1);
    assert_eq!(people(&seen), [first(1), first(2), first(3)]);
    assert_eq!(seen.members[0].role, Role::Owner);

    for n in 1..=4 {
        done(&store, send_to(group, n, user_id(1), "x")).await;
    }
    assert_eq!(messages(&missed(&store, group, 1).await), [(1, 2), (2, 3), (3, 4), (4, 5)]);
    assert_eq!(messages(&missed(&store, group, 3).await), [(3, 4), (4, 5)]);
    // Edited, reacted to, deleted, pinned: 6, 7 and 8, 9, 10.
    let member_epoch = epoch(&store, group).await;
    let edit =
        Change::Edit { message_id: message_id(3), content: build::content("y"), member_epoch };
    let pin = Change::Pin { message_id: message_id(1), pinned: true, member_epoch };
    let delete = Change::Delete { message_id: message_id(4), member_epoch };
    let reacted = [2, 3].map(|n| build::reaction(message_id(2), user_id(n), "👍"));
    let [one, two] = reacted;
    for change in [edit, one, two, delete, pin] {
        done(&store, command(group, change)).await;
    }
    // It answers one, and mentions another: 11.
    let content = build::content("look @user_3");
    let digest = Digest::of(MessageKind::Text, &content, Some(message_id(2)));
    let reply_to = Some(message_id(2));
    let answer = Send { reply_to, digest, content, ..build::send(5, user_id(2), "x") };
    done(&store, command(group, Change::Send(answer))).await;
    let seen = missed(&store, group, 5).await;
    assert_eq!(messages(&seen), [(3, 6), (2, 8), (4, 9), (1, 10), (5, 11)]);
    assert_eq!(people(&seen), []);
    let found: Vec<&Message> = seen.messages.iter().map(|(message, _)| &**message).collect();
    let [edited, reacted, deleted, pinned, answer] = found[..] else { panic!() };
    let said = |message: &Message| match &message.body {
        Body::Said { content, .. } => content.as_ref().map(|text| text.as_str().to_owned()),
        Body::Noted(_) => panic!("{message:?}"),
    };
    assert_eq!((said(edited).unwrap(), edited.edited_at), (String::from("y"), Some(at(9))));
    assert_eq!(
        (reacted.reactions[0].count, &reacted.reactions[0].users[..]),
        (2, &[user_id(2), user_id(3)][..])
    );
    assert_eq!((said(deleted), deleted.deleted_at), (None, Some(at(9))));
    assert_eq!(pinned.pinned_at, Some(at(9)));
    assert_eq!(answer.mentions, [user_id(3)]);
    let reply = answer.reply_to.unwrap();
    assert_eq!((reply.id, reply.seq, reply.sender_id), (message_id(2), 2, user_id(1)));

    // Each with a note: 12 and 13, 14 and 15; a role: 16.
    let changes = [
        MemberChange::Joins(user_id(4), Role::Admin),
        MemberChange::Leaves(user_id(2)),
        MemberChange::Becomes(user_id(3), Role::Admin),
    ];
    change_members(&store, group, 100, &changes).await;
    let seen = missed(&store, group, 11).await;
    assert_eq!(messages(&seen), [(6, 13), (7, 15)]);
    let expected =
        [(user_id(4), false, 6, 12), (user_id(2), true, 1, 14), (user_id(3), false, 1, 16)];
    assert_eq!(people(&seen), expected);
    let roles: Vec<_> = seen.members.iter().map(|it| it.role).collect();
    assert_eq!(roles, [Role::Admin, Role::Member, Role::Admin]);
    let snapshot = store.snapshot(group, &[]).await.unwrap().unwrap();
    assert_eq!((&*seen.conversation, seen.head), (&snapshot.conversation, snapshot.head));

    // Of what is known nothing is told, nor of what is yet to come.
    for since in [16, 17, i64::MAX] {
        let seen = missed(&store, group, since).await;
        assert_eq!((messages(&seen), people(&seen), seen.head.version), (vec![], vec![], 16));
    }
    for since in [-1, i64::MIN] {
        let seen = missed(&store, group, since).await;
        assert_eq!((messages(&seen).len(), people(&seen).len()), (7, 4));
    }
}

/// A new message is told to whoever is there; of an old one, those who came after it hear nothing. Of
/// the members of a channel those in charge are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_names_whom_it_concerns() {
    let (_ground, store, group) = Ground::furnished().await;
    for n in 4..=5 {
        store.register(build::account(n)).await.unwrap();
    }
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    change_members(&store, group, 100, &[MemberChange::Joins(user_id(4), Role::Member)]).await;
    done(&store, command(group, build::reaction(message_id(1), user_id(2), "👍"))).await;
    done(&store, send_to(group, 2, user_id(4), "x")).await;
    let seen = missed(&store, group, 4).await;
    let audiences: Vec<_> = seen.messages.iter().map(|(it, whom)| (it.seq, whom.clone())).collect();
    let old = Audience::Users([1, 2, 3].map(user_id).to_vec());
    assert_eq!(audiences, [(1, old), (3, Audience::Members(group))]);
    assert_eq!(seen.told_of_members, Audience::Members(group));

    let channel = build::conversation_id(50);
    done(&store, build::create(build::room(50, Kind::Channel, user_id(1)), &[])).await;
    change_members(&store, channel, 200, &[MemberChange::Joins(user_id(5), Role::Member)]).await;
    let seen = missed(&store, channel, 1).await;
    assert_eq!(seen.told_of_members, Audience::Users(vec![user_id(1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_of_a_chat_names_its_two() {
    let (_ground, store, _) = Ground::furnished().await;
    done(&store, write_to(user_id(1), 1, user_id(2), "x")).await;
    let chat = ConversationId::direct(user_id(1), user_id(2));
    let seen = missed(&store, chat, 0).await;
    assert_eq!(seen.conversation.pair, Some((user_id(1), user_id(2))));
    assert_eq!(messages(&seen), [(1, 2)]);
    assert_eq!(people(&seen), [1, 2].map(|n| (user_id(n), false, 1, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_was_asked_for_is_not_listed() {
    let (_ground, store, group) = Ground::furnished().await;
    let batch: Vec<_> = (1..=8).map(|n| send_to(group, n, user_id(1), "x")).collect();
    store.apply(batch.into()).await.unwrap();
    // Two of them are as new as the others by now.
    for n in [1, 2] {
        done(&store, command(group, build::reaction(message_id(n), user_id(2), "👍"))).await;
    }
    let lists = async |since, limit| {
        let missed = store.missed(group, since, limit).await.unwrap().unwrap();
        assert_eq!(missed.head.version, 11);
        let listed = missed.messages.len() + missed.members.len();
        assert!(!missed.overflow || listed == 0);
        (!missed.overflow).then_some(listed)
    };
    // Three members are of version 1; the messages are from 4 to 9, and 10 and 11.
    for (since, count) in [(0, 11), (1, 8), (5, 6), (9, 2), (10, 1)] {
        assert_eq!(lists(since, count).await, Some(count), "since {since}");
        assert_eq!(lists(since, count - 1).await, None, "since {since}");
    }
    assert_eq!(lists(0, 2).await, None);
    assert_eq!(lists(11, 0).await, Some(0));
}

/// Many revisions of few messages: those that are new are found among those that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revised_again_and_again_is_one_message() {
    let (_ground, store, group) = Ground::furnished().await;
    let batch: Vec<_> = (1..=30).map(|n| send_to(group, n, user_id(1), "x")).collect();
    store.apply(batch.into()).await.unwrap();
    for n in 0..10 {
        let emoji = ["👍", "❤"][n % 2];
        for given in [true, false] {
            let Change::React(mut react) = build::reaction(message_id(28), user_id(2), emoji)
            else {
                unreachable!()
            };
            react.given = given;
            done(&store, command(group, Change::React(react))).await;
        }
    }
    done(&store, send_to(group, 31, user_id(1), "x")).await;
    let seen = store.missed(group, 31, 2).await.unwrap().unwrap();
    assert_eq!(messages(&seen), [(28, 51), (31, 52)]);
    assert_eq!(seen.messages[0].0.reactions, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_is_gone_nothing_was_missed() {
    let (_ground, store, group) = Ground::furnished().await;
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    assert!(store.missed(build::conversation_id(9), 0, 100).await.unwrap().is_none());
    let member_epoch = epoch(&store, group).await;
    done(&store, command(group, Change::Remove { member_epoch })).await;
    for since in [0, 99] {
        assert!(store.missed(group, since, 100).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_is_of_one_moment() {
    let (ground, store, group) = Ground::furnished().await;
    let node = ground.open().await;
    let writing = tokio::spawn(async move {
        for n in 1..=100 {
            done(&node, send_to(group, n, user_id(1), "x")).await;
        }
    });
    let mut version = 1;
    while version < 101 {
        let seen = missed(&store, group, version).await;
        let versions: Vec<_> = messages(&seen).iter().map(|(_, version)| *version).collect();
        assert_eq!(versions, (version + 1..=seen.head.version).collect::<Vec<_>>());
        version = seen.head.version;
    }
    writing.await.unwrap();
}
