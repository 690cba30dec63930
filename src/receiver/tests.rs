//! The receiver on real sockets, against a client that is only bytes.

use super::*;
use crate::clock::{ManualClock, UnixMs};
use hmac::{Hmac, KeyInit, Mac};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::Sha256;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SECRET: &str = "your-secret-key-here";

/// Beyond this a test is stuck, whatever the machine.
const STUCK: Duration = Duration::from_secs(30);

fn settings() -> Settings {
    Settings::new(Verifier::new(Profile::Vos3000, &[SECRET]).unwrap())
}

fn receiver(faults: &[&str]) -> Receiver {
    let mut settings = settings();
    settings.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Receiver::start(settings).unwrap()
}

fn callback(id: u32) -> String {
    format!(r#"{{"event":"cdr","timestamp":"t","data":{{}},"id":"evt_{id:032x}","sequence":{id}}}"#)
}

fn signature(body: &str) -> String {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let tag = mac.finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nhost: receiver\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn signed(body: &str) -> String {
    let headers = format!("X-VOS3000-Signature: {}\r\n", signature(body));
    request("POST /webhook", &headers, body)
}

/// A connection that stays open.
struct Client<S: Read + Write>(BufReader<S>);

struct Answered {
    status: u16,
    head: String,
    body: String,
}

fn connect(receiver: &Receiver) -> Client<TcpStream> {
    let stream = TcpStream::connect(receiver.addr()).unwrap();
    stream.set_read_timeout(Some(STUCK)).unwrap();
    Client(BufReader::new(stream))
}

impl<S: Read + Write> Client<S> {
    fn send(&mut self, request: &str) -> io::Result<Answered> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_lowercase();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        self.0.read_exact(&mut body)?;
        Ok(Answered {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
        })
    }
}

/// The account's own equations; see [`Account`].
#[track_caller]
fn check_balance(account: &Account) {
    let refused = account.bad_signatures + account.malformed + account.misaddressed;
    let refused = refused + account.not_kept + account.faults.refused();
    let ended = account.accepted - account.batched + refused;
    assert_eq!(account.requests, ended, "{account:?}");
    assert_eq!(
        account.accepted,
        account.distinct + account.duplicates,
        "{account:?}"
    );
}

#[track_caller]
fn check_refused(request: &str, status: u16, reason: &str) {
    let receiver = receiver(&[]);
    let answered = connect(&receiver).send(request).unwrap();
    assert_eq!(answered.status, status, "{}", answered.body);
    assert!(answered.body.contains(reason), "{}", answered.body);
    let account = receiver.account();
    assert_eq!((account.requests, account.accepted), (1, 0));
    check_balance(&account);
}

#[test]
fn a_signed_callback_is_accepted_and_its_repeat_is_a_duplicate() {
    let receiver = receiver(&[]);
    let mut client = connect(&receiver);
    for id in [1, 2, 1] {
        let answered = client.send(&signed(&callback(id))).unwrap();
        assert_eq!(
            (answered.status, answered.body.as_str()),
            (200, r#"{"status":"received"}"#)
        );
    }
    let account = receiver.account();
    assert_eq!(
        (account.accepted, account.distinct, account.duplicates),
        (3, 2, 1)
    );
    check_balance(&account);
}

#[test]
fn the_standard_profile_is_taken_at_the_time_it_was_signed() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut settings = Settings::new(Verifier::new(Profile::Standard, &[secret]).unwrap());
    let clock = Arc::new(ManualClock::at(UnixMs(1_614_265_330_000)));
    settings.clock = clock.clone();
    let receiver = Receiver::start(settings).unwrap();
    let headers = "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
        webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n";
    let vector = request("POST /webhook", headers, r#"{"test": 2432232314}"#);
    let mut client = connect(&receiver);
    // Verified, so it is looked into; the specification's vector is no event of ours.
    assert_eq!(client.send(&vector).unwrap().status, 400);
    clock.advance(Duration::from_secs(301));
    assert_eq!(client.send(&vector).unwrap().status, 401);
}

#[test]
fn a_batch_is_taken_whole_and_each_of_its_callbacks_is_entered() {
    let receiver = receiver(&[]);
    let arrivals = receiver.arrivals();
    let mut client = connect(&receiver);
    let batch = format!("[{},{}]", callback(1), callback(2));
    let half_known = format!("[{},{}]", callback(2), callback(3));
    for body in [&batch, &batch, &half_known] {
        assert_eq!(client.send(&signed(body)).unwrap().status, 200);
    }
    let account = receiver.account();
    assert_eq!((account.requests, account.accepted), (3, 6));
    assert_eq!((account.distinct, account.duplicates), (3, 3));
    check_balance(&account);
    let entered: Vec<_> = arrivals.try_iter().map(|arrival| arrival.entered).collect();
    let expected = [Entered::New, Entered::Duplicate, Entered::New];
    assert_eq!(entered, expected);
}

/// A receiver whose answer is that of another one, which takes its time.
fn before_a_slow_target() -> (Receiver, Receiver) {
    let target = receiver(&["delay=400ms"]);
    let mut settings = settings();
    settings.forwards = vec![target.url().parse().unwrap()];
    settings.answers_as_forwarded = true;
    (Receiver::start(settings).unwrap(), target)
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < STUCK);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_repeat_of_what_is_being_kept_is_neither_new_nor_known_yet() {
    let (receiver, target) = before_a_slow_target();
    let request = signed(&callback(1));
    let mut first = connect(&receiver);
    first.0.get_mut().write_all(request.as_bytes()).unwrap();
    wait_until(|| target.account().faults.delay == 1);
    let answered = connect(&receiver).send(&request).unwrap();
    assert_eq!(answered.status, 503);
    assert!(answered.body.contains("being kept"), "{}", answered.body);
    wait_until(|| receiver.account().accepted == 1);
    assert_eq!(connect(&receiver).send(&request).unwrap().status, 200);
    let account = receiver.account();
    assert_eq!((account.distinct, account.duplicates), (1, 1));
    assert_eq!(account.not_kept, 1);
    check_balance(&account);
    assert_eq!(target.account().requests, 1, "no repeat is handed on");
}

#[test]
fn a_sender_that_breaks_off_leaves_its_id_to_the_next_try() {
    let (receiver, target) = before_a_slow_target();
    let request = signed(&callback(1));
    let mut first = connect(&receiver);
    first.0.get_mut().write_all(request.as_bytes()).unwrap();
    wait_until(|| target.account().faults.delay == 1);
    drop(first);
    wait_until(|| connect(&receiver).send(&request).unwrap().status == 200);
    let account = receiver.account();
    assert_eq!(account.distinct, 1);
    check_balance(&account);
}

#[test]
fn what_is_no_callback_is_refused_with_its_reason() {
    let body = callback(1);
    let forged = signed(&body).replace("cdr", "cdx");
    check_refused(&forged, 401, "no signature matches");
    check_refused(
        &request("POST /webhook", "", &body),
        401,
        "x-vos3000-signature is missing",
    );
    check_refused(&signed("{}"), 400, "profile's shape");
    check_refused(&signed(&body).replace("/webhook", "/hook"), 404, "/webhook");
    check_refused(&request("DELETE /webhook", "", ""), 405, "POST, PUT or GET");
    let long = signed(&" ".repeat(BODY_BYTES_MAX + 1));
    check_refused(&long, 413, "longer than 1048576 bytes");
}

#[test]
fn a_path_may_carry_a_query() {
    let receiver = receiver(&[]);
    let request = signed(&callback(1)).replace("/webhook", "/webhook?token=x");
    assert_eq!(connect(&receiver).send(&request).unwrap().status, 200);
}

#[test]
fn a_status_fault_is_answered_and_not_accepted() {
    let receiver = receiver(&["status=429,retry_after=5s"]);
    let answered = connect(&receiver).send(&signed(&callback(1))).unwrap();
    assert_eq!(answered.status, 429);
    assert!(
        answered.head.contains("retry-after: 5\r\n"),
        "{}",
        answered.head
    );
    let account = receiver.account();
    assert_eq!((account.accepted, account.faults.status), (0, 1));
    check_balance(&account);
}

#[test]
fn faults_can_be_changed_while_it_runs() {
    let receiver = receiver(&["status=500"]);
    let mut client = connect(&receiver);
    assert_eq!(client.send(&signed(&callback(1))).unwrap().status, 500);
    receiver.set_faults(Vec::new());
    assert_eq!(client.send(&signed(&callback(1))).unwrap().status, 200);
}

#[test]
fn a_reset_is_a_reset_and_not_accepted() {
    let receiver = receiver(&["reset"]);
    let error = connect(&receiver)
        .send(&signed(&callback(1)))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let account = receiver.account();
    assert_eq!((account.accepted, account.faults.reset), (0, 1));
    check_balance(&account);
}

#[test]
fn a_lost_answer_is_accepted_though_the_sender_sees_a_reset() {
    let receiver = receiver(&["lost"]);
    let error = connect(&receiver)
        .send(&signed(&callback(1)))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let account = receiver.account();
    assert_eq!((account.accepted, account.faults.lost), (1, 1));
    check_balance(&account);
}

#[test]
fn a_delay_comes_before_the_answer() {
    let receiver = receiver(&["delay=80ms"]);
    let asked = Instant::now();
    let answered = connect(&receiver).send(&signed(&callback(1))).unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(80));
    assert_eq!(answered.status, 200);
    let account = receiver.account();
    assert_eq!((account.accepted, account.faults.delay), (1, 1));
}

#[test]
fn a_hang_lasts_until_the_receiver_stops() {
    let mut receiver = receiver(&["hang"]);
    let arrivals = receiver.arrivals();
    let mut client = connect(&receiver);
    client
        .0
        .get_mut()
        .write_all(signed(&callback(1)).as_bytes())
        .unwrap();
    let arrival = arrivals.recv_timeout(STUCK).unwrap();
    assert_eq!(
        (arrival.answer, arrival.entered),
        (Answer::Nothing, Entered::No)
    );
    client.0.get_ref().set_nonblocking(true).unwrap();
    let silence = client.0.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    receiver.stop();
    client.0.get_ref().set_nonblocking(false).unwrap();
    let ended = client.0.read(&mut [0; 1]);
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    check_balance(&receiver.account());
}

#[test]
fn after_a_stop_it_listens_again_on_its_port_and_knows_what_it_saw() {
    let mut receiver = receiver(&[]);
    let mut client = connect(&receiver);
    client.send(&signed(&callback(1))).unwrap();
    let addr = receiver.addr();
    receiver.stop();
    receiver.stop();
    assert!(TcpStream::connect(addr).is_err());
    receiver.listen().unwrap();
    assert_eq!(receiver.addr(), addr);
    assert!(
        client.send(&signed(&callback(1))).is_err(),
        "the stop cut it"
    );
    assert_eq!(
        connect(&receiver)
            .send(&signed(&callback(1)))
            .unwrap()
            .status,
        200
    );
    let account = receiver.account();
    assert_eq!((account.distinct, account.duplicates), (1, 1));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let first = receiver(&[]);
    let mut settings = settings();
    settings.listen = first.addr();
    let error = Receiver::start(settings).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {}", first.addr())),
        "{error}"
    );
}

