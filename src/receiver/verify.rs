//! Verify: whether a callback comes from who holds the secret, judged over its raw bytes.
//!
//! Written from the two public documents, not from the agent's signer. The body is not parsed
//! here: a signature is checked over the bytes that came, before anybody looks into them.

use crate::clock::UnixMs;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How far a `standard` callback's timestamp may be from our clock, either way: five minutes, as
/// in the libraries of the Standard Webhooks specification.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Most secrets a verifier takes: a developer's receiver stands for a few endpoints at once, each with
/// the secret in force and the one before. Every one costs a hash of the body of a bad request.
pub const SECRETS_MAX: usize = 8;

/// What a signature looks like and what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature`, which
    /// holds `v1,` and Base64 of HMAC-SHA256 over `id.timestamp.body`; several are separated by
    /// spaces.
    Standard,
    /// The VOS3000 webhook guide: `X-VOS3000-Signature`, lower-case hexadecimal HMAC-SHA256 of
    /// the body.
    Vos3000,
    /// The Vobiz webhook guide: `X-Vobiz-Signature`, lower-case hexadecimal HMAC-SHA256 over
    /// `timestamp.body`, with the timestamp in `X-Vobiz-Timestamp`.
    Vobiz,
    /// CloudEvents, signed as [`Standard`](Profile::Standard).
    CloudEvents,
    /// The VoIPBIN webhook guide: `X-VoIPBIN-Signature`, `sha256=` and the hexadecimal HMAC-SHA256
    /// of the body.
    Voipbin,
}

impl Profile {
    /// The header the signature is in.
    pub(super) fn signature_header(self) -> &'static str {
        match self {
            Self::Standard | Self::CloudEvents => "webhook-signature",
            Self::Vos3000 => "x-vos3000-signature",
            Self::Vobiz => "x-vobiz-signature",
            Self::Voipbin => "x-voipbin-signature",
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
            _ => Err(format!(
                "no profile {name:?} here; write standard, cloudevents, vos3000, vobiz, vobiz-voice or voipbin"
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
        })
    }
}

/// Why a secret cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// None was given, or more than [`SECRETS_MAX`].
    Count(usize),
    /// A secret is empty.
    Empty,
    /// A secret of profile `standard` is not `whsec_` and Base64.
    NotWhsec,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(found) => write!(f, "{found} secrets; give 1 to {SECRETS_MAX}"),
            Self::Empty => f.write_str("the secret is empty"),
            Self::NotWhsec => f.write_str(
                "a secret of profile standard is whsec_ and base64; \
                 make one with `switchhook secret generate`",
            ),
        }
    }
}

impl std::error::Error for SecretError {}

