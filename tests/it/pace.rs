//! How fast endpoints are sent to, where else, for how long, and who is told of it.

use crate::support::{Agent, Bench, SECRET, receiver, row, run, switchhook, text, wait_until};
use base64::Engine;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use switchhook::receiver::{Certificate, Profile, Receiver, Settings, Verifier};

/// Writes `rows` as one file.
fn write_rows(bench: &Bench, name: &str, rows: std::ops::Range<u64>) {
    let rows: String = rows.map(row).collect();
    fs::write(bench.path("cdr").join(name), rows).unwrap();
}

fn status(bench: &Bench) -> Value {
    let mut command = switchhook();
    command.args(["status", "--json", "--config"]);
    let output = command.arg(bench.path("switchhook.toml")).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// What `status` says of an endpoint.
fn endpoint(bench: &Bench, name: &str) -> Value {
    let status = status(bench);
    let all = status["endpoints"].as_array().cloned().unwrap_or_default();
    all.into_iter()
        .find(|endpoint| endpoint["name"] == name)
        .unwrap_or_default()
}

fn ask(bench: &Bench, arguments: &[&str]) -> String {
    let path = bench.path("switchhook.toml");
    let config = ["--config", path.to_str().unwrap()];
    let output = run(&[arguments, &config].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// One more endpoint's table.
fn table(name: &str, url: &str, keys: &str) -> String {
    format!(
        "\n[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_file = \"secret\"\n{keys}\n"
    )
}

/// Threads that send for the agent.
fn threads(agent: &Agent) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("send-"))
        .count()
}

#[test]
fn a_dead_and_a_slow_endpoint_hold_nothing_of_a_healthy_one() {
    const ROWS: u64 = 3_000;
    let bench = Bench::new();
    let healthy = receiver(Profile::Standard, &[], 1);
    let slow = receiver(Profile::Standard, &["delay=30s"], 2);
    let mut dead = receiver(Profile::Standard, &[], 3);
    dead.stop();
    let keys = "events = [\"cdr\"]\ntimeout = \"60s\"";
    let others = table("dead", &dead.url(), keys) + &table("slow", &slow.url(), keys);
    bench.configure(&format!("url = \"{}\"\n{others}", healthy.url()));
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    wait_until("the healthy one to have everything", || {
        healthy.account().distinct == ROWS
    });
    // By then the slow one has answered nothing and was sent no more than it is trusted with.
    let (begun, answered) = (slow.account().faults.delay, slow.account().accepted);
    assert!(
        (1..=4).contains(&begun) && answered == 0,
        "{begun} {answered}"
    );
    assert_eq!(dead.account().requests, 0);
    assert!(threads(&agent) <= 64 + 4 + 4, "{} threads", threads(&agent));
    // Row by row as well: each comes while the other two stand still.
    for fresh in 0..20 {
        write_rows(
            &bench,
            &format!("cdr_2_{fresh}.csv"),
            ROWS + fresh..ROWS + fresh + 1,
        );
        wait_until("a fresh row", || {
            healthy.account().distinct == ROWS + fresh + 1
        });
    }
    assert_eq!(slow.account().accepted, 0);
    assert_eq!(healthy.account().duplicates, 0);
    agent.kill();
}

#[test]
fn a_learned_concurrency_suits_a_slow_receiver_and_an_idle_agent_has_one_thread() {
    const ROWS: u64 = 1_500;
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &["delay=50ms"], 1);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let agent = bench.agent();
    wait_until("the start", || {
        endpoint(&bench, "billing")["state"] == "working"
    });
    assert_eq!(threads(&agent), 1);
    assert_eq!(endpoint(&bench, "billing")["concurrency"], 4);
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    wait_until("the limit to be found", || {
        endpoint(&bench, "billing")["concurrency"] == 64
    });
    wait_until("everything to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert!(threads(&agent) <= 65, "{}", threads(&agent));
    assert_eq!(agent.stop(), 0);
    assert_eq!(receiver.account().requests, ROWS);
}

#[test]
fn a_rate_holds_over_every_second() {
    const ROWS: u64 = 120;
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 1);
    let arrivals = receiver.arrivals();
    bench.configure(&format!("url = \"{}\"\nrate_max = 40", receiver.url()));
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    wait_until("everything to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    let at: Vec<i64> = arrivals.try_iter().map(|arrival| arrival.at.0).collect();
    assert_eq!(at.len() as u64, ROWS);
    for (index, begin) in at.iter().enumerate() {
        // What went out a second apart may arrive a little closer together.
        let within = at[index..].iter().take_while(|at| **at < begin + 900);
        assert!(within.count() <= 40, "from the {index}th: {at:?}");
    }
}

#[test]
fn a_fallback_gets_everything_while_the_first_address_is_down() {
    let bench = Bench::new();
    let mut first = receiver(Profile::Standard, &[], 1);
    let mut fallback = receiver(Profile::Standard, &[], 2);
    bench.configure(&format!(
        "url = \"{}\"\nfallback_urls = [\"{}\"]\nprobe_max = \"300ms\"",
        first.url(),
        fallback.url()
    ));
    let agent = bench.agent();
    write_rows(&bench, "cdr_1.csv", 0..50);
    wait_until("the first to get what there is", || {
        first.account().distinct == 50
    });
    assert_eq!(fallback.account().requests, 0);
    first.stop();
    write_rows(&bench, "cdr_2.csv", 50..150);
    wait_until("the fallback to get it", || {
        fallback.account().distinct == 100
    });
    let billing = endpoint(&bench, "billing");
    assert_eq!(
        (&billing["fallback_host"], &billing["state"]),
        (&"127.0.0.1".into(), &"working".into())
    );
    assert!(
        agent
            .log()
            .contains("endpoint uses a fallback endpoint=billing fallback=1")
    );
    // Both are down: that is an outage, and nothing is lost by it.
    fallback.stop();
    write_rows(&bench, "cdr_3.csv", 150..200);
    wait_until("the outage to be seen", || {
        endpoint(&bench, "billing")["state"] == "failing"
    });
    first.listen().unwrap();
    wait_until("the first to get it", || first.account().distinct == 100);
    fallback.listen().unwrap();
    write_rows(&bench, "cdr_4.csv", 200..250);
    wait_until("the first to get everything again", || {
        first.account().distinct == 150
    });
    wait_until("nothing to be left", || bench.is_drained());
    let billing = endpoint(&bench, "billing");
    assert!(billing["fallback_host"].is_null(), "{billing:#}");
    assert_eq!(agent.stop(), 0);
    let (one, other) = (first.account(), fallback.account());
    assert_eq!((one.distinct, other.distinct), (150, 100));
    // No answer was lost, so there is no repeat.
    assert_eq!((one.duplicates, other.duplicates), (0, 0));
    assert_eq!((one.bad_signatures, other.bad_signatures), (0, 0));
    let ledger = bench.ledger();
    let totals = ledger.endpoint("billing").unwrap();
    assert!(ledger.balances());
    assert_eq!((totals.delivered, totals.dead), (250, 0));
}

#[test]
fn what_is_too_old_for_a_failing_endpoint_becomes_a_dead_letter_and_can_be_replayed() {
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Standard, &[], 1);
    receiver.stop();
    bench.configure(&format!(
        "url = \"{}\"\nprobe_max = \"200ms\"\nmax_age = \"1s\"",
        receiver.url()
    ));
    // The rows are of long ago.
    write_rows(&bench, "cdr_1.csv", 0..30);
    let agent = bench.agent();
    wait_until("all to be given up", || {
        endpoint(&bench, "billing")["dead_letters"] == 30
    });
    assert_eq!(endpoint(&bench, "billing")["expired"], 30);
    let letters = ask(&bench, &["dead-letters", "list", "--endpoint", "billing"]);
    assert!(letters.contains("expired: connect"), "{letters}");
    // It works again: nothing is too old for it. That nothing was sent meanwhile shows that there
    // was nothing left to send.
    let next = || endpoint(&bench, "billing")["attempts"].as_u64();
    let mut before = (next(), Instant::now());
    wait_until("nothing to be sent for a while", || {
        if next() != before.0 {
            before = (next(), Instant::now());
        }
        before.1.elapsed() > Duration::from_millis(600)
    });
    receiver.listen().unwrap();
    write_rows(&bench, "cdr_2.csv", 30..40);
    wait_until("fresh rows to arrive", || receiver.account().distinct == 10);
    ask(
        &bench,
        &["dead-letters", "replay", "--endpoint", "billing", "--all"],
    );
    wait_until("the old ones to arrive", || {
        receiver.account().distinct == 40
    });
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
}

