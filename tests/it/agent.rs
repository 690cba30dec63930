//! What a receiver sees of the agent, and what the ledger says of it afterwards.

use crate::support::{Bench, SECRET, receiver, row, switch, wait_until};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use switchhook::receiver::Profile;

#[test]
fn every_row_of_rotating_files_arrives_while_the_receiver_fails_at_random() {
    const ROWS: u64 = 25_000;
    let bench = Bench::new();
    let faults = [
        "status=500,rate=0.02",
        "status=503,rate=0.01",
        "reset,rate=0.005",
        "lost,rate=0.005",
        "delay=30ms,rate=0.02",
    ];
    let receiver = receiver(Profile::Standard, &faults, 7);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let agent = bench.agent();
    let switch = switch(&bench.path("cdr"), ROWS, 5_000, 2_500, 7);
    switch.join().unwrap();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    // The last answers may have been lost, and wait for their retry.
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let account = receiver.account();
    assert_eq!(
        (account.distinct, account.bad_signatures, account.malformed),
        (ROWS, 0, 0),
        "{account:?}"
    );
    assert!(
        account.duplicates <= account.faults.lost,
        "repeats only after a lost answer: {account:?}"
    );
    assert!(
        account.faults.refused() > 300,
        "the receiver did fail: {account:?}"
    );
    let ledger = bench.ledger();
    let source = ledger.source("cdr").unwrap();
    assert_eq!(
        (source.counts.rows, source.counts.rejected, source.events),
        (ROWS, 0, ROWS)
    );
    let billing = ledger.endpoint("billing").unwrap();
    assert_eq!(
        (
            billing.delivered,
            billing.dead,
            billing.queued,
            billing.waiting
        ),
        (ROWS, 0, 0, 0)
    );
    assert!(ledger.balances(), "{ledger:?}");
}

#[test]
fn a_body_and_its_headers_are_what_the_contract_says() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    let arrivals = receiver.arrivals();
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nheaders = {{ X-API-Key = \"k-1\" }}",
        receiver.url()
    ));
    fs::write(bench.path("cdr/cdr_1.csv"), row(330_000_001)).unwrap();
    let _agent = bench.agent();
    let arrival = arrivals.recv_timeout(crate::support::PATIENCE).unwrap();
    let body = String::from_utf8(arrival.body.to_vec()).unwrap();
    let id = arrival.headers["x-switchhook-id"].to_str().unwrap();
    assert_eq!(
        body,
        format!(
            "{{\"event\":\"cdr\",\"timestamp\":\"2026-04-14T01:43:55.534Z\",\"data\":{{\"call_id\":\"330000001\",\
             \"caller_id\":\"12025550117\",\"called_id\":\"447700900999\",\"start_time\":\"2026-04-14T01:41:19.732Z\",\
             \"answer_time\":\"2026-04-14T01:41:28.534Z\",\"end_time\":\"2026-04-14T01:43:55.534Z\",\"duration\":155,\
             \"bill_duration\":180,\"rate\":\"0.012267\",\"cost\":\"0.0368\",\"currency\":\"USD\",\"account_id\":\"CLIENT002\",\
             \"gateway_id\":\"GW-IN-CLIENT002\",\"disconnect_reason\":\"200\",\"codec\":\"g729\",\"callee_gateway_id\":\"GW-OUT-UK-B\",\
             \"end_reason\":200,\"end_direction\":1,\"dialled_id\":\"900447700900999\",\"caller_ip\":\"192.0.2.12\",\
             \"callee_ip\":\"203.0.113.22\",\"pdd_ms\":8802,\"connected\":true}},\"id\":\"{id}\",\"sequence\":1}}"
        )
    );
    let header = |name: &str| arrival.headers[name].to_str().unwrap().to_string();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(
        header("user-agent"),
        concat!("switchhook/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(header("accept-encoding"), "identity");
    assert_eq!(
        (
            header("x-switchhook-sequence"),
            header("x-switchhook-attempt")
        ),
        ("1".to_string(), "1".to_string())
    );
    assert_eq!(
        (header("x-switchhook-node"), header("x-api-key")),
        ("vos-1".to_string(), "k-1".to_string())
    );
    assert!(arrival.signature.is_ok());
}

#[test]
fn a_graceful_stop_and_start_repeats_nothing() {
    const ROWS: u64 = 6_000;
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &["delay=2ms"], 0);
    bench.configure(&format!("url = \"{}\"\nconcurrency = 4", receiver.url()));
    let rows: String = (0..ROWS).map(row).collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    for part in 1..=3 {
        let agent = bench.agent();
        wait_until("some rows to arrive", || {
            receiver.account().distinct >= ROWS * part / 4
        });
        assert_eq!(agent.stop(), 0);
    }
    let agent = bench.agent();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    let account = receiver.account();
    assert_eq!((account.distinct, account.duplicates), (ROWS, 0));
    assert!(bench.ledger().balances());
}

