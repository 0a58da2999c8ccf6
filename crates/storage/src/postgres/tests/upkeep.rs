//! What goes in time, and what other nodes read meanwhile.

use kith_domain::{ConversationId, group::MemberChange, receipt::Watermarks};
use kith_ports::{
    Advance, ConversationStore as _, ReceiptStore as _,
    log::{Change, Command, ConversationLog as _},
};
use kith_testkit::build::{self, at, send_to, user_id, write_to};

use super::{
    super::Postgres,
    ground::{Ground, apply},
};

async fn epoch(store: &Postgres, id: ConversationId) -> i64 {
    store.snapshot(id, &[]).await.unwrap().unwrap().head.member_epoch
}

/// Upkeep under way; it ends when this is dropped.
struct Upkeep(tokio::task::JoinHandle<()>);

impl Upkeep {
    fn of(store: &Postgres) -> Self {
        let store = store.clone();
        Self(tokio::spawn(async move { store.upkeep().await }))
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_messages_of_a_deleted_conversation_go() {
    let (ground, store, group) = Ground::furnished().await;
    let batch: Vec<_> = (1..=1_200).map(|n| send_to(group, n, user_id(1), "x")).collect();
    store.apply(batch.into()).await.unwrap();
    apply(&store, write_to(user_id(2), 2_000, user_id(1), "stays")).await.unwrap();
    let chat = ConversationId::direct(user_id(1), user_id(2));
    for (id, n) in [(group, 1_100), (chat, 2_000)] {
        let reaction = build::reaction(build::message_id(n), user_id(2), "👍");
        apply(&store, Command { conversation_id: id, at: at(8), change: reaction }).await.unwrap();
    }
    for seq in 1..=300 {
        let advance = |conversation_id, user_id| {
            let to = Watermarks { delivered: seq, read: seq };
            Advance { conversation_id, user_id, to, at: at(8) }
        };
        let batch =
            [advance(group, user_id(2)), advance(group, user_id(3)), advance(chat, user_id(2))];
        store.advance(batch.into()).await.unwrap();
    }
    assert_eq!(ground.number("SELECT count(*) FROM receipts").await, 1_202);
    let crowd = format!(
        "INSERT INTO reactions SELECT '{group}', 1 + n % 7, n % 50, gen_random_uuid(), n \
         FROM generate_series(1, 1200) AS n"
    );
    ground.raw().await.run(&crowd).await;
    let _upkeep = Upkeep::of(&store);
    let change = Change::Remove { member_epoch: epoch(&store, group).await };
    apply(&store, Command { conversation_id: group, at: at(9), change }).await.unwrap();
    for (table, left) in [("messages", 1), ("reactions", 1), ("receipts", 2)] {
        ground.until(&format!("SELECT count(*) = {left} FROM {table}")).await;
        let of_chat = format!("SELECT count(*) FROM {table} WHERE conversation_id = '{chat}'");
        assert_eq!(ground.number(&of_chat).await, left);
    }
}

/// A node that ends in the midst of it, or another one that deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_left_to_delete_goes_at_the_start() {
    let (ground, store, group) = Ground::furnished().await;
    apply(&store, send_to(group, 1, user_id(1), "x")).await.unwrap();
    let change = Change::Remove { member_epoch: epoch(&store, group).await };
    apply(&store, Command { conversation_id: group, at: at(9), change }).await.unwrap();
    assert_eq!(ground.number("SELECT count(*) FROM messages").await, 1);
    let nodes = [store, ground.open().await];
    let _upkeep = nodes.each_ref().map(Upkeep::of);
    ground.until("SELECT NOT EXISTS (SELECT FROM messages)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_deleted_does_not_keep_the_others() {
    let (ground, store, _) = Ground::furnished().await;
    let rooms = [4, 5, 6].map(|n| build::group(n, user_id(1)));
    let ids = rooms.each_ref().map(|room| room.id);
    for (n, room) in (1..).zip(rooms) {
        let id = room.id;
        apply(&store, build::create(room, &[user_id(2)])).await.unwrap();
        apply(&store, send_to(id, n, user_id(1), "x")).await.unwrap();
        let change = Change::Remove { member_epoch: epoch(&store, id).await };
        apply(&store, Command { conversation_id: id, at: at(9), change }).await.unwrap();
    }
    let fail = format!(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE 'a broken page'; END $$; \
         CREATE TRIGGER fail BEFORE DELETE ON messages FOR EACH ROW \
         WHEN (OLD.conversation_id IN ('{}', '{}')) EXECUTE FUNCTION fail()",
        ids[0], ids[2]
    );
    ground.raw().await.run(&fail).await;
    let _upkeep = Upkeep::of(&store);
    ground.until("SELECT count(*) = 2 FROM messages").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_forgotten_after_an_hour() {
    let (ground, store, group) = Ground::furnished().await;
    for n in 1..=4 {
        apply(&store, send_to(group, n, user_id(1), "x")).await.unwrap();
    }
    // The making of the group is version 1.
    let age = |version: i64, minutes: i64| {
        format!(
            "UPDATE changes SET made_at = now() - interval '{minutes} minutes' \
             WHERE versions = ARRAY[{version}::bigint];"
        )
    };
    let ages = [age(1, 600), age(2, 61), age(3, 59), age(4, 30)].concat();
    ground.raw().await.run(&ages).await;
    let _upkeep = Upkeep::of(&store);
    ground.until("SELECT count(*) < 5 FROM changes").await;
    let left = ground.raw().await.lines("SELECT versions::text FROM changes ORDER BY 1").await;
    assert_eq!(left, ["{3}", "{4}", "{5}"]);
}

/// What the newest entry of the log says of a conversation, and what its head says.
async fn assert_logged(ground: &Ground, id: ConversationId, rows: i64) {
    let entry = format!(
        "FROM changes CROSS JOIN LATERAL unnest(conversations, versions) AS it (id, version) \
         WHERE it.id = '{id}'"
    );
    let count = ground.number(&format!("SELECT count(*) {entry}")).await;
    assert_eq!(count, rows, "one for each transaction that changed it");
    let same = format!(
        "SELECT (SELECT (changes.changed, it.version) {entry} ORDER BY it.version DESC LIMIT 1) \
         = (SELECT (changed, version) FROM heads WHERE conversation_id = '{id}')"
    );
    assert!(ground.raw().await.get::<bool>(&same).await, "as the head has it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_logged_with_the_version_of_the_head() {
    let (ground, store, group) = Ground::furnished().await;
    assert_logged(&ground, group, 1).await;
    let chat = ConversationId::direct(user_id(1), user_id(2));
    let batch = vec![
        send_to(group, 1, user_id(1), "x"),
        write_to(user_id(2), 2, user_id(1), "x"),
        send_to(group, 3, user_id(2), "x"),
    ];
    store.apply(batch.into()).await.unwrap();
    assert_logged(&ground, group, 2).await;
    assert_logged(&ground, chat, 1).await;

    let member_epoch = epoch(&store, group).await;
    let deletion = Change::Delete { message_id: build::message_id(1), member_epoch };
    let changes = vec![(MemberChange::Leaves(user_id(3)), build::message_id(9))];
    let leaving = Change::Members { by: user_id(3), changes, member_epoch };
    for (rows, change) in [(3, deletion), (4, leaving)] {
        apply(&store, Command { conversation_id: group, at: at(9), change }).await.unwrap();
        assert_logged(&ground, group, rows).await;
    }
    // What was refused, or was there already, changed nothing.
    let rows = ground.number("SELECT count(*) FROM changes").await;
    apply(&store, send_to(group, 9, user_id(3), "x")).await.unwrap_err();
    apply(&store, send_to(group, 1, user_id(1), "x")).await.unwrap();
    assert_eq!(ground.number("SELECT count(*) FROM changes").await, rows);
    // Sends among other commands.
    let change = Change::Hide { member: user_id(2) };
    let batch = vec![
        send_to(group, 10, user_id(1), "x"),
        Command { conversation_id: chat, at: at(11), change },
        send_to(chat, 12, user_id(1), "x"),
    ];
    store.apply(batch.into()).await.unwrap();
    assert_logged(&ground, group, 5).await;
    let change = Change::Remove { member_epoch: epoch(&store, group).await };
    apply(&store, Command { conversation_id: group, at: at(20), change }).await.unwrap();
    assert_logged(&ground, group, 6).await;
}
