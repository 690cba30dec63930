//! Spool: callbacks written to disk before they are answered.
//!
//! One thread writes, so that no connection waits on the disk for another's sake: it takes whatever
//! waits, writes all of it, makes it durable at once, and only then lets the connections answer.
//!
//! * A **file** takes a line of JSON each. At half of the room it is renamed to `FILE.1`, in place of
//!   the one before, so that both together stay within the room.
//! * A **directory** takes a file each, `TIME-ID.http`, the request as it came. Beyond the room the
//!   oldest go.

use super::account::{ShortId, short_id};
use super::saved::SavedRequest;
use crate::clock::UnixMs;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Room for spooled callbacks unless told otherwise, in bytes: some 60,000 calls.
pub const SPOOL_BYTES_DEFAULT: u64 = 64 << 20;

/// Least room that may be given, in bytes: half of it holds the longest callback several times over.
pub const SPOOL_BYTES_MIN: u64 = 16 << 20;

/// Most callbacks that wait for the disk; further ones are answered 503. As many as one thread may
/// have connections, since each waits for its own.
pub const SPOOL_WAITING_MAX: usize = 1_024;

/// Most bytes written before they are made durable together.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a small file takes of the disk, in bytes.
const BLOCK_BYTES: u64 = 4_096;

/// Where callbacks are spooled, and how much of it.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// A file, or a directory: one that is there, or a path that ends in `/`.
    pub path: PathBuf,
    /// Room for all of it, in bytes; at least [`SPOOL_BYTES_MIN`].
    pub bytes_max: u64,
}

/// Why callbacks cannot be spooled.
#[derive(Debug)]
pub struct SpoolError {
    path: PathBuf,
    cause: io::Error,
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot spool to {}: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for SpoolError {}

/// An id that was spooled by an earlier run, and when.
pub type Remembered = (ShortId, UnixMs);

/// The writing thread, to be handed callbacks.
#[derive(Debug)]
pub struct Spool {
    /// None only while it is being dropped.
    waiting: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Job {
    request: SavedRequest,
    done: oneshot::Sender<Result<(), String>>,
}

impl Spool {
    /// Opens the spool, and tells which ids it holds, oldest first.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] when the path cannot be read or written.
    pub fn open(settings: &SpoolSettings) -> Result<(Spool, Vec<Remembered>), SpoolError> {
        let path = settings.path.clone();
        let failed = |cause| SpoolError {
            path: settings.path.clone(),
            cause,
        };
        let bytes_max = settings.bytes_max.max(SPOOL_BYTES_MIN);
        let is_directory = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let (place, remembered) = if is_directory {
            Directory::open(path, bytes_max).map(|(place, ids)| (Place::Directory(place), ids))
        } else {
            Rotated::open(path, bytes_max).map(|(place, ids)| (Place::File(place), ids))
        }
        .map_err(failed)?;
        let (waiting, jobs) = mpsc::sync_channel(SPOOL_WAITING_MAX);
        let thread = thread::Builder::new()
            .name("spool".to_string())
            .spawn(move || write_all(place, &jobs))
            .map_err(failed)?;
        let spool = Spool {
            waiting: Some(waiting),
            thread: Some(thread),
        };
        Ok((spool, remembered))
    }

    /// Writes `request`; after `Ok` it survives loss of power.
    ///
    /// # Errors
    ///
    /// What the disk said, or that too many wait for it. The request may lie there in whole all the
    /// same, never in part.
    pub async fn keep(&self, request: SavedRequest) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let job = Job { request, done };
        let waiting = self.waiting.as_ref();
        if waiting.is_none_or(|waiting| waiting.try_send(job).is_err()) {
            return Err(format!(
                "{SPOOL_WAITING_MAX} callbacks wait for the disk already"
            ));
        }
        let gone = Err("the spool has ended".to_string());
        outcome.await.unwrap_or(gone)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        drop(self.waiting.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on standard error already.
            let _panicked = thread.join();
        }
    }
}

fn write_all(mut place: Place, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut bytes = first.request.body.len();
        let mut batch = vec![first];
        while bytes < BATCH_BYTES_MAX
            && let Ok(next) = jobs.try_recv()
        {
            bytes += next.request.body.len();
            batch.push(next);
        }
        let (requests, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|job| (job.request, job.done)).unzip();
        let outcome = place.write(&requests).map_err(|error| error.to_string());
        for done in waiting {
            // Its connection may be gone by now; the callback is kept all the same.
            let _gone = done.send(outcome.clone());
        }
    }
}

#[derive(Debug)]
enum Place {
    File(Rotated),
    Directory(Directory),
}

