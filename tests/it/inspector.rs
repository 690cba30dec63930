//! `receive` and `verify` as the developer of a receiver meets them.

use crate::support::{Bench, PATIENCE, SECRET, receiver, row, skip, switchhook, text, wait_until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use switchhook::receiver::Profile;

/// `switchhook receive`, running.
pub struct Inspector {
    child: Child,
    pub port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Inspector {
    fn start(bench: &Bench, arguments: &[&str]) -> Inspector {
        Inspector::start_listening(bench, &[&["--listen", "127.0.0.1:0"], arguments].concat())
    }

    fn start_listening(bench: &Bench, arguments: &[&str]) -> Inspector {
        let secret = bench.path("secret");
        let all = [&["--secret-file", secret.to_str().unwrap()], arguments].concat();
        Inspector::launch(bench, &all)
    }

    /// Starts it with these arguments alone, in the bench's directory.
    pub fn launch(bench: &Bench, arguments: &[&str]) -> Inspector {
        let mut child = switchhook()
            .arg("receive")
            .args(arguments)
            .current_dir(bench.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // With --json what is no JSON goes to standard error.
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let (kept, told) = (Arc::clone(&lines), Arc::clone(&lines));
        let reader = std::thread::spawn(move || {
            let errors = std::thread::spawn(move || {
                for line in err.lines() {
                    told.lock().unwrap().push(line.unwrap());
                }
            });
            for line in out.lines() {
                kept.lock().unwrap().push(line.unwrap());
            }
            errors.join().unwrap();
        });
        let mut inspector = Inspector {
            child,
            port: 0,
            lines,
            reader: Some(reader),
        };
        let line = inspector.line("listening on ");
        let port = line.split(['/', ':']).find_map(|word| word.parse().ok());
        inspector.port = port.unwrap();
        inspector
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhook", self.port)
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line that contains `text`.
    #[track_caller]
    pub fn line(&self, text: &str) -> String {
        let mut found = None;
        wait_until(text, || {
            let lines = self.lines.lock().unwrap();
            found = lines.iter().find(|line| line.contains(text)).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// Posts `body` with a signature header, or without one; returns the status.
    fn post(&self, body: &str, signature: Option<&str>) -> u16 {
        let header = signature.map(|signature| format!("X-VOS3000-Signature: {signature}\r\n"));
        self.ask("POST", "/webhook", &header.unwrap_or_default(), body)
            .0
    }

    fn post_signed(&self, body: &str) -> u16 {
        self.post(body, Some(&signature(SECRET, body)))
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    /// Asks it to stop; returns everything it printed.
    pub fn stop(mut self) -> Vec<String> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.reader.take().unwrap().join().unwrap();
        self.lines()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let tag = mac.finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn callback(number: u32) -> String {
    format!(
        r#"{{"event":"cdr","timestamp":"t","data":{{"caller_id":"+447700900123"}},"id":"evt_{number:032x}","sequence":{number}}}"#
    )
}

/// Runs `verify` with the bench's secret.
fn verify(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String) {
    let output = switchhook()
        .args(["verify", "--secret-file"])
        .arg(bench.path("secret"))
        .args(arguments)
        .current_dir(bench.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(!all.contains(SECRET), "{all}");
    (output.status.code(), all)
}

#[test]
fn every_way_a_signature_fails_is_said_in_words() {
    let bench = Bench::new();
    let inspector = Inspector::start(&bench, &["--profile", "vos3000"]);
    let body = callback(1);
    assert_eq!(inspector.post(&body, None), 401);
    inspector.line("header missing");
    inspector.line("x-vos3000-signature is missing");
    assert_eq!(inspector.post(&body, Some(&signature("other", &body))), 401);
    inspector.line("wrong secret, or body altered");
    let bare = signature(&format!("{SECRET}\n"), &body);
    assert_eq!(inspector.post(&body, Some(&bare)), 401);
    inspector.line("the sender signed with the line end of the file the secret is in");
    assert_eq!(inspector.post_signed(&body), 200);
    let sent = signature(SECRET, &body);
    assert_eq!(inspector.post(&body.replace(":", ": "), Some(&sent)), 401);
    inspector.line("the same JSON printed in another way");
    assert_eq!(
        inspector.post(&body.replace("cdr", "cdx"), Some(&sent)),
        401
    );
    inspector.line("other callbacks with this secret were right");
    let lines = inspector.stop().join("\n");
    assert!(!lines.contains("447700900123"), "{lines}");
    assert!(!lines.contains(SECRET), "{lines}");
    assert!(
        lines.contains("accepted=1 distinct=1 duplicates=0 bad_signatures=5"),
        "{lines}"
    );
}

#[test]
fn scripts_read_a_json_object_per_callback_and_nothing_else() {
    let bench = Bench::new();
    let mut inspector = Inspector::start(&bench, &["--profile", "vos3000", "--json", "--payload"]);
    inspector.post_signed(&callback(7));
    inspector.post_signed(&callback(7));
    inspector.post("{}", None);
    inspector.line("\"number\":3");
    let lines = inspector.lines();
    let told: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(told.len(), 3, "{lines:?}");
    assert_eq!(told[0]["id"], format!("evt_{:032x}", 7));
    assert_eq!(told[0]["body"], callback(7));
    let repeats: Vec<&Value> = told.iter().map(|told| &told["repeat"]).collect();
    assert_eq!(repeats, [false, true, false]);
    assert_eq!(told[2]["signature"]["cause"], "header missing");
    inspector.child.kill().unwrap();
}

#[test]
fn what_was_answered_is_on_disk_and_known_after_a_kill() {
    for place in ["callbacks.jsonl", "callbacks/"] {
        let bench = Bench::new();
        let spool = bench.path("spool").join(place);
        fs::create_dir(bench.path("spool")).unwrap();
        let arguments = ["--profile", "vos3000", "--spool", spool.to_str().unwrap()];
        let mut inspector = Inspector::start(&bench, &arguments);
        for number in 1..=3 {
            assert_eq!(inspector.post_signed(&callback(number)), 200);
        }
        assert_eq!(inspector.post_signed(&callback(3)), 200);
        inspector.child.kill().unwrap();
        drop(inspector);

        let inspector = Inspector::start(&bench, &arguments);
        assert_eq!(inspector.post_signed(&callback(2)), 200);
        assert!(
            inspector
                .line(&format!("evt_{:032x}", 2))
                .ends_with("repeat")
        );
        let lines = inspector.stop();
        assert!(
            lines.last().unwrap().contains("distinct=0 duplicates=1"),
            "{lines:?}"
        );

        let files: Vec<_> = match spool.is_dir() {
            true => fs::read_dir(&spool)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect(),
            false => vec![spool.clone()],
        };
        let mut valid = 0;
        for file in &files {
            let (code, out) = verify(
                &bench,
                &["--profile", "vos3000", "--request", file.to_str().unwrap()],
            );
            assert_eq!(code, Some(0), "{out}");
            valid += out.lines().filter(|line| line.starts_with("valid")).count();
        }
        assert_eq!(valid, 3, "{place}");
        // Somebody changes one.
        let changed = fs::read_to_string(&files[0])
            .unwrap()
            .replace("447700900123", "447700900124");
        fs::write(&files[0], changed).unwrap();
        let (code, out) = verify(
            &bench,
            &[
                "--profile",
                "vos3000",
                "--request",
                files[0].to_str().unwrap(),
            ],
        );
        assert_eq!(code, Some(65), "{out}");
        assert!(out.contains("invalid"), "{out}");
    }
}

#[test]
fn what_cannot_be_spooled_is_not_answered_200() {
    let bench = Bench::new();
    let (spool, aside) = (bench.path("callbacks"), bench.path("aside"));
    fs::create_dir(&spool).unwrap();
    let arguments = ["--profile", "vos3000", "--spool", spool.to_str().unwrap()];
    let inspector = Inspector::start(&bench, &arguments);
    fs::rename(&spool, &aside).unwrap();
    assert_eq!(inspector.post_signed(&callback(1)), 503);
    inspector.line("spool: No such file");
    fs::rename(&aside, &spool).unwrap();
    assert_eq!(inspector.post_signed(&callback(1)), 200);
    let lines = inspector.stop();
    let account = lines.last().unwrap();
    assert!(
        account.contains("accepted=1 distinct=1") && account.contains("not_kept=1"),
        "{account}"
    );
}

#[test]
fn deliveries_are_spooled_and_handed_on_as_they_came() {
    const ROWS: u64 = 20;
    let bench = Bench::new();
    let targets = [
        receiver(Profile::Standard, &[], 0),
        receiver(Profile::Standard, &["status=500,rate=0.5"], 3),
    ];
    let spool = bench.path("callbacks.jsonl");
    let inspector = Inspector::start(
        &bench,
        &[
            "--spool",
            spool.to_str().unwrap(),
            "--forward",
            &targets[0].url(),
            "--forward",
            &targets[1].url(),
        ],
    );
    bench.configure(&format!("url = \"{}\"", inspector.url()));
    fs::write(
        bench.path("cdr/cdr_1.csv"),
        (0..ROWS).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("every call to be handed on", || {
        targets[0].account().distinct == ROWS && targets[1].account().requests == ROWS
    });
    wait_until("the agent to know it", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    // The targets verified headers and bodies themselves; a failing one is its own affair.
    assert_eq!(targets[0].account().duplicates, 0);
    assert_eq!(targets[1].account().bad_signatures, 0);
    assert!(targets[1].account().faults.status > 0);
    inspector.line("→ http://127.0.0.1:");
    let lines = inspector.stop();
    assert!(
        lines.last().unwrap().contains("distinct=20 duplicates=0"),
        "{lines:?}"
    );
    assert_eq!(
        fs::read_to_string(spool).unwrap().lines().count() as u64,
        ROWS
    );
}

#[test]
fn the_senders_answer_is_the_forwards_where_that_is_asked_for() {
    const ROWS: u64 = 10;
    let bench = Bench::new();
    let target = receiver(Profile::Standard, &["status=503,rate=0.4"], 5);
    let inspector = Inspector::start(&bench, &["--forward", &target.url(), "--forward-answer"]);
    bench.configure(&format!(
        "url = \"{}\"\nbackoff_initial = \"100ms\"\nbackoff_max = \"200ms\"\nprobe_max = \"200ms\"",
        inspector.url()
    ));
    fs::write(
        bench.path("cdr/cdr_1.csv"),
        (0..ROWS).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("every call to be taken by the target", || {
        target.account().distinct == ROWS && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    let refused = target.account().faults.status;
    assert!(refused > 0, "the target did fail");
    let lines = inspector.stop();
    let account = lines.last().unwrap();
    assert!(
        account.contains(&format!("accepted={ROWS} distinct={ROWS}"))
            && account.contains(&format!("not_kept={refused} ")),
        "{account}"
    );
}

#[test]
fn a_forward_that_is_not_there_is_502_where_its_answer_counts() {
    let bench = Bench::new();
    let inspector = Inspector::start(
        &bench,
        &[
            "--profile",
            "vos3000",
            "--forward",
            "http://127.0.0.1:1/",
            "--forward-answer",
        ],
    );
    assert_eq!(inspector.post_signed(&callback(1)), 502);
    inspector.line("no connection");
    let wrong = switchhook()
        .args([
            "receive",
            "--secret-file",
            "x",
            "--forward",
            "https://example.com/",
        ])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("only http:// is forwarded to"));
}

#[test]
fn a_saved_request_is_judged_and_the_expected_signature_shown_only_when_asked() {
    let bench = Bench::new();
    let body = callback(1);
    fs::write(bench.path("body.json"), &body).unwrap();
    let right = signature(SECRET, &body);
    let header = format!("X-VOS3000-Signature: {right}");
    let given = [
        "--profile",
        "vos3000",
        "--header",
        &header,
        "--body-file",
        "body.json",
    ];
    let (code, out) = verify(&bench, &given);
    assert_eq!((code, out.contains("valid")), (Some(0), true), "{out}");

    fs::write(bench.path("body.json"), body.clone() + "\n").unwrap();
    let (code, out) = verify(&bench, &given);
    assert_eq!(code, Some(65), "{out}");
    assert!(out.contains("body altered: white space was added"), "{out}");
    let expected = signature(SECRET, &(body.clone() + "\n"));
    assert!(!out.contains(&expected), "{out}");
    let explained = [given.as_slice(), &["--explain"]].concat();
    let (code, out) = verify(&bench, &explained);
    assert_eq!((code, out.contains(&expected)), (Some(65), true), "{out}");

    let dump = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    fs::write(bench.path("dump.http"), &dump).unwrap();
    let (code, out) = verify(&bench, &["--profile", "vos3000", "--request", "dump.http"]);
    assert_eq!(code, Some(0), "{out}");
    fs::write(bench.path("dump.http"), &dump[..dump.len() - 9]).unwrap();
    let (code, out) = verify(&bench, &["--profile", "vos3000", "--request", "dump.http"]);
    assert_eq!(code, Some(65), "{out}");
    assert!(
        out.contains("not valid JSON") && out.contains("Content-Length says"),
        "{out}"
    );
    for wrong in [
        vec!["--profile", "vos3000"],
        vec!["--body-file", "body.json", "--request", "dump.http"],
        vec!["--header", "nonsense", "--body-file", "body.json"],
        vec!["--request", "missing"],
    ] {
        assert_eq!(verify(&bench, &wrong).0, Some(64), "{wrong:?}");
    }
}

/// The vector of the Standard Webhooks specification.
#[test]
fn a_signed_time_is_judged_at_the_time_that_is_asked_for() {
    let bench = Bench::new();
    fs::write(bench.path("body.json"), r#"{"test": 2432232314}"#).unwrap();
    let given = [
        "--body-file",
        "body.json",
        "-H",
        "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
        "-H",
        "webhook-timestamp: 1614265330",
        "-H",
        "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ];
    let with = |more: &[&str]| verify(&bench, &[given.as_slice(), more].concat());
    let (code, out) = with(&[]);
    assert_eq!(code, Some(65), "{out}");
    assert!(
        out.contains("timestamp outside the window")
            && out.contains("the signature itself is right"),
        "{out}"
    );
    assert_eq!(with(&["--at", "2021-02-25T15:02:10Z"]).0, Some(0));
    assert_eq!(with(&["--at", "2021-02-25T15:12:10Z"]).0, Some(65));
    assert_eq!(
        with(&["--at", "2021-02-25T15:12:10Z", "--tolerance", "600"]).0,
        Some(0)
    );
    let (code, out) = with(&["--at", "2021-02-25T15:02:10Z", "--json", "--explain"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["valid"]), (Some(0), &Value::Bool(true)));
}

/// What a hostile sender with a stolen secret would write, and a caller's name could.
const HOSTILE: &str = "<img src=x onerror=\\\"document.title='pwned'\\\"></pre></script><script>document.title='pwned'</script>";

#[test]
fn the_page_shows_what_arrived_in_a_real_browser_and_runs_nothing_of_it() {
    const TEST: &str =
        "inspector::the_page_shows_what_arrived_in_a_real_browser_and_runs_nothing_of_it";
    if !crate::support::has("chromium", "--version") {
        return skip(TEST, "chromium is not installed");
    }
    let bench = Bench::new();
    let inspector = Inspector::start(&bench, &["--profile", "vos3000"]);
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"",
        inspector.url()
    ));
    fs::write(
        bench.path("cdr/cdr_1.csv"),
        (1..=3).map(row).collect::<String>(),
    )
    .unwrap();
    let agent = bench.agent();
    wait_until("the deliveries", || {
        inspector
            .ask("GET", "/arrivals?after=0", "", "")
            .1
            .contains("\"number\":3")
    });
    assert_eq!(agent.stop(), 0);
    let hostile = format!(
        r#"{{"event":"{HOSTILE}","timestamp":"t","data":{{"n":1.50,"x":"{HOSTILE}"}},"id":"{HOSTILE}"}}"#
    );
    let signed = format!(
        "X-VOS3000-Signature: {}\r\nX-Evil: <b>bold</b>\r\n",
        signature(SECRET, &hostile)
    );
    for _ in 0..2 {
        assert_eq!(inspector.ask("POST", "/webhook", &signed, &hostile).0, 200);
    }
    assert_eq!(
        inspector.post("<script>document.title='pwned'</script>", None),
        401
    );

    let page = format!("http://127.0.0.1:{}/", inspector.port);
    let profile = bench.path("chromium");
    let dom = browse(
        &profile,
        &["--virtual-time-budget=5000", "--dump-dom", &page],
    );
    let title = dom.split("<title>").nth(1).unwrap().split('<').next();
    assert_eq!(title, Some("switchhook receive"));
    assert!(!dom.contains("<img") && !dom.contains("<b>"), "{dom}");
    assert_eq!(dom.matches("<script").count(), 1, "its own: {dom}");
    for shown in [
        "6 kept, 6 shown, 1 refused, 1 repeat<",
        "signature ok",
        "header missing",
        "x-vos3000-signature is missing",
        ">repeat<",
        "&lt;img src=x onerror=",
        "&lt;b&gt;bold&lt;/b&gt;",
        "\"n\": 1.50",
        "\"call_id\": \"1\"",
        "x-switchhook-attempt",
    ] {
        assert!(dom.contains(shown), "{shown:?} is not in {dom}");
    }
    // For whoever wants to look at it.
    if let Some(directory) = std::env::var_os("SWITCHHOOK_SCREENSHOTS") {
        for (name, size, dark) in [
            ("wide", "1100,800", false),
            ("narrow", "360,740", false),
            ("dark", "1100,800", true),
        ] {
            let file = Path::new(&directory).join(format!("page-{name}.png"));
            let screenshot = format!("--screenshot={}", file.display());
            let size = format!("--window-size={size}");
            let mut arguments = vec![
                "--virtual-time-budget=5000",
                "--hide-scrollbars",
                &screenshot,
                &size,
            ];
            if dark {
                arguments.push("--blink-settings=preferredColorScheme=0");
            }
            arguments.push(&page);
            browse(&profile, &arguments);
        }
    }
}

/// Typing, opening and clearing, with keys alone, by way of the driver that belongs to the browser.
#[test]
fn the_page_is_worked_with_keys_alone() {
    const TEST: &str = "inspector::the_page_is_worked_with_keys_alone";
    if !crate::support::has("chromium", "--version")
        || !crate::support::has("chromedriver", "--version")
    {
        return skip(TEST, "chromium or chromedriver is not installed");
    }
    let bench = Bench::new();
    let inspector = Inspector::start(&bench, &["--profile", "vos3000"]);
    inspector.post_signed(&callback(1));
    inspector.post_signed(&callback(2).replace("cdr", "alarm"));
    inspector.post("{}", None);
    let browser = Browser::start(&bench);
    browser.open(&format!("http://127.0.0.1:{}/", inspector.port));
    let counts = || browser.script("return document.getElementById('counts').textContent");
    let until = |text: &str| wait_until(text, || counts().as_str() == Some(text));
    until("3 kept, 3 shown, 1 refused, 0 repeats");

    browser.keys(&["/", "a", "l", "a", "r", "m"]);
    until("3 kept, 1 shown, 1 refused, 0 repeats");
    browser.keys(&[ESCAPE]);
    until("3 kept, 3 shown, 1 refused, 0 repeats");
    // From the filter past the check box and the button to the newest callback.
    browser.keys(&[TAB, " "]);
    until("3 kept, 1 shown, 1 refused, 0 repeats");
    browser.keys(&[" ", TAB, TAB, ENTER]);
    let open = browser.script("return document.querySelector('details[open]').textContent");
    assert!(
        open.as_str()
            .unwrap()
            .contains("x-vos3000-signature is missing"),
        "{open}"
    );
    // What arrives meanwhile neither closes it nor takes the focus away.
    inspector.post_signed(&callback(3));
    until("4 kept, 4 shown, 1 refused, 0 repeats");
    let focus = browser.script("return document.activeElement.parentElement.open");
    assert_eq!(focus, true);
    if let Some(directory) = std::env::var_os("SWITCHHOOK_SCREENSHOTS") {
        browser.script("document.querySelectorAll('summary')[3].focus()");
        browser.keys(&[ENTER]);
        let picture = browser.ask("GET", "/screenshot", &json!(null));
        let picture = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        fs::write(Path::new(&directory).join("page-open.png"), picture).unwrap();
    }
    browser.script("document.getElementById('clear').focus()");
    browser.keys(&[ENTER]);
    until("0 kept, 0 shown, 0 refused, 0 repeats");
    inspector.post_signed(&callback(1));
    until("1 kept, 1 shown, 0 refused, 1 repeat");
    // A page that is opened later sees the same.
    browser.open(&format!("http://127.0.0.1:{}/", inspector.port));
    until("1 kept, 1 shown, 0 refused, 1 repeat");
    inspector.stop();
    wait_until("the page to notice the end", || {
        counts()
            .as_str()
            .unwrap()
            .starts_with("NOT RUNNING ANY MORE")
    });
    let wide = browser.script("return document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(wide, true, "nothing sticks out");
}

/// Keys as the WebDriver standard numbers them.
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// A browser that does what it is told.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    fn start(bench: &Bench) -> Browser {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut browser = Browser {
            driver,
            port,
            session: String::new(),
        };
        wait_until("the driver to listen", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let profile = format!("--user-data-dir={}", bench.path("driven").display());
        let mut arguments: Vec<&str> = HEADLESS.to_vec();
        arguments.extend([profile.as_str(), "--window-size=360,740"]);
        let options = json!({ "args": arguments });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = browser.ask("POST", "", &wanted);
        browser.session = format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    fn script(&self, script: &str) -> Value {
        self.ask(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// Presses and lets go one key after another.
    fn keys(&self, keys: &[&str]) {
        let press = |key: &&str| {
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        };
        let actions: Vec<Value> = keys.iter().flat_map(press).collect();
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.ask("POST", "/actions", &json!({ "actions": [source] }));
    }

    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "{method} /session{}{path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.session,
            self.port,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            let line = line.trim_end().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(
            answer["value"].get("error").is_none(),
            "{method} {path}: {answer}"
        );
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _closed = std::panic::catch_unwind(|| self.ask("DELETE", "", &Value::Null));
        }
        let _ended = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}

/// How a browser is started without a screen.
const HEADLESS: [&str; 5] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
];

fn browse(profile: &Path, arguments: &[&str]) -> String {
    let output = Command::new("chromium")
        .args(HEADLESS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    text(&output.stdout)
}

#[test]
fn the_page_is_for_this_machine_alone() {
    let bench = Bench::new();
    let inspector = Inspector::start(&bench, &["--profile", "vos3000"]);
    let (status, answer) = inspector.ask("GET", "/", "", "");
    assert_eq!(status, 200);
    let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
    assert!(
        head.contains("content-security-policy: default-src 'none'; connect-src 'self'"),
        "{head}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", inspector.port)).unwrap();
    let tunnel = "GET /arrivals HTTP/1.1\r\nHost: abc.tunnel.example\r\nConnection: close\r\n\r\n";
    stream.write_all(tunnel.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let lines = inspector.stop();
    assert!(
        lines.last().unwrap().starts_with("requests=0 "),
        "looking is no request: {lines:?}"
    );
    // Beyond the loopback there is none unless it is asked for.
    let arguments = ["--listen", "0.0.0.0:0", "--profile", "vos3000"];
    let open = Inspector::start_listening(&bench, &arguments);
    assert_eq!(open.ask("GET", "/", "", "").0, 404);
    open.line("no page, since the address is not the loopback");
    let arguments = [
        "--listen",
        "0.0.0.0:0",
        "--profile",
        "vos3000",
        "--web",
        "127.0.0.1:0",
    ];
    let apart = Inspector::start_listening(&bench, &arguments);
    assert_eq!(apart.ask("GET", "/", "", "").0, 404);
    let line = apart.line("what arrives is shown at http://127.0.0.1:");
    let port: u16 = line
        .split(['/', ':'])
        .find_map(|word| word.parse().ok())
        .unwrap();
    let mut apart = apart;
    apart.port = port;
    assert_eq!(apart.ask("GET", "/", "", "").0, 200);
    assert_eq!(apart.post_signed(&callback(1)), 404, "no callbacks there");
}
