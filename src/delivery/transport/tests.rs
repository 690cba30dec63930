//! The transport against real listeners that answer well, badly, slowly and not at all.

use super::*;
use crate::clock::SystemClock;
use crate::delivery::STACK_BYTES;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::packing::Method;
use crate::delivery::profile::Profile;
use crate::delivery::url::Url;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

const BODY: &[u8] = b"{\"call_id\":\"12345678\"}";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A listener that gives each connection, with its number from 0, to `serve` in a thread.
struct Listener {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Listener {
    fn new(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (counter, serve) = (Arc::clone(&accepted), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (number, serve) = (counter.fetch_add(1, Ordering::SeqCst), Arc::clone(&serve));
                thread::spawn(move || serve(number, stream.unwrap()));
            }
        });
        Listener { port, accepted }
    }

    /// One that reads each request and answers it with `answer`.
    fn answering(answer: &'static [u8]) -> Listener {
        Listener::new(move |_, mut stream| {
            while read_request(&mut stream).is_some() {
                let _the_client_may_have_left = stream.write_all(answer);
            }
        })
    }

    fn transport(&self) -> HttpTransport {
        transport(&format!("http://127.0.0.1:{}/hook", self.port), |_| {})
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Reads one request; none when the client has left.
fn read_request(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(amount) => request.extend_from_slice(&chunk[..amount]),
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(request);
        }
    }
}

fn transport(url: &str, change: impl FnOnce(&mut Endpoint)) -> HttpTransport {
    let mut endpoint = Endpoint::new("a", Url::parse(url).unwrap(), Profile::Standard);
    endpoint.timeout = Duration::from_secs(5);
    change(&mut endpoint);
    HttpTransport::new(&endpoint, Arc::new(SystemClock::new())).unwrap()
}

fn send_body(transport: &HttpTransport, body: &[u8]) -> Answer {
    let headers = vec![
        ("Content-Type", Cow::Borrowed("application/json")),
        ("X-Two", Cow::Borrowed("2")),
    ];
    transport.send(&SignedRequest {
        headers,
        method: Method::Post,
        url: None,
        body: body.into(),
    })
}

fn send(transport: &HttpTransport) -> Answer {
    send_body(transport, BODY)
}

#[track_caller]
fn status(answer: Answer) -> Response {
    match answer {
        Answer::Status(response) => response,
        Answer::Trouble(trouble) => panic!("{trouble}"),
    }
}

#[track_caller]
fn check_trouble(answer: Answer, class: TroubleClass) -> Trouble {
    match answer {
        Answer::Trouble(trouble) if trouble.class == class => trouble,
        other => panic!("{other:?}, expected {class:?}"),
    }
}

#[test]
fn head_and_body_leave_in_one_write_and_nothing_is_added() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        let mut chunk = [0; 64 << 10];
        while let Ok(amount @ 1..) = stream.read(&mut chunk) {
            tell.send(String::from_utf8(chunk[..amount].to_vec()).unwrap())
                .unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let transport = listener.transport();
    for _ in 0..10 {
        let response = status(send(&transport));
        assert_eq!(
            (response.status, response.body_start.as_slice()),
            (200, &b"ok"[..])
        );
        let expected = format!(
            "POST /hook HTTP/1.1\r\ncontent-length: {}\r\nhost: 127.0.0.1:{}\r\n\
             Content-Type: application/json\r\nX-Two: 2\r\n\r\n{}",
            BODY.len(),
            listener.port,
            String::from_utf8_lossy(BODY)
        );
        assert_eq!(
            told.recv().unwrap(),
            expected,
            "one read sees all of one write"
        );
    }
    assert_eq!(listener.accepted(), 1, "the connection is used again");
}

#[test]
fn a_body_larger_than_the_buffer_arrives_whole() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            tell.send(request).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let transport = listener.transport();
    for size in [8_000, 16_384, 100_000] {
        let body: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
        assert_eq!(status(send_body(&transport, &body)).status, 200);
        assert!(told.recv().unwrap().ends_with(&body), "{size}");
    }
}

