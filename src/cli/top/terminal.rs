//! Terminal: a page of its own and every key at once, for as long as `top` runs; and given back as
//! it was however it ends.
//!
//! Keys, signals and the bell of answers are waited for in one place, without a thread of their
//! own: signals come as bytes of a descriptor. Nothing is written to a terminal that takes nothing,
//! as one whose line is stalled: a signal ends `top` all the same.

use super::glyphs;
use super::keys::{Key, first_key};
use super::pen::Pen;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{
    FlushArg, LocalFlags, SetArg, Termios, cfmakeraw, tcflush, tcgetattr, tcsetattr,
};
use ratatui_core::buffer::Buffer;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// To the terminal's other page, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[m\x1b[?25h\x1b[?1049l";

/// Bytes read at a time: a key held down.
const KEYS_BYTES: usize = 64;

/// How long the rest of a key may take: a byte of a slow line, not a person's next key.
const REST_WAIT: u16 = 50;

/// Bytes written at a time where the terminal could be opened once more, so that it says how many it
/// takes. Else one: a terminal that takes any takes that without making the writer wait.
const SENT_BYTES: usize = 4 << 10;

/// How often, and for how long each time, a terminal that is given back is waited for.
const PATIENCE: (u32, u16) = (5, 100);

/// What ends `top`, and what makes it give the terminal back for a while or look at its size.
const SIGNALS: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// What was waited for.
#[derive(Debug, Default)]
pub struct Heard {
    /// Keys, in their order.
    pub keys: Vec<Key>,
    /// A signal or the terminal's end asks for the end.
    pub is_over: bool,
    /// Answers have come.
    pub has_answers: bool,
    /// The screen has to be drawn, whatever is on it.
    pub is_stirred: bool,
}

/// The terminal while it is ours. Dropping it gives it back.
#[derive(Debug)]
pub struct Terminal {
    screen: ratatui_core::terminal::Terminal<Pen>,
    held: Arc<Held>,
    signals: SignalFd,
    bell: UnixStream,
    begun: Vec<u8>,
    has_utf8: bool,
    /// The last screen was not sent whole.
    is_spoiled: bool,
}

/// The terminal, and how it was, for whoever gives it back first.
#[derive(Debug)]
struct Held {
    keyboard: OwnedFd,
    screen: OwnedFd,
    sent_bytes: usize,
    before: Mutex<Option<Termios>>,
}

impl Held {
    fn of(keyboard: OwnedFd, screen: OwnedFd) -> Arc<Held> {
        // The descriptor we were given is the shell's too, which would be surprised by its flags.
        let again = File::options()
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(format!("/proc/self/fd/{}", screen.as_raw_fd()));
        let (screen, sent_bytes) = match again {
            Ok(own) => (own.into(), SENT_BYTES),
            // Another user's, as after `su`.
            Err(_) => (screen, 1),
        };
        Arc::new(Held {
            keyboard,
            screen,
            sent_bytes,
            before: Mutex::default(),
        })
    }

    fn before(&self) -> MutexGuard<'_, Option<Termios>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the terminal, unless it is ours already; its modes are set in any case.
    fn take(&self) -> io::Result<()> {
        let mut before = self.before();
        let modes = match before.as_ref() {
            Some(before) => before.clone(),
            None => tcgetattr(&self.keyboard)?,
        };
        let mut raw = modes.clone();
        cfmakeraw(&mut raw);
        // Ctrl-C and Ctrl-Z are meant for the whole job: for sudo as well.
        raw.local_flags.insert(LocalFlags::ISIG);
        tcsetattr(&self.keyboard, SetArg::TCSANOW, &raw)?;
        *before = Some(modes);
        self.write(ENTER, None).map(drop)
    }

    /// Gives the terminal back, unless that is done.
    fn give_back(&self) {
        if let Some(before) = self.before().take() {
            // A terminal that is gone needs nothing back, and one that is stalled gets its modes.
            if !self.write(LEAVE, None).unwrap_or(true) {
                let _dropped = tcflush(&self.keyboard, FlushArg::TCOFLUSH);
            }
            let _restored = tcsetattr(&self.keyboard, SetArg::TCSANOW, &before);
        }
    }

