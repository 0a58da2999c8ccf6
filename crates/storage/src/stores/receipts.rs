//! Watermarks: moving them, and what they say of a message.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Bool, Nullable},
};
use kith_domain::{
    ConversationId, MessageId, UserId,
    conversation::Seq,
    receipt::{Mark, Status, Watermarks},
};
use kith_ports::{Advance, Advanced, Page, Receipt, ReceiptStore, StoreResult};

use super::{
    Connection, RunQueryDsl, Store, advances, cards, either, log::blocks::between, marks::shown,
};
use crate::{
    failure::Work,
    queries::{FirstAdvance, IN_CHARGE, joined_seq, one_more},
    rows::mark_number,
    schema::{members, messages, users},
    types::{Key, Moment, sql::Timestamp as At},
};

#[async_trait]
impl ReceiptStore for Store {
    async fn advance(&self, batch: Arc<[Advance]>) -> StoreResult<Vec<Option<Advanced>>> {
        insist!(self, [batch] advance(&batch))
    }

    async fn receipts(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<Option<Page<Receipt, UserId>>> {
        snapshot!(self, receipts(viewer, message, after, limit))
    }
}

/// A member whose marks are to be moved, as he is while the head is locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) marks: Watermarks,
    pub(crate) last_seq: Seq,
    /// Whether the conversation tells of receipts.
    pub(crate) is_small: bool,
    /// Whether he lets others see what he has read.
    pub(crate) reads_openly: bool,
    /// Whether he and the other one of a direct chat have parted, so that neither is told.
    pub(crate) is_blocked: bool,
}

/// Marks that move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) advance: &'a Advance,
    pub(crate) reader: Reader,
    pub(crate) to: Watermarks,
}

impl<'a> Step<'a> {
    /// What comes of an advance; `None` if it moves nothing.
    pub(crate) fn of(advance: &'a Advance, reader: Reader) -> Option<Self> {
        let to = reader
            .marks
            .advanced(Mark::Delivered, advance.to.delivered, reader.last_seq)
            .advanced(Mark::Read, advance.to.read, reader.last_seq);
        (to != reader.marks).then_some(Self { advance, reader, to })
    }

    pub(crate) fn conversation(&self) -> Key {
        self.advance.conversation_id.into()
    }

    pub(crate) fn user(&self) -> Key {
        self.advance.user_id.into()
    }

    pub(crate) fn at(&self) -> Moment {
        self.advance.at.into()
    }

    /// From where to where a mark moves; `None` if it does not.
    pub(crate) fn passed(&self, mark: Mark) -> Option<(Seq, Seq)> {
        let (from, to) = match mark {
            Mark::Delivered => (self.reader.marks.delivered, self.to.delivered),
            Mark::Read => (self.reader.marks.read, self.to.read),
        };
        (from < to).then_some((from, to))
    }

    /// Whether it is kept when he came so far.
    pub(crate) const fn is_kept(&self) -> bool {
        self.reader.is_small && !self.reader.is_blocked
    }

    /// Whether the marks that others see of him are others now: only then their next sync finds it.
    pub(crate) fn is_seen(&self) -> bool {
        [Mark::Delivered, Mark::Read]
            .into_iter()
            .any(|mark| self.passed(mark).is_some() && self.tells(mark))
    }

    /// Whether senders are told that a mark has passed what they wrote.
    fn tells(&self, mark: Mark) -> bool {
        let Reader { is_small, reads_openly, is_blocked, .. } = self.reader;
        is_small && !is_blocked && (mark == Mark::Delivered || reads_openly)
    }
}

/// Messages whose senders are to be found: those after `from` up to `to`, but of the reader's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) conversation: Key,
    pub(crate) reader: Key,
    pub(crate) from: Seq,
    pub(crate) to: Seq,
}

/// One who wrote what was passed, and is still in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    /// Which of the stretches that were asked for.
    pub(crate) place: usize,
    pub(crate) user: UserId,
    /// Whether he lets others see what he has read, and so sees it himself.
    pub(crate) reads_openly: bool,
}

#[either]
async fn advance(connection: &mut Connection, batch: &[Advance]) -> Work<Vec<Option<Advanced>>> {
    let readers = advances::readers(connection, batch).await?;
    let steps: Vec<Option<Step<'_>>> = batch
        .iter()
        .zip(&readers)
        .map(|(advance, reader)| reader.and_then(|reader| Step::of(advance, reader)))
        .collect();
    let moving: Vec<Step<'_>> = steps.iter().copied().flatten().collect();
    let mut told = Told::default();
    if !moving.is_empty() {
        advances::write(connection, &moving).await?;
        told = tell(connection, &moving).await?;
    }
    let answer = |(reader, step): (&Option<Reader>, &Option<Step<'_>>)| {
        let before = (*reader)?.marks;
        Some(step.map_or_else(
            || Advanced {
                before,
                after: before,
                delivered_message: None,
                read_message: None,
                senders_of_delivered: Vec::new(),
                senders_of_read: Vec::new(),
            },
            |step| Advanced {
                before,
                after: step.to,
                delivered_message: told.message(&step, Mark::Delivered),
                read_message: told.message(&step, Mark::Read),
                senders_of_delivered: told.senders(&step, Mark::Delivered),
                senders_of_read: told.senders(&step, Mark::Read),
            },
        ))
    };
    Ok(readers.iter().zip(&steps).map(answer).collect())
}

