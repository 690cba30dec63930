//! Fields: a body whose members the operator chose, for `profile = "custom"`.

use super::members::{Members, Writer};
use crate::event::json::keeps_its_place;
use crate::queue::Queued;
use std::fmt;

/// Most members of a body of the operator's own.
pub const FIELDS_MAX: usize = 128;

/// What stands under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// A member of the event's data, `null` where it has none.
    Data(String),
    /// This text.
    Literal(String),
    Id,
    Kind,
    Time,
    Sequence,
    Node,
}

/// A body as a map from keys to what stands under them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMap(Vec<(String, Field)>);

/// Why a map cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldError {
    /// It is empty, or has more than [`FIELDS_MAX`] members.
    Count(usize),
    /// Two keys differ only in case.
    SameKey(String),
    /// The key is all digits: JavaScript would move it to the front.
    Digits(String),
    /// The word behind `$` is none of those that mean something.
    Unknown(String),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(found) => write!(f, "{found} fields; write 1 to {FIELDS_MAX}"),
            Self::SameKey(key) => write!(
                f,
                "the key {key:?} is there in another case too, and some receivers do not tell them apart"
            ),
            Self::Digits(key) => write!(
                f,
                "the key {key:?} is all digits, and JavaScript would move it to the front"
            ),
            Self::Unknown(word) => write!(
                f,
                "{word:?} means nothing; write $id, $type, $time, $sequence, $node, =text, or the name of a field of the event"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

impl FieldMap {
    /// Reads the pairs of key and value as they are written; the body has them in that order.
    ///
    /// # Errors
    ///
    /// [`FieldError`] says which pair cannot be used.
    pub fn parse<'w>(
        written: impl IntoIterator<Item = (&'w str, &'w str)>,
    ) -> Result<FieldMap, FieldError> {
        let mut fields: Vec<(String, Field)> = Vec::new();
        for (key, value) in written {
            if fields
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(key))
            {
                return Err(FieldError::SameKey(key.to_string()));
            }
            if !keeps_its_place(key) {
                return Err(FieldError::Digits(key.to_string()));
            }
            fields.push((key.to_string(), Field::parse(value)?));
        }
        if fields.is_empty() || fields.len() > FIELDS_MAX {
            return Err(FieldError::Count(fields.len()));
        }
        Ok(FieldMap(fields))
    }

    /// The pairs as they would be written.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.0
            .iter()
            .map(|(key, field)| (key.as_str(), field.shown()))
    }

    /// The keys and what stands under them, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.0.iter().map(|(key, field)| (key.as_str(), field))
    }

    /// Appends the body for `queued`.
    pub(super) fn render(&self, queued: &Queued, body: &mut Vec<u8>) {
        let event = &queued.event;
        let data = Members::of(&event.data);
        let mut out = Writer::begin(body);
        for (key, field) in &self.0 {
            match field {
                Field::Data(name) => out.raw(key, data.raw(name)),
                Field::Literal(text) => out.text(key, Some(text)),
                Field::Id => out.text(key, Some(&event.id.to_string())),
                Field::Kind => out.text(key, Some(&event.kind)),
                Field::Time => out.text(key, Some(&event.time.to_string())),
                Field::Sequence => out.raw(key, &queued.sequence.to_string()),
                Field::Node => out.text(key, Some(&event.node)),
            }
        }
        out.end();
    }
}

impl Field {
    fn parse(written: &str) -> Result<Field, FieldError> {
        if let Some(text) = written.strip_prefix('=') {
            return Ok(Field::Literal(text.to_string()));
        }
        match written.strip_prefix('$') {
            None if written.is_empty() => Err(FieldError::Unknown(written.to_string())),
            None => Ok(Field::Data(written.to_string())),
            Some("id") => Ok(Field::Id),
            Some("type") => Ok(Field::Kind),
            Some("time") => Ok(Field::Time),
            Some("sequence") => Ok(Field::Sequence),
            Some("node") => Ok(Field::Node),
            Some(_) => Err(FieldError::Unknown(written.to_string())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Field::Data(name) => name.clone(),
            Field::Literal(text) => format!("={text}"),
            Field::Id => "$id".into(),
            Field::Kind => "$type".into(),
            Field::Time => "$time".into(),
            Field::Sequence => "$sequence".into(),
            Field::Node => "$node".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::samples::queued;

    #[test]
    fn a_body_of_one_s_own_has_the_chosen_members_in_their_order() {
        let written = [
            ("what", "$type"),
            ("uid", "$id"),
            ("n", "$sequence"),
            ("system", "=vos"),
            ("caller", "caller_id"),
            ("price", "cost"),
            ("nothing", "not_there"),
        ];
        let map = FieldMap::parse(written).unwrap();
        let mut body = Vec::new();
        map.render(
            &queued(7, "cdr", r#"{"caller_id":"1202","cost":"0.10"}"#),
            &mut body,
        );
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"what":"cdr","uid":"evt_00000000000000000000000000000007","n":7,"system":"vos","caller":"1202","price":"0.10","nothing":null}"#
        );
        let shown: Vec<(&str, String)> = map.shown().collect();
        assert_eq!(shown, written.map(|(key, value)| (key, value.to_string())));
    }

    #[test]
    fn what_cannot_be_a_body_is_refused() {
        let parse = |pairs: &[(&'static str, &'static str)]| {
            FieldMap::parse(pairs.iter().copied()).unwrap_err()
        };
        assert_eq!(parse(&[]), FieldError::Count(0));
        assert_eq!(
            parse(&[("A", "x"), ("a", "y")]),
            FieldError::SameKey("a".into())
        );
        assert_eq!(parse(&[("12", "x")]), FieldError::Digits("12".into()));
        assert_eq!(parse(&[("a", "$x")]), FieldError::Unknown("$x".into()));
    }
}
