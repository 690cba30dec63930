use super::*;
use crate::parser::encoding::Decoder;
use crate::parser::format::FormatTable;
use crate::parser::{Header, Parser, Settings, Step, presets};
use jiff::tz::TimeZone;

const ORIGIN: Origin<'static> = Origin {
    first_row: &[1; 32],
    offset: 100,
    raw: b"the row\r\n",
};

/// The event that the first row of `row` tells.
#[track_caller]
fn event(format: Format, settings: CallSettings, row: &[u8]) -> Event {
    let maker = Maker::new("vos-1".into(), "cdr".into(), settings);
    let mut parser = Parser::new(Settings {
        format: format.clone(),
        decoder: Decoder::UTF_8,
        timezone: Some(TimeZone::get("Asia/Dhaka").unwrap()),
        header: Header::Auto,
    });
    match parser.next(row, false, true) {
        Step::Record { record, .. } => maker.make(&record, &format, ORIGIN),
        other => panic!("{other:?}"),
    }
}

fn own(event: &str, id_keys: &str, columns: &str) -> Format {
    let table: FormatTable = toml::from_str(&format!(
        "name = \"own\"\nevent = \"{event}\"\nreader = \"delimited\"\ndelimiter = \"|\"\n\
         id_keys = {id_keys}\n[[layout]]\nname = \"own\"\ncolumns = [{columns}]"
    ))
    .unwrap();
    Format::from_table(&table).unwrap()
}

fn data(event: &Event) -> &str {
    std::str::from_utf8(&event.data).unwrap()
}

#[track_caller]
fn check(preset: &str, row: &str, expected: &str) {
    let format = presets::find(preset).unwrap();
    let event = event(format, CallSettings::default(), row.as_bytes());
    assert_eq!(data(&event), expected);
}

#[test]
fn the_data_of_an_answered_and_a_failed_call_of_the_softswitch_file() {
    check(
        "vos3000-pipe",
        "61491570156|7777#61491570006|2026-04-10 14:02:14|2026-04-10 14:02:20|6|200|0|GW-IN|GW-OUT-AU|a|b|c|d|e|f|1525|3|62\n",
        r##"{"call_id":null,"caller_id":"61491570156","called_id":"7777#61491570006","start_time":"2026-04-10T08:02:14Z","answer_time":null,"end_time":"2026-04-10T08:02:20Z","duration":6,"bill_duration":6,"rate":null,"cost":null,"currency":null,"account_id":null,"gateway_id":"GW-IN","disconnect_reason":"200","codec":null,"callee_gateway_id":"GW-OUT-AU","end_reason":200,"end_direction":0,"dialled_id":null,"caller_ip":null,"callee_ip":null,"pdd_ms":null,"connected":true}"##,
    );
    check(
        "vos3000-pipe",
        "12025550142|33199005501|1775800919906|1775800919906|0|-3|2|||||||||6375|-1|62\n",
        r#"{"call_id":null,"caller_id":"12025550142","called_id":"33199005501","start_time":"2026-04-10T06:01:59.906Z","answer_time":null,"end_time":"2026-04-10T06:01:59.906Z","duration":0,"bill_duration":0,"rate":null,"cost":null,"currency":null,"account_id":null,"gateway_id":null,"disconnect_reason":"-3","codec":null,"callee_gateway_id":null,"end_reason":-3,"end_direction":2,"dialled_id":null,"caller_ip":null,"callee_ip":null,"pdd_ms":null,"connected":false}"#,
    );
}

