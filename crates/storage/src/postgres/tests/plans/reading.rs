//! Messages as they are shown, receipts, blocks, invites, the directory.

use kith_domain::{
    ConversationId, UserId, invite::Invite, receipt::Watermarks, text::InviteCode,
    user::ProfilePatch,
};
use kith_ports::{
    Advance, BlockStore as _, ConversationStore, DirectoryCursor, HistorySelector, InviteCursor,
    InviteStore, MessageStore, ReceiptStore as _, UserStore as _, log::ConversationLog as _,
};
use kith_testkit::build::{at, conversation_id, message_id, send_to, user_id};

use super::{
    Meter, Postgres,
    use_everything::{channel, group, one},
};

/// A group of 256 with 100 messages, in which everybody's marks have gone from message to message.
fn crowd() -> ConversationId {
    conversation_id(50_003)
}

/// All of it.
pub(super) async fn read(meter: &mut Meter, store: &Postgres) {
    show(meter, store).await;
    list(meter, store).await;
    advance(meter, store).await;
    part(meter, store).await;
    invite(meter, store).await;
}

async fn show(meter: &mut Meter, store: &Postgres) {
    // Twice: what is read the first time after a statement was prepared includes the catalogue.
    for _ in 0..2 {
        // One is his own, and 255 others have come to it or not.
        let page = store.history(user_id(60), crowd(), HistorySelector::Newest, 50);
        let page = meter.measure("history, with a status", 3_000, page).await.unwrap().unwrap();
        assert!(page.items.iter().any(|card| card.status.is_some()));
        let chat = store.history(one(), conversation_id(5), HistorySelector::Newest, 50);
        meter.measure("history, small", 120, chat).await.unwrap().unwrap();
        let around = store.history(one(), group(), HistorySelector::Around(75_100), 50);
        let page = meter.measure("history, with reactions", 1_400, around).await.unwrap().unwrap();
        assert!(page.items.iter().any(|card| !card.message.reactions.is_empty()));
        assert!(page.items.iter().any(|card| card.excerpt.is_some()));
        for (label, id) in [("message card", 75_050), ("message card, reacted to", 75_300)] {
            let card = MessageStore::card(store, one(), message_id(id));
            assert!(meter.measure(label, 120, card).await.unwrap().is_some());
        }
        let found = store.locate(one(), message_id(75_050));
        assert!(meter.measure("locate", 30, found).await.unwrap().is_some());
        let card = ConversationStore::card(store, user_id(102), crowd());
        meter.measure("card, of 256", 3_000, card).await.unwrap().unwrap();
    }
    let receipts = store.receipts(user_id(2), message_id(1_000_050), None, 300);
    let receipts = meter.measure("receipts, of 256", 6_000, receipts).await.unwrap().unwrap();
    assert!(receipts.items.iter().all(|receipt| receipt.read_at.is_some()));
    let receipts = store.receipts(one(), message_id(75_050), None, 1_024);
    meter.measure("receipts, of 1,024", 6_000, receipts).await.unwrap().unwrap();
    let receipts = store.receipts(user_id(9), message_id(199_000), None, 50);
    let receipts = meter.measure("receipts, in the channel", 200, receipts).await;
    assert_eq!(receipts.unwrap().unwrap().items.len(), 1);
}

async fn list(meter: &mut Meter, store: &Postgres) {
    let page = store.directory(one(), None, None, 50);
    let page = meter.measure("directory", 700, page).await.unwrap();
    let after = DirectoryCursor { name: String::from("room 70000"), id: conversation_id(70_000) };
    let next = store.directory(one(), None, Some(after.clone()), 50);
    let next = meter.measure("directory, after", 700, next).await.unwrap();
    assert_eq!((page.items.len(), next.items.len()), (50, 50));
    // What many share is read of all of them before the first few are known.
    for (prefix, most) in [("room", 200_000), ("7000", 700), ("70001", 100)] {
        for after in [None, Some(after.clone())] {
            let page = store.directory(one(), Some(prefix.to_owned()), after, 50);
            let label = format!("directory, {prefix}");
            let page = meter.measure(&label, most, page).await.unwrap();
            assert!(!page.items.is_empty());
        }
    }
    let listing = store.listing(one(), conversation_id(70_000));
    meter.measure("listing", 30, listing).await.unwrap().unwrap();
    let page = store.members(user_id(9), channel(), None, 50);
    let page = meter.measure("members, in charge", 100, page).await.unwrap().unwrap();
    assert_eq!(page.items.len(), 1);
}

