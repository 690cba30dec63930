//! The operator at the running agent: every command over the control socket, and who may use it.

use crate::support::{self, Agent, Bench, SECRET, receiver, row, switchhook, text, wait_until};
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Output, Stdio};
use std::thread;
use switchhook::receiver::{Certificate, Profile, Receiver, Settings, Verifier};

/// A telephone number of every row of the bench.
const NUMBER: &str = "447700900999";

impl Bench {
    /// Runs a command against the agent of this bench.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        let config = self.path("switchhook.toml");
        let mut command = switchhook();
        command.args(arguments).arg("--config").arg(config);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Its output, when it ends with `code`.
    #[track_caller]
    pub fn answer(&self, arguments: &[&str], code: i32) -> String {
        let output = self.ask(arguments);
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {out}{error}"
        );
        let all = out + &error;
        assert!(!all.contains(SECRET), "a secret is shown: {all}");
        all
    }

    pub fn status(&self) -> Value {
        let output = self.ask(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    pub fn ready(&self) -> Agent {
        let agent = self.agent();
        wait_until("the control socket", || !self.status().is_null());
        agent
    }

    pub fn write_rows(&self, name: &str, rows: std::ops::Range<u64>) {
        let rows: String = rows.map(row).collect();
        fs::write(self.path("cdr").join(name), rows).unwrap();
    }

    pub fn append_rows(&self, name: &str, rows: std::ops::Range<u64>) {
        let path = self.path("cdr").join(name);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        let rows: String = rows.map(row).collect();
        file.write_all(rows.as_bytes()).unwrap();
    }

    /// Replaces a text in the configuration.
    #[track_caller]
    fn edit(&self, from: &str, to: &str) {
        let path = self.path("switchhook.toml");
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{before}");
        fs::write(&path, before.replace(from, to)).unwrap();
    }
}

pub fn vos3000(receiver: &Receiver, more: &str) -> String {
    format!(
        "url = \"{}\"\nprofile = \"vos3000\"\n{more}",
        receiver.url()
    )
}

pub fn billing(status: &Value) -> &Value {
    &status["endpoints"][0]
}

#[test]
fn without_an_agent_every_command_says_so_and_ends_with_75() {
    let bench = Bench::new();
    bench.configure("url = \"https://127.0.0.1:9/\"");
    for arguments in [
        &["status"][..],
        &["sources"],
        &["tail"],
        &["reload"],
        &["endpoints", "pause", "billing"],
        &["dead-letters", "list"],
        &["replay", "--source", "cdr", "--file", "x"],
    ] {
        let told = bench.answer(arguments, 75);
        assert!(told.contains("the agent is not running"), "{told}");
        assert!(told.contains("control.sock"), "{told}");
    }
    // A socket that a killed agent left says the same, and the next agent replaces it.
    drop(UnixListener::bind(bench.path("control.sock")).unwrap());
    assert!(bench.answer(&["status"], 75).contains("not running"));
    let agent = bench.ready();
    agent.kill();
    assert!(bench.path("control.sock").exists());
    assert!(bench.answer(&["status"], 75).contains("not running"));
    let agent = bench.ready();
    assert_eq!(agent.stop(), 0);
    assert!(!bench.path("control.sock").exists());
}

#[test]
fn status_says_what_works_and_what_does_not_in_words_and_by_its_exit_code() {
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure_with(
        "[log]\nto = \"stderr\"\n[metrics]\ntextfile = \"figures.prom\"\n",
        &vos3000(&receiver, "probe_max = \"300ms\""),
    );
    bench.write_rows("cdr_1.csv", 0..40);
    let agent = bench.ready();
    wait_until("every row to arrive", || receiver.account().distinct == 40);
    wait_until("the deliveries to be durable", || {
        billing(&bench.status())["delivered"] == 40
    });
    let status = bench.status();
    assert_eq!(
        (
            &status["schema"],
            &status["healthy"],
            &status["ledger_balanced"]
        ),
        (&Value::from(1), &Value::from(true), &Value::from(true)),
        "{status:#}"
    );
    assert_eq!(status["sources"][0]["rows"], 40);
    assert_eq!(status["sources"][0]["unread_bytes"], 0);
    assert!(billing(&status)["latency_ms"]["p50"].as_f64() > Some(0.0));
    assert_eq!(billing(&status)["success_share"], 1.0);
    let screen = bench.answer(&["status"], 0);
    assert!(
        screen.contains("healthy") && screen.contains("balanced: 40 rows"),
        "{screen}"
    );
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    let figures = bench.answer(&["status", "--prometheus"], 0);
    let delivered = "switchhook_endpoint_delivered_total{endpoint=\"billing\"} 40";
    assert!(figures.contains(delivered), "{figures}");
    wait_until("the file of figures", || {
        fs::read_to_string(bench.path("figures.prom"))
            .is_ok_and(|text| text.contains("switchhook_up 1"))
    });

    receiver.stop();
    bench.append_rows("cdr_1.csv", 40..50);
    wait_until("the outage to be seen", || {
        billing(&bench.status())["state"] == "failing"
    });
    let status = bench.status();
    assert_eq!(billing(&status)["last_error"]["class"], "tcp", "{status:#}");
    assert_eq!(billing(&status)["queued"], 10);
    assert!(billing(&status)["oldest_secs"].is_u64());
    let screen = bench.answer(&["status"], 69);
    for expected in [
        "needs you",
        "! endpoint billing is failing: connect:",
        "last error",
        "[tcp]",
    ] {
        assert!(screen.contains(expected), "{expected}: {screen}");
    }
    assert!(bench.answer(&["endpoints", "list"], 0).contains("failing"));
    receiver.listen().unwrap();
    wait_until("every row to arrive", || receiver.account().distinct == 50);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn sources_lists_every_file_with_what_is_unread_in_it() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 1);
    bench.configure(&vos3000(&receiver, ""));
    bench.write_rows("cdr_1.csv", 0..20);
    bench.write_rows("cdr_2.csv", 20..25);
    let half = row(25);
    let mut open = OpenOptions::new()
        .append(true)
        .open(bench.path("cdr/cdr_2.csv"))
        .unwrap();
    open.write_all(&half.as_bytes()[..40]).unwrap();
    let agent = bench.ready();
    let files = || -> Vec<Value> {
        let lines = bench.answer(&["sources", "--json"], 0);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    wait_until("both files to be read", || {
        let read = files();
        read.len() == 2
            && read
                .iter()
                .all(|file| file["unread_bytes"].as_u64() <= Some(40))
    });
    let files = files();
    let whole = fs::metadata(bench.path("cdr/cdr_1.csv")).unwrap().len();
    assert_eq!(files[0]["offset"].as_u64(), Some(whole));
    assert_eq!(files[0]["lines"].as_u64(), Some(20));
    assert_eq!(files[1]["unread_bytes"].as_u64(), Some(40));
    assert_eq!(files[1]["partial_bytes"].as_u64(), Some(40));
    assert!(
        files[1]["partial_secs"].as_u64() < Some(600),
        "{}",
        files[1]
    );
    assert!(files[1]["partial_secs"].is_u64(), "{}", files[1]);
    let behind = bench.answer(&["sources", "--behind"], 0);
    assert!(behind.contains("cdr_2.csv") && !behind.contains("cdr_1.csv"));
    assert!(behind.contains("partial line of 40 bytes"), "{behind}");
    assert!(
        bench
            .answer(&["sources", "--source", "x"], 64)
            .contains("no source")
    );
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_pause_outlives_the_agent_and_a_resume_sends_what_waited() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    let agent = bench.ready();
    let told = bench.answer(&["endpoints", "pause", "biling"], 64);
    assert!(
        told.contains("there is no endpoint \"biling\"; there are billing"),
        "{told}"
    );
    let told = bench.answer(&["endpoints", "pause", "billing"], 0);
    assert!(told.contains("also after a restart"), "{told}");
    bench.write_rows("cdr_1.csv", 0..20);
    wait_until("the rows to be queued", || {
        billing(&bench.status())["queued"] == 20
    });
    agent.kill();
    let agent = bench.ready();
    let status = bench.status();
    assert_eq!(billing(&status)["state"], "paused", "{status:#}");
    assert_eq!(billing(&status)["paused_by"], "operator");
    let screen = bench.answer(&["status"], 69);
    assert!(screen.contains("! endpoint billing is paused"), "{screen}");
    assert_eq!(
        receiver.account().requests,
        0,
        "nothing is sent while it is paused"
    );
    bench.answer(&["endpoints", "resume", "billing"], 0);
    wait_until("every row to arrive", || receiver.account().distinct == 20);
    agent.kill();
    let agent = bench.ready();
    assert_eq!(billing(&bench.status())["state"], "working");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn tail_shows_events_and_attempts_without_telephone_numbers() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    bench.write_rows("cdr_1.csv", 0..1);
    let agent = bench.ready();
    let watch = |arguments: &[&str]| {
        let mut command = switchhook();
        command.args(arguments).arg("--config");
        let mut child = command
            .arg(bench.path("switchhook.toml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        (BufReader::new(child.stdout.take().unwrap()), child)
    };
    let (mut plain, mut first) = watch(&["tail"]);
    let (mut json, mut second) = watch(&["tail", "--json", "--payload", "--endpoint", "billing"]);
    let mut lines = String::new();
    // Rows until both are heard: they begin to watch when they are ready.
    let mut number = 1;
    let listener = std::thread::spawn(move || {
        while !(lines.contains("event") && lines.contains("delivered in")) {
            assert!(plain.read_line(&mut lines).unwrap() > 0, "{lines}");
        }
        let mut items = Vec::new();
        let has = |items: &[Value], seen: &str| items.iter().any(|item| item["seen"] == seen);
        while !(has(&items, "event") && has(&items, "attempt")) {
            let mut line = String::new();
            assert!(json.read_line(&mut line).unwrap() > 0);
            items.push(serde_json::from_str::<Value>(&line).unwrap());
        }
        (lines, items)
    });
    wait_until("both to have seen a call", || {
        bench.append_rows("cdr_1.csv", number..number + 1);
        number += 1;
        listener.is_finished()
    });
    let (lines, items) = listener.join().unwrap();
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(lines.contains("…17 → …99 155 s"), "{lines}");
    assert!(
        !lines.contains(NUMBER) && !lines.contains(SECRET),
        "{lines}"
    );
    let event = items.iter().find(|item| item["seen"] == "event").unwrap();
    assert_eq!(event["data"]["called_id"], NUMBER);
    let attempt = items.iter().find(|item| item["seen"] == "attempt").unwrap();
    assert_eq!(
        (&attempt["endpoint"], &attempt["outcome"]),
        (&Value::from("billing"), &Value::from("delivered"))
    );
    assert!(
        bench
            .answer(&["tail", "--endpoint", "x"], 64)
            .contains("there is no endpoint")
    );
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_dead_letter_goes_when_its_event_is_delivered_and_the_ledger_balances() {
    let bench = Bench::new();
    let mut refusing = receiver(Profile::Vos3000, &["status=422"], 0);
    bench.configure(&vos3000(&refusing, "attempts = 1"));
    bench.write_rows("cdr_1.csv", 0..30);
    let agent = bench.ready();
    wait_until("every event to be given up", || {
        billing(&bench.status())["dead_letters"] == 30
    });
    // Nothing is to be repaired, and something decided: cron hears of it, by a code of its own.
    let screen = bench.answer(&["status"], 65);
    assert!(
        screen.contains("to be decided") && screen.contains("was not told of 30 events, given up"),
        "{screen}"
    );
    let list = bench.answer(&["dead-letters", "list"], 0);
    assert_eq!(list.matches("status 422").count(), 30, "{list}");
    assert!(!list.contains(NUMBER));
    let first = bench.answer(&["dead-letters", "list", "--json", "--limit", "1"], 0);
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().unwrap();
    let shown = bench.answer(&["dead-letters", "show", id], 0);
    assert!(
        shown.contains("status    422") && shown.contains("…99"),
        "{shown}"
    );
    assert!(!shown.contains(NUMBER), "{shown}");
    let shown = bench.answer(&["dead-letters", "show", id, "--payload"], 0);
    assert!(shown.contains(NUMBER), "{shown}");
    bench.answer(&["dead-letters", "show", "evt_0"], 65);
    bench.answer(&["dead-letters", "replay"], 64);
    let none = bench.answer(&["dead-letters", "list", "--reason", "dns"], 0);
    assert!(none.contains("there are no such"), "{none}");
    let none = bench.answer(&["dead-letters", "list", "--older-than", "1h"], 0);
    assert!(none.contains("there are no such"), "{none}");

    // Still refused: it is tried, given up again, and one letter as before.
    let again = bench.answer(&["dead-letters", "replay", "--id", id], 65);
    assert!(
        again.contains("1 tried again: 0 delivered, 1 given up again"),
        "{again}"
    );
    assert_eq!(billing(&bench.status())["dead_letters"], 30);

    // Repaired: all of them arrive.
    let url = refusing.url().to_string();
    refusing.stop();
    let repaired = receiver(Profile::Vos3000, &[], 0);
    bench.edit(&url, &repaired.url());
    let told = bench.answer(&["reload"], 0);
    assert!(told.contains("endpoint billing changed"), "{told}");
    let purged = bench.answer(&["dead-letters", "purge", "--id", id], 64);
    assert!(
        purged.contains("1 dead letters would be removed"),
        "{purged}"
    );
    let purged = bench.answer(&["dead-letters", "purge", "--id", id, "--yes"], 0);
    assert!(purged.contains("1 dead letters removed"), "{purged}");
    let told = bench.answer(&["dead-letters", "replay", "--all", "--rate", "1000"], 0);
    assert!(
        told.contains("29 tried again: 29 delivered, 0 given up again"),
        "{told}"
    );
    assert_eq!(repaired.account().distinct, 29);
    bench.answer(&["status"], 0);
    assert!(
        bench
            .answer(&["dead-letters", "list"], 0)
            .contains("there are no such")
    );
    let status = bench.status();
    assert_eq!(
        (
            &billing(&status)["dead_letters"],
            &billing(&status)["delivered"],
            &status["ledger_balanced"]
        ),
        (&Value::from(0), &Value::from(29), &Value::from(true)),
        "{status:#}"
    );
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
}

#[test]
fn rows_told_again_from_a_file_have_their_ids_and_the_ledger_balances() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    bench.write_rows("cdr_1.csv", 0..300);
    let agent = bench.ready();
    wait_until("every row to arrive", || receiver.account().distinct == 300);
    let replay = ["replay", "--source", "cdr"];
    let all = ["--from", "2026-04-01T00:00:00Z", "--rate", "50000"];
    let dry = bench.answer(&[&replay[..], &all, &["--dry-run"]].concat(), 0);
    assert!(
        dry.contains("300 rows of 1 file would be told again"),
        "{dry}"
    );
    assert_eq!(billing(&bench.status())["added"], 300);
    let told = bench.answer(&[&replay[..], &all].concat(), 0);
    assert!(
        told.contains("300 rows of 1 file told again, from 2026-04-10"),
        "{told}"
    );
    wait_until("every row to arrive again", || {
        receiver.account().duplicates == 300
    });
    let file = bench.path("cdr/cdr_1.csv");
    let file = file.to_str().unwrap();
    bench.answer(
        &[&replay[..], &["--file", file, "--rate", "50000"]].concat(),
        0,
    );
    wait_until("every row to arrive a third time", || {
        receiver.account().duplicates == 600
    });
    let late = ["--from", "2026-04-11T00:00:00Z"];
    let none = bench.answer(&[&replay[..], &late].concat(), 0);
    assert!(none.contains("0 rows of 1 file"), "{none}");
    assert!(none.contains("300 outside the range"), "{none}");
    bench.answer(&["replay", "--source", "x", "--file", file], 64);
    bench.answer(&replay, 64);
    assert_eq!(receiver.account().distinct, 300, "the ids are the same");
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    let cdr = ledger.source("cdr").unwrap();
    assert_eq!(
        (cdr.counts.rows, cdr.counts.derived, cdr.events),
        (300, 600, 900)
    );
}

#[test]
fn an_endpoint_that_comes_or_goes_does_not_stop_the_others() {
    let bench = Bench::new();
    let slow = receiver(Profile::Vos3000, &["delay=6s"], 0);
    let other = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&slow, "concurrency = 1\n"));
    let agent = bench.ready();
    let good = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    bench.write_rows("cdr_1.csv", 0..1);
    wait_until("an attempt to be under way", || {
        billing(&bench.status())["under_way"] == 1
    });
    let attempts = |status: &Value| billing(status)["attempts"].as_u64();
    for more in [
        format!(
            "\n[[endpoint]]\nname = \"crm\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\n{}\n",
            vos3000(&other, "")
        ),
        String::new(),
    ] {
        fs::write(bench.path("switchhook.toml"), format!("{good}{more}")).unwrap();
        bench.answer(&["reload"], 0);
        let status = bench.status();
        assert_eq!(
            attempts(&status),
            Some(0),
            "it was not waited for: {status}"
        );
        assert_eq!(billing(&status)["under_way"], 1, "it goes on: {status}");
    }
    wait_until("it to be over", || attempts(&bench.status()) == Some(1));
    assert_eq!(agent.stop(), 0);
    let account = slow.account();
    assert_eq!((account.distinct, account.duplicates), (1, 0));
}

#[test]
fn a_reload_waits_for_an_endpoint_that_is_taking_over() {
    let bench = Bench::new();
    let slow = receiver(Profile::Vos3000, &["delay=3s"], 0);
    bench.configure(&vos3000(&slow, "concurrency = 1\n"));
    let agent = bench.ready();
    bench.write_rows("cdr_1.csv", 0..1);
    wait_until("an attempt to be under way", || {
        billing(&bench.status())["under_way"] == 1
    });
    bench.edit("concurrency = 1", "concurrency = 2");
    thread::scope(|scope| {
        let taking_over = scope.spawn(|| bench.ask(&["endpoints", "adopt", "old", "billing"]));
        wait_until("the endpoint to be down", || {
            billing(&bench.status())["under_way"] == 0
        });
        bench.answer(&["reload"], 0);
        assert_eq!(taking_over.join().unwrap().status.code(), Some(64));
    });
    bench.append_rows("cdr_1.csv", 1..2);
    wait_until("what comes after", || slow.account().distinct == 2);
    assert_eq!(agent.stop(), 0);
    assert_eq!(slow.account().duplicates, 0, "two sent what is one's");
}

#[test]
fn a_reload_changes_everything_or_nothing_and_loses_nothing() {
    const ROWS: u64 = 4_000;
    let bench = Bench::new();
    let first = receiver(Profile::Vos3000, &["delay=2ms"], 0);
    let second = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&first, ""));
    let agent = bench.ready();
    let told = bench.answer(&["reload"], 0);
    assert!(told.contains("nothing has changed"), "{told}");
    let switch = support::switch(&bench.path("cdr"), ROWS, 1_000, 500, 3);
    wait_until("rows to arrive", || first.account().distinct > 200);

    // A broken file changes nothing, whoever asks.
    let good = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    fs::write(
        bench.path("switchhook.toml"),
        format!("{good}\ntimout = \"3s\"\n"),
    )
    .unwrap();
    let told = bench.answer(
        &[
            "reload",
            "--socket",
            bench.path("control.sock").to_str().unwrap(),
        ],
        78,
    );
    assert!(
        told.contains("timout: no such key; did you mean timeout?"),
        "{told}"
    );
    assert!(
        told.contains("goes on with the old configuration"),
        "{told}"
    );
    hang_up(&agent);
    wait_until("the signal to be answered", || {
        agent.log().matches("configuration not reloaded").count() == 2
    });
    assert!(
        bench
            .answer(&["status"], 69)
            .contains("! the last reload changed nothing")
    );
    fs::write(
        bench.path("switchhook.toml"),
        good.replace("node = \"vos-1\"", "node = \"vos-2\""),
    )
    .unwrap();
    let told = bench.answer(&["reload"], 78);
    assert!(
        told.contains("node cannot be changed while the agent runs"),
        "{told}"
    );

    // A second endpoint, while the switch writes; the first goes on as it is.
    let endpoint = format!(
        "{good}\n[[endpoint]]\nname = \"crm\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\nfrom = \"oldest\"\n{}\n",
        vos3000(&second, "")
    );
    fs::write(bench.path("switchhook.toml"), &endpoint).unwrap();
    let told = bench.answer(&["reload"], 0);
    assert!(
        told.contains("endpoint crm added") && !told.contains("billing"),
        "{told}"
    );
    wait_until("the second to get rows", || second.account().distinct > 50);
    // The first with other settings, the source with another poll.
    let changed = endpoint
        .replace(
            "name = \"billing\"",
            "name = \"billing\"\ntimeout = \"9s\"\nconcurrency = 3",
        )
        .replace("poll = \"200ms\"", "poll = \"150ms\"");
    fs::write(bench.path("switchhook.toml"), &changed).unwrap();
    hang_up(&agent);
    wait_until("the signal to be answered", || {
        agent.log().contains("endpoint billing changed")
            && agent.log().contains("source cdr changed")
    });
    switch.join().unwrap();
    wait_until("every row to arrive at the first", || {
        first.account().distinct == ROWS
    });
    let added = |status: &Value| {
        let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
        let crm = endpoints.iter().find(|it| it["name"] == "crm").cloned();
        crm.map_or(0, |crm| crm["added"].as_u64().unwrap_or(0))
    };
    let due = added(&bench.status());
    wait_until("what the second is due", || {
        second.account().distinct >= due.min(ROWS)
    });
    // And away again: its backlog is kept, and said.
    fs::write(bench.path("switchhook.toml"), &good).unwrap();
    let told = bench.answer(&["reload"], 0);
    assert!(told.contains("endpoint crm removed"), "{told}");
    let status = bench.status();
    assert_eq!(status["endpoints"][1]["state"], "removed", "{status:#}");
    assert_eq!(agent.stop(), 0);
    let (first, second) = (first.account(), second.account());
    assert_eq!(
        (first.duplicates, second.duplicates),
        (0, 0),
        "nothing was sent twice"
    );
    assert_eq!((first.bad_signatures, second.bad_signatures), (0, 0));
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(ledger.source("cdr").unwrap().counts.rows, ROWS);
}

