//! Alerts: what delivery has to tell of its endpoints, on its way into the queue.
//!
//! Delivery leaves it in an [`AlertBox`] and goes on; the pump takes it out between two passes, as
//! it takes from any other source, and commits it as events of the agent's own. Each counts as
//! derived, so the account balances.
//!
//! **Crash argument.** What is in the box is in memory: a crash before the commit loses it. What it
//! told of is noticed again by the next process if it is still so. After the commit it is an event
//! as any other, and that it was told is remembered with it (see [`Told`]). When the queue is full the box keeps what is in it, up to [`ALERTS_MAX`].

use super::Group;
use super::intake::{At, Intake};
use super::told::{Sayings, Told};
use crate::clock::Moment;
use crate::event::Event;
use crate::event::alert::{Alert, SOURCE, is_alert};
use crate::queue::Queue;
use crate::shutdown::Bell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most alerts that wait for the pump: two for each of 64 endpoints. Each may come again after a
/// minute, so what goes beyond is told in the log alone.
pub const ALERTS_MAX: usize = 128;

/// Time between two looks when nothing rings.
const IDLE_PAUSE: Duration = Duration::from_secs(60);

/// Where delivery leaves alerts. Clones are the same box.
#[derive(Debug, Clone)]
pub struct AlertBox {
    waiting: Arc<Mutex<VecDeque<Alert>>>,
    sayings: Arc<Mutex<Sayings>>,
    bell: Bell,
}

impl AlertBox {
    /// A box that rings `bell`, which wakes the ingest thread.
    pub fn new(bell: Bell) -> AlertBox {
        AlertBox {
            waiting: Arc::default(),
            sayings: Arc::default(),
            bell,
        }
    }

    /// The same, which knows what `queue` remembers that was told.
    pub fn of(queue: &Queue, bell: Bell) -> AlertBox {
        AlertBox {
            sayings: Arc::new(Mutex::new(Sayings::load(queue))),
            ..AlertBox::new(bell)
        }
    }

    /// What was told of an endpoint, by this process or one before it, and is not over.
    pub fn told(&self, endpoint: &str) -> Told {
        self.sayings().of(endpoint)
    }

    /// Remembers that this was told of an endpoint, and nothing else; it is on disk with the next
    /// commit.
    pub fn remember(&self, endpoint: &Arc<str>, told: Told) {
        self.sayings().say(endpoint, told);
        self.bell.ring();
    }

    /// Leaves an alert; never waits. False when there is no room for it.
    pub fn put(&self, alert: Alert) -> bool {
        {
            let mut waiting = self.lock();
            if waiting.len() >= ALERTS_MAX {
                return false;
            }
            waiting.push_back(alert);
        }
        self.bell.ring();
        true
    }

    /// The alerts in it.
    pub fn take(&self) -> Vec<Alert> {
        self.lock().drain(..).collect()
    }

    fn sayings(&self) -> MutexGuard<'_, Sayings> {
        self.sayings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Alert>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the agent tells of itself.
#[derive(Debug)]
pub struct Alerts {
    source: Arc<str>,
    node: Arc<str>,
    mailbox: AlertBox,
    queue: Queue,
}

impl Alerts {
    /// The alerts that are left in `mailbox`, as events of `node`.
    pub fn new(node: Arc<str>, mailbox: AlertBox, queue: Queue) -> Alerts {
        Alerts {
            source: SOURCE.into(),
            node,
            mailbox,
            queue,
        }
    }

    /// How many of the agent's users' events wait for `endpoint`.
    fn waiting(&self, endpoint: &str) -> Option<u64> {
        let ledger = self.queue.ledger();
        let totals = ledger.endpoint(endpoint)?;
        Some(totals.queued + totals.waiting)
    }
}

impl Intake for Alerts {
    /// A queue is mostly full because an endpoint fails: that is when this must get in.
    fn has_reserved(&self) -> bool {
        true
    }

    fn is_source(&self, name: &str) -> bool {
        name == SOURCE
    }

    fn take(&mut self, _: At, group: &mut Group) {
        for change in self.mailbox.sayings().changes() {
            group.change(change);
        }
        let alerts = self.mailbox.take();
        if alerts.is_empty() {
            return;
        }
        let told: Vec<Event> = alerts
            .iter()
            .map(|alert| alert.event(&self.node, self.waiting(&alert.endpoint)))
            .collect();
        debug_assert!(told.iter().all(|event| is_alert(&event.kind)));
        group.tell(&self.source, told);
    }

    fn waits_for_room(&self) -> bool {
        false
    }

    fn committed(&mut self, _: Moment) {}

    fn turned_away(&mut self) {}

    fn due(&self, now: Moment) -> Moment {
        now + IDLE_PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMs;
    use crate::event::alert::What;

    #[test]
    fn a_full_box_takes_no_more_and_never_waits() {
        let mailbox = AlertBox::new(Bell::default());
        let alert = Alert {
            endpoint: "billing".into(),
            host: "a".to_string(),
            at: UnixMs(0),
            what: What::ClockSkew { ahead_secs: 61 },
        };
        for place in 0..ALERTS_MAX + 10 {
            assert_eq!(mailbox.put(alert.clone()), place < ALERTS_MAX);
        }
        assert_eq!(mailbox.take().len(), ALERTS_MAX);
        assert!(mailbox.put(alert));
    }
}
