//! Transport: one request out, one answer back. The HTTP client behind a one-method trait.
//!
//! Nothing here judges an answer or sends twice: what the receiver sees is what was counted.

mod connect;
mod dial;
mod guard;
mod head;
mod http;
mod journal;
mod limits;
mod names;
mod tls;
mod trust;
mod tunnel;
mod validity;
mod wire;

#[cfg(test)]
mod tests;

pub use http::HttpTransport;
pub use journal::{Agreed, Journal, Phases};
pub use names::{LookUp, SystemLookUp};
pub use tls::TlsError;

use super::request::SignedRequest;
use crate::clock::UnixMs;
use std::fmt;
use std::time::Duration;

/// Most bytes of an answer's status line and headers together. Receivers send some hundred;
/// beyond this the answer is trouble.
pub const ANSWER_HEADER_BYTES_MAX: usize = 64 << 10;

/// Most bytes of an answer's body that are read, so that a connection can be used again after a
/// wordy answer. One that is not over by then costs its connection.
pub const ANSWER_BODY_BYTES_MAX: usize = 64 << 10;

/// Most bytes read of one answer from its connection, interim answers (1xx) and the framing of
/// the body included.
pub const ANSWER_BYTES_MAX: usize = ANSWER_HEADER_BYTES_MAX + 2 * ANSWER_BODY_BYTES_MAX;

/// Bytes of an answer's body that are kept, for dead letters.
pub const ANSWER_START_BYTES: usize = 1 << 10;

/// The network as delivery sees it.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` once and waits for the answer, within the endpoint's timeout.
    fn send(&self, request: &SignedRequest<'_>) -> Answer;

    /// Ends every attempt under way and refuses new ones: the attempts come back as trouble.
    fn abandon(&self);

    /// Until when the receiver's certificate will verify, as far as that is known.
    fn valid_until(&self) -> Option<UnixMs> {
        None
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A whole status line and headers.
    Status(Response),
    /// Anything less.
    Trouble(Trouble),
}

impl Answer {
    /// Time from the start of the attempt to its end.
    pub fn elapsed(&self) -> Duration {
        match self {
            Answer::Status(response) => response.elapsed,
            Answer::Trouble(trouble) => trouble.elapsed,
        }
    }
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status, 100 to 999.
    pub status: u16,
    /// `Retry-After`, as written.
    pub retry_after: Option<String>,
    /// `Date`, as written: the receiver's clock.
    pub date: Option<String>,
    /// The host a `Location` names.
    pub location_host: Option<String>,
    /// How the body began, undecoded: at most [`ANSWER_START_BYTES`].
    pub body_start: Vec<u8>,
    /// Bytes of the body that were read: at most [`ANSWER_BODY_BYTES_MAX`].
    pub body_read: usize,
    /// Time from the start of the attempt to the end of the body.
    pub elapsed: Duration,
}

/// Why there is no answer. The request may have been received all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What failed.
    pub class: TroubleClass,
    /// What is known of it.
    pub text: String,
    /// Time from the start of the attempt.
    pub elapsed: Duration,
}

/// What failed. The label is stable: it is counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleClass {
    /// The event makes no request that can be sent, whoever it goes to: nothing was.
    Request,
    /// The host's name could not be resolved.
    Dns,
    /// The name leads only to addresses an endpoint may not have.
    Forbidden,
    /// No connection.
    Connect,
    /// The proxy does not let us through.
    Proxy,
    /// No TLS: certificate, name, version or handshake.
    Tls,
    /// The time was over in this phase.
    Timeout(Phase),
    /// The other side ended the connection before it had answered.
    Closed,
    /// What came back is not HTTP, or is too long.
    Protocol,
}

/// Where in an attempt the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finding the addresses.
    Resolve,
    /// Connecting.
    Connect,
    /// Waiting for the proxy to connect.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the first byte of the answer.
    Answer,
    /// Reading the answer's headers.
    Headers,
}

impl TroubleClass {
    /// The part of the way that failed, in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Dns => "dns",
            Self::Forbidden => "address",
            Self::Connect | Self::Closed => "tcp",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Timeout(_) => "timeout",
            Self::Protocol => "http",
        }
    }
}

impl fmt::Display for TroubleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Dns => "dns",
            Self::Forbidden => "forbidden address",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Timeout(Phase::Resolve) => "resolve: timed out",
            Self::Timeout(Phase::Connect) => "connect: timed out",
            Self::Timeout(Phase::Proxy) => "proxy: timed out",
            Self::Timeout(Phase::Tls) => "tls: timed out",
            Self::Timeout(Phase::Send) => "send: timed out",
            Self::Timeout(Phase::Answer) => "answer: timed out",
            Self::Timeout(Phase::Headers) => "headers: timed out",
            Self::Closed => "connection closed",
            Self::Protocol => "protocol",
        })
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            self.class.fmt(f)
        } else {
            write!(f, "{}: {}", self.class, self.text)
        }
    }
}
