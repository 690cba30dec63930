//! What `formats try` says of files that hold no rows: what they are, and what makes rows of them.

use crate::parser::guess;
use std::path::Display;

/// Kinds of files that are no text, by their first bytes: what each is, and the command or the step that
/// makes rows of it; `FILE` stands for the file.
const KINDS: [(&[u8], &str, &str); 9] = [
    (
        b"\x1F\x8B",
        "compressed",
        "unpack it first: gzip -dc FILE > rows",
    ),
    (
        b"BZh",
        "compressed",
        "unpack it first: bzip2 -dc FILE > rows",
    ),
    (
        b"\xFD7zXZ\0",
        "compressed",
        "unpack it first: xz -dc FILE > rows",
    ),
    (
        b"\x28\xB5\x2F\xFD",
        "compressed",
        "unpack it first: zstd -dc FILE > rows",
    ),
    (
        b"PK\x03\x04",
        "a zip archive, as workbooks of Excel are",
        "unpack it, or have the workbook saved as CSV in UTF-8",
    ),
    (
        b"\xD0\xCF\x11\xE0",
        "a workbook of an old Excel",
        "have it saved as CSV in UTF-8",
    ),
    (b"%PDF", "a PDF", "have the calls exported as CSV"),
    (
        b"SQLite format 3\0",
        "a database of SQLite, which is not followed",
        "of Asterisk, take cdr_csv beside cdr_sqlite3; to look at its rows: sqlite3 -header -csv FILE 'SELECT * FROM cdr' > rows",
    ),
    (
        b"\x7FELF",
        "a program",
        "name the file that the switch writes its calls to",
    ),
];

/// The most bytes in a hundred that text has of those that stand for no letter.
const ODD_PERCENT_MAX: usize = 5;

/// Why no rows can be in a file called `shown` that begins with `bytes`.
pub fn why(shown: &Display<'_>, bytes: &[u8]) -> Option<String> {
    let lines = || bytes.split(|byte| *byte == b'\n');
    if let Some((_, what, step)) = KINDS.iter().find(|(first, ..)| bytes.starts_with(first)) {
        let step = step.replace("FILE", &shown.to_string());
        return Some(format!("{shown} is {what}; {step}"));
    }
    if guess::is_utf16(bytes) {
        return Some(format!(
            "{shown} is UTF-16, in which lines cannot be found; have it written as UTF-8, or convert it: iconv -f UTF-16 -t UTF-8 {shown} > rows"
        ));
    }
    if lines().any(is_statement) {
        return Some(format!(
            "{shown} holds SQL statements; of FreeSWITCH, which writes them by its template \"sql\", take the template \"example\"; of a database have rows exported: mysql --batch -e 'SELECT * FROM cdr' > rows"
        ));
    }
    if lines().take(3).any(is_drawn) {
        return Some(format!(
            "{shown} is a table drawn for people; have rows exported: mysql --batch -e 'SELECT * FROM cdr' > rows, or psql --csv -c 'SELECT * FROM cdr' > rows"
        ));
    }
    if is_page(bytes) {
        return Some(format!("{shown} is HTML; have the calls exported as CSV"));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Some(format!("{shown} has no rows"));
    }
    let odd = bytes.iter().filter(|byte| is_odd(**byte)).count();
    if odd * 100 > bytes.len() * ODD_PERCENT_MAX {
        return Some(format!(
            "{shown} is no text: records of a binary format are not read; have the switch, or its mediation, write text"
        ));
    }
    let returns = bytes.iter().filter(|byte| **byte == b'\r').count();
    (returns > 1 && !bytes.contains(&b'\n')).then(|| {
        format!(
            "{shown} ends its lines with carriage returns alone, by which none is found; have it written with line feeds, or convert it: tr '\\r' '\\n' < {shown} > rows"
        )
    })
}

/// What rows of Asterisk are that tell parts of calls, in whatever form a database or a mapping of one's own
/// has them: a call of each would be told several times.
pub fn are_parts(bytes: &[u8]) -> Option<&'static str> {
    /// Words of `cel.conf`, of which the first two are no words of calls, and of `queue_log`.
    const CHANNELS: [&[u8]; 9] = [
        b"CHAN_START",
        b"LINKEDID_END",
        b"CHAN_END",
        b"ANSWER",
        b"HANGUP",
        b"APP_START",
        b"APP_END",
        b"BRIDGE_ENTER",
        b"BRIDGE_EXIT",
    ];
    const QUEUES: [&[u8]; 9] = [
        b"ENTERQUEUE",
        b"QUEUESTART",
        b"CONNECT",
        b"COMPLETEAGENT",
        b"COMPLETECALLER",
        b"ABANDON",
        b"RINGNOANSWER",
        b"ADDMEMBER",
        b"REMOVEMEMBER",
    ];
    let lines = || {
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
    };
    let has = |line: &[u8], words: &[&[u8]]| {
        let between = |byte: &u8| matches!(byte, b',' | b';' | b'|' | b'\t' | b'"');
        line.split(between)
            .any(|field| words.contains(&field.trim_ascii()))
    };
    let tells = |words: &[&[u8]]| {
        let (sure, _) = words.split_at(2);
        lines().any(|line| has(line, sure))
            && lines().filter(|line| has(line, words)).count() * 2 > lines().count()
    };
    if tells(&CHANNELS) {
        return Some(
            "these are Asterisk's events of channels (CEL), several of each call: format = \"asterisk-cel\" reads the file of cel_custom, by template = '…' with the mapping pasted from cel_custom.conf; of a database's table have cel_custom write the file beside it; whole calls are in the CDRs",
        );
    }
    tells(&QUEUES).then_some(
        "these are Asterisk's events of queues, several of each call: format = \"asterisk-queue-log\" reads the file queue_log, which Asterisk writes beside a database's table by queue_log_to_file = yes in logger.conf; whole calls are in the CDRs",
    )
}

fn is_statement(line: &[u8]) -> bool {
    let start = line.trim_ascii_start().get(..11);
    start.is_some_and(|start| start.eq_ignore_ascii_case(b"INSERT INTO"))
}

/// Whether `line` is one that clients of databases draw: `+----+----+`, `----+----`.
fn is_drawn(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() > 9 && line.contains(&b'+') && line.iter().all(|byte| matches!(byte, b'+' | b'-'))
}

/// Whether `bytes` are a page of a site, as some panels call their export to Excel.
fn is_page(bytes: &[u8]) -> bool {
    const TAGS: [&[u8]; 3] = [b"<html", b"<!doctype html", b"<table"];
    let start = bytes.trim_ascii_start();
    TAGS.iter().any(|tag| {
        let first = start.get(..tag.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(tag))
    })
}

/// Whether text has `byte` by mistake alone. Holes of NUL are left where a file was cut off while it
/// was written to, and logs have colours.
fn is_odd(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\0' | b'\t' | b'\n' | b'\r' | 0x0C | 0x1B)
}
