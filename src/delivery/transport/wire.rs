//! Wire: one connection as the HTTP client uses it, plain or TLS.
//!
//! The client's own connection costs a request twelve system calls (two
//! writes, a read, three timeouts set, two looks of three calls each whether it is still open);
//! this one costs it three:
//!
//! * Head and body leave in **one write**: what the client hands over is collected, with the
//!   [header lines](super::head) in their place, and goes out when it begins to wait for the answer
//!   (or when the buffer is full).
//! * The **socket's timeout is set once** per connection. It is rounded down to whole steps of
//!   the attempt's time, and what is left at its end is waited for separately, so deadlines are
//!   exact and the common case needs no `setsockopt`.
//! * Whether an idle connection is still open is asked **once**, when it is taken again, with one
//!   `recv` that does not wait.

use super::dial::carried;
use super::head::Head;
use super::limits::{Limits, Span};
use super::trust::TrustIn;
use super::{ANSWER_BYTES_MAX, Phase};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use rustls::ClientConnection;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// Bytes collected before they are written. A call record with its headers is 1.5 KiB.
const OUTPUT_BYTES: usize = 16 << 10;

/// Free bytes below which the collected ones are written: room for the longest header line.
const OUTPUT_FREE_MIN: usize = 8 << 10;

/// Bytes read at a time, and the buffer while an answer is of ordinary size.
const INPUT_BYTES: usize = 4 << 10;

/// Most bytes of input held: the longest header, and one more read to see that it is too long.
const INPUT_BYTES_MAX: usize = super::ANSWER_HEADER_BYTES_MAX + INPUT_BYTES;

/// Parts an attempt's time is divided into for the socket's timeout.
const STEPS: u32 = 8;

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    buffers: WireBuffers,
    /// Used since it was last asked whether it is open.
    just_used: bool,
    /// A write found the connection closed. The answer may have come before: it is read first.
    write_failed: Option<io::Error>,
    limits: Limits,
    /// The header lines of each request.
    head: Head,
    trust: TrustIn,
    /// Goes before the path of each request, for a proxy that is to see where it leads.
    prefix: Option<String>,
    exchange: Exchange,
}

/// How far the request under way has come.
#[derive(Debug)]
enum Exchange {
    /// Nothing was handed over.
    None,
    /// Since when it is being handed over.
    Sending(Instant),
    /// Since when it is sent, and how many bytes of the answer were read.
    Sent(Instant, usize),
}

impl Wire {
    /// A connection over `socket`, TLS already agreed when `tls` is given.
    pub(super) fn new(
        socket: Socket,
        tls: Option<ClientConnection>,
        limits: Limits,
        head: Head,
        trust: TrustIn,
    ) -> Wire {
        Wire {
            socket,
            tls: tls.map(Box::new),
            buffers: WireBuffers::new(),
            just_used: false,
            write_failed: None,
            limits,
            head,
            trust,
            prefix: None,
            exchange: Exchange::None,
        }
    }

    /// The same, with what goes before the path of each request.
    pub(super) fn with_prefix(self, prefix: Option<String>) -> Wire {
        Wire { prefix, ..self }
    }

