//! Queue: events on disk, what each endpoint has had of them, and how far each file was read.
//!
//! The only place that names the database.
//!
//! # What is on disk
//!
//! ```text
//! positions        the side checkpoint: a copy of the small state, for a head that cannot be read
//! lock             held while an agent runs; its process id
//! version          of everything below
//! queue/00000017/  generations: small databases in sequence, each with a run of events
//! queue/00000016.bad-1775745045/  a damaged one that was set aside
//! queue/00000018/  the newest, the head: the only one written, holding all the small state
//! queue/next/      the one after it, empty, in a backlog; see `next`
//! later/00000001   events that wait for their own retry for long
//! dead/00000001/   generations of dead letters
//! ```
//!
//! A generation is removed as a directory when every endpoint is done with its events; that is
//! how disk space comes back. The keys inside one are in `key`, a block of events is drawn in
//! `block`, what makes a write durable is told in `generation`.
//!
//! # Crash argument
//!
//! * **Commit.** Events, the file positions behind them and the counts are one batch, followed by
//!   `fdatasync`; only then do readers see the events. A crash before that returns leaves all of
//!   it or nothing: rows are read again from the old position and give the same ids, or they are
//!   there with their position.
//! * **Settle.** Cursors, waiting events and counts are one batch in the same way. A crash before
//!   it returns means that events already sent are given out again: at least once, same id. A
//!   dead letter is on disk before its settlement; see `dead_letter`. A few settlements may be in
//!   the batch of a commit instead of one of their own; see `along`.
//! * **Put off.** Events that wait for long leave the head for a file that is on disk before the
//!   batch that names it, and come back in the batch that says so; see `later`.
//! * **Roll.** A new generation gets all the small state and, last, its `meta`; it is synced, as
//!   are the directories. A crash before leaves it without meta: it is removed, the old head is
//!   whole. Then the old head is sealed, and only then is the new one written to. A crash in
//!   between leaves two whole heads with the same state, of which the newer one counts.
//! * **Drop.** A generation is removed only after the cursors beyond it are on disk. Its directory
//!   is renamed first and its entry in the head goes with the next write; opening finishes both.
//! * **A write that fails** may have happened or not. Memory is then no longer believed: the head
//!   is closed, and the next call opens it again as the disk has it. A caller that repeats a
//!   commit that had happened after all queues its events twice, with the same ids.
//!
//! # Locks
//!
//! One mutex for whoever writes, held through the sync; one, held briefly, for what readers see,
//! replaced after each sync; one for the open older generations; one for the account of the disk.
//! They are taken in the order writer, older generations, disk, view. One more, for the index of
//! urgent events, is taken last and alone.

mod adopt;
mod along;
mod ballast;
mod block;
mod checkpoint;
mod commit;
#[cfg(test)]
mod cost;
mod coverage;
mod cursor;
mod dead_letter;
mod disk;
#[cfg(test)]
mod drill;
mod encoding;
mod endpoint;
mod error;
#[cfg(test)]
mod figures;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod generation;
#[cfg(test)]
mod history;
#[cfg(test)]
#[path = "../../tests/it/disk.rs"]
mod image;
mod key;
mod later;
mod ledger;
mod lock;
mod mend;
#[cfg(test)]
pub(crate) mod mend_tests;
mod meta;
#[cfg(test)]
mod model;
mod next;
mod outlived;
mod overflow;
mod piece;
mod position;
#[cfg(test)]
mod probe;
mod quarantine;
mod read;
mod recall;
mod row;
mod salvage;
#[cfg(test)]
mod seen;
mod settle;
mod size;
#[cfg(feature = "slow-syncs")]
pub mod slow;
mod state;
mod survey;
#[cfg(test)]
mod tests;
mod urgent;
mod void;
mod waiting;
mod write;

