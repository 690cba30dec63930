//! Tap: what passes through the agent, for whoever wants to watch it now.
//!
//! A bounded ring: a watcher that is slow misses what was overwritten and is told how much. With
//! nobody watching, nothing is put together: asking costs one read of a counter.

use crate::clock::UnixMs;
use crate::event::{Event, EventId, Sequence};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::{self, Receiver, Sender};

pub use tokio::sync::broadcast::error::RecvError;

/// What is kept for watchers that are behind. With ordinary events some hundred kilobytes.
pub const RING_MAX: usize = 512;

/// Longest `data` of an event that is shown, in bytes; a longer one is shown without. Bounds the
/// ring to 4 MiB.
pub const DATA_BYTES_MAX: usize = 8 << 10;

/// Attempts of an endpoint that are kept for whoever looks later: a screen of them. Their reasons are
/// bounded as those of dead letters are; 64 endpoints keep some hundred kilobytes.
pub const RECENT_MAX: usize = 20;

/// Something that passed.
#[derive(Debug, Clone)]
pub enum Seen {
    /// An event was queued.
    Event {
        /// The source it came from.
        source: Arc<str>,
        /// Its place.
        sequence: Sequence,
        /// The event; its `data` is empty when longer than [`DATA_BYTES_MAX`].
        event: Arc<Event>,
    },
    /// An attempt has ended.
    Attempt(Arc<Attempt>),
}

/// An attempt that has ended.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// The event's place.
    pub sequence: Sequence,
    /// The event's id.
    pub id: EventId,
    /// The event's type.
    pub kind: Arc<str>,
    /// Number of the request as the receiver was told it, from 1.
    pub number: u32,
    /// What it came to: `delivered`, `refused`, `unavailable` or `gone`.
    pub outcome: &'static str,
    /// Why it did not deliver; empty when it did.
    pub error: String,
    /// How long it took.
    pub elapsed: Duration,
    /// When it ended.
    pub at: UnixMs,
}

/// The last attempts of an endpoint, watched or not.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<Attempt>>>);

impl Recent {
    /// Keeps one more, and forgets the oldest when there are [`RECENT_MAX`].
    pub fn keep(&self, attempt: Arc<Attempt>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= RECENT_MAX {
            kept.pop_front();
        }
        kept.push_back(attempt);
    }

    /// What is kept, oldest first.
    pub fn kept(&self) -> Vec<Arc<Attempt>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }
}

/// The ring and its watchers.
#[derive(Debug)]
pub struct Tap {
    sender: Sender<Seen>,
    watchers: AtomicUsize,
}

/// One who watches, from the moment it was made.
#[derive(Debug)]
pub struct Watcher {
    receiver: Receiver<Seen>,
    tap: Arc<Tap>,
}

impl Default for Tap {
    fn default() -> Tap {
        Tap {
            sender: broadcast::channel(RING_MAX).0,
            watchers: AtomicUsize::new(0),
        }
    }
}

impl Tap {
    /// Whether somebody watches.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Shows `seen` to those who watch. Never waits.
    pub fn show(&self, seen: Seen) {
        // Without a watcher it is nobody's loss.
        let _watchers = self.sender.send(seen);
    }

    /// Watches from now on.
    pub fn watch(self: &Arc<Tap>) -> Watcher {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watcher {
            receiver: self.sender.subscribe(),
            tap: Arc::clone(self),
        }
    }
}

impl Watcher {
    /// The next that passes.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] when so many were missed; watching goes on.
    pub async fn next(&mut self) -> Result<Seen, RecvError> {
        self.receiver.recv().await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tap.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The event as it is shown.
pub fn shown(event: &Event) -> Arc<Event> {
    let mut event = event.clone();
    if event.data.len() > DATA_BYTES_MAX {
        event.data = Box::default();
    }
    Arc::new(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32) -> Arc<Attempt> {
        Arc::new(Attempt {
            endpoint: "a".into(),
            sequence: Sequence(1),
            id: EventId([0; 16]),
            kind: "cdr".into(),
            number,
            outcome: "delivered",
            error: String::new(),
            elapsed: Duration::ZERO,
            at: UnixMs(0),
        })
    }

    fn seen(number: u32) -> Seen {
        Seen::Attempt(attempt(number))
    }

    #[test]
    fn the_last_attempts_are_kept_and_no_more() {
        let recent = Recent::default();
        (1..=30).for_each(|number| recent.keep(attempt(number)));
        let kept: Vec<u32> = recent.kept().iter().map(|it| it.number).collect();
        assert_eq!(kept, (11..=30).collect::<Vec<u32>>());
        assert_eq!(kept.len(), RECENT_MAX);
    }

    #[test]
    fn nobody_watches_until_somebody_does_and_after_he_left() {
        let tap = Arc::new(Tap::default());
        assert!(!tap.is_watched());
        let watcher = tap.watch();
        assert!(tap.is_watched());
        drop(watcher);
        assert!(!tap.is_watched());
    }

    #[test]
    fn a_slow_watcher_is_told_how_much_he_missed() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let tap = Arc::new(Tap::default());
        let mut watcher = tap.watch();
        for number in (0..).take(RING_MAX + 7) {
            tap.show(seen(number));
        }
        runtime.block_on(async {
            assert_eq!(watcher.next().await.unwrap_err(), RecvError::Lagged(7));
            let Ok(Seen::Attempt(attempt)) = watcher.next().await else {
                panic!("an attempt");
            };
            assert_eq!(attempt.number, 7);
        });
    }
}
