//! Dead letters: events given up for an endpoint, kept so that somebody can look and try again.
//!
//! They lie in generations of their own (`dead/`), which live and go by their own rules.
//!
//! **Crash argument.** Settlements with dead letters, *burials*, are numbered. The letters are
//! written and synced first, each with its burial's number; then the settlement that counts them,
//! with the number in the head's [`meta`](super::meta). A crash between the two leaves letters
//! of a burial that the head has not counted: they are removed on opening, and their events are
//! given out again. They can only be in the newest generation, because a new one is begun before
//! a write and never after it.

use super::Queued;
use super::block;
use super::disk::{DiskLimits, GENERATION_BYTES};
use super::encoding::{Fields, put_bytes, put_count, put_option, truncated};
use super::error::QueueError;
use super::generation::{self, Generation, Writes};
use super::meta::{Meta, Standing};
use super::waiting::REASON_BYTES_MAX;
use super::{ballast, key, quarantine, row, salvage};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest start of an answer kept, in bytes: enough for the message of any JSON error.
pub const ANSWER_BYTES_MAX: usize = 1 << 10;

/// Most parts by which [`DeadLetters`] are removed: generations of a quarter of what they may take
/// and an eighth of the time they are kept. A generation goes as a whole.
const SIZE_PARTS: u64 = 4;
const AGE_PARTS: u32 = 8;

const VERSION: u8 = 1;

/// An event given up for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event.
    pub queued: Queued,
    /// Attempts made.
    pub attempts: u32,
    /// HTTP status of the last answer, when there was one.
    pub status: Option<u16>,
    /// How that answer began; at most [`ANSWER_BYTES_MAX`] bytes.
    pub answer_start: Vec<u8>,
    /// Why it was given up; at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// When.
    pub at: UnixMs,
}

/// Where a dead letter lies; later ones of an endpoint compare greater within a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadPlace {
    /// The generation under `dead/`.
    pub generation: u32,
    /// The event.
    pub sequence: Sequence,
}

impl DeadLetter {
    pub(super) fn encode(&self, burial: u64) -> Result<Vec<u8>, QueueError> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&burial.to_be_bytes());
        put_count(&mut out, u64::from(self.attempts));
        put_option(&mut out, self.status, |out, status| {
            out.extend_from_slice(&status.to_be_bytes())
        });
        put_bytes(
            &mut out,
            self.answer_start
                .get(..ANSWER_BYTES_MAX)
                .unwrap_or(&self.answer_start),
        );
        put_bytes(
            &mut out,
            truncated(&self.reason, REASON_BYTES_MAX).as_bytes(),
        );
        out.extend_from_slice(&self.at.0.to_be_bytes());
        out.extend_from_slice(&block::pack_one(&self.queued)?);
        Ok(out)
    }

    /// Reads what [`encode`](DeadLetter::encode) made of the event `sequence`.
    pub(super) fn decode(sequence: Sequence, value: &[u8]) -> Option<DeadLetter> {
        let (_, mut fields) = burial_of(value)?;
        Some(DeadLetter {
            attempts: u32::try_from(fields.count()?).ok()?,
            status: fields.option(Fields::u16)?,
            answer_start: fields.bytes()?.to_owned(),
            reason: fields.text()?.to_owned(),
            at: UnixMs(fields.i64()?),
            queued: block::unpack(sequence, fields.0)?.into_iter().next()?,
        })
    }
}

/// All dead letters of a directory.
#[derive(Debug)]
pub(super) struct DeadLetters {
    directory: PathBuf,
    /// Bytes that damaged generations set aside may take together.
    quarantine_max: u64,
    /// The newest generation while it is open: from the first burial on.
    head: Option<Generation>,
    /// Generations before this one are removed, or are to be.
    first: u32,
    /// All the bytes they may take.
    bytes_max: u64,
    keep: Duration,
    /// When the first letter of the open head was written, where it has one.
    began: Option<UnixMs>,
    /// A generation was begun since this was asked.
    has_begun: bool,
    /// The oldest generation and when the last of its letters was written, once it was looked at.
    oldest: Option<(u32, UnixMs)>,
}

/// Generations of dead letters that were found to be too old, or too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outlived {
    pub(super) generation: u32,
    /// How many letters of each endpoint are in it.
    pub(super) letters: BTreeMap<Arc<str>, u64>,
    /// Which limit they are beyond: the configuration's key.
    pub(super) limit: &'static str,
}

impl DeadLetters {
    /// The dead letters under `directory`; nothing is opened before it is needed.
    pub(super) fn at(directory: &Path, quarantine_max: u64) -> DeadLetters {
        let limits = DiskLimits::default();
        DeadLetters {
            directory: directory.to_owned(),
            quarantine_max,
            head: None,
            first: row::FIRST,
            bytes_max: limits.dead_letters_max,
            keep: limits.dead_letters_keep,
            began: None,
            has_begun: false,
            oldest: None,
        }
    }

