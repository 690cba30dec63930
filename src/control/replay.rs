//! Replay: rows of a source's files told once more, with the same ids.
//!
//! The events are new ones to the queue, with new sequences; every endpoint that wants them gets
//! them, and knows them by their ids. They are counted as `derived`, so that the ledger goes on
//! saying how many rows the switch has written. Positions are not moved: following goes on where
//! it was.

use super::desk::{Desk, Replies, store};
use super::protocol::{Code, Refusal};
use crate::clock::UnixMs;
use crate::config::SourceConfig;
use crate::config::live::Kind;
use crate::config::place::listed;
use crate::derive::{Derive, Fate, Now};
use crate::event::{Event, Maker, Origin};
use crate::ingest;
use crate::parser::{Parser, Step};
use crate::queue::{self, Room, SourceBatch, SourceCounts};
use crate::source::{FirstRow, HeaderTest, listing};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at a time; with a line that is not complete, some more.
const READ_BYTES: usize = 256 << 10;

/// Rows of one commit.
const GROUP_ROWS: usize = 256;

/// Rows told in a second, at most, whatever was asked for.
const PER_SECOND_MAX: u32 = 50_000;

/// Wait for room in the queue.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// A file last written so long before the first row that is wanted cannot hold it, even if the
/// clocks of switch and file server disagree by hours.
const CLOCKS_APART: Duration = Duration::from_secs(86_400);

/// Which rows are told again.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) source: String,
    pub(super) from: Option<UnixMs>,
    pub(super) to: Option<UnixMs>,
    pub(super) file: Option<String>,
    pub(super) dry_run: bool,
    pub(super) per_second: u32,
}

/// Tells the rows that `wish` means.
pub(super) fn replay(desk: &Desk, wish: &Wish, replies: &Replies) -> Result<Value, Refusal> {
    let _one_at_a_time = desk.take_turn()?;
    let in_force = desk.in_force();
    let sources = &in_force.config.sources;
    let Some(source) = sources.iter().find(|it| *it.files.name == *wish.source) else {
        let names = sources.iter().map(|it| &it.files.name);
        let message = format!(
            "there is no source {:?}; there are {}",
            wish.source,
            listed(names)
        );
        return Err(Refusal::new(Code::Usage, message));
    };
    if source.kind != Kind::Files {
        let message = format!(
            "source {:?} does not follow lines of files, and only those can be read again",
            wish.source
        );
        return Err(Refusal::new(Code::Usage, message));
    }
    let files = files_of(source, wish)?;
    let mut run = Run {
        desk,
        wish,
        replies,
        source,
        node: Arc::clone(&in_force.config.node),
        events: Vec::new(),
        told: 0,
        outside: 0,
        misfits: 0,
        bytes: 0,
        bytes_total: files.iter().map(|(_, size)| size).sum(),
        first: None,
        last: None,
    };
    let mut unreadable = Vec::new();
    let mut is_ended = false;
    for (path, _) in &files {
        match run.file(path) {
            Ok(true) => {}
            Ok(false) => {
                is_ended = true;
                break;
            }
            Err(Trouble::Unreadable(error)) => {
                unreadable.push(format!("{}: {error}", path.display()));
            }
            Err(Trouble::Refused(refusal)) => return Err(refusal),
        }
    }
    if !is_ended {
        run.commit()?;
    }
    let (source, count) = (&wish.source, run.told);
    if wish.dry_run {
        log::info!("rows counted by the operator source={source} count={count}");
    } else {
        log::info!("rows told again by the operator source={source} count={count}");
    }
    Ok(json!({
        "source": wish.source,
        "dry_run": wish.dry_run,
        "files": files.len(),
        "rows": run.told,
        "outside_the_range": run.outside,
        "misfits": run.misfits,
        "first": run.first.map(super::status::time),
        "last": run.last.map(super::status::time),
        "unreadable": unreadable,
    }))
}