#[test]
fn arrivals_tell_what_became_of_each_request() {
    let receiver = receiver(&[]);
    let arrivals = receiver.arrivals();
    let mut client = connect(&receiver);
    let body = callback(7);
    client.send(&signed(&body)).unwrap();
    client.send(&signed(&body)).unwrap();
    client.send(&request("POST /webhook", "", &body)).unwrap();

    let first = arrivals.recv_timeout(STUCK).unwrap();
    assert_eq!(
        (first.entered, first.answer),
        (Entered::New, Answer::Status(200))
    );
    let told = first.callback.unwrap();
    assert_eq!((&*told.kind, told.sequence), ("cdr", Some(7)));
    assert_eq!(&first.body[..], body.as_bytes());
    assert_eq!(
        first.headers["x-vos3000-signature"],
        signature(&body).as_str()
    );
    assert_eq!(
        arrivals.recv_timeout(STUCK).unwrap().entered,
        Entered::Duplicate
    );
    let third = arrivals.recv_timeout(STUCK).unwrap();
    assert_eq!(
        third.signature,
        Err(Reject::Header("x-vos3000-signature".to_string()))
    );
    assert_eq!(third.callback, None);
    drop(receiver);
    assert!(
        arrivals.recv().is_err(),
        "the channel ends with the receiver"
    );
}

