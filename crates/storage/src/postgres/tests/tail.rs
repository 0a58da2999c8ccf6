//! What one node finds of what others have stored.

use std::collections::BTreeSet;

use kith_domain::{
    ConversationId,
    conversation::{ConversationPatch, Kind, Version},
    group::{MemberChange, Role},
    invite::Invite,
    text::InviteCode,
};
use kith_ports::{
    ConversationStore as _, InviteStore, SessionStore, UserStore as _,
    log::{Change, Command, ConversationLog as _, Entrance, Join},
    tail::{ChangeTail as _, Logged, Tail, TailPosition},
};
use kith_testkit::build::{
    self, at, members, message_id, note_id, open, send_to, session_id, user_id, write_to,
};

mod missed;

use super::{
    super::Postgres,
    ground::{Ground, apply, applying},
};

/// A node that reads what others store.
struct Reader {
    store: Postgres,
    position: TailPosition,
    /// What it has read.
    seen: Vec<Logged>,
}

impl Reader {
    async fn new(ground: &Ground) -> Self {
        let store = ground.open().await;
        let position = store.end().await.unwrap();
        let mut reader = Self { store, position, seen: Vec::new() };
        reader.news().await;
        reader
    }

    /// The next reading, after which the next one begins.
    async fn read(&mut self) -> Tail {
        let tail = self.store.since(self.position).await.unwrap();
        assert!(tail.next >= self.position);
        self.position = tail.next;
        tail
    }

    /// What it has not read before: that may come again while transactions are under way, in other
    /// databases too.
    async fn news(&mut self) -> Vec<Logged> {
        let mut tail = self.read().await;
        assert!(!tail.lost);
        for it in &tail.changes {
            // The version that it had is the newest one that was told before.
            let all = self.seen.iter().chain(&tail.changes);
            let earlier = all.filter(|other| other.conversation_id == it.conversation_id);
            let known =
                earlier.map(|other| other.version).filter(|other| *other < it.version).max();
            assert!(
                it.before < it.version && known.is_none_or(|known| known == it.before),
                "{it:?}"
            );
        }
        plain(&mut tail.changes);
        let is_new = |it: &Logged| !self.seen.contains(it);
        let news: Vec<_> = tail.changes.into_iter().filter(is_new).collect();
        self.seen.extend(news.iter().cloned());
        news
    }
}

/// Without the versions that conversations had before.
fn plain(changes: &mut [Logged]) {
    for it in changes {
        it.before = 0;
    }
}

/// Whether a reading brings a change.
fn brings(mut tail: Tail, change: &Logged) -> bool {
    plain(&mut tail.changes);
    tail.changes.contains(change)
}

fn changed(conversation_id: ConversationId, version: Version, people: &[u64]) -> Logged {
    let people = people.iter().copied().map(user_id).collect();
    Logged { conversation_id, before: 0, version, pair: None, people }
}

fn command(conversation_id: ConversationId, change: Change) -> Command {
    Command { conversation_id, at: at(9), change }
}

async fn epoch(store: &Postgres, id: ConversationId) -> i64 {
    store.snapshot(id, &[]).await.unwrap().unwrap().head.member_epoch
}

async fn done(store: &Postgres, command: Command) {
    apply(store, command).await.unwrap();
}

