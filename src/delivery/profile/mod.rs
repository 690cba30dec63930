//! Profile: what a receiver sees. Body shape, signature, success rule and default patience.
//!
//! The profiles named after a product reproduce what its published guide tells receivers to
//! expect; none of them claims to be that product.

mod cloudevents;
mod fields;
mod form;
mod layout;
mod members;
mod names;
mod redact;
mod schema;
mod standard;
mod tree;
mod vobiz;
mod vobiz_voice;
mod voipbin;
mod vos3000;

pub use fields::{FIELDS_MAX, FieldError, FieldMap};
pub use form::urlencoded;
pub use redact::Redaction;
pub use schema::{kinds, redacted, schema, schema_of};

use self::layout::Member;
use super::outcome::SuccessRule;
use super::signer::{Secret, SecretError, SignatureScheme};
use crate::queue::Queued;
use std::time::Duration;

/// A shape of body with its customs. An endpoint may override every custom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Standard Webhooks: `{"type","timestamp","data"}`.
    Standard,
    /// The VOS3000 callback guide: `{"event","timestamp","data","id","sequence"}`.
    Vos3000,
    /// The Vobiz webhook guide: flat, `{"event":"call.completed","timestamp","call_id",…}`.
    Vobiz,
    /// The Vobiz voice callbacks: flat, `{"Event":"Hangup","timestamp","auth_id","CallUUID",…}`.
    VobizVoice,
    /// The VoIPBIN webhook guide: `{"type":"call_hangup","data":{…}}`.
    Voipbin,
    /// CloudEvents 1.0, structured.
    CloudEvents,
}

/// The shape of an endpoint's bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// That of a profile.
    Of(Profile),
    /// One that the operator has put together.
    Fields(FieldMap),
}

impl Body {
    /// Its media type.
    pub fn content_type(&self) -> &'static str {
        match self {
            Body::Of(profile) => profile.content_type(),
            Body::Fields(_) => JSON,
        }
    }

    /// Appends the body for `queued` to `body`; see [`Profile::render`].
    pub fn render(&self, queued: &Queued, body: &mut Vec<u8>) {
        match self {
            Body::Of(profile) => profile.render(queued, body),
            Body::Fields(fields) => fields.render(queued, body),
        }
    }
}

/// The media type of plain JSON.
const JSON: &str = "application/json";

/// What a profile takes for granted where the configuration says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// How requests are signed.
    pub signature: SignatureScheme,
    /// Which answers mean that the event arrived.
    pub success: SuccessRule,
    /// Time for one attempt, connection included.
    pub timeout: Duration,
    /// Most attempts for one event while the endpoint works. At least 1.
    pub attempts: u32,
    /// Longest wait after the first attempt.
    pub backoff_initial: Duration,
    /// Longest wait of all.
    pub backoff_max: Duration,
}

impl Profile {
    /// Every profile, by its name in the configuration.
    pub const ALL: [(&'static str, Profile); 6] = [
        ("standard", Profile::Standard),
        ("vos3000", Profile::Vos3000),
        ("vobiz", Profile::Vobiz),
        ("vobiz-voice", Profile::VobizVoice),
        ("voipbin", Profile::Voipbin),
        ("cloudevents", Profile::CloudEvents),
    ];

    /// The profile called `name` in the configuration.
    pub fn named(name: &str) -> Option<Profile> {
        let mut all = Profile::ALL.into_iter();
        all.find(|(own, _)| *own == name)
            .map(|(_, profile)| profile)
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Standard => "standard",
            Profile::Vos3000 => "vos3000",
            Profile::Vobiz => "vobiz",
            Profile::VobizVoice => "vobiz-voice",
            Profile::Voipbin => "voipbin",
            Profile::CloudEvents => "cloudevents",
        }
    }

