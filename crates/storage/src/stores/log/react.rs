//! Reactions: given and taken back.

use std::sync::Arc;

use diesel::prelude::*;
use kith_domain::{
    ConversationId, Refusal,
    event::ReactionEvent,
    message::{Message, may_add_emoji, may_mark},
    text::Emoji,
};
use kith_ports::{
    StoreError,
    log::{Applied, React},
};

use super::{
    Connection, Outcome, RunQueryDsl, audience, either,
    messages::first_visible,
    reactions::parse,
    revise::find,
    statements::{EmojiUnder, InsertReaction, TouchMessage},
    working_set::WorkingSet,
};
use crate::{failure::Work, schema::reactions, types::Key};

#[either]
pub(super) async fn react(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    react: &React,
) -> Work<Outcome> {
    let message = match judge(set, id, react).await? {
        Ok(message) => message,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    if is_there(set.connection, &message, react).await? == react.given {
        return Ok(Ok(Applied::Reacted(None)));
    }
    if react.given {
        let there = emoji_under(set.connection, &message).await?;
        if let Err(refusal) = may_add_emoji(there.iter(), &react.emoji) {
            return Ok(Err(refusal.into()));
        }
    }
    let Some(slot) = set.slot(id) else { return Ok(Err(Refusal::not_found().into())) };
    let (conversation, version) = (Arc::clone(&slot.conversation), slot.next_version());
    let event = ReactionEvent {
        conversation_id: id,
        message_id: message.id,
        seq: message.seq,
        user_id: react.by,
        emoji: react.emoji.clone(),
        version,
    };
    write(set.connection, &event, react.given).await?;
    let audience = audience::seen_by(set, &conversation, message.seq).await?;
    Ok(Ok(Applied::Reacted(Some((event, audience)))))
}

/// The message, if one may react to it.
#[either]
async fn judge(
    set: &mut WorkingSet<'_>,
    id: ConversationId,
    react: &React,
) -> Work<Result<Message, Refusal>> {
    let Some(slot) = set.slot(id).filter(|slot| !slot.is_deleted()) else {
        return Ok(Err(Refusal::not_found()));
    };
    let kind = slot.conversation.kind;
    let Some(first_seq) = set.person(id, react.by).await?.present().map(|place| place.first_seq)
    else {
        return Ok(Err(Refusal::not_found()));
    };
    let found = find(set, id, react.message_id).await?.map(|found| found.message);
    let Some(message) = found.filter(|message| message.seq >= first_visible(kind, first_seq))
    else {
        return Ok(Err(Refusal::not_found()));
    };
    if set.is_blocked(id).await? {
        return Ok(Err(Refusal::blocked()));
    }
    Ok(may_mark(&message).map(|()| message))
}

#[either]
async fn is_there(connection: &mut Connection, message: &Message, react: &React) -> Work<bool> {
    let key = (
        Key::from(message.conversation_id),
        message.seq,
        react.emoji.as_str(),
        Key::from(react.by),
    );
    let version = reactions::table.find(key).select(reactions::version);
    Ok(version.get_result::<i64>(connection).await.optional()?.is_some())
}

/// The different emoji under a message.
#[either]
async fn emoji_under(connection: &mut Connection, message: &Message) -> Work<Vec<Emoji>> {
    let key = (message.conversation_id, message.seq);
    let (conversation_id, seq) = (&key.0.into(), &key.1);
    let emoji: Vec<String> = EmojiUnder { conversation_id, seq }.load(connection).await?;
    Ok(emoji.iter().map(|emoji| parse(key, emoji)).collect::<Result<_, StoreError>>()?)
}

/// Writes a reaction or removes it, and gives the message its number: readers find it by that.
#[either]
async fn write(connection: &mut Connection, event: &ReactionEvent, given: bool) -> Work<()> {
    let ReactionEvent { conversation_id, seq, user_id, emoji, version, .. } = event;
    let conversation_id = &(*conversation_id).into();
    if given {
        let (emoji, user_id) = (emoji.as_str(), &(*user_id).into());
        InsertReaction { conversation_id, seq, emoji, user_id, version }
            .execute(connection)
            .await?;
    } else {
        let key = (*conversation_id, *seq, emoji.as_str(), Key::from(*user_id));
        diesel::delete(reactions::table.find(key)).execute(connection).await?;
    }
    TouchMessage { conversation_id, seq, version }.execute(connection).await?;
    Ok(())
}
