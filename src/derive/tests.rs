//! The machines on rows, through a restart after every one of them.

use super::*;
use crate::event::CallSettings;
use crate::parser::encoding::Decoder;
use crate::parser::format::FormatTable;
use crate::parser::presets;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// One source's machines and what a queue would keep of them.
struct Bench {
    format: Format,
    parser: Parser,
    settings: Settings,
    calls: CallSettings,
    stored: BTreeMap<String, Vec<u8>>,
    derive: Derive,
    now: Now,
    offset: u64,
    fates: Vec<Fate>,
    /// Begins anew from what is stored after every row and every tick.
    forgetful: bool,
    /// Its rows are pushed.
    is_pushed: bool,
}

fn maker(calls: &CallSettings) -> Maker {
    Maker::new("vos-1".into(), "s".into(), calls.clone())
}

impl Bench {
    fn new(format: Format, settings: Settings) -> Bench {
        Bench::in_encoding(format, settings, "utf-8")
    }

    fn in_encoding(format: Format, settings: Settings, encoding: &str) -> Bench {
        let calls = CallSettings {
            currency: Some("USD".to_owned()),
            ..CallSettings::default()
        };
        let parser = Parser::new(parser::Settings {
            format: format.clone(),
            decoder: Decoder::for_label(encoding).unwrap(),
            timezone: Some(TimeZone::UTC),
            header: Header::Absent,
        });
        let mut bench = Bench {
            derive: Derive::new(settings.clone(), maker(&calls), &format, &[]),
            parser,
            format,
            settings,
            calls,
            stored: BTreeMap::new(),
            now: Now {
                moment: Moment::default(),
                wall: UnixMs(1_775_835_000_000), // 2026-04-10T15:30:00Z
            },
            offset: 0,
            fates: Vec::new(),
            forgetful: true,
            is_pushed: false,
        };
        bench.parser.set_circumstances(bench.now.wall, false);
        bench
    }

    fn advance(&mut self, span: Duration) {
        self.now.moment = self.now.moment + span;
        self.now.wall = self.now.wall.after(span);
    }

    /// As a commit and a restart would.
    fn commit(&mut self) {
        let mut changes = Vec::new();
        self.derive.take_changes(&mut changes);
        for change in changes {
            match change.value {
                Some(value) => drop(self.stored.insert(change.name, value)),
                None => drop(self.stored.remove(&change.name)),
            }
        }
        if self.forgetful {
            let stored: Vec<_> = self.stored.clone().into_iter().collect();
            let maker = maker(&self.calls);
            let derive = Derive::new(self.settings.clone(), maker, &self.format, &stored);
            self.derive = match self.is_pushed {
                true => derive.expecting_repeats(&stored),
                false => derive,
            };
        }
    }

    /// Feeds complete lines; gives the events.
    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let (mut at, mut told) = (0, Vec::new());
        while at < bytes.len() {
            let fate = match self.parser.next(&bytes[at..], false, true) {
                Step::Record {
                    record,
                    bytes: taken,
                    ..
                } => {
                    let origin = Origin {
                        first_row: &[7; 32],
                        offset: self.offset,
                        raw: &bytes[at..at + taken],
                    };
                    at += taken;
                    self.derive
                        .take(&record, &self.format, origin, self.now, &mut told)
                }
                Step::Unwanted { bytes, .. } => {
                    at += bytes;
                    Fate::Filtered
                }
                Step::Skipped { bytes, .. } => {
                    at += bytes;
                    continue;
                }
                Step::Rejected { reject, bytes, .. } => {
                    at += bytes;
                    Fate::Misfit(reject)
                }
                Step::More => panic!("the lines are complete"),
            };
            self.fates.push(fate);
            self.offset += 1_000;
            if self.forgetful {
                self.commit();
            }
        }
        self.commit();
        told
    }

    /// How many lines are held, and marks of calls told.
    fn held(&self) -> usize {
        let names = self.stored.keys();
        names.filter(|name| name.contains("/join/")).count()
    }

    /// How many of them are calls without an end.
    fn calls_up(&self) -> usize {
        let held = self.derive.held.entries();
        held.filter(|(_, held)| !held.bye).count()
    }

    fn tick(&mut self) -> Vec<Event> {
        let mut told = Vec::new();
        self.derive.tick(self.now, true, &mut told);
        self.commit();
        told
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/tests/fixtures/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

fn preset(name: &str) -> Format {
    presets::find(name).unwrap()
}

fn own(text: &str) -> Format {
    let table: FormatTable = toml::from_str(&format!("name = \"own\"\n{text}")).unwrap();
    Format::from_table(&table).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn data(event: &Event) -> Json {
    serde_json::from_slice(&event.data).unwrap()
}

/// `kind state object repeats` of each.
fn states(events: &[Event]) -> Vec<String> {
    let text = |event: &Event, key: &str| {
        let data = data(event);
        data[key]
            .as_str()
            .map_or(data[key].to_string(), str::to_owned)
    };
    events
        .iter()
        .map(|event| match &*event.kind {
            "balance_alert" => format!(
                "{} {} {}",
                text(event, "alert_type"),
                text(event, "account_id"),
                text(event, "alert_threshold")
            ),
            kind => format!("{kind} {} {}", text(event, "state"), text(event, "object")),
        })
        .collect()
}

const LOG4J: [&str; 8] = [
    "alarm raised CLIENT001",
    "low_balance CLIENT001 20.00",
    "alarm raised GW-OUT-UK-A",
    "alarm raised /",
    "alarm cleared GW-OUT-UK-A",
    "alarm raised RESELL-07",
    "low_balance RESELL-07 10.00",
    "",
];

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

#[test]
fn the_samples_of_alarms_give_the_alarms_they_hold() {
    for (name, encoding, alarms, lines) in [
        ("vos3000/alarm-log/alarm-log4j.log", "utf-8", 5, 11),
        ("vos3000/alarm-log/alarm-pipe.log", "utf-8", 4, 4),
        ("vos3000/alarm-log/alarm-chinese-utf8.log", "utf-8", 3, 3),
        ("nasty/alarm-chinese-gbk.log", "gbk", 3, 3),
    ] {
        let mut bench = Bench::in_encoding(preset("vos3000-alarm"), Settings::default(), encoding);
        let events = bench.feed(&fixture(name));
        let count = events
            .iter()
            .filter(|event| &*event.kind == "alarm")
            .count();
        let misfits = bench
            .fates
            .iter()
            .filter(|fate| matches!(fate, Fate::Misfit(_)));
        assert_eq!(
            (count, misfits.count(), bench.fates.len()),
            (alarms, 0, lines),
            "{name}"
        );
        let again = bench.feed(&fixture(name));
        let distinct: BTreeSet<_> = events.iter().chain(&again).map(|event| event.id).collect();
        // What is raised still is not told again, what was cleared is, with the ids it had.
        assert_eq!(distinct.len(), events.len(), "{name}");
    }
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let events = bench.feed(&fixture("vos3000/alarm-log/alarm-log4j.log"));
    let expected = LOG4J
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| (*text).to_owned());
    assert_eq!(sorted(states(&events)), sorted(expected.collect()));
}

#[test]
fn an_alarm_says_what_the_contract_says_in_its_order() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let events = bench.feed(&fixture("vos3000/alarm-log/alarm-log4j.log"));
    let cleared = events
        .iter()
        .find(|event| data(event)["state"] == "cleared")
        .unwrap();
    assert_eq!(
        std::str::from_utf8(&cleared.data).unwrap(),
        "{\"alarm_type\":\"20000\",\"alarm_name\":\"out-gateway ASR\",\"level\":\"minor\",\"object\":\"GW-OUT-UK-A\",\
         \"value\":\"38.90\",\"upper\":null,\"lower\":\"35.00\",\"state\":\"cleared\",\"started_at\":\"2026-04-10T14:36:00.481Z\",\
         \"cleared_at\":\"2026-04-10T14:52:30.233Z\",\"message\":\"2026-04-10 14:52:30,233 INFO  [AlarmManager] type=20000 level=1 \
         name=GW-OUT-UK-A value=38.90 lower=35.00 state=clear\",\"repeats\":0}"
    );
    let balance = events
        .iter()
        .find(|event| &*event.kind == "balance_alert")
        .unwrap();
    assert_eq!(
        std::str::from_utf8(&balance.data).unwrap(),
        "{\"account_id\":\"CLIENT001\",\"account_type\":null,\"current_balance\":\"15.50\",\"currency\":\"USD\",\
         \"alert_threshold\":\"20.00\",\"alert_type\":\"low_balance\",\"credit_limit\":null,\"level\":1}"
    );
    assert_eq!(balance.labels.account.as_deref(), Some("CLIENT001"));
}

