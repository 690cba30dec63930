//! The formats shipped with the agent: data, read by the same reader as an operator's own.

use super::format::{Column, Format, FormatTable, Layout, Reader, StartIs, word_of};
use super::time::{DATES, Dates};
use std::fmt::Write;

/// A preset's name and text.
macro_rules! preset {
    ($name:literal) => {
        ($name, include_str!(concat!("presets/", $name, ".toml")))
    };
}

/// The presets' names and texts, in the order in which they are listed.
const PRESETS: [(&str, &str); 16] = [
    preset!("vos3000-pipe"),
    preset!("vos3000-csv"),
    preset!("vos3000-udp"),
    preset!("vos3000-alarm"),
    preset!("asterisk-cdr"),
    preset!("asterisk-cdr-custom"),
    preset!("asterisk-queue-log"),
    preset!("asterisk-cel"),
    preset!("freeswitch-csv"),
    preset!("freeswitch-json"),
    preset!("freeswitch-xml"),
    preset!("kamailio-acc"),
    preset!("opensips-acc"),
    preset!("acc-flatstore"),
    preset!("account-export"),
    preset!("payment-export"),
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

/// `format` as keys of a `[[source]]` table, to be pasted and changed: with the columns of one
/// layout, or with all layouts where rows choose theirs by what is in them.
pub fn as_source(format: &Format, layout: &str) -> Option<String> {
    let chosen = format.layouts.iter().find(|known| known.name == layout)?;
    let by_content = format.layouts.iter().any(|layout| !layout.when.is_empty());
    if format.reader == Reader::Pattern {
        return patterns_as_source(format);
    }
    let mut text = String::new();
    let mut put = |key: &str, value: toml::Value| {
        writeln!(text, "{key} = {value}").expect("a String takes everything")
    };
    put("format", format.reader.word().into());
    let letter = |byte: u8| toml::Value::from(char::from(byte).to_string());
    let quote = |quote: Option<u8>| quote.map_or("none".into(), letter);
    match format.reader {
        Reader::Delimited(dialect) => {
            put("delimiter", letter(dialect.delimiter));
            put("quote", quote(dialect.quote));
            if dialect.lenient {
                put("quoting", "lenient".into());
            }
            if let Some(escape) = dialect.escape {
                put("escape", letter(escape));
            }
        }
        Reader::KeyValue(pairs) => {
            put("delimiter", letter(pairs.delimiter));
            put("assign", letter(pairs.assign));
            put("quote", quote(pairs.quote));
        }
        Reader::JsonLines | Reader::Document(_) | Reader::Pattern => {}
    }
    if !format.after.is_empty() {
        put("after", format.after.clone().into());
    }
    if let Some(under) = &format.encoded_under {
        put("encoded_under", under.clone().into());
    }
    if !format.nothing.is_empty() {
        put("nothing", format.nothing.clone().into());
    }
    if let Some((word, _)) = DATES.iter().find(|(_, dates)| *dates == format.dates)
        && format.dates != Dates::default()
    {
        put("dates", (*word).into());
    }
    put("event", format.event.clone().into());
    let start_is = match format.start_is {
        StartIs::Setup => "setup",
        StartIs::Answer => "answer",
    };
    put("start_is", start_is.into());
    let layouts = format
        .layouts
        .iter()
        .filter(|layout| by_content || layout.name == chosen.name);
    let has =
        |layout: &Layout, name: &String| layout.columns.iter().any(|column| column.name == *name);
    let usable = |key: &&Vec<String>| {
        let mut layouts = layouts.clone();
        layouts.any(|layout| key.iter().all(|name| has(layout, name)))
    };
    let keys: Vec<toml::Value> = format
        .id_keys
        .iter()
        .filter(usable)
        .map(|key| key.clone().into())
        .collect();
    if !keys.is_empty() {
        put("id_keys", keys.into());
    }
    for layout in layouts {
        if by_content {
            writeln!(text, "\n[[source.layout]]").expect("a String takes everything");
            head(&mut text, layout, &format.event);
        }
        text.push_str("columns = [\n");
        for column in &layout.columns {
            writeln!(text, "  {},", inline(column)).expect("a String takes everything");
        }
        text.push_str("]\n");
    }
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

/// What stands before the columns of one layout of several.
fn head(text: &mut String, layout: &Layout, event: &str) {
    let mut put = |key: &str, value: toml::Value| {
        writeln!(text, "{key} = {value}").expect("a String takes everything")
    };
    put("name", layout.name.clone().into());
    let when: toml::Table = layout
        .when
        .iter()
        .filter_map(|(index, values)| {
            let column = layout.columns.get(*index)?;
            Some((column.name.clone(), values.clone().into()))
        })
        .collect();
    if !when.is_empty() {
        put("when", when.into());
    }
    if &*layout.event != event {
        put("event", (*layout.event).into());
    }
    if let Some(state) = &layout.state {
        put("state", state.clone().into());
    }
    if layout.at_least < layout.columns.len() {
        put(
            "at_least",
            i64::try_from(layout.at_least).unwrap_or(1).into(),
        );
    }
    if layout.only_by_name {
        put("only_by_name", true.into());
    }
}

fn inline(column: &Column) -> String {
    let mut text = format!("{{ name = {}", toml::Value::from(column.name.clone()));
    if column.paths.len() != 1 || column.paths.first() != Some(&column.name) {
        write!(text, ", path = {}", toml::Value::from(column.paths.clone()))
            .expect("a String takes everything");
    }
    if word_of(column.kind) != "text" {
        write!(text, ", type = {:?}", word_of(column.kind)).expect("a String takes everything");
    }
    if let Some(meaning) = column.meaning {
        write!(text, ", as = {:?}", meaning.word()).expect("a String takes everything");
    }
    if let Some(date) = &column.date {
        write!(text, ", date = {}", toml::Value::from(date.clone()))
            .expect("a String takes everything");
    }
    if column.drop {
        text.push_str(", drop = true");
    }
    text + " }"
}

#[cfg(test)]
mod tests {
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
        for name in names() {
            let numbered = |layout: &Layout| {
                layout
                    .name
                    .starts_with(|letter: char| letter.is_ascii_digit())
            };
            for layout in find(name).unwrap().layouts.into_iter().filter(numbered) {
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
                let shown = format!("[[source]]\n{}", as_source(&format, &layout.name).unwrap());
                let file: toml::Table = toml::from_str(&shown).unwrap();
                let mut pasted = file["source"][0].as_table().unwrap().clone();
                pasted.insert("name".into(), name.into());
                let reader = pasted.remove("format").unwrap();
                pasted.insert("reader".into(), reader);
                if let Some(columns) = pasted.remove("columns") {
                    let mut own = toml::Table::new();
                    own.insert("name".into(), layout.name.clone().into());
                    own.insert("columns".into(), columns);
                    pasted.insert("layout".into(), vec![toml::Value::Table(own)].into());
                }
                let table: FormatTable = pasted.try_into().unwrap();
                let again = Format::from_table(&table).unwrap();
                let known = again
                    .layouts
                    .iter()
                    .find(|known| known.name == layout.name)
                    .unwrap();
                let mut expected = layout.clone();
                expected.only_by_name = known.only_by_name;
                assert_eq!(*known, expected, "{name} {}", layout.name);
                assert_eq!(
                    (
                        again.reader,
                        again.start_is,
                        again.after,
                        again.encoded_under
                    ),
                    (
                        format.reader,
                        format.start_is,
                        format.after.clone(),
                        format.encoded_under.clone()
                    )
                );
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
