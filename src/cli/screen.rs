//! The one place that writes to the terminal.
//!
//! Colours appear only where they can be shown (a terminal, and no `NO_COLOR`). A reader that goes
//! away (`| head`) ends the printing, never the process with an error.

use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::{IsTerminal, Write};

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

/// How far a long piece of work has come: a line on a terminal's standard error, nothing elsewhere.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    all: u64,
    done: u64,
    shown: bool,
}

impl Progress {
    /// Nothing done of `all` yet.
    pub fn new(what: &'static str, all: u64) -> Progress {
        Progress {
            what,
            all,
            done: 0,
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// `count` more are done.
    pub fn step(&mut self, count: u64) {
        self.done += count;
        if self.shown {
            let mut out = anstream::stderr().lock();
            let _printed = write!(out, "\r{} {} of {} ", self.what, self.done, self.all);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown && self.done > 0 {
            let mut out = anstream::stderr().lock();
            let _printed = write!(out, "\r\x1b[K");
        }
    }
}

/// `count` things called `one`: `1 file`, `2 files`.
pub fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}
