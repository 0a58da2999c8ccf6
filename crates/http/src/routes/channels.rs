//! Channels: the directory, making one, coming in and going.

use actix_web::{HttpRequest, HttpResponse};
use kith_app::conversations::NewChannel;
use kith_domain::{
    conversation::Posting,
    text::{Description, Name},
};
use kith_protocol::rest;
use serde::Deserialize;

use super::{
    conversations::{At, made},
    paging::{self, Paging},
    render,
};
use crate::{
    extract::{App, Body, Caller, Form, NoInput, Query},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectoryQuery {
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl DirectoryQuery {
    /// What names are to begin with; nothing, for all channels.
    fn prefix(&self) -> Result<Option<String>, Problem> {
        let prefix = self.q.as_deref().unwrap_or_default().trim();
        if prefix.chars().count() > 64 {
            return Err(Problem::field(
                "validation_failed",
                "q",
                "invalid_value",
                "must have at most 64 characters",
            ));
        }
        Ok(Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()))
    }
}

/// The channels there are, by name; with `q` those whose name, or a word of whose name, begins with
/// it. What stands under `/v1/conversations` stands here too, for channels only.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels", operation_id = "channels",
    params(
        ("q" = Option<String>, Query, description = "at most 64 characters"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses((status = 200, description = "The channels; `my` is always `null` here", body = rest::Items<rest::Conversation>))
)]
pub(crate) async fn directory(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<DirectoryQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let prefix = query.prefix()?;
    let asked = Paging { limit: query.limit, cursor: query.cursor };
    let (limit, after) = paging::asked(&app, &caller, asked)?;
    let context = app.0.clone();
    let page =
        app.0
            .run(async move {
                context.services.conversations.directory(viewer, prefix, after, limit).await
            })
            .await?;
    Ok(paging::page(
        &app,
        &caller,
        &request,
        page.items.iter().map(render::listing).collect(),
        page.next.as_ref(),
    ))
}

/// Makes a channel; its maker is the owner.
#[utoipa::path(
    post, path = "/v1/channels", tag = "channels", operation_id = "create_channel",
    request_body = rest::NewChannel, security(("bearer" = [])),
    responses(
        (status = 201, description = "The channel, with its maker", body = rest::Conversation),
        (status = 400, description = "`validation_failed`: a field's form", body = rest::Problem),
    )
)]
pub(crate) async fn create(
    app: App,
    caller: Caller,
    Body(body): Body<rest::NewChannel>,
) -> Result<HttpResponse, Problem> {
    create_channel(&app, &caller, &body).await
}

/// Makes a channel.
pub(super) async fn create_channel(
    app: &App,
    caller: &Caller,
    body: &rest::NewChannel,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let name = form.take("name", Name::parse(&body.name));
    let description = body.description.as_deref().filter(|text| !text.is_empty());
    let description = form.maybe("description", description, Description::parse);
    let Some(name) = name else { return Err(form.into_problem()) };
    form.check()?;
    let posting = body.posting.map_or(Posting::Everyone, Into::into);
    let new = NewChannel { name, description, posting };
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let channel = app
        .0
        .run(async move {
            let services = &context.services;
            let card = services.conversations.create_channel(me, new).await?;
            made(services, me, card).await
        })
        .await?;
    Ok(HttpResponse::Created().json(channel))
}

/// Comes into a channel. For one who is in it already nothing changes.
#[utoipa::path(
    post, path = "/v1/channels/{id}/join", tag = "channels", operation_id = "join_channel",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The channel", body = rest::Conversation),
        (status = 404, description = "`not_found`: there is no channel of this id", body = rest::Problem),
        (status = 409, description = "`too_many_members`", body = rest::Problem),
    )
)]
pub(crate) async fn join(
    app: App,
    caller: Caller,
    _: NoInput,
    At(address): At,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let channel = app
        .0
        .run(async move {
            let services = &context.services;
            let card = services.conversations.join(me, address).await?;
            render::one_conversation(&services.people, me, card).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(channel))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None)]
    #[case(Some("  "), None)]
    #[case(Some(" news "), Some("news"))]
    fn a_blank_prefix_is_none(#[case] q: Option<&str>, #[case] prefix: Option<&str>) {
        let query = DirectoryQuery { q: q.map(str::to_owned), limit: None, cursor: None };
        assert_eq!(query.prefix().unwrap().as_deref(), prefix);
    }

    #[test]
    fn an_endless_prefix_is_refused() {
        let query = DirectoryQuery { q: Some("x".repeat(65)), limit: None, cursor: None };
        assert_eq!(query.prefix().unwrap_err().fields[0].field, "q");
    }
}
