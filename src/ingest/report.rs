//! Report: what ingest says in the log about one source: changes at once, repetitions as a count.

use crate::clock::{Moment, UnixMs};
use crate::source::{Change, SourceError};
use std::path::{Path, PathBuf};
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
    troubled: bool,
    told_forgotten: bool,
    /// The file, the hour of its rows, and how many doubtful local times were told for it.
    doubtful: Option<(PathBuf, i64, u64)>,
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
            troubled: false,
            told_forgotten: false,
            doubtful: None,
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

    /// `count` rows of `path`, of about `at`, had a local time that summer time repeats or leaves
    /// out: said once for each file and hour.
    ///
    /// The event does not say it: the keys of its data are fixed. The zone has such hours twice a
    /// year, and one line then is what an operator who bills by them needs.
    pub fn doubtful(&mut self, path: &Path, at: UnixMs, count: u64) {
        let hour = at.unix_secs().div_euclid(3_600);
        match &mut self.doubtful {
            Some((file, told, total)) if *told == hour && file == path => *total += count,
            other => {
                log::warn!(
                    "local times in the hour that summer time repeats or leaves out, the earlier reading is taken source={} file={path:?} hour={} earlier_count={}",
                    self.source,
                    crate::timestamp::Timestamp::from_secs(hour * 3_600),
                    other.as_ref().map_or(0, |(_, _, total)| *total)
                );
                *other = Some((path.to_owned(), hour, count));
            }
        }
    }

    /// A file changed in a way an operator should hear of.
    pub fn changed(&self, change: &Change) {
        let source = &self.source;
        match change {
            Change::Appeared { path } => {
                log::debug!("file appeared source={source} file={path:?}");
            }
            Change::Readable { path, count } => {
                log::info!("file readable again source={source} file={path:?} count={count}");
            }
            Change::Unreadable { path, error, count } => log::warn!(
                "file cannot be read source={source} file={path:?} count={count} error=\"{error}; the agent's user must be in the file's group\""
            ),
            Change::Rewritten {
                path,
                how,
                gap_bytes,
            } => log::warn!(
                "file truncated or rewritten, read from its start source={source} file={path:?} seen={how:?} lost_bytes={gap_bytes}"
            ),
            Change::Vanished {
                path,
                unread_bytes: Some(unread @ 1..),
            } => log::error!(
                "file deleted before it was read source={source} file={path:?} lost_bytes={unread}"
            ),
            Change::Vanished { path, .. } => {
                log::debug!("file gone source={source} file={path:?}");
            }
            Change::Skipped {
                reason,
                count,
                path,
            } => log::info!(
                "files passed over source={source} reason={reason:?} count={count} one={path:?}"
            ),
            Change::TooMany { left_out } => log::warn!(
                "too many files, the oldest are not followed source={source} left_out={left_out}"
            ),
        }
    }

    /// So many entries of the source's state were forgotten for want of room; said once, it goes on.
    pub fn forgotten(&mut self, entries: u64) {
        if entries > 0 && !std::mem::replace(&mut self.told_forgotten, true) {
            log::warn!(
                "too many alarms, accounts or calls are open, the oldest are forgotten source={} count={entries}",
                self.source
            );
        }
    }

    /// The source as a whole cannot go on; said once.
    pub fn trouble(&mut self, error: &SourceError) {
        if !std::mem::replace(&mut self.troubled, true) {
            log::error!("source paused source={} error=\"{error}\"", self.source);
        }
    }

    /// It can, if it could not.
    pub fn no_trouble(&mut self) {
        if std::mem::take(&mut self.troubled) {
            log::info!("source resumed source={}", self.source);
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
