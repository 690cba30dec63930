//! The family of JSON lines: one object per line, columns by dotted path.

use super::format::Format;
use super::record::Scratch;
use super::reject::{Problem, Reject};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Reads the object on the line `text` into the scratch's fields, a field per column.
///
/// Numbers are taken over as they are written, never through binary floating point. A path that
/// leads nowhere, and `null`, are empty fields; objects and lists are taken as their JSON text.
pub(super) fn read(format: &Format, text: &str, scratch: &mut Scratch) -> Result<(), Reject> {
    let not_json = |error: &serde_json::Error| Reject::row(Problem::NotJson(place(error)));
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    scratch.fields.clear();
    let Some(layout) = format.layouts.first() else {
        return Ok(());
    };
    for column in &layout.columns {
        let field = find(&object, &column.name).map(as_text).unwrap_or_default();
        scratch.fields.push(&field);
    }
    Ok(())
}

type Object<'t> = BTreeMap<String, &'t RawValue>;

/// The value at the dotted `path`; a key that holds a dot itself goes before a path of two.
fn find<'t>(object: &Object<'t>, path: &str) -> Option<&'t RawValue> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (key, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        let inner: Object<'t> = serde_json::from_str(object.get(key)?.get()).ok()?;
        find(&inner, rest)
    })
}

fn as_text(value: &RawValue) -> String {
    match serde_json::from_str::<Value>(value.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) => String::new(),
        _ => value.get().to_string(),
    }
}

/// Where the reader stopped, without a piece of the row.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error at byte {}", error.classify(), error.column()).to_lowercase()
}
