//! Direct chats, groups, channels, members.
//!
//! Each decision is made from a snapshot and saved under the epoch that was read with it. If
//! others were faster, it is made anew.

mod groups;
mod joining;
mod members;

use std::sync::Arc;

use kith_domain::{
    ConversationId, MessageId, Refusal, UserId,
    conversation::{Conversation, Kind, Seq, SettingsPatch, Version, pair},
    group::{self, Action, Role},
};
use kith_ports::{
    BlockStore, Catalog, Changes, Clock, ConversationCard, ConversationStore, HistoryPage,
    HistorySelector, Ids, InboxCursor, InboxFilter, InviteStore, MessageCard, MessageStore,
    Snapshot, UserStore,
    log::{Applied, Change, Open, Opening, Rejected},
};

pub use self::{
    groups::{NewChannel, NewGroup},
    joining::View,
};
use crate::{
    Error, Result,
    messaging::{ATTEMPTS, Messaging, overtaken},
};

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Reads of conversations.
    pub store: Arc<dyn ConversationStore>,
    /// Reads of messages.
    pub messages: Arc<dyn MessageStore>,
    /// Accounts, to be added.
    pub users: Arc<dyn UserStore>,
    /// Who does not want to be added by whom.
    pub blocks: Arc<dyn BlockStore>,
    /// Invites, to come in by.
    pub invites: Arc<dyn InviteStore>,
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
    pub(crate) fn means(&self, conversation: &Conversation) -> bool {
        self.may_mean(conversation.kind)
    }

    fn may_mean(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }
}

impl From<ConversationId> for Address {
    fn from(id: ConversationId) -> Self {
        Self { id, kind: None }
    }
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

    /// A page of the history.
    pub async fn history(
        &self,
        viewer: UserId,
        address: Address,
        selector: HistorySelector,
        limit: usize,
    ) -> Result<HistoryPage> {
        self.ensure_kind(viewer, address).await?;
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

    /// One message that `viewer` may see, as he sees it.
    pub async fn message(&self, viewer: UserId, id: MessageId) -> Result<MessageCard> {
        let found = self.ports.messages.card(viewer, id).await?;
        Ok(found.ok_or_else(Refusal::not_found)?)
    }

    /// The number of a message in a conversation, for pages around or before it.
    pub async fn seq_of(
        &self,
        viewer: UserId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Seq> {
        match self.ports.messages.locate(viewer, id).await? {
            Some((place, seq)) if place == conversation => Ok(seq),
            _ => Err(Refusal::not_found().into()),
        }
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

    /// Hides a conversation for `me`, with what it holds so far.
    pub async fn hide(&self, me: UserId, address: Address) -> Result<()> {
        self.card(me, address).await?;
        let hide = self.messaging.command(address.id, Change::Hide { member: me });
        self.messaging.execute(hide).await?;
        Ok(())
    }

    /// Changes one's own settings of a conversation: nobody else sees them.
    pub async fn settings(
        &self,
        me: UserId,
        address: Address,
        patch: SettingsPatch,
    ) -> Result<ConversationCard> {
        self.ensure_kind(me, address).await?;
        if patch != SettingsPatch::default() {
            let change = Change::Settings { member: me, patch };
            self.messaging.execute(self.messaging.command(address.id, change)).await?;
        }
        self.card(me, address).await
    }

    /// That a conversation which is addressed as of a certain kind is of that kind.
    async fn ensure_kind(&self, me: UserId, address: Address) -> Result<()> {
        if address.kind.is_some() {
            self.card(me, address).await?;
        }
        Ok(())
    }

    async fn snapshot(&self, address: Address, users: &[UserId]) -> Result<Snapshot> {
        let snapshot = self.ports.store.snapshot(address.id, users).await?;
        let snapshot = snapshot.filter(|snapshot| address.means(&snapshot.conversation));
        Ok(snapshot.ok_or_else(Refusal::not_found)?)
    }

    /// That `me` may do this here.
    pub(crate) async fn authorised(
        &self,
        me: UserId,
        address: Address,
        action: Action,
    ) -> Result<()> {
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

/// What `me` is here. To one who is not a member the conversation does not exist.
fn standing(snapshot: &Snapshot, me: UserId) -> std::result::Result<(Kind, Role), Refusal> {
    let role = snapshot.role_of(me).ok_or_else(Refusal::not_found)?;
    Ok((snapshot.conversation.kind, role))
}

#[cfg(test)]
mod tests;
