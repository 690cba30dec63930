//! Folder: files that appear in a directory, each of which is a whole by itself.
//!
//! A folder lists; it does not read. It hands out each file once, oldest change first, and is told
//! when the file is done with. What it then calls a [`FilePosition`] is committed by ingest
//! together with what the file told.
//!
//! **What was read before** is known by two things. A file whose status changed (`ctime`: the
//! kernel sets it, also when a file is moved in with an old modification time) before the
//! *watermark* is old. A younger one is old if it is remembered: by device, inode, size and that
//! time, or by the hash of its head where only the time differs, as after a rename or a `chmod`.
//! The watermark follows the files that are done, so that what is remembered stays few however
//! many files the directory holds. It is kept with the positions, in the same commits.
//!
//! **Cost.** A directory whose own modification time did not change is not listed again, but for
//! one full listing every [`FULL_LISTING_EVERY`]; listing takes at most a fiftieth of the time
//! (a twentieth while files come in), in slices of [`ENTRIES_PER_SLICE`] names.
//!
//! **What cannot be promised.** A file that is written in place after it was read is found by the
//! next full listing. The watermark stays [`WATERMARK_LAG`] behind the youngest file, by the
//! clock that stamps the files, which on a network file system is another machine's. When that
//! clock is set back by more while the agent is down, and is past the watermark again at its
//! start, files stamped in between pass for old ones. Otherwise a clock that was set back has
//! files handed out again rather than passed over: the same ids.

mod scan;

use crate::clock::{Clock, Moment, SystemClock, UnixMs};
use crate::source::{FileKey, FilePosition, Start};
use glob::Pattern;
use scan::Scan;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Most files that are known and not done with: new ones, half-written ones, and recordings of
/// calls that are still up. A mebibyte or two of memory.
pub const FILES_WAITING_MAX: usize = 8_192;

/// Places among them that files waiting to be finished leave for new ones.
const PLACES_FOR_NEW: usize = 1_024;

/// Most files remembered beyond the watermark before it is moved on although a part of the
/// directory cannot be listed.
pub const FILES_REMEMBERED_MAX: usize = 16_384;

/// Most directories of one folder: ten years of one a day.
pub const DIRECTORIES_MAX: usize = 4_096;

/// Names read at a time, so that listing a big directory does not hold up other sources: some
/// milliseconds.
pub const ENTRIES_PER_SLICE: usize = 1_000;

/// Time between two listings that look into every directory, changed or not.
pub const FULL_LISTING_EVERY: Duration = Duration::from_secs(300);

/// Bytes of a file's head that are compared when only the time of its last change differs.
pub const HEAD_BYTES: usize = 4_096;

/// How far behind the youngest file the watermark stays: more than a clock is set back by at once
/// where it is kept by a time service.
pub const WATERMARK_LAG: Duration = Duration::from_secs(30);

/// How far the clock that stamps files may be behind the one that is asked: it moves on with the
/// kernel's tick, which is 10 ms and comes late on a busy machine. A file of the last instant
/// before the start counts as a new one.
const STAMP_LAG_NS: i64 = 50_000_000;

/// A clock that was set back by no more is none: it is read at two moments.
const STEP_NS_MIN: i64 = 1_000_000_000;

/// Longest time between two readings that are taken for one.
const READINGS_APART_MAX: Duration = Duration::from_millis(100);

/// Shortest time from the end of one listing to the next.
const LISTING_PAUSE: Duration = Duration::from_millis(50);

/// Which files, and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The source's name.
    pub source: Arc<str>,
    /// The directory.
    pub directory: PathBuf,
    /// Globs of the names of its files.
    pub names: Vec<Pattern>,
    /// Globs of the names of directories in it, of those in them, and so on; files in all of them
    /// count.
    pub levels: Vec<Pattern>,
    /// Which of the files that are there at the very first look count.
    pub start: Start,
    /// Time between two looks.
    pub poll: Duration,
    /// How long a file that was [put back](Folder::put_back) may stay unchanged before it is handed
    /// out again.
    pub patience: Duration,
    /// Whether files that were done with before the start, and are still there, are handed out once
    /// more: for what should have become of them.
    pub redo: bool,
}

/// One file as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Device and inode.
    pub key: FileKey,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 of its last modification.
    pub modified_ns: i64,
    /// The same of the last change of its status.
    pub changed_ns: i64,
    /// Since when it is known to be as it is.
    pub unchanged_since: Moment,
}

