//! History, sending, editing, deleting, catching up.

use actix_web::{HttpRequest, HttpResponse};
use kith_app::{
    conversations::Address,
    messaging::{Outgoing, Target},
};
use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::Seq,
    message::MessageKind,
    text::{ClientMessageId, Content},
};
use kith_ports::{HistoryPage, HistorySelector};
use kith_protocol::rest::{self, MessageType};
use serde::Deserialize;
use uuid::Uuid;

use super::{conversations::At, render};
use crate::{
    extract::{App, Body, Caller, Form, Id, NoQuery, Query, limit},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    before: Option<Seq>,
    after: Option<Seq>,
    around: Option<Seq>,
    limit: Option<u32>,
}

impl HistoryQuery {
    fn selector(&self) -> Result<HistorySelector, Problem> {
        let seqs = [("before", self.before), ("after", self.after), ("around", self.around)];
        if let Some((field, _)) = seqs.iter().find(|(_, seq)| seq.is_some_and(|seq| seq < 0)) {
            let message = "must be the number of a message, or 0";
            return Err(Problem::field("validation_failed", *field, "invalid_value", message));
        }
        match (self.before, self.after, self.around) {
            (None, None, None) => Ok(HistorySelector::Newest),
            (Some(seq), None, None) => Ok(HistorySelector::Before(seq)),
            (None, Some(seq), None) => Ok(HistorySelector::After(seq)),
            (None, None, Some(seq)) => Ok(HistorySelector::Around(seq)),
            _ => Err(Problem::field(
                "validation_failed",
                "before",
                "invalid_value",
                "give at most one of `before`, `after`, `around`",
            )),
        }
    }
}

fn history_body(page: &HistoryPage, selector: HistorySelector) -> rest::History {
    rest::History {
        items: page.items.iter().map(Into::into).collect(),
        has_before: page.has_before,
        has_after: page.has_after,
        has_more: match selector {
            HistorySelector::After(_) => page.has_after,
            _ => page.has_before,
        },
        version: page.version,
    }
}

/// A page of the history, oldest first. Without a selector: the newest page.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages", tag = "messages", operation_id = "history",
    params(
        ("id" = uuid::Uuid, Path),
        ("before" = Option<i64>, Query, description = "messages just before this `seq`"),
        ("after" = Option<i64>, Query, description = "messages just after this `seq`"),
        ("around" = Option<i64>, Query, description = "this `seq`, up to half a page before it, the rest after"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The page", body = rest::History),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn history(
    app: App,
    caller: Caller,
    At(address): At,
    Query(query): Query<HistoryQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let (selector, limit) = (query.selector()?, limit(query.limit)?);
    let context = app.0.clone();
    let page = app
        .0
        .run(async move {
            context.services.conversations.history(viewer, address, selector, limit).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(history_body(&page, selector)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    conversation_id: Option<Uuid>,
    user_id: Option<Uuid>,
    before_id: Option<Uuid>,
    limit: Option<u32>,
}

/// The same page by conversation or, for a direct chat, by person; an empty one where there is no
/// chat yet.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", operation_id = "messages",
    params(
        ("conversation_id" = Option<uuid::Uuid>, Query), ("user_id" = Option<uuid::Uuid>, Query),
        ("before_id" = Option<uuid::Uuid>, Query, description = "messages just before this one"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The page", body = rest::History),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn page(
    app: App,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let limit = limit(query.limit)?;
    let (id, peer) = match (query.conversation_id, query.user_id) {
        (Some(id), None) => (ConversationId::from_uuid(id), None),
        (None, Some(peer)) => {
            let peer = UserId::from_uuid(peer);
            (ConversationId::direct(viewer, peer), Some(peer))
        }
        _ => {
            return Err(Problem::field(
                "validation_failed",
                "conversation_id",
                "required",
                "give either `conversation_id` or `user_id`",
            ));
        }
    };
    let before = query.before_id.map(MessageId::from_uuid);
    let context = app.0.clone();
    let (page, selector) = app
        .0
        .run(async move {
            let conversations = &context.services.conversations;
            let selector = match before {
                Some(message) => {
                    HistorySelector::Before(conversations.seq_of(viewer, id, message).await?)
                }
                None => HistorySelector::Newest,
            };
            let page = match peer {
                Some(peer) => conversations.direct_history(viewer, peer, selector, limit).await?,
                None => conversations.history(viewer, id.into(), selector, limit).await?,
            };
            Ok((page, selector))
        })
        .await?;
    Ok(HttpResponse::Ok().json(history_body(&page, selector)))
}

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
        (status = 403, description = "`not_a_member`, `forbidden`, `peer_deleted`", body = rest::Problem),
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
    let target = if kind.is_some() { Target::Group(id) } else { Target::Conversation(id) };
    let draft = Draft {
        content: &body.content,
        client_message_id: body.client_message_id.as_deref(),
        message_type: body.message_type,
        reply_to: body.reply_to,
    };
    let message = draft.read(target)?;
    app.0.services.messaging.allow(sender).into_result()?;
    let context = app.0.clone();
    let (message, first) =
        app.0.run(async move { context.services.messaging.send(sender, message).await }).await?;
    let mut response = if first { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(rest::Message::from(&*message)))
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
    Ok(HttpResponse::Ok().json(rest::Message::from(&found.message)))
}

/// Gives one's own message another text, for fifteen minutes.
#[utoipa::path(
    patch, path = "/v1/messages/{id}", tag = "messages", operation_id = "edit_message",
    request_body = rest::Edit,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "The message", body = rest::Message),
        (status = 403, description = "`forbidden`, `edit_window`", body = rest::Problem),
        (status = 409, description = "`message_deleted`", body = rest::Problem),
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
    let message =
        app.0.run(async move { context.services.messaging.edit(actor, id, text).await }).await?;
    Ok(HttpResponse::Ok().json(rest::Message::from(&*message)))
}

/// Deletes a message for everyone; a tombstone stays. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/messages/{id}", tag = "messages", operation_id = "delete_message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`forbidden`", body = rest::Problem),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesQuery {
    since: i64,
    limit: Option<u32>,
}

/// What changed in a conversation since a version: for a client that missed something.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/changes", tag = "messages", operation_id = "changes",
    params(
        ("id" = uuid::Uuid, Path), ("since" = i64, Query, description = "the version you have"),
        ("limit" = Option<u32>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The changes", body = rest::Changes),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn changes(
    app: App,
    caller: Caller,
    At(address): At,
    _: HttpRequest,
    Query(query): Query<ChangesQuery>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let limit = limit(query.limit)?;
    if query.since < 0 {
        return Err(Problem::field(
            "validation_failed",
            "since",
            "invalid_value",
            "must be a version you have, or 0 for none",
        ));
    }
    let context = app.0.clone();
    let body = app
        .0
        .run(async move {
            let services = &context.services;
            let conversations = &services.conversations;
            let changes = conversations.changes(viewer, address, query.since, limit).await?;
            let conversation =
                render::one_conversation(&services.people, viewer, changes.card).await?;
            let member = |row: &kith_ports::MemberRow| rest::MemberChanged {
                member: render::member(row),
                version: row.version,
                left: row.left,
            };
            Ok(rest::Changes {
                version: changes.version,
                has_more: changes.has_more,
                reset: changes.reset,
                conversation,
                messages: changes.messages.iter().map(Into::into).collect(),
                members: changes.members.iter().map(member).collect(),
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(body))
}
