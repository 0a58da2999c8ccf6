mod channels;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use kith_domain::{
    Code,
    conversation::{ConversationPatch, Membership},
    group::MemberChange,
    receipt::Watermarks,
    text::Name,
};
use kith_ports::{
    MemberRow, MemberSnapshot, MockBlockStore, MockConversationStore, MockInviteStore,
    MockMessageStore, MockUserStore, Page, Topic, Unread,
    log::{Command, MockConversationLog},
};
use kith_testkit::{FixedClock, SequentialIds};
use rstest::rstest;

use super::*;
use crate::{
    fixtures::{self, Recorder, account, blocking, direct, group, group_id, head, snapshot, user},
    messaging::LaneOptions,
};

/// Conversations over these mocks, where nobody has blocked anyone.
fn over(
    store: MockConversationStore,
    users: MockUserStore,
    log: MockConversationLog,
) -> Conversations {
    all_over(store, users, blocking(&[]), MockInviteStore::new(), log)
}

fn all_over(
    store: MockConversationStore,
    users: MockUserStore,
    blocks: MockBlockStore,
    invites: MockInviteStore,
    log: MockConversationLog,
) -> Conversations {
    let messaging = fixtures::messaging(
        log,
        MockMessageStore::new(),
        MockConversationStore::new(),
        Recorder::new(),
        LaneOptions::default(),
    );
    let ports = Ports {
        store: Arc::new(store),
        messages: Arc::new(MockMessageStore::new()),
        users: Arc::new(users),
        blocks: Arc::new(blocks),
        invites: Arc::new(invites),
        clock: Arc::new(FixedClock::new()),
        ids: Arc::new(SequentialIds::default()),
    };
    Conversations::new(ports, messaging)
}

/// A conversation as a member sees it.
fn card(conversation: Conversation) -> ConversationCard {
    ConversationCard {
        my: Membership {
            role: Role::Member,
            first_seq: 1,
            marks: Watermarks::starting_after(0),
            joined_at: conversation.created_at,
            muted_until: None,
            pinned: false,
            archived: false,
            hidden: false,
        },
        conversation,
        head: head(),
        last_message: None,
        peer: None,
        unread: Unread::default(),
    }
}

