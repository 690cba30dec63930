//! Listening: what came to the sources that are pushed to, and what of it was taken.

use crate::listen::Gate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The pushes of one source since the agent started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStatus {
    /// Those that were handed on to be read.
    pub taken: u64,
    /// Those that were answered 503, or not answered, because too many waited or nothing could be
    /// kept.
    pub refused_full: u64,
    /// The same, because more came in a second than may.
    pub refused_rate: u64,
    /// Connections closed and datagrams dropped because the peer is not allowed.
    pub refused_peer: u64,
    /// Requests for another page or of another method.
    pub refused_page: u64,
    /// Bodies that were too long.
    pub refused_long: u64,
    /// Requests that were none, or did not end in time.
    pub refused_slow: u64,
    /// Datagrams that the system dropped because they were not read in time.
    pub refused_lost: u64,
    /// Pushes that wait to be read.
    pub waiting: usize,
}

impl PushStatus {
    /// What has come through `gate`.
    pub fn of(gate: &Gate) -> PushStatus {
        let refusals = gate.refusals();
        let (taken, waiting) = gate.taken();
        PushStatus {
            taken,
            refused_full: refusals.full,
            refused_rate: refusals.rate,
            refused_peer: refusals.peer,
            refused_page: refusals.page,
            refused_long: refusals.long,
            refused_slow: refusals.slow,
            refused_lost: refusals.lost,
            waiting,
        }
    }

    /// All that was refused.
    pub fn refused(&self) -> u64 {
        self.refused_full
            + self.refused_rate
            + self.refused_peer
            + self.refused_page
            + self.refused_long
            + self.refused_slow
            + self.refused_lost
    }
}

/// As `status` and `sources` show it; reasons that did not occur are left out.
impl fmt::Display for PushStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pushes taken, {} waiting", self.taken, self.waiting)?;
        let reasons = [
            (self.refused_full, "full"),
            (self.refused_rate, "too many a second"),
            (self.refused_peer, "not allowed"),
            (self.refused_page, "of an unknown page"),
            (self.refused_long, "too long"),
            (self.refused_slow, "no request, or unfinished"),
            (self.refused_lost, "lost by the system"),
        ];
        let reasons: Vec<String> = reasons
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, why)| format!("{count} {why}"))
            .collect();
        match reasons.is_empty() {
            true => Ok(()),
            false => write!(f, "; refused: {}", reasons.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_occurred_is_shown() {
        let mut status = PushStatus {
            taken: 7,
            ..PushStatus::default()
        };
        assert_eq!(status.to_string(), "7 pushes taken, 0 waiting");
        (status.refused_peer, status.refused_full) = (2, 3);
        assert_eq!(
            status.to_string(),
            "7 pushes taken, 0 waiting; refused: 3 full, 2 not allowed"
        );
        assert_eq!(status.refused(), 5);
    }
}
