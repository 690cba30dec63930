//! Event: what a receiver is told about one line, and its lasting id.

use crate::timestamp::Timestamp;
use std::fmt;
use std::sync::Arc;

/// One fact from one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same for the same line, whatever happens to the agent or the file.
    pub id: EventId,
    /// `cdr`, `alarm`, … : lower-case letters, digits, `_` and `.`, at most 64 bytes.
    pub kind: Arc<str>,
    /// When it happened, from the line; never the time of delivery.
    pub time: Timestamp,
    /// The switch's name from the configuration.
    pub node: Arc<str>,
    /// What routing matches on.
    pub labels: Labels,
    /// The facts, as a JSON object in its final bytes: compact, keys in their fixed order.
    pub data: Box<[u8]>,
}

/// What routing matches on, where the source has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The customer's account.
    pub account: Option<Box<str>>,
    /// The gateway (trunk) the call came from.
    pub gateway: Option<Box<str>>,
    /// The gateway (trunk) the call went to.
    pub callee_gateway: Option<Box<str>>,
    /// Context or service.
    pub application: Option<Box<str>>,
    /// A route named by the line itself, to be matched against an allow-list.
    pub route_tag: Option<Box<str>>,
}

/// An event's lasting id: the first 128 bits of a SHA-256 over what identifies its line.
///
/// Prints as `evt_` and 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evt_")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// An event's place in its node's sequence: increases by at least 1 per event, is never used
/// again, and survives restarts. Starts at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The first sequence a node gives out.
    pub const FIRST: Sequence = Sequence(1);

    /// The place `count` events later.
    pub fn plus(self, count: u64) -> Sequence {
        Sequence(self.0.saturating_add(count))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
