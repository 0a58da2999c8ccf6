//! Invites: made, listed, taken back. Coming in by one is with [`crate::conversations`].

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kith_domain::{Refusal, UserId, group::Action, invite::Invite, text::InviteCode};
use kith_ports::{Clock, Ids, InviteCursor, InviteStore, Page};

use crate::{
    Error, Result,
    conversations::{Address, Conversations},
    messaging::overtaken,
};

/// How many unpredictable bytes a code is made of: 144 bits, 24 characters.
const CODE_BYTES: usize = 18;

/// The ports this needs.
#[derive(Clone)]
pub struct Ports {
    /// Where invites are kept.
    pub store: Arc<dyn InviteStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Secrets, to make codes of.
    pub ids: Arc<dyn Ids>,
}

/// Invites into groups and channels.
#[derive(Clone)]
pub struct Invites {
    ports: Ports,
    conversations: Conversations,
}

/// An invite to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewInvite {
    /// After this time it is good no more; `None`: never.
    pub expires_in: Option<Duration>,
    /// So many may come in by it; `None`: any number.
    pub max_uses: Option<u32>,
}

impl Invites {
    /// Over these ports and this neighbour, who knows who may invite.
    pub fn new(ports: Ports, conversations: Conversations) -> Self {
        Self { ports, conversations }
    }

    /// Makes an invite.
    pub async fn create(&self, me: UserId, address: Address, new: NewInvite) -> Result<Invite> {
        self.conversations.authorised(me, address, Action::Invite).await?;
        let now = self.ports.clock.now();
        let invite = Invite {
            code: self.code()?,
            conversation_id: address.id,
            created_by: me,
            created_at: now,
            expires_at: new.expires_in.map(|span| now.after(span)),
            max_uses: new.max_uses,
            uses: 0,
        };
        if self.ports.store.create(invite.clone()).await? {
            return Ok(invite);
        }
        // The right went in between; asked again, it says how.
        self.conversations.authorised(me, address, Action::Invite).await?;
        Err(overtaken())
    }

    fn code(&self) -> Result<InviteCode> {
        let secret = self.ports.ids.secret();
        let code = URL_SAFE_NO_PAD.encode(&secret[..CODE_BYTES]);
        InviteCode::parse(&code).map_err(|_| Error::Internal(None))
    }

    /// A page of the invites of a conversation, the newest first.
    pub async fn list(
        &self,
        me: UserId,
        address: Address,
        after: Option<InviteCursor>,
        limit: usize,
    ) -> Result<Page<Invite, InviteCursor>> {
        self.conversations.authorised(me, address, Action::Invite).await?;
        Ok(self.ports.store.list(address.id, after, limit).await?)
    }

    /// Takes an invite back.
    pub async fn revoke(&self, me: UserId, address: Address, code: InviteCode) -> Result<()> {
        self.conversations.authorised(me, address, Action::Invite).await?;
        if self.ports.store.revoke(me, address.id, code).await? {
            return Ok(());
        }
        self.conversations.authorised(me, address, Action::Invite).await?;
        Err(Refusal::not_found().into())
    }
}

#[cfg(test)]
mod tests;
