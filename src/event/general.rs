//! What is told of a line that is no finished call: its columns under their own names.

use super::json::Object;
use crate::parser::{Record, Value};

/// The `data` object: the `state` that the layout gives, then every column in order, under the word for its meaning or its own name; with
/// the row's bytes in Base64 where they were not text.
pub fn data(record: &Record<'_>, raw_base64: Option<&str>) -> Box<[u8]> {
    let mut data = Object::with_capacity(256);
    if let Some(state) = &record.layout().state {
        data.text("state", Some(state));
    }
    let columns = record.layout().columns.iter().enumerate();
    for (index, column) in columns.filter(|(_, column)| !column.drop) {
        let key = column
            .meaning
            .map_or(column.name.as_str(), |meaning| meaning.word());
        match record.value(index) {
            Value::Nothing => data.text(key, None),
            Value::Text => data.text(key, Some(record.text(index).trim())),
            Value::Whole(number) => data.whole(key, Some(number)),
            Value::Time(at) => data.text(key, Some(&at.to_string())),
        }
    }
    if let Some(raw) = raw_base64 {
        data.text("raw_base64", Some(raw));
    }
    data.finish()
}
