//! Templates of FreeSWITCH's `mod_cdr_csv`: the line of its configuration says what the columns are.

use super::format::{ColumnTable, Format, FormatTable, LayoutTable};
use std::collections::HashSet;

/// The preset whose rows follow a template.
pub const PRESET: &str = "freeswitch-csv";

/// Variables that say something of the call, with the type of their values and what they mean.
///
/// documented (FreeSWITCH's switch_channel.c and mod_sofia): the variables' names and units.
const VARIABLES: [(&str, &str, &str); 28] = [
    ("uuid", "text", "call_id"),
    ("caller_id_number", "text", "caller_id"),
    ("destination_number", "text", "called_id"),
    ("context", "text", "application"),
    ("accountcode", "text", "account_id"),
    ("start_stamp", "time", "start_time"),
    ("answer_stamp", "time", "answer_time"),
    ("end_stamp", "time", "end_time"),
    ("start_uepoch", "time", "start_time"),
    ("answer_uepoch", "time", "answer_time"),
    ("end_uepoch", "time", "end_time"),
    ("start_epoch", "time", "start_time"),
    ("answer_epoch", "time", "answer_time"),
    ("end_epoch", "time", "end_time"),
    ("duration", "seconds", "duration"),
    ("billsec", "seconds", "bill_duration"),
    ("hangup_cause", "text", "disconnect_reason"),
    ("hangup_cause_q850", "integer", "end_reason"),
    ("read_codec", "text", "codec"),
    ("network_addr", "text", "caller_ip"),
    ("sip_network_ip", "text", "caller_ip"),
    ("sip_gateway_name", "text", "callee_gateway_id"),
    ("progress_stamp", "time", ""),
    ("profile_start_stamp", "time", ""),
    ("mduration", "milliseconds", ""),
    ("billmsec", "milliseconds", ""),
    ("waitsec", "seconds", ""),
    ("progresssec", "seconds", ""),
];

/// The format of rows that follow `template`, as cdr_csv.conf.xml has it; what it does not say is as
/// in `preset`.
///
/// # Errors
///
/// What is wrong with the template, and what to write.
pub fn format(preset: &Format, template: &str) -> Result<Format, String> {
    let (names, delimiter, quoted) = take_apart(template.trim())?;
    let mut meant = HashSet::new();
    let mut known = HashSet::new();
    let columns: Vec<ColumnTable> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let found = VARIABLES.iter().find(|(variable, _, _)| variable == name);
            let meaning = found
                .map(|(_, _, meaning)| (*meaning).to_string())
                .filter(|meaning| !meaning.is_empty() && meant.insert(meaning.clone()));
            let kind = found
                .map(|(_, kind, _)| *kind)
                .filter(|kind| *kind != "text");
            // A variable may stand in a template twice, and its name only once in the columns.
            let unique = known.insert(name.clone());
            ColumnTable {
                name: if unique {
                    name.clone()
                } else {
                    format!("{name}_{}", index + 1)
                },
                kind: kind.map(str::to_string),
                meaning,
                ..ColumnTable::default()
            }
        })
        .collect();
    let table = FormatTable {
        name: PRESET.to_string(),
        title: preset.title.clone(),
        notes: preset.notes.clone(),
        reader: "delimited".to_string(),
        delimiter: Some(delimiter.to_string()),
        quote: quoted.then(|| "\"".to_string()),
        quoting: quoted.then(|| "lenient".to_string()),
        local_times: columns.iter().any(|column| column.name.ends_with("_stamp")),
        id_keys: if meant.contains("call_id") {
            preset.id_keys.clone()
        } else {
            Vec::new()
        },
        layout: vec![LayoutTable {
            name: "template".to_string(),
            columns,
            ..LayoutTable::default()
        }],
        ..FormatTable::default()
    };
    made_of(&table)
}

/// The format of a table that was made of a line of a switch's configuration; everything that stands in
/// the way, as one text.
pub(super) fn made_of(table: &FormatTable) -> Result<Format, String> {
    Format::from_table(table).map_err(|problems| {
        let texts: Vec<String> = problems.into_iter().map(|problem| problem.what).collect();
        texts.join("; ")
    })
}

