//! What every reader must keep to, whatever bytes it gets.

use jiff::tz::TimeZone;
use std::sync::LazyLock;
use switchhook::event::{CallSettings, Event, Maker, Origin};
use switchhook::parser::encoding::Decoder;
use switchhook::parser::{DocumentStep, Format, Header, Parser, Record, Settings, Step, presets};

/// Read once: each takes longer than reading a row.
static PRESETS: LazyLock<Vec<Format>> =
    LazyLock::new(|| presets::names().filter_map(presets::find).collect());

/// The bytes to read, and how: what decides is taken from the end, so that a sample file can stand
/// as it is among the first inputs.
pub struct Input<'a> {
    pub bytes: &'a [u8],
    choices: &'a [u8],
}

const CHOICES: usize = 4;

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Input<'a> {
        let (bytes, choices) = data.split_at(data.len() - data.len().min(CHOICES));
        Input { bytes, choices }
    }

    fn choice(&self, index: usize, of: usize) -> usize {
        usize::from(self.choices.get(index).copied().unwrap_or(0)) % of
    }
}

/// Reads by one of the presets for which `wanted` is true.
pub fn presets(data: &[u8], wanted: impl Fn(&Format) -> bool) {
    let input = Input::new(data);
    let formats: Vec<&Format> = PRESETS.iter().filter(|format| wanted(format)).collect();
    let format = formats[input.choice(0, formats.len())].clone();
    read(&input, format);
}

/// Reads by `format`: every byte of every line is taken once, and every record gives an event whose
/// data is one JSON object.
pub fn read(input: &Input<'_>, format: Format) {
    const ENCODINGS: [&str; 4] = ["utf-8", "gbk", "shift_jis", "latin1"];
    let decoder = Decoder::for_label(ENCODINGS[input.choice(1, ENCODINGS.len())]).unwrap();
    let zones = [None, Some(TimeZone::UTC), TimeZone::get("Europe/Berlin").ok()];
    let headers = [Header::Auto, Header::Present, Header::Absent];
    let settings = Settings {
        format: format.clone(),
        decoder,
        timezone: zones[input.choice(2, zones.len())].clone(),
        header: headers[input.choice(3, headers.len())],
    };
    let calls = CallSettings {
        extra: true,
        ..CallSettings::default()
    };
    let maker = Maker::new("node".into(), "cdr".into(), calls);
    let make = |record: &Record<'_>, raw: &[u8]| {
        let origin = Origin {
            first_row: &[0; 32],
            offset: 0,
            raw,
        };
        let event: Event = maker.make(record, &format, origin);
        let data: serde_json::Value = serde_json::from_slice(&event.data).expect("data is JSON");
        assert!(data.is_object());
    };
    let mut parser = Parser::new(settings);
    if format.reader.is_document() {
        match parser.document(input.bytes, "a_x.cdr.json", true) {
            DocumentStep::Record(record) => make(&record, input.bytes),
            DocumentStep::Rejected(reject) => drop(reject.to_string()),
            DocumentStep::Incomplete => panic!("no more will come"),
        }
        let _ = parser.document(input.bytes, "x", false);
    }
    let (mut at, mut taken_lines) = (0, 0);
    while at < input.bytes.len() {
        let rest = &input.bytes[at..];
        let (bytes, lines) = match parser.next(rest, at == 0, true) {
            Step::Record { record, bytes, lines } => {
                make(&record, &rest[..bytes]);
                (bytes, lines)
            }
            Step::Skipped { bytes, lines } | Step::Unwanted { bytes, lines } => (bytes, lines),
            Step::Rejected { reject, bytes, lines } => {
                drop(reject.to_string());
                (bytes, lines)
            }
            Step::More => panic!("no more will come"),
        };
        assert!(bytes > 0 && lines > 0);
        at += bytes;
        taken_lines += lines as usize;
    }
    assert_eq!(at, input.bytes.len());
    let ends = input.bytes.iter().filter(|byte| **byte == b'\n').count();
    let open = usize::from(!input.bytes.is_empty() && !input.bytes.ends_with(b"\n"));
    assert_eq!(taken_lines, ends + open);
}
