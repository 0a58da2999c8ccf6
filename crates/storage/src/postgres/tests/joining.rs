//! Coming in while others change what lets one in.

use kith_domain::{Code, ConversationId, conversation::Kind, invite::Invite, text::InviteCode};
use kith_ports::{
    InviteStore as _, UserStore as _,
    log::{Applied, Change, Command, Entrance, Join, Rejected},
};
use kith_testkit::build::{self, at, note_id, user_id};

use super::{
    super::Postgres,
    ground::{Ground, apply, applying},
};

fn join(id: ConversationId, n: u64, by: Entrance) -> Command {
    let join = Join { user: user_id(n), by, note: note_id(n) };
    Command { conversation_id: id, at: at(9), change: Change::Join(join) }
}

/// An invite for one.
async fn invite(store: &Postgres, conversation_id: ConversationId) -> Entrance {
    let code = InviteCode::parse("code-of-an-invite").unwrap();
    let invite = Invite {
        code: code.clone(),
        conversation_id,
        created_by: user_id(1),
        created_at: at(1),
        expires_at: None,
        max_uses: Some(1),
        uses: 0,
    };
    assert!(store.create(invite).await.unwrap());
    Entrance::Invite(code)
}

fn refused(outcome: &Result<Applied, Rejected>) -> Code {
    match outcome {
        Err(Rejected::Refused(refusal)) => refusal.code,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// Two nodes, one use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_of_an_invite_lets_in_one_of_two_nodes() {
    let (ground, here, group) = Ground::furnished().await;
    let there = ground.open().await;
    for n in 4..=5 {
        here.register(build::account(n)).await.unwrap();
    }
    let way = invite(&here, group).await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    let both = [
        applying(&here, vec![join(group, 4, way.clone())]),
        applying(&there, vec![join(group, 5, way)]),
    ];
    ground.waiting(2).await;
    raw.run("COMMIT").await;
    let (mut came, mut codes) = (0, Vec::new());
    for applying in both {
        match applying.await.unwrap().unwrap().remove(0) {
            Ok(Applied::MembersChanged { changes, .. }) => came += changes.len(),
            outcome => codes.push(refused(&outcome)),
        }
    }
    assert_eq!((came, codes), (1, vec![Code::NotFound]));
    assert_eq!(ground.number("SELECT uses::bigint FROM invites").await, 1);
    // One came, and the history tells of it.
    ground.assert_dense(group, 1, 3).await;
}

/// It is taken back while he waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_that_is_taken_back_lets_nobody_in() {
    let (ground, store, group) = Ground::furnished().await;
    store.register(build::account(4)).await.unwrap();
    let way = invite(&store, group).await;
    let raw = ground.raw().await;
    raw.hold(group).await;
    raw.run("DELETE FROM invites").await;
    let joining = applying(&store, vec![join(group, 4, way)]);
    ground.waiting(1).await;
    raw.run("COMMIT").await;
    assert_eq!(refused(&joining.await.unwrap().unwrap()[0]), Code::NotFound);
    ground.assert_dense(group, 0, 1).await;
}

/// The last place is taken by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_full_lets_nobody_in() {
    let (ground, store, group) = Ground::furnished().await;
    for n in 4..=5 {
        store.register(build::account(n)).await.unwrap();
    }
    let channel = build::room(2, Kind::Channel, user_id(1));
    let channel_id = channel.id;
    apply(&store, build::create(channel, &[])).await.unwrap();
    let way = invite(&store, group).await;
    let raw = ground.raw().await;
    let fill = "UPDATE conversations SET member_count = CASE kind WHEN 1 THEN 1024 ELSE 99999 END";
    raw.run(fill).await;
    assert_eq!(refused(&apply(&store, join(group, 4, way)).await), Code::TooManyMembers);
    assert_eq!(ground.number("SELECT uses::bigint FROM invites").await, 0);
    apply(&store, join(channel_id, 4, Entrance::Open)).await.unwrap();
    let late = apply(&store, join(channel_id, 5, Entrance::Open)).await;
    assert_eq!(refused(&late), Code::TooManyMembers);
    // Who is in it already is told so.
    apply(&store, join(channel_id, 4, Entrance::Open)).await.unwrap();
}
