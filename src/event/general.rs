//! What is told of a line that is no finished call: its columns under their own names.

use super::json::Object;
use super::shape::{self, Field, RAW_BASE64};
use crate::parser::format::{Column, Layout};
use crate::parser::{Record, Value};

/// The `data` object: `state`, else the one that the layout gives, then every column in order, under the
/// word for its meaning or its own name; with the row's bytes in Base64 where they were not text.
pub fn data(
    record: &Record<'_>,
    state: Option<&'static str>,
    raw_base64: Option<&str>,
) -> Box<[u8]> {
    let mut data = Object::with_capacity(256);
    if let Some(state) = state.or(record.layout().state.as_deref()) {
        data.text("state", Some(state));
    }
    for (index, column) in told(record.layout()) {
        put_column(&mut data, record, index, column);
    }
    if let Some(raw) = raw_base64 {
        data.text("raw_base64", Some(raw));
    }
    data.finish()
}

/// The members of the `data` of rows that have `layout`.
pub fn fields(layout: &Layout) -> Vec<Field<String>> {
    let state = layout.state.as_ref().map(|_| {
        Field::text("state", "What happened, in a word.")
            .always()
            .owned()
    });
    let columns =
        told(layout).map(|(_, column)| shape::of_column(key(column), column.kind, about(column)));
    state
        .into_iter()
        .chain(columns)
        .chain([RAW_BASE64.owned()])
        .collect()
}

/// The columns that are told, with their places.
fn told(layout: &Layout) -> impl Iterator<Item = (usize, &Column)> {
    let columns = layout.columns.iter().enumerate();
    columns.filter(|(_, column)| !column.drop)
}

/// The key a column is told under: the word for its meaning, else its own name.
pub(super) fn key(column: &Column) -> &str {
    column
        .meaning
        .map_or(column.name.as_str(), |meaning| meaning.word())
}

/// What a column says, for people.
pub(super) fn about(column: &Column) -> &'static str {
    match column.meaning {
        Some(meaning) => meaning.about(),
        None => "The switch's column of this name.",
    }
}

/// Adds one column's value.
pub(super) fn put_column(data: &mut Object, record: &Record<'_>, index: usize, column: &Column) {
    let key = key(column);
    match record.value(index) {
        Value::Nothing => data.text(key, None),
        Value::Text => data.text(key, Some(record.text(index).trim())),
        Value::Whole(number) => data.whole(key, Some(number)),
        Value::Time(at) => data.text(key, Some(&at.to_string())),
    }
}
