//! Whom one wants to hear nothing of.

use actix_web::{HttpRequest, HttpResponse};
use kith_domain::UserId;
use kith_protocol::rest;

use super::{
    paging::{self, Paging},
    render,
};
use crate::{
    cursor::BlockCursor,
    extract::{App, Caller, Id, NoInput, NoQuery, Query},
    problem::Problem,
};

/// Blocks a person: neither opens a chat with the other, writes or reacts in the one there is, sees
/// the other online, or adds the other to a group. Doing it twice changes nothing.
#[utoipa::path(
    put, path = "/v1/users/{id}/block", tag = "people", operation_id = "block_user",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The person's profile", body = rest::Profile),
        (status = 400, description = "`self`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn block(
    app: App,
    caller: Caller,
    _: NoInput,
    Id(whom): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let seen = app.0.run(async move { context.services.blocks.block(me, whom).await }).await?;
    Ok(HttpResponse::Ok().json(render::profile(&seen)))
}

/// Takes a block back. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/users/{id}/block", tag = "people", operation_id = "unblock_user",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses((status = 204, description = "Not blocked any more"))
)]
pub(crate) async fn unblock(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(whom): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.blocks.unblock(me, whom).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Those I have blocked.
#[utoipa::path(
    get, path = "/v1/users/me/blocks", tag = "people", operation_id = "blocks",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    security(("bearer" = [])),
    responses((status = 200, description = "Their profiles", body = rest::Items<rest::Profile>))
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let (limit, after) = paging::asked(&app, &caller, query)?;
    let after = after.map(|BlockCursor(last)| last);
    let context = app.0.clone();
    let page =
        app.0.run(async move { context.services.blocks.list(me, after, limit).await }).await?;
    let next = page.next.map(BlockCursor);
    Ok(paging::page(
        &app,
        &caller,
        &request,
        page.items.iter().map(render::profile).collect(),
        next.as_ref(),
    ))
}
