//! Every sample file, read as its format, gives the counts of tests/fixtures/SOURCES.md.

use super::tests::{fixture, settings};
use super::*;
use crate::event::{CallSettings, Maker, Origin};
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
        "freeswitch/json_cdr-older/5f6a1c3e-0005-4f11-9a01-000000000005.cdr.json",
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
/// The events of a sample, each as its type and data.
fn told(preset: &str, name: &str) -> Vec<String> {
    let settings = settings(preset);
    let format = settings.format.clone();
    let maker = Maker::new("n".into(), "s".into(), CallSettings::default());
    let origin = Origin {
        first_row: &[0; 32],
        offset: 0,
        raw: b"",
    };
    let (mut parser, mut events, mut at) = (Parser::new(settings), Vec::new(), 0);
    let bytes = fixture(name);
    while at < bytes.len() {
        at += match parser.next(&bytes[at..], at == 0, true) {
            Step::Record { record, bytes, .. } => {
                let event = maker.make(&record, &format, origin);
                let data = String::from_utf8(event.data.to_vec()).unwrap();
                events.push(format!("{} {data}", event.kind));
                bytes
            }
            Step::Unwanted { bytes, .. } | Step::Skipped { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        };
    }
    events
}

#[test]
fn the_queue_log_tells_of_queues_and_agents_with_the_data_of_each() {
    let events = told("asterisk-queue-log", "asterisk/logs/queue_log");
    for (index, expected) in [
        (
            0,
            r#"queue {"state":"join","event_time":"2026-04-10T06:28:15Z","call_id":"1775802495.42","queue":"support","agent_id":null,"switch_event":"ENTERQUEUE","url":null,"caller_id":"12025550101","position":1}"#,
        ),
        (
            1,
            r#"queue {"state":"connect","event_time":"2026-04-10T06:28:23Z","call_id":"1775802495.42","queue":"support","agent_id":"PJSIP/201","switch_event":"CONNECT","wait_seconds":8,"agent_call_id":"1775802498.43","ring_seconds":3}"#,
        ),
        (
            2,
            r#"queue {"state":"complete","event_time":"2026-04-10T06:30:50Z","call_id":"1775802495.42","queue":"support","agent_id":"PJSIP/201","switch_event":"COMPLETECALLER","wait_seconds":8,"talk_seconds":147,"position":1}"#,
        ),
        (
            4,
            r#"queue {"state":"abandon","event_time":"2026-04-10T06:31:22Z","call_id":"1775802660.44","queue":"support","agent_id":null,"switch_event":"ABANDON","position":1,"entered_at_position":1,"wait_seconds":22}"#,
        ),
        (
            5,
            r#"agent_state {"state":"pause","event_time":"2026-04-10T06:31:40Z","call_id":null,"queue":"support","agent_id":"PJSIP/202","switch_event":"PAUSE","reason":"lunch"}"#,
        ),
    ] {
        assert_eq!(events[index], expected);
    }
}

#[test]
fn a_call_that_an_agent_hands_on_is_told_as_complete_whatever_it_was_handed_to() {
    let mut parser = Parser::new(settings("asterisk-queue-log"));
    for (how, method, to) in [
        ("ATTENDEDTRANSFER|BRIDGE|b-1", "BRIDGE", "b-1"),
        ("ATTENDEDTRANSFER|APP|VoiceMail", "APP", "VoiceMail"),
        (
            "ATTENDEDTRANSFER|LINK|PJSIP/201-1|PJSIP/300-2",
            "LINK",
            "PJSIP/300-2",
        ),
        ("BLINDTRANSFER|300|internal", "", "300"),
    ] {
        let row = format!("1775802495|1775802490.1|sales|PJSIP/201|{how}|8|147|1\n");
        let Step::Record { record, .. } = parser.next(row.as_bytes(), false, true) else {
            panic!("{row}");
        };
        let layout = record.layout();
        assert_eq!(layout.state.as_deref(), Some("complete"), "{row}");
        let text = |name: &str| {
            let index = layout.columns.iter().position(|column| column.name == name);
            index.map_or("", |index| record.text(index))
        };
        let told = [
            "transfer_method",
            "transferred_to",
            "wait_seconds",
            "talk_seconds",
        ]
        .map(text);
        assert_eq!(told, [method, to, "8", "147"], "{row}");
    }
}

#[test]
fn channel_events_tell_how_a_call_goes_and_who_is_in_a_conference() {
    let events = told("asterisk-cel", "asterisk/cel/Master.csv");
    let states = ["ringing", "answered", "hangup"];
    for (event, state) in events.iter().zip(states) {
        let start = format!("call {{\"state\":\"{state}\",\"event_time\":\"2026-04-10T06:");
        assert!(event.starts_with(&start), "{event}");
    }
    assert!(events[2].ends_with(r#""extra":"{\"hangupcause\":16,\"hangupsource\":\"PJSIP/uk-a-0000002b\",\"dialstatus\":\"ANSWER\"}"}"#), "{}", events[2]);
    let row = |kind: &str, app: &str| {
        format!(
            "\"{kind}\",\"1775802498.224\",\"A\",\"101\",\"\",\"\",\"\",\"900\",\"ctx\",\"PJSIP/1\",\"{app}\",\"sales,opt\",\"3\",\"\",\"1.1\",\"1.1\",\"\",\"\",\"\",\"\"\n"
        )
    };
    let mut parser = Parser::new(settings("asterisk-cel"));
    let mut state = |text: String| match parser.next(text.as_bytes(), false, true) {
        Step::Record { record, .. } => {
            let layout = record.layout();
            Some((layout.event.to_string(), layout.state.clone().unwrap()))
        }
        Step::Unwanted { .. } => None,
        other => panic!("{other:?}"),
    };
    let conference = |state: &str| Some(("conference".to_string(), state.to_string()));
    assert_eq!(state(row("BRIDGE_ENTER", "ConfBridge")), conference("join"));
    assert_eq!(state(row("BRIDGE_EXIT", "ConfBridge")), conference("leave"));
    assert_eq!(state(row("BRIDGE_ENTER", "Dial")), None);
    assert_eq!(state(row("APP_START", "Dial")), None);
}

#[test]
fn a_value_from_outside_cannot_forge_the_answer_of_an_accounted_request() {
    let events = told("kamailio-acc", "kamailio/acc-syslog.log");
    assert!(events[4].contains("\"end_reason\":503"), "{}", events[4]);
    assert!(
        events[3].contains("\"bill_duration\":147,"),
        "{}",
        events[3]
    );
    let ended = &told("opensips-acc", "opensips/acc-syslog.log")[1];
    let expected = "\"start_time\":\"2026-04-10T06:28:15Z\",\"answer_time\":\"2026-04-10T06:28:18Z\",\"end_time\":\"2026-04-10T06:30:46Z\",\"duration\":151,\"bill_duration\":148";
    assert!(ended.contains(expected), "{ended}");
}

/// Damages to each sample in a usual run; `SWITCHHOOK_DAMAGES` asks for more.
const DAMAGES: usize = 30;

#[test]
fn a_damaged_sample_is_read_to_its_end_line_by_line() {
    let asked = std::env::var("SWITCHHOOK_DAMAGES").ok();
    let damages = asked.and_then(|text| text.parse().ok()).unwrap_or(DAMAGES);
    let mut random = fastrand::Rng::with_seed(20_260_410);
    for (name, read, _) in SAMPLES {
        let (Preset(preset) | Gbk(preset) | Strict(preset) | Document(preset)) = read else {
            continue;
        };
        let whole = fixture(name);
        let settings = settings(preset);
        let maker = Maker::new("n".into(), "s".into(), CallSettings::default());
        let mut parser = Parser::new(settings.clone());
        for _ in 0..damages {
            let bytes = damaged(&whole, &mut random);
            let is_object = |record: &Record<'_>, raw: &[u8]| {
                let origin = Origin {
                    first_row: &[0; 32],
                    offset: 0,
                    raw,
                };
                let event = maker.make(record, &settings.format, origin);
                serde_json::from_slice::<serde_json::Value>(&event.data)
                    .unwrap()
                    .is_object()
            };
            if settings.format.reader.is_document() {
                let step = parser.document(&bytes, name, true);
                assert!(!matches!(step, DocumentStep::Incomplete), "{name}");
                if let DocumentStep::Record(record) = step {
                    assert!(is_object(&record, &bytes), "{name}");
                }
            }
            let (mut at, mut lines_taken) = (0, 0);
            while at < bytes.len() {
                let rest = &bytes[at..];
                let (taken, lines) = match parser.next(rest, at == 0, true) {
                    Step::Record {
                        record,
                        bytes,
                        lines,
                    } => {
                        assert!(is_object(&record, &rest[..bytes]), "{name}");
                        (bytes, lines)
                    }
                    Step::Unwanted { bytes, lines }
                    | Step::Skipped { bytes, lines }
                    | Step::Rejected { bytes, lines, .. } => (bytes, lines),
                    Step::More => unreachable!("the file is finished"),
                };
                assert!(
                    taken > 0 && (at + taken == bytes.len() || rest[taken - 1] == b'\n'),
                    "{name}"
                );
                (at, lines_taken) = (at + taken, lines_taken + lines as usize);
            }
            let ends = memchr::memchr_iter(b'\n', &bytes).count();
            let open = usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
            assert_eq!(lines_taken, ends + open, "{name}");
        }
    }
}

/// `bytes` with a few of them changed, cut, repeated or moved.
fn damaged(bytes: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    const TELLING: &[u8] = b"\"',|;=%\\\n\r\t {}[]<>&0-9.\x00\xFF\x81";
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..40)).min(bytes.len());
        match random.u8(..5) {
            0 => bytes.insert(at, TELLING[random.usize(..TELLING.len())]),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(at),
            _ => bytes[at..end]
                .iter_mut()
                .for_each(|byte| *byte = random.u8(..)),
        }
    }
    bytes
}
