//! Later: events that wait for their own retry for long, outside of the head.
//!
//! The head carries every event that waits into each new generation, so it holds few. Those that
//! are due last are *put off* into a file of their own, a *run*, in the order of their due times;
//! the head keeps how far each run was read and how many events are left in it. Shortly before its
//! time an event is *brought back* among those that wait in the head. So what waits costs disk, and
//! of memory some forty bytes for each run.
//!
//! ```text
//! later/00000007   8 bytes "swlat\0\0\1"
//!                  per event, the earliest due first:
//!                    length of the next three together, 4 bytes big-endian
//!                    due time in milliseconds, 8 bytes big-endian, signed
//!                    sequence, 8 bytes big-endian
//!                    the value of a waiting event
//!                    CRC-32C of those three, 4 bytes big-endian
//! ```
//!
//! # Crash argument
//!
//! * **Put off.** The run and its directory are synced before the batch that takes its events out
//!   of the head and names the run there. A crash before that leaves a file that the head does not
//!   know, which is removed after the first checkpoint of the queue opened again; the events are still
//!   in the head.
//! * **Bring back.** One batch puts the events into the head and moves the place to which the run
//!   was read. A crash leaves both or neither; the file itself is never changed.
//! * **A run that is over** is removed only after the next side checkpoint: a head that is made anew
//!   from the one before still finds it.

use super::encoding::{Fields, put_count};
use super::endpoint::{Place, WAITING_MAX};
use super::error::QueueError;
use super::generation::{Writes, disk, sync_directory};
use super::waiting::Waiting;
use super::write::Writer;
use super::{Queue, key, locked};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Their directory under the state directory.
pub(super) const DIRECTORY: &str = "later";

/// Most runs of one endpoint. With what delivery puts off at a time that is room for a quarter of a
/// million events at least; their share of `disk_max` ends it for most.
pub const RUNS_MAX: usize = 2_048;

/// Longest run, in bytes; one event more than that is possible. It is made in memory.
pub const RUN_BYTES_MAX: usize = 1 << 20;

/// Share of `disk_max` that all runs together may take.
const DISK_SHARE: u64 = 4;

/// Longest record that is believed: the longest event, which lz4 could not shorten, its reason, its
/// place.
const RECORD_BYTES_MAX: usize = 2 << 20;

const MAGIC: &[u8; 8] = b"swlat\0\0\x01";

const VERSION: u8 = 1;

/// How far a run was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where its next record begins.
    at: u64,
    /// How many are left.
    pub(super) left: u32,
    /// When the next one is due.
    next: UnixMs,
}

impl Run {
    /// The value to store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_count(&mut out, self.at);
        put_count(&mut out, u64::from(self.left));
        out.extend_from_slice(&self.next.0.to_be_bytes());
        out
    }

    /// Reads what [`encode`](Run::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<Run> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        let run = Run {
            at: fields.count()?,
            left: u32::try_from(fields.count()?).ok()?,
            next: UnixMs(fields.i64()?),
        };
        fields.end()?;
        Some(run)
    }
}

/// What of an endpoint's events is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PutOff {
    /// How many events.
    pub count: u64,
    /// When the first of them is due.
    pub next: Option<UnixMs>,
    /// How many events of the endpoint were lost, in all.
    pub lost: u64,
}

/// One event of a run.
#[derive(Debug)]
struct Record {
    due: UnixMs,
    sequence: Sequence,
    /// As in the head.
    value: Vec<u8>,
}

impl Record {
    fn put(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(16 + self.value.len()).expect("an event has a bound");
        out.extend_from_slice(&length.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(&self.due.0.to_be_bytes());
        out.extend_from_slice(&self.sequence.0.to_be_bytes());
        out.extend_from_slice(&self.value);
        let checksum = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_be_bytes());
    }

    /// Its length in the file.
    fn bytes(&self) -> u64 {
        4 + 16 + self.value.len() as u64 + 4
    }

