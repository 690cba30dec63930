//! Pump 1: source → parser → event → queue.
//!
//! One thread. Each pass is five named steps: look, read, understand, set aside, commit.
//!
//! **Crash argument.** A group of rows becomes durable in one commit: its events, the positions
//! behind them and the counts. Before it, nothing has moved on disk: after a crash the same rows
//! are read again and give the same event ids. A commit that fails is kept and tried again as it
//! is; nothing further is read meanwhile, so the files are the backlog.

mod again;
mod report;
mod set_aside;

pub use set_aside::{Entry, ROW_BYTES_MAX, SET_ASIDE_BYTES_MAX, SetAside};

use crate::clock::{Clock, Moment, UnixMs};
use crate::event::{Event, EventId, Maker, Origin};
use crate::parser::{Format, Parser, Problem, Reject, Step};
use crate::progress::{Progress, Pulse};
use crate::queue::{self, Queue, SourceBatch, SourceCounts};
use crate::shutdown::{Bell, Shutdown};
use crate::source::{
    Change, Changed, Chunk, FilePosition, Looked, Oversized, Piece, Source, Start,
};
use again::Again;
use report::Report;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most rows of one commit, set aside or not: where the cost of the sync is spread thin enough
/// (measured with 541-byte events: 112,000 a second at 64 per commit, 407,000 at this number), and
/// some hundred kilobytes of memory.
pub const GROUP_ROWS_MAX: usize = 1_024;

/// Most bytes of rows of one commit, beside [`GROUP_ROWS_MAX`]: bounds memory with wide rows.
pub const GROUP_BYTES_MAX: usize = 1 << 20;

/// Bytes asked of a source at a time.
const READ_BYTES: usize = 128 << 10;

/// Shortest time from one commit to the next while rows trickle in.
///
/// At 1,000 rows/s each row would else have a sync of its own; with this, four share one, and a
/// row still waits less than the 5 ms the latency budget allows.
const COMMIT_PAUSE: Duration = Duration::from_millis(4);

/// Wait before a failed commit is tried again, and between looks at a disk that is full.
const PAUSE: Duration = Duration::from_secs(1);

/// Shortest time from one look to the next that growth calls for.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Time between two measurements of the state directory.
const MEASURE_PAUSE: Duration = Duration::from_millis(500);

/// One source with everything that turns its bytes into events.
#[derive(Debug)]
pub struct Feed {
    /// The source's name.
    pub name: Arc<str>,
    /// The files.
    pub source: Source,
    /// The format of their lines.
    pub format: Format,
    /// What reads them.
    pub parser: Parser,
    /// What is told of a record.
    pub maker: Maker,
    /// Time between two looks when nothing calls for one.
    pub poll: Duration,
    /// Where following begins; rows of an earlier time are filtered out.
    pub start: Start,
}

/// Why ingest cannot begin.
#[derive(Debug)]
pub enum IngestError {
    /// Rows that do not fit have nowhere to be kept.
    SetAside {
        /// The state directory.
        directory: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl fmt::Display for IngestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::SetAside { directory, cause } = self;
        write!(
            f,
            "cannot write set-aside.jsonl in {}: {cause}",
            directory.display()
        )
    }
}

impl std::error::Error for IngestError {}

/// A word from whoever watches the directories: something changed. Wakes the pump.
#[derive(Debug, Clone)]
pub struct Hint {
    heard: Arc<Mutex<Changed>>,
    bell: Bell,
}

impl Hint {
    /// A hint that rings `bell`.
    pub fn new(bell: Bell) -> Hint {
        Hint {
            heard: Arc::new(Mutex::new(Changed::Nothing)),
            bell,
        }
    }

    /// Tells the pump what was heard.
    pub fn give(&self, heard: Changed) {
        let mut untold = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = heard.max(*untold);
        drop(untold);
        self.bell.ring();
    }

    fn take(&self) -> Changed {
        let mut untold = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut untold, Changed::Nothing)
    }
}

