//! Client: how the command line asks the running agent.

use super::protocol::{Code, Envelope, Refusal, Reply, Request, VERSION};
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest silence of an agent before it is given up. Long requests tell their progress each
/// second, and `tail` is silent for as long as nothing happens: see [`Client::wait_for_ever`].
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A question to the running agent, and its answers.
#[derive(Debug)]
pub struct Client {
    lines: BufReader<UnixStream>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens at the socket.
    NotRunning(PathBuf),
    /// This user may not connect to the socket.
    NotAllowed(PathBuf),
    /// The agent said no.
    Refused(Refusal),
    /// The agent ended, or does not answer.
    Silent(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(path) => write!(
                f,
                "the agent is not running (nobody listens at {}); start it with `systemctl start switchhook` or `switchhook run`, or name its configuration with --config",
                path.display()
            ),
            Self::NotAllowed(path) => write!(
                f,
                "this user may not speak to the agent at {}; run the command as root or as the agent's user",
                path.display()
            ),
            Self::Refused(refusal) => f.write_str(&refusal.message),
            Self::Silent(error) => write!(f, "the agent does not answer: {error}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// Asks the agent that listens at `socket`.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when it cannot be asked.
    pub fn ask(socket: &Path, request: &Request) -> Result<Client, ClientError> {
        let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotAllowed(socket.to_owned()),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(socket.to_owned())
            }
            _ => ClientError::Silent(error),
        })?;
        let request = serde_json::value::to_raw_value(request).expect("requests are JSON");
        let mut line = serde_json::to_vec(&Envelope {
            v: VERSION,
            request,
        })
        .expect("requests are JSON");
        line.push(b'\n');
        let asked = stream
            .set_read_timeout(Some(SILENCE_MAX))
            // An agent that refuses the caller does not read: its answer says why.
            .map(|()| stream.write_all(&line));
        asked.map_err(ClientError::Silent).map(|_written| Client {
            lines: BufReader::new(stream),
        })
    }

    /// Does not give up however long the agent is silent.
    pub fn wait_for_ever(&self) {
        // It is given up after the usual time then.
        let _set = self.lines.get_ref().set_read_timeout(None);
    }

    /// What ends this client from another thread.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left for it.
    pub fn hang_up(&self) -> io::Result<HangUp> {
        self.lines.get_ref().try_clone().map(HangUp)
    }

    /// The next line of the answer; after [`Reply::Done`] there is none.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the agent refuses or is gone.
    pub fn read(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line);
        match read {
            Ok(0) => Err(ClientError::Silent(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(Reply::Refused(refusal)) => Err(ClientError::Refused(refusal)),
                Ok(reply) => Ok(reply),
                Err(error) => Err(ClientError::Silent(error.into())),
            },
            Err(error) => Err(ClientError::Silent(error)),
        }
    }
}

/// Ends a client when it is dropped: the agent need not wait for its next line to notice.
#[derive(Debug)]
pub struct HangUp(UnixStream);

impl Drop for HangUp {
    fn drop(&mut self) {
        // A connection that is gone is what is wanted.
        let _gone = self.0.shutdown(Shutdown::Both);
    }
}

impl ClientError {
    /// What kind of refusal it is, when it is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            ClientError::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}
