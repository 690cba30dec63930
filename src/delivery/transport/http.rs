//! HttpTransport: requests of one endpoint over HTTP/1.1 with keep-alive.
//!
//! The client sends a request once, whatever happens: it has no retry of its own. So there is
//! no hidden second send. What an idle connection can do about having been cut meanwhile:
//!
//! * One the other side has closed is seen when it is taken out again (`Wire::is_open`), and a
//!   new one is dialled before anything is sent. This is the quiet reconnect.
//! * One that a firewall forgot cannot be seen; the endpoint's `idle_timeout` closes it before it
//!   is used again. Where that is too late, one attempt is lost to it, and no other idle connection is
//!   used after that ([`Trust`](super::trust::Trust)). Nobody looks at idle connections in between: one is closed when its agent is
//!   taken again, and those of agents that are not stay open until the other side closes them.
//! * In the moment between, the request is lost and the attempt comes back as
//!   [`TroubleClass::Closed`]. Whether the receiver has it, nobody can know, so the attempt is
//!   counted and the event goes out again with the same id, as any other.

use super::dial::{Carried, Dialler, ResolvesLater, carried};
use super::head::Head;
use super::journal::Journal;
use super::limits::SLACK;
use super::names::{LookUp, SystemLookUp};
use super::{
    ANSWER_BODY_BYTES_MAX, ANSWER_HEADER_BYTES_MAX, ANSWER_START_BYTES, Answer, Phase, Response,
    TlsError, Transport, Trouble, TroubleClass, tls, tunnel,
};
use crate::clock::{Clock, UnixMs};
use crate::delivery::endpoint::Endpoint;
use crate::delivery::link::Proxy;
use crate::delivery::packing;
use crate::delivery::request::SignedRequest;
use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ureq::http::{self, HeaderMap, Method, Uri};
use ureq::{Agent, Body};

/// Time for an answer's body once its headers are there. The outcome is known by then; a body
/// that takes longer costs its connection, not the attempt's whole time.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

const PROXY_AUTHORIZATION: &str = "Proxy-Authorization";

/// Longest header value that is kept of an answer, in bytes.
const KEPT_HEADER_BYTES_MAX: usize = 256;

/// Sends the requests of one endpoint.
///
/// A connection belongs to an agent of the client of its own, and agents are taken from a stack:
/// the client's own pool looks at every idle connection, twice per request and under one lock.
#[derive(Debug)]
pub struct HttpTransport {
    config: ureq::config::Config,
    dialler: Dialler,
    clock: Arc<dyn Clock>,
    /// The endpoint's own address, parsed once.
    home: Uri,
    /// The proxy that each request goes to, where it is no tunnel.
    proxy: Option<Proxy>,
    agents: Mutex<Agents>,
    /// Where phases are written down, when somebody wants to know.
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Agents {
    /// Those not sending, the one used last on top, each with the header lines of what it sends.
    /// At most as many as the endpoint's concurrency.
    idle: Vec<(Agent, Head)>,
    /// All of them.
    all: Vec<Agent>,
    is_abandoned: bool,
}

impl HttpTransport {
    /// A transport for `endpoint`. Nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the endpoint's extra certificates cannot be used.
    pub fn new(endpoint: &Endpoint, clock: Arc<dyn Clock>) -> Result<HttpTransport, TlsError> {
        HttpTransport::build(endpoint, clock, None, Arc::new(SystemLookUp))
    }

    /// A transport for a single attempt, whose phases are written down in `journal`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the endpoint's extra certificates cannot be used.
    pub fn recording(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        journal: Journal,
    ) -> Result<HttpTransport, TlsError> {
        HttpTransport::build(endpoint, clock, Some(journal), Arc::new(SystemLookUp))
    }

    /// A transport that finds addresses by `look_up` instead of asking the system.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the endpoint's certificates cannot be used.
    pub fn looking_up_by(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        look_up: Arc<dyn LookUp>,
    ) -> Result<HttpTransport, TlsError> {
        HttpTransport::build(endpoint, clock, None, look_up)
    }

    fn build(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        journal: Option<Journal>,
        look_up: Arc<dyn LookUp>,
    ) -> Result<HttpTransport, TlsError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .accept("")
            .accept_encoding("")
            .user_agent("")
            .timeout_global(Some(endpoint.timeout + SLACK))
            .timeout_recv_body(Some(BODY_TIMEOUT + SLACK))
            .max_response_header_size(ANSWER_HEADER_BYTES_MAX)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(endpoint.idle_timeout)
            .build();
        let dialler = Dialler::new(endpoint, Arc::clone(&clock), journal.clone(), look_up)?;
        let home = endpoint
            .url
            .as_str()
            .parse()
            .expect("a checked url is a uri");
        Ok(HttpTransport {
            config,
            dialler,
            clock,
            home,
            // Over TLS the proxy was asked by then, and must not be told the receiver's headers.
            proxy: endpoint
                .link
                .proxy
                .clone()
                .filter(|_| !endpoint.url.is_tls()),
            agents: Mutex::default(),
            journal,
        })
    }

