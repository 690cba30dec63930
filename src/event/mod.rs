//! Event: what a receiver is told about one line, and its lasting id.

pub mod alert;
pub mod amount;
pub mod balance;
pub mod cdr;
pub mod filter;
pub mod gap;
pub mod general;
pub mod id;
pub mod json;
pub mod own;
pub mod recording;
pub mod report;
pub mod sample;
pub mod shape;
pub mod vos3000_push;

pub use id::Origin;

use crate::clock::UnixMs;
use crate::parser::format::CALL;
use crate::parser::{Format, Meaning, Record};
use crate::source::Gap;
use crate::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Longest type of an event, in bytes: it stands in every request.
pub const KIND_BYTES_MAX: usize = 64;

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
        let mut text = *b"evt_00000000000000000000000000000000";
        let (_, digits) = text.split_at_mut(4);
        let pairs = self.0.map(|byte| [digit(byte >> 4), digit(byte & 0xF)]);
        digits.copy_from_slice(pairs.as_flattened());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Half a byte as a hexadecimal digit.
fn digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
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

/// Whether `kind` can be an event's type: lower-case letters, digits, `_` and `.`.
pub fn is_kind(kind: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
    };
    !kind.is_empty() && kind.len() <= KIND_BYTES_MAX && kind.bytes().all(allowed)
}

/// What the rows of a source do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallSettings {
    /// Currency of the amounts.
    pub currency: Option<String>,
    /// Whether `data` gets every remaining column.
    pub extra: bool,
    /// Texts for the switch's numbers of end reasons.
    pub reasons: HashMap<i64, String>,
    /// Accounts by gateway.
    pub accounts: HashMap<String, String>,
}

/// Makes the events of one source.
#[derive(Debug, Clone)]
pub struct Maker {
    node: Arc<str>,
    source: Arc<str>,
    settings: CallSettings,
}

impl Maker {
    /// Makes events of `source` at `node`.
    pub fn new(node: Arc<str>, source: Arc<str>, settings: CallSettings) -> Maker {
        Maker {
            node,
            source,
            settings,
        }
    }

    /// The source's name.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// What the rows do not say.
    pub fn settings(&self) -> &CallSettings {
        &self.settings
    }

    /// An event that no row of its own stands for, or more than one: `key` is what it is known by.
    pub fn derived<'k>(
        &self,
        kind: &'k str,
        key: impl IntoIterator<Item = &'k str>,
        time: Timestamp,
        labels: Labels,
        data: Box<[u8]>,
    ) -> Event {
        let key = std::iter::once(kind).chain(key);
        Event {
            id: id::of_key(&self.node, &self.source, key),
            kind: kind.into(),
            time,
            node: Arc::clone(&self.node),
            labels,
            data,
        }
    }

    /// The event that tells of rows that may have been lost, noticed at `now`.
    pub fn gap(&self, gap: &Gap, now: UnixMs) -> Event {
        gap::event(&self.node, &self.source, gap, now)
    }

    /// The event that `record` of `format`, found at `origin`, tells.
    pub fn make(&self, record: &Record<'_>, format: &Format, origin: Origin<'_>) -> Event {
        let raw = raw_base64(record, origin);
        let kind = Arc::clone(&record.layout().event);
        let (time, labels, data) = if &*kind == CALL {
            let call = cdr::Call::new(record, format, &self.settings);
            (call.time(), call.labels(), call.data(raw.as_deref()))
        } else {
            let time = record.time_of(Meaning::EventTime);
            let time = time.expect("a record says when it happened: its parser saw to it");
            let account = record.text_of(Meaning::AccountId);
            let data = general::data(record, None, raw.as_deref());
            (time, Labels::of(record, account), data)
        };
        Event {
            id: self.id(record, origin),
            kind,
            time,
            node: Arc::clone(&self.node),
            labels,
            data,
        }
    }

    /// The id of the first natural key that the row has whole, else of the row's place.
    ///
    /// VOS3000 writes 0 for a number it does not have, but Asterisk counts `sequence` from 0: a key
    /// counts unless a part of it is empty, or all of it is zeros.
    fn id(&self, record: &Record<'_>, origin: Origin<'_>) -> EventId {
        let text = |index: &usize| record.text(*index).trim();
        // A key of zeros is a number that was never given out.
        let whole = |key: &&Vec<usize>| {
            key.iter().all(|index| !text(index).is_empty())
                && key.iter().any(|index| text(index) != "0")
        };
        match record.layout().keys.iter().find(whole) {
            Some(key) => id::of_key(&self.node, &self.source, key.iter().map(text)),
            None => id::of_line(&self.node, &self.source, origin),
        }
    }
}

/// The row's bytes in Base64, where they were not text.
pub fn raw_base64(record: &Record<'_>, origin: Origin<'_>) -> Option<String> {
    record.is_flawed().then(|| STANDARD.encode(origin.row()))
}

impl Labels {
    /// What `record` says of the way its event goes; `account` is the one it belongs to.
    pub fn of(record: &Record<'_>, account: Option<&str>) -> Labels {
        let label = |meaning| record.text_of(meaning).map(Box::from);
        Labels {
            account: account.map(Box::from),
            gateway: label(Meaning::GatewayId),
            callee_gateway: label(Meaning::CalleeGatewayId),
            application: label(Meaning::Application),
            route_tag: label(Meaning::RouteTag),
        }
    }
}

#[cfg(test)]
mod tests;
