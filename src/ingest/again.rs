//! Again: bytes of files whose events the queue has lost to damage are read once more.
//!
//! A second source on the same files hands them out; the positions that following goes by are not
//! touched. Rows whose events were saved, and rows that do not fit, which were set aside the first
//! time, count as repeated.
//!
//! What rows mean together is judged by machines that begin with nothing and are forgotten again:
//! those of the feed know of later rows. So an alarm is raised and cleared, and a call joined, with
//! the ids they had; a balance that was low before is told once more.
//!
//! Documents and recordings that stay where they are come again in the same way; see `reread`.
//!
//! **Crash argument.** The events of some rows and the place where reading them again goes on are
//! one commit. After a crash it goes on there, and rows in between give the same ids.

use super::feed::{Feed, Understood};
use super::group::{GROUP_BYTES_MAX, GROUP_ROWS_MAX};
use super::intake::{At, Intake};
use super::reread::{Reading, Reread};
use super::{Ingest, READ_BYTES};
use crate::derive::{Derive, Fate, Now};
use crate::event::EventId;
use crate::queue::{Covered, SourceBatch, SourceCounts, Wholes};
use crate::source::{FilePosition, Piece, Source};
use std::collections::HashSet;
use std::sync::Arc;

/// Most looks and reads without a row before the bytes are taken to be gone: the first look
/// finds the file or nothing does, and what is passed over is handed out piece by piece.
const EMPTY_READS_MAX: u32 = 8;

/// What is being read again.
#[derive(Debug)]
pub(super) struct Again {
    task: u64,
    covered: Covered,
    /// `None` when the source is not one of lines of files, or not configured any more.
    source: Option<Source>,
    /// The files that are wholes.
    wholes: Option<Reread>,
    /// The source is configured, and is none of lines of files.
    is_intake: bool,
    /// What the rows mean together.
    derive: Option<Derive>,
    /// Rows read, and events made of them.
    rows: u64,
    events: u64,
}

impl Ingest {
    /// Reads some rows again, if any are to be. Returns whether there may be more.
    ///
    /// What was made of them is durable when this returns; after a failed commit the same rows are
    /// read once more by the next call.
    pub(super) fn read_again(&mut self) -> bool {
        let Some(mut again) = self.again.take().or_else(|| self.next_again()) else {
            return false;
        };
        let feed = self
            .feeds
            .iter_mut()
            .map(|following| &mut following.feed)
            .find(|feed| feed.name == again.covered.source);
        let now = Now {
            moment: self.clock.now(),
            wall: self.clock.wall(),
        };
        let (batch, position) = match (feed, &mut again.source, &mut again.derive) {
            (None, ..) if again.wholes.is_some() => {
                let at = At {
                    now: now.moment,
                    wall: now.wall,
                    hinted: true,
                    reserved_only: false,
                };
                let mut batch = batch_of(&again.covered.source);
                match again.read_wholes(&mut self.intakes, &self.saved, at, &mut batch) {
                    Reading::More(position) => (Some(batch), Some(position)),
                    Reading::Over => (Some(batch), None),
                    Reading::NotYet => {
                        self.again = Some(again);
                        return false;
                    }
                }
            }
            (Some(feed), Some(source), Some(derive)) => {
                std::mem::swap(&mut feed.derive, derive);
                let read = rows_again(feed, source, &again.covered, &self.saved, now);
                std::mem::swap(&mut feed.derive, derive);
                read
            }
            _ => (None, None),
        };
        let (rows, events) = batch.as_ref().map_or((0, 0), |batch| {
            (batch.counts.rows, batch.events.len() as u64)
        });
        let done = position.is_none();
        let committed = self
            .queue
            .commit_again(batch.as_slice(), again.task, position);
        if let Err(error) = committed {
            log::warn!("rows read again cannot be made durable, tried again error=\"{error}\"");
            return false;
        }
        again.rows += rows;
        again.events += events;
        if done {
            again.tell();
        } else {
            self.again = Some(again);
        }
        true
    }

    /// The next bytes that are to be read again, and what was saved beside them.
    fn next_again(&mut self) -> Option<Again> {
        let (task, covered) = self.queue.to_read_again().ok()?.into_iter().next()?;
        self.saved = self.queue.saved_ids().ok()?;
        let wall = self.clock.wall();
        let feed = self
            .feeds
            .iter()
            .map(|following| &following.feed)
            .find(|feed| feed.name == covered.source);
        let source = feed.map(|feed| feed.source.again(&covered.origin, wall));
        let mut intakes = self.intakes.iter();
        let intake = intakes.find(|intake| intake.is_source(&covered.source));
        let wholes = intake.zip(covered.wholes());
        Some(Again {
            wholes: wholes.and_then(|(intake, wholes)| intake.again(wholes)),
            is_intake: intake.is_some(),
            task,
            derive: feed.map(|feed| feed.derive.afresh(&feed.format)),
            covered,
            source,
            rows: 0,
            events: 0,
        })
    }
}

