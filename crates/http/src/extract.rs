//! What handlers take: bodies, queries, paths, and who is asking. Whatever is wrong with them is
//! told in the form of all errors, with the field.

use std::{future::Future, net::IpAddr, pin::Pin, str::FromStr, sync::Arc, time::Duration};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::{StatusCode, header},
    web,
};
use futures_util::StreamExt as _;
use kith_app::sessions::Principal;
use kith_domain::{FieldError, text::TextError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    context::{BODY_LIMIT, Context},
    gate::ClientAddress,
    problem::Problem,
};

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

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

/// A JSON body. What takes one takes nothing from the query.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_json = kind.and_then(|kind| kind.to_str().ok()).is_some_and(is_json);
        let no_query = without_query(request);
        let payload = payload.take();
        Box::pin(async move {
            no_query?;
            if !is_json {
                return Err(Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "unsupported_media_type",
                    "send the body as JSON, with `Content-Type: application/json`",
                ));
            }
            Ok(Self(parse_json(&read(payload).await?)?))
        })
    }
}

/// A JSON body that may be left out.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        Box::pin(async move {
            let body = read(payload).await?;
            if body.is_empty() { Ok(Self(T::default())) } else { Ok(Self(parse_json(&body)?)) }
        })
    }
}

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn read(payload: Payload) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(BODY_PATIENCE, read_whole(payload)).await.unwrap_or_else(|_| {
        Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!("the body took longer than {} s to arrive", BODY_PATIENCE.as_secs()),
        ))
    })
}

async fn read_whole(mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_request", "the body did not arrive whole")
        })?;
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                format!("a body may have {BODY_LIMIT} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads a JSON object strictly: no unknown fields, no U+0000 in any text.
pub(crate) fn parse_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    if !is_object(json) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            "the body is not one JSON object",
        ));
    }
    if let Some(field) = field_with_nul(json) {
        return Err(nul(field));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| misread(json, &error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| misread(json, "", &error))?;
    Ok(value)
}

/// Serde would also take an array for a struct, its fields by their places.
pub(crate) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

fn nul(field: String) -> Problem {
    Problem::field("invalid_text", field, "invalid_text", "must not contain U+0000")
}

/// The first field that holds U+0000, or whose name does.
fn field_with_nul(json: &[u8]) -> Option<String> {
    let escaped = json.windows(6).any(|window| window == br"\u0000");
    if !escaped {
        return None;
    }
    find_nul(&serde_json::from_slice(json).ok()?)
}

fn find_nul(value: &Value) -> Option<String> {
    let inside = |name: &str, rest: String| match rest.as_str() {
        "" => name.to_owned(),
        _ if rest.starts_with('[') => format!("{name}{rest}"),
        _ => format!("{name}.{rest}"),
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(place, item)| Some(inside(&format!("[{place}]"), find_nul(item)?))),
        Value::Object(fields) => fields.iter().find_map(|(name, item)| {
            if name.contains('\0') {
                return Some(name.replace('\0', "\u{2400}"));
            }
            Some(inside(name, find_nul(item)?))
        }),
        _ => None,
    }
}

fn misread(json: &[u8], path: &str, error: &serde_json::Error) -> Problem {
    // What stands where a name of an enumeration should is told as bad syntax, and is none.
    let is_json = || serde_json::from_slice::<Value>(json).is_ok();
    if !error.is_data() && !is_json() {
        return Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            format!("the body is not JSON: {error}"),
        );
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    wrong_field(path, message)
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

/// The parameters of a query.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(request.query_string()).map(Self))
    }
}

/// That the query has no parameters, where none is asked for.
pub(crate) struct NoQuery;

impl FromRequest for NoQuery {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(without_query(request).map(|()| Self))
    }
}

fn without_query(request: &HttpRequest) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    parse_query(request.query_string()).map(|Nothing {}| ())
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    if let Some((name, _)) =
        pairs.into_iter().find(|(name, value)| name.contains('\0') || value.contains('\0'))
    {
        return Err(nul(name.replace('\0', "\u{2400}")));
    }
    let deserializer =
        serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| wrong_field(&error.path().to_string(), &error.inner().to_string()))
}

/// Ids from the path, by the names of its placeholders.
pub(crate) fn path_id<T: FromStr>(request: &HttpRequest, name: &'static str) -> Result<T, Problem> {
    let text = request.match_info().get(name).unwrap_or_default();
    text.parse().map_err(|_| {
        Problem::field("validation_failed", name, "invalid_value", "must be an id (a UUID)")
    })
}

/// The id in the path under `{id}`.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequest for Id<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(path_id(request, "id").map(Self))
    }
}

/// The id in the path under `{user_id}`.
pub(crate) struct UserPath<T>(pub(crate) T);

