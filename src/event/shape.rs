//! Shape: the members of an event's `data`, in order, and what each of them says.
//!
//! `data` is written by these tables (see [`Object::shaped`](super::json::Object::shaped)) and
//! described by them to receivers, so the two are the same.

use crate::parser::format::{BALANCE, CALL, Kind, Layout};
use crate::parser::presets;
use std::borrow::Cow;

/// One member of an event's `data`; its key is text of the program or of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<K = &'static str> {
    /// Its key.
    pub key: K,
    /// What stands under it.
    pub holds: Holds,
    /// Whether `null` may stand there: the source does not say.
    pub is_nullable: bool,
    /// Whether the key itself may be missing; only at the end of an object.
    pub is_optional: bool,
    /// What it says, for people.
    pub about: &'static str,
}

/// What stands under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// How grave an alarm is, as text: of numbers 0 to 3 their words, else as written.
    Level,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Money, a rate or another decimal number, as text: exactly as the switch wrote it.
    Amount,
    /// An instant as text: RFC 3339, UTC, `Z`.
    Time,
    /// A whole number within ±(2^53 - 1).
    Whole,
    /// True or false.
    Truth,
    /// A list of texts.
    Texts,
    /// An object of columns under the switch's own names: texts, whole numbers, `null`.
    Columns,
}

impl Field {
    const fn new(key: &'static str, holds: Holds, about: &'static str) -> Field {
        Field {
            key,
            holds,
            is_nullable: true,
            is_optional: false,
            about,
        }
    }

    /// Text, or `null`.
    pub const fn text(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Text, about)
    }

    /// How grave an alarm is, or `null`.
    pub const fn level(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Level, about)
    }

    /// Money as text, or `null`.
    pub const fn amount(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Amount, about)
    }

    /// An instant, or `null`.
    pub const fn time(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Time, about)
    }

    /// A whole number, or `null`.
    pub const fn whole(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Whole, about)
    }

    /// True or false.
    pub const fn truth(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Truth, about).always()
    }

    /// One of some words, or `null`.
    pub const fn word(
        key: &'static str,
        words: &'static [&'static str],
        about: &'static str,
    ) -> Field {
        Field::new(key, Holds::Word(words), about)
    }

    /// A list of texts.
    pub const fn texts(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Texts, about).always()
    }

    /// An object of columns.
    pub const fn columns(key: &'static str, about: &'static str) -> Field {
        Field::new(key, Holds::Columns, about).always()
    }

    /// The same, and never `null`.
    pub const fn always(self) -> Field {
        Field {
            is_nullable: false,
            ..self
        }
    }

    /// The same, or `null`.
    pub const fn or_null(self) -> Field {
        Field {
            is_nullable: true,
            ..self
        }
    }

    /// The same, where the key itself may be missing.
    pub const fn optional(self) -> Field {
        Field {
            is_optional: true,
            ..self
        }
    }

    /// The same, under another key.
    pub fn called(self, key: &str) -> Field<String> {
        Field {
            key: key.to_string(),
            holds: self.holds,
            is_nullable: self.is_nullable,
            is_optional: self.is_optional,
            about: self.about,
        }
    }

    /// The same, beside those of formats.
    pub fn owned(self) -> Field<String> {
        self.called(self.key)
    }
}

/// The row's own bytes, of every event that comes from a row.
pub const RAW_BASE64: Field = Field::text(
    "raw_base64",
    "The row's bytes in Base64; only where some of them could not be decoded as text and became U+FFFD.",
)
.always()
.optional();

/// One way the `data` of an event can look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The type of the event.
    pub kind: Cow<'static, str>,
    /// What makes such events: a format, a push, the agent itself.
    pub of: String,
    /// The member `state`, where this shape always has the same.
    pub state: Option<String>,
    /// Its members, in order.
    pub fields: Vec<Field<String>>,
    /// Further texts may follow, under keys that the configuration chooses.
    pub is_open: bool,
}

