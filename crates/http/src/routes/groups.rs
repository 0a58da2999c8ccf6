//! What groups and channels have and direct chats do not.

use actix_web::{HttpRequest, HttpResponse};
use kith_domain::conversation::Kind;
use kith_ports::InboxFilter;
use kith_protocol::rest;
use serde::Deserialize;

use super::{
    conversations::{At, create_group, inbox_page},
    paging::Paging,
};
use crate::{
    extract::{App, Body, Caller, NoInput, NoQuery, Query},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    archived: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// My groups. Under `/v1/groups` stands all that stands under `/v1/conversations`, for groups only.
#[utoipa::path(
    get, path = "/v1/groups", tag = "groups", operation_id = "groups",
    params(
        ("archived" = Option<bool>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses((status = 200, description = "The groups", body = rest::Items<rest::Conversation>))
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let ListQuery { archived, limit, cursor } = query;
    let filter = InboxFilter { archived, kind: Some(Kind::Group) };
    inbox_page(&app, &caller, &request, filter, Paging { limit, cursor }).await
}

/// Makes a group; its maker is the owner.
#[utoipa::path(
    post, path = "/v1/groups", tag = "groups", operation_id = "create_group",
    request_body = rest::NewGroup, security(("bearer" = [])),
    responses(
        (status = 201, description = "The group, with its members", body = rest::Conversation),
        (status = 400, description = "`validation_failed`: a field's form, an unknown person", body = rest::Problem),
        (status = 403, description = "`blocked`, naming the field: one of the two has blocked the other", body = rest::Problem),
        (status = 409, description = "`too_many_members`", body = rest::Problem),
    )
)]
pub(crate) async fn create(
    app: App,
    caller: Caller,
    Body(body): Body<rest::NewGroup>,
) -> Result<HttpResponse, Problem> {
    create_group(&app, &caller, &body, "members").await
}

/// Deletes a group or channel for all, with its messages.
#[utoipa::path(
    delete, path = "/v1/groups/{id}", tag = "groups", operation_id = "delete_group",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`forbidden`: only an owner may", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn delete(
    app: App,
    caller: Caller,
    _: NoQuery,
    At(address): At,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.conversations.delete(me, address).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Leaves a group or channel. The last owner hands over first; the last member ends it.
#[utoipa::path(
    post, path = "/v1/groups/{id}/leave", tag = "groups", operation_id = "leave_group",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Left"),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`last_owner`: somebody else is to be made an owner first; `conflict`; under `/v1/conversations` for a direct chat `wrong_kind`", body = rest::Problem),
    )
)]
pub(crate) async fn leave(
    app: App,
    caller: Caller,
    _: NoInput,
    At(address): At,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.conversations.leave(me, address).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
