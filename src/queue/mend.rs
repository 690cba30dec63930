//! Mend: what is done about a store that is not as it was written.
//!
//! # The ladder
//!
//! 1. The generation is opened as it is.
//! 2. It is opened without the database's own snapshots, which are made anew.
//! 3. What can be read of it is copied into a fresh generation: its blocks, and the small state
//!    from wherever it is known furthest: from itself, from the side checkpoint, from the sealed
//!    generation before it. The damaged directory is set aside.
//! 4. With none of those, the queue begins anew; the sources' own `start` decides what is read.
//!
//! An older generation is mended when it is first read: its readable blocks are copied, the rest
//! of it becomes a [void](super::void).
//!
//! What was lost is known by its sequences, and by the bytes of the switch's files it was made
//! of (see [`coverage`](super::coverage)); those are read again, and their events come anew with
//! the same ids. Events that were saved are not told a second time.
//!
//! # Crash argument
//!
//! A fresh head counts only with its meta, which is written and synced last; before that the
//! damaged one is found again and mended again. A mended older generation lies beside the damaged
//! one until the voids are durable in the head, and takes its name in two steps that
//! [`row::list`] finishes. Nothing is ever removed before what replaces it is on disk.

use super::checkpoint::Rows;
use super::coverage::{Covered, Entry};
use super::error::QueueError;
use super::generation::{self, Generation, Writes};
use super::meta::{Meta, MetaError, Standing};
use super::salvage::{self, Salvage};
use super::state::State;
use super::void::{VOIDS_MAX, Void, VoidCause};
use super::write::Writer;
use super::{Queue, key, locked, quarantine, row};
use crate::event::{EventId, Sequence};
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sequences that are passed over when it is not certain how many had been given out: more than
/// are committed between two checkpoints (at most 407,000 a second, measured).
pub(super) const SEQUENCES_PASSED_OVER: u64 = 1 << 20;

/// Most reports of mending that are kept in memory; all are logged.
pub const MENDED_MAX: usize = 64;

/// Most voids and files of one report that are logged, each on a line.
const LINES_MAX: usize = 20;

/// Most bytes of rows copied in one batch: half a segment of the database's log.
const COPY_BYTES: usize = 256 << 10;

/// Where a store lies, and what it may do there.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The state directory.
    pub(super) directory: PathBuf,
    /// Where the queue's generations are.
    pub(super) parent: PathBuf,
    /// Bytes that damaged directories set aside may take together.
    pub(super) quarantine_max: u64,
}

/// What was done about a damaged generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The generation: its directory's number under `queue/`.
    pub generation: u32,
    /// What was found.
    pub found: String,
    /// How it was mended.
    pub remedy: Remedy,
    /// Where the damaged directories are now; without those too big for `quarantine_max`.
    pub set_aside: Vec<PathBuf>,
    /// Events that were saved.
    pub saved: u64,
    /// Sequences without an event from now on.
    pub voids: Vec<Void>,
    /// Bytes of the switch's files that are read again.
    pub again: Vec<Covered>,
    /// Events that waited for their own retry and are not there any more.
    pub waiting_lost: u64,
}

/// How a damaged generation was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Opened without the database's snapshots; nothing is lost.
    WithoutSnapshot,
    /// Its readable blocks were copied; the small state is its own.
    Copied,
    /// The small state is that of the side checkpoint.
    Checkpoint,
    /// The small state is that of an older generation when it was sealed: what came after is read
    /// again.
    Sealed(u32),
    /// Nothing is known: the queue begins anew.
    Anew,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithoutSnapshot => f.write_str("opened without its snapshot"),
            Self::Copied => f.write_str("copied what can be read"),
            Self::Checkpoint => f.write_str("made anew from the checkpoint"),
            Self::Sealed(number) => write!(f, "made anew from generation {number:08}"),
            Self::Anew => f.write_str("begun anew, nothing is known of it"),
        }
    }
}

impl Mended {
    /// A generation that only its snapshots stood in the way of.
    pub(super) fn without_snapshot(generation: u32, found: &QueueError) -> Mended {
        Mended::new(generation, found.to_string(), Remedy::WithoutSnapshot)
    }

    fn new(generation: u32, found: String, remedy: Remedy) -> Mended {
        Mended {
            generation,
            found,
            remedy,
            set_aside: Vec::new(),
            saved: 0,
            voids: Vec::new(),
            again: Vec::new(),
            waiting_lost: 0,
        }
    }

