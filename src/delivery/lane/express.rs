//! Express: events that go out before what waits.
//!
//! They are found by the index the queue keeps of them, wherever they are in the backlog; the
//! window then leaves them out when it comes to them. They keep their order among themselves as
//! far as the endpoint's connections do. One that has a key the endpoint is told in order stays
//! in its place.

use super::*;
use crate::delivery::window::{Overtaken, Wants};

/// How many more events than others leave room for may wait while these still go out.
const KEPT_MORE: usize = KEPT_MAX / 4;

/// Asks who gets an event that is looked at ahead of its turn.
struct BeforeItsTurn<'c>(&'c Chooser);

impl Wants for BeforeItsTurn<'_> {
    fn wants(&self, queued: &Queued) -> bool {
        self.0.gets(queued)
    }
}

impl Lane {
    /// The next event that may overtake what waits.
    pub(super) fn express(&mut self) -> Result<Option<Entry>, QueueTrouble> {
        if self.endpoint.priority.is_empty() || self.kept() >= KEPT_MAX + KEPT_MORE {
            return Ok(None);
        }
        while let Some(sequence) = self.window.urgent(&self.endpoint.priority) {
            let (endpoint, chooser) = (&self.endpoint, &self.chooser);
            let may = |queued: &Queued, alerts: &Wanted| {
                let kind = &*queued.event.kind;
                let is_urgent = endpoint.priority.iter().any(|urgent| **urgent == *kind);
                let is_wanted = alerts.wants(&BeforeItsTurn(chooser), queued);
                is_urgent && is_wanted && endpoint.order.line(&queued.event).is_none()
            };
            match self.window.overtake(sequence, may, &mut self.memory)? {
                Overtaken::Stays => {}
                Overtaken::NoRoom => return Ok(None),
                Overtaken::Event(queued) => {
                    self.in_hand += 1;
                    return Ok(Some(Entry::new(queued)));
                }
            }
        }
        Ok(None)
    }

    /// Whether an event goes before others.
    pub(super) fn is_urgent(&self, entry: &Entry) -> bool {
        let kind = &entry.queued.event.kind;
        self.endpoint
            .priority
            .iter()
            .any(|urgent| **urgent == **kind)
    }
}
