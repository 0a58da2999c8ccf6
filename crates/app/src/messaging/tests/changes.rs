//! Edits, deletions, reactions, pins, and what is told of all changes.

use kith_domain::{
    conversation::{ConversationPatch, SettingsPatch},
    event::ReactionEvent,
    group::Role,
    message::{EDIT_WINDOW, SystemEvent},
    text::Name,
};
use kith_testkit::FixedClock;

use super::*;
use crate::fixtures::{note, snapshot};

#[tokio::test]
async fn the_first_message_of_a_direct_chat_introduces_it_to_both() {
    let (messaging, bus) = over(|batch| {
        let Applied::Sent { message, .. } = stored(&batch[0], 1) else { unreachable!() };
        let direct = direct(1, 2);
        Ok(vec![Ok(Applied::Sent { message, conversation: Arc::new(direct) })])
    });
    let to = Outgoing { target: Target::Person(user(2)), ..outgoing("hi") };
    messaging.send(user(1), to, None).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::ConversationCreated(_, head), .. },
            Dispatch::Event { event: Event::MessageSent(message), .. },
        ] if head.version + 1 == message.version
    ));
}

fn context(sender: u128, my_role: Role) -> MessageContext {
    MessageContext {
        message: fixtures::message(1, sender, 1),
        conversation: group(2),
        member_epoch: head().member_epoch,
        my_role,
        sender_role: Some(Role::Member),
    }
}

fn with_message(
    found: Option<MessageContext>,
    answer: impl Fn(&[Command]) -> Outcomes + std::marker::Send + Sync + 'static,
) -> (Messaging, Arc<Recorder>) {
    let mut messages = MockMessageStore::new();
    messages.expect_message().returning(move |_, _| Ok(found.clone()));
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(move |batch| answer(&batch));
    let bus = Recorder::new();
    let conversations = MockConversationStore::new();
    let options = LaneOptions::default();
    (fixtures::messaging(log, messages, conversations, bus.clone(), options), bus)
}

#[tokio::test]
async fn an_edit_carries_what_it_was_decided_from() {
    let (messaging, bus) = with_message(Some(context(1, Role::Member)), |batch| {
        assert!(matches!(batch[0].change, Change::Edit { member_epoch: 7, .. }));
        let edited = Arc::new(fixtures::message(1, 1, 1));
        Ok(vec![Ok(Applied::Revised(edited, Some(group(2).audience())))])
    });
    let text = Content::parse("better").unwrap();
    messaging.edit(user(1), message_id(1), text).await.unwrap();
    assert!(matches!(&bus.take()[..], [Dispatch::Event { event: Event::MessageUpdated(_), .. }]));
}

#[tokio::test]
async fn a_decision_that_was_overtaken_is_made_anew_but_not_for_ever() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = attempts.clone();
    let (messaging, _) = with_message(Some(context(1, Role::Member)), move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Ok(vec![Err(Rejected::Stale)])
    });
    let error = messaging.delete(user(1), message_id(1)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Conflict));
    assert_eq!(attempts.load(Ordering::SeqCst), ATTEMPTS);
}

#[tokio::test]
async fn what_the_domain_refuses_never_reaches_the_lane() {
    let never = |_: &[Command]| -> Outcomes { panic!("it reached the lane") };
    let (messaging, _) = with_message(Some(context(2, Role::Member)), never);
    let text = Content::parse("mine now").unwrap();
    let refused = messaging.edit(user(1), message_id(1), text.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));
    let refused = messaging.delete(user(1), message_id(1)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::Forbidden));

    let mut old = context(1, Role::Member);
    old.message.created_at = FixedClock::new().now().before(EDIT_WINDOW + Duration::from_secs(1));
    let (messaging, _) = with_message(Some(old), never);
    let refused = messaging.edit(user(1), message_id(1), text.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::EditWindow));

    let (messaging, _) = with_message(None, never);
    let refused = messaging.edit(user(1), message_id(1), text).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
}

fn emoji() -> Emoji {
    Emoji::parse("\u{1f44d}").unwrap()
}

/// Messaging where a message stands in the group, over a log that answers with `answer`.
fn with_located(
    answer: impl Fn(&[Command]) -> Outcomes + std::marker::Send + Sync + 'static,
) -> (Messaging, Arc<Recorder>) {
    let mut messages = MockMessageStore::new();
    messages.expect_locate().returning(|_, id| Ok((id == message_id(1)).then(|| (group_id(), 1))));
    let mut log = MockConversationLog::new();
    log.expect_apply().returning(move |batch| answer(&batch));
    let bus = Recorder::new();
    let conversations = MockConversationStore::new();
    let options = LaneOptions::default();
    (fixtures::messaging(log, messages, conversations, bus.clone(), options), bus)
}

