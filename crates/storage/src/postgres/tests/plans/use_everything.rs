//! Every method of every store, for one who has 5,000 conversations, in rooms that are large.

use kith_domain::{
    ConversationId, UserId,
    conversation::{ConversationPatch, Kind},
    group::{MemberChange, Role},
    session::Session,
    text::{Email, Username},
    user::ProfilePatch,
};
use kith_ports::{
    ConversationStore, HistorySelector, InboxCursor, InboxFilter, LoginName, MemberCursor,
    MessageStore as _, SessionStore, SyncFrom, SyncRead, SyncRequest, SyncStage, UserCursor,
    UserStore,
    log::{Applied, Change, Command, ConversationLog as _, Open, Send},
};
use kith_testkit::build::{
    self, at, conversation_id, message_id, name, send_to, session_id, user_id, write_to,
};

use super::{Ground, Meter, Postgres};

/// Who has 5,000 conversations.
pub(super) fn one() -> UserId {
    user_id(1)
}

/// A group of 1,024 with 150,000 messages.
pub(super) fn group() -> ConversationId {
    conversation_id(50_001)
}

/// A channel of 20,000 with 50,000 messages.
pub(super) fn channel() -> ConversationId {
    conversation_id(50_002)
}

/// Reads of one conversation and of the inbox.
pub(super) async fn read(meter: &mut Meter, store: &Postgres) {
    let selectors = [
        ("newest", HistorySelector::Newest),
        ("before", HistorySelector::Before(75_000)),
        ("after", HistorySelector::After(75_000)),
        ("around", HistorySelector::Around(10)),
    ];
    // Twice: what is read the first time after a statement was prepared includes the catalogue.
    for (label, selector) in selectors.into_iter().chain(selectors) {
        let page = store.history(one(), group(), selector, 50);
        let page = meter.measure(&format!("history, {label}"), 250, page).await.unwrap().unwrap();
        assert!(page.items.len() > 40);
    }
    let context = store.message(one(), message_id(70_050));
    meter.measure("message", 60, context).await.unwrap().unwrap();
    let stranger = store.message(user_id(40_000), message_id(70_050));
    assert!(meter.measure("message, by a stranger", 60, stranger).await.unwrap().is_none());
    let small = conversation_id(7);
    for (label, id, most) in
        [("small", small, 80), ("large", group(), 150), ("channel", channel(), 150)]
    {
        let card = meter
            .measure(&format!("card, {label}"), most, ConversationStore::card(store, one(), id))
            .await;
        assert!(card.unwrap().is_some());
    }
    let asked = [one(), user_id(2), user_id(3)];
    let snapshot = store.snapshot(channel(), &asked);
    meter.measure("snapshot", 80, snapshot).await.unwrap().unwrap();
    let behind = store.changes(one(), group(), 150_900, 100);
    let changes = meter.measure("changes, 600 behind", 2_000, behind).await.unwrap().unwrap();
    assert_eq!(changes.messages.len(), 100);
    let now = store.changes(one(), group(), 151_501, 100);
    meter.measure("changes, none", 150, now).await.unwrap().unwrap();

    for (label, id) in [("group", group()), ("channel", channel())] {
        let label = format!("members, {label}");
        let page = meter.measure(&label, 1_000, store.members(one(), id, None, 50)).await;
        assert_eq!(page.unwrap().unwrap().items.len(), 50);
        let after = Some(MemberCursor { joined_at: at(500), user_id: user_id(500) });
        let page = meter.measure(&label, 1_000, store.members(one(), id, after, 50)).await;
        assert_eq!(page.unwrap().unwrap().items[0].user.id, user_id(501));
    }
    let named: Vec<_> = (2..52).map(user_id).collect();
    let members = store.members_named(channel(), &named);
    assert_eq!(meter.measure("members_named, 50", 1_000, members).await.unwrap().len(), 50);
    let sent = store.sent_by(one(), Some(message_id(1_000)), 50);
    assert_eq!(meter.measure("sent_by", 500, sent).await.unwrap().len(), 50);

    // Each of his places is looked at: with its conversation and head, some four pages each.
    let most = 70_000;
    let topics =
        meter.measure("topics, 5,002", most, store.topics(&[one()])).await.unwrap().remove(0);
    assert_eq!(topics.len(), 1_002);
    let default = InboxFilter::default();
    let page = store.inbox(one(), default, None, 50);
    let page = meter.measure("inbox, 50 of 5,002", most, page).await.unwrap();
    assert_eq!(page.items.len(), 50);
    let cursor = Some(InboxCursor { pinned: false, active_at: at(2_000), id: small });
    let filter = InboxFilter { archived: Some(false), kind: Some(Kind::Group) };
    for (label, filter, after) in [
        ("after", default, cursor),
        ("filtered", filter, None),
        ("filtered, after", filter, cursor),
    ] {
        let page = store.inbox(one(), filter, after, 50);
        let page = meter.measure(&format!("inbox, {label}"), most, page).await.unwrap();
        assert_eq!(page.items.len(), 50);
    }
    let page = store.inbox(user_id(30_000), default, None, 50);
    meter.measure("inbox of one with few", 2_500, page).await.unwrap();
}