#[test]
fn a_repeat_is_counted_and_told_with_its_count_when_it_is_due() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let line =
        |time: &str, state: &str| format!("2026-04-10 {time}|20005|3|/|93.00|90.00||{state}\n");
    let text: String = [
        line("10:00:00", "raise"),
        line("10:05:00", "raise"),
        line("10:10:00", "raise"),
        line("11:00:00", "raise"),
        line("11:10:00", "raise"),
        line("11:20:00", "clear"),
        line("11:21:00", "clear"),
        line("11:30:00", "stuck"),
    ]
    .concat();
    let events = bench.feed(text.as_bytes());
    let told: Vec<_> = events
        .iter()
        .map(|event| format!("{} {}", data(event)["state"], data(event)["repeats"]))
        .collect();
    assert_eq!(told, ["\"raised\" 0", "\"repeated\" 3", "\"cleared\" 4"]);
    let repeated = bench
        .fates
        .iter()
        .filter(|fate| **fate == Fate::Repeated)
        .count();
    assert_eq!(repeated, 4);
    assert_eq!(
        bench.fates.last(),
        Some(&Fate::Misfit(Reject::row(Problem::NotState(
            "stuck".to_owned()
        ))))
    );
}

#[test]
fn the_end_of_an_alarm_passes_what_its_beginning_passed() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?<time>\S+ \S+) (?<level>minor|critical) (?<type>\S+) (?<name>\S+) down$'
event = "alarm"
[[pattern]]
match = '^(?<time>\S+ \S+) (?<type>\S+) (?<name>\S+) up$'
event = "alarm"
state = "cleared"
"#);
    let keep = "level = \"critical\"".parse().unwrap();
    let settings = Settings {
        keep: Filter::from_table(&keep).unwrap(),
        ..Settings::default()
    };
    let mut bench = Bench::new(format, settings);
    let rows = "2026-04-10 10:00:00 critical trunk A down\n2026-04-10 10:00:01 minor trunk B down\n\
                2026-04-10 10:01:00 trunk A up\n2026-04-10 10:01:00 trunk B up\n\
                2026-04-10 10:02:00 minor trunk C down\n2026-04-10 10:03:00 critical trunk C down\n\
                2026-04-10 10:03:00 critical trunk C down\n2026-04-10 10:04:00 trunk C up\n";
    let mut events = Vec::new();
    for row in rows.split_inclusive('\n') {
        events.extend(bench.feed(row.as_bytes()));
        bench.commit();
    }
    assert_eq!(
        states(&events),
        [
            "alarm raised A",
            "alarm cleared A",
            "alarm raised C",
            "alarm cleared C"
        ]
    );
    let since = |index: usize| data(&events[index])["started_at"].clone();
    assert_eq!(since(3), since(2));
    assert_eq!(since(2), "2026-04-10T10:02:00Z");
    assert_eq!(data(&events[1])["level"], "critical");
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn a_cleared_alarm_is_remembered_for_as_long_as_its_pattern_counts_repeats() {
    let mut format = own(
        "reader = \"pattern\"\n[[pattern]]\nmatch = '^(?<time>\\S+ \\S+) (?<type>\\S+) ok$'\nevent = \"alarm\"\nstate = \"cleared\"\n",
    );
    let pairing = format.layouts[0].pairing.as_mut().unwrap();
    pairing.repeat_every = Some(Duration::from_secs(7 * 86_400));
    let mut bench = Bench::new(format, Settings::default());
    let mut told = Vec::new();
    // A job that says each day that all is well.
    for day in 10..18 {
        let row = format!("2026-04-{day} 15:00:00 backup ok\n");
        told.extend(bench.feed(row.as_bytes()));
        bench.tick();
        bench.advance(Duration::from_secs(86_400));
    }
    let days: Vec<_> = told
        .iter()
        .map(|it| data(it)["cleared_at"].clone())
        .collect();
    assert_eq!(days, ["2026-04-10T15:00:00Z", "2026-04-17T15:00:00Z"]);
}

/// A text log of a switch as an operator may want it told.
fn asterisk_full() -> Format {
    own(r#"
reader = "pattern"
[[pattern]]
match = '^\[(?<time>[^\]]+)\] WARNING\[\d+\](?:\[[^\]]*\])? \S+ Contact (?<trunk>[^/]+)/\S+ is now (?<state>Unreachable|Reachable)'
event = "trunk.registration"
key = ["trunk"]
state = { Unreachable = "raised", Reachable = "cleared" }
[[pattern]]
match = '^\[(?<time>[^\]]+)\] (?<level>NOTICE|ERROR)\[\d+\](?:\[[^\]]*\])? \S+ (?<message>.*)'
event = "log"
[[pattern]]
match = '^\[(?<time>[^\]]+)\] VERBOSE\[\d+\]\[(?<call>[^\]]*)\]'
event = "verbose"
"#)
}

#[test]
fn calls_in_free_text_are_calls_by_the_names_of_the_groups() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = 'asterisk\[\d+\]: "(?<caller_id>[^"]*)","(?<called_id>[^"]*)","(?<start_time>[^"]*)","(?<answer_time>[^"]*)","(?<end_time>[^"]*)","(?<bill_duration>\d+)","(?<disconnect_reason>[^"]*)","(?<call_id>[^"]*)"'
event = "cdr"
"#);
    let mut bench = Bench::new(format, Settings::default());
    let rows = "\
Apr 10 10:01:05 pbx asterisk[99]: \"1001\",\"442079460101\",\"2026-04-10 10:00:00\",\"2026-04-10 10:00:05\",\"2026-04-10 10:01:05\",\"60\",\"ANSWERED\",\"1775802495.1\"
Apr 10 10:02:05 pbx asterisk[99]: \"1001\",\"442079460102\",\"2026-04-10 10:02:00\",\"\",\"2026-04-10 10:02:05\",\"0\",\"BUSY\",\"1775802595.3\"
Apr 10 10:02:05 pbx asterisk[99]: Asterisk Ready.
";
    let events = bench.feed(rows.as_bytes());
    let told: Vec<_> = events
        .iter()
        .map(data)
        .map(|data| (data["called_id"].clone(), data["connected"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("442079460101".into(), true.into()),
            ("442079460102".into(), false.into())
        ]
    );
    assert_eq!(data(&events[0])["bill_duration"], 60);
}

#[test]
fn what_comes_and_goes_within_a_second_is_told_with_ids_of_their_own() {
    let mut bench = Bench::new(asterisk_full(), Settings::default());
    let line = |second: u32, state: &str| {
        format!(
            "[Apr 10 14:40:0{second}] WARNING[1830] res_pjsip/pjsip_options.c: Contact uk-a/sip:x is now {state}.\n"
        )
    };
    let mut log = String::new();
    for _ in 0..3 {
        log += &(line(0, "Unreachable") + &line(0, "Reachable"));
    }
    log += &(line(0, "Unreachable") + &line(1, "Reachable") + &line(1, "Unreachable"));
    let events = bench.feed(log.as_bytes());
    assert_eq!(events.len(), 9, "nothing is a repeat");
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(ids.len(), 9, "the last raise would be lost at the receiver");
}

#[test]
fn the_documents_pattern_for_trunks_reads_what_asterisk_writes_at_verbosity_3() {
    let document = include_str!("../../docs/asterisk.md");
    let (_, pattern) = document.split_once("[[source.pattern]]").unwrap();
    let (pattern, _) = pattern.split_once("```").unwrap();
    let format = own(&format!("reader = \"pattern\"\n[[pattern]]\n{pattern}"));
    let mut bench = Bench::new(format, Settings::default());
    let rows = "\
[Apr 10 14:31:40] VERBOSE[1830] res_pjsip/pjsip_options.c: Contact uk-a/sip:203.0.113.21:5060 is now Unreachable.  RTT: 0.000 msec
[2026-04-10 14:32:40.123] VERBOSE[1830][C-00000001] res_pjsip/pjsip_options.c:  -- Contact uk-b/sip:b@203.0.113.22;transport=ws is now Unreachable.  RTT: 0.000 msec
[2026-04-10 14:33:40] VERBOSE[1830] pjsip_options.c:862 sip_options_contact_status_notify_task: Contact uk-a/sip:203.0.113.21:5060 is now Reachable.  RTT: 12.345 msec
";
    let events = bench.feed(rows.as_bytes());
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("object"), text("state"))
        })
        .collect();
    assert_eq!(told, ["uk-a raised", "uk-b raised", "uk-a cleared"]);
}

