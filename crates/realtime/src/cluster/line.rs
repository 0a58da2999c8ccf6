//! The order of one conversation on this node: what is told, what waits for what comes before it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use kith_domain::conversation::{Seq, Version};
use tokio::time::Instant;

use crate::{
    cluster::parcel::{Parcel, Place},
    shard::Delivery,
};

/// For so long a change waits for the ones before it. Then they are read from the database.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);
/// As much of other nodes may wait. What comes beyond that is read from the database.
const MOST_HELD: usize = 256;

/// How far the sockets of this node have been told.
#[derive(Debug)]
pub(crate) struct Line {
    /// Every change from this one up to [`version`](Self::version) has been told; what came before is
    /// not known.
    low: Version,
    /// Of what came before, these have been told when they came.
    late: BTreeSet<Version>,
    version: Version,
    /// The newest message that has been told; 0 if none has.
    seq: Seq,
    held: BTreeMap<Version, Parcel>,
    /// The newest change that is known to be stored.
    expected: Version,
    /// Since when something is missing.
    missing_since: Option<Instant>,
    touched: Instant,
}

impl Line {
    /// Of what is up to `before` nobody knows whether it has been told; nothing after it has.
    pub(crate) fn new(before: Version, now: Instant) -> Self {
        Self {
            low: before + 1,
            late: BTreeSet::new(),
            version: before,
            seq: 0,
            held: BTreeMap::new(),
            expected: before,
            missing_since: None,
            touched: now,
        }
    }

    /// Whoever listens knows what is up to `version`, and the messages up to `seq`.
    pub(crate) fn known(version: Version, seq: Seq, now: Instant) -> Self {
        Self { low: 1, version, seq, ..Self::new(version, now) }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(crate) const fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether every change behind `before` up to `version` has been told.
    pub(crate) const fn has(&self, before: Version, version: Version) -> bool {
        self.low <= before + 1 && version <= self.version
    }

    /// Whether what is up to this number has been told, as far as is known.
    pub(crate) const fn reaches(&self, version: Version) -> bool {
        self.low <= version + 1
    }

    /// Whether this change has been told.
    pub(crate) fn told(&self, version: Version) -> bool {
        self.low <= version && version <= self.version || self.late.contains(&version)
    }

    /// Whether this change came before all that is known to have been told.
    pub(crate) const fn is_late(&self, version: Version) -> bool {
        version < self.low
    }

    /// Takes a parcel in, and puts what can be told now into `out`.
    pub(crate) fn take(
        &mut self,
        place: Place,
        parcel: Parcel,
        now: Instant,
        out: &mut Vec<Delivery>,
    ) {
        self.touched = now;
        if self.is_late(place.version) {
            // It was not known that it was to be waited for. Better late than never, but once.
            if self.late.insert(place.version) {
                out.extend(parcel.deliveries);
            } else {
                out.extend(parcel.into_answers());
            }
            self.lower(self.low);
        } else if place.version <= self.version {
            // It was read from the database meanwhile: all but the answers has been told.
            out.extend(parcel.into_answers());
        } else if place.version == self.version + 1 {
            self.tell(place, parcel, out);
            self.release(out);
        } else {
            self.hold(place.version, parcel, out);
            self.missing_since.get_or_insert(now);
        }
    }

    /// Somebody begins to listen who has read what is up to `version`. What has been told here since then
    /// he reads once he listens: it is not missing, whatever was before it.
    pub(crate) fn joined(&mut self, version: Version, now: Instant) {
        self.lower(1);
        self.expect(version, now);
    }

    /// Others have stored changes up to `version` that have not come.
    pub(crate) fn expect(&mut self, version: Version, now: Instant) {
        self.touched = now;
        self.expected = self.expected.max(version);
        if version > self.version {
            self.missing_since.get_or_insert(now);
        }
    }

    /// Everything from `low` up to `version` has been read and told, the messages up to `seq`.
    pub(crate) fn caught_up(
        &mut self,
        low: Version,
        version: Version,
        seq: Seq,
        now: Instant,
        out: &mut Vec<Delivery>,
    ) {
        self.touched = now;
        if self.reaches(version) {
            self.lower(low);
        } else {
            // Between what was read and what has come since there may be more.
            self.late.extend(low..=version);
            self.lower(self.low);
        }
        self.version = self.version.max(version);
        self.seq = self.seq.max(seq);
        self.release(out);
        // What is missing still was stored after it was read.
        self.missing_since = self.missing_since.and(Some(now));
    }

    /// Gives out the answers that wait: what they answer is stored, whoever is told of it when.
    pub(crate) fn answer(&mut self, out: &mut Vec<Delivery>) {
        for parcel in self.held.values_mut() {
            let answers = parcel.deliveries.extract_if(.., |it| matches!(it, Delivery::Reply(..)));
            out.extend(answers);
        }
    }

    /// When what is missing is to be read.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.missing_since.map(|since| since + PATIENCE)
    }

    /// Reading was tried and failed: it is tried again later.
    pub(crate) fn put_off(&mut self, until: Instant) {
        self.missing_since = Some(until);
    }

    /// Whether nothing has happened since, and nothing waits.
    pub(crate) fn is_idle(&self, since: Instant) -> bool {
        self.touched < since && self.held.is_empty() && self.missing_since.is_none()
    }

    /// Every change from this one on is known to have been told.
    fn lower(&mut self, low: Version) {
        self.low = self.low.min(low);
        while self.late.last().is_some_and(|it| *it + 1 >= self.low) {
            self.low = self.late.pop_last().map_or(self.low, |it| it.min(self.low));
        }
        while self.late.len() > MOST_HELD {
            self.late.pop_first();
        }
    }

    fn tell(&mut self, place: Place, parcel: Parcel, out: &mut Vec<Delivery>) {
        self.version = place.version;
        self.seq = self.seq.max(place.seq.unwrap_or_default());
        out.extend(parcel.deliveries);
    }

    fn hold(&mut self, version: Version, parcel: Parcel, out: &mut Vec<Delivery>) {
        let full = self.held.len() >= MOST_HELD;
        match self.held.entry(version) {
            // The same again, by another channel.
            Entry::Occupied(_) => out.extend(parcel.into_answers()),
            Entry::Vacant(_) if full => out.extend(parcel.into_answers()),
            Entry::Vacant(place) => {
                place.insert(parcel);
            }
        }
    }

    /// Tells what waited and has its turn now.
    fn release(&mut self, out: &mut Vec<Delivery>) {
        while let Some(first) = self.held.first_entry() {
            if *first.key() > self.version + 1 {
                return;
            }
            let parcel = first.remove();
            match parcel.place.filter(|place| place.version > self.version) {
                Some(place) => self.tell(place, parcel, out),
                None => out.extend(parcel.into_answers()),
            }
        }
        if self.version >= self.expected {
            self.missing_since = None;
        }
    }
}

#[cfg(test)]
mod tests;
