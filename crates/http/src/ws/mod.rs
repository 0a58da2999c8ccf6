//! The WebSocket.
//!
//! `session` says what a frame means and what follows from it, without a socket; `driver` does
//! what follows, and holds the socket, whose writing half is in `peer`; `commands` carries out what
//! is more than a send, `sync` and `typist` the two of them that have something to themselves;
//! `guard` measures what comes in before anything is buffered.

mod commands;
mod counts;
mod driver;
mod guard;
mod peer;
mod session;
mod sync;
mod typist;

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use kith_app::sessions::Principal;
use kith_domain::{ConversationId, Refusal};
use kith_ports::live::{Socket, WorkerId};
use kith_protocol::frame::{BEARER_PREFIX, SUBPROTOCOL};
use serde::Deserialize;
use tracing::{Instrument as _, info_span};
use url::Url;

pub(crate) use self::counts::SocketCounts;
use self::{counts::Place, driver::Driver};
use crate::{
    context::Context,
    extract::{App, ClientIp, Query, bearer, path_id},
    gate::WorkerSlot,
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectQuery {
    token: Option<String>,
    ticket: Option<String>,
}

/// What one presents to open a socket.
enum Credential {
    Token(String),
    Ticket(String),
}

/// Opens a WebSocket. Whoever may not have one is told so before the upgrade.
#[utoipa::path(
    get, path = "/v1/ws", tag = "live", operation_id = "websocket",
    params(
        ("token" = Option<String>, Query, description = "an access token, for simple clients"),
        ("ticket" = Option<String>, Query, description = "a ticket from /v1/auth/ws-ticket"),
    ),
    security(("bearer" = []), ()),
    responses(
        (status = 101, description = "The socket; frames are described in asyncapi.json"),
        (status = 400, description = "`bad_handshake`: no upgrade was asked for", body = kith_protocol::rest::Problem),
        (status = 401, description = "`unauthenticated`", body = kith_protocol::rest::Problem),
        (status = 403, description = "`origin_not_allowed`", body = kith_protocol::rest::Problem),
        (status = 429, description = "`rate_limited`: as many sockets as one may have", body = kith_protocol::rest::Problem),
        (status = 503, description = "`overloaded`: the server stops", body = kith_protocol::rest::Problem),
    )
)]
pub(crate) async fn connect(
    app: App,
    request: HttpRequest,
    address: ClientIp,
    Query(query): Query<ConnectQuery>,
    worker: web::Data<WorkerSlot>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let visitor = Visitor { request, address, query, worker: worker.0 };
    visitor.connect(app.0, payload, None).await
}

/// Opens a WebSocket that carries one conversation: its events alone come, and what is sent without
/// a target goes there. It is closed with 4403 when one is in it no more.
#[utoipa::path(
    get, path = "/v1/ws/{id}", tag = "live", operation_id = "websocket_of_one",
    params(
        ("id" = uuid::Uuid, Path, description = "a conversation one is in"),
        ("token" = Option<String>, Query, description = "an access token, for simple clients"),
        ("ticket" = Option<String>, Query, description = "a ticket from /v1/auth/ws-ticket"),
    ),
    security(("bearer" = []), ()),
    responses(
        (status = 101, description = "The socket; frames are described in asyncapi.json"),
        (status = 400, description = "`bad_handshake`: no upgrade was asked for", body = kith_protocol::rest::Problem),
        (status = 401, description = "`unauthenticated`", body = kith_protocol::rest::Problem),
        (status = 403, description = "`origin_not_allowed`", body = kith_protocol::rest::Problem),
        (status = 404, description = "`not_found`: not a conversation one is in", body = kith_protocol::rest::Problem),
        (status = 429, description = "`rate_limited`: as many sockets as one may have", body = kith_protocol::rest::Problem),
        (status = 503, description = "`overloaded`: the server stops", body = kith_protocol::rest::Problem),
    )
)]
pub(crate) async fn connect_to_one(
    app: App,
    request: HttpRequest,
    address: ClientIp,
    Query(query): Query<ConnectQuery>,
    worker: web::Data<WorkerSlot>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let only = path_id(&request, "id")?;
    let visitor = Visitor { request, address, query, worker: worker.0 };
    visitor.connect(app.0, payload, Some(only)).await
}

/// One who asks for a socket.
struct Visitor {
    request: HttpRequest,
    address: ClientIp,
    query: ConnectQuery,
    worker: WorkerId,
}