#[test]
fn the_other_switches_logs_are_read_with_patterns_of_ones_own() {
    let mut bench = Bench::new(asterisk_full(), Settings::default());
    let events = bench.feed(&fixture("asterisk/logs/full"));
    let kinds: Vec<_> = events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["verbose", "log", "trunk.registration", "log"]);
    assert_eq!(
        bench.fates.last(),
        Some(&Fate::Filtered),
        "the line without a level"
    );
    let times: Vec<_> = events.iter().map(|event| event.time.to_string()).collect();
    assert_eq!(times[0], "2026-04-10T14:28:15Z", "a date without a year");
    assert_eq!(times[3], "2026-04-10T14:32:01Z");
    assert_eq!(
        std::str::from_utf8(&events[2].data).unwrap(),
        "{\"event_time\":\"2026-04-10T14:31:40Z\",\"trunk\":\"uk-a\",\"state\":\"raised\",\
         \"started_at\":\"2026-04-10T14:31:40Z\",\"cleared_at\":null,\"repeats\":0}"
    );

    let freeswitch = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?:(?<uuid>[0-9a-f-]{36}) )?(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)(?: [\d.]+%)? \[(?<level>[A-Z]+)\] (?<place>\S+) (?<message>.*)$'
event = "log"
"#);
    let mut bench = Bench::new(freeswitch, Settings::default());
    let events = bench.feed(&fixture("freeswitch/logs/freeswitch.log"));
    assert_eq!(events.len(), 6);
    assert_eq!(
        data(&events[1])["uuid"],
        "5f6a1c3e-0001-4f11-9a01-000000000001"
    );

    let ansi = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?<time>\S+ \S+) (?<level>ERROR) (?<message>.*)$'
event = "log"
"#);
    let mut bench = Bench::new(ansi, Settings::default());
    let events = bench.feed(&fixture("nasty/control-and-ansi.log"));
    assert_eq!(events.len(), 2);
    assert_eq!(
        data(&events[0])["message"],
        "[AlarmManager] name=\u{7}\u{8}bell value=93.00"
    );
    assert_eq!(data(&events[1])["message"], "[X] \u{202e}\u{0} rtl");
}

#[test]
fn conferences_queues_and_agents_are_told_with_what_happened() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = '^\[(?<time>[^\]]+)\] VERBOSE\S+ app_confbridge.c: Channel (?<member>\S+) (?<state>joined|left) conference (?<conference>\S+)'
event = "conference"
state = { joined = "join", left = "leave" }
[[pattern]]
match = '^\[(?<time>[^\]]+)\] VERBOSE\S+ app_confbridge.c: Conference (?<conference>\S+) created'
event = "conference"
state = "started"
[[pattern]]
match = '^\[(?<time>[^\]]+)\] NOTICE\S+ app_queue.c: Agent (?<agent>\S+) is (?<state>\S+)'
event = "agent_state"
"#);
    let mut bench = Bench::new(format, Settings::default());
    let events = bench.feed(
        b"[2026-04-10 14:00:00] VERBOSE[1][C-1] app_confbridge.c: Conference 7000 created\n\
          [2026-04-10 14:00:01] VERBOSE[1][C-1] app_confbridge.c: Channel PJSIP/1-a joined conference 7000\n\
          [2026-04-10 14:00:01] VERBOSE[1][C-2] app_confbridge.c: Channel PJSIP/2-a joined conference 7000\n\
          [2026-04-10 14:09:00] VERBOSE[1][C-1] app_confbridge.c: Channel PJSIP/1-a left conference 7000\n\
          [2026-04-10 14:09:00] NOTICE[1] app_queue.c: Agent 201 is paused\n",
    );
    let told: Vec<_> = events
        .iter()
        .map(|event| format!("{} {}", event.kind, data(event)["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "conference started",
            "conference join",
            "conference join",
            "conference leave",
            "agent_state paused"
        ]
    );
    assert_eq!(
        std::str::from_utf8(&events[1].data).unwrap(),
        "{\"event_time\":\"2026-04-10T14:00:01Z\",\"member\":\"PJSIP/1-a\",\"state\":\"join\",\"conference\":\"7000\"}"
    );
}

#[test]
fn the_first_who_comes_into_a_conference_starts_it_also_over_a_restart() {
    let row = |kind: &str, secs: u32, channel: &str| {
        format!(
            "\"{kind}\",\"17758024{secs}.5\",\"A\",\"101\",\"\",\"\",\"\",\"900\",\"ctx\",\"{channel}\",\"ConfBridge\",\"7000,opt\",\"3\",\"ACC\",\"{channel}\",\"1.1\",\"\",\"\",\"{{\"\"bridge_id\"\":\"\"b-1\"\"}}\"\n"
        )
    };
    let mut bench = Bench::new(preset("asterisk-cel"), Settings::default());
    let mut told = Vec::new();
    for (kind, secs, channel) in [
        ("BRIDGE_ENTER", 10, "P/1"),
        ("BRIDGE_ENTER", 11, "P/2"),
        ("BRIDGE_EXIT", 12, "P/1"),
        ("BRIDGE_EXIT", 13, "P/2"),
        ("BRIDGE_ENTER", 13, "P/2"),
    ] {
        told.extend(bench.feed(row(kind, secs, channel).as_bytes()));
        bench.commit();
    }
    let brief = |event: &Event| {
        let data = data(event);
        let state = data["state"].as_str().unwrap().to_owned();
        format!(
            "{} {state} {}",
            event.kind,
            data["channel"].as_str().unwrap()
        )
    };
    assert_eq!(
        told.iter().map(brief).collect::<Vec<_>>(),
        [
            "conference started P/1",
            "conference join P/1",
            "conference join P/2",
            "conference leave P/1",
            "conference leave P/2",
            "conference ended P/2",
            "conference started P/2",
            "conference join P/2",
        ]
    );
    let ids: BTreeSet<_> = told.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), told.len());
    let (start, join) = (data(&told[0]), data(&told[1]));
    assert_eq!(start["conference"], join["conference"]);
    assert_eq!(told[0].labels, told[1].labels);
}

#[test]
fn the_example_of_the_documents_works() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sources.md")).unwrap();
    let mut blocks = document
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let block = blocks
        .find(|block| block.contains("[[source.pattern]]"))
        .unwrap();
    let example: toml::Table = block.parse().unwrap();
    let patterns = example["source"][0]["pattern"].clone();
    let table = FormatTable {
        name: "pattern".to_owned(),
        reader: "pattern".to_owned(),
        pattern: patterns.try_into().unwrap(),
        ..FormatTable::default()
    };
    let format = Format::from_table(&table).unwrap();
    let mut bench = Bench::new(format, Settings::default());
    let events = bench.feed(&fixture("asterisk/logs/full"));
    assert_eq!(states(&events), ["alarm raised uk-a"]);
    assert_eq!(data(&events[0])["alarm_type"], "registration");
    let back = "[Apr 10 14:40:00] WARNING[1830] res_pjsip/pjsip_options.c: Contact uk-a/sip:x is now Reachable.\n";
    assert_eq!(states(&bench.feed(back.as_bytes())), ["alarm cleared uk-a"]);
}

#[test]
fn lines_that_continue_a_record_are_part_of_it() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?<time>\S+ \S+) ERROR \[DbPool\] (?<what>.*)$'
event = "log"
continues = '^(?:\s|Caused by|[a-z]+\.)'
fields = { message = "$text", line = "$line", origin = "database" }
"#);
    let mut bench = Bench::new(format, Settings::default());
    let events = bench.feed(&fixture("vos3000/alarm-log/alarm-log4j.log"));
    assert_eq!(events.len(), 1);
    let data = data(&events[0]);
    assert_eq!(data["what"], "getConnection failed");
    assert_eq!(data["origin"], "database");
    assert_eq!(data["message"].as_str().unwrap().lines().count(), 6);
    assert!(data["message"].as_str().unwrap().ends_with("... 2 more"));
    assert_eq!(
        bench.fates.len(),
        6,
        "five alarms and one record of six lines"
    );
}

#[test]
fn lines_that_continue_a_record_are_text_as_its_first_line_is() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?<time>\S+ \S+) ERROR (?<what>.*)$'
event = "log"
continues = '^at '
fields = { message = "$text" }
"#);
    let mut bench = Bench::new(format, Settings::default());
    let row =
        b"2026-04-10 14:00:00 ERROR x\n\x1b[31mat a\x1b[0m\nat \xff\n2026-04-10 14:00:01 ERROR y\n";
    let events = bench.feed(row);
    assert_eq!(
        data(&events[0])["message"],
        "2026-04-10 14:00:00 ERROR x\nat a\nat \u{fffd}"
    );
    assert!(data(&events[0])["raw_base64"].is_string());
    assert!(data(&events[1]).get("raw_base64").is_none());
}

