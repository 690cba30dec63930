//! What receivers answer, and what they are sent.

use super::Choices;
use crate::clock::{SystemClock, UnixMs};
use crate::delivery::endpoint::Endpoint;
use crate::delivery::link::Proxy;
use crate::delivery::outcome::{Outcome, SuccessRule};
use crate::delivery::packing::Method;
use crate::delivery::profile::Profile;
use crate::delivery::request::SignedRequest;
use crate::delivery::transport::{
    ANSWER_BODY_BYTES_MAX, ANSWER_START_BYTES, Answer, HttpTransport, Response, Transport,
};
use crate::delivery::url::Url;
use nix::sys::signal::{SigSet, Signal};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const WALL: UnixMs = UnixMs(1_775_745_045_000);

/// A listener on the loopback that answers every request with the same bytes and hangs up, and three
/// ways to it.
struct Wrong {
    answer: Arc<Mutex<Vec<u8>>>,
    ways: [HttpTransport; 3],
}

static WRONG: LazyLock<Wrong> = LazyLock::new(|| {
    // A Rust program ignores it from its start; the fuzzer's is none.
    let broken_pipes = SigSet::from_iter([Signal::SIGPIPE]);
    broken_pipes.thread_block().expect("a known signal");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    let answer = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::clone(&answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A request leaves in one write.
            let asked = stream.read(&mut [0; 4096]);
            let bytes = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let _left = asked.and_then(|_| stream.write_all(&bytes));
            let _left = stream.shutdown(Shutdown::Write);
        }
    });
    let proxy = Proxy::parse(&format!("http://127.0.0.1:{port}")).ok();
    let way = |url: &str, proxy: Option<Proxy>| {
        let url = Url::parse(url).expect("an address");
        let mut endpoint = Endpoint::new("a", url, Profile::Standard);
        endpoint.timeout = Duration::from_secs(5);
        endpoint.link.proxy = proxy;
        HttpTransport::new(&endpoint, Arc::new(SystemClock::new())).expect("no TLS of its own")
    };
    let ways = [
        way(&format!("http://127.0.0.1:{port}/hook"), None),
        way("http://192.0.2.1/hook", proxy.clone()),
        way("https://192.0.2.1/hook", proxy),
    ];
    Wrong { answer, ways }
});

/// An answer as it comes over the wire: directly, through a proxy, and as that of a proxy asked for a
/// tunnel. Whatever it is, one bounded answer comes of it in time.
pub(super) fn answer(data: &[u8]) {
    let (bytes, mut choices) = Choices::take(data, 1);
    let wrong = &*WRONG;
    let mut answer = wrong.answer.lock().unwrap_or_else(PoisonError::into_inner);
    bytes.clone_into(&mut answer);
    drop(answer);
    let way = &wrong.ways[choices.next(wrong.ways.len())];
    let answer = way.send(&SignedRequest {
        headers: Vec::new(),
        method: Method::Post,
        url: None,
        body: b"{}".into(),
    });
    match &answer {
        Answer::Status(response) => {
            assert!((100..=999).contains(&response.status));
            assert!(response.body_start.len() <= ANSWER_START_BYTES);
            assert!(response.body_read <= ANSWER_BODY_BYTES_MAX);
            // Empty lines before it are passed over, as RFC 9112 section 2.2 wants it.
            let line = bytes.trim_ascii_start();
            assert!(line.starts_with(b"HTTP/1."), "that was no answer");
        }
        Answer::Trouble(trouble) => assert!(!trouble.to_string().is_empty()),
    }
    judge(answer);
}

/// What `Retry-After` says, with every status.
pub(super) fn outcome(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for status in [200, 204, 301, 404, 408, 410, 425, 429, 500, 503, 999] {
        judge(Answer::Status(Response {
            status,
            retry_after: Some(text.to_owned()),
            date: Some(text.to_owned()),
            ..Response::default()
        }));
    }
}

fn judge(answer: Answer) {
    const PAUSE_MAX: Duration = Duration::from_secs(3_600);
    let status = match &answer {
        Answer::Status(response) => Some(response.status),
        Answer::Trouble(_) => None,
    };
    match Outcome::of(answer, &SuccessRule::any_2xx(), PAUSE_MAX, WALL) {
        Outcome::Delivered => assert!(status.is_some_and(|status| (200..300).contains(&status))),
        Outcome::Unavailable { after, .. } => {
            assert!(after.is_none_or(|after| after <= PAUSE_MAX));
        }
        Outcome::Refused(failure) | Outcome::Gone(failure) => assert_eq!(failure.status, status),
    }
}

/// The `data` of an event, as a JSON object: what a receiver of any profile gets of it is verified
/// and understood by ours.
pub(super) fn body(data: &[u8]) {
    crate::receiver::fuzz::body(data);
}
