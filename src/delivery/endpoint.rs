//! Endpoint: an address with its secret, its customs and its limits, ready to use.
//!
//! The configuration builds it with [`Endpoint::new`], which fills in what the profile takes for
//! granted, and then changes only what the operator wrote.

use super::agent_headers::AgentHeaders;
use super::alert::AlertRoutes;
use super::batch::Batch;
use super::concurrency::Concurrency;
use super::link::Link;
use super::memory::Share;
use super::order::{OnRefused, Order};
use super::outcome::SuccessRule;
use super::packing::Packing;
use super::profile::{Body, Profile, Redaction};
use super::rate::RateLimit;
use super::retry::RetrySchedule;
use super::route::Route;
use super::signer::{Secret, SignatureScheme};
use super::url::Url;
use crate::queue::Queued;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Time to connect, and as much again to find the address and to shake hands, unless configured.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection may be used again, unless configured.
///
/// Below the 75 s after which nginx closes one, and far below the 5 to 60 minutes of common
/// firewalls, so that a connection is rarely found dead by a request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time between two probes of a failing endpoint, unless configured. Half of the 10 s
/// within which a fresh row must arrive after a fault has ended.
pub const PROBE_MAX: Duration = Duration::from_secs(5);

/// Longest pause an endpoint may ask for with `Retry-After`, unless configured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Age at which an event is given up while its endpoint is failing, unless configured: a long
/// weekend.
pub const MAX_AGE: Duration = Duration::from_secs(72 * 60 * 60);

/// Types of events that go out before what waits, unless configured: those for which the queue
/// keeps room when it is full, and which are of no use hours later.
pub const PRIORITY: [&str; 2] = ["alarm", "balance_alert"];

/// An address with its secret, its customs and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in configuration, queue and log. Unique.
    pub name: Arc<str>,
    /// Where requests go.
    pub url: Url,
    /// Where they go while that is failing, in this order: at most
    /// [`FALLBACKS_MAX`](super::fallback::FALLBACKS_MAX).
    pub fallback_urls: Vec<Url>,
    /// Whose customs it has where the configuration says nothing else.
    pub profile: Profile,
    /// The shape of the body.
    pub body: Body,
    /// How requests carry it.
    pub packing: Packing,
    /// Which events it is told.
    pub events: EventFilter,
    /// Which of these are for it.
    pub route: Route,
    /// What of them it is not told.
    pub redaction: Redaction,
    /// How requests are signed.
    pub signature: SignatureScheme,
    /// The key in force; without one requests go out unsigned.
    pub secret: Option<Secret>,
    /// The key before it, while it is being rotated: both signatures are sent.
    pub previous_secret: Option<Secret>,
    /// Which answers mean that the event arrived.
    pub success: SuccessRule,
    /// Time for one attempt, connection included.
    pub timeout: Duration,
    /// Time to connect; also to find the address and to shake hands, each, unless `link` has its
    /// own for them.
    pub connect_timeout: Duration,
    /// How connections are made beyond that.
    pub link: Link,
    /// How long an idle connection may be used again.
    pub idle_timeout: Duration,
    /// When an event is tried again, and how often.
    pub retries: RetrySchedule,
    /// Longest time between two probes while the endpoint is failing.
    pub probe_max: Duration,
    /// Longest pause it may ask for with `Retry-After`.
    pub retry_after_max: Duration,
    /// Attempts under way at once.
    pub concurrency: Concurrency,
    /// Requests in a stretch of time, at most.
    pub rate_max: Option<RateLimit>,
    /// Age at which an event is given up while the endpoint is failing.
    pub max_age: Duration,
    /// What is told of the endpoint, and what it is told of others.
    pub alerts: AlertRoutes,
    /// Headers of its own, after those of the agent.
    pub headers: Vec<OwnHeader>,
    /// The headers by which requests say what the agent knows: `X-Switchhook-Id` and its like.
    pub agent_headers: AgentHeaders,
    /// Certificates trusted beside the built-in roots, each in DER.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether a host name may lead to a private, loopback or link-local address.
    pub allow_private: bool,
    /// Memory for its events.
    pub memory: Share,
    /// In which order it is told events.
    pub order: Order,
    /// What becomes of the events behind one that is refused, where there is an order.
    pub on_refused: OnRefused,
    /// How events are put together; none where each has a request of its own.
    pub batch: Option<Batch>,
    /// Types of events that go out before what waits.
    pub priority: Vec<Box<str>>,
}

