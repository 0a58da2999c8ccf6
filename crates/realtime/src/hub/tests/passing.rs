//! What others do at the moment, and what only some of them hear of.

use kith_domain::{
    event::{ReceiptEvent, TypingEvent},
    receipt::Mark,
    text::Username,
};

use super::*;

fn typing() -> Event {
    Event::TypingStarted(TypingEvent {
        conversation_id: group(),
        user_id: user_id(1),
        username: Username::parse("ann").unwrap(),
    })
}

fn receipt(seq: i64) -> Event {
    Event::ReceiptUpdated(ReceiptEvent {
        conversation_id: group(),
        user_id: user_id(2),
        mark: Mark::Read,
        seq,
        message_id: None,
        at: at(0),
    })
}

#[tokio::test]
async fn who_types_does_not_hear_of_it() {
    let mut node = Node::start(1, HubOptions::default());
    let mut phone = node.listen(0, user_id(1), &[group()]).await;
    let mut laptop = node.listen(0, user_id(1), &[group()]).await;
    let mut friend = node.listen(0, user_id(2), &[group()]).await;
    let audience = Audience::Others(group(), user_id(1));
    node.hub.publish(vec![Dispatch::Event { event: typing(), audience, origin: None }]).await;
    assert_eq!(friend.types(1).await, ["user_typing"]);
    assert!(phone.queue.try_recv().is_err() && laptop.queue.try_recv().is_err());
}

#[tokio::test]
async fn a_receipt_answers_the_socket_it_came_from_and_is_told_to_the_others() {
    let mut node = Node::start(1, HubOptions::default());
    let mut phone = node.listen(0, user_id(2), &[group()]).await;
    let mut laptop = node.listen(0, user_id(2), &[group()]).await;
    let audience = Audience::Users(vec![user_id(1), user_id(2)]);
    let origin = Some(from(&phone));
    node.hub.publish(vec![Dispatch::Event { event: receipt(3), audience, origin }]).await;
    // It is no answer of a lane of messages: those are counted.
    assert_eq!(phone.next().await.unwrap(), ("ok".to_owned(), false));
    assert_eq!(laptop.next().await.unwrap(), ("receipt_update".to_owned(), false));
    assert!(phone.queue.try_recv().is_err());
}

#[tokio::test]
async fn a_command_without_an_id_is_carried_out_without_a_word() {
    let mut node = Node::start(1, HubOptions::default());
    let mut phone = node.listen(0, user_id(2), &[group()]).await;
    let origin = Some(Origin { frame_id: None, ..from(&phone) });
    let audience = Audience::Users(vec![user_id(2)]);
    node.hub.publish(vec![Dispatch::Event { event: receipt(3), audience, origin }]).await;
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(phone.types(1).await, ["new_message"]);
}

#[tokio::test]
async fn who_is_behind_is_spared_what_passes_and_not_let_go_for_it() {
    let options = HubOptions { socket_queue: 8, ..HubOptions::default() };
    let mut node = Node::start(1, options);
    let mut slow = node.listen(0, user_id(2), &[group()]).await;
    let others = || Audience::Others(group(), user_id(1));
    let types = || Dispatch::Event { event: typing(), audience: others(), origin: None };
    node.hub.publish((0..100).map(|_| types()).collect()).await;
    // There is still room for what must not be lost.
    node.hub.publish(vec![to_group(message(1), None), to_group(message(2), None)]).await;
    let mut heard = slow.types(8).await;
    assert_eq!(heard.split_off(6), ["new_message", "new_message"]);
    assert_eq!(heard, ["user_typing"; 6]);
    node.hub.publish(vec![types()]).await;
    assert_eq!(slow.types(1).await, ["user_typing"]);
}

#[tokio::test]
async fn a_receipt_is_never_left_out() {
    // A later `pong` says that everything before it was told: there is no gap in what it covers.
    let options = HubOptions { socket_queue: 8, ..HubOptions::default() };
    let mut node = Node::start(1, options);
    let mut slow = node.listen(0, user_id(1), &[group()]).await;
    let told = |seq| {
        let audience = Audience::Users(vec![user_id(1)]);
        Dispatch::Event { event: receipt(seq), audience, origin: None }
    };
    node.hub.publish((1..=8).map(told).collect()).await;
    assert_eq!(slow.types(8).await, ["receipt_update"; 8]);
    node.hub.publish((1..=9).map(told).collect()).await;
    assert_eq!(slow.types(8).await, ["receipt_update"; 8]);
    assert_eq!(slow.next().await, None, "rather than a gap, it is let go");
}