/// Changes of members by the owner of the rooms here.
async fn change_members(store: &Postgres, id: ConversationId, n: u64, changes: &[MemberChange]) {
    let change = members(user_id(1), changes, n, epoch(store, id).await);
    done(store, command(id, change)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_is_behind_the_end() {
    let (ground, store, group) = Ground::furnished().await;
    let mut reader = Reader::new(&ground).await;
    assert_eq!(reader.news().await, []);
    for n in 1..=2 {
        done(&store, send_to(group, n, user_id(1), "x")).await;
    }
    assert_eq!(reader.news().await, [changed(group, 2, &[]), changed(group, 3, &[])]);
    assert_eq!(reader.news().await, []);
    // What changes nothing is not told, nor what is one's own alone.
    done(&store, send_to(group, 2, user_id(1), "x")).await;
    apply(&store, send_to(group, 3, user_id(9), "x")).await.unwrap_err();
    done(&store, command(group, Change::Hide { member: user_id(2) })).await;
    assert_eq!(reader.news().await, []);
}

/// With all that ends them: oneself, a new password, the end of the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_are_named() {
    let (ground, store, _) = Ground::furnished().await;
    let ann = user_id(1);
    for n in 11..=15 {
        let (hash, password) = (build::token_hash(n), build::password_hash(1));
        SessionStore::create(&store, build::session(n.into(), ann), hash, password).await.unwrap();
    }
    let mut reader = Reader::new(&ground).await;
    let mut seen = BTreeSet::new();
    let mut ended = async |reader: &mut Reader| -> Vec<_> {
        let tail = reader.read().await;
        tail.ended.into_iter().filter(|it| seen.insert(*it)).collect()
    };
    assert!(SessionStore::revoke(&store, ann, session_id(11), at(1)).await.unwrap());
    assert_eq!(ended(&mut reader).await, [(ann, session_id(11))]);
    assert!(!SessionStore::revoke(&store, ann, session_id(11), at(2)).await.unwrap());
    assert_eq!(ended(&mut reader).await, []);
    for _ in 0..2 {
        store.revoke_others(ann, session_id(12), at(3)).await.unwrap();
    }
    // Registering opened one, too.
    let others = ended(&mut reader).await;
    assert!((13..=15).all(|n| others.contains(&(ann, session_id(n)))), "{others:?}");
    assert!(!others.contains(&(ann, session_id(12))));
    store.set_password(ann, String::from("new"), session_id(99), at(4)).await.unwrap();
    assert_eq!(ended(&mut reader).await, [(ann, session_id(12))]);
}

/// Also those that the first message makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_names_each_conversation_and_the_two_of_a_chat() {
    let (ground, store, group) = Ground::furnished().await;
    let mut reader = Reader::new(&ground).await;
    let chat = |n| {
        let id = ConversationId::direct(user_id(3), user_id(n));
        Logged { pair: Some((user_id(n), user_id(3))), ..changed(id, 2, &[]) }
    };
    let alone = write_to(user_id(1), 1, user_id(3), "x");
    done(&store, alone).await;
    assert_eq!(reader.news().await, [chat(1)]);
    let batch = vec![
        send_to(group, 2, user_id(1), "x"),
        write_to(user_id(2), 3, user_id(3), "x"),
        send_to(group, 4, user_id(1), "x"),
    ];
    store.apply(batch.into()).await.unwrap();
    let found = reader.news().await;
    assert_eq!(found.len(), 2);
    assert!(found.contains(&changed(group, 3, &[])) && found.contains(&chat(2)), "{found:?}");
}

/// A position that stood after all that was begun would pass over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_late_is_found() {
    let (ground, store, group) = Ground::furnished().await;
    let mut reader = Reader::new(&ground).await;
    let chat = ConversationId::direct(user_id(2), user_id(3));
    let raw = ground.raw().await;
    raw.hold(group).await;
    // It has its number, and waits.
    let late = applying(&store, vec![send_to(group, 1, user_id(1), "late")]);
    ground.waiting(1).await;
    done(&store, write_to(user_id(2), 2, user_id(3), "meanwhile")).await;
    let meanwhile = Logged { pair: Some((user_id(2), user_id(3))), ..changed(chat, 2, &[]) };
    assert_eq!(reader.news().await.as_slice(), std::slice::from_ref(&meanwhile));
    let end = reader.store.end().await.unwrap();
    for _ in 0..3 {
        // As often as it is read.
        assert!(brings(reader.read().await, &meanwhile));
    }
    raw.run("COMMIT").await;
    late.await.unwrap().unwrap();
    assert_eq!(reader.news().await, [changed(group, 2, &[])]);
    let tail = reader.store.since(end).await.unwrap();
    assert!(brings(tail, &changed(group, 2, &[])));
}