impl Endpoint {
    /// An endpoint as its profile has it: all events, no secret, no headers of its own.
    pub fn new(name: &str, url: Url, profile: Profile) -> Endpoint {
        let defaults = profile.defaults();
        Endpoint {
            name: name.into(),
            url,
            fallback_urls: Vec::new(),
            profile,
            body: Body::Of(profile),
            packing: Packing::default(),
            events: EventFilter::All,
            route: Route::default(),
            redaction: Redaction::default(),
            signature: defaults.signature,
            secret: None,
            previous_secret: None,
            success: defaults.success,
            timeout: defaults.timeout,
            connect_timeout: CONNECT_TIMEOUT,
            link: Link::default(),
            idle_timeout: IDLE_TIMEOUT,
            retries: RetrySchedule::new(
                defaults.attempts,
                defaults.backoff_initial,
                defaults.backoff_max,
            ),
            probe_max: PROBE_MAX,
            retry_after_max: RETRY_AFTER_MAX,
            concurrency: Concurrency::default(),
            rate_max: None,
            max_age: MAX_AGE,
            alerts: AlertRoutes::default(),
            headers: Vec::new(),
            agent_headers: AgentHeaders::default(),
            extra_roots: Vec::new(),
            allow_private: false,
            memory: Share::default(),
            order: Order::None,
            on_refused: OnRefused::default(),
            batch: None,
            priority: PRIORITY.map(Box::from).to_vec(),
        }
    }

    /// Appends the body it gets for `queued` to `body`. The one way to a body: what is masked or
    /// left out is so before anything is made of the event.
    pub fn render(&self, queued: &Queued, body: &mut Vec<u8>) {
        self.body.render(&self.redaction.of(queued), body);
    }
}

/// Which events an endpoint is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    /// Every one.
    All,
    /// Those of these kinds.
    Kinds(Vec<Box<str>>),
}

impl EventFilter {
    /// Whether an event of `kind` passes.
    pub fn wants(&self, kind: &str) -> bool {
        match self {
            EventFilter::All => true,
            EventFilter::Kinds(kinds) => kinds.iter().any(|wanted| **wanted == *kind),
        }
    }
}

/// A header the operator gave an endpoint: it cannot break out of its line.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnHeader {
    name: String,
    value: String,
    is_secret: bool,
}

impl OwnHeader {
    /// Checks a header's name and value.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] says what cannot be sent, or belongs to the agent.
    pub fn new(name: &str, value: &str) -> Result<OwnHeader, HeaderError> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HeaderError::Name);
        }
        if RESERVED_HEADERS
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
        {
            return Err(HeaderError::Reserved);
        }
        if !value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        {
            return Err(HeaderError::Value);
        }
        Ok(OwnHeader {
            name: name.to_string(),
            value: value.to_string(),
            is_secret: false,
        })
    }

    /// The same, whose value is a secret whatever it looks like: from a file of its own, or a login.
    #[must_use]
    pub fn secret(self) -> OwnHeader {
        OwnHeader {
            is_secret: true,
            ..self
        }
    }

    /// Whether the value is known to be a secret; one written in the clear may be one all the same.
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Its name, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value: printable ASCII, spaces and tabs.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// The value may be a password: only the name is shown.
impl fmt::Debug for OwnHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ..", self.name)
    }
}

/// Headers that say where the body ends or belong to the connection: with a second opinion
/// about them, a receiver and the proxy before it could read two different requests.
const RESERVED_HEADERS: [&str; 7] = [
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Expect",
    "Host",
    "Transfer-Encoding",
    "Upgrade",
];

/// Why a header cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// The name is empty or has a character no header name may have.
    Name,
    /// The name is one the agent sets itself.
    Reserved,
    /// The value has a line end, another control character, or is not ASCII.
    Value,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a header name has letters, digits and dashes only",
            Self::Reserved => "this header is set by the agent itself",
            Self::Value => "a header value has printable ascii only, and no line end",
        })
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_passes_what_it_names_and_all_passes_everything() {
        let some = EventFilter::Kinds(vec!["cdr".into(), "alarm".into()]);
        assert!(some.wants("alarm") && !some.wants("cdr2") && EventFilter::All.wants("x"));
    }

    #[track_caller]
    fn check(name: &str, value: &str, expected: Result<(), HeaderError>) {
        assert_eq!(
            OwnHeader::new(name, value).map(|_| ()),
            expected,
            "{name}: {value:?}"
        );
    }

    #[test]
    fn a_header_cannot_break_out_of_its_line() {
        check("X-Token", "a b\tc~", Ok(()));
        check("X-Token", "a\r\nHost: evil", Err(HeaderError::Value));
        check("X-Token", "caf\u{e9}", Err(HeaderError::Value));
        check("X Token", "a", Err(HeaderError::Name));
        check("X:Token", "a", Err(HeaderError::Name));
        check("", "a", Err(HeaderError::Name));
        check("content-length", "0", Err(HeaderError::Reserved));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let url = Url::parse("https://api.example.com/hook?token=hush").unwrap();
        let mut endpoint = Endpoint::new("billing", url, Profile::Vos3000);
        endpoint.secret = Some(Secret::parse("hush").unwrap());
        endpoint.headers = vec![OwnHeader::new("Authorization", "Bearer hush").unwrap()];
        assert!(!format!("{endpoint:?}").contains("hush"), "{endpoint:?}");
    }
}
