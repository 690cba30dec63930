//! Every fault of a receiver, rows D1 to D26 of the list of failures, met for real: the transport
//! and the agent against the development receiver misbehaving, over real sockets.
//!
//! Rows that are promises of others' are tested there: D21 in `interop`, the batches of D15 and
//! D16, the order of D19 and the overtaking of D23 beside what makes them.

use crate::support::{Bench, SECRET, receiver, row, run, switchhook, wait_until};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use switchhook::clock::{Clock, SystemClock};
use switchhook::delivery::endpoint::Endpoint;
use switchhook::delivery::link::Proxy;
use switchhook::delivery::outcome::Outcome;
use switchhook::delivery::profile::Profile as Shape;
use switchhook::delivery::request::SignedRequest;
use switchhook::delivery::signer::{Secret, Signer};
use switchhook::delivery::transport::{
    ANSWER_BODY_BYTES_MAX, Answer, HttpTransport, LookUp, Phase, Response, Transport, Trouble,
    TroubleClass,
};
use switchhook::delivery::trial::{Trial, try_out};
use switchhook::delivery::url::Url;
use switchhook::event::sample::sample;
use switchhook::event::{EventId, Sequence};
use switchhook::queue::Queued;
use switchhook::receiver::{Account, Certificate, Fault, Profile, Receiver, Settings, Verifier};

/// Time of an attempt where it is to be over.
const SHORT: Duration = Duration::from_millis(400);

/// Time of an attempt where it is not.
const LONG: Duration = Duration::from_secs(20);

/// A receiver that misbehaves, and an endpoint that leads to it.
pub struct Stand {
    pub receiver: Receiver,
    pub endpoint: Endpoint,
    pub clock: Arc<dyn Clock>,
    attempts: u64,
}

fn faults(written: &[&str]) -> Vec<Fault> {
    written.iter().map(|fault| fault.parse().unwrap()).collect()
}

impl Stand {
    pub fn new(written: &[&str], timeout: Duration) -> Stand {
        Stand::build(written, timeout, None)
    }

    /// One that answers HTTPS as `localhost`, and is trusted.
    pub fn tls(written: &[&str], timeout: Duration) -> Stand {
        let names = vec!["localhost".to_string()];
        Stand::build(written, timeout, Some(Certificate::SelfSigned { names }))
    }

    fn build(written: &[&str], timeout: Duration, certificate: Option<Certificate>) -> Stand {
        let mut settings = Settings::new(Verifier::new(Profile::Standard, &[SECRET]).unwrap());
        settings.faults = faults(written);
        settings.certificate = certificate;
        let receiver = Receiver::start(settings).unwrap();
        let url = match receiver.certificate_pem() {
            Some(_) => receiver.url().replace("127.0.0.1", "localhost"),
            None => receiver.url(),
        };
        let mut endpoint = Endpoint::new("a", Url::parse(&url).unwrap(), Shape::Standard);
        endpoint.secret = Some(Secret::parse(SECRET).unwrap());
        endpoint.timeout = timeout;
        endpoint.extra_roots = receiver.certificate_pem().map(der).into_iter().collect();
        Stand {
            receiver,
            endpoint,
            clock: Arc::new(SystemClock::new()),
            attempts: 0,
        }
    }

    /// Tries to deliver the event of the number, over a new connection.
    pub fn attempt(&mut self, number: u8) -> Trial {
        self.attempts += 1;
        try_out(&self.endpoint, &event(number), &self.clock).unwrap()
    }

    /// Ends the faults, delivers the event, and checks that the receiver saw each attempt once and
    /// has the event once.
    #[track_caller]
    fn recovers(mut self) -> Account {
        self.receiver.set_faults(Vec::new());
        self.endpoint.timeout = LONG;
        let trial = self.attempt(1);
        assert_eq!(trial.outcome, Outcome::Delivered, "{:?}", trial.answer);
        let account = self.receiver.account();
        assert_eq!(account.requests + account.faults.connections, self.attempts);
        assert_eq!((account.distinct, account.misaddressed), (1, 0));
        account
    }
}

/// The certificate of a PEM text.
fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

/// An event that can be told from others by its number.
pub fn event(number: u8) -> Queued {
    let node: Arc<str> = "vos-1".into();
    let wall = SystemClock::new().wall();
    let event = sample("cdr", &node, EventId([number; 16]), wall, &[]).unwrap();
    Queued {
        sequence: Sequence(u64::from(number)),
        event: Arc::new(event),
    }
}

