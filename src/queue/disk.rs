//! Disk: what the state directory takes of it, what it may take, and whether there is room.
//!
//! # The account
//!
//! Everything under the state directory counts, as measured: blocks, not lengths. A sealed
//! generation is measured once, and again after it was opened for reading, because the database
//! writes to what it opens; everything else is measured at most every [`MEASURE_PAUSE`], and when
//! a generation was begun. In between only the head grows with what is read: its length is asked
//! for each time. Events put off are measured once, by file, and added up as files come and go. So
//! the cost does not grow with the backlog but for one listing of names.
//!
//! # Never above `disk_max`
//!
//! Reading pauses before the last byte is taken: what may still grow while nothing is read keeps
//! its room. That is what the head grows by settlements before the next generation is begun, and
//! that generation; dead letters, rows set aside and the quarantine up to their own limits; the
//! ballast. Only events that wait for their own retry grow beside that: where there is no room
//! for their copies they are not written ([`Queue::has_room_to_keep`]).

use super::ballast;
use super::later;
use super::row::{self, bytes_of};
use super::size::Size;
use super::{Queue, locked};
use crate::clock::Moment;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time between two measurements.
pub(super) const MEASURE_PAUSE: Duration = Duration::from_millis(500);

/// Room for one commit, in bytes: a group of a thousand rows or 1 MiB of them, whose events are
/// two to three times as long and shrink to little less than themselves (measured: 0.92).
const COMMIT_BYTES: u64 = 3 << 20;

/// Room for the small files and a segment of the database's log that a generation begins with.
const FRESH_BYTES: u64 = 1 << 20;

/// Free bytes below which a failure of the database is taken to be for want of space: it does not
/// pass on every error of the system as one.
const FULL_BYTES: u64 = 1 << 20;

/// Share of `disk_max` that only reserved types of events may take: a twentieth, 5 %.
const RESERVE_SHARE: u64 = 20;

/// Least bytes that only they may take. By a generation, its first segment and the rows that filled the
/// one before beyond its end the account grows at once: a reserve of less would be gone with the last rows
/// of the others.
const RESERVE_MIN: u64 = GENERATION_BYTES + 2 * FRESH_BYTES;

/// Share of a limit that must be free again before reading resumes: a pause for each generation
/// that comes and goes would be noise.
const RESUME_SHARE: u64 = 20;

/// Growth of the head's file at which the next generation is begun, in bytes.
///
/// Measured: at 4 MiB the queue takes 0.92 of its payload on disk and 30 MiB of memory while it
/// is filled; at 8 MiB it is a tenth denser and takes 43 MiB.
pub(super) const GENERATION_BYTES: u64 = 4 << 20;

/// What the queue may take of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskLimits {
    /// All the bytes under the state directory.
    pub disk_max: u64,
    /// Bytes of the partition that stay free, as far as it is reading that would take them.
    pub free_min: u64,
    /// Inodes of the partition that stay free. File systems that do not count them have enough.
    pub free_inodes_min: u64,
    /// What happens at `disk_max`.
    pub when_full: WhenFull,
    /// All the bytes of dead letters.
    pub dead_letters_max: u64,
    /// How long dead letters are kept.
    pub dead_letters_keep: Duration,
    /// All the bytes of what was set aside of a damaged store.
    pub quarantine_max: u64,
}

/// What happens at `disk_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Reading pauses: the files are the backlog.
    Pause,
    /// The oldest events are dropped, for every endpoint that still has to have them. Where it is
    /// others who fill the partition, reading pauses all the same: dropping would not help for long.
    DropOldest,
}

impl fmt::Display for WhenFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::DropOldest => "drop_oldest",
        })
    }
}

impl Default for DiskLimits {
    fn default() -> DiskLimits {
        DiskLimits::of(512 << 20)
    }
}

impl DiskLimits {
    /// The defaults for this `disk_max`.
    pub fn of(disk_max: u64) -> DiskLimits {
        DiskLimits {
            disk_max,
            free_min: 1 << 30,
            free_inodes_min: 10_000,
            when_full: WhenFull::Pause,
            dead_letters_max: (disk_max / 8).min(64 << 20),
            dead_letters_keep: Duration::from_secs(30 * 86_400),
            quarantine_max: (disk_max / 32).min(16 << 20),
        }
    }