impl Shape {
    /// The members called `key`.
    pub fn field(&self, key: &str) -> Option<&Field<String>> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The words that `state` may be; none where that is not known.
    pub fn states(&self) -> Option<Vec<&str>> {
        if let Some(state) = &self.state {
            return Some(vec![state]);
        }
        match self.field("state")?.holds {
            Holds::Word(words) => Some(words.to_vec()),
            _ => None,
        }
    }
}

/// Every shape of every event that the agent makes by itself and of the formats that come with it.
///
/// An operator's own format or pattern adds its columns in the same way.
pub fn all() -> Vec<Shape> {
    let of = |kind: &'static str, of: &str, fields: &[Field]| Shape {
        kind: kind.into(),
        of: of.to_string(),
        state: None,
        fields: fields.iter().map(|field| field.owned()).collect(),
        is_open: false,
    };
    let mut shapes = vec![
        of(
            CALL,
            "a finished call, from any format of calls",
            &super::cdr::FIELDS,
        ),
        of(
            BALANCE,
            "a balance that crossed a threshold",
            &super::balance::FIELDS,
        ),
    ];
    for kind in ["alarm", "account", "call", "phone"] {
        let fields = super::vos3000_push::fields_of(kind);
        shapes.push(of(kind, "vos3000-push", fields));
    }
    shapes.push(Shape {
        is_open: true,
        ..of(
            "recording",
            "a finished file of a recording",
            &super::recording::FIELDS,
        )
    });
    for name in presets::names() {
        let format = presets::find(name).into_iter();
        for layout in format.flat_map(|format| format.layouts) {
            let shape = of_layout(&layout, name);
            shapes.extend(shape.filter(|shape| !shapes.contains(shape)));
        }
    }
    let own = "the agent itself";
    for (kind, fields) in super::own::FIELDS.into_iter().chain(super::alert::FIELDS) {
        shapes.push(of(kind, own, fields));
    }
    shapes.push(Shape {
        is_open: true,
        ..of(
            super::sample::TEST_KIND,
            "an operator's test",
            &super::sample::TEST_FIELDS,
        )
    });
    shapes
}

/// The shape of events whose rows have `layout`, in the format called `of`; `None` where it does not
/// depend on the columns: of calls and balances.
pub fn of_layout(layout: &Layout, of: &str) -> Option<Shape> {
    if matches!(&*layout.event, CALL | BALANCE) {
        return None;
    }
    let is_report = layout.pairing.is_some() || &*layout.event == "alarm";
    let (fields, state) = match is_report {
        true => (super::report::fields(layout), None),
        false => (super::general::fields(layout), layout.state.clone()),
    };
    let name = match layout.name.as_str() {
        "" => of.to_string(),
        name if name == of => of.to_string(),
        name => format!("{of}, {name}"),
    };
    Some(Shape {
        kind: layout.event.to_string().into(),
        of: name,
        state,
        fields,
        is_open: false,
    })
}

/// The field of a column that is told under `key`.
pub fn of_column(key: &str, kind: Kind, about: &'static str) -> Field<String> {
    let holds = match kind {
        Kind::Text => Holds::Text,
        Kind::Money => Holds::Amount,
        Kind::Integer | Kind::Seconds | Kind::Minutes | Kind::Millis => Holds::Whole,
        Kind::Time => Holds::Time,
    };
    Field::new("", holds, about).called(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_of_a_shape_differ_only_in_case_and_what_may_be_missing_is_last() {
        let shapes = all();
        assert!(shapes.len() > 30, "{}", shapes.len());
        for shape in &shapes {
            let mut keys = HashSet::new();
            for field in &shape.fields {
                assert!(
                    keys.insert(field.key.to_lowercase()),
                    "{} {}: {}",
                    shape.kind,
                    shape.of,
                    field.key
                );
                assert!(!field.about.is_empty(), "{} {}", shape.kind, field.key);
            }
            let missing = shape.fields.iter().map(|field| field.is_optional);
            assert!(missing.is_sorted(), "{} {}", shape.kind, shape.of);
        }
    }
}