#[test]
fn a_deleted_file_is_read_on_while_sources_come_and_go_by_reloads() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    let agent = bench.ready();
    let path = bench.path("cdr").join("a.csv");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).open(&path).unwrap();
    let (first, second, third) = (row(0), row(1), row(2));
    let (half, rest) = second.split_at(20);
    write!(file, "{first}{half}").unwrap();
    wait_until("the first row", || receiver.account().distinct == 1);
    // Nothing names it any more, and its writer goes on.
    fs::remove_file(&path).unwrap();
    wait_until("the deletion to be seen", || {
        bench.answer(&["sources"], 0).contains("deleted")
    });
    let one = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let source = format!(
        "{one}\n[[source]]\nname = \"b\"\nfiles = [\"{}/*.b\"]\nformat = \"vos3000-csv\"\nstart = \"now\"\n",
        bench.path("cdr").display()
    );
    for (config, told, written) in [
        (&source, "source b added", rest),
        (&one, "source b removed", &third),
    ] {
        fs::write(bench.path("switchhook.toml"), config).unwrap();
        let answer = bench.answer(&["reload"], 0);
        assert!(
            answer.contains(told) && !answer.contains("source cdr"),
            "{answer}"
        );
        let before = receiver.account().distinct;
        write!(file, "{written}").unwrap();
        wait_until("the row", || receiver.account().distinct == before + 1);
    }
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(ledger.source("cdr").unwrap().counts.rows, 3);
    assert_eq!(ledger.source("cdr").unwrap().counts.gaps, 0);
}

