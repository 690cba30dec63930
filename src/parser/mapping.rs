//! Mappings of Asterisk's `cdr_custom` and `cel_custom`: their configuration says what the columns are.

use super::format::{Column, ColumnTable, Format, FormatTable, LayoutTable, word_of};
use super::template;
use std::collections::HashSet;

/// The preset whose rows follow a mapping of calls.
pub const PRESET: &str = "asterisk-cdr-custom";

/// The preset whose rows follow a mapping of events.
pub const EVENTS: &str = "asterisk-cel";

/// The layouts of [`EVENTS`] with every column there is; the others lack one.
const WHOLE: &str = "20-";

/// The key of a row, where the mapping has both: calls and their legs.
const ROW_KEY: [&str; 2] = ["uniqueid", "sequence"];

/// One value of a mapping.
#[derive(Debug, PartialEq, Eq)]
struct Value {
    /// Its name in small letters; none where it is a text of the mapping's own.
    name: Option<String>,
    /// How it is written, as `u` or `int64`.
    option: String,
}

/// What a mapping says of rows.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    values: Vec<Value>,
    delimiter: char,
    /// Around values; none where the mapping has none, and a quote is part of a value.
    quote: Option<char>,
    /// Quotes inside values are not escaped.
    lenient: bool,
}

/// The format of rows that follow `mapping`: a line of the `[mappings]` of cdr_custom.conf or
/// cel_custom.conf, with or without the file's name before it, or an advanced mapping: its section, or
/// its `fields` alone. What it does not say is as in `preset`.
///
/// # Errors
///
/// What is wrong with the mapping, and what to write.
pub fn format(preset: &Format, mapping: &str) -> Result<Format, String> {
    let mapping = match mapping.contains("${") {
        true => with_functions(mapping)?,
        false => with_fields(mapping)?,
    };
    let layouts = match preset.name == EVENTS {
        true => preset.layouts.iter(),
        false => preset
            .layouts
            .last()
            .map_or(&[][..], std::slice::from_ref)
            .iter(),
    };
    let whole = layouts.filter(|layout| preset.name != EVENTS || layout.name.starts_with(WHOLE));
    let mut table = FormatTable {
        name: preset.name.clone(),
        title: preset.title.clone(),
        notes: preset.notes.clone(),
        event: Some(preset.event.clone()),
        reader: "delimited".to_string(),
        delimiter: Some(mapping.delimiter.to_string()),
        quote: mapping.quote.map(String::from),
        quoting: mapping.lenient.then(|| "lenient".to_string()),
        ..FormatTable::default()
    };
    for layout in whole {
        let columns = columns(&mapping.values, &layout.columns);
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        let when = layout.when.iter().filter_map(|(index, values)| {
            let column = layout.columns.get(*index)?;
            Some((column.name.clone(), values.clone()))
        });
        let when: std::collections::BTreeMap<_, _> = when.collect();
        if when.contains_key("eventtype") && !has("eventtype") {
            return Err(format!(
                "it lacks the eventtype, by which rows differ; {LIKE}"
            ));
        }
        // Without the application nothing says which bridges are conferences.
        if !when.keys().all(|name| has(name)) {
            continue;
        }
        if ROW_KEY.iter().all(|name| has(name)) && preset.name == PRESET {
            table.id_keys = vec![ROW_KEY.map(str::to_string).to_vec()];
        }
        table.layout.push(LayoutTable {
            name: match preset.name == EVENTS {
                true => layout.name.replace(WHOLE, ""),
                false => "mapping".to_string(),
            },
            when,
            event: Some(layout.event.to_string()),
            state: layout.state.clone(),
            columns,
            ..LayoutTable::default()
        });
    }
    // The times of events are seconds, unless cel.conf says otherwise.
    table.local_times = preset.name == PRESET && mapping.values.iter().any(is_local_time(preset));
    template::made_of(&table)
}

/// Whether a value is a time without a zone.
fn is_local_time(preset: &Format) -> impl Fn(&Value) -> bool {
    move |value| {
        let mut columns = preset.layouts.iter().flat_map(|layout| &layout.columns);
        let is_time = |column: &Column| {
            value.name.as_ref() == Some(&column.name) && word_of(column.kind) == "time"
        };
        // `u`, `int64` and `double` have it told as seconds since 1970, `%z` with its zone.
        let is_zoned = matches!(value.option.as_str(), "u" | "int64" | "double")
            || value.option.contains("%z");
        columns.any(is_time) && !is_zoned
    }
}

