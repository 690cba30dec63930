//! Verify: whether a callback comes from who holds the secret, judged over its raw bytes.
//!
//! What a scheme signs and how it is written comes from the table the agent signs by
//! ([`SignatureScheme`]), so that whatever an endpoint can be told to send is understood here; the
//! tests of that table are the published vectors and the libraries of others. The body is not parsed:
//! a signature is checked over the bytes that came, before anybody looks into them.

use crate::clock::UnixMs;
use crate::delivery::signer::{self, Encoding, Message, Part, Secret, SignatureScheme, Signer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::HOST;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How far a signed timestamp may be from our clock, either way: five minutes, as in the libraries of
/// the Standard Webhooks specification.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Most secrets a verifier takes: a developer's receiver stands for a few endpoints at once, each with
/// the secret in force and the one before. Every one costs a hash of the body of a bad request.
pub const SECRETS_MAX: usize = 8;

/// What a body looks like, and how it is signed unless something else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The event in `data`, signed as Standard Webhooks 1.0.0.
    Standard,
    /// The VOS3000 webhook guide.
    Vos3000,
    /// The Vobiz webhook guides.
    Vobiz,
    /// CloudEvents, signed as [`Standard`](Profile::Standard).
    CloudEvents,
    /// The VoIPBIN webhook guide.
    Voipbin,
    /// A body of the operator's own, which nothing is known of: its id is that of a header.
    Custom,
}

impl Profile {
    /// The name of the profile that nothing is known of.
    pub(super) const CUSTOM: &'static str = "custom";

    /// How it signs; `custom` has no way of its own.
    fn scheme(self) -> Option<SignatureScheme> {
        match self {
            Self::Standard | Self::CloudEvents => Some(SignatureScheme::standard()),
            Self::Vos3000 => Some(SignatureScheme::vos3000()),
            Self::Vobiz => Some(SignatureScheme::vobiz()),
            Self::Voipbin => Some(SignatureScheme::voipbin()),
            Self::Custom => None,
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Profile, String> {
        match name {
            "standard" => Ok(Profile::Standard),
            "cloudevents" => Ok(Profile::CloudEvents),
            "vos3000" => Ok(Profile::Vos3000),
            "vobiz" | "vobiz-voice" => Ok(Profile::Vobiz),
            "voipbin" => Ok(Profile::Voipbin),
            Profile::CUSTOM => Ok(Profile::Custom),
            _ if SignatureScheme::named(name).is_some() => Err(format!(
                "{name} is no profile, but a way to sign; say --scheme {name}"
            )),
            _ => Err(format!(
                "no profile {name:?} here; write standard, cloudevents, vos3000, vobiz, vobiz-voice, voipbin or custom"
            )),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Vos3000 => "vos3000",
            Self::Vobiz => "vobiz",
            Self::Voipbin => "voipbin",
            Self::CloudEvents => "cloudevents",
            Self::Custom => Profile::CUSTOM,
        })
    }
}

/// Why nothing can be verified with what was given. It never holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// None was given, or more than [`SECRETS_MAX`].
    Count(usize),
    /// A secret is none of the scheme.
    Unusable(signer::SecretError),
    /// The scheme takes an Ed25519 key, and this is none.
    NotPublic,
    /// The profile has no way to sign, and none was given.
    NoScheme,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(found) => write!(f, "{found} secrets; give 1 to {SECRETS_MAX}"),
            Self::Unusable(error) => write!(
                f,
                "{error}; it has to be the very text the endpoint's secret_file holds"
            ),
            Self::NotPublic => f.write_str(
                "this is no Ed25519 key; give the public one, whpk_ and base64 of 32 bytes: \
                 `switchhook secret public FILE` says it on the sender's side",
            ),
            Self::NoScheme => f.write_str(
                "profile custom has no way to sign of its own; say which with --scheme, as the \
                 endpoint's signature says",
            ),
        }
    }
}

impl std::error::Error for SecretError {}

