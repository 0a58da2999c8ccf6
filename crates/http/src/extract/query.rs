//! The parameters of a query, read as strictly as a body.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::{Deserialize, de::DeserializeOwned};

use super::{nul, wrong_field};
use crate::problem::Problem;

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

/// That a request has no parameters in its query.
pub(super) fn without_query(request: &HttpRequest) -> Result<(), Problem> {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

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
