//! What every request passes: its id, its line in the log, the headers of its answer.

use std::{net::IpAddr, sync::Arc};

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use kith_ports::live::WorkerId;
use tracing::{Instrument as _, info, info_span, warn};

use crate::{context::Context, problem::Problem};

/// Which worker of the hub serves the sockets of this thread.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSlot(pub WorkerId);

/// Where the peer is, as far as it can be believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that is being served; empty outside of one.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// The middleware.
pub async fn gate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(context) = request.app_data::<web::Data<Arc<Context>>>().cloned() else {
        return Err(Problem::internal().into());
    };
    let trusted = from_trusted_proxy(request.request(), &context);
    let id = id_of(request.request(), trusted)
        .unwrap_or_else(|| context.services.ids.connection().to_string());
    if let Some(address) = client_address(request.request(), trusted, &context) {
        request.extensions_mut().insert(ClientAddress(address));
    }
    // The path alone: the query may hold a token.
    let span = info_span!(
        "request",
        request_id = %id,
        method = %request.method(),
        path = %printable(request.path()),
    );
    let started = std::time::Instant::now();
    let served = async move {
        let response = next.call(request).await?.map_into_boxed_body();
        let mut response = in_our_form(response);
        let status = response.status();
        let millis = started.elapsed().as_secs_f64() * 1_000.0;
        if status.is_server_error() {
            warn!(status = status.as_u16(), millis, "request failed");
        } else {
            info!(status = status.as_u16(), millis, "request");
        }
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id()) {
            headers.insert(REQUEST_ID, value);
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    };
    CURRENT.scope(id, served.instrument(span)).await
}

/// Gives errors that the framework answered with its own body the form of all others.
fn in_our_form(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        // A problem document, what health says of itself, or the page for people.
        [&b"application/problem+json"[..], b"application/json", b"text/html"]
            .iter()
            .any(|ours| kind.as_bytes().starts_with(ours))
    });
    if !(status.is_client_error() || status.is_server_error()) || ours {
        return response;
    }
    let problem = match status {
        StatusCode::NOT_FOUND => Problem::new(status, "not_found", "there is nothing at this path"),
        status if status.is_server_error() => Problem::internal(),
        status => Problem::new(status, "bad_request", "the request is not well formed"),
    };
    response.into_response(problem.error_response())
}

/// Whether a request comes from a proxy whose word is believed.
pub(crate) fn from_trusted_proxy(request: &HttpRequest, context: &Context) -> bool {
    request.peer_addr().is_some_and(|peer| is_trusted(peer.ip(), context))
}

fn is_trusted(address: IpAddr, context: &Context) -> bool {
    context.settings.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()))
}

fn id_of(request: &HttpRequest, trusted: bool) -> Option<String> {
    let id = request.headers().get(REQUEST_ID).filter(|_| trusted)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ((1..=64).contains(&id.len()) && id.chars().all(plain)).then(|| id.to_owned())
}

/// The peer, or, behind trusted proxies, the last address that none of them has.
fn client_address(request: &HttpRequest, trusted: bool, context: &Context) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !trusted {
        return Some(peer);
    }
    let forwarded = request
        .headers()
        .get_all(header::X_FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|address| address.trim().parse::<IpAddr>())
        .collect::<Vec<_>>();
    for address in forwarded.into_iter().rev() {
        match address {
            Ok(address) if is_trusted(address, context) => {}
            Ok(address) => return Some(address.to_canonical()),
            Err(_) => return Some(peer),
        }
    }
    Some(peer)
}

/// A text from outside, fit for a log: no control characters, not long.
fn printable(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
