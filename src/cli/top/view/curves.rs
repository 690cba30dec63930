//! Curves: the figures of the last minutes.

use super::{PLAIN, Rows};
use crate::cli::top::history::{Curve, History};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::widgets::Widget;
use ratatui_widgets::sparkline::Sparkline;

/// Columns before a curve.
const LABEL: u16 = 8;

/// Columns behind it for the latest reading; and for the highest, where there is room.
const LATEST: u16 = 9;
const PEAK: u16 = 12;

/// Columns of a screen that has room for the highest.
const PEAK_FROM: u16 = 60;

/// Draws the three figures in `area`: curves `height` rows high, or their latest readings in one
/// row when that is 0.
pub fn draw(buffer: &mut Buffer, area: Rect, history: &History, height: usize) {
    let curves = [
        ("rows/s", &history.rows),
        ("sent/s", &history.sent),
        ("p50 ms", &history.latency),
    ];
    if height == 0 {
        let figures = curves.map(|(label, curve)| format!("{label} {:<6}", latest(curve)));
        return Rows::new(buffer, area).put(figures.join(" "));
    }
    let height = u16::try_from(height).unwrap_or(1);
    for ((label, curve), at) in curves.into_iter().zip(0..) {
        let area = Rect {
            y: area.y + at * height,
            height,
            ..area
        };
        draw_one(buffer, area.intersection(buffer.area), label, curve);
    }
}

fn draw_one(buffer: &mut Buffer, area: Rect, label: &str, curve: &Curve) {
    let has_peak = area.width >= PEAK_FROM;
    let behind = if has_peak { LATEST + PEAK } else { LATEST };
    let room = area.width.saturating_sub(LABEL + behind);
    let (width, ticks) = (usize::from(room), area.height.saturating_mul(8));
    let heights = curve.heights(width, u8::try_from(ticks).unwrap_or(u8::MAX));
    // The latest reading is at the right end.
    let blank = room.saturating_sub(u16::try_from(heights.len()).unwrap_or(room));
    let bars = Rect {
        x: area.x + LABEL + blank,
        width: room - blank,
        ..area
    };
    Sparkline::default()
        .data(heights)
        .max(ticks.into())
        .absent_value_symbol("·")
        .absent_value_style(PLAIN)
        .render(bars, buffer);
    // Beside the foot of the curve.
    let row = Rect {
        y: area.bottom().saturating_sub(1),
        height: 1,
        ..area
    };
    Rows::new(buffer, row).put(label.to_string());
    let mut figures = format!(" {:>8}", latest(curve));
    if has_peak {
        figures += &format!(" max {:>7}", figure(curve.peak(width)));
    }
    let figures_at = Rect {
        x: area.x + LABEL + room,
        width: behind,
        ..row
    };
    Rows::new(buffer, figures_at).put(figures);
}

fn latest(curve: &Curve) -> String {
    curve.latest().map_or("-".to_string(), figure)
}

/// A figure in at most seven characters, unless it is beyond a million.
pub fn figure(figure: f64) -> String {
    match figure {
        0.0..1_000.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
