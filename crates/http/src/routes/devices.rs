//! Tokens and signed-in devices.

use actix_web::{HttpRequest, HttpResponse};
use kith_app::sessions::TICKET_LIFETIME;
use kith_domain::{SessionId, session::Session};
use kith_protocol::rest;

use super::{
    paging::{self, Paging},
    render,
};
use crate::{
    cursor::SessionCursor,
    extract::{App, Body, Caller, Id, NoInput, NoQuery, Query},
    problem::Problem,
};

/// Exchanges a refresh token for the next pair. Using one twice ends the session; a retry within
/// ten seconds gets the same pair again.
#[utoipa::path(
    post, path = "/v1/auth/refresh", tag = "devices", operation_id = "refresh",
    request_body = rest::Refresh,
    responses(
        (status = 200, description = "The next pair", body = rest::LoginAnswer),
        (status = 401, description = "`invalid_refresh_token`, `refresh_reused`", body = rest::Problem),
    )
)]
pub(crate) async fn refresh(
    app: App,
    Body(body): Body<rest::Refresh>,
) -> Result<HttpResponse, Problem> {
    let context = app.0.clone();
    let (user, tokens) = app
        .0
        .run(async move {
            let (tokens, user) = context.services.sessions.refresh(&body.refresh_token).await?;
            Ok((context.services.accounts.me(user).await?, tokens))
        })
        .await?;
    Ok(HttpResponse::Ok().json(render::login(&user, tokens)))
}

/// Signs this device out; its sockets close.
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "devices", operation_id = "logout",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "Signed out"),
        (status = 404, description = "`not_found`: it has ended meanwhile", body = rest::Problem),
    )
)]
pub(crate) async fn log_out(app: App, caller: Caller, _: NoInput) -> Result<HttpResponse, Problem> {
    end_session(&app, &caller, caller.principal.session_id).await
}

/// The signed-in devices, the one used last first.
#[utoipa::path(
    get, path = "/v1/auth/sessions", tag = "devices", operation_id = "sessions",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    security(("bearer" = [])),
    responses((status = 200, description = "The devices", body = rest::Items<rest::SessionInfo>))
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let (user, current) = (caller.principal.user_id, caller.principal.session_id);
    let (limit, after) = paging::asked::<SessionCursor>(&app, &caller, query)?;
    let context = app.0.clone();
    let sessions = app.0.run(async move { context.services.sessions.list(user).await }).await?;
    // One person's devices are few: the page is cut from all of them.
    let begin = after.map_or(0, |SessionCursor(last)| {
        sessions.iter().position(|session| session.id == last).map_or(0, |place| place + 1)
    });
    let page: Vec<&Session> = sessions.iter().skip(begin).take(limit).collect();
    let more = begin + page.len() < sessions.len();
    let next = page.last().filter(|_| more).map(|last| SessionCursor(last.id));
    let info = |session: &&Session| rest::SessionInfo {
        id: *session.id.as_uuid(),
        device_name: session.device.name.as_ref().map(ToString::to_string),
        address: session.device.address.clone(),
        user_agent: session.device.user_agent.clone(),
        created_at: session.created_at.into(),
        last_used_at: session.last_used_at.into(),
        current: session.id == current,
    };
    Ok(paging::page(&app, &caller, &request, page.iter().map(info).collect(), next.as_ref()))
}

/// Signs one device out.
#[utoipa::path(
    delete, path = "/v1/auth/sessions/{id}", tag = "devices", operation_id = "end_session",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Signed out"),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn end(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<SessionId>,
) -> Result<HttpResponse, Problem> {
    end_session(&app, &caller, id).await
}

async fn end_session(app: &App, caller: &Caller, id: SessionId) -> Result<HttpResponse, Problem> {
    let user = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.sessions.end(user, id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Signs all other devices out.
#[utoipa::path(
    delete, path = "/v1/auth/sessions", tag = "devices", operation_id = "end_other_sessions",
    security(("bearer" = [])),
    responses((status = 204, description = "Signed out"))
)]
pub(crate) async fn end_others(
    app: App,
    caller: Caller,
    _: NoQuery,
) -> Result<HttpResponse, Problem> {
    let context = app.0.clone();
    app.0.run(async move { context.services.sessions.end_others(&caller.principal).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A credential for one WebSocket, for browsers, which cannot send headers with it.
#[utoipa::path(
    post, path = "/v1/auth/ws-ticket", tag = "devices", operation_id = "ws_ticket",
    security(("bearer" = [])),
    responses((status = 201, description = "`GET /ws?ticket=<ticket>`, once", body = rest::Ticket))
)]
pub(crate) async fn ticket(app: App, caller: Caller, _: NoInput) -> Result<HttpResponse, Problem> {
    let ticket = app.0.services.sessions.ticket(caller.principal);
    let expires_in = TICKET_LIFETIME.as_secs();
    Ok(HttpResponse::Created().json(rest::Ticket { ticket, expires_in }))
}
