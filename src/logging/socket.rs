//! Socket: the way to the local syslog daemon, which never blocks and finds its own way back.

use super::one_line::one_line;
use crate::clock::{Clock, Moment};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest datagram sent, in bytes; a longer line is cut. RFC 5424 (section 6.1) asks receivers
/// to accept this much, and daemons may cut or drop what is longer.
pub const DATAGRAM_BYTES_MAX: usize = 2_048;

/// Shortest time between two tries to reach a daemon that is missing or full.
pub const RECONNECT_EVERY: Duration = Duration::from_secs(1);

/// A datagram socket connected to the daemon's whenever that is possible.
///
/// The socket does not block: a daemon that has stopped reading costs a line, not the time of
/// the thread that logs. The `syslog` crate's own socket would wait.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    connected: Option<UnixDatagram>,
    tried_at: Option<Moment>,
}

impl Socket {
    /// A socket for the daemon at `path`; connects with the first line.
    pub fn new(path: PathBuf, clock: Arc<dyn Clock>) -> Socket {
        Socket {
            path,
            clock,
            connected: None,
            tried_at: None,
        }
    }

    /// Sends one datagram, over a new connection if the old one does not take it.
    ///
    /// A full socket is no different from a dead one: the daemon may have been replaced while
    /// the old one, which nobody reads, is still held open somewhere.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let sent = self.try_send(datagram);
        if sent.is_ok() || !self.is_due() {
            return sent;
        }
        self.connect()?;
        self.try_send(datagram)
    }

    fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        let connected = self.connected.as_ref();
        let socket = connected.ok_or(io::ErrorKind::NotConnected)?;
        socket.send(datagram).map(|_| ())
    }

    fn is_due(&self) -> bool {
        let now = self.clock.now();
        self.tried_at
            .is_none_or(|tried| now.since(tried) >= RECONNECT_EVERY)
    }

    fn connect(&mut self) -> io::Result<()> {
        self.tried_at = Some(self.clock.now());
        self.connected = None;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.path)?;
        self.connected = Some(socket);
        Ok(())
    }
}

/// Every `write` and every `write!` is one datagram.
impl Write for Socket {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.send(datagram)?;
        Ok(datagram.len())
    }

    fn write_fmt(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        self.send(one_line(line, DATAGRAM_BYTES_MAX).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, UnixMs};
    use std::fs;

    fn socket_at(path: PathBuf) -> (Socket, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixMs(0)));
        (Socket::new(path, clock.clone()), clock)
    }

    fn received(daemon: &UnixDatagram) -> String {
        let mut bytes = [0; 4_096];
        let length = daemon.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_one_datagram_however_it_is_put_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let (mut socket, _clock) = socket_at(path);
        let (priority, text) = (30, "b\nc");
        write!(socket, "<{priority}>a {text}").unwrap();
        assert_eq!(received(&daemon), r"<30>a b\nc");
    }

    #[test]
    fn a_line_longer_than_a_datagram_arrives_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let (mut socket, _clock) = socket_at(path);
        write!(socket, "{}", "é".repeat(4_000)).unwrap();
        let line = received(&daemon);
        assert_eq!(line.len(), DATAGRAM_BYTES_MAX - 1);
        assert!(line.ends_with("é…"));
    }

    #[test]
    fn a_restarted_daemon_costs_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let (mut socket, clock) = socket_at(path.clone());
        write!(socket, "before").unwrap();
        drop(daemon);
        fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        clock.advance(RECONNECT_EVERY);
        write!(socket, "after").unwrap();
        assert_eq!(received(&daemon), "after");
    }

    #[test]
    fn a_missing_daemon_is_looked_for_once_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (mut socket, clock) = socket_at(path.clone());
        write!(socket, "nobody listens").unwrap_err();
        let daemon = UnixDatagram::bind(&path).unwrap();
        clock.advance(RECONNECT_EVERY - Duration::from_millis(1));
        write!(socket, "too soon to look again").unwrap_err();
        clock.advance(Duration::from_millis(1));
        write!(socket, "found").unwrap();
        assert_eq!(received(&daemon), "found");
    }

    #[test]
    fn a_daemon_that_never_reads_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let _daemon = UnixDatagram::bind(&path).unwrap();
        let (mut socket, clock) = socket_at(path);
        // More than any machine's queue (net.unix.max_dgram_qlen is 10 to 512) holds; were the
        // socket to block, this would never end.
        let mut refused = 0;
        for _ in 0..5_000 {
            clock.advance(RECONNECT_EVERY);
            if let Err(error) = write!(socket, "x") {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                refused += 1;
            }
        }
        assert!(refused >= 4_000, "{refused} refused");
    }

    #[test]
    fn a_new_daemon_is_found_though_the_old_socket_is_still_open_and_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let _old = UnixDatagram::bind(&path).unwrap();
        let (mut socket, clock) = socket_at(path.clone());
        while write!(socket, "x").is_ok() {}
        fs::remove_file(&path).unwrap();
        let new = UnixDatagram::bind(&path).unwrap();
        clock.advance(RECONNECT_EVERY);
        write!(socket, "found").unwrap();
        assert_eq!(received(&new), "found");
    }
}