    /// Sets what they may take, and for how long they are kept.
    pub(super) fn limit(&mut self, limits: &DiskLimits) {
        (self.bytes_max, self.keep) = (limits.dead_letters_max, limits.dead_letters_keep);
    }

    /// Whether they may take more than they should since this was asked.
    pub(super) fn take_has_begun(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    /// Removes the generations before `first`: their letters are counted as removed already.
    pub(super) fn remove_before(&mut self, first: u32) -> Result<(), QueueError> {
        self.first = first.max(row::FIRST);
        let is_removed = |head: &Generation| head.number() < first;
        if self.head.as_ref().is_some_and(is_removed) {
            self.head = None;
        }
        for number in row::list(&self.directory)? {
            if number < first {
                row::remove(&self.directory, number)?;
            }
        }
        Ok(())
    }

    /// The oldest generation when it is to go: its letters are all older at `now` than they are
    /// kept, or the letters together take so much that the next generation would not fit.
    pub(super) fn outlived(&mut self, now: Option<UnixMs>) -> Result<Option<Outlived>, QueueError> {
        let numbers = row::list(&self.directory)?;
        let Some(&oldest) = numbers.first() else {
            return Ok(None);
        };
        let bytes_of =
            |&number: &u32| row::directory_bytes(&generation::directory(&self.directory, number));
        let bytes: u64 = numbers.iter().map(bytes_of).sum();
        let is_too_much = numbers.len() > 1 && bytes + self.bytes_max / SIZE_PARTS > self.bytes_max;
        let is_too_old = match now {
            None => false,
            Some(now) => now.since(self.last_of(oldest, numbers.len())?) > self.keep,
        };
        let limit = match (is_too_much, is_too_old) {
            (true, _) => "dead_letters_max",
            (false, true) => "dead_letters_keep",
            (false, false) => return Ok(None),
        };
        let mut letters = BTreeMap::new();
        let _all = self.scan(oldest, key::DEAD, |key, _| {
            if let Some((name, _)) = key::read_dead(key) {
                *letters.entry(Arc::from(name)).or_default() += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok(Some(Outlived {
            generation: oldest,
            letters,
            limit,
        }))
    }

    /// When the last letter of the oldest of `count` generations was written. It is looked at
    /// again only where letters may still be added.
    fn last_of(&mut self, oldest: u32, count: usize) -> Result<UnixMs, QueueError> {
        match self.oldest {
            Some((number, last)) if number == oldest && count > 1 => Ok(last),
            _ => {
                let last = self.last_written(oldest)?;
                self.oldest = Some((oldest, last));
                Ok(last)
            }
        }
    }

    /// When the last letter of a generation was written; the epoch for an empty one.
    fn last_written(&mut self, number: u32) -> Result<UnixMs, QueueError> {
        let mut last = UnixMs(0);
        let _all = self.scan(number, key::DEAD, |_, value| {
            last = last.max(written_at(value).unwrap_or(last));
            ControlFlow::Continue(())
        })?;
        Ok(last)
    }

    /// Removes the letters of burials behind `counted`; see the crash argument. Without one, when
    /// the queue itself is new, nothing is removed. Returns the last burial that is left. What is
    /// damaged is mended.
    pub(super) fn reconcile(&mut self, counted: Option<u64>) -> Result<u64, QueueError> {
        self.mending(|letters| letters.try_reconcile(counted))
    }

    fn try_reconcile(&mut self, counted: Option<u64>) -> Result<u64, QueueError> {
        self.head = None;
        let mut last = counted.unwrap_or(0);
        let Some(head) = row::head(&self.directory)? else {
            return Ok(last);
        };
        let head = head.generation;
        let mut writes = Writes::default();
        let mut removed = 0_u64;
        head.scan(key::DEAD, key::DEAD, |found| {
            let burial = burial_of(&found.value).map_or(0, |(burial, _)| burial);
            if counted.is_some_and(|counted| burial > counted) {
                writes.remove(&found.key, found.pieces);
                removed += 1;
            } else {
                last = last.max(burial);
            }
            ControlFlow::Continue(())
        })?;
        if removed > 0 {
            log::info!("burials cut short by a crash undone count={removed}");
            head.write(writes)?;
        }
        Ok(last)
    }

    /// Writes the dead letters of one burial; when this returns they are on disk.
    pub(super) fn bury(
        &mut self,
        burial: u64,
        letters: &[(Arc<str>, DeadLetter)],
    ) -> Result<(), QueueError> {
        let mut writes = Writes::default();
        for (endpoint, letter) in letters {
            writes.put(
                &key::dead(endpoint, letter.queued.sequence),
                &letter.encode(burial)?,
            );
        }
        let latest = letters.iter().map(|(_, letter)| letter.at).max();
        let head = self.head(latest.unwrap_or(UnixMs(0)))?;
        let written = head.write(writes);
        if written.is_err() {
            // Not to be written again before it was opened anew; see `generation`.
            self.head = None;
        }
        written
    }

    /// Puts the letters of the endpoint `old` under the name `new`, a generation at a time, each
    /// durably. What was cut short is finished by doing it again.
    pub(super) fn rename(&mut self, old: &str, new: &str) -> Result<(), QueueError> {
        let prefix = key::dead_of(old);
        for number in row::list(&self.directory)? {
            let opened;
            let generation = match &self.head {
                Some(head) if head.number() == number => head,
                _ => {
                    opened = Generation::open(&self.directory, number)?;
                    &opened
                }
            };
            let mut writes = Writes::default();
            let mut count = 0;
            generation.scan(&prefix, &prefix, |found| {
                if let Some((_, sequence)) = key::read_dead(&found.key) {
                    writes.remove(&found.key, found.pieces);
                    writes.put(&key::dead(new, sequence), &found.value);
                    count += 1;
                }
                ControlFlow::Continue(())
            })?;
            if count > 0 {
                generation.write(writes).inspect_err(|_| self.head = None)?;
            }
        }
        Ok(())
    }

    /// At most `count_max` dead letters of an endpoint behind `after`, oldest generation first.
    pub(super) fn page(
        &mut self,
        endpoint: &str,
        after: Option<DeadPlace>,
        count_max: usize,
    ) -> Result<Vec<(DeadPlace, DeadLetter)>, QueueError> {
        self.mending(|letters| letters.try_page(endpoint, after, count_max))
    }

    fn try_page(
        &mut self,
        endpoint: &str,
        after: Option<DeadPlace>,
        count_max: usize,
    ) -> Result<Vec<(DeadPlace, DeadLetter)>, QueueError> {
        let mut page = Vec::new();
        let mut damaged = None;
        self.each(endpoint, after, |place, value| {
            if page.len() >= count_max {
                return ControlFlow::Break(());
            }
            match DeadLetter::decode(place.sequence, value) {
                Some(letter) => page.push((place, letter)),
                None => damaged = Some(place),
            }
            if damaged.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        match damaged {
            None => Ok(page),
            Some(place) => Err(QueueError::Damaged {
                generation: place.generation,
                sequence: Some(place.sequence),
                what: "the dead letter cannot be read".into(),
            }),
        }
    }

    /// How many dead letters of an endpoint there are. Reads all of them.
    pub(super) fn count(&mut self, endpoint: &str) -> Result<u64, QueueError> {
        self.mending(|letters| {
            let mut count = 0;
            letters.each(endpoint, None, |_, _| {
                count += 1;
                ControlFlow::Continue(())
            })?;
            Ok(count)
        })
    }

    /// Does `work`; where a damaged generation stands in its way, mends that and does it again.
    fn mending<T>(
        &mut self,
        mut work: impl FnMut(&mut DeadLetters) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        // Each mending takes a damaged generation away, and makes one that is whole.
        for _ in row::list(&self.directory)? {
            match work(self) {
                Err(QueueError::Damaged { generation, .. })
                    if !ballast::is_unwritable(&self.directory) =>
                {
                    self.mend(generation)?;
                }
                done => return done,
            }
        }
        work(self)
    }

    /// Copies the letters of a damaged generation that can be read into a new one, and sets the
    /// damaged one aside.
    ///
    /// Crash argument: the copy is on disk before the damaged one goes; a crash in between leaves
    /// both, and the letters in both: they are copied once more, over themselves.
    fn mend(&mut self, number: u32) -> Result<(), QueueError> {
        self.head = None;
        let newest = row::list(&self.directory)?
            .last()
            .copied()
            .unwrap_or(number);
        let directory = generation::directory(&self.directory, number);
        let mut letters = Writes::default();
        let mut saved = 0_u64;
        match salvage::open(&directory, number) {
            Ok(damaged) => {
                let scanned = damaged.scan(key::DEAD, key::DEAD, |found| {
                    let letter = key::read_dead(&found.key)
                        .and_then(|(_, sequence)| DeadLetter::decode(sequence, &found.value));
                    if letter.is_some() {
                        letters.put(&found.key, &found.value);
                        saved += 1;
                    }
                    ControlFlow::Continue(())
                });
                match scanned {
                    Err(QueueError::Damaged { .. }) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(QueueError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        if saved > 0 {
            self.begin(newest + 1)?.write(letters)?;
        }
        if directory.exists() {
            quarantine::set_aside(&directory, self.quarantine_max)?;
        }
        log::error!(
            "dead letters mended, those beside the saved ones are lost generation={number:08} saved={saved}"
        );
        Ok(())
    }

    /// The generation to write to: the newest, or a new one when that is full or was begun long
    /// before `now`.
    fn head(&mut self, now: UnixMs) -> Result<&Generation, QueueError> {
        let newest = match self.head.take() {
            Some(head) => Some(head),
            None => {
                let newest = row::head(&self.directory)?.map(|head| head.generation);
                self.began = newest.as_ref().map(first_written).transpose()?.flatten();
                newest
            }
        };
        let full = (self.bytes_max / SIZE_PARTS).min(GENERATION_BYTES);
        let is_aged = self
            .began
            .is_some_and(|began| now.since(began) > self.keep / AGE_PARTS);
        let head = match newest {
            Some(head) if head.file_bytes() < full && !is_aged => head,
            newest => {
                let after = newest.map_or(0, |newest| newest.number());
                (self.began, self.has_begun) = (None, true);
                self.begin((after + 1).max(self.first))?
            }
        };
        self.began = self.began.or(Some(now));
        Ok(self.head.insert(head))
    }

    fn begin(&self, number: u32) -> Result<Generation, QueueError> {
        let generation = Generation::create(&self.directory, number)?;
        let none = Sequence(0);
        let meta = Meta {
            node: String::new(),
            first: none,
            next: none,
            burials: 0,
            carried_bytes: 0,
            standing: Standing::Open,
        };
        let mut writes = Writes::default();
        writes.put(key::META, &meta.encode());
        generation.write(writes)?;
        Ok(generation)
    }

    /// Visits the letters of an endpoint behind `after`, with at most one generation open beside
    /// the head.
    fn each(
        &mut self,
        endpoint: &str,
        after: Option<DeadPlace>,
        mut visit: impl FnMut(DeadPlace, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        let prefix = key::dead_of(endpoint);
        for generation in row::list(&self.directory)? {
            if after.is_some_and(|after| generation < after.generation) {
                continue;
            }
            let visited = self.scan(generation, &prefix, |key, value| {
                let Some((_, sequence)) = key::read_dead(key) else {
                    return ControlFlow::Continue(());
                };
                let place = DeadPlace {
                    generation,
                    sequence,
                };
                if after.is_none_or(|after| place > after) {
                    return visit(place, value);
                }
                ControlFlow::Continue(())
            })?;
            if visited.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Visits keys and values under `prefix` of one generation.
    fn scan(
        &mut self,
        number: u32,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, QueueError> {
        let opened;
        let generation = match &self.head {
            Some(head) if head.number() == number => head,
            _ => {
                opened = Generation::open(&self.directory, number)?;
                &opened
            }
        };
        let mut visited = ControlFlow::Continue(());
        generation.scan(prefix, prefix, |found| {
            visited = visit(&found.key, &found.value);
            visited
        })?;
        Ok(visited)
    }
}

/// When the first letter of a generation was written.
fn first_written(generation: &Generation) -> Result<Option<UnixMs>, QueueError> {
    let mut first: Option<UnixMs> = None;
    generation.scan(key::DEAD, key::DEAD, |found| {
        if let Some(at) = written_at(&found.value) {
            first = Some(first.map_or(at, |first| first.min(at)));
        }
        ControlFlow::Continue(())
    })?;
    Ok(first)
}

/// When a letter was written.
fn written_at(value: &[u8]) -> Option<UnixMs> {
    let (_, mut fields) = burial_of(value)?;
    fields.count()?;
    fields.option(Fields::u16)?;
    fields.bytes()?;
    fields.bytes()?;
    fields.i64().map(UnixMs)
}

/// The number of the burial a letter came with, and the rest of the value.
fn burial_of(value: &[u8]) -> Option<(u64, Fields<'_>)> {
    let mut fields = Fields(value);
    (fields.byte()? == VERSION).then_some(())?;
    Some((fields.u64()?, fields))
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::any_event;
    use super::*;
    use proptest::prelude::*;

    fn any_letter() -> impl Strategy<Value = DeadLetter> {
        let answer = proptest::collection::vec(any::<u8>(), 0..40);
        (
            any_event(),
            any::<u32>(),
            any::<Option<u16>>(),
            answer,
            "[ -~]{0,20}",
            any::<i64>(),
        )
            .prop_map(
                |(event, attempts, status, answer_start, reason, at)| DeadLetter {
                    queued: Queued {
                        sequence: Sequence(3),
                        event: Arc::new(event),
                    },
                    attempts,
                    status,
                    answer_start,
                    reason,
                    at: UnixMs(at),
                },
            )
    }

    proptest! {
        #[test]
        fn a_letter_comes_back_as_it_was(letter in any_letter()) {
            let value = letter.encode(9).unwrap();
            prop_assert_eq!(DeadLetter::decode(Sequence(3), &value), Some(letter));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = DeadLetter::decode(Sequence(1), &bytes);
        }
    }
}