#[test]
fn a_record_waits_for_lines_that_continue_it_and_no_longer_than_it_is_told_to() {
    let format = own(r#"
reader = "pattern"
[[pattern]]
match = '^(?<time>\S+ \S+) ERROR (?<what>.*)$'
event = "log"
continues = '^\s'
"#);
    let mut bench = Bench::new(format, Settings::default());
    let first = b"2026-04-10 14:38:11 ERROR x\n";
    let parser = &mut bench.parser;
    assert!(matches!(parser.next(first, false, false), Step::More));
    let both = [&first[..], b"\tat y\n"].concat();
    assert!(matches!(parser.next(&both, false, false), Step::More));
    let all = [&both[..], b"2026-04-10 14:38:12 other\n"].concat();
    assert!(matches!(
        parser.next(&all, false, false),
        Step::Record { lines: 2, .. }
    ));
    parser.set_circumstances(UnixMs(0), true);
    assert!(matches!(
        parser.next(&both, false, false),
        Step::Record { lines: 2, .. }
    ));
    let endless = [&first[..], &b"\tat y\n".repeat(100)].concat();
    let Step::Record { lines, .. } = parser.next(&endless, false, false) else {
        panic!("a record")
    };
    assert_eq!(lines, parser::RECORD_LINES_MAX);
}

/// Balances as an export writes them.
fn balances(event: &str) -> Format {
    own(&format!(
        r#"
reader = "delimited"
delimiter = ","
event = "{event}"
[[layout]]
name = "own"
columns = [
  {{ name = "t", type = "time", as = "event_time" }},
  {{ name = "account", as = "account_id" }},
  {{ name = "money", type = "money", as = "current_balance" }},
  {{ name = "limit", type = "money", as = "credit_limit" }},
]
"#
    ))
}

fn thresholds(all: &[&str]) -> Settings {
    let all = all
        .iter()
        .map(|text| balance::Threshold::parse(text).unwrap());
    Settings {
        thresholds: Thresholds {
            all: all.collect(),
            ..Thresholds::default()
        },
        ..Settings::default()
    }
}

#[test]
fn a_column_of_balances_tells_each_crossing_once_through_restarts() {
    let settings = thresholds(&["50", "20", "10"]);
    let mut bench = Bench::new(balances("balance_alert"), settings);
    let rows = "2026-04-10 00:00:00,A,60.00,0\n2026-04-10 01:00:00,A,19.5,0\n2026-04-10 02:00:00,A,19.4,0\n\
                2026-04-10 03:00:00,B,5,100\n2026-04-10 04:00:00,A,70,0\n2026-04-10 05:00:00,A,x,0\n2026-04-10 05:00:00,,7,0\n";
    let events = bench.feed(rows.as_bytes());
    assert_eq!(
        states(&events),
        [
            "low_balance A 50",
            "low_balance A 20",
            "low_balance B 50",
            "low_balance B 20",
            "low_balance B 10",
            "recovered A 50",
            "recovered A 20"
        ]
    );
    assert_eq!(data(&events[2])["credit_limit"], "100");
    let fates: Vec<_> = bench.fates.iter().map(|fate| format!("{fate:?}")).collect();
    assert_eq!(fates[..5], ["Repeated", "Told", "Repeated", "Told", "Told"]);
    assert!(
        fates[5].contains("NotMoney") && fates[6].contains("Missing"),
        "{fates:?}"
    );
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn a_balance_alarm_of_the_switch_that_ended_and_begins_again_is_told_again() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let rows = "2026-04-10 10:00:00|20007|2|A|45.00||50.00|raise\n\
                2026-04-10 10:05:00|20007|2|A|19.00||20.00|raise\n\
                2026-04-10 11:00:00|20007|2|A|||20.00|clear\n\
                2026-04-10 12:00:00|20007|2|A|45.00||50.00|clear\n\
                2026-04-10 13:00:00|20007|2|A|44.00||50.00|raise\n\
                2026-04-12 13:00:00|20007|2|A|51.00||50.00|clear\n\
                2026-04-12 14:00:00|20007|2|A|43.00||50.00|raise\n";
    let events = bench.feed(rows.as_bytes());
    let alerts: Vec<_> = events
        .iter()
        .filter(|event| &*event.kind == BALANCE_ALERT)
        .cloned()
        .collect();
    assert_eq!(
        states(&alerts),
        [
            "low_balance A 50.00",
            "low_balance A 20.00",
            "recovered A 20.00",
            "recovered A 50.00",
            // At 13:00 of the first day it was told within a day.
            "low_balance A 50.00",
        ]
    );
    let balance = |index: usize| data(&alerts[index])["current_balance"].clone();
    assert_eq!((balance(2), balance(3)), (Json::Null, Json::Null));
    assert_eq!(balance(4), "43.00");
}

#[test]
fn a_balance_told_without_a_threshold_does_not_make_the_switchs_own_forgotten() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let mut told = Vec::new();
    for (secs, balance, threshold) in [
        (0, "45", Some("50")),
        (60, "46", None),
        (120, "44", Some("50")),
        (180, "56", None),
        (240, "43", Some("50")),
    ] {
        let seen = Observation {
            account: "A",
            balance: Some(balance),
            at: Timestamp::from_secs(1_775_835_000 + secs),
            ended: false,
            threshold,
            account_type: None,
            currency: None,
            credit_limit: None,
        };
        bench.derive.observe(seen, &mut told);
        bench.commit();
    }
    assert_eq!(states(&told), ["low_balance A 50", "recovered A 50"]);
}

#[test]
fn an_alarm_that_ended_above_a_configured_threshold_recovers_it() {
    let mut bench = Bench::new(preset("vos3000-alarm"), thresholds(&["50", "20"]));
    let rows = "2026-04-10 10:00:00|20007|2|A|15||40|raise\n\
                2026-04-10 11:00:00|20007|2|A|||40|clear\n";
    let events = bench.feed(rows.as_bytes());
    assert_eq!(
        states(&events),
        [
            "low_balance A 50",
            "low_balance A 20",
            "alarm raised A",
            // It is 40 or more: above 20 by a tenth, and not above 50.
            "recovered A 20",
            "alarm cleared A",
        ]
    );
}

#[test]
fn an_alarm_about_a_balance_that_is_no_amount_is_below_the_switchs_bound() {
    let rows = "2026-04-10 10:00:00|20007|2|A|15元||20|raise\n\
                2026-04-10 11:00:00|20007|2|A|30元||20|clear\n\
                2026-04-10 12:00:00|20007|2|B|15元||20元|raise\n";
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let told = bench.feed(rows.as_bytes());
    let of_a = ["low_balance A 20", "alarm raised A", "recovered A 20"];
    assert_eq!(states(&told)[..3], of_a);
    assert_eq!(data(&told[0])["current_balance"], Json::Null);
    assert_eq!(states(&told)[3..], ["alarm cleared A", "alarm raised B"]);

    // Of a lower one nothing is said, neither that it was crossed nor that it is recovered from.
    let mut bench = Bench::new(preset("vos3000-alarm"), thresholds(&["50", "20", "10"]));
    let rows = "2026-04-10 09:00:00|20007|2|A|9||50|raise\n\
                2026-04-10 10:00:00|20007|2|A|-||20|raise\n\
                2026-04-10 10:00:00|20007|2|C|-||20|raise\n";
    let kinds: Vec<_> = states(&bench.feed(rows.as_bytes()))
        .into_iter()
        .filter(|it| !it.starts_with("alarm"))
        .collect();
    let expected = ["low_balance A 50", "low_balance A 20", "low_balance A 10"];
    let of_c = ["low_balance C 50", "low_balance C 20"];
    assert_eq!(kinds, [&expected[..], &of_c[..]].concat());
}

#[test]
fn a_balance_that_is_what_floating_point_leaves_over_is_told() {
    for kind in ["balance_alert", "account"] {
        let mut bench = Bench::new(balances(kind), thresholds(&["5"]));
        let events = bench.feed(b"2026-04-10 01:00:00,A,-2.7755575615628914E-17,0\n");
        assert_eq!(states(&events)[..1], ["low_balance A 5"]);
        let told = &data(&events[0])["current_balance"];
        assert_eq!(told, "-2.7755575615628914E-17", "as it was written");
    }
}

#[test]
fn of_rows_that_tell_balances_alone_those_are_told_that_are_wanted() {
    let mut settings = thresholds(&["20"]);
    let keep = "account_id = \"!=B*\"\nalert_type = \"low_balance\"";
    settings.keep = Filter::from_table(&keep.parse().unwrap()).unwrap();
    let mut bench = Bench::new(balances("balance_alert"), settings);
    let rows =
        "2026-04-10 01:00:00,A,5,0\n2026-04-10 01:00:00,B1,5,0\n2026-04-10 02:00:00,A,70,0\n";
    let events = bench.feed(rows.as_bytes());
    assert_eq!(states(&events), ["low_balance A 20"]);
    assert_eq!(bench.fates, [Fate::Told, Fate::Filtered, Fate::Filtered]);
}