impl Found {
    /// The file at `path`, as `metadata` says it is `now`.
    pub fn new(path: PathBuf, metadata: &Metadata, now: Moment) -> Found {
        Found {
            path,
            key: FileKey {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            size: metadata.size(),
            modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
            unchanged_since: now,
        }
    }

    /// Takes over when the file changed last from `metadata`; false where that is of another file.
    pub fn renew(&mut self, metadata: &Metadata) -> bool {
        let fresh = Found::new(PathBuf::new(), metadata, self.unchanged_since);
        self.changed_ns = fresh.changed_ns;
        fresh.key == self.key
    }

    /// Whether `metadata` is of this file as it was.
    pub fn is(&self, metadata: &Metadata) -> bool {
        let fresh = Found::new(PathBuf::new(), metadata, self.unchanged_since);
        (fresh.key, fresh.changed_ns) == (self.key, self.changed_ns)
    }
}

/// What is remembered of a file that is done with.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    size: u64,
    changed_ns: i64,
    head: u64,
}

/// How far a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderStatus {
    /// The directory.
    pub directory: PathBuf,
    /// Files that are remembered one by one, because they are younger than the watermark.
    pub remembered: usize,
    /// Files that were found and are not done with.
    pub unread: usize,
    /// Those of them that were put back: half written, or still being recorded.
    pub incomplete: usize,
    /// The file done with that changed last, as far as is known, and when that was, in nanoseconds
    /// since 1970.
    pub last: Option<(PathBuf, i64)>,
    /// Why the last listing could not be made, or not of all of it.
    pub trouble: Option<String>,
}

/// A directory, and what of it is done with.
#[derive(Debug)]
pub struct Folder {
    settings: Settings,
    clock: Arc<dyn Clock>,
    /// Wall time without the time that has passed, when it was read last.
    clock_base_ns: i64,
    lag_ns: i64,
    waiting_max: usize,
    /// Files of an earlier change of status are old.
    watermark_ns: i64,
    /// Files of a later one are none of ours.
    until_ns: i64,
    /// Listings that came to their end.
    listings: u64,
    /// Not yet said to whoever commits.
    watermark_untold: bool,
    remembered: HashMap<FileKey, Remembered>,
    forgotten: Vec<FileKey>,
    /// To be handed out, oldest first.
    ready: VecDeque<Found>,
    /// Put back.
    waiting: Vec<Found>,
    /// Device and inode of `ready`, `waiting` and what is handed out.
    known: HashSet<FileKey>,
    scan: Scan,
    /// Up to where the last listing has found everything.
    listed_up_to_ns: Option<i64>,
    look_at: Moment,
    /// Not before, whatever happens in the directory.
    look_at_earliest: Moment,
    /// Files that are not where they were before they were done with: the next listing finds those that
    /// were renamed. No more than were known.
    gone: HashSet<FileKey>,
    /// Files that went before they were done with, since last asked.
    vanished: u64,
    /// See [`FolderStatus::last`].
    last: Option<(PathBuf, i64)>,
    trouble: Option<String>,
}

impl Folder {
    /// A folder that goes on from the `remembered` positions and the `watermark` in them; without
    /// one it is seen for the first time, and [`Settings::start`] decides.
    pub fn open(
        settings: Settings,
        remembered: Vec<FilePosition>,
        watermark: Option<i64>,
        clock: Arc<dyn Clock>,
    ) -> Folder {
        let first_ns = match settings.start {
            Start::Now => ns_of(clock.wall()).saturating_sub(STAMP_LAG_NS),
            Start::Beginning | Start::At(_) => 0,
        };
        let youngest = remembered.iter().max_by_key(|it| it.tail.cast_signed());
        let last = youngest.map(|it| (PathBuf::from(&it.path), it.tail.cast_signed()));
        let remembered = remembered.into_iter().map(|position| {
            let remembered = Remembered {
                size: position.offset,
                // One that never was: the file is taken for changed, and found to be old.
                changed_ns: if settings.redo {
                    i64::MIN
                } else {
                    position.tail.cast_signed()
                },
                head: position.head,
            };
            (position.key, remembered)
        });
        let now = clock.now();
        Folder {
            clock_base_ns: base_ns(&*clock).unwrap_or(i64::MIN),
            lag_ns: i64::try_from(WATERMARK_LAG.as_nanos()).unwrap_or(i64::MAX),
            waiting_max: FILES_WAITING_MAX,
            watermark_ns: watermark.unwrap_or(first_ns),
            until_ns: i64::MAX,
            listings: 0,
            watermark_untold: watermark.is_none(),
            remembered: remembered.collect(),
            forgotten: Vec::new(),
            ready: VecDeque::new(),
            waiting: Vec::new(),
            known: HashSet::new(),
            scan: Scan::default(),
            listed_up_to_ns: None,
            look_at: now,
            look_at_earliest: now,
            gone: HashSet::new(),
            vanished: 0,
            last,
            trouble: None,
            settings,
            clock,
        }
    }