/// Why a callback is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reject {
    /// The header of this name is missing, or not text.
    Header(String),
    /// The timestamp is not seconds since 1970.
    Timestamp,
    /// The timestamp is further from our clock than the tolerance.
    Stale {
        /// Our clock minus the timestamp, in seconds; negative when it lies in the future.
        age_secs: i64,
    },
    /// No signature matches any secret.
    Mismatch,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name} is missing"),
            Self::Timestamp => write!(f, "the timestamp is not seconds since 1970"),
            Self::Stale { age_secs } => {
                write!(f, "the timestamp is {age_secs} s old; check both clocks")
            }
            Self::Mismatch => write!(f, "no signature matches; check the secret and the raw body"),
        }
    }
}

/// A request as it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its method.
    pub method: &'r str,
    /// The path and the query it asked for.
    pub target: &'r str,
    /// Its body, byte for byte; of a `GET`, which has none, its whole address.
    pub body: &'r [u8],
}

impl<'r> Judged<'r> {
    /// A `POST` to where callbacks are taken.
    pub fn post(headers: &'r HeaderMap, body: &'r [u8]) -> Judged<'r> {
        Judged {
            headers,
            method: "POST",
            target: super::PATH,
            body,
        }
    }

    /// The same request with another body.
    pub fn with_body(self, body: &'r [u8]) -> Judged<'r> {
        Judged { body, ..self }
    }
}

/// Checks signatures of one scheme against one or more secrets.
#[derive(Clone)]
pub struct Verifier {
    profile: Profile,
    /// None where the endpoint does not sign.
    scheme: Option<SignatureScheme>,
    /// The signature's header, in small letters.
    header: String,
    keys: Vec<Key>,
    /// What the same secrets come to when they are read wrongly, with the mistake's name.
    misread: Vec<(&'static str, Key)>,
    /// The addresses the sender has us under; what it names as `Host` where they are not known.
    urls: Vec<String>,
    tolerance: Duration,
}

/// What a signature is checked with.
#[derive(Clone)]
enum Key {
    /// A signer with the one secret: what it makes is compared with what came.
    Secret(Signer),
    /// The public half of an Ed25519 key.
    Public(Vec<u8>),
}

/// What a request's headers say of its signature.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    id: &'a str,
    /// When it says it was signed, where the scheme signs a time.
    timestamp: Option<&'a str>,
    method: &'a str,
    /// The addresses it may have been sent to; of a scheme that does not sign them a single empty one.
    urls: Vec<Cow<'a, str>>,
    /// The signatures, with what the scheme writes before each.
    pub signatures: Vec<&'a str>,
    /// The signature's header as it came.
    pub written: &'a str,
}

impl Verifier {
    /// A verifier for what `profile` signs in its own way, that believes any of `secrets`, each as
    /// the sender's file holds it.
    ///
    /// # Errors
    ///
    /// [`SecretError`] says which secret is missing or wrong; it never contains one.
    pub fn new(profile: Profile, secrets: &[&str]) -> Result<Verifier, SecretError> {
        let scheme = profile.scheme().ok_or(SecretError::NoScheme)?;
        Verifier::with_scheme(profile, scheme, secrets)
    }