#[test]
fn headers_longer_than_the_buffer_arrive_whole_and_what_cannot_be_one_is_not_sent() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        while let Some(request) = read_request(&mut stream) {
            tell.send(String::from_utf8(request).unwrap()).unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let transport = listener.transport();
    let send = |value: &str, body: &[u8]| {
        transport.send(&SignedRequest {
            headers: vec![("X-Long", value.into()), ("X-Two", "2".into())],
            method: Method::Post,
            url: None,
            body: body.into(),
        })
    };
    for length in [0, 8_000, 16_300, 16_384, 40_000] {
        let value = "v".repeat(length);
        // A body that ends as a head does is none.
        for body in ["{}", "\r\n\r\n"] {
            assert_eq!(status(send(&value, body.as_bytes())).status, 200);
            let expected = format!(
                "POST /hook HTTP/1.1\r\ncontent-length: {}\r\nhost: 127.0.0.1:{}\r\n\
                 X-Long: {value}\r\nX-Two: 2\r\n\r\n{body}",
                body.len(),
                listener.port
            );
            assert!(told.recv().unwrap() == expected, "{length}");
        }
    }
    let refused = check_trouble(send("a\r\nHost: evil", b"{}"), TroubleClass::Protocol);
    assert_eq!(refused.text, "a header cannot be sent");
    assert_eq!(status(send("a", b"{}")).status, 200);
    assert!(
        told.recv().unwrap().contains("X-Long: a\r\n"),
        "nothing else was sent"
    );
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Listener::answering(OK);
    let location = format!(
        "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n",
        target.port
    );
    let listener = Listener::answering(location.leak().as_bytes());
    let transport = listener.transport();
    for _ in 0..3 {
        let response = status(send(&transport));
        assert_eq!(
            (response.status, response.location_host.as_deref()),
            (307, Some("127.0.0.1"))
        );
    }
    assert_eq!((target.accepted(), listener.accepted()), (0, 1));
}

#[test]
fn what_an_answer_says_about_time_is_kept() {
    let listener = Listener::answering(
        b"HTTP/1.1 503 No\r\nRetry-After: 120\r\nDate: Thu, 09 Apr 2026 14:32:45 GMT\r\nContent-Length: 4\r\n\r\nbusy",
    );
    let response = status(send(&listener.transport()));
    assert_eq!(
        (response.status, response.body_start.as_slice()),
        (503, &b"busy"[..])
    );
    assert_eq!(response.retry_after.as_deref(), Some("120"));
    assert_eq!(
        response.date.as_deref(),
        Some("Thu, 09 Apr 2026 14:32:45 GMT")
    );
}

#[test]
fn an_endless_body_is_read_to_its_bound_and_costs_its_connection() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        if read_request(&mut stream).is_some() {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .unwrap();
            let mut written = 0_usize;
            while stream
                .write_all(b"3e8\r\n")
                .and_then(|()| stream.write_all(&[b'x'; 1_000]))
                .is_ok()
            {
                stream.write_all(b"\r\n").unwrap_or_default();
                written += 1_000;
            }
            tell.send(written).unwrap();
        }
    });
    let transport = listener.transport();
    let response = status(send(&transport));
    assert_eq!(
        (response.status, response.body_start),
        (200, vec![b'x'; ANSWER_START_BYTES])
    );
    assert_eq!(response.body_read, ANSWER_BODY_BYTES_MAX);
    assert!(
        told.recv_timeout(Duration::from_secs(5)).unwrap() > 0,
        "the connection was closed"
    );
    assert_eq!(status(send(&transport)).status, 200);
    assert_eq!(listener.accepted(), 2);
}

#[test]
fn a_body_within_the_bound_keeps_its_connection() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{}",
        "y".repeat(60_000)
    );
    let listener = Listener::answering(answer.leak().as_bytes());
    let transport = listener.transport();
    for _ in 0..3 {
        assert_eq!(
            status(send(&transport)).body_start.len(),
            ANSWER_START_BYTES
        );
    }
    assert_eq!(listener.accepted(), 1);
}

#[test]
fn a_compressed_body_is_not_decoded() {
    let listener = Listener::answering(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    );
    assert_eq!(
        status(send(&listener.transport())).body_start,
        b"\x1f\x8b\x08"
    );
}