#[test]
fn payments_and_accounts_are_events_and_tell_balances_beside() {
    for kind in ["payment", "account"] {
        let mut bench = Bench::new(balances(kind), thresholds(&["20"]));
        let events = bench.feed(b"2026-04-10 01:00:00,A,19.5,0\n2026-04-10 02:00:00,A,120,0\n");
        let kinds: Vec<_> = events.iter().map(|event| &*event.kind).collect();
        assert_eq!(kinds, ["balance_alert", kind, "balance_alert", kind]);
        assert_eq!(
            std::str::from_utf8(&events[1].data).unwrap(),
            "{\"event_time\":\"2026-04-10T01:00:00Z\",\"account_id\":\"A\",\"current_balance\":\"19.5\",\"credit_limit\":\"0\"}"
        );
        assert_eq!(events[1].labels.account.as_deref(), Some("A"));
    }
}

#[test]
fn exports_of_payments_and_accounts_are_told_with_the_columns_of_their_presets() {
    let mut bench = Bench::new(preset("payment-export"), thresholds(&["20"]));
    let events = bench.feed(
        b"CLIENT001,100.00,115.50,1775802900000,0,0,admin\nB,-5,19.99,2026-04-10 06:35:00,5,1,\n",
    );
    let kinds: Vec<_> = events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["payment", "balance_alert", "payment"]);
    assert_eq!(
        std::str::from_utf8(&events[0].data).unwrap(),
        "{\"account_id\":\"CLIENT001\",\"amount\":\"100.00\",\"current_balance\":\"115.50\",\
         \"event_time\":\"2026-04-10T06:35:00.000Z\",\"pay_type\":0,\"payment_type\":0,\"login_name\":\"admin\"}"
    );
    let mut bench = Bench::new(preset("account-export"), Settings::default());
    let events = bench.feed("C7,\"Ann, Ltd\",prepaid,created,0,50,1775802900\n".as_bytes());
    assert_eq!(
        std::str::from_utf8(&events[0].data).unwrap(),
        "{\"account_id\":\"C7\",\"account_name\":\"Ann, Ltd\",\"account_type\":\"prepaid\",\"change\":\"created\",\
         \"current_balance\":\"0\",\"credit_limit\":\"50\",\"event_time\":\"2026-04-10T06:35:00Z\"}"
    );
}

/// Lines of db_flatstore.
#[test]
fn an_export_without_a_time_is_not_said_to_be_a_call() {
    let mut bench = Bench::new(preset("account-export"), Settings::default());
    let events = bench.feed(b"A5,x,prepaid,changed,5,,\n");
    let [Fate::Misfit(reject)] = &bench.fates[..] else {
        panic!("{:?}", bench.fates);
    };
    assert_eq!(
        (events.len(), reject.to_string().as_str()),
        (0, "there is no time")
    );
}

fn flatstore() -> Format {
    own(r#"
reader = "delimited"
delimiter = "|"
event = "cdr"
[[layout]]
name = "own"
columns = [
  { name = "method", as = "method" },
  { name = "from_tag", as = "from_tag" },
  { name = "to_tag", as = "to_tag" },
  { name = "callid", as = "call_id" },
  { name = "sip_code", type = "integer", as = "end_reason" },
  { name = "sip_reason", as = "disconnect_reason" },
  { name = "time", type = "time", as = "event_time" },
  { name = "src_user", as = "caller_id" },
  { name = "dst_user", as = "called_id" },
]
"#)
}

const INVITE: &str = "INVITE|a|b|c1|200|OK|1775802498|12025550101|442079460101\n";
const BYE: &str = "BYE|a|b|c1|200|OK|1775802645|12025550101|442079460101\n";

#[test]
fn an_invite_and_its_bye_are_one_call() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    let events = bench.feed(&fixture("opensips/acc_flatstore_1.log"));
    assert_eq!(bench.fates, [Fate::Joined, Fate::Told, Fate::Told]);
    let [answered, failed] = &events[..] else {
        panic!("two calls: {events:?}")
    };
    assert_eq!(
        std::str::from_utf8(&answered.data).unwrap(),
        "{\"call_id\":\"13b24a08@192.0.2.11\",\"caller_id\":\"12025550101\",\"called_id\":\"442079460101\",\
         \"start_time\":\"2026-04-10T06:28:18Z\",\"answer_time\":\"2026-04-10T06:28:18Z\",\"end_time\":\"2026-04-10T06:30:45Z\",\
         \"duration\":147,\"bill_duration\":147,\"rate\":null,\"cost\":null,\"currency\":\"USD\",\"account_id\":null,\"gateway_id\":null,\
         \"disconnect_reason\":\"OK\",\"codec\":null,\"callee_gateway_id\":null,\"end_reason\":200,\"end_direction\":0,\
         \"dialled_id\":null,\"caller_ip\":null,\"callee_ip\":null,\"pdd_ms\":null,\"connected\":true}"
    );
    let failed = data(failed);
    assert_eq!(
        (&failed["connected"], &failed["end_reason"]),
        (&Json::Bool(false), &487.into())
    );
    assert_eq!(failed["disconnect_reason"], "Request Terminated");
    assert_eq!(
        (&failed["duration"], &failed["answer_time"]),
        (&0.into(), &Json::Null)
    );
    assert_eq!(bench.calls_up(), 0);
}

/// `call_id connected end_reason bill_duration` of each call.
fn calls(events: &[Event]) -> Vec<String> {
    let brief = |event: &Event| {
        let data = data(event);
        format!(
            "{} {} {} {}",
            data["call_id"].as_str().unwrap_or("-"),
            data["connected"],
            data["end_reason"],
            data["bill_duration"]
        )
    };
    events.iter().map(brief).collect()
}

#[test]
fn the_lines_of_kamailio_and_opensips_are_calls() {
    let mut bench = Bench::new(preset("kamailio-acc"), Settings::default());
    let events = bench.feed(&fixture("kamailio/acc-syslog.log"));
    assert_eq!(
        calls(&events),
        [
            "13b24a08@192.0.2.11 true 200 147",
            "77aa@192.0.2.11 false 487 0",
            "- true null 147", // The dialog's own line, which names no call.
            "88bb@192.0.2.11 false 503 0"
        ]
    );
    let filtered = bench
        .fates
        .iter()
        .filter(|fate| **fate == Fate::Filtered)
        .count();
    assert_eq!(
        (bench.fates.len(), filtered),
        (7, 2),
        "two lines are other programs'"
    );
    let mut bench = Bench::new(preset("opensips-acc"), Settings::default());
    let events = bench.feed(&fixture("opensips/acc-syslog.log"));
    assert_eq!(
        calls(&events),
        [
            "13b24a08@192.0.2.11 true 200 148",
            "77aa@192.0.2.11 false 487 0"
        ]
    );
    assert_eq!(
        bench.calls_up(),
        0,
        "`call ended` told the call that was held"
    );
    let mut bench = Bench::new(preset("acc-flatstore"), Settings::default());
    let events = bench.feed(&fixture("opensips/acc_flatstore_1.log"));
    assert_eq!(
        calls(&events),
        [
            "13b24a08@192.0.2.11 true 200 147",
            "77aa@192.0.2.11 false 487 0"
        ]
    );
}

#[test]
fn the_order_of_lines_and_the_side_that_hung_up_do_not_matter() {
    let told = |lines: &[&str]| {
        let mut bench = Bench::new(flatstore(), Settings::default());
        let events = bench.feed(lines.concat().as_bytes());
        (events, bench.fates)
    };
    let (in_order, _) = told(&[INVITE, BYE]);
    let (reordered, fates) = told(&[BYE, INVITE]);
    assert_eq!(
        (&in_order, fates),
        (&reordered, vec![Fate::Filtered, Fate::Told])
    );
    let (by_callee, _) = told(&[INVITE, &BYE.replace("a|b", "b|a")]);
    assert_eq!(by_callee[0].id, in_order[0].id);
    assert_eq!(data(&by_callee[0])["end_direction"], 1);
    // Renegotiated, challenged, and what is no call.
    let (one, fates) = told(&[
        &INVITE.replace("|b|c1|200|OK", "||c1|407|Proxy Authentication Required"),
        INVITE,
        &INVITE.replace("498", "500"),
        "OPTIONS|a|b|c1|200|OK|1775802600|1|2\n",
        BYE,
        BYE,
        &INVITE.replace("498", "644"),
    ]);
    assert_eq!(one, in_order);
    assert_eq!(
        fates,
        [
            Fate::Filtered,
            Fate::Joined,
            Fate::Repeated,
            Fate::Filtered,
            Fate::Told,
            Fate::Repeated,
            Fate::Repeated
        ]
    );
}

#[test]
fn a_call_is_told_once_however_often_one_side_wanted_to_change_it_in_vain() {
    let refused = |from: &str| format!("INVITE|{from}|c1|491|Request Pending|1775802600|1|2\n");
    let mut bench = Bench::new(flatstore(), Settings::default());
    for (line, told) in [
        (INVITE, 0),
        (&refused("a|b"), 0),
        (&refused("b|a"), 0),
        (BYE, 1),
        // What the BYE cut short ends after it.
        (&refused("b|a").replace("491", "408"), 0),
        // Another call of the same id: the other side's proxy tried somewhere else.
        (&refused("a|z"), 1),
    ] {
        let events = bench.feed(line.as_bytes());
        assert_eq!(events.len(), told, "{line}");
    }
    bench.advance(join::BYE_WAITS);
    assert_eq!((bench.tick(), bench.held()), (Vec::new(), 0));
}

