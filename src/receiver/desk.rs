//! Desk: takes one request, decides what becomes of it, and answers.

use super::account::{Account, Books};
use super::arrival::{self, Answer, Arrival, Entered, Onlooker};
use super::callback::Callback;
use super::content::{Content, Unreadable};
use super::fault::{ConnectionFault, Dice, Fault, FaultKind, REDIRECT_PATH};
use super::misanswer::Misanswer;
use super::verify::{Reject, Verifier};
use crate::clock::Clock;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::fmt;
use std::future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// The path callbacks are taken at.
pub const PATH: &str = "/webhook";

/// Longest body read, in bytes; a longer one is answered 413. One event is below 64 KiB, a batch
/// as the contract allows it below this.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What a sender is answered.
pub type Reply = Response<Full<Bytes>>;

/// The connection is taken from HTTP instead of being answered.
#[derive(Debug)]
pub enum Break {
    /// It is to be reset.
    Reset,
    /// This is to be written to it, with this pause between two bytes of the slow ones.
    Answer(Misanswer, Duration),
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Break::Reset => f.write_str("the connection is to be reset"),
            Break::Answer(kind, _) => write!(f, "the connection is to see {}", kind.name()),
        }
    }
}

impl std::error::Error for Break {}

/// What all connections share.
#[derive(Debug)]
pub struct Desk {
    verifier: Verifier,
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    dice: Mutex<Dice>,
    onlooker: Mutex<Option<Onlooker>>,
    /// Whether there is an onlooker; spares the others an arrival that nobody sees.
    is_watched: AtomicBool,
}

/// What was decided about one request.
struct Verdict<'a> {
    callback: Option<Callback<'a>>,
    entered: Entered,
    ending: Ending,
}

/// How a request ends for its sender.
enum Ending {
    Reply(Reply),
    Hang,
    Reset,
    Answer(Misanswer, Duration),
}

impl Desk {
    /// A desk with empty books and no faults.
    pub fn new(
        verifier: Verifier,
        clock: Arc<dyn Clock>,
        ids_remembered: usize,
        rng: fastrand::Rng,
    ) -> Desk {
        Desk {
            verifier,
            clock,
            books: Mutex::new(Books::new(ids_remembered)),
            dice: Mutex::new(Dice::new(rng)),
            onlooker: Mutex::new(None),
            is_watched: AtomicBool::new(false),
        }
    }

    /// The account as it stands.
    pub fn account(&self) -> Account {
        locked(&self.books).account().clone()
    }

