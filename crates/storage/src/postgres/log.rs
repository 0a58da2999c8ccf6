//! Carrying out batches of commands: one transaction each, in order.
//!
//! A batch of sends alone, which nearly all are, is one statement. Any other locks the heads of its
//! conversations first, in the order of their ids, and goes on run by run: sends by `kith_append`,
//! other commands one by one.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use diesel::{
    prelude::{ExpressionMethods as _, QueryDsl as _},
    result::{DatabaseErrorKind, Error as DieselError},
};
use diesel_async::RunQueryDsl as _;
use kith_domain::{
    ConversationId, MessageId, Refusal, UserId, conversation::pair, text::ClientMessageId,
};
use kith_ports::{
    StoreResult,
    log::{Applied, Change, Command, ConversationLog, Rejected, Send},
};

use super::{
    ATTEMPTS, Connection, Postgres,
    append::append,
    error::Trouble,
    pool::{Manner, Step},
    step_back,
    stores::log::{Outcome, carry_out, working_set::WorkingSet},
};
use crate::{
    failure::{Failure, Work},
    queries::locked,
    schema::heads,
    types::Key,
};

#[async_trait]
impl ConversationLog for Postgres {
    async fn apply(&self, batch: Arc<[Command]>) -> StoreResult<Vec<Result<Applied, Rejected>>> {
        let alone = matches!(Run::split(&batch).as_slice(), [Run::Sends(_)]);
        let manner = if alone { Manner::Statement } else { Manner::Transaction };
        let mut attempt = 1;
        let outcomes = loop {
            match self.lanes.run(manner, work(Arc::clone(&batch), alone)).await {
                Err(Trouble::Contended) if attempt < ATTEMPTS => step_back(&mut attempt).await,
                outcome => break outcome?,
            }
        };
        if outcomes.iter().any(|outcome| matches!(outcome, Ok(Applied::Removed(_)))) {
            self.deleted.notify_one();
        }
        Ok(outcomes)
    }
}

/// The work of a batch; `alone`: of sends that are one run.
fn work(
    batch: Arc<[Command]>,
    alone: bool,
) -> impl for<'c> FnOnce(&'c mut Connection) -> Step<'c, Vec<Outcome>> + std::marker::Send {
    move |connection| {
        Box::pin(async move {
            if alone {
                send_all(connection, &batch.iter().collect::<Vec<_>>()).await
            } else {
                apply(connection, &batch).await
            }
        })
    }
}

async fn apply(connection: &mut Connection, batch: &[Command]) -> Work<Vec<Outcome>> {
    let ids: Vec<Key> = batch.iter().map(|command| command.conversation_id.into()).collect();
    let heads = heads::table
        .filter(heads::conversation_id.eq_any(ids))
        .order(heads::conversation_id.asc())
        .select(heads::conversation_id);
    let held: Vec<Key> = locked(heads).load(connection).await?;
    let mut held: HashSet<ConversationId> = held.into_iter().map(Into::into).collect();
    let mut outcomes = Vec::with_capacity(batch.len());
    for run in Run::split(batch) {
        let carried_out = match &run {
            Run::Sends(commands) => send_all(connection, commands).await?,
            Run::Others(commands) => change_all(connection, &held, commands).await?,
        };
        // Where something was done and no head was there before, this transaction made it or has
        // locked it since.
        let done = run.commands().iter().zip(&carried_out).filter(|(_, outcome)| outcome.is_ok());
        held.extend(done.map(|(command, _)| command.conversation_id));
        outcomes.extend(carried_out);
    }
    Ok(outcomes)
}

async fn change_all(
    connection: &mut Connection,
    held: &HashSet<ConversationId>,
    commands: &[&Command],
) -> Work<Vec<Outcome>> {
    let mut set = WorkingSet::new(connection);
    set.take_in(commands.iter().map(|command| command.conversation_id)).await?;
    if commands.iter().map(|it| it.conversation_id).any(|id| !held.contains(&id) && set.has(id)) {
        // Another node has made it since: it is to be locked first.
        return Err(overtaken());
    }
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        outcomes.push(carry_out(&mut set, command).await?);
    }
    set.save().await?;
    Ok(outcomes)
}

/// The failure of a batch that is to be tried again.
fn overtaken() -> Failure {
    let why = Box::new(String::from("a conversation was made in the meantime"));
    DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, why).into()
}

async fn send_all(connection: &mut Connection, commands: &[&Command]) -> Work<Vec<Outcome>> {
    let sends: Vec<_> = commands.iter().map(|command| addressed(command)).collect();
    let good: Vec<(&Command, &Send)> = commands
        .iter()
        .zip(&sends)
        .filter_map(|(command, send)| Some((*command, *send.as_ref().ok()?)))
        .collect();
    let appended = if good.is_empty() { Vec::new() } else { append(connection, &good).await? };
    let mut appended = appended.into_iter();
    // There is an outcome for each good one.
    let outcome = |send: Result<_, Refusal>| match send {
        Ok(_) => appended.next(),
        Err(refusal) => Some(Err(refusal.into())),
    };
    Ok(sends.into_iter().filter_map(outcome).collect())
}

/// The send of a command, if it can name a conversation at all: that with a person is the one of
/// the two.
fn addressed(command: &Command) -> Result<&Send, Refusal> {
    let Change::Send(send) = &command.change else { return Err(Refusal::not_found()) };
    if let Some(peer) = send.peer {
        pair(send.sender_id, peer, "to")?;
        if command.conversation_id != ConversationId::direct(send.sender_id, peer) {
            return Err(Refusal::not_a_member());
        }
    }
    Ok(send)
}

/// Commands of a batch that are carried out together.
#[derive(Debug)]
enum Run<'b> {
    /// Sends of which none can depend on another: no message twice, no answer to one of them.
    Sends(Vec<&'b Command>),
    /// Anything else.
    Others(Vec<&'b Command>),
}

impl<'b> Run<'b> {
    fn commands(&self) -> &[&'b Command] {
        match self {
            Self::Sends(commands) | Self::Others(commands) => commands,
        }
    }

    fn split(batch: &'b [Command]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        let mut sent: HashSet<MessageId> = HashSet::new();
        let mut used: HashSet<(ConversationId, UserId, &ClientMessageId)> = HashSet::new();
        for command in batch {
            let Change::Send(send) = &command.change else {
                match runs.last_mut() {
                    Some(Self::Others(commands)) => commands.push(command),
                    _ => runs.push(Self::Others(vec![command])),
                }
                continue;
            };
            let key = (command.conversation_id, send.sender_id, &send.client_message_id);
            let depends = used.contains(&key)
                || sent.contains(&send.id)
                || send.reply_to.is_some_and(|answered| sent.contains(&answered));
            match runs.last_mut() {
                Some(Self::Sends(commands)) if !depends => commands.push(command),
                _ => {
                    sent.clear();
                    used.clear();
                    runs.push(Self::Sends(vec![command]));
                }
            }
            sent.insert(send.id);
            used.insert(key);
        }
        runs
    }
}
