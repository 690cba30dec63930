//! One key as written: its value, or what was found where that value should stand, and the line.
//!
//! A TOML reader stops at the first value of a wrong type. An operator wants all of them at once,
//! so every key is read as a [`Written`], which cannot fail.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use toml::Spanned;

/// A key that may be there.
pub type Key<T> = Option<Spanned<Written<T>>>;

/// The value of a key, of type `T` or not.
#[derive(Debug, Clone)]
pub enum Written<T> {
    /// As it should be.
    As(T),
    /// Of another type: what was found, for a message ("the number 30").
    Not(String),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written<T>, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        let found = describe(&value);
        Ok(value.try_into().map_or(Written::Not(found), Written::As))
    }
}

fn describe(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("the text {text:?}"),
        toml::Value::Integer(number) => format!("the number {number}"),
        toml::Value::Float(number) => format!("the number {number}"),
        toml::Value::Boolean(truth) => format!("the word {truth}"),
        toml::Value::Datetime(time) => format!("the date {time}"),
        toml::Value::Array(values) => format!("a list{}", kinds(values.iter())),
        toml::Value::Table(table) => match dotted(table) {
            Some(name) => format!("the name {name}, which needs quotes for its dots,"),
            None => format!("a table{}", kinds(table.values())),
        },
    }
}

/// Of what kinds the values in a list or a table are, like " of texts and numbers": not what they are, for
/// there may be secrets among them.
fn kinds<'v>(values: impl Iterator<Item = &'v toml::Value>) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for value in values {
        let kind = match value {
            toml::Value::String(_) => "texts",
            toml::Value::Integer(_) | toml::Value::Float(_) => "numbers",
            toml::Value::Boolean(_) => "truths",
            toml::Value::Datetime(_) => "dates",
            toml::Value::Array(_) => "lists",
            toml::Value::Table(_) => "tables",
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.is_empty() {
        true => String::new(),
        false => format!(" of {}", kinds.join(" and ")),
    }
}

/// A name with dots in `table`: without quotes it makes a table of each of its parts.
fn dotted(table: &toml::Table) -> Option<String> {
    table.iter().find_map(|(name, value)| match value {
        toml::Value::Table(inner) => {
            let rest = dotted(inner).or_else(|| inner.keys().next().cloned())?;
            Some(format!("{name}.{rest}"))
        }
        _ => None,
    })
}
