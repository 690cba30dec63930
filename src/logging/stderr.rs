//! Stderr: lines for a person who runs the agent by hand. Unlike the daemon's socket it may
//! block: whoever stops a terminal's output stops the agent they started in it.

use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use anstyle::{AnsiColor, Style};
use log::Level;
use std::io::{self, Write};

/// Writes `text`, which is one line already, to `out`. It is styled; `anstream` takes the styles
/// away where nobody sees them.
///
/// # Errors
///
/// When `out` does not take it, for instance a pipe whose reader is gone.
pub fn write_line(
    out: &mut impl Write,
    level: Level,
    wall: UnixMs,
    id: Option<&str>,
    text: &str,
) -> io::Result<()> {
    let stamp = Timestamp::from_millis(wall.0);
    let style = style(level);
    let (id, space) = id.map_or(("", ""), |id| (id, " "));
    writeln!(out, "{stamp} {style}{level:5}{style:#} {id}{space}{text}")
}

fn style(level: Level) -> Style {
    match level {
        Level::Error => AnsiColor::Red.on_default().bold(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug | Level::Trace => Style::new().dimmed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::StripStream;

    #[track_caller]
    fn check(level: Level, id: Option<&str>, text: &str, expected: &str) {
        let mut out = StripStream::new(Vec::new());
        write_line(&mut out, level, UnixMs(1_775_745_045_120), id, text).unwrap();
        assert_eq!(String::from_utf8(out.into_inner()).unwrap(), expected);
    }

    #[test]
    fn a_line_is_its_time_its_level_its_id_and_its_text() {
        check(
            Level::Warn,
            Some("SH101"),
            "lines set aside source=cdr count=3",
            "2026-04-09T14:30:45.120Z WARN  SH101 lines set aside source=cdr count=3\n",
        );
        check(
            Level::Error,
            None,
            "no room",
            "2026-04-09T14:30:45.120Z ERROR no room\n",
        );
    }
}