/// A store that shows its reader this conversation.
fn showing(conversation: Conversation) -> MockConversationStore {
    let mut store = MockConversationStore::new();
    store.expect_card().returning(move |_, _| Ok(Some(card(conversation.clone()))));
    store
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

fn row(n: u128, role: Role) -> MemberRow {
    let joined_at = FixedClock::new().now();
    MemberRow { user: account(n), role, joined_at, version: 1, left: false }
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
            Change::Settings { .. } => Applied::Settled(true),
            Change::Create { conversation, .. } => {
                Applied::Created(Arc::new(conversation.clone()), head())
            }
            _ => Applied::MembersChanged {
                conversation: Arc::new(group(2)),
                head: head(),
                changes: Vec::new(),
                audience: group(2).audience(),
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

/// The changes of members that a command carries, and who decided them.
fn changes(command: &Command) -> (UserId, Vec<MemberChange>) {
    let Change::Members { by, changes, member_epoch } = &command.change else {
        panic!("{command:?} changes no members")
    };
    assert_eq!(*member_epoch, head().member_epoch);
    let notes: std::collections::HashSet<_> = changes.iter().map(|(_, note)| note).collect();
    assert_eq!(notes.len(), changes.len(), "each note has an id of its own");
    (*by, changes.iter().map(|(change, _)| *change).collect())
}

const GROUP: &[(u128, Role)] = &[(1, Role::Owner), (2, Role::Admin), (3, Role::Member)];

#[tokio::test]
async fn members_are_added_under_the_epoch_that_was_read() {
    let (log, done) = obliging();
    let conversations = over(a_group(GROUP), known(&[3, 4, 5]), log);
    let named = vec![user(4), user(3), user(4), user(5), user(2)];
    let named: Vec<UserId> = named.into_iter().filter(|id| *id != user(2)).collect();
    conversations.add_members(user(2), group_id().into(), named, "user_ids").await.unwrap();
    let expected = vec![
        MemberChange::Joins(user(4), Role::Member),
        MemberChange::Joins(user(5), Role::Member),
    ];
    assert_eq!(changes(&done.lock().unwrap()[0]), (user(2), expected));
}

#[tokio::test]
async fn unknown_people_are_named_with_their_place() {
    let conversations = over(a_group(GROUP), known(&[4]), untouched());
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
    let conversations = over(a_group(GROUP), MockUserStore::new(), untouched());
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
    let conversations = over(a_group(GROUP), MockUserStore::new(), untouched());
    let refused = conversations
        .remove_member(user(actor), group_id().into(), user(target))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some(code));
}

#[tokio::test]
async fn removing_oneself_is_leaving() {
    let (log, done) = obliging();
    let conversations = over(a_group(GROUP), MockUserStore::new(), log);
    conversations.remove_member(user(3), group_id().into(), user(3)).await.unwrap();
    let expected = (user(3), vec![MemberChange::Leaves(user(3))]);
    assert_eq!(changes(&done.lock().unwrap()[0]), expected);
}

#[tokio::test]
async fn the_last_owner_does_not_leave_the_others_behind() {
    let conversations = over(a_group(GROUP), MockUserStore::new(), untouched());
    let refused = conversations.leave(user(1), group_id().into()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::LastOwner));
}

#[tokio::test]
async fn the_last_member_ends_it() {
    let (log, done) = obliging();
    let conversations = over(a_group(&[(1, Role::Owner)]), MockUserStore::new(), log);
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
    let conversations = over(store, MockUserStore::new(), log);
    let refused =
        conversations.remove_member(user(2), group_id().into(), user(3)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let conversations = over(a_group(GROUP), known(&[3]), untouched());
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
    let conversations = over(store, MockUserStore::new(), untouched());
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
    let conversations = over(MockConversationStore::new(), MockUserStore::new(), untouched());
    let refused = conversations.open_direct(user(1), user(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::OneSelf));
}

#[tokio::test]
async fn a_group_of_unknown_people_is_not_made() {
    let conversations = over(MockConversationStore::new(), known(&[2]), untouched());
    let new = new_group(vec![user(1), user(2), user(98)]);
    let refusal = refusal(conversations.create_group(user(1), new).await);
    assert_eq!(refusal.fields[0].field, "members[2]");
}

#[tokio::test]
async fn an_erased_owners_group_passes_to_the_oldest_admin() {
    let mut store = a_group(&[(1, Role::Owner), (2, Role::Member), (3, Role::Admin)]);
    store.expect_topics().returning(|_| {
        Ok(vec![vec![Topic {
            conversation_id: group_id(),
            member_epoch: head().member_epoch,
            version: head().version,
            last_seq: head().last_seq,
        }]])
    });
    store.expect_members().returning(|_, _, _, _| {
        let items = vec![row(1, Role::Owner), row(2, Role::Member), row(3, Role::Admin)];
        Ok(Some(Page { items, next: None }))
    });
    let (log, done) = obliging();
    let conversations = over(store, MockUserStore::new(), log);
    conversations.leave_all(user(1)).await.unwrap();
    let expected = vec![MemberChange::Becomes(user(3), Role::Owner), MemberChange::Leaves(user(1))];
    assert_eq!(changes(&done.lock().unwrap()[0]), (user(1), expected));
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> Refusal {
    match result.unwrap_err() {
        Error::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn new_group(members: Vec<UserId>) -> NewGroup {
    let name = Name::parse("Family").unwrap();
    NewGroup { name, description: None, members, members_field: "members" }
}

#[tokio::test]
async fn who_has_blocked_one_another_is_named_with_his_place() {
    let over_blocks = |store| {
        let (users, invites) = (known(&[2, 3, 4]), MockInviteStore::new());
        all_over(store, users, blocking(&[4]), invites, untouched())
    };
    let named = vec![user(3), user(3), user(4)];
    let conversations = over_blocks(MockConversationStore::new());
    let made = refusal(conversations.create_group(user(1), new_group(named.clone())).await);
    assert_eq!((made.code, made.fields[0].field.as_ref()), (Code::Blocked, "members[2]"));
    assert_eq!((made.fields.len(), made.fields[0].code), (1, Code::Blocked));

    let conversations = over_blocks(a_group(GROUP));
    let added =
        conversations.add_members(user(1), group_id().into(), vec![user(4)], "user_id").await;
    let added = refusal(added);
    assert_eq!((added.code, added.fields[0].field.as_ref()), (Code::Blocked, "user_id"));
}

#[tokio::test]
async fn settings_are_ones_own_and_only_a_change_is_written() {
    let (log, done) = obliging();
    let conversations = over(showing(direct(1, 2)), MockUserStore::new(), log);
    let id = direct(1, 2).id;
    conversations.settings(user(1), id.into(), SettingsPatch::default()).await.unwrap();
    assert!(done.lock().unwrap().is_empty());
    let patch = SettingsPatch { pinned: Some(true), ..SettingsPatch::default() };
    conversations.settings(user(1), id.into(), patch).await.unwrap();
    assert_eq!(done.lock().unwrap()[0].change, Change::Settings { member: user(1), patch });
    let as_group = Address { id, kind: Some(Kind::Group) };
    let refused = refusal(conversations.settings(user(1), as_group, patch).await);
    assert_eq!((refused.code, done.lock().unwrap().len()), (Code::NotFound, 1));
}

#[tokio::test]
async fn another_name_is_noted_under_an_id_that_was_made_before() {
    let (log, done) = obliging();
    let mut store = a_group(GROUP);
    store.expect_card().returning(|_, _| Ok(Some(card(group(3)))));
    let conversations = over(store, MockUserStore::new(), log);
    let name = Some(Name::parse("Kin").unwrap());
    let patch = ConversationPatch { name, ..ConversationPatch::default() };
    conversations.update(user(2), group_id().into(), patch.clone()).await.unwrap();
    assert!(matches!(
        &done.lock().unwrap()[0].change,
        Change::Update { by, member_epoch: 7, settings_epoch: 3, patch: told, .. }
            if *by == user(2) && *told == patch
    ));
}

#[tokio::test]
async fn what_is_not_stored_is_not_answered_with_a_conversation() {
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(|_| Err(kith_ports::StoreError::Other("disk on fire".into())));
    let conversations = over(MockConversationStore::new(), known(&[2]), log);
    let made = conversations.create_group(user(1), new_group(vec![user(2)])).await;
    assert!(matches!(made, Err(Error::Internal(_))));
    let joined = conversations.join(user(9), group_id().into()).await;
    assert!(matches!(joined, Err(Error::Internal(_))));
}