    /// Puts the header lines in before the empty line that ends what was collected, if that ends a
    /// head; a body that ends in one comes when they have been handed out.
    fn put_head(
        &mut self,
        began: Instant,
        now: Instant,
        left: Duration,
    ) -> Result<(), ureq::Error> {
        let Some(end) = self.buffers.end_of_head() else {
            return Ok(());
        };
        let head = self.head.clone();
        head.take(|lines| {
            self.buffers.collected = end;
            for mut rest in [lines, b"\r\n"] {
                while !rest.is_empty() {
                    rest = self.buffers.put(rest);
                    if !rest.is_empty() {
                        self.send(began, now, left)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Writes what was collected, within the time of sending, which `began` then, of the `left` that
    /// the attempt has `now`.
    fn send(&mut self, began: Instant, now: Instant, left: Duration) -> Result<(), ureq::Error> {
        let span = self.limits.span_since(Phase::Send, now - began, left);
        self.socket.end_within(span.within, now);
        let sent = self.flush();
        self.note_silence(&sent, began);
        sent.map_err(|error| named(error, span, "the request was not taken"))
    }

    /// A connection that does not take a request, or does not answer it, leads nowhere any more.
    fn note_silence<T>(&self, result: &io::Result<T>, sent: Instant) {
        let is_late = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
            )
        };
        if result.as_ref().is_err_and(is_late) {
            self.trust.was_silent(sent);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let collected = self
            .buffers
            .output
            .get(..self.buffers.collected)
            .unwrap_or_default();
        if collected.is_empty() || self.write_failed.is_some() {
            self.buffers.collected = 0;
            return Ok(());
        }
        let written = match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).write_all(collected),
            None => self.socket.write_all(collected),
        };
        self.buffers.collected = 0;
        match written {
            // A receiver that refuses a large body answers and closes without reading all of it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                self.write_failed = Some(error);
                Ok(())
            }
            written => written,
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if let Exchange::Sent(_, ANSWER_BYTES_MAX..) = self.exchange {
            let text = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let input = self.buffers.input_append_buf();
        if input.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer does not fit the buffer",
            ));
        }
        let read = match &mut self.tls {
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(input),
            None => self.socket.read(input),
        };
        match (read, self.write_failed.take()) {
            (Ok(0) | Err(_), Some(error)) => Err(error),
            (read, write_failed) => {
                self.write_failed = write_failed;
                read
            }
        }
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.just_used = true;
        let now = Instant::now();
        let (began, is_first) = match self.exchange {
            Exchange::Sending(began) => (began, false),
            Exchange::None | Exchange::Sent(..) => (now, true),
        };
        self.exchange = Exchange::Sending(began);
        self.buffers
            .collect(amount, self.prefix.as_deref().filter(|_| is_first))?;
        let left = self.limits.left(*timeout.after);
        self.put_head(began, now, left)?;
        if self.buffers.output.len() - self.buffers.collected >= OUTPUT_FREE_MIN {
            return Ok(());
        }
        self.send(began, now, left)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let began = Instant::now();
        let left = self.limits.left(*timeout.after);
        let mut now = began;
        if let Exchange::Sending(sending) = self.exchange {
            self.send(sending, now, left)?;
            now = Instant::now();
            self.exchange = Exchange::Sent(now, 0);
        }
        let left = left.saturating_sub(now - began);
        let (span, what) = match self.exchange {
            Exchange::Sent(at, 0) => (
                self.limits.span_since(Phase::Answer, now - at, left),
                "no byte of an answer",
            ),
            _ => (
                self.limits.span(Phase::Headers, left),
                "the answer was not complete",
            ),
        };
        self.socket.end_within(span.within, now);
        let filled = self.fill();
        if let Exchange::Sent(sent, 0) = self.exchange {
            self.note_silence(&filled, sent);
        }
        let amount = filled.map_err(|error| named(error, span, what))?;
        if amount > 0 {
            self.trust.heard();
        }
        self.buffers.input_appended(amount);
        if let Exchange::Sent(_, received) = &mut self.exchange {
            *received += amount;
        }
        Ok(amount > 0)
    }

    /// The client asks twice per request: when it puts the connection away, right after an answer
    /// has been read from it, and when it takes it out again. Only the second can learn anything.
    fn is_open(&mut self) -> bool {
        if self.write_failed.is_some() || !self.trust.holds() {
            return false;
        }
        if std::mem::take(&mut self.just_used) {
            self.buffers.shrink();
            return true;
        }
        loop {
            match recv(
                self.socket.stream.as_raw_fd(),
                &mut [0; 1],
                MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT,
            ) {
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                // TLS 1.3 servers may send session tickets at any time: that is not an answer.
                Ok(1)
                    if self
                        .tls
                        .as_mut()
                        .is_some_and(|tls| took_no_data(tls, &mut self.socket)) => {}
                Ok(_) | Err(_) => return false,
            }
        }
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

/// Reads what has arrived; true when it was of TLS's own and the connection goes on.
fn took_no_data(tls: &mut ClientConnection, socket: &mut Socket) -> bool {
    // The attempt's own time may be over long since, and there is nothing to wait for.
    socket.deadline = None;
    if !tls.read_tls(socket).is_ok_and(|amount| amount > 0) {
        return false;
    }
    tls.process_new_packets()
        .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

/// The client's name for an error of the socket in the time of `span`.
fn named(error: io::Error, span: Span, what: &str) -> ureq::Error {
    if error.kind() == io::ErrorKind::TimedOut {
        carried(span.over(what))
    } else {
        error.into()
    }
}

/// A TCP connection with a deadline.
#[derive(Debug)]
pub(super) struct Socket {
    /// Shared so that another thread can end what blocks on it.
    stream: Arc<TcpStream>,
    /// The time of a whole attempt divided by [`STEPS`].
    step: Duration,
    deadline: Option<Instant>,
    /// When the deadline was set: the time, as far as what is done first need know it.
    set_at: Option<Instant>,
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
}

impl Socket {
    /// A socket for attempts of `whole` time.
    pub(super) fn new(stream: TcpStream, whole: Duration) -> Socket {
        let stream = Arc::new(stream);
        Socket {
            stream,
            step: whole / STEPS,
            deadline: None,
            set_at: None,
            read_limit: None,
            write_limit: None,
        }
    }

    /// The stream, to end what blocks on it.
    pub(super) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Reads and writes end when `span` is over, which begins now.
    pub(super) fn end_after(&mut self, span: Duration) {
        self.end_within(span, Instant::now());
    }

    /// The same for whoever knows what time it is `now`, and need not ask once more.
    fn end_within(&mut self, span: Duration, now: Instant) {
        self.deadline = now.checked_add(span);
        self.set_at = Some(now);
    }

    /// What the socket's own timeout shall be, `now` being what it is: whole steps of what is left,
    /// and in the last step all of it.
    fn limit(&mut self, now: Option<Duration>) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let at = self.set_at.take().unwrap_or_else(Instant::now);
        let left = deadline.saturating_duration_since(at);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // It is so for all requests but the first: there is nothing to work out.
        let is_as_now = |now: &Duration| {
            *now >= self.step && *now <= left && left < now.saturating_add(self.step)
        };
        if let Some(now) = now.filter(is_as_now) {
            return Ok(Some(now));
        }
        let steps = left
            .as_micros()
            .checked_div(self.step.as_micros())
            .unwrap_or(0);
        match u32::try_from(steps) {
            Ok(0) | Err(_) => Ok(Some(left.max(Duration::from_millis(1)))),
            Ok(steps) => Ok(Some(self.step * steps)),
        }
    }

    fn until_deadline(
        &mut self,
        is_write: bool,
        mut operation: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let limit = self.limit(match is_write {
                true => self.write_limit,
                false => self.read_limit,
            })?;
            if is_write && limit != self.write_limit {
                self.stream.set_write_timeout(limit)?;
                self.write_limit = limit;
            } else if !is_write && limit != self.read_limit {
                self.stream.set_read_timeout(limit)?;
                self.read_limit = limit;
            }
            match operation(&self.stream) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_deadline(false, |mut stream| stream.read(buffer))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_deadline(true, |mut stream| stream.write(bytes))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.until_deadline(true, |mut stream| stream.write_vectored(parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is to be written, and what was read and not used yet.
#[derive(Debug)]
struct WireBuffers {
    output: Vec<u8>,
    /// Bytes of `output` that wait to be written.
    collected: usize,
    input: Vec<u8>,
    /// `input[used..filled]` was read and is not used yet.
    used: usize,
    filled: usize,
    /// The last look at the input used some of it.
    made_progress: bool,
}

impl WireBuffers {
    fn new() -> WireBuffers {
        WireBuffers {
            output: vec![0; OUTPUT_BYTES],
            collected: 0,
            input: vec![0; INPUT_BYTES],
            used: 0,
            filled: 0,
            made_progress: false,
        }
    }

    /// Collects what the client wrote, with `prefix` before the path of its request line.
    fn collect(&mut self, amount: usize, prefix: Option<&str>) -> io::Result<()> {
        let (start, mut end) = (self.collected, self.collected + amount);
        if let Some(prefix) = prefix {
            let written = self.output.get(start..end).unwrap_or_default();
            let space = written.iter().position(|byte| *byte == b' ');
            let path = start + space.map_or(amount, |space| space + 1);
            let moved = path + prefix.len();
            if end + prefix.len() > self.output.len() {
                let text = "the request's head does not fit the buffer";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.output.copy_within(path..end, moved);
            if let Some(room) = self.output.get_mut(path..moved) {
                room.copy_from_slice(prefix.as_bytes());
            }
            end += prefix.len();
        }
        self.collected = end;
        Ok(())
    }

    /// Where the empty line begins that what was collected ends in, behind the end of a line.
    fn end_of_head(&self) -> Option<usize> {
        let collected = self.output.get(..self.collected)?;
        let head = collected.strip_suffix(b"\r\n")?;
        head.ends_with(b"\r\n").then_some(head.len())
    }

    /// Collects as much of `bytes` as there is room for; returns the rest.
    fn put<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.output.get_mut(self.collected..).unwrap_or_default();
        let (taken, rest) = bytes.split_at(bytes.len().min(room.len()));
        if let Some(room) = room.get_mut(..taken.len()) {
            room.copy_from_slice(taken);
        }
        self.collected += taken.len();
        rest
    }

    /// Gives back what an unusually long answer took.
    fn shrink(&mut self) {
        if self.input.len() > INPUT_BYTES && self.filled == self.used {
            (self.used, self.filled) = (0, 0);
            self.input.truncate(INPUT_BYTES);
            self.input.shrink_to_fit();
        }
    }
}

impl Buffers for WireBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.output.get_mut(self.collected..).unwrap_or_default()
    }

    fn input(&self) -> &[u8] {
        self.input.get(self.used..self.filled).unwrap_or_default()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.used > 0 {
            self.input.copy_within(self.used..self.filled, 0);
            (self.used, self.filled) = (0, self.filled - self.used);
        }
        if self.filled == self.input.len() && self.filled < INPUT_BYTES_MAX {
            self.input.resize((self.filled * 2).min(INPUT_BYTES_MAX), 0);
        }
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.made_progress = amount > 0;
        self.used += amount;
    }

    /// Only chunked bodies use the scratch space, and requests have a length.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (
            &mut [],
            self.output.get_mut(self.collected..).unwrap_or_default(),
        )
    }

    fn can_use_input(&self) -> bool {
        self.used < self.filled && self.made_progress
    }
}
