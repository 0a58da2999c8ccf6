//! What anyone may see of a channel, and coming in of one's own will.

use kith_domain::{Refusal, UserId, conversation::Kind, text::InviteCode};
use kith_ports::{
    ConversationCard, DirectoryCursor, Listing, Page,
    log::{Change, Entrance, Join},
};

use super::{Address, Conversations};
use crate::Result;

/// A conversation, as far as one may see it.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// As a member sees it.
    Member(Box<ConversationCard>),
    /// As anyone may see a channel.
    Visitor(Listing),
}

impl Conversations {
    /// One conversation: whole to a member, its face to anyone else if it is a channel.
    pub async fn view(&self, me: UserId, address: Address) -> Result<View> {
        if let Some(card) = self.ports.store.card(me, address.id).await? {
            let card = Some(card).filter(|card| address.means(&card.conversation));
            return Ok(View::Member(Box::new(card.ok_or_else(Refusal::not_found)?)));
        }
        if !address.may_mean(Kind::Channel) {
            return Err(Refusal::not_found().into());
        }
        let listing = self.ports.store.listing(me, address.id).await?;
        Ok(View::Visitor(listing.ok_or_else(Refusal::not_found)?))
    }

    /// A page of the channels, by name; with `prefix` those whose name, or a word of whose name,
    /// begins with it.
    pub async fn directory(
        &self,
        viewer: UserId,
        prefix: Option<String>,
        after: Option<DirectoryCursor>,
        limit: usize,
    ) -> Result<Page<Listing, DirectoryCursor>> {
        Ok(self.ports.store.directory(viewer, prefix, after, limit).await?)
    }

    /// Comes into a channel. For one who is in already nothing changes. A group or a direct chat
    /// does not exist here.
    pub async fn join(&self, me: UserId, address: Address) -> Result<ConversationCard> {
        if !address.may_mean(Kind::Channel) {
            return Err(Refusal::not_found().into());
        }
        self.enter(me, address, Entrance::Open).await
    }

    /// Comes in by an invite. For one who is in already nothing changes, and no use is counted.
    pub async fn join_by_invite(&self, me: UserId, code: InviteCode) -> Result<ConversationCard> {
        // Whether it is still good is judged where it is counted.
        let invite = self.ports.invites.find(code.clone()).await?;
        let invite = invite.ok_or_else(Refusal::not_found)?;
        self.enter(me, invite.conversation_id.into(), Entrance::Invite(code)).await
    }

    async fn enter(&self, me: UserId, address: Address, by: Entrance) -> Result<ConversationCard> {
        let join = Join { user: me, by, note: self.ports.ids.message() };
        self.messaging.execute(self.messaging.command(address.id, Change::Join(join))).await?;
        self.card(me, address).await
    }
}