fn reacted(command: &Command) -> Applied {
    let Change::React(react) = &command.change else { panic!("{command:?} is no reaction") };
    let event = ReactionEvent {
        conversation_id: command.conversation_id,
        message_id: react.message_id,
        seq: 1,
        user_id: react.by,
        emoji: react.emoji.clone(),
        version: 10,
    };
    Applied::Reacted(Some((event, group(2).audience())))
}

#[tokio::test]
async fn reactions_are_told_to_those_who_may_see_the_message() {
    let (messaging, bus) = with_located(|batch| Ok(vec![Ok(reacted(&batch[0]))]));
    messaging.react(user(1), message_id(1), emoji(), true).await.unwrap();
    messaging.react(user(1), message_id(1), emoji(), false).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [
            Dispatch::Event { event: Event::ReactionAdded(added), audience: Audience::Members(_), .. },
            Dispatch::Event { event: Event::ReactionRemoved(_), .. },
        ] if added.user_id == user(1) && added.emoji == emoji()
    ));
}

#[tokio::test]
async fn a_reaction_that_was_there_or_was_not_stored_is_told_to_nobody() {
    let (messaging, bus) = with_located(|_| Ok(vec![Ok(Applied::Reacted(None))]));
    messaging.react(user(1), message_id(1), emoji(), true).await.unwrap();
    let unseen = messaging.react(user(1), message_id(2), emoji(), true).await.unwrap_err();
    assert_eq!(unseen.code(), Some(Code::NotFound));
    assert!(bus.take().is_empty());
    let (messaging, bus) = with_located(failed(|| StoreError::Other("disk on fire".into())));
    let error = messaging.react(user(1), message_id(1), emoji(), true).await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)));
    assert!(bus.take().is_empty());
}

#[tokio::test]
async fn a_pin_is_decided_by_role_and_carries_what_it_was_decided_from() {
    let (messaging, bus) = with_message(Some(context(2, Role::Admin)), |batch| {
        assert!(matches!(batch[0].change, Change::Pin { member_epoch: 7, pinned: true, .. }));
        let pinned = Arc::new(fixtures::message(1, 2, 1));
        Ok(vec![Ok(Applied::Revised(pinned, Some(group(2).audience())))])
    });
    messaging.pin(user(1), message_id(1), true).await.unwrap();
    assert!(matches!(&bus.take()[..], [Dispatch::Event { event: Event::MessageUpdated(_), .. }]));

    let never = |_: &[Command]| -> Outcomes { panic!("it reached the lane") };
    let mut deleted = context(1, Role::Admin);
    deleted.message.deleted_at = Some(FixedClock::new().now());
    for (found, code) in [
        (Some(context(1, Role::Member)), Code::Forbidden),
        (Some(deleted), Code::MessageDeleted),
        (None, Code::NotFound),
    ] {
        let (messaging, _) = with_message(found, never);
        let refused = messaging.pin(user(1), message_id(1), true).await.unwrap_err();
        assert_eq!(refused.code(), Some(code));
    }
}

#[tokio::test]
async fn a_pin_that_was_there_is_told_to_nobody() {
    let (messaging, bus) = with_message(Some(context(1, Role::Owner)), |_| {
        Ok(vec![Ok(Applied::Revised(Arc::new(fixtures::message(1, 2, 1)), None))])
    });
    messaging.pin(user(1), message_id(1), true).await.unwrap();
    assert!(bus.take().is_empty());
}

/// What is told when a change of the group is carried out.
async fn told(change: Change, applied: Applied) -> Vec<Dispatch> {
    let (messaging, bus) = over(move |_| Ok(vec![Ok(applied.clone())]));
    messaging.execute(messaging.command(group_id(), change)).await.unwrap();
    bus.take()
}

fn by_the_first(changes: &[MemberChange]) -> Change {
    let noted = changes.iter().map(|change| (*change, message_id(1))).collect();
    Change::Members { by: user(1), changes: noted, member_epoch: 7 }
}

