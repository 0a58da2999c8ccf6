//! Conversations as one member sees them.
//!
//! Cards are made many at a time: the places with their unread counts in one statement, then the
//! newest messages and the peers of all of them in one each.

use std::collections::HashMap;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, UserId,
    conversation::{Conversation, Head, Kind, Seq},
    group::{Action, may},
    user::User,
};
use kith_ports::{ConversationCard, MessageCard, StoreError, Unread as UnreadCount};

use super::{
    Connection, RunQueryDsl, either,
    shown::{Sight, show},
    users,
};
use crate::{
    failure::Work,
    queries::{Unread, is_current, memberships},
    rows::{ConversationRow, HeadRow, MemberRow, MessageRow},
    schema::{heads, members, messages},
    types::Key,
};

/// A member's place in a conversation that is there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) member: MemberRow,
    pub(super) conversation: Conversation,
    pub(super) head: Head,
}

impl Place {
    pub(super) fn new(
        (member, conversation, head): (MemberRow, ConversationRow, HeadRow),
    ) -> Result<Self, StoreError> {
        Ok(Self { member, conversation: conversation.try_into()?, head: head.into() })
    }

    /// How the member sees its messages.
    pub(super) const fn sight(&self) -> Sight {
        Sight::new(&self.conversation, self.member.first_seq)
    }

    /// The first message that the member sees.
    pub(super) const fn first_visible(&self) -> Seq {
        self.sight().from
    }

    /// Whether the member may see who all the members are.
    pub(super) fn lists_members(&self) -> Result<bool, StoreError> {
        let (kind, posting) = (self.conversation.kind, self.conversation.posting);
        Ok(may(kind, posting, self.member.role()?, Action::ListMembers).is_ok())
    }

    /// Whether the member sees any message.
    fn sees_any(&self) -> bool {
        self.head.last_seq >= self.first_visible()
    }
}

/// The place of one who is in it now.
#[either]
pub(super) async fn place(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
) -> Work<Option<Place>> {
    let row: Option<(MemberRow, ConversationRow, HeadRow)> = memberships()
        .filter(members::conversation_id.eq(Key::from(id)))
        .filter(members::user_id.eq(Key::from(viewer)))
        .filter(is_current())
        .select((MemberRow::as_select(), ConversationRow::as_select(), HeadRow::as_select()))
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(Place::new).transpose()?)
}

/// One conversation of one who is in it now.
#[either]
pub(super) async fn card(
    connection: &mut Connection,
    viewer: UserId,
    id: ConversationId,
) -> Work<Option<ConversationCard>> {
    let Some(place) = place(connection, viewer, id).await? else { return Ok(None) };
    Ok(dress(connection, viewer, vec![place]).await?.pop())
}

/// Makes cards of places, in their order.
#[either]
pub(super) async fn dress(
    connection: &mut Connection,
    viewer: UserId,
    places: Vec<Place>,
) -> Work<Vec<ConversationCard>> {
    let ids: Vec<Key> = places.iter().map(|place| place.conversation.id.into()).collect();
    let with_messages: HashMap<Key, Sight> = places
        .iter()
        .filter(|place| place.sees_any())
        .map(|place| (place.conversation.id.into(), place.sight()))
        .collect();
    let unread = unread(connection, viewer, &ids).await?;
    let mut newest = newest(connection, viewer, &with_messages).await?;
    let peers: Vec<UserId> =
        places.iter().filter_map(|place| place.conversation.peer_of(viewer)).collect();
    let peers: HashMap<UserId, User> =
        users::find(connection, &peers).await?.into_iter().map(|user| (user.id, user)).collect();
    places
        .into_iter()
        .map(|place| {
            let Place { member, conversation, head } = place;
            let peer = conversation.peer_of(viewer).and_then(|id| peers.get(&id)).cloned();
            if conversation.kind == Kind::Direct && peer.is_none() {
                return Err(StoreError::Corrupt {
                    table: "conversations",
                    id: conversation.id.to_string(),
                    what: String::from("user_a or user_b names an account that is not there"),
                }
                .into());
            }
            Ok(ConversationCard {
                last_message: newest.remove(&conversation.id),
                peer,
                my: member.membership(&head)?,
                unread: unread.get(&conversation.id).copied().unwrap_or_default(),
                conversation,
                head,
            })
        })
        .collect()
}

/// How much a member has not read. Asked for those that are shown alone: where rows are sorted
/// first, the count would be taken of each of them.
#[either]
async fn unread(
    connection: &mut Connection,
    viewer: UserId,
    ids: &[Key],
) -> Work<HashMap<ConversationId, UnreadCount>> {
    let query = members::table
        .filter(members::user_id.eq(Key::from(viewer)))
        .select((members::conversation_id, Unread));
    let rows: Vec<(Key, i64)> = match ids {
        [] => Vec::new(),
        [id] => query.filter(members::conversation_id.eq(id)).load(connection).await?,
        ids => query.filter(members::conversation_id.eq_any(ids)).load(connection).await?,
    };
    let unpacked = rows.into_iter().map(|(id, number)| {
        let (count, mentions) = Unread::unpack(number);
        (id.into(), UnreadCount { count, mentions })
    });
    Ok(unpacked.collect())
}

/// The newest messages of conversations that `viewer` sees so.
#[either]
async fn newest(
    connection: &mut Connection,
    viewer: UserId,
    sights: &HashMap<Key, Sight>,
) -> Work<HashMap<ConversationId, MessageCard>> {
    let query = messages::table
        .inner_join(
            heads::table.on(heads::conversation_id
                .eq(messages::conversation_id)
                .and(heads::last_seq.eq(messages::seq))),
        )
        .select(MessageRow::as_select());
    let ids: Vec<Key> = sights.keys().copied().collect();
    let rows: Vec<MessageRow> = match ids.as_slice() {
        [] => Vec::new(),
        // The plan for one is kept; a list is planned each time.
        [id] => query.filter(heads::conversation_id.eq(id)).load(connection).await?,
        ids => query.filter(heads::conversation_id.eq_any(ids)).load(connection).await?,
    };
    let rows = rows
        .into_iter()
        .filter_map(|row| Some((*sights.get(&row.conversation_id)?, row)))
        .collect();
    let cards = show(connection, viewer, rows).await?;
    Ok(cards.into_iter().map(|card| (card.message.conversation_id, card)).collect())
}