/// The ingest pump.
#[derive(Debug)]
pub struct Ingest {
    feeds: Vec<Following>,
    queue: Queue,
    set_aside: SetAside,
    clock: Arc<dyn Clock>,
    progress: Progress,
    pulse: Pulse,
    /// A group whose commit failed; it goes first.
    held: Option<Group>,
    /// Most bytes the state directory may take before reading pauses.
    disk_max: u64,
    measured_at: Option<Moment>,
    /// The state directory is as big as it may become.
    full: bool,
    /// The last commit failed.
    failing: bool,
    /// Bytes that are being read once more.
    again: Option<Again>,
    /// When the queue was last asked for such bytes.
    again_asked_at: Option<Moment>,
    /// Events that were saved from damage and are not told again.
    saved: Arc<HashSet<EventId>>,
}

/// A feed, when it is looked at next, and what was said of it.
#[derive(Debug)]
struct Following {
    feed: Feed,
    look_at: Moment,
    looked_at: Moment,
    /// The queue has heard of the source.
    seen: bool,
    report: Report,
}

impl Following {
    fn look(&mut self, now: Moment, wall: UnixMs, group: &mut Group) {
        self.looked_at = now;
        self.look_at = now + self.feed.poll;
        match self.feed.source.look(wall) {
            Ok(looked) => {
                self.report.no_trouble();
                if !self.seen && self.feed.source.is_placed() {
                    // Even with no file there: files that appear from now on are new ones.
                    self.seen = true;
                    group.batch(&self.feed.name);
                }
                group.note(&self.feed.name, looked, &mut self.report);
            }
            Err(error) => self.report.trouble(&error),
        }
    }
}

/// What one commit will hold.
#[derive(Debug, Default)]
struct Group {
    batches: Vec<SourceBatch>,
    set_aside: Vec<Entry>,
    rows: usize,
    bytes: usize,
    /// Events that were saved from damage; see [`Ingest`].
    saved: Arc<HashSet<EventId>>,
}

/// What a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// A full group was committed: there is more.
    Full,
    /// All there was has been committed.
    Committed,
    /// There was nothing to commit.
    Idle,
    /// The queue is full or cannot be written; reading waits.
    Paused,
}

impl Ingest {
    /// A pump from `feeds` into `queue`, whose directory `state_dir` takes at most `disk_max` bytes
    /// before reading pauses.
    ///
    /// # Errors
    ///
    /// When rows that do not fit would have nowhere to be kept. Nothing has been read then.
    pub fn new(
        feeds: Vec<Feed>,
        queue: Queue,
        state_dir: &Path,
        disk_max: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Ingest, IngestError> {
        let set_aside = SetAside::open(state_dir).map_err(|cause| IngestError::SetAside {
            directory: state_dir.to_owned(),
            cause,
        })?;
        let now = clock.now();
        let follow = |feed: Feed| Following {
            look_at: now,
            looked_at: now,
            seen: queue.seen(&feed.name),
            report: Report::new(&feed.name),
            feed,
        };
        let feeds = feeds.into_iter().map(follow).collect();
        let progress = Progress::default();
        Ok(Ingest {
            pulse: progress.pulse("ingest"),
            progress,
            feeds,
            queue,
            set_aside,
            clock,
            held: None,
            disk_max,
            measured_at: None,
            full: false,
            failing: false,
            again: None,
            again_asked_at: None,
            saved: Arc::default(),
        })
    }

    /// Whether the pump goes on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Pumps until `shutdown` is requested; `hint` and its bell tell when there is something new.
    pub fn run(&mut self, hint: &Hint, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            let began = self.clock.now();
            self.pulse.due(began);
            let passed = self.pass(hint.take());
            if passed != Passed::Paused && self.pass_again() {
                continue;
            }
            match passed {
                Passed::Full => {}
                Passed::Committed => {
                    let pause = COMMIT_PAUSE.saturating_sub(self.clock.now().since(began));
                    shutdown.wait(pause);
                }
                Passed::Idle => {
                    let pause = self.until_next_look();
                    self.pulse.due(self.clock.now() + pause);
                    hint.bell.wait(pause);
                }
                Passed::Paused => {
                    shutdown.wait(PAUSE);
                }
            }
        }
    }