#[test]
fn a_call_that_failed_is_told_once_whatever_lines_its_branches_have() {
    let mut bench = Bench::new(preset("kamailio-acc"), by_gateway(900));
    let line = |text: &str, tag: &str, code: u16| {
        format!(
            "Apr 10 14:31:22 sbc1 kamailio[1]: ACC: {text}: timestamp=1775802682;method=INVITE;from_tag=a;to_tag={tag};call_id=c1;code={code};reason=No\n"
        )
    };
    let lines = [
        line("call missed", "", 408),
        line("call missed", "", 480),
        line("transaction answered", "", 480),
        line("transaction answered", "b", 200),
    ];
    let events = bench.feed(lines.concat().as_bytes());
    assert_eq!(calls(&events), ["c1 false 408 0"]);
    let expected = [Fate::Told, Fate::Repeated, Fate::Repeated, Fate::Joined];
    assert_eq!(bench.fates, expected);
    let cells = bench.derive.cells.entries();
    let counted: u64 = cells.map(|(_, cell)| cell.calls).sum();
    assert_eq!(counted, 1);
}

#[test]
fn a_call_that_is_answered_after_an_attempt_failed_has_an_id_of_its_own() {
    let failed = |line: &str| line.replace("200|OK", "486|Busy");
    let tagless = |line: &str| line.replace("a|b|", "||");
    let told = |lines: &[String]| -> Vec<EventId> {
        let mut bench = Bench::new(flatstore(), Settings::default());
        let events = bench.feed(lines.concat().as_bytes());
        events.iter().map(|event| event.id).collect()
    };
    for line in [|line: &str| line.to_owned(), tagless] {
        let alone = told(&[line(INVITE), line(BYE)]);
        let attempt = told(&[line(&failed(INVITE))]);
        let both = told(&[line(&failed(INVITE)), line(INVITE), line(BYE)]);
        assert_eq!((alone.len(), both.len()), (1, 2));
        assert_eq!(both[0], attempt[0]);
        assert_ne!(both[0], both[1], "the call would pass for a repeat");
        assert_eq!(
            told(&[line(INVITE), line(&failed(INVITE)), line(BYE)]),
            alone
        );
    }
}

#[test]
fn a_flood_of_byes_that_end_nothing_ends_no_call() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    bench.forgetful = false;
    bench.feed(INVITE.as_bytes());
    let bye = |number: usize| BYE.replace("c1", &format!("x{number}"));
    let flood: String = (0..join::HELD_MAX + 100).map(bye).collect();
    assert_eq!(bench.feed(flood.as_bytes()), []);
    assert_eq!(bench.held(), join::HELD_MAX);
    assert_eq!(bench.derive.take_forgotten(), 0, "no call is");
    let events = bench.feed(BYE.as_bytes());
    assert_eq!(calls(&events), ["c1 true 200 147"]);
    // Nor do they keep calls that are due from being told.
    bench.feed(INVITE.replace("c1", "c2").as_bytes());
    bench.advance(bench.settings.bye_within);
    assert_eq!((bench.tick().len(), bench.held()), (1, 0));
}

#[test]
fn a_bye_that_ends_nothing_takes_no_place_of_a_call() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    bench.forgetful = false;
    let invite = |number: usize| INVITE.replace("c1", &format!("c{number}"));
    let lines: String = (0..join::HELD_MAX).map(invite).collect();
    assert_eq!(bench.feed(lines.as_bytes()), []);
    assert_eq!(bench.feed(BYE.replace("c1", "x").as_bytes()), []);
    assert_eq!(bench.calls_up(), join::HELD_MAX);
    assert_eq!(bench.derive.take_forgotten(), 0);
}

#[test]
fn a_line_too_long_to_be_held_for_its_pair_is_set_aside() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    let long = INVITE.replace("12025550101", &"7".repeat(7_000));
    assert!(bench.feed(long.as_bytes()).is_empty());
    let reason = Reject::row(Problem::TooLong);
    assert_eq!(bench.fates, [Fate::Misfit(reason)]);
}

#[test]
fn a_call_whose_bye_is_lost_is_told_without_an_end_and_marked() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    bench.feed(INVITE.as_bytes());
    bench.advance(Duration::from_secs(12 * 3_600 - 1));
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(1));
    let mut told = Vec::new();
    bench.derive.tick(bench.now, false, &mut told);
    assert_eq!(
        told,
        [],
        "its BYE may be among the rows that are not read yet"
    );
    let events = bench.tick();
    assert_eq!(events.len(), 1);
    let call = data(&events[0]);
    assert_eq!(call["disconnect_reason"], "bye_missing");
    assert_eq!(
        (&call["end_time"], &call["bill_duration"]),
        (&Json::Null, &Json::Null)
    );
    assert_eq!(call["connected"], true);
    assert_eq!(
        bench.feed(BYE.as_bytes()),
        [],
        "a BYE that comes after all is counted"
    );
    bench.advance(join::BYE_WAITS);
    assert_eq!((bench.tick(), bench.held()), (Vec::new(), 0));
}

#[test]
fn a_clock_that_is_set_ends_no_call_and_keeps_none_for_ever() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    bench.forgetful = false;
    // The machine started in 1970, and learned the time while a call was up.
    let wall = std::mem::replace(&mut bench.now.wall, UnixMs(60_000));
    bench.feed(INVITE.as_bytes());
    bench.now.wall = wall;
    bench.now.moment = bench.now.moment + Duration::from_secs(60);
    assert_eq!(bench.tick(), []);
    assert_eq!(bench.feed(BYE.as_bytes()).len(), 1);
    // A call that was held when the clock showed a later time than it does after a restart.
    let restart = |bench: &mut Bench| {
        bench.forgetful = true;
        bench.commit();
        bench.forgetful = false;
    };
    restart(&mut bench);
    bench.feed(INVITE.replace("c1", "c2").as_bytes());
    restart(&mut bench);
    bench.now.wall = UnixMs(0);
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(bench.tick().len(), 1);
}

#[test]
fn more_calls_than_there_is_room_for_are_told_not_forgotten() {
    let mut bench = Bench::new(flatstore(), Settings::default());
    bench.forgetful = false;
    let invite = |number: usize| INVITE.replace("c1", &format!("c{number}"));
    let lines: String = (0..join::HELD_MAX + 5).map(invite).collect();
    let events = bench.feed(lines.as_bytes());
    assert_eq!(events.len(), 5);
    assert_eq!(data(&events[0])["disconnect_reason"], "bye_missing");
    assert_eq!(bench.stored.len(), join::HELD_MAX);
    assert_eq!(bench.derive.take_forgotten(), 0);
}

fn by_gateway(every_secs: u64) -> Settings {
    Settings {
        summary: Some(SummarySettings {
            every: Duration::from_secs(every_secs),
            by: By::Gateway,
            wait: Duration::from_secs(60),
        }),
        ..Settings::default()
    }
}

#[test]
fn figures_per_gateway_are_told_once_per_interval_of_the_calls_own_time() {
    let mut bench = Bench::new(preset("vos3000-csv"), by_gateway(3_600));
    let file = fixture("vos3000/server-csv/cdr_20260410143000.csv");
    let calls = bench.feed(&file);
    assert_eq!(calls.len(), 30);
    let events = bench.tick();
    assert!(!events.is_empty());
    let sum = |key: &str| -> i64 {
        events
            .iter()
            .map(|event| data(event)[key].as_i64().unwrap())
            .sum()
    };
    let connected = calls
        .iter()
        .filter(|call| data(call)["connected"] == true)
        .count();
    assert_eq!(
        (sum("calls"), sum("answered")),
        (30, i64::try_from(connected).unwrap())
    );
    let billed: i64 = calls
        .iter()
        .map(|call| data(call)["bill_duration"].as_i64().unwrap())
        .sum();
    assert_eq!(sum("bill_duration"), billed);
    let cost = |event: &Event| data(event)["cost"].as_str().and_then(Amount::parse);
    let total = events
        .iter()
        .filter_map(cost)
        .try_fold(Amount::ZERO, Amount::plus);
    let told = calls
        .iter()
        .filter_map(cost)
        .try_fold(Amount::ZERO, Amount::plus);
    assert_eq!(total, told);
    for event in &events {
        assert_eq!(&*event.kind, "switchhook.summary");
        assert_eq!(event.labels.gateway.as_deref(), data(event)["of"].as_str());
        assert!(data(event)["from"].as_str().unwrap().ends_with(":00:00Z"));
    }
    assert_eq!(bench.tick(), [], "told once");
    // Late calls are in a summary of their own, and none is in two.
    bench.feed(&file[..=memchr::memchr(b'\n', &file).unwrap()]);
    let late = bench.tick();
    assert_eq!((late.len(), &data(&late[0])["calls"]), (1, &1.into()));
    assert!(events.iter().all(|event| event.id != late[0].id));
}

