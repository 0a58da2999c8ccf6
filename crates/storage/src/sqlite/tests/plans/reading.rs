//! Messages as they are shown, receipts, blocks, invites, the directory.

use std::sync::{Arc, Mutex};

use diesel::{Connection as _, sqlite::SqliteConnection};
use kith_domain::{
    ConversationId, UserId,
    conversation::Kind,
    invite::Invite,
    receipt::Watermarks,
    text::{Emoji, InviteCode},
    user::ProfilePatch,
};
use kith_ports::{
    Advance, BlockStore as _, ConversationStore, DirectoryCursor, HistorySelector, InviteCursor,
    InviteStore, MemberCursor, MessageStore, ReceiptStore as _, UserStore as _,
    log::{Change, Command, ConversationLog as _, React, Send},
};
use kith_testkit::build::{self, at, message_id, user_id};

use super::{
    super::{Database, furnish},
    Recorder, Sqlite,
};

/// What the accounts 1 to 4 can ask, in rooms of their own.
pub(super) async fn read(sqlite: &Sqlite) {
    let (one, two) = (user_id(1), user_id(2));
    let (group, channel) = (build::room(80, Kind::Group, one), build::room(81, Kind::Channel, one));
    let (id, channel_id) = (group.id, channel.id);
    let people = [two, user_id(3)];
    all(sqlite, vec![build::create(group, &people), build::create(channel, &people)]).await;
    let reply = Send { reply_to: Some(message_id(801)), ..build::send(802, one, "re") };
    let react = React {
        message_id: message_id(801),
        by: two,
        emoji: Emoji::parse("👍").unwrap(),
        given: true,
    };
    let batch = vec![
        build::send_to(id, 801, one, "hi"),
        Command { conversation_id: id, at: at(802), change: Change::Send(reply) },
        Command { conversation_id: id, at: at(803), change: Change::React(react) },
        build::send_to(channel_id, 804, one, "hi"),
    ];
    all(sqlite, batch).await;
    advance(sqlite, two, [id, channel_id]).await;
    sqlite.history(one, id, HistorySelector::Newest, 10).await.unwrap().unwrap();
    MessageStore::card(sqlite, one, message_id(802)).await.unwrap().unwrap();
    sqlite.locate(one, message_id(802)).await.unwrap().unwrap();
    ConversationStore::card(sqlite, one, id).await.unwrap().unwrap();
    sqlite.receipts(one, message_id(801), Some(user_id(0)), 10).await.unwrap().unwrap();

    let hides = ProfilePatch { read_receipts: Some(false), ..ProfilePatch::default() };
    sqlite.update(two, hides).await.unwrap().unwrap();
    sqlite.block(one, two, at(1)).await.unwrap();
    sqlite.blocked_by(one, None, 10).await.unwrap();
    sqlite.blocked_among(one, &[two, user_id(3)]).await.unwrap();
    sqlite.unblock(one, two).await.unwrap();

    let after = DirectoryCursor { name: String::from("a"), id };
    for (prefix, after) in
        [(None, None), (Some("ro"), None), (None, Some(after.clone())), (Some("ro"), Some(after))]
    {
        let page = sqlite.directory(two, prefix.map(str::to_owned), after, 10).await.unwrap();
        assert!(!page.items.is_empty());
    }
    sqlite.listing(two, channel_id).await.unwrap().unwrap();
    for after in [None, Some(MemberCursor { joined_at: at(0), user_id: user_id(0) })] {
        let page = ConversationStore::members(sqlite, two, channel_id, after, 10).await.unwrap();
        assert_eq!(page.unwrap().items.len(), 1);
    }
    invite(sqlite, one, id).await;
}

async fn all(sqlite: &Sqlite, batch: Vec<Command>) {
    for outcome in sqlite.apply(batch.into()).await.unwrap() {
        outcome.unwrap();
    }
}

async fn advance(sqlite: &Sqlite, user_id: UserId, ids: [ConversationId; 2]) {
    let to = Watermarks { delivered: 1, read: 1 };
    let advances = ids.map(|conversation_id| Advance { conversation_id, user_id, to, at: at(900) });
    for told in sqlite.advance(advances.into()).await.unwrap() {
        assert_eq!(told.unwrap().after, to);
    }
}

async fn invite(sqlite: &Sqlite, by: UserId, id: ConversationId) {
    let code = InviteCode::parse("code-of-another-invite").unwrap();
    let invite = Invite {
        code: code.clone(),
        conversation_id: id,
        created_by: by,
        created_at: at(1),
        expires_at: None,
        max_uses: None,
        uses: 0,
    };
    assert!(InviteStore::create(sqlite, invite).await.unwrap());
    for after in [None, Some(InviteCursor { created_at: at(2), code: code.clone() })] {
        assert_eq!(InviteStore::list(sqlite, id, after, 10).await.unwrap().items.len(), 1);
    }
    InviteStore::find(sqlite, code.clone()).await.unwrap().unwrap();
    assert!(InviteStore::revoke(sqlite, by, id, code).await.unwrap());
}

/// What most pages do not hold costs them nothing.
#[tokio::test]
async fn a_page_asks_only_for_what_it_holds() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, _) = furnish(&sqlite).await;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let recorder = Arc::clone(&recorded);
    let install = move |connection: &mut SqliteConnection| {
        connection.set_instrumentation(Recorder(recorder));
        Ok(())
    };
    sqlite.read(install).await.unwrap();
    let asked = async |viewer| {
        recorded.lock().unwrap().clear();
        sqlite.history(viewer, group, HistorySelector::Newest, 50).await.unwrap().unwrap();
        let asked = recorded.lock().unwrap();
        asked.iter().filter(|sql| sql.starts_with("SELECT")).count()
    };
    // The first has written all of it, and nobody else anything.
    assert_eq!((asked(user_id(1)).await, asked(user_id(2)).await), (2, 1));
    let answer = Send { reply_to: Some(message_id(1)), ..build::send(20, user_id(3), "re") };
    let answer = Command { conversation_id: group, at: at(20), change: Change::Send(answer) };
    all(&sqlite, vec![answer]).await;
    assert_eq!((asked(user_id(2)).await, asked(user_id(3)).await), (2, 3));
    let pin = Change::Pin { message_id: message_id(1), pinned: true, member_epoch: 1 };
    all(&sqlite, vec![Command { conversation_id: group, at: at(21), change: pin }]).await;
    assert_eq!((asked(user_id(2)).await, asked(user_id(3)).await), (3, 4));
}
