use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kith_ports::{
    MemberSnapshot, MockConversationStore, MockMessageStore, MockUserStore, Topic,
    log::{Command, MockConversationLog},
};
use kith_testkit::{FixedClock, SequentialIds};
use rstest::rstest;

use super::*;
use crate::{
    fixtures::{self, Recorder, account, group, group_id, head, snapshot, user},
    messaging::LaneOptions,
};

/// Conversations over these mocks.
fn over(
    store: MockConversationStore,
    users: MockUserStore,
    log: MockConversationLog,
) -> (Conversations, Arc<Recorder>) {
    let bus = Recorder::new();
    let messaging = fixtures::messaging(
        log,
        MockMessageStore::new(),
        MockConversationStore::new(),
        bus.clone(),
        LaneOptions::default(),
    );
    let ports = Ports {
        store: Arc::new(store),
        messages: Arc::new(MockMessageStore::new()),
        users: Arc::new(users),
        clock: Arc::new(FixedClock::new()),
        ids: Arc::new(SequentialIds::default()),
    };
    (Conversations::new(ports, messaging), bus)
}

/// A group with these members.
fn a_group(members: &'static [(u128, Role)]) -> MockConversationStore {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(|_, asked| {
        let mut whole = snapshot(members);
        whole.members.retain(|member| asked.contains(&member.user_id));
        Ok(Some(whole))
    });
    store
}

/// A log that carries everything out, and remembers it.
fn obliging() -> (MockConversationLog, Arc<Mutex<Vec<Command>>>) {
    let done: Arc<Mutex<Vec<Command>>> = Arc::default();
    let seen = done.clone();
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(move |batch| {
        seen.lock().unwrap().extend(batch.iter().cloned());
        let applied = |command: &Command| match &command.change {
            Change::Remove { .. } => Applied::Removed(Arc::new(group(0))),
            _ => Applied::MembersChanged {
                conversation: Arc::new(group(2)),
                head: head(),
                changes: Vec::new(),
            },
        };
        Ok(batch.iter().map(|command| Ok(applied(command))).collect())
    });
    (log, done)
}

fn untouched() -> MockConversationLog {
    let mut log = MockConversationLog::new();
    log.expect_apply().never();
    log
}

fn known(numbers: &'static [u128]) -> MockUserStore {
    let mut users = MockUserStore::new();
    users.expect_find().returning(|ids| {
        Ok(numbers.iter().map(|n| account(*n)).filter(|user| ids.contains(&user.id)).collect())
    });
    users
}

const GROUP: &[(u128, Role)] = &[(1, Role::Owner), (2, Role::Admin), (3, Role::Member)];

#[tokio::test]
async fn members_are_added_under_the_epoch_that_was_read() {
    let (log, done) = obliging();
    let (conversations, _) = over(a_group(GROUP), known(&[3, 4, 5]), log);
    let named = vec![user(4), user(3), user(4), user(5), user(2)];
    let named: Vec<UserId> = named.into_iter().filter(|id| *id != user(2)).collect();
    conversations.add_members(user(2), group_id().into(), named, "user_ids").await.unwrap();
    let changes = vec![
        MemberChange::Joins(user(4), Role::Member),
        MemberChange::Joins(user(5), Role::Member),
    ];
    assert_eq!(
        done.lock().unwrap()[0].change,
        Change::Members { changes, member_epoch: head().member_epoch }
    );
}

#[tokio::test]
async fn unknown_people_are_named_with_their_place() {
    let (conversations, _) = over(a_group(GROUP), known(&[4]), untouched());
    let named = vec![user(4), user(99)];
    let refused =
        conversations.add_members(user(1), group_id().into(), named, "user_ids").await.unwrap_err();
    let Error::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code, Code::ValidationFailed);
    assert_eq!(refusal.fields[0].field, "user_ids[1]");
    assert_eq!(refusal.fields[0].code, Code::UnknownUser);
}

#[tokio::test]
async fn who_may_not_add_is_not_told_who_exists() {
    let (conversations, _) = over(a_group(GROUP), MockUserStore::new(), untouched());
    for (actor, code) in [(3, Code::Forbidden), (9, Code::NotFound)] {
        let refused = conversations
            .add_members(user(actor), group_id().into(), vec![user(99)], "user_ids")
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(code));
    }
}

#[rstest]
#[case(3, 2, Code::Forbidden)]
#[case(2, 1, Code::Forbidden)]
#[case(9, 3, Code::NotFound)]
#[case(1, 9, Code::NotFound)]
#[tokio::test]
async fn removing_is_refused(#[case] actor: u128, #[case] target: u128, #[case] code: Code) {
    let (conversations, _) = over(a_group(GROUP), MockUserStore::new(), untouched());
    let refused = conversations
        .remove_member(user(actor), group_id().into(), user(target))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(code));
}