    /// Most bytes of one file of rows set aside; there are two at most.
    pub fn set_aside_max(&self) -> u64 {
        (self.disk_max / 32).min(4 << 20)
    }

    /// Bytes of the file that makes way when the partition is full.
    pub fn ballast(&self) -> u64 {
        (self.disk_max / 16).min(4 << 20)
    }

    /// Bytes that only reserved types of events may take: at least [`RESERVE_MIN`], but no more than a third
    /// of what there is for events, where the configuration keeps much for other things.
    fn reserve(&self) -> u64 {
        let third = self.disk_max.saturating_sub(self.for_others()) / 3;
        (self.disk_max / RESERVE_SHARE).max(RESERVE_MIN.min(third))
    }

    /// Bytes that events of all types may take, with all that may still grow.
    fn for_all(&self) -> u64 {
        self.disk_max.saturating_sub(self.reserve())
    }

    /// Bytes that events waiting to be delivered can take before reading pauses: what the other
    /// parts may take is not theirs.
    pub fn for_events(&self) -> u64 {
        self.for_all().saturating_sub(self.for_others())
    }

    /// Bytes of the other parts, and what a commit and a generation that begins need.
    fn for_others(&self) -> u64 {
        self.dead_letters_max
            + self.quarantine_max
            + 2 * self.set_aside_max()
            + self.ballast()
            + COMMIT_BYTES
            + FRESH_BYTES
    }
}

/// Whether more may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Everything may.
    ForAll,
    /// Only what makes nothing but reserved types of events.
    ForReserved(Shortage),
    /// Nothing.
    ForNone(Shortage),
}

/// What there is too little or too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The state directory is as big as it may become.
    DiskMax {
        /// What it takes, in bytes.
        taken: u64,
        /// What it may take, in bytes.
        disk_max: u64,
        /// What of that is kept for reserved types of events, in bytes; 0 where they do not fit either.
        reserve: u64,
    },
    /// The partition has too few free bytes.
    FreeMin {
        /// Free bytes.
        free: u64,
        /// What is to stay free, in bytes.
        free_min: u64,
    },
    /// The partition has too few free inodes.
    FreeInodes {
        /// Free inodes.
        free: u64,
        /// How many are to stay free.
        free_inodes_min: u64,
    },
    /// A write failed for want of space; the ballast that made way for it is not back yet.
    Ballast,
}

impl Shortage {
    /// The key of the limit that was met.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::DiskMax { .. } => "disk_max",
            Self::FreeMin { .. } => "free_min",
            Self::FreeInodes { .. } => "free_inodes_min",
            Self::Ballast => "partition full",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskMax {
                taken,
                disk_max,
                reserve,
            } => {
                write!(
                    f,
                    "the state directory takes {} of {}",
                    Size(*taken),
                    Size(*disk_max)
                )?;
                if *reserve > 0 {
                    write!(f, ", {} of them kept for reserve_for", Size(*reserve))?;
                }
                f.write_str(", counting what its parts may still grow; delivery frees it: look at the endpoint with the most events queued, or raise disk_max")
            }
            Self::FreeMin { free, free_min } => write!(
                f,
                "the partition has {} free and {} are to stay free for the switch; make room there, or lower free_min",
                Size(*free),
                Size(*free_min)
            ),
            Self::FreeInodes {
                free,
                free_inodes_min,
            } => write!(
                f,
                "the partition has {free} inodes free and {free_inodes_min} are to stay free for the switch; remove files there, or lower free_inodes_min"
            ),
            Self::Ballast => write!(
                f,
                "the partition of the state directory is full; make room there"
            ),
        }
    }
}

/// What a partition has left, as far as it may be taken without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Free bytes.
    pub free_bytes: u64,
    /// Free inodes; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
    /// Nothing can be written to it.
    pub is_read_only: bool,
}

