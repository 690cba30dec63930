//! Pump 1: source → parser → event → queue.
//!
//! One thread. Each pass is five named steps: look, read, understand, set aside, commit.
//!
//! **Crash argument.** A group of rows becomes durable in one commit: its events, the positions
//! behind them and the counts. Before it, nothing has moved on disk: after a crash the same rows
//! are read again and give the same event ids. A commit that fails is kept and tried again as it
//! is; nothing further is read meanwhile, so the files are the backlog. In a backlog the next group
//! is read while one is committed, and committed after it; see `ahead`.

mod again;
mod ahead;
mod alerts;
mod continued;
mod documents;
mod forget;
mod heartbeat;
mod intake;
mod lately;
mod looks;
mod mailbox;
mod overflow;
mod pause;
mod pushed;
mod recordings;
mod report;
mod reread;
mod set_aside;
mod status;
mod told;
mod unconfigured;

pub use alerts::{ALERTS_MAX, AlertBox, Alerts};
pub use documents::{After, Documents, watermark_name, watermark_of};
pub use forget::{Forgotten, forget, is_known};
pub use heartbeat::Heartbeat;
pub use intake::{InFolder, Intake};
pub use lately::{BySource, Lately};
pub use mailbox::{Exchange, Mailbox, MakeFeed, SourceStanding, Standing};
pub use pushed::{Pushed, Reading};
pub use recordings::Recordings;
pub use set_aside::{Entry, ROW_BYTES_MAX, SET_ASIDE_BYTES_MAX, SetAside};
pub use status::{SourceStatus, SourcesStatus};
pub use told::Told;
pub use unconfigured::KEPT_HOURS;

use crate::clock::{Clock, Moment, UnixMs};
use crate::derive::{Derive, Fate, Now};
use crate::event::{Event, EventId, Origin, Sequence};
use crate::parser::{Format, Parser, Problem, Reject, Step};
use crate::progress::{Progress, Pulse};
use crate::queue::{
    self, DiskLimits, Packed, Queue, QueueError, Room, Shortage, SourceBatch, SourceCounts,
    StateChange, WhenFull,
};
use crate::shutdown::{Bell, Shutdown};
use crate::source::{
    Change, Changed, Chunk, FileKey, FilePosition, FileStatus, Looked, Oversized, Piece, Source,
};
use crate::tap::{self, Seen, Tap};
use again::Again;
use continued::Continued;
use looks::Looks;
use mailbox::Ask;
use overflow::Overflow;
use pause::Pause;
use report::Report;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use unconfigured::Unconfigured;

/// Most rows of one commit, set aside or not: where the cost of the sync is spread thin enough
/// (measured with 541-byte events: 112,000 a second at 64 per commit, 407,000 at this number), and
/// some hundred kilobytes of memory.
pub const GROUP_ROWS_MAX: usize = 1_024;

/// Most bytes of one commit's rows and the events made of them, beside [`GROUP_ROWS_MAX`]: bounds
/// memory with wide rows.
pub const GROUP_BYTES_MAX: usize = 2 << 20;

/// Memory that reading takes at most, of the agent's budget: a group of [`GROUP_BYTES_MAX`] and a
/// row beyond it, the blocks packed of it, the batch they are written in, and what the database
/// holds of that until it is synced; beside it what a source has read and not yet given out. A group
/// that is read ahead, and packed, has what the one before it leaves of the first two of these.
pub const MEMORY_BYTES: usize = 4 * GROUP_BYTES_MAX + (2 << 20);

/// Bytes asked of a source at a time.
const READ_BYTES: usize = 128 << 10;

/// Time from one commit to the next while rows trickle in: at 1,000 rows/s each row would else have
/// a sync of its own; with this, four to six share one.
const COMMIT_PAUSE: RangeInclusive<Duration> = Duration::from_millis(4)..=Duration::from_millis(6);

/// What a row waits for its commit and the commit takes, together and on average, at most, where the
/// disk is quick enough for that: the 5 ms that the latency budget allows leave the rest to delivery.
const COMMITTED_WITHIN: Duration = Duration::from_millis(4);

/// Time from the beginning of one commit to that of the next while rows trickle in, when a commit
/// takes `took`: a row waits half of it on average.
fn commit_pause(took: Duration) -> Duration {
    (2 * COMMITTED_WITHIN.saturating_sub(took)).clamp(*COMMIT_PAUSE.start(), *COMMIT_PAUSE.end())
}

/// Commits in a row after which the next rows are looked for without a word of them: at hundreds of rows
/// a second every look finds some, and hearing of each change would cost as much as a look.
const SPARED_AFTER: u32 = 3;

/// Wait before a failed commit is tried again, and between looks at a disk that is full.
const PAUSE: Duration = Duration::from_secs(1);

