//! The receivers of `docs/receivers` against real deliveries, and against what a receiver must refuse.

use crate::support::{Bench, SECRET, has, row, skip, wait_until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sha2::Sha256;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Calls that the agent delivers to each receiver under each profile.
const ROWS: usize = 20;

/// The headers of one request.
type Headers = Vec<(&'static str, String)>;

#[test]
fn the_php_receiver_keeps_its_promises() {
    if let Some(why) = lacks(&[("php", "--version")]) {
        return skip("receivers::the_php_receiver_keeps_its_promises", &why);
    }
    check(|port| {
        let mut php = Command::new("php");
        php.args(["-S", &format!("127.0.0.1:{port}")])
            .arg(docs("php/receiver.php"))
            .env("PHP_CLI_SERVER_WORKERS", "4");
        php
    });
}

#[test]
fn the_node_receiver_keeps_its_promises() {
    const TEST: &str = "receivers::the_node_receiver_keeps_its_promises";
    // Those of the other tests with node, which `.ci/run` installs.
    let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/node_modules");
    let express = Command::new("node")
        .args(["-e", "require('express')"])
        .env("NODE_PATH", modules)
        .stderr(Stdio::null())
        .status();
    if !express.is_ok_and(|status| status.success()) {
        return skip(TEST, "node with the package express is not installed");
    }
    let node = |_| {
        let mut node = Command::new("node");
        node.arg(docs("node/receiver.js")).env("NODE_PATH", modules);
        node
    };
    what_is_missing_is_said_at_the_start(node);
    check(node);
}

#[test]
fn the_flask_receiver_keeps_its_promises() {
    if !imports("flask") {
        let why = "python3 with the package flask is not installed";
        return skip("receivers::the_flask_receiver_keeps_its_promises", why);
    }
    let flask = |_| {
        let mut python = Command::new("python3");
        python.arg(docs("python/flask_receiver.py"));
        python
    };
    what_is_missing_is_said_at_the_start(flask);
    check(flask);
}

#[test]
fn the_fastapi_receiver_keeps_its_promises() {
    if !imports("fastapi, uvicorn") {
        let why = "python3 with the packages fastapi and uvicorn is not installed";
        return skip("receivers::the_fastapi_receiver_keeps_its_promises", why);
    }
    let uvicorn = |port: u16| {
        let mut python = Command::new("python3");
        python
            .args([
                "-m",
                "uvicorn",
                "--log-level",
                "warning",
                "--host",
                "127.0.0.1",
            ])
            .args(["--port", &port.to_string(), "--app-dir"])
            .arg(docs("python"))
            .arg("fastapi_receiver:app");
        python
    };
    what_is_missing_is_said_at_the_start(uvicorn);
    check(uvicorn);
}

#[test]
fn the_go_receiver_keeps_its_promises() {
    if let Some(why) = lacks(&[("go", "version")]) {
        return skip("receivers::the_go_receiver_keeps_its_promises", &why);
    }
    let built = tempfile::tempdir().unwrap();
    let program = built.path().join("receiver");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(docs("go/receiver.go"))
        .status();
    assert!(status.unwrap().success());
    what_is_missing_is_said_at_the_start(|_| Command::new(&program));
    check(|_| Command::new(&program));
}

#[test]
fn the_java_receiver_keeps_its_promises() {
    if let Some(why) = lacks(&[("javac", "-version"), ("java", "-version")]) {
        return skip("receivers::the_java_receiver_keeps_its_promises", &why);
    }
    let java = |_| {
        let mut java = Command::new("java");
        java.args(["-Xmx64m", "-XX:TieredStopAtLevel=1"])
            .arg(docs("java/Receiver.java"));
        java
    };
    what_is_missing_is_said_at_the_start(java);
    check(java);
}

#[test]
fn the_shell_receiver_keeps_its_promises() {
    if let Some(why) = lacks(&[
        ("bash", "--version"),
        ("socat", "-V"),
        ("openssl", "version"),
    ]) {
        return skip("receivers::the_shell_receiver_keeps_its_promises", &why);
    }
    what_is_missing_is_said_at_the_start(|_| Command::new(docs("shell/receiver.sh")));
    check(|_| Command::new(docs("shell/receiver.sh")));
}

/// Starts the receiver with something wrong in its environment, which it has to name and end.
#[track_caller]
fn what_is_missing_is_said_at_the_start(command: impl Fn(u16) -> Command) {
    let bench = Bench::new();
    let given = [
        ("SECRET_FILE", bench.path("secret")),
        ("INBOX", bench.dir.path().to_owned()),
        ("PROFILE", "standard".into()),
    ];
    let nowhere = bench.path("nowhere");
    for (name, wrong) in [
        ("SECRET_FILE", &nowhere),
        ("INBOX", &nowhere),
        ("PROFILE", &PathBuf::from("stripe")),
    ] {
        let mut command = command(free_port());
        command.envs(given.clone()).env(name, wrong);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = crate::support::text(&output.stderr);
        assert!(!output.status.success(), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
        assert!(said.lines().count() < 4, "a trace, not a sentence: {said}");
    }
}

/// Starts the receiver under each profile, delivers to it, and sends it what it has to refuse.
#[track_caller]
fn check(command: impl Fn(u16) -> Command) {
    for profile in ["vos3000", "standard"] {
        let bench = Bench::new();
        let inbox = bench.path("inbox");
        fs::create_dir(&inbox).unwrap();
        // A rotation is under way: the receiver holds the new secret and the old one.
        let secrets = bench.path("secrets");
        fs::write(&secrets, format!("{OTHER}\n{SECRET}\n")).unwrap();
        let port = free_port();
        let mut command = command(port);
        let running = command
            .env("SECRET_FILE", &secrets)
            .env("PROFILE", profile)
            .env("INBOX", &inbox)
            .env("PORT", port.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let _running = Running(running);
        wait_until("the receiver to listen", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        every_delivery_arrives_once(&bench, profile, port, &inbox);
        let receiver = Against {
            profile,
            port,
            inbox: &inbox,
        };
        receiver.repeats_are_stored_once();
        receiver.what_is_not_signed_is_refused();
        receiver.what_is_no_callback_is_refused();
        receiver.what_cannot_be_stored_is_not_answered_200();
    }
}

/// Another secret than the one callbacks are signed with.
const OTHER: &str = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA==";

#[track_caller]
fn every_delivery_arrives_once(bench: &Bench, profile: &str, port: u16, inbox: &Path) {
    bench.configure(&format!(
        "url = \"http://127.0.0.1:{port}/webhook\"\nprofile = \"{profile}\"\nprobe_max = \"200ms\""
    ));
    let rows: String = (0..ROWS as u64)
        .map(|number| row(number).replace("CLIENT002", "百融 \"\"A\"\"\\/\u{1}é"))
        .collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    let agent = bench.agent();
    wait_until("every call to be stored", || stored(inbox).len() >= ROWS);
    wait_until("the agent to know it", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert_eq!(ledger.endpoint("billing").unwrap().delivered, ROWS as u64);
    assert_eq!(stored(inbox).len(), ROWS);
    for name in stored(inbox) {
        let body = fs::read(inbox.join(&name)).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = match profile {
            "standard" => &event["data"]["id"],
            _ => &event["id"],
        };
        assert_eq!(name, format!("{}.json", id.as_str().unwrap()));
    }
}

/// A running receiver and where it stores.
struct Against<'a> {
    profile: &'a str,
    port: u16,
    inbox: &'a Path,
}

impl Against<'_> {
    fn repeats_are_stored_once(&self) {
        let before = stored(self.inbox).len();
        let body = self.body(1);
        for _ in 0..3 {
            self.expect(200, &self.signed(&body, &id(1), 0), &body);
        }
        let together = self.body(2);
        let headers = self.signed(&together, &id(2), 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| self.expect(200, &headers, &together));
            }
        });
        assert_eq!(stored(self.inbox).len(), before + 2);
        let kept = fs::read(self.inbox.join(format!("{}.json", id(1)))).unwrap();
        assert_eq!(String::from_utf8(kept).unwrap(), body);
    }

    fn what_is_not_signed_is_refused(&self) {
        let before = stored(self.inbox).len();
        let body = self.body(3);
        let headers = self.signed(&body, &id(3), 0);
        self.expect(401, &headers, &body.replace("cdr", "cdx"));
        self.expect(401, &headers, &format!("{body} "));
        self.expect(401, &headers, "");
        self.expect(401, &Vec::new(), &body);
        let mut upper = headers.clone();
        for (_, value) in &mut upper {
            *value = value.to_uppercase();
        }
        self.expect(401, &upper, &body);
        let cut = headers.iter().map(|(name, value)| {
            let signature = value.strip_suffix(|_: char| true).unwrap_or_default();
            (*name, signature.to_string())
        });
        self.expect(401, &cut.collect(), &body);
        if self.profile == "standard" {
            for age in [-400, 400] {
                self.expect(401, &self.signed(&body, &id(3), age), &body);
            }
            self.expect(200, &self.signed(&body, &id(3), 200), &body);
            assert_eq!(stored(self.inbox).len(), before + 1);
        } else {
            assert_eq!(stored(self.inbox).len(), before);
        }
    }

    fn what_is_no_callback_is_refused(&self) {
        let before = stored(self.inbox).len();
        let (body, hostile) = match self.profile {
            "standard" => (self.body(4), "../../escaped"),
            _ => (
                "{\"event\":\"cdr\",\"id\":\"../../escaped\"}".to_string(),
                "",
            ),
        };
        self.expect(400, &self.signed(&body, hostile, 0), &body);
        let (status, head) = self.ask("GET", "/webhook", &Vec::new(), "");
        assert_eq!(status, 405, "{head}");
        let body = self.body(5);
        let headers = self.signed(&body, &id(5), 0);
        assert_eq!(self.ask("POST", "/elsewhere", &headers, &body).0, 404);
        let long = self.body(5) + &" ".repeat(1 << 20);
        // It may hang up before it has read all of it, and its answer be lost with that.
        let (status, _) = self.ask("POST", "/webhook", &self.signed(&long, &id(5), 0), &long);
        assert!([413, 0].contains(&status), "{status}");
        assert_eq!(stored(self.inbox).len(), before);
    }

    fn what_cannot_be_stored_is_not_answered_200(&self) {
        let aside = self.inbox.with_extension("aside");
        fs::rename(self.inbox, &aside).unwrap();
        let body = self.body(6);
        let headers = self.signed(&body, &id(6), 0);
        self.expect(503, &headers, &body);
        fs::rename(&aside, self.inbox).unwrap();
        self.expect(200, &headers, &body);
        let left: Vec<PathBuf> = fs::read_dir(self.inbox)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_none_or(|ending| ending != "json"))
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "left behind");
    }

    fn body(&self, number: u32) -> String {
        let id = id(number);
        match self.profile {
            "standard" => format!(r#"{{"type":"cdr","timestamp":"t","data":{{"id":"{id}"}}}}"#),
            _ => {
                format!(r#"{{"event":"cdr","timestamp":"t","data":{{}},"id":"{id}","sequence":1}}"#)
            }
        }
    }

    /// The headers of `body`, signed `age` seconds ago.
    fn signed(&self, body: &str, id: &str, age: i64) -> Headers {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let sent = i64::try_from(now.as_secs()).unwrap() - age;
        if self.profile == "standard" {
            let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
            let tag = mac(&key, &format!("{id}.{sent}.{body}"));
            let signature = format!("v1,AAAA v1,{}", STANDARD.encode(tag));
            return vec![
                ("webhook-id", id.to_string()),
                ("webhook-timestamp", sent.to_string()),
                ("webhook-signature", signature),
            ];
        }
        let tag = mac(SECRET.as_bytes(), body);
        let digits = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![("X-VOS3000-Signature", digits)]
    }

    #[track_caller]
    fn expect(&self, status: u16, headers: &Headers, body: &str) {
        let (found, answer) = self.ask("POST", "/webhook", headers, body);
        assert_eq!(
            found, status,
            "{} {headers:?} {body}: {answer}",
            self.profile
        );
    }

    /// The status and the head of the answer; 0 where none came.
    fn ask(&self, method: &str, path: &str, headers: &Headers, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: receiver\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let length = body.len();
        request +=
            &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        let _early = stream.write_all(request.as_bytes());
        // The head is enough; some leave the connection open after it.
        let mut answer = Vec::new();
        let mut part = [0; 1_024];
        while !answer.windows(4).any(|end| end == b"\r\n\r\n")
            && let Ok(length @ 1..) = stream.read(&mut part)
        {
            answer.extend_from_slice(&part[..length]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.unwrap_or(0), answer)
    }
}

fn mac(key: &[u8], signed: &str) -> Vec<u8> {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn id(number: u32) -> String {
    format!("evt_{number:032x}")
}

/// The names of what is stored.
fn stored(inbox: &Path) -> Vec<String> {
    let names = fs::read_dir(inbox).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}

fn docs(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/receivers")
        .join(path)
}

fn lacks(programs: &[(&str, &str)]) -> Option<String> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, argument)| !has(program, argument))
        .map(|(program, _)| *program)
        .collect();
    (!missing.is_empty()).then(|| format!("{} is not installed", missing.join(" and ")))
}

fn imports(modules: &str) -> bool {
    let status = Command::new("python3")
        .args(["-c", &format!("import {modules}")])
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A receiver and whatever it started; ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Its children too: PHP's server has workers, which outlive it.
        let group = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ended = killpg(group, Signal::SIGKILL);
        let _reaped = self.0.wait();
    }
}
