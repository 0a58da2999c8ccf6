//! Health, the root, the documentation.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web::ServiceConfig};
use kith_protocol::rest;
use utoipa_swagger_ui::SwaggerUi;

use super::{
    client,
    table::{Table, at},
};
use crate::{asyncapi, context::Context, extract::App, openapi, problem::Problem};

/// How long the database may take to answer before the server is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn configure(config: &mut ServiceConfig) {
    table().mount(config);
    config
        .service(at("/docs").get(to_docs).into_resource())
        .service(at("/asyncapi.json").get(frames).into_resource())
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", openapi::document()));
}

/// What the server says of itself; the documents and their reader are beside it.
pub(crate) fn table() -> Table {
    Table::default()
        .with(at("/").file(root))
        .with(at("/health").get(health))
        .with(at("/health/live").get(live))
        .with(at("/health/ready").get(ready))
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// The web client for people, a welcome for programs.
#[utoipa::path(
    get, path = "/", tag = "system", operation_id = "root",
    responses((status = 200, description = "The web client, or for `Accept: application/json` a welcome", body = rest::Welcome))
)]
pub(crate) async fn root(app: App, request: HttpRequest) -> HttpResponse {
    if client::takes_pages(&request) {
        return client::page(&request);
    }
    HttpResponse::Ok().json(rest::Welcome {
        name: "Kith".to_owned(),
        version: app.0.settings.version.to_owned(),
        docs: "/docs".to_owned(),
    })
}

fn status(context: &Context, status: &str) -> rest::Health {
    rest::Health { status: status.to_owned(), version: context.settings.version.to_owned() }
}

fn not_ready(context: &Context, why: &str) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, 1))
        .json(status(context, why))
}

/// That the server is there.
#[utoipa::path(
    get, path = "/health", tag = "system", operation_id = "health",
    responses((status = 200, description = "It is there", body = rest::Health))
)]
pub(crate) async fn health(app: App) -> HttpResponse {
    HttpResponse::Ok().json(status(&app.0, "ok"))
}

/// That the process lives, whatever its database does.
#[utoipa::path(
    get, path = "/health/live", tag = "system", operation_id = "live",
    responses((status = 200, description = "It lives", body = rest::Health))
)]
pub(crate) async fn live(app: App) -> HttpResponse {
    HttpResponse::Ok().json(status(&app.0, "ok"))
}

/// That the server takes requests: its database answers, and it is not being stopped. One of several
/// nodes that has lost Redis is `degraded`: it takes requests, and others hear later of them.
#[utoipa::path(
    get, path = "/health/ready", tag = "system", operation_id = "ready",
    responses(
        (status = 200, description = "It takes requests: `ok` or `degraded`", body = rest::Health),
        (status = 503, description = "`draining` or `unavailable`", body = rest::Health),
    )
)]
pub(crate) async fn ready(app: App) -> Result<HttpResponse, Problem> {
    let context: Arc<Context> = app.0;
    if context.stop.is_cancelled() {
        return Ok(not_ready(&context, "draining"));
    }
    let inside = Arc::clone(&context);
    let answered = context.run(async move {
        Ok(tokio::time::timeout(PATIENCE, inside.services.store.horizon()).await)
    });
    match answered.await? {
        Ok(Ok(_)) if !context.services.subscriptions.is_whole() => {
            Ok(HttpResponse::Ok().json(status(&context, "degraded")))
        }
        Ok(Ok(_)) => Ok(HttpResponse::Ok().json(status(&context, "ok"))),
        Ok(Err(_)) | Err(_) => Ok(not_ready(&context, "unavailable")),
    }
}

/// The frames of the WebSocket, as an `AsyncAPI` document.
async fn frames() -> HttpResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| asyncapi::document().to_string());
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}
