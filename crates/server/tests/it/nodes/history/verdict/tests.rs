//! Histories that were made up. A check that finds nothing in them would find nothing at all.

use kith_client::protocol::rest::{SystemEvent, SystemEventKind};
use uuid::Uuid;

use super::{
    super::record::{Brief, Connection, Fate, Frame, News, Record, Sent, Stored, Truth, Witness},
    faults,
};

const ANN: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);
const PLACE: Uuid = Uuid::from_u128(3);

/// Each message is changed by nothing but its being sent: version 1 was the making of the group.
fn brief(seq: i64) -> Brief {
    let id = Uuid::from_u128(u128::from(seq.unsigned_abs()) + 100);
    Brief { id, seq, version: seq + 1, content: Some(format!("text {seq}")) }
}

fn stored(seq: i64) -> Stored {
    Stored { brief: brief(seq), sender: ANN, client_message_id: format!("c-{seq}"), note: None }
}

/// Ann says six things. Bob, who hears her, is removed with the fourth of seven messages.
fn history() -> (Record, Vec<Truth>) {
    let mut messages: Vec<Stored> = (1..=7).map(stored).collect();
    let (event, user_id) = (SystemEventKind::MemberRemoved, Some(BOB));
    messages[3].note = Some(SystemEvent { event, actor_id: ANN, user_id, name: None });
    // His membership ends with a change of its own before the note.
    for message in &mut messages[3..] {
        message.brief.version += 1;
    }
    let truth = Truth {
        id: PLACE,
        founders: [ANN, BOB].into(),
        steps: vec![(0, 2), (2, 3), (3, 4), (4, 6), (6, 7), (7, 9)],
        version: 9,
        messages,
    };
    let forms = || truth.messages.iter().map(|it| it.brief.clone());
    let sent = truth.messages.iter().filter(|it| it.note.is_none()).map(|it| Sent {
        who: ANN,
        conversation: PLACE,
        client_message_id: it.client_message_id.clone(),
        id: it.brief.id,
        seq: it.brief.seq,
    });
    let witness = |who, until| {
        let frames =
            forms().take(until).map(|it| Frame { conversation: PLACE, news: News::Sent(it) });
        let began = [(PLACE, (0, 1))].into();
        let connection = Connection { began, frames: frames.collect(), lasted: true };
        let shown = [(PLACE, forms().take(until).map(|it| it.seq).collect())].into();
        Witness { who, connections: vec![connection], shown, ..Witness::default() }
    };
    let mut anns = witness(ANN, 7);
    anns.holds = [(PLACE, forms().map(|it| (it.seq, it)).collect())].into();
    anns.sees.clone_from(&anns.holds);
    let fates = forms().map(|it| (it.id, Fate { last: it.content, perhaps: [].into() }));
    let record = Record {
        sent: sent.collect(),
        fates: fates.collect(),
        witnesses: vec![anns, witness(BOB, 3)],
    };
    (record, vec![truth])
}

#[test]
fn a_good_history_is_found_good() {
    let (record, truth) = history();
    assert_eq!(faults(&record, &truth), Vec::<String>::new());
}

fn told(record: &mut Record, who: usize) -> &mut Vec<Frame> {
    &mut record.witnesses[who].connections[0].frames
}

/// What is spoilt, what is to be found, and how it is done.
type Spoilt = (&'static str, &'static str, fn(&mut Record, &mut Truth));