async fn page(store: &Postgres, from: Option<SyncFrom>) -> kith_ports::SyncBody {
    match store.sync(one(), from, 100).await.unwrap() {
        SyncRead::Body(body) => *body,
        SyncRead::Foreign => panic!("the token is of this database"),
    }
}

/// A first sync, and the next ones.
pub(super) async fn sync(meter: &mut Meter, store: &Postgres) {
    let now = meter.measure("horizon", 20, store.horizon()).await.unwrap();
    // Those with whom he has a direct chat are named each time, and each of his conversations is asked
    // whether it is another, for it and for the people in it.
    let nothing = meter.measure("sync, nothing new", 125_000, page(store, Some(now.clone()))).await;
    assert!(nothing.conversations.is_empty() && nothing.correspondents.len() > 90);
    let label = "sync, nothing new, people";
    meter.measure(label, 75_000, page(store, Some(nothing.next))).await;
    of_many(meter, store, &now).await;
    let mut body = meter.measure("first sync, first page", 6_000, page(store, None)).await;
    let mut pages = 1;
    // The people are more than 5,000, whose pages are all alike.
    while pages < 55 {
        let (label, most) = match body.next.resume {
            Some((_, SyncStage::People(_))) => ("first sync, people", 90_000),
            _ if pages < 50 => ("first sync, later page", 6_000),
            _ => ("first sync, last page of conversations", 90_000),
        };
        body = meter.measure(label, most, page(store, Some(body.next))).await;
        assert_eq!(body.conversations.is_empty(), pages > 50);
        pages += 1;
    }
    assert!(body.has_more && body.users.len() > 90);
    store.apply([send_to(conversation_id(9), 3_000_001, one(), "new")].into()).await.unwrap();
    let patch = ProfilePatch { display_name: Some(name("Dee")), ..ProfilePatch::default() };
    store.update(user_id(3), patch).await.unwrap();
    let body = meter.measure("sync, two things new", 195_000, page(store, Some(now))).await;
    assert_eq!((body.conversations.len(), body.users.len()), (1, 1));
}

/// What a node reads for those who come all at once.
async fn of_many(meter: &mut Meter, store: &Postgres, now: &SyncFrom) {
    let many: Vec<_> = (30_001..30_201).map(user_id).collect();
    let sessions: Vec<_> = (1..=200).map(session_id).collect();
    let found = SessionStore::find_all(store, &sessions);
    assert_eq!(meter.measure("find 200 sessions", 1_000, found).await.unwrap().len(), 200);
    let topics = meter.measure("topics of 200", 30_000, store.topics(&many)).await.unwrap();
    assert_eq!(topics.len(), 200);
    meter.measure("contacts of 200", 30_000, store.contacts(&many)).await.unwrap();
    let asked = |viewer| SyncRequest { viewer, from: now.clone(), limit: 16 };
    let asked: Vec<_> = many.into_iter().map(asked).collect();
    for _ in 0..7 {
        let told = meter.measure("unchanged, 200", 60_000, store.unchanged(&asked)).await.unwrap();
        assert!(told.iter().all(Option::is_some));
    }
}