/// Sends the event of the number over `transport`, as a lane does.
pub fn send(transport: &HttpTransport, endpoint: &Endpoint, number: u8) -> Answer {
    let queued = event(number);
    let secrets = endpoint.secret.iter();
    let signer = Signer::new(endpoint.signature.clone(), secrets);
    let mut body = Vec::new();
    endpoint.profile.render(&queued, &mut body);
    let wall = SystemClock::new().wall();
    transport.send(&SignedRequest::new(
        endpoint, &signer, &queued, 1, wall, &body,
    ))
}

#[track_caller]
pub fn trouble(answer: Answer, class: TroubleClass, words: &str) -> Trouble {
    match answer {
        Answer::Trouble(trouble) if trouble.class == class => {
            let text = trouble.to_string();
            assert!(text.contains(words), "{words:?} is not in {text:?}");
            trouble
        }
        other => panic!("{other:?}, expected {class:?}"),
    }
}

#[track_caller]
pub fn status(answer: Answer) -> Response {
    match answer {
        Answer::Status(response) => response,
        Answer::Trouble(trouble) => panic!("{trouble}"),
    }
}

/// One attempt at a receiver with this fault comes to this trouble in time, counts against the
/// endpoint, and costs nothing once the fault is over.
#[track_caller]
fn check_trouble(written: &str, class: TroubleClass, words: &str) -> Account {
    let is_over = matches!(class, TroubleClass::Timeout(_));
    let timeout = if is_over { SHORT } else { LONG };
    let mut stand = match written.starts_with("tls=") {
        true => Stand::tls(&[written], timeout),
        false => Stand::new(&[written], timeout),
    };
    let began = Instant::now();
    let trial = stand.attempt(1);
    let took = began.elapsed();
    let failure = match &trial.outcome {
        Outcome::Unavailable { failure, after } if after.is_none() => failure.clone(),
        other => panic!("{written}: {other:?}"),
    };
    assert_eq!(failure.class, class.word(), "{written}");
    trouble(trial.answer, class, words);
    // Of a long one nothing is waited for; of a short one the deadline holds, on a busy machine.
    assert!(took < SHORT * 10, "{written} took {took:?}");
    assert!(!is_over || took >= SHORT, "{written} took {took:?}");
    stand.recovers()
}

/// One attempt at a receiver with this fault delivers, for the receiver said so before it
/// misbehaved; no more than the bound is read of the rest.
#[track_caller]
fn check_delivered(written: &str, timeout: Duration) -> Response {
    let mut stand = Stand::new(&[written], timeout);
    let began = Instant::now();
    let trial = stand.attempt(1);
    assert_eq!(
        trial.outcome,
        Outcome::Delivered,
        "{written}: {:?}",
        trial.answer
    );
    let took = began.elapsed();
    assert!(took < SHORT * 10, "{written} took {took:?}");
    let response = status(trial.answer);
    assert!(response.body_read <= ANSWER_BODY_BYTES_MAX, "{written}");
    let account = stand.recovers();
    assert_eq!(
        (account.faults.spoilt, account.duplicates),
        (1, 1),
        "{written}"
    );
    response
}

#[test]
fn d1_a_receiver_that_reads_and_never_answers_costs_the_attempt_s_time() {
    let account = check_trouble(
        "hang",
        TroubleClass::Timeout(Phase::Answer),
        "answer: timed out: no byte of an answer within 0.4 s (timeout)",
    );
    assert_eq!((account.faults.hang, account.duplicates), (1, 0));
}

#[test]
fn d1_the_first_byte_has_a_limit_of_its_own() {
    let mut stand = Stand::new(&["hang"], LONG);
    stand.endpoint.link.answer_timeout = Some(SHORT);
    let began = Instant::now();
    let words = "answer: timed out: no byte of an answer within 0.4 s (answer_timeout)";
    trouble(
        stand.attempt(1).answer,
        TroubleClass::Timeout(Phase::Answer),
        words,
    );
    assert!(began.elapsed() < SHORT * 10);
    stand.recovers();
}

#[test]
fn d2_a_receiver_that_takes_and_then_resets_gets_the_event_again_with_the_same_id() {
    let account = check_trouble("lost", TroubleClass::Closed, "connection closed: ");
    assert_eq!((account.faults.lost, account.duplicates), (1, 1));
    let account = check_trouble("reset", TroubleClass::Closed, "connection closed: ");
    assert_eq!((account.faults.reset, account.duplicates), (1, 0));
}

#[test]
fn d3_half_an_answer_is_none_and_a_body_that_breaks_off_changes_nothing() {
    check_trouble(
        "status-line-only",
        TroubleClass::Closed,
        "connection closed: ",
    );
    assert_eq!(check_delivered("short-body", LONG).body_start, b"short");
    assert_eq!(check_delivered("torn-chunk", LONG).body_start, b"torn");
}