    /// Commits at most one group.
    ///
    /// The group is durable when this returns [`Passed::Full`] or [`Passed::Committed`]. A crash
    /// before costs nothing but reading the same rows again.
    pub fn pass(&mut self, heard: Changed) -> Passed {
        let mut group = match self.held.take() {
            Some(held) => held,
            None => {
                let looked = self.look(heard);
                if self.is_full() {
                    self.held = Some(looked).filter(|group| !group.batches.is_empty());
                    return Passed::Paused;
                }
                self.read(looked)
            }
        };
        if group.batches.is_empty() {
            return Passed::Idle;
        }
        let full = group.is_full();
        let kept = self
            .keep_rejects(&mut group)
            .map_err(|error| format!("cannot set rows aside: {error}"));
        let committed = kept.and_then(|()| {
            self.queue
                .commit(&group.batches)
                .map_err(|error| error.to_string())
        });
        match committed {
            Ok(_) => {
                if std::mem::take(&mut self.failing) {
                    log::info!("reading resumed");
                }
                if full {
                    Passed::Full
                } else {
                    Passed::Committed
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    log::error!("reading paused, rows cannot be made durable error={error:?}");
                }
                self.held = Some(group);
                Passed::Paused
            }
        }
    }

    /// Reads some rows again that the queue has lost to damage; asks it for such rows now and then.
    fn pass_again(&mut self) -> bool {
        let now = self.clock.now();
        let asked_lately = |asked: Moment| now.since(asked) < MEASURE_PAUSE;
        if self.again.is_none() && self.again_asked_at.is_some_and(asked_lately) {
            return false;
        }
        let more = self.read_again();
        self.again_asked_at = (!more).then_some(now);
        more
    }

    /// Step 1: looks at the files of every source that is due, or glances at what has grown.
    fn look(&mut self, heard: Changed) -> Group {
        let now = self.clock.now();
        let wall = self.clock.wall();
        let mut group = Group {
            saved: Arc::clone(&self.saved),
            ..Group::default()
        };
        let mut grown = false;
        if heard == Changed::Content {
            for following in &mut self.feeds {
                grown |= following.feed.source.glance(wall);
            }
        }
        // Something happened that no open file explains. Looks are spaced even so: a directory
        // in which names change all the time must not cost more than one that is quiet.
        let calls = heard == Changed::Names || (heard == Changed::Content && !grown);
        for following in &mut self.feeds {
            if calls {
                following.look_at = following.look_at.min(following.looked_at + LOOK_PAUSE);
            }
            if now >= following.look_at {
                following.look(now, wall, &mut group);
            }
            following.report.tell(now);
        }
        group
    }

    /// Steps 2 and 3: reads complete lines and turns them into events, source by source.
    fn read(&mut self, mut group: Group) -> Group {
        for following in &mut self.feeds {
            while !group.is_full() {
                match following.feed.source.read(READ_BYTES) {
                    Ok(Some(piece)) => group.understand(following, piece),
                    Ok(None) => break,
                    Err(error) => {
                        following.report.trouble(&error);
                        break;
                    }
                }
            }
        }
        if group.is_full() && !self.feeds.is_empty() {
            // The next group begins with another source: a backlog starves nobody.
            self.feeds.rotate_left(1);
        }
        group
    }

    /// Step 4: keeps the rows that did not fit, before their positions are committed.
    fn keep_rejects(&mut self, group: &mut Group) -> io::Result<()> {
        self.set_aside.add(&group.set_aside)?;
        group.set_aside.clear();
        Ok(())
    }