#[test]
fn the_data_of_an_answered_and_a_failed_call_of_the_billing_server() {
    check(
        "vos3000-csv",
        "\"61491570156\",\"61491570156\",\"61491570006\",\"7777#61491570006\",\"198.51.100.77\",\"g729\",\"GW-IN\",\"Asterisk PBX\",\"61491570156\",1,\"203.0.113.41\",\"g729\",\"GW-OUT-AU\",\"\",\"61491570006\",1,3,5,0,1775800934915,1775800940915,1525,1225,6,\"\",60,0.0150,0.0,0.0,0,0.0,0.0,\"CLIENT003\",\"Prepaid Card Users\",\"61\",0.0,0.0,0.0,0,\"\",\"\",330455204,\"MBX3000\",6288012166477870004,\"13b258a4\",\"13b258ab\",1,0,200,0,0,-1\n",
        r##"{"call_id":"330455204","caller_id":"61491570156","called_id":"61491570006","start_time":"2026-04-10T06:02:13.390Z","answer_time":"2026-04-10T06:02:14.915Z","end_time":"2026-04-10T06:02:20.915Z","duration":7,"bill_duration":60,"rate":"0.015","cost":"0.0150","currency":null,"account_id":"CLIENT003","gateway_id":"GW-IN","disconnect_reason":"200","codec":"g729","callee_gateway_id":"GW-OUT-AU","end_reason":200,"end_direction":0,"dialled_id":"7777#61491570006","caller_ip":"198.51.100.77","callee_ip":"203.0.113.41","pdd_ms":1525,"connected":true}"##,
    );
    check(
        "vos3000-csv",
        "\"12025550117\",\"12025550117\",\"447700900999\",\"900447700900999\",\"192.0.2.12\",\"g729\",\"GW-IN\",\"Asterisk PBX\",\"12025550117\",1,\"203.0.113.22\",\"\",\"GW-OUT-UK-B\",\"\",\"447700900999\",1,1,5,0,1775800888533,1775800888533,8802,8502,0,\"\",0,0.0,0.0,0.0,0,0.0,0.0,\"CLIENT002\",\"Client Two GmbH\",\"44\",0.0,0.0,0.0,0,\"\",\"\",330455201,\"MBX3000\",6288012166477870001,\"13b258a1\",\"13b258a8\",1,1,486,0,0,-1,\"tx-1\"\n",
        r#"{"call_id":"330455201","caller_id":"12025550117","called_id":"447700900999","start_time":"2026-04-10T06:01:28.533Z","answer_time":null,"end_time":"2026-04-10T06:01:28.533Z","duration":0,"bill_duration":0,"rate":null,"cost":"0.0","currency":null,"account_id":"CLIENT002","gateway_id":"GW-IN","disconnect_reason":"486","codec":"g729","callee_gateway_id":"GW-OUT-UK-B","end_reason":486,"end_direction":1,"dialled_id":"900447700900999","caller_ip":"192.0.2.12","callee_ip":"203.0.113.22","pdd_ms":8802,"connected":false}"#,
    );
}

#[test]
fn the_old_billing_server_layout_has_the_same_keys() {
    check(
        "vos3000-csv",
        "7,\"100\",\"100\",\"200\",\"9200\",\"192.0.2.1\",\"GW-IN\",\"p\",\"100\",\"192.0.2.2\",\"GW-OUT\",\"200\",1,2,0,2026-04-10 14:00:10,2026-04-10 14:01:10,1500,60,\"2\",60,0.5,0,0,0,\"Name\",\"\",0,0,0,\"\",\"\",41,\"SS\",0,16,0,0,-1\n",
        r#"{"call_id":"41","caller_id":"100","called_id":"200","start_time":"2026-04-10T08:00:08Z","answer_time":"2026-04-10T08:00:10Z","end_time":"2026-04-10T08:01:10Z","duration":62,"bill_duration":60,"rate":"0.5","cost":"0.5","currency":null,"account_id":null,"gateway_id":"GW-IN","disconnect_reason":"16","codec":null,"callee_gateway_id":"GW-OUT","end_reason":16,"end_direction":0,"dialled_id":"9200","caller_ip":"192.0.2.1","callee_ip":"192.0.2.2","pdd_ms":1500,"connected":true}"#,
    );
}

#[test]
fn the_data_of_an_answered_and_a_failed_call_of_asterisk() {
    check(
        "asterisk-cdr",
        "\"CLIENT001\",\"12025550101\",\"442079460101\",\"from-trunk\",\"\"\"Alice\"\" <12025550101>\",\"PJSIP/a\",\"PJSIP/b\",\"Dial\",\"x,60\",\"2026-04-10 14:28:15\",\"2026-04-10 14:28:18\",\"2026-04-10 14:30:45\",150,147,\"ANSWERED\",\"DOCUMENTATION\",\"1775802495.42\",\"\",\"\",\"1775802495.42\",100\n",
        r#"{"call_id":"1775802495.42","caller_id":"12025550101","called_id":"442079460101","start_time":"2026-04-10T08:28:15Z","answer_time":"2026-04-10T08:28:18Z","end_time":"2026-04-10T08:30:45Z","duration":150,"bill_duration":147,"rate":null,"cost":null,"currency":null,"account_id":"CLIENT001","gateway_id":null,"disconnect_reason":"ANSWERED","codec":null,"callee_gateway_id":null,"end_reason":null,"end_direction":null,"dialled_id":null,"caller_ip":null,"callee_ip":null,"pdd_ms":null,"connected":true}"#,
    );
    check(
        "asterisk-cdr",
        "\"\",\"447700900123\",\"12025550199\",\"from-trunk\",\"\",\"PJSIP/a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"DOCUMENTATION\"\n",
        r#"{"call_id":null,"caller_id":"447700900123","called_id":"12025550199","start_time":"2026-04-10T08:31:05Z","answer_time":null,"end_time":"2026-04-10T08:31:07Z","duration":2,"bill_duration":0,"rate":null,"cost":null,"currency":null,"account_id":null,"gateway_id":null,"disconnect_reason":"BUSY","codec":null,"callee_gateway_id":null,"end_reason":null,"end_direction":null,"dialled_id":null,"caller_ip":null,"callee_ip":null,"pdd_ms":null,"connected":false}"#,
    );
}

