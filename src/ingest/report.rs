//! Report: what ingest says in the log about one source: changes at once, repetitions as a count.

use crate::clock::Moment;
use crate::source::Change;
use std::time::Duration;

/// Shortest time between two lines about rows set aside. The first of a run is said at once; a
/// format that fits nothing then costs six lines an hour, not one per row.
const SET_ASIDE_PAUSE: Duration = Duration::from_secs(600);

/// The lines about one source.
#[derive(Debug)]
pub struct Report {
    source: String,
    untold: Option<Untold>,
    told_at: Option<Moment>,
}

/// Rows set aside since the last line about them.
#[derive(Debug)]
struct Untold {
    count: u64,
    place: String,
    reason: String,
}

impl Report {
    /// Nothing to say yet about `source`.
    pub fn new(source: &str) -> Report {
        Report {
            source: source.to_owned(),
            untold: None,
            told_at: None,
        }
    }

    /// A row of the file and line `place` was set aside for `reason`.
    pub fn set_aside(&mut self, place: &str, reason: &str) {
        match &mut self.untold {
            Some(untold) => untold.count += 1,
            None => {
                self.untold = Some(Untold {
                    count: 1,
                    place: place.to_owned(),
                    reason: reason.to_owned(),
                })
            }
        }
    }

    /// A file changed in a way an operator should hear of.
    pub fn changed(&self, change: &Change) {
        let source = &self.source;
        match change {
            Change::Appeared(path) => log::debug!("file appeared source={source} file={path:?}"),
            Change::Readable(path) => {
                log::info!("file readable again source={source} file={path:?}")
            }
            Change::Unreadable { path, error } => {
                log::warn!("file cannot be read source={source} file={path:?} error=\"{error}\"")
            }
            Change::Rewritten { path, gap_bytes } => {
                log::warn!(
                    "file truncated or rewritten, read from its beginning source={source} file={path:?} gap_bytes={gap_bytes}"
                );
            }
            Change::Lost { path, unread_bytes } => {
                log::error!(
                    "file deleted before it was read source={source} file={path:?} unread_bytes={unread_bytes}"
                );
            }
        }
    }

    /// Says what is due at `now`.
    pub fn tell(&mut self, now: Moment) {
        let due = self
            .told_at
            .is_none_or(|told| now.since(told) >= SET_ASIDE_PAUSE);
        if !due {
            return;
        }
        if let Some(untold) = self.untold.take() {
            log::warn!(
                "lines set aside source={} count={} first={:?} error={:?}",
                self.source,
                untold.count,
                untold.place,
                untold.reason
            );
            self.told_at = Some(now);
        }
    }
}
