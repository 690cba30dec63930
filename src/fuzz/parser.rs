//! What every reader of rows must keep to, whatever bytes it gets.

use super::{Choices, check_event, parted};
use crate::event::{CallSettings, Event, EventId, Maker, Origin};
use crate::parser::encoding::Decoder;
use crate::parser::format::FormatTable;
use crate::parser::guess::{self, Sample};
use crate::parser::reader::Reader;
use crate::parser::{DocumentStep, Format, Header, Parser, Record, Settings, Step};
use crate::parser::{mapping, presets, template, time as times};
use jiff::tz::TimeZone;
use std::sync::LazyLock;

/// Read once: each takes longer than reading a row.
pub(super) static PRESETS: LazyLock<Vec<Format>> =
    LazyLock::new(|| presets::names().filter_map(presets::find).collect());

static JSON_LINES: LazyLock<Format> = LazyLock::new(|| {
    let table = "name = \"own\"\nreader = \"json-lines\"\n[[layout]]\nname = \"own\"\ncolumns = [{ name = \"start\", type = \"time\", as = \"start_time\" }, { name = \"variables.uuid\", as = \"call_id\" }, { name = \"l.0.n\" }, { name = \"cost\", type = \"money\", as = \"cost\" }, { name = \"billsec\", type = \"seconds\", as = \"bill_duration\" }]";
    let table = toml::from_str(table).expect("it is TOML");
    Format::from_table(&table).expect("it is a format")
});

/// Rows between delimiters, by every preset of them.
pub(super) fn delimited(data: &[u8]) {
    by_preset(data, |reader| matches!(reader, Reader::Delimited(_)));
}

/// Lines of pairs, by every preset of them.
pub(super) fn key_value(data: &[u8]) {
    by_preset(data, |reader| matches!(reader, Reader::KeyValue(_)));
}

/// Free text, by every preset of patterns.
pub(super) fn pattern(data: &[u8]) {
    by_preset(data, |reader| *reader == Reader::Pattern);
}

/// Files that are one JSON or XML document each, half-written and percent-encoded ones included.
pub(super) fn document(data: &[u8]) {
    by_preset(data, |reader| reader.is_document());
}

/// Lines that are JSON objects.
pub(super) fn json_lines(data: &[u8]) {
    let (bytes, choices) = Choices::take(data, 3);
    read(bytes, JSON_LINES.clone(), choices);
}

/// Formats as operators write them: the text up to a line of dashes, and rows behind it.
pub(super) fn own_format(data: &[u8]) {
    if let Some((table, rows)) = parted(data)
        && let Ok(table) = toml::from_str::<FormatTable>(table)
        && let Ok(format) = Format::from_table(&table)
    {
        let (bytes, choices) = Choices::take(rows, 3);
        read(bytes, format, choices);
    }
}

/// A file of unknown make, as `formats try` looks at it. What it proposes can
/// be used, or lacks a time and nothing else.
pub(super) fn guessed(data: &[u8]) {
    let decoder = Decoder::for_label(guess::encoding(data)).expect("its own word");
    let sample = Sample {
        bytes: data,
        is_whole: true,
        name: "x",
        decoder,
    };
    for fit in guess::by_presets(sample, &TimeZone::UTC) {
        assert!(fit.tally.good > 0);
    }
    if let Some(guessed) = guess::guess(sample, &TimeZone::UTC) {
        match Format::from_table(&guessed.table) {
            Ok(format) => {
                let fit = guess::by_format(sample, format, None, guessed.header, &TimeZone::UTC);
                let tally = fit.tally;
                assert!(tally.good + tally.bad + tally.unwanted <= guess::ROWS_MAX);
            }
            Err(problems) => {
                // This, and nothing else, is what `formats try` then says.
                let untimed = |what: &str| what.starts_with("no column says when");
                assert!(problems.iter().all(|it| untimed(&it.what)), "{problems:?}");
            }
        }
    }
}

/// Times of rows, and templates of FreeSWITCH and mappings of Asterisk: texts of a line or some. A time
/// that is told is read again as the same instant.
pub(super) fn time(data: &[u8]) {
    static PRESET: LazyLock<Format> =
        LazyLock::new(|| presets::find(template::PRESET).expect("there is one"));
    static MAPPED: LazyLock<[Format; 2]> = LazyLock::new(|| {
        [mapping::PRESET, mapping::EVENTS].map(|name| presets::find(name).expect("there is one"))
    });
    static BERLIN: LazyLock<TimeZone> =
        LazyLock::new(|| TimeZone::get("Europe/Berlin").expect("it is built in"));
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for zone in [None, Some(&TimeZone::UTC), Some(&*BERLIN)] {
        for (_, dates) in times::DATES {
            if let Ok(Some(told)) = times::read_dated(text, dates, zone) {
                let written = told.at.to_string();
                let again = times::read(&written, None).expect("our own writing");
                assert_eq!(again.map(|told| told.at), Some(told.at), "{written}");
            }
        }
    }
    let _ = template::format(&PRESET, text);
    for preset in &*MAPPED {
        let _ = mapping::format(preset, text);
    }
}