const SPOILT: &[Spoilt] = &[
    ("an acknowledged message is not there", "lost", |_, truth| {
        truth.messages.pop();
        (truth.version, truth.steps[5]) = (8, (7, 8));
    }),
    ("it is another one", "lost", |_, truth| truth.messages[6].brief.id = Uuid::nil()),
    ("an acknowledged edit is not there", "lost", |record, _| {
        record.fates.get_mut(&brief(2).id).unwrap().last = Some("edited".to_owned());
    }),
    ("an acknowledged deletion is not there", "lost", |record, _| {
        record.fates.get_mut(&brief(2).id).unwrap().last = None;
    }),
    ("one client message id is stored twice", "doubled", |_, truth| {
        truth.messages[6].client_message_id = "c-6".to_owned();
    }),
    ("a frame comes twice", "doubled", |record, _| {
        let again = told(record, 0)[5].clone();
        told(record, 0).push(again);
    }),
    ("a number is missing", "gap", |_, truth| drop(truth.messages.remove(4))),
    ("a change is missing", "gap", |_, truth| truth.steps.retain(|it| it.1 != 4)),
    ("a change is there twice", "gap", |_, truth| truth.steps.push((3, 4))),
    ("the last change is in no log", "gap", |_, truth| truth.version = 10),
    ("frames come out of order", "disorder", |record, _| told(record, 0).swap(4, 5)),
    ("a client shows out of order", "disorder", |record, _| {
        record.witnesses[0].shown.get_mut(&PLACE).unwrap().swap(4, 5);
    }),
    ("a client shows twice", "disorder", |record, _| {
        record.witnesses[0].shown.get_mut(&PLACE).unwrap().insert(4, 4);
    }),
    ("a client never shows it", "incomplete", |record, _| {
        record.witnesses[0].shown.get_mut(&PLACE).unwrap().pop();
    }),
    ("a frame never comes", "incomplete", |record, _| drop(told(record, 0).remove(2))),
    ("a change is never told", "incomplete", |record, truth| {
        // Read anew, by syncs.
        truth.messages[6].brief.version = 10;
        (truth.version, truth.steps[5]) = (10, (7, 10));
        let read =
            [(PLACE, truth.messages.iter().map(|it| (it.brief.seq, it.brief.clone())).collect())];
        record.witnesses[0].holds = read.into();
        record.witnesses[0].sees = record.witnesses[0].holds.clone();
    }),
    ("a sync does not bring it", "incomplete", |record, _| {
        record.witnesses[0].holds.get_mut(&PLACE).unwrap().remove(&5);
    }),
    ("a sync brings an older form", "incomplete", |record, _| {
        record.witnesses[0].holds.get_mut(&PLACE).unwrap().get_mut(&5).unwrap().version = 3;
    }),
    ("nobody tells him that he is in it", "incomplete", |record, _| {
        record.witnesses[0].connections[0].began.clear();
    }),
    ("a frame comes after the removal", "leak", |record, truth| {
        let news = News::Sent(truth.messages[4].brief.clone());
        told(record, 1).push(Frame { conversation: PLACE, news });
    }),
    ("the removal itself is told to whom it removes", "leak", |record, truth| {
        let news = News::Sent(truth.messages[3].brief.clone());
        told(record, 1).push(Frame { conversation: PLACE, news });
    }),
    ("an edit comes after the removal", "leak", |record, _| {
        let news = News::Touched { seq: 2, version: 7 };
        told(record, 1).push(Frame { conversation: PLACE, news });
    }),
    ("a member who came after the removal is told of", "leak", |record, _| {
        let news = News::Member { user: ANN, version: 7 };
        told(record, 1).push(Frame { conversation: PLACE, news });
    }),
    ("a sync gives what came after the removal", "leak", |record, truth| {
        let later = truth.messages[4].brief.clone();
        record.witnesses[1].holds = [(PLACE, [(5, later)].into())].into();
    }),
    ("a client shows what came after the removal", "leak", |record, _| {
        record.witnesses[1].shown.get_mut(&PLACE).unwrap().push(5);
    }),
];

#[test]
fn a_bad_history_is_found_bad() {
    for (what, kind, spoil) in SPOILT {
        let (mut record, mut truth) = history();
        spoil(&mut record, &mut truth[0]);
        let found = faults(&record, &truth);
        assert!(found.iter().any(|fault| fault.starts_with(kind)), "{what}: {found:?}");
    }
}