pub use adopt::Adopted;
pub use block::{EVENT_BYTES_MAX, accepts};
pub use commit::{Committed, Packed, STATE_BYTES_MAX, SourceBatch, StateChange};
pub use coverage::{Covered, Wholes};
pub use cursor::WINDOW;
pub use dead_letter::{ANSWER_BYTES_MAX, DeadLetter, DeadPlace};
pub use disk::{DiskLimits, Partition, Room, Shortage, WhenFull};
pub use endpoint::{PASSED_MAX, WAITING_MAX};
pub use error::QueueError;
pub use key::NAME_BYTES_MAX;
pub use later::{PutOff, RUN_BYTES_MAX, RUNS_MAX};
pub use ledger::{EndpointTotals, Ledger, SourceCounts, SourceTotals};
pub use mend::{MENDED_MAX, Mended, Remedy};
pub use meta::FORMAT_VERSION;
pub use overflow::Dropped;
pub use quarantine::QUARANTINE_BYTES_DEFAULT;
pub use recall::RECALLED_MAX;
pub use settle::{AttachFrom, Settled, Settlement};
pub use size::Size;
pub use survey::{Survey, Surveyed, Whole};
pub use urgent::URGENT_MAX;
pub use void::{Void, VoidCause};
pub use waiting::{REASON_BYTES_MAX, Waiting};

use crate::event::{Event, EventId, Sequence};
use crate::shutdown::Bell;
use along::Along;
use disk::Disk;
use lock::Lock;
use mend::Site;
use read::{Readers, View};
use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use urgent::Urgent;
use write::Writer;

/// One event in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its place.
    pub sequence: Sequence,
    /// What the receiver is told.
    pub event: Arc<Event>,
}

/// The queue of one state directory. Clones are the same queue.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// Where the queue is.
    site: Site,
    node: String,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    view: Mutex<View>,
    disk: Mutex<Disk>,
    /// One for each lane of delivery.
    bells: Mutex<Vec<Bell>>,
    urgent: Mutex<Urgent>,
    /// Settlements that wait for a commit.
    along: Along,
    opened: Opened,
    /// Let go last, after the databases are closed.
    _lock: Lock,
}

/// What was found when the queue was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The agent before closed the queue in order, or there was none before.
    pub clean: bool,
    /// Generations that a crash left half-made; they held nothing yet and were removed.
    pub half_made: Vec<u32>,
    /// What was not as it was written, and what was done about it.
    pub mended: Vec<Mended>,
    /// Older generations that are not there, and their events.
    missing: Vec<(u32, Range<Sequence>)>,
}

impl Queue {
    /// Opens the queue under `directory`, or makes one; `node` is written down with it.
    ///
    /// Takes some tens of milliseconds however many events wait. What was committed or settled
    /// before a crash is there.
    ///
    /// # Errors
    ///
    /// [`QueueError::InUse`] and [`QueueError::NewerVersion`] leave the directory untouched.
    /// [`QueueError::Disk`]. A damaged store is no error: it is [mended](Mended).
    pub fn open(directory: &Path, node: &str) -> Result<Queue, QueueError> {
        Queue::open_within(directory, node, QUARANTINE_BYTES_DEFAULT)
    }

    /// The same, with what is set aside of a damaged store taking at most `quarantine_max` bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Queue::open).
    pub fn open_within(
        directory: &Path,
        node: &str,
        quarantine_max: u64,
    ) -> Result<Queue, QueueError> {
        key::check_name(node)?;
        fs::create_dir_all(directory).map_err(generation::disk("create", directory))?;
        let lock = Lock::take(directory)?;
        let has_version = lock::refuse_newer(directory)?;
        let site = Site {
            directory: directory.to_owned(),
            parent: directory.join("queue"),
            // Generations of the queue and of dead letters are set aside in different places.
            quarantine_max: quarantine_max / 4 * 3,
        };
        fs::create_dir_all(&site.parent).map_err(generation::disk("create", &site.parent))?;
        generation::sync_directory(directory)?;
        let dead = directory.join("dead");
        let mut writer = Writer::new(node, &dead, quarantine_max / 4);
        let mut view = View::default();
        let mut disk = Disk::of(directory);
        let opened = match writer.open(&site, node, &mut view) {
            // The database writes to what it opens.
            Err(error) if ballast::release_after(&mut disk, &error) => {
                writer.open(&site, node, &mut view)?
            }
            opened => opened?,
        };
        if !has_version {
            match lock::write_version(directory) {
                Err(error) if ballast::release_after(&mut disk, &error) => {
                    lock::write_version(directory)?;
                }
                written => written?,
            }
        }
        let queue = Queue(Arc::new(Parts {
            site,
            node: node.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::new(Readers::default()),
            view: Mutex::new(view),
            disk: Mutex::new(disk),
            bells: Mutex::new(Vec::new()),
            urgent: Mutex::default(),
            along: Along::default(),
            opened,
            _lock: lock,
        }));
        queue.load_urgent()?;
        Ok(queue)
    }

