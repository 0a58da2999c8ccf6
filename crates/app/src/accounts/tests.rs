use kith_ports::{
    Credentials, MockAccessTokens, MockConversationStore, MockInviteStore, MockMessageStore,
    MockPasswordHasher, MockRefreshTokens, MockSessionStore, MockUserStore, PasswordsBusy,
    TokenHash, live::MockPresenceBoard, log::MockConversationLog,
};
use kith_testkit::{FixedClock, SequentialIds};
use mockall::Sequence;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    Error, conversations,
    fixtures::{
        self, Counts, PlainSeals, Recorder, account, blocking, group_id, message_id, session,
        session_id, user,
    },
    messaging::LaneOptions,
    presence, sessions,
};

struct Mocks {
    users: MockUserStore,
    sessions: MockSessionStore,
    passwords: MockPasswordHasher,
    conversations: MockConversationStore,
    messages: MockMessageStore,
    board: MockPresenceBoard,
    clock: Arc<FixedClock>,
}

impl Default for Mocks {
    fn default() -> Self {
        let mut board = MockPresenceBoard::new();
        board.expect_found().returning(|| None);
        Self {
            users: MockUserStore::new(),
            sessions: MockSessionStore::new(),
            passwords: MockPasswordHasher::new(),
            conversations: MockConversationStore::new(),
            messages: MockMessageStore::new(),
            board,
            clock: Arc::new(FixedClock::new()),
        }
    }
}

