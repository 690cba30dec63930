//! What an endpoint is shown beside a signature, how its connections are made, and that none of
//! the secrets in it is ever shown to anybody else.

use crate::faults::{Stand, event, send, status, trouble};
use crate::support::{Agent, Bench, SECRET, row, run, switchhook, text, wait_until};
use base64::Engine;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use switchhook::clock::SystemClock;
use switchhook::delivery::endpoint::Endpoint;
use switchhook::delivery::link::{Identity, Pin, TlsMin};
use switchhook::delivery::outcome::Outcome;
use switchhook::delivery::profile::Profile as Shape;
use switchhook::delivery::transport::{HttpTransport, TroubleClass};
use switchhook::delivery::trial::try_out;
use switchhook::delivery::url::Url;

const LONG: Duration = Duration::from_secs(20);

/// A server that keeps the head of each request, and where it came from, and answers 200.
struct Recorder {
    port: u16,
    heads: Arc<Mutex<Vec<(IpAddr, String)>>>,
}

impl Recorder {
    fn new() -> Recorder {
        Recorder::build("127.0.0.1:0", None)
    }

    fn build(listen: &str, tls: Option<Arc<ServerConfig>>) -> Recorder {
        let listener = TcpListener::bind(listen).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept, tls) = (stream.unwrap(), Arc::clone(&kept), tls.clone());
                let from = stream.peer_addr().unwrap().ip();
                thread::spawn(move || match tls {
                    None => record(stream, from, &kept),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        record(StreamOwned::new(connection, stream), from, &kept);
                    }
                });
            }
        });
        Recorder { port, heads }
    }

    fn heads(&self) -> Vec<(IpAddr, String)> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads requests byte by byte until the client leaves.
fn record(mut stream: impl Read + Write, from: IpAddr, kept: &Mutex<Vec<(IpAddr, String)>>) {
    let mut byte = [0];
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.extend_from_slice(&byte),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        kept.lock().unwrap().push((from, head));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// Writes a file that only its owner may read.
fn private(bench: &Bench, name: &str, text: &str) {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(bench.path(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// The secrets of [`configure`], and what becomes of some of them on the way.
const SECRETS: [&str; 12] = [
    SECRET,
    "hush-1",
    "hush-2",
    "hush-3",
    "hush-4",
    "hush-5",
    "hush-6",
    "hush-7",
    "hush-8",
    "aHVzaC",
    "aDpodXNo",
    "PRIVATE KEY",
];

/// A configuration with a secret in every place that can hold one; endpoints `url`, `file`,
/// `bearer`, `literal`, all at `port`.
fn configure(bench: &Bench, port: u16) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["agent.example".to_string()]).unwrap();
    private(
        bench,
        "agent.key",
        &pem("PRIVATE KEY", &key.serialize_der()),
    );
    fs::write(
        bench.path("agent.pem"),
        pem("CERTIFICATE", params.self_signed(&key).unwrap().der()),
    )
    .unwrap();
    private(bench, "basic", "user:hush-2:with/colon\n");
    private(bench, "bearer", "hush-3\n");
    private(bench, "token", "hush-4/+&\n");
    private(bench, "header", "hush-5\n");
    let endpoint = |name: &str, url: &str, more: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\n{more}\n"
        )
    };
    let base = format!("127.0.0.1:{port}/hook");
    let config = [
        format!(
            "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\nlevel = \"trace\"\n\
             [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\n",
            bench.dir.path().display()
        ),
        endpoint("url", &format!("http://us%65r:hush-1%21@{base}"), ""),
        endpoint(
            "file",
            &format!("http://{base}?kind=x"),
            "basic_auth_file = \"basic\"\ntoken_file = \"token\"\ntoken_param = \"key\"",
        ),
        endpoint(
            "bearer",
            &format!("http://{base}"),
            "bearer_file = \"bearer\"\nheaders = { X-API-Key = { file = \"header\" }, X-Plain = \"hush-6\" }",
        ),
        endpoint(
            "literal",
            &format!("http://{base}"),
            "basic_auth = \"h:hush-7\"",
        ),
        // Never reached: nobody listens at the proxy, and it says so with neither login nor key.
        endpoint(
            "proxied",
            "https://api.example.com/",
            "proxy = \"http://h:hush-8@127.0.0.1:9\"\nclient_cert_file = \"agent.pem\"\nclient_key_file = \"agent.key\"\ntoken_file = \"token\"",
        ),
    ];
    fs::write(bench.path("switchhook.toml"), config.concat()).unwrap();
}

