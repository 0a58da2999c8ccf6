//! Lists, a page at a time.

use actix_web::{HttpRequest, HttpResponse, http::header};
use kith_protocol::rest;
use serde::{Deserialize, Serialize};

use crate::{
    cursor::{self, Cursor},
    extract::{App, Caller, limit},
    problem::Problem,
};

/// What every list may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

/// How long the page is, and after what it begins.
pub(super) fn asked<C: Cursor>(
    app: &App,
    caller: &Caller,
    query: Paging,
) -> Result<(usize, Option<C>), Problem> {
    let (seals, owner) = (&*app.0.services.seals, caller.principal.user_id);
    let limit = limit(query.limit)?;
    let after =
        query.cursor.map(|sealed| cursor::open(seals, owner, "cursor", &sealed)).transpose()?;
    Ok((limit, after))
}

/// The page, with the link to the next one.
pub(super) fn page<C: Cursor, T: Serialize>(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    items: Vec<T>,
    next: Option<&C>,
) -> HttpResponse {
    let (seals, owner) = (&*app.0.services.seals, caller.principal.user_id);
    let next_cursor = next.map(|next| cursor::seal(seals, owner, next));
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next_cursor {
        let asked = form_urlencoded::parse(request.query_string().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", cursor)
            .finish();
        response
            .insert_header((header::LINK, format!("<{}?{query}>; rel=\"next\"", request.path())));
    }
    response.json(rest::Items { items, next_cursor })
}