/// The one ASCII character that all of the texts between two values are, blanks and quotes aside.
///
/// # Errors
///
/// What is wrong, and what to write: `like` says that.
pub(super) fn delimiter<'t>(
    between: impl IntoIterator<Item = &'t str>,
    like: &str,
) -> Result<char, String> {
    let bare: HashSet<String> = between
        .into_iter()
        .map(|text| text.replace(['"', ' '], ""))
        .collect();
    let mut letters = bare.iter().flat_map(|text| text.chars());
    match (bare.len(), letters.next(), letters.next()) {
        (1, Some(delimiter), None) if delimiter.is_ascii() => Ok(delimiter),
        _ => Err(format!(
            "the values do not all have the same one character between them; {like}"
        )),
    }
}

/// Whether `name` may be that of a variable or a function.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(plain)
}

/// Where the brace that is open at the beginning of `text` is closed.
pub(super) fn closing(text: &str) -> Option<usize> {
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

/// The variables of a template in order, what stands between their values, and whether in quotes.
fn take_apart(template: &str) -> Result<(Vec<String>, char, bool), String> {
    const LIKE: &str = "write it as in cdr_csv.conf.xml, like '\"${caller_id_number}\",\"${destination_number}\",\"${start_stamp}\"'";
    let mut names = Vec::new();
    let mut between = Vec::new();
    let mut rest = template;
    let mut quoted = false;
    while let Some((literal, behind)) = rest.split_once("${") {
        quoted |= literal.contains('"');
        if !names.is_empty() {
            between.push(literal);
        }
        let end =
            closing(behind).ok_or_else(|| format!("a variable's brace is not closed; {LIKE}"))?;
        let (value, after) = behind.split_at(end);
        // What a function makes is called after it: `regex(${a}|^.(.*)$|%1)`.
        let name = value
            .split_once('(')
            .map_or(value, |(function, _)| function);
        if !is_plain(name) {
            return Err(format!("{value:?} is no plain variable; {LIKE}"));
        }
        names.push(name.to_string());
        rest = after.get(1..).unwrap_or_default();
    }
    Ok((names, delimiter(between, LIKE)?, quoted))
}

#[cfg(test)]
mod tests {
    use super::super::format::Reader;
    use super::super::presets;
    use super::*;

    fn read(template: &str) -> Result<Format, String> {
        format(&presets::find(PRESET).unwrap(), template)
    }

    #[test]
    fn a_template_gives_the_columns_and_their_meanings() {
        let format = read("\"${caller_id_number}\",\"${destination_number}\",\"${start_stamp}\",\"${start_epoch}\",\"${my_var}\", \"${uuid}\"").unwrap();
        let columns = &format.layouts[0].columns;
        let words: Vec<_> = columns
            .iter()
            .map(|column| column.meaning.map_or("", super::super::Meaning::word))
            .collect();
        assert_eq!(
            words,
            ["caller_id", "called_id", "start_time", "", "", "call_id"]
        );
        assert!(format.local_times);
        let Reader::Delimited(dialect) = format.reader else {
            panic!("delimited")
        };
        assert!(dialect.lenient && dialect.delimiter == b',');
        let plain = read("${uuid}|${end_epoch}").unwrap();
        assert!(!plain.local_times);
    }

    #[test]
    fn what_a_function_makes_is_called_after_it() {
        let format =
            read("\"${uuid}\",\"${regex(${sip_from_user}|^.(.*)$|%1)}\",\"${end_stamp}\"").unwrap();
        let names = format.layouts[0].columns.iter().map(|column| &*column.name);
        assert_eq!(names.collect::<Vec<_>>(), ["uuid", "regex", "end_stamp"]);
    }

    #[test]
    fn what_is_no_template_of_a_row_is_refused() {
        for text in [
            "${uuid}",
            "${uuid",
            "INSERT INTO cdr VALUES (${a},${b});;${c}",
            "${a},${b}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
