//! What rows mean together, as a receiver sees it: alarms, balances and joined calls, with the
//! agent killed and started again in between.

use crate::support::{Bench, PATIENCE, receiver, run, text, wait_until};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;
use switchhook::receiver::{Arrival, Profile, Receiver};

/// Appends to a log that the agent follows.
fn write(bench: &Bench, text: &str) {
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(bench.path("cdr/switch.log"))
        .unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

/// Writes a configuration with one source of `keys` and an endpoint for everything, in the order it is
/// told: two senders side by side would leave that to chance.
fn configure(bench: &Bench, keys: &str, url: &str) {
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n[[source]]\nname = \"log\"\n\
         files = [\"{}/cdr/*.log\"]\nstart = \"beginning\"\npoll = \"50ms\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{keys}\n\n\
         [[endpoint]]\nname = \"desk\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\nprofile = \"vos3000\"\norder = \"strict\"\n",
        bench.dir.path().display()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

/// Stack traces: lines that begin with a space belong to the one before them.
const TRACES: &str = "format = \"pattern\"\n[[source.pattern]]\nmatch = '^(?<time>\\S+ \\S+) ERROR (?<what>.*)$'\nevent = \"log\"\n\
     continues = '^\\s'\nfields = { message = \"$text\" }";

/// A source of `keys` and a receiver of everything.
fn set_up(keys: &str) -> (Bench, Receiver, mpsc::Receiver<Arrival>) {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    let arrivals = receiver.arrivals();
    configure(&bench, keys, &receiver.url());
    (bench, receiver, arrivals)
}

/// The next event's body.
#[track_caller]
fn next(arrivals: &mpsc::Receiver<Arrival>) -> Value {
    let arrival = arrivals.recv_timeout(PATIENCE).unwrap();
    assert!(arrival.signature.is_ok());
    serde_json::from_slice(&arrival.body).unwrap()
}

/// `event state-or-type subject` of one.
fn brief(body: &Value) -> String {
    let data = &body["data"];
    let first = |keys: &[&str]| {
        let mut found = keys.iter().filter_map(|key| data[key].as_str());
        found.next().unwrap_or("").to_owned()
    };
    let what = first(&["alert_type", "state", "disconnect_reason"]);
    let subject = first(&["alert_threshold", "object", "call_id", "source"]);
    format!("{} {what} {subject}", body["event"].as_str().unwrap())
}

/// Waits until the source has read `rows` rows, by the ledger of an agent that was stopped.
fn rows_of(bench: &Bench) -> u64 {
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    ledger.source("log").map_or(0, |source| source.counts.rows)
}

#[test]
fn an_alarm_is_raised_and_cleared_once_through_a_kill() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    let arrivals = receiver.arrivals();
    configure(&bench, "format = \"vos3000-alarm\"", &receiver.url());
    let log = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/vos3000/alarm-log/alarm-log4j.log"
    ))
    .unwrap();
    let (before, after) = log.split_at(log.find("2026-04-10 14:52:30").unwrap());
    write(&bench, before);
    let agent = bench.agent();
    let mut told: Vec<_> = (0..4).map(|_| brief(&next(&arrivals))).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "alarm raised /",
            "alarm raised CLIENT001",
            "alarm raised GW-OUT-UK-A",
            "balance_alert low_balance 20.00"
        ]
    );
    agent.kill();
    // The switch goes on meanwhile, and says again what it has said.
    write(&bench, before);
    write(&bench, after);
    let agent = bench.agent();
    let mut told = Vec::new();
    // A kill may repeat what was under way, with its id.
    while told.len() < 3 {
        let text = brief(&next(&arrivals));
        if !text.contains("raised GW-OUT-UK-A")
            && !told.contains(&text)
            && !text.ends_with(" /")
            && !text.contains("CLIENT001")
            && !text.ends_with("20.00")
        {
            told.push(text);
        }
    }
    told.sort();
    assert_eq!(
        told,
        [
            "alarm cleared GW-OUT-UK-A",
            "alarm raised RESELL-07",
            "balance_alert low_balance 10.00"
        ]
    );
    assert_eq!(agent.stop(), 0);
    assert_eq!(receiver.account().distinct, 7);
    let ledger = bench.ledger();
    let counts = ledger.source("log").unwrap().counts;
    assert_eq!(
        (
            counts.rows,
            counts.repeated,
            counts.rejected,
            counts.derived
        ),
        (20, 3, 0, 2),
        "{counts:?}"
    );
    assert!(ledger.balances(), "{ledger:?}");
}