    /// A second folder of the same directory, which hands out the files whose status changed from
    /// `from_ns` to `to_ns`, whatever was done with before. This one is not touched by that.
    pub fn again(&self, from_ns: i64, to_ns: i64) -> Folder {
        let settings = Settings {
            start: Start::Beginning,
            redo: false,
            ..self.settings.clone()
        };
        let mut again = Folder::open(settings, Vec::new(), Some(from_ns), Arc::clone(&self.clock));
        again.until_ns = to_ns;
        again
    }

    /// Whether the last listing could not be made, or not of all of it.
    pub fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// How often the whole directory was listed.
    pub fn listings(&self) -> u64 {
        self.listings
    }

    /// Looks at what is due: the files put back, and a slice of the directory.
    pub fn look(&mut self, hinted: bool) {
        let now = self.clock.now();
        if hinted {
            self.look_at = self.look_at.min(self.look_at_earliest);
        }
        if self.scan.is_under_way() {
            self.list();
        } else if now >= self.look_at {
            self.look_at = now + self.settings.poll;
            self.look_at_earliest = now + LISTING_PAUSE;
            self.look_again(now);
            // New files are found only when those found before are handed out.
            if self.ready.is_empty() && self.has_room() {
                self.mind_the_clock();
                self.scan.begin(&self.settings, now);
                self.list();
            }
        }
    }

    /// The next file: a new one, or one put back that has changed or was patiently waited for.
    /// Whoever takes it says [`done`](Folder::done), [`pass_over`](Folder::pass_over) or
    /// [`put_back`](Folder::put_back).
    pub fn take(&mut self) -> Option<Found> {
        self.ready.pop_front()
    }

    /// When the file that [`take`](Folder::take) would give changed last, in nanoseconds since 1970.
    pub fn next_changed_ns(&self) -> Option<i64> {
        self.ready.front().map(|file| file.changed_ns)
    }

    /// Waits until the file changes, or for [`Settings::patience`].
    pub fn put_back(&mut self, file: Found) {
        self.waiting.push(file);
    }

    /// Whether a file of the head hash `head` was done with before, under another time.
    pub fn is_old(&self, file: &Found, head: u64) -> bool {
        let known = self.remembered.get(&file.key);
        known.is_some_and(|known| known.size == file.size && known.head == head)
    }

    /// The file is done with, once the position is durable.
    pub fn done(&mut self, file: &Found, head: u64) -> FilePosition {
        self.known.remove(&file.key);
        let remembered = Remembered {
            size: file.size,
            changed_ns: file.changed_ns,
            head,
        };
        self.remembered.insert(file.key, remembered);
        self.forgotten.retain(|key| *key != file.key);
        if self
            .last
            .as_ref()
            .is_none_or(|(_, last_ns)| *last_ns <= file.changed_ns)
        {
            self.last = Some((file.path.clone(), file.changed_ns));
        }
        let path = file.path.display().to_string();
        FilePosition {
            offset: file.size,
            lines: Some(1),
            head,
            head_bytes: file.size.min(HEAD_BYTES as u64),
            tail: file.changed_ns.cast_unsigned(),
            ..FilePosition::start_of(file.key, path, 0)
        }
    }

    /// The file is gone, or none of ours.
    pub fn pass_over(&mut self, file: &Found) {
        self.known.remove(&file.key);
    }

    /// The file is not there any more, before it was done with.
    pub fn lost(&mut self, file: &Found) {
        self.pass_over(file);
        self.gone.insert(file.key);
    }

    /// What goes with the next commit that is made anyway: files that need not be remembered any
    /// more, and the watermark that stands for them. It moves no further than `up_to_ns`: files of
    /// a later change are still to be remembered after this commit.
    pub fn to_commit(&mut self, up_to_ns: i64) -> (Vec<FileKey>, Option<i64>) {
        self.move_watermark(up_to_ns);
        let watermark = std::mem::take(&mut self.watermark_untold).then_some(self.watermark_ns);
        (std::mem::take(&mut self.forgotten), watermark)
    }

