//! Receivers nobody here wrote accept every delivery.

use crate::support::{Bench, PATIENCE, SECRET, has, row, skip, wait_until};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROWS: u64 = 50;

#[test]
fn the_php_check_of_the_vos3000_guide_accepts_every_delivery() {
    const TEST: &str = "interop::the_php_check_of_the_vos3000_guide_accepts_every_delivery";
    if !has("php", "--version") {
        return skip(TEST, "php is not installed");
    }
    let bench = Bench::new();
    let arrivals = bench.path("arrivals");
    File::create(&arrivals).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/vos3000-guide.php");
    let mut php = Command::new("php");
    php.args(["-S", &format!("127.0.0.1:{port}")]).arg(script);
    let _php = Other::start(
        php.env("WEBHOOK_SECRET", SECRET)
            .env("ARRIVALS", &arrivals)
            .stderr(Stdio::null())
            .stdout(Stdio::null()),
    );
    deliver(
        &bench,
        &format!(
            "url = \"http://127.0.0.1:{port}/\"\nprofile = \"vos3000\"\nprobe_max = \"200ms\""
        ),
        &arrivals,
    );
}

#[test]
fn the_official_standard_webhooks_library_for_python_accepts_every_delivery() {
    const TEST: &str =
        "interop::the_official_standard_webhooks_library_for_python_accepts_every_delivery";
    if !Command::new("python3")
        .args(["-c", "import standardwebhooks"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return skip(
            TEST,
            "python3 with the package standardwebhooks is not installed",
        );
    }
    let bench = Bench::new();
    let arrivals = bench.path("arrivals");
    File::create(&arrivals).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/standard_webhooks.py");
    let mut python = Command::new("python3");
    let mut python = Other::start(
        python
            .arg(script)
            .env("WEBHOOK_SECRET", SECRET)
            .env("ARRIVALS", &arrivals)
            .stdout(Stdio::piped()),
    );
    let mut port = String::new();
    BufReader::new(python.0.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    deliver(
        &bench,
        &format!(
            "url = \"http://127.0.0.1:{}/\"\nprofile = \"standard\"",
            port.trim()
        ),
        &arrivals,
    );
}

/// What the guides print for Node, with its own JSON: `JSON.stringify(JSON.parse(body))` must give
/// every body back byte for byte, and the Vobiz guide verifies over just that.
#[test]
fn a_javascript_engine_prints_every_body_as_it_came_and_the_guides_checks_pass() {
    const TEST: &str =
        "interop::a_javascript_engine_prints_every_body_as_it_came_and_the_guides_checks_pass";
    if !has("node", "--version") {
        return skip(TEST, "node is not installed");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/guides.js");
    for profile in [
        "standard",
        "vos3000",
        "vobiz",
        "vobiz-voice",
        "voipbin",
        "cloudevents",
    ] {
        let bench = Bench::new();
        let arrivals = bench.path("arrivals");
        File::create(&arrivals).unwrap();
        let mut node = Command::new("node");
        let mut node = Other::start(
            node.arg(&script)
                .env("WEBHOOK_SECRET", SECRET)
                .env("ARRIVALS", &arrivals)
                .env("PROFILE", profile)
                .stdout(Stdio::piped()),
        );
        let mut port = String::new();
        BufReader::new(node.0.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let url = format!("http://127.0.0.1:{}/", port.trim());
        deliver(
            &bench,
            &format!("url = \"{url}\"\nprofile = \"{profile}\""),
            &arrivals,
        );
    }
}

/// Delivers some rows and compares what the receiver wrote down.
#[track_caller]
fn deliver(bench: &Bench, endpoint: &str, arrivals: &Path) {
    bench.configure(endpoint);
    // A name that must reach the receiver as it is: quotes, Chinese, a control character.
    let rows: String = (0..ROWS)
        .map(|number| row(number).replace("CLIENT002", "百融 \"\"A\"\"\\/\u{1}é"))
        .collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    let agent = bench.agent();
    let lines = || fs::read_to_string(arrivals).unwrap();
    wait_until("every delivery to be answered", || {
        lines().lines().count() >= usize::try_from(ROWS).unwrap()
    });
    assert_eq!(agent.stop(), 0);
    let lines = lines();
    assert!(!lines.contains("refused"), "{lines}");
    let ids: std::collections::BTreeSet<&str> = lines
        .lines()
        .filter_map(|line| line.strip_suffix(" cdr 0.0368"))
        .collect();
    assert_eq!(ids.len() as u64, ROWS, "{lines}");
    assert_eq!(bench.ledger().endpoint("billing").unwrap().delivered, ROWS);
    assert!(PATIENCE.as_secs() > 0);
}

/// Somebody else's program; ended with the test.
struct Other(Child);

impl Other {
    fn start(command: &mut Command) -> Other {
        Other(command.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