#[test]
fn a_report_that_is_repeated_is_counted_once_also_after_a_restart() {
    let mut bench = Bench::new(preset("vos3000-udp"), by_gateway(900));
    bench.is_pushed = true;
    bench.commit();
    let report = fixture("vos3000/realtime-udp/datagrams.txt");
    let first = bench.feed(&report);
    let again = bench.feed(&report);
    assert!(!first.is_empty() && again.is_empty(), "{}", again.len());
    let summaries = bench.tick();
    let calls: i64 = summaries
        .iter()
        .map(|event| data(event)["calls"].as_i64().unwrap())
        .sum();
    assert_eq!(calls, i64::try_from(first.len()).unwrap());
}

#[test]
fn an_interval_is_told_when_it_is_over_and_its_last_calls_had_time_to_come() {
    let mut bench = Bench::new(balances("cdr").clone(), Settings::default());
    // A format of calls: the column of time marks the end.
    bench.format = own(
        "reader = \"delimited\"\ndelimiter = \",\"\n[[layout]]\nname = \"own\"\ncolumns = [\n{ name = \"t\", type = \"time\", as = \"end_time\" },\n{ name = \"g\", as = \"gateway_id\" }]\n",
    );
    bench = Bench::new(bench.format, by_gateway(900));
    bench.feed(b"2026-04-10 15:29:59,A\n2026-04-10 15:30:00,A\n2036-01-01 00:00:00,A\n");
    let of = |events: &[Event]| -> Vec<_> {
        events
            .iter()
            .map(|event| data(event)["from"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        of(&bench.tick()),
        ["2036-01-01T00:00:00Z"],
        "a time that cannot be waited for"
    );
    bench.advance(Duration::from_secs(59));
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(1));
    assert_eq!(of(&bench.tick()), ["2026-04-10T15:15:00Z"]);
    bench.advance(Duration::from_secs(900));
    assert_eq!(of(&bench.tick()), ["2026-04-10T15:30:00Z"]);
}

#[test]
fn what_was_counted_before_the_settings_changed_is_told_as_it_was_counted() {
    let format = own(
        "reader = \"delimited\"\ndelimiter = \",\"\n[[layout]]\nname = \"own\"\ncolumns = [\n{ name = \"t\", type = \"time\", as = \"end_time\" },\n{ name = \"g\", as = \"gateway_id\" },\n{ name = \"a\", as = \"account_id\" }]\n",
    );
    let mut bench = Bench::new(format, by_gateway(900));
    bench.feed(b"2026-04-10 15:30:00,X,B\n");
    let by_account = SummarySettings {
        every: Duration::from_secs(3_600),
        by: By::Account,
        wait: Duration::ZERO,
    };
    bench.settings.summary = Some(by_account);
    bench.commit();
    bench.feed(b"2026-04-10 15:30:01,Y,X\n");
    bench.advance(Duration::from_secs(3_600));
    let told = bench.tick();
    let said = |event: &Event| {
        let data = data(event);
        ["by", "of", "from", "to"].map(|key| data[key].as_str().unwrap().to_owned())
    };
    let said: Vec<_> = told.iter().map(said).collect();
    let expected = [
        [
            "account",
            "X",
            "2026-04-10T15:00:00Z",
            "2026-04-10T16:00:00Z",
        ],
        [
            "gateway",
            "X",
            "2026-04-10T15:30:00Z",
            "2026-04-10T15:45:00Z",
        ],
    ];
    assert_eq!(said, expected);
    assert_eq!(told[1].labels.gateway.as_deref(), Some("X"));
}

#[test]
fn what_is_kept_is_told_and_all_of_it_is_counted() {
    let keep = "connected = true\nbill_duration = \">=60\""
        .parse::<toml::Table>()
        .unwrap();
    let settings = Settings {
        keep: Filter::from_table(&keep).unwrap(),
        ..by_gateway(86_400)
    };
    let mut bench = Bench::new(preset("vos3000-csv"), settings);
    let events = bench.feed(&fixture("vos3000/server-csv/cdr_20260410143000.csv"));
    let filtered = bench
        .fates
        .iter()
        .filter(|fate| **fate == Fate::Filtered)
        .count();
    assert!(!events.is_empty() && filtered > 0);
    assert_eq!(events.len() + filtered, 30);
    for event in &events {
        let data = data(event);
        assert!(data["connected"] == true && data["bill_duration"].as_i64() >= Some(60));
    }
    bench.advance(Duration::from_secs(2 * 86_400));
    let calls: i64 = bench
        .tick()
        .iter()
        .map(|event| data(event)["calls"].as_i64().unwrap())
        .sum();
    assert_eq!(calls, 30);
}

fn silence(secs: u64) -> Settings {
    Settings {
        silent_after: Some(Duration::from_secs(secs)),
        ..Settings::default()
    }
}

#[test]
fn a_silence_is_told_once_and_so_is_its_end_also_through_restarts() {
    let mut bench = Bench::new(flatstore(), silence(600));
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(599));
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(1));
    let raised = bench.tick();
    assert_eq!(raised.len(), 1);
    assert_eq!(
        std::str::from_utf8(&raised[0].data).unwrap(),
        "{\"source\":\"s\",\"state\":\"raised\",\"silent_since\":\"2026-04-10T15:30:00Z\",\"silent_after\":600,\"ended_at\":null}"
    );
    bench.advance(Duration::from_secs(3_600));
    assert_eq!(bench.tick(), []);
    let mut ended = Vec::new();
    bench.derive.rows_came(bench.now, &mut ended);
    bench.commit();
    assert_eq!(
        (ended.len(), &data(&ended[0])["state"]),
        (1, &Json::from("cleared"))
    );
    bench.derive.rows_came(bench.now, &mut ended);
    assert_eq!(ended.len(), 1);
    bench.advance(Duration::from_secs(600));
    let again = bench.tick();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, raised[0].id);
}

#[test]
fn the_agents_own_absence_is_no_silence_of_what_is_pushed() {
    let mut bench = Bench::new(preset("vos3000-udp"), silence(3_600));
    bench.is_pushed = true;
    bench.forgetful = false;
    let restart = |bench: &mut Bench, away: u64| {
        bench.forgetful = true;
        bench.commit();
        bench.forgetful = false;
        bench.now.wall = bench.now.wall.after(Duration::from_secs(away));
    };
    restart(&mut bench, 0);
    let listen = |bench: &mut Bench, minutes: u64| {
        let mut told = Vec::new();
        for _ in 0..minutes {
            bench.advance(Duration::from_secs(60));
            told.extend(bench.tick());
        }
        told.len()
    };
    assert_eq!(listen(&mut bench, 40), 0);
    restart(&mut bench, 10 * 3_600);
    assert_eq!(listen(&mut bench, 10), 0);
    // What it listened for in vain before counts, but for what was not written down.
    restart(&mut bench, 10 * 3_600);
    assert_eq!(listen(&mut bench, 30), 1);
}

#[test]
fn a_machine_that_is_booted_every_day_tells_a_silence_of_a_month() {
    let mut bench = Bench::new(preset("vos3000-udp"), silence(30 * 86_400));
    bench.is_pushed = true;
    let mut told = Vec::new();
    for _ in 0..32 {
        bench.forgetful = true;
        bench.commit();
        bench.forgetful = false;
        for _ in 0..24 {
            bench.advance(Duration::from_secs(3_600));
            told.extend(bench.tick());
        }
    }
    assert_eq!(told.len(), 1);
}

#[test]
fn a_silence_that_was_told_ends_where_nobody_asks_for_silences_any_more() {
    let mut bench = Bench::new(preset("vos3000-udp"), silence(60));
    let mut told = bench.tick();
    bench.advance(Duration::from_secs(120));
    told.extend(bench.tick());
    assert_eq!(told.len(), 1);
    bench.settings.silent_after = None;
    bench.commit();
    bench.derive.rows_came(bench.now, &mut told);
    bench.derive.rows_came(bench.now, &mut told);
    assert_eq!(
        told.iter()
            .map(|event| data(event)["state"].to_string())
            .collect::<Vec<_>>(),
        ["\"raised\"", "\"cleared\""]
    );
}

#[test]
fn a_clock_that_is_set_makes_no_silence() {
    let mut bench = Bench::new(flatstore(), silence(600));
    bench.forgetful = false;
    bench.tick();
    bench.tick();
    bench.now.wall = bench.now.wall.after(Duration::from_secs(86_400));
    assert_eq!(bench.tick(), []);
    bench.advance(Duration::from_secs(600));
    assert_eq!(bench.tick().len(), 1);
}

