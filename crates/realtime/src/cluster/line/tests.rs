use kith_domain::ConnectionId;
use kith_ports::live::{Dispatch, Origin};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::cluster::{
    parcel::pack,
    testing::{parcel, said, sent},
};

fn take(line: &mut Line, parcel: Parcel, now: Instant) -> Vec<String> {
    let mut out = Vec::new();
    line.take(parcel.place.unwrap(), parcel, now, &mut out);
    said(&out)
}

/// As [`parcel`], with an answer to a socket of this node.
fn answered(version: Version) -> Parcel {
    let Dispatch::Event { event, audience, .. } = sent(version) else { unreachable!() };
    let connection = ConnectionId::from_uuid(Uuid::from_u128(1));
    let origin = Some(Origin { connection, frame_id: None });
    pack(vec![Dispatch::Event { event, audience, origin }]).remove(0)
}

#[test]
fn a_change_waits_for_the_one_before_it() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    assert_eq!(take(&mut line, parcel(6), now), [""; 0]);
    assert_eq!(line.due(), Some(now + PATIENCE));
    assert_eq!(take(&mut line, parcel(5), now), ["new_message 5", "new_message 6"]);
    assert_eq!(line.due(), None);
}

#[test]
fn what_was_told_is_told_once_and_its_answer_is_given_all_the_same() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    assert_eq!(take(&mut line, parcel(5), now), ["new_message 5"]);
    assert_eq!(take(&mut line, parcel(5), now), [""; 0]);
    assert_eq!(take(&mut line, answered(5), now), ["answer"]);
}

#[test]
fn what_was_read_meanwhile_is_not_told_again_by_what_waited() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    take(&mut line, answered(6), now);
    take(&mut line, parcel(8), now);
    let mut out = Vec::new();
    line.caught_up(5, 7, 7, now, &mut out);
    assert_eq!(said(&out), ["answer", "new_message 8"]);
    assert_eq!((line.version(), line.seq(), line.due()), (8, 8, None));
}

/// Between what was read and what had come meanwhile there is something.
#[test]
fn what_was_not_read_is_not_taken_for_told() {
    let now = Instant::now();
    let mut line = Line::new(7, now);
    assert_eq!(take(&mut line, parcel(8), now), ["new_message 8"]);
    line.caught_up(5, 6, 6, now, &mut Vec::new());
    assert!(line.told(5) && line.told(6) && line.told(8));
    assert!(!line.told(7) && !line.has(5, 8));
    assert_eq!(take(&mut line, parcel(6), now), [""; 0]);
    assert_eq!(take(&mut line, parcel(7), now), ["new_message 7"]);
    assert!(line.has(4, 8));
}

#[test]
fn an_answer_can_be_given_before_its_turn_comes() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    take(&mut line, answered(6), now);
    let mut out = Vec::new();
    line.answer(&mut out);
    assert_eq!(said(&out), ["answer"]);
    assert_eq!(take(&mut line, parcel(5), now), ["new_message 5", "new_message 6"]);
}

#[test]
fn it_knows_what_it_has_and_what_came_before_it() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    take(&mut line, parcel(5), now);
    assert!(line.has(4, 5) && line.told(5) && line.reaches(4));
    assert!(!line.has(3, 5) && !line.told(4) && !line.reaches(3));
    line.expect(5, now);
    assert_eq!(line.due(), None);
    line.expect(6, now);
    assert_eq!(line.due(), Some(now + PATIENCE));
}

#[test]
fn what_nobody_knew_to_wait_for_is_told_late() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    take(&mut line, parcel(5), now);
    assert_eq!(take(&mut line, parcel(4), now), ["new_message 4"]);
    assert!(line.has(3, 5));
    assert_eq!(take(&mut line, parcel(4), now), [""; 0]);
}

#[test]
fn what_is_told_late_is_told_once_however_it_comes_again() {
    let now = Instant::now();
    let mut line = Line::new(7, now);
    take(&mut line, parcel(8), now);
    // By the channels of two people, and in the log.
    assert_eq!(take(&mut line, parcel(5), now), ["new_message 5"]);
    assert_eq!(take(&mut line, parcel(5), now), [""; 0]);
    assert!(line.told(5) && !line.told(6) && !line.has(4, 8));
    assert_eq!(take(&mut line, parcel(7), now), ["new_message 7"]);
    assert_eq!(take(&mut line, answered(6), now), ["answer", "new_message 6"]);
    assert!(line.has(4, 8) && line.late.is_empty());
    take(&mut line, parcel(2), now);
    line.caught_up(1, 8, 8, now, &mut Vec::new());
    assert!(line.has(0, 8) && line.late.is_empty());
}

