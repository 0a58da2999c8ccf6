//! Who is in it: listing, adding, removing, roles, leaving.

use std::{borrow::Cow, collections::HashSet};

use kith_domain::{
    Code, FieldError, Refusal, UserId,
    group::{self, Action, Leaving, MemberChange, Role},
};
use kith_ports::{MemberCursor, MemberRow, Page, Snapshot, log::Change};

use super::{Address, Conversations, standing};
use crate::{Error, Result};

/// The most people that one request may name.
const MOST_NAMED: usize = 1_024;

impl Conversations {
    /// A page of the members; a plain member of a channel sees its admins and owners alone.
    pub async fn members(
        &self,
        viewer: UserId,
        address: Address,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Page<MemberRow, MemberCursor>> {
        self.ensure_kind(viewer, address).await?;
        let page = self.ports.store.members(viewer, address.id, after, limit).await?;
        Ok(page.ok_or_else(Refusal::not_found)?)
    }

    /// Those of `named` who are members, for one who has just changed something about them; who may
    /// not list the members of a channel sees its admins and owners, and himself.
    pub async fn members_named(
        &self,
        viewer: UserId,
        address: Address,
        named: &[UserId],
    ) -> Result<Vec<MemberRow>> {
        let snapshot = self.snapshot(address, &[viewer]).await?;
        let (kind, role) = standing(&snapshot, viewer)?;
        let mut rows = self.ports.store.members_named(address.id, named).await?;
        if group::may(kind, snapshot.conversation.posting, role, Action::ListMembers).is_err() {
            rows.retain(|row| row.role >= Role::Admin || row.user.id == viewer);
        }
        Ok(rows)
    }

    /// Adds people. Those who are members already are left as they are.
    pub async fn add_members(
        &self,
        me: UserId,
        address: Address,
        named: Vec<UserId>,
        field: &'static str,
    ) -> Result<()> {
        // Rights first: who may not add is not told who exists.
        self.authorised(me, address, Action::AddMembers).await?;
        let named = self.known(me, named, field).await?;
        let asked: Vec<UserId> = std::iter::once(me).chain(named.iter().copied()).collect();
        self.decide(address, &asked, |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            group::may(kind, snapshot.conversation.posting, role, Action::AddMembers)?;
            let fresh: Vec<MemberChange> = named
                .iter()
                .filter(|user| snapshot.role_of(**user).is_none())
                .map(|user| MemberChange::Joins(*user, Role::Member))
                .collect();
            group::fits(kind, snapshot.conversation.member_count, fresh.len())?;
            Ok(self.changing(snapshot, me, fresh))
        })
        .await
    }

