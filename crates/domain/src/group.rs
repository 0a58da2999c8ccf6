//! Roles, and who may do what in a group or channel.
//!
//! Each function is one rule: it takes what was read and returns a decision. The decision is saved
//! under a guard (the member or settings epoch that was read with it), so that it still holds when
//! it is written.

use crate::{
    conversation::{Kind, Posting},
    error::{Code, Refusal},
    id::UserId,
    time::Timestamp,
};

/// What a member is in a conversation. The order is that of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads, writes where posting allows it, leaves.
    Member,
    /// Also names, adds, removes, pins, deletes others' messages; not against owners.
    Admin,
    /// Also gives roles and deletes the conversation.
    Owner,
}

/// What a member wants to do with the conversation as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Write a message.
    Send,
    /// See who the members are.
    ListMembers,
    /// Add people.
    AddMembers,
    /// Give out invites, take them back.
    Invite,
    /// Pin messages.
    Pin,
    /// Change name, description, posting.
    Update,
    /// Delete it for all.
    Delete,
}

/// Whether a member with `role` may do `action`.
pub fn may(kind: Kind, posting: Posting, role: Role, action: Action) -> Result<(), Refusal> {
    let needed = match (kind, action) {
        (Kind::Direct, Action::Send | Action::ListMembers | Action::Pin)
        | (Kind::Group, Action::ListMembers) => Role::Member,
        (Kind::Direct, _) => {
            return Err(Refusal::new(
                Code::WrongKind,
                "a direct chat has two people, no name, and is hidden rather than deleted",
            ));
        }
        (_, Action::Send) => match posting {
            Posting::Everyone => Role::Member,
            Posting::Admins => Role::Admin,
        },
        (Kind::Channel, Action::ListMembers)
        | (_, Action::AddMembers | Action::Invite | Action::Pin | Action::Update) => Role::Admin,
        (_, Action::Delete) => Role::Owner,
    };
    at_least(role, needed)
}

fn at_least(role: Role, needed: Role) -> Result<(), Refusal> {
    if role >= needed {
        return Ok(());
    }
    Err(Refusal::forbidden(match needed {
        Role::Owner => "only an owner may do this",
        _ => "only an admin or owner may do this",
    }))
}

/// Whether `count` members fit into a conversation that has `present`.
pub fn fits(kind: Kind, present: u32, count: usize) -> Result<(), Refusal> {
    let room = kind.capacity().saturating_sub(present);
    if count <= room as usize {
        return Ok(());
    }
    Err(Refusal::new(
        Code::TooManyMembers,
        format!("it may have {} members and has room for {room} more", kind.capacity()),
    ))
}

/// Whether a member may remove another.
pub fn may_remove(kind: Kind, actor: Role, target: Role) -> Result<(), Refusal> {
    may(kind, Posting::Everyone, actor, Action::AddMembers)?;
    if target == Role::Owner && actor != Role::Owner {
        return Err(Refusal::forbidden("only an owner may remove an owner"));
    }
    Ok(())
}

/// Whether a member may give another the role `to`. `owners` counts those there are now.
pub fn may_change_role(
    kind: Kind,
    actor: (UserId, Role),
    target: (UserId, Role),
    to: Role,
    owners: u32,
) -> Result<(), Refusal> {
    if kind == Kind::Direct {
        return Err(Refusal::new(Code::WrongKind, "a direct chat has no roles"));
    }
    let ((actor_id, actor_role), (target_id, from)) = (actor, target);
    at_least(actor_role, Role::Admin)?;
    if actor_id == target_id && to > from {
        return Err(Refusal::forbidden("nobody raises himself"));
    }
    if actor_role == Role::Admin && (from == Role::Owner || to == Role::Owner) {
        return Err(Refusal::forbidden("only an owner may make or unmake an owner"));
    }
    if from == Role::Owner && to != Role::Owner && owners <= 1 {
        return Err(last_owner());
    }
    Ok(())
}

