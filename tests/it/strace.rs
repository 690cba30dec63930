//! What the kernel sees of a commit: the sync lies between a block and every use of it.
//!
//! The real agent runs under strace; rows come one at a time, so each is a block of its own. Three
//! places of the trace belong to each row, found by what is written there and not by counting:
//!
//! * **block**: the first `pwrite64` to a generation's `db` with the block's key in it,
//! * **position**: the first one with the file's path and, behind it, the offset after this row,
//! * **sent**: the first write to a socket with the call's id in it.
//!
//! What must hold: a `fdatasync` of that `db` *begins* after the block was written and *succeeds*
//! before the event is sent. Without the sync there is none, with one that comes too late it ends
//! behind. And no `fdatasync` *ends* between the position and a block that comes after it: such a
//! sync would make a position durable whose rows are nowhere; it is what a position committed
//! before its block, in a commit of its own, looks like from here. (That both are one batch, so
//! that no cut in mid-write parts them, cannot be seen from outside: `queue::drill` sees it.)

use crate::support::{Bench, has, receiver, row, skip, switchhook, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use switchhook::receiver::Profile;

const TEST: &str = "strace::an_event_is_synced_before_it_is_sent_and_no_position_before_its_event";
const ROWS: u64 = 20;

/// A call of the system in the trace.
#[derive(Debug)]
struct Call {
    name: String,
    /// What its descriptor stands for.
    file: String,
    data: Vec<u8>,
    succeeded: bool,
    /// Lines of the trace where it begins and ends.
    begins: usize,
    ends: usize,
}

#[test]
fn an_event_is_synced_before_it_is_sent_and_no_position_before_its_event() {
    if !has("strace", "-V") {
        return skip(TEST, "strace is not installed");
    }
    if !traces() {
        return skip(TEST, "tracing is not permitted here");
    }
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &[], 0);
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"",
        receiver.url()
    ));
    let trace = bench.path("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "1000000", "-e", "signal=none"])
        .args([
            "-e",
            "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg",
        ])
        .arg("-o")
        .arg(&trace)
        .arg(switchhook().get_program())
        .args(["run", "--config"])
        .arg(bench.path("switchhook.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = bench.path("cdr/cdr_1.csv");
    let mut source = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    let mut offsets = Vec::new();
    for number in 0..ROWS {
        source
            .write_all(row(330_000_000 + number).as_bytes())
            .unwrap();
        offsets.push(fs::metadata(&path).unwrap().len());
        wait_until("the row to arrive", || receiver.account().distinct > number);
    }
    // strace hands signals on to nobody; the agent's own pid is in its lock.
    let pid = fs::read_to_string(bench.path("state/lock")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    strace.wait().unwrap();
    let calls = parse(&fs::read_to_string(&trace).unwrap());
    for (number, offset) in (0..ROWS).zip(offsets) {
        check(&calls, number, path.to_str().unwrap(), offset);
    }
}

#[track_caller]
fn check(calls: &[Call], number: u64, path: &str, offset: u64) {
    let first = |what: &str, on: &dyn Fn(&Call) -> bool, data: &[u8]| {
        let found = calls
            .iter()
            .find(|call| on(call) && holds(&call.data, data));
        found.unwrap_or_else(|| panic!("row {number}: no write of its {what} in the trace"))
    };
    let to_database = |call: &Call| call.name == "pwrite64" && call.file.ends_with("/db");
    let to_socket = |call: &Call| call.file.contains("TCP") || call.file.contains("socket");
    let key = [b"b/".as_slice(), &(number + 1).to_be_bytes()].concat();
    let read_to = [path.as_bytes(), &leb128(offset)].concat();
    let block = first("block", &to_database, &key);
    let position = first("position", &to_database, &read_to);
    let sent = first(
        "request",
        &to_socket,
        format!("\"call_id\":\"{}\"", 330_000_000 + number).as_bytes(),
    );
    let syncs = || {
        calls
            .iter()
            .filter(|call| call.name == "fdatasync" && call.file == block.file && call.succeeded)
    };
    assert!(
        syncs().any(|sync| sync.begins > block.ends && sync.ends < sent.begins),
        "row {number}: no completed sync between its block and its request"
    );
    assert!(
        !syncs().any(|sync| position.begins < sync.ends && sync.ends < block.begins),
        "row {number}: its position was synced before its block was written"
    );
    assert!(
        syncs().any(|sync| sync.begins > position.ends && sync.ends < sent.begins),
        "row {number}: no completed sync between its position and its request"
    );
}

/// Whether this process may trace another.
fn traces() -> bool {
    let run = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Reads `PID name(FD<file>, "\x..", ...) = result`, and the same in two halves where another
/// thread came in between.
fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: Vec<(&str, String, usize)> = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            unfinished.push((pid, start.to_owned(), at));
        } else if let Some((_, end)) = rest
            .strip_prefix("<... ")
            .and_then(|rest| rest.split_once(" resumed>"))
        {
            if let Some(begun) = unfinished.iter().position(|(other, ..)| *other == pid) {
                let (_, start, begins) = unfinished.remove(begun);
                calls.extend(call(&format!("{start}{end}"), begins, at));
            }
        } else {
            calls.extend(call(rest, at, at));
        }
    }
    calls
}

fn call(text: &str, begins: usize, ends: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let file = rest.split_once('<')?.1.split_once('>')?.0;
    // Of a vector of buffers, all of them.
    let data = rest
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(unescape)
        .collect();
    let result = rest
        .rsplit_once(") ")
        .map_or("", |(_, result)| result.trim_start());
    Some(Call {
        name: name.to_owned(),
        file: String::from_utf8_lossy(&unescape(file)).into_owned(),
        data,
        succeeded: result.starts_with("= ") && !result.starts_with("= -"),
        begins,
        ends,
    })
}

/// `\x2f\x64` as bytes; what is not escaped as it is.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, further @ ..] = rest {
        let hex = further
            .strip_prefix(b"x")
            .and_then(|hex| std::str::from_utf8(hex.get(..2)?).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &further[3..];
            }
            _ => {
                bytes.push(*first);
                rest = further;
            }
        }
    }
    bytes
}

fn holds(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}

/// A count as the queue writes it.
fn leb128(mut count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while count > 0x7f {
        bytes.push((count & 0x7f) as u8 | 0x80);
        count >>= 7;
    }
    bytes.push((count & 0x7f) as u8);
    bytes
}