    /// A verifier for bodies of `profile` that are signed as `scheme` says. For Ed25519 what is given
    /// may also be public keys.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn with_scheme(
        profile: Profile,
        scheme: SignatureScheme,
        secrets: &[&str],
    ) -> Result<Verifier, SecretError> {
        let mut keys = Vec::new();
        let mut misread = Vec::new();
        for text in secrets {
            if let Some(key) = scheme.public_key(text) {
                keys.push(Key::Public(key));
                continue;
            }
            let secret = scheme.secret(text).map_err(|error| match error {
                signer::SecretError::NotEd25519 => SecretError::NotPublic,
                error => SecretError::Unusable(error),
            })?;
            keys.push(Key::of(&scheme, &secret));
            misread.extend(misreadings(&scheme, &secret));
        }
        Verifier::of(profile, scheme, keys, misread)
    }

    /// The same with the secrets of an endpoint.
    ///
    /// # Errors
    ///
    /// [`SecretError::Count`].
    pub fn of_endpoint<'s>(
        profile: Profile,
        scheme: SignatureScheme,
        secrets: impl IntoIterator<Item = &'s Secret>,
    ) -> Result<Verifier, SecretError> {
        let mut keys = Vec::new();
        let mut misread = Vec::new();
        for secret in secrets {
            keys.push(Key::of(&scheme, secret));
            misread.extend(misreadings(&scheme, secret));
        }
        Verifier::of(profile, scheme, keys, misread)
    }

    /// A verifier for an endpoint that does not sign: it believes everything.
    pub fn unsigned(profile: Profile) -> Verifier {
        Verifier {
            profile,
            scheme: None,
            header: String::new(),
            keys: Vec::new(),
            misread: Vec::new(),
            urls: Vec::new(),
            tolerance: TOLERANCE,
        }
    }

    fn of(
        profile: Profile,
        scheme: SignatureScheme,
        keys: Vec<Key>,
        misread: Vec<(&'static str, Key)>,
    ) -> Result<Verifier, SecretError> {
        if keys.is_empty() || keys.len() > SECRETS_MAX {
            return Err(SecretError::Count(keys.len()));
        }
        Ok(Verifier {
            header: scheme.header.to_ascii_lowercase(),
            scheme: Some(scheme),
            keys,
            misread,
            ..Verifier::unsigned(profile)
        })
    }

    /// The same with another tolerance for timestamps.
    pub fn with_tolerance(self, tolerance: Duration) -> Verifier {
        Verifier { tolerance, ..self }
    }

    /// The same for a sender that has us under one of these addresses. They count only where the
    /// scheme signs the address.
    pub fn with_urls(self, urls: Vec<String>) -> Verifier {
        Verifier { urls, ..self }
    }

    /// The profile of the bodies.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How they are signed; none where they are not.
    pub(super) fn scheme(&self) -> Option<&SignatureScheme> {
        self.scheme.as_ref()
    }

    /// How many secrets it believes.
    pub fn secrets(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of them is an Ed25519 key, and whether one is not.
    pub(super) fn kinds(&self) -> (bool, bool) {
        let is_public = |key: &Key| match key {
            Key::Public(_) => true,
            Key::Secret(signer) => signer.knows_ed25519(),
        };
        let public = self.keys.iter().filter(|key| is_public(key)).count();
        (public > 0, public < self.keys.len())
    }

    /// The addresses the sender has us under, as far as they are known.
    pub(super) fn urls(&self) -> &[String] {
        &self.urls
    }

    /// How far a timestamp may be from our clock, either way.
    pub fn tolerance(&self) -> Duration {
        self.tolerance
    }

    /// Whether `headers` prove that a holder of a secret posted `body`, `now` being our clock.
    ///
    /// # Errors
    ///
    /// See [`Verifier::judge`].
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: UnixMs) -> Result<(), Reject> {
        self.judge(&Judged::post(headers, body), now)
    }

    /// Whether `request` proves that a holder of a secret sent it, `now` being our clock.
    ///
    /// # Errors
    ///
    /// [`Reject`] says what is missing or wrong. Comparisons take the same time wherever two
    /// signatures differ.
    pub fn judge(&self, request: &Judged<'_>, now: UnixMs) -> Result<(), Reject> {
        if self.scheme.is_none() {
            return Ok(());
        }
        let claim = self.claim(request)?;
        if let Some(timestamp) = claim.timestamp {
            self.check_age(timestamp, now)?;
        }
        let signer = self.signer(&claim, request.body);
        signer.map(drop).ok_or(Reject::Mismatch)
    }

    /// Which of `contents`, all of them ways to read the body of `request`, the headers prove to come
    /// from a holder of a secret, and the verdict; where that is none, the first. See
    /// [`Verifier::judge`].
    pub fn choose<'c, B: AsRef<[u8]>>(
        &self,
        request: &Judged<'_>,
        contents: &'c [B],
        now: UnixMs,
    ) -> (Option<&'c B>, Result<(), Reject>) {
        let judged = contents.iter().map(|content| {
            let verdict = self.judge(&request.with_body(content.as_ref()), now);
            (content, verdict)
        });
        let mut judged = judged.filter(|(_, verdict)| *verdict != Err(Reject::Mismatch));
        match judged.next() {
            Some((content, verdict)) => (Some(content), verdict),
            None => (contents.first(), Err(Reject::Mismatch)),
        }
    }

    /// Which secret signed `body` as `claim` says, from 0, whatever its age.
    pub(super) fn signer(&self, claim: &Claim<'_>, body: &[u8]) -> Option<usize> {
        self.keys
            .iter()
            .position(|key| self.is_signed_with(key, claim, body))
    }

    /// Which misreading of a secret signed `body`.
    pub(super) fn misreader(&self, claim: &Claim<'_>, body: &[u8]) -> Option<&'static str> {
        let found = self
            .misread
            .iter()
            .find(|(_, key)| self.is_signed_with(key, claim, body));
        found.map(|(mistake, _)| *mistake)
    }

    /// The signatures that the secrets make of `body`, bare, in the order of the secrets.
    pub(super) fn tags(&self, claim: &Claim<'_>, body: &[u8]) -> Vec<Vec<u8>> {
        let Some(scheme) = &self.scheme else {
            return Vec::new();
        };
        let messages = claim.messages(body);
        let written = messages
            .iter()
            .flat_map(|message| self.keys.iter().map(|key| self.expected(key, message)));
        let bare = |written: String| {
            let prefixes = [scheme.prefix(true), scheme.prefix(false)];
            let bare = prefixes
                .iter()
                .find_map(|prefix| written.strip_prefix(prefix));
            scheme.encoding.read(bare?)
        };
        written.flatten().filter_map(bare).collect()
    }

    /// How the verdict on `request` comes about, in lines: what is signed, what came, and what each
    /// secret makes of it. No secret is in there, but signatures that this very request can be sent
    /// with.
    pub fn explain(&self, request: &Judged<'_>) -> Vec<String> {
        let digest = hex(&Sha256::digest(request.body));
        let mut lines = vec![format!(
            "the body has {} bytes, SHA-256 {digest}",
            request.body.len()
        )];
        let Some(scheme) = &self.scheme else {
            lines.push("this endpoint does not sign".to_string());
            return lines;
        };
        let claim = match self.claim(request) {
            Err(reject) => {
                lines.push(reject.to_string());
                return lines;
            }
            Ok(claim) => claim,
        };
        for message in claim.messages(request.body) {
            lines.push(format!("signed is {}", signed_in_words(scheme, &message)));
        }
        lines.push(format!("came:     {}: {}", self.header, claim.written));
        let start = claim.timestamp.map_or_else(
            || scheme.start.clone(),
            |timestamp| scheme.start.replace("{timestamp}", timestamp),
        );
        for message in claim.messages(request.body) {
            for (place, key) in self.keys.iter().enumerate() {
                let place = place + 1;
                lines.push(match self.expected(key, &message) {
                    Some(expected) => {
                        format!("secret {place}: {}: {start}{expected}", self.header)
                    }
                    None => format!("secret {place}: a public key, which verifies and cannot sign"),
                });
            }
        }
        lines
    }

    /// What the headers say of the signature.
    ///
    /// # Errors
    ///
    /// [`Reject::Header`] names the first one that is missing, [`Reject::Timestamp`] a time that is
    /// not where it has to be.
    pub(super) fn claim<'a>(&self, request: &Judged<'a>) -> Result<Claim<'a>, Reject> {
        let headers = request.headers;
        let Some(scheme) = &self.scheme else {
            return Err(Reject::Mismatch);
        };
        let signs = |part: &Part| scheme.signed.contains(part);
        let id = match &scheme.id_header {
            Some(name) => text(headers, name)?,
            None if signs(&Part::Id) => text(headers, AGENT_ID)?,
            None => "",
        };
        let told = scheme.timestamp_header.as_ref();
        let told = told.map(|name| text(headers, name)).transpose()?;
        let written = text(headers, &self.header)?;
        let (started, rest) = started(&scheme.start, written).ok_or(Reject::Timestamp)?;
        let signatures = match scheme.separator {
            Some(separator) => rest.split(separator).collect(),
            None => vec![rest],
        };
        let urls = match signs(&Part::Url) {
            true => self.addresses(request),
            false => vec![Cow::Borrowed("")],
        };
        Ok(Claim {
            id,
            timestamp: told.or(started).filter(|_| signs(&Part::Timestamp)),
            method: request.method,
            urls,
            signatures,
            written,
        })
    }

    /// The header the signature is in.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// The addresses that `request` may have been sent to.
    fn addresses<'a>(&self, request: &Judged<'a>) -> Vec<Cow<'a, str>> {
        if request.method == "GET" {
            return vec![String::from_utf8_lossy(request.body)];
        }
        if !self.urls.is_empty() {
            return self.urls.iter().cloned().map(Cow::Owned).collect();
        }
        let host = text(request.headers, HOST.as_str()).unwrap_or_default();
        ["http", "https"]
            .map(|scheme| Cow::Owned(format!("{scheme}://{host}{}", request.target)))
            .to_vec()
    }

    /// What `key` makes of `message`, as the header has it; none of a public key.
    fn expected(&self, key: &Key, message: &Message<'_>) -> Option<String> {
        match key {
            Key::Secret(signer) => signer.signatures(*message).next(),
            Key::Public(_) => None,
        }
    }

    fn is_signed_with(&self, key: &Key, claim: &Claim<'_>, body: &[u8]) -> bool {
        let messages = claim.messages(body);
        messages.iter().fold(false, |found, message| {
            found | self.is_signature_of(key, claim, message)
        })
    }

    fn is_signature_of(&self, key: &Key, claim: &Claim<'_>, message: &Message<'_>) -> bool {
        let Some(scheme) = &self.scheme else {
            return false;
        };
        match key {
            Key::Secret(signer) => {
                let expected = signer.signatures(*message).next().unwrap_or_default();
                claim.signatures.iter().fold(false, |found, signature| {
                    found | bool::from(signature.as_bytes().ct_eq(expected.as_bytes()))
                })
            }
            Key::Public(key) => {
                let signed = scheme.signed_bytes(*message);
                let key = UnparsedPublicKey::new(&ED25519, key);
                claim.signatures.iter().any(|signature| {
                    let bare = signature.strip_prefix(scheme.prefix(true));
                    let tag = bare.and_then(|bare| scheme.encoding.read(bare));
                    tag.is_some_and(|tag| key.verify(&signed, &tag).is_ok())
                })
            }
        }
    }

    /// Refuses what was signed too long ago, or will be.
    fn check_age(&self, timestamp: &str, now: UnixMs) -> Result<(), Reject> {
        let unix_secs: i64 = timestamp.parse().map_err(|_| Reject::Timestamp)?;
        let age_secs = now.unix_secs().saturating_sub(unix_secs);
        if age_secs.unsigned_abs() > self.tolerance.as_secs() {
            return Err(Reject::Stale { age_secs });
        }
        Ok(())
    }
}