#[test]
fn a_body_that_breaks_off_does_not_change_the_outcome() {
    let listener = Listener::new(|_, mut stream| {
        if read_request(&mut stream).is_some() {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
                .unwrap();
        }
    });
    let transport = listener.transport();
    let response = status(send(&transport));
    assert_eq!(
        (response.status, response.body_start.as_slice()),
        (200, &b"short"[..])
    );
    assert_eq!(status(send(&transport)).status, 200);
}

/// Checks that an attempt of 400 ms ends in time, and where.
#[track_caller]
fn check_deadline(listener: &Listener, phase: Phase) {
    let timeout = Duration::from_millis(400);
    let transport = transport(
        &format!("http://127.0.0.1:{}/", listener.port),
        |endpoint| endpoint.timeout = timeout,
    );
    for _ in 0..2 {
        let started = Instant::now();
        let trouble = check_trouble(send(&transport), TroubleClass::Timeout(phase));
        let elapsed = started.elapsed();
        assert!(elapsed >= timeout && elapsed < timeout * 3, "{elapsed:?}");
        assert!(trouble.elapsed >= timeout, "{:?}", trouble.elapsed);
    }
}

#[test]
fn an_endpoint_that_hangs_costs_the_timeout_and_no_more() {
    let listener = Listener::new(|_, mut stream| {
        read_request(&mut stream);
        let _until_the_client_leaves = stream.read(&mut [0; 1]);
    });
    check_deadline(&listener, Phase::Answer);
}

#[test]
fn headers_that_trickle_in_do_not_move_the_deadline() {
    let listener = Listener::new(|_, mut stream| {
        read_request(&mut stream);
        for byte in b"HTTP/1.1 200 OK\r\n"
            .iter()
            .chain(std::iter::repeat(&b'x'))
        {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    check_deadline(&listener, Phase::Headers);
}

#[test]
fn an_endpoint_that_does_not_read_costs_the_timeout_too() {
    let (_hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let listener = Listener::new(move |_, stream| {
        let _until_the_test_ends = held.lock().unwrap().recv();
        drop(stream);
    });
    let transport = transport(
        &format!("http://127.0.0.1:{}/", listener.port),
        |endpoint| endpoint.timeout = Duration::from_millis(400),
    );
    let started = Instant::now();
    // More than both sides' socket buffers hold.
    let answer = send_body(&transport, &vec![b'x'; 64 << 20]);
    assert!(
        matches!(
            &answer,
            Answer::Trouble(Trouble {
                class: TroubleClass::Timeout(Phase::Send),
                ..
            })
        ),
        "{answer:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_connection_that_ends_before_the_answer_is_trouble_and_nothing_is_sent_twice() {
    for half in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Le"] {
        let (tell, told) = mpsc::channel();
        let listener = Listener::new(move |_, mut stream| {
            if read_request(&mut stream).is_some() {
                stream.write_all(half).unwrap();
                tell.send(()).unwrap();
            }
        });
        let transport = listener.transport();
        for _ in 0..3 {
            check_trouble(send(&transport), TroubleClass::Closed);
        }
        drop(transport);
        assert_eq!((told.try_iter().count(), listener.accepted()), (3, 3));
    }
}

#[test]
fn a_receiver_that_answers_and_closes_without_reading_is_heard() {
    let listener = Listener::new(|_, mut stream| {
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Some of it is read, as a server's lingering close does, so that the answer is not lost.
        let mut chunk = [0; 64 << 10];
        while stream.read(&mut chunk).is_ok_and(|amount| amount > 0) {}
    });
    assert_eq!(
        status(send_body(&listener.transport(), &[b'x'; 1 << 20])).status,
        413
    );
}

#[test]
fn what_is_not_http_is_trouble() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/1.1 999999 No\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ] {
        check_trouble(
            send(&Listener::answering(answer).transport()),
            TroubleClass::Protocol,
        );
    }
}

#[test]
fn headers_beyond_their_bound_are_trouble() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(1 << 20)
    );
    check_trouble(
        send(&Listener::answering(long.leak().as_bytes()).transport()),
        TroubleClass::Protocol,
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        "X-Many: 1\r\n".repeat(1_000)
    );
    check_trouble(
        send(&Listener::answering(many.leak().as_bytes()).transport()),
        TroubleClass::Protocol,
    );
    let wide = format!(
        "HTTP/1.1 200 OK\r\nX-Wide: {}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(60_000)
    );
    let listener = Listener::answering(wide.leak().as_bytes());
    let transport = listener.transport();
    for _ in 0..2 {
        assert_eq!(status(send(&transport)).status, 200);
    }
}