    /// How many events were lost.
    pub fn lost(&self) -> u64 {
        let lost = self
            .voids
            .iter()
            .filter(|void| void.cause == VoidCause::Lost);
        lost.map(Void::len).sum()
    }

    /// The report, the end of a line each, the first of them the summary. At most some forty lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            " generation={:08} saved={} lost={} waiting_lost={} remedy=\"{}\" found={:?}",
            self.generation,
            self.saved,
            self.lost(),
            self.waiting_lost,
            self.remedy,
            self.found,
        )];
        let set_aside = self.set_aside.iter();
        lines.extend(set_aside.map(|path| {
            format!(
                ", damaged generation set aside directory={}",
                path.display()
            )
        }));
        let void = |void: &Void| {
            let last = Sequence(void.end.0.saturating_sub(1));
            format!(", events {} first={} last={last}", void.cause, void.first)
        };
        let again = |covered: &Covered| {
            let (source, path) = (&covered.source, &covered.origin.path);
            match covered.wholes() {
                Some(wholes) => {
                    let count = wholes.count;
                    format!(", files read again source={source} count={count} one={path:?}")
                }
                None => format!(
                    ", read again source={source} file={path:?} from={} to={}",
                    covered.origin.offset, covered.to
                ),
            }
        };
        bounded(&mut lines, self.voids.iter().map(void), "voids");
        bounded(&mut lines, self.again.iter().map(again), "files");
        if self.lost() > 0 {
            lines.push(NOT_AGAIN.to_string());
        }
        lines
    }

    fn tell(&self) {
        for line in self.lines() {
            log::error!("store mended{line}");
        }
    }
}

/// What is said where events were lost: that not all of them come again, and which do not.
const NOT_AGAIN: &str = ", events lost come again only as far as they are of the files above; what was pushed (http, udp), and what documents told that were removed or moved since, cannot be read again";

fn bounded(lines: &mut Vec<String>, all: impl ExactSizeIterator<Item = String>, what: &str) {
    let beyond = all.len().saturating_sub(LINES_MAX);
    lines.extend(all.take(LINES_MAX));
    if beyond > 0 {
        lines.push(format!(", and {beyond} more {what}"));
    }
}

/// A generation that is above every whole one.
#[derive(Debug)]
struct Victim {
    number: u32,
    salvage: Salvage,
}

/// A small state to make a new head from.
#[derive(Debug)]
struct Base {
    remedy: Remedy,
    /// The generation that was the head then.
    head: u32,
    meta: Meta,
    rows: Rows,
}

/// What was found from the newest generation down to the first whole one.
#[derive(Debug)]
struct Ruin {
    /// Newest first.
    victims: Vec<Victim>,
    /// The newest generation of all; 0 without any.
    newest: u32,
    /// What the small state can be taken from.
    bases: Vec<Base>,
    /// The sequence behind the last event known of.
    next: Sequence,
    /// What the checkpoint says of the next event, when it was written at an orderly stop.
    closed_at: Option<Sequence>,
}

impl Base {
    /// The side checkpoint, when it can be read.
    fn checkpoint(site: &Site) -> Option<Base> {
        let rows = Rows::read(&site.directory)?;
        Some(Base {
            remedy: Remedy::Checkpoint,
            head: rows.head()?,
            meta: rows.meta()?,
            rows,
        })
    }

    /// The first sequence of the head that is made from it.
    fn first(&self) -> Sequence {
        match self.remedy {
            Remedy::Sealed(_) => self.meta.next,
            _ => self.meta.first,
        }
    }
}

/// Makes a new head from what is left of the newest generations: rungs 3 and 4 of the ladder.
/// `last_burial` is the last one of which there are dead letters.
///
/// Returns what was done, and the ids of the events that were saved.
///
/// # Errors
///
/// [`QueueError::NewerVersion`] with everything untouched; [`QueueError::Disk`], after which the
/// same is found, and done, again.
pub(super) fn rebuild(
    site: &Site,
    node: &str,
    found: &QueueError,
    last_burial: u64,
) -> Result<(Mended, HashSet<EventId>), QueueError> {
    let mut ruin = examine(site, node)?;
    let known_furthest = |base: &Base| (base.meta.next, base.head, base.remedy == Remedy::Copied);
    ruin.bases.sort_by_key(known_furthest);
    let base = ruin.bases.pop();
    let mut saved = Salvage::default();
    for victim in &mut ruin.victims {
        saved.blocks.append(&mut victim.salvage.blocks);
    }
    let first = match &base {
        Some(base) => base.first(),
        None => saved.first().unwrap_or(ruin.next),
    };
    saved.confine(first..Sequence(u64::MAX));
    let head = base.as_ref().map_or(0, |base| base.head);
    let fresh = Generation::create(&site.parent, head.max(ruin.newest) + 1)?;
    let remedy = base.as_ref().map_or(Remedy::Anew, |base| base.remedy);
    let mut mended = Mended::new(ruin.newest, found.to_string(), remedy);
    mended.saved = saved.events();
    build(
        site,
        &ruin,
        base,
        first,
        &saved,
        (node, last_burial),
        &fresh,
        &mut mended,
    )?;
    drop(fresh);
    for victim in &ruin.victims {
        let directory = generation::directory(&site.parent, victim.number);
        mended
            .set_aside
            .extend(quarantine::set_aside(&directory, site.quarantine_max)?);
    }
    Ok((mended, saved.ids()))
}

