//! The pushes that come as POST requests.

use super::bucket::Bucket;
use super::gate::{Gate, Refusal};
use super::{Answer, Owed, Pages, Push, Settings};
use crate::clock::Clock;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};
use tokio::time::{sleep, timeout};

/// What a push is answered once it is durable: the one answer that the switch's manual documents.
pub const KEPT: &str = "{\"retCode\":0}";

/// Longest body of rows, in bytes, and of any body as many as each connection of a source may hold; a
/// longer one is answered 413.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// Longest body posted to a page, in bytes: a list of as many current alarms as can stand, 8,192, takes
/// some 1.7 MiB. Of those longer than
/// [`BODY_BYTES_MAX`] a source reads one at a time, so that all of its connections hold 18 MiB together.
pub const PAGE_BYTES_MAX: usize = 2 << 20;

/// Most connections one source holds open; further ones wait in the system's queue. A switch opens
/// one for each push or keeps a few. Where it leaves them open behind it, the one that rests longest
/// makes room for the next.
pub const CONNECTIONS_MAX: usize = 64;

/// Time between two calls for a connection that rests, while one waits for its place.
const PLACE_PAUSE: Duration = Duration::from_millis(50);

/// A connection that was answered less long ago does not rest: its client may be about to say more, and
/// would lose it to a connection that is closed.
const REST_MIN: Duration = Duration::from_millis(200);

/// Longest time for a request's head, from the end of the one before: a connection that sends
/// nothing, or a byte now and then, holds a place no longer.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// Longest time for a request's body.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// Longest time a push waits for its commit before it is answered 503: commits take milliseconds,
/// a tenth of a second on a slow disk. It may be committed after all; it then has the same id as
/// its repeat.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(10);

/// Longest time a connection has for taking its answers, beyond all of the above. One that never
/// reads would hold its place for ever.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// Most bytes of a request's head, and of what is read ahead.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Most connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Pause after a failed accept, which usually means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections of one source share.
pub(super) struct Desk {
    pub(super) gate: Gate,
    pub(super) pages: Pages,
    pub(super) bucket: Mutex<Bucket>,
    pub(super) clock: Arc<dyn Clock>,
    /// Longest time for a request's head: [`HEAD_TIME_MAX`].
    pub(super) head_time: Duration,
    pub(super) crowd: Crowd,
    /// Whose body is longer than [`BODY_BYTES_MAX`]: one at a time.
    pub(super) long: Semaphore,
}

/// Whether a connection waits for the place of another.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    is_waiting: AtomicBool,
    /// Those that rest are called in the order in which they began to.
    called: Notify,
}

impl Crowd {
    /// A place among `places`, for which one that rests is asked to go if there is none.
    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(place);
        }
        self.is_waiting.store(true, Ordering::Relaxed);
        let place = loop {
            self.called.notify_one();
            let place = Arc::clone(places).acquire_owned();
            if let Ok(place) = timeout(PLACE_PAUSE, place).await {
                break place.ok();
            }
        };
        self.is_waiting.store(false, Ordering::Relaxed);
        place
    }

    /// Returns when one that rests from now on has to go.
    async fn has_called(&self) {
        sleep(REST_MIN).await;
        loop {
            self.called.notified().await;
            if self.is_waiting.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

type Reply = Response<Full<Bytes>>;

/// Accepts connections until the system refuses; `gate` hears when it begins.
pub(super) async fn listen(
    source: &str,
    settings: &Settings,
    pages: &Pages,
    gate: &Gate,
    clock: &Arc<dyn Clock>,
) -> io::Result<()> {
    let socket = match settings.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(settings.listen)?;
    let listener = socket.listen(BACKLOG)?;
    gate.listens();
    log::info!("listening source={source} http={}", listener.local_addr()?);
    let desk = Arc::new(Desk {
        gate: gate.clone(),
        pages: pages.clone(),
        bucket: Mutex::new(Bucket::full(settings.rate_max, clock.now())),
        clock: Arc::clone(clock),
        head_time: HEAD_TIME_MAX,
        crowd: Crowd::default(),
        long: Semaphore::new(1),
    });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if !settings
            .allow
            .iter()
            .any(|network| network.holds(peer.ip()))
        {
            gate.refused(Refusal::Peer);
            continue;
        }
        let Some(place) = desk.crowd.place(&places).await else {
            return Ok(());
        };
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            serve(stream, peer, desk).await;
            drop(place);
        });
    }
}

/// Serves one connection to its end.
async fn serve(stream: TcpStream, peer: SocketAddr, desk: Arc<Desk>) {
    // An answer is one small packet; where the option is refused it only comes later.
    let _later = stream.set_nodelay(true);
    converse(stream, peer, desk).await;
}

