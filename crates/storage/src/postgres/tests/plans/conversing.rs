//! Changes of what stands in large rooms: mentions, reactions, pins, who comes and what is noted of it.

use kith_domain::{
    ConversationId, UserId,
    conversation::{ConversationPatch, Kind, SettingsPatch},
    group::{MemberChange, Role},
    text::InviteCode,
};
use kith_ports::{
    ConversationStore as _,
    log::{Applied, Change, Command, ConversationLog as _, Entrance, Join},
};
use kith_testkit::build::{
    self, at, conversation_id, message_id, name, note_id, send_to, user_id, write_to,
};

use super::{
    Meter, Postgres,
    use_everything::{channel, group, one},
};

/// Carries out commands, each of which must be accepted.
async fn apply(
    meter: &mut Meter,
    store: &Postgres,
    (label, most): (&str, u64),
    batch: Vec<Command>,
) -> Vec<Applied> {
    let outcomes = meter.measure(label, most, store.apply(batch.into())).await.unwrap();
    outcomes.into_iter().map(Result::unwrap).collect()
}

fn command(conversation_id: ConversationId, change: Change) -> Command {
    Command { conversation_id, at: at(9), change }
}

fn join(user: UserId, by: Entrance, n: u64) -> Change {
    Change::Join(Join { user, by, note: note_id(n) })
}

/// All of it.
pub(super) async fn converse(meter: &mut Meter, store: &Postgres) {
    mention(meter, store).await;
    mark(meter, store).await;
    come_and_go(meter, store).await;
}

/// Twenty names of members and others.
fn names() -> String {
    let names: Vec<_> = (990..1_010).map(|n| format!("@user_{n}")).collect();
    names.join(" ")
}

async fn mention(meter: &mut Meter, store: &Postgres) {
    for (n, id) in [(3_200_001, group()), (3_200_002, channel())] {
        for n in [n, n + 10, n + 20] {
            let send = send_to(id, n, one(), &names());
            let sent = apply(meter, store, ("a send that mentions 20", 500), vec![send]).await;
            let Applied::Sent { message, .. } = &sent[0] else { panic!("{sent:?}") };
            assert!(message.mentions.len() >= 20, "{}", message.mentions.len());
        }
    }
    let many = || {
        (0..100).map(|n| send_to(conversation_id(n + 1), 3_201_000 + n, one(), "@user_1 @user_2"))
    };
    apply(meter, store, ("100 sends that mention 2", 14_000), many().collect()).await;
    let direct: Vec<_> = (2..20)
        .map(|n| write_to(user_id(n), 3_202_000 + n, one(), &format!("@user_{n}")))
        .collect();
    apply(meter, store, ("18 to people", 6_000), direct).await;
    let blocked = [63, 7_921].map(|n| write_to(user_id(n), 3_203_000 + n, one(), "hi")).into();
    let refused = meter.measure("2 to the blocked", 300, store.apply(blocked)).await.unwrap();
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    let member_epoch = store.snapshot(group(), &[]).await.unwrap().unwrap().head.member_epoch;
    let edit = Change::Edit {
        message_id: message_id(75_011),
        content: build::content(&names()),
        member_epoch,
    };
    apply(meter, store, ("an edit that mentions 20", 900), vec![command(group(), edit)]).await;
}

/// The message with a thousand reactions, and one with none.
async fn mark(meter: &mut Meter, store: &Postgres) {
    for (label, id, emoji) in [
        ("a reaction, the first", 75_021, "👍"),
        ("a reaction, beside a thousand", 75_100, "👏"),
        ("a reaction, after a thousand", 75_100, "❤"),
    ] {
        let give = command(group(), build::reaction(message_id(id), user_id(600), emoji));
        apply(meter, store, (label, 700), vec![give]).await;
    }
    let member_epoch = store.snapshot(group(), &[]).await.unwrap().unwrap().head.member_epoch;
    let pin = Change::Pin { message_id: message_id(75_031), pinned: true, member_epoch };
    apply(meter, store, ("a pin", 600), vec![command(group(), pin)]).await;
    // Its reactions are named, and go with it.
    let pin = Change::Pin { message_id: message_id(75_200), pinned: true, member_epoch };
    apply(meter, store, ("a pin, with reactions", 600), vec![command(group(), pin)]).await;
    let delete = Change::Delete { message_id: message_id(75_200), member_epoch };
    apply(meter, store, ("a deletion, with reactions", 600), vec![command(group(), delete)]).await;
    let patch = SettingsPatch { pinned: Some(true), ..SettingsPatch::default() };
    let settings = Change::Settings { member: one(), patch };
    apply(meter, store, ("own settings", 200), vec![command(group(), settings)]).await;
}

async fn come_and_go(meter: &mut Meter, store: &Postgres) {
    let open = join(user_id(40_001), Entrance::Open, 1);
    apply(meter, store, ("one joins the channel", 300), vec![command(channel(), open)]).await;
    let code = InviteCode::parse("code-of-an-invite-7").unwrap();
    let invited = join(user_id(40_002), Entrance::Invite(code), 2);
    apply(
        meter,
        store,
        ("one comes by an invite", 300),
        vec![command(conversation_id(7), invited)],
    )
    .await;
    let member_epoch = store.snapshot(channel(), &[]).await.unwrap().unwrap().head.member_epoch;
    let many: Vec<_> =
        (41_000..41_100).map(|n| MemberChange::Joins(user_id(n), Role::Member)).collect();
    let joins = build::members(user_id(2), &many, 100, member_epoch);
    apply(meter, store, ("100 are added to the channel", 4_000), vec![command(channel(), joins)])
        .await;
    let patch = ConversationPatch { name: Some(name("The other room")), ..Default::default() };
    let (conversation, head) = {
        let snapshot = store.snapshot(channel(), &[]).await.unwrap().unwrap();
        (snapshot.conversation, snapshot.head)
    };
    let rename = Change::Update {
        by: one(),
        note: note_id(3),
        patch,
        member_epoch: head.member_epoch,
        settings_epoch: conversation.settings_epoch,
    };
    apply(meter, store, ("another name", 400), vec![command(channel(), rename)]).await;
    let room = build::create(build::room(91_000, Kind::Channel, one()), &[]);
    apply(meter, store, ("create a channel", 300), vec![room]).await;
    let remove = Change::Remove { member_epoch: 1 };
    let remove = command(conversation_id(91_000), remove);
    apply(meter, store, ("remove a channel", 300), vec![remove]).await;
}