impl<T: FromStr> FromRequest for UserPath<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(path_id(request, "user_id").map(Self))
    }
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

/// Collects what is wrong with the fields of a request, so that all of it is told at once.
#[derive(Default)]
pub(crate) struct Form {
    errors: Vec<FieldError>,
}

impl Form {
    /// Takes a field's value, or notes what is wrong with it.
    pub(crate) fn take<T>(
        &mut self,
        field: &'static str,
        parsed: Result<T, TextError>,
    ) -> Option<T> {
        parsed.map_err(|error| self.errors.push(error.on(field))).ok()
    }

    /// Takes the value of a field that may be left out.
    pub(crate) fn maybe<T>(
        &mut self,
        field: &'static str,
        raw: Option<&str>,
        parse: impl Fn(&str) -> Result<T, TextError>,
    ) -> Option<T> {
        raw.and_then(|raw| self.take(field, parse(raw)))
    }

    /// Everything is right, or what is not.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.into()) }
    }

    /// What is wrong; for when something must be.
    pub(crate) fn into_problem(self) -> Problem {
        self.errors.into()
    }
}

#[cfg(test)]
mod tests {
    use kith_protocol::rest;
    use rstest::rstest;

    use super::*;

    fn refused(json: &str) -> (String, String, String) {
        let problem = parse_json::<rest::Register>(json.as_bytes()).unwrap_err();
        let field = problem.fields.first();
        (
            problem.code.to_string(),
            field.map(|field| field.field.clone()).unwrap_or_default(),
            field.map(|field| field.code.clone()).unwrap_or_default(),
        )
    }

    #[rstest]
    #[case("{", "malformed_json", "", "")]
    #[case("", "malformed_json", "", "")]
    #[case("null", "malformed_json", "", "")]
    #[case(r#"["ann","ann@example.org","correct horse battery"]"#, "malformed_json", "", "")]
    #[case(r#"{"username":"a","email":"b","password":"c"} x"#, "malformed_json", "", "")]
    #[case(r#"{"username":"a","email":"b"}"#, "validation_failed", "password", "required")]
    #[case(
        r#"{"username":"a","email":"b","password":"c","role":"admin"}"#,
        "unknown_field",
        "role",
        "unknown_field"
    )]
    #[case(
        r#"{"username":1,"email":"b","password":"c"}"#,
        "validation_failed",
        "username",
        "invalid_value"
    )]
    #[case(
        r#"{"username":"a","email":"b\u0000","password":"c"}"#,
        "invalid_text",
        "email",
        "invalid_text"
    )]
    #[case(
        r#"{"username":"a","username":"b","email":"b","password":"c"}"#,
        "validation_failed",
        "username",
        "duplicate_field"
    )]
    fn what_is_wrong_is_named(
        #[case] json: &str,
        #[case] code: &str,
        #[case] field: &str,
        #[case] field_code: &str,
    ) {
        assert_eq!(refused(json), (code.to_owned(), field.to_owned(), field_code.to_owned()));
    }

    #[test]
    fn a_backslash_before_u0000_is_text() {
        let json = r#"{"username":"a","email":"b","password":"\\u0000"}"#;
        assert!(parse_json::<rest::Register>(json.as_bytes()).is_ok());
    }

    #[test]
    fn a_value_that_is_no_name_of_an_enumeration_is_a_wrong_field_of_good_json() {
        for json in [r#"{"role":null}"#, r#"{"role":5}"#, r#"{"role":{}}"#] {
            let problem = parse_json::<rest::RoleChange>(json.as_bytes()).unwrap_err();
            assert_eq!(problem.code, "validation_failed", "{json}");
            assert_eq!(problem.fields[0].field, "role", "{json}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let json = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(parse_json::<Value>(json.as_bytes()).unwrap_err().code, "malformed_json");
    }

    #[test]
    fn an_unknown_field_of_a_tagged_body_is_named() {
        let json = br#"{"kind":"direct","user_id":"0197b2a0-0000-7000-8000-000000000000","x":1}"#;
        let problem = parse_json::<rest::NewConversation>(json).unwrap_err();
        assert_eq!(problem.code, "unknown_field");
        assert_eq!(problem.fields[0].field, "x");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its refusals are looked at")]
    struct PageQuery {
        limit: Option<u32>,
    }

    #[rstest]
    #[case("limt=5", "unknown_field", "limt")]
    #[case("limit=x", "validation_failed", "limit")]
    #[case("limit=%00", "invalid_text", "limit")]
    fn a_query_is_read_as_strictly(#[case] query: &str, #[case] code: &str, #[case] field: &str) {
        let problem = parse_query::<PageQuery>(query).unwrap_err();
        assert_eq!(problem.code, code);
        assert_eq!(problem.fields[0].field, field);
    }
}
