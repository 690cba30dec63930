use super::tests::{data, fixture, settings};
use super::*;
use crate::event::{CallSettings, Event, Maker, Origin};

const ORIGIN: Origin<'static> = Origin {
    first_row: &[0; 32],
    offset: 0,
    raw: b"",
};

/// The event that a whole document tells.
#[track_caller]
fn event(preset: &str, bytes: &[u8], file_name: &str, extra: bool) -> Event {
    let settings = settings(preset);
    let calls = CallSettings {
        extra,
        ..CallSettings::default()
    };
    let maker = Maker::new("fs-1".into(), "cdr".into(), calls);
    let format = settings.format.clone();
    let mut parser = Parser::new(settings);
    match parser.document(bytes, file_name, true) {
        DocumentStep::Record(record) => maker.make(&record, &format, ORIGIN),
        other => panic!("{other:?}"),
    }
}

const ENCODED: &str = "freeswitch/json_cdr/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json";
const PLAIN: &str = "freeswitch/json_cdr/a_5f6a1c3e-0003-4f11-9a01-000000000003.cdr.json";
const POSTED: &str = "nasty/json-form-encoded-err/5f6a1c3e-0011-4f11-9a01-000000000011.cdr.json";
const XML: &str = "freeswitch/xml_cdr/a_5f6a1c3e-0001-4f11-9a01-000000000001.cdr.xml";

const ANSWERED: &str = r#""caller_id":"12025550101","called_id":"442079460101","start_time":"2026-04-10T06:28:15.104Z","answer_time":"2026-04-10T06:28:18.224Z","end_time":"2026-04-10T06:30:45.900Z","duration":150,"bill_duration":147"#;

#[test]
fn the_data_of_a_leg_is_the_same_however_its_document_was_encoded() {
    let encoded = event("freeswitch-json", &fixture(ENCODED), ENCODED, false);
    assert_eq!(
        data(&encoded),
        format!(
            "{{\"call_id\":\"5f6a1c3e-0001-4f11-9a01-000000000001\",{ANSWERED},\"rate\":null,\"cost\":null,\"currency\":null,\"account_id\":\"CLIENT001\",\"gateway_id\":null,\"disconnect_reason\":\"NORMAL_CLEARING\",\"codec\":\"PCMA\",\"callee_gateway_id\":null,\"end_reason\":16,\"end_direction\":null,\"dialled_id\":null,\"caller_ip\":\"192.0.2.11\",\"callee_ip\":null,\"pdd_ms\":null,\"connected\":true}}"
        )
    );
    let posted = event("freeswitch-json", &fixture(POSTED), POSTED, true);
    for expected in [
        ANSWERED,
        "\"sip_call_id\":\"13b24a08@192.0.2.11\"",
        "\"caller_id\":\"\\\"Alice Example\\\" <12025550101>\"",
    ] {
        assert!(data(&posted).contains(expected), "{}", data(&posted));
    }
}

#[test]
fn a_plain_document_keeps_its_percent_signs_and_its_leg() {
    let text = String::from_utf8(fixture(PLAIN)).unwrap();
    let text = text.replace("13b24a08@", "13b%2524a08@");
    let name = PLAIN.rsplit('/').next().unwrap();
    let event = event("freeswitch-json", text.as_bytes(), name, true);
    for expected in [
        "\"answer_time\":null",
        "\"bill_duration\":0",
        "\"connected\":false",
        "\"leg\":\"a\"",
        "13b%2524a08@192.0.2.11",
    ] {
        assert!(data(&event).contains(expected), "{}", data(&event));
    }
}

#[test]
fn an_xml_document_tells_the_same() {
    let event = event("freeswitch-xml", &fixture(XML), "a_x.cdr.xml", true);
    for expected in [
        "\"call_id\":\"5f6a1c3e-0001-4f11-9a01-000000000001\",\"caller_id\":\"12025550101\",\"called_id\":\"442079460101\",\"start_time\":\"2026-04-10T06:28:15Z\"",
        "\"duration\":150,\"bill_duration\":147",
        "\"caller_id\":\"\\\"Alice Example\\\" <12025550101>\"",
        "\"leg\":\"a\"",
    ] {
        assert!(data(&event).contains(expected), "{}", data(&event));
    }
}

#[test]
fn a_document_cut_anywhere_is_incomplete_until_no_more_will_come() {
    for (preset, name) in [
        ("freeswitch-json", ENCODED),
        ("freeswitch-json", POSTED),
        ("freeswitch-xml", XML),
    ] {
        let whole = fixture(name);
        let end = whole.trim_ascii_end().len();
        let mut parser = Parser::new(settings(preset));
        for cut in 0..end {
            let part = &whole[..cut];
            let step = parser.document(part, name, false);
            assert!(
                matches!(step, DocumentStep::Incomplete),
                "{name} {cut}: {step:?}"
            );
        }
        for cut in (0..end).step_by(97) {
            let step = parser.document(&whole[..cut], name, true);
            assert!(
                matches!(step, DocumentStep::Rejected(_)),
                "{name} {cut}: {step:?}"
            );
        }
        let step = parser.document(&whole, name, false);
        assert!(matches!(step, DocumentStep::Record(_)), "{name}: {step:?}");
    }
}

#[test]
fn a_document_has_a_bound() {
    let mut parser = Parser::new(settings("freeswitch-json"));
    let long = vec![b' '; document::DOCUMENT_BYTES_MAX + 1];
    let DocumentStep::Rejected(reject) = parser.document(&long, "x", false) else {
        panic!("a reject")
    };
    assert_eq!(reject.problem, Problem::DocumentTooLong);
}

#[test]
fn a_call_flow_that_is_one_object_is_read_as_a_list_of_one() {
    const OLDER: &str = "freeswitch/json_cdr-older/5f6a1c3e-0005-4f11-9a01-000000000005.cdr.json";
    let event = event("freeswitch-json", &fixture(OLDER), OLDER, false);
    let numbers = "\"caller_id\":\"12025550117\",\"called_id\":\"12025550142\"";
    assert!(data(&event).contains(numbers), "{}", data(&event));
}