impl Partition {
    /// Looks at the partition that holds `directory`.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    #[allow(
        clippy::useless_conversion,
        reason = "the system's numbers have 32 bits on some targets"
    )]
    pub fn of(directory: &Path) -> std::io::Result<Partition> {
        let found = statvfs(directory)?;
        Ok(Partition {
            free_bytes: u64::from(found.blocks_available())
                .saturating_mul(u64::from(found.fragment_size())),
            free_inodes: (found.files() > 0).then(|| u64::from(found.files_available())),
            is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
        })
    }

    /// Whether there is nothing left: less than a megabyte, or no inode.
    pub fn is_full(&self) -> bool {
        self.free_bytes < FULL_BYTES || self.free_inodes == Some(0)
    }

    /// Whether nothing can be written to it now.
    pub fn is_unwritable(&self) -> bool {
        self.is_read_only || self.is_full()
    }

    /// What `limits` leave too little of; `spare` and a share of the limit are wanted beside it.
    pub fn shortage(&self, limits: &DiskLimits, spare: u64, is_short: bool) -> Option<Shortage> {
        let more = |limit: u64, least: u64| {
            if is_short {
                (limit / RESUME_SHARE).max(least)
            } else {
                0
            }
        };
        let free_min = limits.free_min;
        if self.free_bytes < free_min + spare + more(free_min, 1 << 20) {
            let free = self.free_bytes;
            return Some(Shortage::FreeMin { free, free_min });
        }
        let free_inodes_min = limits.free_inodes_min;
        match self.free_inodes {
            Some(free) if free < free_inodes_min + more(free_inodes_min, 8) => {
                Some(Shortage::FreeInodes {
                    free,
                    free_inodes_min,
                })
            }
            _ => None,
        }
    }
}

/// The account of one state directory.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) directory: PathBuf,
    /// None until the limits are known: the account is then only asked, never acted on.
    limits: Option<DiskLimits>,
    /// Sealed generations that are not open, by number.
    sealed: BTreeMap<u32, u64>,
    /// Files of events that are put off.
    runs: Runs,
    measured: Option<Measured>,
    /// A write failed for want of space since the ballast was whole.
    pub(super) is_ballast_out: bool,
    is_full: bool,
    is_full_for_reserved: bool,
    is_partition_short: bool,
}

/// What the files of events put off take, in bytes, by their number.
///
/// They are listed once; whoever writes or removes one says so.
#[derive(Debug, Default)]
struct Runs {
    is_listed: bool,
    bytes: BTreeMap<u32, u64>,
    total: u64,
}

impl Runs {
    fn list(&mut self, directory: &Path) {
        if std::mem::replace(&mut self.is_listed, true) {
            return;
        }
        for entry in entries(&directory.join(later::DIRECTORY)) {
            if let Some(number) = entry.file_name().to_str().and_then(row::number) {
                self.put(number, bytes_of(&entry));
            }
        }
    }

    fn put(&mut self, number: u32, bytes: u64) {
        let before = self.bytes.insert(number, bytes).unwrap_or(0);
        self.total = self.total - before + bytes;
    }

    fn remove(&mut self, number: u32) {
        self.total -= self.bytes.remove(&number).unwrap_or(0);
    }
}

/// One measurement, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    at: Moment,
    head: Option<u32>,
    /// Of the head's directory, without the database's file.
    head_beside: u64,
    head_file: u64,
    older: u64,
    dead: u64,
    quarantine: u64,
    ballast: u64,
    /// Files beside all that: rows set aside, the checkpoint, the lock.
    others: u64,
}

/// What is known of the head without a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadGrowth {
    pub(super) number: Option<u32>,
    /// Length of its file now.
    pub(super) file_bytes: u64,
    /// Length of its file when everything carried over was in it.
    pub(super) carried_bytes: u64,
}

impl HeadGrowth {
    /// Length of the file at which the next generation is begun.
    ///
    /// By as much as was carried over at least: however much waits, a byte is carried about once
    /// for each byte written.
    pub(super) fn rolls_at(carried_bytes: u64) -> u64 {
        carried_bytes + GENERATION_BYTES.max(carried_bytes)
    }

    /// What is still written before the old head is sealed, and the new one, at most.
    fn to_come(self) -> u64 {
        HeadGrowth::rolls_at(self.carried_bytes).saturating_sub(self.file_bytes)
            + self.carried_bytes
            + FRESH_BYTES
    }
}