impl Mocks {
    fn accounts(self) -> (Accounts, Arc<Recorder>) {
        let bus = Recorder::new();
        let (clock, ids) = (self.clock, Arc::new(SequentialIds::default()));
        let users: Arc<dyn UserStore> = Arc::new(self.users);
        let mut access = MockAccessTokens::new();
        access.expect_sign().returning(|_| "access".to_owned());
        let mut refresh = MockRefreshTokens::new();
        refresh.expect_derive().returning(|_, _| ("refresh".to_owned(), TokenHash([0; 32])));
        let sessions = Arc::new(Sessions::new(sessions::Ports {
            store: Arc::new(self.sessions),
            access: Arc::new(access),
            refresh: Arc::new(refresh),
            bus: bus.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            seals: Arc::new(PlainSeals),
            tally: Arc::new(Counts::default()),
        }));
        let mut gone = MockConversationStore::new();
        gone.expect_snapshot().returning(|_, _| Ok(None));
        let messaging = fixtures::messaging(
            MockConversationLog::new(),
            MockMessageStore::new(),
            gone,
            bus.clone(),
            LaneOptions::default(),
        );
        let conversations = Conversations::new(
            conversations::Ports {
                store: Arc::new(self.conversations),
                messages: Arc::new(MockMessageStore::new()),
                users: users.clone(),
                blocks: Arc::new(blocking(&[])),
                invites: Arc::new(MockInviteStore::new()),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            messaging.clone(),
        );
        let presence = PresenceService::start(
            presence::Ports {
                board: Arc::new(self.board),
                users: users.clone(),
                bus: bus.clone(),
                clock: clock.clone(),
            },
            Duration::ZERO,
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let ports = Ports {
            users,
            messages: Arc::new(self.messages),
            passwords: Arc::new(self.passwords),
            bus: bus.clone(),
            clock,
            ids,
        };
        let throttle = LoginThrottle::new(30, Arc::new(Counts::default()));
        (Accounts::new(ports, sessions, conversations, messaging, presence, throttle), bus)
    }
}

fn registration() -> Registration {
    Registration {
        username: Username::parse("ann").unwrap(),
        email: Email::parse("ann@example.org").unwrap(),
        password: Password::parse("correct horse").unwrap(),
        display_name: None,
        device: Device::default(),
        address: None,
    }
}

fn login(name: &str) -> Login {
    Login {
        name: LoginName::Username(Username::parse(name).unwrap()),
        password: Password::presented("correct horse").unwrap(),
        device: Device::default(),
        address: None,
    }
}

fn me() -> Principal {
    let expires_at = FixedClock::new().now();
    Principal { user_id: user(1), session_id: session_id(1), expires_at }
}

fn right_password(right: bool) -> MockPasswordHasher {
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_verify().returning(move |_, _| Ok(right));
    passwords.expect_hash().returning(|_| Ok("hashed".to_owned()));
    passwords
}

#[tokio::test]
async fn an_account_is_made_together_with_its_first_session() {
    let mut mocks = Mocks { passwords: right_password(true), ..Mocks::default() };
    mocks
        .users
        .expect_register()
        .withf(|new| {
            new.password_hash == "hashed"
                && new.session.user_id == new.user.id
                && new.user.display_name.as_str() == "ann"
        })
        .times(1)
        .returning(|_| Ok(()));
    let (user, tokens) = mocks.accounts().0.register(registration()).await.unwrap();
    assert_eq!(user.username.unwrap().as_str(), "ann");
    assert_eq!((tokens.access.as_str(), tokens.expires_in), ("access", 900));
}

#[tokio::test]
async fn what_is_taken_is_named() {
    for (constraint, code, field) in [
        (Constraint::Email, Code::EmailTaken, "email"),
        (Constraint::Username, Code::UsernameTaken, "username"),
    ] {
        let mut mocks = Mocks { passwords: right_password(true), ..Mocks::default() };
        mocks.users.expect_register().returning(move |_| Err(StoreError::Conflict(constraint)));
        let refused = mocks.accounts().0.register(registration()).await.unwrap_err();
        let Error::Refused(refusal) = refused else { panic!("{refused:?}") };
        assert_eq!((refusal.code, refusal.fields[0].field.as_ref()), (code, field));
    }
}

#[tokio::test]
async fn too_many_at_once_are_sent_away_before_anything_is_stored() {
    let mut mocks = Mocks::default();
    mocks.passwords.expect_hash().returning(|_| Err(PasswordsBusy));
    mocks.users.expect_register().never();
    let refused = mocks.accounts().0.register(registration()).await.unwrap_err();
    assert!(matches!(refused, Error::Overloaded));
}

#[tokio::test]
async fn an_unknown_account_costs_as_much_as_a_wrong_password() {
    let mut mocks = Mocks::default();
    mocks.users.expect_credentials().returning(|_| Ok(None));
    mocks
        .passwords
        .expect_verify()
        .withf(|_, hash| hash.is_none())
        .times(1)
        .returning(|_, _| Ok(false));
    let unknown = mocks.accounts().0.log_in(login("nobody")).await.unwrap_err();

    let mut mocks = Mocks { passwords: right_password(false), ..Mocks::default() };
    mocks.users.expect_credentials().returning(|_| {
        Ok(Some(Credentials { user: account(1), password_hash: Some("hash".to_owned()) }))
    });
    mocks.sessions.expect_create().never();
    let wrong = mocks.accounts().0.log_in(login("user_1")).await.unwrap_err();
    assert_eq!(unknown.to_string(), wrong.to_string());
    assert_eq!(unknown.code(), Some(Code::InvalidCredentials));
    assert_eq!(wrong.code(), unknown.code());
}

#[tokio::test]
async fn failed_logins_are_stopped_before_a_password_is_hashed() {
    let mut mocks = Mocks::default();
    mocks.users.expect_credentials().returning(|_| Ok(None));
    mocks.passwords.expect_verify().times(10).returning(|_, _| Ok(false));
    let (accounts, _) = mocks.accounts();
    for _ in 0..10 {
        assert_eq!(
            accounts.log_in(login("ann")).await.unwrap_err().code(),
            Some(Code::InvalidCredentials)
        );
    }
    assert!(matches!(accounts.log_in(login("Ann")).await, Err(Error::RateLimited { .. })));
}

#[tokio::test]
async fn a_database_that_is_away_does_not_count_as_a_failed_login() {
    let mut mocks = Mocks::default();
    mocks.users.expect_credentials().returning(|_| Err(StoreError::Unavailable("gone".into())));
    let (accounts, _) = mocks.accounts();
    for _ in 0..40 {
        assert!(matches!(accounts.log_in(login("ann")).await, Err(Error::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let mut mocks = Mocks { passwords: right_password(true), ..Mocks::default() };
    mocks.users.expect_password_hash().returning(|_| Ok(Some("hash".to_owned())));
    mocks
        .users
        .expect_set_password()
        .withf(|id, hash, keep, _| *id == user(1) && hash == "hashed" && *keep == session_id(1))
        .times(1)
        .returning(|_, _, _, _| Ok(vec![session_id(2), session_id(3)]));
    let (accounts, bus) = mocks.accounts();
    let new = Password::parse("correct horse 2").unwrap();
    let old = Password::presented("correct horse").unwrap();
    accounts.change_password(&me(), old, new, None).await.unwrap();
    assert_eq!(bus.take().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_changes_and_erases_nothing() {
    let mut mocks = Mocks { passwords: right_password(false), ..Mocks::default() };
    mocks.users.expect_password_hash().returning(|_| Ok(Some("hash".to_owned())));
    mocks.users.expect_set_password().never();
    mocks.users.expect_erase().never();
    let (accounts, _) = mocks.accounts();
    let wrong = || Password::presented("wrong horse").unwrap();
    let new = Password::parse("correct horse 2").unwrap();
    let refused = accounts.change_password(&me(), wrong(), new, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidCredentials));
    let refused = accounts.erase(&me(), Some(wrong()), false, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidCredentials));
}

#[tokio::test]
async fn without_a_password_only_a_fresh_login_erases() {
    let mut mocks = Mocks::default();
    mocks.sessions.expect_find().returning(|_| Ok(Some((session(1, 1), TokenHash([0; 32])))));
    mocks.conversations.expect_topics().returning(|of| Ok(vec![Vec::new(); of.len()]));
    mocks.users.expect_erase().times(1).returning(|_, _| Ok(vec![session_id(1)]));
    mocks.users.expect_find().returning(|_| Ok(Vec::new()));
    let clock = mocks.clock.clone();
    let (accounts, bus) = mocks.accounts();
    accounts.erase(&me(), None, false, None).await.unwrap();
    assert_eq!(bus.take().len(), 1);
    clock.advance(FRESH_LOGIN + Duration::from_secs(1));
    let refused = accounts.erase(&me(), None, false, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ValidationFailed));
}

#[tokio::test]
async fn what_another_device_sends_while_all_is_erased_is_erased_too() {
    let mut mocks = Mocks::default();
    mocks.sessions.expect_find().returning(|_| Ok(Some((session(1, 1), TokenHash([0; 32])))));
    mocks.conversations.expect_topics().returning(|of| Ok(vec![Vec::new(); of.len()]));
    mocks.users.expect_find().returning(|_| Ok(Vec::new()));
    let mut order = Sequence::new();
    let messages = &mut mocks.messages;
    let mut finds = |found: &'static [u128], order: &mut Sequence| {
        let found = found.iter().map(|n| (group_id(), message_id(*n))).collect::<Vec<_>>();
        let sent_by = messages.expect_sent_by().times(1).in_sequence(order);
        sent_by.returning(move |_, _, _| Ok(found.clone()));
    };
    finds(&[1], &mut order);
    finds(&[], &mut order);
    mocks.users.expect_erase().times(1).in_sequence(&mut order).returning(|_, _| Ok(vec![]));
    finds(&[2], &mut order);
    finds(&[], &mut order);
    let (accounts, _) = mocks.accounts();
    accounts.erase(&me(), None, true, None).await.unwrap();
}

#[tokio::test]
async fn a_login_that_a_new_password_overtook_makes_no_session() {
    let mut mocks = Mocks { passwords: right_password(true), ..Mocks::default() };
    mocks.users.expect_credentials().returning(|_| {
        Ok(Some(Credentials { user: account(1), password_hash: Some("old".to_owned()) }))
    });
    mocks
        .sessions
        .expect_create()
        .withf(|_, _, verified| verified == "old")
        .times(1)
        .returning(|_, _, _| Err(StoreError::Stale));
    let refused = mocks.accounts().0.log_in(login("user_1")).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidCredentials));
}

#[tokio::test]
async fn who_knows_a_person_hears_of_a_changed_profile() {
    let mut mocks = Mocks::default();
    mocks.users.expect_update().returning(|_, _| Ok(Some(account(1))));
    mocks.users.expect_acquaintances().returning(|_| Ok(vec![user(2)]));
    let (accounts, bus) = mocks.accounts();
    accounts.update(user(1), ProfilePatch::default()).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Event { event: Event::UserUpdated(_), audience: Audience::Users(people), .. }]
            if *people == [user(2)]
    ));
}