/// The columns of rows with `values`, with what is `known` of them.
fn columns(values: &[Value], known: &[Column]) -> Vec<ColumnTable> {
    let (mut names, mut meant) = (HashSet::new(), HashSet::new());
    let column = |(index, value): (usize, &Value)| {
        let name = value.name.as_deref().unwrap_or("literal");
        let found = known.iter().find(|column| column.name == name);
        let meaning = found
            .and_then(|column| column.meaning)
            .filter(|meaning| meant.insert(*meaning));
        let kind = found.map_or("text", |column| word_of(column.kind));
        ColumnTable {
            // A value may stand in a mapping twice, and its name only once in the columns.
            name: match names.insert(name.to_string()) {
                true => name.to_string(),
                false => format!("{name}_{}", index + 1),
            },
            kind: (kind != "text").then(|| kind.to_string()),
            meaning: meaning.map(|meaning| meaning.word().to_string()),
            drop: value.name.is_none() || found.is_some_and(|column| column.drop),
            ..ColumnTable::default()
        }
    };
    values.iter().enumerate().map(column).collect()
}

/// What the presets call a value that goes by other names in mappings.
fn known_as(name: &str) -> &str {
    match name {
        "cidname" | "name" => "cid_name",
        "cidnum" | "num" => "cid_num",
        "cidani" | "ani" => "cid_ani",
        "cidrdnis" | "rdnis" => "cid_rdnis",
        "ciddnid" | "dnid" => "cid_dnid",
        "channame" => "channel",
        "acctcode" => "accountcode",
        "bridgepeer" => "peer",
        "usereventname" => "userdeftype",
        "eventextra" => "extra",
        name => name,
    }
}

const LIKE: &str = "write it as in cdr_custom.conf or cel_custom.conf, like '${CSV_QUOTE(${CDR(src)})},${CSV_QUOTE(${CDR(dst)})},${CSV_QUOTE(${CDR(start)})}', or like 'fields = src,dst,start'; of rows of another kind take what `switchhook formats try FILE` prints";

/// A mapping of functions, as those before Asterisk's advanced ones are.
fn with_functions(mapping: &str) -> Result<Mapping, String> {
    let mapping = mapping
        .split_once("=>")
        .map_or(mapping, |(_, behind)| behind);
    let mut values = Vec::new();
    let mut between = Vec::new();
    let (mut rest, mut quoted) = (mapping.trim(), false);
    while let Some((literal, behind)) = rest.split_once("${") {
        quoted |= literal.contains('"') || behind.starts_with("CSV_QUOTE(");
        if !values.is_empty() {
            between.push(literal);
        }
        let end = template::closing(behind)
            .ok_or_else(|| format!("a value's brace is not closed; {LIKE}"))?;
        let (value, after) = behind.split_at(end);
        values.push(named(value)?);
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(Mapping {
        values,
        delimiter: template::delimiter(between, LIKE)?,
        quote: quoted.then_some('"'),
        // What stands in quotes of the mapping's own is not escaped.
        lenient: quoted && !mapping.contains("CSV_QUOTE"),
    })
}

/// An advanced mapping: the lines of its section, or the list of its fields alone.
fn with_fields(mapping: &str) -> Result<Mapping, String> {
    let (mut fields, mut delimiter, mut quote, mut escape) = (None, ',', '"', None);
    for line in mapping.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '[']) {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key.trim(), value.trim_start_matches('>').trim()),
            None => ("fields", line),
        };
        // A remark stands behind a blank.
        let value = value
            .split_once(" ;")
            .map_or(value, |(value, _)| value)
            .trim();
        let letter = || match value
            .strip_prefix('\\')
            .filter(|behind| !behind.is_empty())
            .unwrap_or(value)
        {
            "t" if value.len() == 2 => Ok('\t'),
            one if one.len() == 1 && one.is_ascii() => Ok(one.chars().next().unwrap_or(',')),
            _ => Err(format!("{key} = {value:?} is not one character")),
        };
        match key {
            "fields" => fields = Some(value),
            "separator_character" => delimiter = letter()?,
            "quote_character" => quote = letter()?,
            "quote_escape_character" => escape = Some(letter()?),
            "format" if value.eq_ignore_ascii_case("json") => {
                return Err("rows of format = json are no columns; write format = \"json-lines\" in the source: `switchhook formats try FILE` prints it".to_string());
            }
            _ => {}
        }
    }
    if escape.is_some_and(|escape| escape != quote) {
        return Err(format!(
            "quotes escaped otherwise than by doubling them are not read; have Asterisk write quote_escape_character = {quote}"
        ));
    }
    let fields = fields.ok_or_else(|| format!("there are no fields; {LIKE}"))?;
    let values: Result<Vec<Value>, String> = fields.split(',').map(field).collect();
    let values = values?;
    if values.len() < 2 {
        return Err(format!("there is one field; {LIKE}"));
    }
    Ok(Mapping {
        values,
        delimiter,
        quote: Some(quote),
        lenient: false,
    })
}

