//! What must be true of a history, whatever happened meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::record::{Connection, Frame, News, Record, Stay, Truth, Witness};

/// What is wrong with a history, in words; nothing if all is right.
pub(super) fn faults(record: &Record, truth: &[Truth]) -> Vec<String> {
    let mut faults = Vec::new();
    for conversation in truth {
        dense(conversation, &mut faults);
        once(conversation, &mut faults);
        forms(record, conversation, &mut faults);
    }
    kept(record, truth, &mut faults);
    for witness in &record.witnesses {
        for conversation in truth {
            let stays = conversation.stays(witness.who);
            complete(witness, conversation, &stays, &mut faults);
            shown(witness, conversation, &stays, &mut faults);
            for (number, connection) in witness.connections.iter().enumerate() {
                let heard = Heard { who: witness.who, number, connection, stays: &stays };
                heard.nothing_of_others(conversation, &mut faults);
                heard.in_order(conversation, &mut faults);
                heard.everything(conversation, &mut faults);
            }
        }
    }
    faults
}

/// Messages are numbered from 1 without a gap, and so are changes.
fn dense(truth: &Truth, faults: &mut Vec<String>) {
    for (stored, seq) in truth.messages.iter().zip(1..) {
        if stored.brief.seq != seq {
            faults.push(format!("gap: {} has no message {seq}", truth.id));
            break;
        }
    }
    let mut steps = truth.steps.clone();
    steps.sort_unstable();
    let mut reached = 0;
    for (before, version) in steps {
        if before != reached {
            faults.push(format!("gap: {} goes from change {reached} to {before}", truth.id));
        }
        reached = version;
    }
    if reached != truth.version {
        faults.push(format!("gap: {} is at change {}, not {reached}", truth.id, truth.version));
    }
}

/// No sender has two messages with one id of his.
fn once(truth: &Truth, faults: &mut Vec<String>) {
    let mut ids = HashSet::new();
    for stored in &truth.messages {
        if !ids.insert((stored.sender, &stored.client_message_id)) {
            faults.push(format!("doubled: {stored:?}"));
        }
    }
}

/// What was acknowledged is there, at its place.
fn kept(record: &Record, truth: &[Truth], faults: &mut Vec<String>) {
    let mut all = HashMap::new();
    for conversation in truth {
        for stored in &conversation.messages {
            let key = (conversation.id, stored.sender, &*stored.client_message_id);
            all.insert(key, (stored.brief.id, stored.brief.seq));
        }
    }
    for sent in &record.sent {
        let place = all.get(&(sent.conversation, sent.who, &*sent.client_message_id));
        if place != Some(&(sent.id, sent.seq)) {
            faults.push(format!("lost: {sent:?} is stored as {place:?}"));
        }
    }
}

/// Messages read as whoever changed them last made them read.
fn forms(record: &Record, truth: &Truth, faults: &mut Vec<String>) {
    for stored in &truth.messages {
        let Some(fate) = record.fates.get(&stored.brief.id) else { continue };
        let content = &stored.brief.content;
        if *content != fate.last && !fate.perhaps.contains(content) {
            faults.push(format!("lost: {:?} should be {fate:?}", stored.brief));
        }
    }
}

/// In the end a device holds what the server gives, and the server gives what is there.
fn complete(witness: &Witness, truth: &Truth, stays: &[Stay], faults: &mut Vec<String>) {
    let none = BTreeMap::new();
    let of = |held: &super::record::Held| held.get(&truth.id).unwrap_or(&none).clone();
    let (holds, sees) = (of(&witness.holds), of(&witness.sees));
    let stay = stays.last().filter(|stay| stay.until.is_none());
    let may: BTreeMap<_, _> = truth
        .messages
        .iter()
        .filter(|stored| stay.is_some_and(|stay| stored.brief.seq >= stay.from.0))
        .map(|stored| (stored.brief.seq, stored.brief.clone()))
        .collect();
    let who = witness.who;
    for (what, has) in [("is given", &sees), ("holds", &holds)] {
        let odd = may.iter().find(|(seq, brief)| has.get(seq) != Some(brief));
        if let Some((seq, brief)) = odd {
            let instead = has.get(seq);
            faults.push(format!(
                "incomplete: {who} {what} {instead:?} in {}, not {brief:?}",
                truth.id
            ));
        }
        if let Some(more) = has.keys().find(|seq| !may.contains_key(seq)) {
            faults.push(format!("leak: {who} {what} message {more} of {}", truth.id));
        }
    }
}

