use kith_domain::{Code, Timestamp, conversation::Kind, group::Role};
use kith_ports::{
    MockConversationStore, MockInviteStore, MockMessageStore, MockUserStore,
    log::MockConversationLog,
};
use kith_testkit::{FixedClock, SequentialIds};
use rstest::rstest;

use super::*;
use crate::{
    conversations,
    fixtures::{self, Recorder, blocking, group_id, snapshot, user},
    messaging::LaneOptions,
};

const GROUP: &[(u128, Role)] = &[(1, Role::Owner), (2, Role::Admin), (3, Role::Member)];

fn a_group() -> MockConversationStore {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(|_, asked| {
        let mut whole = snapshot(GROUP);
        whole.members.retain(|member| asked.contains(&member.user_id));
        Ok(Some(whole))
    });
    store
}

fn over(conversations: MockConversationStore, store: MockInviteStore) -> Invites {
    let messaging = fixtures::messaging(
        MockConversationLog::new(),
        MockMessageStore::new(),
        MockConversationStore::new(),
        Recorder::new(),
        LaneOptions::default(),
    );
    let (clock, ids) = (Arc::new(FixedClock::new()), Arc::new(SequentialIds::default()));
    let ports = conversations::Ports {
        store: Arc::new(conversations),
        messages: Arc::new(MockMessageStore::new()),
        users: Arc::new(MockUserStore::new()),
        blocks: Arc::new(blocking(&[])),
        invites: Arc::new(MockInviteStore::new()),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let conversations = Conversations::new(ports, messaging);
    Invites::new(Ports { store: Arc::new(store), clock, ids }, conversations)
}

fn code() -> InviteCode {
    InviteCode::parse("abcdefghijklmnopqrstuvwx").unwrap()
}

#[tokio::test]
async fn an_invite_has_an_end_and_a_code_of_its_own() {
    let mut store = MockInviteStore::new();
    store.expect_create().times(2).returning(|_| Ok(true));
    let invites = over(a_group(), store);
    let hour = NewInvite { expires_in: Some(Duration::from_secs(3_600)), max_uses: Some(3) };
    let first = invites.create(user(2), group_id().into(), hour).await.unwrap();
    let now: Timestamp = FixedClock::new().now();
    assert_eq!(first.expires_at, Some(now.after(Duration::from_secs(3_600))));
    assert_eq!((first.max_uses, first.uses, first.created_by), (Some(3), 0, user(2)));
    assert_eq!(first.code.as_str().len(), 24);
    let second = invites.create(user(1), group_id().into(), NewInvite::default()).await.unwrap();
    assert_ne!(first.code, second.code);
    assert_eq!((second.expires_at, second.max_uses), (None, None));
}

#[rstest]
#[case(3, Code::Forbidden)]
#[case(9, Code::NotFound)]
#[tokio::test]
async fn who_may_not_invite_is_refused_before_anything_is_kept(
    #[case] actor: u128,
    #[case] expected: Code,
) {
    // The mock would panic if it were asked.
    let invites = over(a_group(), MockInviteStore::new());
    let (me, group) = (user(actor), group_id().into());
    let made = invites.create(me, group, NewInvite::default()).await.unwrap_err();
    let listed = invites.list(me, group, None, 10).await.unwrap_err();
    let revoked = invites.revoke(me, group, code()).await.unwrap_err();
    for refused in [made, listed, revoked] {
        assert_eq!(refused.code(), Some(expected));
    }
}

#[tokio::test]
async fn a_direct_chat_has_no_invites() {
    let mut direct = MockConversationStore::new();
    direct.expect_snapshot().returning(|_, _| {
        let mut direct = snapshot(&[(1, Role::Member), (2, Role::Member)]);
        direct.conversation.kind = Kind::Direct;
        Ok(Some(direct))
    });
    let invites = over(direct, MockInviteStore::new());
    let refused = invites.create(user(1), group_id().into(), NewInvite::default()).await;
    assert_eq!(refused.unwrap_err().code(), Some(Code::WrongKind));
}

#[tokio::test]
async fn who_lost_the_right_in_between_is_told_so() {
    let mut asked = 0;
    let mut conversations = MockConversationStore::new();
    conversations.expect_snapshot().returning(move |_, _| {
        asked += 1;
        let role = if asked == 1 { Role::Admin } else { Role::Member };
        Ok(Some(snapshot(&[(1, Role::Owner), (2, role)])))
    });
    let mut store = MockInviteStore::new();
    store.expect_create().times(1).returning(|_| Ok(false));
    let invites = over(conversations, store);
    let refused = invites.create(user(2), group_id().into(), NewInvite::default()).await;
    assert_eq!(refused.unwrap_err().code(), Some(Code::Forbidden));
}

#[tokio::test]
async fn an_invite_that_is_not_there_cannot_be_taken_back() {
    let mut store = MockInviteStore::new();
    store.expect_revoke().times(1).returning(|_, _, _| Ok(true));
    store.expect_revoke().returning(|_, _, _| Ok(false));
    let invites = over(a_group(), store);
    invites.revoke(user(1), group_id().into(), code()).await.unwrap();
    let refused = invites.revoke(user(1), group_id().into(), code()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
}