/// Accounts and sessions.
pub(super) async fn accounts(meter: &mut Meter, store: &Postgres) {
    meter.measure("register", 400, store.register(build::account(60_001))).await.unwrap();
    let email = LoginName::Email(Email::parse("user_777@example.org").unwrap());
    let username = LoginName::Username(Username::parse("user_777").unwrap());
    for (label, login) in [("credentials, e-mail", email), ("credentials, name", username)] {
        let found = meter.measure(label, 30, store.credentials(&login)).await.unwrap();
        assert_eq!(found.unwrap().user.id, user_id(777));
    }
    meter.measure("password_hash", 20, store.password_hash(one())).await.unwrap();
    meter.measure("find, one", 20, UserStore::find(store, &[one()])).await.unwrap();
    let many: Vec<_> = (1..=100).map(user_id).collect();
    let found = meter.measure("find, 100", 1_000, UserStore::find(store, &many)).await.unwrap();
    assert_eq!(found.len(), 100);
    // What many share is read of all of them before the first few are known.
    for (label, prefix, most) in
        [("all 50,000", "user", 300_000), ("11", "user_1234", 300), ("1", "user_12345", 100)]
    {
        let label = format!("search that matches {label}");
        let found = meter.measure(&label, most, store.search(prefix, None, 20)).await.unwrap();
        assert!(!found.is_empty());
        let after = Some(UserCursor(String::from("user_12")));
        meter.measure(&label, most, store.search(prefix, after, 20)).await.unwrap();
    }
    let patch = ProfilePatch { display_name: Some(name("Ann Lee")), ..ProfilePatch::default() };
    meter.measure("update", 400, store.update(one(), patch)).await.unwrap().unwrap();
    let seen: Vec<_> = (1..=100).map(|n| (user_id(n), at(9_000))).collect();
    meter.measure("saw, 100", 3_000, store.saw(&seen)).await.unwrap();
    let owners: Vec<_> = (2..52).map(user_id).collect();
    let written = store.have_written_to(one(), &owners);
    meter.measure("have_written_to, 50", 500, written).await.unwrap();
    for (label, people) in [
        (
            "contacts",
            meter
                .measure("contacts", 90_000, store.contacts(&[one()]))
                .await
                .map(|mut it| it.remove(0)),
        ),
        (
            "correspondents",
            meter.measure("correspondents", 90_000, store.correspondents(one())).await,
        ),
        (
            "acquaintances",
            meter.measure("acquaintances", 200_000, store.acquaintances(one())).await,
        ),
    ] {
        assert!(people.unwrap().len() > 1, "{label}");
    }

    let session = build::session(70_000, one());
    let (hash, password) = (build::token_hash(1), build::password_hash(1));
    let made = SessionStore::create(store, session.clone(), hash, password);
    meter.measure("create a session", 200, made).await.unwrap();
    meter.measure("find a session", 20, SessionStore::find(store, session.id)).await.unwrap();
    let renewed = Session { generation: 2, ..session };
    meter.measure("renew", 60, store.renew(1, renewed, hash)).await.unwrap();
    meter.measure("list", 100, SessionStore::list(store, one(), at(1))).await.unwrap();
    meter.measure("revoke", 60, store.revoke(one(), session_id(50_001), at(2))).await.unwrap();
    let others = store.revoke_others(one(), session_id(1), at(2));
    assert_eq!(meter.measure("revoke_others", 400, others).await.unwrap().len(), 20);
    let set = store.set_password(user_id(2), String::from("new"), session_id(9), at(2));
    assert_eq!(meter.measure("set_password", 200, set).await.unwrap().len(), 1);
    let erased = meter.measure("erase", 400, store.erase(user_id(900), at(2))).await.unwrap();
    assert_eq!(erased.len(), 1);
}

async fn apply(
    meter: &mut Meter,
    store: &Postgres,
    (label, most): (&str, u64),
    batch: Vec<Command>,
) -> Vec<Applied> {
    let outcomes = meter.measure(label, most, store.apply(batch.into())).await.unwrap();
    outcomes.into_iter().map(Result::unwrap).collect()
}