    /// The media type of its bodies.
    pub fn content_type(self) -> &'static str {
        match self {
            Profile::CloudEvents => cloudevents::CONTENT_TYPE,
            _ => JSON,
        }
    }

    /// Whether its receivers look for a signature among several, so that two secrets can be in
    /// force while they are changed over.
    pub fn takes_two_signatures(self) -> bool {
        matches!(self, Profile::Standard | Profile::CloudEvents)
    }

    /// What it takes for granted.
    pub fn defaults(self) -> Defaults {
        match self {
            Profile::Standard => standard::defaults(),
            Profile::Vos3000 => vos3000::defaults(),
            Profile::Vobiz => vobiz::defaults(),
            Profile::VobizVoice => vobiz_voice::defaults(),
            Profile::Voipbin => voipbin::defaults(),
            Profile::CloudEvents => cloudevents::defaults(),
        }
    }

    /// Reads the secret of an endpoint as its receivers read it.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is empty, or not what the profile prescribes.
    pub fn secret(self, text: &str) -> Result<Secret, SecretError> {
        match self {
            Profile::Standard | Profile::CloudEvents => Secret::parse(text),
            Profile::Vos3000 | Profile::Vobiz | Profile::VobizVoice | Profile::Voipbin => {
                Secret::verbatim(text)
            }
        }
    }

    /// Appends the body for `queued` to `body`.
    ///
    /// The same event gives the same bytes at every attempt and after every restart, and they
    /// are what `JSON.stringify(JSON.parse(body))` gives, because some published receivers
    /// verify a signature over the body as they printed it again.
    pub fn render(self, queued: &Queued, body: &mut Vec<u8>) {
        layout::render(self.layout(), queued, body);
    }

    /// The members of its bodies.
    fn layout(self) -> &'static [Member] {
        match self {
            Profile::Standard => standard::LAYOUT,
            Profile::Vos3000 => vos3000::LAYOUT,
            Profile::Vobiz => vobiz::LAYOUT,
            Profile::VobizVoice => vobiz_voice::LAYOUT,
            Profile::Voipbin => voipbin::LAYOUT,
            Profile::CloudEvents => cloudevents::LAYOUT,
        }
    }
}

#[cfg(test)]
pub(in crate::delivery) mod samples {
    use crate::event::{Event, EventId, Labels, Sequence};
    use crate::queue::Queued;
    use crate::timestamp::Timestamp;
    use std::sync::Arc;

    /// An event of the given kind and data in the given place.
    pub fn queued(sequence: u64, kind: &str, data: &str) -> Queued {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&sequence.to_be_bytes());
        let event = Event {
            id: EventId(id),
            kind: kind.into(),
            time: Timestamp::from_secs(1_775_745_045),
            node: "switch-1".into(),
            labels: Labels::default(),
            data: data.as_bytes().into(),
        };
        Queued {
            sequence: Sequence(sequence),
            event: Arc::new(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_own_name() {
        for (name, profile) in Profile::ALL {
            assert_eq!(
                (name, Profile::named(name)),
                (profile.name(), Some(profile))
            );
        }
        assert_eq!(Profile::named("vos"), None);
    }

    #[test]
    fn a_body_is_valid_json_whose_strings_are_untouched() {
        let data = r#"{"caller_id":"\"\\\u0001","note":"Zoë 电话 😀 / </script>","rate":"0.0150","gone":null}"#;
        for (_, profile) in Profile::ALL {
            let mut body = Vec::new();
            profile.render(&samples::queued(u64::MAX >> 11, "cdr", data), &mut body);
            let text = std::str::from_utf8(&body).unwrap();
            let note = &data[data.find("\"note\"").unwrap()..data.len() - 1];
            assert!(text.contains(note), "{text}");
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
            let is_flat = matches!(profile, Profile::Vobiz | Profile::VobizVoice);
            assert!(is_flat || parsed["data"].is_object(), "{text}");
            assert!(!text.contains(": ") || text.contains("电话"), "{text}");
        }
    }
}