/// Time between two questions for bytes that are to be read again.
const AGAIN_PAUSE: Duration = Duration::from_millis(500);

/// Time between two looks at whether dead letters have outlived their limits.
const OUTLIVED_PAUSE: Duration = Duration::from_secs(60);

/// Longest time between two passes where time alone may bring events.
const TICK_PAUSE: Duration = Duration::from_secs(1);

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
    /// What is told of a record, of several together, and of time alone.
    pub derive: Derive,
    /// Time between two looks when nothing calls for one.
    pub poll: Duration,
    /// It makes only events that still fit when reading pauses for the others.
    pub reserved: bool,
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
    is_complete: Arc<AtomicBool>,
    is_spared: Arc<AtomicBool>,
    bell: Bell,
    awaited: Arc<Notify>,
}

impl Hint {
    /// A hint that rings `bell`.
    pub fn new(bell: Bell) -> Hint {
        Hint {
            heard: Arc::new(Mutex::new(Changed::Nothing)),
            is_complete: Arc::new(AtomicBool::new(false)),
            is_spared: Arc::default(),
            bell,
            awaited: Arc::default(),
        }
    }

    /// Tells the pump whether all directories are watched, so that looking at them seldom is enough.
    pub fn is_complete(&self, is_complete: bool) {
        self.is_complete.store(is_complete, Ordering::Relaxed);
    }

    /// Tells the pump what was heard.
    pub fn give(&self, heard: Changed) {
        let mut untold = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = heard.max(*untold);
        drop(untold);
        self.bell.ring();
    }

    /// Whether the pump finds rows whenever it looks, and needs no word of more.
    pub fn is_spared(&self) -> bool {
        self.is_spared.load(Ordering::Relaxed)
    }

    /// Returns when the pump has begun to wait for a word since this returned last.
    pub async fn awaited(&self) {
        self.awaited.notified().await;
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
    /// The sources that are not lines of files.
    intakes: Vec<Box<dyn Intake>>,
    /// What is not lines of files went first into the last group; by turns.
    takes_first: bool,
    queue: Queue,
    set_aside: SetAside,
    clock: Arc<dyn Clock>,
    progress: Progress,
    pulse: Pulse,
    /// A group whose commit failed; it goes first.
    held: Option<Group>,
    /// Rows read while the group before them was committed; they go next. See [`ahead`].
    ahead: Option<Group>,
    /// How many passes have ended in a commit since the last that did not.
    in_a_row: u32,
    when_full: WhenFull,
    outlived_at: Option<Moment>,
    pause: Pause,
    overflow: Overflow,
    /// What others ask.
    mailbox: Option<Mailbox>,
    /// Where events can be watched.
    tap: Option<Arc<Tap>>,
    /// What is shown of the sources.
    shown: status::Shown,
    /// All directories are watched.
    is_watched: bool,
    /// Bytes that are being read once more.
    again: Option<Again>,
    /// When the queue was last asked for such bytes.
    again_asked_at: Option<Moment>,
    /// Events that were saved from damage and are not told again.
    saved: Arc<HashSet<EventId>>,
    /// What became of each source's latest rows.
    lately: BySource,
    /// For how long sources that the queue knows have not been configured.
    unconfigured: Unconfigured,
}

/// A feed, when it is looked at next, and what was said of it.
#[derive(Debug)]
struct Following {
    feed: Feed,
    look_at: Moment,
    looks: Looks,
    /// What is shown of its files, until something may be different.
    shown: Option<Arc<[FileStatus]>>,
    /// The queue has heard of the source.
    seen: bool,
    /// Every complete row there is has been read.
    caught_up: bool,
    /// Records that are whole as they stand and wait for lines that may continue them.
    continued: Continued,
    report: Report,
}

impl Following {
    fn new(feed: Feed, queue: &Queue, now: Moment) -> Following {
        Following {
            look_at: now,
            looks: Looks::none(now),
            shown: None,
            // Taken for known when that cannot be read: nothing is passed over then.
            seen: is_known(queue, &feed.name).unwrap_or(true),
            caught_up: false,
            continued: Continued::default(),
            report: Report::new(&feed.name),
            feed,
        }
    }

    /// Every remembered file. Taken anew only when something may be different: a year of hourly
    /// files costs some milliseconds.
    fn statuses(&mut self, now: Moment) -> Arc<[FileStatus]> {
        let source = &mut self.feed.source;
        let shown = self
            .shown
            .get_or_insert_with(|| source.statuses(now).into());
        Arc::clone(shown)
    }

