//! Names that are really resolved: a name server of our own, in a network of our own, whose answers
//! change. What the guard promises is seen where it counts, at the addresses that are dialled.
//!
//! The test runs in namespaces of its own (`unshare -m -n`): there it may have any address, and a
//! resolv.conf of its own. `SWITCHHOOK_STATIC` names a second program to try, linked with another C
//! library.

use crate::support::{Bench, has, row, skip, wait_until};
use crate::wire::{Deed, Socket};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const TEST: &str = "resolved::a_name_that_changes_its_mind_is_never_followed_inside";

const NAME: &str = "receiver.test";

/// An address anybody may have (RFC 5737), and two that no endpoint may.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 5);

#[test]
fn a_name_that_changes_its_mind_is_never_followed_inside() {
    if !has("unshare", "--version") || !has("ip", "-V") {
        return skip(TEST, "unshare or ip is not installed");
    }
    let permitted = Command::new("unshare").args(["-m", "-n", "true"]).output();
    if !permitted.is_ok_and(|told| told.status.success()) {
        return skip(TEST, "namespaces are not permitted here");
    }
    let own = env!("CARGO_BIN_EXE_switchhook").to_string();
    let other = std::env::var("SWITCHHOOK_STATIC").ok();
    for program in std::iter::once(own).chain(other) {
        let told = Command::new("unshare")
            .args(["-m", "-n"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "resolved::in_namespaces_of_its_own"])
            .args(["--ignored", "--nocapture"])
            .env("SWITCHHOOK_PROGRAM", &program)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&told.stdout);
        let errors = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{program}: {text}{errors}");
        assert!(text.contains("1 passed"), "{program}: {text}");
        print!("{text}");
    }
}

#[test]
#[ignore = "started by the test before it, in namespaces of its own"]
fn in_namespaces_of_its_own() {
    let program = std::env::var("SWITCHHOOK_PROGRAM").unwrap();
    let bench = Bench::new();
    for arguments in [
        "link set lo up".to_string(),
        format!("addr add {OUTSIDE}/32 dev lo"),
        format!("addr add {INSIDE}/32 dev lo"),
    ] {
        do_it("ip", &arguments.split(' ').collect::<Vec<_>>());
    }
    for (name, content) in [
        (
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        ),
        ("nsswitch.conf", "hosts: files dns\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ] {
        let (own, system) = (bench.path(name), format!("/etc/{name}"));
        fs::write(&own, content).unwrap();
        if !fs::exists(&system).unwrap() {
            continue; // Then nothing reads it either.
        }
        do_it("mount", &["--bind", own.to_str().unwrap(), &system]);
    }
    let answer = Arc::new(Mutex::new(vec![OUTSIDE]));
    let asked = serve_names(Arc::clone(&answer));
    // Every event needs a new connection.
    let receiver = Socket::start_at(OUTSIDE, |_| Deed::AnswerAndClose(0));
    let port = receiver.addr.port();
    let inside = [
        count_dials(INSIDE, port),
        count_dials(Ipv4Addr::LOCALHOST, port),
    ];
    bench.configure(&format!(
        "url = \"http://{NAME}:{port}/hook\"\nallow_plain_http = true\nprobe_max = \"300ms\"\nconcurrency = 2"
    ));
    let errors = fs::File::create(bench.path("agent.log")).unwrap();
    let mut agent = Command::new(&program)
        .args(["run", "--config"])
        .arg(bench.path("switchhook.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let status = || {
        let mut command = Command::new(&program);
        command.args(["status", "--json", "--config"]);
        let told = command.arg(bench.path("switchhook.toml")).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        status["endpoints"][0].clone()
    };
    // A further row once all before it have arrived: the answer of a moment ago still serves.
    let mut rows = 0;
    let mut go_on = |status: &serde_json::Value| {
        if status["delivered"] == rows {
            fs::write(bench.path("cdr").join(format!("{rows}.csv")), row(rows)).unwrap();
            rows += 1;
        }
        rows
    };
    wait_until("the name to lead outside", || {
        let status = status();
        go_on(&status) > 1 && status["delivered"] == 1
    });
    for (addresses, word) in [
        (vec![INSIDE], "leads to 10.77.0.5 (private)"),
        (vec![Ipv4Addr::LOCALHOST], "(loopback)"),
    ] {
        *answer.lock().unwrap() = addresses;
        wait_until("the change to be seen and refused", || {
            let status = status();
            go_on(&status);
            let error = &status["last_error"];
            error["class"] == "address" && error["text"].as_str().unwrap().contains(word)
        });
    }
    let before = asked.load(Ordering::SeqCst);
    // An answer of both leads to the one that may be dialled.
    *answer.lock().unwrap() = vec![INSIDE, OUTSIDE, Ipv4Addr::LOCALHOST];
    wait_until("everything to arrive", || status()["delivered"] == rows);
    assert!(asked.load(Ordering::SeqCst) > before, "it was asked again");
    let dials: Vec<u64> = inside.iter().map(|it| it.load(Ordering::SeqCst)).collect();
    assert_eq!(dials, [0, 0], "an address inside was dialled");
    println!(
        "{program}: {} questions, {} requests outside, none inside",
        asked.load(Ordering::SeqCst),
        receiver.requests()
    );
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[track_caller]
fn do_it(program: &str, arguments: &[&str]) {
    let told = Command::new(program).args(arguments).output().unwrap();
    let why = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{program} {arguments:?}: {why}");
}

/// Counts the connections somebody makes to an address.
fn count_dials(address: Ipv4Addr, port: u16) -> Arc<AtomicU64> {
    let listener = TcpListener::bind((address, port)).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    count
}

/// A name server that knows one name, which leads where `answer` says at that moment, for no time at
/// all. Counts the questions.
fn serve_names(answer: Arc<Mutex<Vec<Ipv4Addr>>>) -> Arc<AtomicU64> {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&count);
    thread::spawn(move || {
        let mut question = [0; 512];
        loop {
            let (length, peer) = socket.recv_from(&mut question).unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            if let Some(told) = reply(&question[..length], &answer.lock().unwrap()) {
                socket.send_to(&told, peer).unwrap();
            }
        }
    });
    count
}

/// The answer to a question (RFC 1035, section 4): of type A it has the addresses, of another nothing.
fn reply(question: &[u8], addresses: &[Ipv4Addr]) -> Option<Vec<u8>> {
    let name: Vec<u8> = NAME
        .split('.')
        .flat_map(|label| {
            let length = u8::try_from(label.len()).unwrap();
            std::iter::once(length).chain(label.bytes())
        })
        .chain([0])
        .collect();
    let end = 12 + name.len() + 4;
    let asked = question.get(12..end)?;
    let is_known = asked[..name.len()].eq_ignore_ascii_case(&name);
    let is_address = asked[name.len()..] == [0, 1, 0, 1];
    let count = if is_known && is_address {
        addresses.len()
    } else {
        0
    };
    let flags = if is_known { [0x81, 0x80] } else { [0x81, 0x83] };
    let mut out = question[..2].to_vec();
    out.extend_from_slice(&flags);
    out.extend_from_slice(&[0, 1, 0, u8::try_from(count).unwrap(), 0, 0, 0, 0]);
    out.extend_from_slice(asked);
    for address in &addresses[..count] {
        out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend_from_slice(&address.octets());
    }
    Some(out)
}