#[tokio::test]
async fn a_note_follows_the_change_it_notes_and_who_comes_in_sees_it() {
    let change = MemberChange::Joins(user(3), Role::Member);
    let note = note(1, 1, 6, SystemEvent::MemberAdded(user(3)));
    let changed = MemberChanged { change, role: Role::Member, version: 10, note: Some(note) };
    let applied = members_changed(vec![changed], group(3).audience());
    let told = told(by_the_first(&[change]), applied).await;
    assert!(matches!(
        &told[..],
        [
            Dispatch::Topic { change: TopicChange::Join(_), .. },
            Dispatch::Event { event: Event::ConversationCreated(_, head), audience: Audience::Users(who), .. },
            Dispatch::Event { event: Event::MemberAdded(member), audience: Audience::Members(_), .. },
            Dispatch::Event { event: Event::MessageSent(note), audience: Audience::Members(_), origin: None },
        ] if *who == [user(3)]
            && (head.version, head.last_seq) == (member.version, note.seq - 1)
    ));
}

#[tokio::test]
async fn who_left_does_not_hear_the_note_of_it() {
    let change = MemberChange::Leaves(user(3));
    let note = note(1, 1, 6, SystemEvent::MemberRemoved(user(3)));
    let changed = MemberChanged { change, role: Role::Member, version: 10, note: Some(note) };
    let applied = members_changed(vec![changed], group(2).audience());
    assert!(matches!(
        &told(by_the_first(&[change]), applied).await[..],
        [
            Dispatch::Event { event: Event::MemberRemoved(_), .. },
            Dispatch::Topic { change: TopicChange::Leave(who), .. },
            Dispatch::Event { event: Event::ConversationRemoved(_), audience: Audience::Users(_), .. },
            Dispatch::Event { event: Event::MessageSent(_), audience: Audience::Members(_), .. },
        ] if *who == [user(3)]
    ));
}

#[tokio::test]
async fn in_a_channel_admins_and_the_person_concerned_hear_of_members() {
    let change = MemberChange::Joins(user(3), Role::Member);
    let changed = MemberChanged { change, role: Role::Member, version: 10, note: None };
    let admins = Audience::Users(vec![user(1), user(2)]);
    let told = told(by_the_first(&[change]), members_changed(vec![changed], admins)).await;
    assert!(matches!(
        &told[2..],
        [Dispatch::Event { event: Event::MemberAdded(_), audience: Audience::Users(who), .. }]
            if *who == [user(1), user(2), user(3)]
    ));
}

#[tokio::test]
async fn another_name_is_told_and_then_noted() {
    let name = Name::parse("Kin").unwrap();
    let note = note(1, 1, 6, SystemEvent::Renamed(name));
    let change = Change::Update {
        by: user(1),
        note: note.id,
        patch: ConversationPatch::default(),
        member_epoch: 7,
        settings_epoch: 3,
    };
    let (conversation, head) = (Arc::new(group(2)), head());
    let same = Applied::Updated {
        conversation: Arc::clone(&conversation),
        head,
        changed: false,
        note: None,
    };
    assert!(told(change.clone(), same).await.is_empty(), "what is so already is no news");
    let applied = Applied::Updated { conversation, head, changed: true, note: Some(note) };
    assert!(matches!(
        &told(change, applied).await[..],
        [
            Dispatch::Event { event: Event::ConversationUpdated(..), .. },
            Dispatch::Event { event: Event::MessageSent(_), .. },
        ]
    ));
}

#[tokio::test]
async fn ones_own_devices_hear_of_settings_that_changed() {
    let patch = SettingsPatch::default();
    let change = || Change::Settings { member: user(1), patch };
    assert!(matches!(
        &told(change(), Applied::Settled(true)).await[..],
        [Dispatch::Event { event: Event::SettingsUpdated(id), audience: Audience::Users(who), .. }]
            if *id == group_id() && *who == [user(1)]
    ));
    assert!(told(change(), Applied::Settled(false)).await.is_empty());
}

#[tokio::test]
async fn an_erased_accounts_message_is_deleted_where_it_was_left() {
    let mut conversations = MockConversationStore::new();
    conversations.expect_snapshot().returning(|_, _| Ok(Some(snapshot(&[(2, Role::Owner)]))));
    let mut log = MockConversationLog::new();
    log.expect_apply().times(1).returning(|batch| {
        assert!(matches!(batch[0].change, Change::Delete { member_epoch: 7, .. }));
        let gone = Arc::new(fixtures::message(1, 1, 1));
        Ok(vec![Ok(Applied::Deleted(gone, Some(group(1).audience())))])
    });
    let messages = MockMessageStore::new();
    let bus = Recorder::new();
    let messaging =
        fixtures::messaging(log, messages, conversations, bus.clone(), LaneOptions::default());
    messaging.delete_own(group_id(), message_id(1)).await.unwrap();
    assert!(matches!(
        &bus.take()[..],
        [Dispatch::Event { event: Event::MessageDeleted { .. }, .. }]
    ));
}