/// What leaving means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The member goes, the others stay.
    Goes,
    /// The last one goes: the conversation ends with him.
    Ends,
}

/// Whether a member may leave, and what that means. The last owner hands over first.
pub fn leave(kind: Kind, role: Role, owners: u32, members: u32) -> Result<Leaving, Refusal> {
    if kind == Kind::Direct {
        return Err(Refusal::new(Code::WrongKind, "a direct chat cannot be left, only hidden"));
    }
    if members <= 1 {
        return Ok(Leaving::Ends);
    }
    if role == Role::Owner && owners <= 1 {
        return Err(last_owner());
    }
    Ok(Leaving::Goes)
}

/// Who becomes owner when the last one's account goes: the oldest admin, else the oldest member.
pub fn heir(others: &[(UserId, Role, Timestamp)]) -> Option<UserId> {
    others
        .iter()
        .min_by_key(|(id, role, joined_at)| (std::cmp::Reverse(*role), *joined_at, *id))
        .map(|(id, ..)| *id)
}

fn last_owner() -> Refusal {
    Refusal::new(Code::LastOwner, "make another member an owner first")
}

/// One change of a conversation's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Comes in, or comes back, with this role.
    Joins(UserId, Role),
    /// Has another role from now on.
    Becomes(UserId, Role),
    /// Goes, of his own will or not.
    Leaves(UserId),
}

