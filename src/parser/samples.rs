//! Every sample file, read as its format, gives the counts of tests/fixtures/SOURCES.md.

use super::tests::{fixture, settings};
use super::*;
use format::FormatTable;

/// How a sample is read.
enum Read {
    /// By a preset, as UTF-8.
    Preset(&'static str),
    /// By a preset, from GBK.
    Gbk(&'static str),
    /// By a preset, quotes strictly.
    Strict(&'static str),
    /// By a preset, as one document.
    Document(&'static str),
    /// By columns of one's own, from GBK.
    Own(&'static str),
}
use Read::*;

/// The file, how it is read, and its rows: told, passed over, bad.
const SAMPLES: &[(&str, Read, [usize; 3])] = &[
    (
        "vos3000/softswitch-pipe/2026041014.txt",
        Preset("vos3000-pipe"),
        [60, 0, 0],
    ),
    (
        "vos3000/softswitch-pipe/2026041015.txt",
        Preset("vos3000-pipe"),
        [25, 0, 0],
    ),
    (
        "vos3000/softswitch-pipe/epoch-ms/2026041014.txt",
        Preset("vos3000-pipe"),
        [20, 0, 0],
    ),
    (
        "vos3000/server-csv/cdr_20260410143000.csv",
        Preset("vos3000-csv"),
        [30, 0, 0],
    ),
    (
        "vos3000/server-csv/cdr_20260410144500_53col.csv",
        Preset("vos3000-csv"),
        [15, 0, 0],
    ),
    (
        "vos3000/realtime-udp/datagrams.txt",
        Preset("vos3000-udp"),
        [8, 0, 0],
    ),
    (
        "asterisk/cdr-csv/Master-16col.csv",
        Preset("asterisk-cdr"),
        [5, 0, 0],
    ),
    (
        "asterisk/cdr-csv/Master-18col.csv",
        Preset("asterisk-cdr"),
        [5, 0, 0],
    ),
    (
        "asterisk/cdr-csv/Master-21col.csv",
        Preset("asterisk-cdr"),
        [5, 0, 0],
    ),
    (
        "asterisk/cdr-custom/Master-real-19col.csv",
        Preset("asterisk-cdr-custom"),
        [14, 0, 0],
    ),
    ("asterisk/cel/Master.csv", Preset("asterisk-cel"), [3, 0, 0]),
    (
        "asterisk/logs/queue_log",
        Preset("asterisk-queue-log"),
        [6, 1, 0],
    ),
    (
        "freeswitch/cdr-csv/Master-example-template.csv",
        Preset("freeswitch-csv"),
        [4, 0, 0],
    ),
    (
        "freeswitch/cdr-csv/Master-builtin-template.csv",
        Preset("freeswitch-csv"),
        [4, 0, 0],
    ),
    (
        "freeswitch/cdr-csv/Master-real-resaved.csv",
        Preset("freeswitch-csv"),
        [10, 0, 0],
    ),
    (
        "freeswitch/json_cdr/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json",
        Document("freeswitch-json"),
        [1, 0, 0],
    ),
    (
        "freeswitch/json_cdr/a_5f6a1c3e-0003-4f11-9a01-000000000003.cdr.json",
        Document("freeswitch-json"),
        [1, 0, 0],
    ),
    (
        "freeswitch/xml_cdr/a_5f6a1c3e-0001-4f11-9a01-000000000001.cdr.xml",
        Document("freeswitch-xml"),
        [1, 0, 0],
    ),
    ("kamailio/acc-syslog.log", Preset("kamailio-acc"), [5, 2, 0]),
    ("opensips/acc-syslog.log", Preset("opensips-acc"), [3, 0, 0]),
    (
        "opensips/acc_flatstore_1.log",
        Preset("acc-flatstore"),
        [3, 0, 0],
    ),
    (
        "nasty/partial-last-line.txt",
        Preset("vos3000-pipe"),
        [4, 0, 0],
    ),
    ("nasty/crlf.txt", Preset("vos3000-pipe"), [6, 0, 0]),
    (
        "nasty/mixed-line-endings.txt",
        Preset("vos3000-pipe"),
        [2, 0, 1],
    ),
    (
        "nasty/blank-and-space-lines.txt",
        Preset("vos3000-pipe"),
        [2, 0, 0],
    ),
    (
        "nasty/quotes-newlines.csv",
        Preset("asterisk-cdr"),
        [3, 0, 0],
    ),
    (
        "nasty/unbalanced-quote-then-good.csv",
        Preset("asterisk-cdr"),
        [1, 0, 1],
    ),
    (
        "nasty/freeswitch-unescaped-quotes.csv",
        Strict("freeswitch-csv"),
        [1, 0, 2],
    ),
    (
        "nasty/freeswitch-unescaped-quotes.csv",
        Preset("freeswitch-csv"),
        [3, 0, 0],
    ),
    ("nasty/gbk.csv", Gbk("vos3000-csv"), [2, 0, 0]),
    ("nasty/gbk.csv", Preset("vos3000-csv"), [2, 0, 0]),
    (
        "nasty/gbk-trail-byte-is-pipe-or-backslash.txt",
        Gbk("vos3000-pipe"),
        [1, 0, 0],
    ),
    ("nasty/utf8-chinese.csv", Preset("vos3000-csv"), [1, 0, 0]),
    ("nasty/utf8-bom.csv", Preset("vos3000-csv"), [1, 0, 0]),
    (
        "nasty/invalid-utf8-mixed.csv",
        Preset("vos3000-csv"),
        [3, 0, 1],
    ),
    (
        "nasty/nul-hole-after-truncate.txt",
        Preset("vos3000-pipe"),
        [2, 0, 0],
    ),
    ("nasty/nul-in-middle.txt", Preset("vos3000-pipe"), [3, 0, 0]),
    ("nasty/pipe-in-field.txt", Preset("vos3000-pipe"), [2, 0, 1]),
    (
        "nasty/wrong-column-count.txt",
        Preset("vos3000-pipe"),
        [1, 0, 3],
    ),
    ("nasty/header-line.csv", Preset("vos3000-csv"), [1, 0, 0]),
    (
        "nasty/header-chinese-gbk.csv",
        Own(
            "{ name = \"a\", as = \"caller_id\" }, { name = \"b\", as = \"called_id\" }, { name = \"c\", type = \"time\", as = \"start_time\" }, { name = \"d\", type = \"time\", as = \"end_time\" }, { name = \"e\", type = \"seconds\" }",
        ),
        [1, 0, 0],
    ),
    (
        "nasty/duplicate-lines.txt",
        Preset("vos3000-pipe"),
        [5, 0, 0],
    ),
    (
        "nasty/bad-numbers-and-times.txt",
        Preset("vos3000-pipe"),
        [2, 0, 4],
    ),
    (
        "nasty/json-and-script-injection.csv",
        Preset("vos3000-csv"),
        [1, 0, 0],
    ),
    (
        "nasty/json-truncated/5f6a1c3e-0010-4f11-9a01-000000000010.cdr.json",
        Document("freeswitch-json"),
        [0, 0, 1],
    ),
    (
        "nasty/json-form-encoded-err/5f6a1c3e-0011-4f11-9a01-000000000011.cdr.json",
        Document("freeswitch-json"),
        [1, 0, 0],
    ),
    ("nasty/empty.txt", Preset("vos3000-pipe"), [0, 0, 0]),
    ("nasty/only-newline.txt", Preset("vos3000-pipe"), [0, 0, 0]),
];

#[test]
fn every_sample_gives_the_rows_that_its_source_says() {
    for (name, read, expected) in SAMPLES {
        let bytes = fixture(name);
        let counts = match read {
            Preset(preset) => lines(settings(preset), &bytes),
            Gbk(preset) => lines(gbk(settings(preset)), &bytes),
            Strict(preset) => {
                let mut settings = settings(preset);
                if let Reader::Delimited(dialect) = &mut settings.format.reader {
                    dialect.lenient = false;
                }
                lines(settings, &bytes)
            }
            Own(columns) => {
                let table = format!(
                    "name = \"own\"\nreader = \"delimited\"\ndelimiter = \",\"\nquote = '\"'\n[[layout]]\nname = \"own\"\ncolumns = [{columns}]"
                );
                let table: FormatTable = toml::from_str(&table).unwrap();
                let format = Format::from_table(&table).unwrap();
                lines(
                    gbk(Settings {
                        format,
                        ..settings("vos3000-csv")
                    }),
                    &bytes,
                )
            }
            Document(preset) => document(settings(preset), &bytes, name),
        };
        assert_eq!(counts, *expected, "{name}");
    }
}

fn gbk(settings: Settings) -> Settings {
    Settings {
        decoder: Decoder::for_label("gbk").unwrap(),
        ..settings
    }
}

fn lines(settings: Settings, bytes: &[u8]) -> [usize; 3] {
    let mut parser = Parser::new(settings);
    let complete = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    let (mut counts, mut at) = ([0; 3], 0);
    while at < complete {
        let (kind, taken) = match parser.next(&bytes[at..complete], at == 0, true) {
            Step::Record { bytes, .. } => (Some(0), bytes),
            Step::Unwanted { bytes, .. } => (Some(1), bytes),
            Step::Rejected { bytes, .. } => (Some(2), bytes),
            Step::Skipped { bytes, .. } => (None, bytes),
            Step::More => unreachable!("the file is finished"),
        };
        kind.into_iter().for_each(|kind: usize| counts[kind] += 1);
        at += taken;
    }
    counts
}

fn document(settings: Settings, bytes: &[u8], name: &str) -> [usize; 3] {
    let mut parser = Parser::new(settings);
    match parser.document(bytes, name, true) {
        DocumentStep::Record(_) => [1, 0, 0],
        DocumentStep::Rejected(_) => [0, 0, 1],
        DocumentStep::Incomplete => unreachable!("no more will come"),
    }
}
