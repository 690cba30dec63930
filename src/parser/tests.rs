use super::*;
use crate::event::{CallSettings, Event, Maker, Origin};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

pub(super) fn settings(preset: &str) -> Settings {
    Settings {
        format: presets::find(preset).unwrap(),
        decoder: Decoder::UTF_8,
        timezone: Some(TimeZone::UTC),
        header: Header::Auto,
    }
}

fn gbk(preset: &str) -> Settings {
    Settings {
        decoder: Decoder::for_label("gbk").unwrap(),
        ..settings(preset)
    }
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name),
    )
    .unwrap()
}

/// The events and the rejects of `bytes`, read to the end as a finished file.
fn read(settings: Settings, bytes: &[u8]) -> (Vec<Event>, Vec<String>) {
    let mut parser = Parser::new(settings.clone());
    let maker = Maker::new("vos-1".into(), "cdr".into(), CallSettings::default());
    let first_row: [u8; 32] = Sha256::digest(b"first").into();
    let (mut events, mut rejects, mut at) = (Vec::new(), Vec::new(), 0);
    // Only complete lines are ever given to a parser.
    let complete = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    while at < complete {
        let taken = match parser.next(&bytes[at..complete], at == 0, true) {
            Step::Record {
                record,
                bytes: taken,
                ..
            } => {
                let origin = Origin {
                    first_row: &first_row,
                    offset: at as u64,
                    raw: &bytes[at..at + taken],
                };
                events.push(maker.make(&record, &settings.format, origin));
                taken
            }
            Step::Skipped { bytes, .. } | Step::Unwanted { bytes, .. } => bytes,
            Step::Rejected { reject, bytes, .. } => {
                rejects.push(reject.to_string());
                bytes
            }
            Step::More => unreachable!("the file is finished"),
        };
        at += taken;
    }
    (events, rejects)
}

#[track_caller]
fn check(settings: Settings, name: &str, good: usize, bad: usize) -> Vec<Event> {
    let (events, rejects) = read(settings, &fixture(name));
    assert_eq!(
        (events.len(), rejects.len()),
        (good, bad),
        "{name}: {rejects:#?}"
    );
    events
}

pub(super) fn data(event: &Event) -> &str {
    std::str::from_utf8(&event.data).unwrap()
}

#[test]
fn a_line_cut_anywhere_is_whole_when_its_rest_has_come() {
    let mut bytes = fixture("nasty/partial-last-line.txt");
    bytes.extend(fixture("nasty/partial-last-line-continuation.bin"));
    assert_eq!(read(settings("vos3000-pipe"), &bytes).0.len(), 6);
    let mut bytes = fixture("nasty/crlf-split-between-reads-1.bin");
    bytes.extend(fixture("nasty/crlf-split-between-reads-2.bin"));
    assert_eq!(read(settings("vos3000-pipe"), &bytes).0.len(), 3);
}

#[test]
fn lengths_in_milliseconds_are_told_in_seconds_where_the_key_is() {
    let settings = Settings {
        format: own(
            "{ name = \"begun\", type = \"time\", as = \"start_time\" }, { name = \"lasted\", type = \"milliseconds\", as = \"hold_duration\" }, { name = \"delay\", type = \"milliseconds\", as = \"pdd_ms\" }",
            ",",
        ),
        ..settings("asterisk-cdr")
    };
    let (events, rejects) = read(
        settings,
        b"1710148522,61400,1250\n1710148622,0,900\n1710148722,x,900\n",
    );
    assert_eq!(rejects.len(), 1);
    for (event, told) in events.iter().zip([
        "\"bill_duration\":61,\"pdd_ms\":1250,\"connected\":true",
        "\"bill_duration\":0,\"pdd_ms\":900,\"connected\":false",
    ]) {
        let told: Vec<&str> = told.split(',').collect();
        assert!(
            told.iter().all(|told| data(event).contains(told)),
            "{}",
            data(event)
        );
    }
}

#[test]
fn a_length_in_minutes_and_seconds_under_the_type_seconds_is_answered_with_the_other() {
    let settings = Settings {
        format: own(
            "{ name = \"begun\", type = \"time\", as = \"start_time\" }, { name = \"lasted\", type = \"seconds\", as = \"hold_duration\" }",
            ",",
        ),
        ..settings("asterisk-cdr")
    };
    let (_, rejects) = read(settings, b"1710148522,01:05\n1710148622,soon\n");
    assert!(rejects[0].contains("type = \"minutes\""), "{rejects:?}");
    assert!(
        rejects[1].ends_with("\"soon\" is not a length of time"),
        "{rejects:?}"
    );
}

