//! Receivers nobody here wrote accept every delivery.

use crate::contracts::{has_npm, script};
use crate::support::{Bench, PATIENCE, SECRET, has, row, skip, wait_until};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROWS: u64 = 50;

#[test]
fn the_php_check_of_the_vos3000_guide_accepts_every_delivery() {
    const TEST: &str = "interop::the_php_check_of_the_vos3000_guide_accepts_every_delivery";
    if !has("php", "--version") {
        return skip(TEST, "php is not installed");
    }
    // What the guide prints, and the same check where PHP itself takes form fields apart.
    for content in ["json", "form"] {
        php(content);
    }
}

fn php(content: &str) {
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
            "url = \"http://127.0.0.1:{port}/\"\nprofile = \"vos3000\"\nprobe_max = \"200ms\"\ncontent = \"{content}\""
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

/// Receivers made of published libraries, in one program: which, the endpoint's keys beside its url,
/// what it calls the event.
fn library(test: &str, receiver: &str, packages: &[&str], endpoint: &str, kind: &str) {
    let test = format!("interop::{test}");
    let missing = packages
        .iter()
        .chain(&["express"])
        .find(|package| !has_npm(package));
    if let Some(package) = missing {
        return skip(
            &test,
            &format!("node with the package {package} is not installed"),
        );
    }
    let bench = Bench::new();
    let arrivals = bench.path("arrivals");
    File::create(&arrivals).unwrap();
    let encoding = if endpoint.contains("gzip") {
        "gzip"
    } else {
        "none"
    };
    let mut node = Command::new("node");
    let mut node = Other::start(
        node.arg(script("libraries.js"))
            .env("WEBHOOK_SECRET", SECRET)
            .env("ARRIVALS", &arrivals)
            .env("RECEIVER", receiver)
            .env("EXPECT_ENCODING", encoding)
            .stdout(Stdio::piped()),
    );
    let mut port = String::new();
    BufReader::new(node.0.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let endpoint = format!(
        "url = \"http://127.0.0.1:{}/hook\"\n{endpoint}",
        port.trim()
    );
    deliver_as(&bench, &endpoint, &arrivals, kind);
}

/// The receiver of the Vobiz guide on Express itself: `JSON.stringify(req.body)`, the window of five
/// minutes, `timingSafeEqual`.
#[test]
fn the_express_receiver_of_the_vobiz_guide_accepts_every_delivery() {
    const TEST: &str = "the_express_receiver_of_the_vobiz_guide_accepts_every_delivery";
    library(
        TEST,
        "express-vobiz",
        &[],
        "profile = \"vobiz\"",
        "call.completed",
    );
    library(
        TEST,
        "express-vobiz",
        &[],
        "profile = \"vobiz-voice\"",
        "Hangup",
    );
    // Express unpacks the body before the receiver sees it.
    let packed = "profile = \"vobiz\"\ncompress = \"gzip\"";
    library(TEST, "express-vobiz", &[], packed, "call.completed");
}

#[test]
fn express_reads_form_fields_the_query_and_packed_bodies_and_their_signatures_fit() {
    const TEST: &str =
        "express_reads_form_fields_the_query_and_packed_bodies_and_their_signatures_fit";
    let as_vos3000 = |keys: &str| format!("profile = \"vos3000\"\n{keys}");
    let gzip = as_vos3000("compress = \"gzip\"\nmethod = \"PUT\"");
    library(TEST, "express-json", &[], &gzip, "cdr");
    let form = as_vos3000("content = \"form\"");
    library(TEST, "express-form", &[], &form, "cdr");
    let form = as_vos3000("content = \"form\"\ncompress = \"gzip\"");
    library(TEST, "express-form", &[], &form, "cdr");
    let get = as_vos3000("method = \"GET\"");
    library(TEST, "express-get", &["qs"], &get, "cdr");
}

/// With the secret in force, and with the one before during a rotation.
#[test]
fn the_official_standard_webhooks_library_for_javascript_accepts_every_delivery() {
    const TEST: &str =
        "the_official_standard_webhooks_library_for_javascript_accepts_every_delivery";
    let packages = ["standardwebhooks"];
    library(
        TEST,
        "standardwebhooks",
        &packages,
        "profile = \"standard\"",
        "cdr",
    );
    let rotating = format!("profile = \"standard\"\n{ROTATING}");
    library(TEST, "standardwebhooks", &packages, &rotating, "cdr");
}

/// `secret_file` is the new secret then; the receiver knows the one before.
const ROTATING: &str = "previous_secret_file = \"previous\"";

#[test]
fn stripe_s_own_library_accepts_every_delivery() {
    const TEST: &str = "stripe_s_own_library_accepts_every_delivery";
    let custom = "profile = \"custom\"\nsignature = \"stripe\"";
    library(TEST, "stripe", &["stripe"], custom, "cdr");
    let rotating = format!("{custom}\n{ROTATING}");
    library(TEST, "stripe", &["stripe"], &rotating, "cdr");
}

#[test]
fn the_library_for_github_s_webhooks_accepts_every_delivery() {
    const TEST: &str = "the_library_for_github_s_webhooks_accepts_every_delivery";
    let custom = "profile = \"custom\"\nsignature = \"github\"\nbody = \"vos3000\"";
    library(
        TEST,
        "github",
        &["@octokit/webhooks-methods"],
        custom,
        "cdr",
    );
}

#[test]
fn the_sdk_of_cloudevents_reads_every_delivery_as_a_valid_event() {
    const TEST: &str = "the_sdk_of_cloudevents_reads_every_delivery_as_a_valid_event";
    let keys = "profile = \"cloudevents\"";
    library(TEST, "cloudevents", &["cloudevents"], keys, "cdr");
}

/// Delivers some rows and compares what the receiver wrote down.
#[track_caller]
fn deliver(bench: &Bench, endpoint: &str, arrivals: &Path) {
    deliver_as(bench, endpoint, arrivals, "cdr");
}

/// The same where the receiver calls the event `kind`.
#[track_caller]
fn deliver_as(bench: &Bench, endpoint: &str, arrivals: &Path, kind: &str) {
    bench.configure(endpoint);
    if endpoint.contains(ROTATING) {
        fs::rename(bench.path("secret"), bench.path("previous")).unwrap();
        let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let mut file = OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600);
        writeln!(file.open(bench.path("secret")).unwrap(), "{new}").unwrap();
    }
    if endpoint.contains("compress") {
        // Bodies that are worth it.
        let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
        let longer = config.replace("currency = ", "columns = \"52\"\nextra = true\ncurrency = ");
        fs::write(bench.path("switchhook.toml"), longer).unwrap();
    }
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
        .filter_map(|line| line.strip_suffix(&format!(" {kind} 0.0368")))
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