/// The agent's own header with the event's id.
pub(super) const AGENT_ID: &str = "x-switchhook-id";

impl Claim<'_> {
    /// What may have been signed: one message for each address.
    fn messages<'m>(&'m self, body: &'m [u8]) -> Vec<Message<'m>> {
        // A time that is none is refused before anything is compared.
        let unix_secs = self.timestamp.and_then(|text| text.parse().ok());
        let message = |url: &'m Cow<'_, str>| Message {
            id: self.id,
            unix_secs: unix_secs.unwrap_or_default(),
            method: self.method,
            url,
            body,
        };
        self.urls.iter().map(message).collect()
    }
}

/// Takes what a scheme begins its header with off `written`; with the time, where it is in there.
fn started<'w>(start: &str, written: &'w str) -> Option<(Option<&'w str>, &'w str)> {
    let Some((before, after)) = start.split_once("{timestamp}") else {
        // One that begins in another way is judged as it stands: the diagnosis says how it is written.
        return Some((None, written.strip_prefix(start).unwrap_or(written)));
    };
    let rest = written.strip_prefix(before)?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit());
    let (time, rest) = rest.split_at(digits.unwrap_or(rest.len()));
    let rest = rest.strip_prefix(after)?;
    Some((Some(time), rest))
}

/// What is signed of `message`, for somebody who computes it by hand.
fn signed_in_words(scheme: &SignatureScheme, message: &Message<'_>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut text = String::new();
    for part in &scheme.signed {
        match part {
            Part::Id => text += message.id,
            Part::Timestamp => text += &message.unix_secs.to_string(),
            Part::Url => text += message.url,
            Part::Method => text += message.method,
            Part::Literal(literal) => text += literal,
            Part::Body => {
                if !text.is_empty() {
                    words.push(format!("{:?}", std::mem::take(&mut text)));
                }
                words.push("the raw body".to_string());
            }
        }
    }
    if !text.is_empty() {
        words.push(format!("{text:?}"));
    }
    words.join(" and then ")
}

