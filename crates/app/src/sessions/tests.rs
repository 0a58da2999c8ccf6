use std::{pin::pin, sync::Mutex};

use async_trait::async_trait;
use kith_domain::{ConversationId, event::Event};
use kith_ports::{
    MockAccessTokens, MockConversationStore, MockMessageStore, MockRefreshTokens, MockSessionStore,
    TokenError, Topic,
    log::{Applied, Command, ConversationLog, Rejected},
};
use kith_testkit::{FixedClock, SequentialIds};
use tokio::{sync::Notify, time::timeout};
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    fixtures::{
        self, Counts, PlainSeals, Recorder, origin, outgoing, session, session_id, stored, user,
    },
    messaging::{LaneOptions, Messaging},
};

/// Refresh tokens that can be read: `<session>/<generation>`.
fn refresh_tokens() -> MockRefreshTokens {
    let mut tokens = MockRefreshTokens::new();
    tokens
        .expect_derive()
        .returning(|id, generation| (format!("{id}/{generation}"), hash_of(generation)));
    tokens.expect_read().returning(|token| {
        let (id, generation) = token.split_once('/')?;
        let generation = generation.parse().ok()?;
        Some(RefreshClaims { session_id: id.parse().ok()?, generation, hash: hash_of(generation) })
    });
    tokens
}

fn hash_of(generation: u32) -> TokenHash {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&generation.to_be_bytes());
    TokenHash(hash)
}

/// Access tokens of user 1 in session 1; only `good` is one.
fn access_tokens() -> MockAccessTokens {
    let mut tokens = MockAccessTokens::new();
    tokens.expect_sign().returning(|_| "good".to_owned());
    tokens.expect_verify().returning(|token, now| match token {
        "good" => Ok(AccessClaims {
            user_id: user(1),
            session_id: session_id(1),
            issued_at: now,
            expires_at: now.after(ACCESS_LIFETIME),
        }),
        "old" => Err(TokenError::Expired),
        _ => Err(TokenError::Invalid),
    });
    tokens
}

fn over(store: MockSessionStore) -> (Sessions, Arc<Recorder>, Arc<FixedClock>) {
    let (bus, clock) = (Recorder::new(), Arc::new(FixedClock::new()));
    let ports = Ports {
        store: Arc::new(store),
        access: Arc::new(access_tokens()),
        refresh: Arc::new(refresh_tokens()),
        bus: bus.clone(),
        clock: clock.clone(),
        ids: Arc::new(SequentialIds::default()),
        seals: Arc::new(PlainSeals),
        tally: Arc::new(Counts::default()),
    };
    (Sessions::new(ports), bus, clock)
}

fn at_generation(generation: u32) -> MockSessionStore {
    let mut store = MockSessionStore::new();
    store.expect_find().returning(move |_| Ok(Some((session(1, generation), hash_of(generation)))));
    store
}

fn token(generation: u32) -> String {
    format!("{}/{generation}", session_id(1))
}

#[tokio::test]
async fn the_living_token_gives_the_next_pair() {
    let mut store = at_generation(3);
    store
        .expect_renew()
        .withf(|from, renewed, hash| *from == 3 && renewed.generation == 4 && *hash == hash_of(4))
        .times(1)
        .returning(|_, _, _| Ok(()));
    let (sessions, ..) = over(store);
    let (pair, owner) = sessions.refresh(&token(3)).await.unwrap();
    assert_eq!((pair.refresh, owner), (token(4), user(1)));
}

#[tokio::test]
async fn a_lost_race_ends_with_the_successor_that_the_winner_made() {
    let generation = Arc::new(Mutex::new(3));
    let (read, write) = (generation.clone(), generation);
    let mut store = MockSessionStore::new();
    store.expect_find().returning(move |_| {
        let generation = *read.lock().unwrap();
        Ok(Some((session(1, generation), hash_of(generation))))
    });
    store.expect_renew().times(1).returning(move |_, _, _| {
        *write.lock().unwrap() = 4;
        Err(StoreError::Stale)
    });
    let (sessions, ..) = over(store);
    let (pair, _) = sessions.refresh(&token(3)).await.unwrap();
    assert_eq!(pair.refresh, token(4));
}