/// Looks at the generations from the newest down to the first that is sealed and whole.
fn examine(site: &Site, node: &str) -> Result<Ruin, QueueError> {
    let numbers = row::list(&site.parent)?;
    let mut ruin = Ruin {
        victims: Vec::new(),
        newest: numbers.last().copied().unwrap_or(0),
        bases: Vec::new(),
        next: Sequence::FIRST,
        closed_at: None,
    };
    for &number in numbers.iter().rev() {
        let mut salvage = Salvage::default();
        let directory = generation::directory(&site.parent, number);
        let generation = match salvage::open(&directory, number) {
            Err(QueueError::Damaged { .. }) => {
                ruin.victims.push(Victim { number, salvage });
                continue;
            }
            opened => opened?,
        };
        let mut sealed = false;
        if let Some(meta) = meta_of(&generation)? {
            ruin.next = ruin.next.max(meta.next);
            sealed = meta.standing == Standing::Sealed;
            let remedy = if sealed {
                Remedy::Sealed(number)
            } else {
                Remedy::Copied
            };
            if let Some(base) = base_of(site, &generation, meta, node, remedy)? {
                ruin.bases.push(base);
            } else {
                sealed = false;
            }
        }
        if sealed {
            break;
        }
        salvage.collect(&generation, Sequence(0)..Sequence(u64::MAX));
        ruin.next = ruin.next.max(salvage.end().unwrap_or(ruin.next));
        ruin.victims.push(Victim { number, salvage });
    }
    if let Some(checkpoint) = Base::checkpoint(site) {
        ruin.next = ruin.next.max(checkpoint.meta.next);
        ruin.closed_at =
            (checkpoint.meta.standing == Standing::Closed).then_some(checkpoint.meta.next);
        ruin.bases.push(checkpoint);
    }
    Ok(ruin)
}

