//! The keys of a `[[source]]` that say what its rows are → [`Format`].

use super::file::SourceTable;
use super::place::{Place, nearest};
use super::written::Key;
use crate::event;
use crate::parser::format::{ColumnTable, FormatProblem, FormatTable, LayoutTable};
use crate::parser::reader::{GENERAL, PATTERN};
use crate::parser::{Format, mapping, presets, template};

/// What a list of columns looks like.
const COLUMNS_LIKE: &str = "[{ name = \"caller\", as = \"caller_id\" }, { name = \"begin\", type = \"time\", as = \"start_time\" }]";

/// The format, and the layout chosen by name.
pub(super) fn format(
    table: &SourceTable,
    place: &mut Place<'_>,
) -> (Option<Format>, Option<String>) {
    let Some(word) = place.required("format", &table.format, "\"vos3000-csv\"") else {
        return (None, None);
    };
    if word == PATTERN {
        return (super::derive::own_patterns(table, place), None);
    }
    if !table.pattern.is_empty() {
        place.problem("pattern", &table.format, format!("{word} reads by its own description; write format = \"pattern\" for patterns of your own"));
    }
    if GENERAL.iter().any(|(general, _)| general == word) {
        if table.template.is_some() {
            place.problem(
                "template",
                &table.template,
                "only format = \"freeswitch-csv\", \"asterisk-cdr-custom\" and \"asterisk-cel\" have templates",
            );
        }
        return (own_format(word, table, place), None);
    }
    let Some(mut format) = presets::find(word) else {
        let names = presets::names().chain(GENERAL.map(|(general, _)| general));
        let names: Vec<&str> = names.collect();
        let advice = match nearest(word, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => match holding(word, &names) {
                near if near.is_empty() => format!("the formats are {}", names.join(", ")),
                near => format!("did you mean {}?", near.join(" or ")),
            },
        };
        let what = super::live::no_push(word);
        let what = what.unwrap_or_else(|| format!("{word:?} is not known; {advice}"));
        place.problem("format", &table.format, what);
        return (None, None);
    };
    super::derive::set_repeats(&mut format);
    refuse_general_keys(word, table, place);
    if let Some(written) = place.given("template", &table.template, "\"example\"") {
        return template_of(word, format, written, table, place);
    }
    let chosen = place.given("columns", &table.columns, "\"52\"");
    let layout = match chosen {
        None => None,
        Some(toml::Value::String(name)) => match format.clone().with_layout(name) {
            Ok(narrowed) => {
                format = narrowed;
                Some(name.clone())
            }
            Err(names) => {
                let what = format!(
                    "{word} has no layout {name:?}; write one of {}",
                    names.join(", ")
                );
                place.problem("columns", &table.columns, what);
                None
            }
        },
        Some(toml::Value::Integer(count)) => {
            let what =
                format!("the name of a layout stands in quotes; write columns = \"{count}\"");
            place.problem("columns", &table.columns, what);
            None
        }
        Some(_) => {
            place.problem("columns", &table.columns, format!("a list of columns goes with a general format; for {word} write the name of a layout, or copy the preset with `switchhook formats show {word}`"));
            None
        }
    };
    (Some(format), layout)
}

/// The rows of FreeSWITCH's template, a layout's name or the template itself, or of Asterisk's mapping.
fn template_of(
    word: &str,
    format: Format,
    written: &str,
    table: &SourceTable,
    place: &mut Place<'_>,
) -> (Option<Format>, Option<String>) {
    if ![template::PRESET, mapping::PRESET, mapping::EVENTS].contains(&word) {
        let what = format!(
            "{word} has no templates; only format = {:?}, {:?} and {:?} have",
            template::PRESET,
            mapping::PRESET,
            mapping::EVENTS
        );
        place.problem("template", &table.template, what);
        return (None, None);
    }
    if table.columns.is_some() {
        place.problem(
            "columns",
            &table.columns,
            "the template says what the columns are; leave this out",
        );
        return (None, None);
    }
    if word == template::PRESET && !written.contains("${") {
        let name = written.to_string();
        return match format.with_layout(written) {
            Ok(narrowed) => (Some(narrowed), Some(name)),
            Err(names) => {
                let what = format!(
                    "there is no template {written:?} here; write one of {}, or the template itself as in cdr_csv.conf.xml, in single quotes",
                    names.join(", ")
                );
                place.problem("template", &table.template, what);
                (None, None)
            }
        };
    }
    let read = match word {
        mapping::PRESET | mapping::EVENTS => mapping::format(&format, written),
        _ => template::format(&format, written),
    };
    match read {
        Ok(format) => (Some(format), None),
        Err(what) => {
            let timeless = what.contains("no column says when it happened");
            let what = match word {
                mapping::PRESET if timeless => {
                    "nothing in it says when a call was: paste the whole mapping, in which ${CDR(start)}, ${CDR(answer)} or ${CDR(end)} has to be".to_string()
                }
                template::PRESET if timeless => {
                    "nothing in it says when a call was: paste the whole template, in which ${start_stamp}, ${start_epoch}, ${end_stamp} or ${end_epoch} has to be".to_string()
                }
                _ => what,
            };
            place.problem("template", &table.template, what);
            (None, None)
        }
    }
}

/// Those of `names` that `word` is a part of, in quotes: a switch's name, as `asterisk`, or a kind of files.
fn holding(word: &str, names: &[&str]) -> Vec<String> {
    const LETTERS_MIN: usize = 3;
    let word = word.to_ascii_lowercase();
    let near = names
        .iter()
        .filter(|name| word.len() >= LETTERS_MIN && name.contains(&word));
    near.map(|name| format!("{name:?}")).collect()
}