#[test]
fn a_reload_asked_for_before_the_agent_has_started_waits_for_it() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    let agent = bench.agent();
    // Held from the first thing it does on, and answered by one thread alone.
    let status = format!("/proc/{}/status", agent.pid());
    wait_until("the signal to be held", || {
        let status = fs::read_to_string(&status).unwrap();
        let held = status.lines().find_map(|it| it.strip_prefix("SigBlk:"));
        held.is_some_and(|held| held.ends_with('1'))
    });
    hang_up(&agent);
    wait_until("it to be answered", || {
        agent.log().contains("configuration reloaded")
    });
    assert_eq!(agent.stop(), 0);
}

fn hang_up(agent: &Agent) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(agent.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
}

#[test]
fn another_user_is_refused_with_a_clear_word() {
    let bench = Bench::new();
    bench.configure("url = \"https://127.0.0.1:9/\"");
    let agent = bench.ready();
    let socket = bench.path("control.sock");
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten();
    let Some(nobody) = nobody.filter(|_| nix::unistd::geteuid().is_root()) else {
        return support::skip(
            "control::another_user_is_refused_with_a_clear_word",
            "only root can become another user",
        );
    };
    // The program must be within that user's reach, wherever it was built.
    let program = bench.path("switchhook");
    fs::copy(env!("CARGO_BIN_EXE_switchhook"), &program).unwrap();
    fs::set_permissions(bench.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let ask = || {
        let mut output = None;
        // A child of another test may still hold the copy open for writing.
        wait_until("the program to be runnable", || {
            let run = std::process::Command::new(&program)
                .args(["status", "--socket"])
                .arg(&socket)
                .uid(nobody.uid.as_raw())
                .gid(nobody.gid.as_raw())
                .output();
            let is_busy = run
                .as_ref()
                .is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy);
            output = run.ok();
            !is_busy
        });
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        text(&output.stderr)
    };
    assert!(
        ask().contains("this user may not speak to the agent"),
        "{}",
        ask()
    );
    // Even where the file's mode lets him in, the agent does not.
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let told = ask();
    let expected = format!("user id {} may not control this agent", nobody.uid);
    assert!(told.contains(&expected), "{told}");
    assert!(
        agent.log().contains("control refused caller="),
        "{}",
        agent.log()
    );
    assert_eq!(agent.stop(), 0);
}

