//! Invites into groups and channels.

use std::{ops::RangeInclusive, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header};
use kith_app::invites::NewInvite;
use kith_domain::invite::Invite;
use kith_protocol::rest;

use super::{
    conversations::At,
    paging::{self, Paging},
    render,
};
use crate::{
    context::Context,
    extract::{App, Caller, CodePath, Form, NoInput, NoQuery, OptionalBody, Query},
    gate,
    problem::Problem,
};

/// How many seconds an invite may be good for: a minute to a year.
const LIFETIME: RangeInclusive<u64> = 60..=31_536_000;
/// How many an invite may let in.
const USES: RangeInclusive<u32> = 1..=1_000_000;

/// Makes an invite. Whoever has its code comes in with it, until it ends or is used up.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/invites", tag = "invites", operation_id = "create_invite",
    request_body = Option<rest::NewInvite>,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 201, description = "The invite", body = rest::Invite),
        (status = 400, description = "`validation_failed`: `expires_in` is 60 to 31,536,000 seconds, `max_uses` 1 to 1,000,000", body = rest::Problem),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`wrong_kind`: nobody is invited into a direct chat; `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn create(
    app: App,
    caller: Caller,
    request: HttpRequest,
    At(address): At,
    _: NoQuery,
    OptionalBody(body): OptionalBody<rest::NewInvite>,
) -> Result<HttpResponse, Problem> {
    let new = read(&body)?;
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let made =
        app.0.run(async move { context.services.invites.create(me, address, new).await }).await?;
    let invite = invite(&made, &site(&request, &app.0));
    Ok(HttpResponse::Created().json(invite))
}

fn read(body: &rest::NewInvite) -> Result<NewInvite, Problem> {
    let mut form = Form::default();
    let expires_in = form.within("expires_in", body.expires_in, &LIFETIME);
    let max_uses = form.within("max_uses", body.max_uses, &USES);
    form.check()?;
    Ok(NewInvite { expires_in: expires_in.map(Duration::from_secs), max_uses })
}

/// The invites of a conversation, the newest first; those that ended or are used up too.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/invites", tag = "invites", operation_id = "invites",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The invites", body = rest::Items<rest::Invite>),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`wrong_kind`: nobody is invited into a direct chat", body = rest::Problem),
    )
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    request: HttpRequest,
    At(address): At,
    Query(query): Query<Paging>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let (limit, after) = paging::asked(&app, &caller, query)?;
    let context = app.0.clone();
    let page = app
        .0
        .run(async move { context.services.invites.list(me, address, after, limit).await })
        .await?;
    let site = site(&request, &app.0);
    let items = page.items.iter().map(|it| invite(it, &site)).collect();
    Ok(paging::page(&app, &caller, &request, items, page.next.as_ref()))
}

/// Takes an invite back: nobody comes in with it any more.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/invites/{code}", tag = "invites",
    operation_id = "revoke_invite",
    params(("id" = uuid::Uuid, Path), ("code" = String, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Taken back"),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`wrong_kind`: nobody is invited into a direct chat", body = rest::Problem),
    )
)]
pub(crate) async fn revoke(
    app: App,
    caller: Caller,
    _: NoQuery,
    At(address): At,
    CodePath(code): CodePath,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    app.0.run(async move { context.services.invites.revoke(me, address, code).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Comes in by an invite. For one who is in already nothing changes.
#[utoipa::path(
    post, path = "/v1/invites/{code}/join", tag = "invites", operation_id = "join_by_invite",
    params(("code" = String, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The conversation", body = rest::Conversation),
        (status = 404, description = "`not_found`: there is none, it has ended, or it is used up", body = rest::Problem),
        (status = 409, description = "`too_many_members`", body = rest::Problem),
    )
)]
pub(crate) async fn join(
    app: App,
    caller: Caller,
    _: NoInput,
    CodePath(code): CodePath,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let conversation = app
        .0
        .run(async move {
            let services = &context.services;
            let card = services.conversations.join_by_invite(me, code).await?;
            render::one_conversation(&services.people, me, card).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(conversation))
}

fn invite(invite: &Invite, site: &str) -> rest::Invite {
    rest::Invite {
        code: invite.code.to_string(),
        url: format!("{site}/invite/{}", invite.code),
        expires_at: invite.expires_at.map(Into::into),
        max_uses: invite.max_uses,
        uses: invite.uses,
    }
}

/// Where people find this server: as configured, else where this request found it.
fn site(request: &HttpRequest, context: &Context) -> String {
    if let Some(url) = &context.settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let secure = gate::from_trusted_proxy(request, context)
        && headers.get(header::X_FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None)]
    #[case(Some(60), Some(1))]
    #[case(Some(31_536_000), Some(1_000_000))]
    fn an_invite_within_its_bounds(#[case] expires_in: Option<u64>, #[case] max_uses: Option<u32>) {
        let new = read(&rest::NewInvite { expires_in, max_uses }).unwrap();
        assert_eq!(new.expires_in, expires_in.map(Duration::from_secs));
        assert_eq!(new.max_uses, max_uses);
    }

    #[rstest]
    #[case(Some(59), None, "expires_in")]
    #[case(Some(31_536_001), None, "expires_in")]
    #[case(None, Some(0), "max_uses")]
    #[case(None, Some(1_000_001), "max_uses")]
    fn an_invite_outside_of_them_names_the_field(
        #[case] expires_in: Option<u64>,
        #[case] max_uses: Option<u32>,
        #[case] field: &str,
    ) {
        let problem = read(&rest::NewInvite { expires_in, max_uses }).unwrap_err();
        assert_eq!(problem.code, "validation_failed");
        assert_eq!(problem.fields[0].field, field);
    }
}
