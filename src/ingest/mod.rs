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
mod feed;
mod following;
mod forget;
mod group;
mod heartbeat;
mod hint;
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
pub use feed::{Feed, lasting};
pub use forget::{Forgotten, forget, is_known};
pub use group::{GROUP_BYTES_MAX, GROUP_ROWS_MAX, Group};
pub use heartbeat::Heartbeat;
pub use hint::Hint;
pub use intake::{InFolder, Intake};
pub use lately::{BySource, Lately};
pub use mailbox::{Exchange, Mailbox, MakeFeed, SourceStanding, Standing};
pub use pushed::{Pushed, Reading};
pub use recordings::Recordings;
pub use set_aside::{Entry, ROW_BYTES_MAX, SET_ASIDE_BYTES_MAX, SetAside};
pub use status::{SourceStatus, SourcesStatus};
pub use told::Told;
pub use unconfigured::KEPT_HOURS;

use crate::clock::{Clock, Moment};
use crate::derive::Now;
use crate::event::{EventId, Sequence};
use crate::progress::{Progress, Pulse};
use crate::queue::{DiskLimits, Queue, QueueError, Room, Shortage, WhenFull};
use crate::shutdown::Shutdown;
use crate::source::Changed;
use crate::tap::{self, Seen, Tap};
use again::Again;
use following::Following;
use mailbox::Ask;
use overflow::Overflow;
use pause::Pause;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use unconfigured::Unconfigured;

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
            self.is_watched = hint.watches_all();
            let passed = self.pass(hint.take());
            hint.spare(self.glances_anyway());
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
                    hint.wait(pause);
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

/// An error with its causes, as one text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
