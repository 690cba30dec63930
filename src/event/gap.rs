//! What is told of rows that may have been lost before they could be read.

use super::json::Object;
use super::own;
use super::{Event, Labels, id};
use crate::clock::UnixMs;
use crate::source::Gap;
use crate::timestamp::Timestamp;
use std::sync::Arc;

/// Type of the event.
pub const SOURCE_GAP: &str = "switchhook.source_gap";

/// Largest number that stays the same whatever reads the JSON: 2^53 - 1, as in JavaScript.
const SAFE_MAX: i64 = (1 << 53) - 1;

/// The event that tells of `gap` in `source` at `node`, which was noticed at `now`.
///
/// Its id is made of the file and of the position it was read to, so it is the same when a crash
/// has the gap noticed again; what is known of its size may then be less.
pub fn event(node: &Arc<str>, source: &str, gap: &Gap, now: UnixMs) -> Event {
    let mut data = Object::shaped(&own::SOURCE_GAP, 256);
    data.text("source", Some(source));
    data.text("file", Some(&gap.path.to_string_lossy()));
    data.text("cause", Some(gap.cause.word()));
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX).min(SAFE_MAX);
    data.whole("offset", Some(whole(gap.position.offset)));
    data.whole("bytes", gap.bytes.map(whole));
    let unseen = (gap.unseen_bytes > 0).then(|| whole(gap.unseen_bytes));
    data.whole("unseen_bytes", unseen);
    data.whole("rows", gap.rows().map(whole));
    Event {
        id: id::of_gap(node, source, &gap.position),
        kind: SOURCE_GAP.into(),
        time: Timestamp::from_millis(now.0),
        node: Arc::clone(node),
        labels: Labels::default(),
        data: data.finish(),
    }
}
