//! Registering, logging in, one's own profile.

use actix_web::{HttpRequest, HttpResponse, http::header};
use kith_app::accounts::{Login, Registration};
use kith_domain::{
    session::Device,
    text::{Description, Email, Name, Password, Username},
    user::ProfilePatch,
};
use kith_ports::LoginName;
use kith_protocol::rest;
use serde::Deserialize;

use super::render;
use crate::{
    extract::{App, Body, Caller, ClientIp, Form, NoQuery, OptionalBody, Query},
    problem::Problem,
};

/// Makes an account and signs the device in. `/v1/users/register` is the same.
#[utoipa::path(
    post, path = "/v1/auth/register", tag = "accounts", operation_id = "register",
    request_body = rest::Register,
    responses(
        (status = 201, description = "The account and its tokens", body = rest::LoginAnswer),
        (status = 400, description = "A field does not have the right form", body = rest::Problem),
        (status = 409, description = "`email_taken`, `username_taken`", body = rest::Problem),
    )
)]
pub(crate) async fn register(
    app: App,
    request: HttpRequest,
    ClientIp(address): ClientIp,
    Body(body): Body<rest::Register>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let username = form.take("username", Username::parse(&body.username));
    let email = form.take("email", Email::parse(&body.email));
    let password = form.take("password", Password::parse(&body.password));
    let display_name = form.maybe("display_name", body.display_name.as_deref(), Name::parse);
    let name = form.maybe("device_name", body.device_name.as_deref(), Name::parse);
    let (Some(username), Some(email), Some(password)) = (username, email, password) else {
        return Err(form.into_problem());
    };
    form.check()?;
    let device = device(&request, address, name);
    let registration = Registration { username, email, password, display_name, device, address };
    let context = app.0.clone();
    let (user, tokens) =
        app.0.run(async move { context.services.accounts.register(registration).await }).await?;
    Ok(HttpResponse::Created().json(render::login(&user, tokens)))
}

/// Signs a device in, by e-mail or user name. `/v1/users/login` is the same.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "accounts", operation_id = "login",
    request_body = rest::Login,
    responses(
        (status = 200, description = "A pair of tokens", body = rest::LoginAnswer),
        (status = 401, description = "`invalid_credentials`: alike for a wrong password and an unknown account", body = rest::Problem),
        (status = 429, description = "`rate_limited`: too many failed logins", body = rest::Problem),
    )
)]
pub(crate) async fn log_in(
    app: App,
    request: HttpRequest,
    ClientIp(address): ClientIp,
    Body(body): Body<rest::Login>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let name = match (&body.email, &body.username) {
        (Some(email), None) => form.take("email", Email::parse(email)).map(LoginName::Email),
        (None, Some(username)) => {
            form.take("username", Username::parse(username)).map(LoginName::Username)
        }
        _ => {
            return Err(Problem::field(
                "validation_failed",
                "email",
                "required",
                "give either `email` or `username`",
            ));
        }
    };
    let password = form.take("password", Password::presented(&body.password));
    let device_name = form.maybe("device_name", body.device_name.as_deref(), Name::parse);
    let (Some(name), Some(password)) = (name, password) else { return Err(form.into_problem()) };
    form.check()?;
    let login = Login { name, password, device: device(&request, address, device_name), address };
    let context = app.0.clone();
    let (user, tokens) =
        app.0.run(async move { context.services.accounts.log_in(login).await }).await?;
    Ok(HttpResponse::Ok().json(render::login(&user, tokens)))
}

fn device(request: &HttpRequest, address: Option<std::net::IpAddr>, name: Option<Name>) -> Device {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Device {
        name,
        address: address.map(|address| address.to_string()),
        user_agent: agent.map(|agent| agent.chars().take(256).collect()),
    }
}

/// Changes the password. The other devices are signed out.
#[utoipa::path(
    put, path = "/v1/auth/password", tag = "accounts", operation_id = "change_password",
    request_body = rest::PasswordChange, security(("bearer" = [])),
    responses(
        (status = 204, description = "Changed"),
        (status = 401, description = "`invalid_credentials`: not the current password", body = rest::Problem),
    )
)]
pub(crate) async fn change_password(
    app: App,
    caller: Caller,
    ClientIp(address): ClientIp,
    Body(body): Body<rest::PasswordChange>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let current = form.take("current_password", Password::presented(&body.current_password));
    let new = form.take("new_password", Password::parse(&body.new_password));
    let (Some(current), Some(new)) = (current, new) else { return Err(form.into_problem()) };
    let context = app.0.clone();
    app.0
        .run(async move {
            let accounts = &context.services.accounts;
            accounts.change_password(&caller.principal, current, new, address).await
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// One's own account, with what others do not see.
#[utoipa::path(
    get, path = "/v1/users/me", tag = "accounts", operation_id = "me", security(("bearer" = [])),
    responses((status = 200, description = "The account", body = rest::Me))
)]
pub(crate) async fn me(app: App, caller: Caller, _: NoQuery) -> Result<HttpResponse, Problem> {
    let context = app.0.clone();
    let user = app
        .0
        .run(async move { context.services.accounts.me(caller.principal.user_id).await })
        .await?;
    Ok(HttpResponse::Ok().json(rest::Me::from(&user)))
}

/// Changes one's own profile and privacy.
#[utoipa::path(
    patch, path = "/v1/users/me", tag = "accounts", operation_id = "update_me",
    request_body = rest::MePatch, security(("bearer" = [])),
    responses(
        (status = 200, description = "The account", body = rest::Me),
        (status = 404, description = "`not_found`: it has been erased meanwhile", body = rest::Problem),
    )
)]
pub(crate) async fn update_me(
    app: App,
    caller: Caller,
    Body(body): Body<rest::MePatch>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let display_name = form.maybe("display_name", body.display_name.as_deref(), Name::parse);
    let about = match &body.about {
        None => None,
        Some(None) => Some(None),
        Some(Some(about)) => Some(form.take("about", Description::parse(about))),
    };
    form.check()?;
    let patch = ProfilePatch {
        display_name,
        about,
        last_seen: body.last_seen_visibility.map(Into::into),
        read_receipts: body.read_receipts,
    };
    let context = app.0.clone();
    let user = app
        .0
        .run(async move { context.services.accounts.update(caller.principal.user_id, patch).await })
        .await?;
    Ok(HttpResponse::Ok().json(rest::Me::from(&user)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseQuery {
    messages: Option<Fate>,
}

/// What becomes of an erased account's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    Keep,
    Delete,
}

/// Erases the account: name and address are free again; messages stay under no name, unless
/// `messages=delete`.
#[utoipa::path(
    delete, path = "/v1/users/me", tag = "accounts", operation_id = "erase_me",
    request_body = Option<rest::Erase>, security(("bearer" = [])),
    params(("messages" = Option<String>, Query, description = "`keep` (default) or `delete`")),
    responses(
        (status = 204, description = "Erased"),
        (status = 400, description = "`validation_failed`: the password is needed, since the login is not recent", body = rest::Problem),
        (status = 401, description = "`invalid_credentials`: not the password", body = rest::Problem),
        (status = 409, description = "`conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn erase_me(
    app: App,
    caller: Caller,
    ClientIp(address): ClientIp,
    Query(query): Query<EraseQuery>,
    OptionalBody(body): OptionalBody<rest::Erase>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let password = form.maybe("password", body.password.as_deref(), Password::presented);
    form.check()?;
    let with_messages = query.messages == Some(Fate::Delete);
    let context = app.0.clone();
    app.0
        .run(async move {
            let accounts = &context.services.accounts;
            accounts.erase(&caller.principal, password, with_messages, address).await
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
