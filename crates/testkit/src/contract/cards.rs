//! Messages as one member sees them.

use kith_domain::{
    ConversationId, UserId,
    conversation::Kind,
    group::{MemberChange, Role},
    message::{Message, Reaction},
    receipt::Status,
    text::Emoji,
    user::ProfilePatch,
};
use kith_ports::{
    HistorySelector, InboxFilter, MessageCard, Unread,
    log::{Applied, Change, Send},
};

use super::{
    Stores, World,
    world::{messages, sent},
};
use crate::build::{self, conversation_id, message_id, send_to, user_id};

async fn newest(world: &World, viewer: UserId, id: ConversationId) -> Vec<MessageCard> {
    world.page(viewer, id, HistorySelector::Newest, 50).await.1.items
}

/// A message in answer to another.
async fn answer(
    world: &World,
    to: &Message,
    sender: UserId,
    text: &str,
) -> std::sync::Arc<Message> {
    let n = world.next();
    let send = Send { reply_to: Some(to.id), ..build::send(n, sender, text) };
    sent(world.apply(world.command(to.conversation_id, Change::Send(send))).await)
}

pub(super) async fn shows_reading(world: &World, user: UserId, shows: bool) {
    let patch = ProfilePatch { read_receipts: Some(shows), ..ProfilePatch::default() };
    world.stores.users.update(user, patch).await.unwrap().unwrap();
}

/// Wherever it is shown; and the numbers of a page are those of one moment.
pub async fn reactions_stand_under_messages(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    let (one, two) = (world.send(id, p[0], "one").await, world.send(id, p[1], "two").await);
    for (user, emoji) in [(p[1], "👍"), (p[0], "🎉"), (p[0], "👍")] {
        world.react(user, &two, emoji, true).await.unwrap();
    }
    let reaction = |emoji, users: &[UserId]| Reaction {
        emoji: Emoji::parse(emoji).unwrap(),
        count: u32::try_from(users.len()).unwrap(),
        users: users.to_vec(),
    };
    let expected = vec![reaction("👍", &[p[1], p[0]]), reaction("🎉", &[p[0]])];
    let as_seen = async |viewer| {
        let page = newest(&world, viewer, id).await;
        let card = world.message_card(viewer, two.id).await.unwrap();
        let last = world.card(viewer, id).await.unwrap().last_message.unwrap();
        let changes = world.stores.conversations.changes(viewer, id, 1, 50).await.unwrap().unwrap();
        let context = world.stores.messages.message(viewer, two.id).await.unwrap().unwrap();
        assert_eq!((&page[1], &last), (&card, &card));
        assert_eq!(changes.messages.last(), Some(&card));
        assert_eq!(context.message, card.message);
        assert_eq!(page[0].message, *one);
        card.message
    };
    for viewer in p.clone() {
        let message = as_seen(viewer).await;
        assert_eq!((message.reactions, message.version), (expected.clone(), two.version + 3));
    }
    world.react(p[1], &two, "👍", false).await.unwrap();
    assert_eq!(
        as_seen(p[2]).await.reactions,
        [reaction("🎉", &[p[0]]), reaction("👍", &[p[0]])],
        "the party began before the thumb that is left"
    );
    world.delete(&two).await.unwrap();
    assert_eq!(as_seen(p[2]).await.reactions, []);
}

/// If one sees it, and it was not deleted.
pub async fn an_answer_shows_the_beginning_of_what_it_answers(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p[..2]).await;
    let early = world.send(id, p[0], "first line\nsecond").await;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let late = world.send(id, p[1], "late").await;
    let to_early = answer(&world, &early, p[1], "to the early").await;
    let to_late = answer(&world, &late, p[0], "to the late").await;
    let excerpts = async |viewer| -> Vec<Option<String>> {
        let page = newest(&world, viewer, id).await;
        let of = |message: &Message| {
            let card = page.iter().find(|card| card.message.id == message.id).unwrap();
            card.excerpt.as_ref().map(|excerpt| excerpt.as_str().to_owned())
        };
        vec![of(&to_early), of(&to_late)]
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(excerpts(p[0]).await, [some("first line second"), some("late")]);
    assert_eq!(excerpts(p[2]).await, [None, some("late")], "he came later");
    let card = world.message_card(p[2], to_early.id).await.unwrap();
    assert_eq!((card.excerpt, card.message.reply_to.unwrap().seq), (None, 1));
    let last = world.card(p[2], id).await.unwrap().last_message.unwrap();
    assert_eq!(last.excerpt.unwrap().as_str(), "late");
    world.edit(&late, "later").await.unwrap();
    assert_eq!(excerpts(p[2]).await, [None, some("later")]);
    world.delete(&late).await.unwrap();
    world.hide(p[0], id).await.unwrap();
    let again = answer(&world, &early, p[1], "again").await;
    assert_eq!(excerpts(p[1]).await, [some("first line second"), None]);
    assert_eq!(world.message_card(p[0], again.id).await.unwrap().excerpt, None, "it was hidden");
}

