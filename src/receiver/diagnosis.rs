//! Diagnosis: why a signature is not believed, in words that say what to mend.
//!
//! A wrong signature alone does not tell a wrong secret from an altered body. So the usual mistakes
//! are tried one after another: the signature in another writing, the secret read in another way, the
//! body printed in another way. Only where one of them fits is it named as the cause.

use super::print::{indented, spaced};
use super::verify::{AGENT_ID, Claim, Judged, Reject, Verifier, hex};
use crate::clock::UnixMs;
use crate::delivery::signer::{Algorithm, Encoding, SignatureScheme};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// What is known of a request's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// It is believed.
    Believed {
        /// Which secret it was made with, from 1.
        secret: usize,
        /// How many secrets are believed.
        of: usize,
    },
    /// There is none to judge: the endpoint does not sign.
    Unsigned,
    /// It is not.
    Refused {
        /// What is wrong, as far as it can be told.
        cause: Cause,
        /// What is known of it beyond its name, and what to do.
        detail: String,
    },
}

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A header of the profile is missing, or not text.
    HeaderMissing,
    /// The timestamp is not seconds since 1970.
    TimestampUnreadable,
    /// The timestamp is further from our clock than the tolerance.
    OutsideTheWindow,
    /// The signature is written in another way than the profile says.
    WrittenWrongly,
    /// It was made with another secret, or with ours read wrongly.
    WrongSecret,
    /// It was made of another body.
    BodyAltered,
    /// One of the two; which cannot be told from this request.
    SecretOrBody,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderMissing => "header missing",
            Self::TimestampUnreadable => "timestamp unreadable",
            Self::OutsideTheWindow => "timestamp outside the window",
            Self::WrittenWrongly => "signature written wrongly",
            Self::WrongSecret => "wrong secret",
            Self::BodyAltered => "body altered",
            Self::SecretOrBody => "wrong secret, or body altered",
        })
    }
}

impl Diagnosis {
    /// Looks at a request that was judged at `now`.
    ///
    /// `others_were_believed` says whether the same secrets have proved right on other requests: then
    /// a signature that fits nothing speaks of the body rather than of the secret.
    pub fn of(
        verifier: &Verifier,
        request: &Judged<'_>,
        now: UnixMs,
        others_were_believed: bool,
    ) -> Diagnosis {
        match verifier.judge(request, now) {
            Ok(()) if verifier.scheme().is_none() => Diagnosis::Unsigned,
            Ok(()) => {
                let claim = verifier.claim(request).ok();
                let signer = claim.and_then(|claim| verifier.signer(&claim, request.body));
                Diagnosis::Believed {
                    secret: signer.map_or(1, |place| place + 1),
                    of: verifier.secrets(),
                }
            }
            Err(reject) => {
                let (cause, detail) = cause(verifier, request, &reject, others_were_believed);
                Diagnosis::Refused { cause, detail }
            }
        }
    }

    /// Whether the request is believed.
    pub fn is_believed(&self) -> bool {
        matches!(self, Self::Believed { .. } | Self::Unsigned)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("not signed, as its endpoint has it"),
            Self::Believed { of: 1, .. } => f.write_str("signature ok"),
            Self::Believed { secret, of } => write!(f, "signature ok (secret {secret} of {of})"),
            Self::Refused { cause, detail } => write!(f, "{cause}: {detail}"),
        }
    }
}

fn cause(
    verifier: &Verifier,
    request: &Judged<'_>,
    reject: &Reject,
    others_were_believed: bool,
) -> (Cause, String) {
    let body = request.body;
    match reject {
        Reject::Header(name) => (
            Cause::HeaderMissing,
            missing(verifier, request.headers, name),
        ),
        Reject::Timestamp => (Cause::TimestampUnreadable, unreadable(verifier)),
        Reject::Stale { age_secs } => {
            let claim = verifier.claim(request).ok();
            let is_signed = claim.is_some_and(|claim| verifier.signer(&claim, body).is_some());
            (
                Cause::OutsideTheWindow,
                outside(verifier, *age_secs, is_signed),
            )
        }
        Reject::Mismatch => match verifier.claim(request) {
            Ok(claim) => mismatch(verifier, &claim, body, others_were_believed),
            Err(_) => (Cause::SecretOrBody, reject.to_string()),
        },
    }
}

