//! Relay: hands accepted callbacks on to programs on this machine, with the body and the headers as
//! they came, so that their own verification is tried too.
//!
//! One task per target sends one callback after another; a target that is slow holds up nobody else.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

/// Most targets: each has a task and a queue.
pub const TARGETS_MAX: usize = 8;

/// Most callbacks that wait for one target; further ones are left out for it, and told. At 1 KiB
/// each this is 1 MB a target.
pub const RELAY_WAITING_MAX: usize = 1_000;

/// Longest time one callback may take at a target: the longest that a profile gives a receiver.
pub const RELAY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long what is queued may still take once the relay is to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Most bytes of a target's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Most results that wait to be shown.
const RESULTS_WAITING_MAX: usize = 10_000;

/// Where callbacks are handed on to: `http://HOST:PORT/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let what = "write a local address, like http://127.0.0.1:3000/webhook";
        let uri: Uri = text.parse().map_err(|error| format!("{error}; {what}"))?;
        let host = uri.host().ok_or(what)?.trim_matches(['[', ']']).to_string();
        if uri.scheme_str() != Some("http") {
            return Err(format!("only http:// is forwarded to; {what}"));
        }
        let port = uri.port_u16().unwrap_or(80);
        Ok(Target { uri, host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// What a target answered to one callback.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// The number of the arrival.
    pub number: u64,
    /// The id of its first callback.
    pub id: String,
    /// The target's address.
    pub target: String,
    /// Its status, or why there is none.
    pub outcome: Result<u16, String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a target answered, to be handed back to the sender.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body's type.
    pub content_type: Option<HeaderValue>,
    /// The body, at most 64 KiB.
    pub body: Bytes,
}

/// A callback on its way to every target.
#[derive(Debug)]
pub struct Letter {
    /// The number of the arrival.
    pub number: u64,
    /// The id of its first callback.
    pub id: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its raw body.
    pub body: Bytes,
}

/// What is told of every result.
pub type Tell = Box<dyn Fn(Relayed) + Send + Sync>;

#[derive(Debug)]
struct Job {
    letter: Arc<Letter>,
    answer: Option<oneshot::Sender<Reply>>,
}

/// The thread that hands callbacks on.
#[derive(Debug)]
pub struct Relay {
    targets: Vec<(Target, mpsc::Sender<Job>)>,
    tell: Teller,
    /// None only while it is being dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shares [`Tell`] among the tasks.
#[derive(Clone)]
struct Teller(Arc<Tell>);

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

/// A channel for results, for whoever prints them.
pub fn channel() -> (std_mpsc::SyncSender<Relayed>, std_mpsc::Receiver<Relayed>) {
    std_mpsc::sync_channel(RESULTS_WAITING_MAX)
}

impl Relay {
    /// Starts a task for each of the first [`TARGETS_MAX`] targets.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(targets: &[Target], tell: Tell) -> io::Result<Relay> {
        let tell = Teller(Arc::new(tell));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut queues = Vec::new();
        let mut tasks = Vec::new();
        for target in targets.iter().take(TARGETS_MAX) {
            let (sender, jobs) = mpsc::channel(RELAY_WAITING_MAX);
            queues.push((target.clone(), sender));
            tasks.push(serve(target.clone(), jobs, tell.clone()));
        }
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
                let all = async {
                    for task in running {
                        let _panicked = task.await;
                    }
                };
                let too_long = async {
                    let _dropped = stopped.await;
                    time::sleep(STOP_GRACE).await;
                };
                tokio::select! {
                    () = all => {}
                    () = too_long => {}
                }
            });
        };
        let thread = thread::Builder::new()
            .name("relay".to_string())
            .spawn(work)?;
        Ok(Relay {
            targets: queues,
            tell,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Hands `letter` on to every target, and waits for none.
    pub fn send(&self, letter: Letter) {
        let letter = Arc::new(letter);
        for (target, queue) in &self.targets {
            self.queue(target, queue, &letter, None);
        }
    }

    /// Hands `letter` on to every target and waits for all: the first answer that is not a 2xx, or
    /// the last of them. A target that does not answer counts as 502.
    pub async fn ask(&self, letter: Letter) -> Reply {
        let letter = Arc::new(letter);
        let mut answers = Vec::new();
        for (target, queue) in &self.targets {
            let (sender, answer) = oneshot::channel();
            self.queue(target, queue, &letter, Some(sender));
            answers.push((target, answer));
        }
        let mut last = Reply::of(StatusCode::OK, String::new());
        for (target, answer) in answers {
            let silence = || {
                let why = format!("{target} gave no answer");
                Reply::of(StatusCode::BAD_GATEWAY, why)
            };
            last = answer.await.unwrap_or_else(|_| silence());
            if !last.status.is_success() {
                break;
            }
        }
        last
    }

    fn queue(
        &self,
        target: &Target,
        queue: &mpsc::Sender<Job>,
        letter: &Arc<Letter>,
        answer: Option<oneshot::Sender<Reply>>,
    ) {
        let job = Job {
            letter: Arc::clone(letter),
            answer,
        };
        if queue.try_send(job).is_err() {
            (self.tell.0)(Relayed {
                number: letter.number,
                id: letter.id.clone(),
                target: target.to_string(),
                outcome: Err(format!(
                    "not forwarded: {RELAY_WAITING_MAX} callbacks wait for it already"
                )),
                elapsed: Duration::ZERO,
            });
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The tasks end with their queues, or when the grace is over.
        self.targets.clear();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Reply {
    fn of(status: StatusCode, error: String) -> Reply {
        let body = serde_json::json!({ "error": error }).to_string();
        Reply {
            status,
            content_type: Some(HeaderValue::from_static("application/json")),
            body: body.into(),
        }
    }
}

async fn serve(target: Target, mut jobs: mpsc::Receiver<Job>, tell: Teller) {
    while let Some(job) = jobs.recv().await {
        let began = Instant::now();
        let sent = time::timeout(RELAY_TIMEOUT, send(&target, &job.letter)).await;
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", RELAY_TIMEOUT.as_secs())),
        };
        (tell.0)(Relayed {
            number: job.letter.number,
            id: job.letter.id.clone(),
            target: target.to_string(),
            outcome: outcome
                .as_ref()
                .map(|reply| reply.status.as_u16())
                .map_err(Clone::clone),
            elapsed: began.elapsed(),
        });
        if let Some(answer) = job.answer {
            let bad = |why: String| {
                Reply::of(
                    StatusCode::BAD_GATEWAY,
                    format!("forward to {target}: {why}"),
                )
            };
            // The sender may have gone meanwhile.
            let _gone = answer.send(outcome.unwrap_or_else(bad));
        }
    }
}

/// Sends one callback over a connection of its own.
async fn send(target: &Target, letter: &Letter) -> Result<Reply, String> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
    let stream = stream.map_err(|error| format!("no connection: {error}"))?;
    let spoken = |error: hyper::Error| format!("no HTTP answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(spoken)?;
    let connection = tokio::spawn(connection);
    let sent = sender.send_request(request(target, letter)?).await;
    let answer = sent.map_err(spoken)?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    Ok(Reply {
        status: head.status,
        content_type: head.headers.get(CONTENT_TYPE).cloned(),
        // An answer that is too long or breaks off is an answer all the same.
        body: body.map(|body| body.to_bytes()).unwrap_or_default(),
    })
}

fn request(target: &Target, letter: &Letter) -> Result<Request<Full<Bytes>>, String> {
    let path = target
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .body(Full::new(letter.body.clone()))
        .map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    *headers = letter.headers.clone();
    // They belong to the connection the callback came by, not to the callback.
    for name in [
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
    let host = target.uri.authority().map(|authority| authority.as_str());
    let host = HeaderValue::from_str(host.unwrap_or_default());
    headers.insert(HOST, host.map_err(|error| error.to_string())?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_plain_address() {
        let target: Target = "http://localhost:3000/webhook?x=1".parse().unwrap();
        assert_eq!((target.host.as_str(), target.port), ("localhost", 3000));
        let six: Target = "http://[::1]/".parse().unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 80));
        for wrong in ["https://a.example/", "3000", "/x", ""] {
            let error = wrong.parse::<Target>().unwrap_err();
            assert!(
                error.contains("like http://127.0.0.1:3000"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn what_belongs_to_the_connection_is_not_handed_on() {
        let target: Target = "http://127.0.0.1:3000/hook".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "receiver:8080"),
            ("transfer-encoding", "chunked"),
            ("content-type", "application/json"),
            ("x-vos3000-signature", "60df"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let letter = Letter {
            number: 1,
            id: "evt_1".to_string(),
            headers,
            body: Bytes::from_static(b"{}"),
        };
        let request = request(&target, &letter).unwrap();
        assert_eq!(request.uri().path(), "/hook");
        assert_eq!(request.headers()["host"], "127.0.0.1:3000");
        assert_eq!(request.headers()["x-vos3000-signature"], "60df");
        assert!(!request.headers().contains_key("transfer-encoding"));
    }

    #[test]
    fn a_target_that_does_not_listen_is_told_and_answered_for() {
        let (results, told) = channel();
        let targets = ["http://127.0.0.1:1/".parse().unwrap()];
        let tell: Tell = Box::new(move |relayed| drop(results.try_send(relayed)));
        let relay = Relay::start(&targets, tell).unwrap();
        let letter = || Letter {
            number: 7,
            id: "evt_7".to_string(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        relay.send(letter());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let reply = runtime.block_on(relay.ask(letter()));
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
        drop(relay);
        let results: Vec<Relayed> = told.iter().collect();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0].number, 7);
        let error = results[0].outcome.as_ref().unwrap_err();
        assert!(error.starts_with("no connection"), "{error}");
    }
}
