//! Channels: made, seen, joined; and coming in by an invite.

use kith_domain::{conversation::Posting, invite::Invite, text::InviteCode};
use kith_ports::{
    Listing,
    log::{Entrance, Join},
};

use super::*;

fn channel() -> Conversation {
    Conversation { kind: Kind::Channel, ..group(9) }
}

#[tokio::test]
async fn a_channel_is_made_with_its_maker_as_its_only_owner() {
    let (log, done) = obliging();
    let conversations = over(showing(channel()), MockUserStore::new(), log);
    let new = NewChannel {
        name: Name::parse("News").unwrap(),
        description: None,
        posting: Posting::Admins,
    };
    conversations.create_channel(user(1), new).await.unwrap();
    let done = done.lock().unwrap();
    let Change::Create { conversation, members } = &done[0].change else { panic!("{done:?}") };
    assert_eq!(*members, [(user(1), Role::Owner)]);
    assert_eq!((conversation.kind, conversation.posting), (Kind::Channel, Posting::Admins));
    assert_eq!(conversation.member_count, 1);
}

#[tokio::test]
async fn a_channel_is_open_to_anyone_and_nothing_else_is() {
    let (log, done) = obliging();
    let conversations = over(showing(channel()), MockUserStore::new(), log);
    conversations.join(user(9), group_id().into()).await.unwrap();
    assert!(matches!(
        &done.lock().unwrap()[0].change,
        Change::Join(Join { user: who, by: Entrance::Open, .. }) if *who == user(9)
    ));
    let conversations = over(MockConversationStore::new(), MockUserStore::new(), untouched());
    let as_group = Address { id: group_id(), kind: Some(Kind::Group) };
    assert_eq!(refusal(conversations.join(user(9), as_group).await).code, Code::NotFound);
}

#[tokio::test]
async fn an_invite_leads_where_it_was_made_for() {
    let code = InviteCode::parse("abcdefghijklmnopqrstuvwx").unwrap();
    let mut invites = MockInviteStore::new();
    let found = Invite {
        code: code.clone(),
        conversation_id: group_id(),
        created_by: user(1),
        created_at: FixedClock::new().now(),
        expires_at: Some(FixedClock::new().now()),
        max_uses: None,
        uses: 0,
    };
    invites.expect_find().times(1).returning(move |_| Ok(Some(found.clone())));
    invites.expect_find().returning(|_| Ok(None));
    let (log, done) = obliging();
    let (store, users) = (showing(group(3)), MockUserStore::new());
    let conversations = all_over(store, users, MockBlockStore::new(), invites, log);
    // That it has expired is for the store to say, which knows who is in already.
    conversations.join_by_invite(user(9), code.clone()).await.unwrap();
    let done = std::mem::take(&mut *done.lock().unwrap());
    assert_eq!(done[0].conversation_id, group_id());
    assert!(matches!(
        &done[0].change,
        Change::Join(Join { by: Entrance::Invite(by), .. }) if *by == code
    ));
    assert_eq!(refusal(conversations.join_by_invite(user(9), code).await).code, Code::NotFound);
}

#[tokio::test]
async fn a_visitor_sees_the_face_of_a_channel_and_a_member_the_whole() {
    let mut store = MockConversationStore::new();
    store.expect_card().returning(|viewer, _| Ok((viewer == user(1)).then(|| card(channel()))));
    store.expect_listing().returning(|_, _| {
        Ok(Some(Listing { conversation: channel(), head: head(), joined: false }))
    });
    let conversations = over(store, MockUserStore::new(), untouched());
    let address = Address { id: group_id(), kind: Some(Kind::Channel) };
    assert!(matches!(conversations.view(user(1), address).await.unwrap(), View::Member(_)));
    assert!(matches!(conversations.view(user(9), address).await.unwrap(), View::Visitor(_)));
    // Under `/groups` there is no channel, for whoever asks.
    let as_group = Address { id: group_id(), kind: Some(Kind::Group) };
    for asking in [1, 9] {
        let refused = refusal(conversations.view(user(asking), as_group).await);
        assert_eq!(refused.code, Code::NotFound);
    }
}

fn in_a_channel(members: &'static [(u128, Role)]) -> MockConversationStore {
    let mut store = MockConversationStore::new();
    store.expect_snapshot().returning(|_, asked| {
        let mut whole = snapshot(members);
        whole.conversation.kind = Kind::Channel;
        whole.members.retain(|member| asked.contains(&member.user_id));
        Ok(Some(whole))
    });
    store.expect_members_named().returning(|_, named| {
        let rows = members.iter().map(|(n, role)| row(*n, *role));
        Ok(rows.filter(|row| named.contains(&row.user.id)).collect())
    });
    store
}

#[tokio::test]
async fn a_plain_member_of_a_channel_sees_its_admins_and_himself() {
    const CHANNEL: &[(u128, Role)] =
        &[(1, Role::Owner), (2, Role::Admin), (3, Role::Member), (4, Role::Member)];
    let conversations = over(in_a_channel(CHANNEL), MockUserStore::new(), untouched());
    let all: Vec<UserId> = (1..=4).map(user).collect();
    let seen = async |viewer| {
        let rows = conversations.members_named(user(viewer), group_id().into(), &all).await;
        rows.unwrap().iter().map(|row| row.user.id).collect::<Vec<_>>()
    };
    assert_eq!(seen(3).await, [user(1), user(2), user(3)]);
    assert_eq!(seen(2).await, all);
}

#[tokio::test]
async fn who_may_not_list_all_members_of_a_channel_is_not_refused() {
    let mut store = MockConversationStore::new();
    store
        .expect_members()
        .times(1)
        .returning(|_, _, _, _| Ok(Some(Page { items: vec![row(1, Role::Owner)], next: None })));
    store.expect_members().returning(|_, _, _, _| Ok(None));
    let conversations = over(store, MockUserStore::new(), untouched());
    let group = group_id().into();
    assert_eq!(conversations.members(user(3), group, None, 10).await.unwrap().items.len(), 1);
    let refused = refusal(conversations.members(user(9), group, None, 10).await);
    assert_eq!(refused.code, Code::NotFound);
}