impl Disk {
    /// The account of `directory`.
    pub(super) fn of(directory: &Path) -> Disk {
        Disk {
            directory: directory.to_owned(),
            limits: None,
            sealed: BTreeMap::new(),
            runs: Runs::default(),
            measured: None,
            is_ballast_out: false,
            is_full: false,
            is_full_for_reserved: false,
            is_partition_short: false,
        }
    }

    /// The limits, once they are known.
    pub(super) fn limits(&self) -> Option<&DiskLimits> {
        self.limits.as_ref()
    }

    /// Has the next question measure.
    pub(super) fn forget(&mut self) {
        self.measured = None;
    }

    /// Bytes that all files of events put off take.
    pub(super) fn put_off_bytes(&mut self) -> u64 {
        self.runs.list(&self.directory);
        self.runs.total
    }

    /// The file `number` of events put off was written.
    pub(super) fn run_written(&mut self, number: u32, bytes: u64) {
        self.runs.put(number, bytes);
    }

    /// It is removed.
    pub(super) fn run_removed(&mut self, number: u32) {
        self.runs.remove(number);
    }

    /// Bytes taken now, by the last measurement and what is known to have grown since.
    fn taken(&self, head: HeadGrowth) -> u64 {
        let measured = self.measured.unwrap_or_default();
        measured.head_beside
            + measured.head_file.max(head.file_bytes)
            + measured.older
            + self.runs.total
            + measured.dead
            + measured.quarantine
            + measured.ballast
            + measured.others
    }

    /// What else may be taken while nothing is read.
    fn to_come(&self, limits: &DiskLimits, head: HeadGrowth) -> u64 {
        let measured = self.measured.unwrap_or_default();
        head.to_come()
            + limits.dead_letters_max.saturating_sub(measured.dead)
            + limits.quarantine_max.saturating_sub(measured.quarantine)
            + limits.ballast().saturating_sub(measured.ballast)
            + (2 * limits.set_aside_max()).saturating_sub(measured.others)
    }

    fn measure(&mut self, now: Moment, head: HeadGrowth, touched: &BTreeSet<u32>) {
        let mut measured = Measured {
            at: now,
            head: head.number,
            ..Measured::default()
        };
        for number in touched {
            self.sealed.remove(number);
        }
        let mut before = std::mem::take(&mut self.sealed);
        let directory = self.directory.clone();
        for entry in entries(&directory) {
            match entry.file_name().to_str() {
                Some("queue") => self.measure_queue(&entry.path(), &mut before, &mut measured),
                Some("dead") => {
                    measured.dead = entry.metadata().map_or(0, |found| row::blocks(&found));
                    for entry in self::entries(&entry.path()) {
                        let is_aside = entry.file_name().to_str().is_some_and(is_quarantine);
                        let part = if is_aside {
                            &mut measured.quarantine
                        } else {
                            &mut measured.dead
                        };
                        *part += bytes_of(&entry);
                    }
                }
                Some(later::DIRECTORY) => {
                    self.runs.list(&directory);
                    measured.older += entry.metadata().map_or(0, |found| row::blocks(&found));
                }
                Some(ballast::NAME) => measured.ballast = bytes_of(&entry),
                Some(name) if is_quarantine(name) => measured.quarantine += bytes_of(&entry),
                _ => measured.others += bytes_of(&entry),
            }
        }
        self.measured = Some(measured);
    }

    fn measure_queue(
        &mut self,
        queue: &Path,
        before: &mut BTreeMap<u32, u64>,
        measured: &mut Measured,
    ) {
        measured.older += fs::metadata(queue).map_or(0, |found| row::blocks(&found));
        for entry in entries(queue) {
            let name = entry.file_name();
            let number = name.to_str().and_then(row::number);
            match number {
                Some(number) if measured.head == Some(number) => {
                    let file = entry.path().join("db");
                    measured.head_file = fs::metadata(file).map_or(0, |found| row::blocks(&found));
                    measured.head_beside = bytes_of(&entry).saturating_sub(measured.head_file);
                }
                Some(number) => {
                    let bytes = before.remove(&number).unwrap_or_else(|| bytes_of(&entry));
                    self.sealed.insert(number, bytes);
                    measured.older += bytes;
                }
                None if name.to_str().is_some_and(is_quarantine) => {
                    measured.quarantine += bytes_of(&entry);
                }
                // A generation that is being removed, or the next one.
                None => measured.older += bytes_of(&entry),
            }
        }
    }
}

