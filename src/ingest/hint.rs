//! The word that something changed, from those who watch to the pump that waits.

use crate::shutdown::Bell;
use crate::source::Changed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A word from whoever watches the directories: something changed. Wakes the pump.
#[derive(Debug, Clone)]
pub struct Hint {
    heard: Arc<Mutex<Changed>>,
    is_complete: Arc<AtomicBool>,
    is_spared: Arc<AtomicBool>,
    bell: Bell,
    awaited: Arc<Notify>,
}

impl Hint {
    /// A hint that rings `bell`.
    pub fn new(bell: Bell) -> Hint {
        Hint {
            heard: Arc::new(Mutex::new(Changed::Nothing)),
            is_complete: Arc::new(AtomicBool::new(false)),
            is_spared: Arc::default(),
            bell,
            awaited: Arc::default(),
        }
    }

    /// Tells the pump whether all directories are watched, so that looking at them seldom is enough.
    pub fn is_complete(&self, is_complete: bool) {
        self.is_complete.store(is_complete, Ordering::Relaxed);
    }

    /// Tells the pump what was heard.
    pub fn give(&self, heard: Changed) {
        let mut untold = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = heard.max(*untold);
        drop(untold);
        self.bell.ring();
    }

    /// Whether the pump finds rows whenever it looks, and needs no word of more.
    pub fn is_spared(&self) -> bool {
        self.is_spared.load(Ordering::Relaxed)
    }

    /// Returns when the pump has begun to wait for a word since this returned last.
    pub async fn awaited(&self) {
        self.awaited.notified().await;
    }

    /// Whether all directories are watched.
    pub(super) fn watches_all(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Tells those who watch whether the pump finds rows whenever it looks.
    pub(super) fn spare(&self, is_spared: bool) {
        self.is_spared.store(is_spared, Ordering::Relaxed);
    }

    /// Waits for a word, or the bell, for at most `pause`.
    pub(super) fn wait(&self, pause: Duration) {
        self.awaited.notify_one();
        self.bell.wait(pause);
    }

    /// What was heard since this was asked last.
    pub(super) fn take(&self) -> Changed {
        let mut untold = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut untold, Changed::Nothing)
    }
}
