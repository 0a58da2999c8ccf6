//! Sockets that carry one conversation.

use kith_domain::{event::TypingEvent, text::Username};

use super::*;

fn elsewhere() -> ConversationId {
    conversation_id(2)
}

fn typing(place: ConversationId) -> Event {
    Event::TypingStarted(TypingEvent {
        conversation_id: place,
        user_id: user_id(1),
        username: Username::parse("ann").unwrap(),
    })
}

impl Node {
    /// A socket that carries the group alone, of one who is in both groups.
    async fn listen_to_group(&mut self, user: UserId) -> Listener {
        let listener = self.attach_to(0, user, Some(group())).await;
        let topics = [group(), elsewhere()].map(|conversation_id| Topic {
            conversation_id,
            member_epoch: 1,
            version: 4,
            last_seq: 4,
        });
        self.hub.subscribe(self.workers[0], listener.socket, topics.to_vec()).await;
        listener
    }

    /// Waits until everything that was published has been delivered.
    async fn settle(&self, listener: &Listener) {
        self.hub.subscribe(self.workers[0], listener.socket, Vec::new()).await;
    }
}

#[tokio::test]
async fn it_hears_of_its_conversation_alone() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.listen_to_group(user_id(2)).await;
    let mut whole = node.listen(0, user_id(2), &[group(), elsewhere()]).await;
    let event = |event, audience| Dispatch::Event { event, audience, origin: None };
    node.hub
        .publish(vec![
            event(Event::ConversationRemoved(elsewhere()), Audience::Users(vec![user_id(2)])),
            event(typing(elsewhere()), Audience::Members(elsewhere())),
            event(Event::UserOnline(user_id(1)), Audience::Users(vec![user_id(2)])),
            to_group(message(1), None),
            event(Event::SettingsUpdated(group()), Audience::Users(vec![user_id(2)])),
        ])
        .await;
    assert_eq!(narrow.types(2).await, ["new_message", "settings_updated"]);
    assert_eq!(
        whole.types(5).await,
        ["conversation_removed", "user_typing", "user_online", "new_message", "settings_updated"]
    );
    assert!(narrow.queue.try_recv().is_err());
}

#[tokio::test]
async fn it_gets_its_answers() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.listen_to_group(user_id(2)).await;
    let origin = from(&narrow);
    let refused = Reply::Refused(Refusal::not_a_member());
    node.hub
        .publish(vec![
            to_group(message(1), Some(origin.clone())),
            Dispatch::Reply { origin, reply: refused },
        ])
        .await;
    assert_eq!(narrow.next().await.unwrap(), ("message_sent".to_owned(), true));
    assert_eq!(narrow.next().await.unwrap(), ("error".to_owned(), true));
}

#[tokio::test]
async fn it_is_closed_when_its_person_is_in_there_no_more() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.listen_to_group(user_id(2)).await;
    let mut other = node.listen_to_group(user_id(3)).await;
    let mut whole = node.listen(0, user_id(2), &[group()]).await;
    let left = TopicChange::Leave(vec![user_id(2)]);
    node.hub.publish(vec![topic(2, left), to_group(message(1), None)]).await;
    assert_eq!(narrow.next().await.unwrap().0, "RightLost");
    assert_eq!(narrow.next().await, None);
    assert_eq!(other.types(1).await, ["new_message"]);
    node.settle(&whole).await;
    assert!(matches!(whole.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}

#[tokio::test]
async fn it_is_closed_when_its_conversation_is_deleted() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.listen_to_group(user_id(2)).await;
    node.hub.publish(vec![topic(i64::MAX, TopicChange::Dissolve)]).await;
    assert_eq!(narrow.next().await.unwrap().0, "RightLost");
    assert_eq!(narrow.next().await, None);
}

#[tokio::test]
async fn one_that_was_on_its_way_in_when_its_conversation_was_deleted_is_closed() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.attach_to(0, user_id(2), Some(group())).await;
    // What it has read says that the conversation is there.
    node.hub.publish(vec![topic(i64::MAX, TopicChange::Dissolve)]).await;
    assert_eq!(narrow.next().await.unwrap().0, "RightLost");
    assert_eq!(narrow.next().await, None);
}

#[tokio::test]
async fn what_happens_elsewhere_does_not_close_it() {
    let mut node = Node::start(1, HubOptions::default());
    let mut narrow = node.listen_to_group(user_id(2)).await;
    for change in
        [TopicChange::Leave(vec![user_id(2)]), TopicChange::Doubtful, TopicChange::Dissolve]
    {
        let conversation_id = elsewhere();
        node.hub.publish(vec![Dispatch::Topic { conversation_id, member_epoch: 2, change }]).await;
    }
    node.hub.publish(vec![to_group(message(1), None)]).await;
    assert_eq!(narrow.types(1).await, ["new_message"]);
}

#[tokio::test]
async fn one_whose_right_was_lost_before_it_listened_is_closed_at_once() {
    let mut node = Node::start(1, HubOptions::default());
    let mut late = node.attach_to(0, user_id(2), Some(group())).await;
    node.settle(&late).await;
    assert_eq!(late.next().await.unwrap().0, "RightLost");
    // What was read for it was older than the removal.
    let mut overtaken = node.attach_to(0, user_id(3), Some(group())).await;
    node.hub.publish(vec![topic(2, TopicChange::Leave(vec![user_id(3)]))]).await;
    assert_eq!(overtaken.next().await.unwrap().0, "RightLost");
}

#[tokio::test]
async fn a_direct_chat_is_never_lost() {
    let mut node = Node::start(1, HubOptions::default());
    let chat = ConversationId::direct(user_id(1), user_id(2));
    let mut narrow = node.attach_to(0, user_id(2), Some(chat)).await;
    node.settle(&narrow).await;
    let audience = Audience::Users(vec![user_id(2)]);
    let event = Event::ConversationRemoved(chat);
    node.hub.publish(vec![Dispatch::Event { event, audience, origin: None }]).await;
    assert_eq!(narrow.types(1).await, ["conversation_removed"]);
    node.settle(&narrow).await;
    assert!(matches!(narrow.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
}