impl Queue {
    /// Sets what the state directory may take, and keeps the ballast from now on. Until then
    /// there is room for everything.
    pub fn limit(&self, limits: DiskLimits) {
        locked(&self.0.writer).dead.limit(&limits);
        let mut disk = locked(&self.0.disk);
        disk.limits = Some(limits);
        ballast::restore(&mut disk);
    }

    /// Bytes that everything under the state directory takes on disk.
    pub fn disk_bytes(&self) -> u64 {
        let head = self.head_growth();
        let touched = locked(&self.0.readers).take_touched();
        let mut disk = locked(&self.0.disk);
        disk.measure(Moment::default(), head, &touched);
        let taken = disk.taken(head);
        // The next question of those that pause for it is a measurement of its own.
        disk.forget();
        taken
    }

    /// Whether more may be read, at `now`.
    pub fn room(&self, now: Moment) -> Room {
        let head = self.head_growth();
        let is_fresh = |measured: &Measured| {
            measured.head == head.number && now.since(measured.at) < MEASURE_PAUSE
        };
        let touched = if locked(&self.0.disk).measured.as_ref().is_some_and(is_fresh) {
            None
        } else {
            Some(locked(&self.0.readers).take_touched())
        };
        let mut disk = locked(&self.0.disk);
        if let Some(touched) = touched {
            disk.measure(now, head, &touched);
            ballast::restore(&mut disk);
        }
        let Some(limits) = disk.limits else {
            return Room::ForAll;
        };
        if let Some(shortage) = disk.partition_shortage(&limits) {
            return Room::ForNone(shortage);
        }
        disk.own_shortage(&limits, head)
    }

    /// Whether there is room for two commits, when [`room`](Queue::room) has just found enough for one.
    pub fn has_room_ahead(&self) -> bool {
        let head = self.head_growth();
        let disk = locked(&self.0.disk);
        let Some(limits) = disk.limits() else {
            return true;
        };
        let needed = disk.taken(head) + disk.to_come(limits, head) + 2 * COMMIT_BYTES;
        let is_free = |partition: Partition| {
            partition
                .shortage(limits, 2 * COMMIT_BYTES, false)
                .is_none()
        };
        needed <= limits.for_all() && Partition::of(&disk.directory).is_ok_and(is_free)
    }

    /// Whether there is room for more copies of events that wait for their own retry.
    pub(super) fn has_room_to_keep(&self) -> bool {
        let head = self.head_growth();
        let disk = locked(&self.0.disk);
        let Some(limits) = disk.limits() else {
            return true;
        };
        disk.measured.is_none() || disk.taken(head) + disk.to_come(limits, head) <= limits.disk_max
    }

    fn head_growth(&self) -> HeadGrowth {
        locked(&self.0.view).head_growth()
    }
}

impl Disk {
    fn partition_shortage(&mut self, limits: &DiskLimits) -> Option<Shortage> {
        let shortage = match Partition::of(&self.directory) {
            Ok(partition) => partition.shortage(limits, COMMIT_BYTES, self.is_partition_short),
            // It will be heard of from the next write.
            Err(_) => None,
        };
        self.is_partition_short = shortage.is_some();
        shortage.or(self.is_ballast_out.then_some(Shortage::Ballast))
    }

    fn own_shortage(&mut self, limits: &DiskLimits, head: HeadGrowth) -> Room {
        let disk_max = limits.disk_max;
        let needed = self.taken(head) + self.to_come(limits, head) + COMMIT_BYTES;
        let is_over = |limit: u64, is_full: bool| {
            let resume = if is_full { disk_max / RESUME_SHARE } else { 0 };
            needed + resume > limit
        };
        self.is_full_for_reserved = is_over(disk_max, self.is_full_for_reserved);
        self.is_full = is_over(limits.for_all(), self.is_full);
        let taken = needed - COMMIT_BYTES;
        let shortage = |reserve| Shortage::DiskMax {
            taken,
            disk_max,
            reserve,
        };
        match (self.is_full_for_reserved, self.is_full) {
            (true, _) => Room::ForNone(shortage(0)),
            (false, true) => Room::ForReserved(shortage(limits.reserve())),
            (false, false) => Room::ForAll,
        }
    }
}

