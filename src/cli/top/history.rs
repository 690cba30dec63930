//! History: the figures of the last minute, as small curves.

use crate::control::status::Status;
use std::collections::VecDeque;
use std::time::Instant;

/// Readings kept: a minute of them, and as many columns.
pub const READINGS_MAX: usize = 60;

/// The figures of the last minute.
#[derive(Debug, Default)]
pub struct History {
    last: Option<(Instant, u64, u64)>,
    /// Rows read in a second.
    pub rows: VecDeque<f64>,
    /// Events delivered in a second.
    pub sent: VecDeque<f64>,
    /// The slowest endpoint's median, in milliseconds.
    pub latency: VecDeque<f64>,
}

impl History {
    /// Notes what `status` says at `now`.
    pub fn note(&mut self, status: &Status, now: Instant) {
        let rows = status.sources.iter().map(|it| it.rows + it.derived).sum();
        let sent = status.endpoints.iter().map(|it| it.delivered).sum();
        if let Some((at, rows_before, sent_before)) = self.last.replace((now, rows, sent)) {
            let secs = now.duration_since(at).as_secs_f64().max(0.001);
            push(&mut self.rows, rate(rows, rows_before, secs));
            push(&mut self.sent, rate(sent, sent_before, secs));
        }
        let medians = status.endpoints.iter().filter_map(|it| it.latency_ms);
        let slowest = medians.map(|it| it.p50).fold(0.0, f64::max);
        push(&mut self.latency, slowest);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate has a few digits")]
fn rate(count: u64, before: u64, secs: f64) -> f64 {
    count.saturating_sub(before) as f64 / secs
}

fn push(readings: &mut VecDeque<f64>, reading: f64) {
    if readings.len() >= READINGS_MAX {
        readings.pop_front();
    }
    readings.push_back(reading);
}

/// Heights of a curve's columns, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Readings as a curve of `width` columns, the latest at its right end; the highest reading has
/// the highest column.
pub fn curve(readings: &VecDeque<f64>, width: usize) -> String {
    let top = readings.iter().copied().fold(0.0, f64::max);
    let skip = readings.len().saturating_sub(width);
    let shown = readings.iter().skip(skip);
    let blanks = width.saturating_sub(readings.len());
    let bars = shown.map(|reading| {
        let eighth = BARS.iter().zip(1_u8..);
        let height = if top > 0.0 { reading / top * 8.0 } else { 0.0 };
        if *reading <= 0.0 {
            return ' ';
        }
        let found = eighth
            .filter(|(_, step)| f64::from(*step) <= height)
            .map(|(bar, _)| *bar)
            .last();
        found.unwrap_or('▁')
    });
    " ".repeat(blanks) + &bars.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_reading_is_the_highest_column_and_nothing_is_none() {
        let readings = VecDeque::from([0.0, 1.0, 4.0, 8.0]);
        assert_eq!(curve(&readings, 6), "   ▁▄█");
        assert_eq!(curve(&readings, 2), "▄█");
        assert_eq!(curve(&VecDeque::from([0.0]), 1), " ");
    }
}