    /// Whether the folder has never been committed for: its watermark is worth a commit of its
    /// own.
    pub fn is_new(&self) -> bool {
        self.watermark_untold && self.listed_up_to_ns.is_none() && self.remembered.is_empty()
    }

    /// Files that went before they were done with, since last asked.
    pub fn take_vanished(&mut self) -> u64 {
        std::mem::take(&mut self.vanished)
    }

    /// Whether a listing is under way: the next [`look`](Folder::look) goes on with it.
    pub fn is_listing(&self) -> bool {
        self.scan.is_under_way()
    }

    /// Whether every file that a listing since the start has found was handed out, and none is under
    /// way: what a big directory holds is found by several looks.
    pub fn is_caught_up(&self) -> bool {
        self.listings > 0 && self.ready.is_empty() && !self.scan.is_under_way()
    }

    /// Whether a file is known and not done with.
    pub fn is_pending(&self, key: FileKey) -> bool {
        self.known.contains(&key)
    }

    /// How many files are known and not done with.
    pub fn pending(&self) -> usize {
        self.known.len()
    }

    /// How many files are remembered.
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }

    /// How far it is.
    pub fn status(&self) -> FolderStatus {
        FolderStatus {
            directory: self.settings.directory.clone(),
            remembered: self.remembered.len(),
            unread: self.known.len(),
            incomplete: self.waiting.len(),
            last: self.last.clone(),
            trouble: self.trouble.clone(),
        }
    }

    /// When [`look`](Folder::look) is due.
    pub fn due(&self, now: Moment) -> Moment {
        if self.scan.is_under_way() || !self.ready.is_empty() {
            now
        } else {
            self.look_at
        }
    }

    /// What it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Looks again at the files put back.
    fn look_again(&mut self, now: Moment) {
        for mut file in std::mem::take(&mut self.waiting) {
            match std::fs::metadata(&file.path) {
                Ok(metadata) if metadata.ino() == file.key.inode => {
                    let fresh = Found::new(file.path.clone(), &metadata, now);
                    if (fresh.size, fresh.modified_ns) != (file.size, file.modified_ns) {
                        self.ready.push_back(fresh);
                        continue;
                    }
                    file.changed_ns = fresh.changed_ns;
                    if now.since(file.unchanged_since) >= self.settings.patience {
                        self.ready.push_back(file);
                    } else {
                        self.waiting.push(file);
                    }
                }
                // Renamed, replaced or gone; under a new name the listing finds it.
                Ok(_) => self.pass_over(&file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.lost(&file),
                Err(_) => self.waiting.push(file),
            }
        }
    }

    /// Lists one slice; at the end of the listing takes over what was found.
    fn list(&mut self) {
        let now = self.clock.now();
        let (remembered, known) = (&self.remembered, &self.known);
        let wanted = self.watermark_ns..=self.until_ns;
        let is_new = |file: &Found| {
            let is_remembered = remembered.get(&file.key).is_some_and(|known| {
                known.size == file.size && known.changed_ns == file.changed_ns
            });
            wanted.contains(&file.changed_ns) && !is_remembered && !known.contains(&file.key)
        };
        let room = self.waiting_max.saturating_sub(known.len());
        let Some(listed) = self
            .scan
            .slice(&self.settings, room, is_new, now, &*self.clock)
        else {
            return;
        };
        self.listings += 1;
        // A file with two names is one file.
        for file in listed.found {
            self.gone.remove(&file.key);
            if self.known.insert(file.key) {
                self.ready.push_back(file);
            }
        }
        if !listed.more {
            self.vanished += std::mem::take(&mut self.gone).len() as u64;
        }
        let is_pressing = self.remembered.len() >= FILES_REMEMBERED_MAX;
        let is_known = listed.trouble.is_none() || is_pressing;
        self.listed_up_to_ns = listed.newest_ns.filter(|_| is_known).map(|newest_ns| {
            // What there was no room for is not older than the youngest that was kept.
            let kept = self.ready.back().map(|file| file.changed_ns);
            let kept = kept.filter(|_| listed.more).unwrap_or(newest_ns);
            kept.min(newest_ns.saturating_sub(self.lag_ns))
        });
        let end = self.clock.now();
        self.look_at = end + self.settings.poll.max(listed.took * 50);
        self.look_at_earliest = end + LISTING_PAUSE.max(listed.took * 20);
        if listed.more && !self.waiting_is_long() {
            self.look_at = self.look_at_earliest;
        }
        self.tell(listed.trouble);
    }

    /// Moves the watermark up to the oldest file that is not done with, and forgets what is before.
    fn move_watermark(&mut self, up_to_ns: i64) {
        if !self.ready.is_empty() || self.scan.is_under_way() {
            return;
        }
        let Some(listed) = self.listed_up_to_ns else {
            return;
        };
        let waiting = self.waiting.iter().map(|file| file.changed_ns);
        let floor = waiting.fold(listed.min(up_to_ns), i64::min);
        if self.known.len() > self.waiting.len() || floor <= self.watermark_ns {
            return;
        }
        self.watermark_ns = floor;
        self.watermark_untold = true;
        let before = self
            .remembered
            .extract_if(|_, file| file.changed_ns < floor)
            .map(|(key, _)| key);
        self.forgotten.extend(before);
    }

    /// With a clock that was set back new files would pass for old ones: the watermark goes back
    /// as far, and where that is not known, to the beginning.
    fn mind_the_clock(&mut self) {
        let Some(base_ns) = base_ns(&*self.clock) else {
            return;
        };
        let back_ns = self.clock_base_ns.saturating_sub(base_ns);
        self.clock_base_ns = base_ns;
        let is_behind = ns_of(self.clock.wall()) < self.watermark_ns;
        if back_ns < STEP_NS_MIN && !is_behind {
            return;
        }
        let back = Duration::from_nanos(back_ns.max(0).unsigned_abs());
        log::warn!(
            "clock set back, files may be read again source={} directory={:?} back_secs={}",
            self.settings.source,
            self.settings.directory,
            back.as_secs()
        );
        self.watermark_ns = if back_ns < STEP_NS_MIN {
            0
        } else {
            self.watermark_ns.saturating_sub(back_ns)
        };
        self.watermark_untold = true;
        self.listed_up_to_ns = None;
        self.scan.forget();
    }

    fn has_room(&self) -> bool {
        self.known.len() < self.waiting_max
    }

    fn waiting_is_long(&self) -> bool {
        self.waiting.len() + PLACES_FOR_NEW > FILES_WAITING_MAX
    }

    /// Says what keeps directories from being listed, once.
    fn tell(&mut self, trouble: Option<String>) {
        let source = &self.settings.source;
        match (&self.trouble, &trouble) {
            (None, Some(trouble)) => {
                log::warn!("directory cannot be listed source={source} error=\"{trouble}\"")
            }
            (Some(_), None) => log::info!("directory listed again source={source}"),
            _ => {}
        }
        self.trouble = trouble;
    }
}