#[test]
fn nonsense_silence_and_too_many_clients_cost_the_agent_nothing() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&vos3000(&receiver, ""));
    let agent = bench.ready();
    let connect = || UnixStream::connect(bench.path("control.sock")).unwrap();
    let said = |bytes: &[u8]| {
        let mut stream = connect();
        // One that says too much may be let go before it has said all of it.
        let _sent = stream.write_all(bytes);
        let mut answer = String::new();
        // A refused client's rest is not read, which may show as a reset.
        let _rest = stream.read_to_string(&mut answer);
        answer
    };
    assert!(said(b"hello\n").contains("the line is no request"));
    assert!(said(b"{\"v\":2,\"request\":{}}\n").contains("version 1 of its control lines, not 2"));
    assert!(said(b"{\"v\":1,\"request\":{\"command\":\"rm\"}}\n").contains("usage"));
    assert!(said(&[b'x'; 300 << 10]).contains("at most 262144 bytes"));
    let silent: Vec<UnixStream> = std::iter::repeat_with(connect).take(8).collect();
    wait_until("a ninth client to be refused", || {
        let told = text(&bench.ask(&["status"]).stderr);
        told.contains("as many; close one")
    });
    bench.write_rows("cdr_1.csv", 0..50);
    wait_until("rows to arrive meanwhile", || {
        receiver.account().distinct == 50
    });
    drop(silent);
    wait_until("a place to be free", || !bench.status().is_null());
    // One that asks and never reads is cut off, and holds up nobody.
    let mut deaf = connect();
    deaf.write_all(
        b"{\"v\":1,\"request\":{\"command\":\"tail\",\"endpoint\":null,\"payload\":true}}\n",
    )
    .unwrap();
    bench.append_rows("cdr_1.csv", 50..2_000);
    wait_until("rows to arrive meanwhile", || {
        receiver.account().distinct == 2_000
    });
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_test_event_is_signed_and_every_phase_of_its_way_is_shown() {
    let bench = Bench::new();
    let mut settings = Settings::new(Verifier::new(Profile::Vos3000, &[SECRET]).unwrap());
    let names = vec!["localhost".to_string()];
    settings.certificate = Some(Certificate::SelfSigned { names });
    let receiver = Receiver::start(settings).unwrap();
    fs::write(
        bench.path("receiver.pem"),
        receiver.certificate_pem().unwrap(),
    )
    .unwrap();
    let arrivals = receiver.arrivals();
    let url = receiver.url().replace("127.0.0.1", "localhost");
    bench.configure(&format!(
        "url = \"{url}?token=hush-1\"\nprofile = \"vos3000\"\nca_file = \"receiver.pem\"\nheaders = {{ X-Token = \"hush-2\" }}"
    ));
    let told = bench.answer(&["test", "billing", "--curl"], 0);
    let arrival = arrivals.recv_timeout(support::PATIENCE).unwrap();
    assert_eq!(arrival.signature, Ok(()));
    let body: Value = serde_json::from_slice(&arrival.body).unwrap();
    assert_eq!(body["event"], "switchhook.test");
    for expected in [
        "switchhook.test evt_",
        "resolve ",
        "connect ",
        "TLSv1_3",
        "name and chain of 1 verified",
        "pin_sha256 = [\"sha256//",
        "the certificate is valid until",
        "status 200",
        "verdict  delivered",
        "X-Token: $H_X_TOKEN",
        "$QUERY",
        "X-VOS3000-Signature: ",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("hush"), "{told}");
    let set = [
        "--event",
        "cdr",
        "--set",
        "duration=125",
        "--set",
        "call_id=7",
    ];
    bench.answer(&[&["test", "billing"][..], &set].concat(), 0);
    let arrival = arrivals.recv_timeout(support::PATIENCE).unwrap();
    let body: Value = serde_json::from_slice(&arrival.body).unwrap();
    assert_eq!(
        (&body["data"]["duration"], &body["data"]["call_id"]),
        (&Value::from(125), &Value::from("7"))
    );
    let wrong = [
        "test",
        "billing",
        "--event",
        "cdr",
        "--set",
        "duration=long",
    ];
    assert!(
        bench
            .answer(&wrong, 64)
            .contains("duration is a whole number")
    );
    assert!(
        bench
            .answer(&["test", "crm"], 64)
            .contains("there are billing")
    );

    let deep = bench.answer(&["check", "--deep", "--user", "root"], 0);
    for expected in [
        "verdict  delivered",
        "clock ",
        "disk ",
        "the configuration is good",
    ] {
        assert!(deep.contains(expected), "{expected}: {deep}");
    }
    assert!(!deep.contains("hush"), "{deep}");

    // Without the authority, and with nobody there.
    bench.edit("ca_file = \"receiver.pem\"\n", "");
    let told = bench.answer(&["test", "billing"], 69);
    assert!(
        told.contains("[tls] tls: invalid peer certificate"),
        "{told}"
    );
    drop(receiver);
    let told = bench.answer(&["test", "billing"], 69);
    assert!(
        told.contains("[tcp] connect:") && told.contains("verdict  unavailable"),
        "{told}"
    );
    let deep = bench.answer(&["check", "--deep", "--user", "root"], 69);
    assert!(deep.contains("but not everything around it"), "{deep}");
}