    /// Replaces the faults in force.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        locked(&self.dice).set_faults(faults, self.clock.now());
    }

    /// What strikes a connection that has just been opened, to speak TLS or not; entered.
    pub fn strike_connection(&self, is_tls: bool) -> Option<ConnectionFault> {
        let fault = locked(&self.dice).roll_connection(self.clock.now(), is_tls)?;
        locked(&self.books).fault_of_connection();
        Some(fault)
    }

    /// Shows arrivals in a new channel from now on.
    pub fn watch(&self) -> mpsc::Receiver<Arrival> {
        let (onlooker, arrivals) = arrival::channel();
        *locked(&self.onlooker) = Some(onlooker);
        self.is_watched.store(true, Ordering::Relaxed);
        arrivals
    }

    /// Answers `request`, or does not, as the faults say.
    ///
    /// # Errors
    ///
    /// [`Break`] when the connection is not answered as HTTP is: a fault, or a sender that broke
    /// off.
    pub async fn answer(self: Arc<Desk>, request: Request<Incoming>) -> Result<Reply, Break> {
        let (head, body) = request.into_parts();
        if head.uri.path() != PATH {
            let hint = format!("nothing here; callbacks are taken at {PATH}");
            return Ok(self.refuse_misaddressed(StatusCode::NOT_FOUND, &hint));
        }
        if ![Method::POST, Method::PUT, Method::GET].contains(&head.method) {
            let hint = "callbacks come by POST, PUT or GET";
            let mut reply = self.refuse_misaddressed(StatusCode::METHOD_NOT_ALLOWED, hint);
            reply
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST, PUT, GET"));
            return Ok(reply);
        }
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => match Content::of(&head, body.to_bytes()) {
                Ok(content) => self.take(head.headers, content).await,
                Err(unreadable) => Ok(self.refuse_unreadable(unreadable)),
            },
            Err(error) if error.is::<LengthLimitError>() => {
                let hint = format!("the body is longer than {BODY_BYTES_MAX} bytes");
                Ok(self.refuse_misaddressed(StatusCode::PAYLOAD_TOO_LARGE, &hint))
            }
            Err(_) => Err(Break::Reset),
        }
    }

    fn refuse_misaddressed(&self, status: StatusCode, hint: &str) -> Reply {
        locked(&self.books).refuse_misaddressed();
        error_reply(status, &hint)
    }

    fn refuse_unreadable(&self, unreadable: Unreadable) -> Reply {
        let status = match unreadable {
            Unreadable::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Unreadable::Gzip => StatusCode::BAD_REQUEST,
            Unreadable::Long => StatusCode::PAYLOAD_TOO_LARGE,
        };
        locked(&self.books).refuse_malformed();
        error_reply(status, &unreadable)
    }

    async fn take(&self, headers: HeaderMap, content: Content) -> Result<Reply, Break> {
        let at = self.clock.wall();
        let signature = self.verifier.verify_any(&headers, &content.signed, at);
        let verdict = self.decide(&signature, &content.json).await;
        let ending = verdict.ending;
        if self.is_watched.load(Ordering::Relaxed) {
            let callback = verdict.callback.map(Callback::into_owned);
            self.show(Arrival {
                at,
                signature,
                callback,
                entered: verdict.entered,
                answer: ending.answer(),
                headers,
                body: content.text,
            });
        }
        match ending {
            Ending::Reply(reply) => Ok(reply),
            Ending::Hang => future::pending().await,
            Ending::Reset => Err(Break::Reset),
            Ending::Answer(kind, pause) => Err(Break::Answer(kind, pause)),
        }
    }

    /// Decides about one request and enters it. Faults strike only what would be accepted, so
    /// that they can be set against the account.
    async fn decide<'a>(&self, signature: &Result<(), Reject>, body: &'a [u8]) -> Verdict<'a> {
        if let Err(reject) = signature {
            locked(&self.books).refuse_signature();
            return Verdict::refused(StatusCode::UNAUTHORIZED, reject);
        }
        let callback = match Callback::parse(self.verifier.profile(), body) {
            Ok(callback) => callback,
            Err(malformed) => {
                locked(&self.books).refuse_malformed();
                return Verdict::refused(StatusCode::BAD_REQUEST, &malformed);
            }
        };
        let roll = locked(&self.dice).roll(self.clock.now());
        if !roll.delay.is_zero() {
            locked(&self.books).delay();
            tokio::time::sleep(roll.delay).await;
        }
        let (entered, ending) = self.conclude(roll.ending, &callback);
        Verdict {
            callback: Some(callback),
            entered,
            ending,
        }
    }

    /// Enters a good callback, unless the fault that struck it forbids.
    fn conclude(&self, fault: Option<FaultKind>, callback: &Callback<'_>) -> (Entered, Ending) {
        let mut books = locked(&self.books);
        if let Some(fault) = &fault {
            books.fault(fault);
        }
        let mut accept = || books.accept(&callback.kind, &callback.id);
        match fault {
            Some(FaultKind::Status { code, retry_after }) => {
                let retry_after = retry_after.map(|form| form.text(self.clock.wall()));
                let reply = fault_reply(code, retry_after.map(|text| (RETRY_AFTER, text)));
                (Entered::No, Ending::Reply(reply))
            }
            Some(FaultKind::Redirect(code)) => {
                let reply = fault_reply(code, Some((LOCATION, REDIRECT_PATH.to_string())));
                (Entered::No, Ending::Reply(reply))
            }
            Some(FaultKind::Hang) => (Entered::No, Ending::Hang),
            Some(FaultKind::Reset | FaultKind::Flap(_)) => (Entered::No, Ending::Reset),
            Some(FaultKind::Lost) => (accept(), Ending::Reset),
            Some(FaultKind::Answer(kind, pause)) => {
                let entered = match kind.accepts() {
                    true => accept(),
                    false => Entered::No,
                };
                (entered, Ending::Answer(kind, pause))
            }
            // A delay is over by now, and TLS was good.
            Some(FaultKind::Delay(_) | FaultKind::Tls(_)) | None => {
                let received = Bytes::from_static(br#"{"status":"received"}"#);
                (accept(), Ending::Reply(reply(StatusCode::OK, received)))
            }
        }
    }

    fn show(&self, arrival: Arrival) {
        let mut onlooker = locked(&self.onlooker);
        let Some(sender) = onlooker.as_ref() else {
            return;
        };
        match sender.try_send(arrival) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(_)) => locked(&self.books).skip_arrival(),
            Err(mpsc::TrySendError::Disconnected(_)) => {
                *onlooker = None;
                self.is_watched.store(false, Ordering::Relaxed);
            }
        }
    }
}

impl<'a> Verdict<'a> {
    fn refused(status: StatusCode, why: &dyn fmt::Display) -> Verdict<'a> {
        Verdict {
            callback: None,
            entered: Entered::No,
            ending: Ending::Reply(error_reply(status, why)),
        }
    }
}

impl Ending {
    fn answer(&self) -> Answer {
        match self {
            Ending::Reply(reply) => Answer::Status(reply.status().as_u16()),
            Ending::Hang => Answer::Nothing,
            Ending::Reset => Answer::Reset,
            Ending::Answer(kind, _) => Answer::Misanswer(kind.name()),
        }
    }
}

fn fault_reply(code: u16, header: Option<(HeaderName, String)>) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = error_reply(status, &"a fault, as you asked for");
    if let Some((name, text)) = header
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        reply.headers_mut().insert(name, value);
    }
    reply
}

fn error_reply(status: StatusCode, why: &dyn fmt::Display) -> Reply {
    let body = serde_json::json!({ "error": why.to_string() });
    reply(status, Bytes::from(body.to_string()))
}

fn reply(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
