//! What changed for me.

use actix_web::HttpResponse;
use kith_app::sync::Synced;
use kith_domain::UserId;
use kith_ports::{Seals, SyncFrom};
use kith_protocol::rest;
use serde::Deserialize;

use super::render;
use crate::{
    context::Services,
    cursor,
    extract::{App, Caller, Query, limit},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncQuery {
    since: Option<String>,
    limit: Option<u32>,
}

/// What changed for me since a token; without one, everything. Then `changes` for each
/// conversation whose `version` moved.
#[utoipa::path(
    get, path = "/v1/sync", tag = "messages", operation_id = "sync",
    params(
        ("since" = Option<String>, Query, description = "the token of the last sync"),
        ("limit" = Option<u32>, Query, description = "conversations a page"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The changes", body = rest::Sync),
        (status = 400, description = "`invalid_cursor`: start anew", body = rest::Problem),
    )
)]
pub(crate) async fn sync(
    app: App,
    caller: Caller,
    Query(query): Query<SyncQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let limit = limit(query.limit)?;
    let from = since(&*app.0.services.seals, viewer, query.since.as_deref())?;
    let context = app.0.clone();
    let body = app.0.run(async move { body(&context.services, viewer, from, limit).await }).await?;
    Ok(HttpResponse::Ok().json(body))
}

/// Opens the token of an earlier sync.
pub(crate) fn since(
    seals: &dyn Seals,
    viewer: UserId,
    token: Option<&str>,
) -> Result<Option<SyncFrom>, Problem> {
    let open = |token| cursor::open::<SyncFrom>(seals, viewer, "since", token);
    Ok(token.map(open).transpose()?)
}

/// The body of a sync, for REST and WebSocket alike.
pub(crate) async fn body(
    services: &Services,
    viewer: UserId,
    from: Option<SyncFrom>,
    limit: usize,
) -> kith_app::Result<rest::Sync> {
    let Synced { body, users, presence, me } = services.sync.sync(viewer, from, limit).await?;
    let conversations = render::synced(&services.people, viewer, body.conversations).await?;
    Ok(rest::Sync {
        token: cursor::seal(&*services.seals, viewer, &body.next),
        has_more: body.has_more,
        conversations,
        removed: body.removed.iter().map(|id| *id.as_uuid()).collect(),
        users: users.iter().map(render::profile).collect(),
        presence: presence.iter().map(|seen| (&seen.user, seen.presence).into()).collect(),
        blocks: body.blocks.iter().map(|user| *user.as_uuid()).collect(),
        me: (&me).into(),
    })
}
