//! What other nodes have stored: read each second, and once something was missed.

use kith_ports::{log::ConversationLog as _, tail::ChangeTail as _, tail::TailPosition};
use kith_testkit::build::{conversation_id, send_to};

use super::{
    Ground, Meter, Postgres,
    use_everything::{channel, group, one},
};

/// All of it, of a log of 100,000 transactions.
pub(super) async fn read(meter: &mut Meter, store: &Postgres, ground: &Ground) {
    follow(meter, store, ground).await;
    catch_up(meter, store).await;
}

async fn follow(meter: &mut Meter, store: &Postgres, ground: &Ground) {
    // Else what was written before would be read once more.
    ground.settle().await;
    // Twice: what is read the first time after a statement was prepared includes the catalogue.
    for _ in 0..2 {
        let end = meter.measure("end of the log", 5, store.end()).await.unwrap();
        let tail = meter.measure("since, a quiet second", 30, store.since(end)).await.unwrap();
        assert!(!tail.lost);
    }
    let end = store.end().await.unwrap();
    store.apply([send_to(conversation_id(9), 3_400_001, one(), "new")].into()).await.unwrap();
    let tail = meter.measure("since, one change", 30, store.since(end)).await.unwrap();
    assert!(tail.changes.iter().any(|it| it.conversation_id == conversation_id(9)));
    // Those of the past have numbers below zero, and a conversation each.
    let past = "SELECT 10000 - count(*) FROM changes WHERE changed > 0 AND sessions IS NULL";
    let past = TailPosition(-ground.number(past).await);
    ground.raw().await.run("UPDATE store SET forgotten = -1000000").await;
    let tail = meter.measure("since, 10,000 changes", 60_000, store.since(past)).await.unwrap();
    assert_eq!((tail.changes.len(), tail.lost), (10_000, false));
    ground.raw().await.run("UPDATE store SET forgotten = 0").await;
}

async fn catch_up(meter: &mut Meter, store: &Postgres) {
    for (label, id, back, most) in [
        ("missed, a message", conversation_id(9), 1, 40),
        ("missed, in a large group", group(), 10, 200),
        ("missed, 500 in a large group", group(), 500, 10_000),
        ("missed, in the channel", channel(), 10, 100),
    ] {
        let version = store.missed(id, i64::MAX, 1).await.unwrap().unwrap().head.version;
        for _ in 0..2 {
            let missed = store.missed(id, version - back, 1_000);
            let missed = meter.measure(label, most, missed).await.unwrap().unwrap();
            let found = missed.messages.len() + missed.members.len();
            assert!(!missed.overflow && (1..=usize::try_from(back).unwrap()).contains(&found));
        }
    }
    for (label, id) in [("group", group()), ("channel", channel())] {
        let label = format!("missed, all of the {label}");
        for since in [0, 1] {
            let missed = store.missed(id, since, 1_000);
            assert!(meter.measure(&label, 3_000, missed).await.unwrap().unwrap().overflow);
        }
    }
    let none = store.missed(group(), i64::MAX, 1_000);
    meter.measure("missed, nothing", 20, none).await.unwrap().unwrap();
}
