//! Rows read per second on one core, for each preset, beside the csv crate alone as the yardstick,
//! in turns in one run.
//!
//! ```text
//! cargo bench --bench parse [-- PRESET…]
//! ```
//!
//! Prints a line for each preset: rows a second of processor time, so that a busy machine tells
//! nearly the same; of the csv crate splitting the same bytes, of reading records, and of making
//! events of them, the median of the rounds each; and the ratio of records to the yardstick. It
//! judges nothing. Formats that are no delimited rows have no yardstick.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]
#![allow(clippy::indexing_slicing, reason = "offsets are the parser's own")]
#![allow(clippy::print_stdout, reason = "the figures are its output")]
#![allow(missing_docs, reason = "a program")]

use jiff::tz::TimeZone;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use switchhook::event::{CallSettings, Maker, Origin};
use switchhook::parser::encoding::Decoder;
use switchhook::parser::reader::{Dialect, Reader};
use switchhook::parser::{DocumentStep, Header, Parser, Settings, Step, presets};

/// Bytes read in one go, made of a sample again and again.
const BYTES: usize = 4 << 20;

/// Time spent on one figure.
const SPAN: Duration = Duration::from_millis(700);

/// Presets with the sample that stands for them.
const SAMPLES: [(&str, &str); 11] = [
    ("vos3000-pipe", "vos3000/softswitch-pipe/2026041014.txt"),
    ("vos3000-csv", "vos3000/server-csv/cdr_20260410143000.csv"),
    ("vos3000-udp", "vos3000/realtime-udp/datagrams.txt"),
    ("asterisk-cdr", "asterisk/cdr-csv/Master-18col.csv"),
    (
        "asterisk-cdr-custom",
        "asterisk/cdr-custom/Master-real-19col.csv",
    ),
    ("asterisk-queue-log", "asterisk/logs/queue_log"),
    ("asterisk-cel", "asterisk/cel/Master.csv"),
    (
        "freeswitch-csv",
        "freeswitch/cdr-csv/Master-example-template.csv",
    ),
    ("kamailio-acc", "kamailio/acc-syslog.log"),
    ("opensips-acc", "opensips/acc-syslog.log"),
    ("acc-flatstore", "opensips/acc_flatstore_1.log"),
];

/// Documents, each read whole.
const DOCUMENTS: [(&str, &str); 2] = [
    (
        "freeswitch-json",
        "freeswitch/json_cdr/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json",
    ),
    (
        "freeswitch-xml",
        "freeswitch/xml_cdr/a_5f6a1c3e-0001-4f11-9a01-000000000001.cdr.xml",
    ),
];

/// Rounds, of which the median counts.
const ROUNDS: usize = 3;

fn main() {
    // `cargo bench` adds one of its own.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_wanted = |preset: &str| wanted.is_empty() || wanted.iter().any(|name| name == preset);
    println!(
        "{:<21}{:>12}{:>14}{:>14}{:>10}{:>10}",
        "", "csv alone", "records", "events", "ratio", "bytes/row"
    );
    for (preset, sample) in SAMPLES.into_iter().filter(|(preset, _)| is_wanted(preset)) {
        rows(preset, sample);
    }
    for (preset, sample) in DOCUMENTS {
        if is_wanted(preset) {
            document(preset, sample);
        }
    }
}

fn rows(preset: &str, sample: &str) {
    let sample = fixture(sample);
    let bytes = sample.repeat((BYTES / sample.len()).max(1));
    let rows = memchr::memchr_iter(b'\n', &bytes).count();
    let dialect = match settings(preset).format.reader {
        Reader::Delimited(dialect) => Some(dialect),
        _ => None,
    };
    let (mut alone, mut records, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.extend(dialect.map(|dialect| per_second(rows, || csv_alone(&bytes, dialect))));
        records.push(per_second(rows, || read(preset, &bytes, false)));
        events.push(per_second(rows, || read(preset, &bytes, true)));
    }
    let (records, events) = (median(records), median(events));
    let (yardstick, ratio) = match dialect {
        Some(_) => {
            let alone = median(alone);
            (format!("{alone:.0}"), format!("{:.2}", records / alone))
        }
        None => ("-".to_string(), "-".to_string()),
    };
    let width = bytes.len() / rows;
    println!("{preset:<21}{yardstick:>12}{records:>14.0}{events:>14.0}{ratio:>10}{width:>10}");
}

fn document(preset: &str, sample: &str) {
    let bytes = fixture(sample);
    let mut parser = Parser::new(settings(preset));
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(per_second(1, || {
            let step = parser.document(black_box(&bytes), sample, true);
            assert!(matches!(step, DocumentStep::Record(_)));
        }));
    }
    let (records, width) = (median(rounds), bytes.len());
    println!(
        "{preset:<21}{:>12}{records:>14.0}{:>14}{:>10}{width:>10}",
        "-", "-", "-"
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn settings(preset: &str) -> Settings {
    Settings {
        format: presets::find(preset).unwrap(),
        decoder: Decoder::UTF_8,
        timezone: Some(TimeZone::UTC),
        header: Header::Auto,
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(fixtures.join(name)).unwrap()
}

/// How often per second of processor time `count` things are done: a busy machine tells the same.
fn per_second(count: usize, mut work: impl FnMut()) -> f64 {
    let (began, mut times) = (used(), 0_u32);
    while used() - began < SPAN {
        work();
        times += 1;
    }
    let done = count as f64 * f64::from(times);
    done / (used() - began).as_secs_f64()
}

/// Processor time that this thread has used.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

fn csv_alone(bytes: &[u8], dialect: Dialect) {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(dialect.delimiter)
        .quoting(dialect.quote.is_some())
        .from_reader(bytes);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap() {
        black_box(&record);
    }
}

fn read(preset: &str, bytes: &[u8], tell: bool) {
    let settings = settings(preset);
    let format = settings.format.clone();
    let maker = Maker::new("node".into(), "cdr".into(), CallSettings::default());
    let (mut parser, mut at) = (Parser::new(settings), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        at += match parser.next(rest, at == 0, true) {
            Step::Record { record, bytes, .. } => {
                if tell {
                    let origin = Origin {
                        first_row: &[0; 32],
                        offset: at as u64,
                        raw: &rest[..bytes],
                    };
                    black_box(maker.make(&record, &format, origin));
                }
                bytes
            }
            Step::Unwanted { bytes, .. }
            | Step::Skipped { bytes, .. }
            | Step::Rejected { bytes, .. } => bytes,
            Step::More => break,
        };
    }
}