/// What a command says, both ways, whatever becomes of it.
fn said(bench: &Bench, arguments: &[&str]) -> String {
    let output = switchhook()
        .args(arguments)
        .arg("--config")
        .arg(bench.path("switchhook.toml"))
        .output()
        .unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn has_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in {what}: {text}");
    }
}

#[test]
fn every_way_to_authenticate_reaches_the_receiver_and_nobody_else() {
    let recorder = Recorder::new();
    let bench = Bench::new();
    configure(&bench, recorder.port);
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();

    let check = said(&bench, &["check"]);
    has_no_secret("check", &check);
    for expected in [
        "basic_auth = \"(hidden)\"",
        "basic_auth_file = \"(hidden)\"",
        "bearer_file = \"(hidden)\"",
        "token = \"(hidden)\"",
        "token_param = \"key\"",
        "X-API-Key = \"(hidden)\"",
        "X-Plain = \"(hidden)\"",
        "proxy = \"http://(hidden)@127.0.0.1:9\"",
        "client_key_file = \"",
        "tls_min = \"1.2\"",
        "answer_timeout = \"15s\"",
        "the configuration is good",
    ] {
        assert!(check.contains(expected), "{expected} is not in {check}");
    }

    let agent = bench.agent();
    let proxied = || {
        let status: serde_json::Value =
            serde_json::from_str(&said(&bench, &["status", "--json"])).unwrap_or_default();
        let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
        let found = endpoints.iter().find(|it| it["name"] == "proxied");
        found.map_or(serde_json::Value::Null, |it| {
            it["last_error"]["class"].clone()
        })
    };
    wait_until("four requests", || recorder.heads().len() >= 4);
    wait_until("the proxy's failure", || proxied() == "proxy");
    let heads: Vec<String> = recorder.heads().into_iter().map(|(_, head)| head).collect();
    for expected in [
        // user:hush-1!
        &[
            "POST /hook HTTP/1.1\r\n",
            "\r\nAuthorization: Basic dXNlcjpodXNoLTEh\r\n",
        ][..],
        // user:hush-2:with/colon
        &[
            "POST /hook?kind=x&key=hush-4%2F%2B%26 HTTP/1.1\r\n",
            "\r\nAuthorization: Basic dXNlcjpodXNoLTI6d2l0aC9jb2xvbg==\r\n",
        ],
        &[
            "\r\nAuthorization: Bearer hush-3\r\n",
            "\r\nX-API-Key: hush-5\r\n",
            "\r\nX-Plain: hush-6\r\n",
        ],
        // h:hush-7
        &["\r\nAuthorization: Basic aDpodXNoLTc=\r\n"],
    ] {
        let is_there = |head: &String| expected.iter().all(|part| head.contains(part));
        assert_eq!(
            heads.iter().filter(|head| is_there(head)).count(),
            1,
            "{expected:?} {heads:?}"
        );
    }
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--prometheus"],
        &["sources"],
        &["endpoints", "list"],
        &["test", "url", "--curl"],
        &["test", "file", "--curl"],
        &["test", "bearer", "--curl"],
        &["test", "literal", "--curl"],
        &["test", "proxied", "--curl"],
        &["check", "--deep"],
        &["reload"],
    ] {
        let told = said(&bench, arguments);
        assert!(!told.is_empty(), "{arguments:?}");
        has_no_secret(&format!("{arguments:?}"), &told);
    }
    let bundle = bench.path("bundle.txt");
    said(
        &bench,
        &["support-bundle", "--output", bundle.to_str().unwrap()],
    );
    has_no_secret("the bundle", &fs::read_to_string(&bundle).unwrap());
    for file in ["cmdline", "environ"] {
        let shown = fs::read(format!("/proc/{}/{file}", agent.pid())).unwrap();
        has_no_secret(file, &text(&shown));
    }
    has_no_secret("the log", &agent.log());
    assert_eq!(Agent::stop(agent), 0);
}

