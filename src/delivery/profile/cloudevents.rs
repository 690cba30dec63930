//! `cloudevents`: CloudEvents 1.0 in structured JSON mode, signed as Standard Webhooks are.

use super::layout::{Member, Value, always, id, time};
use super::{Defaults, standard};

/// The media type of the structured mode (CloudEvents 1.0, JSON format, section 3).
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// As for `standard`.
pub(super) fn defaults() -> Defaults {
    standard::defaults()
}

/// The body: the attributes of the specification, then one extension, `sequence`, which is text.
pub(super) const LAYOUT: &[Member] = &[
    always(
        "specversion",
        Value::Literal("1.0"),
        "The version of CloudEvents.",
    ),
    id("id"),
    always("source", Value::Source, "The node, as a URI reference."),
    always("type", Value::Kind, "What kind of event it is."),
    time("time"),
    always(
        "datacontenttype",
        Value::Literal("application/json"),
        "What data is.",
    ),
    always(
        "sequence",
        Value::SequenceText,
        "Grows with every event of the node, never used twice.",
    ),
    always("data", Value::Whole, "What happened."),
];

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[test]
    fn the_envelope_has_every_required_attribute() {
        let mut body = Vec::new();
        Profile::CloudEvents.render(&queued(7, "cdr", r#"{"call_id":"12345678"}"#), &mut body);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"specversion":"1.0","id":"evt_00000000000000000000000000000007","source":"/switchhook/switch-1","type":"cdr","time":"2026-04-09T14:30:45Z","datacontenttype":"application/json","sequence":"7","data":{"call_id":"12345678"}}"#
        );
    }
}
