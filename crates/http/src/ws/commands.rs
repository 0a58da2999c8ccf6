//! Commands that are not sends: carried out beside the socket, answered in order through the bus.

use std::sync::Arc;

use bytestring::ByteString;
use kith_app::sessions::Principal;
use kith_domain::Timestamp;
use kith_ports::live::{Dispatch, Failure, Origin, Reply};
use kith_protocol::frame::ServerFrame;
use tracing::debug;

use super::session::{Effect, refusal};
use crate::{context::Context, cursor, problem::Problem, routes};

/// How many conversations stand in one `sync` frame.
const CONVERSATIONS: usize = 50;

/// What became of a command outside of the lanes.
pub(super) enum Finished {
    /// It changed nothing.
    Read,
    /// It was an edit or a deletion.
    Written,
    /// The token was renewed, and ends then.
    Renewed(Timestamp),
}

/// A frame as it goes over the wire.
pub(super) fn encode(frame: &ServerFrame) -> ByteString {
    // Frames hold strings, numbers and lists: nothing that JSON cannot say.
    serde_json::to_string(frame).unwrap_or_default().into()
}

/// The client's mark on a command.
pub(super) fn id_of(command: &Effect) -> Option<String> {
    match command {
        Effect::Send { id, .. }
        | Effect::Edit { id, .. }
        | Effect::Delete { id, .. }
        | Effect::Sync { id, .. }
        | Effect::Authenticate { id, .. }
        | Effect::Pong { id } => id.clone(),
        Effect::Say(_) | Effect::Ping | Effect::Close { .. } => None,
    }
}

/// Carries out a command that is not a send, and answers through the bus: after the events it
/// caused, and after those that came before it.
pub(super) async fn answer(
    context: Arc<Context>,
    principal: Principal,
    origin: Origin,
    command: Effect,
) -> Finished {
    let services = &context.services;
    let id = origin.frame_id.as_deref().map(str::to_owned);
    let user = principal.user_id;
    let mut finished = match command {
        Effect::Edit { .. } | Effect::Delete { .. } => Finished::Written,
        _ => Finished::Read,
    };
    let outcome: Result<Reply, Problem> = match command {
        Effect::Edit { message, content, .. } => {
            { services.messaging.edit(user, message, content).await.map(|_| Reply::Done) }
                .map_err(Problem::from)
        }
        Effect::Delete { message, .. } => services
            .messaging
            .delete(user, message)
            .await
            .map(|()| Reply::Done)
            .map_err(Problem::from),
        Effect::Sync { since, .. } => sync(&context, principal, id.clone(), since).await,
        Effect::Pong { .. } => match services.sync.mark().await {
            Ok(mark) => {
                let sync_token = cursor::seal(&*services.seals, user, &mark);
                Ok(Reply::Frame(encode(&ServerFrame::Pong { id: id.clone(), sync_token })))
            }
            Err(error) => Err(error.into()),
        },
        Effect::Authenticate { token, .. } => match services.sessions.authenticate(&token).await {
            Ok(newer) if newer.session_id == principal.session_id && newer.user_id == user => {
                finished = Finished::Renewed(newer.expires_at);
                Ok(Reply::Done)
            }
            Ok(_) => Err(Problem::field(
                "validation_failed",
                "token",
                "invalid_value",
                "must be of the session that this socket was opened with",
            )),
            Err(error) => Err(error.into()),
        },
        Effect::Send { .. } | Effect::Say(_) | Effect::Ping | Effect::Close { .. } => {
            Ok(Reply::Failed(Failure::Internal))
        }
    };
    let reply = outcome.unwrap_or_else(|problem| {
        debug!(%problem, "a command was refused");
        Reply::Frame(encode(&refusal(id, &problem)))
    });
    services.bus.publish(vec![Dispatch::Reply { origin, reply }]).await;
    finished
}

async fn sync(
    context: &Arc<Context>,
    principal: Principal,
    id: Option<String>,
    since: Option<String>,
) -> Result<Reply, Problem> {
    let services = &context.services;
    let user = principal.user_id;
    let from = routes::sync::since(&*services.seals, user, since.as_deref())?;
    let body = routes::sync::body(services, user, from, CONVERSATIONS).await?;
    Ok(Reply::Frame(encode(&ServerFrame::Sync { id, body })))
}