#[test]
fn a_connection_the_other_side_closed_is_replaced_before_anything_is_sent() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        read_request(&mut stream).unwrap();
        stream.write_all(OK).unwrap();
        drop(stream);
        tell.send(()).unwrap();
    });
    let transport = listener.transport();
    for _ in 0..5 {
        assert_eq!(status(send(&transport)).status, 200);
        told.recv().unwrap();
    }
    assert_eq!(listener.accepted(), 5);
}

#[test]
fn of_many_idle_connections_that_a_firewall_forgot_one_is_tried_and_no_other() {
    const OPEN: usize = 3;
    let together = Arc::new(Barrier::new(OPEN));
    let listener = Listener::new(move |number, mut stream| {
        let is_forgotten = number < OPEN;
        for request in 0.. {
            if read_request(&mut stream).is_none() {
                return;
            }
            if is_forgotten && request == 0 {
                together.wait();
            }
            if !is_forgotten || request == 0 {
                stream.write_all(OK).unwrap();
            }
        }
    });
    let url = format!("http://127.0.0.1:{}/", listener.port);
    let transport = transport(&url, |endpoint| {
        endpoint.timeout = Duration::from_millis(500);
    });
    thread::scope(|scope| {
        for _ in 0..OPEN {
            scope.spawn(|| assert_eq!(status(send(&transport)).status, 200));
        }
    });
    check_trouble(send(&transport), TroubleClass::Timeout(Phase::Answer));
    for _ in 0..3 {
        assert_eq!(status(send(&transport)).status, 200);
    }
    assert_eq!(listener.accepted(), OPEN + 1);
}

#[test]
fn a_receiver_that_hangs_at_times_keeps_the_connections_that_answer() {
    const OPEN: usize = 3;
    let together = Arc::new(Barrier::new(OPEN));
    // The first connection answers once and then never; the others go on.
    let listener = Listener::new(move |number, mut stream| {
        for request in 0.. {
            if read_request(&mut stream).is_none() {
                return;
            }
            together.wait();
            if number > 0 || request == 0 {
                stream.write_all(OK).unwrap();
            }
        }
    });
    let url = format!("http://127.0.0.1:{}/", listener.port);
    let transport = transport(&url, |endpoint| {
        endpoint.timeout = Duration::from_millis(500);
    });
    let all_at_once = || {
        thread::scope(|scope| {
            let sent: Vec<_> = (0..OPEN)
                .map(|_| scope.spawn(|| send(&transport)))
                .collect();
            let answers = sent.into_iter().map(|sent| sent.join().unwrap());
            answers
                .filter(|answer| matches!(answer, Answer::Status(_)))
                .count()
        })
    };
    assert_eq!(all_at_once(), OPEN);
    assert_eq!(all_at_once(), OPEN - 1);
    // In the place of the one that hung, and of no other.
    for _ in 0..3 {
        assert_eq!(all_at_once(), OPEN);
    }
    assert_eq!(listener.accepted(), OPEN + 1);
}

#[test]
fn a_connection_idle_for_too_long_is_replaced() {
    let listener = Listener::answering(OK);
    let transport = transport(
        &format!("http://127.0.0.1:{}/", listener.port),
        |endpoint| {
            endpoint.idle_timeout = Duration::ZERO;
        },
    );
    for _ in 0..3 {
        assert_eq!(status(send(&transport)).status, 200);
    }
    assert_eq!(listener.accepted(), 3);
}

#[test]
fn a_port_where_nobody_listens_is_trouble_with_its_address() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let transport = transport(&format!("http://127.0.0.1:{port}/"), |_| {});
    let trouble = check_trouble(send(&transport), TroubleClass::Connect);
    assert!(
        trouble.text.starts_with(&format!("127.0.0.1:{port}: ")),
        "{}",
        trouble.text
    );
}