#[test]
fn d4_of_a_body_of_10_mb_and_of_an_endless_one_64_kib_are_read() {
    for written in ["big-body", "endless-body"] {
        let response = check_delivered(written, LONG);
        assert_eq!(response.body_read, ANSWER_BODY_BYTES_MAX, "{written}");
        assert_eq!(response.body_start, [b'x'; 1 << 10], "{written}");
    }
}

#[test]
fn d5_an_answer_a_byte_at_a_time_does_not_move_the_deadline() {
    check_trouble(
        "slow-headers=10ms",
        TroubleClass::Timeout(Phase::Headers),
        "headers: timed out: the answer was not complete within 0.4 s (timeout)",
    );
    let response = check_delivered("slow-body=10ms", SHORT);
    assert!((1..1_000).contains(&response.body_read), "{response:?}");
    assert!(response.elapsed >= SHORT, "{response:?}");
}

#[test]
fn d6_a_gzip_bomb_is_not_unpacked() {
    let response = check_delivered("gzip-bomb", LONG);
    assert_eq!(response.body_start.get(..2), Some(&b"\x1f\x8b"[..]));
    // As packed: unpacked it has 32 MiB.
    assert!(
        response.body_read < ANSWER_BODY_BYTES_MAX,
        "{}",
        response.body_read
    );
}

#[test]
fn d7_no_redirect_of_any_kind_is_followed() {
    for code in [300, 301, 302, 303, 304, 305, 306, 307, 308, 399] {
        let mut stand = Stand::new(&[&format!("redirect={code}")], LONG);
        let trial = stand.attempt(1);
        match trial.outcome {
            Outcome::Unavailable {
                failure,
                after: None,
            } => {
                assert_eq!((failure.class, failure.status), ("http", Some(code)));
                if [301, 302, 303, 307, 308].contains(&code) {
                    let words = format!("status {code}: redirects are not followed");
                    assert_eq!(failure.reason, words);
                }
            }
            other => panic!("{code}: {other:?}"),
        }
        // Who follows comes as a misaddressed request.
        assert_eq!(stand.receiver.account().requests, 1, "{code}");
        stand.recovers();
    }
}

#[test]
fn d8_what_is_no_answer_of_http_or_too_long_a_one_is_trouble() {
    let protocol = TroubleClass::Protocol;
    check_trouble("header-flood", protocol, "protocol: ");
    check_trouble("huge-header", protocol, "protocol: ");
    check_trouble("bad-status-line", protocol, "protocol: ");
    check_trouble(
        "interim-flood",
        protocol,
        "the answer is longer than 196608 bytes",
    );
}

#[test]
fn d8_an_upgrade_nobody_asked_for_counts_against_the_endpoint() {
    let mut stand = Stand::new(&["switching"], LONG);
    match stand.attempt(1).outcome {
        Outcome::Unavailable { failure, .. } => assert_eq!(failure.status, Some(101)),
        other => panic!("{other:?}"),
    }
    stand.recovers();
}

/// A door to names: says what it is told to, after a while.
#[derive(Debug)]
struct Names {
    says: Result<SocketAddr, io::ErrorKind>,
    after: Duration,
}

impl LookUp for Names {
    fn addresses(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (_never, nothing) = mpsc::channel::<()>();
        let _time_is_over = nothing.recv_timeout(self.after);
        let address = self.says.map_err(io::Error::from)?;
        Ok(vec![SocketAddr::new(address.ip(), port)])
    }
}

#[test]
fn d9_names_that_lead_nowhere_slowly_or_inside_are_told_apart() {
    let stand = Stand::new(&[], SHORT);
    let port = stand.receiver.addr().port();
    let mut endpoint = stand.endpoint.clone();
    endpoint.url = Url::parse(&format!("http://receiver.example:{port}/webhook")).unwrap();
    let through = |endpoint: &Endpoint, says, after| {
        let door = Arc::new(Names { says, after });
        let transport =
            HttpTransport::looking_up_by(endpoint, Arc::clone(&stand.clock), door).unwrap();
        send(&transport, endpoint, 1)
    };
    let now = Duration::ZERO;
    let own = Ok(stand.receiver.addr());
    // NXDOMAIN and SERVFAIL reach the agent as errors of the system's resolver.
    for kind in [io::ErrorKind::NotFound, io::ErrorKind::Other] {
        let answer = through(&endpoint, Err(kind), now);
        trouble(answer, TroubleClass::Dns, "dns: receiver.example: ");
    }
    let words = "resolve: timed out: no answer about receiver.example within 0.4 s (timeout)";
    let answer = through(&endpoint, own, SHORT * 2);
    trouble(answer, TroubleClass::Timeout(Phase::Resolve), words);
    // The address is one an endpoint may not have, and nothing is dialled.
    let words = "receiver.example leads to 127.0.0.1 (loopback); allow_private would permit it";
    trouble(through(&endpoint, own, now), TroubleClass::Forbidden, words);
    assert_eq!(stand.receiver.account(), Account::default());
    endpoint.allow_private = true;
    endpoint.timeout = LONG;
    assert_eq!(status(through(&endpoint, own, now)).status, 200);
}

