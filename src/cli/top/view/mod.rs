//! View: what a screen of any size shows of the board. Asks nothing and nobody.
//!
//! Everything is told by words and marks; a colour only repeats them.

mod curves;
mod details;
mod help;
mod items;
mod overview;
mod plan;
mod table;

use super::board::{Board, Page, Pane};
use crate::cli::status::{cut, span, wrapped};
use crate::control::status::Status;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::Line;
use std::time::Instant;

/// Columns of the terminal it is made for.
pub const COLUMNS: u16 = 80;

/// Rows of the terminal it is made for.
pub const ROWS: u16 = 24;

/// Columns without which it says only that there are too few: a name, a state and a number.
pub const COLUMNS_MIN: u16 = 40;

/// Rows without which it says only that there are too few: one endpoint, one source and the rest.
pub const ROWS_MIN: u16 = 8;

const PLAIN: Style = Style::new();
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WAIT: Style = Style::new().fg(Color::Yellow);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws the board on all of `buffer`.
pub fn draw(buffer: &mut Buffer, board: &mut Board, now: Instant) {
    let area = buffer.area;
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        return too_small(buffer);
    }
    if board.status.is_none() {
        return;
    }
    match board.page {
        Page::Overview => overview::draw(buffer, board, now),
        _ => page(buffer, board, now),
    }
    foot(buffer, board, now);
    if board.has_help {
        help::draw(buffer, &mut board.scroll);
    }
}

/// A page about one thing: two lines of the whole, then the thing.
fn page(buffer: &mut Buffer, board: &mut Board, now: Instant) {
    let Some(status) = &board.status else { return };
    let area = buffer.area;
    let mut rows = Rows::new(buffer, area);
    rows.put(head(board, status, now));
    rows.put(problem(board, status, now, area.width));
    // The last row belongs to the keys.
    let body = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(3),
        ..area
    };
    match board.page {
        Page::DeadLetters | Page::Attempts => items::list(buffer, body, board),
        Page::DeadLetter | Page::Attempt => items::one(buffer, body, board),
        Page::Problems => {
            let problems = status.problems.iter();
            let undecided = status.undecided.iter();
            let mut lines: Vec<(Style, String)> = problems
                .map(|it| (BAD, format!("! {it}")))
                .chain(undecided.map(|it| (WAIT, format!("? {it}"))))
                .collect();
            if lines.is_empty() {
                lines.push((GOOD, "There is nothing to do.".to_string()));
            }
            text(buffer, body, board, &lines);
        }
        _ => {
            let lines = match board.pane {
                Pane::Endpoints => board.endpoint().map(details::endpoint),
                Pane::Sources => board.source().map(details::source),
            };
            text(buffer, body, board, &lines.unwrap_or_default());
        }
    }
}

/// A text of any length: wrapped, and the part of it that is in sight.
fn text(buffer: &mut Buffer, area: Rect, board: &mut Board, lines: &[(Style, String)]) {
    let width = usize::from(area.width);
    let wrapped: Vec<(Style, String)> = lines
        .iter()
        .flat_map(|(style, line)| details::hung(*style, line, width))
        .collect();
    let sight = board.scroll.sight(area.height.into(), wrapped.len());
    let mut rows = Rows::new(buffer, area);
    for (style, line) in wrapped.get(sight).unwrap_or_default() {
        rows.put(Line::styled(line.clone(), *style));
    }
}

/// Rows of a part of the screen, filled from the top; what has no room is left out.
struct Rows<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
}