#[test]
fn one_who_comes_knows_what_came_before_him() {
    let now = Instant::now();
    let mut line = Line::known(4, 3, now);
    assert!(line.has(0, 4));
    assert_eq!(take(&mut line, parcel(4), now), [""; 0]);
    line.joined(5, now);
    assert_eq!(line.due(), Some(now + PATIENCE));

    let mut line = Line::new(4, now);
    take(&mut line, parcel(5), now);
    line.joined(5, now);
    assert!(line.has(0, 5) && line.due().is_none());

    // More was stored since he read it, of which this node has told the last alone.
    let mut line = Line::new(8, now);
    take(&mut line, parcel(9), now);
    line.joined(5, now);
    assert!(line.has(5, 9) && line.due().is_none());
}

#[test]
fn what_others_have_stored_is_missing_until_it_comes() {
    let now = Instant::now();
    let mut line = Line::new(4, now);
    line.expect(6, now);
    // The one before it comes, and it does not.
    take(&mut line, parcel(5), now);
    assert_eq!(line.due(), Some(now + PATIENCE));
    // It was stored after it was read.
    let later = now + PATIENCE;
    line.caught_up(1, 5, 5, later, &mut Vec::new());
    assert_eq!(line.due(), Some(later + PATIENCE));
    take(&mut line, parcel(6), now);
    assert_eq!(line.due(), None);
}

#[test]
fn too_much_that_waits_is_left_to_be_read() {
    let now = Instant::now();
    let mut line = Line::new(0, now);
    let most = i64::try_from(MOST_HELD).unwrap();
    for version in 2..=most + 1 {
        assert_eq!(take(&mut line, parcel(version), now), [""; 0]);
    }
    assert_eq!(take(&mut line, answered(most + 2), now), ["answer"]);
    assert_eq!(take(&mut line, parcel(1), now).len(), MOST_HELD + 1);
    assert_eq!(line.version(), most + 1);
}

#[test]
fn it_is_forgotten_only_when_nothing_waits() {
    let now = Instant::now();
    let later = now + PATIENCE;
    let mut line = Line::new(4, now);
    assert!(line.is_idle(later) && !line.is_idle(now));
    take(&mut line, parcel(6), now);
    assert!(!line.is_idle(later));
}

proptest! {
    #[test]
    fn whatever_comes_in_any_order_is_told_once_and_in_order(
        arrivals in Just((1..=20_i64).flat_map(|it| [it, it]).collect::<Vec<_>>()).prop_shuffle(),
        lost in proptest::collection::hash_set(1..=20_i64, 0..20),
    ) {
        let now = Instant::now();
        let mut line = Line::new(0, now);
        let mut out = Vec::new();
        for version in arrivals.into_iter().filter(|version| !lost.contains(version)) {
            let parcel = parcel(version);
            line.take(parcel.place.unwrap(), parcel, now, &mut out);
        }
        let told = line.version();
        let expected: Vec<String> = (1..=told).map(|it| format!("new_message {it}")).collect();
        prop_assert_eq!(said(&out), expected);
        prop_assert!(lost.contains(&(told + 1)) || told == 20);
        prop_assert_eq!(line.due().is_some(), (told + 1..=20).any(|it| !lost.contains(&it)));
    }

    #[test]
    fn whatever_comes_first_all_is_told_once(
        arrivals in Just((1..=20_i64).flat_map(|it| [it, it]).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let now = Instant::now();
        let mut line = Line::new(arrivals[0] - 1, now);
        let mut out = Vec::new();
        for version in arrivals {
            let parcel = parcel(version);
            line.take(parcel.place.unwrap(), parcel, now, &mut out);
        }
        let mut told = said(&out);
        told.sort_unstable();
        let mut expected: Vec<String> = (1..=20).map(|it| format!("new_message {it}")).collect();
        expected.sort_unstable();
        prop_assert_eq!(told, expected);
        prop_assert!(line.has(0, 20) && line.due().is_none());
    }
}
