//! Bodies and frames: JSON objects, read strictly.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{StatusCode, header},
};
use futures_util::StreamExt as _;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Extraction, nul, query::without_query, wrong_field};
use crate::{context::BODY_LIMIT, problem::Problem};

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

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

/// That a request has neither parameters in its query nor anything in its body, where nothing is asked
/// for. An empty object is nothing too.
pub(crate) struct NoInput;

impl FromRequest for NoInput {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        let query = without_query(request);
        let body = OptionalBody::<Nothing>::from_request(request, payload);
        Box::pin(async move {
            query?;
            let OptionalBody(Nothing {}) = body.await?;
            Ok(Self)
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

#[cfg(test)]
mod tests {
    use actix_web::{dev::Payload, error::PayloadError, web::Bytes};
    use futures_util::stream::{self, LocalBoxStream, Stream};
    use kith_protocol::rest;
    use rstest::rstest;

    use super::*;

    fn body(chunks: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Payload {
        let payload: LocalBoxStream<'static, _> = Box::pin(chunks);
        Payload::Stream { payload }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
        let problem = read(body(stream::pending())).await.unwrap_err();
        assert_eq!((problem.status.as_u16(), &*problem.code), (408, "request_timeout"));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_refused() {
        let broken = stream::iter([Err(PayloadError::Incomplete(None))]);
        let problem = read(body(broken)).await.unwrap_err();
        assert_eq!((problem.status.as_u16(), &*problem.code), (400, "bad_request"));
    }

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
}
