//! Server: the socket, who may use it, and the lines in and out.

use super::desk::{Desk, Replies};
use super::protocol::{Code, Envelope, REQUEST_BYTES_MAX, Refusal, Reply, Request, VERSION};
use super::tail;
use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Clients served at a time: a watch on each of an operator's screens, cron and monitoring.
pub const CLIENTS_MAX: usize = 8;

/// Time a client has for its request.
const REQUEST_WAIT: Duration = Duration::from_secs(5);

/// Time a client has to take a line before it is cut off.
const TAKE_WAIT: Duration = Duration::from_secs(10);

/// Pause after the system refused a connection, so that running out of descriptors costs no CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The listening socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket: a later one at the same path is not ours to remove.
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug)]
pub enum BindError {
    /// An agent listens there.
    InUse,
    /// Something else is there, and is left alone.
    NoSocket,
    /// The system refuses.
    System(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another agent listens there"),
            Self::NoSocket => f.write_str("something that is no socket is there already"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> BindError {
        BindError::System(error)
    }
}

impl Server {
    /// Listens at `path`, for the agent's user alone. A socket that a killed agent left there is
    /// replaced; its directory is made when it is missing. Needs a running runtime.
    ///
    /// # Errors
    ///
    /// [`BindError`]; nothing was changed, except that the directory may be there.
    pub fn bind(path: &Path) -> Result<Server, BindError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(BindError::NoSocket),
            Ok(_) if BlockingStream::connect(path).is_ok() => return Err(BindError::InUse),
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let metadata = fs::symlink_metadata(path)?;
        Ok(Server {
            listener,
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    /// Serves clients for as long as it is waited for.
    pub async fn serve(&self, desk: &Arc<Desk>) {
        let seats = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log::debug!("control connection refused by the system error=\"{error}\"");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match Arc::clone(&seats).try_acquire_owned() {
                Ok(seat) => {
                    let desk = Arc::clone(desk);
                    tokio::spawn(async move {
                        let _until_served = seat;
                        serve_one(stream, &desk).await;
                    });
                }
                Err(_) => {
                    let message = format!(
                        "the agent serves {CLIENTS_MAX} clients at a time and has as many; close one"
                    );
                    let line = line_of(&Reply::Refused(Refusal::new(Code::Busy, message)));
                    // Fits the socket's buffer, or the client is not worth waiting for.
                    let _told = stream.try_write(&line);
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours {
            // What is left behind is replaced by the next agent.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

/// Whether a caller with this user id is served by an agent that runs as `own`.
fn is_admitted(caller: u32, own: u32) -> bool {
    caller == 0 || caller == own
}

async fn serve_one(stream: UnixStream, desk: &Arc<Desk>) {
    let caller = stream.peer_cred().map(|peer| peer.uid());
    let (read, write) = stream.into_split();
    let mut out = Out(write);
    let own = nix::unistd::geteuid().as_raw();
    match caller {
        Ok(uid) if is_admitted(uid, own) => {}
        refused => {
            let who = refused.map_or("an unknown user".to_string(), |uid| {
                format!("user id {uid}")
            });
            log::warn!("control refused caller={who:?}");
            let message = format!(
                "{who} may not control this agent; run the command as root or as the agent's user (id {own})"
            );
            out.refuse(Code::Forbidden, message).await;
            return;
        }
    }
    let mut read = BufReader::new(read);
    let request = match request_of(&mut read).await {
        Ok(request) => request,
        Err(Some(refusal)) => return out.refuse(refusal.code, refusal.message).await,
        Err(None) => return,
    };
    match request {
        Request::Tail { endpoint, payload } => {
            tokio::select! {
                () = tail::tail(desk, endpoint.as_deref(), payload, &mut out) => {}
                () = has_left(&mut read) => {}
            }
        }
        request => answer(desk, request, &mut out).await,
    }
}

/// Reads the one request of a client; `None` when it left.
async fn request_of(read: &mut BufReader<OwnedReadHalf>) -> Result<Request, Option<Refusal>> {
    let usage = |message: String| Some(Refusal::new(Code::Usage, message));
    let mut line = Vec::new();
    let mut bounded = read.take(REQUEST_BYTES_MAX as u64);
    match timeout(REQUEST_WAIT, bounded.read_until(b'\n', &mut line)).await {
        Err(_) => {
            let message = format!("no request in {} s", REQUEST_WAIT.as_secs());
            return Err(usage(message));
        }
        Ok(Err(_) | Ok(0)) => return Err(None),
        Ok(Ok(_)) if line.last() != Some(&b'\n') => {
            let message = format!("a request is one line of at most {REQUEST_BYTES_MAX} bytes");
            return Err(usage(message));
        }
        Ok(Ok(_)) => {}
    }
    read_request(&line).map_err(Some)
}

/// Reads the line of a client.
pub(crate) fn read_request(line: &[u8]) -> Result<Request, Refusal> {
    let no_request = |error: serde_json::Error| {
        Refusal::new(Code::Usage, format!("the line is no request: {error}"))
    };
    let envelope: Envelope = serde_json::from_slice(line).map_err(no_request)?;
    if envelope.v != VERSION {
        let message = format!(
            "this agent (switchhook {}) is asked in version {VERSION} of its control lines, not {}; use the program of the same version",
            env!("CARGO_PKG_VERSION"),
            envelope.v
        );
        return Err(Refusal::new(Code::Version, message));
    }
    serde_json::from_str(envelope.request.get()).map_err(no_request)
}

/// Has a thread of its own answer, and passes its lines on.
async fn answer(desk: &Arc<Desk>, request: Request, out: &mut Out) {
    let (sender, mut replies) = mpsc::channel(REPLIES_MAX);
    let desk = Arc::clone(desk);
    let work = tokio::task::spawn_blocking(move || desk.answer(request, &Replies::new(sender)));
    while let Some(reply) = replies.recv().await {
        if !out.send(&reply).await {
            // Dropping the receiver tells the thread.
            return;
        }
    }
    if work.await.is_err() {
        let message = "a bug; the agent's log has its text".to_string();
        out.refuse(Code::Store, message).await;
    }
}

/// Lines between the thread that answers and the socket.
const REPLIES_MAX: usize = 16;

/// Ends when the client has closed its side: while nothing happens, writing would not tell.
async fn has_left(read: &mut BufReader<OwnedReadHalf>) {
    let mut rest = [0; 64];
    while matches!(read.read(&mut rest).await, Ok(1..)) {}
}

/// The way back to a client.
#[derive(Debug)]
pub(super) struct Out(OwnedWriteHalf);

impl Out {
    /// Sends a line; false when the client is gone or does not take it.
    pub(super) async fn send(&mut self, reply: &Reply) -> bool {
        let line = line_of(reply);
        matches!(
            timeout(TAKE_WAIT, self.0.write_all(&line)).await,
            Ok(Ok(()))
        )
    }

    pub(super) async fn refuse(&mut self, code: Code, message: String) {
        self.send(&Reply::Refused(Refusal::new(code, message)))
            .await;
    }
}

fn line_of(reply: &Reply) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).expect("replies are JSON");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_agent_s_own_user_are_admitted_and_nobody_else() {
        assert!(is_admitted(0, 998) && is_admitted(998, 998));
        assert!(!is_admitted(1_000, 998) && !is_admitted(1_000, 0));
    }

    #[test]
    fn a_stale_socket_is_replaced_and_anything_else_left_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let first = Server::bind(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(matches!(Server::bind(&path), Err(BindError::InUse)));
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = Server::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        drop(second);
        assert!(path.exists(), "what is not ours is not removed");
        assert!(matches!(Server::bind(&path), Err(BindError::NoSocket)));
    }
}