impl MemberChange {
    /// Whom it concerns.
    pub const fn user(&self) -> UserId {
        match self {
            Self::Joins(user, _) | Self::Becomes(user, _) | Self::Leaves(user) => *user,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use uuid::Uuid;

    use super::*;

    const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

    fn user(n: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(n))
    }

    #[rstest]
    #[case(Kind::Direct, Posting::Everyone, Role::Member, Action::Send, true)]
    #[case(Kind::Group, Posting::Everyone, Role::Member, Action::Send, true)]
    #[case(Kind::Channel, Posting::Admins, Role::Member, Action::Send, false)]
    #[case(Kind::Channel, Posting::Admins, Role::Admin, Action::Send, true)]
    #[case(Kind::Group, Posting::Everyone, Role::Member, Action::ListMembers, true)]
    #[case(Kind::Channel, Posting::Everyone, Role::Member, Action::ListMembers, false)]
    #[case(Kind::Group, Posting::Everyone, Role::Member, Action::AddMembers, false)]
    #[case(Kind::Group, Posting::Everyone, Role::Admin, Action::AddMembers, true)]
    #[case(Kind::Group, Posting::Everyone, Role::Admin, Action::Update, true)]
    #[case(Kind::Group, Posting::Everyone, Role::Admin, Action::Delete, false)]
    #[case(Kind::Group, Posting::Everyone, Role::Owner, Action::Delete, true)]
    #[case(Kind::Group, Posting::Everyone, Role::Member, Action::Pin, false)]
    #[case(Kind::Group, Posting::Everyone, Role::Admin, Action::Pin, true)]
    #[case(Kind::Direct, Posting::Everyone, Role::Member, Action::Pin, true)]
    #[case(Kind::Channel, Posting::Everyone, Role::Member, Action::Invite, false)]
    #[case(Kind::Direct, Posting::Everyone, Role::Member, Action::Invite, false)]
    #[case(Kind::Direct, Posting::Everyone, Role::Member, Action::AddMembers, false)]
    #[case(Kind::Direct, Posting::Everyone, Role::Member, Action::Delete, false)]
    fn rights(
        #[case] kind: Kind,
        #[case] posting: Posting,
        #[case] role: Role,
        #[case] action: Action,
        #[case] allowed: bool,
    ) {
        assert_eq!(may(kind, posting, role, action).is_ok(), allowed);
    }

    #[test]
    fn the_wrong_kind_is_told_apart_from_the_wrong_role() {
        let code =
            |kind, role| may(kind, Posting::Everyone, role, Action::Update).unwrap_err().code;
        assert_eq!(code(Kind::Direct, Role::Member), Code::WrongKind);
        assert_eq!(code(Kind::Group, Role::Member), Code::Forbidden);
    }

    #[rstest]
    #[case(Role::Member, Role::Member, false)]
    #[case(Role::Admin, Role::Member, true)]
    #[case(Role::Admin, Role::Admin, true)]
    #[case(Role::Admin, Role::Owner, false)]
    #[case(Role::Owner, Role::Owner, true)]
    fn removing(#[case] actor: Role, #[case] target: Role, #[case] allowed: bool) {
        assert_eq!(may_remove(Kind::Group, actor, target).is_ok(), allowed);
    }

    #[rstest]
    #[case(Role::Member, Role::Member, Role::Admin, false)]
    #[case(Role::Admin, Role::Member, Role::Admin, true)]
    #[case(Role::Admin, Role::Admin, Role::Member, true)]
    #[case(Role::Admin, Role::Member, Role::Owner, false)]
    #[case(Role::Admin, Role::Owner, Role::Member, false)]
    #[case(Role::Owner, Role::Member, Role::Owner, true)]
    #[case(Role::Owner, Role::Owner, Role::Admin, true)]
    fn giving_roles(#[case] actor: Role, #[case] from: Role, #[case] to: Role, #[case] ok: bool) {
        let decision = may_change_role(Kind::Group, (user(1), actor), (user(2), from), to, 2);
        assert_eq!(decision.is_ok(), ok);
    }

    #[test]
    fn the_last_owner_cannot_step_down_or_leave_while_others_stay() {
        let me = (user(1), Role::Owner);
        let down = may_change_role(Kind::Group, me, me, Role::Member, 1).unwrap_err();
        assert_eq!(down.code, Code::LastOwner);
        assert!(may_change_role(Kind::Group, me, me, Role::Member, 2).is_ok());
        assert_eq!(leave(Kind::Group, Role::Owner, 1, 3).unwrap_err().code, Code::LastOwner);
        assert_eq!(leave(Kind::Group, Role::Owner, 2, 3).unwrap(), Leaving::Goes);
        assert_eq!(leave(Kind::Group, Role::Member, 1, 3).unwrap(), Leaving::Goes);
        assert_eq!(leave(Kind::Group, Role::Owner, 1, 1).unwrap(), Leaving::Ends);
    }

    #[test]
    fn a_direct_chat_cannot_be_left() {
        assert_eq!(leave(Kind::Direct, Role::Member, 0, 2).unwrap_err().code, Code::WrongKind);
    }

    #[test]
    fn the_oldest_admin_inherits_before_any_member() {
        let at = Timestamp::from_micros;
        let others = [
            (user(1), Role::Member, at(1)),
            (user(2), Role::Admin, at(9)),
            (user(3), Role::Admin, at(5)),
        ];
        assert_eq!(heir(&others), Some(user(3)));
        assert_eq!(heir(&others[..1]), Some(user(1)));
        assert_eq!(heir(&[]), None);
    }

    #[test]
    fn a_group_has_a_capacity() {
        assert!(fits(Kind::Group, 1_023, 1).is_ok());
        assert_eq!(fits(Kind::Group, 1_023, 2).unwrap_err().code, Code::TooManyMembers);
    }

    proptest! {
        #[test]
        fn nobody_raises_himself(from in 0usize..3, to in 0usize..3, owners in 1u32..5) {
            let (from, to) = (ROLES[from], ROLES[to]);
            let me = (user(1), from);
            if to > from {
                prop_assert!(may_change_role(Kind::Group, me, me, to, owners).is_err());
            }
        }

        #[test]
        fn only_owners_touch_owners(actor in 0usize..2, from in 0usize..3, to in 0usize..3) {
            let touches_owner = ROLES[from] == Role::Owner || ROLES[to] == Role::Owner;
            if touches_owner {
                prop_assert!(may_change_role(
                    Kind::Channel, (user(1), ROLES[actor]), (user(2), ROLES[from]), ROLES[to], 3,
                ).is_err());
            }
        }
    }
}