#[test]
fn d10_a_certificate_that_must_not_be_believed_is_named_with_what_is_wrong() {
    let tls = TroubleClass::Tls;
    check_trouble(
        "tls=expired",
        tls,
        "the receiver's certificate expired at 2021-01-01T00:00:00Z; it is ",
    );
    check_trouble(
        "tls=not-yet-valid",
        tls,
        "the receiver's certificate is valid from 2090-01-01T00:00:00Z only; it is ",
    );
    check_trouble(
        "tls=wrong-name",
        tls,
        "certificate not valid for name \"localhost\"",
    );
    check_trouble(
        "tls=unknown-ca",
        tls,
        "UnknownIssuer; if an authority of your own vouches for it, name that in ca_file",
    );
    check_trouble(
        "tls=1.1",
        tls,
        "it speaks no version of TLS that tls_min allows",
    );
}

#[test]
fn d10_a_handshake_that_stalls_costs_its_limit() {
    let words = "tls: timed out: no handshake within 0.4 s (timeout)";
    check_trouble("tls=stall", TroubleClass::Timeout(Phase::Tls), words);
    let mut stand = Stand::tls(&["tls=stall"], LONG);
    stand.endpoint.link.tls_timeout = Some(SHORT);
    let words = "tls: timed out: no handshake within 0.4 s (tls_timeout)";
    trouble(
        stand.attempt(1).answer,
        TroubleClass::Timeout(Phase::Tls),
        words,
    );
    stand.recovers();
}

#[test]
fn d11_a_receiver_that_is_gone_is_told_from_one_that_is_down() {
    let mut stand = Stand::new(&["status=410"], LONG);
    match stand.attempt(1).outcome {
        Outcome::Gone(failure) => assert_eq!(failure.reason, "status 410"),
        other => panic!("{other:?}"),
    }
    stand.recovers();
}

#[test]
fn d12_retry_after_is_a_wish_within_its_bound_in_every_form() {
    let secs = |range: std::ops::RangeInclusive<u64>| Some(range);
    for (form, expected) in [
        ("0s", secs(0..=0)),
        ("120s", secs(120..=120)),
        ("24h", secs(3_600..=3_600)),
        ("date", secs(100..=120)),
        ("past", None),
        ("negative", None),
        ("garbage", None),
    ] {
        for code in [429, 503] {
            let mut stand = Stand::new(&[&format!("status={code},retry_after={form}")], LONG);
            match stand.attempt(1).outcome {
                Outcome::Unavailable { after, .. } => match (after, &expected) {
                    (None, None) => {}
                    (Some(after), Some(range)) if range.contains(&after.as_secs()) => {}
                    (after, _) => panic!("{form}: {after:?}"),
                },
                other => panic!("{form}: {other:?}"),
            }
            stand.recovers();
        }
    }
}

/// The configuration of an endpoint for an agent in these tests: quick to give up and try again.
fn quick(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[endpoint]]\nname = \"{name}\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\n\
         timeout = \"500ms\"\nprobe_max = \"200ms\"\nbackoff_initial = \"100ms\"\nbackoff_max = \"300ms\"\n\
         retry_after_max = \"300ms\"\nattempts = 300\n{more}\n"
    )
}

/// A bench whose agent delivers to these endpoints.
fn bench(endpoints: &[String]) -> Bench {
    let bench = Bench::new();
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\n\n{}",
        bench.dir.path().display(),
        endpoints.concat()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    bench
}

fn write_rows(bench: &Bench, file: &str, rows: std::ops::Range<u64>) {
    let rows: String = rows.map(row).collect();
    fs::write(bench.path("cdr").join(file), rows).unwrap();
}

/// `endpoint` of the agent's status.
fn told(bench: &Bench, endpoint: &str) -> serde_json::Value {
    let mut command = switchhook();
    command.args(["status", "--json", "--config"]);
    let output = command.arg(bench.path("switchhook.toml")).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
    let found = endpoints.into_iter().find(|it| it["name"] == endpoint);
    found.unwrap_or_default()
}

