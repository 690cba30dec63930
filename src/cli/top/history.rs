//! History: the figures of the last minutes, as curves.

use crate::control::status::Status;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Readings kept: four minutes, and as many columns as the curve of a very wide screen has.
pub const READINGS_MAX: usize = 240;

/// Shortest time between two readings: half of that between two looks. A look that a key brings
/// about is none, for a rate over a moment says nothing.
const READING_EVERY: Duration = Duration::from_millis(500);

/// The figures of the last minutes, one reading a look.
#[derive(Debug, Default)]
pub struct History {
    last: Option<(Instant, u64, u64)>,
    read_at: Option<Instant>,
    /// Rows read in a second.
    pub rows: Curve,
    /// Events delivered in a second.
    pub sent: Curve,
    /// The slowest endpoint's median, in milliseconds.
    pub latency: Curve,
}

impl History {
    /// Notes what `status` says at `now`. The first look gives no rates: they lie between two.
    pub fn note(&mut self, status: &Status, now: Instant) {
        if !self.is_due(now) {
            return;
        }
        let rows = status.sources.iter().map(|it| it.rows + it.derived).sum();
        let sent = status.endpoints.iter().map(|it| it.delivered).sum();
        if let Some((at, rows_before, sent_before)) = self.last.replace((now, rows, sent)) {
            let secs = now.duration_since(at).as_secs_f64().max(0.001);
            self.rows.push(Some(rate(rows, rows_before, secs)));
            self.sent.push(Some(rate(sent, sent_before, secs)));
        }
        let medians = status.endpoints.iter().filter_map(|it| it.latency_ms);
        let slowest = medians.map(|it| it.p50).fold(0.0, f64::max);
        self.latency.push(Some(slowest));
    }

    /// Notes a look that nobody answered.
    pub fn miss(&mut self, now: Instant) {
        if !self.is_due(now) {
            return;
        }
        for curve in [&mut self.rows, &mut self.sent, &mut self.latency] {
            curve.push(None);
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let before = self.read_at;
        let is_due = before.is_none_or(|at| now.saturating_duration_since(at) >= READING_EVERY);
        if is_due {
            self.read_at = Some(now);
        }
        is_due
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate has a few digits")]
fn rate(count: u64, before: u64, secs: f64) -> f64 {
    count.saturating_sub(before) as f64 / secs
}

/// Readings of one figure, the latest last; `None` where there was no answer.
#[derive(Debug, Default)]
pub struct Curve(VecDeque<Option<f64>>);

impl Curve {
    fn push(&mut self, reading: Option<f64>) {
        if self.0.len() >= READINGS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(reading);
    }

    /// The latest reading, when it was answered.
    pub fn latest(&self) -> Option<f64> {
        self.0.back().copied().flatten()
    }

    /// The highest of the last `width` readings.
    pub fn peak(&self, width: usize) -> f64 {
        self.shown(width).flatten().fold(0.0, f64::max)
    }

    /// The last `width` readings as heights up to `ticks`, which the highest of them has. What is
    /// not nothing has a height of at least 1.
    pub fn heights(&self, width: usize, ticks: u8) -> Vec<Option<u64>> {
        let peak = self.peak(width);
        let height = |reading: f64| {
            let step = |tick: &u8| f64::from(*tick) * peak <= reading * f64::from(ticks);
            let reached = (1..=ticks).take_while(step).last();
            match reading > 0.0 {
                true => u64::from(reached.unwrap_or(1)),
                false => 0,
            }
        };
        self.shown(width).map(|it| it.map(height)).collect()
    }

    fn shown(&self, width: usize) -> impl Iterator<Item = Option<f64>> {
        let skip = self.0.len().saturating_sub(width);
        self.0.iter().skip(skip).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::samples::status;

    fn curve(readings: &[Option<f64>]) -> Curve {
        Curve(readings.iter().copied().collect())
    }

    #[test]
    fn the_highest_reading_in_sight_has_the_full_height_and_nothing_has_none() {
        let curve = curve(&[
            Some(100.0),
            Some(0.0),
            Some(0.01),
            None,
            Some(4.0),
            Some(8.0),
        ]);
        let seen = [Some(0), Some(1), None, Some(4), Some(8)];
        assert_eq!(curve.heights(5, 8), seen);
        assert_eq!(curve.heights(5, 16)[3..], [Some(8), Some(16)]);
        assert_eq!(curve.heights(99, 8)[..2], [Some(8), Some(0)]);
        assert_eq!((curve.peak(5), curve.latest()), (8.0, Some(8.0)));
    }

    #[test]
    fn a_rate_lies_between_two_looks_and_an_unanswered_look_leaves_a_gap() {
        let (mut history, began) = (History::default(), Instant::now());
        let mut now = status(1, 1);
        (now.sources[0].rows, now.endpoints[0].delivered) = (10, 10);
        history.note(&now, began);
        history.miss(began + Duration::from_secs(1));
        // A key was pressed in between.
        history.miss(began + Duration::from_millis(1_100));
        (now.sources[0].rows, now.endpoints[0].delivered) = (30, 20);
        history.note(&now, began + Duration::from_secs(2));
        assert_eq!(history.rows.0, [None, Some(10.0)]);
        assert_eq!(history.sent.0, [None, Some(5.0)]);
        assert_eq!(history.latency.0.len(), 3);
    }

    #[test]
    fn no_more_readings_are_kept_than_a_wide_screen_shows() {
        let mut history = History::default();
        let began = Instant::now();
        for second in (0..).take(READINGS_MAX + 9) {
            history.miss(began + Duration::from_secs(second));
        }
        assert_eq!(history.rows.0.len(), READINGS_MAX);
    }
}
