use kith_protocol::rest::{Edit, History, Items, Message, MessageRead, Receipt, SendMessage};
use uuid::Uuid;

use super::{Client, call::Call};
use crate::error::Result;

/// Which page of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The newest.
    #[default]
    Newest,
    /// What comes before this number.
    Before(i64),
    /// What comes after this number.
    After(i64),
    /// What stands around this number.
    Around(i64),
}

/// Messages.
impl Client {
    /// A page of a history, oldest first.
    pub async fn history(
        &self,
        conversation_id: Uuid,
        selector: Selector,
        limit: Option<u32>,
    ) -> Result<History> {
        let call = Call::get(format!("/conversations/{conversation_id}/messages"));
        let call = match selector {
            Selector::Newest => call,
            Selector::Before(seq) => call.query("before", Some(seq)),
            Selector::After(seq) => call.query("after", Some(seq)),
            Selector::Around(seq) => call.query("around", Some(seq)),
        };
        self.call(call.query("limit", limit)).await
    }

    /// A page of the chat with one other person, which may not be there yet.
    pub async fn direct_history(
        &self,
        user_id: Uuid,
        before_id: Option<Uuid>,
        limit: Option<u32>,
    ) -> Result<History> {
        let call = Call::get("/messages").query("user_id", Some(user_id));
        self.call(call.query("before_id", before_id).query("limit", limit)).await
    }

    /// Sends a message. Give it a random `client_message_id` if it may have to be sent again.
    pub async fn send(&self, conversation_id: Uuid, message: &SendMessage) -> Result<Message> {
        let path = format!("/conversations/{conversation_id}/messages");
        self.call(Call::post(path).json(message)?).await
    }

    /// One message.
    pub async fn message(&self, id: Uuid) -> Result<Message> {
        self.call(Call::get(format!("/messages/{id}"))).await
    }

    /// Gives a message another text.
    pub async fn edit(&self, id: Uuid, content: &str) -> Result<Message> {
        let call = Call::patch(format!("/messages/{id}"));
        self.call(call.json(&Edit { content: content.to_owned() })?).await
    }

    /// Deletes a message for everyone.
    pub async fn delete(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/messages/{id}"))).await
    }

    /// Says that a message, and all before it, has been read.
    pub async fn read(&self, id: Uuid) -> Result<MessageRead> {
        self.call(Call::post(format!("/messages/{id}/read"))).await
    }

    /// How far a message has come with each member.
    pub async fn receipts(&self, id: Uuid) -> Result<Items<Receipt>> {
        self.call(Call::get(format!("/messages/{id}/receipts"))).await
    }

    /// Reacts to a message with one emoji.
    pub async fn react(&self, id: Uuid, emoji: &str) -> Result<Message> {
        self.call(Call::put(reaction(id, emoji))).await
    }

    /// Takes a reaction back.
    pub async fn unreact(&self, id: Uuid, emoji: &str) -> Result<()> {
        self.done(Call::delete(reaction(id, emoji))).await
    }

    /// Pins a message.
    pub async fn pin(&self, id: Uuid) -> Result<Message> {
        self.call(Call::put(format!("/messages/{id}/pin"))).await
    }

    /// Takes the pin away.
    pub async fn unpin(&self, id: Uuid) -> Result<()> {
        self.done(Call::delete(format!("/messages/{id}/pin"))).await
    }
}

/// An emoji in a path stands as it is: the URL is written in ASCII when it is sent.
fn reaction(id: Uuid, emoji: &str) -> String {
    // A keycap may begin with what would end the path.
    format!("/messages/{id}/reactions/{}", emoji.replace('#', "%23"))
}