#[test]
fn d13_a_receiver_that_refuses_everything_for_a_while_loses_nothing_and_is_not_hammered() {
    const ROWS: u64 = 5;
    let refusing = receiver(Profile::Standard, &["status=401"], 0);
    let bench = bench(&[quick("crm", &refusing.url(), "")]);
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    let began = Instant::now();
    wait_until("ten refusals", || refusing.account().faults.status >= 10);
    let refusals = refusing.account().faults.status;
    // Each event waits 100 ms at least on average: far more would be a loop.
    let most = ROWS * 2 * (2 + u64::try_from(began.elapsed().as_millis()).unwrap() / 50);
    assert!(refusals <= most, "{refusals} in {:?}", began.elapsed());
    refusing.set_faults(Vec::new());
    wait_until("all to be delivered", || {
        refusing.account().distinct == ROWS
    });
    wait_until("the end", || bench.is_drained());
    let attempts = &told(&bench, "crm")["attempts"];
    assert_eq!(*attempts, refusing.account().requests);
    assert_eq!(agent.stop(), 0);
    assert_eq!(bench.ledger().endpoint("crm").unwrap().delivered, ROWS);
}

/// A receiver that refuses one event and takes all others; returns its port.
fn picky(poison: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                let mut length = 0;
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|amount| amount > 0) {
                    if let Some(told) = line.strip_prefix("content-length: ") {
                        length = told.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        let mut body = vec![0; length];
                        stream.read_exact(&mut body).unwrap();
                        let body = String::from_utf8(body).unwrap();
                        let status = if body.contains(poison) {
                            "422 No"
                        } else {
                            "200 OK"
                        };
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                        stream.get_mut().write_all(answer.as_bytes()).unwrap();
                    }
                    line.clear();
                }
            });
        }
    });
    port
}

#[test]
fn d14_one_poison_event_becomes_a_dead_letter_and_its_neighbours_do_not_wait() {
    const ROWS: u64 = 20;
    let url = format!("http://127.0.0.1:{}/", picky("\"call_id\":\"7\""));
    let table = quick("crm", &url, "").replace("attempts = 300", "attempts = 3");
    let bench = bench(&[table]);
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    wait_until("the dead letter", || {
        told(&bench, "crm")["dead_letters"] == 1
    });
    wait_until("the others", || bench.is_drained());
    let told = told(&bench, "crm");
    assert_eq!(
        (&told["delivered"], &told["attempts"]),
        (&(ROWS - 1).into(), &(ROWS + 2).into()),
        "{told}"
    );
    assert_eq!(told["state"], "working");
    assert_eq!(agent.stop(), 0);
}

#[test]
fn d17_a_dead_and_a_slow_endpoint_do_not_hold_up_a_healthy_one() {
    const ROWS: u64 = 300;
    let mut dead = receiver(Profile::Standard, &[], 0);
    dead.stop();
    let slow = receiver(Profile::Standard, &["delay=30s"], 0);
    let healthy = receiver(Profile::Standard, &[], 0);
    let bench = bench(&[
        quick("dead", &dead.url(), ""),
        quick("slow", &slow.url(), "").replace("\"500ms\"", "\"60s\""),
        quick("healthy", &healthy.url(), ""),
    ]);
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    wait_until("the healthy one to have all", || {
        healthy.account().distinct == ROWS
    });
    let slow = slow.account();
    assert!(slow.faults.delay > 0 && slow.accepted == 0, "{slow:?}");
    let p99 = told(&bench, "healthy")["latency_ms"]["p99"]
        .as_f64()
        .unwrap();
    assert!(p99 < 5_000.0, "{p99} ms");
    agent.kill();
}

#[test]
fn d18_a_receiver_that_comes_and_goes_gets_everything() {
    let flapping = receiver(Profile::Standard, &["flap=400ms"], 0);
    let bench = bench(&[quick("crm", &flapping.url(), "concurrency = 2")]);
    let agent = bench.agent();
    let struck = || {
        let faults = flapping.account().faults;
        faults.connections + faults.reset
    };
    let mut rows = 0;
    while struck() < 4 || rows < 30 {
        write_rows(&bench, &format!("cdr_{rows:05}.csv"), rows..rows + 5);
        rows += 5;
        wait_until("five more", || flapping.account().distinct >= rows);
    }
    flapping.set_faults(Vec::new());
    wait_until("the end", || bench.is_drained());
    assert_eq!(flapping.account().distinct, rows);
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert_eq!(ledger.endpoint("crm").unwrap().delivered, rows);
}

#[test]
fn d20_a_secret_changed_in_the_middle_of_retries_signs_what_is_tried_next() {
    const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let mut settings = Settings::new(Verifier::new(Profile::Standard, &[OTHER]).unwrap());
    settings.seed = 1;
    let receiver = Receiver::start(settings).unwrap();
    let bench = bench(&[quick("crm", &receiver.url(), "")]);
    write_rows(&bench, "cdr_1.csv", 0..3);
    let agent = bench.agent();
    wait_until("refusals", || receiver.account().bad_signatures >= 6);
    fs::write(bench.path("secret"), OTHER).unwrap();
    let config = bench.path("switchhook.toml");
    let reload = run(&["reload", "--config", config.to_str().unwrap()]);
    assert_eq!(reload.status.code(), Some(0), "{reload:?}");
    wait_until("the events", || receiver.account().distinct == 3);
    wait_until("the end", || bench.is_drained());
    assert_eq!(agent.stop(), 0);
}