/// The files that may hold what is wanted, oldest first, with their sizes.
fn files_of(source: &SourceConfig, wish: &Wish) -> Result<Vec<(PathBuf, u64)>, Refusal> {
    let usage = |message: String| Refusal::new(Code::Usage, message);
    if let Some(file) = &wish.file {
        let path = PathBuf::from(file);
        let size = std::fs::metadata(&path)
            .map_err(|error| usage(format!("{file} cannot be read by the agent: {error}")))?
            .len();
        return Ok(vec![(path, size)]);
    }
    if wish.from.is_none() && wish.to.is_none() {
        let message = "say which rows: give --from and --to, or --file".to_string();
        return Err(usage(message));
    }
    let listing = listing::list(&source.files).map_err(|error| usage(error.to_string()))?;
    let apart = i64::try_from(CLOCKS_APART.as_millis()).unwrap_or(i64::MAX);
    let is_too_old = |modified_ns: i64| {
        let modified_ms = modified_ns / 1_000_000;
        wish.from
            .is_some_and(|from| modified_ms.saturating_add(apart) < from.0)
    };
    let mut found: Vec<_> = listing
        .found
        .into_iter()
        .filter(|found| found.size > 0 && !is_too_old(found.modified_ns))
        .collect();
    // While a file is being packed it is there twice.
    let plain: Vec<PathBuf> = found.iter().map(|found| found.path.clone()).collect();
    found.retain(|found| {
        let is_packed = found.path.extension().is_some_and(|ending| ending == "gz");
        !(is_packed && plain.contains(&found.path.with_extension("")))
    });
    found.sort_by(|a, b| (a.modified_ns, &a.path).cmp(&(b.modified_ns, &b.path)));
    Ok(found
        .into_iter()
        .map(|found| (found.path, found.size))
        .collect())
}

/// The rows of a file, which may be packed: it is known by its first bytes, whatever it is called.
struct Rows {
    /// The file itself, for how far it has been read.
    file: File,
    rows: Box<dyn Read>,
}

impl Rows {
    fn open(path: &Path) -> io::Result<Rows> {
        /// What every gzip file begins with (RFC 1952, section 2.3.1).
        const PACKED: [u8; 2] = [0x1f, 0x8b];
        let mut file = File::open(path)?;
        let mut begin = Vec::new();
        file.by_ref().take(2).read_to_end(&mut begin)?;
        file.rewind()?;
        // Both read on from where the other has stopped.
        let same = file.try_clone()?;
        let rows: Box<dyn Read> = if begin == PACKED {
            Box::new(MultiGzDecoder::new(same))
        } else {
            Box::new(same)
        };
        Ok(Rows { file, rows })
    }

    /// Bytes of the file that have been read.
    fn position(&mut self) -> io::Result<u64> {
        self.file.stream_position()
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rows.read(buffer)
    }
}

