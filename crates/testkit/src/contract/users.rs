//! Accounts.

use kith_domain::{
    ConversationId, UserId,
    conversation::Kind,
    group::{MemberChange, Role},
    session::Device,
    text::{Description, Email, Username},
    user::{DELETED_USER, Privacy, ProfilePatch, User, Visibility},
};
use kith_ports::{
    Constraint, LoginName, NewAccount, StoreError, UserCursor, UserStore,
    log::{Change, Open},
};

use super::{Stores, World};
use crate::build::{
    account, at, name, password_hash, session, session_id, token_hash, user, user_id,
};

fn username(text: &str) -> Username {
    Username::parse(text).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn named(n: u64, username_: &str, display_name: &str) -> NewAccount {
    let user =
        User { username: Some(username(username_)), display_name: name(display_name), ..user(n) };
    NewAccount { user, ..account(n) }
}

async fn search(users: &dyn UserStore, prefix: &str) -> Vec<UserId> {
    let found = users.search(prefix, None, 100).await.unwrap();
    found.into_iter().map(|user| user.id).collect()
}

/// Both names lead to the account, its hash and its profile.
pub async fn an_account_is_found_by_name_and_address_without_case(stores: Stores) {
    let account = account(1);
    stores.users.register(account.clone()).await.unwrap();
    let names = [
        LoginName::Username(username("USER_1")),
        LoginName::Email(email("User_1@Example.ORG")),
        LoginName::Email(email("\u{ff55}ser_1@example.org")),
    ];
    for name in names {
        let found = stores.users.credentials(&name).await.unwrap().unwrap();
        assert_eq!(found.user, account.user, "{name:?}");
        assert_eq!(found.password_hash.as_deref(), Some("hash of user_1"));
    }
    let stranger = LoginName::Username(username("user_2"));
    assert!(stores.users.credentials(&stranger).await.unwrap().is_none());
    let hash = stores.users.password_hash(user_id(1)).await.unwrap();
    assert_eq!(hash.as_deref(), Some("hash of user_1"));
    assert_eq!(stores.users.password_hash(user_id(2)).await.unwrap(), None);
    let (session, hash) = stores.sessions.find(session_id(1)).await.unwrap().unwrap();
    assert_eq!((session, hash), (account.session, account.token_hash));
}

/// The address is told before the name, and no half of an account stays.
pub async fn what_is_taken_is_told_and_nothing_is_written(stores: Stores) {
    stores.users.register(account(1)).await.unwrap();
    let with = |user: User| NewAccount { user, ..account(2) };
    let cases = [
        (User { username: Some(username("User_1")), ..user(2) }, Constraint::Username),
        (User { email: Some(email("USER_1@example.org")), ..user(2) }, Constraint::Email),
        (User { username: user(1).username, email: user(1).email, ..user(2) }, Constraint::Email),
    ];
    for (user, constraint) in cases {
        let error = stores.users.register(with(user)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict(found) if found == constraint),
            "expected a conflict on {constraint:?}, found {error:?}"
        );
        assert!(stores.users.find(&[user_id(2)]).await.unwrap().is_empty());
        assert!(stores.sessions.find(session_id(2)).await.unwrap().is_none());
    }
    stores.users.register(account(2)).await.unwrap();
}