#[tokio::test]
async fn a_token_used_before_ends_the_session_and_its_sockets() {
    let mut store = at_generation(5);
    store.expect_revoke().times(1).returning(|_, _, _| Ok(true));
    let (sessions, bus, _) = over(store);
    let refused = sessions.refresh(&token(3)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::RefreshReused));
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Close { session_id: closed, reason: CloseReason::SignedOut, .. }]
            if *closed == session_id(1)
    ));
    let refused = sessions.authenticate("good").await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn a_retry_a_moment_later_gets_the_same_successor() {
    let (sessions, _, clock) = over(at_generation(4));
    assert_eq!(sessions.refresh(&token(3)).await.unwrap().0.refresh, token(4));
    clock.advance(Duration::from_secs(10));
    assert_eq!(sessions.refresh(&token(3)).await.unwrap().0.refresh, token(4));
}

#[tokio::test]
async fn what_is_no_token_or_no_session_is_refused_alike() {
    let mut store = MockSessionStore::new();
    store.expect_find().returning(|_| Ok(None));
    let (sessions, ..) = over(store);
    for text in ["", "rubbish", &token(1)] {
        let refused = sessions.refresh(text).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::InvalidRefreshToken));
    }
}

#[tokio::test]
async fn a_database_that_forgot_a_renewal_does_not_take_the_token() {
    let mut store = MockSessionStore::new();
    store.expect_find().returning(|_| Ok(Some((session(1, 3), hash_of(9)))));
    let (sessions, ..) = over(store);
    let refused = sessions.refresh(&token(3)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidRefreshToken));
}

#[tokio::test]
async fn a_living_session_is_looked_up_once_in_a_while() {
    let mut store = MockSessionStore::new();
    store.expect_find().times(1).returning(|_| Ok(Some((session(1, 1), hash_of(1)))));
    let (sessions, ..) = over(store);
    for _ in 0..100 {
        assert_eq!(sessions.authenticate("good").await.unwrap().user_id, user(1));
    }
}

