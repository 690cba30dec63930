//! Sample: an event made by hand, to try out a receiver.

use super::json::{self, Object};
use super::shape::Field;
use super::{Event, EventId, Labels, is_kind};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use std::fmt;
use std::sync::Arc;

/// The type of the agent's own trial event.
pub const TEST_KIND: &str = "switchhook.test";

/// The members of a trial event's `data`, in order; those set by hand follow.
pub const TEST_FIELDS: [Field; 1] = [Field::text("message", "What it is, for people.").always()];

/// Longest text of a field set by hand, in bytes.
const VALUE_BYTES_MAX: usize = 4 << 10;

/// One value of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Whole(i64),
    Truth(bool),
    Null,
}

/// Why a sample cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SampleError {
    /// That is no event type.
    Kind(String),
    /// A field that is a number got something else.
    NotWhole(String),
    /// A field that is true or false got something else.
    NotTruth(String),
    /// The field's name cannot be one, or its value is too long.
    Field(String),
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind:?} is no event type; types are like cdr, alarm"),
            Self::NotWhole(key) => write!(f, "{key} is a whole number or null"),
            Self::NotTruth(key) => write!(f, "{key} is true, false or null"),
            Self::Field(key) => write!(
                f,
                "{key:?} cannot be set: a field has a name that is no number, and at most {VALUE_BYTES_MAX} bytes"
            ),
        }
    }
}

impl std::error::Error for SampleError {}

/// An event of `kind` that happened at `wall`, with `id`, and with fields of its `data` set by
/// hand. Numbers in it are from the ranges reserved for examples.
///
/// # Errors
///
/// [`SampleError`] says which of the wishes makes no sense.
pub fn sample(
    kind: &str,
    node: &Arc<str>,
    id: EventId,
    wall: UnixMs,
    set: &[(String, String)],
) -> Result<Event, SampleError> {
    if !is_kind(kind) {
        return Err(SampleError::Kind(kind.to_string()));
    }
    let time = Timestamp::from_secs(wall.unix_secs());
    let mut fields = fields_of(kind, time.unix.unix_secs());
    for (key, text) in set {
        if !json::keeps_its_place(key) || key.is_empty() || text.len() > VALUE_BYTES_MAX {
            return Err(SampleError::Field(key.clone()));
        }
        match fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = parsed_as(value, key, text)?,
            None => fields.push((key.clone(), guessed(text))),
        }
    }
    let mut data = Object::with_capacity(512);
    for (key, value) in &fields {
        match value {
            Value::Text(text) => data.text(key, Some(text)),
            Value::Whole(number) => data.whole(key, Some(*number)),
            Value::Truth(truth) => data.truth(key, *truth),
            Value::Null => data.text(key, None),
        }
    }
    Ok(Event {
        id,
        kind: kind.into(),
        time,
        node: Arc::clone(node),
        labels: Labels::default(),
        data: data.finish(),
    })
}