/// Words in a header's name that speak of a signature.
const SIGNATURE_WORDS: [&str; 3] = ["signature", "-sign", "hmac"];

/// Which header is missing, and whose are there instead.
fn missing(verifier: &Verifier, headers: &HeaderMap, name: &str) -> String {
    if headers.contains_key(name) {
        return format!("{name} is there, but not text");
    }
    let named = SignatureScheme::NAMED.into_iter();
    let mut others = named.filter(|(_, scheme)| {
        let header = scheme().header;
        !header.eq_ignore_ascii_case(verifier.header()) && headers.contains_key(header)
    });
    if let Some((other, scheme)) = others.next() {
        return format!(
            "{name} is missing, but {} is there: this looks signed as scheme {other}; say --scheme {other}",
            scheme().header
        );
    }
    let speaks = |name: &&str| SIGNATURE_WORDS.iter().any(|word| name.contains(word));
    let names = headers.keys().map(hyper::header::HeaderName::as_str);
    if let Some(other) = names.filter(|it| *it != verifier.header()).find(speaks) {
        return format!(
            "{name} is missing, but {other} is there: where that is the signature, say how it is made, like --scheme '{{ header = \"{other}\" }}', or take it from the agent's configuration with --endpoint"
        );
    }
    if name == AGENT_ID {
        return format!(
            "{name} is missing, and the scheme signs the id: leave agent_headers on at the endpoint, or give the scheme an id_header"
        );
    }
    if !headers.contains_key(verifier.header()) {
        return format!(
            "{name} is missing; the sender did not sign as {}, or something between took it away",
            called(verifier.scheme())
        );
    }
    format!("{name} is missing; something between took it away, or the sender signs otherwise")
}

/// A scheme's name in a sentence.
fn called(scheme: Option<&SignatureScheme>) -> String {
    match scheme.and_then(SignatureScheme::name) {
        Some(name) => format!("scheme {name}"),
        None => "this scheme".to_string(),
    }
}

fn unreadable(verifier: &Verifier) -> String {
    match verifier.scheme() {
        Some(scheme) if scheme.timestamp_header.is_none() => format!(
            "{} has to begin with {:?}, where the time is whole seconds since 1970",
            verifier.header(),
            scheme.start
        ),
        _ => "it has to be whole seconds since 1970".to_string(),
    }
}

fn outside(verifier: &Verifier, age_secs: i64, is_signed: bool) -> String {
    let side = if age_secs < 0 {
        "ahead of this clock"
    } else {
        "old"
    };
    let rest = if is_signed {
        "the signature itself is right, so it was repeated late, or one of the clocks is wrong"
    } else {
        "and the signature does not match either"
    };
    format!(
        "it is {} s {side}, {} s are allowed; {rest}",
        age_secs.unsigned_abs(),
        verifier.tolerance().as_secs()
    )
}

