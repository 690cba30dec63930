//! Scan: one listing of a folder's directories, in slices.

use super::{DIRECTORIES_MAX, ENTRIES_PER_SLICE, FULL_LISTING_EVERY, Found, Settings, nanos};
use crate::clock::{Clock, Moment};
use std::collections::{BinaryHeap, HashMap};
use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a directory has to be as it is before it need not be listed: file systems tell the time
/// of a change no more finely than to a second or two.
const SETTLED: Duration = Duration::from_secs(2);

/// What a listing found.
#[derive(Debug)]
pub(super) struct Listed {
    /// The new files, oldest change first.
    pub(super) found: Vec<Found>,
    /// There were more than there was room for.
    pub(super) more: bool,
    /// The last change of the youngest file that was seen, new or not.
    pub(super) newest_ns: Option<i64>,
    /// How long it took, without the time between its slices.
    pub(super) took: Duration,
    /// What could not be listed.
    pub(super) trouble: Option<String>,
}

/// A listing under way, and what is known of the directories from those before.
#[derive(Debug, Default)]
pub(super) struct Scan {
    run: Option<Run>,
    directories: HashMap<PathBuf, Directory>,
    full_at: Moment,
}

/// A directory as it was listed last.
#[derive(Debug)]
struct Directory {
    modified_ns: i64,
    /// When it was first and when it was last listed with that time of modification.
    first: Moment,
    last: Moment,
    below: Vec<PathBuf>,
}

#[derive(Debug)]
struct Run {
    began: Moment,
    full: bool,
    newest_ns: Option<i64>,
    to_list: Vec<(PathBuf, usize)>,
    listing: Option<Listing>,
    /// The newest on top, to be dropped first.
    found: BinaryHeap<ByChange>,
    more: bool,
    directories: HashMap<PathBuf, Directory>,
    trouble: Option<String>,
    took: Duration,
}

#[derive(Debug)]
struct Listing {
    path: PathBuf,
    modified_ns: i64,
    first: Moment,
    depth: usize,
    entries: ReadDir,
    below: Vec<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
struct ByChange(Found);

impl Ord for ByChange {
    fn cmp(&self, other: &ByChange) -> std::cmp::Ordering {
        let key = |found: &Found| (found.changed_ns, found.key);
        key(&self.0)
            .cmp(&key(&other.0))
            .then_with(|| self.0.path.cmp(&other.0.path))
    }
}

impl PartialOrd for ByChange {
    fn partial_cmp(&self, other: &ByChange) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Scan {
    pub(super) fn is_under_way(&self) -> bool {
        self.run.is_some()
    }

    /// Begins a listing.
    pub(super) fn begin(&mut self, settings: &Settings, now: Moment) {
        let full = now >= self.full_at;
        if full {
            self.full_at = now + FULL_LISTING_EVERY;
        }
        self.run = Some(Run {
            began: now,
            full,
            newest_ns: None,
            to_list: vec![(settings.directory.clone(), 0)],
            listing: None,
            found: BinaryHeap::new(),
            more: false,
            directories: HashMap::new(),
            trouble: None,
            took: Duration::ZERO,
        });
    }

    /// Has the next listing look into every directory.
    pub(super) fn forget(&mut self) {
        self.directories.clear();
    }

    /// Reads the next slice; gives what was found once the listing is at its end. At most `room`
    /// files for which `is_new` holds are kept.
    pub(super) fn slice(
        &mut self,
        settings: &Settings,
        room: usize,
        is_new: impl Fn(&Found) -> bool,
        now: Moment,
        clock: &dyn Clock,
    ) -> Option<Listed> {
        let run = self.run.as_mut()?;
        let mut left = ENTRIES_PER_SLICE;
        while left > 0 {
            left -= 1;
            let Some(listing) = &mut run.listing else {
                let Some((path, depth)) = run.to_list.pop() else {
                    run.took += clock.now().since(now);
                    let run = self.run.take()?;
                    return Some(self.end(run));
                };
                run.open(path, depth, &self.directories);
                continue;
            };
            match listing.entries.next() {
                None => run.close(),
                Some(Ok(entry)) => {
                    if let Some(found) = listing.judge(&entry, settings, now) {
                        run.newest_ns = run.newest_ns.max(Some(found.changed_ns));
                        if is_new(&found) {
                            run.keep(found, room);
                        }
                    }
                }
                Some(Err(error)) => {
                    let (path, depth) = (listing.path.clone(), listing.depth);
                    run.fail(&path, depth, &error);
                }
            }
        }
        run.took += clock.now().since(now);
        None
    }

    fn end(&mut self, run: Run) -> Listed {
        let found: Vec<Found> = run
            .found
            .into_sorted_vec()
            .into_iter()
            .map(|by| by.0)
            .collect();
        // What was left out is found only by looking again.
        self.directories = if run.more || run.trouble.is_some() {
            HashMap::new()
        } else {
            run.directories
        };
        Listed {
            found,
            more: run.more,
            newest_ns: run.newest_ns,
            took: run.took,
            trouble: run.trouble,
        }
    }
}

impl Run {
    /// Opens a directory, unless it is as it was when it was listed before.
    fn open(&mut self, path: PathBuf, depth: usize, before: &HashMap<PathBuf, Directory>) {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return self.fail(&path, depth, &error),
        };
        let modified_ns = nanos(metadata.mtime(), metadata.mtime_nsec());
        let known = before
            .get(&path)
            .filter(|known| known.modified_ns == modified_ns);
        let first = known.map_or(self.began, |known| known.first);
        if let Some(known) = known
            && !self.full
            && known.last.since(known.first) >= SETTLED
        {
            let below = known.below.clone();
            self.visit(&below, depth);
            let directory = Directory { below, ..*known };
            self.directories.insert(path, directory);
            return;
        }
        match fs::read_dir(&path) {
            Ok(entries) => {
                self.listing = Some(Listing {
                    path,
                    modified_ns,
                    first,
                    depth,
                    entries,
                    below: Vec::new(),
                });
            }
            Err(error) => self.fail(&path, depth, &error),
        }
    }