impl Visitor {
    async fn connect(
        self,
        context: Arc<Context>,
        payload: web::Payload,
        only: Option<ConversationId>,
    ) -> Result<HttpResponse, Problem> {
        let Self { request, address: ClientIp(address), query, worker } = self;
        allow_origin(&request, &context)?;
        // Before a ticket is used up: with it, one comes in elsewhere.
        refuse_while_stopping(&context)?;
        let principal = authenticate(&context, credential(&request, query)).await?;
        if let Some(only) = only {
            let (inside, user) = (Arc::clone(&context), principal.user_id);
            let member = async move { inside.services.conversations.card(user, only.into()).await };
            context.run(member).await?;
        }
        refuse_while_stopping(&context)?;
        let place = context.counts.enter(principal.user_id, address).ok_or_else(|| Problem {
            detail: "as many sockets are open as one person or address may have: close one first"
                .into(),
            ..Problem::rate_limited(Duration::from_secs(1))
        })?;
        upgrade(context, &request, payload, principal, only, worker, place)
    }
}

fn refuse_while_stopping(context: &Context) -> Result<(), Problem> {
    if context.stop.is_cancelled() {
        return Err(kith_app::Error::Overloaded.into());
    }
    Ok(())
}

/// Answers the upgrade and starts the socket's driver.
fn upgrade(
    context: Arc<Context>,
    request: &HttpRequest,
    payload: web::Payload,
    principal: Principal,
    only: Option<ConversationId>,
    worker: WorkerId,
    place: Place,
) -> Result<HttpResponse, Problem> {
    let bad_handshake = |error: actix_web::Error| {
        Problem::new(
            // Not `status_code`: that of a refused handshake is always 500.
            error.as_response_error().error_response().status(),
            "bad_handshake",
            format!("this is the address of a WebSocket: {error}"),
        )
    };
    let (payload, too_big) = guard::watch(request, payload).map_err(bad_handshake)?;
    let (response, session, stream) =
        actix_ws::handle_with_protocols(request, payload, &[SUBPROTOCOL]).map_err(bad_handshake)?;
    let limit = usize::try_from(guard::MESSAGE_LIMIT).unwrap_or(usize::MAX);
    let socket = Socket {
        connection: context.services.ids.connection(),
        user_id: principal.user_id,
        session_id: principal.session_id,
        only,
    };
    let span = info_span!(
        "socket",
        connection_id = %socket.connection,
        user_id = %socket.user_id,
        session_id = %socket.session_id,
    );
    let tracker = context.sockets.clone();
    let driver = Driver::new(context, session, principal, socket, worker);
    let stream = stream.max_frame_size(limit);
    let run = async move {
        driver.run(stream, &too_big).await;
        drop(place);
    };
    actix_web::rt::spawn(tracker.track_future(run.instrument(span)));
    Ok(response)
}

fn credential(request: &HttpRequest, query: ConnectQuery) -> Option<Credential> {
    if let Some(token) = bearer(request) {
        return Some(Credential::Token(token.to_owned()));
    }
    if let Some(ticket) = query.ticket {
        return Some(Credential::Ticket(ticket));
    }
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let token = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(BEARER_PREFIX));
    token.map(str::to_owned).or(query.token).map(Credential::Token)
}

async fn authenticate(
    context: &Arc<Context>,
    credential: Option<Credential>,
) -> Result<Principal, Problem> {
    let inside = Arc::clone(context);
    let credential = credential.ok_or_else(|| {
        Refusal::new(
            kith_domain::Code::Unauthenticated,
            "give a token (`Authorization`, `?token=`, `Sec-WebSocket-Protocol`) or a `?ticket=`",
        )
    })?;
    context
        .run(async move {
            match credential {
                Credential::Token(token) => inside.services.openings.authenticate(&token).await,
                Credential::Ticket(ticket) => inside.services.openings.redeem(&ticket).await,
            }
        })
        .await
}

/// Pages of other sites may not open sockets in their visitors' names. Programs send no `Origin`.
fn allow_origin(request: &HttpRequest, context: &Context) -> Result<(), Problem> {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let refused = || {
        Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "pages of this origin may not open a socket here; see KITH_CORS_ORIGINS",
        )
    };
    let origin = origin.to_str().map_err(|_| refused())?;
    let settings = &context.settings;
    let listed = settings
        .public_url
        .iter()
        .chain(&settings.cors_origins)
        .any(|allowed| same_origin(allowed, origin));
    let own = Url::parse(origin).is_ok_and(|origin| {
        let host = origin.host_str().unwrap_or_default();
        let authority = match origin.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let asked = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        asked.is_some_and(|asked| asked.eq_ignore_ascii_case(&authority))
    });
    if listed || own { Ok(()) } else { Err(refused()) }
}

fn same_origin(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin() == b.origin(),
        _ => false,
    }
}