    /// Gives the terminal back before a panic says what it has to say: on the page that stays.
    fn give_back_in_panic(self: &Arc<Held>) {
        let (held, say) = (Arc::clone(self), panic::take_hook());
        panic::set_hook(Box::new(move |what| {
            held.give_back();
            say(what);
        }));
    }

    /// Writes past the lock of standard output, which whoever panics may hold. False where the
    /// terminal takes no more: until one of the `signals` comes, or without them for a moment.
    fn write(&self, text: &str, signals: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let mut rest = text.as_bytes();
        let (mut tries, millis) = PATIENCE;
        while !rest.is_empty() {
            let heed = signals.map(|signals| PollFd::new(signals, PollFlags::POLLIN));
            let mut waits: Vec<PollFd<'_>> = heed.into_iter().collect();
            waits.push(PollFd::new(self.screen.as_fd(), PollFlags::POLLOUT));
            match poll(&mut waits, PollTimeout::from(millis)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let is_ready = waits.pop().is_some_and(|screen| screen.any() == Some(true));
            if !is_ready {
                tries = tries.saturating_sub(u32::from(signals.is_none()));
                if tries == 0 || waits.iter().any(|signals| signals.any() == Some(true)) {
                    return Ok(false);
                }
                continue;
            }
            let chunk = rest.get(..self.sent_bytes).unwrap_or(rest);
            match nix::unistd::write(&self.screen, chunk) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Terminal {
    /// Takes the terminal of standard input and output. `bell` has something to read when there
    /// are answers; it does not block. To be called before other threads are started: they must
    /// not get the signals.
    ///
    /// # Errors
    ///
    /// When they are no terminal, or the system has no descriptor left.
    pub fn take(bell: UnixStream, has_colour: bool, has_utf8: bool) -> io::Result<Terminal> {
        let signals = SigSet::from_iter(SIGNALS);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&signals, flags)?;
        let screen = ratatui_core::terminal::Terminal::new(Pen::new(has_colour))?;
        let keyboard = io::stdin().as_fd().try_clone_to_owned()?;
        let held = Held::of(keyboard, io::stdout().as_fd().try_clone_to_owned()?);
        held.take()?;
        held.give_back_in_panic();
        Ok(Terminal {
            screen,
            held,
            signals,
            bell,
            begun: Vec::new(),
            has_utf8,
            is_spoiled: false,
        })
    }

    /// Whether the terminal is ours: a thread that panics gives it back.
    pub fn is_ours(&self) -> bool {
        self.held.before().is_some()
    }

    /// Shows what `draw` draws on a buffer of the terminal's size. Where the terminal takes no more
    /// and a signal comes, the rest is left out, and the next screen is sent whole.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn show(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let has_utf8 = self.has_utf8;
        if std::mem::take(&mut self.is_spoiled) {
            self.screen.clear()?;
        }
        self.screen.draw(|frame| {
            let buffer = frame.buffer_mut();
            draw(buffer);
            if !has_utf8 {
                glyphs::to_ascii(buffer);
            }
        })?;
        let sent = self.screen.backend_mut().take();
        self.is_spoiled = !self.held.write(&sent, Some(self.signals.as_fd()))?;
        Ok(())
    }

    /// The next screen is sent whole.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn redraw(&mut self) -> io::Result<()> {
        self.screen.clear()
    }

    /// Waits up to `patience` for a key, a signal or, where `for_answers`, the bell.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn wait(&mut self, patience: Duration, for_answers: bool) -> io::Result<Heard> {
        let mut heard = Heard::default();
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let (has_keys, has_signals, has_answers) = self.ready(millis, for_answers)?;
        if has_signals {
            self.heed(&mut heard)?;
        }
        if has_answers {
            self.silence();
            heard.has_answers = true;
        }
        if has_keys {
            self.read_keys(&mut heard)?;
        }
        Ok(heard)
    }

    fn ready(&self, millis: u16, for_answers: bool) -> io::Result<(bool, bool, bool)> {
        let stdin = io::stdin();
        let bell = if for_answers {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut waits = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.bell.as_fd(), bell),
        ];
        match poll(&mut waits, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [keys, signals, bell] = waits.map(|wait| wait.any() == Some(true));
        Ok((keys, signals, bell && for_answers))
    }

