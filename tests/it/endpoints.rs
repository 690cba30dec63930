//! Endpoints that come, go and change their names while something is queued for them.

use crate::support::{Bench, receiver, row, run, text, wait_until};
use std::fs;
use std::process::Output;
use switchhook::receiver::Profile;

const ROWS: u64 = 40;

/// A bench with one endpoint, called `name`, of these further keys.
fn configure(bench: &Bench, name: &str, url: &str, keys: &str) {
    bench.configure(&format!("url = \"{url}\"\nprobe_max = \"200ms\"\n{keys}"));
    let path = bench.path("switchhook.toml");
    let config = fs::read_to_string(&path).unwrap();
    let named = config.replace("name = \"billing\"", &format!("name = \"{name}\""));
    fs::write(path, named).unwrap();
}

fn endpoints(bench: &Bench, arguments: &[&str]) -> Output {
    let path = bench.path("switchhook.toml");
    let config = ["--config", path.to_str().unwrap()];
    run(&[&["endpoints"], arguments, &config].concat())
}

/// A bench with a backlog for `billing`, whose receiver is down.
fn backlog() -> (Bench, switchhook::receiver::Receiver) {
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Standard, &[], 0);
    receiver.stop();
    configure(&bench, "billing", &receiver.url().to_string(), "");
    let rows: String = (0..ROWS).map(row).collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    let agent = bench.agent();
    wait_until("the outage to be seen", || {
        agent.log().contains("endpoint failing")
    });
    let live = endpoints(&bench, &["list"]);
    assert_eq!(live.status.code(), Some(0));
    assert!(text(&live.stdout).contains("failing"));
    assert_eq!(agent.stop(), 0);
    (bench, receiver)
}

#[test]
fn an_endpoint_that_is_gone_keeps_its_backlog_until_it_is_forgotten() {
    let (bench, mut receiver) = backlog();
    let url = receiver.url().to_string();
    let refused = endpoints(&bench, &["forget", "billing"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains("endpoint billing is configured"));
    // It is gone from the configuration, and back again: nothing is lost by that.
    configure(&bench, "crm", &url, "");
    let agent = bench.agent();
    wait_until("the backlog to be spoken of", || {
        agent.log().contains(
            "endpoint not configured any more, its backlog is kept endpoint=billing queued=40",
        )
    });
    wait_until("the start", || agent.log().matches(" started").count() == 2);
    assert_eq!(agent.stop(), 0);
    let list = text(&endpoints(&bench, &["list"]).stdout);
    let line = list.lines().find(|line| line.starts_with("billing"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[..3], ["billing", "not", "configured"]);
    // Those that were under way when it stopped may wait for their own retry.
    let counts = [words[3], words[4]].map(|word| word.parse::<u64>().unwrap());
    assert_eq!(counts.iter().sum::<u64>(), ROWS, "{words:?}");
    assert!(words[7].ends_with(['s', 'm', 'h']), "{words:?}");
    let line = list.lines().find(|line| line.starts_with("crm")).unwrap();
    assert!(line.contains(" enabled "), "{line}");
    configure(&bench, "billing", &url, "");
    receiver.listen().unwrap();
    let agent = bench.agent();
    wait_until("the backlog to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    // Now `crm` is the one that is gone.
    let forgotten = endpoints(&bench, &["forget", "crm"]);
    assert_eq!(forgotten.status.code(), Some(0));
    assert!(text(&forgotten.stdout).contains("endpoint crm forgotten: 0 queued and 0 waiting"));
    let again = endpoints(&bench, &["forget", "crm"]);
    assert_eq!(again.status.code(), Some(64));
    assert!(text(&again.stderr).contains("knows no endpoint crm; it knows billing"));
    assert_eq!(receiver.account().duplicates, 0);
}

#[test]
fn a_renamed_endpoint_adopts_its_backlog_at_the_next_start() {
    let (bench, mut receiver) = backlog();
    configure(
        &bench,
        "invoices",
        &receiver.url().to_string(),
        "adopt = \"billing\"",
    );
    receiver.listen().unwrap();
    for start in 2..=3 {
        // The key may stay where it is.
        let agent = bench.agent();
        wait_until("the start", || {
            agent.log().matches(" started").count() == start
        });
        wait_until("the backlog to arrive", || {
            receiver.account().distinct == ROWS
        });
        assert_eq!(agent.stop(), 0);
    }
    assert_eq!(receiver.account().duplicates, 0);
    let ledger = bench.ledger();
    assert!(ledger.balances() && ledger.endpoint("billing").is_none());
    assert_eq!(ledger.endpoint("invoices").unwrap().delivered, ROWS);
    let log = fs::read_to_string(bench.path("agent.log")).unwrap();
    assert_eq!(
        log.matches("endpoint adopted old=billing").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_backlog_can_be_adopted_by_hand() {
    let (bench, mut receiver) = backlog();
    configure(&bench, "invoices", &receiver.url().to_string(), "");
    let wrong = endpoints(&bench, &["adopt", "billing", "nobody"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("endpoint nobody is not configured"));
    let adopted = endpoints(&bench, &["adopt", "billing", "invoices"]);
    assert_eq!(adopted.status.code(), Some(0));
    assert!(
        text(&adopted.stdout)
            .contains("endpoint invoices takes over from billing: 40 queued, 0 waiting")
    );
    receiver.listen().unwrap();
    let agent = bench.agent();
    wait_until("the backlog to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_new_endpoint_begins_now_or_with_the_oldest_event_there_is() {
    let (bench, _receiver) = backlog();
    let fresh = receiver(Profile::Standard, &[], 0);
    let all = receiver(Profile::Standard, &[], 0);
    let path = bench.path("switchhook.toml");
    let mut config = fs::read_to_string(&path).unwrap();
    for (name, url, from) in [("fresh", fresh.url(), "now"), ("all", all.url(), "oldest")] {
        config.push_str(&format!(
            "\n[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nfrom = \"{from}\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\n"
        ));
    }
    fs::write(path, config).unwrap();
    fs::write(bench.path("cdr/cdr_2.csv"), row(ROWS)).unwrap();
    let agent = bench.agent();
    wait_until("the new event to arrive", || fresh.account().distinct == 1);
    wait_until("all events to arrive", || {
        all.account().distinct == ROWS + 1
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(fresh.account().distinct, 1);
}
