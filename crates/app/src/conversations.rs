//! Direct chats, groups, members.
//!
//! Each decision is made from a snapshot and saved under the epoch that was read with it. If
//! others were faster, it is made anew.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use kith_domain::{
    Code, ConversationId, FieldError, Refusal, UserId,
    conversation::{Conversation, ConversationPatch, Kind, Posting, Seq, Version, pair},
    group::{self, Action, Leaving, MemberChange, Role},
    text::{Description, Name},
};
use kith_ports::{
    Catalog, Changes, Clock, ConversationCard, ConversationStore, HistoryPage, HistorySelector,
    Ids, InboxCursor, InboxFilter, MemberCursor, MemberRow, MessageContext, MessageStore, Page,
    Snapshot, UserStore,
    log::{Applied, Change, Open, Opening, Rejected},
};

use crate::{
    Error, Result,
    messaging::{ATTEMPTS, Messaging, overtaken},
};

/// The most people that one request may name.
const MOST_NAMED: usize = 1_024;

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Reads of conversations.
    pub store: Arc<dyn ConversationStore>,
    /// Reads of messages.
    pub messages: Arc<dyn MessageStore>,
    /// Accounts, to be added.
    pub users: Arc<dyn UserStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
}

/// Conversations and their members.
#[derive(Clone)]
pub struct Conversations {
    ports: Ports,
    messaging: Messaging,
}

/// How a conversation is addressed: by its id, and perhaps as of a certain kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its id.
    pub id: ConversationId,
    /// The only kind meant: under `/groups`, a direct chat does not exist.
    pub kind: Option<Kind>,
}

impl Address {
    fn means(&self, conversation: &Conversation) -> bool {
        self.kind.is_none_or(|kind| kind == conversation.kind)
    }
}

impl From<ConversationId> for Address {
    fn from(id: ConversationId) -> Self {
        Self { id, kind: None }
    }
}

/// A group to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its name.
    pub name: Name,
    /// What it says of itself.
    pub description: Option<Description>,
    /// Its first members beside its maker.
    pub members: Vec<UserId>,
    /// The field that named them, for errors.
    pub members_field: &'static str,
}

impl Conversations {
    /// Over these ports.
    pub fn new(ports: Ports, messaging: Messaging) -> Self {
        Self { ports, messaging }
    }

    /// The direct chat with `peer`; `true` if it was made now.
    pub async fn open_direct(&self, me: UserId, peer: UserId) -> Result<(ConversationCard, bool)> {
        pair(me, peer, "user_id")?;
        let id = ConversationId::direct(me, peer);
        let open = self.messaging.command(id, Change::Open(Open { by: me, peer }));
        let Applied::Opened(_, _, opening) = self.messaging.execute(open).await? else {
            return Err(Error::Internal(None));
        };
        Ok((self.card(me, id.into()).await?, opening == Opening::Made))
    }

    /// Makes a group with its maker as owner.
    pub async fn create_group(&self, me: UserId, new: NewGroup) -> Result<ConversationCard> {
        let others = self.known(me, new.members, new.members_field).await?;
        group::fits(Kind::Group, 1, others.len())?;
        let now = self.ports.clock.now();
        let mut members = vec![(me, Role::Owner)];
        members.extend(others.into_iter().map(|user| (user, Role::Member)));
        let conversation = Conversation {
            id: self.ports.ids.conversation(),
            kind: Kind::Group,
            pair: None,
            name: Some(new.name),
            description: new.description,
            posting: Posting::Everyone,
            created_by: me,
            created_at: now,
            updated_at: now,
            member_count: u32::try_from(members.len()).unwrap_or(u32::MAX),
            settings_epoch: 0,
        };
        let id = conversation.id;
        let create = self.messaging.command(id, Change::Create { conversation, members });
        self.messaging.execute(create).await?;
        self.card(me, id.into()).await
    }