impl<'a> Rows<'a> {
    fn new(buffer: &'a mut Buffer, area: Rect) -> Rows<'a> {
        let area = area.intersection(buffer.area);
        Rows { buffer, area }
    }

    fn put(&mut self, line: impl Into<Line<'static>>) {
        if self.area.height == 0 {
            return;
        }
        let Rect { x, y, width, .. } = self.area;
        self.buffer.set_line(x, y, &line.into(), width);
        self.area.y += 1;
        self.area.height -= 1;
    }
}

fn too_small(buffer: &mut Buffer) {
    let area = buffer.area;
    let text = format!(
        "too small: {} x {}, top needs {COLUMNS_MIN} x {ROWS_MIN}; q quits",
        area.width, area.height
    );
    let mut rows = Rows::new(buffer, area);
    for line in wrapped(&text, area.width.into()) {
        rows.put(line);
    }
}

/// Who it is, for how long, and how it is, in one row.
fn head(board: &Board, status: &Status, now: Instant) -> Line<'static> {
    let (style, word) = match (board.stale(now), status.healthy, status.problems.len()) {
        (Some((trouble, _)), _, _) => (BAD, trouble.word.to_string()),
        (None, true, _) if !status.undecided.is_empty() => (WAIT, "to be decided".to_string()),
        (None, true, _) => (GOOD, "healthy".to_string()),
        (None, false, 1) => (BAD, "1 problem".to_string()),
        (None, false, count) => (BAD, format!("{count} problems")),
    };
    let balanced = match status.ledger_balanced {
        true => "ledger balanced",
        false => "LEDGER NOT BALANCED",
    };
    Line::from_iter([
        format!("{:<16} ", cut(&status.node, 16)).into(),
        ratatui_core::text::Span::styled(format!("{word:<13}"), style),
        format!(
            "up {:<8} {balanced:<20} switchhook {}",
            span(status.uptime_secs),
            cut(&status.version, 8)
        )
        .into(),
    ])
}

/// What there is to do, or why nothing newer is known.
fn problem(board: &Board, status: &Status, now: Instant, width: u16) -> Line<'static> {
    let mut style = BAD;
    let text = match (board.stale(now), status.problems.as_slice()) {
        (Some((trouble, age)), _) => format!(
            "! {}: this is how it stood {} ago",
            trouble.text,
            span(age.as_secs())
        ),
        (None, []) => {
            style = WAIT;
            let first = status.undecided.first();
            first.map_or(String::new(), |it| format!("? {it}"))
        }
        (None, [only]) => format!("! {only}"),
        (None, [first, rest @ ..]) => {
            let more = format!(" (and {} more: press !)", rest.len());
            let room = usize::from(width).saturating_sub(more.len());
            cut(&format!("! {first}"), room) + &more
        }
    };
    Line::styled(cut(&text, width.into()), style)
}

/// The last row: what came of the last key, or the keys.
fn foot(buffer: &mut Buffer, board: &Board, now: Instant) {
    let area = buffer.area;
    let row = Rect {
        y: area.bottom().saturating_sub(1),
        height: 1,
        ..area
    };
    let width = usize::from(area.width);
    let line = match board.said(now) {
        Some(said) => Line::styled(cut(said, width), WAIT),
        None => Line::styled(keys(board.page, board.pane, width), DIM),
    };
    Rows::new(buffer, row).put(line);
}

fn keys(page: Page, pane: Pane, width: usize) -> String {
    let keys: &[&str] = match (page, pane) {
        (Page::Overview, Pane::Endpoints) => &[
            "p pause",
            "r resume",
            "d dead",
            "a attempts",
            "Enter details",
            "s sort",
            "Tab sources",
            "! problems",
        ],
        (Page::Overview, Pane::Sources) => &["Tab endpoints", "Enter details", "! problems"],
        (Page::DeadLetters, _) => &[
            "Esc back",
            "Enter details",
            "d read again",
            "p pause",
            "r resume",
        ],
        (Page::Attempts, _) => &["Esc back", "Enter details", "p pause", "r resume"],
        (Page::Details, Pane::Endpoints) => &["Esc back", "p pause", "r resume", "d dead"],
        _ => &["Esc back", "up, down: scroll"],
    };
    let mut line = "? help  q quit".to_string();
    for key in keys {
        if line.len() + 2 + key.len() > width {
            break;
        }
        line.push_str("  ");
        line.push_str(key);
    }
    line
}

#[cfg(test)]
mod tests;