#[test]
fn arrivals_nobody_takes_are_skipped_and_counted() {
    let receiver = receiver(&[]);
    let arrivals = receiver.arrivals();
    let mut client = connect(&receiver);
    let request = signed(&callback(1));
    let beyond = 3;
    for _ in 0..ARRIVALS_WAITING_MAX + beyond {
        client.send(&request).unwrap();
    }
    assert_eq!(receiver.account().arrivals_skipped, beyond as u64);
    assert_eq!(arrivals.try_iter().count(), ARRIVALS_WAITING_MAX);
}

#[test]
fn threads_share_the_port_and_the_account() {
    let mut settings = settings();
    settings.threads = 3;
    let mut receiver = Receiver::start(settings).unwrap();
    for round in 0..2 {
        for id in 0..50 {
            assert_eq!(
                connect(&receiver)
                    .send(&signed(&callback(id)))
                    .unwrap()
                    .status,
                200
            );
        }
        let account = receiver.account();
        assert_eq!((account.distinct, account.duplicates), (50, round * 50));
        receiver.stop();
        receiver.listen().unwrap();
    }
}

fn secure(receiver: &Receiver, name: &str) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let pem = receiver.certificate_pem().unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let config =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from(name.to_string()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(receiver.addr()).unwrap();
    stream.set_read_timeout(Some(STUCK)).unwrap();
    Client(BufReader::new(StreamOwned::new(connection, stream)))
}

