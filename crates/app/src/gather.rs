//! What many ask for at the same moment is read together.
//!
//! Whoever asks alone is answered at once. Where so many come that a read for each of them would be a
//! burden, as when a node has ended and all its clients come to another, the next read waits for more.

use std::{future::Future, time::Duration};

use kith_ports::{StoreError, StoreResult};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;

/// So many may wait. The store is busy for whoever comes beyond that.
const WAITING: usize = 16_384;
/// Whoever has waited for so long is told that the store is busy.
const PATIENCE: Duration = Duration::from_secs(8);
/// So many are answered by one read.
const MOST: usize = 512;
/// For each that a read answered, the next one begins so much later: some 250 a second are answered as
/// they come, more are gathered.
const SPACING: Duration = Duration::from_millis(4);
/// But by no more than this.
const LONGEST: Duration = Duration::from_millis(500);

/// Asks for one of many.
#[derive(Debug)]
pub(crate) struct Gather<Key, Answer> {
    asked: mpsc::Sender<Asked<Key, Answer>>,
}

#[derive(Debug)]
struct Asked<Key, Answer> {
    key: Key,
    answer: oneshot::Sender<StoreResult<Answer>>,
}

impl<Key, Answer> Clone for Gather<Key, Answer> {
    fn clone(&self) -> Self {
        Self { asked: self.asked.clone() }
    }
}

impl<Key, Answer> Gather<Key, Answer>
where
    Key: Clone + Send + Sync + 'static,
    Answer: Send + 'static,
{
    /// `read` answers all keys that it is given, in their order. It runs in a task of `tasks`, which ends
    /// with the last handle.
    pub(crate) fn start<Read, Reading>(tasks: &TaskTracker, read: Read) -> Self
    where
        Read: Fn(Vec<Key>) -> Reading + Send + Sync + 'static,
        Reading: Future<Output = StoreResult<Vec<Answer>>> + Send + 'static,
    {
        let (asked, waiting) = mpsc::channel(WAITING);
        tasks.spawn(serve(read, waiting));
        Self { asked }
    }

    /// The answer for `key`.
    ///
    /// # Errors
    /// As the read failed. What failed for one alone is not told to others.
    pub(crate) async fn ask(&self, key: Key) -> StoreResult<Answer> {
        let (answer, answered) = oneshot::channel();
        match self.asked.try_send(Asked { key, answer }) {
            Err(mpsc::error::TrySendError::Full(_)) => return Err(StoreError::Busy),
            // It has ended if the read panicked, which stops the server.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
        match timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(ended)) => Err(StoreError::Other(Box::new(ended))),
            Err(_) => Err(StoreError::Busy),
        }
    }

    /// Waits until the task has ended, which it does not while there is a handle.
    pub(crate) async fn crashed(&self) {
        self.asked.closed().await;
    }
}

