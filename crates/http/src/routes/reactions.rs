//! Reactions to messages.

use actix_web::HttpResponse;
use kith_domain::MessageId;
use kith_protocol::rest;

use super::render;
use crate::{
    extract::{App, Caller, EmojiPath, Id, NoInput, NoQuery},
    problem::Problem,
};

/// Reacts to a message with an emoji. Doing it twice changes nothing.
#[utoipa::path(
    put, path = "/v1/messages/{id}/reactions/{emoji}", tag = "messages",
    operation_id = "add_reaction",
    params(("id" = uuid::Uuid, Path), ("emoji" = String, Path, description = "one emoji, percent-encoded")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The message", body = rest::Message),
        (status = 400, description = "`validation_failed`: not one emoji", body = rest::Problem),
        (status = 403, description = "`blocked`; `forbidden`: a system message stays as it is", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`too_many_reactions`, `message_deleted`", body = rest::Problem),
    )
)]
pub(crate) async fn add(
    app: App,
    caller: Caller,
    _: NoInput,
    Id(id): Id<MessageId>,
    EmojiPath(emoji): EmojiPath,
) -> Result<HttpResponse, Problem> {
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    let message = app
        .0
        .run(async move {
            context.services.messaging.react(actor, id, emoji, true).await?;
            context.services.conversations.message(actor, id).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(render::message(actor, &message)))
}

/// Takes one's own reaction back. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/messages/{id}/reactions/{emoji}", tag = "messages",
    operation_id = "remove_reaction",
    params(("id" = uuid::Uuid, Path), ("emoji" = String, Path, description = "one emoji, percent-encoded")),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "Taken back"),
        (status = 400, description = "`validation_failed`: not one emoji", body = rest::Problem),
        (status = 403, description = "`blocked`; `forbidden`: a system message stays as it is", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`message_deleted`", body = rest::Problem),
    )
)]
pub(crate) async fn remove(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<MessageId>,
    EmojiPath(emoji): EmojiPath,
) -> Result<HttpResponse, Problem> {
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    app.0
        .run(async move { context.services.messaging.react(actor, id, emoji, false).await })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
