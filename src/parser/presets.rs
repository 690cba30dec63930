//! The formats shipped with the agent: data, read by the same reader as an operator's own.

use super::format::{Column, Format, FormatTable, Reader, StartIs, word_of};
use std::fmt::Write;

/// The presets' names and texts, in the order in which they are listed.
const PRESETS: [(&str, &str); 4] = [
    ("vos3000-pipe", include_str!("presets/vos3000-pipe.toml")),
    ("vos3000-csv", include_str!("presets/vos3000-csv.toml")),
    ("vos3000-alarm", include_str!("presets/vos3000-alarm.toml")),
    ("asterisk-cdr", include_str!("presets/asterisk-cdr.toml")),
];

/// The names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The preset called `name`.
pub fn find(name: &str) -> Option<Format> {
    let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
    let table: FormatTable = toml::from_str(text).expect("a preset is TOML; a test reads each");
    Some(Format::from_table(&table).expect("a preset is a format; a test reads each"))
}

/// `format` as keys of a `[[source]]` table, to be pasted and changed: one fragment per layout.
pub fn as_source(format: &Format, layout: &str) -> Option<String> {
    let layout = format.layouts.iter().find(|known| known.name == layout)?;
    let mut text = String::new();
    let mut put = |key: &str, value: toml::Value| {
        writeln!(text, "{key} = {value}").expect("a String takes everything")
    };
    match format.reader {
        Reader::JsonLines => put("format", "json-lines".into()),
        Reader::Pattern => return patterns_as_source(format),
        Reader::Delimited(dialect) => {
            put("format", "delimited".into());
            put(
                "delimiter",
                char::from(dialect.delimiter).to_string().into(),
            );
            put(
                "quote",
                dialect
                    .quote
                    .map_or("none".to_string(), |quote| char::from(quote).to_string())
                    .into(),
            );
        }
    }
    put("event", format.event.clone().into());
    put(
        "start_is",
        match format.start_is {
            StartIs::Setup => "setup",
            StartIs::Answer => "answer",
        }
        .into(),
    );
    let has = |name: &String| layout.columns.iter().any(|column| column.name == *name);
    let keys: Vec<toml::Value> = format
        .id_keys
        .iter()
        .filter(|key| key.iter().all(has))
        .map(|key| key.clone().into())
        .collect();
    put("id_keys", keys.into());
    text.push_str("columns = [\n");
    for column in &layout.columns {
        writeln!(text, "  {},", inline(column)).expect("a String takes everything");
    }
    text.push_str("]\n");
    Some(text)
}

/// The patterns of `format` as `[[source.pattern]]` tables, all of them: they are tried in turn.
fn patterns_as_source(format: &Format) -> Option<String> {
    let mut text = "format = \"pattern\"\n".to_owned();
    for table in format.patterns.as_ref()?.tables() {
        let table = toml::to_string(table).ok()?;
        // Tables inside are written in the line.
        let table: toml::Table = table.parse().ok()?;
        text.push_str("\n[[source.pattern]]\n");
        for (key, value) in table {
            writeln!(text, "{key} = {value}").expect("a String takes everything");
        }
    }
    Some(text)
}

fn inline(column: &Column) -> String {
    let mut text = format!("{{ name = {}", toml::Value::from(column.name.clone()));
    if word_of(column.kind) != "text" {
        write!(text, ", type = {:?}", word_of(column.kind)).expect("a String takes everything");
    }
    if let Some(meaning) = column.meaning {
        write!(text, ", as = {:?}", meaning.word()).expect("a String takes everything");
    }
    text + " }"
}

#[cfg(test)]
mod tests {
    use super::super::format::LayoutTable;
    use super::*;

    #[test]
    fn every_preset_is_a_format_of_its_own_name() {
        for name in names() {
            assert_eq!(find(name).unwrap().name, name);
        }
        assert_eq!(find("vos2000"), None);
    }

    #[test]
    fn the_layouts_have_the_counts_their_names_say() {
        for name in names().filter(|name| find(name).unwrap().patterns.is_none()) {
            for layout in find(name).unwrap().layouts {
                let count: String = layout
                    .name
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                assert_eq!(
                    layout.columns.len(),
                    count.parse::<usize>().unwrap(),
                    "{name} {}",
                    layout.name
                );
            }
        }
    }

    #[test]
    fn an_unproven_format_says_so_and_gives_no_unknown_field_a_meaning() {
        let pipe = find("vos3000-pipe").unwrap();
        assert!(pipe.provisional && pipe.notes.contains("PROVISIONAL"));
        for column in &pipe.layouts[0].columns {
            assert!(
                !column.name.starts_with("field") || column.meaning.is_none(),
                "{}",
                column.name
            );
        }
    }

    #[test]
    fn what_is_shown_can_be_pasted_and_reads_the_same() {
        for name in names().filter(|name| find(name).unwrap().patterns.is_none()) {
            let format = find(name).unwrap();
            for layout in &format.layouts {
                let pasted: toml::Table =
                    toml::from_str(&as_source(&format, &layout.name).unwrap()).unwrap();
                let text = |key: &str| {
                    pasted
                        .get(key)
                        .and_then(|value| value.as_str())
                        .map(str::to_string)
                };
                let table = FormatTable {
                    name: format.name.clone(),
                    event: text("event"),
                    reader: text("format").unwrap(),
                    delimiter: text("delimiter"),
                    quote: text("quote"),
                    id_keys: pasted["id_keys"].clone().try_into().unwrap(),
                    start_is: text("start_is"),
                    layout: vec![LayoutTable {
                        name: layout.name.clone(),
                        columns: pasted["columns"].clone().try_into().unwrap(),
                        ..LayoutTable::default()
                    }],
                    ..FormatTable::default()
                };
                let again = Format::from_table(&table).unwrap();
                assert_eq!(
                    (&again.layouts[0].columns, again.reader, again.start_is),
                    (&layout.columns, format.reader, format.start_is)
                );
                assert_eq!(again.layouts[0].keys, layout.keys, "{name} {}", layout.name);
            }
        }
    }

    #[test]
    fn patterns_that_are_shown_can_be_pasted_and_are_the_same() {
        for name in names() {
            let format = find(name).unwrap();
            let Some(patterns) = &format.patterns else {
                continue;
            };
            let shown = as_source(&format, &format.layouts[0].name).unwrap();
            let pasted: toml::Table = format!("[[source]]\n{shown}").parse().unwrap();
            let tables = pasted["source"][0]["pattern"].clone();
            let again: Vec<super::super::pattern::PatternTable> = tables.try_into().unwrap();
            assert!(again.iter().eq(patterns.tables()), "{shown}");
        }
    }
}