#[tokio::test]
async fn bad_old_and_foreign_tokens_are_refused() {
    let mut store = MockSessionStore::new();
    store.expect_find().returning(|_| Ok(Some((session(2, 1), hash_of(1)))));
    let (sessions, ..) = over(store);
    for text in ["bad", "old", "good"] {
        let refused = sessions.authenticate(text).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Unauthenticated), "{text}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_is_not_a_refusal() {
    let mut store = MockSessionStore::new();
    store.expect_find().returning(|_| Err(StoreError::Unavailable("gone".into())));
    let (sessions, ..) = over(store);
    assert!(matches!(sessions.authenticate("good").await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once() {
    let mut store = at_generation(1);
    store.expect_revoke().times(1).returning(|_, _, _| Ok(true));
    let (sessions, ..) = over(store);
    sessions.authenticate("good").await.unwrap();
    sessions.end(user(1), session_id(1)).await.unwrap();
    assert!(sessions.authenticate("good").await.is_err());
}

#[tokio::test]
async fn anothers_session_cannot_be_ended() {
    let mut store = MockSessionStore::new();
    store.expect_revoke().returning(|_, _, _| Ok(false));
    let (sessions, bus, _) = over(store);
    let refused = sessions.end(user(2), session_id(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
    assert!(bus.take().is_empty());
}

#[tokio::test]
async fn a_ticket_is_good_once_and_not_after_its_session() {
    let mut store = at_generation(1);
    store.expect_revoke().returning(|_, _, _| Ok(true));
    let (sessions, _, clock) = over(store);
    let (sessions, openings) = opening(sessions, messaging(Gated::default(), Recorder::new()));
    let principal = openings.authenticate("good").await.unwrap();
    let ticket = sessions.ticket(principal);
    assert_eq!(openings.redeem(&ticket).await.unwrap(), principal);
    assert!(openings.redeem(&ticket).await.is_err());
    let unused = sessions.ticket(principal);
    clock.advance(TICKET_LIFETIME + Duration::from_secs(1));
    for bad in [unused.as_str(), "", "another"] {
        assert!(openings.redeem(bad).await.is_err());
    }
    let late = sessions.ticket(principal);
    sessions.end(user(1), session_id(1)).await.unwrap();
    assert!(openings.redeem(&late).await.is_err());
}

/// Sockets over a store that has the session 1.
fn opening(sessions: Sessions, messaging: Messaging) -> (Arc<Sessions>, Openings) {
    let mut conversations = MockConversationStore::new();
    let mut store = MockSessionStore::new();
    store.expect_find_all().returning(|asked| {
        Ok(asked.contains(&session_id(1)).then(|| session(1, 1)).into_iter().collect())
    });
    conversations.expect_topics().returning(|of| {
        let conversation_id = ConversationId::direct(user(1), user(2));
        let topic = Topic { conversation_id, member_epoch: 1, version: 1, last_seq: 1 };
        Ok(vec![vec![topic]; of.len()])
    });
    let (sessions, tasks) = (Arc::new(sessions), TaskTracker::new());
    let store = Arc::new(store);
    let openings =
        Openings::start(sessions.clone(), store, Arc::new(conversations), messaging, &tasks);
    (sessions, openings)
}

/// A log that waits to be let go.
#[derive(Clone, Default)]
struct Gated(Arc<Notify>);

#[async_trait]
impl ConversationLog for Gated {
    async fn apply(
        &self,
        batch: Arc<[Command]>,
    ) -> StoreResult<Vec<std::result::Result<Applied, Rejected>>> {
        self.0.notified().await;
        Ok(batch.iter().zip(1..).map(|(command, seq)| Ok(stored(command, seq))).collect())
    }
}

fn messaging(log: Gated, bus: Arc<Recorder>) -> Messaging {
    let (messages, conversations) = (MockMessageStore::new(), MockConversationStore::new());
    fixtures::messaging(log, messages, conversations, bus, LaneOptions::default())
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_told_before_a_socket_listens() {
    let (sessions, ..) = over(MockSessionStore::new());
    let (log, bus) = (Gated::default(), Recorder::new());
    let messaging = messaging(log.clone(), bus.clone());
    let (_, openings) = opening(sessions, messaging.clone());
    let principal = openings.authenticate("good").await.unwrap();
    messaging.submit(user(2), outgoing("before he came"), origin(1)).unwrap();
    let mut topics = pin!(openings.topics(&principal));
    assert!(timeout(Duration::from_secs(1), &mut topics).await.is_err());
    log.0.notify_one();
    topics.await.unwrap();
    assert!(matches!(&bus.take()[..], [Dispatch::Event { event: Event::MessageSent(_), .. }]));
}

#[tokio::test]
async fn a_socket_begins_with_what_a_living_session_may_hear() {
    let mut store = MockSessionStore::new();
    store.expect_revoke().returning(|_, _, _| Ok(true));
    let (sessions, ..) = over(store);
    let (sessions, openings) = opening(sessions, messaging(Gated::default(), Recorder::new()));
    assert_eq!(openings.authenticate("old").await.unwrap_err().code(), Some(Code::Unauthenticated));
    let principal = openings.authenticate("good").await.unwrap();
    let others = (2..5).map(|n| Principal { session_id: session_id(n), ..principal });
    assert_eq!(openings.topics(&principal).await.unwrap().len(), 1);
    // Of nobody else is there a session.
    for other in others {
        let refused = openings.topics(&other).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::Unauthenticated));
    }
    sessions.end(user(1), session_id(1)).await.unwrap();
    let refused = openings.topics(&principal).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Unauthenticated));
}
