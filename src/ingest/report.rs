//! Report: what ingest says in the log about one source: changes at once, repetitions as a count.

use crate::clock::{Moment, UnixMs};
use crate::source::{Change, Rewrite, SourceError, Waiting};
use std::io;
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
    trouble: Option<String>,
    unreadable: Option<Unreadable>,
    told_forgotten: bool,
    /// The file, the hour of its rows, and how many doubtful local times were told for it.
    doubtful: Option<(PathBuf, i64, u64)>,
    /// It was said that files may be deleted before they are read.
    late: bool,
}

/// Files or directories that cannot be read now.
#[derive(Debug)]
struct Unreadable {
    /// How many there are.
    count: usize,
    /// The last one told of.
    path: PathBuf,
    error: String,
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
            trouble: None,
            unreadable: None,
            told_forgotten: false,
            doubtful: None,
            late: false,
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
    pub fn changed(&mut self, change: &Change) {
        self.note_unreadable(change);
        let source = &self.source;
        match change {
            Change::Appeared { path } => {
                log::debug!("file appeared source={source} file={path:?}");
            }
            Change::Readable { path, count } => {
                log::info!("file readable again source={source} file={path:?} count={count}");
            }
            Change::Unreadable { path, error, count } => log::warn!(
                "file cannot be read source={source} file={path:?} count={count} error=\"{error}{}\"",
                remedy(error)
            ),
            Change::Rewritten {
                path,
                how: Rewrite::Shortened,
                ..
            } => log::info!("rows taken off the end of a file source={source} file={path:?}"),
            Change::Rewritten {
                path,
                how: Rewrite::Wiped,
                ..
            } => log::info!(
                "generation written over with noise, not read source={source} file={path:?}"
            ),
            Change::Rewritten {
                path,
                how,
                unread_bytes,
            } => log::warn!(
                "file truncated or rewritten, read from its start source={source} file={path:?} seen={how:?} unread_bytes={unread_bytes}"
            ),
            Change::Gap(gap) => {
                let (path, offset) = (&gap.path, gap.position.offset);
                let number = |known: Option<u64>| {
                    known.map_or("unknown".to_owned(), |known| known.to_string())
                };
                log::error!(
                    "rows lost before they could be read source={source} file={path:?} from={offset} cause={} seen_bytes={} unseen_bytes={} rows={}",
                    gap.cause.word(),
                    number(gap.bytes),
                    gap.unseen_bytes,
                    number(gap.rows()),
                );
            }
            Change::Continued { path, from, offset } => {
                log::info!("copy read on source={source} file={path:?} of={from:?} from={offset}")
            }
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

    fn note_unreadable(&mut self, change: &Change) {
        match change {
            Change::Unreadable { path, error, count } => {
                let before = self.unreadable.as_ref().map_or(0, |known| known.count);
                self.unreadable = Some(Unreadable {
                    count: before.saturating_add(*count),
                    path: path.to_path_buf(),
                    error: error.to_string(),
                });
            }
            Change::Readable { count, .. } => {
                self.unreadable.take_if(|known| {
                    known.count = known.count.saturating_sub(*count);
                    known.count == 0
                });
            }
            _ => {}
        }
    }

    /// Which files or directories cannot be read and why, when some cannot.
    pub fn unreadable_now(&self) -> Option<String> {
        let Unreadable { count, path, error } = self.unreadable.as_ref()?;
        Some(named_unreadable(*count, path, error))
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
        if self.trouble.replace(error.to_string()).is_none() {
            log::error!("source paused source={} error=\"{error}\"", self.source);
        }
    }

    /// It can, if it could not.
    pub fn no_trouble(&mut self) {
        if self.trouble.take().is_some() {
            log::info!("source resumed source={}", self.source);
        }
    }

    /// Why the source cannot go on, when it cannot.
    pub fn trouble_now(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Files have waited for so long that they may be deleted first, or none has; said when that
    /// begins and when it ends.
    pub fn waiting(&mut self, waiting: Option<Waiting>) {
        let source = &self.source;
        let was_late = std::mem::replace(&mut self.late, waiting.is_some());
        match waiting {
            Some(waiting) if !was_late => log::warn!(
                "files wait long to be read, the switch's own rotation may delete them first source={source} files={} unread_bytes={} oldest={:?} waited_secs={}",
                waiting.files,
                waiting.bytes,
                waiting.path,
                waiting.waited.as_secs()
            ),
            None if was_late => log::info!("files no longer wait long source={source}"),
            _ => {}
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

/// Names one of `count` files that cannot be read, and says why.
pub fn named_unreadable(count: usize, path: &Path, error: &str) -> String {
    let others = match count {
        0 | 1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    format!("{}: {error}{others}", path.display())
}

/// What to do about a file that cannot be read for `error`, behind what the system says of it.
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; the agent's user must be in the file's group",
        io::ErrorKind::NotFound => "; a link that leads to no file is followed once there is one",
        _ => "",
    }
}