    /// Whether the state directory is as big as it may become; says so when that changes.
    fn is_full(&mut self) -> bool {
        let now = self.clock.now();
        if self
            .measured_at
            .is_some_and(|measured| now.since(measured) < MEASURE_PAUSE)
        {
            return self.full;
        }
        self.measured_at = Some(now);
        let bytes = self
            .queue
            .disk_bytes()
            .saturating_add(self.set_aside.bytes());
        let resume_below = self.disk_max / 10 * 9;
        let full = bytes
            >= if self.full {
                resume_below
            } else {
                self.disk_max
            };
        match (std::mem::replace(&mut self.full, full), full) {
            (false, true) => log::error!(
                "reading paused, the queue is full disk_bytes={bytes} disk_max={}",
                self.disk_max
            ),
            (true, false) => log::info!("reading resumed disk_bytes={bytes}"),
            _ => {}
        }
        full
    }

    fn until_next_look(&self) -> Duration {
        let now = self.clock.now();
        self.feeds
            .iter()
            .map(|following| following.look_at.since(now))
            .min()
            .unwrap_or(PAUSE)
    }
}

impl Group {
    fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX
    }

    /// The batch of the source called `name`.
    fn batch(&mut self, name: &Arc<str>) -> &mut SourceBatch {
        let index = match self.batches.iter().position(|batch| batch.source == *name) {
            Some(index) => index,
            None => {
                let (events, positions, forgotten) = (Vec::new(), Vec::new(), Vec::new());
                self.batches.push(SourceBatch {
                    source: Arc::clone(name),
                    events,
                    positions,
                    forgotten,
                    counts: SourceCounts::default(),
                });
                self.batches.len() - 1
            }
        };
        self.batches
            .get_mut(index)
            .expect("the batch was found or added")
    }

    /// Notes what a look found.
    fn note(&mut self, name: &Arc<str>, looked: Looked, report: &mut Report) {
        if !looked.positions.is_empty() || !looked.forgotten.is_empty() {
            let batch = self.batch(name);
            batch.forgotten.extend(looked.forgotten);
            looked
                .positions
                .into_iter()
                .for_each(|position| remember(batch, position));
        }
        for change in looked.changes {
            if matches!(
                change,
                Change::Vanished {
                    unread_bytes: Some(1..),
                    ..
                } | Change::Rewritten { gap_bytes: 1.., .. }
            ) {
                self.batch(name).counts.gaps += 1;
            }
            report.changed(&change);
        }
    }

    fn understand(&mut self, following: &mut Following, piece: Piece) {
        match piece {
            Piece::Lines(chunk) => self.understand_lines(following, &chunk),
            Piece::Oversized(oversized) => self.pass_over(following, oversized),
        }
    }

    /// A line too long to be one: counted, told and set aside without its bytes.
    fn pass_over(&mut self, following: &mut Following, oversized: Oversized) {
        let reason = format!(
            "a line of {} bytes is longer than line_max",
            oversized.bytes
        );
        let line = (oversized.line > 0).then_some(oversized.line);
        let place = place(&oversized.path, line, oversized.offset);
        following.report.set_aside(&place, &reason);
        self.rows += 1;
        self.set_aside.push(Entry {
            source: following.feed.name.to_string(),
            file: oversized.path.display().to_string(),
            line,
            offset: oversized.offset,
            column: None,
            reason,
            row: String::new(),
        });
        let batch = self.batch(&following.feed.name);
        batch.counts.rows += 1;
        batch.counts.rejected += 1;
        remember(batch, oversized.position);
    }

    fn understand_lines(&mut self, following: &mut Following, chunk: &Chunk) {
        let Following { feed, report, .. } = following;
        let (mut at, mut lines) = (0, 0);
        let (mut counts, mut events) = (SourceCounts::default(), Vec::new());
        while !self.is_full() && at < chunk.bytes.len() {
            let Some((understood, bytes, taken)) = feed.understand(chunk, at) else {
                break;
            };
            match understood {
                Understood::Event(event) if self.saved.contains(&event.id) => counts.repeated += 1,
                Understood::Event(event) => events.push(event),
                Understood::Early => counts.filtered += 1,
                Understood::Misfit(reject) => {
                    counts.rejected += 1;
                    let line = (chunk.line > 0).then(|| chunk.line + u64::from(lines));
                    let offset = chunk.offset + at as u64;
                    report.set_aside(&place(&chunk.path, line, offset), &reject.to_string());
                    let row = chunk.bytes.get(at..at + bytes).unwrap_or_default();
                    self.set_aside
                        .push(entry(&feed.name, chunk, line, offset, &reject, row));
                }
                Understood::Nothing => {}
            }
            at += bytes;
            lines += taken;
            self.bytes += bytes;
            self.rows += 1;
        }
        let position = feed.source.consumed(chunk.file, at, lines);
        if at > 0 {
            let told = events.len() as u64 + counts.repeated;
            counts.rows = told + counts.filtered + counts.rejected;
            let batch = self.batch(&feed.name);
            batch.events.append(&mut events);
            batch.counts.rows += counts.rows;
            batch.counts.rejected += counts.rejected;
            batch.counts.filtered += counts.filtered;
            batch.counts.repeated += counts.repeated;
            remember(batch, position);
        }
    }
}