fn by_preset(data: &[u8], wanted: impl Fn(&Reader) -> bool) {
    let (bytes, mut choices) = Choices::take(data, 4);
    let formats: Vec<&Format> = PRESETS
        .iter()
        .filter(|format| wanted(&format.reader))
        .collect();
    let format = formats[choices.next(formats.len())].clone();
    read(bytes, format, choices);
}

/// How a source reads its bytes, three choices.
pub(super) fn settings(format: Format, choices: &mut Choices<'_>) -> Settings {
    const ENCODINGS: [&str; 4] = ["utf-8", "gbk", "shift_jis", "latin1"];
    static BERLIN: LazyLock<Option<TimeZone>> =
        LazyLock::new(|| TimeZone::get("Europe/Berlin").ok());
    let encoding = ENCODINGS[choices.next(ENCODINGS.len())];
    let zones = [None, Some(TimeZone::UTC), BERLIN.clone()];
    let headers = [Header::Auto, Header::Present, Header::Absent];
    Settings {
        format,
        decoder: Decoder::for_label(encoding).expect("a known one"),
        timezone: zones[choices.next(zones.len())].clone(),
        header: headers[choices.next(headers.len())],
    }
}

/// What became of some lines.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Record(EventId, usize),
    Skipped(usize),
    Unwanted(usize),
    Rejected(String, usize),
}

/// Reads by `format`: every byte of every line is taken once, every record gives an event whose data
/// is one JSON object, and it is all the same whether the lines come at once or one by one.
fn read(bytes: &[u8], format: Format, mut choices: Choices<'_>) {
    let is_document = format.reader.is_document();
    let settings = settings(format, &mut choices);
    if is_document {
        let mut parser = Parser::new(settings.clone());
        let make = |record: &Record<'_>| drop(event_of(record, &settings.format, bytes, 0));
        match parser.document(bytes, "a_x.cdr.json", true) {
            DocumentStep::Record(record) => make(&record),
            DocumentStep::Rejected(reject) => drop(reject.to_string()),
            DocumentStep::Incomplete => panic!("no more will come"),
        }
        let _ = parser.document(bytes, "x", false);
        return;
    }
    let at_once = all_at_once(bytes, &settings);
    // A file's last line may have no end; lines that are waited for do.
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        assert_eq!(one_by_one(bytes, &settings), at_once);
    }
}

fn event_of(record: &Record<'_>, format: &Format, raw: &[u8], offset: usize) -> Event {
    let calls = CallSettings {
        extra: true,
        ..CallSettings::default()
    };
    let maker = Maker::new("node".into(), "cdr".into(), calls);
    let origin = Origin {
        first_row: &[0; 32],
        offset: offset as u64,
        raw,
    };
    let event = maker.make(record, format, origin);
    check_event(&event);
    event
}

fn all_at_once(bytes: &[u8], settings: &Settings) -> Vec<Came> {
    let mut parser = Parser::new(settings.clone());
    let (mut at, mut taken_lines, mut all) = (0, 0, Vec::new());
    while at < bytes.len() {
        let step = parser.next(&bytes[at..], at == 0, true);
        let (came, lines) = came(step, &bytes[at..], at, &settings.format).expect("no more comes");
        let taken = bytes_of(&came);
        assert!(taken > 0 && lines > 0);
        at += taken;
        taken_lines += lines as usize;
        all.push(came);
    }
    assert_eq!(at, bytes.len());
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    let open = usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
    assert_eq!(taken_lines, ends + open);
    all
}

/// As if each line were written only when it is asked for.
fn one_by_one(bytes: &[u8], settings: &Settings) -> Vec<Came> {
    let mut parser = Parser::new(settings.clone());
    let line_end = |from: usize| {
        let end = memchr::memchr(b'\n', &bytes[from..]);
        end.map_or(bytes.len(), |end| from + end + 1)
    };
    let (mut at, mut end, mut all) = (0, line_end(0), Vec::new());
    while at < bytes.len() {
        let seen = &bytes[at..end];
        let step = parser.next(seen, at == 0, end == bytes.len());
        match came(step, seen, at, &settings.format) {
            Some((came, _)) => {
                at += bytes_of(&came);
                all.push(came);
                end = end.max(line_end(at));
            }
            None => {
                assert!(end < bytes.len(), "no more comes");
                end = line_end(end);
            }
        }
    }
    all
}

fn bytes_of(came: &Came) -> usize {
    match came {
        Came::Record(_, bytes)
        | Came::Skipped(bytes)
        | Came::Unwanted(bytes)
        | Came::Rejected(_, bytes) => *bytes,
    }
}

/// What the step came to and its lines; `None` where it waits for more.
fn came(step: Step<'_>, rest: &[u8], at: usize, format: &Format) -> Option<(Came, u32)> {
    Some(match step {
        Step::Record {
            record,
            bytes,
            lines,
        } => {
            let event = event_of(&record, format, &rest[..bytes], at);
            (Came::Record(event.id, bytes), lines)
        }
        Step::Skipped { bytes, lines } => (Came::Skipped(bytes), lines),
        Step::Unwanted { bytes, lines } => (Came::Unwanted(bytes), lines),
        Step::Rejected {
            reject,
            bytes,
            lines,
        } => (Came::Rejected(reject.to_string(), bytes), lines),
        Step::More => return None,
    })
}