fn showing(last_seen: Visibility) -> User {
    User { privacy: Privacy { last_seen, read_receipts: true }, ..account(1) }
}

/// What is told when a person, who is here, lets himself be seen otherwise than before.
async fn told_when_seen_by(before: Visibility, after: Visibility, here: bool) -> Vec<Dispatch> {
    let mut mocks = Mocks::default();
    mocks.users.expect_update().returning(move |_, _| Ok(Some(showing(after))));
    mocks.users.expect_acquaintances().returning(|_| Ok(Vec::new()));
    mocks.users.expect_contacts().returning(|of| Ok(vec![vec![user(2)]; of.len()]));
    let mut changed = false;
    mocks.users.expect_find().returning(move |_| {
        let now = if std::mem::replace(&mut changed, true) { after } else { before };
        Ok(vec![showing(now)])
    });
    mocks.board.expect_online().returning(move |_| vec![here]);
    let (accounts, bus) = mocks.accounts();
    let patch = ProfilePatch { last_seen: Some(after), ..ProfilePatch::default() };
    accounts.update(user(1), patch).await.unwrap();
    bus.take()
}

#[tokio::test]
async fn who_hides_himself_is_away_to_those_who_saw_him() {
    assert!(matches!(
        &told_when_seen_by(Visibility::Everyone, Visibility::Nobody, true).await[..],
        // Since when he is away is what he hides.
        [Dispatch::Event {
            event: Event::UserOffline { last_seen: None, .. },
            audience: Audience::Users(people),
            ..
        }] if *people == [user(2)]
    ));
    assert!(matches!(
        &told_when_seen_by(Visibility::Nobody, Visibility::Contacts, true).await[..],
        [Dispatch::Event { event: Event::UserOnline(_), audience: Audience::Users(people), .. }]
            if *people == [user(2)]
    ));
}

#[tokio::test]
async fn who_is_away_or_is_seen_as_before_is_no_news() {
    assert!(told_when_seen_by(Visibility::Everyone, Visibility::Nobody, false).await.is_empty());
    assert!(told_when_seen_by(Visibility::Nobody, Visibility::Nobody, true).await.is_empty());
    assert!(told_when_seen_by(Visibility::Everyone, Visibility::Contacts, true).await.is_empty());
}
