//! What the path names.

use std::str::FromStr;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use kith_domain::{
    Refusal,
    text::{Emoji, InviteCode},
};

use super::nul;
use crate::problem::Problem;

/// What stands in the path under a name. It is decoded, but for `%`, `/` and `+`, which nothing that
/// is looked for holds.
fn part<'r>(request: &'r HttpRequest, name: &'static str) -> Result<&'r str, Problem> {
    let text = request.match_info().get(name).unwrap_or_default();
    if text.contains('\0') { Err(nul(name.to_owned())) } else { Ok(text) }
}

/// Ids from the path, by the names of its placeholders.
pub(crate) fn path_id<T: FromStr>(request: &HttpRequest, name: &'static str) -> Result<T, Problem> {
    part(request, name)?.parse().map_err(|_| {
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

/// The emoji in the path under `{emoji}`, percent-encoded as any text in a path is.
pub(crate) struct EmojiPath(pub(crate) Emoji);

impl FromRequest for EmojiPath {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let emoji = part(request, "emoji")
            .and_then(|text| Emoji::parse(text).map_err(|error| vec![error.on("emoji")].into()));
        std::future::ready(emoji.map(Self))
    }
}

/// The invite in the path under `{code}`. What cannot be a code is none that is known.
pub(crate) struct CodePath(pub(crate) InviteCode);

impl FromRequest for CodePath {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let code = part(request, "code")
            .and_then(|text| InviteCode::parse(text).map_err(|_| Refusal::not_found().into()));
        std::future::ready(code.map(Self))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;

    fn emoji(path: &str) -> Result<String, Problem> {
        let mut request = TestRequest::with_uri(path).to_srv_request();
        actix_web::dev::ResourceDef::new("/reactions/{emoji}")
            .capture_match_info(request.match_info_mut());
        let EmojiPath(emoji) =
            EmojiPath::from_request(request.request(), &mut Payload::None).into_inner()?;
        Ok(emoji.to_string())
    }

    #[rstest]
    #[case("/reactions/%F0%9F%91%8D", "👍")]
    #[case("/reactions/%E2%9D%A4%EF%B8%8F", "❤️")]
    #[case("/reactions/%23%EF%B8%8F%E2%83%A3", "#️⃣")]
    fn an_emoji_is_decoded(#[case] path: &str, #[case] read: &str) {
        assert_eq!(emoji(path).unwrap(), read);
    }

    #[rstest]
    #[case("/reactions/thumbs_up", "too_long")]
    #[case("/reactions/a", "invalid_text")]
    #[case("/reactions/%2F", "too_long")]
    #[case("/reactions/%00", "invalid_text")]
    #[case("/reactions/%FF", "invalid_text")]
    fn what_is_no_emoji_is_told_by_its_field(#[case] path: &str, #[case] code: &str) {
        let problem = emoji(path).unwrap_err();
        assert_eq!(problem.status, 400);
        assert_eq!((&*problem.fields[0].field, &*problem.fields[0].code), ("emoji", code));
    }
}
