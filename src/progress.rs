//! Progress: how a thread that works or waits is told from one that hangs.
//!
//! Each thread of a pump says, at every turn of its loop, by when it will turn again. Whoever is
//! later than that by more than what a step may take has stalled. So the watchdog is fed by the
//! pumps' own progress: a timer would go on ticking beside a pump that hangs.

use crate::clock::Moment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The threads of one pump. Clones watch the same threads.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Vec<Arc<Promise>>>>);

/// One thread's word. Dropped, it is off the list: a thread that ends has not stalled.
#[derive(Debug)]
pub struct Pulse(Arc<Promise>);

#[derive(Debug)]
struct Promise {
    thread: String,
    /// Milliseconds on the monotonic clock.
    due_ms: AtomicU64,
}

impl Progress {
    /// Puts a thread called `thread` on the list. It counts from the first [`Pulse::due`].
    pub fn pulse(&self, thread: impl Into<String>) -> Pulse {
        let promise = Arc::new(Promise {
            thread: thread.into(),
            due_ms: AtomicU64::new(u64::MAX),
        });
        let mut promises = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        promises.push(Arc::clone(&promise));
        Pulse(promise)
    }

    /// The threads that are later than they said by more than `allowance` at `now`. As long as
    /// anyone is, the pump as a whole makes no progress that could be relied on.
    pub fn stalled(&self, now: Moment, allowance: Duration) -> Vec<String> {
        let mut promises = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        promises.retain(|promise| Arc::strong_count(promise) > 1);
        let late = |promise: &&Arc<Promise>| {
            let due = Duration::from_millis(promise.due_ms.load(Ordering::Relaxed));
            now.since(Moment(due)) > allowance
        };
        promises
            .iter()
            .filter(late)
            .map(|promise| promise.thread.clone())
            .collect()
    }
}

impl Pulse {
    /// The thread goes on, and says so again by `moment`: now for a step of work, the end of the
    /// wait for a wait.
    pub fn due(&self, moment: Moment) {
        let millis = u64::try_from(moment.0.as_millis()).unwrap_or(u64::MAX);
        self.0.due_ms.store(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    #[test]
    fn a_thread_that_is_later_than_it_said_has_stalled_until_it_goes_on() {
        let progress = Progress::default();
        let (ingest, settle) = (progress.pulse("ingest"), progress.pulse("settle"));
        assert!(
            progress.stalled(at(1_000), ALLOWANCE).is_empty(),
            "nobody has begun"
        );
        ingest.due(at(1_000));
        settle.due(at(1_050));
        assert!(progress.stalled(at(1_060), ALLOWANCE).is_empty());
        assert_eq!(progress.stalled(at(1_061), ALLOWANCE), ["ingest"]);
        assert_eq!(progress.stalled(at(1_111), ALLOWANCE), ["ingest", "settle"]);
        ingest.due(at(1_111));
        assert_eq!(progress.stalled(at(1_111), ALLOWANCE), ["settle"]);
    }

    #[test]
    fn a_thread_that_has_ended_has_not_stalled_and_is_forgotten() {
        let progress = Progress::default();
        let pulse = progress.pulse("send-billing-1");
        pulse.due(at(0));
        drop(pulse);
        assert!(progress.stalled(at(1_000), ALLOWANCE).is_empty());
        assert!(progress.0.lock().unwrap().is_empty());
    }
}
