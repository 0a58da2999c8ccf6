//! The people of a load: signed up before it, checked on after it.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kith_client::{Client, Selector, Tokens};
use kith_protocol::rest::Register;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::wire::Line;
use crate::{Result, interrupt};

/// Everybody has the same.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// How many people there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    /// To how many receivers each sender writes in turn: so many chats he has.
    pub(crate) chats_each: usize,
}

impl Cast {
    /// One writes to one.
    pub(crate) const PAIR: Self = Self { senders: 1, receivers: 1, chats_each: 1 };
    /// Everybody writes to one person of his own.
    pub(crate) const PAIRS: Self = Self { senders: 32, receivers: 32, chats_each: 1 };
    /// Everybody writes to 500 people in turn: 16,000 chats.
    pub(crate) const MANY: Self = Self { senders: 32, receivers: 500, chats_each: 500 };

    /// Whom a sender writes to with his `n`th message.
    pub(crate) fn receiver(self, sender: usize, n: u64) -> usize {
        let turn = usize::try_from(n % self.chats_each as u64).unwrap_or_default();
        (sender + turn) % self.receivers
    }

    /// How many messages there are for a sender's `turn`th chat, once he has sent `sent`.
    fn expected(self, turn: usize, sent: u64) -> u64 {
        let (chats, turn) = (self.chats_each as u64, turn as u64);
        sent / chats + u64::from(turn < sent % chats)
    }
}

/// One of the people.
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) client: Client,
}

impl Person {
    pub(super) fn tokens(&self) -> Result<Tokens> {
        Ok(self.client.tokens().ok_or("somebody is not signed in any more")?)
    }
}

/// What became of a sender's messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
}

/// Signs up `count` people, who are called `person-0`, `person-1` and so on.
pub(super) async fn sign_up(url: &str, called: &str, count: usize) -> Result<Vec<Person>> {
    let anybody = Client::new(url)?;
    let sign_up = |n: usize| {
        let client = anybody.anonymous();
        async move {
            interrupt::check()?;
            let account = Register {
                username: format!("{called}-{n}"),
                email: format!("{called}-{n}@example.org"),
                password: PASSWORD.to_owned(),
                display_name: None,
                device_name: None,
            };
            let id = client.register(&account).await?.user.id;
            Ok(Person { id, client })
        }
    };
    stream::iter(0..count).map(sign_up).buffered(CALLS).try_collect().await
}

/// Everybody, on one server.
pub(crate) struct Stage {
    pub(crate) cast: Cast,
    pub(crate) senders: Vec<Person>,
    pub(crate) receivers: Vec<Person>,
    url: String,
    runtime: Runtime,
}

/// How many chats are read through at the end, at most.
const CHECKED: usize = 64;
/// How many calls there are at once.
const CALLS: usize = 8;

impl Stage {
    /// Signs everybody up.
    pub(crate) fn set(url: &str, cast: Cast) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let everybody = sign_up(url, "person", cast.senders + cast.receivers);
        let mut senders = runtime.block_on(everybody)?;
        let receivers = senders.split_off(cast.senders);
        Ok(Self { cast, senders, receivers, url: url.to_owned(), runtime })
    }

    /// A socket for each.
    pub(crate) fn open(&self, people: &[Person]) -> Result<Vec<Line>> {
        people
            .iter()
            .map(|person| {
                interrupt::check()?;
                Line::open(&self.url, &person.tokens()?.access)
            })
            .collect()
    }

    /// Runs a future here.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Reads chats through to their beginning: each acknowledged message must be there once, and
    /// numbered without a gap.
    pub(super) fn check(&self, outcomes: &[Outcome]) -> Result<()> {
        // The connections on which they signed up have been idle for so long that the server may be
        // closing them just now.
        let client = Client::new(&self.url)?;
        let client = &client;
        let chats = self.cast.senders * self.cast.chats_each;
        let step = (chats / CHECKED).max(1);
        let checks = (0..chats).step_by(step).map(|chat| {
            let (sender, turn) = (chat / self.cast.chats_each, chat % self.cast.chats_each);
            let outcome = outcomes[sender];
            let expected = match outcome.refused {
                0 => Some(self.cast.expected(turn, outcome.acknowledged)),
                // To whom he wrote what was refused is not known.
                _ => None,
            };
            async move {
                let person = &self.senders[sender];
                let client = client.with_tokens(person.tokens()?);
                let receiver = &self.receivers[self.cast.receiver(sender, turn as u64)];
                check_chat(&client, person.id, receiver.id, expected).await
            }
        });
        self.block_on(stream::iter(checks).buffer_unordered(CALLS).try_collect())
    }
}

/// Reads the chat of two people from its end to its beginning.
async fn check_chat(
    client: &Client,
    sender: Uuid,
    receiver: Uuid,
    expected: Option<u64>,
) -> Result<()> {
    let mut page = client.direct_history(receiver, None, Some(100)).await?;
    let Some(last) = page.items.last() else {
        let may_be = expected.unwrap_or_default() == 0;
        return if may_be { Ok(()) } else { Err("a whole chat is lost".into()) };
    };
    let (chat, mut seq) = (last.conversation_id, last.seq);
    if let Some(expected) = expected
        && u64::try_from(seq) != Ok(expected)
    {
        return Err(format!("{expected} messages were acknowledged, {seq} are there").into());
    }
    loop {
        interrupt::check()?;
        for message in page.items.iter().rev() {
            if message.seq != seq || message.sender_id != sender {
                return Err(format!("{} stands where {seq} should", message.seq).into());
            }
            seq -= 1;
        }
        if !page.has_before {
            break;
        }
        page = client.history(chat, Selector::Before(seq + 1), Some(100)).await?;
    }
    if seq == 0 { Ok(()) } else { Err(format!("a chat begins with {}", seq + 1).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_writes_to_all_his_people_in_turn() {
        let cast = Cast { senders: 2, receivers: 3, chats_each: 2 };
        let order: Vec<usize> = (0..4).map(|n| cast.receiver(1, n)).collect();
        assert_eq!(order, [1, 2, 1, 2]);
        assert_eq!(cast.receiver(2, 1), 0, "after the last comes the first");
        assert_eq!([cast.expected(0, 5), cast.expected(1, 5)], [3, 2]);
        assert_eq!([cast.expected(0, 4), cast.expected(1, 4)], [2, 2]);
    }
}