/// Tries the usual mistakes, the surest first.
fn mismatch(
    verifier: &Verifier,
    claim: &Claim<'_>,
    body: &[u8],
    others_were_believed: bool,
) -> (Cause, String) {
    if let Some(how) = written_wrongly(verifier, claim, body) {
        return (Cause::WrittenWrongly, how);
    }
    if let Some(how) = verifier.misreader(claim, body) {
        return (Cause::WrongSecret, format!("the sender signed {how}"));
    }
    if let Some(how) = altered(verifier, claim, body) {
        return (Cause::BodyAltered, how.to_string());
    }
    if body.is_empty() {
        let how = "it is empty, so it was lost on the way, or something before read it";
        return (Cause::BodyAltered, how.to_string());
    }
    // Form fields and an address are none to begin with.
    let was_json = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    if was_json && !is_json {
        let how = "it is not valid JSON any more, so it was cut or changed on the way";
        return (Cause::BodyAltered, how.to_string());
    }
    if others_were_believed {
        let how = "other callbacks with this secret were right, so this one was changed after it was signed";
        return (Cause::BodyAltered, how.to_string());
    }
    let how = match verifier.secrets() {
        1 => {
            "no callback has been right with this secret so far; compare it with the sender's first, then check that the raw body is signed"
        }
        _ => {
            "no callback has been right with any of these secrets so far; compare them with the sender's first, then check that the raw body is signed"
        }
    };
    (Cause::SecretOrBody, how.to_string())
}

/// Whether the right signature is there, in another writing; or one that can be none of the scheme's.
fn written_wrongly(verifier: &Verifier, claim: &Claim<'_>, body: &[u8]) -> Option<String> {
    let scheme = verifier.scheme()?;
    let written = claim.written.trim();
    let behind = |sign| written.split_once(sign).map_or("", |(_, bare)| bare);
    let last = |sign| written.rsplit_once(sign).map_or("", |(_, bare)| bare);
    let bare = [written, behind('='), behind(','), last('=')];
    for tag in verifier.tags(claim, body) {
        let digits = hex(&tag);
        let forms = [
            ("Base64", STANDARD.encode(&tag)),
            ("upper-case digits", digits.to_uppercase()),
            ("hexadecimal digits", digits),
        ];
        let found = forms
            .iter()
            .find(|(_, form)| bare.iter().any(|bare| bare == form));
        if let Some((form, _)) = found {
            return Some(format!(
                "it is the right one, but in {form} or with another prefix; {} writes {}",
                called(Some(scheme)),
                writing(scheme)
            ));
        }
    }
    let (knows_public, knows_secret) = verifier.kinds();
    if let Some(other) = another_kind(scheme, claim, knows_public, knows_secret) {
        return Some(other.to_string());
    }
    let is_whole = |is_public| {
        let prefix = scheme.prefix(is_public);
        let bare = |signature: &&str| signature.strip_prefix(prefix).map(str::to_string);
        let mut tags = claim.signatures.iter().filter_map(bare);
        tags.any(|tag| {
            let length = scheme.encoding.read(&tag).map(|tag| tag.len());
            length == Some(tag_bytes(scheme, is_public))
        })
    };
    let is_one = (knows_secret && is_whole(false)) || (knows_public && is_whole(true));
    (!is_one).then(|| {
        format!(
            "{} writes {}; what came has {} characters",
            called(Some(scheme)),
            writing(scheme),
            claim.written.len()
        )
    })
}

/// Whether all that came is of the kind, secret or key pair, that nothing was given for.
fn another_kind(
    scheme: &SignatureScheme,
    claim: &Claim<'_>,
    knows_public: bool,
    knows_secret: bool,
) -> Option<&'static str> {
    let (public, secret) = (scheme.prefix(true), scheme.prefix(false));
    let are = |prefix: &str| claim.signatures.iter().all(|it| it.starts_with(prefix));
    if public == secret {
        None
    } else if are(public) && !knows_public {
        Some(
            "the sender signs with an Ed25519 key (v1a) and not with a secret; give its public key, whpk_…, as the secret file",
        )
    } else if are(secret) && !knows_secret {
        Some(
            "the sender signs with a secret (v1) and not with an Ed25519 key; give the secret, whsec_…",
        )
    } else {
        None
    }
}

/// Bytes of a bare signature.
fn tag_bytes(scheme: &SignatureScheme, is_public: bool) -> usize {
    match scheme.algorithm {
        Algorithm::HmacSha256 if !is_public => 32,
        Algorithm::HmacSha256 | Algorithm::HmacSha512 | Algorithm::Ed25519 => 64,
    }
}

