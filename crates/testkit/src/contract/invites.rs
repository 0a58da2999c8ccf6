//! Invites: made, listed, taken back. Coming in by one is in `joining`.

use kith_domain::{
    ConversationId, UserId,
    conversation::Kind,
    group::{MemberChange, Role},
    invite::Invite,
    text::InviteCode,
};
use kith_ports::InviteCursor;

use super::{Stores, World};
use crate::build::{at, conversation_id, user_id};

fn code(n: u64) -> InviteCode {
    InviteCode::parse(&format!("code-{n:016}")).unwrap()
}

fn invite(n: u64, conversation_id: ConversationId, created_by: UserId) -> Invite {
    Invite {
        code: code(n),
        conversation_id,
        created_by,
        created_at: at(n),
        expires_at: None,
        max_uses: None,
        uses: 0,
    }
}

/// Every field of it.
pub async fn an_invite_is_kept_whole(stores: Stores) {
    let (world, p) = World::people(stores, 2).await;
    let (group, channel) = (world.group(&p).await, world.room(Kind::Channel, &p).await);
    let plain = invite(1, group, p[0]);
    let bounded = Invite { expires_at: Some(at(9)), max_uses: Some(3), ..invite(2, channel, p[0]) };
    for it in [plain, bounded] {
        assert!(world.stores.invites.create(it.clone()).await.unwrap());
        assert_eq!(world.stores.invites.find(it.code.clone()).await.unwrap(), Some(it));
    }
    assert_eq!(world.stores.invites.find(code(3)).await.unwrap(), None);
    world.remove(channel).await;
    assert_eq!(world.stores.invites.find(code(2)).await.unwrap(), None, "it leads nowhere");
}

/// Admins and owners of a group or channel, as long as they are.
pub async fn those_in_charge_give_out_invites(stores: Stores) {
    let (world, p) = World::people(stores, 4).await;
    let group = world.group(&p[..3]).await;
    let chat = world.write(p[1], p[0], "hi").await.conversation_id;
    let removed = world.group(&p[..2]).await;
    world.remove(removed).await;
    let invites = &world.stores.invites;
    let refused = [
        (group, p[1]),
        (group, p[3]),
        (group, user_id(99)),
        (chat, p[0]),
        (removed, p[0]),
        (conversation_id(99), p[0]),
    ];
    for (n, (id, by)) in (1..).zip(refused) {
        assert!(!invites.create(invite(n, id, by)).await.unwrap(), "{n}");
        assert_eq!(invites.find(code(n)).await.unwrap(), None);
    }
    world.change_members(group, &[MemberChange::Becomes(p[1], Role::Admin)]).await;
    assert!(invites.create(invite(20, group, p[1])).await.unwrap());
    world.change_members(group, &[MemberChange::Becomes(p[1], Role::Member)]).await;
    assert!(!invites.create(invite(21, group, p[1])).await.unwrap());
    // What was given out stays good; only those in charge take it back.
    let other = world.group(&p[..2]).await;
    for (by, id, n) in [(p[1], group, 20), (p[3], group, 20), (p[0], other, 20), (p[0], group, 21)]
    {
        assert!(!invites.revoke(by, id, code(n)).await.unwrap());
    }
    assert!(invites.find(code(20)).await.unwrap().is_some());
    assert!(invites.revoke(p[0], group, code(20)).await.unwrap());
    assert!(!invites.revoke(p[0], group, code(20)).await.unwrap());
    assert_eq!(invites.find(code(20)).await.unwrap(), None);
}

/// The newest first, those of one moment by their codes.
pub async fn invites_are_paged_with_ties(stores: Stores) {
    let (world, p) = World::people(stores, 1).await;
    let (id, other) = (world.group(&p).await, world.group(&p).await);
    let mut expected = Vec::new();
    for n in 1..=9 {
        let it = Invite { created_at: at(n / 3), ..invite(n, id, p[0]) };
        assert!(world.stores.invites.create(it.clone()).await.unwrap());
        expected.push(it);
    }
    assert!(world.stores.invites.create(invite(10, other, p[0])).await.unwrap());
    expected.reverse();
    for limit in 1..11 {
        let (mut seen, mut after): (Vec<Invite>, Option<InviteCursor>) = (Vec::new(), None);
        loop {
            let page = world.stores.invites.list(id, after, limit).await.unwrap();
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}