/// In words what it looks for: the scheme, its header, and how many secrets it believes.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(scheme) = &self.scheme else {
            return f.write_str("none, as the endpoint does not sign");
        };
        let mut named = SignatureScheme::NAMED.into_iter();
        let of_url = named.find(|(_, named)| named().over_url() == *scheme);
        match (scheme.name(), of_url) {
            (Some(name), _) => write!(f, "scheme {name}")?,
            (None, Some((name, _))) => write!(f, "scheme {name} over the address")?,
            (None, None) => f.write_str("a scheme of its own")?,
        }
        write!(f, " ({}), ", scheme.header)?;
        match self.keys.len() {
            1 => f.write_str("one secret"),
            several => write!(f, "{several} secrets"),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("profile", &self.profile)
            .field("secrets", &self.keys.len())
            .field("tolerance", &self.tolerance)
            .finish()
    }
}

impl Key {
    fn of(scheme: &SignatureScheme, secret: &Secret) -> Key {
        Key::Secret(Signer::new(scheme.clone(), [secret]))
    }
}

/// The keys that a secret gives to a program that reads it wrongly in one of the usual ways.
fn misreadings(scheme: &SignatureScheme, secret: &Secret) -> Vec<(&'static str, Key)> {
    if secret.is_ed25519() {
        return Vec::new();
    }
    let key = secret.key();
    let mut misread = Vec::new();
    if scheme.takes_base64() {
        let base64 = STANDARD.encode(key);
        misread.push((
            "with the secret's text; what counts is the bytes behind its Base64",
            format!("{WHSEC}{base64}").into_bytes(),
        ));
        misread.push((
            "with the secret's Base64 text; what counts is the bytes behind it",
            base64.clone().into_bytes(),
        ));
        misread.push((
            "with the line end of the file the secret is in",
            format!("{WHSEC}{base64}\n").into_bytes(),
        ));
        // A secret that is written without the whsec_ is taken as it stands.
        misread.push((
            "with the line end of the file the secret is in",
            [key, b"\n"].concat(),
        ));
        if let Ok(bytes) = STANDARD.decode(key) {
            misread.push((
                "with the bytes behind the secret's Base64; without whsec_ before it, what counts is its text",
                bytes,
            ));
        }
    } else {
        let bare = key.strip_prefix(WHSEC.as_bytes());
        misread.push((
            "with the line end of the file the secret is in",
            [key, b"\n"].concat(),
        ));
        if let Ok(bytes) = STANDARD.decode(bare.unwrap_or(key)) {
            misread.push((
                "with the bytes behind the secret's Base64; what counts in this scheme is its text",
                bytes,
            ));
        }
        if let Some(bare) = bare {
            misread.push((
                "without the whsec_ before the secret, which in this scheme is part of it",
                bare.to_vec(),
            ));
        }
    }
    let keyed = misread.into_iter().filter_map(|(mistake, bytes)| {
        let secret = Secret::of_bytes(bytes).ok()?;
        Some((mistake, Key::of(scheme, &secret)))
    });
    keyed.collect()
}