    /// Those of `named` who are others with living accounts, each once; an unknown one is refused
    /// by name.
    async fn known(
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
        let living: HashSet<UserId> = self
            .ports
            .users
            .find(&ids)
            .await?
            .into_iter()
            .filter(|user| !user.is_deleted())
            .map(|user| user.id)
            .collect();
        let unknown: Vec<FieldError> = others
            .iter()
            .filter(|(_, user)| !living.contains(user))
            .map(|(place, user)| FieldError {
                field: place_in(field, *place),
                code: Code::UnknownUser,
                message: format!("no account has the id {user}").into(),
            })
            .collect();
        if unknown.is_empty() { Ok(ids) } else { Err(Refusal::invalid(unknown).into()) }
    }

    /// One conversation, as `viewer` sees it.
    pub async fn card(&self, viewer: UserId, address: Address) -> Result<ConversationCard> {
        let card = self.ports.store.card(viewer, address.id).await?;
        let card = card.filter(|card| address.means(&card.conversation));
        Ok(card.ok_or_else(Refusal::not_found)?)
    }

    /// A page of `viewer`'s conversations.
    pub async fn inbox(
        &self,
        viewer: UserId,
        filter: InboxFilter,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Catalog> {
        Ok(self.ports.store.inbox(viewer, filter, after, limit).await?)
    }

    /// A page of the members.
    pub async fn members(
        &self,
        viewer: UserId,
        address: Address,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Page<MemberRow, MemberCursor>> {
        self.authorised(viewer, address, Action::ListMembers).await?;
        let page = self.ports.store.members(viewer, address.id, after, limit).await?;
        Ok(page.ok_or_else(Refusal::not_found)?)
    }

    /// Those of `named` who are members, for one who has just changed something about them.
    pub async fn members_named(
        &self,
        viewer: UserId,
        address: Address,
        named: &[UserId],
    ) -> Result<Vec<MemberRow>> {
        self.authorised(viewer, address, Action::ListMembers).await?;
        Ok(self.ports.store.members_named(address.id, named).await?)
    }

    /// A page of the history.
    pub async fn history(
        &self,
        viewer: UserId,
        address: Address,
        selector: HistorySelector,
        limit: usize,
    ) -> Result<HistoryPage> {
        if address.kind.is_some() {
            self.card(viewer, address).await?;
        }
        let page = self.ports.messages.history(viewer, address.id, selector, limit).await?;
        Ok(page.ok_or_else(Refusal::not_found)?)
    }

    /// A page of the direct chat with `peer`, which may not be there yet.
    pub async fn direct_history(
        &self,
        viewer: UserId,
        peer: UserId,
        selector: HistorySelector,
        limit: usize,
    ) -> Result<HistoryPage> {
        pair(viewer, peer, "user_id")?;
        let id = ConversationId::direct(viewer, peer);
        if let Some(page) = self.ports.messages.history(viewer, id, selector, limit).await? {
            return Ok(page);
        }
        if self.ports.users.find(&[peer]).await?.is_empty() {
            return Err(Refusal::not_found().into());
        }
        Ok(HistoryPage { items: Vec::new(), has_before: false, has_after: false, version: 0 })
    }

    /// One message that `viewer` may see.
    pub async fn message(
        &self,
        viewer: UserId,
        id: kith_domain::MessageId,
    ) -> Result<MessageContext> {
        let found = self.ports.messages.message(viewer, id).await?;
        Ok(found.ok_or_else(Refusal::not_found)?)
    }

    /// The number of a message in a conversation, for pages around or before it.
    pub async fn seq_of(
        &self,
        viewer: UserId,
        conversation: ConversationId,
        id: kith_domain::MessageId,
    ) -> Result<Seq> {
        let found = self.message(viewer, id).await?;
        if found.message.conversation_id != conversation {
            return Err(Refusal::not_found().into());
        }
        Ok(found.message.seq)
    }

    /// What changed in a conversation since a version.
    pub async fn changes(
        &self,
        viewer: UserId,
        address: Address,
        since: Version,
        limit: usize,
    ) -> Result<Changes> {
        let changes = self.ports.store.changes(viewer, address.id, since, limit).await?;
        let changes = changes.filter(|changes| address.means(&changes.card.conversation));
        Ok(changes.ok_or_else(Refusal::not_found)?)
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
            Ok(members(snapshot, fresh))
        })
        .await
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
            Ok(members(snapshot, vec![MemberChange::Leaves(target)]))
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
            Ok(members(snapshot, change.into_iter().collect()))
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
                Leaving::Goes => members(snapshot, vec![MemberChange::Leaves(me)]),
                Leaving::Ends => Some(Change::Remove { member_epoch }),
            })
        })
        .await
    }

    /// Leaves every group and channel, for ever: where `me` is the last owner, the oldest admin
    /// inherits, else the oldest member.
    pub(crate) async fn leave_all(&self, me: UserId) -> Result<()> {
        for topic in self.ports.store.topics(me).await? {
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
            Ok(members(snapshot, changes))
        })
        .await
    }

    /// Changes name, description, posting.
    pub async fn update(
        &self,
        me: UserId,
        address: Address,
        patch: ConversationPatch,
    ) -> Result<ConversationCard> {
        self.decide(address, &[me], |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            group::may(kind, snapshot.conversation.posting, role, Action::Update)?;
            Ok((patch != ConversationPatch::default()).then(|| Change::Update {
                patch: patch.clone(),
                member_epoch: snapshot.head.member_epoch,
                settings_epoch: snapshot.conversation.settings_epoch,
            }))
        })
        .await?;
        self.card(me, address).await
    }

    /// Deletes a group or channel for all.
    pub async fn delete(&self, me: UserId, address: Address) -> Result<()> {
        self.decide(address, &[me], |snapshot| {
            let (kind, role) = standing(snapshot, me)?;
            group::may(kind, snapshot.conversation.posting, role, Action::Delete)?;
            Ok(Some(Change::Remove { member_epoch: snapshot.head.member_epoch }))
        })
        .await
    }

    /// Hides a conversation for `me`, with what it holds so far.
    pub async fn hide(&self, me: UserId, address: Address) -> Result<()> {
        self.card(me, address).await?;
        let hide = self.messaging.command(address.id, Change::Hide { member: me });
        self.messaging.execute(hide).await?;
        Ok(())
    }

    async fn snapshot(&self, address: Address, users: &[UserId]) -> Result<Snapshot> {
        let snapshot = self.ports.store.snapshot(address.id, users).await?;
        let snapshot = snapshot.filter(|snapshot| address.means(&snapshot.conversation));
        Ok(snapshot.ok_or_else(Refusal::not_found)?)
    }

    async fn authorised(&self, me: UserId, address: Address, action: Action) -> Result<()> {
        let snapshot = self.snapshot(address, &[me]).await?;
        let (kind, role) = standing(&snapshot, me)?;
        Ok(group::may(kind, snapshot.conversation.posting, role, action)?)
    }

    /// Reads, decides, saves under the epoch that was read; anew if others were faster. `None`:
    /// there is nothing to change.
    async fn decide(
        &self,
        address: Address,
        users: &[UserId],
        decide: impl Fn(&Snapshot) -> std::result::Result<Option<Change>, Refusal>,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot(address, users).await?;
            let Some(change) = decide(&snapshot)? else { return Ok(()) };
            match self.messaging.execute_once(self.messaging.command(address.id, change)).await? {
                Ok(_) => return Ok(()),
                Err(Rejected::Stale) => {}
                Err(Rejected::Refused(refusal)) => return Err(refusal.into()),
            }
        }
        Err(overtaken())
    }
}

/// Where an id stands in a request: in a list, or alone in a field for one.
fn place_in(field: &'static str, place: usize) -> Cow<'static, str> {
    if field.ends_with("_id") { field.into() } else { format!("{field}[{place}]").into() }
}

/// What `me` is here. To one who is not a member the conversation does not exist.
fn standing(snapshot: &Snapshot, me: UserId) -> std::result::Result<(Kind, Role), Refusal> {
    let role = snapshot.role_of(me).ok_or_else(Refusal::not_found)?;
    Ok((snapshot.conversation.kind, role))
}

fn members(snapshot: &Snapshot, changes: Vec<MemberChange>) -> Option<Change> {
    let member_epoch = snapshot.head.member_epoch;
    (!changes.is_empty()).then_some(Change::Members { changes, member_epoch })
}

#[cfg(test)]
mod tests;