#[test]
fn a_key_that_is_refused_for_a_while_loses_nothing() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["status=401"], 1);
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nprobe_max = \"200ms\"\nattempts = 2\nbackoff_initial = \"100ms\"\nbackoff_max = \"200ms\"",
        receiver.url()
    ));
    write_rows(&bench, "cdr_1.csv", 0..500);
    let agent = bench.agent();
    wait_until("that to be seen", || {
        agent.log().contains("refuses everything")
    });
    wait_until("some probes", || receiver.account().faults.status > 60);
    let billing = endpoint(&bench, "billing");
    assert_eq!(
        (&billing["state"], &billing["dead"]),
        (&"failing".into(), &0.into())
    );
    receiver.set_faults(Vec::new());
    wait_until("everything to arrive", || {
        receiver.account().distinct == 500
    });
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    let totals = ledger.endpoint("billing").unwrap();
    assert_eq!((totals.delivered, totals.dead), (500, 0));
}

#[test]
fn an_endpoint_that_answered_410_is_asked_at_once_when_it_is_resumed() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &["status=410"], 1);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    write_rows(&bench, "cdr_1.csv", 0..20);
    let agent = bench.agent();
    wait_until("the pause after the first 410", || {
        endpoint(&bench, "billing")["state"] == "paused"
    });
    let asked = receiver.account().requests;
    assert!(asked <= 4, "{asked} were under way");
    receiver.set_faults(Vec::new());
    let began = Instant::now();
    ask(&bench, &["endpoints", "resume", "billing"]);
    wait_until("everything to arrive", || receiver.account().distinct == 20);
    // It would have been asked again after a minute.
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(agent.stop(), 0);
    assert_eq!(bench.ledger().endpoint("billing").unwrap().dead, 0);
}