/// What the text of a secret that counts by its bytes begins with.
const WHSEC: &str = "whsec_";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Reject> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| Reject::Header(name.to_ascii_lowercase()))
}

/// `bytes` in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    Encoding::Hex.write(bytes, &mut digits);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    /// The vector of the Standard Webhooks specification.
    const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const ID: (&str, &str) = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    const TIMESTAMP: (&str, &str) = ("webhook-timestamp", "1614265330");
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: UnixMs = UnixMs(1_614_265_330_000);

    /// The vector of our contract for `vos3000`, checked with OpenSSL.
    const VOS_BODY: &[u8] =
        br#"{"event":"cdr","timestamp":"2026-04-09T14:30:45Z","data":{"call_id":"12345678"}}"#;
    const VOS_SIGNATURE: &str = "60df0aa1b3998813262454fcb79b8fac76ba38c20f52eca69c259c92096409ee";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    #[track_caller]
    fn check(signature: &str, body: &[u8], now: UnixMs, expected: Result<(), Reject>) {
        let verifier = Verifier::new(Profile::Standard, &[WHSEC]).unwrap();
        let headers = headers(&[ID, TIMESTAMP, ("webhook-signature", signature)]);
        assert_eq!(verifier.verify(&headers, body, now), expected);
    }

    #[track_caller]
    fn check_vos3000(secrets: &[&str], signature: &str, expected: Result<(), Reject>) {
        let verifier = Verifier::new(Profile::Vos3000, secrets).unwrap();
        let headers = headers(&[("X-VOS3000-Signature", signature)]);
        assert_eq!(verifier.verify(&headers, VOS_BODY, UnixMs(0)), expected);
    }

    #[test]
    fn the_specifications_own_vector_is_believed() {
        check(SIGNATURE, BODY, SENT, Ok(()));
    }

    /// The vectors of the contract, with the bodies and times they were made of.
    #[test]
    fn the_guides_vectors_are_believed_and_their_neighbours_are_not() {
        let secret = "your-secret-key-here";
        let vobiz = "86e3628dac8b3710650eaaa13e8f87107fe583c4482b81b3ae97eeb707b9d67d";
        let signed = [
            ("X-Vobiz-Timestamp", "1775745045"),
            ("X-Vobiz-Signature", vobiz),
        ];
        let verifier = Verifier::new(Profile::Vobiz, &[secret]).unwrap();
        let now = UnixMs(1_775_745_045_000);
        assert_eq!(verifier.verify(&headers(&signed), VOS_BODY, now), Ok(()));
        let late = UnixMs(1_775_745_346_000);
        assert_eq!(
            verifier.verify(&headers(&signed), VOS_BODY, late),
            Err(Reject::Stale { age_secs: 301 })
        );
        let moved = [
            ("X-Vobiz-Timestamp", "1775745046"),
            ("X-Vobiz-Signature", vobiz),
        ];
        assert_eq!(
            verifier.verify(&headers(&moved), VOS_BODY, now),
            Err(Reject::Mismatch)
        );
        let voipbin = "sha256=2a1bd7434abb85104923ccb5bb0e50d0178d637feb3fef7a9b738a149bc655ac";
        let body = br#"{"type":"call_hangup","data":{"id":"12345678"}}"#;
        let verifier = Verifier::new(Profile::Voipbin, &[secret]).unwrap();
        let signed = headers(&[("X-VoIPBIN-Signature", voipbin)]);
        assert_eq!(verifier.verify(&signed, body, now), Ok(()));
        assert_eq!(verifier.verify(&signed, b"{}", now), Err(Reject::Mismatch));
    }

    #[test]
    fn one_good_signature_among_others_is_enough() {
        let among = format!("v1a,AAAA v1,AAAA {SIGNATURE} v2,BBBB");
        check(&among, BODY, SENT, Ok(()));
    }

    #[test]
    fn a_changed_body_or_signature_is_not_believed() {
        check(
            SIGNATURE,
            br#"{"test":2432232314}"#,
            SENT,
            Err(Reject::Mismatch),
        );
        check(
            &SIGNATURE.replace("g0h", "g0H"),
            BODY,
            SENT,
            Err(Reject::Mismatch),
        );
        check(
            &SIGNATURE.replace("v1,", "v2,"),
            BODY,
            SENT,
            Err(Reject::Mismatch),
        );
        check("v1,", BODY, SENT, Err(Reject::Mismatch));
        check("", BODY, SENT, Err(Reject::Mismatch));
    }

    #[test]
    fn a_callback_counts_for_five_minutes_either_way() {
        let at = |secs: i64| UnixMs(SENT.0 + secs * 1_000);
        check(SIGNATURE, BODY, at(300), Ok(()));
        check(SIGNATURE, BODY, at(-300), Ok(()));
        check(
            SIGNATURE,
            BODY,
            at(301),
            Err(Reject::Stale { age_secs: 301 }),
        );
        check(
            SIGNATURE,
            BODY,
            at(-301),
            Err(Reject::Stale { age_secs: -301 }),
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let verifier = Verifier::new(Profile::Standard, &[WHSEC]).unwrap();
        let signature = ("webhook-signature", SIGNATURE);
        for (sent, missing) in [
            (headers(&[TIMESTAMP, signature]), "webhook-id"),
            (headers(&[ID, signature]), "webhook-timestamp"),
            (headers(&[ID, TIMESTAMP]), "webhook-signature"),
        ] {
            assert_eq!(
                verifier.verify(&sent, BODY, SENT),
                Err(Reject::Header(missing.to_string()))
            );
        }
        let sent = headers(&[ID, ("webhook-timestamp", "2021-02-25"), signature]);
        assert_eq!(verifier.verify(&sent, BODY, SENT), Err(Reject::Timestamp));
        let verifier = Verifier::new(Profile::Vos3000, &["secret"]).unwrap();
        let verdict = verifier.verify(&HeaderMap::new(), BODY, SENT);
        assert_eq!(
            verdict,
            Err(Reject::Header("x-vos3000-signature".to_string()))
        );
    }

    #[test]
    fn the_vos3000_vector_is_believed_in_lower_case_only() {
        check_vos3000(&["your-secret-key-here"], VOS_SIGNATURE, Ok(()));
        let upper = VOS_SIGNATURE.to_uppercase();
        check_vos3000(&["your-secret-key-here"], &upper, Err(Reject::Mismatch));
        check_vos3000(
            &["your-secret-key-here"],
            &VOS_SIGNATURE[..63],
            Err(Reject::Mismatch),
        );
        check_vos3000(&["another"], VOS_SIGNATURE, Err(Reject::Mismatch));
    }

    #[test]
    fn during_a_rotation_either_secret_is_believed() {
        check_vos3000(&["new", "your-secret-key-here"], VOS_SIGNATURE, Ok(()));
        check_vos3000(&["your-secret-key-here", "old"], VOS_SIGNATURE, Ok(()));
    }

    #[test]
    fn a_secret_that_cannot_work_is_refused() {
        let refused = |profile, secrets: &[&str]| Verifier::new(profile, secrets).unwrap_err();
        use signer::SecretError::{Empty, NotBase64, NotEd25519};
        let unusable = SecretError::Unusable;
        assert_eq!(
            refused(Profile::Standard, &["whsec_!"]),
            unusable(NotBase64)
        );
        assert_eq!(refused(Profile::Standard, &["whsec_"]), unusable(Empty));
        assert_eq!(refused(Profile::Vos3000, &[""]), unusable(Empty));
        assert_eq!(refused(Profile::Custom, &["a"]), SecretError::NoScheme);
        assert_eq!(
            refused(Profile::Standard, &["whsk_AAAA"]),
            SecretError::NotPublic
        );
        assert_eq!(Secret::parse("whsk_AAAA").unwrap_err(), NotEd25519);
        assert_eq!(refused(Profile::Vos3000, &[]), SecretError::Count(0));
        assert_eq!(
            refused(Profile::Vos3000, &["a"; SECRETS_MAX + 1]),
            SecretError::Count(SECRETS_MAX + 1)
        );
    }

    #[test]
    fn a_verifier_prints_no_secret() {
        let verifier = Verifier::new(Profile::Vos3000, &["hunter2"]).unwrap();
        let expected = "Verifier { profile: Vos3000, secrets: 1, tolerance: 300s }";
        assert_eq!(format!("{verifier:?}"), expected);
    }
}