/// The fields of a type, in their fixed order.
fn fields_of(kind: &str, end_secs: i64) -> Vec<(String, Value)> {
    let at = |secs_before: i64| {
        let at = Timestamp::from_secs(end_secs.saturating_sub(secs_before));
        Value::Text(at.to_string())
    };
    let text = |text: &str| Value::Text(text.to_string());
    let fields: Vec<(&str, Value)> = match kind {
        "cdr" => vec![
            ("call_id", text("sample-1")),
            ("caller_id", text("12025550117")),
            ("called_id", text("447700900999")),
            ("start_time", at(128)),
            ("answer_time", at(120)),
            ("end_time", at(0)),
            ("duration", Value::Whole(128)),
            ("bill_duration", Value::Whole(120)),
            ("rate", text("0.015")),
            ("cost", text("0.0300")),
            ("currency", text("USD")),
            ("account_id", text("SAMPLE")),
            ("gateway_id", text("GW-SAMPLE-IN")),
            ("disconnect_reason", text("200")),
            ("codec", text("g729")),
            ("callee_gateway_id", text("GW-SAMPLE-OUT")),
            ("end_reason", Value::Whole(200)),
            ("end_direction", Value::Whole(0)),
            ("dialled_id", text("447700900999")),
            ("caller_ip", text("192.0.2.12")),
            ("callee_ip", text("203.0.113.22")),
            ("pdd_ms", Value::Whole(8_000)),
            ("connected", Value::Truth(true)),
        ],
        "balance_alert" => vec![
            ("account_id", text("SAMPLE")),
            ("account_type", text("prepaid")),
            ("current_balance", text("9.50")),
            ("currency", text("USD")),
            ("alert_threshold", text("10")),
            ("alert_type", text("low_balance")),
            ("credit_limit", text("0")),
            ("level", Value::Whole(1)),
        ],
        "alarm" => vec![
            ("alarm_type", text("20000")),
            ("alarm_name", text("sample")),
            ("level", text("minor")),
            ("object", text("SAMPLE")),
            ("value", text("1")),
            ("upper", Value::Null),
            ("lower", Value::Null),
            ("state", text("raised")),
            ("started_at", at(0)),
            ("cleared_at", Value::Null),
            ("message", text("an alarm made by hand")),
            ("repeats", Value::Whole(0)),
        ],
        TEST_KIND => vec![("message", text("a test by the operator of the switch"))],
        _ => Vec::new(),
    };
    let owned = |(key, value): (&str, Value)| (key.to_string(), value);
    fields.into_iter().map(owned).collect()
}

/// `text` as a value like the one that is there.
fn parsed_as(before: &Value, key: &str, text: &str) -> Result<Value, SampleError> {
    if text == "null" {
        return Ok(Value::Null);
    }
    match before {
        Value::Whole(_) => match text.parse() {
            Ok(number) => Ok(Value::Whole(number)),
            Err(_) => Err(SampleError::NotWhole(key.to_string())),
        },
        Value::Truth(_) => match text.parse() {
            Ok(truth) => Ok(Value::Truth(truth)),
            Err(_) => Err(SampleError::NotTruth(key.to_string())),
        },
        Value::Text(_) | Value::Null => Ok(Value::Text(text.to_string())),
    }
}

fn guessed(text: &str) -> Value {
    match text {
        "null" => Value::Null,
        "true" => Value::Truth(true),
        "false" => Value::Truth(false),
        _ => text
            .parse()
            .map_or_else(|_| Value::Text(text.to_string()), Value::Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, set: &[(&str, &str)]) -> Result<String, SampleError> {
        let set: Vec<_> = set
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let (node, wall) = ("vos-1".into(), UnixMs(1_775_745_045_120));
        let event = sample(kind, &node, EventId([1; 16]), wall, &set)?;
        Ok(String::from_utf8(event.data.to_vec()).unwrap())
    }

    #[test]
    fn fields_keep_their_type_and_place() {
        let call = data(
            "cdr",
            &[("duration", "125"), ("call_id", "7"), ("codec", "null")],
        );
        let call = call.unwrap();
        assert!(
            call.starts_with(r#"{"call_id":"7","caller_id":"12025550117""#),
            "{call}"
        );
        assert!(
            call.contains(r#""duration":125,"bill_duration":120"#),
            "{call}"
        );
        assert!(call.contains(r#""codec":null"#) && call.ends_with(r#""connected":true}"#));
        let own = data(
            "payment",
            &[("amount", "5.00"), ("paid", "true"), ("n", "3")],
        )
        .unwrap();
        assert_eq!(own, r#"{"amount":"5.00","paid":true,"n":3}"#);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let error = |kind, set| data(kind, set).unwrap_err();
        assert_eq!(error("a b", &[]), SampleError::Kind("a b".into()));
        let not_whole = SampleError::NotWhole("duration".into());
        assert_eq!(error("cdr", &[("duration", "long")]), not_whole);
        let not_truth = SampleError::NotTruth("connected".into());
        assert_eq!(error("cdr", &[("connected", "1")]), not_truth);
        assert_eq!(error("cdr", &[("7", "x")]), SampleError::Field("7".into()));
    }
}