/// Sends of all kinds.
pub(super) async fn write(meter: &mut Meter, store: &Postgres) {
    let mut next = 2_000_000..;
    for (label, id) in [("a small group", conversation_id(5)), ("a large group", group())] {
        let label = format!("a send to {label}");
        for _ in 0..3 {
            let send = send_to(id, next.next().unwrap(), one(), "hi");
            apply(meter, store, (&label, 250), vec![send]).await;
        }
    }
    let reply = Send {
        reply_to: Some(message_id(75_000)),
        ..build::send(next.next().unwrap(), one(), "re")
    };
    let reply = Command { conversation_id: group(), at: at(1), change: Change::Send(reply) };
    apply(meter, store, ("an answer", 250), vec![reply.clone()]).await;
    apply(meter, store, ("a duplicate", 250), vec![reply]).await;
    let first = write_to(user_id(2), next.next().unwrap(), one(), "hi");
    apply(meter, store, ("a first message", 1_000), vec![first]).await;
    let batch = |next: &mut dyn Iterator<Item = u64>| -> Vec<_> {
        (1..=100).map(|n| send_to(conversation_id(n), next.next().unwrap(), one(), "hi")).collect()
    };
    for _ in 0..2 {
        apply(meter, store, ("100 sends to 100 groups", 12_000), batch(&mut next)).await;
    }
    let same: Vec<_> =
        (0..100).map(|_| send_to(group(), next.next().unwrap(), user_id(5), "hi")).collect();
    apply(meter, store, ("100 sends to one group", 6_000), same).await;
    let firsts: Vec<_> =
        (10..60).map(|n| write_to(user_id(n), next.next().unwrap(), user_id(3), "hi")).collect();
    apply(meter, store, ("50 first messages", 12_000), firsts).await;
}

fn command(conversation_id: ConversationId, change: Change) -> Command {
    Command { conversation_id, at: at(9), change }
}

/// All other commands, and what goes afterwards.
pub(super) async fn govern(meter: &mut Meter, store: &Postgres, ground: &Ground) {
    let epoch = async |id| store.snapshot(id, &[]).await.unwrap().unwrap().head.member_epoch;
    let member_epoch = epoch(group()).await;
    let edit = Change::Edit {
        message_id: message_id(75_001),
        content: build::content("edited"),
        member_epoch,
    };
    // Its audience are the 1,024.
    apply(meter, store, ("edit in the large group", 600), vec![command(group(), edit)]).await;
    let delete = Change::Delete { message_id: message_id(75_003), member_epoch };
    apply(meter, store, ("delete in the large group", 600), vec![command(group(), delete)]).await;
    let joins = vec![(MemberChange::Joins(user_id(30_000), Role::Admin), message_id(3_100_001))];
    let joins = Change::Members { by: one(), changes: joins, member_epoch };
    apply(meter, store, ("one joins the large group", 300), vec![command(group(), joins)]).await;
    let member_epoch = epoch(channel()).await;
    let leaves = vec![(MemberChange::Leaves(user_id(30)), message_id(3_100_002))];
    let leaves = Change::Members { by: user_id(30), changes: leaves, member_epoch };
    apply(meter, store, ("one leaves the channel", 300), vec![command(channel(), leaves)]).await;
    let patch = ConversationPatch { name: Some(name("News")), ..ConversationPatch::default() };
    let member_epoch = epoch(channel()).await;
    let note = message_id(3_100_003);
    let update = Change::Update { by: one(), note, patch, member_epoch, settings_epoch: 1 };
    apply(meter, store, ("settings", 300), vec![command(channel(), update)]).await;
    let hide = command(conversation_id(6), Change::Hide { member: one() });
    apply(meter, store, ("hide", 300), vec![hide]).await;
    let (by, peer) = (user_id(4), user_id(5));
    let open = command(ConversationId::direct(by, peer), Change::Open(Open { by, peer }));
    apply(meter, store, ("open", 400), vec![open]).await;
    let people: Vec<_> = (2..20).map(user_id).collect();
    let create = build::create(build::group(90_000, one()), &people);
    apply(meter, store, ("create a group of 19", 1_000), vec![create]).await;
    let member_epoch = epoch(conversation_id(40_000)).await;
    let remove = command(conversation_id(40_000), Change::Remove { member_epoch });
    apply(meter, store, ("remove", 300), vec![remove]).await;

    let gone = format!(
        "SELECT NOT EXISTS (SELECT FROM messages WHERE conversation_id = '{}')",
        conversation_id(40_000)
    );
    let upkeep = async {
        tokio::select! {
            () = store.upkeep() => {}
            () = ground.until(&gone) => {}
        }
    };
    meter.measure("upkeep", 100_000, upkeep).await;
    let old = "SELECT count(*) FROM changes WHERE made_at < now() - interval '61 minutes'";
    assert_eq!(ground.number(old).await, 0);
}
