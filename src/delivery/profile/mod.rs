//! Profile: what a receiver sees. Body shape, signature, success rule and default patience.
//!
//! The profiles named after a product reproduce what its published guide tells receivers to
//! expect; none of them claims to be that product.

mod standard;
mod vos3000;

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
}

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
    /// The profile called `name` in the configuration.
    pub fn named(name: &str) -> Option<Profile> {
        match name {
            "standard" => Some(Profile::Standard),
            "vos3000" => Some(Profile::Vos3000),
            _ => None,
        }
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Standard => "standard",
            Profile::Vos3000 => "vos3000",
        }
    }

    /// What it takes for granted.
    pub fn defaults(self) -> Defaults {
        match self {
            Profile::Standard => standard::defaults(),
            Profile::Vos3000 => vos3000::defaults(),
        }
    }

    /// Reads the secret of an endpoint as its receivers read it.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is empty, or not what the profile prescribes.
    pub fn secret(self, text: &str) -> Result<Secret, SecretError> {
        match self {
            Profile::Standard => Secret::parse(text),
            Profile::Vos3000 => Secret::verbatim(text),
        }
    }

    /// Appends the body for `queued` to `body`.
    ///
    /// The same event gives the same bytes at every attempt and after every restart, and they
    /// are what `JSON.stringify(JSON.parse(body))` gives, because some published receivers
    /// verify a signature over the body as they printed it again.
    pub fn render(self, queued: &Queued, body: &mut Vec<u8>) {
        match self {
            Profile::Standard => standard::render(queued, body),
            Profile::Vos3000 => vos3000::render(queued, body),
        }
    }
}

/// Bytes around the data of an event: names, id, time, sequence. Measured 150 at most, for the
/// longest kind; the body is allocated once.
const FRAME_BYTES: usize = 256;

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
        for profile in [Profile::Standard, Profile::Vos3000] {
            assert_eq!(Profile::named(profile.name()), Some(profile));
        }
        assert_eq!(Profile::named("vos"), None);
    }

    #[test]
    fn a_body_is_valid_json_whose_strings_are_untouched() {
        let data = r#"{"caller_id":"\"\\\u0001","note":"Zoë 电话 😀 / </script>","rate":"0.0150","gone":null}"#;
        for profile in [Profile::Standard, Profile::Vos3000] {
            let mut body = Vec::new();
            profile.render(&samples::queued(u64::MAX >> 11, "cdr", data), &mut body);
            let text = std::str::from_utf8(&body).unwrap();
            assert!(text.contains(&data[1..data.len() - 1]), "{text}");
            let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(parsed["data"].is_object());
            assert!(!text.contains(": ") || text.contains("电话"), "{text}");
        }
    }
}
