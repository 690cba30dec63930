//! Rows read per second on one core of this machine, for each preset, beside the csv crate alone as the
//! yardstick: run by hand, never judged.
//!
//! ```text
//! cargo test --release --lib parser::figure_tests -- --ignored --nocapture --test-threads 1
//! ```

use super::tests::{fixture, settings};
use super::*;
use crate::event::{CallSettings, Maker, Origin};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

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

#[test]
#[ignore = "a figure, not a test"]
fn rows_read_per_second() {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:<21}{:>12}{:>14}{:>14}{:>10}",
        "", "csv alone", "records", "events", "bytes/row"
    )
    .unwrap();
    for (preset, sample) in SAMPLES {
        let bytes = fixture(sample).repeat(BYTES / fixture(sample).len());
        let rows = memchr::memchr_iter(b'\n', &bytes).count();
        let csv = match settings(preset).format.reader {
            Reader::Delimited(dialect) => {
                let yardstick = per_second(rows, || csv_alone(&bytes, dialect));
                format!("{yardstick:.0}")
            }
            _ => "-".to_string(),
        };
        let records = per_second(rows, || read(preset, &bytes, false));
        let events = per_second(rows, || read(preset, &bytes, true));
        let width = bytes.len() / rows;
        writeln!(
            out,
            "{preset:<21}{csv:>12}{records:>14.0}{events:>14.0}{width:>10}"
        )
        .unwrap();
    }
    for (preset, sample) in DOCUMENTS {
        let bytes = fixture(sample);
        let mut parser = Parser::new(settings(preset));
        let records = per_second(1, || {
            let step = parser.document(black_box(&bytes), sample, true);
            assert!(matches!(step, DocumentStep::Record(_)));
        });
        writeln!(
            out,
            "{preset:<21}{:>12}{records:>14.0}{:>14}{:>10}",
            "-",
            "-",
            bytes.len()
        )
        .unwrap();
    }
}

/// How often per second of processor time `count` things are done: a busy machine tells the same.
fn per_second(count: usize, mut work: impl FnMut()) -> f64 {
    let (began, mut times) = (used(), 0_u32);
    while used() - began < SPAN {
        work();
        times += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure of some digits")]
    let done = count as f64 * f64::from(times);
    done / (used() - began).as_secs_f64()
}

/// Processor time that this thread has used.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

fn csv_alone(bytes: &[u8], dialect: reader::Dialect) {
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
