//! What goes over the wire, counted and compared by a receiver that is nothing but a socket: it
//! knows no HTTP library, so nothing is sent again, put together or left out behind its back.

use crate::support::{Bench, SECRET, row, run, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Raw {
    /// The request line and the headers, as they were sent.
    head: Vec<String>,
    body: Vec<u8>,
}

impl Raw {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.iter().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        let found = pairs.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// What is done about a request on a connection that was to be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is answered, and the connection stays.
    Answer,
    /// It is answered as one that stays, and closed so many microseconds later.
    AnswerAndClose(u64),
    /// It is read whole, and the connection closed without a word.
    Swallow,
    /// The same, and the close is a reset.
    Reset,
    /// Its head is read, and the connection closed.
    ReadHead,
    /// Its first byte is looked at, and the connection closed with all of it unread.
    Ignore,
}

#[derive(Debug, Default)]
struct Seen {
    /// Requests of which a byte came.
    begun: u64,
    answered: Vec<Raw>,
    /// Requests that came whole and were not answered.
    swallowed: Vec<Raw>,
    /// Connections that were closed right behind an answer.
    closed_behind: u64,
}

/// A receiver that does with each request what `deed` says of its number, from 0.
pub struct Socket {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Socket {
    fn start(deed: impl Fn(u64) -> Deed + Send + Sync + 'static) -> Socket {
        Socket::start_at(Ipv4Addr::LOCALHOST, deed)
    }

    pub fn start_at(
        address: Ipv4Addr,
        deed: impl Fn(u64) -> Deed + Send + Sync + 'static,
    ) -> Socket {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (all, deed) = (Arc::clone(&seen), Arc::new(deed));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (seen, deed) = (Arc::clone(&all), Arc::clone(&deed));
                thread::spawn(move || serve(stream, &seen, &*deed));
            }
        });
        Socket { addr, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    pub fn requests(&self) -> u64 {
        self.with(|seen| seen.begun)
    }

    fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>, deed: &dyn Fn(u64) -> Deed) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    loop {
        let mut first = [0];
        if !matches!(stream.peek(&mut first), Ok(1)) {
            return;
        }
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.begun += 1;
            seen.begun - 1
        };
        let deed = deed(number);
        if deed == Deed::Ignore {
            return; // What is unread makes the close a reset.
        }
        let Some(raw) = read(&mut stream, &mut buffer, deed != Deed::ReadHead) else {
            return;
        };
        match deed {
            Deed::ReadHead | Deed::Ignore => return,
            Deed::Swallow | Deed::Reset => {
                seen.lock().unwrap().swallowed.push(raw);
                if deed == Deed::Reset {
                    let socket = nix::sys::socket::sockopt::Linger;
                    let at_once = nix::libc::linger {
                        l_onoff: 1,
                        l_linger: 0,
                    };
                    nix::sys::socket::setsockopt(&stream, socket, &at_once).unwrap();
                }
                return;
            }
            Deed::Answer | Deed::AnswerAndClose(_) => {
                let is_last = matches!(deed, Deed::AnswerAndClose(_));
                {
                    let mut seen = seen.lock().unwrap();
                    seen.answered.push(raw);
                    seen.closed_behind += u64::from(is_last);
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if stream.write_all(answer).is_err() {
                    return;
                }
            }
        }
        if let Deed::AnswerAndClose(micros) = deed {
            thread::sleep(Duration::from_micros(micros));
            return;
        }
    }
}

/// Reads one request from the stream, `buffer` being what came of it before.
fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, has_body: bool) -> Option<Raw> {
    let end = b"\r\n\r\n";
    let head = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == end) {
            break buffer.drain(..at + 4).collect::<Vec<u8>>();
        }
        more(stream, buffer)?;
    };
    let head = String::from_utf8(head).unwrap();
    let head: Vec<String> = head.trim_end().lines().map(str::to_string).collect();
    let mut raw = Raw {
        head,
        body: Vec::new(),
    };
    let length = raw
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    if has_body {
        while buffer.len() < length {
            more(stream, buffer)?;
        }
        raw.body = buffer.drain(..length).collect();
    }
    Some(raw)
}

fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4_096];
    let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
    buffer.extend_from_slice(&chunk[..count]);
    Some(())
}

fn write_rows(bench: &Bench, count: u64) {
    let rows: String = (0..count).map(row).collect();
    fs::write(bench.path("cdr/rows.csv"), rows).unwrap();
}

fn billing(bench: &Bench) -> serde_json::Value {
    let config = bench.path("switchhook.toml");
    let told = run(&["status", "--json", "--config", config.to_str().unwrap()]);
    let status: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    status["endpoints"][0].clone()
}

/// Delivers `rows` rows to a socket that behaves so; the endpoint's figures at the end, and what
/// the socket has seen.
fn deliver(rows: u64, deed: impl Fn(u64) -> Deed + Send + Sync + 'static) -> (u64, Seen) {
    let bench = Bench::new();
    let socket = Socket::start(deed);
    bench.configure(&format!(
        "url = \"{}\"\nconcurrency = 4\nprobe_max = \"200ms\"\nbackoff_max = \"1s\"\nattempts = 50",
        socket.url()
    ));
    write_rows(&bench, rows);
    let agent = bench.agent();
    wait_until("every event to be delivered", || {
        billing(&bench)["delivered"] == rows && bench.is_drained()
    });
    let attempts = billing(&bench)["attempts"].as_u64().unwrap();
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
    let seen = std::mem::take(&mut *socket.seen.lock().unwrap());
    (attempts, seen)
}

