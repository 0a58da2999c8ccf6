use std::sync::Arc;

use kith_domain::{
    conversation::{Head, Kind},
    event::MemberEvent,
    group::Role,
};
use kith_ports::live::TopicChange;
use kith_testkit::build::{conversation_id, room, session_id, user_id};
use uuid::Uuid;

use super::*;
use crate::cluster::testing::{group, message, said, sent, told};

fn topic(change: TopicChange) -> Dispatch {
    Dispatch::Topic { conversation_id: group(), member_epoch: 2, change }
}

fn to(users: &[u64], event: Event) -> Dispatch {
    let audience = Audience::Users(users.iter().map(|n| user_id(*n)).collect());
    Dispatch::Event { event, audience, origin: None }
}

fn member(user: u64, version: Version) -> MemberEvent {
    let (conversation_id, user_id) = (group(), user_id(user));
    MemberEvent { conversation_id, user_id, role: Role::Member, version }
}

fn created(version: Version) -> Event {
    let head = Head { last_seq: 0, version, member_epoch: 2, last_message_at: None };
    Event::ConversationCreated(Arc::new(room(1, Kind::Group, user_id(1))), head)
}

/// The place of a parcel, and what it says.
type Packed = (Option<(Version, Version)>, Vec<String>);

fn packed(batch: Vec<Dispatch>) -> Vec<Packed> {
    pack(batch)
        .iter()
        .map(|it| (it.place.map(|place| (place.before, place.version)), said(&it.deliveries)))
        .collect()
}

fn channels(parcel: &Parcel) -> Vec<Channel> {
    parcel.routes().into_vec()
}

#[test]
fn what_one_change_means_stays_together() {
    let comes = [
        topic(TopicChange::Join(vec![user_id(3)])),
        to(&[3], created(5)),
        told(Event::MemberAdded(member(3, 5))),
        sent(6),
    ];
    let goes = [
        told(Event::MemberRemoved(member(3, 7))),
        topic(TopicChange::Leave(vec![user_id(3)])),
        to(&[3], Event::ConversationRemoved(group())),
        sent(8),
    ];
    assert_eq!(
        packed([comes, goes].into_iter().flatten().collect()),
        [
            (
                Some((4, 5)),
                vec![
                    "join 3".to_owned(),
                    "conversation_created 5 to 3".to_owned(),
                    "member_added 5".to_owned()
                ]
            ),
            (Some((4, 6)), vec!["new_message 6".to_owned()]),
            (
                Some((4, 7)),
                vec![
                    "member_removed 7".to_owned(),
                    "leave 3".to_owned(),
                    "conversation_removed to 3".to_owned()
                ]
            ),
            (Some((4, 8)), vec!["new_message 8".to_owned()]),
        ]
    );
}

#[test]
fn what_has_no_place_stays_alone() {
    let typing = told(Event::SettingsUpdated(group()));
    let dissolved = topic(TopicChange::Dissolve);
    let gone = told(Event::ConversationRemoved(group()));
    let packed = packed(vec![sent(5), typing, sent(6), gone, dissolved]);
    let places: Vec<_> = packed.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [Some((4, 5)), None, Some((4, 6)), None, None]);
    assert_eq!(packed[2].1, ["new_message 6"]);
    assert_eq!(packed[3].1, ["conversation_removed"]);
    assert_eq!(packed[4].1, ["dissolve"]);
}

#[test]
fn each_conversation_has_its_own_place() {
    let other = conversation_id(2);
    let reacted = Event::MessageDeleted {
        conversation_id: other,
        message_id: message(1, 1).id,
        seq: 1,
        version: 9,
    };
    let packed = packed(vec![sent(5), told(reacted), sent(6)]);
    let places: Vec<_> = packed.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [Some((4, 5)), Some((8, 9)), Some((4, 6))]);
}

#[test]
fn a_message_of_a_group_is_sent_once_whatever_its_audience() {
    let everyone = pack(vec![sent(5)]).remove(0);
    let some = pack(vec![to(&[1, 2, 3], Event::MessageUpdated(message(2, 5)))]).remove(0);
    for parcel in [everyone, some] {
        assert_eq!(channels(&parcel), [Channel::Conversation(group())]);
    }
}

#[test]
fn a_message_of_a_direct_chat_is_sent_to_its_two() {
    let chat = ConversationId::from_uuid(Uuid::new_v8([7; 16]));
    let mut said = Arc::unwrap_or_clone(message(1, 1));
    said.conversation_id = chat;
    let parcel = pack(vec![to(&[1, 2], Event::MessageSent(Arc::new(said)))]).remove(0);
    assert_eq!(channels(&parcel), [1, 2].map(|n| Channel::User(user_id(n))));
}

#[test]
fn who_comes_or_goes_is_told_where_he_hears_it() {
    let batch =
        vec![topic(TopicChange::Join(vec![user_id(3)])), told(Event::MemberAdded(member(3, 5)))];
    assert_eq!(
        channels(&pack(batch).remove(0)),
        [Channel::Conversation(group()), Channel::User(user_id(3))]
    );
}

#[test]
fn what_concerns_people_goes_to_each_for_himself() {
    let parcel = pack(vec![to(&[1, 2], Event::UserOnline(user_id(3)))]).remove(0);
    assert_eq!(channels(&parcel), [1, 2].map(|n| Channel::User(user_id(n))));
    let session = Dispatch::Close {
        user_id: user_id(4),
        session_id: session_id(1),
        reason: kith_ports::live::CloseReason::SignedOut,
    };
    assert_eq!(channels(&pack(vec![session]).remove(0)), [Channel::User(user_id(4))]);
}