#[test]
fn an_outage_spends_no_attempts_and_everything_arrives_after_it() {
    const ROWS: u64 = 500;
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nattempts = 1\nprobe_max = \"500ms\"",
        receiver.url()
    ));
    receiver.stop();
    let agent = bench.agent();
    let rows: String = (0..ROWS).map(row).collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    wait_until("the agent to see the outage", || {
        agent.log().contains("endpoint failing endpoint=billing")
    });
    std::thread::sleep(Duration::from_secs(2)); // An outage takes time; there is nothing to wait for in it.
    receiver.listen().unwrap();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    wait_until("the recovery to be said", || {
        agent.log().contains("endpoint recovered endpoint=billing")
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(receiver.account().duplicates, 0);
    assert_eq!(bench.ledger().endpoint("billing").unwrap().dead, 0);
}

#[test]
fn an_event_that_is_refused_becomes_a_dead_letter_after_its_attempts() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["status=422"], 0);
    bench.configure(&format!("url = \"{}\"\nprofile = \"vos3000\"\nattempts = 3\nbackoff_initial = \"100ms\"\nbackoff_max = \"200ms\"", receiver.url()));
    fs::write(bench.path("cdr/cdr_1.csv"), [row(1), row(2)].concat()).unwrap();
    let agent = bench.agent();
    wait_until("both events to be tried three times", || {
        receiver.account().requests == 6
    });
    wait_until("the first to be given up", || {
        agent.log().contains("events buried endpoint=billing")
    });
    assert_eq!(agent.stop(), 0);
    let billing = bench.ledger().endpoint("billing").unwrap().clone();
    assert_eq!(
        (
            billing.dead,
            billing.delivered,
            billing.queued,
            billing.waiting
        ),
        (2, 0, 0, 0)
    );
    assert_eq!(receiver.account().requests, 6, "not once more than counted");
}

#[test]
fn one_endpoint_that_is_down_holds_back_no_other() {
    const ROWS: u64 = 2_000;
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    let down = "[[endpoint]]\nname = \"crm\"\nurl = \"http://127.0.0.1:9/hook\"\nevents = [\"*\"]\nsecret_file = \"secret\"\n";
    bench.configure(&format!("url = \"{}\"\n\n{down}", receiver.url()));
    let agent = bench.agent();
    let rows: String = (0..ROWS).map(row).collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert_eq!(ledger.endpoint("billing").unwrap().delivered, ROWS);
    assert_eq!(
        (
            ledger.endpoint("crm").unwrap().queued,
            ledger.endpoint("crm").unwrap().dead
        ),
        (ROWS, 0)
    );
}

#[test]
fn rows_that_do_not_fit_are_set_aside_with_their_place_and_work_goes_on() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let bad = row(2).replace(",147,", ",abc,");
    fs::write(
        bench.path("cdr/cdr_1.csv"),
        [
            row(1),
            bad.clone(),
            "only,three,fields\n".to_string(),
            row(3),
        ]
        .concat(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("the good rows to arrive", || {
        receiver.account().distinct == 2
    });
    wait_until("the bad rows to be said", || {
        agent.log().contains("lines set aside source=cdr")
    });
    assert_eq!(agent.stop(), 0);
    let mode = fs::metadata(bench.path("state"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "calls are nobody else's business");
    let kept = fs::read_to_string(bench.path("state/set-aside.jsonl")).unwrap();
    let entries: Vec<serde_json::Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (entries[0]["line"].as_u64(), entries[0]["column"].as_u64()),
        (Some(2), Some(24))
    );
    assert_eq!(entries[0]["offset"].as_u64(), Some(row(1).len() as u64));
    assert_eq!(
        entries[0]["reason"],
        "field 24 (holdtime): \"abc\" is not a length of time"
    );
    assert_eq!(entries[0]["row"].as_str(), Some(bad.trim_end()));
    assert_eq!(entries[1]["reason"], "3 fields, expected 39 or 52 or 53");
    let source = *bench.ledger().source("cdr").unwrap();
    assert_eq!(
        (source.counts.rows, source.counts.rejected, source.events),
        (4, 2, 2)
    );
}

#[test]
fn following_from_now_leaves_old_rows_alone_also_over_a_restart() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let config = fs::read_to_string(bench.path("switchhook.toml"))
        .unwrap()
        .replace("\"beginning\"", "\"now\"");
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let file = bench.path("cdr/cdr_1.csv");
    fs::write(&file, [row(1), row(2)].concat()).unwrap();
    let agent = bench.agent();
    wait_until("the agent to start", || agent.log().contains("started"));
    std::thread::sleep(Duration::from_millis(500)); // A look has to have happened; nothing tells of it.
    assert_eq!(agent.stop(), 0);
    let mut file = OpenOptions::new().append(true).open(&file).unwrap();
    file.write_all(row(3).as_bytes()).unwrap();
    fs::write(bench.path("cdr/cdr_2.csv"), row(4)).unwrap();
    let agent = bench.agent();
    wait_until("the new rows to arrive", || {
        receiver.account().distinct == 2
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(bench.ledger().source("cdr").unwrap().counts.rows, 2);
}

#[test]
fn no_secret_and_no_whole_number_is_in_the_log() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &["status=401"], 0);
    bench.configure_with(
        "[log]\nlevel = \"trace\"\nto = \"stderr\"\n",
        &format!(
            "url = \"{}?token=hush-hush\"\nheaders = {{ X-Token = \"hush-hush\" }}",
            receiver.url()
        ),
    );
    fs::write(
        bench.path("cdr/cdr_1.csv"),
        [row(1), row(2).replace(",147,", ",+447700900999,")].concat(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("an attempt", || receiver.account().requests > 0);
    wait_until("the bad row to be said", || {
        agent.log().contains("lines set aside")
    });
    let log = agent.log();
    assert_eq!(agent.stop(), 0);
    for secret in [SECRET, "hush-hush", "447700900999", "12025550117"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