#[test]
fn a_record_of_several_lines_keeps_its_line_ends() {
    let events = check(settings("asterisk-cdr"), "nasty/quotes-newlines.csv", 3, 0);
    assert!(
        data(&events[1]).contains("\"call_id\":\"1775802660.44\""),
        "{}",
        data(&events[1])
    );
    let with_extra = CallSettings {
        extra: true,
        ..CallSettings::default()
    };
    let format = presets::find("asterisk-cdr").unwrap();
    let bytes = fixture("nasty/quotes-newlines.csv");
    let second = memchr::memchr(b'\n', &bytes).unwrap() + 1;
    let mut parser = Parser::new(settings("asterisk-cdr"));
    let Step::Record { record, lines, .. } = parser.next(&bytes[second..], false, false) else {
        panic!("a record")
    };
    assert_eq!(lines, 3);
    let origin = Origin {
        first_row: &[0; 32],
        offset: 0,
        raw: b"",
    };
    let event = Maker::new("n".into(), "s".into(), with_extra).make(&record, &format, origin);
    assert!(
        data(&event).contains("\"userfield\":\"line one\\nline two, \\\"quoted\\\"\\nline three\""),
        "{}",
        data(&event)
    );
}

#[test]
fn an_open_quote_waits_for_more_until_the_file_is_finished() {
    let mut parser = Parser::new(settings("asterisk-cdr"));
    let open = b"\"A\",\"1\",\"2\",\"ctx\",\"clid\nmore\n";
    assert!(matches!(parser.next(open, true, false), Step::More));
    let Step::Rejected {
        reject,
        bytes,
        lines,
    } = parser.next(open, true, true)
    else {
        panic!("a reject")
    };
    assert_eq!(
        (reject.problem, bytes, lines),
        (Problem::QuoteNotClosed, 24, 1)
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_a_bounded_number_of_lines() {
    let mut parser = Parser::new(settings("asterisk-cdr"));
    let mut bytes = b"\"A\",\"open\n".to_vec();
    bytes.extend(b"text without end\n".repeat(RECORD_LINES_MAX as usize));
    assert!(matches!(
        parser.next(&bytes, true, false),
        Step::Rejected {
            bytes: 10,
            lines: 1,
            ..
        }
    ));
}

fn own(columns: &str, delimiter: &str) -> Format {
    let table: format::FormatTable = toml::from_str(&format!(
        "name = \"own\"\nreader = \"delimited\"\ndelimiter = \"{delimiter}\"\n[[layout]]\nname = \"own\"\ncolumns = [{columns}]"
    ))
    .unwrap();
    Format::from_table(&table).unwrap()
}

const EXPORT: &str = "{ name = \"caller\", as = \"caller_id\" }, { name = \"called\", as = \"called_id\" }, \
    { name = \"start\", type = \"time\", as = \"start_time\" }, { name = \"end\", type = \"time\", as = \"end_time\" }, \
    { name = \"seconds\", type = \"seconds\", as = \"hold_duration\" }";

#[test]
fn a_header_in_another_language_is_recognised_by_what_does_not_fit() {
    let export = Settings {
        format: own(EXPORT, ","),
        ..gbk("vos3000-csv")
    };
    let events = check(export.clone(), "nasty/header-chinese-gbk.csv", 1, 0);
    assert!(data(&events[0]).contains("\"caller_id\":\"12025550101\""));
    // The same line further down is a damaged row, and counted.
    let file = fixture("nasty/header-chinese-gbk.csv");
    let (events, rejects) = read(export.clone(), &[&file[..], &file[..]].concat());
    assert_eq!((events.len(), rejects.len()), (2, 1), "{rejects:?}");
    let absent = Settings {
        header: Header::Absent,
        ..export
    };
    check(absent, "nasty/header-chinese-gbk.csv", 1, 1);
}

#[test]
fn rows_of_local_times_are_no_header_where_the_zone_is_missing() {
    let columns = "{ name = \"a\", type = \"time\", as = \"start_time\" }, { name = \"b\", type = \"time\", as = \"answer_time\" }, \
                   { name = \"c\", type = \"time\", as = \"end_time\" }";
    let settings = Settings {
        format: own(columns, "|"),
        timezone: None,
        ..settings("vos3000-pipe")
    };
    let (_, rejects) = read(
        settings,
        b"2026-04-10 14:01:28|2026-04-10 14:01:29|2026-04-10 14:01:30\n",
    );
    assert_eq!(
        rejects,
        ["field 1 (a): a local time, but the source has no timezone"]
    );
}

#[test]
fn a_header_with_the_names_in_other_places_is_no_header_to_pass_over() {
    let first = |header: Header, line: &str| {
        let mut parser = Parser::new(Settings {
            format: presets::find("account-export").unwrap(),
            decoder: Decoder::UTF_8,
            timezone: Some(jiff::tz::TimeZone::UTC),
            header,
        });
        match parser.next(line.as_bytes(), true, true) {
            Step::Rejected { reject, .. } => reject.to_string(),
            step => format!("{step:?}").chars().take(7).collect(),
        }
    };
    for header in [Header::Auto, Header::Present] {
        let swapped = first(
            header,
            "account,account_name,type,change,limit,balance,time\n",
        );
        assert!(
            swapped.starts_with("field 5 (limit): the format has that name as field 6"),
            "{swapped}"
        );
        let turned = first(
            header,
            "time,Account,account_name,type,change,balance,limit\n",
        );
        assert!(turned.starts_with("field 1 (time)"), "{turned}");
        for good in [
            "account,account_name,type,change,balance,limit,time\n",
            "Account,name,Type,change,BALANCE,limit,time\n",
            "account,type,kind,what,money,x,y\n",
        ] {
            assert_eq!(first(header, good), "Skipped", "{good}");
        }
    }
}

#[test]
fn a_header_that_is_announced_is_the_first_line_whatever_it_holds() {
    let present = Settings {
        header: Header::Present,
        ..settings("vos3000-pipe")
    };
    check(
        present.clone(),
        "vos3000/softswitch-pipe/2026041015.txt",
        24,
        0,
    );
    let parser = Parser::new(present);
    assert!(parser.is_header(b"a|b\n", true) && !parser.is_header(b"a|b\n", false));
}

#[test]
fn a_row_that_fits_two_layouts_waits_for_a_choice() {
    let row = b"\"\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"D\",\"17.4\"\n";
    let (_, rejects) = read(settings("asterisk-cdr"), row);
    assert_eq!(
        rejects,
        ["17 fields fit more than one layout; write columns = \"17-uniqueid\" or \"17-userfield\""]
    );
    for (layout, call_id) in [("17-uniqueid", "\"17.4\""), ("17-userfield", "null")] {
        let chosen = Settings {
            format: presets::find("asterisk-cdr")
                .unwrap()
                .with_layout(layout)
                .unwrap(),
            ..settings("asterisk-cdr")
        };
        let (events, _) = read(chosen, row);
        let expected = format!("{{\"call_id\":{call_id},");
        assert!(data(&events[0]).starts_with(&expected), "{layout}");
    }
    assert!(
        presets::find("asterisk-cdr")
            .unwrap()
            .with_layout("17")
            .is_err()
    );
}

#[test]
fn an_event_needs_the_time_of_its_own_kind() {
    let table: format::FormatTable = toml::from_str(
        "name = \"own\"\nevent = \"payment\"\nreader = \"delimited\"\ndelimiter = \"|\"\n[[layout]]\nname = \"own\"\ncolumns = [\
         { name = \"paid\", type = \"time\", as = \"event_time\" }, { name = \"valid\", type = \"time\", as = \"start_time\" }]",
    )
    .unwrap();
    let settings = Settings {
        format: Format::from_table(&table).unwrap(),
        ..settings("vos3000-pipe")
    };
    let (events, rejects) = read(settings, b"|1775802495\n1775802495|\n");
    assert_eq!((events.len(), rejects.len()), (1, 1), "{rejects:?}");
}

#[test]
fn three_bytes_that_mean_a_mark_in_utf_8_are_text_in_gbk() {
    let settings = |decoder| Settings {
        decoder,
        ..Settings {
            format: own(EXPORT, "|"),
            ..gbk("vos3000-pipe")
        }
    };
    let row = b"\xEF\xBB\xBF\xA1x|2|1775802495||0\n";
    let (events, _) = read(settings(Decoder::for_label("gbk").unwrap()), row);
    assert!(
        data(&events[0]).contains("\"caller_id\":\"锘俊x\""),
        "{}",
        data(&events[0])
    );
    let row = b"\xEF\xBB\xBFx|2|1775802495||0\n";
    let (events, _) = read(settings(Decoder::UTF_8), row);
    assert!(
        data(&events[0]).contains("\"caller_id\":\"x\""),
        "{}",
        data(&events[0])
    );
}

#[test]
fn text_that_is_none_is_kept_beside_what_could_be_read() {
    let events = check(settings("vos3000-csv"), "nasty/gbk.csv", 2, 0);
    let told: Vec<_> = events
        .iter()
        .filter(|event| data(event).contains("\"raw_base64\":\""))
        .collect();
    assert!(!told.is_empty());
    for event in check(gbk("vos3000-csv"), "nasty/gbk.csv", 2, 0) {
        assert!(
            !data(&event).contains("raw_base64") && !data(&event).contains('\u{FFFD}'),
            "{}",
            data(&event)
        );
    }
}

#[test]
fn what_a_caller_writes_never_leaves_its_string() {
    let events = check(
        settings("vos3000-csv"),
        "nasty/json-and-script-injection.csv",
        1,
        0,
    );
    let parsed: serde_json::Value = serde_json::from_str(data(&events[0])).unwrap();
    assert_eq!(parsed.as_object().unwrap().len(), 23);
    assert_eq!(
        serde_json::to_string(&parsed["caller_id"]).unwrap(),
        data(&events[0])
            .split_once("\"caller_id\":")
            .unwrap()
            .1
            .split_once(",\"called_id\"")
            .unwrap()
            .0
    );
}

#[test]
fn the_same_row_has_the_same_id_and_another_place_another_one() {
    let once = check(settings("vos3000-pipe"), "nasty/duplicate-lines.txt", 5, 0);
    let again = check(settings("vos3000-pipe"), "nasty/duplicate-lines.txt", 5, 0);
    assert_eq!(once, again);
    let ids = |events: &[Event]| {
        events
            .iter()
            .map(|event| event.id)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert_eq!(ids(&once), 5);
    let mut keyed = fixture("vos3000/server-csv/cdr_20260410143000.csv");
    keyed.extend(keyed.clone());
    let (events, _) = read(settings("vos3000-csv"), &keyed);
    assert_eq!(
        (events.len(), ids(&events)),
        (60, 30),
        "a repeated flowno is the same call"
    );
}

#[test]
fn the_whole_data_of_an_answered_call_is_as_the_contract_says() {
    let events = check(
        settings("vos3000-csv"),
        "vos3000/server-csv/cdr_20260410143000.csv",
        30,
        0,
    );
    assert_eq!(
        data(&events[2]),
        "{\"call_id\":\"330455204\",\"caller_id\":\"61491570156\",\"called_id\":\"61491570006\",\
         \"start_time\":\"2026-04-10T06:02:13.390Z\",\"answer_time\":\"2026-04-10T06:02:14.915Z\",\"end_time\":\"2026-04-10T06:02:20.915Z\",\
         \"duration\":7,\"bill_duration\":60,\"rate\":\"0.015\",\"cost\":\"0.015\",\"currency\":null,\"account_id\":\"CLIENT003\",\
         \"gateway_id\":null,\"disconnect_reason\":\"200\",\"codec\":\"g729\",\"callee_gateway_id\":\"GW-OUT-AU\",\"end_reason\":200,\
         \"end_direction\":0,\"dialled_id\":\"7777#61491570006\",\"caller_ip\":\"198.51.100.77\",\"callee_ip\":\"203.0.113.41\",\
         \"pdd_ms\":1525,\"connected\":true}"
    );
    assert_eq!(events[2].time.to_string(), "2026-04-10T06:02:20.915Z");
    assert_eq!(
        events[2].labels.callee_gateway.as_deref(),
        Some("GW-OUT-AU")
    );
}

#[test]
fn a_failed_call_has_no_answer_and_nothing_billed() {
    let events = check(
        settings("vos3000-pipe"),
        "vos3000/softswitch-pipe/2026041014.txt",
        60,
        0,
    );
    assert_eq!(
        data(&events[0]),
        "{\"call_id\":null,\"caller_id\":\"12025550117\",\"called_id\":\"900447700900999\",\"start_time\":\"2026-04-10T14:01:28Z\",\
         \"answer_time\":null,\"end_time\":\"2026-04-10T14:01:28Z\",\"duration\":0,\"bill_duration\":0,\"rate\":null,\"cost\":null,\
         \"currency\":null,\"account_id\":null,\"gateway_id\":\"GW-IN-CLIENT002\",\"disconnect_reason\":\"486\",\"codec\":null,\
         \"callee_gateway_id\":\"GW-OUT-UK-B\",\"end_reason\":486,\"end_direction\":1,\"dialled_id\":null,\"caller_ip\":null,\
         \"callee_ip\":null,\"pdd_ms\":null,\"connected\":false}"
    );
    let connected = events
        .iter()
        .filter(|event| data(event).ends_with("\"connected\":true}"))
        .count();
    assert_eq!(connected, 19, "as many as SOURCES.md counts");
}

#[test]
fn asterisk_tells_answer_and_duration_itself() {
    let events = check(
        settings("asterisk-cdr"),
        "asterisk/cdr-csv/Master-21col.csv",
        5,
        0,
    );
    assert!(data(&events[0]).starts_with(
        "{\"call_id\":\"1775802495.42\",\"caller_id\":\"12025550101\",\"called_id\":\"442079460101\",\"start_time\":\"2026-04-10T14:28:15Z\",\
         \"answer_time\":\"2026-04-10T14:28:18Z\",\"end_time\":\"2026-04-10T14:30:45Z\",\"duration\":150,\"bill_duration\":147,\"rate\":null,"
    ));
    assert_eq!(events[0].labels.application.as_deref(), Some("from-trunk"));
    assert!(
        data(&events[1]).contains("\"answer_time\":null")
            && data(&events[1]).contains("\"disconnect_reason\":\"NO ANSWER\"")
    );
}

#[test]
fn operators_tables_fill_what_the_row_does_not_say() {
    let format = presets::find("vos3000-pipe").unwrap();
    let settings = CallSettings {
        currency: Some("USD".to_string()),
        reasons: [(486, "Busy".to_string())].into(),
        accounts: [("GW-IN-CLIENT002".to_string(), "CLIENT002".to_string())].into(),
        extra: true,
    };
    let maker = Maker::new("n".into(), "s".into(), settings);
    let mut parser = Parser::new(self::settings("vos3000-pipe"));
    let bytes = fixture("vos3000/softswitch-pipe/2026041014.txt");
    let Step::Record { record, .. } = parser.next(&bytes, true, true) else {
        panic!("a record")
    };
    let event = maker.make(
        &record,
        &format,
        Origin {
            first_row: &[0; 32],
            offset: 0,
            raw: b"",
        },
    );
    for expected in [
        "\"currency\":\"USD\"",
        "\"disconnect_reason\":\"Busy\"",
        "\"end_reason\":486",
        "\"account_id\":\"CLIENT002\"",
        "\"extra\":{\"field10\":\"192.0.2.12\"",
        "\"billingMode\":\"1\",\"field18\":\"6288012166477870001\"}}",
    ] {
        assert!(
            data(&event).contains(expected),
            "{expected} in {}",
            data(&event)
        );
    }
    assert_eq!(event.labels.account.as_deref(), Some("CLIENT002"));
}

#[test]
fn json_lines_are_read_by_path_and_amounts_stay_as_written() {
    let table: format::FormatTable = toml::from_str(
        "name = \"own\"\nreader = \"json-lines\"\nevent = \"payment\"\n[[layout]]\nname = \"own\"\ncolumns = [\
         { name = \"at\", type = \"time\", as = \"event_time\" }, { name = \"customer.account\", as = \"account_id\" },\
         { name = \"amount\", type = \"money\" }, { name = \"ok\" }]",
    )
    .unwrap();
    let own = Settings {
        format: Format::from_table(&table).unwrap(),
        ..settings("vos3000-csv")
    };
    let (events, rejects) = read(own, b"{\"at\":1775802645,\"customer\":{\"account\":\"A1\"},\"amount\":50.10,\"ok\":true}\n{\"at\":\"x\"}\nnot json\n");
    assert_eq!(
        data(&events[0]),
        "{\"event_time\":\"2026-04-10T06:30:45Z\",\"account_id\":\"A1\",\"amount\":\"50.10\",\"ok\":\"true\"}"
    );
    assert_eq!(
        (&*events[0].kind, events[0].labels.account.as_deref()),
        ("payment", Some("A1"))
    );
    assert_eq!(rejects.len(), 2, "{rejects:?}");
}

#[test]
fn a_reject_names_the_column_and_hides_numbers() {
    let (_, rejects) = read(
        settings("vos3000-pipe"),
        &fixture("nasty/bad-numbers-and-times.txt"),
    );
    assert_eq!(
        rejects[0],
        "field 3 (startTime): \"2026-13-45 14:01:28\" is not a time"
    );
    let (_, rejects) = read(
        settings("vos3000-pipe"),
        &fixture("nasty/wrong-column-count.txt"),
    );
    assert_eq!(rejects[0], "12 fields, expected 18");
}

#[test]
fn a_row_of_another_kind_is_not_said_to_have_the_count_it_has() {
    let rows = b"1366720450|NONE|q|SIP/1|UNPAUSE|a|b|c|d|e|f\n\
                 1366720451|NONE|NONE|Agent/1|AGENTLOGOFF|SIP/1-01|3600\n\
                 1366720452|NONE|NONE|Agent/1|AGENTCALLBACKLOGOFF|1@in|27|Autologoff\n\
                 1366720453|MANAGER|q|SIP/1|REMOVEMEMBER|\n";
    let (records, rejects) = read(settings("asterisk-queue-log"), rows);
    assert_eq!(rejects, ["11 fields, expected 10"]);
    let told = records.iter().map(|event| {
        let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
        data["login_seconds"].clone()
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [3600.into(), 27.into(), serde_json::Value::Null]);
}

/// What can stand in a file, each piece a whole line; the flag says that it is a good row.
fn pieces() -> impl Strategy<Value = (Vec<u8>, bool)> {
    const GOOD: &[u8] = b"\"A\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"D\"\n";
    const LINES: &[u8] = b"\"A\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"D\",\"17.4\",\"two\nlines \"\"q\"\"\"\r\n";
    prop_oneof![
        Just((GOOD.to_vec(), true)),
        Just((LINES.to_vec(), true)),
        // Whatever it is, it is no row: there are not enough commas.
        proptest::collection::vec(
            prop_oneof![
                Just(b'"'),
                Just(b','),
                Just(0),
                Just(b'\r'),
                Just(0xEF),
                Just(0xC3),
                any::<u8>()
            ],
            0..12
        )
        .prop_map(|mut garbage| {
            garbage.retain(|byte| *byte != b'\n');
            garbage.push(b'\n');
            (garbage, false)
        }),
    ]
}

proptest! {
    #[test]
    fn no_good_row_is_lost_whatever_stands_around_it(file in proptest::collection::vec(pieces(), 0..20)) {
        let bytes = file.iter().flat_map(|(line, _)| line).copied().collect::<Vec<u8>>();
        let good = file.iter().filter(|(_, good)| *good).count();
        let mut parser = Parser::new(settings("asterisk-cdr"));
        let (mut at, mut records, mut taken_lines) = (0, 0, 0);
        while at < bytes.len() {
            let (taken, lines) = match parser.next(&bytes[at..], at == 0, true) {
                Step::Record { bytes, lines, .. } => {
                    records += 1;
                    (bytes, lines)
                }
                Step::Skipped { bytes, lines }
                | Step::Unwanted { bytes, lines }
                | Step::Rejected { bytes, lines, .. } => (bytes, lines),
                Step::More => unreachable!("the file is finished"),
            };
            prop_assert!(taken > 0 && bytes[at + taken - 1] == b'\n');
            at += taken;
            taken_lines += lines as usize;
        }
        prop_assert_eq!(taken_lines, memchr::memchr_iter(b'\n', &bytes).count());
        prop_assert_eq!(records, good);
    }
}

#[test]
fn a_time_is_told_by_a_day_and_an_hour_in_columns_of_their_own() {
    let own = |columns: &str| {
        let table = format!(
            "name = \"own\"\nreader = \"delimited\"\ndelimiter = \",\"\ndates = \"dmy\"\n[[layout]]\nname = \"own\"\ncolumns = [{columns}]\n"
        );
        Format::from_table(&toml::from_str(&table).unwrap())
    };
    let day = "{ name = \"day\" }";
    let format = own(&format!(
        "{day}, {{ name = \"at\", type = \"time\", as = \"start_time\", date = \"day\" }}"
    ))
    .unwrap();
    let mut parser = Parser::new(Settings {
        format,
        header: Header::Absent,
        ..settings("vos3000-pipe")
    });
    let mut told = |row: &str| match parser.next(row.as_bytes(), false, true) {
        Step::Record { record, .. } => record.time_of(Meaning::StartTime).map(|at| at.to_string()),
        Step::Rejected { reject, .. } => Some(reject.to_string()),
        other => panic!("{other:?}"),
    };
    let at = |text: &str| Some(text.to_string());
    let none = Some(Reject::row(Problem::MissingTime).to_string());
    assert_eq!(told("10/04/2026,14:01:28\n"), at("2026-04-10T14:01:28Z"));
    assert_eq!(told(" 10-Apr-2026 , 2:01 PM\n"), at("2026-04-10T14:01:00Z"));
    assert_eq!(told("10/04/2026,\n"), none);
    assert_eq!(told(",14:01:28\n"), none);
    assert!(
        told("10/13/2026,14:01:28\n")
            .unwrap()
            .contains("field 2 (at)")
    );
    for (columns, expected) in [
        (
            "{ name = \"a\", date = \"b\" }, { name = \"b\" }",
            "cannot have a date without type",
        ),
        (
            "{ name = \"a\", type = \"time\", as = \"start_time\", date = \"b\" }",
            "no column is called \"b\"",
        ),
    ] {
        let problems = own(columns).unwrap_err();
        assert!(
            problems
                .iter()
                .any(|problem| problem.what.contains(expected)),
            "{problems:?}"
        );
    }
}

/// What a row of a day, a beginning, an answer and an end tells: the three times, the event's time and
/// the length of the call.
fn dated(zone: &str, nothing: &str, row: &str) -> String {
    let table = format!(
        "name = \"own\"\nreader = \"delimited\"\ndelimiter = \",\"\ndates = \"dmy\"\nnothing = [{nothing}]\n[[layout]]\nname = \"own\"\ncolumns = [{{ name = \"day\" }}, {{ name = \"start\", type = \"time\", as = \"start_time\", date = \"day\" }}, {{ name = \"answer\", type = \"time\", as = \"answer_time\", date = \"day\" }}, {{ name = \"end\", type = \"time\", as = \"end_time\", date = \"day\" }}]\n"
    );
    let settings = Settings {
        format: Format::from_table(&toml::from_str(&table).unwrap()).unwrap(),
        timezone: Some(TimeZone::get(zone).unwrap()),
        header: Header::Absent,
        ..settings("vos3000-pipe")
    };
    let (events, rejects) = read(settings, format!("{row}\n").as_bytes());
    let Some(event) = events.first() else {
        return rejects.concat();
    };
    let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
    let text = |key: &str| data[key].as_str().unwrap_or("-").to_string();
    let times = ["start_time", "answer_time", "end_time"]
        .map(text)
        .join(" ");
    format!("{times} at {} for {}", event.time, data["duration"])
}

#[test]
fn a_call_over_midnight_ends_on_the_day_after_the_one_in_its_row() {
    for (zone, row, expected) in [
        (
            "UTC",
            "10/04/2026,23:58:00,23:58:04,00:03:00",
            "2026-04-10T23:58:00Z 2026-04-10T23:58:04Z 2026-04-11T00:03:00Z at 2026-04-11T00:03:00Z for 300",
        ),
        (
            "UTC",
            "31/12/2026,11:58:00 PM,12:00:01 AM,12:03:00 AM",
            "2026-12-31T23:58:00Z 2027-01-01T00:00:01Z 2027-01-01T00:03:00Z at 2027-01-01T00:03:00Z for 300",
        ),
        (
            "UTC",
            "10/04/2026,14:00:00,14:00:05,14:01:00",
            "2026-04-10T14:00:00Z 2026-04-10T14:00:05Z 2026-04-10T14:01:00Z at 2026-04-10T14:01:00Z for 60",
        ),
        // Without a beginning, the answer is what the end comes after.
        (
            "UTC",
            "10/04/2026,,23:58:00,00:03:00",
            "- 2026-04-10T23:58:00Z 2026-04-11T00:03:00Z at 2026-04-11T00:03:00Z for null",
        ),
        // A rounded time is no midnight.
        (
            "UTC",
            "10/04/2026,14:00:00.600,14:00:00,14:00:00",
            "2026-04-10T14:00:00.600Z 2026-04-10T14:00:00Z 2026-04-10T14:00:00Z at 2026-04-10T14:00:00Z for 0",
        ),
        // The night in which summer time begins has an hour less, the one in which it ends one more.
        (
            "Europe/Berlin",
            "28/03/2026,23:30:00,,03:30:00",
            "2026-03-28T22:30:00Z - 2026-03-29T01:30:00Z at 2026-03-29T01:30:00Z for 10800",
        ),
        (
            "Europe/Berlin",
            "24/10/2026,23:30:00,,03:30:00",
            "2026-10-24T21:30:00Z - 2026-10-25T02:30:00Z at 2026-10-25T02:30:00Z for 18000",
        ),
        (
            "Europe/Berlin",
            "25/10/2026,02:50:00,,02:10:00",
            "2026-10-25T00:50:00Z - 2026-10-25T01:10:00Z at 2026-10-25T01:10:00Z for 1200",
        ),
    ] {
        assert_eq!(dated(zone, "", row), expected, "{row}");
    }
}

/// Start, answer, end, duration and held seconds of a call by the clock in Berlin in the night of
/// 2026-10-25, when 02:00 to 03:00 came twice; gives the three times in UTC, and whether one is in doubt.
#[track_caller]
fn check_twice(row: &str, expected: [&str; 3], doubtful: bool) {
    let column = |name, kind, meaning| {
        format!("{{ name = \"{name}\", type = \"{kind}\", as = \"{meaning}\" }}, ")
    };
    let columns = [
        column("s", "time", "start_time"),
        column("a", "time", "answer_time"),
        column("e", "time", "end_time"),
        column("d", "seconds", "duration"),
        column("h", "seconds", "hold_duration"),
    ];
    let table = format!(
        "name = \"own\"\nreader = \"delimited\"\ndelimiter = \",\"\n[[layout]]\nname = \"own\"\ncolumns = [{}]\n",
        columns.concat()
    );
    let format = Format::from_table(&toml::from_str(&table).unwrap()).unwrap();
    let mut parser = Parser::new(Settings {
        format,
        timezone: Some(TimeZone::get("Europe/Berlin").unwrap()),
        ..settings("asterisk-cdr")
    });
    let times = |clock: &str| match clock {
        "" => String::new(),
        clock => format!("2026-10-25 {clock}"),
    };
    let (clocks, lengths) = row.split_once(';').unwrap();
    let clocks: Vec<String> = clocks.split(',').map(times).collect();
    let line = format!("{},{lengths}\n", clocks.join(","));
    let Step::Record { record, .. } = parser.next(line.as_bytes(), false, true) else {
        panic!("{line}");
    };
    let told = [Meaning::StartTime, Meaning::AnswerTime, Meaning::EndTime].map(|meaning| {
        let at = record.time_of(meaning);
        at.map_or(String::new(), |at| at.to_string()[11..19].to_owned())
    });
    assert_eq!(told, expected, "{row}");
    let first = parser
        .take_doubtful()
        .map(|(count, at)| (count, at.unix_secs() / 3_600));
    let expected = doubtful.then_some((1, 1_792_886_400 / 3_600));
    assert_eq!(first, expected, "{row}");
}

#[test]
fn the_hour_that_comes_twice_is_read_as_the_rest_of_the_row_says() {
    // Over the end of summer time by the clock's step back.
    check_twice(
        "02:55:00,02:56:00,02:05:00;,",
        ["00:55:00", "00:56:00", "01:05:00"],
        false,
    );
    check_twice(
        "02:55:00,02:56:00,02:05:00;600,540",
        ["00:55:00", "00:56:00", "01:05:00"],
        false,
    );
    // Into the second of the two hours, and out of it.
    check_twice(
        "01:50:00,,02:05:00;4500,0",
        ["23:50:00", "", "01:05:00"],
        false,
    );
    check_twice(
        "02:50:00,02:51:00,03:05:00;900,840",
        ["01:50:00", "01:51:00", "02:05:00"],
        false,
    );
    check_twice("01:58:00,,02:01:00;,0", ["23:58:00", "", "00:01:00"], false);
    // A call that lasted over an hour.
    check_twice(
        "02:10:00,02:10:00,02:20:00;4200,4200",
        ["00:10:00", "00:10:00", "01:20:00"],
        false,
    );
    // Which of the two hours it was is nowhere told: the earlier one.
    check_twice(
        "02:10:00,02:11:00,02:20:00;600,540",
        ["00:10:00", "00:11:00", "00:20:00"],
        true,
    );
    check_twice("02:10:00,,02:10:00;,0", ["00:10:00", "", "00:10:00"], true);
    check_twice(
        "01:10:00,,01:20:00;600,0",
        ["23:10:00", "", "23:20:00"],
        false,
    );
}

#[test]
fn a_day_or_an_hour_that_says_nothing_is_no_time() {
    let answered = "2026-04-10T14:00:00Z - 2026-04-10T14:01:00Z at 2026-04-10T14:01:00Z for 60";
    for hour in ["", " ", "NULL", " -- "] {
        let row = format!("10/04/2026,14:00:00,{hour},14:01:00");
        let told = dated("UTC", "\"NULL\", \"--\"", &row);
        assert_eq!(told, answered, "{hour:?}");
    }
    // With no beginning, nothing tells that midnight came between.
    assert_eq!(
        dated("UTC", "\"NULL\"", "10/04/2026,NULL,NULL,00:03:00"),
        "- - 2026-04-10T00:03:00Z at 2026-04-10T00:03:00Z for null"
    );
    // Some write an hour of zeros for a call that nobody answered.
    assert_eq!(
        dated(
            "UTC",
            "\"00:00:00\"",
            "10/04/2026,14:00:00,00:00:00,14:01:00"
        ),
        answered
    );
    let untimed = Reject::row(Problem::MissingTime).to_string();
    for day in ["", "NULL"] {
        let row = format!("{day},14:00:00,NULL,14:01:00");
        assert_eq!(dated("UTC", "\"NULL\"", &row), untimed, "{day:?}");
    }
    // What is neither is still no time.
    let told = dated("UTC", "\"NULL\"", "10/04/2026,14:00:00,nil,14:01:00");
    assert!(told.contains("field 3 (answer)"), "{told}");
}

#[test]
fn a_blank_before_any_value_of_a_template_is_none_of_the_value() {
    let names = "caller_id_number destination_number start_stamp uuid bleg_uuid";
    let names: Vec<String> = names
        .split(' ')
        .map(|name| format!("\"${{{name}}}\""))
        .collect();
    // As the templates for Snom's telephones and the built-in one have it.
    let template = format!(
        "{}, {}, \"${{accountcode}}\",\"${{read_codec}}\"",
        names[..4].join(","),
        names[4]
    );
    let settings = Settings {
        format: template::format(&presets::find(template::PRESET).unwrap(), &template).unwrap(),
        ..settings("freeswitch-csv")
    };
    let row = |caller: &str| {
        format!(
            "\"{caller}\",\"442079460101\",\"2026-04-10 14:28:15\",\"u-1\", \"\", \"CLIENT001\",\"PCMU\"\n"
        )
    };
    let (events, rejects) = read(settings.clone(), row("12025550101").as_bytes());
    assert!(rejects.is_empty(), "{rejects:?}");
    let data: serde_json::Value = serde_json::from_slice(&events[0].data).unwrap();
    assert_eq!(
        (&data["account_id"], &data["codec"], &data["call_id"]),
        (&"CLIENT001".into(), &"PCMU".into(), &"u-1".into())
    );
    // Where a value has what looks like the end of one, nobody can say which it is.
    let (events, rejects) = read(settings, row("a\", \"b").as_bytes());
    assert_eq!((events.len(), rejects.len()), (0, 1));
}
