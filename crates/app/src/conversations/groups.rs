//! Groups and channels: made, changed, deleted.

use kith_domain::{
    UserId,
    conversation::{Conversation, ConversationPatch, Kind, Posting},
    group::{self, Action, Role},
    text::{Description, Name},
};
use kith_ports::{ConversationCard, log::Change};

use super::{Address, Conversations, standing};
use crate::Result;

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

/// A channel to be made.
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// Its name. Several channels may have the same.
    pub name: Name,
    /// What it says of itself.
    pub description: Option<Description>,
    /// Who may write.
    pub posting: Posting,
}

/// A group or channel to be made, its members known.
struct New {
    kind: Kind,
    name: Name,
    description: Option<Description>,
    posting: Posting,
    others: Vec<UserId>,
}

impl Conversations {
    /// Makes a group with its maker as owner.
    pub async fn create_group(&self, me: UserId, new: NewGroup) -> Result<ConversationCard> {
        let others = self.known(me, new.members, new.members_field).await?;
        group::fits(Kind::Group, 1, others.len())?;
        let NewGroup { name, description, .. } = new;
        let (kind, posting) = (Kind::Group, Posting::Everyone);
        self.create(me, New { kind, name, description, posting, others }).await
    }

    /// Makes a channel with its maker as owner, and alone in it.
    pub async fn create_channel(&self, me: UserId, new: NewChannel) -> Result<ConversationCard> {
        let NewChannel { name, description, posting } = new;
        let (kind, others) = (Kind::Channel, Vec::new());
        self.create(me, New { kind, name, description, posting, others }).await
    }

    async fn create(&self, me: UserId, new: New) -> Result<ConversationCard> {
        let now = self.ports.clock.now();
        let mut members = vec![(me, Role::Owner)];
        members.extend(new.others.into_iter().map(|user| (user, Role::Member)));
        let conversation = Conversation {
            id: self.ports.ids.conversation(),
            kind: new.kind,
            pair: None,
            name: Some(new.name),
            description: new.description,
            posting: new.posting,
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
                by: me,
                note: self.ports.ids.message(),
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
}
