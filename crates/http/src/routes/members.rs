//! Who is in a conversation.

use actix_web::{HttpRequest, HttpResponse};
use kith_domain::UserId;
use kith_protocol::rest;

use super::{
    conversations::At,
    paging::{self, Paging},
    render,
};
use crate::{
    extract::{App, Body, Caller, NoQuery, Query, UserPath},
    problem::Problem,
};

/// The members, those who joined first first.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/members", tag = "members", operation_id = "members",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The members", body = rest::Items<rest::Member>),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    At(address): At,
    request: HttpRequest,
    Query(query): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let (limit, after) = paging::asked(&app, &caller, query)?;
    let context = app.0.clone();
    let page = app
        .0
        .run(async move { context.services.conversations.members(me, address, after, limit).await })
        .await?;
    Ok(paging::page(
        &app,
        &caller,
        &request,
        page.items.iter().map(render::member).collect(),
        page.next.as_ref(),
    ))
}

/// Adds people. Those who are members already stay as they are.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/members", tag = "members", operation_id = "add_members",
    request_body = rest::AddMembers,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 201, description = "The members added", body = rest::Items<rest::Member>),
        (status = 400, description = "`validation_failed`: an unknown person, by place", body = rest::Problem),
        (status = 403, description = "`forbidden`; `blocked`, naming the field: one of the two has blocked the other", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`wrong_kind`, `too_many_members`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn add(
    app: App,
    caller: Caller,
    At(address): At,
    Body(body): Body<rest::AddMembers>,
) -> Result<HttpResponse, Problem> {
    let (named, field) = match (body.user_id, body.user_ids) {
        (Some(one), None) => (vec![one], "user_id"),
        (None, Some(several)) if !several.is_empty() => (several, "user_ids"),
        _ => {
            return Err(Problem::field(
                "validation_failed",
                "user_id",
                "required",
                "give either `user_id`, or `user_ids` with at least one id",
            ));
        }
    };
    let me = caller.principal.user_id;
    let named: Vec<UserId> = named.into_iter().map(UserId::from_uuid).collect();
    let context = app.0.clone();
    let items = app
        .0
        .run(async move {
            let conversations = &context.services.conversations;
            conversations.add_members(me, address, named.clone(), field).await?;
            let rows = conversations.members_named(me, address, &named).await?;
            Ok(rows.iter().map(render::member).collect::<Vec<_>>())
        })
        .await?;
    Ok(HttpResponse::Created().json(rest::Items { items, next_cursor: None }))
}

/// Gives a member another role.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}/members/{user_id}", tag = "members",
    operation_id = "change_role", request_body = rest::RoleChange,
    params(("id" = uuid::Uuid, Path), ("user_id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The member", body = rest::Member),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`last_owner`, `wrong_kind`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn change_role(
    app: App,
    caller: Caller,
    At(address): At,
    UserPath(target): UserPath<UserId>,
    Body(body): Body<rest::RoleChange>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let member = app
        .0
        .run(async move {
            let conversations = &context.services.conversations;
            conversations.change_role(me, address, target, body.role.into()).await?;
            let rows = conversations.members_named(me, address, &[target]).await?;
            rows.first().map(render::member).ok_or_else(|| kith_domain::Refusal::not_found().into())
        })
        .await?;
    Ok(HttpResponse::Ok().json(member))
}

/// Removes a member; oneself: leaves.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/members/{user_id}", tag = "members",
    operation_id = "remove_member",
    params(("id" = uuid::Uuid, Path), ("user_id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`last_owner`: one leaves who is the last; `wrong_kind`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn remove(
    app: App,
    caller: Caller,
    _: NoQuery,
    At(address): At,
    UserPath(target): UserPath<UserId>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0
        .run(async move { context.services.conversations.remove_member(me, address, target).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
