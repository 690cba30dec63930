//! `cloudevents`: CloudEvents 1.0 in structured JSON mode, signed as Standard Webhooks are.

use super::members::Writer;
use super::{Defaults, standard};
use crate::queue::Queued;
use std::fmt::Write as _;

/// The media type of the structured mode (CloudEvents 1.0, JSON format, section 3).
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// As for `standard`.
pub(super) fn defaults() -> Defaults {
    standard::defaults()
}

pub(super) fn render(queued: &Queued, body: &mut Vec<u8>) {
    let event = &queued.event;
    let mut out = Writer::begin(body);
    out.text("specversion", Some("1.0"));
    out.text("id", Some(&event.id.to_string()));
    out.text("source", Some(&source(&event.node)));
    out.text("type", Some(&event.kind));
    out.text("time", Some(&event.time.to_string()));
    out.text("datacontenttype", Some("application/json"));
    // The extension "sequence" is text.
    out.text("sequence", Some(&queued.sequence.to_string()));
    out.raw("data", std::str::from_utf8(&event.data).unwrap_or("null"));
    out.end();
}

/// The node as a URI reference: what no path segment may hold is percent-encoded.
fn source(node: &str) -> String {
    let mut source = String::from("/switchhook/");
    for byte in node.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            let _infallible = write!(source, "%{byte:02X}");
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_node_of_any_name_is_a_uri_reference() {
        assert_eq!(source("vos 1/é"), "/switchhook/vos%201%2F%C3%A9");
    }
}