#[test]
fn attempts_under_way_can_be_abandoned() {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |_, mut stream| {
        read_request(&mut stream);
        tell.send(()).unwrap();
        let _until_the_client_leaves = stream.read(&mut [0; 1]);
    });
    let transport = Arc::new(transport(
        &format!("http://127.0.0.1:{}/", listener.port),
        |endpoint| endpoint.timeout = Duration::from_secs(60),
    ));
    let sending = Arc::clone(&transport);
    let sender = thread::spawn(move || send(&sending));
    told.recv().unwrap();
    transport.abandon();
    check_trouble(sender.join().unwrap(), TroubleClass::Closed);
    check_trouble(send(&transport), TroubleClass::Closed);
}

type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A TLS listener for `localhost` that does `after` after each answer, and the certificate to
/// trust it by.
fn tls_listener(after: impl Fn(&mut TlsStream) + Send + Sync + 'static) -> (Listener, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let der = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = Listener::new(move |_, stream| {
        let mut stream =
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        while read_request(&mut stream).is_some() {
            stream.write_all(OK).unwrap();
            after(&mut stream);
        }
    });
    (listener, der.to_vec())
}

#[test]
fn a_certificate_of_the_extra_ca_is_trusted_and_the_connection_used_again() {
    let (listener, root) = tls_listener(|_| {});
    let transport = transport(
        &format!("https://localhost:{}/", listener.port),
        |endpoint| endpoint.extra_roots = vec![root],
    );
    // On the stack a sending thread has.
    let sending = move || {
        (0..20)
            .map(|_| status(send(&transport)).status)
            .collect::<Vec<_>>()
    };
    let sender = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(sending)
        .unwrap();
    assert_eq!(sender.join().unwrap(), [200; 20]);
    assert_eq!(listener.accepted(), 1);
}

#[test]
fn a_large_body_arrives_over_tls_too() {
    let (listener, root) = tls_listener(|_| {});
    let transport = transport(
        &format!("https://localhost:{}/", listener.port),
        |endpoint| endpoint.extra_roots = vec![root],
    );
    assert_eq!(status(send_body(&transport, &[b'x'; 200_000])).status, 200);
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused() {
    let (listener, _) = tls_listener(|_| {});
    let transport = transport(&format!("https://localhost:{}/", listener.port), |_| {});
    let trouble = check_trouble(send(&transport), TroubleClass::Tls);
    assert!(trouble.text.contains("UnknownIssuer"), "{}", trouble.text);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (listener, root) = tls_listener(|_| {});
    let transport = transport(
        &format!("https://127.0.0.1:{}/", listener.port),
        |endpoint| endpoint.extra_roots = vec![root],
    );
    let trouble = check_trouble(send(&transport), TroubleClass::Tls);
    assert!(
        trouble.text.contains("not valid for name"),
        "{}",
        trouble.text
    );
}

#[test]
fn a_handshake_that_hangs_ends_with_the_connect_timeout() {
    let listener =
        Listener::new(
            |_, mut stream| while stream.read(&mut [0; 1_024]).is_ok_and(|amount| amount > 0) {},
        );
    let transport = transport(
        &format!("https://localhost:{}/", listener.port),
        |endpoint| {
            endpoint.connect_timeout = Duration::from_millis(200);
        },
    );
    let started = Instant::now();
    check_trouble(send(&transport), TroubleClass::Timeout(Phase::Tls));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn what_tls_sends_of_its_own_after_an_attempt_s_time_does_not_cost_the_connection() {
    let timeout = Duration::from_millis(500);
    let (tell, told) = mpsc::channel();
    let (listener, root) = tls_listener(move |stream| {
        thread::sleep(timeout * 2);
        stream.conn.refresh_traffic_keys().unwrap();
        stream.flush().unwrap();
        tell.send(()).unwrap();
    });
    let transport = transport(
        &format!("https://localhost:{}/", listener.port),
        |endpoint| {
            endpoint.extra_roots = vec![root];
            endpoint.timeout = timeout;
        },
    );
    for _ in 0..2 {
        assert_eq!(status(send(&transport)).status, 200);
        told.recv().unwrap();
    }
    assert_eq!(listener.accepted(), 1);
}
