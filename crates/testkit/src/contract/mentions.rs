//! Mentions: names in a text, and the members who have them.

use kith_domain::{
    UserId,
    group::{MemberChange, Role},
    message::Message,
};
use kith_ports::{HistorySelector, log::Applied};

use super::{
    Stores, World,
    world::{duplicate, messages, sent},
};
use crate::build::{at, send_to, write_to};

/// The message of an edit.
fn edited(applied: Applied) -> Message {
    match applied {
        Applied::Revised(message, Some(_)) => (*message).clone(),
        other => panic!("expected an edited message, found {other:?}"),
    }
}

/// Whoever is in it now, in the order of their ids, however often and in whatever case; nobody else.
pub async fn members_are_mentioned_by_their_names(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    let group = world.group(&p[..4]).await;
    let texts: [(&str, &[UserId]); 7] = [
        ("@user_3 and @USER_2, @user_3.", &p[1..3]),
        ("@user_1 himself", &p[..1]),
        ("@user_5 is not here, @nobody is nowhere", &[]),
        ("mail to a@user_2", &[]),
        ("@user_22 @user_ @", &[]),
        ("no name at all", &[]),
        ("%@user_4' \\@user_2 \u{1F389}@user_1", &[p[0], p[1], p[3]]),
    ];
    for (text, expected) in texts {
        assert_eq!(world.send(group, p[0], text).await.mentions, expected, "{text}");
    }
    // The same in one batch, and as they are read.
    let batch = (1..).zip(texts).map(|(n, (text, _))| send_to(group, n, p[0], text)).collect();
    let together: Vec<Message> =
        world.apply_all(batch).await.into_iter().map(|it| (*sent(it)).clone()).collect();
    for (message, (text, expected)) in together.iter().zip(texts) {
        assert_eq!(message.mentions, expected, "{text}");
    }
    let (_, page) = world.page(p[1], group, HistorySelector::Newest, texts.len()).await;
    assert_eq!(messages(&page.items), together);
}

/// From the next command on.
pub async fn those_are_mentioned_who_are_in_it_at_the_time(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..2]).await;
    let changes = [MemberChange::Joins(p[2], Role::Member), MemberChange::Leaves(p[1])];
    let text = "@user_2 @user_3 @user_4";
    let batch = vec![
        send_to(group, 1, p[0], text),
        world.members_command(p[0], group, &changes).await,
        send_to(group, 2, p[0], text),
        send_to(group, 3, p[0], text),
    ];
    let outcomes = world.apply_all(batch).await;
    let mentions = |place: usize| sent(outcomes[place].clone()).mentions.clone();
    assert_eq!(mentions(0), [p[1]]);
    assert_eq!((mentions(2), mentions(3)), (vec![p[2]], vec![p[2]]));
    world.stores.users.erase(p[2], at(5)).await.unwrap();
    assert_eq!(world.send(group, p[0], text).await.mentions, []);
}

/// Also in the message that makes it.
pub async fn a_direct_chat_knows_mentions(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let first = world.write(p[1], p[0], "@user_2 and @user_3").await;
    assert_eq!(first.mentions, [p[1]]);
    let chat = first.conversation_id;
    assert_eq!(world.send(chat, p[1], "@user_1 @user_2").await.mentions, p[..2]);
    let batch =
        vec![write_to(p[2], 1, p[0], "@user_3"), write_to(p[3], 2, p[0], "@user_3 @user_4")];
    let both: Vec<_> =
        world.apply_all(batch).await.into_iter().map(|it| sent(it).mentions.clone()).collect();
    assert_eq!(both, [[p[2]], [p[3]]]);
}

/// What an edited text says counts, and of a deleted one nothing is left.
pub async fn an_edit_finds_mentions_anew(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p).await;
    let first = world.send(group, p[0], "@user_2").await;
    world.change_members(group, &[MemberChange::Leaves(p[1])]).await;
    let second = edited(world.edit(&first, "@user_2 @user_3 @user_4").await.unwrap());
    assert_eq!(second.mentions, p[2..]);
    let third = edited(world.edit(&second, "nobody").await.unwrap());
    assert_eq!(third.mentions, []);
    let fourth = edited(world.edit(&third, "@user_4").await.unwrap());
    let card = world.message_card(p[3], first.id).await.unwrap();
    assert_eq!((fourth.mentions.as_slice(), &card.message), (&p[3..], &fourth));
    world.delete(&fourth).await.unwrap();
    assert_eq!(world.message_card(p[3], first.id).await.unwrap().message.mentions, []);
}

/// As they were found the first time.
pub async fn a_retry_is_answered_with_its_mentions(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let group = world.group(&p).await;
    let first = sent(world.apply(send_to(group, 1, p[0], "@user_2")).await);
    world.leave(group, p[1]).await;
    let again = duplicate(world.apply(send_to(group, 1, p[0], "@user_2")).await);
    assert_eq!((again.mentions.as_slice(), &again), (&p[1..], &first));
}