    fn exchange(
        &self,
        agent: &Agent,
        head: &Head,
        request: &SignedRequest<'_>,
    ) -> Result<Response, ureq::Error> {
        let mut outgoing = http::Request::new(());
        *outgoing.uri_mut() = match &request.url {
            None => self.home.clone(),
            Some(url) => url
                .parse::<Uri>()
                .map_err(|error| cannot_be_sent(url, &error))?,
        };
        *outgoing.method_mut() = match request.method {
            packing::Method::Post => Method::POST,
            packing::Method::Put => Method::PUT,
            packing::Method::Get => Method::GET,
        };
        let authorization = self.proxy.as_ref().and_then(Proxy::authorization);
        let authorization = authorization
            .as_deref()
            .map(|value| (PROXY_AUTHORIZATION, value));
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| (*name, Cow::as_ref(value)));
        // The proxy's login takes the place of one the operator wrote.
        let is_sent = |(name, _): &(&str, &str)| {
            authorization.is_none() || !name.eq_ignore_ascii_case(PROXY_AUTHORIZATION)
        };
        head.set(headers.filter(is_sent).chain(authorization))?;
        let started = self.journal.as_ref().map(|_| self.clock.now());
        let incoming = match request.method {
            packing::Method::Get => agent.run(outgoing)?,
            _ => agent.run(outgoing.map(|()| &*request.body))?,
        };
        if let (Some(journal), Some(started)) = (&self.journal, started) {
            let elapsed = self.clock.now().since(started);
            journal.note(|phases| phases.answered = Some(elapsed));
        }
        let (answered, body) = incoming.into_parts();
        if let Some(proxy) = &self.proxy
            && answered.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            // The event is not to blame: it never came to its receiver.
            return Err(carried(tunnel::wants_login(proxy)));
        }
        let (body_start, body_read) = read_start(body);
        Ok(Response {
            status: answered.status.as_u16(),
            retry_after: kept(&answered.headers, "retry-after"),
            date: kept(&answered.headers, "date"),
            location_host: kept(&answered.headers, "location")
                .and_then(|location| host_of(&location)),
            body_start,
            body_read,
            elapsed: Duration::ZERO,
        })
    }

    fn take_agent(&self) -> Option<(Agent, Head)> {
        let mut agents = self.agents();
        if agents.is_abandoned {
            return None;
        }
        Some(agents.idle.pop().unwrap_or_else(|| {
            let head = Head::default();
            let dialler = self.dialler.with_head(&head);
            let agent = Agent::with_parts(self.config.clone(), dialler, ResolvesLater);
            agents.all.push(agent.clone());
            (agent, head)
        }))
    }

    fn agents(&self) -> MutexGuard<'_, Agents> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &SignedRequest<'_>) -> Answer {
        let started = self.clock.now();
        let Some((agent, head)) = self.take_agent() else {
            let text = "stopping".to_string();
            return Answer::Trouble(Trouble {
                class: TroubleClass::Closed,
                text,
                elapsed: Duration::ZERO,
            });
        };
        let result = self.exchange(&agent, &head, request);
        self.agents().idle.push((agent, head));
        let elapsed = self.clock.now().since(started);
        match result {
            Ok(response) => Answer::Status(Response {
                elapsed,
                ..response
            }),
            Err(error) => Answer::Trouble(Trouble {
                elapsed,
                ..trouble(error)
            }),
        }
    }

    fn valid_until(&self) -> Option<UnixMs> {
        self.dialler.valid_until()
    }

    fn abandon(&self) {
        let all = {
            let mut agents = self.agents();
            agents.is_abandoned = true;
            agents.idle.clear();
            std::mem::take(&mut agents.all)
        };
        all.into_iter().for_each(Agent::shutdown);
    }
}

/// Of a `GET` the event is in the address, and there is an end to the length of one.
fn cannot_be_sent(url: &str, error: &dyn std::fmt::Display) -> ureq::Error {
    let length = url.len();
    carried(Trouble {
        class: TroubleClass::Request,
        text: format!("an address of {length} bytes cannot be sent: {error}"),
        elapsed: Duration::ZERO,
    })
}

fn kept(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= KEPT_HEADER_BYTES_MAX).then(|| text.to_string())
}

fn host_of(location: &str) -> Option<String> {
    location.parse::<Uri>().ok()?.host().map(str::to_string)
}

/// Reads the body to its end, if that comes within [`ANSWER_BODY_BYTES_MAX`], so that the
/// connection can be used again; else, or when it breaks off, dropping it closes the connection.
/// The outcome does not depend on it.
fn read_start(mut body: Body) -> (Vec<u8>, usize) {
    let mut reader = body.as_reader();
    let mut start = Vec::new();
    let mut chunk = [0; ANSWER_START_BYTES];
    let mut total = 0;
    while total < ANSWER_BODY_BYTES_MAX {
        let most = (ANSWER_BODY_BYTES_MAX - total).min(chunk.len());
        let amount = match reader.read(chunk.get_mut(..most).unwrap_or_default()) {
            Ok(amount) if amount > 0 => amount,
            _ => break,
        };
        total += amount;
        let room = (ANSWER_START_BYTES - start.len()).min(amount);
        start.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    (start, total)
}

fn trouble(error: ureq::Error) -> Trouble {
    let (class, text) = match error {
        ureq::Error::Other(inside) => match inside.downcast::<Carried>() {
            Ok(carried) => return carried.0,
            Err(other) => (TroubleClass::Protocol, other.to_string()),
        },
        // The machine stood still for longer than the slack.
        ureq::Error::Timeout(_) => (TroubleClass::Timeout(Phase::Answer), String::new()),
        ureq::Error::Io(error) => match error.kind() {
            _ if tls::is_of_tls(&error) => (TroubleClass::Tls, tls::explained_io(&error)),
            io::ErrorKind::InvalidData => (TroubleClass::Protocol, error.to_string()),
            io::ErrorKind::UnexpectedEof => {
                (TroubleClass::Closed, "no whole answer came".to_string())
            }
            _ => (TroubleClass::Closed, error.to_string()),
        },
        // The client would say "protocol" once more.
        ureq::Error::Protocol(error) => (TroubleClass::Protocol, error.to_string()),
        error => (TroubleClass::Protocol, error.to_string()),
    };
    Trouble {
        class,
        text,
        elapsed: Duration::ZERO,
    }
}
