//! From what use cases return to what the wire says.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::header};
use kith_app::{
    people::{People, Seen},
    sessions::TokenPair,
};
use kith_domain::{UserId, user::User};
use kith_ports::{ConversationCard, MemberRow};
use kith_protocol::rest;
use serde::Serialize;

/// The answer to a login.
pub(crate) fn login(user: &User, tokens: TokenPair) -> rest::LoginAnswer {
    rest::LoginAnswer {
        token: tokens.access,
        token_type: "Bearer".to_owned(),
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh,
        user: user.into(),
    }
}

pub(crate) fn profile(seen: &Seen) -> rest::Profile {
    (&seen.user, seen.presence).into()
}

/// Conversations as `viewer` sees them, with the presence of the others of direct chats, which is
/// read for all of them at once.
pub(crate) async fn conversations(
    people: &People,
    viewer: UserId,
    mut cards: Vec<ConversationCard>,
) -> kith_app::Result<Vec<rest::Conversation>> {
    let peers: Vec<User> = cards.iter_mut().filter_map(|card| card.peer.take()).collect();
    let seen = people.seen_by(viewer, peers).await?;
    let peers: HashMap<UserId, rest::Profile> =
        seen.iter().map(|seen| (seen.user.id, profile(seen))).collect();
    let render = |card: &ConversationCard| {
        let peer = card.conversation.peer_of(viewer).and_then(|id| peers.get(&id).cloned());
        conversation(card, peer)
    };
    Ok(cards.iter().map(render).collect())
}

/// One conversation.
pub(crate) async fn one_conversation(
    people: &People,
    viewer: UserId,
    card: ConversationCard,
) -> kith_app::Result<rest::Conversation> {
    let mut rendered = conversations(people, viewer, vec![card]).await?;
    rendered.pop().ok_or(kith_app::Error::Internal(None))
}

fn conversation(card: &ConversationCard, peer: Option<rest::Profile>) -> rest::Conversation {
    let my = &card.my;
    rest::Conversation {
        last_message: card.last_message.as_ref().map(Into::into),
        peer,
        my: Some(rest::My {
            role: my.role.into(),
            first_seq: my.first_seq,
            read_seq: my.marks.read,
            delivered_seq: my.marks.delivered,
            unread_count: card.unread.count,
            unread_mentions: 0,
            muted_until: my.muted_until.map(Into::into),
            pinned: my.pinned,
            archived: my.archived,
            hidden: my.hidden,
        }),
        ..(&card.conversation, &card.head).into()
    }
}

pub(crate) fn member(row: &MemberRow) -> rest::Member {
    rest::Member {
        user_id: *row.user.id.as_uuid(),
        username: row.user.username.as_ref().map(ToString::to_string),
        display_name: row.user.display_name.to_string(),
        role: row.role.into(),
        joined_at: row.joined_at.into(),
    }
}

/// A page of a list, with the link to the next one.
pub(crate) fn page<T: Serialize>(
    request: &HttpRequest,
    items: Vec<T>,
    next_cursor: Option<String>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next_cursor {
        let asked = form_urlencoded::parse(request.query_string().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", cursor)
            .finish();
        response
            .insert_header((header::LINK, format!("<{}?{query}>; rel=\"next\"", request.path())));
    }
    response.json(rest::Items { items, next_cursor })
}