/// Of one's own messages; not of others', not of what nobody wrote.
pub async fn a_status_is_what_all_others_have_reached(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..3]).await;
    let first = world.send(id, p[0], "first").await;
    world.send(id, p[0], "second").await;
    world.send(id, p[1], "other").await;
    let status = async |viewer| -> Vec<_> {
        newest(&world, viewer, id).await.into_iter().map(|card| card.status).collect()
    };
    let [sent, delivered, read] = [Status::Sent, Status::Delivered, Status::Read].map(Some);
    assert_eq!(status(p[0]).await, [sent, sent, None]);
    assert_eq!(status(p[1]).await, [None, None, sent]);
    assert_eq!(status(p[2]).await, [None, None, None]);
    // Writing has not read what lay before it.
    world.advance(p[1], id, (0, 3)).await.unwrap();
    assert_eq!(status(p[0]).await, [sent, sent, None], "the third has nothing yet");
    world.advance(p[2], id, (2, 1)).await.unwrap();
    assert_eq!(status(p[0]).await, [read, delivered, None]);
    assert_eq!(world.message_card(p[0], first.id).await.unwrap().status, read);
    assert_eq!(world.message_card(p[1], first.id).await.unwrap().status, None);
    // One who comes later changes nothing, and neither does one who goes.
    world.change_members(id, &[MemberChange::Joins(p[3], Role::Member)]).await;
    assert_eq!(status(p[0]).await, [read, delivered, None, None], "the last is a note of his own");
    world.leave(id, p[2]).await;
    assert_eq!(status(p[0]).await[..2], [read, read]);
    world.delete(&first).await.unwrap();
    assert_eq!(status(p[0]).await[..2], [read, read]);
    let alone = world.group(&p[..1]).await;
    world.send(alone, p[0], "nobody").await;
    assert_eq!(newest(&world, p[0], alone).await[0].status, sent);
}

/// Neither of him who hides it, nor for him.
pub async fn a_status_does_not_tell_of_hidden_reading(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    world.send(id, p[0], "mine").await;
    for reader in &p[1..] {
        world.advance(*reader, id, (0, 1)).await.unwrap();
    }
    let status = async || newest(&world, p[0], id).await[0].status;
    assert_eq!(status().await, Some(Status::Read));
    shows_reading(&world, p[2], false).await;
    assert_eq!(status().await, Some(Status::Delivered));
    shows_reading(&world, p[2], true).await;
    assert_eq!(status().await, Some(Status::Read));
    shows_reading(&world, p[0], false).await;
    assert_eq!(status().await, Some(Status::Delivered), "who hides his sees nobody's");
}

/// Above 256 members.
pub async fn a_status_ends_where_a_room_grows_large(stores: Stores) {
    let (world, p) = World::people(stores, 257).await;
    let id = world.room(Kind::Channel, &p[..256]).await;
    world.send(id, p[0], "mine").await;
    let last = async || world.card(p[0], id).await.unwrap().last_message.unwrap().status;
    assert_eq!(newest(&world, p[0], id).await[0].status, Some(Status::Sent));
    assert_eq!(last().await, Some(Status::Sent));
    world.change_members(id, &[MemberChange::Joins(p[256], Role::Member)]).await;
    assert_eq!(newest(&world, p[0], id).await[0].status, None);
    assert_eq!(last().await, None);
}

/// Of many conversations at once.
pub async fn the_inbox_shows_cards_of_the_newest_messages(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let mut expected = Vec::new();
    for n in 0..6u64 {
        let id = world.group(&[p[0], p[1 + usize::try_from(n % 3).unwrap()]]).await;
        let other = p[1 + usize::try_from(n % 3).unwrap()];
        let first = world.send(id, other, "first").await;
        let sender = if n < 4 { p[0] } else { other };
        let last = answer(&world, &first, sender, "last").await;
        world.react(p[0], &last, "👍", true).await.unwrap();
        if n % 2 == 0 {
            world.advance(other, id, (2, 0)).await.unwrap();
        }
        expected.push(world.message_card(p[0], last.id).await.unwrap());
    }
    expected.reverse();
    let status: Vec<_> = expected.iter().map(|card| card.status).collect();
    let (sent, delivered) = (Some(Status::Sent), Some(Status::Delivered));
    assert_eq!(status, [None, None, sent, delivered, sent, delivered]);
    let inbox = world.stores.conversations.inbox(p[0], InboxFilter::default(), None, 9).await;
    let last: Vec<_> =
        inbox.unwrap().items.into_iter().map(|card| card.last_message.unwrap()).collect();
    assert!(last.iter().all(|card| card.excerpt.is_some() && !card.message.reactions.is_empty()));
    assert_eq!(last, expected);
}