    fn waiting(&self) -> Option<Waiting> {
        Waiting::decode(self.due, self.sequence, &self.value)
    }
}

/// A run that is being read.
struct Reader(BufReader<File>);

impl Reader {
    fn open(path: &Path, at: u64) -> io::Result<Reader> {
        let mut file = BufReader::new(File::open(path)?);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(unreadable());
        }
        file.seek(SeekFrom::Start(at))?;
        Ok(Reader(file))
    }

    /// The next record.
    ///
    /// # Errors
    ///
    /// `InvalidData` or `UnexpectedEof` when it is not as it was written.
    fn next(&mut self) -> io::Result<Record> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(16..=RECORD_BYTES_MAX).contains(&length) {
            return Err(unreadable());
        }
        let mut sealed = vec![0; length + 4];
        self.0.read_exact(&mut sealed)?;
        let (record, checksum) = sealed.split_last_chunk::<4>().ok_or_else(unreadable)?;
        if u32::from_be_bytes(*checksum) != crc32c::crc32c(record) {
            return Err(unreadable());
        }
        let mut fields = Fields(record);
        let place = fields.i64().zip(fields.u64());
        let (due, sequence) = place.ok_or_else(unreadable)?;
        Ok(Record {
            due: UnixMs(due),
            sequence: Sequence(sequence),
            value: fields.0.to_vec(),
        })
    }
}

fn unreadable() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Whether a run is not as it was written, and will not be.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

/// What was read of a run.
struct Reading {
    number: u32,
    records: Vec<Record>,
    /// How far it was read now.
    run: Run,
    /// What is left cannot be read.
    is_damaged: bool,
}

/// Reads at most `count_max` records of a run that `is_due`, and about `bytes_max` bytes of them:
/// one record more is possible.
fn read(
    path: &Path,
    number: u32,
    mut run: Run,
    is_due: impl Fn(UnixMs) -> bool,
    count_max: usize,
    bytes_max: u64,
) -> io::Result<Reading> {
    let mut records = Vec::new();
    let end = run.at.saturating_add(bytes_max);
    let mut further = || -> io::Result<()> {
        let mut reader = Reader::open(path, run.at)?;
        while run.left > 0 {
            let record = reader.next()?;
            if records.is_empty() && record.due != run.next {
                return Err(unreadable()); // It is another run.
            }
            run.next = record.due;
            if records.len() >= count_max || run.at >= end || !is_due(record.due) {
                break;
            }
            record.waiting().ok_or_else(unreadable)?;
            run.at += record.bytes();
            run.left -= 1;
            records.push(record);
        }
        Ok(())
    };
    let is_damaged = match further() {
        Ok(()) => false,
        Err(error) if is_damage(&error) => true,
        Err(error) => return Err(error),
    };
    Ok(Reading {
        number,
        records,
        run,
        is_damaged,
    })
}