/// What the first line, or lines, of some bytes came to.
#[derive(Debug)]
enum Understood {
    /// An event.
    Event(Event),
    /// A row of a time before the one that following begins at.
    Early,
    /// A row that does not fit.
    Misfit(Reject),
    /// A blank line or a header.
    Nothing,
}

impl Feed {
    /// Understands what begins `at` bytes into the chunk, and says how many bytes and lines that
    /// takes; `None` when a quote is open and more may follow.
    fn understand(&mut self, chunk: &Chunk, at: usize) -> Option<(Understood, usize, u32)> {
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let offset = chunk.offset + at as u64;
        let (record, bytes, lines) = match self.parser.next(rest, offset == 0, chunk.last) {
            Step::Record {
                record,
                bytes,
                lines,
            } => (record, bytes, lines),
            Step::Skipped { bytes, lines } => return Some((Understood::Nothing, bytes, lines)),
            Step::Rejected {
                reject,
                bytes,
                lines,
            } => return Some((Understood::Misfit(reject), bytes, lines)),
            Step::More => return None,
        };
        let raw = rest.get(..bytes).unwrap_or_default();
        let origin = Origin {
            first_row: &chunk.first_row,
            offset,
            raw,
        };
        let event = self.maker.make(&record, &self.format, origin);
        let understood = match self.start {
            Start::At(start) if event.time.unix < start => Understood::Early,
            _ if queue::accepts(&event) => Understood::Event(event),
            _ => Understood::Misfit(Reject::row(Problem::TooLong)),
        };
        Some((understood, bytes, lines))
    }
}

/// The position of a file is the last one found in a group.
fn remember(batch: &mut SourceBatch, position: FilePosition) {
    batch.positions.retain(|known| known.key != position.key);
    batch.positions.push(position);
}

fn entry(
    source: &str,
    chunk: &Chunk,
    line: Option<u64>,
    offset: u64,
    reject: &Reject,
    row: &[u8],
) -> Entry {
    Entry {
        source: source.to_owned(),
        file: chunk.path.display().to_string(),
        line,
        offset,
        column: reject.column.as_ref().map(|(column, _)| *column),
        reason: reject.to_string(),
        row: set_aside::row_text(row),
    }
}

/// A row's place for a message: the file's name, and its line or, where that is not known, offset.
fn place(path: &Path, line: Option<u64>, offset: u64) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    line.map_or_else(
        || format!("{name} at byte {offset}"),
        |line| format!("{name}:{line}"),
    )
}

#[cfg(test)]
mod tests;
