//! Commands that are not sends: carried out beside the socket, answered in order through the bus.

use std::sync::Arc;

use bytestring::ByteString;
use kith_app::{receipts::UpTo, sessions::Principal};
use kith_domain::{ConversationId, MessageId, Timestamp, UserId, receipt::Mark};
use kith_ports::live::{Dispatch, Failure, Origin, Reply, Socket};
use kith_protocol::frame::ServerFrame;
use tracing::debug;

use super::{
    session::{Effect, refusal},
    sync,
};
use crate::{
    context::{Context, Services},
    cursor,
    problem::Problem,
    routes,
};

/// What became of a command outside of the lanes.
pub(super) enum Finished {
    /// It changed nothing.
    Read,
    /// It was an edit, a deletion or a reaction.
    Written,
    /// The token was renewed, and ends then.
    Renewed(Timestamp),
}

/// A frame as it goes over the wire.
pub(super) fn encode(frame: &ServerFrame) -> ByteString {
    // Frames hold strings, numbers and lists: nothing that JSON cannot say.
    serde_json::to_string(frame).unwrap_or_default().into()
}

/// Answers a command through the bus: after the events it caused, and after those that came before
/// it.
pub(super) async fn reply(context: &Context, origin: Origin, outcome: Result<Reply, Problem>) {
    let reply = outcome.unwrap_or_else(|problem| {
        debug!(%problem, "a command was refused");
        let id = origin.frame_id.as_deref().map(str::to_owned);
        Reply::Frame(encode(&refusal(id, &problem)))
    });
    context.services.bus.publish(vec![Dispatch::Reply { origin, reply }]).await;
}

/// Carries out a command that is not a send, and answers it. For a socket that carries one
/// conversation there are no messages but those in it.
pub(super) async fn answer(
    context: Arc<Context>,
    principal: Principal,
    only: Option<ConversationId>,
    origin: Origin,
    command: Effect,
) -> Finished {
    let services = &context.services;
    let user = principal.user_id;
    let mut finished = if command.writes() { Finished::Written } else { Finished::Read };
    let outcome = match command {
        Effect::Sync { id, since } => synced(services, user, id, since.as_deref()).await,
        Effect::Pong { id } => pong(services, user, id).await.map_err(Problem::from),
        Effect::Authenticate { token, .. } => {
            renewed(services, principal, &token).await.map(|expires_at| {
                finished = Finished::Renewed(expires_at);
                Reply::Done
            })
        }
        command => written(services, user, only, command).await.map_err(Problem::from),
    };
    reply(&context, origin, outcome).await;
    finished
}

async fn written(
    services: &Services,
    user: UserId,
    only: Option<ConversationId>,
    command: Effect,
) -> kith_app::Result<Reply> {
    let messaging = &services.messaging;
    match command {
        Effect::Edit { message, content, .. } => {
            within(services, user, only, message).await?;
            messaging.edit(user, message, content).await?;
        }
        Effect::Delete { message, .. } => {
            within(services, user, only, message).await?;
            messaging.delete(user, message).await?;
        }
        Effect::React { message, emoji, given, .. } => {
            within(services, user, only, message).await?;
            messaging.react(user, message, emoji, given).await?;
        }
        // The others are carried out elsewhere.
        _ => return Ok(Reply::Failed(Failure::Internal)),
    }
    Ok(Reply::Done)
}

/// That a message stands in the one conversation that a socket carries.
async fn within(
    services: &Services,
    user: UserId,
    only: Option<ConversationId>,
    message: MessageId,
) -> kith_app::Result<()> {
    if let Some(only) = only {
        services.conversations.seq_of(user, only, message).await?;
    }
    Ok(())
}

/// Moves a mark. That it is done is said where it is told to others; that it cannot be done, here.
pub(super) async fn mark(
    context: Arc<Context>,
    socket: Socket,
    origin: Origin,
    up_to: UpTo,
    mark: Mark,
) {
    let (services, user) = (&context.services, socket.user_id);
    let marked = async {
        if let UpTo::Message(message) = up_to {
            within(services, user, socket.only, message).await?;
        }
        services.receipts.mark(user, up_to, mark, Some(origin.clone())).await
    };
    if let Err(error) = marked.await {
        reply(&context, origin, Err(error.into())).await;
    }
}

async fn synced(
    services: &Services,
    user: UserId,
    id: Option<String>,
    since: Option<&str>,
) -> Result<Reply, Problem> {
    let from = routes::sync::since(&*services.seals, user, since)?;
    Ok(Reply::Frame(sync::frame(services, user, id, from).await?))
}

async fn pong(services: &Services, user: UserId, id: Option<String>) -> kith_app::Result<Reply> {
    let told = services.subscriptions.told();
    let mark = services.sync.mark(user, told).await?;
    let sync_token = cursor::seal(&*services.seals, user, &mark);
    Ok(Reply::Frame(encode(&ServerFrame::Pong { id, sync_token })))
}

/// When a newer token of the same session ends.
async fn renewed(
    services: &Services,
    principal: Principal,
    token: &str,
) -> Result<Timestamp, Problem> {
    let newer = services.sessions.authenticate(token).await?;
    if newer.session_id == principal.session_id && newer.user_id == principal.user_id {
        return Ok(newer.expires_at);
    }
    Err(Problem::field(
        "validation_failed",
        "token",
        "invalid_value",
        "must be of the session that this socket was opened with",
    ))
}
