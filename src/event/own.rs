//! What the agent tells of itself and its sources: the `data` of its own types of events.

use super::alert::SOURCE;
use super::json::Object;
use super::shape::Field;
use super::{Event, Labels, gap, id};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Type of the event that a source wrote nothing for too long, or writes again.
pub const SOURCE_SILENT_KIND: &str = "switchhook.source_silent";

/// Type of the event that a source is looked after.
pub const HEARTBEAT_KIND: &str = "switchhook.heartbeat";

/// Type of the event that sums calls up.
pub const SUMMARY_KIND: &str = "switchhook.summary";

/// The types with the members of their `data`.
pub const FIELDS: [(&str, &[Field]); 4] = [
    (gap::SOURCE_GAP, &SOURCE_GAP),
    (SOURCE_SILENT_KIND, &SOURCE_SILENT),
    (HEARTBEAT_KIND, &HEARTBEAT),
    (SUMMARY_KIND, &SUMMARY),
];

/// Of rows that may have been lost before they could be read.
pub const SOURCE_GAP: [Field; 7] = [
    Field::text("source", "The source's name in the configuration.").always(),
    Field::text("file", "The file.").always(),
    Field::text("cause", "What happened to it, in a word.").always(),
    Field::whole("offset", "Bytes of it that had been read.").always(),
    Field::whole(
        "bytes",
        "Bytes that may have been lost; null where that is not known.",
    ),
    Field::whole(
        "unseen_bytes",
        "About how many more were lost unseen, by how fast the file grew; null where none were.",
    ),
    Field::whole(
        "rows",
        "Rows that may have been lost, estimated; null where that is not known.",
    ),
];

/// Of a source that wrote nothing for too long, or writes again.
pub const SOURCE_SILENT: [Field; 5] = [
    Field::text("source", "The source's name in the configuration.").always(),
    Field::word(
        "state",
        &["raised", "cleared"],
        "raised when the silence was noticed, cleared when a row came again.",
    )
    .always(),
    Field::time("silent_since", "When the last row came.").always(),
    Field::whole("silent_after", "Seconds after which that is told."),
    Field::time("ended_at", "When a row came again; null while none did."),
];

/// Of a source that is looked after, or of the agent.
pub const HEARTBEAT: [Field; 4] = [
    Field::text(
        "source",
        "The source's name in the configuration; null in a heartbeat of the agent itself.",
    ),
    Field::whole("every", "Seconds between two heartbeats."),
    Field::time(
        "last_row_at",
        "When the last row came; null before the first, and of the agent.",
    ),
    Field::truth(
        "silent",
        "Whether it wrote nothing for too long; false of the agent.",
    ),
];

/// The heartbeat of the agent at `node`, for the interval that begins at `at`.
pub fn heartbeat(node: &Arc<str>, every: Duration, at: UnixMs) -> Event {
    let mut data = Object::shaped(&HEARTBEAT, 96);
    data.text("source", None);
    data.whole("every", i64::try_from(every.as_secs()).ok());
    data.text("last_row_at", None);
    data.truth("silent", false);
    let slot = at.0.to_string();
    Event {
        id: id::of_key(node, SOURCE, [HEARTBEAT_KIND, &slot].into_iter()),
        kind: HEARTBEAT_KIND.into(),
        time: Timestamp::from_millis(at.0),
        node: Arc::clone(node),
        labels: Labels::default(),
        data: data.finish(),
    }
}

/// Of the calls of one interval by gateway or account.
pub const SUMMARY: [Field; 15] = [
    Field::text("source", "The source's name in the configuration.").always(),
    Field::time("from", "The interval's beginning.").always(),
    Field::time("to", "The interval's end.").always(),
    Field::word(
        "by",
        &["gateway", "callee_gateway", "account"],
        "What calls are summed up by.",
    )
    .always(),
    Field::text("of", "The gateway or account; null for calls without one."),
    Field::whole("number", "Counts the source's summaries."),
    Field::whole("calls", "Calls that ended in the interval."),
    Field::whole(
        "answered",
        "Of these, how many were answered; null when a row did not say, and so all that is made of it.",
    ),
    Field::amount("asr_percent", "Answered calls per hundred calls."),
    Field::whole("acd", "Mean seconds of an answered call."),
    Field::whole("pdd_ms", "Mean post-dial delay in milliseconds."),
    Field::whole("bill_duration", "Seconds billed together."),
    Field::amount("minutes", "The same in minutes."),
    Field::amount("cost", "The fees together, summed up in decimal digits."),
    Field::text("currency", "Currency of the cost."),
];
