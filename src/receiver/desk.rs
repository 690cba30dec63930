//! Desk: takes one request, decides what becomes of it, and answers.

use super::account::{Account, Books, Claim};
use super::arrival::{self, Answer, Arrival, Entered, Onlooker};
use super::callback::Callback;
use super::content::{Content, Unreadable};
use super::diagnosis::Diagnosis;
use super::fault::{ConnectionFault, Dice, Fault, FaultKind, REDIRECT_PATH};
use super::misanswer::Misanswer;
use super::page::Page;
use super::relay::{self, Letter, Relay};
use super::saved::SavedRequest;
use super::spool::Spool;
use super::verify::{Judged, Reject, Verifier};
use crate::clock::{Clock, UnixMs};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use std::fmt;
use std::future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Callbacks alone.
    Callbacks,
    /// The page alone.
    Page,
    /// Both.
    Both,
}

/// What all connections share.
#[derive(Debug)]
pub struct Desk {
    verifier: Verifier,
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    dice: Mutex<Dice>,
    onlooker: Mutex<Option<Onlooker>>,
    /// Whether there is an onlooker or a page; spares the others an arrival that nobody sees.
    is_watched: AtomicBool,
    /// Arrivals so far.
    count: AtomicU64,
    /// Whether a callback was believed so far: what a bad signature may mean depends on it.
    has_believed: AtomicBool,
    back: Back,
}

/// What stands behind the desk.
#[derive(Debug, Default)]
pub struct Back {
    /// Where callbacks are written before they are answered.
    pub spool: Option<Spool>,
    /// Who they are handed on to.
    pub relay: Option<Relay>,
    /// Whether the answer is that of the targets.
    pub answers_as_forwarded: bool,
    /// The page that shows them.
    pub page: Option<Arc<Page>>,
}

/// What was decided about one request.
struct Verdict<'a> {
    callbacks: Vec<Callback<'a>>,
    entered: Entered,
    ending: Ending,
    why: Option<String>,
}

/// How a request ends for its sender.
enum Ending {
    Reply(Reply),
    Hang,
    Reset,
    Answer(Misanswer, Duration),
}

/// One request on its way through the desk.
struct Received<'a> {
    number: u64,
    at: UnixMs,
    method: &'a Method,
    target: &'a str,
    headers: &'a HeaderMap,
    /// The body as it was signed; of a GET the address.
    body: &'a Bytes,
    /// What it says, as JSON.
    json: &'a Bytes,
}

/// The ids of one request, held while it is kept. Whatever ends that, a sender that breaks off
/// included, gives them back.
struct Held<'a> {
    books: &'a Mutex<Books>,
    ids: Vec<&'a str>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut books = locked(self.books);
        for id in &self.ids {
            books.release(id);
        }
    }
}

