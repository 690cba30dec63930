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
        toml::Value::Array(_) => "a list".to_string(),
        toml::Value::Table(table) => match dotted(table) {
            Some(name) => format!("the name {name}, which needs quotes for its dots,"),
            None => "a table".to_string(),
        },
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