impl Queue {
    /// Puts events off that wait in the head, each given by its due time and place there; says
    /// which. Those that do not wait there, or not at that time, are passed over, and so is what
    /// would be more than [`RUN_BYTES_MAX`] at a time; all are where `disk_max` has no room, or
    /// with [`RUNS_MAX`] runs. After `Ok` this survives loss of power.
    ///
    /// # Errors
    ///
    /// When it could not be written; the events wait where they did, or are put off after all.
    pub fn put_off(
        &self,
        endpoint: &str,
        places: &[(UnixMs, Sequence)],
    ) -> Result<Vec<Sequence>, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let Some(attached) = writer.state.endpoints.get(endpoint) else {
            return Ok(Vec::new());
        };
        if attached.runs.len() >= RUNS_MAX || !self.has_room_to_put_off() {
            return Ok(Vec::new());
        }
        let mut going: Vec<(UnixMs, Sequence, Place)> = places
            .iter()
            .filter_map(|&(due, sequence)| Some((due, sequence, attached.place(sequence)?)))
            .filter(|(due, _, place)| place.due == *due)
            .collect();
        going.sort_unstable_by_key(|(due, sequence, _)| (*due, *sequence));
        let (mut out, mut writes) = (MAGIC.to_vec(), Writes::default());
        let mut gone = Vec::new();
        for &(due, sequence, place) in &going {
            if out.len() >= RUN_BYTES_MAX {
                break;
            }
            let key = key::waiting(endpoint, due, sequence);
            let value = writer.head()?.get(&key)?;
            let Some(value) = value else {
                return Err(QueueError::Damaged {
                    generation: writer.head()?.number(),
                    sequence: Some(sequence),
                    what: format!("an event that waits for endpoint {endpoint} is gone"),
                });
            };
            let record = Record {
                due,
                sequence,
                value,
            };
            record.put(&mut out);
            writes.remove(&key, place.pieces);
            gone.push(sequence);
        }
        let Some(&(next, ..)) = going.first() else {
            return Ok(Vec::new());
        };
        let number = writer.last_run.saturating_add(1);
        self.write_run(number, &out)?;
        writer.last_run = number;
        let run = Run {
            at: MAGIC.len() as u64,
            left: u32::try_from(gone.len()).unwrap_or(u32::MAX),
            next,
        };
        writes.put(&key::run(endpoint, number), &run.encode());
        if let Some(attached) = writer.state.endpoints.get_mut(endpoint) {
            gone.iter()
                .for_each(|&sequence| attached.moved_out(sequence));
            attached.runs.insert(number, run);
        }
        self.write(writer, writes)?;
        Ok(gone)
    }

    /// Whether there is room for one run more: as for reading on, and within their share.
    fn has_room_to_put_off(&self) -> bool {
        let (limits, taken) = {
            let mut disk = locked(&self.0.disk);
            (disk.limits().copied(), disk.put_off_bytes())
        };
        limits.is_none_or(|limits| {
            taken + RUN_BYTES_MAX as u64 <= limits.disk_max / DISK_SHARE && self.has_room_ahead()
        })
    }

    /// Writes a run. After `Ok` it survives loss of power.
    fn write_run(&self, number: u32, bytes: &[u8]) -> Result<(), QueueError> {
        let path = self.run_path(number);
        let written = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            file.metadata()
        };
        let directory = self.0.site.directory.join(DIRECTORY);
        if !directory.exists() {
            fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
            sync_directory(&self.0.site.directory)?;
        }
        let found = written().map_err(disk("write", &path)).inspect_err(|_| {
            // Whatever is there of it is in the way on a full disk; nothing knows of it.
            self.remove_runs(&[number]);
        })?;
        locked(&self.0.disk).run_written(number, super::row::blocks(&found));
        sync_directory(&directory)
    }

    /// Brings back at most `count_max` events, and about [`RUN_BYTES_MAX`] bytes, that are due by `until`, or not before `beyond`: no
    /// wait is that long, so the clock was set. Says when they are due, and their places among
    /// those that wait in the head. After `Ok` this survives loss of power.
    ///
    /// Events that cannot be read count as lost.
    ///
    /// # Errors
    ///
    /// When none of them can be read for now, or it could not be written; they are put off still,
    /// or brought back after all.
    pub fn bring_back(
        &self,
        endpoint: &str,
        (until, beyond): (UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<Vec<(UnixMs, Sequence)>, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let Some(attached) = writer.state.endpoints.get(endpoint) else {
            return Ok(Vec::new());
        };
        let is_due = |due: UnixMs| due <= until || due > beyond;
        let mut room = count_max.min(WAITING_MAX.saturating_sub(attached.waiting_count()));
        let mut due: Vec<(u32, Run)> = attached
            .runs
            .iter()
            .filter(|(_, run)| is_due(run.next))
            .map(|(&number, &run)| (number, run))
            .collect();
        due.sort_unstable_by_key(|(_, run)| run.next);
        let (mut readings, mut unread) = (Vec::new(), None);
        let mut bytes = RUN_BYTES_MAX as u64;
        for (number, run) in due {
            if room == 0 || bytes == 0 {
                break;
            }
            let path = self.run_path(number);
            match read(&path, number, run, is_due, room, bytes) {
                Ok(reading) => {
                    room -= reading.records.len();
                    bytes = bytes.saturating_sub(reading.run.at - run.at);
                    readings.push(reading);
                }
                // The others are not to wait for it.
                Err(error) => unread = Some(disk("read", &path)(error)),
            }
        }
        if readings.is_empty() {
            return unread.map_or(Ok(Vec::new()), Err);
        }
        let mut writes = Writes::default();
        let (mut back, mut over) = (Vec::new(), Vec::new());
        if let Some(attached) = writer.state.endpoints.get_mut(endpoint) {
            for reading in &readings {
                for record in &reading.records {
                    let (due, sequence) = (record.due, record.sequence);
                    let at = key::waiting(endpoint, due, sequence);
                    let pieces = writes.put(&at, &record.value);
                    attached.wait(sequence, Place { due, pieces });
                    back.push((due, sequence));
                }
                let row = key::run(endpoint, reading.number);
                if reading.is_damaged {
                    self.tell_unreadable(endpoint, reading);
                    attached.lose(u64::from(reading.run.left));
                }
                if reading.is_damaged || reading.run.left == 0 {
                    attached.runs.remove(&reading.number);
                    over.push(reading.number);
                    writes.remove(&row, 0);
                } else {
                    attached.runs.insert(reading.number, reading.run);
                    writes.put(&row, &reading.run.encode());
                }
            }
            writes.put(&key::endpoint(endpoint), &attached.encode());
        }
        self.write(writer, writes)?;
        writer.runs_over.extend(over);
        Ok(back)
    }

    /// Is done with every event of an endpoint that is put off, as skipped, without reading any;
    /// says how many there were. After `Ok` this survives loss of power.
    ///
    /// # Errors
    ///
    /// When it could not be written; it may be done after all.
    pub fn skip_put_off(&self, endpoint: &str) -> Result<u64, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let Some(attached) = writer.state.endpoints.get_mut(endpoint) else {
            return Ok(0);
        };
        let count = attached.put_off_count();
        let runs = std::mem::take(&mut attached.runs);
        if runs.is_empty() {
            return Ok(0);
        }
        attached.skip(count);
        let mut writes = Writes::default();
        for &number in runs.keys() {
            writes.remove(&key::run(endpoint, number), 0);
        }
        writes.put(&key::endpoint(endpoint), &attached.encode());
        self.write(writer, writes)?;
        writer.runs_over.extend(runs.into_keys());
        Ok(count)
    }

    fn tell_unreadable(&self, endpoint: &str, reading: &Reading) {
        log::error!(
            "events put off cannot be read, they are lost endpoint={endpoint} count={} file={}",
            reading.run.left,
            self.run_path(reading.number).display()
        );
    }

    /// What of an endpoint's events is put off.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn put_off_now(&self, endpoint: &str) -> Result<PutOff, QueueError> {
        let writer = self.writer()?;
        let Some((name, attached)) = writer.state.endpoints.get_key_value(endpoint) else {
            return Ok(PutOff::default());
        };
        let totals = attached.totals(name, writer.state.next, &writer.state.voids);
        Ok(PutOff {
            count: attached.put_off_count(),
            next: attached.runs.values().map(|run| run.next).min(),
            lost: totals.lost,
        })
    }

    /// Shows every event of an endpoint that is put off to `visit`, in no order. Reads all of them.
    ///
    /// # Errors
    ///
    /// When some cannot be read for now: all others were shown. Those that are not as they were
    /// written are passed over.
    pub fn visit_put_off(
        &self,
        endpoint: &str,
        mut visit: impl FnMut(Waiting),
    ) -> Result<(), QueueError> {
        let runs: Vec<(u32, Run)> = {
            let writer = self.writer()?;
            let attached = writer.state.endpoints.get(endpoint);
            let runs = attached.into_iter().flat_map(|attached| &attached.runs);
            runs.map(|(&number, &run)| (number, run)).collect()
        };
        let mut unread = None;
        for (number, run) in runs {
            let path = self.run_path(number);
            let mut show = || -> io::Result<()> {
                let mut reader = Reader::open(&path, run.at)?;
                for _ in 0..run.left {
                    visit(reader.next()?.waiting().ok_or_else(unreadable)?);
                }
                Ok(())
            };
            match show() {
                Err(error) if !is_damage(&error) => {
                    unread.get_or_insert_with(|| disk("read", &path)(error));
                }
                _ => {}
            }
        }
        unread.map_or(Ok(()), Err)
    }

    fn run_path(&self, number: u32) -> PathBuf {
        path(&self.0.site.directory, number)
    }

    /// Removes the files of runs that neither the head nor the checkpoint knows.
    pub(super) fn remove_runs(&self, numbers: &[u32]) {
        for &number in numbers {
            if remove(&self.run_path(number)) {
                locked(&self.0.disk).run_removed(number);
            }
        }
    }
}