/// What the answers to advances say beside the marks.
#[derive(Debug, Default)]
struct Told {
    messages: HashMap<(ConversationId, Seq), MessageId>,
    senders: HashMap<(ConversationId, UserId, Mark), Vec<UserId>>,
}

impl Told {
    fn message(&self, step: &Step<'_>, mark: Mark) -> Option<MessageId> {
        let (_, to) = step.passed(mark)?;
        self.messages.get(&(step.advance.conversation_id, to)).copied()
    }

    fn senders(&self, step: &Step<'_>, mark: Mark) -> Vec<UserId> {
        let key = (step.advance.conversation_id, step.advance.user_id, mark);
        self.senders.get(&key).cloned().unwrap_or_default()
    }
}

#[either]
async fn tell(connection: &mut Connection, moving: &[Step<'_>]) -> Work<Told> {
    let moves: Vec<(&Step<'_>, Mark, (Seq, Seq))> = moving
        .iter()
        .flat_map(|step| [Mark::Delivered, Mark::Read].map(|mark| (step, mark, step.passed(mark))))
        .filter_map(|(step, mark, passed)| Some((step, mark, passed?)))
        .collect();
    let reached: BTreeSet<(Key, Seq)> =
        moves.iter().map(|(step, _, (_, to))| (step.conversation(), *to)).collect();
    let messages = advances::messages_at(connection, &reached).await?;
    let (told, passed): (Vec<_>, Vec<_>) = moves
        .into_iter()
        .filter(|(step, mark, _)| step.tells(*mark))
        .map(|(step, mark, (from, to))| {
            let from = from.max(to - Advanced::TOLD_OF);
            let key = (step.advance.conversation_id, step.advance.user_id, mark);
            (key, Passed { conversation: step.conversation(), reader: step.user(), from, to })
        })
        .unzip();
    let mut senders: HashMap<_, Vec<UserId>> = HashMap::new();
    for sender in advances::senders(connection, &passed).await? {
        let Some(key) = told.get(sender.place) else { continue };
        if key.2 == Mark::Delivered || sender.reads_openly {
            senders.entry(*key).or_default().push(sender.user);
        }
    }
    for users in senders.values_mut() {
        users.sort_unstable();
    }
    Ok(Told { messages, senders })
}

/// A page of how far a message has come with each member but its sender. When is known of small
/// conversations alone. Who may not list the members learns of those in charge.
#[either]
async fn receipts(
    connection: &mut Connection,
    viewer: UserId,
    message: MessageId,
    after: Option<UserId>,
    limit: usize,
) -> Work<Option<Page<Receipt, UserId>>> {
    type Row = (Key, i64, i64, bool, Option<Moment>, Option<Moment>);

    let found: Option<(Key, Seq, Key)> = messages::table
        .filter(messages::id.eq(Key::from(message)))
        .select((messages::conversation_id, messages::seq, messages::sender_id))
        .get_result(connection)
        .await
        .optional()?;
    let Some((conversation, seq, sender)) = found else { return Ok(None) };
    let Some(place) = cards::place(connection, viewer, conversation.into()).await? else {
        return Ok(None);
    };
    if seq < place.first_visible() {
        return Ok(None);
    }
    let of_members = members::table
        .inner_join(users::table.on(users::id.eq(members::user_id)))
        .filter(members::conversation_id.eq(conversation))
        .filter(members::left_seq.is_null())
        .filter(members::user_id.ne(sender))
        // Not by the first message he sees: that moves when he hides what there is.
        .filter(joined_seq().le(seq))
        .filter(sql::<Bool>(if place.lists_members()? { "TRUE" } else { IN_CHARGE }))
        .filter(members::user_id.gt(after.map_or(Key::LEAST, Key::from)))
        .order(members::user_id.asc());
    let (user, open) = (members::user_id, users::read_receipts);
    let (delivered, read) = (members::delivered_seq, members::read_seq);
    let rows: Vec<Row> = if place.conversation.is_small() {
        let first = |mark| FirstAdvance { mark: mark_number(mark), seq };
        let times = (first(Mark::Delivered), first(Mark::Read));
        let of_members = of_members.select((user, delivered, read, open, times.0, times.1));
        one_more(limit, of_members).load(connection).await?
    } else {
        let unknown = || None::<Moment>.into_sql::<Nullable<At>>();
        let of_members = of_members.select((user, delivered, read, open, unknown(), unknown()));
        one_more(limit, of_members).load(connection).await?
    };
    let has_more = rows.len() > limit;
    let viewer = Key::from(viewer);
    let sees_reading: bool = users::table
        .filter(users::id.eq(viewer))
        .select(users::read_receipts)
        .get_result(connection)
        .await?;
    let is_blocked = match place.conversation.pair {
        Some((a, b)) => between(connection, a, b).await?,
        None => false,
    };
    let receipt = |(user, delivered, read, open, delivered_at, read_at): Row| {
        let marks = Watermarks { delivered, read };
        let marks =
            if user == viewer { marks } else { shown(marks, open && sees_reading, is_blocked) };
        let status = marks.status_of(seq);
        let when = |at: Option<Moment>, reached| at.filter(|_| status >= reached).map(Into::into);
        Receipt {
            user_id: user.into(),
            status,
            delivered_at: when(delivered_at, Status::Delivered),
            read_at: when(read_at, Status::Read),
        }
    };
    let items: Vec<Receipt> = rows.into_iter().take(limit).map(receipt).collect();
    let next = items.last().map(|last| last.user_id).filter(|_| has_more);
    Ok(Some(Page { items, next }))
}