#[test]
fn d24_a_connection_a_firewall_forgot_costs_one_attempt_and_is_replaced() {
    let mut stand = Stand::new(&["cut"], SHORT);
    let transport = HttpTransport::new(&stand.endpoint, Arc::clone(&stand.clock)).unwrap();
    assert_eq!(status(send(&transport, &stand.endpoint, 1)).status, 200);
    stand.receiver.set_faults(Vec::new());
    let words = "answer: timed out: no byte of an answer within 0.4 s (timeout)";
    trouble(
        send(&transport, &stand.endpoint, 2),
        TroubleClass::Timeout(Phase::Answer),
        words,
    );
    stand.endpoint.timeout = LONG;
    for number in [2, 3] {
        assert_eq!(
            status(send(&transport, &stand.endpoint, number)).status,
            200
        );
    }
    let account = stand.receiver.account();
    assert_eq!((account.requests, account.distinct), (3, 3));
}

#[test]
fn d24_one_idle_for_longer_than_its_limit_is_replaced_before_anything_is_sent() {
    let mut stand = Stand::new(&["cut"], LONG);
    stand.endpoint.idle_timeout = Duration::ZERO;
    let transport = HttpTransport::new(&stand.endpoint, Arc::clone(&stand.clock)).unwrap();
    for number in 1..=5 {
        assert_eq!(
            status(send(&transport, &stand.endpoint, number)).status,
            200
        );
    }
    let account = stand.receiver.account();
    assert_eq!((account.requests, account.duplicates), (5, 0));
}

/// What a proxy of these tests does with what it is asked.
#[derive(Clone, Copy)]
enum ProxyManner {
    /// Connects, and passes on both ways.
    Good,
    /// Answers this, whatever it is asked.
    Says(&'static str),
    /// Never answers.
    Hangs,
}

/// A proxy on the loopback; returns its port, and what it was asked, heads only.
fn proxy(manner: ProxyManner) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            thread::spawn(move || attend(stream.unwrap(), manner, &tell));
        }
    });
    (port, told)
}

fn attend(mut stream: TcpStream, manner: ProxyManner, tell: &mpsc::Sender<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.extend_from_slice(&byte),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap().to_string());
    let is_tunnel = method == "CONNECT";
    tell.send(head.clone()).unwrap();
    match manner {
        ProxyManner::Hangs => while stream.read(&mut byte).is_ok_and(|amount| amount > 0) {},
        ProxyManner::Says(answer) => stream.write_all(answer.as_bytes()).unwrap(),
        ProxyManner::Good => {
            let target = target.trim_start_matches("http://");
            let authority = target.split('/').next().unwrap();
            let mut far = TcpStream::connect(authority).unwrap();
            if is_tunnel {
                stream
                    .write_all(b"HTTP/1.1 200 Connected\r\nVia: test\r\n\r\n")
                    .unwrap();
            } else {
                let path = target.trim_start_matches(authority);
                let head = head.replacen(&format!("http://{target}"), path, 1);
                far.write_all(head.as_bytes()).unwrap();
            }
            let (mut near_in, mut far_out) =
                (stream.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                let _until_one_leaves = io::copy(&mut near_in, &mut far_out);
            });
            let _until_one_leaves = io::copy(&mut far, &mut stream);
        }
    }
}

/// One attempt through a proxy of this manner.
fn through_proxy(stand: &mut Stand, login: &str, manner: ProxyManner) -> (Trial, Vec<String>) {
    let (port, told) = proxy(manner);
    let text = format!("http://{login}127.0.0.1:{port}");
    stand.endpoint.link.proxy = Some(Proxy::parse(&text).unwrap());
    let trial = stand.attempt(1);
    (trial, told.try_iter().collect())
}

const WANTS_LOGIN: &str =
    "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";

#[test]
fn d25_a_proxy_connects_in_our_place_and_sees_nothing_of_what_is_inside_tls() {
    let mut stand = Stand::tls(&[], LONG);
    let authority = stand.endpoint.url.authority();
    let (trial, asked) = through_proxy(&mut stand, "agent:hush@", ProxyManner::Good);
    assert_eq!(trial.outcome, Outcome::Delivered, "{:?}", trial.answer);
    let expected = format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Basic YWdlbnQ6aHVzaA==\r\n\r\n"
    );
    assert_eq!(asked, [expected]);
    assert!(trial.phases.tunnelled.is_some() && trial.phases.agreed.is_some());
    let account = stand.receiver.account();
    assert_eq!((account.requests, account.distinct), (1, 1));
}

