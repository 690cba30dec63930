//! Entry: one event on its way to one endpoint.

use super::blanket::Mark;
use super::order::Line;
use super::outcome::Failure;
use crate::event::Event;
use crate::queue::{Queued, Waiting};

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event and its place.
    pub queued: Queued,
    /// Attempts that counted. Those that met a failing endpoint, or were followed by a quick
    /// retry, do not.
    pub attempts: u32,
    /// Quick retries it has had, in this process.
    pub quick: u32,
    /// It is out as a probe of a failing endpoint.
    pub is_probe: bool,
    /// It has been a probe since the endpoint began to fail.
    pub was_probe: bool,
    /// It is out, alone of its kind, to see whether it was the endpoint or the event.
    pub is_doubtful: bool,
    /// What came of the last attempt.
    pub last: Failure,
    /// The address it is, or was last, sent to: its place among the endpoint's.
    pub address: usize,
    /// The round of learning the concurrency in which the attempt began.
    pub round: u32,
    /// What had passed when it was first refused in a way that may mean everything.
    pub mark: Option<Mark>,
    /// The further events of the same request, in order, when the endpoint takes several.
    pub others: Vec<Entry>,
    /// The line it stands in, when the endpoint asks for order.
    pub line: Option<Line>,
    /// It was refused alone, and goes out alone.
    pub is_alone: bool,
}

impl Entry {
    /// An event that was not tried yet.
    pub fn new(queued: Queued) -> Entry {
        Entry {
            queued,
            attempts: 0,
            quick: 0,
            is_probe: false,
            was_probe: false,
            is_doubtful: false,
            last: Failure::default(),
            address: 0,
            round: 0,
            mark: None,
            others: Vec::new(),
            line: None,
            is_alone: false,
        }
    }

    /// An event that has waited in the queue for its own retry.
    pub fn waited(waiting: Waiting) -> Entry {
        let last = Failure {
            reason: waiting.reason,
            ..Failure::default()
        };
        Entry {
            attempts: waiting.attempts,
            last,
            ..Entry::new(waiting.queued)
        }
    }

    /// How many events go out with it, itself included.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// These events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.members().map(|queued| &*queued.event)
    }

    /// The same with their places.
    pub fn members(&self) -> impl Iterator<Item = &Queued> {
        let others = self.others.iter().map(|other| &other.queued);
        std::iter::once(&self.queued).chain(others)
    }

    /// Number of the attempt that is next or under way, from 1. During an outage it stays the
    /// same, because those attempts do not count; nor do those before a quick retry.
    pub fn attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }

    /// Number of the request as its receiver is told it, from 1: quick retries are numbered too.
    pub fn request(&self) -> u32 {
        self.attempt().saturating_add(self.quick)
    }
}
