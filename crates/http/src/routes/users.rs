//! Other people.

use actix_web::{HttpRequest, HttpResponse};
use kith_domain::UserId;
use kith_protocol::rest;
use serde::Deserialize;

use super::{
    paging::{self, Paging},
    render,
};
use crate::{
    extract::{App, Caller, Id, NoQuery, Query},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    q: String,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// People whose user name, or a word of whose display name, begins with `q`.
#[utoipa::path(
    get, path = "/v1/users", tag = "people", operation_id = "search_users",
    params(
        ("q" = String, Query, description = "1 to 64 characters"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses((status = 200, description = "Profiles", body = rest::Items<rest::Profile>))
)]
pub(crate) async fn search(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<SearchQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let prefix = query.q.trim().to_owned();
    if !(1..=64).contains(&prefix.chars().count()) {
        return Err(Problem::field(
            "validation_failed",
            "q",
            "invalid_value",
            "must have 1 to 64 characters",
        ));
    }
    let asked = Paging { limit: query.limit, cursor: query.cursor };
    let (limit, after) = paging::asked(&app, &caller, asked)?;
    let context = app.0.clone();
    let page = app
        .0
        .run(async move { context.services.people.search(viewer, &prefix, after, limit).await })
        .await?;
    Ok(paging::page(
        &app,
        &caller,
        &request,
        page.items.iter().map(render::profile).collect(),
        page.next.as_ref(),
    ))
}

/// One person.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "people", operation_id = "user",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The profile", body = rest::Profile),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn profile(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<UserId>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let context = app.0.clone();
    let seen = app.0.run(async move { context.services.people.profile(viewer, id).await }).await?;
    Ok(HttpResponse::Ok().json(render::profile(&seen)))
}