/// Whether a name is that of a part of a damaged store that was set aside.
fn is_quarantine(name: &str) -> bool {
    name.contains(".bad-")
}

fn entries(directory: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, delivered, events};
    use super::*;
    use crate::event::Sequence;
    use crate::queue::AttachFrom;

    #[test]
    fn every_allowed_disk_max_leaves_room_for_events() {
        for disk_max in [32 << 20, 64 << 20, 512 << 20, 1 << 40] {
            let limits = DiskLimits::of(disk_max);
            let head = HeadGrowth::default().to_come();
            assert!(limits.for_events() > head + (4 << 20), "{disk_max}");
            // With the most that may be kept for other things, a generation still fits.
            let limits = DiskLimits {
                dead_letters_max: disk_max / 4,
                quarantine_max: disk_max / 8,
                ..limits
            };
            assert!(limits.for_events() > head + (2 << 20), "{disk_max}");
        }
    }

    fn limits(disk_max: u64) -> DiskLimits {
        DiskLimits {
            free_min: 1,
            free_inodes_min: 0,
            ..DiskLimits::of(disk_max)
        }
    }

    /// What `du` counts, but for the directory itself.
    fn counted(directory: &tempfile::TempDir) -> u64 {
        row::directory_bytes(directory.path())
    }

    #[test]
    fn the_account_is_what_is_on_disk_whatever_was_opened_and_dropped_since() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.limit(limits(64 << 20));
        queue.attach("billing", AttachFrom::Now).unwrap();
        let mut now = Moment::default();
        let mut compare = |queue: &Queue| {
            now = now + MEASURE_PAUSE;
            queue.room(now);
            let head = queue.head_growth();
            let taken = locked(&queue.0.disk).taken(head);
            let counted = counted(&directory);
            // The head's file is counted by its length, which may be ahead of its blocks.
            assert!(
                taken >= counted && taken <= counted + (1 << 20),
                "{taken} {counted}"
            );
        };
        for _ in 0..6 {
            queue.commit(&[batch(events(200, 2_000))]).unwrap();
            queue.roll_now().unwrap();
            compare(&queue);
        }
        fs::write(directory.path().join("set-aside.jsonl"), vec![1; 300_000]).unwrap();
        compare(&queue);
        for place in [1, 500, 900, 1] {
            queue.read(Sequence(place), 1).unwrap();
            compare(&queue);
        }
        queue.settle(delivered(1..1_001)).unwrap();
        compare(&queue);
    }

    #[test]
    fn after_a_restart_the_room_is_what_the_disk_says() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        for _ in 0..10 {
            queue.commit(&[batch(events(1_000, 2_000))]).unwrap();
        }
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.limit(limits(32 << 20));
        let now = Moment::default();
        let room = queue.room(now);
        assert!(
            matches!(room, Room::ForNone(Shortage::DiskMax { taken, .. }) if taken > 20 << 20),
            "{room:?}"
        );
        queue.limit(limits(128 << 20));
        assert_eq!(queue.room(now + MEASURE_PAUSE), Room::ForAll);
    }

    #[test]
    fn a_partition_is_short_until_a_share_more_is_free() {
        let limits = DiskLimits {
            free_min: 100 << 20,
            free_inodes_min: 1_000,
            ..DiskLimits::default()
        };
        let short = |free_bytes, free_inodes, is_short| {
            let partition = Partition {
                free_bytes,
                free_inodes,
                is_read_only: false,
            };
            partition
                .shortage(&limits, 0, is_short)
                .map(|shortage| shortage.limit())
        };
        assert_eq!(short(100 << 20, Some(1_000), false), None);
        assert_eq!(short((100 << 20) - 1, Some(1_000), false), Some("free_min"));
        assert_eq!(short(100 << 20, Some(1_000), true), Some("free_min"));
        assert_eq!(short(105 << 20, Some(1_050), true), None);
        assert_eq!(short(1 << 30, Some(999), false), Some("free_inodes_min"));
        assert_eq!(short(1 << 30, Some(1_000), true), Some("free_inodes_min"));
        assert_eq!(short(1 << 30, None, false), None);
    }
}
