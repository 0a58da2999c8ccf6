use kith_domain::event::Event;
use kith_ports::live::{Dispatch, Reply, TopicChange};
use kith_testkit::build::user_id;

use super::*;
use crate::cluster::{
    parcel::pack,
    testing::{group, said, sent},
};

#[test]
fn it_comes_out_as_it_went_in() {
    let audience = Audience::Users(vec![user_id(1), user_id(2)]);
    let event = Event::ConversationRemoved(group());
    let mut parcel = pack(vec![sent(5)]).remove(0);
    for dispatch in [
        Dispatch::Topic {
            conversation_id: group(),
            member_epoch: 3,
            change: TopicChange::Leave(vec![user_id(2)]),
        },
        Dispatch::Event { event, audience, origin: None },
    ] {
        parcel.deliveries.extend(pack(vec![dispatch]).remove(0).deliveries);
    }
    let (from, opened) = open(&seal(7, &parcel), None).unwrap();
    assert_eq!(from, 7);
    assert_eq!(opened.place, parcel.place);
    assert_eq!(said(&opened.deliveries), said(&parcel.deliveries));
}

#[test]
fn what_has_no_place_is_for_whoever_listens() {
    let event = Event::UserOnline(user_id(3));
    let audience = Audience::Users(vec![user_id(1), user_id(2)]);
    let parcel = pack(vec![Dispatch::Event { event, audience, origin: None }]).remove(0);
    let envelope = seal(7, &parcel);
    let (_, opened) = open(&envelope, Some(user_id(2))).unwrap();
    assert_eq!(said(&opened.deliveries), ["user_online to 2"]);
    assert_eq!(open(&envelope, None).unwrap_err(), Unread::Broken);
}

#[test]
fn answers_stay_where_they_are_waited_for() {
    let connection = kith_domain::ConnectionId::from_uuid(Uuid::from_u128(1));
    let origin = kith_ports::live::Origin { connection, frame_id: Some("1".into()) };
    let parcel = pack(vec![Dispatch::Reply { origin, reply: Reply::Done }]).remove(0);
    assert!(open(&seal(7, &parcel), None).unwrap().1.deliveries.is_empty());
}

#[test]
fn what_a_newer_node_wrote_is_told_from_what_is_broken() {
    let mut envelope = seal(7, &pack(vec![sent(5)]).remove(0));
    assert_eq!(open(&envelope[..envelope.len() - 9], None).unwrap_err(), Unread::Broken);
    assert_eq!(open(&[], None).unwrap_err(), Unread::Broken);
    envelope[0] = VERSION + 1;
    assert_eq!(open(&envelope, None).unwrap_err(), Unread::Unknown);
}

proptest::proptest! {
    #[test]
    fn no_bytes_bring_it_down(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = open(&bytes, None);
        let _ = open(&[&[VERSION], &bytes[..]].concat(), None);
    }
}