/// Why a file was not told to its end.
enum Trouble {
    Unreadable(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Unreadable(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Trouble {
        Trouble::Refused(refusal)
    }
}

/// A replay under way.
struct Run<'d> {
    desk: &'d Desk,
    wish: &'d Wish,
    replies: &'d Replies,
    source: &'d SourceConfig,
    node: Arc<str>,
    events: Vec<Event>,
    told: u64,
    outside: u64,
    misfits: u64,
    bytes: u64,
    bytes_total: u64,
    first: Option<UnixMs>,
    last: Option<UnixMs>,
}

impl Run<'_> {
    /// Tells the rows of one file; false when nobody listens any more.
    fn file(&mut self, path: &Path) -> Result<bool, Trouble> {
        let format = &self.source.parser.format;
        let mut parser = Parser::new(self.source.parser.clone());
        let maker = Maker::new(
            Arc::clone(&self.node),
            Arc::clone(&self.source.files.name),
            self.source.calls.clone(),
        );
        // Rows mean together what they mean in this file alone; the machines of the running source
        // have gone on since and are not asked.
        let mut derive = Derive::new(self.source.derive.clone(), maker, format, &[]);
        let now = Now {
            moment: self.desk.clock.now(),
            wall: self.desk.clock.wall(),
        };
        parser.set_circumstances(now.wall, true);
        let headers = Parser::new(self.source.parser.clone());
        let is_header: HeaderTest =
            Arc::new(move |line: &[u8], at_start: bool| headers.is_header(line, at_start));
        let mut file = Rows::open(path)?;
        let (mut bytes, mut offset) = (Vec::new(), 0_u64);
        let mut first_row = None;
        let mut is_skipping = false;
        let before_file = self.bytes;
        loop {
            let before = bytes.len();
            let mut more = file.by_ref().take(READ_BYTES as u64);
            let read = more.read_to_end(&mut bytes)?;
            self.bytes = before_file + file.position()?;
            let is_last = read == 0;
            // A last line without its end is being written.
            let complete = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
            let lines = bytes.get(..complete).unwrap_or_default();
            if first_row.is_none() {
                first_row = FirstRow::among(lines, offset, &is_header).map(|first| first.hash);
            }
            let hash = first_row.unwrap_or([0; 32]);
            let mut at = 0;
            while at < complete {
                let rest = lines.get(at..).unwrap_or_default();
                let here = offset + at as u64;
                if is_skipping {
                    // The end of a line too long to be one.
                    at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    is_skipping = false;
                    continue;
                }
                at += match parser.next(rest, here == 0, is_last) {
                    Step::Record { record, bytes, .. } => {
                        let raw = rest.get(..bytes).unwrap_or_default();
                        let origin = Origin {
                            first_row: &hash,
                            offset: here,
                            raw: ingest::lasting(format, raw),
                        };
                        let mut told = Vec::new();
                        match derive.take(&record, format, origin, now, &mut told) {
                            Fate::Misfit(_) => self.misfits += 1,
                            _ => told.into_iter().for_each(|event| self.take(event)),
                        }
                        bytes
                    }
                    Step::Rejected { bytes, .. } => {
                        self.misfits += 1;
                        bytes
                    }
                    Step::Skipped { bytes, .. } | Step::Unwanted { bytes, .. } => bytes,
                    Step::More => break,
                };
                if self.events.len() >= GROUP_ROWS && !self.commit()? {
                    return Ok(false);
                }
            }
            bytes.drain(..at);
            offset += at as u64;
            if bytes.len() > self.source.files.line_max + READ_BYTES && at == 0 {
                self.misfits += u64::from(!is_skipping);
                is_skipping = true;
                offset += bytes.len() as u64;
                bytes.clear();
            }
            if is_last && (bytes.len() == before || bytes.is_empty()) {
                return Ok(self.tell(None));
            }
        }
    }

    fn take(&mut self, event: Event) {
        let at = event.time.unix;
        let is_wanted =
            self.wish.from.is_none_or(|from| at >= from) && self.wish.to.is_none_or(|to| at < to);
        if !is_wanted {
            self.outside += 1;
        } else if !queue::accepts(&event) {
            self.misfits += 1;
        } else {
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = self.last.max(Some(at));
            self.events.push(event);
        }
    }

    /// Queues the events in hand as soon as there is room; false when nobody listens any more.
    ///
    /// The events are durable when this returns true. A crash before leaves out some of them: the
    /// replay is asked for again, and the ids are the same.
    fn commit(&mut self) -> Result<bool, Refusal> {
        let events = std::mem::take(&mut self.events);
        let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        if self.wish.dry_run || count == 0 {
            self.told += u64::from(count);
            return Ok(self.tell(None));
        }
        while self.desk.queue.room(self.desk.clock.now()) != Room::ForAll {
            if self.desk.shutdown.wait(FULL_PAUSE) || !self.tell(Some("room in the queue")) {
                return Ok(false);
            }
        }
        let batch = SourceBatch {
            source: Arc::clone(&self.source.files.name),
            events,
            positions: Vec::new(),
            forgotten: Vec::new(),
            counts: SourceCounts {
                derived: u64::from(count),
                ..SourceCounts::default()
            },
        };
        let committed = self.desk.queue.commit(&[batch]);
        committed.map_err(|error| store(&error))?;
        self.told += u64::from(count);
        let per_second = self.wish.per_second.clamp(1, PER_SECOND_MAX);
        let is_stopping = self
            .desk
            .shutdown
            .wait(Duration::from_secs(1) * count / per_second);
        Ok(!is_stopping && self.tell(None))
    }

    fn tell(&self, waiting_for: Option<&str>) -> bool {
        let done = self.bytes.min(self.bytes_total);
        self.replies
            .progress(done, Some(self.bytes_total), waiting_for)
    }
}
