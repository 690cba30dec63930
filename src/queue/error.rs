//! Why the queue could not do what it was asked to, and what is true afterwards.

use crate::event::Sequence;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the queue could not be opened, read or written.
///
/// After an error of `commit`, `settle`, `attach` or `detach` the caller takes it that nothing
/// happened and asks again later; see each of them for what may have happened after all.
#[derive(Debug)]
pub enum QueueError {
    /// Another agent has the directory; `pid` is its process id where it could be read.
    InUse {
        /// The lock file.
        lock: PathBuf,
        /// The other agent's process id.
        pid: Option<u32>,
    },
    /// The directory was written by a newer version of the agent. It has not been touched.
    NewerVersion {
        /// The on-disk version found.
        found: u16,
    },
    /// What is on disk is not what was written there. The files have been left as they are.
    Damaged {
        /// The generation: the directory's number under `queue/`, or under `dead/`.
        generation: u32,
        /// The event that cannot be read, where it is known.
        sequence: Option<Sequence>,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system refused; the disk may be full, read-only or failing.
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A name, event or state value is longer than the queue keeps. Nothing was written.
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length, in bytes.
        bytes: usize,
        /// The longest accepted, in bytes.
        bytes_max: usize,
    },
    /// A settlement names an event its endpoint cannot have been given yet: not committed, or
    /// [`WINDOW`](super::WINDOW) or more beyond its cursor, where
    /// [`PASSED_MAX`](super::PASSED_MAX) are settled already. Nothing was written.
    OutsideWindow {
        /// The endpoint.
        endpoint: String,
        /// The event.
        sequence: Sequence,
    },
    /// An endpoint has [`WAITING_MAX`](super::WAITING_MAX) events waiting for their own retry
    /// and was to get another. Nothing was written.
    WaitingFull {
        /// The endpoint.
        endpoint: String,
    },
}

impl QueueError {
    /// A short fixed word for counting errors of a kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in_use",
            Self::NewerVersion { .. } => "newer_version",
            Self::Damaged { .. } => "damaged",
            Self::Disk { .. } => "disk",
            Self::TooLong { .. } => "too_long",
            Self::OutsideWindow { .. } => "outside_window",
            Self::WaitingFull { .. } => "waiting_full",
        }
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse {
                lock,
                pid: Some(pid),
            } => {
                write!(
                    f,
                    "another agent, process {pid}, uses this directory (lock {})",
                    lock.display()
                )
            }
            Self::InUse { lock, pid: None } => {
                write!(
                    f,
                    "another agent uses this directory (lock {})",
                    lock.display()
                )
            }
            Self::NewerVersion { found } => write!(
                f,
                "the state directory has version {found}, this agent knows up to {}; install the newer agent again, or give this one another state_dir",
                super::FORMAT_VERSION
            ),
            Self::Damaged {
                generation,
                sequence: Some(sequence),
                what,
            } => {
                write!(
                    f,
                    "generation {generation:08} is damaged at event {sequence}: {what}"
                )
            }
            Self::Damaged {
                generation,
                sequence: None,
                what,
            } => {
                write!(f, "generation {generation:08} is damaged: {what}")
            }
            Self::Disk { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::TooLong {
                what,
                bytes,
                bytes_max,
            } => {
                write!(
                    f,
                    "{what} of {bytes} bytes, longest accepted is {bytes_max}"
                )
            }
            Self::OutsideWindow { endpoint, sequence } => {
                write!(
                    f,
                    "event {sequence} is outside the window of endpoint {endpoint}"
                )
            }
            Self::WaitingFull { endpoint } => {
                write!(
                    f,
                    "too many events of endpoint {endpoint} wait for their own retry"
                )
            }
        }
    }
}

impl std::error::Error for QueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk { source, .. } => Some(source),
            _ => None,
        }
    }
}