    fn standing(&mut self, now: Moment) -> SourceStanding {
        let lag = self.feed.source.lag(now);
        SourceStanding {
            name: Arc::clone(&self.feed.name),
            files: lag.files,
            unread_bytes: lag.unread_bytes,
            partial_for: lag.partial_since.map(|since| now.since(since)),
            trouble: self.report.trouble_now().map(str::to_string),
            unreadable: self.report.unreadable_now(),
        }
    }

    /// Looks at the files, or where that would cost too much too often, at those that are open.
    fn look_as_due(&mut self, clock: &dyn Clock, is_watched: bool, group: &mut Group) {
        let (now, wall) = (clock.now(), clock.wall());
        self.look_at = now + self.feed.poll;
        let has_grown = self.feed.source.glance(wall);
        if self
            .looks
            .are_due(now, is_watched, !has_grown && self.feed.source.is_settled())
        {
            self.look(wall, group);
            self.looks.looked(now, clock.now());
            if self.feed.source.is_in_doubt() {
                self.look_at = self.look_at.min(self.looks.call());
            }
        }
    }

    fn look(&mut self, wall: UnixMs, group: &mut Group) {
        self.shown = None;
        match self.feed.source.look(wall) {
            Ok(looked) => {
                self.report.no_trouble();
                self.report.waiting(self.feed.source.waiting_long());
                if !self.seen && self.feed.source.is_placed() {
                    // Even with no file there: files that appear from now on are new ones.
                    self.seen = true;
                    group.batch(&self.feed.name);
                    group.state.push(forget::known(&self.feed.name));
                }
                group.note(&self.feed, looked, wall, &mut self.report);
            }
            Err(error) => self.report.trouble(&error),
        }
    }
}

/// What one commit will hold.
#[derive(Debug, Default)]
pub struct Group {
    /// Once some of it is packed, batches are only added, and events at the end of one.
    batches: Vec<SourceBatch>,
    set_aside: Vec<Entry>,
    /// What was packed of them while the group before was committed.
    packed: Packed,
    /// Small state that changes with it.
    state: Vec<StateChange>,
    rows: usize,
    bytes: usize,
    /// Bytes that another group holds, of the most that both may.
    bytes_elsewhere: usize,
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
    /// A pump from `feeds` into `queue`, whose directory is `state_dir`. The queue says when there
    /// is no room, by the same `limits`.
    ///
    /// # Errors
    ///
    /// When rows that do not fit would have nowhere to be kept, even if the disk had room. Nothing
    /// has been read then.
    pub fn new(
        feeds: Vec<Feed>,
        queue: Queue,
        state_dir: &Path,
        limits: &DiskLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Ingest, IngestError> {
        let set_aside = SetAside::open(state_dir, limits.set_aside_max()).map_err(|cause| {
            IngestError::SetAside {
                directory: state_dir.to_owned(),
                cause,
            }
        })?;
        let now = clock.now();
        let follow = |feed: Feed| Following::new(feed, &queue, now);
        let feeds = feeds.into_iter().map(follow).collect();
        let progress = Progress::default();
        // A head made anew from an older state has rows read again without a task for them.
        let saved = queue.saved_ids().unwrap_or_default();
        Ok(Ingest {
            pulse: progress.pulse("ingest"),
            progress,
            feeds,
            intakes: Vec::new(),
            takes_first: false,
            queue,
            set_aside,
            clock,
            held: None,
            ahead: None,
            in_a_row: 0,
            when_full: limits.when_full,
            outlived_at: None,
            pause: Pause::default(),
            overflow: Overflow::default(),
            mailbox: None,
            tap: None,
            shown: status::Shown::default(),
            is_watched: false,
            again: None,
            again_asked_at: None,
            saved,
            lately: BySource::new(),
            unconfigured: Unconfigured::default(),
        })
    }

    /// The same pump, fed by `intakes` too.
    pub fn with_intakes(mut self, intakes: Vec<Box<dyn Intake>>) -> Ingest {
        self.intakes = intakes;
        self
    }

    /// Answers what is left in `mailbox`, and shows events at `tap`.
    pub fn connect(&mut self, mailbox: Mailbox, tap: Arc<Tap>) {
        (self.mailbox, self.tap) = (Some(mailbox), Some(tap));
    }

    /// Whether the pump goes on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Pumps until `shutdown` is requested; `hint` and its bell tell when there is something new.
    pub fn run(&mut self, hint: &Hint, shutdown: &Shutdown) {
        while !shutdown.is_requested() {
            let began = self.clock.now();
            self.answer();
            self.pulse.due(began);
            self.is_watched = hint.is_complete.load(Ordering::Relaxed);
            let passed = self.pass(hint.take());
            hint.is_spared
                .store(self.glances_anyway(), Ordering::Relaxed);
            if passed != Passed::Paused && self.pass_again() {
                continue;
            }
            self.queue
                .expect_commit(matches!(passed, Passed::Full | Passed::Committed));
            match passed {
                Passed::Full => {}
                Passed::Committed => {
                    let took = self.clock.now().since(began);
                    shutdown.wait(commit_pause(took).saturating_sub(took));
                }
                Passed::Idle => {
                    let pause = self.until_next_look();
                    self.pulse.due(self.clock.now() + pause);
                    hint.awaited.notify_one();
                    hint.bell.wait(pause);
                }
                Passed::Paused => {
                    shutdown.wait(PAUSE);
                }
            }
        }
        self.queue.expect_commit(false);
    }

    /// Answers what others have asked since the last pass.
    fn answer(&mut self) {
        let Some(mailbox) = &self.mailbox else { return };
        // Rows of a group that is held, or read ahead, were taken from their sources, but are not
        // durable: a source that began anew now would read them a second time.
        for ask in mailbox.take(self.held.is_some() || self.ahead.is_some()) {
            // Whoever asked may have given up waiting.
            let _heard = match ask {
                Ask::Standing(sender) => sender.try_send(self.standing()).is_ok(),
                Ask::Exchange(exchange, sender) => sender.try_send(self.exchange(exchange)).is_ok(),
            };
        }
    }

    /// Whether open files are glanced at without a word of them: they have grown each time of late.
    fn glances_anyway(&self) -> bool {
        self.in_a_row >= SPARED_AFTER
    }

    fn standing(&mut self) -> Standing {
        let now = self.clock.now();
        Standing {
            sources: self
                .feeds
                .iter_mut()
                .map(|following| following.standing(now))
                .collect(),
            lately: self.lately.clone(),
            paused_by: self.pause.why(),
        }
    }

    /// Changes the sources. What is durable of them stays as it is.
    fn exchange(&mut self, exchange: Exchange) -> Result<(), String> {
        let added: Result<Vec<Feed>, QueueError> =
            exchange.added.into_iter().map(|make| make()).collect();
        let added = added.map_err(|error| error.to_string())?;
        let now = self.clock.now();
        let wall = self.clock.wall();
        let removed = |name: &Arc<str>| exchange.removed.contains(name);
        self.feeds
            .retain(|following| !removed(&following.feed.name));
        for Following { feed, .. } in &mut self.feeds {
            let mut reshared = exchange.reshared.iter();
            if let Some((_, share)) = reshared.find(|(name, _)| *name == feed.name) {
                feed.source.reshare(*share);
            }
        }
        // One that was changed is as silent as it was; one that is new is so from now on.
        let lately = std::mem::take(&mut self.lately).into_iter();
        let (before, kept): (BySource, BySource) = lately.partition(|(name, _)| removed(name));
        self.lately = kept;
        for feed in &added {
            let before = before.get(&feed.name);
            let name = Arc::clone(&feed.name);
            self.lately.insert(name, Lately::begun(wall, before));
        }
        self.unconfigured.reconfigured();
        let queue = &self.queue;
        self.feeds.extend(
            added
                .into_iter()
                .map(|feed| Following::new(feed, queue, now)),
        );
        Ok(())
    }

    /// What the pump shows of its sources, each second while it runs.
    pub fn status(&self) -> SourcesStatus {
        self.shown.status.clone()
    }

    /// Commits at most one group.
    ///
    /// The group is durable when this returns [`Passed::Full`] or [`Passed::Committed`]. A crash
    /// before costs nothing but reading the same rows again.
    pub fn pass(&mut self, heard: Changed) -> Passed {
        let passed = self.pass_once(heard);
        self.in_a_row = match passed {
            Passed::Committed => self.in_a_row.saturating_add(1),
            Passed::Full | Passed::Idle | Passed::Paused => 0,
        };
        passed
    }

    fn pass_once(&mut self, heard: Changed) -> Passed {
        let room = self.room();
        let was_ahead = self.held.is_none() && self.ahead.is_some();
        let mut group = match self.held.take() {
            Some(held) => held,
            None => {
                let mut begun = self.ahead.take().unwrap_or_else(|| self.new_group());
                begun.bytes_elsewhere = 0;
                let mut group = self.look(heard, room, begun);
                if !matches!(room, Room::ForNone(_)) {
                    // A backlog of files leaves no room in a group, and one of documents none either. Which
                    // goes first is decided by one that is begun: with one that was read ahead, and is
                    // full of files, it would always be the turn of the others.
                    self.takes_first ^= !was_ahead;
                    if self.takes_first {
                        self.take(heard, room, &mut group);
                        group = self.read(group, room);
                    } else {
                        group = self.read(group, room);
                        self.take(heard, room, &mut group);
                    }
                    self.derive(&mut group);
                }
                group
            }
        };
        match room {
            Room::ForAll => {}
            Room::ForReserved(_) => self.turn_away(|intake| !intake.has_reserved()),
            Room::ForNone(_) => self.turn_away(|_| true),
        }
        if let Room::ForNone(shortage) = room
            && (group.rows > 0 || shortage == Shortage::Ballast)
        {
            // What a look alone has found is written all the same: some hundred bytes.
            self.held = Some(group).filter(|group| !group.is_empty());
            return Passed::Paused;
        }
        if group.is_empty() {
            return match room {
                Room::ForNone(_) => Passed::Paused,
                Room::ForAll | Room::ForReserved(_) => Passed::Idle,
            };
        }
        let full = group.is_full();
        let reads_ahead = full && room == Room::ForAll && self.may_read_ahead(&group, was_ahead);
        match self.make_durable(&mut group, reads_ahead) {
            Ok(first) => {
                let now = self.clock.now();
                self.intakes
                    .iter_mut()
                    .for_each(|intake| intake.committed(now));
                self.note_committed(group, first);
                if room == Room::ForAll {
                    self.pause.end(self.clock.now());
                }
                match room {
                    Room::ForNone(_) => Passed::Paused,
                    _ if full => Passed::Full,
                    _ => Passed::Committed,
                }
            }
            Err(error) => {
                self.pause.failed(&error, self.clock.now());
                self.held = Some(group);
                self.turn_away(|_| true);
                Passed::Paused
            }
        }
    }

    /// What is pushed cannot wait in its file: those that are `meant` are told that nothing can be
    /// kept now.
    fn turn_away(&mut self, meant: impl Fn(&dyn Intake) -> bool) {
        let intakes = self.intakes.iter_mut();
        intakes
            .filter(|intake| meant(&***intake))
            .for_each(|intake| intake.turned_away());
    }

    /// Steps 2 and 3 for what is not lines of files.
    fn take(&mut self, heard: Changed, room: Room, group: &mut Group) {
        let at = intake::At {
            now: self.clock.now(),
            wall: self.clock.wall(),
            hinted: heard != Changed::Nothing,
            reserved_only: room != Room::ForAll,
        };
        let intakes = self.intakes.iter_mut();
        for intake in intakes.filter(|intake| !at.reserved_only || intake.has_reserved()) {
            intake.take(at, group);
        }
        if group.is_full() && !self.intakes.is_empty() {
            self.intakes.rotate_left(1);
        }
    }

    /// What is known now of rows that are durable.
    fn note_committed(&mut self, group: Group, first: Sequence) {
        let wall = self.clock.wall();
        for batch in &group.batches {
            let lately = self.lately.entry(Arc::clone(&batch.source)).or_default();
            lately.count(&batch.counts, wall);
        }
        let Some(tap) = self.tap.as_ref().filter(|tap| tap.is_watched()) else {
            return;
        };
        let events = group.batches.iter().flat_map(|batch| {
            let source = &batch.source;
            batch.events.iter().map(move |event| (source, event))
        });
        for (place, (source, event)) in (0..).zip(events) {
            tap.show(Seen::Event {
                source: Arc::clone(source),
                sequence: first.plus(place),
                event: tap::shown(event),
            });
        }
    }

    /// What there is room for; what goes to make some, and what there is to say about it.
    fn room(&mut self) -> Room {
        let now = self.clock.now();
        let mut room = self.queue.room(now);
        while self.when_full == WhenFull::DropOldest
            && let Room::ForReserved(Shortage::DiskMax { .. })
            | Room::ForNone(Shortage::DiskMax { .. }) = room
        {
            match self.queue.drop_oldest() {
                Ok(Some(dropped)) => {
                    self.overflow.dropped(&dropped, now);
                    room = self.queue.room(now);
                }
                // Too little to drop, or it cannot be written: what is left is to wait.
                Ok(None) | Err(_) => break,
            }
        }
        self.overflow.tell(now);
        self.remove_outlived(now);
        // A pause after a failed commit ends with one that succeeds.
        if room != Room::ForAll || self.held.is_none() {
            self.pause.heard(room, now);
        }
        room
    }

    fn remove_outlived(&mut self, now: Moment) {
        let is_due = self
            .outlived_at
            .is_none_or(|at| now.since(at) >= OUTLIVED_PAUSE);
        if is_due {
            self.outlived_at = Some(now);
            if let Err(error) = self.queue.remove_outlived(self.clock.wall()) {
                log::debug!("dead letters not removed error={:?}", chain(&error));
            }
        }
    }

    /// Steps 4 and 5; where it `reads_ahead`, steps 2 and 3 of the next group meanwhile.
    fn make_durable(&mut self, group: &mut Group, reads_ahead: bool) -> Result<Sequence, String> {
        self.keep_rejects(group)
            .map_err(|error| format!("cannot set rows aside: {error}"))?;
        let packed = std::mem::take(&mut group.packed);
        let committed = match reads_ahead {
            true => self.commit_reading_ahead(group, packed),
            false => self
                .queue
                .commit_packed(&group.batches, packed, &group.state),
        };
        committed
            .map(|committed| committed.first)
            .map_err(|error| chain(&error))
    }

    /// Reads some rows again that the queue has lost to damage; asks it for such rows now and then.
    fn pass_again(&mut self) -> bool {
        let now = self.clock.now();
        let asked_lately = |asked: Moment| now.since(asked) < AGAIN_PAUSE;
        if self.again.is_none() && self.again_asked_at.is_some_and(asked_lately) {
            return false;
        }
        let more = self.read_again();
        self.again_asked_at = (!more).then_some(now);
        more
    }

    fn new_group(&self) -> Group {
        Group {
            saved: Arc::clone(&self.saved),
            ..Group::default()
        }
    }

    /// Step 1: looks at the files of every source that is due, or glances at what has grown.
    fn look(&mut self, heard: Changed, room: Room, mut group: Group) -> Group {
        let now = self.clock.now();
        let wall = self.clock.wall();
        let mut grown = false;
        if heard == Changed::Content || self.glances_anyway() {
            for following in &mut self.feeds {
                if following.feed.source.glance(wall) {
                    grown = true;
                    following.shown = None;
                }
            }
        }
        // Something happened that no open file explains. Looks are spaced even so: a directory
        // in which names change all the time must not cost more than one that is quiet.
        let (feeds, intakes) = (&mut self.feeds, &self.intakes);
        self.shown.update(now, || {
            let status = |following: &mut Following| SourceStatus {
                name: Arc::clone(&following.feed.name),
                taken_at: wall,
                files: following.statuses(now),
                folder: None,
            };
            let folders = intakes.iter().filter_map(|intake| intake.folder());
            let of_folder = |it: InFolder| SourceStatus {
                name: Arc::clone(&it.source),
                taken_at: wall,
                files: Arc::default(),
                folder: Some(Arc::new(it)),
            };
            let followed = feeds.iter_mut().map(status);
            followed.chain(folders.map(of_folder)).collect()
        });
        let calls = heard == Changed::Names || (heard == Changed::Content && !grown);
        let has_room = !matches!(room, Room::ForNone(_));
        for following in &mut self.feeds {
            following.feed.source.set_room_to_keep(has_room);
            if calls {
                following.look_at = following.look_at.min(following.looks.call());
            }
            if now >= following.look_at {
                following.look_as_due(&*self.clock, self.is_watched, &mut group);
            }
            following.report.tell(now);
        }
        group
    }

    /// Steps 2 and 3: reads complete lines and turns them into events, source by source.
    fn read(&mut self, mut group: Group, room: Room) -> Group {
        if group.is_full() {
            return group;
        }
        let now = self.now();
        for following in &mut self.feeds {
            following.caught_up = false;
        }
        let may_read = |feed: &Feed| feed.reserved || room == Room::ForAll;
        for following in self
            .feeds
            .iter_mut()
            .filter(|following| may_read(&following.feed))
        {
            following.wait_no_longer(now);
            while !group.is_full() {
                match following.feed.source.read(READ_BYTES) {
                    Ok(Some(piece)) => {
                        following.shown = None;
                        group.understand(following, piece, now);
                    }
                    Ok(None) => {
                        following.caught_up = true;
                        break;
                    }
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

    /// Adds what time alone brings, and what changed of the state that events were made with.
    fn derive(&mut self, group: &mut Group) {
        let now = self.now();
        for following in &mut self.feeds {
            let Feed { name, derive, .. } = &mut following.feed;
            if derive.needs_ticks() {
                let mut told = Vec::new();
                derive.tick(now, following.caught_up, &mut told);
                if !told.is_empty() {
                    let batch = group.batch(name);
                    batch.counts.derived += told.len() as u64;
                    batch.events.append(&mut told);
                }
            }
            derive.take_changes(&mut group.state);
            following.report.forgotten(derive.take_forgotten());
        }
        let (feeds, intakes) = (&self.feeds, &self.intakes);
        let is_configured = |name: &str| {
            feeds.iter().any(|following| *following.feed.name == *name)
                || intakes.iter().any(|intake| intake.is_source(name))
        };
        let state = &mut group.state;
        let counted = self
            .unconfigured
            .count(&self.queue, now.moment, is_configured, state);
        if let Err(error) = counted {
            log::debug!(
                "sources not configured are not counted error={:?}",
                chain(&error)
            );
        }
    }

    fn now(&self) -> Now {
        Now {
            moment: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    /// Step 4: keeps the rows that did not fit, before their positions are committed.
    fn keep_rejects(&mut self, group: &mut Group) -> io::Result<()> {
        self.set_aside.add(&group.set_aside)?;
        for entry in group.set_aside.drain(..) {
            let lately = self.lately.entry(entry.source.as_str().into()).or_default();
            lately.set_aside(&entry);
        }
        Ok(())
    }

    fn until_next_look(&self) -> Duration {
        let now = self.clock.now();
        let due = |following: &Following| {
            let look = following.look_at.since(now);
            if !following.continued.is_empty() || following.feed.derive.needs_ticks() {
                look.min(TICK_PAUSE)
            } else {
                look
            }
        };
        let takes = self.intakes.iter().map(|intake| intake.due(now).since(now));
        self.feeds
            .iter()
            .map(due)
            .chain(takes)
            .min()
            .unwrap_or(PAUSE)
    }
}

impl Group {
    /// Whether there is nothing to commit.
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.state.is_empty()
    }

    fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS_MAX || self.bytes + self.bytes_elsewhere >= GROUP_BYTES_MAX
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
    fn note(&mut self, feed: &Feed, looked: Looked, wall: UnixMs, report: &mut Report) {
        let name = &feed.name;
        if !looked.positions.is_empty() || !looked.forgotten.is_empty() {
            let batch = self.batch(name);
            let is_forgotten = |position: &FilePosition| looked.forgotten.contains(&position.key);
            // Rows that were read ahead, before this look, may have one.
            batch.positions.retain(|known| !is_forgotten(known));
            batch.forgotten.extend(looked.forgotten);
            looked
                .positions
                .into_iter()
                .for_each(|position| remember(batch, position));
        }
        for change in looked.changes {
            report.changed(&change);
            if let Change::Gap(gap) = change {
                // In one commit with the position that passes over what is lost.
                let event = feed.derive.gap(&gap, wall);
                let batch = self.batch(name);
                batch.counts.gaps += 1;
                batch.counts.derived += 1;
                batch.events.push(event);
            }
        }
    }

    fn understand(&mut self, following: &mut Following, piece: Piece, now: Now) {
        match piece {
            Piece::Lines(chunk) => self.understand_lines(following, &chunk, now),
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
            row_base64: None,
        });
        let batch = self.batch(&following.feed.name);
        batch.counts.rows += 1;
        batch.counts.rejected += 1;
        remember(batch, oversized.position);
    }

    fn understand_lines(&mut self, following: &mut Following, chunk: &Chunk, now: Now) {
        if following.goes_back_before(chunk.file) {
            return;
        }
        let Following { feed, report, .. } = following;
        let (mut at, mut lines) = (0, 0);
        let (mut counts, mut events) = (SourceCounts::default(), Vec::new());
        let is_over = following.continued.is_over(chunk.file);
        feed.parser.set_circumstances(now.wall, is_over);
        let saved = Arc::clone(&self.saved);
        while !self.is_full() && at < chunk.bytes.len() {
            let before = events.len();
            let understood = feed.understand(chunk, at, now, &saved, &mut events);
            let Some((understood, bytes, taken)) = understood else {
                break;
            };
            understood.count(events.len() - before, &mut counts);
            let told = events.iter().skip(before);
            self.bytes += told.map(|event| event.data.len()).sum::<usize>();
            if let Understood::Row(Fate::Misfit(reject)) = understood {
                let line = (chunk.line > 0).then(|| chunk.line + u64::from(lines));
                let offset = chunk.offset + at as u64;
                report.set_aside(&place(&chunk.path, line, offset), &reject.to_string());
                let row = chunk.bytes.get(at..at + bytes).unwrap_or_default();
                self.set_aside
                    .push(entry(&feed.name, chunk, line, offset, &reject, row));
            }
            at += bytes;
            lines += taken;
            self.bytes += bytes;
            self.rows += 1;
        }
        if let Some((count, at)) = feed.parser.take_doubtful() {
            report.doubtful(&chunk.path, at, count);
        }
        let position = feed.source.consumed(chunk.file, at, lines);
        if at > 0 {
            let before = events.len();
            if counts.rows > 0 {
                feed.derive.rows_came(now, &mut events);
            }
            counts.derived += (events.len() - before) as u64;
            let batch = self.batch(&feed.name);
            batch.events.append(&mut events);
            batch.counts.rows += counts.rows;
            batch.counts.derived += counts.derived;
            batch.counts.rejected += counts.rejected;
            batch.counts.filtered += counts.filtered;
            batch.counts.repeated += counts.repeated;
            batch.counts.joined += counts.joined;
            remember(batch, position);
        }
        following.note_waiting(chunk, at, now.moment);
    }
}

/// What the first line, or lines, of some bytes came to.
#[derive(Debug, PartialEq, Eq)]
enum Understood {
    /// A row, and what became of it.
    Row(Fate),
    /// A blank line or a header.
    Nothing,
}

impl Understood {
    /// Counts a row of which `made` events were made.
    fn count(&self, made: usize, counts: &mut SourceCounts) {
        let Understood::Row(fate) = self else {
            return;
        };
        counts.rows += 1;
        counts.derived += made as u64;
        match fate {
            // One of the events stands for the row.
            Fate::Told => counts.derived -= 1,
            Fate::Filtered => counts.filtered += 1,
            Fate::Repeated => counts.repeated += 1,
            Fate::Joined => counts.joined += 1,
            Fate::Misfit(_) => counts.rejected += 1,
        }
    }
}

impl Following {
    /// Takes in that of `chunk` only the first `at` bytes were understood: where a record waits for
    /// lines that may continue it, it does so for a while only.
    fn note_waiting(&mut self, chunk: &Chunk, at: usize, now: Moment) {
        if !self.feed.parser.format().may_continue() {
            return;
        }
        let waits = at < chunk.bytes.len();
        self.continued.note(chunk.file, waits, at > 0, now);
    }

    /// Whether records of files that made way for a newer one have waited for more until lines of
    /// `newer` came: they are handed out now, and those lines again behind them.
    fn goes_back_before(&mut self, newer: FileKey) -> bool {
        let source = &mut self.feed.source;
        let ended = self
            .continued
            .end_before(newer, |file| source.has_made_way(file));
        if ended.is_empty() {
            return false;
        }
        source.consumed(newer, 0, 0);
        for file in ended.into_iter().chain([newer]) {
            source.hand_out_again(file);
        }
        true
    }

    /// Has records that have waited enough handed out again.
    fn wait_no_longer(&mut self, now: Now) {
        let source = &mut self.feed.source;
        self.continued
            .end(now.moment, |file| source.hand_out_again(file));
    }
}

impl Feed {
    /// Understands what begins `at` bytes into the chunk, adds what it tells to `events` unless that
    /// was `saved` from damage, and says how many bytes and lines that takes; `None` when it is not
    /// whole and more may follow.
    fn understand(
        &mut self,
        chunk: &Chunk,
        at: usize,
        now: Now,
        saved: &HashSet<EventId>,
        events: &mut Vec<Event>,
    ) -> Option<(Understood, usize, u32)> {
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let offset = chunk.offset + at as u64;
        let (record, bytes, lines) = match self.parser.next(rest, offset == 0, chunk.last) {
            Step::Record {
                record,
                bytes,
                lines,
            } => (record, bytes, lines),
            Step::Skipped { bytes, lines } => return Some((Understood::Nothing, bytes, lines)),
            Step::Unwanted { bytes, lines } => {
                return Some((Understood::Row(Fate::Filtered), bytes, lines));
            }
            Step::Rejected {
                reject,
                bytes,
                lines,
            } => return Some((Understood::Row(Fate::Misfit(reject)), bytes, lines)),
            Step::More => return None,
        };
        let raw = rest.get(..bytes).unwrap_or_default();
        let origin = Origin {
            first_row: &chunk.first_row,
            offset,
            raw: lasting(&self.format, raw),
        };
        let before = events.len();
        let mut fate = self.derive.take(&record, &self.format, origin, now, events);
        let fits = events.iter().skip(before).all(queue::accepts);
        if !fits {
            events.truncate(before);
            fate = Fate::Misfit(Reject::row(Problem::TooLong));
        }
        if !saved.is_empty() {
            let mut made = events.split_off(before);
            made.retain(|event| !saved.contains(&event.id));
            events.append(&mut made);
        }
        if fate == Fate::Told && events.len() == before {
            fate = Fate::Repeated;
        }
        Some((Understood::Row(fate), bytes, lines))
    }
}

/// What of a record of `format` its event's id is made of. How many lines continue a line may
/// depend on when it was read; its id must not.
pub fn lasting<'r>(format: &Format, raw: &'r [u8]) -> &'r [u8] {
    if !format.may_continue() {
        return raw;
    }
    let end = memchr::memchr(b'\n', raw).map_or(raw.len(), |end| end + 1);
    raw.get(..end).unwrap_or(raw)
}

/// The position of a file is the last one found in a group.
fn remember(batch: &mut SourceBatch, position: FilePosition) {
    batch.positions.retain(|known| known.key != position.key);
    batch.positions.push(position);
}

/// An error with its causes, as one text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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
        row_base64: None,
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