fn advances(count: u64, to: i64) -> Vec<Advance> {
    let place = |n: u64| {
        let to = Watermarks { delivered: to, read: to };
        let place = (conversation_id(1 + n / 2), place_of(1 + n / 2, 1 + n % 2));
        Advance { conversation_id: place.0, user_id: place.1, to, at: at(9_000) }
    };
    (0..count).map(place).collect()
}

/// As the tables are filled.
fn place_of(n: u64, place: u64) -> UserId {
    match (n, place) {
        (..=1_000, 1) => one(),
        _ => user_id(2 + (n * 7 + place * 7_919) % 49_999),
    }
}

async fn advance(meter: &mut Meter, store: &Postgres) {
    for to in [3, 4] {
        for count in [1, 256] {
            let batch = advances(count, to);
            let most = 300 + count * 110;
            let label = format!("{count} advances to {to}");
            let told = meter.measure(&label, most, store.advance(batch.into())).await.unwrap();
            let there = told.iter().flatten().filter(|told| told.after.read >= to).count();
            assert_eq!(there, told.len());
        }
    }
    for (label, id, user, most) in [
        ("an advance by 1,000", group(), user_id(3), 3_000),
        ("an advance in the crowd", crowd(), user_id(3), 3_000),
    ] {
        let to = Watermarks { delivered: 0, read: 150_000 };
        let advance = Advance { conversation_id: id, user_id: user, to, at: at(9_000) };
        let told = meter.measure(label, most, store.advance([advance].into())).await.unwrap();
        assert!(told[0].is_some());
    }
    let hides = ProfilePatch { read_receipts: Some(false), ..ProfilePatch::default() };
    let hidden = store.update(user_id(5), hides);
    meter.measure("update, hiding what he reads", 3_000, hidden).await.unwrap().unwrap();
    store.apply([send_to(crowd(), 3_300_001, user_id(2), "x")].into()).await.unwrap();
}

async fn part(meter: &mut Meter, store: &Postgres) {
    for _ in 0..2 {
        let block = store.block(one(), user_id(2_000), at(1));
        assert!(meter.measure("block", 60, block).await.unwrap());
    }
    let page = store.blocked_by(one(), None, 50);
    assert_eq!(meter.measure("blocked_by", 30, page).await.unwrap().items.len(), 3);
    let others: Vec<_> = (1_980..2_030).map(user_id).collect();
    let among = store.blocked_among(one(), &others);
    assert_eq!(meter.measure("blocked_among, 50", 500, among).await.unwrap(), [user_id(2_000)]);
    meter.measure("unblock", 30, store.unblock(one(), user_id(2_000))).await.unwrap();
}

async fn invite(meter: &mut Meter, store: &Postgres) {
    let code = |n| InviteCode::parse(&format!("code-of-a-new-invite-{n}")).unwrap();
    for n in 1..=3 {
        let invite = Invite {
            code: code(n),
            conversation_id: conversation_id(7),
            created_by: one(),
            created_at: at(5),
            expires_at: None,
            max_uses: None,
            uses: 0,
        };
        let made = InviteStore::create(store, invite);
        assert!(meter.measure("create an invite", 80, made).await.unwrap());
    }
    for after in [None, Some(InviteCursor { created_at: at(5), code: code(3) })] {
        let page = InviteStore::list(store, conversation_id(7), after, 2);
        assert_eq!(meter.measure("list invites", 30, page).await.unwrap().items.len(), 2);
    }
    let found = InviteStore::find(store, code(1));
    assert!(meter.measure("find an invite", 30, found).await.unwrap().is_some());
    let revoked = InviteStore::revoke(store, one(), conversation_id(7), code(1));
    assert!(meter.measure("revoke an invite", 60, revoked).await.unwrap());
}
