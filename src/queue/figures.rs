//! Figures of the queue on this machine: run by hand, never judged.
//!
//! ```text
//! cargo test --release --lib queue::figures -- --ignored --nocapture --test-threads 1
//! ```

use super::tests::{batch, delivered};
use super::*;
use crate::event::{EventId, Labels};
use crate::timestamp::Timestamp;
use std::time::{Duration, Instant};

/// A call of about 600 bytes, as a CDR source makes them.
fn call(random: &mut fastrand::Rng) -> Event {
    let number = |random: &mut fastrand::Rng| random.u64(10_000_000_000..99_999_999_999);
    let (caller, called, start) = (number(random), number(random), random.u32(..86_400));
    let duration = random.u32(0..3_600);
    let data = format!(
        "{{\"call_id\":\"{:016x}\",\"caller_id\":\"{caller}\",\"called_id\":\"{called}\",\"start_time\":\"2026-04-10T{:02}:{:02}:{:02}Z\",\
         \"answer_time\":\"2026-04-10T14:30:45Z\",\"end_time\":\"2026-04-10T14:32:50Z\",\"duration\":{duration},\"bill_duration\":{duration},\
         \"rate\":\"0.0{}\",\"cost\":\"{}.{}\",\"currency\":\"USD\",\"account_id\":\"{}\",\"gateway_id\":\"gw-{}\",\"disconnect_reason\":\"16\",\
         \"codec\":\"G729\",\"callee_gateway_id\":\"gw-{}\",\"end_reason\":\"16\",\"end_direction\":\"caller\",\"dialled_id\":\"{called}\",\
         \"caller_ip\":\"10.{}.{}.{}\",\"callee_ip\":\"192.0.2.{}\",\"pdd_ms\":{},\"connected\":true}}",
        random.u64(..),
        start / 3_600,
        start / 60 % 60,
        start % 60,
        random.u32(1_000..9_999),
        random.u32(..9),
        random.u32(1_000..9_999),
        random.u32(100_000..999_999),
        random.u32(1..200),
        random.u32(1..200),
        random.u8(..),
        random.u8(..),
        random.u8(..),
        random.u8(..),
        random.u32(..9_000),
    );
    Event {
        id: EventId(std::array::from_fn(|_| random.u8(..))),
        kind: "cdr".into(),
        time: Timestamp::from_secs(1_775_745_045 + i64::from(start)),
        node: "switch-1".into(),
        labels: Labels {
            account: Some("1001".into()),
            ..Labels::default()
        },
        data: data.into_bytes().into(),
    }
}

/// Different calls, the same ones each time.
pub(super) fn calls(count: usize) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| call(&mut random))
        .take(count)
        .collect()
}

/// Resident memory of this process now and at most, in MiB.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1_024
    };
    format!("{} MiB now, {} MiB at most", of("VmRSS"), of("VmHWM"))
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn commits(group: usize, total: usize) {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path(), "node").unwrap();
    queue.attach("billing", AttachFrom::Now).unwrap();
    let all = calls(8_192);
    let payload: usize = all.iter().map(|event| event.data.len()).sum::<usize>() / all.len();
    let groups: Vec<SourceBatch> = all
        .chunks(group)
        .map(|events| batch(events.to_vec()))
        .collect();
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    for group in groups.iter().cycle().take(total / group) {
        let before = Instant::now();
        queue.commit(std::slice::from_ref(group)).unwrap();
        slowest = slowest.max(before.elapsed());
    }
    let took = started.elapsed();
    let rate = total as f64 / took.as_secs_f64();
    let disk = queue.disk_bytes() as f64 / (total * payload) as f64;
    say(&format!(
        "commits of {group}: {rate:.0} events/s, slowest {slowest:?}, disk {disk:.2} x payload ({payload} bytes each), {}",
        resident()
    ));
}

#[test]
#[ignore = "measures"]
fn commits_of_1024() {
    commits(1_024, 200 * 1_024);
}

#[test]
#[ignore = "measures"]
fn commits_of_64() {
    commits(64, 1_000 * 64);
}

#[test]
#[ignore = "measures"]
fn commits_of_4() {
    commits(4, 2_000 * 4);
}

#[test]
#[ignore = "measures"]
fn a_million_events_opened_and_drained() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path(), "node").unwrap();
    queue.attach("billing", AttachFrom::Now).unwrap();
    let group = batch(calls(1_024));
    for _ in 0..1_000 {
        queue.commit(std::slice::from_ref(&group)).unwrap();
    }
    let full = queue.disk_bytes() >> 20;
    say(&format!(
        "a million events filled: {full} MiB of disk, {}",
        resident()
    ));
    drop(queue);
    let started = Instant::now();
    let queue = Queue::open(directory.path(), "node").unwrap();
    let opened = started.elapsed();
    let started = Instant::now();
    queue.read(Sequence(1), 256).unwrap();
    say(&format!(
        "opened in {opened:?}, first read in {:?}, {}",
        started.elapsed(),
        resident()
    ));
    let started = Instant::now();
    let (mut next, mut settling, mut settles) = (Sequence(1), Duration::ZERO, 0_u32);
    while let Some(last) = queue.read(next, 256).unwrap().last() {
        let before = Instant::now();
        queue
            .settle(delivered(next.0..last.sequence.0 + 1))
            .unwrap();
        settling += before.elapsed();
        settles += 1;
        next = last.sequence.plus(1);
    }
    let rate = next.0 as f64 / started.elapsed().as_secs_f64();
    say(&format!(
        "drained: {rate:.0} events/s, a settle of 256 {:?} on average, {} MiB of disk, {}",
        settling / settles,
        queue.disk_bytes() >> 20,
        resident()
    ));
}
