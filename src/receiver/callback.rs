//! Callback: what a verified body says about itself.

use super::saved::text_of;
use super::verify::{AGENT_ID, Profile, hex};
use hyper::HeaderMap;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;

/// Longest id and kind taken, in bytes: ours are 36 and 64 at most, and longer ones would only
/// fill the account.
pub const NAME_BYTES_MAX: usize = 256;

/// An event's name tags, as far as telling callbacks apart needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback<'a> {
    /// The event's lasting id: the same in every repeat.
    pub id: Cow<'a, str>,
    /// What kind of event it is, such as `cdr`.
    pub kind: Cow<'a, str>,
    /// Its place in its node's sequence, where the body gives one.
    pub sequence: Option<u64>,
}

/// Why a body that was verified is still no callback.
#[derive(Debug)]
pub enum Malformed {
    /// It is not JSON of the profile's shape.
    Json(serde_json::Error),
    /// Its id or kind is empty or longer than 256 bytes.
    Name,
    /// It is a batch of none.
    Empty,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the body is not of the profile's shape: {error}"),
            Self::Name => write!(f, "the id or the kind is empty or too long"),
            Self::Empty => write!(f, "the batch is empty"),
        }
    }
}

impl std::error::Error for Malformed {}

impl<'a> Callback<'a> {
    /// Reads the body of a callback of `profile`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is not JSON, or lacks its id or kind.
    pub fn parse(profile: Profile, body: &'a [u8]) -> Result<Callback<'a>, Malformed> {
        let callback = match profile {
            Profile::Standard => {
                let body: StandardBody = serde_json::from_slice(body).map_err(Malformed::Json)?;
                let StandardData { id, sequence } = body.data;
                Callback {
                    id,
                    kind: body.kind,
                    sequence,
                }
            }
            Profile::Vos3000 | Profile::Vobiz => {
                let body: FlatBody = serde_json::from_slice(body).map_err(Malformed::Json)?;
                Callback {
                    id: body.id,
                    kind: body.event,
                    sequence: body.sequence,
                }
            }
            Profile::Voipbin => {
                let body: VoipbinBody = serde_json::from_slice(body).map_err(Malformed::Json)?;
                Callback {
                    id: body.data.event_id,
                    kind: body.kind,
                    sequence: body.data.sequence,
                }
            }
            Profile::CloudEvents => {
                let body: CloudEvent = serde_json::from_slice(body).map_err(Malformed::Json)?;
                Callback {
                    id: body.id,
                    kind: body.kind,
                    sequence: body.sequence.and_then(|sequence| sequence.parse().ok()),
                }
            }
            // Nothing is known of it but that it is JSON.
            Profile::Custom => {
                let _any: &RawValue = serde_json::from_slice(body).map_err(Malformed::Json)?;
                Callback {
                    id: Cow::Owned(format!("sha256:{}", hex(&Sha256::digest(body)))),
                    kind: Cow::Borrowed(Profile::CUSTOM),
                    sequence: None,
                }
            }
        };
        let names = [&callback.id, &callback.kind];
        if names
            .iter()
            .all(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))
        {
            Ok(callback)
        } else {
            Err(Malformed::Name)
        }
    }

    /// Reads what came with these headers. A body of the operator's own says nothing that is known
    /// here: it is one callback, whose id is that of a header, and without one that of its contents.
    ///
    /// # Errors
    ///
    /// See [`Callback::parse_all`].
    pub fn of(
        profile: Profile,
        headers: &HeaderMap,
        body: &'a [u8],
    ) -> Result<Vec<Callback<'a>>, Malformed> {
        if profile != Profile::Custom {
            return Callback::parse_all(profile, body);
        }
        let mut callback = Callback::parse(profile, body)?;
        let ids = [AGENT_ID, "webhook-id"].into_iter();
        let told = ids.filter_map(|name| headers.get(name)).map(text_of).next();
        if let Some(id) = told.filter(|id| (1..=NAME_BYTES_MAX).contains(&id.len())) {
            callback.id = Cow::Owned(id);
        }
        Ok(vec![callback])
    }

    /// Reads a body that is one callback, or a batch: an array of them. At least one comes back.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when one of them is none; a batch is taken whole or not at all.
    pub fn parse_all(profile: Profile, body: &'a [u8]) -> Result<Vec<Callback<'a>>, Malformed> {
        if !body.trim_ascii_start().starts_with(b"[") {
            return Callback::parse(profile, body).map(|callback| vec![callback]);
        }
        let batch: Vec<&'a RawValue> = serde_json::from_slice(body).map_err(Malformed::Json)?;
        if batch.is_empty() {
            return Err(Malformed::Empty);
        }
        let parts = batch.into_iter().map(|part| part.get().as_bytes());
        parts.map(|part| Callback::parse(profile, part)).collect()
    }

    /// The same, holding on to no body.
    pub fn into_owned(self) -> Callback<'static> {
        Callback {
            id: Cow::Owned(self.id.into_owned()),
            kind: Cow::Owned(self.kind.into_owned()),
            sequence: self.sequence,
        }
    }
}

