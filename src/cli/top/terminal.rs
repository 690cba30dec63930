//! Terminal: every key at once, a page of its own, and only what changed is sent.

use super::keys::{Key, keys};
use super::view::{COLUMNS_MIN, ROWS_MIN};
use anstream::{AutoStream, ColorChoice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// To the terminal's other page, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Bytes read at a time: a key held down.
const KEYS_BYTES: usize = 64;

/// The terminal while it is ours. Dropping it gives it back as it was.
#[derive(Debug)]
pub struct Terminal {
    before: Termios,
    shown: Vec<String>,
    size: (usize, usize),
    has_colour: bool,
}

impl Terminal {
    /// Takes the terminal of standard input and output.
    ///
    /// # Errors
    ///
    /// When they are no terminal.
    pub fn take() -> io::Result<Terminal> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        let terminal = Terminal {
            before,
            shown: Vec::new(),
            size: (0, 0),
            has_colour: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        };
        write(ENTER)?;
        Ok(terminal)
    }

    /// Columns and rows, as they are now.
    pub fn size(&self) -> (usize, usize) {
        let found = terminal_size::terminal_size();
        found.map_or(
            (COLUMNS_MIN, ROWS_MIN),
            |(terminal_size::Width(columns), terminal_size::Height(rows))| {
                (usize::from(columns), usize::from(rows))
            },
        )
    }

    /// Shows `lines`, of which each fits a row.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let mut out = String::new();
        let size = self.size();
        if size != self.size {
            out.push_str("\x1b[2J");
            self.shown.clear();
            self.size = size;
        }
        let count = lines.len().max(self.shown.len());
        for row in 0..count {
            let line = lines.get(row).map_or("", String::as_str);
            if self.shown.get(row).map(String::as_str) == Some(line) {
                continue;
            }
            // A String takes everything.
            let _ok = write!(out, "\x1b[{};1H", row + 1);
            if self.has_colour {
                out.push_str(line);
            } else {
                let _ok = write!(out, "{}", anstream::adapter::strip_str(line));
            }
            out.push_str("\x1b[K");
        }
        self.shown = lines.to_vec();
        write(&out)
    }

    /// The keys pressed within `patience`; returns at the first.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn keys(&mut self, patience: Duration) -> io::Result<Vec<Key>> {
        let stdin = io::stdin();
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let mut waits = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waits, PollTimeout::from(millis)) {
            Ok(0) => return Ok(Vec::new()),
            // A window that changed its size.
            Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let mut bytes = [0; KEYS_BYTES];
        match stdin.lock().read(&mut bytes)? {
            0 => Ok(vec![Key::Quit]),
            count => Ok(keys(bytes.get(..count).unwrap_or_default())),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _left = write(LEAVE);
        let _restored = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
