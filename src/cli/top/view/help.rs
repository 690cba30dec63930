//! Help: what the keys do, over whatever is shown.

use super::Rows;
use crate::cli::top::list::Scroll;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::widgets::Widget;
use ratatui_widgets::block::Block;
use ratatui_widgets::clear::Clear;

const LINES: [&str; 18] = [
    "up, down, j, k   choose a line, scroll",
    "PgUp, PgDn, Home, End   in larger steps",
    "Tab              endpoints, sources",
    "Enter            all about what is chosen",
    "p                pause the endpoint: its",
    "                 events wait",
    "r                resume it, also when it is",
    "                 stopped",
    "d                its dead letters",
    "a                its attempts as they end",
    "!                every problem in full",
    "s, right         sort by the next column",
    "left             by the column before",
    "S                the other way round",
    "Esc, b           back",
    "Ctrl-L           draw everything anew",
    "Ctrl-Z           suspend; fg goes on",
    "q, Ctrl-C        quit; nothing else changes",
];

/// Columns of the longest line, and of a frame with a gap.
const COLUMNS: u16 = 44 + 4;

/// Draws the help in the middle, scrolled where the screen is low.
pub fn draw(buffer: &mut Buffer, scroll: &mut Scroll) {
    let area = buffer.area;
    let wanted = u16::try_from(LINES.len() + 2).unwrap_or(u16::MAX);
    let (width, height) = (COLUMNS.min(area.width), wanted.min(area.height));
    let over = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let sight = scroll.sight(height.saturating_sub(2).into(), LINES.len());
    let title = match sight.end < LINES.len() {
        true => " keys (more below; any other key closes) ",
        false => " keys (any key closes) ",
    };
    Clear.render(over, buffer);
    Block::bordered().title(title).render(over, buffer);
    let gap = u16::from(width >= COLUMNS);
    let inside = Rect {
        x: over.x + 1 + gap,
        y: over.y + 1,
        width: width.saturating_sub(2 + 2 * gap),
        height: height.saturating_sub(2),
    };
    let mut rows = Rows::new(buffer, inside);
    for line in LINES.get(sight).unwrap_or_default() {
        rows.put(*line);
    }
}
