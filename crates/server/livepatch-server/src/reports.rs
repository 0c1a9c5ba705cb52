//! Reports are written together: all that wait while one transaction is under way share the next.

use crate::{clock, refusal::Refusal};
use livepatch_store::{CheckIn, Reported, Store, StoreError};
use std::{
    mem,
    sync::{Mutex, PoisonError},
};
use tokio::sync::{
    Mutex as Lock,
    oneshot::{self, error::TryRecvError},
};

/// Reports in one transaction; other writers wait for it.
const MOST_AT_ONCE: usize = 256;

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever writes, for all that wait.
    writing: Lock<()>,
}

#[derive(Debug)]
struct Waiting {
    check_in: CheckIn,
    done: oneshot::Sender<Result<Reported, StoreError>>,
}

impl Reports {
    /// Writes a report, with those that came in the meantime, and comes back when it is kept.
    pub(crate) async fn record(&self, store: &Store, check_in: CheckIn) -> Result<Reported, Refusal> {
        let (done, mut written) = oneshot::channel();
        self.queue().push(Waiting { check_in, done });
        loop {
            let writing = self.writing.lock().await;
            // Whoever wrote before may have written this one too.
            match written.try_recv() {
                Ok(answer) => return Ok(answer?),
                Err(TryRecvError::Closed) => return Err(Refusal::unavailable()),
                Err(TryRecvError::Empty) => {}
            }
            let batch = self.next_batch();
            if batch.is_empty() {
                // It is in a batch whose writer was not waited for any more.
                drop(writing);
                return Ok(written.await.map_err(|_| Refusal::unavailable())??);
            }
            let store = store.clone();
            // A task of its own: the others' reports are written, whether or not this machine still waits for its answer.
            let task = tokio::spawn(async move { write(&store, batch).await });
            task.await.map_err(|error| Refusal::internal(&error))?;
        }
    }

    fn next_batch(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        if queue.len() <= MOST_AT_ONCE {
            return mem::take(&mut queue);
        }
        queue.drain(..MOST_AT_ONCE).collect()
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a batch, and tells everybody. A batch that fails is written one by one, up to the first report that fails by itself: its sender
/// hears why, and the others repeat theirs when the database is back.
async fn write(store: &Store, batch: Vec<Waiting>) {
    let now = clock::seconds();
    let (check_ins, done): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.check_in, one.done)).unzip();
    if check_ins.len() > 1
        && let Ok(reported) = store.record_check_ins(&check_ins, now).await
    {
        for (done, reported) in done.into_iter().zip(reported) {
            let _ = done.send(Ok(reported)); // a machine that does not wait any more repeats its report
        }
        return;
    }
    for (check_in, done) in check_ins.iter().zip(done) {
        let outcome = store.record_check_in(check_in, now).await;
        let failed = outcome.is_err();
        let _ = done.send(outcome);
        if failed {
            return;
        }
    }
}
