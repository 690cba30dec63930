//! The one place that writes to the terminal.
//!
//! Colours appear only where they can be shown (a terminal, and no `NO_COLOR`). A reader that goes
//! away (`| head`) ends the printing, never the process with an error.

use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::Write;

/// For what went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what needs a look.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what is in between.
pub const WAIT: Style = AnsiColor::Yellow.on_default();
/// For what is beside the point.
pub const DIM: Style = Style::new().dimmed();
/// For headings.
pub const HEAD: Style = Style::new().bold();

/// Prints a line on standard output.
pub fn line(text: impl Display) {
    let mut out = anstream::stdout().lock();
    // A closed pipe is the reader's own wish to hear no more.
    let _printed = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line on standard error.
pub fn complaint(text: impl Display) {
    let mut out = anstream::stderr().lock();
    let _printed = writeln!(out, "{text}");
}

/// `text` in `style`.
pub fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