#[tokio::test]
async fn removing_oneself_is_leaving() {
    let (log, done) = obliging();
    let (conversations, _) = over(a_group(GROUP), MockUserStore::new(), log);
    conversations.remove_member(user(3), group_id().into(), user(3)).await.unwrap();
    let changes = vec![MemberChange::Leaves(user(3))];
    let expected = Change::Members { changes, member_epoch: head().member_epoch };
    assert_eq!(done.lock().unwrap()[0].change, expected);
}

#[tokio::test]
async fn the_last_owner_does_not_leave_the_others_behind() {
    let (conversations, _) = over(a_group(GROUP), MockUserStore::new(), untouched());
    let refused = conversations.leave(user(1), group_id().into()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::LastOwner));
}

#[tokio::test]
async fn the_last_member_ends_it() {
    let (log, done) = obliging();
    let (conversations, _) = over(a_group(&[(1, Role::Owner)]), MockUserStore::new(), log);
    conversations.leave(user(1), group_id().into()).await.unwrap();
    assert!(matches!(done.lock().unwrap()[0].change, Change::Remove { .. }));
}

#[tokio::test]
async fn a_decision_is_made_anew_from_what_others_left() {
    let reads = Arc::new(AtomicUsize::new(0));
    let seen = reads.clone();
    let mut store = MockConversationStore::new();
    // Between the first reading and the second, the actor loses his role.
    store.expect_snapshot().returning(move |_, _| {
        let role =
            if seen.fetch_add(1, Ordering::SeqCst) == 0 { Role::Admin } else { Role::Member };
        let mut whole = snapshot(&[(1, Role::Owner), (2, Role::Admin), (3, Role::Member)]);
        whole.members[1] = MemberSnapshot { user_id: user(2), role };
        Ok(Some(whole))
    });
    let mut log = MockConversationLog::new();
    log.expect_apply().times(1).returning(|_| Ok(vec![Err(Rejected::Stale)]));
    let (conversations, _) = over(store, MockUserStore::new(), log);
    let refused =
        conversations.remove_member(user(2), group_id().into(), user(3)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let (conversations, _) = over(a_group(GROUP), known(&[3]), untouched());
    let group = group_id().into();
    conversations.add_members(user(1), group, vec![user(3)], "user_ids").await.unwrap();
    conversations.change_role(user(1), group, user(3), Role::Member).await.unwrap();
}

#[tokio::test]
async fn under_groups_a_direct_chat_does_not_exist() {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(|_, _| {
        let mut direct = snapshot(&[(1, Role::Member)]);
        direct.conversation.kind = Kind::Direct;
        Ok(Some(direct))
    });
    let (conversations, _) = over(store, MockUserStore::new(), untouched());
    let address = Address { id: group_id(), kind: Some(Kind::Group) };
    assert_eq!(
        conversations.delete(user(1), address).await.unwrap_err().code(),
        Some(Code::NotFound)
    );
    assert_eq!(
        conversations.delete(user(1), group_id().into()).await.unwrap_err().code(),
        Some(Code::WrongKind)
    );
}

#[tokio::test]
async fn nobody_opens_a_chat_with_himself() {
    let (conversations, _) = over(MockConversationStore::new(), MockUserStore::new(), untouched());
    let refused = conversations.open_direct(user(1), user(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::OneSelf));
}

#[tokio::test]
async fn a_group_of_unknown_people_is_not_made() {
    let (conversations, _) = over(MockConversationStore::new(), known(&[2]), untouched());
    let new = NewGroup {
        name: Name::parse("Family").unwrap(),
        description: None,
        members: vec![user(1), user(2), user(98)],
        members_field: "members",
    };
    let refused = conversations.create_group(user(1), new).await.unwrap_err();
    let Error::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.fields[0].field, "members[2]");
}

#[tokio::test]
async fn an_erased_owners_group_passes_to_the_oldest_admin() {
    let mut store = a_group(&[(1, Role::Owner), (2, Role::Member), (3, Role::Admin)]);
    store.expect_topics().returning(|_| {
        Ok(vec![Topic { conversation_id: group_id(), member_epoch: head().member_epoch }])
    });
    store.expect_members().returning(|_, _, _, _| {
        let row = |n, role| MemberRow {
            user: account(n),
            role,
            joined_at: FixedClock::new().now(),
            version: 1,
            left: false,
        };
        let items = vec![row(1, Role::Owner), row(2, Role::Member), row(3, Role::Admin)];
        Ok(Some(Page { items, next: None }))
    });
    let (log, done) = obliging();
    let (conversations, _) = over(store, MockUserStore::new(), log);
    conversations.leave_all(user(1)).await.unwrap();
    let changes = vec![MemberChange::Becomes(user(3), Role::Owner), MemberChange::Leaves(user(1))];
    let expected = Change::Members { changes, member_epoch: head().member_epoch };
    assert_eq!(done.lock().unwrap()[0].change, expected);
}