#[test]
fn the_same_request_by_hand_says_how_the_connection_is_made() {
    let recorder = Recorder::new();
    let bench = Bench::new();
    configure(&bench, recorder.port);
    let told = said(&bench, &["test", "proxied", "--curl"]);
    for expected in [
        "proxy    http://127.0.0.1:9  resolves and connects in our place",
        "[proxy] proxy: 127.0.0.1:9: ",
        "--proxy 'http://127.0.0.1:9' \\\n  --proxy-user \"$PROXY_USER\"",
        "--cert \"$CLIENT_CERT_FILE\" --key \"$CLIENT_KEY_FILE\"",
        "?\"$QUERY\"",
    ] {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
}

/// Checks that these keys of an endpoint are refused with these words, and nothing secret.
#[track_caller]
fn check_refused(bench: &Bench, url: &str, keys: &str, words: &str) {
    bench.configure(&format!("url = \"{url}\"\n{keys}"));
    let output = run(&[
        "check",
        "--config",
        bench.path("switchhook.toml").to_str().unwrap(),
    ]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{keys}: {told}");
    assert!(told.contains(words), "{keys}: {words:?} is not in {told}");
    assert!(!told.contains("hush"), "{keys}: {told}");
    assert!(told.contains("switchhook.toml:"), "{told}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_write_and_without_the_secret() {
    let bench = Bench::new();
    private(&bench, "good", "u:hush\n");
    private(&bench, "lines", "hush\r\nX-Evil: 1\n");
    private(&bench, "empty", "\n");
    fs::write(bench.path("open"), "u:hush\n").unwrap();
    fs::set_permissions(bench.path("open"), fs::Permissions::from_mode(0o644)).unwrap();
    let pair = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.example".to_string()]).unwrap();
        private(
            &bench,
            &format!("{name}.key"),
            &pem("PRIVATE KEY", &key.serialize_der()),
        );
        fs::write(
            bench.path(&format!("{name}.pem")),
            pem("CERTIFICATE", params.self_signed(&key).unwrap().der()),
        )
        .unwrap();
    };
    pair("one");
    pair("other");
    let url = "https://api.example.com/";
    for key in ["basic_auth_file", "bearer_file", "token_file"] {
        check_refused(
            &bench,
            url,
            &format!("{key} = \"open\""),
            "run chmod 0640 on it",
        );
        check_refused(&bench, url, &format!("{key} = \"absent\""), "cannot read");
        check_refused(&bench, url, &format!("{key} = \"empty\""), "is empty");
        check_refused(&bench, url, &format!("{key} = \"lines\""), key);
    }
    for (keys, words) in [
        ("headers = { X-Key = { file = \"open\" } }", "\"X-Key\": "),
        ("headers = { X-Key = { file = \"lines\" } }", "no line end"),
        (
            "headers = { X-Key = { path = \"hush\" } }",
            "write { file = ",
        ),
        (
            "headers = { X-Key = [\"hush\"] }",
            "write a text, or { file = ",
        ),
        ("headers = \"X-Key: hush\"", "write headers = { X-API-Key"),
        (
            "headers = { X-Key = \"hush\\r\\nX-Evil: 1\" }",
            "no line end",
        ),
        (
            "headers = { Authorization = \"hush\" }\nbearer_file = \"good\"",
            "bearer_file makes this header already",
        ),
        (
            "headers = { Webhook-Signature = \"hush\" }",
            "the signature makes this header",
        ),
        (
            "headers = { Content-Encoding = \"hush\" }",
            "set by the agent itself",
        ),
        (
            "headers = { X-Key = \"hush\", x-key = \"hush\" }",
            "\"x-key\" is here twice",
        ),
        (
            "signature = { header = \"X-Sign\", timestamp_header = \"x-sign\" }",
            "\"X-Sign\" is sent already; write another name",
        ),
        (
            "signature = { header = \"X-Sign\", timestamp_header = \"X-T\", id_header = \"x-t\" }",
            "\"X-T\" is sent already",
        ),
        (
            "signature = { header = \"content-type\" }",
            "\"content-type\" is sent already",
        ),
        (
            "signature = { header = \"X-Sign\", id_header = \"User-Agent\" }",
            "\"User-Agent\" is sent already",
        ),
        (
            "signature = { header = \"X-Sign\", id_header = \"X-Switchhook-Id\" }",
            "\"X-Switchhook-Id\" is sent already",
        ),
        ("agent_headers = 1", "write true, false, or names like"),
        (
            "agent_headers = { ids = \"X\" }",
            "the agent tells id, sequence, attempt, node",
        ),
        ("agent_headers = { id = false }", "is no name"),
        (
            "agent_headers = { id = \"a b\" }",
            "letters, digits and dashes",
        ),
        (
            "agent_headers = { id = \"webhook-ID\" }",
            "is sent already; write another name",
        ),
        (
            "agent_headers = { id = \"X-A\", node = \"x-a\" }",
            "is sent already",
        ),
        ("basic_auth = \"hush\"", "write user:password"),
        ("basic_auth = \"a:hush\\nX: 1\"", "control character"),
        (
            "basic_auth = \"a:hush\"\nbearer_file = \"good\"",
            "basic_auth already says who the agent is",
        ),
        ("token_param = \"key\"", "write token_file = "),
        ("proxy = \"https://u:hush@proxy:3128\"", "http://"),
        (
            "proxy = \"http://u:hush@proxy:3128/path\"",
            "must end after the host and port",
        ),
        (
            "source_address = \"eth0\"",
            "write one that this machine has",
        ),
        ("tls_min = \"1.1\"", "write \"1.2\" or \"1.3\""),
        ("pin_sha256 = [\"abc\"]", "is no SHA-256 in Base64"),
        ("pin_sha256 = []", "write 1 to 16 pins"),
        ("client_cert_file = \"one.pem\"", "write client_key_file"),
        ("client_key_file = \"one.key\"", "write client_cert_file"),
        (
            "client_cert_file = \"one.pem\"\nclient_key_file = \"other.key\"",
            "it does not go with",
        ),
        (
            "client_cert_file = \"one.pem\"\nclient_key_file = \"open\"",
            "run chmod 0640 on it",
        ),
        (
            "client_cert_file = \"one.pem\"\nclient_key_file = \"good\"",
            "holds no key",
        ),
        (
            "client_cert_file = \"good\"\nclient_key_file = \"one.key\"",
            "holds no certificate",
        ),
        ("resolve_timeout = \"1m\"", "write 100ms to 30s"),
        ("tls_timeout = \"5\"", "write \"5s\""),
        ("answer_timeout = \"0s\"", "write 100ms to"),
    ] {
        check_refused(&bench, url, keys, words);
    }
    check_refused(
        &bench,
        "https://u:hush@api.example.com/",
        "basic_auth = \"a:hush\"",
        "url already says who the agent is",
    );
    check_refused(
        &bench,
        "https://u:hush%0d%0aX@api.example.com/",
        "",
        "percent-encoded, without line ends",
    );
    check_refused(&bench, "https://0x7f.1/", "", "no valid host name");
    check_refused(
        &bench,
        "https://0.0.0.0/",
        "",
        "nobody can be reached there",
    );
    for key in [
        "pin_sha256 = [\"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]",
        "tls_min = \"1.3\"",
    ] {
        check_refused(&bench, "http://127.0.0.1:9/", key, "it goes with https://");
    }
}

/// Whatever an event holds, no header but the signature differs: values come from the
/// configuration, from ids, numbers and signatures. What a row says cannot get there.
#[test]
fn no_header_can_be_made_from_a_row() {
    let recorder = Recorder::new();
    let bench = Bench::new();
    let url = format!(
        "url = \"http://127.0.0.1:{}/\"\nconcurrency = 1\nheaders = {{ X-Key = \"$call_id\" }}",
        recorder.port
    );
    bench.configure(&url);
    let evil = row(2).replace(
        "CLIENT002",
        "a\r\nX-Evil: 1\r\n\r\nPOST /x HTTP/1.1\r\n\u{1}$HOME %0d%0a",
    );
    fs::write(bench.path("cdr/cdr_1.csv"), row(1) + &evil).unwrap();
    let agent = bench.agent();
    wait_until("two requests", || recorder.heads().len() >= 2);
    let shape = |head: &str| -> Vec<String> {
        let changes = [
            "content-length",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp",
            "X-Switchhook-Id",
            "X-Switchhook-Sequence",
        ];
        let lines = head.lines().map(|line| match line.split_once(": ") {
            Some((name, _)) if changes.contains(&name) => name.to_string(),
            _ => line.to_string(),
        });
        lines.collect()
    };
    let heads = recorder.heads();
    assert_eq!(shape(&heads[0].1), shape(&heads[1].1));
    assert!(
        heads[0].1.contains("\r\nX-Key: $call_id\r\n"),
        "{}",
        heads[0].1
    );
    assert_eq!(agent.stop(), 0);
}

#[test]
fn no_header_is_sent_twice_and_the_agent_s_go_by_the_names_that_are_asked_for() {
    let recorder = Recorder::new();
    let bench = Bench::new();
    let port = recorder.port;
    bench.configure(&format!(
        "url = \"http://127.0.0.1:{port}/\"\n\
         headers = {{ User-Agent = \"ours/1\", content-type = \"application/json; charset=utf-8\", X-Switchhook-Node = \"n\" }}\n\
         agent_headers = {{ id = \"X-Request-Id\", sequence = \"off\", node = \"off\" }}"
    ));
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let agent = bench.agent();
    wait_until("a request", || !recorder.heads().is_empty());
    let head = recorder.heads().remove(0).1;
    let mut names: Vec<&str> = head
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    names.sort_unstable();
    let expected = [
        "Accept-Encoding",
        "User-Agent",
        "X-Request-Id",
        "X-Switchhook-Attempt",
        "X-Switchhook-Node",
        "content-length",
        "content-type",
        "host",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(names, expected, "{head}");
    for line in ["User-Agent: ours/1", "X-Request-Id: evt_", "charset=utf-8"] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(agent.stop(), 0);
    let shown = said(&bench, &["check"]);
    assert!(shown.contains("id = \"X-Request-Id\""), "{shown}");
}

#[test]
fn connections_come_from_the_address_that_is_asked_for() {
    let recorder = Recorder::new();
    let mut endpoint = Endpoint::new(
        "a",
        Url::parse(&format!("http://127.0.0.1:{}/", recorder.port)).unwrap(),
        Shape::Standard,
    );
    let try_from = |endpoint: &mut Endpoint, source: &str| {
        endpoint.link.source_address = Some(source.parse().unwrap());
        let clock: Arc<dyn switchhook::clock::Clock> = Arc::new(SystemClock::new());
        try_out(endpoint, &event(1), &clock).unwrap().answer
    };
    // All of 127.0.0.0/8 is this machine's.
    for source in ["127.0.0.2", "127.9.8.7"] {
        assert_eq!(status(try_from(&mut endpoint, source)).status, 200);
        let from = recorder.heads().last().unwrap().0;
        assert_eq!(from, source.parse::<IpAddr>().unwrap());
    }
    let answer = try_from(&mut endpoint, "192.0.2.77");
    trouble(answer, TroubleClass::Connect, "source_address 192.0.2.77: ");
    let answer = try_from(&mut endpoint, "::1");
    trouble(
        answer,
        TroubleClass::Connect,
        "the other side has none of its kind",
    );
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    endpoint.url = Url::parse(&format!("http://{gone}/")).unwrap();
    let answer = try_from(&mut endpoint, "127.0.0.2");
    trouble(answer, TroubleClass::Connect, "Connection refused");
    if TcpStream::connect_timeout(&"[::1]:9".parse().unwrap(), LONG)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    {
        let six = Recorder::build("[::1]:0", None);
        endpoint.url = Url::parse(&format!("http://[::1]:{}/", six.port)).unwrap();
        assert_eq!(status(try_from(&mut endpoint, "::1")).status, 200);
    }
}

#[test]
fn a_pin_is_wanted_beside_the_chain_and_the_test_shows_the_one_in_use() {
    let mut stand = Stand::tls(&[], LONG);
    let trial = stand.attempt(1);
    let pin = trial.phases.agreed.unwrap().pin.unwrap();
    stand.endpoint.link.pins = vec![Pin([1; 32]), pin];
    assert_eq!(stand.attempt(1).outcome, Outcome::Delivered);
    stand.endpoint.link.pins = vec![Pin([1; 32])];
    let words = format!("its key is {pin}, which pin_sha256 does not name");
    trouble(stand.attempt(1).answer, TroubleClass::Tls, &words);
    // The right key does not make up for a certificate nobody vouches for.
    stand.endpoint.link.pins = vec![pin];
    stand.endpoint.extra_roots.clear();
    trouble(stand.attempt(1).answer, TroubleClass::Tls, "UnknownIssuer");
}

/// A TLS server that wants certificates of an authority; returns that authority's certificate and
/// an identity it vouches for.
fn mutual() -> (Recorder, Vec<u8>, Identity) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["agent.example".to_string()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![root.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let recorder = Recorder::build("127.0.0.1:0", Some(Arc::new(config)));
    let identity = Identity {
        chain: vec![CertificateDer::from(own)],
        key: Arc::new(PrivateKeyDer::try_from(own_key.serialize_der()).unwrap()),
    };
    (recorder, root.der().to_vec(), identity)
}

#[test]
fn a_receiver_that_wants_a_certificate_gets_the_agent_s() {
    let (recorder, root, identity) = mutual();
    let url = Url::parse(&format!("https://localhost:{}/", recorder.port)).unwrap();
    let mut endpoint = Endpoint::new("a", url, Shape::Standard);
    endpoint.extra_roots = vec![root];
    let attempt = |endpoint: &Endpoint| {
        let transport = HttpTransport::new(endpoint, Arc::new(SystemClock::new())).unwrap();
        send(&transport, endpoint, 1)
    };
    let words = "; it wants another certificate than client_cert_file has, or wants one at all";
    trouble(attempt(&endpoint), TroubleClass::Tls, words);
    let (_, _, strange) = mutual();
    endpoint.link.identity = Some(strange);
    trouble(attempt(&endpoint), TroubleClass::Tls, "");
    assert_eq!(recorder.heads().len(), 0);
    endpoint.link.identity = Some(identity);
    assert_eq!(status(attempt(&endpoint)).status, 200);
    assert_eq!(recorder.heads().len(), 1);
}

#[test]
fn a_floor_of_tls_1_3_refuses_what_speaks_1_2_alone() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let root = params.self_signed(&key).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![root.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let recorder = Recorder::build("127.0.0.1:0", Some(Arc::new(config)));
    let url = Url::parse(&format!("https://localhost:{}/", recorder.port)).unwrap();
    let mut endpoint = Endpoint::new("a", url, Shape::Standard);
    endpoint.extra_roots = vec![root.der().to_vec()];
    let clock: Arc<dyn switchhook::clock::Clock> = Arc::new(SystemClock::new());
    let trial = try_out(&endpoint, &event(1), &clock).unwrap();
    assert_eq!(trial.phases.agreed.unwrap().version, "TLSv1_2");
    endpoint.link.tls_min = TlsMin::Tls13;
    let answer = try_out(&endpoint, &event(1), &clock).unwrap().answer;
    trouble(
        answer,
        TroubleClass::Tls,
        "it speaks no version of TLS that tls_min allows",
    );
    assert_eq!(recorder.heads().len(), 1);
}
