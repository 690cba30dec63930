//! The only way to ask the time.
//!
//! Waits use [`Clock::now`], which never goes back; what is written down or signed uses
//! [`Clock::wall`]. With [`ManualClock`] three days of retries run in a millisecond.

use std::fmt;
use std::ops::Add;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An instant of wall-clock time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// It may step in either direction when the clock is set; never measure a wait with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// Whole seconds since 1970, rounded down.
    pub fn unix_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The instant `span` later; saturates.
    pub fn after(self, span: Duration) -> UnixMs {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        UnixMs(self.0.saturating_add(millis))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: UnixMs) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

/// A reading of a clock that never goes back: time since some fixed moment of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(span))
    }
}

/// The two readings everything else in the agent gets its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall-clock time: for what is written down, compared with a switch's times, or signed.
    fn wall(&self) -> UnixMs;

    /// Monotonic time: for every wait and every age.
    fn now(&self) -> Moment;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at zero now.
    pub fn new() -> SystemClock {
        SystemClock {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> UnixMs {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        // A machine that boots before 1970 has no clock worth reading; 0 keeps it running.
        UnixMs(since_1970.map_or(0, |span| {
            i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
        }))
    }

    fn now(&self) -> Moment {
        Moment(self.origin.elapsed())
    }
}

/// A clock that moves only when told to: for tests.
#[derive(Debug)]
pub struct ManualClock {
    readings: Mutex<(UnixMs, Moment)>,
}

impl ManualClock {
    /// A clock that stands at `wall`, its monotonic reading at zero.
    pub fn at(wall: UnixMs) -> ManualClock {
        ManualClock {
            readings: Mutex::new((wall, Moment::default())),
        }
    }

    /// Moves both readings on by `span`.
    pub fn advance(&self, span: Duration) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        *readings = (readings.0.after(span), readings.1 + span);
    }

    /// Sets the wall clock, as an operator or NTP would; the monotonic reading stays.
    pub fn set_wall(&self, wall: UnixMs) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.0 = wall;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixMs {
        self.readings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn now(&self) -> Moment {
        self.readings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_of_the_wall_clock_leaves_the_monotonic_reading() {
        let clock = ManualClock::at(UnixMs(1_000_000));
        clock.advance(Duration::from_secs(5));
        clock.set_wall(UnixMs(0));
        assert_eq!(clock.wall(), UnixMs(0));
        assert_eq!(clock.now(), Moment(Duration::from_secs(5)));
    }

    #[test]
    fn ages_never_go_below_zero() {
        assert_eq!(UnixMs(5).since(UnixMs(9)), Duration::ZERO);
        assert_eq!(
            Moment::default().since(Moment(Duration::from_secs(1))),
            Duration::ZERO
        );
    }
}
