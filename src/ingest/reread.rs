//! Reread: files that are wholes, documents and recordings, of which the queue has lost the events to
//! damage, are read once more.
//!
//! They are known by when they changed last: the queue remembers from when to when those did that told
//! something. One that was renamed, or had its mode changed, is not among them any more, and counts as
//! lost. Of files that change at one instant, a tick of the kernel's clock, all are read in one group, if they
//! were found in one listing; otherwise one of them may be told twice, with its id.
//!
//! **Crash argument.** As for rows: what some files tell, and from which change on reading them again
//! goes on, are one commit. It ends between two instants, so that none is read twice or left out.

use super::feed::Understood;
use super::group::{GROUP_BYTES_MAX, GROUP_ROWS_MAX, Group};
use crate::folder::{Folder, Found};
use crate::queue::{Covered, SourceBatch, Wholes};
use crate::source::FilePosition;

/// Listings that find something wrong before what was not found is given up: some minutes, in which a file
/// system that is away may come back.
const TROUBLED_LISTINGS_MAX: u32 = 600;

/// Files that are read again, and how far.
#[derive(Debug)]
pub struct Reread {
    folder: Folder,
    /// Taken, and not read yet.
    next: Option<Found>,
    troubled_listings: u32,
    /// Of those that were told before, how many were found; in all, also before a restart.
    done: u64,
    count: u64,
}

/// What a call of [`Reread::read`] came to.
#[derive(Debug)]
pub enum Reading {
    /// There may be more: reading goes on there.
    More(FilePosition),
    /// Nothing now: the directory is still to be listed.
    NotYet,
    /// All were read.
    Over,
}

impl Group {
    /// Whether the next file of `folder` fits, after one that changed at `last_ns`. Those of one instant
    /// are read in one group, as far as twice its bytes: by the instant they are found again.
    pub(super) fn has_room_for_whole(&self, last_ns: Option<i64>, folder: &Folder) -> bool {
        let next_ns = folder.next_changed_ns();
        let belongs = last_ns.is_some() && next_ns == last_ns && self.bytes < 2 * GROUP_BYTES_MAX;
        !self.is_full() || belongs
    }
}

impl Reread {
    /// The files of `wholes` in the directory of `folder`.
    pub(super) fn new(folder: &Folder, wholes: Wholes) -> Reread {
        Reread {
            folder: folder.again(wholes.from_ns, wholes.to_ns),
            next: None,
            troubled_listings: 0,
            done: wholes.done,
            count: wholes.count,
        }
    }

    /// How many files that told something are not there, or not as they were.
    pub(super) fn lost(&self) -> u64 {
        self.count.saturating_sub(self.done)
    }

    /// Reads some files by `read_one`, which adds what one tells to the batch, and says whether that was told, or is
    /// known to have been.
    pub(super) fn read(
        &mut self,
        covered: &Covered,
        batch: &mut SourceBatch,
        mut read_one: impl FnMut(&Found, &mut SourceBatch) -> Option<Understood>,
    ) -> Reading {
        let mut last_ns = None;
        let mut bytes = 0;
        loop {
            if self.next.is_none() {
                self.next = self.folder.take();
            }
            let Some(file) = self.next.take() else {
                break;
            };
            let is_full = batch.counts.rows >= GROUP_ROWS_MAX as u64 || bytes >= GROUP_BYTES_MAX;
            if is_full && last_ns != Some(file.changed_ns) {
                let from = covered.wholes_from(file.changed_ns, self.done);
                self.next = Some(file);
                return Reading::More(from);
            }
            last_ns = Some(file.changed_ns);
            bytes += usize::try_from(file.size)
                .unwrap_or(usize::MAX)
                .min(GROUP_BYTES_MAX);
            let before = batch.events.len();
            if let Some(understood) = read_one(&file, batch) {
                understood.count(batch.events.len() - before, &mut batch.counts);
                self.done += 1;
            }
            // It is not handed out twice; nobody else hears of it.
            let _known = self.folder.done(&file, 0);
        }
        let listings = self.folder.listings();
        self.folder.look(true);
        let is_listed = self.folder.listings() > listings;
        if is_listed && self.folder.is_troubled() {
            self.troubled_listings += 1;
        }
        let is_clear =
            !self.folder.is_troubled() || self.troubled_listings >= TROUBLED_LISTINGS_MAX;
        match is_listed && is_clear && self.folder.pending() == 0 {
            true => Reading::Over,
            // What was read is committed first: the rest goes on from the change after it.
            false => match last_ns {
                Some(last_ns) => Reading::More(covered.wholes_from(last_ns + 1, self.done)),
                None => Reading::NotYet,
            },
        }
    }
}