    /// Those of `named` who are others with living accounts, each once. Who is unknown, or blocked by
    /// `me`, or has blocked him, is refused by name.
    pub(super) async fn known(
        &self,
        me: UserId,
        named: Vec<UserId>,
        field: &'static str,
    ) -> Result<Vec<UserId>> {
        if named.len() > MOST_NAMED {
            let message = format!("must name at most {MOST_NAMED} people");
            return Err(Refusal::wrong_field(field, Code::TooLong, message).into());
        }
        let mut seen = HashSet::from([me]);
        let others: Vec<(usize, UserId)> =
            named.into_iter().enumerate().filter(|(_, user)| seen.insert(*user)).collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<UserId> = others.iter().map(|(_, user)| *user).collect();
        let found = self.ports.users.find(&ids).await?;
        let living: HashSet<UserId> =
            found.into_iter().filter(|user| !user.is_deleted()).map(|user| user.id).collect();
        let unknown: Vec<FieldError> = others
            .iter()
            .filter(|(_, user)| !living.contains(user))
            .map(|(place, user)| FieldError {
                field: place_in(field, *place),
                code: Code::UnknownUser,
                message: format!("no account has the id {user}").into(),
            })
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::invalid(unknown).into());
        }
        let blocked = self.ports.blocks.blocked_among(me, &ids).await?;
        let apart: Vec<FieldError> = others
            .iter()
            .filter(|(_, user)| blocked.contains(user))
            .map(|(place, user)| FieldError {
                field: place_in(field, *place),
                code: Code::Blocked,
                message: format!("you have blocked {user}, or are blocked there").into(),
            })
            .collect();
        if !apart.is_empty() {
            return Err(Refusal { fields: apart, ..Refusal::blocked() }.into());
        }
        Ok(ids)
    }

    /// Removes another member.
    pub async fn remove_member(&self, me: UserId, address: Address, target: UserId) -> Result<()> {
        if me == target {
            return self.leave(me, address).await;
        }
        self.decide(address, &[me, target], |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            let theirs = snapshot.role_of(target);
            group::may_remove(kind, role, theirs.unwrap_or(Role::Member))?;
            theirs.ok_or_else(Refusal::not_found)?;
            Ok(self.changing(snapshot, me, vec![MemberChange::Leaves(target)]))
        })
        .await
    }

    /// Gives a member another role.
    pub async fn change_role(
        &self,
        me: UserId,
        address: Address,
        target: UserId,
        to: Role,
    ) -> Result<()> {
        self.decide(address, &[me, target], |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            let theirs = snapshot.role_of(target);
            let from = theirs.unwrap_or(Role::Member);
            group::may_change_role(kind, (me, role), (target, from), to, snapshot.owners)?;
            theirs.ok_or_else(Refusal::not_found)?;
            let change = (from != to).then_some(MemberChange::Becomes(target, to));
            Ok(self.changing(snapshot, me, change.into_iter().collect()))
        })
        .await
    }

    /// Leaves. The last one ends the conversation with it.
    pub async fn leave(&self, me: UserId, address: Address) -> Result<()> {
        self.decide(address, &[me], |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            let count = snapshot.conversation.member_count;
            let member_epoch = snapshot.head.member_epoch;
            Ok(match group::leave(kind, role, snapshot.owners, count)? {
                Leaving::Goes => self.changing(snapshot, me, vec![MemberChange::Leaves(me)]),
                Leaving::Ends => Some(Change::Remove { member_epoch }),
            })
        })
        .await
    }

    /// Leaves every group and channel, for ever: where `me` is the last owner, the oldest admin
    /// inherits, else the oldest member.
    pub(crate) async fn leave_all(&self, me: UserId) -> Result<()> {
        for topic in self.ports.store.topics(&[me]).await?.concat() {
            let address = Address::from(topic.conversation_id);
            let left = self.leave(me, address).await;
            match left {
                Err(Error::Refused(refusal)) if refusal.code == Code::LastOwner => {
                    self.hand_over(me, address).await?;
                }
                Err(Error::Refused(refusal)) if refusal.code == Code::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn hand_over(&self, me: UserId, address: Address) -> Result<()> {
        let mut others = Vec::new();
        let mut after = None;
        loop {
            let page = self.ports.store.members(me, address.id, after, 1_000).await?;
            let page = page.ok_or_else(Refusal::not_found)?;
            let page_others = page.items.iter().filter(|member| member.user.id != me);
            others.extend(page_others.map(|m| (m.user.id, m.role, m.joined_at)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let heir = group::heir(&others).ok_or_else(Refusal::not_found)?;
        self.decide(address, &[me, heir], |snapshot| {
            standing(snapshot, me)?;
            snapshot.role_of(heir).ok_or_else(Refusal::not_found)?;
            let changes = vec![MemberChange::Becomes(heir, Role::Owner), MemberChange::Leaves(me)];
            Ok(self.changing(snapshot, me, changes))
        })
        .await
    }

    /// These changes, decided by `by` from `snapshot`; `None` if there are none.
    fn changing(
        &self,
        snapshot: &Snapshot,
        by: UserId,
        changes: Vec<MemberChange>,
    ) -> Option<Change> {
        let member_epoch = snapshot.head.member_epoch;
        let noted = |change| (change, self.ports.ids.message());
        let changes: Vec<_> = changes.into_iter().map(noted).collect();
        (!changes.is_empty()).then_some(Change::Members { by, changes, member_epoch })
    }
}

/// Where an id stands in a request: in a list, or alone in a field for one.
fn place_in(field: &'static str, place: usize) -> Cow<'static, str> {
    if field.ends_with("_id") { field.into() } else { format!("{field}[{place}]").into() }
}