fn id(raw: &Raw) -> String {
    raw.header("X-Switchhook-Id").unwrap().to_string()
}

/// The classical place of a hidden second send: an HTTP client that finds its idle connection
/// closed sends the request again on another, as if nothing had been.
#[test]
fn a_connection_closed_at_the_moment_of_its_reuse_makes_no_request_that_is_not_counted() {
    const ROWS: u64 = 300;
    let (attempts, seen) = deliver(ROWS, |number| match number % 13 {
        2 => Deed::Swallow,
        5 => Deed::ReadHead,
        7 => Deed::Reset,
        11 => Deed::Ignore,
        _ => Deed::Answer,
    });
    let failed = seen.begun - ROWS;
    println!(
        "{attempts} attempts counted, {} requests seen, {failed} of them failed",
        seen.begun
    );
    assert!(failed > ROWS / 5, "{failed}");
    assert_eq!(attempts, seen.begun, "as many as were seen, and no more");
    let ids: BTreeSet<String> = seen.answered.iter().map(id).collect();
    assert_eq!((seen.answered.len() as u64, ids.len() as u64), (ROWS, ROWS));
    // Each repeat of what was read whole is a request of its own, with the same id and body.
    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for raw in seen.answered.iter().chain(&seen.swallowed) {
        bodies.entry(id(raw)).or_default().insert(raw.body.clone());
    }
    assert!(bodies.values().all(|bodies| bodies.len() == 1));
}

/// The same where the receiver closes what it has just said it keeps: whether the close is noticed
/// before the next request is a matter of microseconds, and the receiver never sees that one twice.
#[test]
fn a_connection_closed_right_behind_an_answer_loses_and_repeats_nothing() {
    const ROWS: u64 = 400;
    let (attempts, seen) = deliver(ROWS, |number| match number % 3 {
        0 => Deed::AnswerAndClose(number * 7 % 400),
        _ => Deed::Answer,
    });
    println!(
        "{attempts} attempts counted, {} requests seen, {} connections closed behind an answer",
        seen.begun, seen.closed_behind
    );
    let ids: BTreeSet<String> = seen.answered.iter().map(id).collect();
    assert_eq!((seen.answered.len() as u64, ids.len() as u64), (ROWS, ROWS));
    assert_eq!(seen.begun, ROWS, "nothing came twice");
    // One that met the close was counted, and never seen.
    assert!(
        attempts >= ROWS && attempts <= ROWS + seen.closed_behind,
        "{attempts}"
    );
}

/// A request as another receiver is to get it: without what is the receiver's own.
fn comparable(raw: &Raw) -> Raw {
    // Times of attempts differ, and what is signed with them.
    let own = [
        "host:",
        "webhook-signature:",
        "webhook-timestamp:",
        "x-vobiz-signature:",
        "x-vobiz-timestamp:",
    ];
    let is_shared = |line: &&String| {
        let line = line.to_ascii_lowercase();
        !own.iter().any(|name| line.starts_with(name))
    };
    Raw {
        head: raw.head.iter().filter(is_shared).cloned().collect(),
        body: raw.body.clone(),
    }
}

#[test]
fn a_mirror_s_requests_are_the_other_endpoint_s_byte_for_byte() {
    const ROWS: u64 = 25;
    for (shape, first) in [
        (
            "method = \"PUT\"\ncompress = \"gzip\"",
            "PUT /hook HTTP/1.1",
        ),
        (
            "profile = \"vobiz\"\nmethod = \"POST\"\ncontent = \"form\"\nagent_headers = false",
            "POST /hook HTTP/1.1",
        ),
        ("method = \"GET\"", "GET /hook?"),
    ] {
        let bench = Bench::new();
        let (one, other) = (
            Socket::start(|_| Deed::Answer),
            Socket::start(|_| Deed::Answer),
        );
        bench.configure(&format!(
            "url = \"{}\"\nconcurrency = 1\nheaders = {{ X-Token = \"hush\" }}\n{shape}\n\n[[endpoint]]\nname = \"look\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\nconcurrency = 1\nmirror = \"billing\"\nmirror_for = \"1h\"",
            one.url(),
            other.url()
        ));
        let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
        let config = config.replace(
            "start = \"beginning\"",
            "start = \"beginning\"\nextra = true\ncolumns = \"52\"",
        );
        fs::write(bench.path("switchhook.toml"), config).unwrap();
        write_rows(&bench, ROWS);
        let agent = bench.agent();
        wait_until("both to have everything", || {
            !one.with(|seen| seen.answered.is_empty()) && bench.is_drained()
        });
        assert_eq!(agent.stop(), 0);
        let compared = |socket: &Socket| -> Vec<Raw> {
            let mut all: Vec<Raw> =
                socket.with(|seen| seen.answered.iter().map(comparable).collect());
            all.sort_by_key(|raw| {
                (
                    raw.header("X-Switchhook-Sequence").map(str::to_string),
                    raw.body.clone(),
                )
            });
            all
        };
        let (mut told, mirrored) = (compared(&one), compared(&other));
        for raw in &mut told {
            let before = raw.head.len();
            raw.head
                .retain(|line| !line.eq_ignore_ascii_case("X-Token: hush"));
            assert_eq!(raw.head.len() + 1, before, "its own header is its own");
        }
        assert!(told[0].head[0].starts_with(first), "{:?}", told[0].head);
        if shape.contains("gzip") {
            assert_eq!(told[0].header("Content-Encoding"), Some("gzip"));
        }
        assert_eq!(told.len() as u64, ROWS, "{shape}");
        assert_eq!(told, mirrored, "{shape}");
    }
}