impl Desk {
    /// A desk with `books` and no faults.
    pub fn new(
        verifier: Verifier,
        clock: Arc<dyn Clock>,
        books: Books,
        rng: fastrand::Rng,
        back: Back,
    ) -> Desk {
        Desk {
            verifier,
            clock,
            books: Mutex::new(books),
            dice: Mutex::new(Dice::new(rng)),
            onlooker: Mutex::new(None),
            is_watched: AtomicBool::new(back.page.is_some()),
            count: AtomicU64::new(0),
            has_believed: AtomicBool::new(false),
            back,
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
    pub async fn answer(
        self: Arc<Desk>,
        door: Door,
        request: Request<Incoming>,
    ) -> Result<Reply, Break> {
        let (head, body) = request.into_parts();
        let page = self.back.page.as_ref().filter(|_| door != Door::Callbacks);
        if let Some(reply) = page.and_then(|page| page.answer(&head)) {
            return Ok(reply);
        }
        if head.uri.path() != PATH || door == Door::Page {
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
                Ok(content) => self.take(head, content).await,
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

    async fn take(&self, head: Parts, content: Content) -> Result<Reply, Break> {
        let at = self.clock.wall();
        let (mut headers, method) = (head.headers, head.method);
        let target = head
            .uri
            .path_and_query()
            .map_or(PATH, |target| target.as_str());
        let signed = content.signed_under(self.verifier.urls());
        let empty = Judged {
            headers: &headers,
            method: method.as_str(),
            target,
            body: b"",
        };
        let (body, signature) = self.verifier.choose(&empty, &signed, at);
        let body = body.unwrap_or(&content.text);
        if content.packed.as_ref() != Some(body) {
            // What is kept and handed on is the body that was signed.
            headers.remove(CONTENT_ENCODING);
        }
        let received = Received {
            number: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            at,
            method: &method,
            target,
            headers: &headers,
            body,
            json: &content.json,
        };
        let number = received.number;
        let verdict = self.decide(&signature, &received).await;
        let ending = verdict.ending;
        if self.is_watched.load(Ordering::Relaxed) {
            let has_believed = self.has_believed.load(Ordering::Relaxed);
            let request = Judged {
                headers: &headers,
                method: method.as_str(),
                target,
                body,
            };
            let diagnosis = Diagnosis::of(&self.verifier, &request, at, has_believed);
            let batch = verdict.callbacks.len();
            let first = verdict.callbacks.into_iter().next();
            self.show(Arrival {
                number,
                at,
                signature,
                diagnosis,
                callback: first.map(Callback::into_owned),
                batch,
                why: verdict.why,
                entered: verdict.entered,
                answer: ending.answer(),
                headers: headers.clone(),
                body: content.text.clone(),
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
    async fn decide<'a>(
        &'a self,
        signature: &Result<(), Reject>,
        received: &Received<'a>,
    ) -> Verdict<'a> {
        if let Err(reject) = signature {
            locked(&self.books).refuse_signature();
            return Verdict::refused(StatusCode::UNAUTHORIZED, reject);
        }
        self.has_believed.store(true, Ordering::Relaxed);
        let profile = self.verifier.profile();
        let callbacks = match Callback::of(profile, received.headers, received.json) {
            Ok(callbacks) => callbacks,
            Err(malformed) => {
                locked(&self.books).refuse_malformed();
                let verdict = Verdict::refused(StatusCode::BAD_REQUEST, &malformed);
                return verdict.because(malformed.to_string());
            }
        };
        let roll = locked(&self.dice).roll(self.clock.now(), received.body);
        if !roll.delay.is_zero() {
            locked(&self.books).delay();
            tokio::time::sleep(roll.delay).await;
        }
        let verdict = match roll.ending {
            // A delay is over by now, and TLS was good.
            None | Some(FaultKind::Delay(_) | FaultKind::Tls(_)) => {
                self.conclude(received, &callbacks).await
            }
            Some(fault) => match spoilt(&fault) {
                None => {
                    locked(&self.books).fault(&fault);
                    Verdict::struck(fault, received.at)
                }
                Some(ending) => {
                    let verdict = self.conclude(received, &callbacks).await;
                    if verdict.entered == Entered::No {
                        verdict
                    } else {
                        locked(&self.books).fault(&fault);
                        Verdict { ending, ..verdict }
                    }
                }
            },
        };
        Verdict {
            callbacks,
            ..verdict
        }
    }

    /// Keeps and enters a good request, or refuses it where it cannot be kept.
    ///
    /// What is to be spooled is durable, and what is to be answered for is answered, before the ids
    /// are entered: a crash in between costs a second line in the spool, never a callback.
    async fn conclude(
        &self,
        received: &Received<'_>,
        callbacks: &[Callback<'_>],
    ) -> Verdict<'static> {
        let answers_as_forwarded = self.back.answers_as_forwarded && self.back.relay.is_some();
        let is_to_keep = self.back.spool.is_some() || answers_as_forwarded;
        let held = match self.hold(received, callbacks, is_to_keep) {
            Ok(held) => held,
            Err(Taken) => {
                let why = "its first copy is being kept at this moment".to_string();
                return self.not_kept(StatusCode::SERVICE_UNAVAILABLE, why);
            }
        };
        let mut answer = reply(
            StatusCode::OK,
            Bytes::from_static(br#"{"status":"received"}"#),
        );
        if held.is_some() {
            if let Err(why) = self.spool(received, callbacks).await {
                return self.not_kept(StatusCode::SERVICE_UNAVAILABLE, format!("spool: {why}"));
            }
            if let Some(relay) = self.back.relay.as_ref().filter(|_| answers_as_forwarded) {
                let given = relay.ask(received.letter(callbacks)).await;
                let status = given.status;
                answer = forwarded_reply(given);
                if !status.is_success() {
                    let why = format!("the forward's answer is {}", status.as_u16());
                    let verdict = self.not_kept(status, why);
                    return Verdict {
                        ending: Ending::Reply(answer),
                        ..verdict
                    };
                }
            }
        }
        let names = callbacks
            .iter()
            .map(|callback| (&*callback.kind, &*callback.id));
        let entered = locked(&self.books).accept(names, received.at);
        drop(held);
        if let Some(relay) = &self.back.relay
            && !answers_as_forwarded
            && entered == Entered::New
        {
            relay.send(received.letter(callbacks));
        }
        Verdict {
            callbacks: Vec::new(),
            entered,
            ending: Ending::Reply(answer),
            why: None,
        }
    }

    /// Takes hold of the request's new ids; none when all of them are known, or nothing is to keep.
    fn hold<'a>(
        &'a self,
        received: &Received<'_>,
        callbacks: &'a [Callback<'a>],
        is_to_keep: bool,
    ) -> Result<Option<Held<'a>>, Taken> {
        if !is_to_keep {
            return Ok(None);
        }
        let mut held = Held {
            books: &self.books,
            ids: Vec::new(),
        };
        let mut is_taken = false;
        let mut books = locked(&self.books);
        for callback in callbacks {
            // A batch may tell an event twice.
            if held.ids.contains(&&*callback.id) {
                continue;
            }
            match books.claim(&callback.id, received.at) {
                Claim::Ours => held.ids.push(&callback.id),
                Claim::Taken => is_taken = true,
                Claim::Kept => {}
            }
        }
        drop(books);
        if is_taken {
            return Err(Taken);
        }
        Ok(Some(held).filter(|held| !held.ids.is_empty()))
    }

    async fn spool(
        &self,
        received: &Received<'_>,
        callbacks: &[Callback<'_>],
    ) -> Result<(), String> {
        let Some(spool) = &self.back.spool else {
            return Ok(());
        };
        let ids = callbacks.iter().map(|callback| callback.id.to_string());
        let request = SavedRequest {
            at: Some(received.at),
            ids: ids.collect(),
            method: received.method.to_string(),
            target: received.target.to_string(),
            headers: received.headers.clone(),
            body: received.body.clone(),
        };
        spool.keep(request).await
    }

    fn not_kept(&self, status: StatusCode, why: String) -> Verdict<'static> {
        locked(&self.books).refuse_unkept();
        Verdict::refused(status, &why).because(why)
    }

    fn show(&self, arrival: Arrival) {
        if let Some(page) = &self.back.page {
            locked(&page.history).add(&arrival);
        }
        let mut onlooker = locked(&self.onlooker);
        let Some(sender) = onlooker.as_ref() else {
            return;
        };
        match sender.try_send(arrival) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(_)) => locked(&self.books).skip_arrival(),
            Err(mpsc::TrySendError::Disconnected(_)) => {
                *onlooker = None;
                self.is_watched
                    .store(self.back.page.is_some(), Ordering::Relaxed);
            }
        }
    }
}

/// Another connection is keeping the same id.
struct Taken;

impl Received<'_> {
    fn letter(&self, callbacks: &[Callback<'_>]) -> Letter {
        let first = callbacks.first().map(|callback| callback.id.to_string());
        Letter {
            number: self.number,
            id: first.unwrap_or_default(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }
}

impl Verdict<'_> {
    fn refused(status: StatusCode, why: &dyn fmt::Display) -> Verdict<'static> {
        Verdict {
            callbacks: Vec::new(),
            entered: Entered::No,
            ending: Ending::Reply(error_reply(status, why)),
            why: None,
        }
    }

    /// What a fault makes of a request that is not accepted.
    fn struck(fault: FaultKind, at: UnixMs) -> Verdict<'static> {
        let ending = match fault {
            FaultKind::Status { code, retry_after } => {
                let retry_after = retry_after.map(|form| (RETRY_AFTER, form.text(at)));
                Ending::Reply(fault_reply(code, retry_after))
            }
            FaultKind::Redirect(code) => {
                let location = (LOCATION, REDIRECT_PATH.to_string());
                Ending::Reply(fault_reply(code, Some(location)))
            }
            FaultKind::Poison(_) => Ending::Reply(fault_reply(400, None)),
            FaultKind::TooLong(_) => Ending::Reply(fault_reply(413, None)),
            FaultKind::Answer(kind, pause) => Ending::Answer(kind, pause),
            FaultKind::Hang => Ending::Hang,
            FaultKind::Reset | FaultKind::Flap(_) => Ending::Reset,
            // These do not come here: they strike what is accepted, or what is no request yet.
            FaultKind::Lost | FaultKind::Delay(_) | FaultKind::Tls(_) => Ending::Reset,
        };
        Verdict {
            callbacks: Vec::new(),
            entered: Entered::No,
            ending,
            why: Some("a fault, as you asked for".to_string()),
        }
    }

    fn because(self, why: String) -> Self {
        Verdict {
            why: Some(why),
            ..self
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

/// How a fault ends a request that is accepted all the same; none where it is not.
fn spoilt(fault: &FaultKind) -> Option<Ending> {
    match fault {
        FaultKind::Lost => Some(Ending::Reset),
        FaultKind::Answer(kind, pause) if kind.accepts() => Some(Ending::Answer(*kind, *pause)),
        _ => None,
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

/// The targets' answer, with the type they gave it.
fn forwarded_reply(given: relay::Reply) -> Reply {
    let mut answer = reply(given.status, given.body);
    if let Some(kind) = given.content_type {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    answer
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