#[test]
fn d25_a_plain_request_goes_to_the_proxy_in_absolute_form() {
    let mut stand = Stand::new(&[], LONG);
    let url = stand.endpoint.url.to_string();
    let (trial, asked) = through_proxy(&mut stand, "agent:hush@", ProxyManner::Good);
    assert_eq!(trial.outcome, Outcome::Delivered, "{:?}", trial.answer);
    let [head] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert!(
        head.starts_with(&format!("POST {url} HTTP/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains("\r\nProxy-Authorization: Basic YWdlbnQ6aHVzaA==\r\n"),
        "{head}"
    );
    assert_eq!(stand.receiver.account().distinct, 1);
}

#[test]
fn d25_a_proxy_that_does_not_let_us_through_is_told_from_the_receiver() {
    type MakeStand = fn() -> Stand;
    let tls: MakeStand = || Stand::tls(&[], SHORT);
    let plain: MakeStand = || Stand::new(&[], SHORT);
    let says = ProxyManner::Says;
    for (make, login, manner, class, words) in [
        (
            tls,
            "",
            says(WANTS_LOGIN),
            TroubleClass::Proxy,
            "wants a user and password; write proxy = ",
        ),
        (
            plain,
            "",
            says(WANTS_LOGIN),
            TroubleClass::Proxy,
            "wants a user and password; write proxy = ",
        ),
        (
            tls,
            "agent:hush@",
            says(WANTS_LOGIN),
            TroubleClass::Proxy,
            "does not accept the user and password",
        ),
        (
            plain,
            "agent:hush@",
            says(WANTS_LOGIN),
            TroubleClass::Proxy,
            "does not accept the user and password",
        ),
        (
            tls,
            "",
            says("HTTP/1.1 403 No\r\n\r\n"),
            TroubleClass::Proxy,
            "refuses CONNECT localhost:",
        ),
        (
            tls,
            "",
            says("SSH-2.0\r\n\r\n"),
            TroubleClass::Proxy,
            "does not answer as an HTTP proxy does",
        ),
        (
            tls,
            "",
            says("HTTP/1.1 200"),
            TroubleClass::Proxy,
            "broke off at CONNECT",
        ),
        (
            tls,
            "agent:hush@",
            ProxyManner::Hangs,
            TroubleClass::Timeout(Phase::Proxy),
            "did not answer CONNECT",
        ),
        (
            plain,
            "",
            ProxyManner::Hangs,
            TroubleClass::Timeout(Phase::Answer),
            "no byte of an answer within 0.4 s",
        ),
    ] {
        let mut stand = make();
        let (trial, asked) = through_proxy(&mut stand, login, manner);
        assert!(
            matches!(trial.outcome, Outcome::Unavailable { .. }),
            "{words}: {:?}",
            trial.outcome
        );
        let text = format!("{:?}", trial.answer);
        assert!(!text.contains("hush") && !text.contains("aHVzaA"), "{text}");
        trouble(trial.answer, class, words);
        assert_eq!(asked.len(), 1, "{words}: nothing is sent twice");
        // It never came to the receiver, and nothing of it was spent there.
        assert_eq!(stand.receiver.account(), Account::default(), "{words}");
    }
    // Nobody there at all.
    let mut stand = Stand::tls(&[], LONG);
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    stand.endpoint.link.proxy = Some(Proxy::parse(&format!("http://{gone}")).unwrap());
    trouble(
        stand.attempt(1).answer,
        TroubleClass::Proxy,
        "proxy: 127.0.0.1:",
    );
}

/// Every fault of a receiver at once, each at an endpoint of one agent: what is counted here is
/// what was seen there, and nothing is lost.
#[test]
fn d26_the_receivers_see_as_many_attempts_as_the_agent_counts() {
    const ROWS: u64 = 4;
    let plain = [
        "hang",
        "lost",
        "reset",
        "status=500",
        "status=503,retry_after=120s",
        "status=401",
        "redirect=307",
        "slow-headers=10ms",
        "slow-body=10ms",
        "endless-body",
        "big-body",
        "gzip-bomb",
        "header-flood",
        "huge-header",
        "bad-status-line",
        "interim-flood",
        "switching",
        "torn-chunk",
        "short-body",
        "status-line-only",
    ];
    let tls = [
        "tls=expired",
        "tls=unknown-ca",
        "tls=1.1",
        "tls=stall",
        "lost",
    ];
    let stands: Vec<Stand> = plain
        .iter()
        .map(|fault| Stand::new(&[fault], LONG))
        .chain(tls.iter().map(|fault| Stand::tls(&[fault], LONG)))
        .collect();
    let roots: String = stands
        .iter()
        .filter_map(|stand| stand.receiver.certificate_pem())
        .collect();
    let name = |at: usize| format!("e{at}");
    let tables: Vec<String> = stands
        .iter()
        .enumerate()
        .map(|(at, stand)| {
            let roots = match stand.endpoint.url.is_tls() {
                true => "ca_file = \"roots.pem\"\nconcurrency = 2",
                false => "concurrency = 2",
            };
            let table = quick(&name(at), stand.endpoint.url.as_str(), roots);
            // Whose time is never over is given enough: one that hangs up on a busy receiver has
            // made an attempt that nobody saw.
            let fault = plain.iter().chain(&tls).nth(at).unwrap();
            match ["hang", "slow-headers=10ms", "slow-body=10ms", "tls=stall"].contains(fault) {
                true => table,
                false => table.replace("timeout = \"500ms\"", "timeout = \"20s\""),
            }
        })
        .collect();
    let bench = bench(&tables);
    fs::write(bench.path("roots.pem"), roots).unwrap();
    write_rows(&bench, "cdr_1.csv", 0..ROWS);
    let agent = bench.agent();
    for stand in &stands {
        wait_until("the fault to strike twice", || {
            let account = stand.receiver.account();
            let faults = account.faults;
            faults.refused() + faults.lost + faults.spoilt + faults.connections + faults.delay >= 2
        });
        stand.receiver.set_faults(Vec::new());
    }
    wait_until("everything to be delivered", || bench.is_drained());
    // All the floods at once: what is read of an answer is bounded, at every connection.
    let peak = peak_kib(agent.pid());
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
    for (at, stand) in stands.iter().enumerate() {
        let account = stand.receiver.account();
        let fault = plain.iter().chain(&tls).nth(at);
        let seen = account.requests + account.faults.connections;
        let told = told(&bench, &name(at));
        assert_eq!(told["attempts"], seen, "{fault:?}: {told} {account:?}");
        assert_eq!(account.distinct, ROWS, "{fault:?}: {account:?}");
        assert_eq!(
            (account.bad_signatures, account.malformed),
            (0, 0),
            "{fault:?}"
        );
        assert_eq!(account.misaddressed, 0, "{fault:?}");
    }
    assert_eq!(agent.stop(), 0);
    for at in 0..stands.len() {
        let ledger = bench.ledger();
        let counts = ledger.endpoint(&name(at)).unwrap();
        assert_eq!(counts.delivered, ROWS, "{at}: {counts:?}");
    }
}

/// Most memory the agent may have had at 26 misbehaving receivers, the store included: twice what it
/// took when this was written (26 MiB, unoptimised). One answer held whole would have 10 or 32.
const PEAK_KIB_MAX: u64 = 52 << 10;

/// The most memory a process has had, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// What the receiver holds of its own faults, as a process.
#[test]
fn a_receiver_that_floods_holds_no_more_than_a_chunk_of_each_flood() {
    use std::process::Stdio;
    const CONNECTIONS: usize = 100;
    let bench = Bench::new();
    for fault in ["endless-body", "interim-flood", "big-body", "gzip-bomb"] {
        let mut child = switchhook()
            .args([
                "receive",
                "--listen",
                "127.0.0.1:0",
                "--quiet",
                "--fault",
                fault,
            ])
            .arg("--secret-file")
            .arg(bench.path("secret"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_string();
        let mut endpoint = Endpoint::new("a", Url::parse(&url).unwrap(), Shape::Standard);
        endpoint.secret = Some(Secret::parse(SECRET).unwrap());
        let signer = Signer::new(endpoint.signature.clone(), &endpoint.secret);
        let queued = event(1);
        let mut body = Vec::new();
        endpoint.profile.render(&queued, &mut body);
        let wall = SystemClock::new().wall();
        let request = SignedRequest::new(&endpoint, &signer, &queued, 1, wall, &body);
        let mut bytes = format!(
            "POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in &request.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        let streams: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| {
                let mut stream = TcpStream::connect(endpoint.url.authority()).unwrap();
                stream.write_all(bytes.as_bytes()).unwrap();
                stream.write_all(&body).unwrap();
                stream
            })
            .collect();
        // All of them are answered as far as the sockets hold, and nobody reads.
        for stream in &streams {
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            assert!(stream.peek(&mut [0; 1]).unwrap() > 0);
        }
        let peak = peak_kib(child.id());
        assert!(
            peak < 32 << 10,
            "{fault}: {peak} KiB for {CONNECTIONS} connections"
        );
        drop(streams);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
