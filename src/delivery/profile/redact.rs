//! Redaction: what of an event an endpoint is not told.
//!
//! It changes the event's `data` before a body is made of it, so that whatever a profile derives
//! from a field (`From`, `source.target`) follows, and the signature is over what was sent. The
//! event in the queue stays whole: another endpoint is told all of it.

use super::members::{Members, Writer};
use crate::event::Event;
use crate::logging::mask_number;
use crate::queue::Queued;
use std::borrow::Cow;
use std::sync::Arc;

/// The row's own bytes, in an event whose row was no text: what is hidden would stand there again.
const WHOLE_ROW: &str = "raw_base64";

/// Which fields of `data` are hidden. A field in an object is named with a point between:
/// `extra.callere164`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    mask: Vec<Box<str>>,
    omit: Vec<Box<str>>,
}

impl Redaction {
    /// Masks some fields and leaves others out; one that is in both lists is left out.
    ///
    /// Of a masked text the last two digits stay (`…23`, as in the log, or `…` of a text with fewer
    /// than three); any other value becomes `null`.
    pub fn new(mask: Vec<Box<str>>, omit: Vec<Box<str>>) -> Redaction {
        Redaction { mask, omit }
    }

    /// The fields that are masked.
    pub fn masked(&self) -> &[Box<str>] {
        &self.mask
    }

    /// The fields that are left out.
    pub fn omitted(&self) -> &[Box<str>] {
        &self.omit
    }

    /// `queued` as the endpoint is told it. The same at every attempt.
    pub fn of<'q>(&self, queued: &'q Queued) -> Cow<'q, Queued> {
        if self.mask.is_empty() && self.omit.is_empty() {
            return Cow::Borrowed(queued);
        }
        let mut data = Vec::with_capacity(queued.event.data.len());
        self.write(&Members::of(&queued.event.data), "", &mut data);
        let event = Event {
            data: data.into(),
            ..(*queued.event).clone()
        };
        Cow::Owned(Queued {
            sequence: queued.sequence,
            event: Arc::new(event),
        })
    }

    /// Writes the members of an object whose own key, with a point behind, is `outer`.
    fn write(&self, members: &Members<'_>, outer: &str, out: &mut Vec<u8>) {
        let mut object = Writer::begin(out);
        for (key, json) in members.iter() {
            let path = format!("{outer}{key}");
            let is_in = |list: &[Box<str>]| list.iter().any(|field| **field == *path);
            if is_in(&self.omit) || path == WHOLE_ROW {
                continue;
            }
            let inner = format!("{path}.");
            let mut hidden = self.mask.iter().chain(&self.omit);
            if is_in(&self.mask) {
                let text: Option<String> = serde_json::from_str(json).ok();
                object.text(key, text.map(|text| mask_number(&text)).as_deref());
            } else if json.starts_with('{') && hidden.any(|field| field.starts_with(&inner)) {
                let mut nested = Vec::with_capacity(json.len());
                self.write(&Members::of(json.as_bytes()), &inner, &mut nested);
                object.raw(key, &String::from_utf8_lossy(&nested));
            } else {
                object.raw(key, json);
            }
        }
        object.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::samples::queued;
    use crate::delivery::profile::{Body, Profile};

    const DATA: &str = r#"{"call_id":"1","caller_id":"12025550117","called_id":"22","duration":9,"codec":null,"cost":"0.10","connected":true,"extra":{"callere164":"12025550117","x":{"y":"447700900999"},"lastapp":"Dial"},"raw_base64":"AAAA"}"#;

    #[track_caller]
    fn check(mask: &[&str], omit: &[&str], expected: &str) {
        let list = |fields: &[&str]| fields.iter().map(|field| Box::from(*field)).collect();
        let redaction = Redaction::new(list(mask), list(omit));
        let queued = queued(7, "cdr", DATA);
        let told = redaction.of(&queued);
        assert_eq!(String::from_utf8_lossy(&told.event.data), expected);
        assert_eq!(told.event.id, queued.event.id);
    }

    #[test]
    fn nothing_is_copied_where_nothing_is_hidden() {
        let redaction = Redaction::default();
        let queued = queued(7, "cdr", DATA);
        assert!(matches!(redaction.of(&queued), Cow::Borrowed(_)));
    }

    #[test]
    fn of_a_masked_text_two_digits_stay_and_the_row_itself_never_does() {
        check(
            &["caller_id", "called_id", "duration", "codec", "gone"],
            &[],
            r#"{"call_id":"1","caller_id":"…17","called_id":"…","duration":null,"codec":null,"cost":"0.10","connected":true,"extra":{"callere164":"12025550117","x":{"y":"447700900999"},"lastapp":"Dial"}}"#,
        );
    }

    #[test]
    fn fields_within_fields_are_named_with_a_point() {
        check(
            &["extra.callere164", "extra.x.y", "cost"],
            &["cost", "extra.lastapp", "duration", "codec"],
            r#"{"call_id":"1","caller_id":"12025550117","called_id":"22","connected":true,"extra":{"callere164":"…17","x":{"y":"…99"}}}"#,
        );
        check(
            &[],
            &["extra", "call_id", "caller_id", "called_id", "duration"],
            r#"{"codec":null,"cost":"0.10","connected":true}"#,
        );
    }

    #[test]
    fn what_is_masked_is_so_in_every_profile() {
        let redaction = Redaction::new(vec!["caller_id".into(), "extra.callere164".into()], vec![]);
        let queued = queued(7, "cdr", DATA);
        for (name, profile) in Profile::ALL {
            let mut body = Vec::new();
            Body::Of(profile).render(&redaction.of(&queued), &mut body);
            let body = String::from_utf8(body).unwrap();
            assert!(!body.contains("2025550117"), "{name}: {body}");
            assert!(body.contains("\"…17\""), "{name}: {body}");
        }
    }
}