/// How a scheme writes its signature.
fn writing(scheme: &SignatureScheme) -> String {
    let start = scheme.start.replace("{timestamp}", "<seconds>");
    let before: String = [start.as_str(), &scheme.prefix]
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| format!("{text} and "))
        .collect();
    match scheme.encoding {
        Encoding::Base64 => format!("{before}Base64"),
        Encoding::Hex => format!(
            "{before}{} lower-case hexadecimal digits",
            2 * tag_bytes(scheme, false)
        ),
    }
}

/// Longest body that is printed in other shapes, in bytes: anybody can post one, and each of its
/// values has a line in there.
const REPRINT_BYTES_MAX: usize = 64 << 10;

/// Whether the signature fits the body in another shape.
fn altered(verifier: &Verifier, claim: &Claim<'_>, body: &[u8]) -> Option<&'static str> {
    let fits = |other: &[u8]| verifier.signer(claim, other).is_some();
    let trimmed = body.trim_ascii();
    if trimmed != body && fits(trimmed) {
        return Some("white space was added around it after it was signed");
    }
    if fits(&[body, b"\n"].concat()) || fits(&[body, b"\r\n"].concat()) {
        return Some("a line end was cut off after it was signed");
    }
    if fits(b"") {
        return Some("the signature is that of an empty body: it was signed before it was there");
    }
    if body.len() > REPRINT_BYTES_MAX {
        return None;
    }
    let json: &RawValue = serde_json::from_slice(body).ok()?;
    let sorted: Value = serde_json::from_slice(body).ok()?;
    let reprinted = [
        spaced(json.get(), ",", ":"),
        // As Python does unless it is told otherwise.
        spaced(json.get(), ", ", ": "),
        indented(json.get()),
        sorted.to_string(),
    ];
    let is_reprinted = reprinted.iter().any(|other| fits(other.as_bytes()));
    is_reprinted.then_some(
        "the signature fits the same JSON printed in another way: something between parsed and printed it again",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use hyper::header::{HeaderName, HeaderValue};
    use sha2::Sha256;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = r#"{"event":"cdr","id":"evt_1"}"#;
    const NOW: UnixMs = UnixMs(1_775_745_045_000);

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    fn mac(key: &[u8], signed: &str) -> Vec<u8> {
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(key).unwrap();
        mac.update(signed.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    fn digits(key: &[u8], signed: &str) -> String {
        hex(&mac(key, signed))
    }

    #[track_caller]
    fn check_vos3000(signature: &str, body: &str, expected: Cause, word: &str) {
        check(
            Profile::Vos3000,
            &[("x-vos3000-signature", signature)],
            body,
            false,
            expected,
            word,
        );
    }

    #[track_caller]
    fn check(
        profile: Profile,
        sent: &[(&str, &str)],
        body: &str,
        others: bool,
        expected: Cause,
        word: &str,
    ) {
        let verifier = Verifier::new(profile, &[SECRET]).unwrap();
        let sent = headers(sent);
        let request = Judged::post(&sent, body.as_bytes());
        let found = Diagnosis::of(&verifier, &request, NOW, others);
        let Diagnosis::Refused { cause, detail } = &found else {
            panic!("{body} is believed");
        };
        assert_eq!(*cause, expected, "{detail}");
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
        assert!(!found.to_string().contains(SECRET));
    }

    #[test]
    fn which_of_several_secrets_was_used_is_said() {
        let verifier = Verifier::new(Profile::Vos3000, &["other", SECRET]).unwrap();
        let sent = headers(&[("x-vos3000-signature", &digits(SECRET.as_bytes(), BODY))]);
        let request = Judged::post(&sent, BODY.as_bytes());
        let found = Diagnosis::of(&verifier, &request, NOW, false);
        assert_eq!(found.to_string(), "signature ok (secret 2 of 2)");
    }

    #[test]
    fn a_secret_read_wrongly_is_named() {
        let bytes = STANDARD.decode(&SECRET[6..]).unwrap();
        for (key, word) in [
            (format!("{SECRET}\n").as_bytes(), "line end"),
            (&SECRET.as_bytes()[6..], "without the whsec_"),
            (&bytes, "bytes behind"),
        ] {
            check_vos3000(&digits(key, BODY), BODY, Cause::WrongSecret, word);
        }
    }

    #[test]
    fn a_body_printed_again_is_told_from_one_that_was_changed() {
        let key = SECRET.as_bytes();
        let spaced = r#"{"event": "cdr", "id": "evt_1"}"#;
        let signature = digits(key, BODY);
        check_vos3000(&signature, spaced, Cause::BodyAltered, "printed");
        let longer = format!("{BODY}\n");
        check_vos3000(&signature, &longer, Cause::BodyAltered, "white space");
        let of_longer = digits(key, &longer);
        check_vos3000(&of_longer, BODY, Cause::BodyAltered, "line end was cut");
        let cut = &BODY[..BODY.len() - 3];
        check_vos3000(&signature, cut, Cause::BodyAltered, "not valid JSON");
        check_vos3000(&signature, "", Cause::BodyAltered, "it is empty");
        check_vos3000(
            &signature,
            "event=cdr&id=evt_2",
            Cause::SecretOrBody,
            "no callback",
        );
        let changed = BODY.replace("evt_1", "evt_2");
        check_vos3000(&signature, &changed, Cause::SecretOrBody, "no callback");
        let sent = [("x-vos3000-signature", signature.as_str())];
        check(
            Profile::Vos3000,
            &sent,
            &changed,
            true,
            Cause::BodyAltered,
            "other callbacks",
        );
    }

    #[test]
    fn a_right_signature_in_another_writing_is_told() {
        let key = SECRET.as_bytes();
        let signature = digits(key, BODY);
        let base64 = STANDARD.encode(mac(key, BODY));
        for written in [
            signature.to_uppercase(),
            format!("sha256={signature}"),
            base64,
        ] {
            check_vos3000(&written, BODY, Cause::WrittenWrongly, "the right one");
        }
        check_vos3000("abc", BODY, Cause::WrittenWrongly, "has 3 characters");
    }

    #[test]
    fn a_header_that_is_missing_is_named_and_so_is_the_profile_that_came() {
        check(
            Profile::Vos3000,
            &[],
            BODY,
            false,
            Cause::HeaderMissing,
            "x-vos3000-signature is missing",
        );
        check(
            Profile::Standard,
            &[("x-vos3000-signature", "ab")],
            BODY,
            false,
            Cause::HeaderMissing,
            "say --scheme vos3000",
        );
    }

    #[test]
    fn a_late_callback_says_whether_its_signature_is_right() {
        let bytes = STANDARD.decode(&SECRET[6..]).unwrap();
        let signed = mac(&bytes, &format!("m.1775744045.{BODY}"));
        let signature = format!("v1,{}", STANDARD.encode(signed));
        let sent = [
            ("webhook-id", "m"),
            ("webhook-timestamp", "1775744045"),
            ("webhook-signature", signature.as_str()),
        ];
        check(
            Profile::Standard,
            &sent,
            BODY,
            false,
            Cause::OutsideTheWindow,
            "1000 s old, 300 s are allowed; the signature itself is right",
        );
        check(
            Profile::Standard,
            &sent,
            "{}",
            false,
            Cause::OutsideTheWindow,
            "does not match either",
        );
        let unreadable = [
            ("webhook-id", "m"),
            ("webhook-timestamp", "today"),
            ("webhook-signature", "v1,AAAA"),
        ];
        check(
            Profile::Standard,
            &unreadable,
            BODY,
            false,
            Cause::TimestampUnreadable,
            "seconds since 1970",
        );
    }
}