/// What a damaged generation says about itself, when that can be read.
fn meta_of(generation: &Generation) -> Result<Option<Meta>, QueueError> {
    match generation.get(key::META) {
        Ok(Some(value)) => match Meta::decode(&value) {
            Ok(meta) => Ok(Some(meta)),
            Err(MetaError::Newer(found)) => Err(QueueError::NewerVersion { found }),
            Err(MetaError::Damaged) => Ok(None),
        },
        Ok(None) | Err(QueueError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A generation's small state, when all of it can be read.
fn base_of(
    site: &Site,
    generation: &Generation,
    meta: Meta,
    node: &str,
    remedy: Remedy,
) -> Result<Option<Base>, QueueError> {
    let read =
        State::load(&site.parent, generation, &meta, node).and_then(|_| Rows::of(generation));
    match read {
        Ok(rows) => Ok(Some(Base {
            remedy,
            head: generation.number(),
            meta,
            rows,
        })),
        Err(QueueError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fills the new head, in whose sequence `saved` stands from `first` on. When this returns it is
/// on disk and counts.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of rebuild, apart only for its length"
)]
fn build(
    site: &Site,
    ruin: &Ruin,
    base: Option<Base>,
    first: Sequence,
    saved: &Salvage,
    (node, last_burial): (&str, u64),
    fresh: &Generation,
    mended: &mut Mended,
) -> Result<(), QueueError> {
    let next = ruin.next.max(first).max(saved.end().unwrap_or(first));
    let is_certain = ruin.closed_at == Some(next)
        // A head's own meta comes with every commit: it says what was given out last.
        || base.as_ref().is_some_and(|base| base.remedy == Remedy::Copied && base.meta.next == next);
    let end = if is_certain {
        next
    } else {
        next.plus(SEQUENCES_PASSED_OVER)
    };
    let burials = base.as_ref().map_or(0, |base| base.meta.burials);
    let mut rows = Rows::default();
    if let Some(base) = base {
        let sealed = matches!(base.remedy, Remedy::Sealed(_));
        let entry = Entry {
            first: base.meta.first,
            covered: Vec::new(),
        };
        rows = base.rows;
        if sealed {
            // Where its files stood is of the sealed generation, not of the one that follows.
            rows.0.retain(|key, _| !key.starts_with(key::ORIGINS));
            let mut writes = Writes::default();
            writes.put(&key::generation(base.head), &entry.encode());
            fresh.apply(writes)?;
        }
    }
    rows.0
        .retain(|key, _| key != key::META && !Rows::is_head(key));
    copy(fresh, rows.0.into_iter())?;
    let mut blocks = Writes::default();
    for (&first, (_, value)) in &saved.blocks {
        blocks.put(&key::block(first), value);
        if blocks.bytes() >= COPY_BYTES {
            fresh.apply(std::mem::take(&mut blocks))?;
        }
    }
    fresh.apply(blocks)?;
    let mut meta = Meta {
        node: node.to_owned(),
        first,
        next: end,
        burials: burials.max(last_burial),
        carried_bytes: 0,
        standing: Standing::Open,
    };
    let (mut state, _) = State::load(&site.parent, fresh, &meta, node)?;
    state.next = end;
    for hole in saved.holes(first..next) {
        for run in state.voids.uncovered(hole) {
            mended.voids.push(void(run, VoidCause::Lost));
        }
    }
    if end > next {
        mended.voids.push(void(next..end, VoidCause::Unused));
    }
    let covered = state.coverage.covered();
    let mut writes = give_up(&mut state, &mended.voids, covered, &mut mended.again);
    for (name, endpoint) in &mut state.endpoints {
        let mut totals = endpoint.totals(name, end, &state.voids);
        totals.recalled = state.recalls.get(name).map_or(0, |it| it.recalled);
        endpoint.lose(totals.unaccounted());
        mended.waiting_lost += totals.unaccounted();
        writes.put(&key::endpoint(name), &endpoint.encode());
    }
    meta.carried_bytes = fresh.file_bytes();
    writes.put(key::META, &meta.encode());
    fresh.write(writes)
}

fn void(run: Range<Sequence>, cause: VoidCause) -> Void {
    Void {
        first: run.start,
        end: run.end,
        cause,
    }
}

/// Takes voids into the state, and has the bytes they were made of read again where an endpoint
/// is still to have some of their events. Returns what is to be written.
fn give_up(
    state: &mut State,
    voids: &[Void],
    covered: Vec<Covered>,
    again: &mut Vec<Covered>,
) -> Writes {
    let mut writes = Writes::default();
    let lost = voids.iter().filter(|void| void.cause == VoidCause::Lost);
    let last_lost = lost.map(|void| void.end).max();
    let cursors = state
        .endpoints
        .values()
        .map(super::endpoint::Endpoint::cursor);
    let oldest = cursors.min().unwrap_or(Sequence::FIRST);
    if last_lost.is_some_and(|end| oldest < end) {
        for covered in covered {
            let number = state.tasks.last_key_value().map_or(0, |(last, _)| last + 1);
            writes.put(&key::task(number), &covered.encode());
            state.tasks.insert(number, covered.clone());
            again.push(covered);
        }
    }
    for void in voids {
        state.voids.add(*void);
        writes.put(&key::void(void.first), &void.encode());
    }
    for name in state.step_over_voids() {
        if let Some(endpoint) = state.endpoints.get(&name) {
            writes.put(&key::endpoint(&name), &endpoint.encode());
        }
    }
    writes
}

/// Copies rows as they are, without making them durable.
fn copy(to: &Generation, rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), QueueError> {
    let mut writes = Writes::default();
    for (key, row) in rows {
        writes.put_row(key, row);
        if writes.bytes() >= COPY_BYTES {
            to.apply(std::mem::take(&mut writes))?;
        }
    }
    to.apply(writes)
}

impl Writer {
    /// Says what was mended, and remembers it.
    pub(super) fn report(&mut self, mended: Mended) {
        mended.tell();
        if self.mended.len() < MENDED_MAX {
            self.mended.push(mended);
        }
    }

    /// Takes older generations whose directories are gone out of the account.
    pub(super) fn give_up_missing(
        &mut self,
        missing: Vec<(u32, Range<Sequence>)>,
    ) -> Result<Vec<Mended>, QueueError> {
        let mut all = Vec::new();
        for (generation, run) in missing {
            let head = Arc::clone(self.head()?);
            let found = "its directory is gone".to_string();
            let mut mended = Mended::new(generation, found, Remedy::Copied);
            mended.voids.push(void(run, VoidCause::Lost));
            let covered = covered_by(&head, generation)?;
            let mut writes = give_up(&mut self.state, &mended.voids, covered, &mut mended.again);
            writes.put(key::META, &self.state.meta(Standing::Open).encode());
            head.write(writes)?;
            all.push(mended);
        }
        Ok(all)
    }
}

/// What a sealed generation covers, by its entry in the head.
fn covered_by(head: &Generation, number: u32) -> Result<Vec<Covered>, QueueError> {
    let entry = head.get(&key::generation(number))?;
    let entry = entry.and_then(|value| Entry::decode(&value));
    Ok(entry.map_or_else(Vec::new, |entry| entry.covered))
}

impl Queue {
    /// Mends an older generation that could not be read, up to `end`, for `found`.
    ///
    /// # Errors
    ///
    /// When its voids could not be written. The same is then found, and done, again.
    pub(super) fn mend(
        &self,
        number: u32,
        range: Range<Sequence>,
        found: &QueueError,
    ) -> Result<(), QueueError> {
        let mut writer = self.writer()?;
        if !writer.state.spans.iter().any(|span| span.number == number) {
            return Ok(()); // Every endpoint is done with it meanwhile.
        }
        if writer
            .state
            .spans
            .last()
            .is_some_and(|head| head.number == number)
        {
            // Opening it again looks at all of it.
            self.fail(&mut writer);
            drop(writer);
            drop(self.writer()?);
            return Ok(());
        }
        locked(&self.0.readers).close(number);
        let parent = &self.0.site.parent;
        let directory = generation::directory(parent, number);
        let mut saved = Salvage::default();
        match salvage::open(&directory, number) {
            Ok(damaged) => saved.collect(&damaged, range.clone()),
            Err(QueueError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        saved.confine(range.clone());
        let mut runs = Vec::new();
        for hole in saved.holes(range.clone()) {
            runs.extend(writer.state.voids.uncovered(hole));
        }
        if runs.len() + writer.state.voids.len() > VOIDS_MAX {
            saved = Salvage::default();
            runs = writer.state.voids.uncovered(range);
        }
        let mut mended = Mended::new(number, found.to_string(), Remedy::Copied);
        mended.saved = saved.events();
        let lost = runs.into_iter().map(|run| void(run, VoidCause::Lost));
        mended.voids.extend(lost);
        let fresh = directory.with_extension(row::MENDED);
        if mended.saved > 0 {
            copy_sealed(parent, &fresh, number, &writer.state, &saved)?;
        }
        let covered = covered_by(writer.head()?, number)?;
        let writes = give_up(&mut writer.state, &mended.voids, covered, &mut mended.again);
        // Power cut before this returns: the damaged generation is found and mended again. After:
        // the voids count, and the copy takes its place when the row is listed next.
        self.write(&mut writer, writes)?;
        if directory.exists() {
            let aside = quarantine::set_aside(&directory, self.0.site.quarantine_max)?;
            mended.set_aside.extend(aside);
        }
        row::finish_mended(parent)?;
        locked(&self.0.readers).touch(number);
        writer.saved_ids(saved.ids());
        writer.report(mended);
        Ok(())
    }
}

/// Makes a sealed generation of saved blocks beside the damaged one, on disk when this returns.
fn copy_sealed(
    parent: &Path,
    directory: &Path,
    number: u32,
    state: &State,
    saved: &Salvage,
) -> Result<(), QueueError> {
    let fresh = Generation::create_at(parent, directory.to_owned(), number)?;
    let mut writes = Writes::default();
    for (&first, (_, value)) in &saved.blocks {
        writes.put(&key::block(first), value);
        if writes.bytes() >= COPY_BYTES {
            fresh.apply(std::mem::take(&mut writes))?;
        }
    }
    let (first, next) = (saved.first(), saved.end());
    let meta = Meta {
        first: first.unwrap_or(state.next),
        next: next.unwrap_or(state.next),
        ..state.meta(Standing::Sealed)
    };
    writes.put(key::META, &meta.encode());
    fresh.write(writes)
}