async fn serve<Key, Answer, Read, Reading>(
    read: Read,
    mut asked: mpsc::Receiver<Asked<Key, Answer>>,
) where
    Key: Clone,
    Read: Fn(Vec<Key>) -> Reading,
    Reading: Future<Output = StoreResult<Vec<Answer>>>,
{
    let mut due = Instant::now();
    let mut waiting = Vec::new();
    while asked.recv_many(&mut waiting, MOST).await > 0 {
        while waiting.len() < MOST {
            let room = MOST - waiting.len();
            match timeout_at(due, asked.recv_many(&mut waiting, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        // Who went is not waited for.
        waiting.retain(|it| !it.answer.is_closed());
        let began = Instant::now();
        due = match u32::try_from(waiting.len()) {
            Ok(count) if waiting.len() < MOST => began + (SPACING * count).min(LONGEST),
            _ => began,
        };
        answer(&read, std::mem::take(&mut waiting)).await;
    }
}

async fn answer<Key, Answer, Read, Reading>(read: &Read, mut waiting: Vec<Asked<Key, Answer>>)
where
    Key: Clone,
    Read: Fn(Vec<Key>) -> Reading,
    Reading: Future<Output = StoreResult<Vec<Answer>>>,
{
    if waiting.is_empty() {
        return;
    }
    let keys = waiting.iter().map(|it| it.key.clone()).collect();
    match read(keys).await {
        Ok(answers) => {
            for (it, answer) in waiting.into_iter().zip(answers) {
                // Whoever asked may be gone.
                let _ = it.answer.send(Ok(answer));
            }
        }
        Err(error) if error.is_transient() => {
            for it in waiting {
                let _ = it.answer.send(Err(match error {
                    StoreError::Busy => StoreError::Busy,
                    _ => StoreError::Unavailable(error.to_string().into()),
                }));
            }
        }
        Err(error) if waiting.len() == 1 => {
            if let Some(it) = waiting.pop() {
                let _ = it.answer.send(Err(error));
            }
        }
        // It may be about one of them: the others are answered.
        Err(_) => {
            for it in waiting {
                let alone = read(vec![it.key]).await;
                let alone = alone.and_then(|mut answers| answers.pop().ok_or(StoreError::Busy));
                let _ = it.answer.send(alone);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::future::join_all;

    use super::*;

    type Reads = Arc<Mutex<Vec<usize>>>;

    /// Doubles numbers, a hundredth of a second later. It cannot be done with 13, and 7 is away.
    fn doubling() -> (Gather<u32, u32>, Reads) {
        let reads = Reads::default();
        let seen = Arc::clone(&reads);
        let gather = Gather::start(&TaskTracker::new(), move |keys: Vec<u32>| {
            seen.lock().unwrap().push(keys.len());
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if keys.contains(&13) {
                    return Err(StoreError::Other("an unlucky number".into()));
                }
                if keys.contains(&7) {
                    return Err(StoreError::Unavailable("gone".into()));
                }
                Ok(keys.into_iter().map(|key| 2 * key).collect())
            }
        });
        (gather, reads)
    }

    fn taken(reads: &Reads) -> Vec<usize> {
        std::mem::take(&mut *reads.lock().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_asks_alone_does_not_wait() {
        let (gather, reads) = doubling();
        for n in 100..110 {
            let before = Instant::now();
            assert_eq!(gather.ask(n).await.unwrap(), 2 * n);
            assert_eq!(before.elapsed(), Duration::from_millis(10));
        }
        assert_eq!(taken(&reads), [1; 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_are_read_together_each_with_his_own_answer() {
        let (gather, reads) = doubling();
        let answers = join_all((100..1_200).map(|n| gather.ask(n))).await;
        let answers: Vec<u32> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.into_iter().eq((100..1_200).map(|n| 2 * n)));
        let reads = taken(&reads);
        assert!(reads.len() <= 5 && reads.iter().all(|count| *count <= MOST), "{reads:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_a_second_are_gathered() {
        let (gather, reads) = doubling();
        let asking = (0..5_000).map(|n| {
            let gather = gather.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(n)).await;
                let before = Instant::now();
                gather.ask(100).await.unwrap();
                assert!(before.elapsed() < Duration::from_millis(520), "{:?}", before.elapsed());
            }
        });
        join_all(asking).await;
        let reads = taken(&reads);
        assert!(reads.len() < 20, "{reads:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_cannot_be_answered_does_not_keep_others() {
        let (gather, _) = doubling();
        let answers = join_all([12, 13, 14].map(|n| gather.ask(n))).await;
        assert!(matches!(&answers[..], [Ok(24), Err(StoreError::Other(_)), Ok(28)]));
        let alone = gather.ask(13).await;
        assert!(matches!(alone, Err(StoreError::Other(_))), "{alone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_asked_once_for_all() {
        let (gather, reads) = doubling();
        let answers = join_all([6, 7, 8].map(|n| gather.ask(n))).await;
        assert!(answers.iter().all(|it| matches!(it, Err(StoreError::Unavailable(_)))));
        assert_eq!(taken(&reads), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_went_is_not_read_for() {
        let (gather, reads) = doubling();
        let first = gather.ask(1);
        let gone = tokio::time::timeout(Duration::from_millis(5), gather.ask(2));
        let (first, gone) = tokio::join!(first, async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            gone.await
        });
        assert!(first.is_ok() && gone.is_err());
        assert_eq!(gather.ask(3).await.unwrap(), 6);
        assert_eq!(taken(&reads), [1, 1]);
    }
}
