//! How far people have received and read.

use actix_web::{HttpRequest, HttpResponse};
use kith_app::{conversations::Address, receipts::UpTo};
use kith_domain::{MessageId, receipt::Mark};
use kith_ports::Receipt;
use kith_protocol::rest;

use super::{
    conversations::At,
    paging::{self, Paging},
    render,
};
use crate::{
    cursor::ReceiptCursor,
    extract::{App, Body, Caller, Id, NoInput, Query, seq},
    problem::Problem,
};

/// Says that I have read everything up to a number. It never goes back, nor past the newest message.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/read", tag = "receipts", operation_id = "read_up_to",
    request_body = rest::UpTo,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "My place in the conversation after it", body = rest::My),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn read(
    app: App,
    caller: Caller,
    At(address): At,
    Body(body): Body<rest::UpTo>,
) -> Result<HttpResponse, Problem> {
    advance(&app, &caller, address, &body, Mark::Read).await
}

/// Says that a device of mine has everything up to a number. It never goes back, nor past the newest
/// message.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/delivered", tag = "receipts",
    operation_id = "delivered_up_to", request_body = rest::UpTo,
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "My place in the conversation after it", body = rest::My),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn delivered(
    app: App,
    caller: Caller,
    At(address): At,
    Body(body): Body<rest::UpTo>,
) -> Result<HttpResponse, Problem> {
    advance(&app, &caller, address, &body, Mark::Delivered).await
}

async fn advance(
    app: &App,
    caller: &Caller,
    address: Address,
    body: &rest::UpTo,
    mark: Mark,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let up_to = UpTo::Seq(address, seq("seq", body.seq)?);
    let context = app.0.clone();
    let card = app
        .0
        .run(async move {
            let services = &context.services;
            services.receipts.mark(me, up_to, mark, None).await?;
            services.conversations.card(me, address).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(render::my(&card)))
}

/// Says that I have read a message, and with it all before it.
#[utoipa::path(
    post, path = "/v1/messages/{id}/read", tag = "receipts", operation_id = "read_message",
    params(("id" = uuid::Uuid, Path)), security(("bearer" = [])),
    responses(
        (status = 200, description = "When", body = rest::MessageRead),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn read_message(
    app: App,
    caller: Caller,
    _: NoInput,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let me = caller.principal.user_id;
    let context = app.0.clone();
    let marked = app
        .0
        .run(async move {
            context.services.receipts.mark(me, UpTo::Message(id), Mark::Read, None).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(rest::MessageRead {
        message_id: *id.as_uuid(),
        status: rest::MessageStatus::Read,
        read_at: marked.at.into(),
    }))
}

/// How far a message has come with each member but its sender. Above 256 members times are not
/// known.
#[utoipa::path(
    get, path = "/v1/messages/{id}/receipts", tag = "receipts", operation_id = "receipts",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "One for each member", body = rest::Items<rest::Receipt>),
        (status = 404, description = "`not_found`", body = rest::Problem),
    )
)]
pub(crate) async fn list(
    app: App,
    caller: Caller,
    request: HttpRequest,
    Query(query): Query<Paging>,
    Id(id): Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let viewer = caller.principal.user_id;
    let (limit, after) = paging::asked(&app, &caller, query)?;
    let after = after.map(|ReceiptCursor(last)| last);
    let context = app.0.clone();
    let page = app
        .0
        .run(async move { context.services.receipts.receipts(viewer, id, after, limit).await })
        .await?;
    let next = page.next.map(ReceiptCursor);
    Ok(paging::page(
        &app,
        &caller,
        &request,
        page.items.iter().map(receipt).collect(),
        next.as_ref(),
    ))
}

fn receipt(receipt: &Receipt) -> rest::Receipt {
    rest::Receipt {
        user_id: *receipt.user_id.as_uuid(),
        status: receipt.status.into(),
        delivered_at: receipt.delivered_at.map(Into::into),
        read_at: receipt.read_at.map(Into::into),
    }
}
