//! What handlers take: bodies, queries, paths, and who is asking. Whatever is wrong with them is
//! told in the form of all errors, with the field.

mod form;
mod json;
mod path;
mod query;

use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::{StatusCode, header},
    web,
};
use kith_app::sessions::Principal;

pub(crate) use self::{
    form::{Form, seq},
    json::{Body, NoInput, OptionalBody, is_object, parse_json},
    path::{CodePath, EmojiPath, Id, UserPath, path_id},
    query::{NoQuery, Query},
};
use crate::{context::Context, gate::ClientAddress, problem::Problem};

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// The context, from the application's data.
pub(crate) fn context(request: &HttpRequest) -> Result<Arc<Context>, Problem> {
    request
        .app_data::<web::Data<Arc<Context>>>()
        .map(|context| Arc::clone(context.get_ref()))
        .ok_or_else(Problem::internal)
}

/// What handlers work with.
pub(crate) struct App(pub(crate) Arc<Context>);

impl FromRequest for App {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(context(request).map(Self))
    }
}

/// The address that asks, as far as it can be believed.
pub(crate) struct ClientIp(pub(crate) Option<IpAddr>);

impl FromRequest for ClientIp {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let address = request.extensions().get::<ClientAddress>().map(|address| address.0);
        std::future::ready(Ok(Self(address)))
    }
}

/// Who is asking: a valid access token of a living session, within the rate.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer(request).map(str::to_owned);
        let context = context(request);
        Box::pin(async move {
            let context = context?;
            let token = token.ok_or_else(|| {
                Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "unauthenticated",
                    "send `Authorization: Bearer <token>`; a token comes from /auth/login",
                )
            })?;
            let inside = Arc::clone(&context);
            let principal = context
                .run(async move { inside.services.sessions.authenticate(&token).await })
                .await?;
            context.services.requests.take(principal.user_id).into_result()?;
            Ok(Self { principal })
        })
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The length of a page.
pub(crate) fn limit(asked: Option<u32>) -> Result<usize, Problem> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=100) => Ok(limit as usize),
        Some(_) => Err(Problem::field(
            "validation_failed",
            "limit",
            "invalid_value",
            "must be from 1 to 100",
        )),
    }
}

fn nul(field: String) -> Problem {
    Problem::field("invalid_text", field, "invalid_text", "must not contain U+0000")
}

/// What serde says of a value that does not fit, in our words. Its wording has been the same for
/// years; the tests below would tell if it changed.
fn wrong_field(path: &str, message: &str) -> Problem {
    let parent = if path == "." { "" } else { path };
    let named = |name: &str| match parent {
        "" => name.to_owned(),
        parent if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        parent => format!("{parent}.{name}"),
    };
    let quoted = || message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("unknown field") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let hint = if known.is_empty() {
            "is not a field here".to_owned()
        } else {
            format!("is not a field here; there are: {}", known.join(", "))
        };
        return Problem::field("unknown_field", named(quoted()), "unknown_field", hint);
    }
    if message.starts_with("missing field") {
        return Problem::field("validation_failed", named(quoted()), "required", "is required");
    }
    if message.starts_with("duplicate field") {
        let field = named(quoted());
        return Problem::field("validation_failed", field, "duplicate_field", "is given twice");
    }
    Problem::field("validation_failed", parent, "invalid_value", message)
}