/// For one who may see it.
pub async fn a_message_is_located(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let id = world.group(&p[..2]).await;
    let early = world.send(id, p[0], "early").await;
    world.change_members(id, &[MemberChange::Joins(p[2], Role::Member)]).await;
    let late = world.send(id, p[0], "late").await;
    let locate = async |viewer, message| {
        let found = world.stores.messages.locate(viewer, message).await.unwrap();
        let card = world.message_card(viewer, message).await;
        let seen = card.map(|card| (card.message.conversation_id, card.message.seq));
        assert_eq!(found, seen);
        found
    };
    assert_eq!(locate(p[1], early.id).await, Some((id, 1)));
    assert_eq!(locate(p[2], early.id).await, None);
    assert_eq!(locate(p[2], late.id).await, Some((id, 3)));
    for (viewer, message) in [(p[3], late.id), (user_id(99), late.id), (p[0], message_id(99))] {
        assert_eq!(locate(viewer, message).await, None);
    }
    world.leave(id, p[1]).await;
    assert_eq!(locate(p[1], early.id).await, None);
    let channel = world.room(Kind::Channel, &p[..1]).await;
    let there = world.send(channel, p[0], "there").await;
    world.change_members(channel, &[MemberChange::Joins(p[3], Role::Member)]).await;
    assert_eq!(locate(p[3], there.id).await, Some((channel, 1)), "all of a channel");
    world.remove(channel).await;
    assert_eq!(locate(p[0], there.id).await, None);
}

/// Those that are counted; told once, however often one is named.
pub async fn unread_mentions_are_counted_apart(stores: Stores) {
    let (world, p) = World::people(stores, 3).await;
    let id = world.group(&p).await;
    let unread = async |viewer| {
        let card = world.card(viewer, id).await.unwrap();
        let page = world.stores.conversations.inbox(viewer, InboxFilter::default(), None, 9).await;
        assert_eq!(page.unwrap().items[0].unread, card.unread);
        (card.unread.count, card.unread.mentions)
    };
    let one = world.send(id, p[0], "hi @user_2 and @user_2").await;
    world.send(id, p[0], "hi @user_3 and @USER_2, me too: @user_1").await;
    world.send(id, p[2], "hi all").await;
    assert_eq!(unread(p[1]).await, (3, 2));
    assert_eq!(unread(p[2]).await, (2, 1));
    assert_eq!(unread(p[0]).await, (1, 0), "whom one names oneself is no news to one");
    world.advance(p[1], id, (0, 1)).await.unwrap();
    assert_eq!(unread(p[1]).await, (2, 1));
    world.edit(&one, "nobody").await.unwrap();
    assert_eq!(unread(p[1]).await, (2, 1), "what was read does not count");
    world.hide(p[1], id).await.unwrap();
    let hidden = world.card(p[1], id).await.unwrap();
    assert_eq!(hidden.unread, Unread::default());
    world.send(id, p[0], "@user_2?").await;
    assert_eq!(unread(p[1]).await, (1, 1));
    // The server's own words are nothing to read.
    world.leave(id, p[2]).await;
    assert_eq!(unread(p[1]).await, (1, 1));
}

/// However many there are.
pub async fn counting_mentions_stops_where_counting_does(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let send = |_| send_to(id, world.next(), p[0], "@user_2");
    let batch = (0..1_005).map(send).collect();
    for outcome in world.apply_all(batch).await {
        sent(outcome);
    }
    let unread = world.card(p[1], id).await.unwrap().unread;
    assert_eq!(unread, Unread { count: Unread::MOST, mentions: Unread::MOST });
}

/// A page, then the changes since: nothing is missed, nothing comes from the future.
pub async fn a_page_is_of_one_moment(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let id = world.group(&p).await;
    let message = world.send(id, p[0], "hi").await;
    let log = std::sync::Arc::clone(&world.stores.log);
    let commands: Vec<_> = (0..60)
        .map(|n| {
            let react = kith_ports::log::React {
                message_id: message.id,
                by: p[1],
                emoji: Emoji::parse("👍").unwrap(),
                given: n % 2 == 0,
            };
            world.command(id, Change::React(react))
        })
        .collect();
    let writer = tokio::spawn(async move {
        for command in commands {
            let outcome = log.apply([command].into()).await.unwrap().pop().unwrap();
            assert!(matches!(outcome, Ok(Applied::Reacted(Some(_)))), "{outcome:?}");
        }
    });
    while !writer.is_finished() {
        let page = newest(&world, p[0], id).await;
        let message = &messages(&page)[0];
        // The first change after the message gave it, the next one took it away.
        let given = (message.version - 2) % 2 == 1;
        assert_eq!(message.reactions.len(), usize::from(given), "version {}", message.version);
    }
    writer.await.unwrap();
    assert!(world.stores.messages.card(p[0], message_id(99)).await.unwrap().is_none());
    assert!(world.card(p[0], conversation_id(99)).await.is_none());
}
