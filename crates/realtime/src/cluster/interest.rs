//! What this node wants to hear: the people and the conversations it has sockets for.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::parcel::Channel;

/// What the link to the other nodes is asked for, in order.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Listen to this channel from now on.
    Listen(Channel),
    /// Nobody here wants it any more. That may pass.
    Release(Channel),
    /// Answer when everything before it is done, or cannot be done now.
    Fence(oneshot::Sender<()>),
}

/// Counts who wants to hear what.
#[derive(Debug)]
pub(crate) struct Interest {
    counts: Mutex<HashMap<Channel, u32>>,
    // Unbounded, because a worker must not wait for it. It holds at most a few entries for each socket
    // that comes or goes, and those are counted.
    wishes: mpsc::UnboundedSender<Wish>,
}

impl Interest {
    /// Nobody wants anything.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Wish>) {
        let (wishes, asked) = mpsc::unbounded_channel();
        (Self { counts: Mutex::default(), wishes }, asked)
    }

    /// One more wants to hear it.
    pub(crate) fn want(&self, channel: Channel) {
        let count = &mut *self.counts();
        let count = count.entry(channel).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.ask(Wish::Listen(channel));
        }
    }

    /// One less wants to hear it.
    pub(crate) fn release(&self, channel: Channel) {
        if let Entry::Occupied(mut count) = self.counts().entry(channel) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
                self.ask(Wish::Release(channel));
            }
        }
    }

    /// Whether anyone here wants to hear it.
    pub(crate) fn has(&self, channel: Channel) -> bool {
        self.counts().contains_key(&channel)
    }

    /// Everything that is wanted.
    pub(crate) fn all(&self) -> Vec<Channel> {
        self.counts().keys().copied().collect()
    }

    /// Waits until everything that is wanted now is listened to, or cannot be.
    pub(crate) async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        self.ask(Wish::Fence(done));
        // Not answered by a link that ended: then nothing is heard any more.
        let _ = settled.await;
    }

    fn ask(&self, wish: Wish) {
        // Without a link, as while the server stops, nothing is heard.
        let _ = self.wishes.send(wish);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Channel, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