const TIME: &str = "{ name = \"at\", type = \"time\", as = \"start_time\" }";

#[track_caller]
fn check_id(id_keys: &str, columns: &str, row: &str, expected: EventId) {
    let format = own("cdr", id_keys, &format!("{TIME}, {columns}"));
    let event = event(format, CallSettings::default(), row.as_bytes());
    assert_eq!(event.id, expected, "{row}");
}

#[test]
fn the_id_is_made_of_the_first_key_that_the_row_has() {
    let key = |values: &[&str]| id::of_key("vos-1", "cdr", values.iter().copied());
    let line = id::of_line("vos-1", "cdr", ORIGIN);
    let either = |row, expected| {
        check_id(
            "[[\"a\"], [\"b\"]]",
            "{ name = \"a\" }, { name = \"b\" }",
            row,
            expected,
        );
    };
    either("1775802495|7|8\n", key(&["7"]));
    either("1775802495| 7 |8\n", key(&["7"]));
    either("1775802495||8\n", key(&["8"]));
    either("1775802495|0|8\n", key(&["8"]));
    either("1775802495|0|\n", line);
    let both = |row, expected| {
        check_id(
            "[[\"a\", \"b\"]]",
            "{ name = \"a\" }, { name = \"b\" }",
            row,
            expected,
        );
    };
    both("1775802495|7|8\n", key(&["7", "8"]));
    both("1775802495|7|0\n", key(&["7", "0"]));
    both("1775802495|7|\n", line);
    both("1775802495|0|0\n", line);
}

#[test]
fn the_first_call_after_an_asterisk_start_has_sequence_0_and_a_key_all_the_same() {
    let row = "\"\",\"1\",\"2\",\"c\",\"\",\"a\",\"\",\"Dial\",\"x\",\"2026-04-10 14:31:05\",,\"2026-04-10 14:31:07\",2,0,\"BUSY\",\"D\",\"1775802495.42\",\"\",\"\",\"1775802495.42\",0\n";
    let format = presets::find("asterisk-cdr").unwrap();
    let event = event(format, CallSettings::default(), row.as_bytes());
    let key = ["1775802495.42", "0"].into_iter();
    assert_eq!(event.id, id::of_key("vos-1", "cdr", key));
}

#[test]
fn what_a_row_does_not_say_is_null_and_not_zero() {
    let columns = "{ name = \"answer\", type = \"time\", as = \"answer_time\" }, { name = \"fee\", type = \"money\", as = \"cost\" }";
    let format = || own("cdr", "[]", &format!("{TIME}, {columns}"));
    let answered = event(
        format(),
        CallSettings::default(),
        b"1775802495|1775802498|1.5\n",
    );
    for expected in [
        "\"end_time\":null,\"duration\":null,\"bill_duration\":null,\"rate\":null,\"cost\":\"1.5\"",
        "\"connected\":true",
    ] {
        assert!(data(&answered).contains(expected), "{}", data(&answered));
    }
    let failed = event(format(), CallSettings::default(), b"1775802495||\n");
    assert!(
        data(&failed).contains("\"bill_duration\":0"),
        "{}",
        data(&failed)
    );
}

