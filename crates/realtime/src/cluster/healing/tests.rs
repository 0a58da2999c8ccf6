use kith_domain::{
    conversation::{Conversation, Kind},
    group::Role,
};
use kith_testkit::build::{at, room, user_id};
use tokio::time::Instant;

use super::*;
use crate::{
    cluster::testing::{message, said},
    encode::encode_into,
};

fn missed(version: Version, messages: Vec<Message>, members: Vec<MissedMember>) -> Missed {
    let conversation: Arc<Conversation> = Arc::new(room(1, Kind::Group, user_id(1)));
    let audience = conversation.audience();
    Missed {
        head: Head { last_seq: 9, version, member_epoch: 3, last_message_at: None },
        messages: messages.into_iter().map(|it| (Arc::new(it), audience.clone())).collect(),
        members,
        told_of_members: audience,
        conversation,
        overflow: false,
    }
}

fn new(seq: i64, version: Version) -> Message {
    Arc::unwrap_or_clone(message(seq, version))
}

fn member(user: u64, version: Version, first_seq: i64, left: bool) -> MissedMember {
    MissedMember { user_id: user_id(user), role: Role::Member, first_seq, left, version }
}

/// A line that has told everything up to this version, and the messages up to this number.
fn line(version: Version, seq: i64) -> Line {
    let mut line = Line::new(version, Instant::now());
    line.caught_up(1, version, seq, Instant::now(), &mut Vec::new());
    line
}

fn retold(missed: &Missed, line: &Line) -> Vec<String> {
    let mut out = Vec::new();
    for dispatch in retell(missed, line) {
        encode_into(&mut out, dispatch);
    }
    said(&out)
}

#[test]
fn messages_are_told_as_new_or_as_changed() {
    let edited = Message { edited_at: Some(at(1)), ..new(3, 11) };
    let deleted = Message { deleted_at: Some(at(1)), ..new(4, 12) };
    let new_and_edited = Message { edited_at: Some(at(1)), ..new(6, 14) };
    let missed = missed(14, vec![edited, deleted, new(7, 13), new_and_edited], vec![]);
    assert_eq!(
        retold(&missed, &line(10, 5)),
        ["message_updated 11", "message_deleted 12", "new_message 13", "new_message 14"]
    );
}

#[test]
fn what_was_told_is_not_told_again() {
    let missed = missed(12, vec![new(6, 11), new(7, 12)], vec![]);
    assert_eq!(retold(&missed, &line(11, 6)), ["new_message 12"]);
}

#[test]
fn who_left_hears_nothing_of_what_was_said_since() {
    let missed = missed(13, vec![new(6, 11), new(7, 13)], vec![member(3, 12, 1, true)]);
    assert_eq!(
        retold(&missed, &line(10, 5)),
        [
            "leave 3",
            "conversation_removed to 3",
            "new_message 11",
            "member_removed 12",
            "new_message 13"
        ]
    );
}

#[test]
fn who_left_and_came_back_hears_nothing_of_the_time_between() {
    let missed = missed(14, vec![new(6, 12), new(8, 14)], vec![member(3, 13, 7, false)]);
    assert_eq!(
        retold(&missed, &line(10, 5)),
        [
            "leave 3",
            "new_message 12",
            "join 3",
            "conversation_created 14 to 3",
            "member_added 13",
            "new_message 14",
            "conversation_updated 14"
        ]
    );
}

#[test]
fn who_was_told_to_be_in_it_hears_nothing_of_what_was_said_before() {
    // The node has heard of it for the first time when he came in.
    let mut line = Line::new(12, Instant::now());
    line.caught_up(13, 13, 7, Instant::now(), &mut Vec::new());
    let members = vec![member(3, 13, 7, false)];
    let missed = missed(14, vec![new(6, 12), new(8, 14)], members);
    assert_eq!(retold(&missed, &line), ["new_message 14"]);
    // One who came in before it hears both.
    let members = vec![member(3, 13, 7, false), member(4, 12, 6, false)];
    let missed = Missed { members, ..missed };
    let told =
        ["message_updated 12 to 4", "join 4", "conversation_created 14 to 4", "new_message 14"];
    assert_eq!(retold(&missed, &line), told);
    // And of him, late as it is, those alone who were in it before him.
    let members = vec![member(3, 13, 7, false), member(4, 12, 6, false), member(5, 11, 2, false)];
    let missed = Missed { members, messages: Vec::new(), ..missed };
    let told = [
        "join 5",
        "conversation_created 14 to 5",
        "join 4",
        "conversation_created 14 to 4",
        "member_added 12 to 5",
    ];
    assert_eq!(retold(&missed, &line)[..5], told);
}

/// What was said of an old message is no sign that he was out when it was said.
#[test]
fn a_member_with_another_role_stays_where_he_is_when_an_old_message_changes() {
    let changed = Message { edited_at: Some(at(1)), ..new(3, 22) };
    let missed = missed(22, vec![changed], vec![member(3, 21, 10, false)]);
    assert_eq!(retold(&missed, &line(20, 30)), ["member_updated 21", "message_updated 22"]);
}

/// The line has gone on while it was read: what was read has no word on its name any more.
#[test]
fn an_older_state_renames_nothing() {
    assert_eq!(retold(&missed(9, vec![], vec![]), &line(10, 5)), [""; 0]);
}

/// A late message is none of what came after the line's end.
#[test]
fn a_name_is_told_beside_what_comes_late() {
    let mut line = Line::new(7, Instant::now());
    line.caught_up(8, 8, 7, Instant::now(), &mut Vec::new());
    let missed = missed(9, vec![new(6, 6)], vec![]);
    assert_eq!(retold(&missed, &line), ["conversation_updated 9"]);
}

#[test]
fn a_member_with_another_role_stays_where_he_is() {
    let missed = missed(12, vec![new(6, 12)], vec![member(3, 11, 1, false)]);
    assert_eq!(retold(&missed, &line(10, 5)), ["member_updated 11", "new_message 12"]);
}

#[test]
fn of_a_direct_chat_its_messages_are_told_and_nothing_of_its_two() {
    let mut missed =
        missed(2, vec![new(1, 2)], vec![member(1, 1, 1, false), member(2, 1, 1, false)]);
    let pair = Some((user_id(1), user_id(2)));
    let chat = Conversation { pair, kind: Kind::Direct, ..(*missed.conversation).clone() };
    missed.conversation = Arc::new(chat);
    let line = Line::new(0, Instant::now());
    assert_eq!(retold(&missed, &line), ["conversation_created 0", "new_message 2"]);
}

#[test]
fn a_change_of_the_name_is_told_though_no_message_says_so() {
    assert_eq!(retold(&missed(11, vec![], vec![]), &line(10, 5)), ["conversation_updated 11"]);
}