/// Answers what `stream` brings to its end.
pub(super) async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    desk: Arc<Desk>,
) {
    let busy = Arc::new(Activity::default());
    let service = service_fn(|request| {
        let (desk, busy) = (Arc::clone(&desk), Arc::clone(&busy));
        async move {
            busy.turned(true);
            let reply = desk.answer(request, peer).await;
            busy.moved();
            busy.turned(false);
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(desk.head_time)
        .max_buf_size(HEAD_BYTES_MAX)
        // A client that has said all it had to say, and says so, is answered.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let (mut connection, mut stalled) = (pin!(connection), pin!(busy.stalled()));
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = stalled.as_mut() => {
                desk.gate.refused(Refusal::Slow);
                return;
            }
            () = busy.turn.notified() => {}
            () = desk.crowd.has_called(), if busy.rests() => connection.as_mut().graceful_shutdown(),
        }
    };
    // One that has been answered and then rests, or is cut off, brought all that it had to say.
    if ended.is_err() && !busy.has_moved() {
        desk.gate.refused(Refusal::Slow);
    }
}

/// Whether a connection still gets anywhere.
#[derive(Debug, Default)]
struct Activity {
    answered: AtomicU64,
    is_answering: AtomicBool,
    /// It began to answer, or has answered.
    turn: Notify,
}

impl Activity {
    fn moved(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn has_moved(&self) -> bool {
        self.answered.load(Ordering::Relaxed) > 0
    }

    fn turned(&self, is_answering: bool) {
        self.is_answering.store(is_answering, Ordering::Relaxed);
        self.turn.notify_one();
    }

    /// Whether it has been answered and says no more.
    fn rests(&self) -> bool {
        self.has_moved() && !self.is_answering.load(Ordering::Relaxed)
    }

    /// Ends when no request was answered for as long as one may take in all.
    async fn stalled(&self) {
        let whole = HEAD_TIME_MAX + BODY_TIME_MAX + COMMIT_TIME_MAX + WRITE_TIME_MAX;
        let mut before = None;
        loop {
            let now = self.answered.load(Ordering::Relaxed);
            if before == Some(now) {
                return;
            }
            before = Some(now);
            sleep(whole).await;
        }
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Reply {
        let (head, body) = request.into_parts();
        let body = Unread {
            body,
            is_held_back: head.headers.contains_key(EXPECT),
        };
        let Some(page) = self.pages.page(head.uri.path()) else {
            body.pass_over().await;
            return self.refuse(Refusal::Page, StatusCode::NOT_FOUND);
        };
        if head.method != Method::POST {
            body.pass_over().await;
            let mut reply = self.refuse(Refusal::Page, StatusCode::METHOD_NOT_ALLOWED);
            reply
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return reply;
        }
        let now = self.clock.now();
        let within_rate = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(now)
        };
        if !within_rate {
            body.pass_over().await;
            return self.refuse(Refusal::Rate, StatusCode::SERVICE_UNAVAILABLE);
        }
        if !self.gate.is_open() {
            body.pass_over().await;
            return self.refuse(Refusal::Full, StatusCode::SERVICE_UNAVAILABLE);
        }
        let Unread { body, .. } = body;
        if body.size_hint().lower() > self.pages.body_bytes_max() as u64 {
            return self.refuse(Refusal::Long, StatusCode::PAYLOAD_TOO_LARGE);
        }
        let (body, alone) = match timeout(BODY_TIME_MAX, self.read(body)).await {
            Ok(Ok(read)) => read,
            Ok(Err(Refusal::Long)) => {
                return self.refuse(Refusal::Long, StatusCode::PAYLOAD_TOO_LARGE);
            }
            _ => return self.refuse(Refusal::Slow, StatusCode::REQUEST_TIMEOUT),
        };
        let (owed, kept) = oneshot::channel();
        self.gate.offer(Push {
            page,
            bytes: body.len(),
            body,
            peer,
            arrived: self.clock.wall(),
            answer: Answer(Owed::Http(owed)),
        });
        // From here on it is among the bytes that wait at the gate.
        drop(alone);
        match timeout(COMMIT_TIME_MAX, kept).await {
            Ok(Ok(())) => {
                let mut reply = Response::new(Full::from(KEPT));
                reply
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                reply
            }
            // It was counted by whoever dropped it.
            _ => bare(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The whole body, and the place that it has if it is a long one.
    async fn read(
        &self,
        mut body: Incoming,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Refusal> {
        let (mut bytes, mut alone) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refusal::Slow)?.into_data() else {
                continue;
            };
            let length = bytes.len() + data.len();
            if length > self.pages.body_bytes_max() {
                return Err(Refusal::Long);
            }
            if length > BODY_BYTES_MAX && alone.is_none() {
                alone = self.long.acquire().await.ok();
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes, alone))
    }

    fn refuse(&self, why: Refusal, status: StatusCode) -> Reply {
        self.gate.refused(why);
        bare(status)
    }
}

/// The body of a request that may be refused without it.
struct Unread {
    body: Incoming,
    /// Its client waits for a word before it sends the body, and sends none after a refusal.
    is_held_back: bool,
}

impl Unread {
    /// Reads it and forgets it, where it is no longer than bodies are. A connection that is closed before
    /// all of it was read is reset by the system, and its client may never see the answer.
    async fn pass_over(mut self) {
        let is_long = self.body.size_hint().lower() > BODY_BYTES_MAX as u64;
        if self.is_held_back || is_long {
            return;
        }
        let mut left = BODY_BYTES_MAX;
        let whole = async {
            while let Some(Ok(frame)) = self.body.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(bytes) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        let _too_slow = timeout(BODY_TIME_MAX, whole).await;
    }
}

fn bare(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

impl Pages {
    /// Rows make many times their length of events; what is posted to a page does not.
    fn body_bytes_max(&self) -> usize {
        match self.names.is_empty() {
            true => BODY_BYTES_MAX,
            false => PAGE_BYTES_MAX,
        }
    }

    /// The page that `path` names, when there is one.
    fn page(&self, path: &str) -> Option<String> {
        let mut rest = path.split('/').filter(|segment| !segment.is_empty());
        for own in self.path.split('/').filter(|segment| !segment.is_empty()) {
            if rest.next()? != own {
                return None;
            }
        }
        let last = rest.next();
        if rest.next().is_some() {
            return None;
        }
        match last {
            None => self.names.is_empty().then(String::new),
            Some(name) => self.names.iter().find(|known| *known == name).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[track_caller]
    fn check(own: &str, names: &[&str], path: &str, expected: Option<&str>) {
        let pages = Pages {
            path: own.to_string(),
            names: names.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(pages.page(path).as_deref(), expected, "{own} {path}");
    }

    /// A desk for rows at `/`, before the gate.
    fn desk(gate: &Gate, head_time: Duration) -> Arc<Desk> {
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock::new());
        Arc::new(Desk {
            gate: gate.clone(),
            pages: Pages {
                path: "/".to_string(),
                names: Vec::new(),
            },
            bucket: Mutex::new(Bucket::full(1_000, clock.now())),
            clock,
            head_time,
            crowd: Crowd::default(),
            long: Semaphore::new(1),
        })
    }

    #[test]
    fn a_connection_that_rests_after_its_requests_is_no_push_that_was_not_taken() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        const PUSH: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx";
        for (said, refused) in [("", 1), ("POST / HT", 1), (PUSH, 0)] {
            let gate = Gate::new(crate::shutdown::Bell::default());
            let desk = desk(&gate, Duration::from_millis(50));
            let (mut own, theirs) = tokio::io::duplex(4_096);
            let client = async {
                own.write_all(said.as_bytes()).await.unwrap();
                if said == PUSH {
                    let push = loop {
                        match gate.take() {
                            Some(push) => break push,
                            None => tokio::task::yield_now().await,
                        }
                    };
                    push.answer.kept(None);
                }
            };
            let peer = SocketAddr::from(([127, 0, 0, 1], 5060));
            let both = async { tokio::join!(converse(theirs, peer, desk), client) };
            runtime.block_on(both);
            assert_eq!(gate.refusals().slow, refused, "{said:?}");
        }
    }

    #[test]
    fn a_refusal_waits_for_the_body_so_that_the_client_sees_it() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let gate = Gate::new(crate::shutdown::Bell::default());
        gate.close();
        let desk = desk(&gate, HEAD_TIME_MAX);
        let (mut own, theirs) = tokio::io::duplex(4_096);
        let client = async {
            // Many clients send the head first, and the body behind it.
            for path in ["/", "/", "/nowhere"] {
                let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n");
                for part in [&head, "body"] {
                    let sent = own.write_all(part.as_bytes()).await;
                    sent.expect("the connection is there");
                    sleep(Duration::from_millis(20)).await;
                }
            }
            own.shutdown().await.unwrap();
            let mut answers = String::new();
            own.read_to_string(&mut answers).await.unwrap();
            answers
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 5060));
        let both = async { tokio::join!(converse(theirs, peer, desk), client) };
        let ((), answers) = runtime.block_on(both);
        assert_eq!(answers.matches("HTTP/1.1 503").count(), 2, "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 404").count(), 1, "{answers}");
        assert_eq!((gate.refusals().full, gate.refusals().page), (2, 1));
    }

    #[test]
    fn a_page_is_the_last_segment_after_the_path() {
        const NAMES: &[&str] = &["PhoneOnline", "CallStateReport"];
        check("/", NAMES, "/PhoneOnline", Some("PhoneOnline"));
        check("/", NAMES, "//PhoneOnline", Some("PhoneOnline"));
        check(
            "/vos",
            NAMES,
            "/vos/CallStateReport",
            Some("CallStateReport"),
        );
        check("/vos", NAMES, "/CallStateReport", None);
        check("/", NAMES, "/vos/CallStateReport", None);
        check("/", NAMES, "/", None);
        check("/", NAMES, "/PushDtmfInfo", None);
        check("/", NAMES, "/PhoneOnline/more", None);
        check("/events", &[], "/events", Some(""));
        check("/events", &[], "/events/x", None);
        check("/", &[], "/", Some(""));
    }
}