/// Notes the keys that only general formats have.
fn refuse_general_keys(word: &str, table: &SourceTable, place: &mut Place<'_>) {
    let mut refuse = |key: &str, given: bool, line: &dyn Fn(&mut Place<'_>, String)| {
        if given {
            line(
                place,
                format!(
                    "the preset {word} decides this; to change {key}, copy the preset with `switchhook formats show {word}`"
                ),
            );
        }
    };
    macro_rules! refuse {
        ($($key:ident),*) => {
            $(refuse(
                stringify!($key),
                table.$key.is_some(),
                &|place, what| place.problem(stringify!($key), &table.$key, what),
            );)*
        };
    }
    refuse!(
        delimiter,
        quote,
        quoting,
        escape,
        assign,
        after,
        encoded_under,
        nothing,
        dates,
        event,
        start_is,
        id_keys,
        layout
    );
}

/// The format that the keys of the table themselves describe.
fn own_format(reader: &str, table: &SourceTable, place: &mut Place<'_>) -> Option<Format> {
    let layout = if table.layout.is_some() {
        if table.columns.is_some() {
            place.problem(
                "columns",
                &table.columns,
                "each layout has its own; leave this out, or write columns without layouts",
            );
        }
        layouts(table, place)?
    } else {
        vec![LayoutTable {
            name: "own".to_string(),
            columns: columns(table, place)?,
            ..LayoutTable::default()
        }]
    };
    let mut text =
        |key: &str, written: &Key<String>, like: &str| place.given(key, written, like).cloned();
    let delimiter = text("delimiter", &table.delimiter, "\",\"");
    let quote = text("quote", &table.quote, "'\"'");
    let quoting = text("quoting", &table.quoting, "\"lenient\"");
    let escape = text("escape", &table.escape, "'\\'");
    let assign = text("assign", &table.assign, "\"=\"");
    let encoded_under = text("encoded_under", &table.encoded_under, "\"variables\"");
    let dates = text("dates", &table.dates, "\"dmy\"");
    let event = text("event", &table.event, "\"cdr\"");
    let start_is = text("start_is", &table.start_is, "\"setup\"");
    let mut texts = |key: &str, written: &Key<Vec<String>>, like: &str| {
        place.given(key, written, like).cloned().unwrap_or_default()
    };
    let after = texts("after", &table.after, "[\"ACC: call ended: \"]");
    let nothing = texts("nothing", &table.nothing, "[\"NONE\"]");
    let id_keys = place
        .given("id_keys", &table.id_keys, "[[\"flowno\"]]")
        .cloned()
        .unwrap_or_default();
    check_kind("event", event.as_ref(), &table.event, place);
    for kind in layout.iter().filter_map(|layout| layout.event.as_ref()) {
        check_kind("layout", Some(kind), &table.layout, place);
    }
    let described = FormatTable {
        name: reader.to_string(),
        reader: reader.to_string(),
        delimiter,
        quote,
        quoting,
        escape,
        assign,
        after,
        encoded_under,
        nothing,
        dates,
        event,
        id_keys,
        start_is,
        layout,
        ..FormatTable::default()
    };
    match Format::from_table(&described) {
        Ok(format) => Some(format),
        Err(problems) => {
            let by_layout = table.layout.is_some();
            problems
                .into_iter()
                .for_each(|problem| note(problem, by_layout, table, place));
            None
        }
    }
}

/// Notes what keeps the table from being a format, at the key at fault.
fn note(problem: FormatProblem, by_layout: bool, table: &SourceTable, place: &mut Place<'_>) {
    let what = problem.what;
    match problem.key {
        "delimiter" => place.problem("delimiter", &table.delimiter, what),
        "quote" => place.problem("quote", &table.quote, what),
        "quoting" => place.problem("quoting", &table.quoting, what),
        "escape" => place.problem("escape", &table.escape, what),
        "assign" => place.problem("assign", &table.assign, what),
        "after" => place.problem("after", &table.after, what),
        "start_is" => place.problem("start_is", &table.start_is, what),
        "dates" => place.problem("dates", &table.dates, what),
        "id_keys" => place.problem("id_keys", &table.id_keys, what),
        _ if by_layout => place.problem("layout", &table.layout, what),
        _ => place.problem("columns", &table.columns, what),
    }
}

fn columns(table: &SourceTable, place: &mut Place<'_>) -> Option<Vec<ColumnTable>> {
    let columns = place
        .required("columns", &table.columns, COLUMNS_LIKE)?
        .clone();
    match columns.try_into() {
        Ok(columns) => Some(columns),
        Err(error) => {
            let what = format!("{}; write like {COLUMNS_LIKE}", error.message());
            place.problem("columns", &table.columns, what);
            None
        }
    }
}

fn layouts(table: &SourceTable, place: &mut Place<'_>) -> Option<Vec<LayoutTable>> {
    const LIKE: &str = "[[source.layout]] with name, when, event, state and columns; `switchhook formats show asterisk-queue-log` prints some";
    let written = place.given("layout", &table.layout, LIKE)?;
    let layouts: Result<Vec<LayoutTable>, _> =
        written.iter().cloned().map(toml::Value::try_into).collect();
    match layouts {
        Ok(layouts) => Some(layouts),
        Err(error) => {
            let what = format!("{}; write {LIKE}", error.message());
            place.problem("layout", &table.layout, what);
            None
        }
    }
}

fn check_kind<T>(key: &str, kind: Option<&String>, written: &Key<T>, place: &mut Place<'_>) {
    let bad = |kind: &&String| !event::is_kind(kind) || kind.starts_with("switchhook.");
    if let Some(kind) = kind.filter(bad) {
        place.problem(key, written, format!("{kind:?} is no event type; write lower-case letters, digits, '_' and '.', like payment"));
    }
}
