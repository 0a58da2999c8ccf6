//! Sending, editing, deleting, pinning.

use actix_web::HttpResponse;
use kith_app::{
    conversations::Address,
    messaging::{Outgoing, Target},
};
use kith_domain::{
    MessageId, UserId,
    message::{Message, MessageKind},
    text::{ClientMessageId, Content},
};
use kith_protocol::rest::{self, MessageType};
use uuid::Uuid;

use super::{conversations::At, render};
use crate::{
    context::Services,
    extract::{App, Body, Caller, Form, Id, NoInput, NoQuery},
    problem::Problem,
};

/// A message as a client wrote it, before it is checked.
pub(crate) struct Draft<'a> {
    pub(crate) content: &'a str,
    pub(crate) client_message_id: Option<&'a str>,
    pub(crate) message_type: Option<MessageType>,
    pub(crate) reply_to: Option<Uuid>,
}

impl Draft<'_> {
    /// The message it is, if it is one. REST and WebSocket read it alike.
    pub(crate) fn read(&self, target: Target) -> Result<Outgoing, Problem> {
        let mut form = Form::default();
        let content = form.take("content", Content::parse(self.content));
        let client_message_id =
            form.maybe("client_message_id", self.client_message_id, ClientMessageId::parse);
        let Some(content) = content else { return Err(form.into_problem()) };
        form.check()?;
        let kind = match self.message_type.unwrap_or_default() {
            MessageType::Text => MessageKind::Text,
            MessageType::Image => MessageKind::Image,
            MessageType::File => MessageKind::File,
            MessageType::System => {
                return Err(Problem::field(
                    "validation_failed",
                    "message_type",
                    "invalid_value",
                    "must be `text`, `image` or `file`: system messages are the server's own",
                ));
            }
        };
        let reply_to = self.reply_to.map(MessageId::from_uuid);
        Ok(Outgoing { target, content, client_message_id, kind, reply_to })
    }
}

/// Sends a message and answers when it is durable. The same `client_message_id` again gives the
/// first message.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages", tag = "messages", operation_id = "send_message",
    request_body = rest::SendMessage,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 201, description = "The message, numbered", body = rest::Message),
        (status = 200, description = "The first message with this `client_message_id`", body = rest::Message),
        (status = 400, description = "`validation_failed`: a field's form, `reply_to` that cannot be answered", body = rest::Problem),
        (status = 403, description = "`not_a_member`, `forbidden`, `peer_deleted`, `blocked`", body = rest::Problem),
        (status = 409, description = "`client_message_id_reused`", body = rest::Problem),
        (status = 503, description = "`outcome_unknown`, `overloaded`, `unavailable`: retry with the same id", body = rest::Problem),
    )
)]
pub(crate) async fn send(
    app: App,
    caller: Caller,
    At(Address { id, kind }): At,
    Body(body): Body<rest::SendMessage>,
) -> Result<HttpResponse, Problem> {
    let sender = caller.principal.user_id;
    let draft = Draft {
        content: &body.content,
        client_message_id: body.client_message_id.as_deref(),
        message_type: body.message_type,
        reply_to: body.reply_to,
    };
    let message = draft.read(Target::Conversation(id))?;
    app.0.services.messaging.allow(sender).into_result()?;
    let context = app.0.clone();
    let (message, first) = app
        .0
        .run(async move {
            let services = &context.services;
            let (message, first) = services.messaging.send(sender, message, kind).await?;
            services.typing.sent(sender, message.conversation_id);
            Ok((as_sent(services, sender, &message).await, first))
        })
        .await?;
    let mut response = if first { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(message))
}

/// A message of one's own that is durable, as one sees it; or without what only reading it again
/// would tell, where that fails: it was sent all the same.
async fn as_sent(services: &Services, viewer: UserId, message: &Message) -> rest::Message {
    match services.conversations.message(viewer, message.id).await {
        Ok(card) => render::message(viewer, &card),
        Err(_) => rest::Message { status: Some(None), ..message.into() },
    }
}

/// One message.
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages", operation_id = "message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The message", body = rest::Message),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn one(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let context = app.0.clone();
    let found =
        app.0.run(async move { context.services.conversations.message(viewer, id).await }).await?;
    Ok(HttpResponse::Ok().json(render::message(viewer, &found)))
}

/// Gives one's own message another text, for fifteen minutes.
#[utoipa::path(
    patch, path = "/v1/messages/{id}", tag = "messages", operation_id = "edit_message",
    request_body = rest::Edit,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The message", body = rest::Message),
        (status = 403, description = "`forbidden`, `edit_window`, `blocked`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`message_deleted`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn edit(
    app: App,
    caller: Caller,
    Id(id): Id<MessageId>,
    Body(body): Body<rest::Edit>,
) -> Result<HttpResponse, Problem> {
    let mut form = Form::default();
    let text = form.take("content", Content::parse(&body.content));
    let Some(text) = text else { return Err(form.into_problem()) };
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    let message = app
        .0
        .run(async move {
            let services = &context.services;
            let message = services.messaging.edit(actor, id, text).await?;
            Ok(as_sent(services, actor, &message).await)
        })
        .await?;
    Ok(HttpResponse::Ok().json(message))
}

/// Deletes a message for everyone; a tombstone stays. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/messages/{id}", tag = "messages", operation_id = "delete_message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`forbidden`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn delete(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    app.0.run(async move { context.services.messaging.delete(actor, id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Pins a message: in a direct chat both may, elsewhere admins and owners. Doing it twice changes
/// nothing.
#[utoipa::path(
    put, path = "/v1/messages/{id}/pin", tag = "messages", operation_id = "pin_message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The message", body = rest::Message),
        (status = 403, description = "`forbidden`, `blocked`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`message_deleted`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn pin(
    app: App,
    caller: Caller,
    _: NoInput,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    let message = app
        .0
        .run(async move {
            context.services.messaging.pin(actor, id, true).await?;
            context.services.conversations.message(actor, id).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(render::message(actor, &message)))
}

/// Takes a pin away. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/messages/{id}/pin", tag = "messages", operation_id = "unpin_message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Not pinned any more"),
        (status = 403, description = "`forbidden`, `blocked`", body = rest::Problem),
        (status = 404, description = "`not_found`", body = rest::Problem),
        (status = 409, description = "`message_deleted`, `conflict`", body = rest::Problem),
    )
)]
pub(crate) async fn unpin(
    app: App,
    caller: Caller,
    _: NoQuery,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let actor = caller.principal.user_id;
    app.0.services.messaging.allow(actor).into_result()?;
    let context = app.0.clone();
    app.0.run(async move { context.services.messaging.pin(actor, id, false).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}