/// One of the fields: `src`, `start(int64^noquote)`, or `"a text"`.
fn field(text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return Ok(Value {
            name: None,
            option: String::new(),
        });
    }
    let (name, options) = text.split_once('(').unwrap_or((text, ""));
    let mut options = options.trim_end_matches(')').split('^').map(str::trim);
    let said = |option: &&str| !matches!(*option, "" | "quote" | "noquote" | "uservar");
    Ok(Value {
        name: Some(plain(name)?),
        option: options.find(said).unwrap_or_default().to_string(),
    })
}

/// `name` as the presets have it.
fn plain(name: &str) -> Result<String, String> {
    let name = name.trim().to_ascii_lowercase();
    if !template::is_plain(&name) {
        return Err(format!("{name:?} is no plain value; {LIKE}"));
    }
    Ok(known_as(&name).to_string())
}

/// A value and its option: `start` and `u` of `CSV_QUOTE(${CDR(start,u)})`.
fn named(value: &str) -> Result<Value, String> {
    if value.starts_with("CSV_QUOTE(") && !value.contains("${") {
        return Ok(Value {
            name: None,
            option: String::new(),
        });
    }
    let inner = value
        .rsplit("${")
        .next()
        .unwrap_or(value)
        .trim_end_matches(['}', ')']);
    let name = inner.rsplit('(').next().unwrap_or(inner);
    let (name, option) = name.split_once([',', '|']).unwrap_or((name, ""));
    let (name, option) = match plain(name) {
        Ok(name) => (name, option.trim()),
        // What an expression makes is no value that is known: `STRFTIME(${EPOCH},,%F %T)`.
        Err(problem) => {
            let expression = value.strip_prefix("CSV_QUOTE(${").unwrap_or(value);
            let function = expression.split_once('(').map(|(function, _)| function);
            let function = function.and_then(|function| plain(function).ok());
            (function.ok_or(problem)?, "")
        }
    };
    Ok(Value {
        name: Some(name),
        option: option.to_string(),
    })
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
    fn what_an_expression_makes_is_called_after_its_function() {
        check(
            "${STRFTIME(${EPOCH},,%Y-%m-%d %H:%M:%S)},${CSV_QUOTE(${IF($[\"${CDR(disposition)}\" = \"ANSWERED\"]?1:0)})},${CSV_QUOTE(${FILTER(0-9,${CDR(src)})})},${CDR(dst):2},${CDR(start)}",
            &["strftime", "if", "src", "cdr", "start"],
            "caller_id start_time",
        );
    }

    #[test]
    fn quotes_are_part_of_values_where_the_mapping_has_none() {
        let dialect = |mapping: &str| match read(mapping).unwrap().reader {
            super::super::format::Reader::Delimited(dialect) => (dialect.quote, dialect.lenient),
            other => panic!("{other:?}"),
        };
        let bare = "${CDR(clid)},${CDR(src)},${CDR(start)},${IF($[\"${CDR(dst)}\" = \"\"]?0:1)}";
        assert_eq!(dialect(bare), (None, false));
        let own = "\"${CDR(clid)}\",\"${CDR(src)}\",\"${CDR(start)}\"";
        assert_eq!(dialect(own), (Some(b'"'), true));
        let escaped = "${CSV_QUOTE(${CDR(clid)})},${CDR(src)},${CDR(start)}";
        assert_eq!(dialect(escaped), (Some(b'"'), false));
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
    fn an_advanced_mapping_is_read_from_its_section_or_its_fields() {
        let fields = r#"clid,"Some Literal",src, dst, start, answer(int64), billsec, disposition, uniqueid(noquote), sequence,ds_type(uservar)"#;
        let names = [
            "clid",
            "literal",
            "src",
            "dst",
            "start",
            "answer",
            "billsec",
            "disposition",
            "uniqueid",
            "sequence",
            "ds_type",
        ];
        let meant =
            "caller_id called_id start_time answer_time bill_duration disconnect_reason call_id";
        let own = check(fields, &names, meant);
        assert!(own.local_times);
        assert_eq!(own.id_keys, [["uniqueid", "sequence"]]);
        let section = format!(
            "[cdr_master.csv] ; a file\nformat = dsv\nseparator_character = \\t   ; a tab\nquote_character = '\nquote_escape_character = '\n;fields = no\nfields => {fields} ; all"
        );
        let own = check(&section, &names, meant);
        let super::super::format::Reader::Delimited(dialect) = own.reader else {
            panic!("{:?}", own.reader);
        };
        assert_eq!((dialect.delimiter, dialect.quote), (b'\t', Some(b'\'')));
        let zoned = check(
            "src,start(int64),end(%FT%T%z)",
            &["src", "start", "end"],
            "caller_id start_time end_time",
        );
        assert!(!zoned.local_times);
        for (text, expected) in [
            ("format = json\nfields = src,start", "json-lines"),
            (
                "quote_escape_character = \\\nfields = src,start",
                "by doubling",
            ),
            (
                "separator_character = ab\nfields = src,start",
                "not one character",
            ),
            ("separator_character = ,", "no fields"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn mappings_of_events_keep_what_each_kind_of_row_means() {
        let preset = presets::find(EVENTS).unwrap();
        let advanced = "EventType,EventEnum,\"My Literal\",EventTime,UserEventName,CIDName,CIDNum,Exten,Context,ChanName,AppName,AppData,AMAFlags,AcctCode,UniqueID,UserField,CIDani,CIDrdnis,CIDdnid,Peer,LinkedID,PeerAcct,Extra,TenantID";
        let legacy = "Master.csv => ${CSV_QUOTE(${eventtype})},${CSV_QUOTE(My Literal)},${CSV_QUOTE(${eventtime})},${CSV_QUOTE(${CALLERID(name)})},${CSV_QUOTE(${CALLERID(num)})},${CSV_QUOTE(${CHANNEL(exten)})},${CSV_QUOTE(${CHANNEL(channame)})},${CSV_QUOTE(${CHANNEL(appname)})},${CSV_QUOTE(${CHANNEL(appdata)})},${CSV_QUOTE(${CHANNEL(uniqueid)})},${CSV_QUOTE(${CHANNEL(linkedid)})},${CSV_QUOTE(${BRIDGEPEER})},${CSV_QUOTE(${eventextra})}";
        for text in [advanced, legacy] {
            let own = format(&preset, text).unwrap();
            let names: Vec<&str> = own.layouts.iter().map(|layout| &*layout.name).collect();
            assert_eq!(
                names,
                [
                    "ringing", "answered", "hangup", "join", "leave", "started", "ended"
                ]
            );
            let layout = &own.layouts[0];
            let called = |meaning| {
                layout
                    .column_of(meaning)
                    .map(|index| &*layout.columns[index].name)
            };
            use super::super::Meaning;
            assert_eq!(called(Meaning::EventTime), Some("eventtime"));
            assert_eq!(called(Meaning::CallerId), Some("cid_num"));
            assert_eq!(called(Meaning::CallId), Some("uniqueid"));
        }
        let few = format(&preset, "EventType,EventTime,CIDNum,UniqueID").unwrap();
        assert_eq!(
            few.layouts.len(),
            5,
            "nothing tells a conference's bridge from others"
        );
        assert!(
            format(&preset, "EventTime,CIDNum")
                .unwrap_err()
                .contains("eventtype")
        );
    }

    #[test]
    fn what_is_no_mapping_of_a_row_is_refused() {
        for text in [
            "19",
            "${CDR(src)}",
            "${CDR(src),${CDR(dst)}",
            "${CDR(src)},${CDR(dst)};${CDR(start)}",
            "${CDR(src)},${},${CDR(start)}",
            "${CDR(src)},${CDR(dst)}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