impl Place {
    fn write(&mut self, requests: &[SavedRequest]) -> io::Result<()> {
        match self {
            Place::File(file) => file.write(requests),
            Place::Directory(directory) => directory.write(requests),
        }
    }
}

/// A file that is renamed when it is full.
#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    file: File,
    bytes: u64,
    half: u64,
}

impl Rotated {
    fn open(path: PathBuf, bytes_max: u64) -> io::Result<(Rotated, Vec<Remembered>)> {
        let mut remembered = Vec::new();
        for path in [older(&path), path.clone()] {
            let found = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if !found.is_file() {
                return Err(io::Error::other("it is neither a file nor a directory"));
            }
            if found.len() > bytes_max {
                let what = "it is longer than the spool may be; give more room or another name";
                return Err(io::Error::other(what));
            }
            remember(&fs::read(&path)?, &mut remembered);
        }
        let mut file = open_new(&path)?;
        let mut bytes = file.metadata()?.len();
        let mut last = [b'\n'];
        if bytes > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last != *b"\n" {
            // Torn by a crash: its sender was not answered. It stays, as a line by itself.
            file.write_all(b"\n")?;
            bytes += 1;
        }
        sync_parent(&path)?;
        let rotated = Rotated {
            path,
            file,
            bytes,
            half: bytes_max / 2,
        };
        Ok((rotated, remembered))
    }

    /// Appends the lines and makes them durable. Where that fails the file is cut back to what it
    /// was, so that the next line does not begin inside this one.
    fn write(&mut self, requests: &[SavedRequest]) -> io::Result<()> {
        let lines: Vec<u8> = requests.iter().flat_map(SavedRequest::to_line).collect();
        let length = lines.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.half {
            self.rotate()?;
        }
        let written = self
            .file
            .write_all(&lines)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.bytes += length,
            Err(error) => {
                self.file.set_len(self.bytes)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// All of the old file is durable before it is renamed; a crash between the two steps leaves the
    /// file missing, and it is made anew at the start.
    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.path, older(&self.path))?;
        self.file = open_new(&self.path)?;
        self.bytes = 0;
        sync_parent(&self.path)
    }
}

/// A directory of requests.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Oldest first, with what each takes of the disk.
    files: VecDeque<(OsString, u64)>,
    bytes: u64,
    bytes_max: u64,
    /// Makes names differ within a millisecond.
    count: u64,
}