    /// What was found when the queue was opened.
    pub fn opened(&self) -> &Opened {
        &self.0.opened
    }

    /// Rings `bell` after every commit that added events, for as long as somebody else has it
    /// too: one for each lane of delivery, not one for each wait.
    pub fn subscribe(&self, bell: &Bell) {
        let mut bells = locked(&self.0.bells);
        bells.retain(|bell| !bell.is_unheard());
        bells.push(bell.clone());
    }

    /// The account, as it is on disk.
    pub fn ledger(&self) -> Ledger {
        locked(&self.0.view).ledger.clone()
    }

    /// The sequence the next event gets.
    pub fn next_sequence(&self) -> Sequence {
        locked(&self.0.view).ledger.next
    }

    /// The first event that is not settled for the endpoint, nor waits for its own retry; this is
    /// on disk. For an endpoint that is not attached, the sequence the next event gets.
    pub fn cursor(&self, endpoint: &str) -> Sequence {
        let view = locked(&self.0.view);
        view.ledger
            .endpoint(endpoint)
            .map_or(view.ledger.next, |endpoint| endpoint.cursor)
    }

    /// The events at or beyond the cursor that are settled for the endpoint, or wait for their own
    /// retry: reading gives them out again, and they must not be sent again. At most
    /// [`WINDOW`] and [`PASSED_MAX`]; this is on disk.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn settled_beyond(&self, endpoint: &str) -> Result<Vec<Sequence>, QueueError> {
        let writer = self.writer()?;
        let attached = writer.state.endpoints.get(endpoint);
        Ok(attached.map_or_else(Vec::new, |endpoint| endpoint.settled_beyond()))
    }

    /// What was found damaged since the start, and what was done about it; the first
    /// [`MENDED_MAX`] of it.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn mended(&self) -> Result<Vec<Mended>, QueueError> {
        Ok(self.writer()?.mended.clone())
    }

    /// How often something was made durable since the start: whoever copies the state need not
    /// when this has not moved.
    pub fn writes(&self) -> u64 {
        locked(&self.0.view).writes
    }

    /// Ids of events that were saved from damage since the start: their rows may be read again,
    /// and are not to be told again.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn saved_ids(&self) -> Result<Arc<HashSet<EventId>>, QueueError> {
        Ok(Arc::clone(&self.writer()?.saved))
    }

    /// Bytes of the switch's files that are to be read again, by their number.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn to_read_again(&self) -> Result<Vec<(u64, Covered)>, QueueError> {
        let writer = self.writer()?;
        let tasks = writer.state.tasks.iter();
        Ok(tasks
            .map(|(&number, covered)| (number, covered.clone()))
            .collect())
    }

    /// Marks the queue as closed in order. Whoever has it may still write; the mark is then gone.
    ///
    /// # Errors
    ///
    /// When the mark could not be written. Nothing is lost by that.
    pub fn close(&self) -> Result<(), QueueError> {
        let mut writer = self.writer()?;
        self.mark_closed(&mut writer)
    }
}

/// What a mutex guards, even if a thread panicked with it held: what is guarded this way is
/// replaced in one step. The writer's state is not, and [`Queue::writer`] sees to that.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
