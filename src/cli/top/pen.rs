//! Pen: ratatui's diff of two screens as the fewest bytes a terminal understands.
//!
//! The sequences are those of a VT100 with the eight colours of ECMA-48, which every terminal in
//! use knows, from the Linux console to a browser's. A library for more of them (crossterm) would
//! add 110 KB.

use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::{Cell, CellWidth};
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};
use std::fmt::Write as _;
use std::io;

/// Columns and rows of a terminal that does not tell.
const SIZE_UNTOLD: Size = Size::new(80, 24);

/// Writes what changed on a screen.
#[derive(Debug)]
pub struct Pen {
    out: String,
    has_colour: bool,
    cursor: Option<(u16, u16)>,
}

impl Pen {
    /// A pen that uses colours, or only bold, dim, underlined and reversed.
    pub fn new(has_colour: bool) -> Pen {
        Pen {
            out: String::new(),
            has_colour,
            cursor: None,
        }
    }

    /// What is to be sent since this was asked last.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn go_to(&mut self, x: u16, y: u16) {
        // A String takes everything.
        let _ok = match self.cursor {
            Some((column, row)) if (column, row) == (x, y) => return,
            Some((column, row)) if row == y && column < x => match x - column {
                1 => write!(self.out, "\x1b[C"),
                by => write!(self.out, "\x1b[{by}C"),
            },
            _ => match x {
                0 => write!(self.out, "\x1b[{}H", y + 1),
                _ => write!(self.out, "\x1b[{};{}H", y + 1, x + 1),
            },
        };
        self.cursor = Some((x, y));
    }

    fn set(&mut self, (colour, modifier): (Color, Modifier)) {
        self.out.push_str("\x1b[");
        let modifiers = [
            (Modifier::BOLD, ";1"),
            (Modifier::DIM, ";2"),
            (Modifier::UNDERLINED, ";4"),
            (Modifier::REVERSED, ";7"),
        ];
        // A reset without its 0, then all that is wanted.
        for (flag, code) in modifiers {
            if modifier.contains(flag) {
                self.out.push_str(code);
            }
        }
        self.out.push_str(match colour {
            Color::Red => ";31",
            Color::Green => ";32",
            Color::Yellow => ";33",
            _ => "",
        });
        self.out.push('m');
    }
}

impl Backend for Pen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let plain = (Color::Reset, Modifier::empty());
        let mut style = plain;
        // Where the cursor is after a screen is not known: the terminal may have been resized.
        self.cursor = None;
        for (x, y, cell) in content {
            self.go_to(x, y);
            let colour = if self.has_colour {
                cell.fg
            } else {
                Color::Reset
            };
            let wanted = (colour, cell.modifier);
            if wanted != style {
                self.set(wanted);
                style = wanted;
            }
            self.out.push_str(cell.symbol());
            self.cursor = Some((x.saturating_add(cell.cell_width()), y));
        }
        if style != plain {
            self.out.push_str("\x1b[m");
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        // It is hidden for as long as the terminal is ours.
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        self.go_to(x, y);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.out.push_str("\x1b[m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.out.push_str(match clear_type {
            ClearType::All => "\x1b[2J",
            ClearType::AfterCursor => "\x1b[J",
            ClearType::BeforeCursor => "\x1b[1J",
            ClearType::CurrentLine => "\x1b[2K",
            ClearType::UntilNewLine => "\x1b[K",
        });
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        let told = terminal_size::terminal_size();
        Ok(told.map_or(SIZE_UNTOLD, |(columns, rows)| Size::new(columns.0, rows.0)))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: self.size()?,
            pixels: Size::ZERO,
        })
    }

    /// Nothing: whoever has the terminal sends what was [taken](Pen::take).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui_core::buffer::Buffer;
    use ratatui_core::layout::Rect;
    use ratatui_core::style::Style;

    /// What is sent to go from one screen to the other.
    fn sent(before: &Buffer, after: &Buffer, has_colour: bool) -> String {
        let mut pen = Pen::new(has_colour);
        pen.draw(before.diff(after).into_iter()).unwrap();
        pen.out
    }

    #[test]
    fn only_what_changed_is_sent() {
        let before = Buffer::with_lines(["rows   45.1 ok", "same line", "7"]);
        let after = Buffer::with_lines(["rows   46.2 ok", "same line", "8"]);
        let moved = "\x1b[1;9H6\x1b[C2\x1b[3H8";
        assert_eq!(sent(&before, &after, true), moved);
        assert_eq!(sent(&after, &after, true), "");
    }

    #[test]
    fn a_style_is_sent_once_and_ended_and_without_colour_only_marks_are_left() {
        let before = Buffer::empty(Rect::new(0, 0, 10, 1));
        let mut after = before.clone();
        let bad = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        after.set_string(0, 0, "bad", bad);
        after.set_string(4, 0, "ok", Style::new().fg(Color::Green));
        let colours = "\x1b[1H\x1b[;1;31mbad\x1b[C\x1b[;32mok\x1b[m";
        assert_eq!(sent(&before, &after, true), colours);
        let marks = "\x1b[1H\x1b[;1mbad\x1b[C\x1b[mok";
        assert_eq!(sent(&before, &after, false), marks);
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        let before = Buffer::empty(Rect::new(0, 0, 10, 1));
        let after = Buffer::with_lines(["漢x       "]);
        assert_eq!(sent(&before, &after, true), "\x1b[1H漢x");
    }
}
