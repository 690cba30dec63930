//! What a switch pushes, and what it leaves in directories: real sockets, real files, the agent as
//! a process.

use crate::support::{Bench, receiver, run, text, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use switchhook::receiver::{Profile, Receiver};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");

fn sample(name: &str) -> String {
    fs::read_to_string(format!("{FIXTURES}vos3000/outbound-post/{name}.json")).unwrap()
}

/// A port of the loopback that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A bench with one source of the given keys, and a receiver that takes everything.
struct Live {
    bench: Bench,
    receiver: Receiver,
    port: u16,
}

impl Live {
    fn new(source: impl Fn(u16, &Path) -> String) -> Live {
        let (bench, receiver) = (Bench::new(), receiver(Profile::Vos3000, &[], 1));
        let port = free_port();
        let config = format!(
            "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\nlevel = \"debug\"\n\n\
             [[source]]\nname = \"live\"\n{}\n\n\
             [[endpoint]]\nname = \"billing\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nprofile = \"vos3000\"\nurl = \"{}\"\n",
            source(port, bench.dir.path()),
            receiver.url()
        );
        fs::write(bench.path("switchhook.toml"), config).unwrap();
        Live {
            bench,
            receiver,
            port,
        }
    }

    fn push() -> Live {
        Live::new(|port, _| {
            format!(
                "http = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-push\"\ncurrency = \"USD\""
            )
        })
    }

    fn udp() -> Live {
        Live::new(|port, _| {
            format!("udp = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-udp\"")
        })
    }

    fn post(&self, page: &str, body: &str) -> String {
        post(self.port, page, body)
    }

    /// Waits for the listener.
    fn connect(&self) {
        wait_until("the listener", || {
            fs::read_to_string(self.bench.path("agent.log"))
                .is_ok_and(|log| log.contains("listening source=live"))
        });
    }

    /// Waits until `count` distinct events have arrived.
    #[track_caller]
    fn expect(&self, count: u64) {
        wait_until(&format!("{count} events"), || {
            self.receiver.account().distinct >= count
        });
    }
}

/// A connection that comes from another of this machine's addresses.
fn connect_from(own: [u8; 4], port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((own, 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Posts `body`; returns the whole answer, or nothing where the connection was closed.
fn post(port: u16, page: &str, body: &str) -> String {
    let request = format!(
        "POST /{page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(port, request.as_bytes())
}

fn ask(port: u16, request: &[u8]) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let _closed = stream.write_all(request);
        let _closed = stream.read_to_string(&mut answer);
    }
    answer
}

#[track_caller]
fn check_kept(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"retCode\":0}"), "{answer}");
}

#[track_caller]
fn check_bare(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

/// The `data` of what has arrived so far, each behind its type, sorted.
fn arrived(arrivals: &std::sync::mpsc::Receiver<switchhook::receiver::Arrival>) -> Vec<String> {
    let mut bodies: Vec<String> = arrivals
        .try_iter()
        .map(|arrival| {
            let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
            format!("{} {}", body["event"].as_str().unwrap(), body["data"])
        })
        .collect();
    bodies.sort();
    bodies
}

#[test]
fn every_page_the_switch_posts_is_told_and_answered() {
    let live = Live::push();
    let arrivals = live.receiver.arrivals();
    let agent = live.bench.agent();
    live.connect();
    for page in ["CallStateReport", "CustomerMoneyChange", "PhoneOnline"] {
        check_kept(&live.post(page, &sample(page)));
        // An answer that was lost: the switch posts it again.
        check_kept(&live.post(page, &sample(page)));
    }
    check_kept(&live.post("AlarmCurrentReport", &sample("AlarmCurrentReport")));
    check_kept(&live.post("AlarmCurrentReport", &sample("AlarmCurrentReport")));
    live.expect(7);
    let kinds = |bodies: &[String]| -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for body in bodies {
            let kind = body.split(' ').next().unwrap();
            *kinds.entry(kind.to_string()).or_default() += 1;
        }
        kinds
    };
    let expected = [
        ("account", 1),
        ("alarm", 3),
        ("balance_alert", 1),
        ("call", 1),
        ("phone", 1),
    ];
    let expected: BTreeMap<String, usize> = expected
        .map(|(kind, count)| (kind.to_string(), count))
        .into();
    assert_eq!(kinds(&arrived(&arrivals)), expected);
    // The list is remembered over a restart: only what went is told.
    assert_eq!(agent.stop(), 0);
    let agent = live.bench.agent();
    wait_until("the second start", || {
        live.bench.path("agent.log").exists()
            && agent.log().matches("listening source=live").count() == 2
    });
    check_kept(&live.post("AlarmCurrentReport", &sample("AlarmCurrentReport-cleared")));
    live.expect(10);
    let bodies = arrived(&arrivals);
    let holding = |text: &str| bodies.iter().filter(|body| body.contains(text)).count();
    let cleared = holding("\"state\":\"cleared\"");
    // The end of an alarm about a balance is its recovery.
    let recovered = holding("\"alert_type\":\"recovered\"");
    assert_eq!((bodies.len(), cleared, recovered), (3, 2, 1), "{bodies:?}");
    assert_eq!(agent.stop(), 0);
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!((totals.counts.rows, totals.events), (9, 10));
    assert_eq!((totals.counts.repeated, totals.counts.derived), (4, 5));
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(live.receiver.account().duplicates, 0);
}

#[test]
fn a_pushed_balance_crosses_thresholds_of_ones_own_once_over_a_kill() {
    let live = Live::new(|port, _| {
        format!(
            "http = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-push\"\nthresholds = {{ \"*\" = [\"100\", \"10\"] }}"
        )
    });
    let arrivals = live.receiver.arrivals();
    let balance = |money: &str| {
        let body = format!("{{\"account\":\"B1\",\"money\":{money}}}");
        check_kept(&live.post("CustomerMoneyChange", &body));
    };
    let agent = live.bench.agent();
    live.connect();
    balance("500.0");
    balance("99.5");
    live.expect(3);
    agent.kill();
    let agent = live.bench.agent();
    wait_until("the second start", || {
        agent.log().matches("listening source=live").count() == 2
    });
    balance("98.5");
    balance("9.99");
    live.expect(6);
    assert_eq!(agent.stop(), 0);
    // One that was on its way at the kill may come twice, with one id.
    let alerts: BTreeSet<String> = arrived(&arrivals)
        .into_iter()
        .filter(|body| body.starts_with("balance_alert"))
        .collect();
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    for (threshold, balance) in [("100", "99.5"), ("10", "9.99")] {
        let told = [
            format!("\"alert_threshold\":\"{threshold}\""),
            format!("\"current_balance\":\"{balance}\""),
        ];
        let is_told = |alert: &String| told.iter().all(|told| alert.contains(told));
        assert!(alerts.iter().any(is_told), "{told:?} {alerts:?}");
    }
}

#[test]
fn garbage_gets_a_bare_status_and_a_push_that_does_not_fit_is_set_aside() {
    let live = Live::push();
    let agent = live.bench.agent();
    live.connect();
    check_bare(&live.post("PushDtmfInfo", "{}"), "404");
    check_bare(&live.post("", "{}"), "404");
    check_bare(
        &ask(
            live.port,
            b"GET /PhoneOnline HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ),
        "405",
    );
    let long = format!(
        "POST /PhoneOnline HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        1 << 30
    );
    check_bare(&ask(live.port, long.as_bytes()), "413");
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    let chunked = format!(
        "POST /PhoneOnline HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(9)
    );
    let answer = ask(live.port, chunked.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"SSH-2.0-x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = ask(live.port, garbage);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    check_kept(&live.post("PhoneOnline", "not json"));
    check_kept(&live.post(
        "CustomerMoneyChange",
        "{\"account\":\"A\",\"money\":\"ten\"}",
    ));
    check_kept(&live.post("CustomerMoneyChange", &sample("CustomerMoneyChange")));
    live.expect(1);
    assert_eq!(agent.stop(), 0);
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!(
        (totals.counts.rows, totals.counts.rejected, totals.events),
        (3, 2, 1)
    );
    assert!(ledger.balances());
    let aside = fs::read_to_string(live.bench.path("state/set-aside.jsonl")).unwrap();
    assert_eq!(aside.lines().count(), 2, "{aside}");
    assert!(
        aside.contains("PhoneOnline from 127.0.0.1:") && aside.contains("money is not an amount"),
        "{aside}"
    );
    let log = fs::read_to_string(live.bench.path("agent.log")).unwrap();
    assert!(
        log.contains(
            "pushes not taken since the start source=live full=0 rate=0 peer=0 page=3 long=2"
        ),
        "{log}"
    );
}

#[test]
fn peers_that_are_not_allowed_get_nothing() {
    for udp in [false, true] {
        let live = Live::new(|port, _| {
            let (key, format) = if udp {
                ("udp", "vos3000-udp")
            } else {
                ("http", "vos3000-push")
            };
            format!(
                "{key} = {{ listen = \"127.0.0.1:{port}\", allow = [\"127.0.0.2\"] }}\nformat = \"{format}\""
            )
        });
        let agent = live.bench.agent();
        live.connect();
        let to: SocketAddr = ([127, 0, 0, 1], live.port).into();
        if udp {
            let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
            stranger.send_to(row(330_000_001).as_bytes(), to).unwrap();
            let friend = Sender::new("127.0.0.2:0", to);
            friend.send_until_acknowledged(330_000_002);
            stranger
                .set_read_timeout(Some(Duration::from_millis(100)))
                .unwrap();
            assert!(stranger.recv(&mut [0; 64]).is_err());
        } else {
            assert_eq!(live.post("PhoneOnline", &sample("PhoneOnline")), "");
            let mut stream = connect_from([127, 0, 0, 2], live.port);
            let body = sample("PhoneOnline");
            let request = format!(
                "POST /PhoneOnline HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            check_kept(&answer);
        }
        live.expect(1);
        assert_eq!(agent.stop(), 0);
        assert_eq!(live.bench.ledger().source("live").unwrap().counts.rows, 1);
        let log = fs::read_to_string(live.bench.path("agent.log")).unwrap();
        assert!(log.contains(" peer=1 "), "{log}");
    }
}

#[test]
fn a_datagram_is_acknowledged_from_the_address_it_was_sent_to() {
    for (listen, to) in [
        ("0.0.0.0", "127.0.0.2"),
        ("[::]", "127.0.0.2"),
        ("[::]", "[::1]"),
        ("127.0.0.2", "127.0.0.2"),
    ] {
        let live = Live::new(|port, _| {
            format!(
                "udp = {{ listen = \"{listen}:{port}\", allow = [\"127.0.0.0/8\", \"::1\"] }}\nformat = \"vos3000-udp\""
            )
        });
        let agent = live.bench.agent();
        live.connect();
        let to: SocketAddr = format!("{to}:{}", live.port).parse().unwrap();
        let own = if to.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let sender = UdpSocket::bind(own).unwrap();
        let patience = Some(Duration::from_secs(10));
        sender.set_read_timeout(patience).unwrap();
        // One that is connected, as a switch's may be, hears nothing that comes from elsewhere.
        sender.connect(to).unwrap();
        sender.send(row(330_000_001).as_bytes()).unwrap();
        let mut buffer = [0; 64];
        let bytes = sender.recv(&mut buffer);
        let bytes = bytes.unwrap_or_else(|error| panic!("{listen} asked at {to}: {error}"));
        assert_eq!(&buffer[..bytes], b"330000001");
        assert_eq!(agent.stop(), 0);
    }
}

#[test]
fn connections_that_send_nothing_or_a_byte_at_a_time_do_not_keep_the_switch_out() {
    let live = Live::push();
    let agent = live.bench.agent();
    live.connect();
    let mut slow: Vec<TcpStream> = (0..switchhook::listen::CONNECTIONS_MAX + 8)
        .map(|_| TcpStream::connect(("127.0.0.1", live.port)).unwrap())
        .collect();
    let port = live.port;
    let pushed = thread::spawn(move || post(port, "PhoneOnline", &sample("PhoneOnline")));
    let began = Instant::now();
    while !pushed.is_finished() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the switch is kept out"
        );
        for stream in &mut slow {
            let _closed = stream.write_all(b"P");
        }
        thread::sleep(Duration::from_millis(200));
    }
    check_kept(&pushed.join().unwrap());
    assert_eq!(agent.stop(), 0);
}

/// A request of a client that keeps its connection, with the state of call `number`.
fn call_state(number: usize) -> String {
    let body = format!("{{\"callId\":{number},\"callState\":-5,\"eventTime\":1775803105456}}");
    format!(
        "POST /CallStateReport HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn connections_that_are_left_open_behind_their_pushes_make_room_for_the_next() {
    let live = Live::push();
    let agent = live.bench.agent();
    live.connect();
    let push = |stream: &mut TcpStream, number| {
        // A connection that rests for ten seconds is closed in any case.
        let patience = Some(Duration::from_secs(5));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(call_state(number).as_bytes()).unwrap();
        let mut answer = [0; 1_024];
        let read = stream.read(&mut answer).unwrap_or(0);
        check_kept(&String::from_utf8_lossy(&answer[..read]));
    };
    let count = switchhook::listen::CONNECTIONS_MAX + 20;
    let connect = || TcpStream::connect(("127.0.0.1", live.port)).unwrap();
    let mut used = connect();
    let _open: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = connect();
            push(&mut stream, 2 * number);
            // One that is used has not gone.
            push(&mut used, 2 * number + 1);
            stream
        })
        .collect();
    live.expect(2 * count as u64);
    assert_eq!(agent.stop(), 0);
}

#[test]
fn a_client_that_says_that_it_has_said_all_is_answered() {
    let live = Live::push();
    let agent = live.bench.agent();
    live.connect();
    let mut stream = TcpStream::connect(("127.0.0.1", live.port)).unwrap();
    stream.write_all(call_state(1).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    check_kept(&answer);
    assert_eq!(agent.stop(), 0);
}

/// A row of the real-time report.
fn row(flowno: u64) -> String {
    format!(
        "\"12025550117\",\"12025550117\",\"442079460958\",\"22442079460958\",\"192.0.2.11\",\"GW-IN-CLIENT001\",\"Asterisk PBX\",\"12025550117\",1,\
         \"203.0.113.41\",\"GW-OUT-AU\",\"\",\"442079460958\",1,1,5,0,1775804490406,1775804490406,1024,724,0,\"\",0,0.0,0.0,0,0.0,\
         \"CLIENT001\",\"Client, One \u{767e}\",\"44\",0.0,0.0,0,\"\",\"\",{flowno},\"MBX5000_5:6288012166477870002\",-1,\"a@192.0.2.11\",\"b@203.0.113.5\",0,487,0,0,-1"
    )
}

/// A billing server that reports calls, and repeats what is not acknowledged.
struct Sender(UdpSocket, SocketAddr);

impl Sender {
    fn new(own: &str, to: SocketAddr) -> Sender {
        let socket = UdpSocket::bind(own).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(250)))
            .unwrap();
        Sender(socket, to)
    }

    /// Sends the row until its number comes back; returns how often it arrived, or was
    /// dropped on the way: what met nobody is not in that.
    fn send_until_acknowledged(&self, flowno: u64) -> u64 {
        let (began, mut met_nobody) = (Instant::now(), 0);
        for times in 1.. {
            assert!(
                began.elapsed() < crate::support::PATIENCE,
                "{flowno} is never acknowledged"
            );
            // While the agent is down the system may say so.
            let _refused = self.0.send_to(row(flowno).as_bytes(), self.1);
            let mut buffer = [0; 64];
            loop {
                match self.0.recv(&mut buffer) {
                    Ok(bytes) if buffer[..bytes] == *flowno.to_string().as_bytes() => {
                        return times - met_nobody;
                    }
                    Ok(_) => {} // Of an earlier try.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        met_nobody += 1;
                        thread::sleep(Duration::from_millis(50));
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
        unreachable!("it is acknowledged or the test fails")
    }
}

#[test]
fn what_was_acknowledged_survives_kills_and_what_was_not_is_told_once_with_one_id() {
    const KILLS: u64 = 6;
    let seed = fastrand::u64(..1_000_000);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let live = Live::udp();
    let to: SocketAddr = ([127, 0, 0, 1], live.port).into();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let senders: Vec<_> = (0..4_u64)
        .map(|number| {
            let stop = std::sync::Arc::clone(&stop);
            thread::spawn(move || {
                let sender = Sender::new("127.0.0.1:0", to);
                let (mut rows, mut sent) = (0, 0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    sent += sender.send_until_acknowledged(1_000_000 * (number + 1) + rows);
                    rows += 1;
                }
                (rows, sent)
            })
        })
        .collect();
    for _ in 0..KILLS {
        let agent = live.bench.agent();
        thread::sleep(Duration::from_millis(rng.u64(300..900)));
        agent.kill();
    }
    let agent = live.bench.agent();
    thread::sleep(Duration::from_millis(300));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut rows, mut sent) = (0, 0);
    for sender in senders {
        let (own, times) = sender.join().unwrap();
        (rows, sent) = (rows + own, sent + times);
    }
    assert!(rows > 100, "{rows} rows were acknowledged");
    live.expect(rows);
    assert_eq!(agent.stop(), 0);
    let account = live.receiver.account();
    assert_eq!(account.distinct, rows, "seed {seed}: {sent} sent");
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!(totals.counts.rejected, 0);
    assert!(
        totals.counts.rows <= sent && totals.events >= rows,
        "seed {seed}: {totals:?} of {sent}"
    );
    assert!(ledger.balances());
}

#[test]
fn a_call_that_is_reported_again_is_counted_once_in_its_summary_also_after_a_kill() {
    let live = Live::new(|port, _| {
        format!(
            "udp = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-udp\"\nsummary = {{ every = \"1s\", wait = \"0s\" }}"
        )
    });
    let arrivals = live.receiver.arrivals();
    let to: SocketAddr = ([127, 0, 0, 1], live.port).into();
    let sender = Sender::new("127.0.0.1:0", to);
    let agent = live.bench.agent();
    live.connect();
    for _ in 0..3 {
        sender.send_until_acknowledged(7);
    }
    agent.kill();
    let agent = live.bench.agent();
    for _ in 0..3 {
        sender.send_until_acknowledged(7);
    }
    sender.send_until_acknowledged(8);
    let mut calls = BTreeMap::new();
    wait_until("both calls in summaries", || {
        for arrival in arrivals.try_iter() {
            let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
            let number = body["data"]["number"].to_string();
            calls.insert(number, body["data"]["calls"].as_u64().unwrap_or(0));
        }
        calls.values().sum::<u64>() >= 2
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(calls.values().sum::<u64>(), 2, "{calls:?}");
}

#[test]
fn one_odd_alarm_hides_no_other_and_what_is_no_text_is_kept_byte_by_byte() {
    let live = Live::push();
    let arrivals = live.receiver.arrivals();
    let agent = live.bench.agent();
    live.connect();
    let list = "{\"infoAlarmCurrents\":[{\"type\":20005,\"name\":\"/\",\"startTime\":0},{\"type\":20003,\"name\":\"cpu\",\"startTime\":1775803105456}]}";
    check_kept(&live.post("AlarmCurrentReport", list));
    let page = b"POST /PhoneOnline HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{\"a\":\"\xCD\xF8\"}\n";
    check_kept(&ask(live.port, page));
    // Another machine's list clears what the first one told: that is said.
    let mut other = connect_from([127, 0, 0, 2], live.port);
    let page = "POST /AlarmCurrentReport HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 24\r\n\r\n{\"infoAlarmCurrents\":[]}";
    other.write_all(page.as_bytes()).unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    check_kept(&answer);
    live.expect(2);
    assert_eq!(agent.stop(), 0);
    let told = arrived(&arrivals);
    assert!(told.iter().all(|told| told.contains("\"cpu\"")), "{told:?}");
    let aside = fs::read_to_string(live.bench.path("state/set-aside.jsonl")).unwrap();
    assert!(
        aside.contains("startTime is missing") && aside.contains("20005"),
        "{aside}"
    );
    assert!(
        aside.contains("\"row_base64\":\"eyJhIjoizfgifQo=\""),
        "{aside}"
    );
    let log = fs::read_to_string(live.bench.path("agent.log")).unwrap();
    assert!(
        log.contains("SH328") && log.contains("another=127.0.0.2"),
        "{log}"
    );
}

#[test]
fn pages_are_read_in_the_encoding_that_is_configured() {
    let live = Live::new(|port, _| {
        format!(
            "http = {{ listen = \"127.0.0.1:{port}\" }}\nformat = \"vos3000-push\"\nencoding = \"gbk\""
        )
    });
    let arrivals = live.receiver.arrivals();
    let agent = live.bench.agent();
    live.connect();
    let body = b"{\"account\":\"\xCD\xF8\xB9\xD8\",\"money\":1}";
    let head = format!(
        "POST /CustomerMoneyChange HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    check_kept(&ask(live.port, &[head.as_bytes(), body].concat()));
    live.expect(1);
    assert_eq!(agent.stop(), 0);
    let told = arrived(&arrivals);
    assert!(
        told.len() == 1 && told[0].contains("\u{7f51}\u{5173}"),
        "{told:?}"
    );
}

/// Most memory the process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Datagrams the system dropped before the socket at `port` was read.
fn dropped_by_the_system(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap();
    let own = format!(":{port:04X} ");
    let line = table.lines().find(|line| line.contains(&own)).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn datagrams_that_the_system_drops_while_nobody_reads_are_counted() {
    let live = Live::udp();
    let agent = live.bench.agent();
    live.connect();
    let to: SocketAddr = ([127, 0, 0, 1], live.port).into();
    let sender = Sender::new("127.0.0.1:0", to);
    sender.send_until_acknowledged(1);
    let signal = |name: &str| {
        let pid = agent.pid().to_string();
        let done = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(done.unwrap().success());
    };
    signal("-STOP");
    for flowno in 2..=20_000 {
        sender.0.send_to(row(flowno).as_bytes(), to).unwrap();
    }
    signal("-CONT");
    sender.send_until_acknowledged(30_000);
    let dropped = dropped_by_the_system(live.port);
    assert!(dropped > 1_000, "{dropped}");
    let config = live.bench.path("switchhook.toml").display().to_string();
    let shown = text(&run(&["status", "--json", "--config", &config]).stdout);
    assert_eq!(agent.stop(), 0);
    let status: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        status["sources"][0]["pushes"]["refused_lost"], dropped,
        "{shown}"
    );
    let log = fs::read_to_string(live.bench.path("agent.log")).unwrap();
    assert!(log.contains(&format!(" lost={dropped}")), "{log}");
}

#[test]
fn a_flood_of_datagrams_costs_no_memory_and_every_one_is_accounted_for() {
    const DATAGRAMS: u64 = 100_000;
    let live = Live::udp();
    let agent = live.bench.agent();
    live.connect();
    let to: SocketAddr = ([127, 0, 0, 1], live.port).into();
    let sender = Sender::new("127.0.0.1:0", to);
    let greetings = sender.send_until_acknowledged(1);
    let before = peak_kib(agent.pid());
    for flowno in 2..=DATAGRAMS {
        // Nearly all of them are calls; some are anything.
        let text = if flowno % 100 == 0 {
            "x".repeat(40)
        } else {
            row(flowno)
        };
        sender.0.send_to(text.as_bytes(), to).unwrap();
    }
    // Whatever is acknowledged now came after the flood.
    thread::sleep(Duration::from_millis(1_500));
    let marks = sender.send_until_acknowledged(DATAGRAMS + 1);
    let grown = peak_kib(agent.pid()).saturating_sub(before);
    let dropped = dropped_by_the_system(live.port);
    assert_eq!(agent.stop(), 0);
    let log = fs::read_to_string(live.bench.path("agent.log")).unwrap();
    let refused: u64 = log
        .lines()
        .rfind(|line| line.contains("pushes not taken"))
        .map_or(0, |line| {
            let count = |key: &str| -> u64 {
                let (_, rest) = line.split_once(key).unwrap();
                rest.split(' ').next().unwrap().parse().unwrap()
            };
            count(" full=") + count(" rate=")
        });
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    println!(
        "rows {} refused {refused} dropped by the system {dropped} grown {grown} KiB",
        totals.counts.rows
    );
    assert_eq!(
        totals.counts.rows + refused + dropped,
        greetings + (DATAGRAMS - 1) + marks,
        "{totals:?} refused {refused} dropped {dropped}"
    );
    assert!(
        totals.counts.rejected > 0 && totals.events > 1_000,
        "{totals:?}"
    );
    assert!(ledger.balances());
    assert!(grown < 40 << 10, "{grown} KiB more");
}

/// A source of documents below `cdr`.
fn documents(keys: &str) -> Live {
    Live::new(|_, dir| {
        format!(
            "directory = \"{}/cdr\"\nformat = \"freeswitch-json\"\nstart = \"beginning\"\npoll = \"100ms\"\n{keys}",
            dir.display()
        )
    })
}

/// A document of FreeSWITCH for the call `number`.
fn document(number: u64) -> (String, String) {
    let text = fs::read_to_string(format!(
        "{FIXTURES}freeswitch/json_cdr/5f6a1c3e-0001-4f11-9a01-000000000001.cdr.json"
    ))
    .unwrap();
    let uuid = format!("5f6a1c3e-0001-4f11-9a01-{number:012}");
    let text = text.replace("5f6a1c3e-0001-4f11-9a01-000000000001", &uuid);
    (format!("{uuid}.cdr.json"), text)
}

#[test]
fn documents_are_told_once_each_and_half_written_ones_when_they_are_whole() {
    let live = documents("incomplete_max = \"60s\"");
    let cdr = live.bench.path("cdr");
    let agent = live.bench.agent();
    let (half_name, half) = document(900_000);
    for cut in [1, half.len() / 3, half.len() - 2] {
        fs::write(cdr.join(&half_name), &half.as_bytes()[..cut]).unwrap();
        thread::sleep(Duration::from_millis(150));
    }
    for number in 0..40 {
        let (name, text) = document(number);
        fs::write(cdr.join(name), text).unwrap();
    }
    let leftover = "5f6a1c3e-0011-4f11-9a01-000000000011.cdr.json";
    fs::copy(
        format!("{FIXTURES}nasty/json-form-encoded-err/{leftover}"),
        cdr.join(leftover),
    )
    .unwrap();
    fs::write(cdr.join("unfinished.tmp"), "{").unwrap();
    live.expect(41);
    assert_eq!(live.receiver.account().distinct, 41);
    fs::write(cdr.join(&half_name), &half).unwrap();
    live.expect(42);
    assert_eq!(agent.stop(), 0);
    // Neither a restart, nor another name or mode, makes an old file a new one.
    let (name, _) = document(7);
    fs::rename(cdr.join(&name), cdr.join(format!("b_{name}"))).unwrap();
    let agent = live.bench.agent();
    let (name, text) = document(41);
    fs::write(cdr.join(name), text).unwrap();
    live.expect(43);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(agent.stop(), 0);
    let account = live.receiver.account();
    assert_eq!((account.distinct, account.duplicates), (43, 0));
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!(
        (totals.counts.rows, totals.events, totals.counts.rejected),
        (43, 43, 0)
    );
    assert!(ledger.balances());
}

#[test]
fn a_document_that_stays_half_written_is_set_aside_and_stays_where_it_is() {
    let live = documents("incomplete_max = \"300ms\"\nafter_read = \"delete\"");
    let name = "5f6a1c3e-0010-4f11-9a01-000000000010.cdr.json";
    let path = live.bench.path("cdr").join(name);
    fs::copy(format!("{FIXTURES}nasty/json-truncated/{name}"), &path).unwrap();
    let (good, text) = document(1);
    fs::write(live.bench.path("cdr").join(&good), text).unwrap();
    let agent = live.bench.agent();
    live.expect(1);
    let aside = live.bench.path("state/set-aside.jsonl");
    wait_until("the half document to be set aside", || {
        fs::read_to_string(&aside).is_ok_and(|text| text.contains(name))
    });
    wait_until("the whole one to be removed", || {
        !live.bench.path("cdr").join(&good).exists()
    });
    assert_eq!(agent.stop(), 0);
    assert!(path.exists());
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!(
        (totals.counts.rows, totals.events, totals.counts.rejected),
        (2, 1, 1)
    );
}

#[test]
fn documents_moved_away_once_durable_are_neither_lost_nor_repeated_by_kills() {
    const DOCUMENTS: u64 = 3_000;
    let live = Live::new(|_, dir| {
        format!(
            "directory = \"{0}/cdr\"\nformat = \"freeswitch-json\"\nstart = \"beginning\"\npoll = \"100ms\"\nsubdirectories = \"2*\"\nafter_read = \"move_to\"\nmove_to = \"{0}/done\"",
            dir.display()
        )
    });
    let (cdr, done) = (live.bench.path("cdr"), live.bench.path("done"));
    fs::create_dir(&done).unwrap();
    let writer = {
        let cdr = cdr.clone();
        thread::spawn(move || {
            for number in 0..DOCUMENTS {
                let day = cdr.join(format!("2026-04-{:02}", 1 + number / 1_000));
                fs::create_dir_all(&day).unwrap();
                let (name, text) = document(number);
                let mut file = fs::File::create(day.join(name)).unwrap();
                let cut = text.len() / 2;
                file.write_all(&text.as_bytes()[..cut]).unwrap();
                file.write_all(&text.as_bytes()[cut..]).unwrap();
            }
        })
    };
    for pause in [200, 500, 350, 600] {
        let agent = live.bench.agent();
        thread::sleep(Duration::from_millis(pause));
        agent.kill();
    }
    writer.join().unwrap();
    let earlier = fs::read(live.bench.path("agent.log")).unwrap().len();
    let agent = live.bench.agent();
    live.expect(DOCUMENTS);
    let files = |directory: &Path| -> usize {
        let days = fs::read_dir(directory).unwrap();
        days.map(|day| fs::read_dir(day.unwrap().path()).unwrap().count())
            .sum()
    };
    wait_until("every file to be moved", || files(&cdr) == 0);
    // All may have been done before this start: it is not asked to stop before it can hear that.
    wait_until("the start", || {
        agent.log().split_at(earlier).1.contains("started")
    });
    assert_eq!(files(&done), usize::try_from(DOCUMENTS).unwrap());
    assert_eq!(agent.stop(), 0);
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert_eq!((totals.counts.rows, totals.events), (DOCUMENTS, DOCUMENTS));
    assert!(ledger.balances());
    assert_eq!(live.receiver.account().distinct, DOCUMENTS);
}

#[test]
fn a_finished_recording_is_told_and_one_that_is_written_to_is_not() {
    let live = Live::new(|_, dir| {
        format!(
            "recordings = \"{}/cdr\"\nstart = \"now\"\npoll = \"100ms\"\nsettle = \"1s\"\nsubdirectories = \"*\"\nname_parts = \"in-{{caller_id}}-{{call_id}}.wav\"",
            dir.display()
        )
    });
    let arrivals = live.receiver.arrivals();
    let cdr = live.bench.path("cdr");
    fs::create_dir(cdr.join("10")).unwrap();
    fs::write(cdr.join("10/in-1-old.wav"), "RIFF").unwrap();
    // Files of the last instant before the start would be new ones.
    thread::sleep(Duration::from_millis(300));
    let agent = live.bench.agent();
    wait_until("the start", || agent.log().contains(" started"));
    let mut head = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    head.extend(8_000_u32.to_le_bytes());
    head.extend(16_000_u32.to_le_bytes());
    head.extend(b"\x02\0\x10\0data\0\0\0\0");
    let mut open = fs::File::create(cdr.join("10/in-2001-77.wav")).unwrap();
    fs::write(
        cdr.join("in-2002-78.wav"),
        [&head[..], &[0; 48_000]].concat(),
    )
    .unwrap();
    open.write_all(&head).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        open.write_all(&[0; 3_200]).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    live.expect(1);
    assert_eq!(live.receiver.account().distinct, 1);
    drop(open);
    live.expect(2);
    assert_eq!(agent.stop(), 0);
    let bodies = arrived(&arrivals);
    assert!(
        bodies[1].starts_with("recording {")
            && bodies[1].contains("\"path\":\"in-2002-78.wav\"")
            && bodies[1].contains("\"duration\":3"),
        "{bodies:?}"
    );
    assert!(
        bodies[0].contains("\"path\":\"10/in-2001-77.wav\"")
            && bodies[0].contains("\"call_id\":\"77\""),
        "{bodies:?}"
    );
    assert!(live.bench.ledger().balances());
}

#[test]
fn recordings_are_kept_by_what_is_known_of_them_and_their_silence_is_told() {
    let live = Live::new(|_, dir| {
        format!(
            "recordings = \"{}/cdr\"\nstart = \"now\"\npoll = \"100ms\"\nsettle = \"1s\"\n\
             name_parts = \"{{direction}}-{{call_id}}.wav\"\nkeep = {{ direction = \"in\", size = \">=100\" }}\nsilent_after = \"4s\"",
            dir.display()
        )
    });
    let arrivals = live.receiver.arrivals();
    let agent = live.bench.agent();
    wait_until("the start", || agent.log().contains(" started"));
    thread::sleep(Duration::from_millis(300));
    let cdr = live.bench.path("cdr");
    for (name, size) in [("in-1", 200), ("in-2", 20), ("out-3", 200)] {
        fs::write(cdr.join(format!("{name}.wav")), vec![b'x'; size]).unwrap();
    }
    // The recording, and that nothing came for 4 s.
    live.expect(2);
    fs::write(cdr.join("out-4.wav"), vec![b'x'; 200]).unwrap();
    // That something came, though it is not kept.
    live.expect(3);
    assert_eq!(agent.stop(), 0);
    let bodies = arrived(&arrivals);
    let told: Vec<&String> = bodies
        .iter()
        .filter(|body| body.starts_with("recording"))
        .collect();
    assert!(
        told.len() == 1 && told[0].contains("\"path\":\"in-1.wav\""),
        "{bodies:?}"
    );
    let silence: Vec<&String> = bodies
        .iter()
        .filter(|body| body.contains("source_silent"))
        .collect();
    assert!(silence.len() >= 2, "{bodies:?}");
    let ledger = live.bench.ledger();
    let counts = ledger.source("live").unwrap().counts;
    assert_eq!((counts.rows, counts.filtered), (4, 3));
    assert!(ledger.balances());
    // A key that no recording has is a mistake.
    let path = live.bench.path("switchhook.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        config.replace("direction = \"in\"", "direktion = \"in\""),
    )
    .unwrap();
    let output = run(&["check", "--config", path.to_str().unwrap()]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(
        told.contains("no event of this source has \"direktion\""),
        "{told}"
    );
}

#[test]
fn alarms_that_are_pushed_get_in_while_reading_pauses_for_everything_else() {
    let live = Live::push();
    let config = fs::read_to_string(live.bench.path("switchhook.toml")).unwrap();
    let rows = format!(
        "[queue]\ndisk_max = \"128MiB\"\ndead_letters_max = \"32MiB\"\nquarantine_max = \"16MiB\"\nfree_min = \"1MiB\"\n\n[[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\ncurrency = \"USD\"\n\n",
        live.bench.dir.path().display()
    );
    let config = config.replace("level = \"debug\"\n", "");
    let config = config.replacen("[[source]]", &format!("{rows}[[source]]"), 1);
    let url = config
        .split("url = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    // Nobody listens there, so that the queue fills.
    let config = config.replace(url, "http://127.0.0.1:9/");
    fs::write(live.bench.path("switchhook.toml"), config).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let mut file = fs::File::create(live.bench.path("cdr/cdr.csv")).unwrap();
    let mut number = 0;
    let mut write = |rows: u64| {
        let text: String = (number..number + rows)
            .map(|number| {
                let name: String = std::iter::repeat_with(|| random.alphanumeric())
                    .take(6_000)
                    .collect();
                crate::support::row(number).replace("\"CLIENT002\"", &format!("\"{name}\""))
            })
            .collect();
        file.write_all(text.as_bytes()).unwrap();
        number += rows;
    };
    write(8_000);
    let agent = live.bench.agent();
    live.connect();
    // A twentieth is more than the queue grows by at once; what dead letters may take is no room.
    wait_until("reading to pause", || {
        write(50);
        agent.log().contains("reading paused limit=\"disk_max\"")
    });
    check_kept(&live.post("AlarmCurrentReport", &sample("AlarmCurrentReport")));
    check_bare(
        &live.post("CustomerMoneyChange", &sample("CustomerMoneyChange")),
        "503",
    );
    check_kept(&live.post("AlarmCurrentReport", &sample("AlarmCurrentReport")));
    assert_eq!(agent.stop(), 0);
    let ledger = live.bench.ledger();
    let totals = ledger.source("live").unwrap();
    assert!(totals.events >= 1, "{totals:?}");
    assert!(ledger.balances());
}

#[test]
fn what_was_pushed_and_what_was_refused_is_shown_by_status_and_sources() {
    let live = Live::new(|port, _| {
        format!(
            "http = {{ listen = \"127.0.0.1:{port}\", allow = [\"127.0.0.1\"] }}\nformat = \"vos3000-push\"\ncurrency = \"USD\""
        )
    });
    let agent = live.bench.agent();
    live.connect();
    check_kept(&live.post("CustomerMoneyChange", &sample("CustomerMoneyChange")));
    check_bare(&live.post("PushDtmfInfo", "{}"), "404");
    let mut stranger = connect_from([127, 0, 0, 9], live.port);
    let mut answer = String::new();
    let _closed = stranger.read_to_string(&mut answer);
    assert_eq!(answer, "");
    let path = live.bench.path("switchhook.toml").display().to_string();
    let shown = |command: &[&str]| {
        let output = run(&[command, &["--config", &path]].concat());
        text(&output.stdout)
    };
    let status: serde_json::Value = serde_json::from_str(&shown(&["status", "--json"])).unwrap();
    let pushes = &status["sources"][0]["pushes"];
    let figures = [
        "taken",
        "refused_page",
        "refused_peer",
        "refused_full",
        "waiting",
    ];
    assert_eq!(
        figures.map(|key| pushes[key].as_u64()),
        [1, 1, 1, 0, 0].map(Some),
        "{status}"
    );
    let words = "1 pushes taken, 0 waiting; refused: 1 not allowed, 1 of an unknown page";
    for command in ["status", "sources"] {
        let told = shown(&[command]);
        assert!(told.contains(words), "{command}: {told}");
    }
    let told = shown(&["status", "--prometheus"]);
    for line in [
        "switchhook_source_pushes_taken_total{source=\"live\"} 1",
        "switchhook_source_pushes_refused_total{source=\"live\"} 2",
        "switchhook_source_pushes_refused_full_total{source=\"live\"} 0",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(agent.stop(), 0);
}

#[test]
fn sources_of_files_come_and_go_by_reloads_beside_one_that_is_pushed_to() {
    let live = Live::push();
    let path = live.bench.path("switchhook.toml");
    let without = fs::read_to_string(&path).unwrap();
    let cdr = live.bench.path("cdr").display().to_string();
    let files = |name: &str| {
        format!(
            "\n[[source]]\nname = \"{name}\"\nfiles = [\"{cdr}/*.{name}\"]\nformat = \"vos3000-pipe\"\ntimezone = \"UTC\"\nstart = \"now\"\n"
        )
    };
    let agent = live.bench.agent();
    live.connect();
    for (config, told) in [
        (format!("{without}{}", files("a")), "source a added"),
        (format!("{without}{}", files("b")), "source b added"),
        (without.clone(), "source b removed"),
    ] {
        fs::write(&path, config).unwrap();
        let answer = run(&["reload", "--config", &path.display().to_string()]);
        let answer = text(&answer.stdout) + &text(&answer.stderr);
        assert!(answer.contains(told), "{told}: {answer}");
    }
    // It is another source that a restart is asked for.
    let documents = format!(
        "\n[[source]]\nname = \"c\"\ndirectory = \"{cdr}\"\nformat = \"freeswitch-json\"\nstart = \"now\"\n"
    );
    fs::write(&path, format!("{without}{documents}")).unwrap();
    let answer = run(&["reload", "--config", &path.display().to_string()]);
    let answer = text(&answer.stdout) + &text(&answer.stderr);
    assert!(
        answer.contains("source \"c\" does not follow lines"),
        "{answer}"
    );
    assert_eq!(agent.stop(), 0);
}

/// What `status` says of the only source's trouble, and its exit code.
fn trouble(live: &Live) -> (String, Option<i32>) {
    let path = live.bench.path("switchhook.toml").display().to_string();
    let output = run(&["status", "--json", "--config", &path]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let problems = status["problems"].to_string();
    let trouble = status["sources"][0]["trouble"].as_str().unwrap_or("");
    assert!(problems.contains(trouble), "{status}");
    (trouble.to_owned(), output.status.code())
}

#[test]
fn a_source_that_nobody_can_reach_is_no_healthy_one_until_it_can_be() {
    for live in [Live::push(), Live::udp()] {
        let tcp = TcpListener::bind(("127.0.0.1", live.port)).unwrap();
        let udp = UdpSocket::bind(("127.0.0.1", live.port)).unwrap();
        let agent = live.bench.agent();
        let expected = format!("cannot listen on 127.0.0.1:{}: Address", live.port);
        wait_until("the trouble to be shown", || {
            let (told, code) = trouble(&live);
            told.starts_with(&expected) && code == Some(69)
        });
        drop((tcp, udp));
        wait_until("the trouble to be over", || {
            trouble(&live) == (String::new(), Some(0))
        });
        assert_eq!(agent.stop(), 0);
    }
}

#[test]
fn an_address_that_is_not_this_machine_s_is_found_before_the_start() {
    let live = Live::push();
    let path = live.bench.path("switchhook.toml");
    let config = path.display().to_string();
    let check = |expected: &str, code: i32| {
        let checked = run(&["check", "--config", &config]);
        let told = text(&checked.stdout);
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(checked.status.code(), Some(code), "{told}");
    };
    check("can be listened on", 0);
    let agent = live.bench.agent();
    live.connect();
    check("is in use: by the agent itself while it runs", 0);
    assert_eq!(agent.stop(), 0);
    let written = fs::read_to_string(&path).unwrap();
    let own = format!("127.0.0.1:{}\"", live.port);
    let others = "192.0.2.99:8731\", allow = [\"192.0.2.7\"]";
    fs::write(&path, written.replace(&own, others)).unwrap();
    check("(os error 99); write an address of this machine", 65);
}

#[test]
fn a_directory_that_is_not_there_is_shown_until_it_is() {
    let live = documents("");
    let cdr = live.bench.path("cdr");
    fs::remove_dir(&cdr).unwrap();
    let agent = live.bench.agent();
    let expected = format!("{}: No such file", cdr.display());
    wait_until("the trouble to be shown", || {
        let (told, code) = trouble(&live);
        told.starts_with(&expected) && code == Some(69)
    });
    fs::create_dir(&cdr).unwrap();
    let (name, text) = document(1);
    fs::write(cdr.join(name), text).unwrap();
    live.expect(1);
    wait_until("the trouble to be over", || {
        trouble(&live) == (String::new(), Some(0))
    });
    let log = agent.log();
    let told = format!("{expected} or directory (os error 2); it is read once it is there\"");
    assert!(log.contains(&told), "{log}");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn whether_the_service_s_user_can_read_and_remove_documents_is_looked_at() {
    let live = documents("after_read = \"delete\"");
    let cdr = live.bench.path("cdr");
    let (name, written) = document(1);
    let file = cdr.join(name);
    fs::write(&file, written).unwrap();
    let config = live.bench.path("switchhook.toml").display().to_string();
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(live.bench.dir.path(), 0o755);
    let told = || {
        let deep = run(&["check", "--deep", "--user", "nobody", "--config", &config]);
        text(&deep.stdout)
    };
    let cannot_read = format!("\"nobody\" cannot read {}", cdr.display());
    let cannot_write = format!("\"nobody\" may not write in {}", cdr.display());
    for (directory, at_end, expected) in [
        (
            0o777,
            0o644,
            "\"nobody\" can read the 1 newest of source live",
        ),
        (0o700, 0o644, &cannot_read),
        (0o744, 0o644, &cannot_read),
        (0o777, 0o600, &cannot_read),
        (0o755, 0o644, &cannot_write),
    ] {
        mode(&cdr, directory);
        mode(&file, at_end);
        let told = told();
        assert!(told.contains(expected), "{directory:o} {at_end:o}: {told}");
    }
    fs::remove_file(&file).unwrap();
    mode(&cdr, 0o700);
    let told = told();
    assert!(told.contains(&cannot_read), "{told}");
    assert!(
        told.contains("         files of source live are out of reach"),
        "{told}"
    );
    // Of what is pushed there are no files to come.
    let live = Live::push();
    let config = live.bench.path("switchhook.toml").display().to_string();
    let deep = run(&["check", "--deep", "--config", &config]);
    let told = text(&deep.stdout);
    assert!(!told.contains("of source live"), "{told}");
}

#[test]
fn a_directory_of_documents_is_listed_with_what_was_read_and_set_aside_in_it() {
    let live = documents("incomplete_max = \"300ms\"");
    let cdr = live.bench.path("cdr");
    for number in 0..5 {
        let (name, text) = document(number);
        fs::write(cdr.join(name), text).unwrap();
    }
    let config = live.bench.path("switchhook.toml").display().to_string();
    let listed = |arguments: &[&str]| {
        let all = [&["sources", "--config", &config], arguments].concat();
        crate::support::text(&run(&all).stdout)
    };
    let item = || -> serde_json::Value {
        serde_json::from_str(listed(&["--json"]).trim()).unwrap_or_default()
    };
    let agent = live.bench.agent();
    live.expect(5);
    wait_until("the directory to be listed", || {
        let told = item();
        told["files_read"] == 5 && told["files_remembered"] == 5
    });
    let told = item();
    assert_eq!(
        (&told["state"], &told["path"], &told["source"]),
        (
            &"directory".into(),
            &cdr.display().to_string().into(),
            &"live".into()
        )
    );
    assert_eq!(
        (&told["files_unread"], &told["files_remembered"]),
        (&0.into(), &5.into())
    );
    assert!(!listed(&["--behind"]).contains("directory"));
    // The last file, and one that is half written, first as it waits and then as it was set aside.
    let half = "5f6a1c3e-0010-4f11-9a01-000000000010.cdr.json";
    let (last, text) = document(5);
    fs::write(cdr.join(&last), text).unwrap();
    fs::copy(
        format!("{FIXTURES}nasty/json-truncated/{half}"),
        cdr.join(half),
    )
    .unwrap();
    wait_until("the half document to be set aside", || {
        let told = item();
        told["files_set_aside"] == 1 && told["last_set_aside"].is_string()
    });
    let line = listed(&[]);
    assert!(
        line.contains("directory  7 read, 1 set aside, 0 gone"),
        "{line}"
    );
    assert!(line.contains(&format!("last set aside {half}: ")), "{line}");
    assert_eq!(agent.stop(), 0);
    // After a restart the last file is known by what is remembered.
    let agent = live.bench.agent();
    wait_until("the directory to be listed again", || {
        item()["files_remembered"] == 7
    });
    let told = item();
    let name = told["last_file"].as_str().unwrap_or_default();
    assert!(name.ends_with(half) || name.ends_with(&last), "{told}");
    assert!(told["last_file_changed_at"].is_string(), "{told}");
    assert_eq!(agent.stop(), 0);
}
