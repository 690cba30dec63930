//! Gate: where pushes wait for ingest, within bounds.

use super::Push;
use crate::shutdown::Bell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most pushes of one source that wait for ingest: four commits' worth, which a thread that pauses
/// for a slow disk takes in at one go.
pub const PUSHES_WAITING_MAX: usize = 4_096;

/// Most bytes of pushes of one source that wait, beside [`PUSHES_WAITING_MAX`].
pub const BYTES_WAITING_MAX: usize = 4 << 20;

/// Why a push was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many wait, or nothing can be made durable now.
    Full,
    /// More a second than the source may bring.
    Rate,
    /// The peer is not allowed.
    Peer,
    /// No such page, or not a POST.
    Page,
    /// The body is too long.
    Long,
    /// The request did not come to its end in time, or was none.
    Slow,
    /// The system had no room for it until it was read.
    Lost,
}

/// How many pushes were not taken, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals {
    /// For [`Refusal::Full`].
    pub full: u64,
    /// For [`Refusal::Rate`].
    pub rate: u64,
    /// For [`Refusal::Peer`].
    pub peer: u64,
    /// For [`Refusal::Page`].
    pub page: u64,
    /// For [`Refusal::Long`].
    pub long: u64,
    /// For [`Refusal::Slow`].
    pub slow: u64,
    /// For [`Refusal::Lost`].
    pub lost: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.rate + self.peer + self.page + self.long + self.slow + self.lost
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "full={} rate={} peer={} page={} long={} slow={} lost={}",
            self.full, self.rate, self.peer, self.page, self.long, self.slow, self.lost
        )
    }
}

/// The way from a listener to ingest. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    waiting: Arc<Mutex<Waiting>>,
    bell: Bell,
}

#[derive(Debug)]
struct Waiting {
    pushes: VecDeque<Push>,
    bytes: usize,
    open: bool,
    refusals: Refusals,
    taken: u64,
    trouble: Option<String>,
}

impl Gate {
    /// An open gate, which rings `bell` for whoever takes: what comes before ingest is there waits for
    /// it, as what comes later does, and is answered no earlier than it is durable.
    pub fn new(bell: Bell) -> Gate {
        Gate {
            waiting: Arc::new(Mutex::new(Waiting {
                pushes: VecDeque::new(),
                bytes: 0,
                open: true,
                refusals: Refusals::default(),
                taken: 0,
                trouble: None,
            })),
            bell,
        }
    }

    /// Hands a push over; one that finds no room is counted and dropped, which answers it busy.
    pub fn offer(&self, push: Push) {
        let mut waiting = self.locked();
        let has_room = waiting.open
            && waiting.pushes.len() < PUSHES_WAITING_MAX
            && waiting.bytes.saturating_add(push.body.len()) <= BYTES_WAITING_MAX;
        if !has_room {
            waiting.refusals.full += 1;
            return;
        }
        waiting.bytes += push.body.len();
        waiting.pushes.push_back(push);
        drop(waiting);
        self.bell.ring();
    }

    /// The push that waits longest. Opens the gate.
    pub fn take(&self) -> Option<Push> {
        let mut waiting = self.locked();
        waiting.open = true;
        let push = waiting.pushes.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(push.body.len());
        waiting.taken += 1;
        Some(push)
    }

    /// Answers everything that waits busy, and whatever comes until the next [take](Gate::take).
    pub fn close(&self) {
        let mut waiting = self.locked();
        waiting.open = false;
        waiting.bytes = 0;
        let dropped = std::mem::take(&mut waiting.pushes);
        waiting.refusals.full += u64::try_from(dropped.len()).unwrap_or(u64::MAX);
    }

    /// Whether a push would find room now. A listener asks before it reads a long body.
    pub fn is_open(&self) -> bool {
        let waiting = self.locked();
        waiting.open && waiting.pushes.len() < PUSHES_WAITING_MAX
    }

    /// Says why nobody is heard before the gate; whether that was not known.
    pub fn cannot_listen(&self, why: String) -> bool {
        self.locked().trouble.replace(why).is_none()
    }

    /// Says that whoever comes is heard.
    pub fn listens(&self) {
        self.locked().trouble = None;
    }

    /// Why nobody is heard before the gate, when that is so.
    pub fn trouble(&self) -> Option<String> {
        self.locked().trouble.clone()
    }

    /// Counts a push that was not even offered.
    pub fn refused(&self, why: Refusal) {
        self.refused_many(why, 1);
    }

    /// Counts `many` pushes that were not even offered.
    pub fn refused_many(&self, why: Refusal, many: u64) {
        let mut waiting = self.locked();
        let counts = &mut waiting.refusals;
        let count = match why {
            Refusal::Full => &mut counts.full,
            Refusal::Rate => &mut counts.rate,
            Refusal::Peer => &mut counts.peer,
            Refusal::Page => &mut counts.page,
            Refusal::Long => &mut counts.long,
            Refusal::Slow => &mut counts.slow,
            Refusal::Lost => &mut counts.lost,
        };
        *count += many;
    }

    /// How many pushes were not taken, since the start.
    pub fn refusals(&self) -> Refusals {
        self.locked().refusals
    }

    /// How many were taken since the start, and how many wait to be.
    pub fn taken(&self) -> (u64, usize) {
        let waiting = self.locked();
        (waiting.taken, waiting.pushes.len())
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Answer;
    use super::*;
    use crate::clock::UnixMs;

    fn push(bytes: usize) -> Push {
        Push {
            page: String::new(),
            body: vec![b'x'; bytes],
            bytes,
            peer: "127.0.0.1:5060".parse().unwrap(),
            arrived: UnixMs(0),
            answer: Answer::to_nobody(),
        }
    }

    #[test]
    fn what_comes_before_ingest_is_there_waits_and_after_it_paused_nothing_does() {
        let gate = Gate::new(Bell::default());
        gate.offer(push(1));
        assert!(gate.is_open() && gate.take().is_some());
        gate.offer(push(1));
        gate.offer(push(1));
        gate.close();
        gate.offer(push(1));
        assert!(!gate.is_open());
        assert!(gate.take().is_none(), "which opens it");
        assert_eq!(gate.refusals().full, 3);
        gate.offer(push(1));
        assert!(gate.take().is_some());
    }

    #[test]
    fn no_more_pushes_wait_than_the_bound_says() {
        let gate = Gate::new(Bell::default());
        for _ in 0..PUSHES_WAITING_MAX + 7 {
            gate.offer(push(1));
        }
        assert_eq!(gate.refusals().full, 7);
        let taken = std::iter::from_fn(|| gate.take()).count();
        assert_eq!(taken, PUSHES_WAITING_MAX);
    }

    #[test]
    fn no_more_bytes_wait_than_the_bound_says() {
        let gate = Gate::new(Bell::default());
        for _ in 0..6 {
            gate.offer(push(BYTES_WAITING_MAX / 4));
        }
        assert_eq!(gate.refusals().full, 2);
        assert!(gate.take().is_some());
        gate.offer(push(BYTES_WAITING_MAX / 4));
        assert_eq!(gate.refusals().full, 2);
    }
}
