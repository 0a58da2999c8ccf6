//! Histories and catching up.

use actix_web::HttpResponse;
use kith_domain::{ConversationId, MessageId, UserId, conversation::Seq};
use kith_ports::{HistoryPage, HistorySelector};
use kith_protocol::rest;
use serde::Deserialize;
use uuid::Uuid;

use super::{conversations::At, render};
use crate::{
    extract::{App, Caller, Query, limit, seq},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    before: Option<Seq>,
    after: Option<Seq>,
    around: Option<Seq>,
    limit: Option<u32>,
}

impl HistoryQuery {
    fn selector(&self) -> Result<HistorySelector, Problem> {
        for (field, given) in
            [("before", self.before), ("after", self.after), ("around", self.around)]
        {
            given.map(|given| seq(field, given)).transpose()?;
        }
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(HistorySelector::Newest),
            (Some(seq), None, None) => Ok(HistorySelector::Before(seq)),
            (None, Some(seq), None) => Ok(HistorySelector::After(seq)),
            (None, None, Some(seq)) => Ok(HistorySelector::Around(seq)),
            _ => Err(Problem::field(
                "validation_failed",
                "before",
                "invalid_value",
                "give at most one of `before`, `after`, `around`",
            )),
        }
    }
}

fn history_body(viewer: UserId, page: &HistoryPage, selector: HistorySelector) -> rest::History {
    rest::History {
        items: page.items.iter().map(|card| render::message(viewer, card)).collect(),
        has_before: page.has_before,
        has_after: page.has_after,
        has_more: match selector {
            HistorySelector::After(_) => page.has_after,
            _ => page.has_before,
        },
        version: page.version,
    }
}

/// A page of the history, oldest first. Without a selector: the newest page.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages", tag = "messages", operation_id = "history",
    params(
        ("id" = uuid::Uuid, Path),
        ("before" = Option<i64>, Query, description = "messages just before this `seq`"),
        ("after" = Option<i64>, Query, description = "messages just after this `seq`"),
        ("around" = Option<i64>, Query, description = "this `seq`, up to half a page before it, the rest after"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The page", body = rest::History),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn history(
    app: App,
    caller: Caller,
    At(address): At,
    Query(query): Query<HistoryQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let (selector, limit) = (query.selector()?, limit(query.limit)?);
    let context = app.0.clone();
    let page = app
        .0
        .run(async move {
            context.services.conversations.history(viewer, address, selector, limit).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(history_body(viewer, &page, selector)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    conversation_id: Option<Uuid>,
    user_id: Option<Uuid>,
    before_id: Option<Uuid>,
    limit: Option<u32>,
}

/// The same page by conversation or, for a direct chat, by person; an empty one where there is no
/// chat yet.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", operation_id = "messages",
    params(
        ("conversation_id" = Option<uuid::Uuid>, Query), ("user_id" = Option<uuid::Uuid>, Query),
        ("before_id" = Option<uuid::Uuid>, Query, description = "messages just before this one"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The page", body = rest::History),
        (status = 400, description = "`self`, `validation_failed`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn page(
    app: App,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let limit = limit(query.limit)?;
    let (id, peer) = match (query.conversation_id, query.user_id) {
        (Some(id), None) => (ConversationId::from_uuid(id), None),
        (None, Some(peer)) => {
            let peer = UserId::from_uuid(peer);
            (ConversationId::direct(viewer, peer), Some(peer))
        }
        _ => {
            return Err(Problem::field(
                "validation_failed",
                "conversation_id",
                "required",
                "give either `conversation_id` or `user_id`",
            ));
        }
    };
    let before = query.before_id.map(MessageId::from_uuid);
    let context = app.0.clone();
    let (page, selector) = app
        .0
        .run(async move {
            let conversations = &context.services.conversations;
            let selector = match before {
                Some(message) => {
                    HistorySelector::Before(conversations.seq_of(viewer, id, message).await?)
                }
                None => HistorySelector::Newest,
            };
            let page = match peer {
                Some(peer) => conversations.direct_history(viewer, peer, selector, limit).await?,
                None => conversations.history(viewer, id.into(), selector, limit).await?,
            };
            Ok((page, selector))
        })
        .await?;
    Ok(HttpResponse::Ok().json(history_body(viewer, &page, selector)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesQuery {
    since: i64,
    limit: Option<u32>,
}

/// What changed in a conversation since a version: for a client that missed something.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/changes", tag = "messages", operation_id = "changes",
    params(
        ("id" = uuid::Uuid, Path), ("since" = i64, Query, description = "the version you have"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The changes", body = rest::Changes),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn changes(
    app: App,
    caller: Caller,
    At(address): At,
    Query(query): Query<ChangesQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let limit = limit(query.limit)?;
    if query.since < 0 {
        return Err(Problem::field(
            "validation_failed",
            "since",
            "invalid_value",
            "must be a version you have, or 0 for none",
        ));
    }
    let context = app.0.clone();
    let body = app
        .0
        .run(async move {
            let services = &context.services;
            let conversations = &services.conversations;
            let changes = conversations.changes(viewer, address, query.since, limit).await?;
            let conversation =
                render::one_conversation(&services.people, viewer, changes.card).await?;
            let member = |row: &kith_ports::MemberRow| rest::MemberChanged {
                member: render::member(row),
                version: row.version,
                left: row.left,
            };
            Ok(rest::Changes {
                version: changes.version,
                has_more: changes.has_more,
                reset: changes.reset,
                conversation,
                messages: changes
                    .messages
                    .iter()
                    .map(|card| render::message(viewer, card))
                    .collect(),
                members: changes.members.iter().map(member).collect(),
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(body))
}