/// One whose number is the first, and that is undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_undone_is_not_told() {
    let (ground, store, group) = Ground::furnished().await;
    let mut reader = Reader::new(&ground).await;
    let raw = ground.raw().await;
    let log = format!(
        "BEGIN; INSERT INTO changes (changed, conversations, versions) \
         VALUES (pg_current_xact_id()::text::bigint, ARRAY['{group}'::uuid], ARRAY[99])"
    );
    raw.run(&log).await;
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    assert_eq!(reader.news().await, [changed(group, 2, &[])]);
    raw.run("ROLLBACK").await;
    assert_eq!(reader.news().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_others_write() {
    const EACH: u64 = 60;
    let (ground, here, group) = Ground::furnished().await;
    let mut reader = Reader::new(&ground).await;
    let nodes = [here, ground.open().await];
    let writing: Vec<_> = (1..=4)
        .map(|writer: u64| {
            let store = nodes[usize::from(writer.is_multiple_of(2))].clone();
            tokio::spawn(async move {
                for n in 1..=EACH {
                    let (n, by) = (writer * 1_000 + n, user_id(1 + writer % 3));
                    let send = match n % 3 {
                        0 => write_to(user_id(1 + (writer + 1) % 3), n, by, "x"),
                        _ => send_to(group, n, by, "x"),
                    };
                    done(&store, send).await;
                }
            })
        })
        .collect();
    let mut found = BTreeSet::new();
    let mut take = |tail: Tail| {
        assert!(!tail.lost);
        found.extend(tail.changes.into_iter().map(|it| (it.conversation_id, it.version)));
    };
    while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
        take(reader.read().await);
    }
    for writing in writing {
        writing.await.unwrap();
    }
    take(reader.read().await);
    // Each send was a transaction of its own, with a version of its own.
    let sent = found.iter().filter(|(_, version)| *version > 1).count();
    assert_eq!(sent as u64, 4 * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_is_named() {
    let (ground, store, group) = Ground::furnished().await;
    for n in 4..=9 {
        store.register(build::account(n)).await.unwrap();
    }
    let mut reader = Reader::new(&ground).await;

    // Made with its first members.
    let (room, channel) = (build::group(5, user_id(1)), build::room(6, Kind::Channel, user_id(1)));
    let (room_id, channel_id) = (room.id, channel.id);
    done(&store, build::create(room, &[user_id(3), user_id(2)])).await;
    assert_eq!(reader.news().await, [changed(room_id, 1, &[1, 2, 3])]);
    done(&store, build::create(channel, &[])).await;
    assert_eq!(reader.news().await, [changed(channel_id, 1, &[1])]);

    // Added, removed, both. In a group a note takes a version too.
    let (joins, leaves) =
        (|n| MemberChange::Joins(user_id(n), Role::Member), |n| MemberChange::Leaves(user_id(n)));
    change_members(&store, group, 100, &[joins(4), joins(5)]).await;
    assert_eq!(reader.news().await, [changed(group, 5, &[4, 5])]);
    change_members(&store, group, 200, &[leaves(5), joins(6), leaves(2)]).await;
    assert_eq!(reader.news().await, [changed(group, 11, &[2, 5, 6])]);
    // Of one's own will, and back again.
    let change = members(user_id(6), &[leaves(6)], 300, epoch(&store, group).await);
    done(&store, command(group, change)).await;
    assert_eq!(reader.news().await, [changed(group, 13, &[6])]);
    change_members(&store, group, 400, &[joins(6)]).await;
    assert_eq!(reader.news().await, [changed(group, 15, &[6])]);
    // In one batch.
    change_members(&store, group, 500, &[leaves(6), joins(6), joins(7), leaves(7)]).await;
    assert_eq!(reader.news().await, [changed(group, 23, &[6, 7])]);

    // By an invite, and openly.
    let code = InviteCode::parse("code-of-an-invite").unwrap();
    let invite = Invite {
        code: code.clone(),
        conversation_id: group,
        created_by: user_id(1),
        created_at: at(1),
        expires_at: None,
        max_uses: None,
        uses: 0,
    };
    assert!(InviteStore::create(&store, invite).await.unwrap());
    let join = |by, n| Change::Join(Join { user: user_id(8), by, note: note_id(n) });
    done(&store, command(group, join(Entrance::Invite(code.clone()), 600))).await;
    assert_eq!(reader.news().await, [changed(group, 25, &[8])]);
    done(&store, command(channel_id, join(Entrance::Open, 601))).await;
    assert_eq!(reader.news().await, [changed(channel_id, 2, &[8])]);
    // Who is there already does not come.
    done(&store, command(group, join(Entrance::Invite(code), 602))).await;
    done(&store, command(channel_id, join(Entrance::Open, 603))).await;
    let change = members(user_id(8), &[leaves(8)], 700, epoch(&store, channel_id).await);
    done(&store, command(channel_id, change)).await;
    assert_eq!(reader.news().await.last(), Some(&changed(channel_id, 3, &[8])));

    // A direct chat.
    done(&store, open(user_id(9), user_id(4))).await;
    let chat = ConversationId::direct(user_id(4), user_id(9));
    let opened = Logged { pair: Some((user_id(4), user_id(9))), ..changed(chat, 1, &[4, 9]) };
    assert_eq!(reader.news().await, [opened]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stays_is_not_named() {
    let (ground, store, group) = Ground::furnished().await;
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    let mut reader = Reader::new(&ground).await;
    let becomes = MemberChange::Becomes(user_id(2), Role::Admin);
    change_members(&store, group, 100, &[becomes]).await;
    assert_eq!(reader.news().await, [changed(group, 3, &[])]);
    let member_epoch = epoch(&store, group).await;
    let edit =
        Change::Edit { message_id: message_id(1), content: build::content("y"), member_epoch };
    done(&store, command(group, edit)).await;
    assert_eq!(reader.news().await, [changed(group, 4, &[])]);
    done(&store, command(group, build::reaction(message_id(1), user_id(3), "👍"))).await;
    assert_eq!(reader.news().await, [changed(group, 5, &[])]);
    let patch =
        ConversationPatch { name: Some(build::name("New")), ..ConversationPatch::default() };
    let (by, note) = (user_id(1), note_id(9));
    let update = Change::Update { by, note, patch, member_epoch, settings_epoch: 1 };
    done(&store, command(group, update)).await;
    assert_eq!(reader.news().await, [changed(group, 7, &[])]);
    done(&store, command(group, Change::Remove { member_epoch })).await;
    assert_eq!(reader.news().await, [changed(group, 8, &[])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_those_of_their_conversation() {
    let (ground, store, group) = Ground::furnished().await;
    let others = [5, 6].map(|n| build::group(n, user_id(1)));
    let [first, second] = others.each_ref().map(|room| room.id);
    for room in others {
        done(&store, build::create(room, &[])).await;
    }
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    let mut reader = Reader::new(&ground).await;
    let member_epoch = epoch(&store, group).await;
    let edit =
        Change::Edit { message_id: message_id(1), content: build::content("y"), member_epoch };
    let joins = |n| MemberChange::Joins(user_id(n), Role::Member);
    let batch = vec![
        send_to(second, 2, user_id(1), "x"),
        command(first, members(user_id(1), &[joins(2), joins(3)], 100, 1)),
        command(group, edit),
        command(second, members(user_id(1), &[joins(3)], 200, 1)),
    ];
    for outcome in store.apply(batch.into()).await.unwrap() {
        outcome.unwrap();
    }
    let mut found = reader.news().await;
    found.sort_by_key(|it| (it.conversation_id, it.version));
    let mut expected = [
        changed(group, 3, &[]),
        changed(first, 5, &[2, 3]),
        // As the transaction went on with it.
        changed(second, 2, &[]),
        changed(second, 4, &[3]),
    ];
    expected.sort_by_key(|it| (it.conversation_id, it.version));
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_reading_holds_is_left_out() {
    let (ground, store, group) = Ground::furnished().await;
    let raw = ground.raw().await;
    let fill = async |rows: i64| {
        let many = format!(
            "INSERT INTO changes (changed, conversations, befores, versions) \
             SELECT pg_current_xact_id()::text::bigint, array_fill('{group}'::uuid, ARRAY[1000]), \
             array_fill(6::bigint, ARRAY[1000]), array_fill(7::bigint, ARRAY[1000]) \
             FROM generate_series(1, {rows})"
        );
        raw.run(&many).await;
    };
    ground.settle().await;
    let mut reader = Reader::new(&ground).await;
    fill(100).await;
    let all = reader.store.since(reader.position).await.unwrap();
    assert_eq!((all.changes.len(), all.lost), (100_000, false));
    fill(1).await;
    ground.settle().await;
    let tail = reader.read().await;
    assert_eq!((tail.changes, tail.lost), (Vec::new(), true));
    // It goes on behind them.
    assert_eq!(reader.news().await, []);
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    assert!(brings(reader.read().await, &changed(group, 2, &[])));
}

/// A node that was away for more than an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forgotten_is_left_out() {
    let (ground, store, group) = Ground::furnished().await;
    let mut before = Reader::new(&ground).await;
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    ground.raw().await.run("UPDATE changes SET made_at = now() - interval '61 minutes'").await;
    ground.settle().await;
    let mut after = Reader::new(&ground).await;
    done(&store, send_to(group, 2, user_id(1), "x")).await;
    let upkeep = async {
        tokio::select! {
            () = store.upkeep() => {}
            () = ground.until("SELECT count(*) = 1 FROM changes") => {}
        }
    };
    upkeep.await;
    ground.settle().await;
    let tail = before.read().await;
    assert_eq!((tail.changes, tail.lost), (Vec::new(), true));
    assert_eq!(after.news().await, [changed(group, 3, &[])]);
    assert_eq!(before.news().await, []);
}

/// Another server has taken over, which had not heard of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_begins_earlier_is_left_out() {
    let (ground, store, group) = Ground::furnished().await;
    let end = Reader::new(&ground).await.position;
    let tail = store.since(TailPosition(end.0 + 1_000_000)).await.unwrap();
    assert_eq!((tail.changes, tail.lost), (Vec::new(), true));
    done(&store, send_to(group, 1, user_id(1), "x")).await;
    let tail = store.since(tail.next).await.unwrap();
    assert!(!tail.lost && brings(tail, &changed(group, 2, &[])));
}