#[test]
fn a_heartbeat_is_told_once_for_each_interval() {
    let settings = Settings {
        heartbeat_every: Some(Duration::from_secs(60)),
        ..Settings::default()
    };
    let mut bench = Bench::new(flatstore(), settings);
    let mut times = Vec::new();
    for _ in 0..200 {
        times.extend(bench.tick().iter().map(|event| event.time.to_string()));
        bench.advance(Duration::from_secs(1));
    }
    assert_eq!(
        times,
        [
            "2026-04-10T15:30:00Z",
            "2026-04-10T15:31:00Z",
            "2026-04-10T15:32:00Z",
            "2026-04-10T15:33:00Z"
        ]
    );
}

#[test]
fn an_alarm_whose_level_changes_back_and_forth_within_a_second_has_an_id_for_each() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    let line = |second: u32, level: u32, state: &str| {
        format!("2026-04-10 10:00:0{second}|20003|{level}|cpu|1.0|2|1|{state}\n")
    };
    let lines = [
        line(1, 2, "raise"),
        line(1, 1, "raise"),
        line(1, 2, "raise"),
        line(1, 1, "raise"),
        line(2, 2, "raise"),
        line(2, 1, "raise"),
        line(2, 2, "raise"),
        line(2, 2, "clear"),
        line(2, 2, "raise"),
        line(2, 1, "raise"),
        line(2, 2, "raise"),
        line(2, 2, "clear"),
        line(2, 2, "raise"),
        line(2, 1, "raise"),
        line(2, 2, "raise"),
        line(2, 1, "raise"),
    ];
    let told = bench.feed(lines.concat().as_bytes());
    assert_eq!(told.len(), lines.len());
    let ids: BTreeSet<EventId> = told.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), lines.len());
}

#[test]
fn no_two_heartbeats_have_one_id_however_often_their_pace_is_changed() {
    let every = |secs| Settings {
        heartbeat_every: Some(Duration::from_secs(secs)),
        ..Settings::default()
    };
    let mut bench = Bench::new(flatstore(), every(60));
    let (mut ids, mut told) = (BTreeSet::new(), 0);
    for second in 0..300 {
        let paces = [60, 1, 20, 60, 7, 3_600, 1];
        bench.settings = every(paces[second / 13 % paces.len()]);
        for event in bench.tick() {
            told += 1;
            assert!(ids.insert(event.id), "second {second}: {}", event.time);
        }
        bench.advance(Duration::from_secs(1));
    }
    assert!(told > 50, "{told}");
}

#[test]
fn an_alarm_that_stands_is_not_forgotten_for_those_that_came_and_went() {
    let mut bench = Bench::new(preset("vos3000-alarm"), Settings::default());
    bench.forgetful = false;
    let line = |object: &str, state: &str| {
        format!("2026-04-10 10:00:00|20003|2|{object}|1.0|2|1|{state}\n")
    };
    bench.feed(line("long", "raise").as_bytes());
    for number in 0..STANDING_MAX + 10 {
        let name = format!("G{number}");
        bench.feed(
            [line(&name, "raise"), line(&name, "clear")]
                .concat()
                .as_bytes(),
        );
    }
    assert_eq!(bench.stored.len(), STANDING_MAX);
    assert_eq!(bench.derive.take_forgotten(), 11);
    let told = bench.feed(line("long", "clear").as_bytes());
    assert_eq!(data(&told[0])["started_at"], "2026-04-10T10:00:00Z");
}

#[test]
fn accounts_beyond_the_durable_ones_are_not_told_with_every_export() {
    let format = own(
        "reader = \"delimited\"\ndelimiter = \",\"\nevent = \"balance_alert\"\n[[layout]]\nname = \"own\"\ncolumns = [\n{ name = \"t\", type = \"time\", as = \"event_time\" },\n{ name = \"a\", as = \"account_id\" },\n{ name = \"b\", type = \"money\", as = \"current_balance\" }]\n",
    );
    let mut bench = Bench::new(format, thresholds(&["20", "10"]));
    bench.forgetful = false;
    let count = ACCOUNTS_MAX + 2_000;
    let export = |hour: u32, balance: &str| -> String {
        let line = |number: usize| format!("2026-04-10 {hour:02}:00:00,A{number},{balance}\n");
        (0..count).map(line).collect()
    };
    let kinds = |events: &[Event]| {
        let mut kinds = BTreeMap::new();
        for event in events {
            let data = data(event);
            *kinds
                .entry(format!(
                    "{} {}",
                    data["alert_type"], data["alert_threshold"]
                ))
                .or_insert(0) += 1;
        }
        kinds
    };
    let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, usize> {
        let kind = |(kind, bound): &(&str, &str)| (format!("\"{kind}\" \"{bound}\""), count);
        pairs.iter().map(kind).collect()
    };
    let told = bench.feed(export(10, "15").as_bytes());
    assert_eq!(kinds(&told), of(&[("low_balance", "20")]));
    assert_eq!(bench.stored.len(), ACCOUNTS_MAX);
    assert_eq!(bench.feed(export(11, "15").as_bytes()).len(), 0);
    // What changes is told of all of them, also of those that were pushed out.
    let told = bench.feed(export(12, "0").as_bytes());
    assert_eq!(kinds(&told), of(&[("low_balance", "10")]));
    assert_eq!(bench.feed(export(13, "0").as_bytes()).len(), 0);
    let told = bench.feed(export(14, "500").as_bytes());
    assert_eq!(
        kinds(&told),
        of(&[("recovered", "20"), ("recovered", "10")])
    );
    assert_eq!(
        bench.feed(export(15, "0").as_bytes()).len(),
        0,
        "not twice a day"
    );
    assert_eq!(bench.derive.take_forgotten(), 0);
    assert!(bench.stored.len() <= ACCOUNTS_MAX);
}

#[test]
fn every_table_is_bounded() {
    let mut bench = Bench::new(preset("vos3000-alarm"), thresholds(&["20"]));
    bench.forgetful = false;
    let line = |number: usize| format!("2026-04-10 10:00:00|20007|2|A{number}|1.0||20|raise\n");
    let lines: String = (0..ACCOUNTS_MAX + 10).map(line).collect();
    bench.feed(lines.as_bytes());
    assert_eq!(bench.stored.len(), STANDING_MAX + ACCOUNTS_MAX);
    // Of the alarms; the accounts are still known, in memory alone.
    assert_eq!(
        bench.derive.take_forgotten(),
        (ACCOUNTS_MAX + 10 - STANDING_MAX) as u64
    );
    let mut bench = Bench::new(
        own(
            "reader = \"delimited\"\ndelimiter = \",\"\n[[layout]]\nname = \"own\"\ncolumns = [\n{ name = \"t\", type = \"time\", as = \"end_time\" },\n{ name = \"g\", as = \"gateway_id\" }]\n",
        ),
        by_gateway(900),
    );
    bench.forgetful = false;
    let line = |number: usize| format!("2026-04-10 15:29:59,G{number}\n");
    let lines: String = (0..CELLS_MAX + 10).map(line).collect();
    let events = bench.feed(lines.as_bytes());
    let early = events
        .iter()
        .filter(|event| &*event.kind == "switchhook.summary")
        .count();
    assert_eq!(early, 10, "what there is no room for is told early");
}

/// How many lines a second a text log is read with, on one core.
#[test]
#[ignore = "measures"]
fn lines_of_a_log_per_second() {
    let text = fixture("asterisk/logs/full");
    let lines = memchr::memchr_iter(b'\n', &text).count();
    let format = asterisk_full();
    let mut parser = Parser::new(parser::Settings {
        format: format.clone(),
        decoder: Decoder::UTF_8,
        timezone: Some(TimeZone::UTC),
        header: Header::Absent,
    });
    let mut derive = Derive::new(
        Settings::default(),
        maker(&CallSettings::default()),
        &format,
        &[],
    );
    let now = Now {
        moment: Moment::default(),
        wall: UnixMs(1_775_835_000_000),
    };
    let began = std::time::Instant::now();
    let (mut told, rounds) = (Vec::new(), 20_000);
    for _ in 0..rounds {
        let mut at = 0;
        while at < text.len() {
            at += match parser.next(&text[at..], false, true) {
                Step::Record { record, bytes, .. } => {
                    let origin = Origin {
                        first_row: &[0; 32],
                        offset: at as u64,
                        raw: &text[at..at + bytes],
                    };
                    derive.take(&record, &format, origin, now, &mut told);
                    bytes
                }
                Step::Unwanted { bytes, .. } | Step::Skipped { bytes, .. } => bytes,
                step => panic!("{step:?}"),
            };
        }
        told.clear();
    }
    let secs = began.elapsed().as_secs_f64();
    let rate = f64::from(rounds) * lines as f64 / secs;
    let _told = writeln!(std::io::stderr(), "{rate:.0} lines/s");
}