/// Uniqueness holds between tasks too.
pub async fn two_registrations_of_one_name_at_once_leave_one(stores: Stores) {
    let tasks: Vec<_> = (1..=8)
        .map(|n| {
            let users = stores.users.clone();
            tokio::spawn(async move { users.register(named(n, "the_one", "The One")).await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => made += 1,
            Err(StoreError::Conflict(Constraint::Username)) => {}
            Err(other) => panic!("expected a conflict, found {other:?}"),
        }
    }
    assert_eq!(made, 1);
}

/// Unknown ids are left out.
pub async fn accounts_are_found_by_id(stores: Stores) {
    let (world, people) = World::people(stores, 3).await;
    let find = async |ids: &[UserId]| {
        let mut found: Vec<_> =
            world.stores.users.find(ids).await.unwrap().into_iter().map(|user| user.id).collect();
        found.sort();
        found
    };
    assert_eq!(find(&[people[2], people[0], user_id(99)]).await, [people[0], people[2]]);
    assert_eq!(find(&[people[1]]).await, [people[1]]);
    assert_eq!(find(&[]).await, []);
}

/// The user name and every word of the display name, in any script, without case.
pub async fn people_are_found_by_the_start_of_a_word(stores: Stores) {
    let users = stores.users.as_ref();
    for (n, name, display_name) in [
        (1, "annlee", "Ann Lee"),
        (2, "bruce", "李小龙"),
        (3, "zoe", "Zoe\u{301} D\u{fc}rer"),
        (4, "dmitri", "Дмитрий Иванов"),
        (5, "LEELA", "Turanga"),
    ] {
        users.register(named(n, name, display_name)).await.unwrap();
    }
    assert_eq!(search(users, "ann").await, [user_id(1)]);
    assert_eq!(search(users, "LEE").await, [user_id(1), user_id(5)]);
    assert_eq!(search(users, "李").await, [user_id(2)]);
    assert_eq!(search(users, "zo\u{e9}").await, [user_id(3)]);
    assert_eq!(search(users, "DU\u{308}R").await, [user_id(3)]);
    assert_eq!(search(users, "иВАН").await, [user_id(4)]);
    assert_eq!(search(users, "ee").await, []);
    assert_eq!(search(users, "").await.len(), 5);
}

/// In the order of names, each once, also when several words fit.
pub async fn a_search_goes_on_after_a_name(stores: Stores) {
    let users = stores.users.as_ref();
    for n in 1..=7 {
        users.register(named(n, &format!("Anna{n}"), "Anna Anne Annika")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = users.search("ann", after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(UserCursor(last.username.as_ref().unwrap().key()));
        seen.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(seen, (1..=7).map(user_id).collect::<Vec<_>>());
}

/// A prefix is text, whatever characters it has.
pub async fn patterns_have_no_meaning_in_a_search(stores: Stores) {
    let users = stores.users.as_ref();
    users.register(named(1, "ann_lee", "100% Ann\\Lee")).await.unwrap();
    users.register(named(2, "annxlee", "Bob")).await.unwrap();
    assert_eq!(search(users, "ann_").await, [user_id(1)]);
    assert_eq!(search(users, "100%").await, [user_id(1)]);
    assert_eq!(search(users, "ann\\").await, [user_id(1)]);
    for pattern in ["%", "_", "a%", "*", "?", "'", "\"", "\u{10FFFF}", "[a-z]"] {
        assert_eq!(search(users, pattern).await, [], "{pattern}");
    }
}

/// What a patch does not name stays.
pub async fn a_profile_is_changed_field_by_field(stores: Stores) {
    stores.users.register(account(1)).await.unwrap();
    let about = Description::parse("two\nlines").unwrap();
    let patch = ProfilePatch { about: Some(Some(about.clone())), ..ProfilePatch::default() };
    let user = stores.users.update(user_id(1), patch).await.unwrap().unwrap();
    assert_eq!(user, User { about: Some(about), ..crate::build::user(1) });
    let patch = ProfilePatch {
        display_name: Some(name("Ann")),
        about: Some(None),
        last_seen: Some(Visibility::Contacts),
        read_receipts: Some(false),
    };
    let user = stores.users.update(user_id(1), patch).await.unwrap().unwrap();
    let privacy = Privacy { last_seen: Visibility::Contacts, read_receipts: false };
    assert_eq!(user, User { display_name: name("Ann"), privacy, ..crate::build::user(1) });
    assert_eq!(stores.users.find(&[user_id(1)]).await.unwrap(), [user]);
    assert!(stores.users.update(user_id(9), ProfilePatch::default()).await.unwrap().is_none());
}

/// The old one leads nowhere.
pub async fn a_new_display_name_is_what_one_is_found_by(stores: Stores) {
    stores.users.register(named(1, "ann", "Old Name")).await.unwrap();
    let patch = ProfilePatch { display_name: Some(name("New Words")), ..ProfilePatch::default() };
    stores.users.update(user_id(1), patch).await.unwrap();
    let users = stores.users.as_ref();
    assert_eq!(search(users, "old").await, []);
    assert_eq!(search(users, "words").await, [user_id(1)]);
    assert_eq!(search(users, "ann").await, [user_id(1)]);
}

/// All but the one it was set with.
pub async fn a_new_password_ends_the_other_sessions(stores: Stores) {
    stores.users.register(account(1)).await.unwrap();
    for n in [11, 12] {
        let session = session(n, user_id(1));
        stores.sessions.create(session, token_hash(2), password_hash(1)).await.unwrap();
    }
    let hash = String::from("new hash");
    let mut ended =
        stores.users.set_password(user_id(1), hash, session_id(11), at(5)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [session_id(1), session_id(12)]);
    let hash = stores.users.password_hash(user_id(1)).await.unwrap();
    assert_eq!(hash.as_deref(), Some("new hash"));
    let (kept, _) = stores.sessions.find(session_id(11)).await.unwrap().unwrap();
    let (ended, _) = stores.sessions.find(session_id(12)).await.unwrap().unwrap();
    assert_eq!((kept.revoked_at, ended.revoked_at), (None, Some(at(5))));
}

/// Nothing personal stays; the id does.
pub async fn erasing_frees_the_name_and_leaves_a_tombstone(stores: Stores) {
    stores.users.register(account(1)).await.unwrap();
    stores.users.saw(&[(user_id(1), at(3))]).await.unwrap();
    assert_eq!(stores.users.erase(user_id(1), at(9)).await.unwrap(), [session_id(1)]);
    assert_eq!(stores.users.erase(user_id(1), at(10)).await.unwrap(), []);
    assert_eq!(stores.users.erase(user_id(7), at(10)).await.unwrap(), []);

    let tombstone = stores.users.find(&[user_id(1)]).await.unwrap().pop().unwrap();
    let expected = User {
        username: None,
        email: None,
        display_name: name(DELETED_USER),
        deleted_at: Some(at(9)),
        ..user(1)
    };
    assert_eq!(tombstone, expected);
    for login in
        [LoginName::Username(username("user_1")), LoginName::Email(email("user_1@example.org"))]
    {
        assert!(stores.users.credentials(&login).await.unwrap().is_none());
    }
    assert_eq!(stores.users.password_hash(user_id(1)).await.unwrap(), None);
    assert_eq!(search(stores.users.as_ref(), "").await, []);
    let patch = ProfilePatch { display_name: Some(name("Back")), ..ProfilePatch::default() };
    assert!(stores.users.update(user_id(1), patch).await.unwrap().is_none());
    let password = String::from("hash");
    let ended = stores.users.set_password(user_id(1), password, session_id(1), at(11)).await;
    assert_eq!(ended.unwrap(), []);
    assert_eq!(stores.users.password_hash(user_id(1)).await.unwrap(), None);
    let (session, _) = stores.sessions.find(session_id(1)).await.unwrap().unwrap();
    assert_eq!((session.revoked_at, session.device), (Some(at(9)), Device::default()));

    let again = NewAccount { user: User { id: user_id(2), ..user(1) }, ..account(2) };
    stores.users.register(again).await.unwrap();
}

/// Whatever order the news comes in.
pub async fn last_seen_never_goes_back(stores: Stores) {
    let (world, people) = World::people(stores, 2).await;
    let users = &world.stores.users;
    let seen = async |id| users.find(&[id]).await.unwrap().pop().unwrap().last_seen;
    assert_eq!(seen(people[0]).await, None);
    users.saw(&[(people[0], at(5)), (people[1], at(6)), (user_id(99), at(7))]).await.unwrap();
    users.saw(&[(people[0], at(4)), (people[0], at(3))]).await.unwrap();
    assert_eq!(seen(people[0]).await, Some(at(5)));
    users.saw(&[(people[0], at(8)), (people[0], at(7))]).await.unwrap();
    assert_eq!(seen(people[0]).await, Some(at(8)));
    assert_eq!(seen(people[1]).await, Some(at(6)));
    users.saw(&[]).await.unwrap();
}

/// In a direct chat, by oneself: not who wrote to one, not those of a group.
pub async fn contacts_are_those_one_has_written_to(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    world.write(p[1], p[0], "hi").await;
    world.write(p[0], p[2], "hi").await;
    let group = world.group(&[p[0], p[3]]).await;
    world.send(group, p[0], "hi").await;
    let users = &world.stores.users;
    let contacts = users.contacts(&[p[0], p[1], p[2], p[0]]).await.unwrap();
    assert_eq!(contacts, [vec![p[1]], vec![], vec![p[0]], vec![p[1]]]);
    let to_first = users.have_written_to(p[0], &[p[0], p[1], p[2], p[3]]).await.unwrap();
    assert_eq!(to_first, [p[2]]);
    assert_eq!(users.have_written_to(p[1], &[p[0], p[2]]).await.unwrap(), [p[0]]);
    assert_eq!(users.have_written_to(p[1], &[]).await.unwrap(), []);
}

/// Whoever wrote: not who merely opened a chat, not those of a group.
pub async fn correspondents_share_a_chat_with_a_message(stores: Stores) {
    let (world, p) = World::people(stores, 5).await;
    world.write(p[1], p[0], "hi").await;
    let message = world.write(p[0], p[2], "hi").await;
    world.delete(&message).await.unwrap();
    let open = Change::Open(Open { by: p[0], peer: p[3] });
    let empty = world.command(ConversationId::direct(p[0], p[3]), open);
    world.apply(empty).await.unwrap();
    let group = world.group(&[p[0], p[4]]).await;
    world.send(group, p[4], "hi").await;
    let of = async |id| {
        let mut found = world.stores.users.correspondents(id).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(of(p[0]).await, [p[1], p[2]], "what was deleted was written too");
    assert_eq!(of(p[1]).await, [p[0]]);
    assert_eq!(of(p[2]).await, [p[0]]);
    assert_eq!((of(p[3]).await, of(p[4]).await, of(user_id(99)).await), (vec![], vec![], vec![]));
    world.hide(p[0], ConversationId::direct(p[0], p[1])).await.unwrap();
    assert_eq!(of(p[0]).await, [p[1], p[2]], "hidden, it is still theirs");
}

/// Of a chat with a message, or a group: each once, while both are in it. Not of a channel.
pub async fn acquaintances_share_a_chat_or_a_small_group(stores: Stores) {
    let (world, p) = World::people(stores, 8).await;
    world.write(p[1], p[0], "hi").await;
    world.group(&[p[0], p[1], p[2]]).await;
    world.room(Kind::Channel, &[p[3], p[0], p[2]]).await;
    let open = Change::Open(Open { by: p[4], peer: p[0] });
    let empty = world.command(ConversationId::direct(p[0], p[4]), open);
    world.apply(empty).await.unwrap();
    let left = world.group(&[p[0], p[5]]).await;
    world.change_members(left, &[MemberChange::Leaves(p[5])]).await;
    let removed = world.group(&[p[0], p[6]]).await;
    world.remove(removed).await;
    world.group(&[p[1], p[7]]).await;
    let of = async |id| {
        let mut found = world.stores.users.acquaintances(id).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(of(p[0]).await, p[1..3]);
    assert_eq!(of(p[1]).await, [p[0], p[2], p[7]]);
    assert_eq!((of(p[4]).await, of(p[5]).await, of(p[6]).await), (vec![], vec![], vec![]));
    assert_eq!(of(p[3]).await, [], "a channel makes nobody acquainted");
}

/// Up to 256 members.
pub async fn acquaintances_end_where_a_group_grows_large(stores: Stores) {
    let (world, p) = World::people(stores, 257).await;
    let room = world.group(&p[..256]).await;
    assert_eq!(world.stores.users.acquaintances(p[7]).await.unwrap().len(), 255);
    world.change_members(room, &[MemberChange::Joins(p[256], Role::Member)]).await;
    assert_eq!(world.stores.users.acquaintances(p[7]).await.unwrap(), []);
    assert_eq!(world.stores.users.acquaintances(p[256]).await.unwrap(), []);
}
