//! Overflow: what was dropped to make room (`when_full = "drop_oldest"`), said when it begins,
//! when it ends, and now and then in between.

use crate::clock::Moment;
use crate::queue::Dropped;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two lines about events dropped, and how long none must have been before
/// that is said to be over.
const TELL_EVERY: Duration = Duration::from_secs(300);

/// What is known of the events dropped.
#[derive(Debug, Default)]
pub struct Overflow {
    now: Option<Dropping>,
}

#[derive(Debug)]
struct Dropping {
    told_at: Moment,
    untold: BTreeMap<Arc<str>, u64>,
    /// Since it began.
    total: u64,
}

impl Overflow {
    /// Events were dropped at `now`.
    pub fn dropped(&mut self, dropped: &Dropped, now: Moment) {
        let is_first = self.now.is_none();
        let dropping = self.now.get_or_insert_with(|| Dropping {
            told_at: now,
            untold: BTreeMap::new(),
            total: 0,
        });
        for (endpoint, count) in &dropped.endpoints {
            *dropping.untold.entry(Arc::clone(endpoint)).or_default() += count;
            dropping.total += count;
        }
        if is_first {
            let untold = dropping.take_untold();
            log::error!(
                "queue full, oldest events are dropped{untold}; raise disk_max, or see why the endpoint is behind"
            );
        }
    }

    /// Says what is due at `now`.
    pub fn tell(&mut self, now: Moment) {
        let Some(dropping) = &mut self.now else {
            return;
        };
        if now.since(dropping.told_at) < TELL_EVERY {
            return;
        }
        if dropping.untold.is_empty() {
            log::info!("no more events are dropped total={}", dropping.total);
            self.now = None;
        } else {
            dropping.told_at = now;
            let untold = dropping.take_untold();
            log::error!("more events dropped{untold}");
        }
    }
}

impl Dropping {
    fn take_untold(&mut self) -> String {
        let each = std::mem::take(&mut self.untold).into_iter();
        each.map(|(endpoint, count)| {
            format!(
                " endpoint={endpoint} reason={} count={count}",
                Dropped::REASON
            )
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_said_at_once_then_summed_then_ended() {
        let mut overflow = Overflow::default();
        let dropped = Dropped {
            generation: 1,
            endpoints: vec![("crm".into(), 7)],
        };
        let begin = Moment::default();
        overflow.dropped(&dropped, begin);
        assert!(overflow.now.as_ref().unwrap().untold.is_empty());
        overflow.dropped(&dropped, begin);
        overflow.tell(begin + TELL_EVERY / 2);
        assert_eq!(overflow.now.as_ref().unwrap().untold["crm"], 7);
        overflow.tell(begin + TELL_EVERY);
        assert!(overflow.now.as_ref().unwrap().untold.is_empty());
        assert_eq!(overflow.now.as_ref().unwrap().total, 14);
        overflow.tell(begin + 2 * TELL_EVERY);
        assert!(overflow.now.is_none());
    }
}
