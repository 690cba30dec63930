//! Mailbox: what others ask of the ingest thread, answered between two passes.
//!
//! Who asks waits; the pump never does.

use super::{BySource, Feed};
use crate::queue::QueueError;
use crate::shutdown::Bell;
use crate::source::Share;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStanding {
    /// Its name.
    pub name: Arc<str>,
    /// Files that can be read.
    pub files: usize,
    /// Bytes there and not consumed.
    pub unread_bytes: u64,
    /// For how long the half line that is there for longest has been there.
    pub partial_for: Option<Duration>,
    /// Why it cannot go on, when it cannot.
    pub trouble: Option<String>,
    /// Which of its files cannot be read and why, when some cannot.
    pub unreadable: Option<String>,
}

/// How reading stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The sources, in no order.
    pub sources: Vec<SourceStanding>,
    /// What became of the latest rows of each, of those that are not lines of files too.
    pub lately: BySource,
    /// Why reading is paused, when it is.
    pub paused_by: Option<String>,
}

/// Makes a feed, going on where the queue says that its source left off.
pub type MakeFeed = Box<dyn FnOnce() -> Result<Feed, QueueError> + Send>;

/// Sources to be changed: all at once or not at all.
pub struct Exchange {
    /// Names of those that end, or are begun anew.
    pub removed: Vec<Arc<str>>,
    /// Those that begin.
    pub added: Vec<MakeFeed>,
    /// Those that go on as they are, with another share of the files held open.
    pub reshared: Vec<(Arc<str>, Share)>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("removed", &self.removed)
            .field("added", &self.added.len())
            .finish_non_exhaustive()
    }
}

/// Something asked.
#[derive(Debug)]
pub(super) enum Ask {
    Standing(SyncSender<Standing>),
    Exchange(Exchange, SyncSender<Result<(), String>>),
}

/// Where questions are left for the ingest thread. Clones are the same mailbox. It holds at most
/// one question for each who waits.
#[derive(Debug, Clone)]
pub struct Mailbox {
    asked: Arc<Mutex<Vec<(u64, Ask)>>>,
    number: Arc<Mutex<u64>>,
    bell: Bell,
}

impl Mailbox {
    /// A mailbox that rings `bell`, which wakes the ingest thread.
    pub fn new(bell: Bell) -> Mailbox {
        Mailbox {
            asked: Arc::default(),
            number: Arc::default(),
            bell,
        }
    }

    /// How reading stands; `None` when the thread does not answer within `patience`, which a slow
    /// disk explains.
    pub fn standing(&self, patience: Duration) -> Option<Standing> {
        let (sender, answer) = mpsc::sync_channel(1);
        let number = self.ask(Ask::Standing(sender));
        let answer = answer.recv_timeout(patience).ok();
        self.withdraw(number);
        answer
    }

    /// Changes the sources between two passes, when no rows are on their way into the queue.
    ///
    /// # Errors
    ///
    /// Why nothing was changed, in words.
    pub fn exchange(&self, exchange: Exchange, patience: Duration) -> Result<(), String> {
        let (sender, answer) = mpsc::sync_channel(1);
        let number = self.ask(Ask::Exchange(exchange, sender));
        match answer.recv_timeout(patience) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) if self.withdraw(number) => Err(format!(
                "rows that were read cannot be made durable, and the sources cannot be changed before they are; tried for {} s",
                patience.as_secs()
            )),
            // It is being done now: whoever took it out answers.
            Err(_) => answer
                .recv()
                .unwrap_or_else(|_| Err("the agent is stopping".to_string())),
        }
    }

    fn ask(&self, ask: Ask) -> u64 {
        let number = {
            let mut number = lock(&self.number);
            *number += 1;
            *number
        };
        lock(&self.asked).push((number, ask));
        self.bell.ring();
        number
    }

    /// Takes a question back; false when it is not there any more.
    fn withdraw(&self, number: u64) -> bool {
        let mut asked = lock(&self.asked);
        let before = asked.len();
        asked.retain(|(other, _)| *other != number);
        asked.len() < before
    }

    /// Whether a change of the sources waits to be made.
    pub(super) fn is_change_asked(&self) -> bool {
        let asked = lock(&self.asked);
        asked
            .iter()
            .any(|(_, ask)| matches!(ask, Ask::Exchange(..)))
    }

    /// The questions that can be answered; those for a change stay while `is_busy`.
    pub(super) fn take(&self, is_busy: bool) -> Vec<Ask> {
        let mut asked = lock(&self.asked);
        let (stay, go) = std::mem::take(&mut *asked)
            .into_iter()
            .partition(|(_, ask)| is_busy && matches!(ask, Ask::Exchange(..)));
        *asked = stay;
        go.into_iter().map(|(_, ask)| ask).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