#[test]
fn a_refusal_is_judged_by_the_endpoint_s_own_rules() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["status=401"], 0);
    bench.configure(&vos3000(&receiver, ""));
    let told = bench.answer(&["test", "billing"], 65);
    assert!(
        told.contains("status 401") && told.contains("verdict  refused: if it refuses everything"),
        "{told}"
    );
}

#[test]
fn a_test_event_goes_to_every_fallback_and_each_is_shown() {
    let bench = Bench::new();
    let good = receiver(Profile::Vos3000, &[], 0);
    let refusing = receiver(Profile::Vos3000, &["status=401"], 0);
    let mut gone = receiver(Profile::Vos3000, &[], 0);
    gone.stop();
    let fallbacks = |urls: &[String]| vos3000(&good, &format!("fallback_urls = {urls:?}"));
    bench.configure(&fallbacks(&[
        format!("{}?b", good.url()),
        refusing.url(),
        gone.url(),
    ]));
    let told = bench.answer(&["test", "billing", "--curl"], 65);
    for expected in [
        "# endpoint \"billing\", profile vos3000, http://",
        "# fallback 1 of endpoint \"billing\", http://",
        "# fallback 2 of endpoint \"billing\", http://",
        "# fallback 3 of endpoint \"billing\", http://",
        "verdict  refused: ",
        "verdict  unavailable",
        "2 of the 4 addresses of billing take events",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(told.matches("verdict  delivered").count(), 2, "{told}");
    assert_eq!(told.matches("curl -sS -i -X POST").count(), 4, "{told}");
    assert_eq!(good.account().requests, 2);
    let deep = bench.answer(&["check", "--deep", "--user", "root"], 65);
    assert!(deep.contains("# fallback 3 of"), "{deep}");
    bench.configure(&fallbacks(&[format!("{}?b", good.url())]));
    let told = bench.answer(&["test", "billing"], 0);
    assert!(told.contains("2 of the 2 addresses"), "{told}");
}

#[test]
fn a_support_bundle_has_what_helps_and_nothing_that_is_secret() {
    let bench = Bench::new();
    let refusing = receiver(Profile::Vos3000, &["status=422"], 0);
    bench.configure(&vos3000(
        &refusing,
        "attempts = 1\nheaders = { X-Token = \"hush-2\" }",
    ));
    bench.write_rows("cdr_1.csv", 0..3);
    let mut file = OpenOptions::new()
        .append(true)
        .open(bench.path("cdr/cdr_1.csv"))
        .unwrap();
    writeln!(file, "\"{NUMBER}\",is no row").unwrap();
    let agent = bench.ready();
    wait_until("letters and a row set aside", || {
        let status = bench.status();
        billing(&status)["dead_letters"] == 3 && status["sources"][0]["set_aside"] == 1
    });
    let bundle = |name: &str| {
        let path = bench.path(name);
        let began = std::time::Instant::now();
        bench.answer(&["support-bundle", "--output", path.to_str().unwrap()], 0);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(2), "{took:?}");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let text = fs::read_to_string(path).unwrap();
        assert!(text.len() < 1 << 20);
        for secret in [SECRET, "hush-2", NUMBER] {
            assert!(!text.contains(secret), "{secret} is in it: {text}");
        }
        text
    };
    let text = bundle("one.txt");
    for expected in [
        "3  billing: status 422",
        "\"ledger_balanced\": true",
        "secret = \"(hidden)\"",
        "set-aside.jsonl  ",
        "/proc/version",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!agent.log().contains(SECRET) && !agent.log().contains(NUMBER));
    // One that is there is not overwritten.
    let path = bench.path("one.txt");
    bench.answer(&["support-bundle", "--output", path.to_str().unwrap()], 64);
    assert_eq!(agent.stop(), 0);
    assert!(bundle("two.txt").contains("the agent is not running"));
}

