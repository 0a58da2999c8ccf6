//! Mentions, reactions, pins, settings, blocks, who comes and goes.

use kith_domain::{
    ConversationId,
    conversation::{ConversationPatch, Kind, SettingsPatch},
    group::{MemberChange, Role},
    invite::Invite,
    text::{Emoji, InviteCode},
};
use kith_ports::{
    InviteStore,
    log::{Change, Command, ConversationLog as _, Entrance, Join, React},
};
use kith_testkit::build::{self, at, message_id, name, note_id, send_to, user_id, write_to};

use super::Sqlite;

/// The commands that the accounts 1 to 4 can give, in rooms of their own.
pub(super) async fn converse(sqlite: &Sqlite) {
    mark(sqlite).await;
    come_and_go(sqlite).await;
}

fn command(conversation_id: ConversationId, change: Change) -> Command {
    Command { conversation_id, at: at(70), change }
}

async fn all(sqlite: &Sqlite, batch: Vec<Command>) {
    for outcome in sqlite.apply(batch.into()).await.unwrap() {
        outcome.unwrap();
    }
}

/// What can become of a message.
async fn mark(sqlite: &Sqlite) {
    let group = build::group(90, user_id(1));
    let (id, message_id, member_epoch) = (group.id, message_id(901), 1);
    let react = |given, text| {
        let emoji = Emoji::parse(text).unwrap();
        command(id, Change::React(React { message_id, by: user_id(2), emoji, given }))
    };
    let content = build::content("@user_1 @user_2 @user_3");
    let edit = Change::Edit { message_id, content, member_epoch };
    let pin = Change::Pin { message_id, pinned: true, member_epoch };
    let batch = vec![
        build::create(group, &[user_id(2), user_id(3)]),
        send_to(id, 901, user_id(1), "@user_1 @user_2 @user_4"),
        react(true, "👍"),
        react(true, "🎉"),
        react(false, "🎉"),
        command(id, edit),
        command(id, pin),
        command(id, Change::Delete { message_id, member_epoch }),
        write_to(user_id(4), 902, user_id(2), "@user_4"),
        build::open(user_id(4), user_id(2)),
    ];
    all(sqlite, batch).await;
}

/// What can become of a channel and its members.
async fn come_and_go(sqlite: &Sqlite) {
    let (one, two) = (user_id(1), user_id(2));
    let channel = build::room(91, Kind::Channel, one);
    let id = channel.id;
    let code = InviteCode::parse("code-of-an-invite").unwrap();
    let invite = Invite {
        code: code.clone(),
        conversation_id: id,
        created_by: one,
        created_at: at(1),
        expires_at: None,
        max_uses: None,
        uses: 0,
    };
    let join = |user, by, n| command(id, Change::Join(Join { user, by, note: note_id(n) }));
    let rename = Change::Update {
        by: one,
        note: note_id(1),
        patch: ConversationPatch { name: Some(name("Another")), ..ConversationPatch::default() },
        member_epoch: 1,
        settings_epoch: 1,
    };
    let patch = SettingsPatch { pinned: Some(true), ..SettingsPatch::default() };
    let adds = [user_id(2), user_id(3)].map(|user| MemberChange::Joins(user, Role::Member));
    let batch = vec![
        build::create(channel, &[]),
        command(id, rename),
        command(id, build::members(one, &adds, 2, 1)),
        join(user_id(4), Entrance::Open, 5),
        command(id, Change::Settings { member: two, patch }),
        command(id, build::members(two, &[MemberChange::Leaves(two)], 6, 3)),
    ];
    all(sqlite, batch).await;
    assert!(InviteStore::create(sqlite, invite).await.unwrap());
    let comes_back = join(two, Entrance::Invite(code), 7);
    all(sqlite, vec![comes_back, command(id, Change::Remove { member_epoch: 5 })]).await;
}