/// Globs of everything that can appear in the directories of `settings`, for a watch.
pub fn globs(settings: &Settings) -> Vec<String> {
    let mut glob = Pattern::escape(&settings.directory.display().to_string());
    let mut globs = vec![format!("{glob}/*")];
    for level in &settings.levels {
        glob = format!("{glob}/{}", level.as_str());
        globs.push(format!("{glob}/*"));
    }
    globs
}

/// All files that are there now, within the bound of what waits, the oldest first.
pub fn found_now(settings: Settings) -> Vec<Found> {
    let clock = Arc::new(SystemClock::new());
    let mut folder = Folder::open(settings, Vec::new(), None, clock);
    folder.look(false);
    while folder.is_listing() {
        folder.look(false);
    }
    std::iter::from_fn(|| folder.take()).collect()
}

/// The path of `file` from `directory` on, as text.
pub fn relative(directory: &Path, file: &Path) -> String {
    let path = file.strip_prefix(directory).unwrap_or(file);
    path.to_string_lossy().into_owned()
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Wall time without the time that has passed: it changes only when the clock is set. `None` when
/// the thread was held up between the two readings.
fn base_ns(clock: &dyn Clock) -> Option<i64> {
    let before = clock.now();
    let wall_ns = ns_of(clock.wall());
    if clock.now().since(before) > READINGS_APART_MAX {
        return None;
    }
    let passed = i64::try_from(before.0.as_nanos()).unwrap_or(i64::MAX);
    Some(wall_ns.saturating_sub(passed))
}

fn ns_of(wall: UnixMs) -> i64 {
    wall.0.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;
