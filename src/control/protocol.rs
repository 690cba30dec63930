//! The lines that go over the control socket.
//!
//! A client sends one line and reads lines until `done` or `refused`:
//!
//! ```text
//! → {"v":1,"request":{"command":"pause","endpoint":"billing"}}
//! ← {"item":…}        any number: parts of the answer
//! ← {"progress":…}    any number: how far a long one has come
//! ← {"done":…}        or {"refused":{"code":"…","message":"…"}}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The version of these lines. A program asks an agent only in its own.
pub const VERSION: u32 = 1;

/// Longest request line, in bytes: a configuration of 64 endpoints and 32 sources fits twice over.
/// With eight clients 2 MiB.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;

/// The line a client sends, as far as it is read before its version is known.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The version it is written in.
    pub v: u32,
    /// A [`Request`].
    pub request: Box<RawValue>,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How everything stands: one [`Status`](super::status::Status).
    Status,
    /// The files that are remembered, and how far each was read: an item for each.
    Sources {
        /// Only those of this source.
        source: Option<String>,
    },
    /// Sends nothing to an endpoint until it is resumed, also after a restart.
    Pause {
        /// The endpoint.
        endpoint: String,
    },
    /// Sends to a paused or stopped endpoint again.
    Resume {
        /// The endpoint.
        endpoint: String,
    },
    /// Gives up what is kept of a source that is not configured any more.
    ForgetSource {
        /// The source.
        source: String,
    },
    /// Gives up what is queued for an endpoint that is not configured any more.
    Forget {
        /// The endpoint.
        endpoint: String,
    },
    /// Gives the place of an endpoint that is not configured any more to another.
    Adopt {
        /// The name it had.
        old: String,
        /// The name it has now.
        new: String,
    },
    /// Events and attempts as they pass, until the client leaves.
    Tail {
        /// Only attempts of this endpoint, and events it wants.
        endpoint: Option<String>,
        /// With the events' data, telephone numbers included.
        payload: bool,
        /// First the last attempts of that endpoint, oldest first. One that ends meanwhile may be
        /// told twice.
        #[serde(default)]
        recent: bool,
    },
    /// Replaces the configuration with what its files say now, or leaves it as it is.
    Reload,
    /// Replaces the configuration's file with this text and takes it on; or neither.
    Apply {
        /// The whole file.
        text: String,
    },
    /// Dead letters, oldest generation first: an item for each.
    DeadLetters {
        /// Which.
        filter: DeadFilter,
        /// With the events' data and the answers, telephone numbers included.
        payload: bool,
        /// Most letters told.
        limit: usize,
    },
    /// Tries dead letters again.
    DeadReplay {
        /// Which.
        filter: DeadFilter,
        /// Most letters put back in a second.
        per_second: u32,
    },
    /// Removes dead letters for good.
    DeadPurge {
        /// Which.
        filter: DeadFilter,
    },
    /// Tells the rows of a source's files once more, with the same ids.
    Replay {
        /// The source.
        source: String,
        /// Rows not before this, in milliseconds since 1970.
        from_unix_ms: Option<i64>,
        /// Rows before this, in milliseconds since 1970.
        to_unix_ms: Option<i64>,
        /// This file instead of all that the source follows.
        file: Option<String>,
        /// Only counts.
        dry_run: bool,
        /// Most rows queued in a second.
        per_second: u32,
    },
}

/// Which dead letters are meant: those that meet every condition given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadFilter {
    /// Of this endpoint.
    pub endpoint: Option<String>,
    /// With this event id.
    pub id: Option<String>,
    /// Whose reason contains this.
    pub reason: Option<String>,
    /// Given up at least so many seconds ago.
    pub older_than_secs: Option<u64>,
    /// Given up at most so many seconds ago.
    pub newer_than_secs: Option<u64>,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A part of it.
    Item(Value),
    /// How far it has come.
    Progress(Progress),
    /// The last line: what came of it.
    Done(Value),
    /// The last line: why not.
    Refused(Refusal),
}

/// How far a long request has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// Of so many, where that is known.
    pub total: Option<u64>,
    /// What is waited for, when something is.
    pub waiting_for: Option<String>,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of reason.
    pub code: Code,
    /// The reason, and what to do.
    pub message: String,
}

/// What kind of reason there is for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The caller is neither root nor the agent's user.
    Forbidden,
    /// The line is of another version.
    Version,
    /// The line is no request, or names something that is not there.
    Usage,
    /// The agent has as many clients as it serves.
    Busy,
    /// The configuration stands in the way.
    Configuration,
    /// The store could not be read or written.
    Store,
    /// The agent is stopping.
    Stopping,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_that_names_its_version() {
        let request = Request::Pause {
            endpoint: "billing".into(),
        };
        let raw = serde_json::value::to_raw_value(&request).unwrap();
        let line = serde_json::to_string(&Envelope {
            v: VERSION,
            request: raw,
        })
        .unwrap();
        assert_eq!(
            line,
            r#"{"v":1,"request":{"command":"pause","endpoint":"billing"}}"#
        );
        let back: Envelope = serde_json::from_str(&line).unwrap();
        assert_eq!(
            serde_json::from_str::<Request>(back.request.get()).unwrap(),
            request
        );
    }

    #[test]
    fn what_is_no_request_is_an_error_and_no_guess() {
        for text in [
            r#"{"command":"pause"}"#,
            r#"{"command":"explode"}"#,
            r#"{"command":"pause","endpoint":"a","force":true}"#,
            "5",
        ] {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