impl Again {
    /// Reads some files that are wholes again.
    fn read_wholes(
        &mut self,
        intakes: &mut [Box<dyn Intake>],
        saved: &HashSet<EventId>,
        at: At,
        batch: &mut SourceBatch,
    ) -> Reading {
        let mut intakes = intakes.iter_mut();
        let intake = intakes.find(|intake| intake.is_source(&self.covered.source));
        match (intake, &mut self.wholes) {
            (Some(intake), Some(reread)) => {
                intake.read_again(reread, &self.covered, saved, at, batch)
            }
            _ => Reading::Over,
        }
    }

    fn tell_wholes(&self, wholes: Wholes) {
        let Covered { source, origin, .. } = &self.covered;
        let lost = match &self.wholes {
            Some(reread) => reread.lost(),
            None => wholes.count.saturating_sub(wholes.done),
        };
        if self.rows > 0 {
            log::info!(
                "files read again source={source} files={} events={}",
                self.rows,
                self.events
            );
        }
        if lost > 0 {
            let why = match (&self.wholes, self.is_intake) {
                (Some(_), _) => "they are not there as they were",
                (None, true) => "files are removed or moved once they are read",
                (None, false) => "the source is not configured any more",
            };
            log::error!(
                "files lost, they cannot be read again source={source} count={lost} one={:?} error=\"{why}\"",
                origin.path
            );
        }
    }

    fn tell(&self) {
        if let Some(wholes) = self.covered.wholes() {
            return self.tell_wholes(wholes);
        }
        let Covered {
            source, origin, to, ..
        } = &self.covered;
        let (path, from) = (&origin.path, origin.offset);
        if self.rows > 0 {
            log::info!(
                "rows read again source={source} file={path:?} from={from} to={to} rows={} events={}",
                self.rows,
                self.events
            );
        } else {
            let why = match self.source {
                Some(_) => "the file is not there as it was",
                None if self.is_intake => "it is read in another way by now",
                None => "the source is not configured any more",
            };
            log::error!(
                "rows lost, they cannot be read again source={source} file={path:?} from={from} to={to} error=\"{why}\""
            );
        }
    }
}

fn batch_of(source: &Arc<str>) -> SourceBatch {
    SourceBatch {
        source: Arc::clone(source),
        events: Vec::new(),
        positions: Vec::new(),
        forgotten: Vec::new(),
        counts: SourceCounts::default(),
    }
}

/// The next rows of the bytes to be read again, and where reading goes on; no position when there
/// are no more of them.
fn rows_again(
    feed: &mut Feed,
    source: &mut Source,
    covered: &Covered,
    saved: &HashSet<EventId>,
    now: Now,
) -> (Option<SourceBatch>, Option<FilePosition>) {
    let mut batch = batch_of(&feed.name);
    let mut position = None;
    let (mut bytes, mut empty_reads) = (0, 0);
    while bytes < GROUP_BYTES_MAX && batch.counts.rows < GROUP_ROWS_MAX as u64 {
        let chunk = match source.read(READ_BYTES) {
            Ok(Some(Piece::Lines(chunk))) => chunk,
            Ok(Some(Piece::Oversized(_))) if empty_reads < EMPTY_READS_MAX => {
                empty_reads += 1;
                continue;
            }
            _ => return (Some(batch), None),
        };
        // Its inode may be another file's by now.
        if covered
            .first_row
            .is_some_and(|hash| hash != chunk.first_row)
        {
            return (Some(batch), None);
        }
        let (mut at, mut lines) = (0, 0);
        while at < chunk.bytes.len() && chunk.offset + (at as u64) < covered.to {
            let before = batch.events.len();
            let understood = feed.understand(&chunk, at, now, saved, &mut batch.events);
            let Some((understood, taken, line_count)) = understood else {
                break;
            };
            match understood {
                Understood::Row(Fate::Misfit(_)) => {
                    batch.counts.rows += 1;
                    batch.counts.repeated += 1;
                }
                understood => understood.count(batch.events.len() - before, &mut batch.counts),
            }
            at += taken;
            lines += line_count;
        }
        let now_at = source.consumed(chunk.file, at, lines);
        let is_another = now_at.life != covered.origin.life && covered.origin.offset > 0;
        bytes += at;
        if at == 0 || is_another || now_at.offset >= covered.to {
            return (Some(batch), None);
        }
        position = Some(now_at);
    }
    (Some(batch), position)
}
