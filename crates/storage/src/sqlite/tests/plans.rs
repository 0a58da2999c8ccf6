mod conversing;
mod reading;

use std::sync::{Arc, Mutex};

use diesel::{
    connection::{Instrumentation, InstrumentationEvent},
    prelude::*,
    sql_types::Text,
    sqlite::SqliteConnection,
};
use kith_domain::{
    ConversationId,
    conversation::Kind,
    group::{MemberChange, Role},
    user::ProfilePatch,
};
use kith_ports::{
    ConversationStore, HistorySelector, InboxCursor, InboxFilter, MemberCursor, MessageStore,
    SessionStore, SyncRead, UserCursor, UserStore,
    log::{Change, Command, ConversationLog, Send},
};
use kith_testkit::build::{self, at, user_id};

use super::{Database, Sqlite, furnish};

/// Records the text of every statement.
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let sql = query.to_string();
            let sql = sql.split(" -- binds").next().unwrap().to_owned();
            self.0.lock().unwrap().push(sql);
        }
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Statements grow slow with the tables when they walk through one, and nothing tells of it while
/// the tables are small. So every statement of every method is explained. (Nor may it have a bare
/// `LIMIT ?`: see `queries::at_most`.)
#[tokio::test]
async fn no_statement_walks_through_a_table() {
    let database = Database::new();
    let sqlite = database.open();
    let (group, chat) = furnish(&sqlite).await;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let install = || {
        let recorded = Arc::clone(&recorded);
        move |connection: &mut SqliteConnection| {
            connection.set_instrumentation(Recorder(recorded));
            Ok(())
        }
    };
    sqlite.transact(install()).await.unwrap();
    sqlite.read(install()).await.unwrap();
    use_everything(&sqlite, group, chat).await;

    let mut statements = std::mem::take(&mut *recorded.lock().unwrap());
    statements.sort();
    statements.dedup();
    statements.retain(|sql| {
        ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb))
    });
    assert!(statements.len() > 50, "{} statements", statements.len());
    let mut connection = database.connection();
    for sql in statements {
        assert!(!sql.contains("LIMIT ?"), "planned anew on each call: {sql}");
        let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
            .load(&mut connection)
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        let plan: Vec<_> = steps.into_iter().map(|step| step.detail).collect();
        for step in &plan {
            let walks = step.starts_with("SCAN ")
                && !["SCAN CONSTANT ROW", "SCAN store"].contains(&step.as_str())
                // The directory is walked through page by page, in the order of this index.
                && step != "SCAN conversations USING INDEX conversations_listed"
                && !step.starts_with("SCAN (subquery")
                && !step.starts_with("SCAN counted")
                && !step.starts_with("SCAN given");
            // A conversation or a channel's members can be as long as a table. Read from all members
            // are only those whom an edit is told to, and not for channels: a group has 1,024 at
            // most; and how far they have come, where they are 256 at most, or all of them are asked
            // for. What goes with a deleted conversation is read from its first rows on.
            let walks = walks
                || step.starts_with("SEARCH me")
                    && step.ends_with("PRIMARY KEY (conversation_id=?)")
                    && !sql.ends_with("(`members`.`first_seq` <= ?))")
                    && !sql.ends_with("ORDER BY `messages`.`seq` ASC LIMIT (0 + ?)")
                    && !sql.contains("`members`.`delivered_seq`, `members`.`read_seq`, `users`");
            assert!(!walks, "{step}\n{plan:#?}\n{sql}");
        }
    }
}

async fn use_everything(sqlite: &Sqlite, group: ConversationId, chat: ConversationId) {
    let (one, two, three) = (user_id(1), user_id(2), user_id(3));
    sqlite.register(build::account(4)).await.unwrap();
    UserStore::find(sqlite, &[one, two]).await.map(drop).unwrap();
    UserStore::search(sqlite, "us", None, 5).await.unwrap();
    UserStore::search(sqlite, "us", Some(UserCursor(String::from("user_1"))), 5).await.unwrap();
    sqlite.update(one, ProfilePatch::default()).await.unwrap();
    sqlite.saw(&[(one, at(1))]).await.unwrap();
    sqlite.contacts(&[one]).await.unwrap();
    sqlite.correspondents(one).await.unwrap();
    sqlite.acquaintances(one).await.unwrap();
    sqlite.have_written_to(one, &[two, three]).await.unwrap();
    sqlite.password_hash(one).await.unwrap();
    let session = build::session(10, one);
    sqlite.create(session, build::token_hash(1), build::password_hash(1)).await.unwrap();
    SessionStore::list(sqlite, one, at(1)).await.unwrap();
    SessionStore::find(sqlite, build::session_id(1)).await.unwrap();
    let password = String::from("hash");
    sqlite.set_password(one, password, build::session_id(9), at(1)).await.unwrap();

    let reply = Send { reply_to: Some(build::message_id(1)), ..build::send(20, two, "re") };
    let epoch = sqlite.snapshot(group, &[one, two]).await.unwrap().unwrap().head.member_epoch;
    let command = |conversation_id, change| Command { conversation_id, at: at(30), change };
    let batch = [
        command(group, Change::Send(reply)),
        build::send_to(group, 21, three, "unread before"),
        build::send_to(group, 21, three, "unread before"),
        build::write_to(three, 22, one, "new chat"),
        command(
            group,
            Change::Edit {
                message_id: build::message_id(2),
                content: build::content("edited"),
                member_epoch: epoch,
            },
        ),
        command(group, Change::Delete { message_id: build::message_id(3), member_epoch: epoch }),
        build::create(build::room(2, Kind::Channel, one), &[two]),
        command(
            group,
            Change::Members {
                by: one,
                changes: vec![(
                    MemberChange::Joins(user_id(4), Role::Admin),
                    build::message_id(30),
                )],
                member_epoch: epoch,
            },
        ),
    ];
    for outcome in sqlite.apply(batch.into()).await.unwrap() {
        outcome.unwrap();
    }

    ConversationStore::card(sqlite, one, chat).await.unwrap().unwrap();
    let cursor = InboxCursor { pinned: false, active_at: at(99), id: group };
    for after in [None, Some(cursor)] {
        for filter in
            [InboxFilter::default(), InboxFilter { archived: Some(false), kind: Some(Kind::Group) }]
        {
            sqlite.inbox(one, filter, after, 10).await.unwrap();
        }
    }
    let cursor = MemberCursor { joined_at: at(0), user_id: one };
    for after in [None, Some(cursor)] {
        sqlite.members(one, group, after, 10).await.unwrap().unwrap();
    }
    sqlite.members_named(group, &[one, two]).await.unwrap();
    sqlite.topics(&[one]).await.unwrap();
    sqlite.changes(one, group, 1, 10).await.unwrap().unwrap();
    let SyncRead::Body(first) = sqlite.sync(one, None, 10).await.unwrap() else { panic!() };
    sqlite.update(two, ProfilePatch::default()).await.unwrap();
    sqlite.sync(one, Some(first.next), 10).await.map(drop).unwrap();
    sqlite.history(one, group, HistorySelector::Newest, 10).await.unwrap();
    sqlite.message(one, build::message_id(1)).await.unwrap().unwrap();
    sqlite.sent_by(one, None, 10).await.unwrap();
    reading::read(sqlite).await;
    conversing::converse(sqlite).await;
    let hide = command(chat, Change::Hide { member: one });
    sqlite.apply([hide].into()).await.unwrap().remove(0).unwrap();
    sqlite.erase(three, at(40)).await.unwrap();
}