/// A sequence as JSON has it, or as a form field does.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Number(u64),
        Text(#[serde(borrow)] Cow<'a, str>),
    }
    Ok(match Option::<Written<'_>>::deserialize(deserializer)? {
        Some(Written::Number(number)) => Some(number),
        Some(Written::Text(text)) => text.parse().ok(),
        None => None,
    })
}

#[derive(Deserialize)]
struct StandardBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: StandardData<'a>,
}

#[derive(Deserialize)]
struct StandardData<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default, deserialize_with = "number")]
    sequence: Option<u64>,
}

/// `vos3000`, `vobiz`, and `vobiz-voice`, which begins its words with capitals.
#[derive(Deserialize)]
struct FlatBody<'a> {
    #[serde(borrow, alias = "Event")]
    event: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default, deserialize_with = "number")]
    sequence: Option<u64>,
}

#[derive(Deserialize)]
struct VoipbinBody<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: VoipbinData<'a>,
}

#[derive(Deserialize)]
struct VoipbinData<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(default, deserialize_with = "number")]
    sequence: Option<u64>,
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    sequence: Option<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(profile: Profile, body: &str, expected: Option<(&str, &str, Option<u64>)>) {
        let parsed = Callback::parse(profile, body.as_bytes()).ok();
        let found = parsed.as_ref().map(|c| (&*c.id, &*c.kind, c.sequence));
        assert_eq!(found, expected, "{profile} {body}");
    }

    #[test]
    fn the_id_is_where_the_profile_has_it() {
        check(
            Profile::Standard,
            r#"{"type":"cdr","timestamp":"t","data":{"id":"evt_1","sequence":7,"call_id":"x"}}"#,
            Some(("evt_1", "cdr", Some(7))),
        );
        check(
            Profile::Vos3000,
            r#"{"event":"cdr","timestamp":"t","data":{"id":"no"},"id":"evt_1","sequence":7}"#,
            Some(("evt_1", "cdr", Some(7))),
        );
        check(
            Profile::Vobiz,
            r#"{"Event":"Hangup","timestamp":"t","id":"evt_1","sequence":7}"#,
            Some(("evt_1", "Hangup", Some(7))),
        );
        check(
            Profile::Voipbin,
            r#"{"type":"call_hangup","data":{"id":"1","event_id":"evt_1","sequence":7}}"#,
            Some(("evt_1", "call_hangup", Some(7))),
        );
        check(
            Profile::CloudEvents,
            r#"{"specversion":"1.0","id":"evt_1","type":"cdr","sequence":"7"}"#,
            Some(("evt_1", "cdr", Some(7))),
        );
    }

    #[test]
    fn a_sequence_may_be_missing_and_text_may_be_escaped() {
        let body = r#"{"event":"cdr","id":"a\u0062"}"#;
        check(Profile::Vos3000, body, Some(("ab", "cdr", None)));
    }

    #[test]
    fn a_batch_is_read_whole_or_not_at_all() {
        let one = r#"{"event":"cdr","id":"evt_1"}"#;
        let two = r#"{"event":"alarm","id":"evt_2"}"#;
        let read = |body: &str| {
            let all = Callback::parse_all(Profile::Vos3000, body.as_bytes());
            all.map(|all| all.iter().map(|callback| callback.id.to_string()).collect())
        };
        let expected = vec!["evt_1".to_string(), "evt_2".to_string()];
        let found: Vec<String> = read(&format!(" [{one},{two}]")).unwrap();
        assert_eq!(found, expected);
        assert_eq!(read(one).unwrap(), expected[..1]);
        for wrong in [
            "[]".to_string(),
            format!("[{one},{{}}]"),
            format!("[[{one}]]"),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_body_without_id_or_kind_is_malformed() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"event":"cdr"}"#,
            r#"{"event":"cdr","id":7}"#,
        ] {
            check(Profile::Vos3000, body, None);
        }
        check(Profile::Vos3000, r#"{"event":"","id":"evt_1"}"#, None);
        check(Profile::Vos3000, r#"{"event":"cdr","id":"evt_1"} x"#, None);
        check(Profile::Standard, r#"{"type":"cdr","id":"evt_1"}"#, None);
        let long = format!(r#"{{"event":"cdr","id":"{}"}}"#, "x".repeat(257));
        check(Profile::Vos3000, &long, None);
    }
}
