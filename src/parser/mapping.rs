//! Mappings of Asterisk's `cdr_custom`: the line of its configuration says what the columns are.

use super::format::{ColumnTable, Format, FormatTable, LayoutTable, word_of};
use super::template;
use std::collections::HashSet;

/// The preset whose rows follow a mapping.
pub const PRESET: &str = "asterisk-cdr-custom";

/// The key of a row, where the mapping has both: calls and their legs.
const ROW_KEY: [&str; 2] = ["uniqueid", "sequence"];

/// The format of rows that follow `mapping`, as cdr_custom.conf has it, with or without the file's name
/// before it; what it does not say is as in `preset`.
///
/// # Errors
///
/// What is wrong with the mapping, and what to write.
pub fn format(preset: &Format, mapping: &str) -> Result<Format, String> {
    let mapping = mapping
        .split_once("=>")
        .map_or(mapping, |(_, behind)| behind);
    let (values, delimiter) = take_apart(mapping.trim())?;
    let known = |name: &str| {
        let mut columns = preset.layouts.iter().flat_map(|layout| &layout.columns);
        columns.find(|column| column.name == name)
    };
    let mut local_times = false;
    let (mut names, mut meant) = (HashSet::new(), HashSet::new());
    let mut columns = Vec::new();
    for (index, (name, option)) in values.iter().enumerate() {
        let found = known(name);
        let meaning = found
            .and_then(|column| column.meaning)
            .filter(|meaning| meant.insert(*meaning));
        let kind = found.map_or("text", |column| word_of(column.kind));
        // `u` has the time told as seconds since 1970.
        local_times |= kind == "time" && option != "u";
        columns.push(ColumnTable {
            // A value may stand in a mapping twice, and its name only once in the columns.
            name: match names.insert(name.clone()) {
                true => name.clone(),
                false => format!("{name}_{}", index + 1),
            },
            kind: (kind != "text").then(|| kind.to_string()),
            meaning: meaning.map(|meaning| meaning.word().to_string()),
            ..ColumnTable::default()
        });
    }
    let is_known_by_key = ROW_KEY.iter().all(|name| names.contains(*name));
    let table = FormatTable {
        name: PRESET.to_string(),
        title: preset.title.clone(),
        notes: preset.notes.clone(),
        reader: "delimited".to_string(),
        delimiter: Some(delimiter.to_string()),
        quote: Some("\"".to_string()),
        // What stands in quotes of the mapping's own is not escaped.
        quoting: (!mapping.contains("CSV_QUOTE")).then(|| "lenient".to_string()),
        local_times,
        id_keys: match is_known_by_key {
            true => vec![ROW_KEY.map(str::to_string).to_vec()],
            false => Vec::new(),
        },
        layout: vec![LayoutTable {
            name: "mapping".to_string(),
            columns,
            ..LayoutTable::default()
        }],
        ..FormatTable::default()
    };
    template::made_of(&table)
}

const LIKE: &str = "write it as in cdr_custom.conf, like '${CSV_QUOTE(${CDR(src)})},${CSV_QUOTE(${CDR(dst)})},${CSV_QUOTE(${CDR(start)})}'";

/// The values of a mapping in order, each with its option, and what stands between them.
fn take_apart(mapping: &str) -> Result<(Vec<(String, String)>, char), String> {
    let mut values = Vec::new();
    let mut between = Vec::new();
    let mut rest = mapping;
    while let Some((literal, behind)) = rest.split_once("${") {
        if !values.is_empty() {
            between.push(literal);
        }
        let end =
            closing(behind).ok_or_else(|| format!("a value's brace is not closed; {LIKE}"))?;
        let (value, after) = behind.split_at(end);
        values.push(named(value)?);
        rest = after.get(1..).unwrap_or_default();
    }
    Ok((values, template::delimiter(between, LIKE)?))
}

/// Where the brace that is open at the beginning of `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// The name of a value and its option: `start` and `u` of `CSV_QUOTE(${CDR(start,u)})`.
fn named(value: &str) -> Result<(String, String), String> {
    let inner = value
        .rsplit("${")
        .next()
        .unwrap_or(value)
        .trim_end_matches(['}', ')']);
    let name = inner.rsplit('(').next().unwrap_or(inner);
    let (name, option) = name.split_once([',', '|']).unwrap_or((name, ""));
    let name = name.trim().to_ascii_lowercase();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("{value:?} is no plain value; {LIKE}"));
    }
    Ok((name, option.trim().to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::presets;
    use super::*;

    fn read(mapping: &str) -> Result<Format, String> {
        format(&presets::find(PRESET).unwrap(), mapping)
    }

    #[track_caller]
    fn check(mapping: &str, names: &[&str], meant: &str) -> Format {
        let format = read(mapping).unwrap();
        let columns = &format.layouts[0].columns;
        let found: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(found, names);
        let words = columns.iter().filter_map(|column| column.meaning);
        let words: Vec<&str> = words.map(super::super::Meaning::word).collect();
        assert_eq!(words.join(" "), meant);
        format
    }

    #[test]
    fn a_mapping_gives_the_columns_and_their_meanings() {
        let own = check(
            "Master.csv => ${CSV_QUOTE(${CDR(src)})},${CSV_QUOTE(${CDR(dst)})},${CSV_QUOTE(${CDR(start)})},${CSV_QUOTE(${CDR(billsec,f)})},${CSV_QUOTE(${CHANNEL(peerip)})},${CSV_QUOTE(${CDR(uniqueid)})},${CSV_QUOTE(${CDR(did)})},${CDR(sequence)}",
            &[
                "src", "dst", "start", "billsec", "peerip", "uniqueid", "did", "sequence",
            ],
            "caller_id called_id start_time bill_duration call_id",
        );
        assert!(own.local_times);
        assert_eq!(own.id_keys, [["uniqueid", "sequence"]]);
        let old = check(
            "\"${CDR(src)}\";\"${CDR(src)}\";\"${CDR(end,u)}\";\"${UNIQUEID}\"",
            &["src", "src_2", "end", "uniqueid"],
            "caller_id end_time call_id",
        );
        assert!(!old.local_times && old.id_keys.is_empty());
    }

    #[test]
    fn the_mapping_of_the_sample_configuration_is_the_preset() {
        let preset = presets::find(PRESET).unwrap();
        let layout = preset.layouts.last().unwrap();
        let values = layout
            .columns
            .iter()
            .map(|column| format!("${{CSV_QUOTE(${{CDR({})}})}}", column.name));
        let mapped = read(&values.collect::<Vec<_>>().join(",")).unwrap();
        let mapped = &mapped.layouts[0].columns;
        assert_eq!(mapped.len(), layout.columns.len());
        for (own, known) in mapped.iter().zip(&layout.columns) {
            assert_eq!(
                (&own.name, own.kind, own.meaning),
                (&known.name, known.kind, known.meaning)
            );
        }
    }

    #[test]
    fn what_is_no_mapping_of_a_row_is_refused() {
        for text in [
            "19",
            "${CDR(src)}",
            "${CDR(src),${CDR(dst)}",
            "${CDR(src)},${CDR(dst)};${CDR(start)}",
            "${CDR(src)},${MATH(1+2)},${CDR(start)}",
            "${CDR(src)},${CDR(dst)}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