impl Writer {
    /// Notes runs that the head knows nothing of: putting off was cut short, or they are over, and a
    /// checkpoint may still name them.
    pub(super) fn note_stray_runs(&mut self, directory: &Path) -> Result<(), QueueError> {
        let endpoints = self.state.endpoints.values();
        let known: BTreeSet<u32> = endpoints.flat_map(|it| it.runs.keys().copied()).collect();
        // A head made anew from the checkpoint knows again what was over.
        self.runs_over.retain(|number| !known.contains(number));
        for (number, _) in runs(directory)? {
            self.last_run = self.last_run.max(number);
            if !known.contains(&number) && !self.runs_over.contains(&number) {
                self.runs_over.push(number);
            }
        }
        self.last_run = self.last_run.max(known.last().copied().unwrap_or(0));
        Ok(())
    }
}

/// The runs that have a file, whosever they are.
fn runs(directory: &Path) -> Result<Vec<(u32, PathBuf)>, QueueError> {
    let directory = directory.join(DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(disk("list", &directory))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(disk("list", &directory))?;
        let number = entry.file_name().to_str().and_then(super::row::number);
        runs.extend(number.map(|number| (number, entry.path())));
    }
    Ok(runs)
}

fn path(directory: &Path, number: u32) -> PathBuf {
    directory.join(DIRECTORY).join(format!("{number:08}"))
}