    fn close(&mut self) {
        if let Some(listing) = self.listing.take() {
            self.visit(&listing.below, listing.depth);
            let listed = Directory {
                modified_ns: listing.modified_ns,
                first: listing.first,
                last: self.began,
                below: listing.below,
            };
            self.directories.insert(listing.path, listed);
        }
    }

    fn visit(&mut self, below: &[PathBuf], depth: usize) {
        for path in below {
            if self.directories.len() + self.to_list.len() >= DIRECTORIES_MAX {
                let what = format!("more than {DIRECTORIES_MAX} directories");
                self.trouble.get_or_insert(what);
                return;
            }
            self.to_list.push((path.clone(), depth + 1));
        }
    }

    /// A directory that is gone hides nothing, but where it is the one that is looked into.
    fn fail(&mut self, path: &Path, depth: usize, error: &io::Error) {
        self.listing = None;
        if depth == 0 || error.kind() != io::ErrorKind::NotFound {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    "; the agent's user must be allowed to read it, and to enter those above it"
                }
                io::ErrorKind::NotFound => "; it is read once it is there",
                _ => "",
            };
            self.trouble
                .get_or_insert(format!("{}: {error}{remedy}", path.display()));
        }
    }

    fn keep(&mut self, found: Found, room: usize) {
        self.found.push(ByChange(found));
        if self.found.len() > room {
            self.found.pop();
            self.more = true;
        }
    }
}

impl Listing {
    /// The file that `entry` is, if it is one to look at; a directory is noted. Names that begin
    /// with a dot are how programs that copy files call the unfinished copy.
    fn judge(&mut self, entry: &DirEntry, settings: &Settings, now: Moment) -> Option<Found> {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with('.') {
            return None;
        }
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            let level = settings.levels.get(self.depth);
            if level.is_some_and(|level| level.matches(&text)) {
                self.below.push(entry.path());
            }
            return None;
        }
        if !settings.names.iter().any(|glob| glob.matches(&text)) {
            return None;
        }
        // Of a link what it leads to; one that leads nowhere is no file.
        let metadata = fs::metadata(entry.path()).ok()?;
        metadata
            .is_file()
            .then(|| Found::new(entry.path(), &metadata, now))
    }
}