#[test]
fn an_event_that_is_no_call_has_its_own_columns_as_keys() {
    let format = own(
        "payment",
        "[[\"number\"]]",
        "{ name = \"number\", type = \"integer\" }, { name = \"paid\", type = \"time\", as = \"event_time\" }, \
         { name = \"amount\", type = \"money\" }, { name = \"who\", as = \"account_id\" }, \
         { name = \"trunk\", as = \"gateway_id\" }, { name = \"note\" }",
    );
    let event = event(
        format,
        CallSettings::default(),
        b"17|2026-04-10 14:30:45| 50.10 |CLIENT001|GW-1|\n",
    );
    assert_eq!(
        data(&event),
        r#"{"number":17,"event_time":"2026-04-10T08:30:45Z","amount":"50.10","account_id":"CLIENT001","gateway_id":"GW-1","note":null}"#
    );
    assert_eq!(
        (&*event.kind, event.time.to_string().as_str()),
        ("payment", "2026-04-10T08:30:45Z")
    );
    assert_eq!(event.labels.account.as_deref(), Some("CLIENT001"));
    assert_eq!(event.labels.gateway.as_deref(), Some("GW-1"));
    assert_eq!(event.id, id::of_key("vos-1", "cdr", ["17"].into_iter()));
}

#[test]
fn bytes_that_are_no_text_come_along_exactly_as_the_last_key() {
    let event = event(
        own(
            "cdr",
            "[]",
            &format!("{TIME}, {{ name = \"who\", as = \"caller_id\" }}"),
        ),
        CallSettings::default(),
        b"1775802495|a\xFFb\n",
    );
    assert!(
        data(&event).contains("\"caller_id\":\"a\u{FFFD}b\""),
        "{}",
        data(&event)
    );
    // Base64 of the origin's bytes without the line end.
    assert!(
        data(&event).ends_with(",\"raw_base64\":\"dGhlIHJvdw==\"}"),
        "{}",
        data(&event)
    );
}

#[test]
fn a_dialog_of_kamailio_that_failed_is_told_by_its_timestamp() {
    let row = |times: &str| {
        let row = format!(
            "Nov 26 10:00:00 sbc kamailio[1]: NOTICE: acc [acc_cdr.c:371]: log_write_cdr(): {times}; call_id=B; src_user=1001; dst_user=442079460102; timestamp=1795687290\n"
        );
        let format = presets::find("kamailio-acc").unwrap();
        let event = event(format, CallSettings::default(), row.as_bytes());
        let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
        (
            event.time.to_string(),
            data["connected"].clone(),
            data["end_time"].clone(),
        )
    };
    let failed = row("start_time=; end_time=; duration=");
    assert_eq!(
        failed,
        (
            "2026-11-26T10:01:30Z".into(),
            false.into(),
            serde_json::Value::Null
        )
    );
    let (time, connected, _) =
        row("start_time=1795687200.224; end_time=1795687260.900; duration=60.676");
    assert_eq!(
        (time.as_str(), connected),
        ("2026-11-26T10:01:00.900Z", true.into())
    );
}

#[test]
fn whether_a_call_was_answered_is_unknown_where_no_column_says_and_never_guessed() {
    let connected = |columns: &str, row: &str| {
        let format = own("cdr", "[]", &format!("{TIME}, {columns}"));
        let event = event(format, CallSettings::default(), row.as_bytes());
        let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
        (data["connected"].as_bool(), data["bill_duration"].as_i64())
    };
    let length = r#"{ name = "d", type = "seconds", as = "duration" }"#;
    assert_eq!(connected(length, "1775802495|60\n"), (None, None));
    let billed = r#"{ name = "d", type = "seconds", as = "bill_duration" }"#;
    assert_eq!(connected(billed, "1775802495|60\n"), (Some(true), Some(60)));
    assert_eq!(connected(billed, "1775802495|\n"), (Some(false), Some(0)));
    let answer = r#"{ name = "a", type = "time", as = "answer_time" }"#;
    assert_eq!(connected(answer, "1775802495|0\n"), (Some(false), Some(0)));
}

#[test]
fn extra_holds_every_column_without_a_meaning_under_its_name() {
    let columns = "{ name = \"who\", as = \"caller_id\" }, { name = \"n\", type = \"integer\" }, { name = \"fee\", type = \"money\" }, \
                   { name = \"when\", type = \"time\" }, { name = \"none\", type = \"seconds\" }, { name = \"t\" }";
    let settings = CallSettings {
        extra: true,
        ..CallSettings::default()
    };
    let event = event(
        own("cdr", "[]", &format!("{TIME}, {columns}")),
        settings,
        b"1775802495|w|-7|0.10|1775802495123||x\n",
    );
    assert!(
        data(&event).ends_with(
            r#","connected":null,"extra":{"n":-7,"fee":"0.10","when":"2026-04-10T06:28:15.123Z","none":null,"t":"x"}}"#
        ),
        "{}",
        data(&event)
    );
}