/// Why a callback is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reject {
    /// The header of this name is missing, or not text.
    Header(&'static str),
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

/// Checks signatures of one profile against one or more secrets.
#[derive(Clone)]
pub struct Verifier {
    profile: Profile,
    /// One keyed HMAC per secret, ready to be copied: keying costs two of the four hash blocks
    /// that a short body takes.
    keys: Vec<Hmac<Sha256>>,
    /// What the same secrets come to when they are read wrongly, with the mistake's name.
    misread: Vec<(&'static str, Hmac<Sha256>)>,
    tolerance: Duration,
}

/// What a request's headers say of its signature.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// What is signed before the body.
    pub before: Vec<&'a [u8]>,
    /// When it says it was signed, where the profile signs a time.
    pub timestamp: Option<&'a str>,
    /// The signatures, without what the profile writes before each.
    pub signatures: Vec<&'a str>,
    /// The signature's header as it came.
    pub written: &'a str,
}

impl Verifier {
    /// A verifier for `profile` that believes any of `secrets`.
    ///
    /// A `vos3000` secret is its text's bytes, a `standard` one the bytes behind its Base64.
    ///
    /// # Errors
    ///
    /// [`SecretError`] says which secret is missing or wrong; it never contains one.
    pub fn new(profile: Profile, secrets: &[&str]) -> Result<Verifier, SecretError> {
        if secrets.is_empty() || secrets.len() > SECRETS_MAX {
            return Err(SecretError::Count(secrets.len()));
        }
        let keys = secrets.iter().map(|secret| key(profile, secret));
        let misread = secrets.iter().flat_map(|secret| misread(profile, secret));
        Ok(Verifier {
            profile,
            keys: keys.collect::<Result<_, _>>()?,
            misread: misread.collect(),
            tolerance: TOLERANCE,
        })
    }

    /// The same with another tolerance for timestamps.
    pub fn with_tolerance(self, tolerance: Duration) -> Verifier {
        Verifier { tolerance, ..self }
    }

    /// The profile it checks.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How many secrets it believes.
    pub fn secrets(&self) -> usize {
        self.keys.len()
    }

    /// How far a timestamp may be from our clock, either way.
    pub fn tolerance(&self) -> Duration {
        self.tolerance
    }

    /// Whether `headers` prove that a holder of a secret sent `body`, `now` being our clock.
    ///
    /// # Errors
    ///
    /// [`Reject`] says what is missing or wrong. Comparisons take the same time wherever two
    /// signatures differ.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: UnixMs) -> Result<(), Reject> {
        let claim = self.claim(headers)?;
        if let Some(timestamp) = claim.timestamp {
            self.check_age(timestamp, now)?;
        }
        self.signer(&claim, body).map(drop).ok_or(Reject::Mismatch)
    }

    /// Which of `contents`, all of them ways to read the same request, the headers prove to come from
    /// a holder of a secret, and the verdict; where that is none, the first. See [`Verifier::verify`].
    pub fn choose<'c, B: AsRef<[u8]>>(
        &self,
        headers: &HeaderMap,
        contents: &'c [B],
        now: UnixMs,
    ) -> (Option<&'c B>, Result<(), Reject>) {
        let judged = contents
            .iter()
            .map(|content| (content, self.verify(headers, content.as_ref(), now)));
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
        let tag = |key| tag(key, claim, body);
        self.keys.iter().map(tag).collect()
    }

    /// How the verdict on `body` comes about, in lines: what is signed, what came, and what each secret
    /// makes of it. No secret is in there, but signatures that this very request can be sent with.
    pub fn explain(&self, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
        let digest = hex(&Sha256::digest(body));
        let mut lines = vec![format!(
            "the body has {} bytes, SHA-256 {}",
            body.len(),
            String::from_utf8_lossy(&digest)
        )];
        match self.claim(headers) {
            Err(reject) => lines.push(reject.to_string()),
            Ok(claim) => {
                let before = String::from_utf8_lossy(&claim.before.concat()).into_owned();
                lines.push(format!("signed is {before:?} and then the raw body"));
                lines.push(format!("came:     {}: {}", self.header(), claim.written));
                for (place, tag) in self.tags(&claim, body).iter().enumerate() {
                    let expected = self.written(tag);
                    lines.push(format!(
                        "secret {}: {}: {expected}",
                        place + 1,
                        self.header()
                    ));
                }
            }
        }
        lines
    }

    /// What the headers say of the signature.
    ///
    /// # Errors
    ///
    /// [`Reject::Header`] names the first one that is missing.
    pub(super) fn claim<'a>(&self, headers: &'a HeaderMap) -> Result<Claim<'a>, Reject> {
        let (before, timestamp, written) = match self.profile {
            Profile::Standard | Profile::CloudEvents => {
                let id = text(headers, "webhook-id")?.as_bytes();
                let timestamp = text(headers, "webhook-timestamp")?;
                let before = vec![id, b".", timestamp.as_bytes(), b"."];
                (before, Some(timestamp), text(headers, self.header())?)
            }
            Profile::Vobiz => {
                let timestamp = text(headers, "x-vobiz-timestamp")?;
                let before = vec![timestamp.as_bytes(), b"."];
                (before, Some(timestamp), text(headers, self.header())?)
            }
            Profile::Vos3000 | Profile::Voipbin => (vec![], None, text(headers, self.header())?),
        };
        let signatures = match self.profile {
            Profile::Standard | Profile::CloudEvents => written
                .split(' ')
                .filter_map(|signature| signature.strip_prefix("v1,"))
                .collect(),
            Profile::Voipbin => written.strip_prefix("sha256=").into_iter().collect(),
            Profile::Vos3000 | Profile::Vobiz => vec![written],
        };
        Ok(Claim {
            before,
            timestamp,
            signatures,
            written,
        })
    }

    /// The header the signature is in.
    pub(super) fn header(&self) -> &'static str {
        self.profile.signature_header()
    }

    /// How the profile writes the signature `tag`.
    pub(super) fn written(&self, tag: &[u8]) -> String {
        let prefix = match self.profile {
            Profile::Standard | Profile::CloudEvents => "v1,",
            Profile::Voipbin => "sha256=",
            Profile::Vos3000 | Profile::Vobiz => "",
        };
        format!("{prefix}{}", String::from_utf8_lossy(&self.encoded(tag)))
    }

    fn is_signed_with(&self, key: &Hmac<Sha256>, claim: &Claim<'_>, body: &[u8]) -> bool {
        let expected = self.encoded(&tag(key, claim, body));
        claim.signatures.iter().fold(false, |found, signature| {
            found | bool::from(signature.as_bytes().ct_eq(&expected))
        })
    }

    fn encoded(&self, tag: &[u8]) -> Vec<u8> {
        match self.profile {
            Profile::Standard | Profile::CloudEvents => STANDARD.encode(tag).into_bytes(),
            Profile::Vos3000 | Profile::Vobiz | Profile::Voipbin => hex(tag),
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

fn tag(key: &Hmac<Sha256>, claim: &Claim<'_>, body: &[u8]) -> Vec<u8> {
    let mut mac = key.clone();
    for part in &claim.before {
        mac.update(part);
    }
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
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

fn key(profile: Profile, secret: &str) -> Result<Hmac<Sha256>, SecretError> {
    let bytes = match profile {
        Profile::Vos3000 | Profile::Vobiz | Profile::Voipbin => secret.as_bytes().to_vec(),
        Profile::Standard | Profile::CloudEvents => {
            let encoded = secret.strip_prefix("whsec_").ok_or(SecretError::NotWhsec)?;
            STANDARD
                .decode(encoded)
                .map_err(|_| SecretError::NotWhsec)?
        }
    };
    if bytes.is_empty() {
        return Err(SecretError::Empty);
    }
    Ok(Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length"))
}

/// The keys that a secret gives to a program that reads it wrongly in one of the usual ways.
fn misread(profile: Profile, secret: &str) -> Vec<(&'static str, Hmac<Sha256>)> {
    let mut misread = vec![(
        "with the line end of the file the secret is in",
        format!("{secret}\n").into_bytes(),
    )];
    match profile {
        Profile::Standard | Profile::CloudEvents => {
            misread.push((
                "with the secret's text; what counts is the bytes behind its Base64",
                secret.as_bytes().to_vec(),
            ));
            let encoded = secret.strip_prefix("whsec_").unwrap_or_default();
            misread.push((
                "with the secret's Base64 text; what counts is the bytes behind it",
                encoded.as_bytes().to_vec(),
            ));
        }
        Profile::Vos3000 | Profile::Vobiz | Profile::Voipbin => {
            let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
            if let Ok(bytes) = STANDARD.decode(encoded) {
                misread.push((
                    "with the bytes behind the secret's Base64; what counts in this profile is its text",
                    bytes,
                ));
            }
            if let Some(bare) = secret.strip_prefix("whsec_") {
                misread.push((
                    "without the whsec_ before the secret, which in this profile is part of it",
                    bare.as_bytes().to_vec(),
                ));
            }
        }
    }
    let keyed = misread.into_iter().filter_map(|(mistake, bytes)| {
        let key = Hmac::new_from_slice(&bytes).ok()?;
        Some((mistake, key)).filter(|_| !bytes.is_empty())
    });
    keyed.collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Reject> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or(Reject::Header(name))
}

/// `bytes` in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    };
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
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
                Err(Reject::Header(missing))
            );
        }
        let sent = headers(&[ID, ("webhook-timestamp", "2021-02-25"), signature]);
        assert_eq!(verifier.verify(&sent, BODY, SENT), Err(Reject::Timestamp));
        let verifier = Verifier::new(Profile::Vos3000, &["secret"]).unwrap();
        let verdict = verifier.verify(&HeaderMap::new(), BODY, SENT);
        assert_eq!(verdict, Err(Reject::Header("x-vos3000-signature")));
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
        assert_eq!(
            refused(Profile::Standard, &["plain"]),
            SecretError::NotWhsec
        );
        assert_eq!(
            refused(Profile::Standard, &["whsec_!"]),
            SecretError::NotWhsec
        );
        assert_eq!(refused(Profile::Standard, &["whsec_"]), SecretError::Empty);
        assert_eq!(refused(Profile::Vos3000, &[""]), SecretError::Empty);
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