#[test]
fn every_field_of_the_status_is_in_its_description() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["status=503"], 0);
    bench.configure(&vos3000(&receiver, ""));
    bench.write_rows("cdr_1.csv", 0..1);
    let agent = bench.ready();
    wait_until("an error", || {
        billing(&bench.status())["last_error"].is_object()
    });
    let described = include_str!("../../docs/status.md");
    let mut left = vec![bench.status()];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    assert!(described.contains(&format!("`{name}`")), "{name}");
                    left.push(value);
                }
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_backlog_is_adopted_or_forgotten_while_the_agent_runs() {
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Vos3000, &[], 0);
    receiver.stop();
    bench.configure(&vos3000(&receiver, "probe_max = \"200ms\""));
    bench.write_rows("cdr_1.csv", 0..20);
    let agent = bench.ready();
    wait_until("the rows to be queued", || {
        billing(&bench.status())["queued"] == 20
    });
    let told = bench.answer(&["endpoints", "forget", "billing"], 64);
    assert!(told.contains("endpoint billing is configured"), "{told}");
    bench.edit("name = \"billing\"", "name = \"crm\"\nadopt = \"billing\"");
    let told = bench.answer(&["reload"], 78);
    assert!(told.contains("adopt is done at a start"), "{told}");
    bench.edit("\nadopt = \"billing\"", "");
    bench.answer(&["reload"], 0);
    assert!(bench.answer(&["endpoints", "list"], 0).contains("removed"));
    let told = bench.answer(&["endpoints", "adopt", "billing", "crm"], 0);
    assert!(
        told.contains("endpoint crm takes over from billing: 20 queued"),
        "{told}"
    );
    receiver.listen().unwrap();
    wait_until("the backlog to arrive", || {
        receiver.account().distinct == 20
    });
    let told = bench.answer(&["endpoints", "forget", "billing"], 64);
    assert!(
        told.contains("the queue knows no endpoint billing"),
        "{told}"
    );
    bench.edit("name = \"crm\"", "name = \"billing\"");
    bench.answer(&["reload"], 0);
    let told = bench.answer(&["endpoints", "forget", "crm"], 0);
    assert!(told.contains("endpoint crm forgotten: 0 queued"), "{told}");
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(
        ledger.balances() && ledger.endpoint("crm").is_none(),
        "{ledger:?}"
    );
}
