//! Status: how far each source is, for whoever asks while the pump runs.

use super::intake::InFolder;
use crate::clock::{Moment, UnixMs};
use crate::source::FileStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shortest time between two updates: one for 9,600 remembered files takes some milliseconds.
const UPDATE_PAUSE: Duration = Duration::from_secs(1);

/// One source as it was a moment ago.
#[derive(Debug, Clone)]
pub struct SourceStatus {
    /// Its name.
    pub name: Arc<str>,
    /// When this was so, by the wall clock.
    pub taken_at: UnixMs,
    /// Every remembered file, in no order; at most
    /// [`FILES_REMEMBERED_MAX`](crate::source::FILES_REMEMBERED_MAX).
    pub files: Arc<[FileStatus]>,
    /// How far it is, if it is a source of files that are wholes; `files` is empty then.
    pub folder: Option<Arc<InFolder>>,
}

/// The sources as they were at the last update. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct SourcesStatus(Arc<Mutex<Vec<SourceStatus>>>);

impl SourcesStatus {
    /// The sources, a second old at most while the pump runs. Never waits for it.
    pub fn latest(&self) -> Vec<SourceStatus> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.clone()
    }

    fn show(&self, sources: Vec<SourceStatus>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }
}

/// The side that the pump has of it.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) status: SourcesStatus,
    shown_at: Option<Moment>,
}

impl Shown {
    /// Shows what `take` says, unless that was done a moment ago.
    pub(super) fn update(&mut self, now: Moment, take: impl FnOnce() -> Vec<SourceStatus>) {
        let is_fresh = |shown: Moment| now.since(shown) < UPDATE_PAUSE;
        if !self.shown_at.is_some_and(is_fresh) {
            self.shown_at = Some(now);
            self.status.show(take());
        }
    }
}