/// A client that reconnects by itself shows each message once, in order, and in the end all.
fn shown(witness: &Witness, truth: &Truth, stays: &[Stay], faults: &mut Vec<String>) {
    let (who, id) = (witness.who, truth.id);
    let shown = witness.shown.get(&id).map_or(&[][..], |it| it);
    if let Some(pair) = shown.windows(2).find(|pair| pair[0] >= pair[1]) {
        faults.push(format!("disorder: {who} was shown {pair:?} in {id}"));
    }
    if let Some(seq) = shown.iter().find(|seq| !stays.iter().any(|it| it.covers(Some(**seq), None)))
    {
        faults.push(format!("leak: {who} was shown message {seq} of {id}"));
    }
    let Some(stay) = stays.last().filter(|stay| stay.until.is_none()) else { return };
    // What was there when the client was made is history.
    let first = shown.first().copied().unwrap_or(i64::MAX);
    let known: HashSet<_> = shown.iter().copied().collect();
    let due = truth.messages.iter().map(|it| it.brief.seq).filter(|seq| *seq > stay.from.0);
    if let Some(seq) = due.filter(|seq| *seq > first).find(|seq| !known.contains(seq)) {
        faults.push(format!("incomplete: {who} was never shown message {seq} of {id}"));
    }
}

/// What one connection brought.
struct Heard<'a> {
    who: Uuid,
    number: usize,
    connection: &'a Connection,
    stays: &'a [Stay],
}

impl Heard<'_> {
    fn of(&self, truth: &Truth) -> impl Iterator<Item = &News> {
        let here = move |frame: &&Frame| frame.conversation == truth.id;
        self.connection.frames.iter().filter(here).map(|frame| &frame.news)
    }

    /// Nothing came that was stored before he came in or after he was removed.
    fn nothing_of_others(&self, truth: &Truth, faults: &mut Vec<String>) {
        for news in self.of(truth) {
            let of_himself = matches!(news, News::Member { user, .. } if *user == self.who);
            let may = self.stays.iter().any(|stay| stay.covers(news.seq(), news.version()));
            if !may && !of_himself && (news.seq().is_some() || news.version().is_some()) {
                let Self { who, number, stays, .. } = self;
                faults.push(format!(
                    "leak: {who} was told of {news:?} of {} in connection {number}, in it for \
                     {stays:?}",
                    truth.id
                ));
            }
        }
    }

    /// Changes come in their order, new messages once. In a direct chat that was silent here, two that
    /// were stored on two nodes at the same moment may come the other way round.
    fn in_order(&self, truth: &Truth, faults: &mut Vec<String>) {
        let Self { who, number, .. } = self;
        let changes: Vec<i64> = self.of(truth).filter_map(News::version).collect();
        let mut seen = HashSet::new();
        let mut sent = self.of(truth).filter_map(|news| match news {
            News::Sent(brief) => Some(brief),
            _ => None,
        });
        if let Some(brief) = sent.find(|brief| !seen.insert(brief.seq)) {
            let last = changes.iter().rposition(|it| *it == brief.version).unwrap_or_default();
            let before = &changes[last.saturating_sub(12)..=last];
            faults.push(format!(
                "doubled: {who} was told of {} in {} twice in connection {number}, in the end of \
                 changes {before:?}",
                brief.seq, truth.id
            ));
        }
        if truth.is_direct() {
            return;
        }
        let numbered: Vec<_> = self.of(truth).filter(|news| news.version().is_some()).collect();
        if let Some(pair) = numbered.windows(2).find(|pair| pair[0].version() > pair[1].version()) {
            let Self { connection, stays, .. } = self;
            let began = connection.began.get(&truth.id);
            faults.push(format!(
                "disorder: {who} was told of {pair:?} of {} in connection {number}, which knew \
                 {began:?}, in it for {stays:?}",
                truth.id
            ));
        }
    }

    /// A connection that holds is told of everything, without asking.
    fn everything(&self, truth: &Truth, faults: &mut Vec<String>) {
        let Some(stay) = self.stays.last().filter(|stay| stay.until.is_none()) else { return };
        if !self.connection.lasted {
            return;
        }
        let began = self.connection.began.get(&truth.id).copied();
        let entered = self.of(truth).filter_map(|news| match news {
            News::Entered { seq, version } => Some((*seq, *version)),
            _ => None,
        });
        let Self { who, number, .. } = self;
        let Some((_, known)) = entered.chain(began).max() else {
            let id = truth.id;
            faults.push(format!("incomplete: {who} was never told that he is in {id}"));
            return;
        };
        let told: HashSet<_> = self.of(truth).map(|news| (news.seq(), news.version())).collect();
        let due = truth.messages.iter().map(|stored| &stored.brief);
        let due =
            due.filter(|it| it.version > known && stay.covers(Some(it.seq), Some(it.version)));
        for brief in due {
            if !told.contains(&(Some(brief.seq), Some(brief.version))) {
                faults.push(format!(
                    "incomplete: {who} was not told of {brief:?} of {} in connection {number}, \
                     which knew what is up to change {known}",
                    truth.id
                ));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