#[test]
fn https_is_answered_with_the_certificate_it_made_and_faults_work_there_too() {
    let mut settings = settings();
    let names = vec!["localhost".to_string()];
    settings.certificate = Some(Certificate::SelfSigned { names });
    let mut receiver = Receiver::start(settings).unwrap();
    assert_eq!(
        receiver.url(),
        format!("https://{}/webhook", receiver.addr())
    );
    for name in ["localhost", "127.0.0.1"] {
        assert_eq!(
            secure(&receiver, name)
                .send(&signed(&callback(1)))
                .unwrap()
                .status,
            200
        );
    }
    let elsewhere = secure(&receiver, "elsewhere.example").send(&signed(&callback(1)));
    assert_eq!(elsewhere.err().unwrap().kind(), ErrorKind::InvalidData);

    let before = receiver.certificate_pem().unwrap().to_string();
    receiver.stop();
    receiver.listen().unwrap();
    assert_eq!(receiver.certificate_pem().unwrap(), before);
    receiver.set_faults(vec!["reset".parse().unwrap()]);
    let reset = secure(&receiver, "localhost").send(&signed(&callback(2)));
    assert_eq!(reset.err().unwrap().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_certificate_is_read_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let write = |name: &str, label: &str, der: &[u8]| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let path = directory.path().join(name);
        let encoded = STANDARD.encode(der);
        let pem = format!("-----BEGIN {label}-----\n{encoded}\n-----END {label}-----\n");
        std::fs::write(&path, pem).unwrap();
        path
    };
    let mut settings = settings();
    settings.certificate = Some(Certificate::Files {
        certificate: write("receiver.pem", "CERTIFICATE", made.cert.der()),
        key: write(
            "receiver.key",
            "PRIVATE KEY",
            &made.signing_key.serialize_der(),
        ),
    });
    let receiver = Receiver::start(settings).unwrap();
    assert_eq!(
        secure(&receiver, "localhost")
            .send(&signed(&callback(1)))
            .unwrap()
            .status,
        200
    );
}

#[test]
fn plain_http_has_no_certificate() {
    let receiver = receiver(&[]);
    assert_eq!(receiver.certificate_pem(), None);
    assert_eq!(
        receiver.url(),
        format!("http://{}/webhook", receiver.addr())
    );
}