    fn silence(&mut self) {
        let mut bytes = [0; KEYS_BYTES];
        // An empty bell says so instead of waiting.
        while let Ok(1..) = self.bell.read(&mut bytes) {}
    }

    fn heed(&mut self, heard: &mut Heard) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            heard.is_stirred = true;
            match Signal::try_from(number) {
                Ok(Signal::SIGTSTP) => self.suspend()?,
                // Stopped by another way than ours: the shell has used the terminal meanwhile.
                Ok(Signal::SIGCONT) => {
                    self.held.take()?;
                    self.redraw()?;
                }
                Ok(Signal::SIGWINCH) => {}
                _ => heard.is_over = true,
            }
        }
        Ok(())
    }

    /// Gives the terminal back, and stops until the shell has us go on. Where there is no shell to
    /// do so the system passes over this stop, and we go on at once.
    fn suspend(&mut self) -> io::Result<()> {
        self.held.give_back();
        let stop = SigSet::from(Signal::SIGTSTP);
        raise(Signal::SIGTSTP)?;
        stop.thread_unblock()?;
        stop.thread_block()?;
        self.held.take()?;
        self.redraw()
    }

    fn read_keys(&mut self, heard: &mut Heard) -> io::Result<()> {
        let mut bytes = [0; KEYS_BYTES];
        loop {
            match io::stdin().lock().read(&mut bytes) {
                // The other end of the line is gone.
                Ok(0) => heard.is_over = true,
                Ok(count) => self.begun.extend(bytes.iter().take(count)),
                Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => {
                    heard.is_over = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.take_keys(heard);
            if self.begun.is_empty() || heard.is_over {
                return Ok(());
            }
            let (has_more, ..) = self.ready(REST_WAIT, false)?;
            if !has_more {
                // An escape that nothing follows is the key of that name.
                if self.begun.first() == Some(&0x1b) {
                    heard.keys.push(Key::Back);
                }
                self.begun.clear();
                return Ok(());
            }
        }
    }

    fn take_keys(&mut self, heard: &mut Heard) {
        while let Some((key, count)) = first_key(&self.begun) {
            heard.keys.push(key);
            self.begun.drain(..count.min(self.begun.len()));
        }
        if self.begun.len() > KEYS_BYTES {
            // No key is that long.
            self.begun.clear();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.held.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::{OpenptyResult, openpty};
    use std::io::Write;
    use std::thread;

    /// How the terminal treats keys.
    fn modes(pty: &OpenptyResult) -> String {
        format!("{:?}", tcgetattr(&pty.slave).unwrap().local_flags)
    }

    fn taken(pty: &OpenptyResult) -> Arc<Held> {
        let side = || pty.slave.try_clone().unwrap();
        let held = Held::of(side(), side());
        held.take().unwrap();
        held
    }

    #[test]
    fn a_panic_in_any_thread_gives_the_terminal_back_as_it_was() {
        let pty = openpty(None, None).unwrap();
        let before = modes(&pty);
        let held = taken(&pty);
        assert!(!modes(&pty).contains("ICANON") && modes(&pty).contains("ISIG"));
        held.give_back_in_panic();
        assert!(thread::spawn(|| panic!("as a test")).join().is_err());
        assert_eq!(modes(&pty), before);
        // Whoever comes later finds that it is done.
        held.give_back();
        drop(held);
        let mut bytes = [0; 200];
        let count = File::from(pty.master).read(&mut bytes).unwrap();
        let said = String::from_utf8_lossy(&bytes[..count]);
        assert_eq!(said, format!("{ENTER}{LEAVE}"));
    }

    #[test]
    fn a_terminal_that_takes_nothing_holds_up_neither_a_signal_nor_the_end() {
        let pty = openpty(None, None).unwrap();
        let before = modes(&pty);
        let held = taken(&pty);
        let (mut raised, signals) = UnixStream::pair().unwrap();
        let screen = "x".repeat(1 << 20);
        let writing = thread::scope(|scope| {
            let writing = scope.spawn(|| held.write(&screen, Some(signals.as_fd())));
            raised.write_all(b"!").unwrap();
            writing.join().unwrap()
        });
        assert!(!writing.unwrap(), "nobody reads a megabyte");
        held.give_back();
        assert_eq!(modes(&pty), before);
    }
}