/// Whether it is not there any more.
fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!(
                "events put off, done with, not removed file={} error=\"{error}\"",
                path.display()
            );
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, delivered, events};
    use super::*;
    use crate::clock::Moment;
    use crate::queue::{AttachFrom, DiskLimits, Settled, Settlement};
    use proptest::prelude::*;
    use tempfile::TempDir;

    const EVER: UnixMs = UnixMs(i64::MAX);

    fn open(directory: &TempDir) -> Queue {
        Queue::open(directory.path(), "node").unwrap()
    }

    fn keep(queue: &Queue, sequence: u64, due: i64) -> Settled {
        let event = queue.read(Sequence(sequence), 1).unwrap().remove(0);
        Settled {
            endpoint: "billing".into(),
            sequence: Sequence(sequence),
            settlement: Settlement::Keep {
                due: UnixMs(due),
                attempts: 4,
                reason: "422".into(),
                event,
            },
        }
    }

    /// A queue in which each of `count` events of `bytes` waits until its own sequence, and all but
    /// the first ten are put off in `runs` runs.
    fn queue(directory: &TempDir, count: u64, bytes: usize, runs: usize) -> Queue {
        let queue = open(directory);
        queue.attach("billing", AttachFrom::Now).unwrap();
        let made = events(usize::try_from(count).unwrap(), bytes);
        queue.commit(&[batch(made)]).unwrap();
        let all: Vec<Settled> = (1..=count)
            .map(|it| keep(&queue, it, i64::try_from(it).unwrap()))
            .collect();
        queue.settle(all).unwrap();
        let places = queue.waiting_places("billing").unwrap();
        for run in 0..runs {
            let far = places.iter().skip(10 + run).step_by(runs).copied();
            let far: Vec<(UnixMs, Sequence)> = far.collect();
            assert_eq!(queue.put_off("billing", &far).unwrap().len(), far.len());
        }
        queue
    }

    fn files(directory: &TempDir) -> Vec<PathBuf> {
        let listed = fs::read_dir(directory.path().join(DIRECTORY)).unwrap();
        listed.map(|entry| entry.unwrap().path()).collect()
    }

    fn waiting(queue: &Queue) -> u64 {
        let ledger = queue.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        ledger.endpoint("billing").unwrap().waiting
    }

    #[test]
    fn what_is_put_off_comes_back_by_its_time_across_restarts_and_its_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let mut queue = queue(&directory, 200, 300, 3);
        assert_eq!(queue.waiting_places("billing").unwrap().len(), 10);
        assert_eq!((waiting(&queue), files(&directory).len()), (200, 3));
        let mut back = Vec::new();
        for until in (20..=200).step_by(20) {
            queue.roll_now().unwrap();
            drop(queue);
            queue = open(&directory);
            let due = (UnixMs(until), EVER);
            let now = queue.bring_back("billing", due, 1_000).unwrap();
            let mut now: Vec<i64> = now.into_iter().map(|(due, _)| due.0).collect();
            now.sort_unstable();
            back.extend(now);
            let next = queue.put_off_now("billing").unwrap().next;
            assert_eq!(next, (until < 200).then_some(UnixMs(until + 1)));
        }
        assert_eq!(back, (11..=200).collect::<Vec<i64>>());
        assert_eq!((waiting(&queue), files(&directory).len()), (200, 3));
        let one = queue.waiting_event("billing", UnixMs(77), Sequence(77));
        assert_eq!(one.unwrap().unwrap().attempts, 4);
        queue.checkpoint().unwrap();
        assert!(files(&directory).is_empty());
    }

    #[test]
    fn what_is_put_off_pins_no_generation_and_is_not_carried() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 1_000, 600, 1);
        let generations = || {
            fs::read_dir(directory.path().join("queue"))
                .unwrap()
                .count()
        };
        for _ in 0..3 {
            let more = queue.commit(&[batch(events(1, 60))]).unwrap().first.0;
            queue.settle(delivered(more..more + 1)).unwrap();
            queue.roll_now().unwrap();
        }
        let work = super::super::probe::work_of(|| queue.roll_now().unwrap());
        assert!(work.bytes < 20_000, "{work:?}");
        // What is done with goes with the next write.
        queue.commit(&[batch(events(1, 60))]).unwrap();
        assert!(generations() <= 2, "{}", generations());
        assert_eq!(waiting(&queue), 1_000);
    }

    #[test]
    fn a_run_that_the_head_does_not_know_is_removed_and_its_events_still_wait() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 1);
        queue.write_run(7, b"cut short").unwrap();
        drop(queue);
        let queue = open(&directory);
        assert_eq!((files(&directory).len(), waiting(&queue)), (2, 50));
        queue.checkpoint().unwrap();
        assert_eq!((files(&directory).len(), waiting(&queue)), (1, 50));
        let more = queue.bring_back("billing", (EVER, EVER), 5).unwrap();
        assert_eq!(more.len(), 5);
        // Numbers are not given twice.
        assert_eq!(queue.put_off("billing", &more).unwrap().len(), 5);
        assert!(directory.path().join("later/00000008").exists());
        assert_eq!(queue.put_off("billing", &more).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_any_more_is_lost_in_the_account_and_the_rest_is_not() {
        for damage in ["bit", "cut", "gone", "other"] {
            let directory = tempfile::tempdir().unwrap();
            let queue = queue(&directory, 50, 300, 1);
            let path = files(&directory).remove(0);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match damage {
                "bit" => bytes[middle] ^= 1,
                "cut" => bytes.truncate(middle),
                _ => {}
            }
            match damage {
                "gone" => fs::remove_file(&path).unwrap(),
                "other" => fs::write(&path, b"swlat\0\0\x02").unwrap(),
                _ => fs::write(&path, bytes).unwrap(),
            }
            let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
            assert!(back.len() < 25, "{damage}: {}", back.len());
            assert_eq!(back.is_empty(), matches!(damage, "gone" | "other"));
            let left = waiting(&queue);
            assert_eq!(left, 10 + back.len() as u64, "{damage}");
            let lost = queue.ledger().endpoint("billing").unwrap().lost;
            assert_eq!(lost + left, 50, "{damage}");
            let left = queue.put_off_now("billing").unwrap();
            assert_eq!((left.count, left.next, left.lost), (0, None, lost));
        }
    }

    #[test]
    fn a_head_made_anew_from_the_checkpoint_finds_what_was_put_off_then() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 1);
        queue.checkpoint().unwrap();
        assert_eq!(
            queue
                .bring_back("billing", (EVER, EVER), 100)
                .unwrap()
                .len(),
            40
        );
        drop(queue);
        let heads = fs::read_dir(directory.path().join("queue")).unwrap();
        for head in heads {
            fs::remove_dir_all(head.unwrap().path()).unwrap();
        }
        let queue = open(&directory);
        assert_eq!(queue.put_off_now("billing").unwrap().count, 40);
        assert_eq!(waiting(&queue), 50);
        let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
        assert_eq!(back.len(), 40);
    }

    #[test]
    fn a_run_that_is_over_outlives_a_restart_until_the_checkpoint_knows_it_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 1);
        queue.checkpoint().unwrap();
        let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
        assert_eq!(back.len(), 40);
        drop(queue);
        drop(open(&directory));
        let heads = fs::read_dir(directory.path().join("queue")).unwrap();
        for head in heads {
            fs::remove_dir_all(head.unwrap().path()).unwrap();
        }
        let queue = open(&directory);
        let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
        assert_eq!((back.len(), waiting(&queue)), (40, 50));
        queue.checkpoint().unwrap();
        assert!(files(&directory).is_empty());
    }

    #[test]
    fn what_comes_back_at_a_time_has_a_bound_in_bytes_over_all_runs() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 22, 300_000, 4);
        let mut counts = Vec::new();
        while queue.put_off_now("billing").unwrap().count > 0 {
            let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
            counts.push(back.len());
        }
        assert_eq!(counts.iter().sum::<usize>(), 12, "{counts:?}");
        assert!(
            counts.iter().all(|count| (1..=5).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_run_that_cannot_be_read_for_now_keeps_no_other_away() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 2);
        // That of the event due first; opening a directory works, reading it does not.
        let (path, aside) = (
            directory.path().join("later/00000001"),
            directory.path().join("aside"),
        );
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        let mut shown = 0;
        let seen = queue.visit_put_off("billing", |_| shown += 1);
        assert_eq!((seen.is_err(), shown), (true, 20));
        let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
        assert_eq!(back.len(), 20);
        queue.bring_back("billing", (EVER, EVER), 100).unwrap_err();
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        let back = queue.bring_back("billing", (EVER, EVER), 100).unwrap();
        assert_eq!((back.len(), waiting(&queue)), (20, 50));
    }

    #[test]
    fn nothing_is_put_off_beyond_its_share_of_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 0);
        let places = queue.waiting_places("billing").unwrap();
        let limit = |disk_max| {
            queue.limit(DiskLimits {
                free_min: 1,
                disk_max,
                ..DiskLimits::default()
            });
            let _room = queue.room(Moment::default());
        };
        limit(4 * RUN_BYTES_MAX as u64 - 1);
        assert_eq!(queue.put_off("billing", &places).unwrap(), []);
        limit(1 << 30);
        let (some, rest) = places.split_at(20);
        assert_eq!(queue.put_off("billing", some).unwrap().len(), 20);
        // What others put off counts too, and what is there when the agent starts.
        let other = directory.path().join("later/00000099");
        fs::write(other, vec![1; 256 << 20]).unwrap();
        drop(queue);
        let queue = open(&directory);
        queue.limit(DiskLimits {
            free_min: 1,
            ..DiskLimits::of(1 << 30)
        });
        assert_eq!(queue.put_off("billing", rest).unwrap(), []);
        queue.checkpoint().unwrap();
        assert_eq!(queue.put_off("billing", rest).unwrap().len(), 30);
    }

    #[test]
    fn the_bytes_put_off_are_known_at_once_and_without_looking_at_each_file() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 400, 3_000, 0);
        queue.limit(DiskLimits::default());
        let now = Moment::default();
        let _measured = queue.room(now);
        let bytes = || locked(&queue.0.disk).put_off_bytes();
        assert_eq!(bytes(), 0);
        let places = queue.waiting_places("billing").unwrap();
        for part in places.chunks(100) {
            assert_eq!(queue.put_off("billing", part).unwrap().len(), 100);
        }
        let on_disk = || -> u64 {
            let sizes = files(&directory).into_iter().map(fs::metadata);
            sizes
                .map(|it| super::super::row::blocks(&it.unwrap()))
                .sum()
        };
        assert_eq!((bytes(), files(&directory).len()), (on_disk(), 4));
        assert!(bytes() > 400_000, "{}", bytes());
        let back = queue.bring_back("billing", (EVER, EVER), 250).unwrap();
        assert_eq!(back.len(), 250);
        queue.checkpoint().unwrap();
        assert_eq!((bytes(), files(&directory).len()), (on_disk(), 2));
        let before = bytes();
        drop(queue);
        let queue = open(&directory);
        assert_eq!(locked(&queue.0.disk).put_off_bytes(), before);
    }

    #[test]
    fn everything_put_off_is_skipped_at_once_and_unread() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 50, 300, 4);
        files(&directory)
            .into_iter()
            .for_each(|file| fs::remove_file(file).unwrap());
        assert_eq!(queue.skip_put_off("billing").unwrap(), 40);
        assert_eq!(queue.skip_put_off("billing").unwrap(), 0);
        drop(queue);
        let queue = open(&directory);
        let ledger = queue.ledger();
        let billing = ledger.endpoint("billing").unwrap();
        assert_eq!(
            (billing.skipped, billing.waiting, billing.lost),
            (40, 10, 0)
        );
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!(queue.put_off_now("billing").unwrap().count, 0);
    }

    #[test]
    fn a_run_has_a_bound_and_times_that_cannot_be_come_back_too() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory, 12, 300_000, 0);
        let places = queue.waiting_places("billing").unwrap();
        let gone = queue.put_off("billing", &places).unwrap();
        assert!((1..12).contains(&gone.len()), "{}", gone.len());
        let bytes = fs::metadata(files(&directory).remove(0)).unwrap().len();
        assert!(bytes < RUN_BYTES_MAX as u64 + (400 << 10), "{bytes}");
        let before = queue.put_off_now("billing").unwrap();
        let none = (UnixMs(0), before.next.unwrap());
        assert_eq!(queue.bring_back("billing", none, 1).unwrap().len(), 0);
        let set_back = (UnixMs(-9_000), UnixMs(-5_000));
        assert_eq!(queue.bring_back("billing", set_back, 1).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn a_place_in_a_run_comes_back_as_it_was(at: u64, left: u32, next: i64, bytes: Vec<u8>) {
            let run = Run { at, left, next: UnixMs(next) };
            prop_assert_eq!(Run::decode(&run.encode()), Some(run));
            let _ = Run::decode(&bytes);
        }
    }
}