#[test]
fn a_balance_that_crosses_is_told_once_however_often_the_agent_is_killed() {
    let kills = std::env::var("SWITCHHOOK_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(6_u64);
    let seed = fastrand::u64(..1_000_000);
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    configure(
        &bench,
        "format = \"delimited\"\ndelimiter = \",\"\nevent = \"balance_alert\"\ncolumns = [{ name = \"t\", type = \"time\", as = \"event_time\" }, \
         { name = \"account\", as = \"account_id\" }, { name = \"money\", type = \"money\", as = \"current_balance\" }]\n\
         [source.thresholds]\n\"*\" = [\"50\", \"20\", \"10\"]",
        &receiver.url(),
    );
    let mut rows = 0_u64;
    for _ in 0..kills {
        let agent = bench.agent();
        for _ in 0..20 {
            // 100 accounts, each of which falls through all of its thresholds and stays there.
            let text: String = (0..50)
                .map(|_| {
                    rows += 1;
                    let cents = 6_000 - 50 * (rows / 100).min(119);
                    format!(
                        "2026-04-10 10:{:02}:{:02},A{},{}.{:02}\n",
                        rows / 600 % 60,
                        rows / 10 % 60,
                        rows % 100,
                        cents / 100,
                        cents % 100
                    )
                })
                .collect();
            write(&bench, &text);
            std::thread::sleep(Duration::from_millis(rng.u64(1..20)));
        }
        agent.kill();
    }
    let last: String = (0..100)
        .map(|account| format!("2026-04-10 11:00:00,A{account},0.50\n"))
        .collect();
    write(&bench, &last);
    let agent = bench.agent();
    wait_until("every account to be told of", || {
        receiver.account().distinct >= 300
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(rows_of(&bench), rows + 100, "seed {seed}");
    let ledger = bench.ledger();
    let source = ledger.source("log").unwrap();
    assert_eq!(
        (
            receiver.account().distinct,
            source.events,
            source.counts.rejected
        ),
        (300, 300, 0),
        "seed {seed}: each threshold of each account once, in the queue too"
    );
}

#[test]
fn an_invite_from_before_a_kill_and_a_bye_from_after_it_are_one_call() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    let arrivals = receiver.arrivals();
    configure(
        &bench,
        "format = \"delimited\"\ndelimiter = \"|\"\ncolumns = [{ name = \"method\", as = \"method\" }, { name = \"from_tag\", as = \"from_tag\" }, \
         { name = \"to_tag\", as = \"to_tag\" }, { name = \"callid\", as = \"call_id\" }, { name = \"code\", type = \"integer\", as = \"end_reason\" }, \
         { name = \"reason\", as = \"disconnect_reason\" }, { name = \"time\", type = \"time\", as = \"event_time\" }, \
         { name = \"src\", as = \"caller_id\" }, { name = \"dst\", as = \"called_id\" }]\n\
         silent_after = \"1s\"\n[source.summary]\nevery = \"1h\"",
        &receiver.url(),
    );
    write(
        &bench,
        "INVITE|a|b|c1|200|OK|1775802498|12025550101|442079460101\n",
    );
    write(
        &bench,
        "INVITE|c|d|c2|200|OK|1775802499|12025550101|442079460101\n",
    );
    let agent = bench.agent();
    // Nothing is told of a call that is up; the silence shows that its line was read.
    assert_eq!(
        brief(&next(&arrivals)),
        "switchhook.source_silent raised log"
    );
    agent.kill();
    write(
        &bench,
        "BYE|b|a|c1|200|OK|1775802645|442079460101|12025550101\n",
    );
    let agent = bench.agent();
    let mut bodies = Vec::new();
    while bodies.len() < 3 {
        let body = next(&arrivals);
        if brief(&body) != "switchhook.source_silent raised log" {
            bodies.push(body);
        }
    }
    // Their order on the way is not promised.
    bodies.sort_by_key(|body| body["event"].as_str().unwrap().to_owned());
    assert_eq!(brief(&bodies[0]), "cdr OK c1");
    let call = &bodies[0]["data"];
    assert_eq!(
        (
            &call["bill_duration"],
            &call["end_direction"],
            &call["answer_time"]
        ),
        (&147.into(), &1.into(), &"2026-04-10T06:28:18Z".into())
    );
    assert_eq!(brief(&bodies[1]), "switchhook.source_silent cleared log");
    assert_eq!(bodies[2]["event"], "switchhook.summary");
    assert_eq!(bodies[2]["data"]["asr_percent"], "100.00");
    assert_eq!(agent.stop(), 0);
    let counts = bench.ledger().source("log").unwrap().counts;
    assert_eq!((counts.rows, counts.joined), (3, 2));
    assert_eq!(rows_of(&bench), 3);
}

#[test]
fn check_shows_an_alarm_as_it_would_be_told() {
    let bench = Bench::new();
    configure(
        &bench,
        "format = \"vos3000-alarm\"",
        "https://desk.example/",
    );
    write(
        &bench,
        "x\n2026-04-10 14:36:00|20000|1|GW-OUT-UK-A|21.40||35.00|raise\n2026-04-10 14:37:00|20000|1|GW|1|||odd\n",
    );
    let output = run(&[
        "check",
        "--config",
        bench.path("switchhook.toml").to_str().unwrap(),
    ]);
    let shown = text(&output.stdout);
    for expected in [
        "\"alarm_name\":\"out-gateway ASR\",\"level\":\"minor\",\"object\":\"GW-OUT-UK-A\"",
        "\"state\":\"raised\"",
        "1 fit, 1 do not",
        "line 3: \"odd\" is neither raised nor cleared",
    ] {
        assert!(shown.contains(expected), "{expected:?} is not in\n{shown}");
    }
}

#[test]
fn check_says_when_no_line_is_of_a_kind_that_is_told() {
    let bench = Bench::new();
    let keys = "format = \"pattern\"\n[[source.pattern]]\nmatch = '^(?<time>\\S+ \\S+) ALARM (?<type>\\w+)$'\nevent = \"alarm\"";
    configure(&bench, keys, "http://127.0.0.1:9/");
    let config = bench.path("switchhook.toml");
    let check = || text(&run(&["check", "--config", config.to_str().unwrap()]).stdout);
    write(
        &bench,
        "2026-04-10 10:00:00 Alarm trunk\n2026-04-10 10:00:01 Alarm trunk\n",
    );
    let shown = check();
    assert!(
        shown.contains("2 are of a kind that is not told, and no other is there"),
        "{shown}"
    );
    write(&bench, "2026-04-10 10:00:02 ALARM trunk\n");
    let shown = check();
    assert!(
        shown.contains("1 fit, 0 do not\n2 are of a kind that is not told\n"),
        "{shown}"
    );
}

#[test]
fn a_record_that_may_be_continued_is_told_although_other_files_of_the_source_go_on() {
    let (bench, _receiver, arrivals) = set_up(TRACES);
    let _agent = bench.agent();
    let is_read = |line: &str| {
        let config = bench.path("switchhook.toml").display().to_string();
        let shown = text(&run(&["sources", "--json", "--config", &config]).stdout);
        shown.contains(line)
    };
    write(&bench, "2026-04-10 14:38:11,700 ERROR first\n");
    wait_until("the waiting record", || is_read("switch.log"));
    // Rotated while its last record waits, and another file that is whole.
    fs::rename(bench.path("cdr/switch.log"), bench.path("cdr/before.log")).unwrap();
    write(&bench, "2026-04-10 14:38:12,000 ERROR second\n");
    wait_until("both files", || {
        is_read("switch.log") && is_read("before.log")
    });
    fs::write(
        bench.path("cdr/other.log"),
        "2026-04-10 14:38:13,700 INFO x\n",
    )
    .unwrap();
    wait_until("the third file", || is_read("other.log"));
    let mut messages: Vec<_> = (0..2)
        .map(|_| next(&arrivals)["data"]["message"].to_string())
        .collect();
    messages.sort();
    assert!(
        messages[0].contains("first") && messages[1].contains("second"),
        "{messages:?}"
    );
}

#[test]
fn what_a_generation_says_last_is_told_before_what_the_next_one_says() {
    let (bench, _receiver, arrivals) = set_up(
        "format = \"pattern\"\n[[source.pattern]]\nmatch = '^(?<time>\\S+ \\S+) (?<name>\\S+) (?<state>down|up)$'\nevent = \"alarm\"\n\
         continues = '^\\s'\nfields = { alarm_type = \"trunk\", object = \"$name\" }\nstate = { down = \"raised\", up = \"cleared\" }",
    );
    let _agent = bench.agent();
    write(
        &bench,
        "2026-04-10 14:38:10 a down\n2026-04-10 14:38:11 b down\n",
    );
    assert_eq!(brief(&next(&arrivals)), "alarm raised a");
    fs::rename(bench.path("cdr/switch.log"), bench.path("cdr/switch.log.1")).unwrap();
    write(
        &bench,
        "2026-04-10 14:38:12 b up\n2026-04-10 14:38:13 b down\n",
    );
    let told: Vec<_> = (0..3).map(|_| brief(&next(&arrivals))).collect();
    assert_eq!(
        told,
        ["alarm raised b", "alarm cleared b", "alarm raised b"]
    );
}

#[test]
fn a_stack_trace_is_told_soon_although_more_of_it_might_come() {
    let (bench, _receiver, arrivals) = set_up(TRACES);
    let _agent = bench.agent();
    write(
        &bench,
        "2026-04-10 14:38:11,700 ERROR first\n\tat a\n2026-04-10 14:38:12,000 INFO x\n",
    );
    write(&bench, "2026-04-10 14:38:13,700 ERROR second\n\tat b\n");
    let messages: Vec<_> = (0..2)
        .map(|_| {
            next(&arrivals)["data"]["message"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(messages[0].ends_with("ERROR first\n\tat a"), "{messages:?}");
    assert!(
        messages[1].ends_with("ERROR second\n\tat b"),
        "{messages:?}"
    );
}

#[test]
fn the_agent_itself_is_heard_in_every_interval_also_when_no_row_comes_and_once_over_a_restart() {
    let bench = Bench::new();
    let well = receiver(Profile::Standard, &[], 1);
    let configure = |events: &str| {
        bench.configure_with(
            "heartbeat_every = \"1s\"\n[log]\nto = \"stderr\"\n",
            &format!("url = \"{}\"", well.url()),
        );
        let path = bench.path("switchhook.toml");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(&path, config.replace("[\"cdr\"]", events)).unwrap();
    };
    configure("[\"cdr\"]");
    let config = bench.path("switchhook.toml").display().to_string();
    let refused = run(&["check", "--config", &config]);
    assert_eq!(refused.status.code(), Some(78));
    let told = text(&refused.stderr) + &text(&refused.stdout);
    let why = "heartbeat_every: no endpoint wants \"switchhook.heartbeat\"";
    assert!(told.contains(why), "{told}");
    configure("[\"cdr\", \"switchhook.heartbeat\"]");
    let shown = run(&["check", "--config", &config]);
    assert!(text(&shown.stdout).contains("heartbeat_every = \"1s\""));
    let mut beats = 0;
    for _ in 0..2 {
        let agent = bench.agent();
        wait_until("two more heartbeats", || {
            well.account().distinct >= beats + 2
        });
        assert_eq!(agent.stop(), 0);
        beats = well.account().distinct;
    }
    let account = well.account();
    assert_eq!(account.duplicates, 0, "{account:?}");
    assert_eq!(account.kinds.get("switchhook.heartbeat"), Some(&beats));
    assert!(bench.ledger().balances());
}