#[test]
fn an_outage_is_told_to_the_endpoint_that_is_named_for_it_and_to_no_other() {
    let bench = Bench::new();
    let mut billing = receiver(Profile::Standard, &[], 1);
    let (pager, all) = (
        receiver(Profile::Standard, &[], 2),
        receiver(Profile::Standard, &[], 3),
    );
    let arrivals = pager.arrivals();
    billing.stop();
    let keys = "events = [\"switchhook.clock_skew\"]\nalert_to = \"all\"";
    let others = table("pager", &pager.url(), keys) + &table("all", &all.url(), "events = [\"*\"]");
    bench.configure(&format!(
        "url = \"{}\"\nprobe_max = \"200ms\"\nalert_to = \"pager\"\n{others}",
        billing.url()
    ));
    write_rows(&bench, "cdr_1.csv", 0..25);
    let agent = bench.agent();
    wait_until("the alert", || pager.account().distinct == 1);
    billing.listen().unwrap();
    wait_until("the end of it to be told", || pager.account().distinct == 2);
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let told: Vec<Value> = arrivals
        .try_iter()
        .map(|arrival| serde_json::from_slice(&arrival.body).unwrap())
        .collect();
    assert_eq!(told[0]["type"], "switchhook.endpoint_failing");
    assert_eq!(told[0]["data"]["endpoint"], "billing");
    assert!(
        told[0]["data"]["error"]
            .as_str()
            .unwrap()
            .starts_with("connect")
    );
    assert_eq!(told[1]["type"], "switchhook.endpoint_recovered");
    assert!(told[1]["data"]["failing_secs"].is_u64() && told[1]["data"]["waiting"].is_u64());
    // "*" does not mean alerts, and the endpoint itself is not told of itself.
    assert_eq!(all.account().kinds, [("cdr".to_string(), 25)].into());
    assert_eq!(billing.account().kinds, [("cdr".to_string(), 25)].into());
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let own = ledger.source("(agent)").unwrap();
    assert_eq!((own.events, own.counts.derived, own.counts.rows), (2, 2, 0));
    let numbers: BTreeSet<u64> = told
        .iter()
        .map(|event| event["data"]["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers.len(), 2, "each has a sequence of its own");
}

#[test]
fn alerts_about_each_other_do_not_go_round_in_circles() {
    let bench = Bench::new();
    let (mut one, mut other) = (
        receiver(Profile::Standard, &[], 1),
        receiver(Profile::Standard, &[], 2),
    );
    one.stop();
    other.stop();
    let keys = "events = [\"*\"]\nprobe_max = \"200ms\"\nalert_to = \"billing\"";
    bench.configure(&format!(
        "url = \"{}\"\nprobe_max = \"200ms\"\nalert_to = \"other\"\n{}",
        one.url(),
        table("other", &other.url(), keys)
    ));
    write_rows(&bench, "cdr_1.csv", 0..5);
    let agent = bench.agent();
    let failing = |name: &str| {
        agent
            .log()
            .contains(&format!("endpoint failing endpoint={name}"))
    };
    wait_until("both to be failing", || {
        failing("billing") && failing("other")
    });
    one.listen().unwrap();
    other.listen().unwrap();
    wait_until("both to have been told", || {
        let told = |receiver: &Receiver| receiver.account().distinct.saturating_sub(5);
        told(&one) == 2 && told(&other) == 2
    });
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    assert_eq!(bench.ledger().source("(agent)").unwrap().events, 4);
}

/// A receiver of one answer for everything, with the `Date` of an hour ago.
fn late_clock() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    let date = past.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut chunk) = (Vec::new(), [0; 4 << 10]);
            // A body of an event ends so.
            while !request.ends_with(b"}}") {
                match stream.read(&mut chunk) {
                    Ok(amount @ 1..) => request.extend_from_slice(&chunk[..amount]),
                    _ => break,
                }
            }
            let _left = stream.write_all(answer.as_bytes());
        }
    });
    url
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn a_certificate_that_expires_and_a_clock_that_is_off_are_told_once() {
    let bench = Bench::new();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
    let soon = soon.to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut made = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let date = |number: i8| u8::try_from(number).unwrap();
    made.not_after = rcgen::date_time_ymd(soon.year().into(), date(soon.month()), date(soon.day()));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = made.self_signed(&key).unwrap();
    fs::write(
        bench.path("cert.pem"),
        pem("CERTIFICATE", certificate.der()),
    )
    .unwrap();
    fs::write(
        bench.path("key.pem"),
        pem("PRIVATE KEY", &key.serialize_der()),
    )
    .unwrap();
    let mut settings = Settings::new(Verifier::new(Profile::Standard, &[SECRET]).unwrap());
    settings.certificate = Some(Certificate::Files {
        certificate: bench.path("cert.pem"),
        key: bench.path("key.pem"),
    });
    let secure = Receiver::start(settings).unwrap();
    let pager = receiver(Profile::Standard, &[], 2);
    let arrivals = pager.arrivals();
    let late = table(
        "late",
        &late_clock(),
        "events = [\"cdr\"]\nalert_to = \"pager\"",
    );
    let keys = "events = [\"switchhook.certificate_expiring\"]";
    let url = secure.url().replace("127.0.0.1", "localhost");
    bench.configure(&format!(
        "url = \"{url}\"\nca_file = \"cert.pem\"\nalert_to = \"pager\"\n{late}{}",
        table("pager", &pager.url(), keys)
    ));
    write_rows(&bench, "cdr_1.csv", 0..40);
    let agent = bench.agent();
    wait_until("both to be told", || pager.account().distinct == 2);
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    assert_eq!(pager.account().distinct, 2, "each is said once");
    let mut told: Vec<(String, Value)> = arrivals
        .try_iter()
        .map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap())
        .map(|event| {
            (
                event["type"].as_str().unwrap().to_string(),
                event["data"].clone(),
            )
        })
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(told[0].0, "switchhook.certificate_expiring");
    assert_eq!(
        (&told[0].1["endpoint"], &told[0].1["host"]),
        (&"billing".into(), &"localhost".into())
    );
    assert!(
        (3..=5).contains(&told[0].1["days_left"].as_u64().unwrap()),
        "{}",
        told[0].1
    );
    assert_eq!(told[1].0, "switchhook.clock_skew");
    assert_eq!(told[1].1["endpoint"], "late");
    let ahead = told[1].1["ahead_secs"].as_i64().unwrap();
    assert!((3_590..3_700).contains(&ahead), "{ahead}");
}