impl Directory {
    fn open(path: PathBuf, bytes_max: u64) -> io::Result<(Directory, Vec<Remembered>)> {
        fs::create_dir_all(&path)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().ends_with(b".http") {
                files.push((name, on_disk(entry.metadata()?.len())));
            }
        }
        // Names begin with the time.
        files.sort();
        let mut remembered = Vec::new();
        for (name, _) in &files {
            if let Ok(saved) = SavedRequest::from_dump(&fs::read(path.join(name))?) {
                remember_one(&saved, &mut remembered);
            }
        }
        let directory = Directory {
            bytes: files.iter().map(|(_, bytes)| bytes).sum(),
            files: files.into(),
            path,
            bytes_max,
            count: 0,
        };
        Ok((directory, remembered))
    }

    /// Writes each request under another name first, so that no half of one is ever seen under its
    /// own, and makes names and contents durable together.
    fn write(&mut self, requests: &[SavedRequest]) -> io::Result<()> {
        for request in requests {
            let dump = request.to_dump();
            let bytes = on_disk(dump.len() as u64);
            while self.bytes + bytes > self.bytes_max
                && let Some((oldest, freed)) = self.files.pop_front()
            {
                self.bytes -= freed;
                match fs::remove_file(self.path.join(oldest)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let name = self.name(request);
            let whole = self.path.join(&name);
            let unfinished = self.path.join(".unfinished");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(&dump)?;
            file.sync_all()?;
            fs::rename(&unfinished, whole)?;
            self.files.push_back((name.into(), bytes));
            self.bytes += bytes;
        }
        File::open(&self.path)?.sync_all()
    }

    /// `20260409T143045.120-0001-evt_….http`: sorted by time, and no sender's text in a path unless
    /// it is harmless there.
    fn name(&mut self, request: &SavedRequest) -> String {
        self.count = (self.count + 1) % 10_000;
        let time = request.at.unwrap_or_default();
        let time = crate::timestamp::Timestamp::from_millis(time.0).to_string();
        let time: String = time
            .chars()
            .filter(|letter| letter.is_ascii_digit() || matches!(letter, 'T' | '.'))
            .collect();
        let id = request.ids.first().map(String::as_str).unwrap_or_default();
        let is_harmless = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let id = match is_harmless {
            true => id.to_string(),
            false => format!("x{:032x}", u128::from_be_bytes(short_id(id))),
        };
        format!("{time}-{:04}-{id}.http", self.count)
    }
}

fn remember(lines: &[u8], remembered: &mut Vec<Remembered>) {
    // A torn line was never answered, so its id is not one to answer repeats by.
    for saved in SavedRequest::all(lines).into_iter().flatten() {
        remember_one(&saved, remembered);
    }
}

fn remember_one(saved: &SavedRequest, remembered: &mut Vec<Remembered>) {
    let Some(at) = saved.at else {
        return;
    };
    remembered.extend(saved.ids.iter().map(|id| (short_id(id), at)));
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// Makes a new name in the directory of `path` durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn on_disk(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;

    fn request(number: i64, bytes: usize) -> SavedRequest {
        SavedRequest {
            at: Some(UnixMs(1_775_745_045_120 + number)),
            ids: vec![format!("evt_{number:032x}")],
            body: Bytes::from("x".repeat(bytes)),
            ..SavedRequest::default()
        }
    }

    fn keep(spool: &Spool, request: SavedRequest) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(spool.keep(request))
    }

    fn open(path: &Path) -> (Spool, Vec<Remembered>) {
        let settings = SpoolSettings {
            path: path.to_owned(),
            bytes_max: 0,
        };
        Spool::open(&settings).unwrap()
    }

    fn bytes_in(directory: &Path) -> u64 {
        let files = fs::read_dir(directory).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }

    #[test]
    fn a_file_keeps_what_was_answered_and_the_next_run_knows_its_ids() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("callbacks.jsonl");
        let (spool, before) = open(&path);
        assert_eq!(before, []);
        for number in 1..=3 {
            keep(&spool, request(number, 10)).unwrap();
        }
        drop(spool);
        // A crash in the middle of a fourth.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"at":"2026-04-09T14:30:45"#).unwrap();
        let (spool, before) = open(&path);
        assert_eq!(before.len(), 3);
        assert_eq!(
            before[0].0,
            short_id("evt_00000000000000000000000000000001")
        );
        keep(&spool, request(5, 10)).unwrap();
        let all = SavedRequest::all(&fs::read(&path).unwrap());
        let readable = all.iter().map(Result::is_ok).collect::<Vec<_>>();
        assert_eq!(readable, [true, true, true, false, true]);
    }

    #[test]
    fn a_file_stays_within_its_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("callbacks.jsonl");
        let (spool, _) = open(&path);
        for number in 0..24 {
            keep(&spool, request(number, 1 << 20)).unwrap();
            assert!(bytes_in(dir.path()) <= SPOOL_BYTES_MIN);
        }
        assert!(older(&path).exists());
        drop(spool);
        let (_, remembered) = open(&path);
        assert!((7..=15).contains(&remembered.len()), "{}", remembered.len());
    }

    #[test]
    fn a_directory_keeps_a_file_each_and_the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("callbacks/");
        let (spool, _) = open(&path);
        for number in 0..24 {
            keep(&spool, request(number, 1 << 20)).unwrap();
        }
        assert!(bytes_in(&path) <= SPOOL_BYTES_MIN);
        drop(spool);
        let (spool, remembered) = open(&path);
        assert_eq!(remembered.len(), 15);
        let last = remembered.last().unwrap().0;
        assert_eq!(last, short_id(&format!("evt_{:032x}", 23)));
        let hostile = SavedRequest {
            ids: vec!["../../etc/passwd".to_string()],
            ..request(50, 1)
        };
        keep(&spool, hostile).unwrap();
        let names = fs::read_dir(&path).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let newest = names.max().unwrap();
        assert!(newest.starts_with("20260409T143045.170-0001-x"), "{newest}");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let settings = SpoolSettings {
            path: "/proc/nowhere/callbacks".into(),
            bytes_max: 0,
        };
        let error = Spool::open(&settings).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot spool to /proc/nowhere"),
            "{error}"
        );
        let endless = SpoolSettings {
            path: "/dev/zero".into(),
            bytes_max: 0,
        };
        let error = Spool::open(&endless).unwrap_err().to_string();
        assert!(error.ends_with("neither a file nor a directory"), "{error}");
    }

    #[test]
    fn a_disk_that_is_full_is_an_error_and_not_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut full = Rotated {
            path: dir.path().join("callbacks.jsonl"),
            file: OpenOptions::new().append(true).open("/dev/full").unwrap(),
            bytes: 0,
            half: SPOOL_BYTES_MIN,
        };
        full.write(&[request(1, 10)]).unwrap_err();
        assert_eq!(full.bytes, 0);
    }
}
