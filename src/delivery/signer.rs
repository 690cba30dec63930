//! Signer: the bytes that go out, an id and a time in; signature headers out.
//!
//! A scheme is a template, so that a receiver's own published scheme is configuration and not
//! code. The presets are instances of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Sha256, Sha512};
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What the secret of a Standard Webhooks endpoint begins with.
const STANDARD_PREFIX: &str = "whsec_";

/// What the private key of a Standard Webhooks endpoint begins with.
const ED25519_PREFIX: &str = "whsk_";

/// What the public half of it begins with, which its receivers are given.
const PUBLIC_PREFIX: &str = "whpk_";

/// Bytes of an Ed25519 seed (RFC 8032); a private key written with its public half has twice as many.
const ED25519_SEED_BYTES: usize = 32;

/// A header as it goes out: name and value.
pub type Header<'a> = (&'a str, Cow<'a, str>);

/// A signing key. Prints as `Secret(..)`, so a logged configuration cannot leak it.
#[derive(Clone)]
pub struct Secret {
    key: Box<[u8]>,
    /// It is the seed of an Ed25519 key, and not the key of an HMAC.
    is_ed25519: bool,
}

impl Secret {
    /// Reads a secret as it is written down: `whsec_` and Base64 is the key in Base64, `whsk_` and
    /// Base64 an Ed25519 private key (Standard Webhooks, "Symmetric" and "Asymmetric"); anything
    /// else is the key itself.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is empty, or when what follows the prefix is not as it should be.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        if text.starts_with(ED25519_PREFIX) {
            return Secret::ed25519(text);
        }
        let key = match text.strip_prefix(STANDARD_PREFIX) {
            Some(base64) => STANDARD
                .decode(base64)
                .map_err(|_| SecretError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        Secret::of(key, false)
    }

    /// Reads an Ed25519 private key: Base64 of its 32 bytes, or of those and the public key behind
    /// them, with or without `whsk_` in front.
    ///
    /// # Errors
    ///
    /// [`SecretError::NotEd25519`].
    pub fn ed25519(text: &str) -> Result<Secret, SecretError> {
        let base64 = text.strip_prefix(ED25519_PREFIX).unwrap_or(text);
        let key = STANDARD
            .decode(base64)
            .map_err(|_| SecretError::NotEd25519)?;
        let (seed, public) = key
            .split_at_checked(ED25519_SEED_BYTES)
            .ok_or(SecretError::NotEd25519)?;
        let is_pair = match public {
            [] => Ed25519KeyPair::from_seed_unchecked(seed).is_ok(),
            public => Ed25519KeyPair::from_seed_and_public_key(seed, public).is_ok(),
        };
        if is_pair {
            Secret::of(seed.to_vec(), true)
        } else {
            Err(SecretError::NotEd25519)
        }
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`].
    pub fn of_bytes(key: Vec<u8>) -> Result<Secret, SecretError> {
        Secret::of(key, false)
    }

    fn of(key: Vec<u8>, is_ed25519: bool) -> Result<Secret, SecretError> {
        if key.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Secret {
            key: key.into(),
            is_ed25519,
        })
    }

    /// Whether it is the private key of a pair, whose other half receivers verify with.
    pub fn is_ed25519(&self) -> bool {
        self.is_ed25519
    }

    /// The public half of a private key, as receivers are given it: `whpk_` and Base64. None of a
    /// secret, which has no such half.
    pub fn public(&self) -> Option<String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.key);
        let pair = pair.ok().filter(|_| self.is_ed25519)?;
        Some(format!(
            "{PUBLIC_PREFIX}{}",
            STANDARD.encode(pair.public_key())
        ))
    }

    /// The key itself, for whoever has to say how it may have been read wrongly. Never to be shown.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Takes a secret as it stands, whatever it looks like: the guides of the products that have
    /// no `whsec_` have their receivers do so.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] when it is empty.
    pub fn verbatim(text: &str) -> Result<Secret, SecretError> {
        Secret::of(text.as_bytes().to_vec(), false)
    }
}

/// Takes the same time whatever the contents, so a comparison tells nothing about the key.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is_ed25519 == other.is_ed25519 && bool::from(self.key.ct_eq(&other.key))
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a text is not a secret. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// There is no key in it.
    Empty,
    /// It begins with `whsec_`, and the rest is not Base64.
    NotBase64,
    /// It is no Ed25519 private key.
    NotEd25519,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the secret is empty",
            Self::NotBase64 => "what follows whsec_ is not base64",
            Self::NotEd25519 => {
                "it is no Ed25519 private key: whsk_ and base64 of 32 bytes, or of 64 with the public key"
            }
        })
    }
}

impl std::error::Error for SecretError {}

/// How a receiver expects to find a request signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureScheme {
    /// The header that carries the signature.
    pub header: String,
    /// The keyed hash.
    pub algorithm: Algorithm,
    /// How the hash is written.
    pub encoding: Encoding,
    /// What the header begins with; `{timestamp}` in it stands for the time of the attempt.
    pub start: String,
    /// What stands before each signature in the header, like `sha256=` or `v1,`.
    pub prefix: String,
    /// What stands between two signatures while a secret is changed over; `None` where receivers
    /// look for one only.
    pub separator: Option<&'static str>,
    /// What is signed, one part after the other with nothing in between.
    pub signed: Vec<Part>,
    /// A header that carries the event's id, if the receiver needs one to verify.
    pub id_header: Option<String>,
    /// A header that carries the signed time in Unix seconds.
    pub timestamp_header: Option<String>,
}

/// A keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC (RFC 2104) with SHA-256.
    HmacSha256,
    /// HMAC (RFC 2104) with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032), for receivers that are to have no secret.
    Ed25519,
}

/// How the bytes of a hash are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 (RFC 4648 section 4), padded.
    Base64,
}

/// One part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The event's id.
    Id,
    /// The time of the attempt, in Unix seconds.
    Timestamp,
    /// The body, byte for byte.
    Body,
    /// The address the request goes to, as it is configured; of a `GET` with the fields behind it.
    Url,
    /// The request's method.
    Method,
    /// This text.
    Literal(String),
}

/// A built-in scheme: its name in the configuration, and what makes it.
pub type NamedScheme = (&'static str, fn() -> SignatureScheme);

impl SignatureScheme {
    /// The names of the headers it makes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.id_header.iter().chain(&self.timestamp_header);
        others.chain([&self.header]).map(String::as_str)
    }

    /// Whether it makes a header of this name.
    pub fn makes(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Every built-in scheme, by its name in the configuration.
    pub const NAMED: [NamedScheme; 6] = [
        ("standard", SignatureScheme::standard),
        ("vos3000", SignatureScheme::vos3000),
        ("vobiz", SignatureScheme::vobiz),
        ("voipbin", SignatureScheme::voipbin),
        ("stripe", SignatureScheme::stripe),
        ("github", SignatureScheme::github),
    ];

    /// A hexadecimal HMAC-SHA256 of the raw body in `header`, and nothing around it.
    pub fn plain(header: &str) -> SignatureScheme {
        SignatureScheme {
            header: header.to_string(),
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Hex,
            start: String::new(),
            prefix: String::new(),
            separator: None,
            signed: vec![Part::Body],
            id_header: None,
            timestamp_header: None,
        }
    }

    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `v1,<base64>` over
    /// `id.timestamp.body` in `webhook-signature`.
    pub fn standard() -> SignatureScheme {
        SignatureScheme {
            encoding: Encoding::Base64,
            prefix: "v1,".to_string(),
            separator: Some(" "),
            signed: vec![Part::Id, dot(), Part::Timestamp, dot(), Part::Body],
            id_header: Some("webhook-id".to_string()),
            timestamp_header: Some("webhook-timestamp".to_string()),
            ..SignatureScheme::plain("webhook-signature")
        }
    }

    /// The VOS3000 guide: hexadecimal HMAC-SHA256 of the raw body in `X-VOS3000-Signature`.
    pub fn vos3000() -> SignatureScheme {
        SignatureScheme::plain("X-VOS3000-Signature")
    }

    /// The Vobiz guide: hexadecimal HMAC-SHA256 of `timestamp.body`.
    pub fn vobiz() -> SignatureScheme {
        SignatureScheme {
            signed: vec![Part::Timestamp, dot(), Part::Body],
            timestamp_header: Some("X-Vobiz-Timestamp".to_string()),
            ..SignatureScheme::plain("X-Vobiz-Signature")
        }
    }

    /// The VoIPBIN guide: `sha256=` and the hexadecimal HMAC-SHA256 of the raw body.
    pub fn voipbin() -> SignatureScheme {
        SignatureScheme {
            prefix: "sha256=".to_string(),
            ..SignatureScheme::plain("X-VoIPBIN-Signature")
        }
    }

    /// What Stripe's libraries verify: `t=<time>,v1=<hex>` over `timestamp.body`.
    pub fn stripe() -> SignatureScheme {
        SignatureScheme {
            start: "t={timestamp},".to_string(),
            prefix: "v1=".to_string(),
            separator: Some(","),
            signed: vec![Part::Timestamp, dot(), Part::Body],
            ..SignatureScheme::plain("Stripe-Signature")
        }
    }

    /// What receivers of GitHub's webhooks verify: `sha256=<hex>` over the raw body.
    pub fn github() -> SignatureScheme {
        SignatureScheme {
            prefix: "sha256=".to_string(),
            ..SignatureScheme::plain("X-Hub-Signature-256")
        }
    }

    /// The same for requests without a body: the address, which carries what is told, in its place.
    pub fn over_url(mut self) -> SignatureScheme {
        if !self.signed.contains(&Part::Url) {
            for part in self.signed.iter_mut().filter(|part| **part == Part::Body) {
                *part = Part::Url;
            }
        }
        self
    }

    /// The built-in scheme called `name` in the configuration.
    pub fn named(name: &str) -> Option<SignatureScheme> {
        let mut all = SignatureScheme::NAMED.into_iter();
        all.find(|(own, _)| *own == name)
            .map(|(_, scheme)| scheme())
    }

    /// Its name in the configuration, where it is a built-in one.
    pub fn name(&self) -> Option<&'static str> {
        let mut all = SignatureScheme::NAMED.into_iter();
        all.find(|(_, scheme)| scheme() == *self)
            .map(|(name, _)| name)
    }

    /// Reads a secret as the receivers of this scheme do.
    ///
    /// # Errors
    ///
    /// [`SecretError`].
    pub fn secret(&self, text: &str) -> Result<Secret, SecretError> {
        match self.algorithm {
            Algorithm::Ed25519 => Secret::ed25519(text),
            _ if self.takes_base64() => Secret::parse(text),
            _ => Secret::verbatim(text),
        }
    }

    /// Whether a secret is what is behind the Base64 of its text, and may be an Ed25519 key.
    pub fn takes_base64(&self) -> bool {
        *self == SignatureScheme::standard() || *self == SignatureScheme::standard().over_url()
    }

    /// Reads the public key that a receiver verifies with: `whpk_` and Base64, where the scheme knows
    /// Ed25519; of a scheme that knows nothing else the Base64 alone will do. None where `text` is
    /// something else.
    pub fn public_key(&self, text: &str) -> Option<Vec<u8>> {
        let is_only = self.algorithm == Algorithm::Ed25519;
        let base64 = match text.strip_prefix(PUBLIC_PREFIX) {
            Some(base64) if is_only || self.takes_base64() => base64,
            None if is_only => text,
            _ => return None,
        };
        let key = STANDARD.decode(base64).ok()?;
        Some(key).filter(|key| key.len() == ED25519_SEED_BYTES)
    }

    /// What stands before each signature: Standard Webhooks tells the two kinds apart.
    pub fn prefix(&self, is_ed25519: bool) -> &str {
        match self.prefix.as_str() {
            "v1," if is_ed25519 => "v1a,",
            prefix => prefix,
        }
    }

    /// The parts of what is signed, as they are for `message`; `seconds` is its time in digits.
    fn parts<'m>(
        &'m self,
        message: Message<'m>,
        seconds: &'m str,
    ) -> impl Iterator<Item = &'m [u8]> {
        self.signed.iter().map(move |part| match part {
            Part::Id => message.id.as_bytes(),
            Part::Timestamp => seconds.as_bytes(),
            Part::Body => message.body,
            Part::Url => message.url.as_bytes(),
            Part::Method => message.method.as_bytes(),
            Part::Literal(text) => text.as_bytes(),
        })
    }

    /// What is signed of `message`, as one.
    pub fn signed_bytes(&self, message: Message<'_>) -> Vec<u8> {
        let mut seconds = [0_u8; I64_DIGITS_MAX];
        let seconds = decimal(message.unix_secs, &mut seconds);
        self.parts(message, seconds).collect::<Vec<_>>().concat()
    }
}

fn dot() -> Part {
    Part::Literal(".".to_string())
}

/// What a signature is made of, beside the key.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// The event's id.
    pub id: &'m str,
    /// The time of the attempt, in seconds since 1970.
    pub unix_secs: i64,
    /// The request's method.
    pub method: &'m str,
    /// The address it goes to, as it is configured.
    pub url: &'m str,
    /// Its body, byte for byte.
    pub body: &'m [u8],
}

/// A scheme with its keys in place: prepared once, so that signing hashes only the message.
#[derive(Debug, Clone)]
pub struct Signer {
    scheme: SignatureScheme,
    keys: Vec<Key>,
}

#[derive(Clone)]
enum Key {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Signer {
    /// A signer with the secret in force first and, while it is being rotated, the previous one.
    pub fn new<'s>(
        scheme: SignatureScheme,
        secrets: impl IntoIterator<Item = &'s Secret>,
    ) -> Signer {
        let keys = secrets
            .into_iter()
            .map(|secret| Key::new(scheme.algorithm, secret))
            .collect();
        Signer { scheme, keys }
    }

    /// Adds the signature and what belongs to it to `headers`; nothing when there is no secret.
    /// `id` is the message's, as a header is to keep it.
    ///
    /// With two secrets the header carries both signatures (Standard Webhooks, "Multiple
    /// signatures"), so a receiver that knows either accepts the request.
    #[expect(
        clippy::ptr_arg,
        reason = "a header takes over what is borrowed without copying it"
    )]
    pub fn sign<'a>(
        &'a self,
        message: Message<'_>,
        id: &Cow<'a, str>,
        headers: &mut Vec<Header<'a>>,
    ) {
        if self.keys.is_empty() {
            return;
        }
        let mut seconds = [0_u8; I64_DIGITS_MAX];
        let seconds = decimal(message.unix_secs, &mut seconds);
        let scheme = &self.scheme;
        let mut value = String::with_capacity(SIGNATURE_CAPACITY);
        value.push_str(&scheme.start.replace("{timestamp}", seconds));
        for (number, key) in self.keys.iter().enumerate() {
            if number > 0 {
                value.push_str(scheme.separator.unwrap_or(" "));
            }
            key.write(scheme, message, seconds, &mut value);
        }
        if let Some(name) = &scheme.id_header {
            headers.push((name, id.clone()));
        }
        if let Some(name) = &scheme.timestamp_header {
            headers.push((name, Cow::Owned(seconds.to_string())));
        }
        headers.push((&scheme.header, Cow::Owned(value)));
    }
}

impl Signer {
    /// Whether it signs with an Ed25519 key, alone or beside a secret.
    pub fn knows_ed25519(&self) -> bool {
        self.keys.iter().any(|key| matches!(key, Key::Ed25519(_)))
    }

    /// What each key makes of `message`, in the order of the keys, as it stands in the header: the
    /// signature with what is before it.
    pub fn signatures(&self, message: Message<'_>) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |key| {
            let mut seconds = [0_u8; I64_DIGITS_MAX];
            let seconds = decimal(message.unix_secs, &mut seconds);
            let mut signature = String::with_capacity(SIGNATURE_CAPACITY);
            key.write(&self.scheme, message, seconds, &mut signature);
            signature
        })
    }
}

/// `-9223372036854775808` has 20 characters.
const I64_DIGITS_MAX: usize = 20;

/// Room for a prefix and one HMAC-SHA256 in hexadecimal, the longest of the presets.
const SIGNATURE_CAPACITY: usize = 80;

fn decimal(number: i64, buffer: &mut [u8; I64_DIGITS_MAX]) -> &str {
    let mut rest = &mut buffer[..];
    let written = write!(rest, "{number}").map(|()| I64_DIGITS_MAX - rest.len());
    let digits = buffer.get(..written.expect("a 64-bit number has at most 20 characters"));
    std::str::from_utf8(digits.unwrap_or_default()).expect("digits are UTF-8")
}

impl Key {
    fn new(algorithm: Algorithm, secret: &Secret) -> Key {
        let taken = "an HMAC takes a key of any length";
        match algorithm {
            _ if secret.is_ed25519 => Key::Ed25519(Arc::new(
                Ed25519KeyPair::from_seed_unchecked(&secret.key)
                    .expect("a seed is checked when it is read"),
            )),
            Algorithm::HmacSha512 => Key::Sha512(Hmac::new_from_slice(&secret.key).expect(taken)),
            // A key that is no Ed25519 seed was refused by the configuration.
            Algorithm::HmacSha256 | Algorithm::Ed25519 => {
                Key::Sha256(Hmac::new_from_slice(&secret.key).expect(taken))
            }
        }
    }

    /// Appends its signature of `message`, and what stands before it, to `out`.
    fn write(
        &self,
        scheme: &SignatureScheme,
        message: Message<'_>,
        seconds: &str,
        out: &mut String,
    ) {
        out.push_str(scheme.prefix(matches!(self, Key::Ed25519(_))));
        self.write_signature(scheme.parts(message, seconds), scheme.encoding, out);
    }

    fn write_signature<'p>(
        &self,
        parts: impl Iterator<Item = &'p [u8]>,
        encoding: Encoding,
        out: &mut String,
    ) {
        match self {
            Key::Sha256(key) => {
                let mut mac = key.clone();
                parts.for_each(|part| mac.update(part));
                encoding.write(&mac.finalize().into_bytes(), out);
            }
            Key::Sha512(key) => {
                let mut mac = key.clone();
                parts.for_each(|part| mac.update(part));
                encoding.write(&mac.finalize().into_bytes(), out);
            }
            Key::Ed25519(pair) => {
                // The whole message is needed twice, so it is put together.
                let message = parts.collect::<Vec<_>>().concat();
                encoding.write(pair.sign(&message).as_ref(), out);
            }
        }
    }
}

impl Encoding {
    /// The bytes behind `text`; none where it is not written so.
    pub fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Base64 => STANDARD.decode(text).ok(),
            Encoding::Hex => {
                let digit = |digit: &u8| match digit {
                    b'0'..=b'9' => Some(digit - b'0'),
                    b'a'..=b'f' => Some(digit - b'a' + 10),
                    _ => None,
                };
                let pairs = text.as_bytes().chunks(2);
                let byte = |pair: &[u8]| match pair {
                    [high, low] => Some(digit(high)? << 4 | digit(low)?),
                    _ => None,
                };
                pairs.map(byte).collect()
            }
        }
    }

    /// Appends `hash` to `out`.
    pub fn write(self, hash: &[u8], out: &mut String) {
        match self {
            Encoding::Base64 => STANDARD.encode_string(hash, out),
            Encoding::Hex => {
                for byte in hash {
                    for nibble in [byte >> 4, byte & 0x0f] {
                        out.push(
                            char::from_digit(u32::from(nibble), 16)
                                .expect("half a byte is one hexadecimal digit"),
                        );
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE_BODY: &[u8] =
        br#"{"event":"cdr","timestamp":"2026-04-09T14:30:45Z","data":{"call_id":"12345678"}}"#;
    const GUIDE_SECRET: &str = "your-secret-key-here";

    #[track_caller]
    fn check(
        scheme: SignatureScheme,
        secrets: &[&str],
        message: (&str, i64, &[u8]),
        expected: &[(&str, &str)],
    ) {
        let secrets: Vec<Secret> = secrets
            .iter()
            .map(|text| Secret::parse(text).unwrap())
            .collect();
        let signer = Signer::new(scheme, &secrets);
        let mut headers = Vec::new();
        let message = Message {
            id: message.0,
            unix_secs: message.1,
            method: "POST",
            url: "https://a.example/x",
            body: message.2,
        };
        signer.sign(message, &message.id.into(), &mut headers);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn the_published_vectors_come_out() {
        check(
            SignatureScheme::vos3000(),
            &[GUIDE_SECRET],
            ("", 0, GUIDE_BODY),
            &[(
                "X-VOS3000-Signature",
                "60df0aa1b3998813262454fcb79b8fac76ba38c20f52eca69c259c92096409ee",
            )],
        );
        check(
            SignatureScheme::vobiz(),
            &[GUIDE_SECRET],
            ("", 1_775_745_045, GUIDE_BODY),
            &[
                ("X-Vobiz-Timestamp", "1775745045"),
                (
                    "X-Vobiz-Signature",
                    "86e3628dac8b3710650eaaa13e8f87107fe583c4482b81b3ae97eeb707b9d67d",
                ),
            ],
        );
        check(
            SignatureScheme::voipbin(),
            &[GUIDE_SECRET],
            ("", 0, br#"{"type":"call_hangup","data":{"id":"12345678"}}"#),
            &[(
                "X-VoIPBIN-Signature",
                "sha256=2a1bd7434abb85104923ccb5bb0e50d0178d637feb3fef7a9b738a149bc655ac",
            )],
        );
        check(
            SignatureScheme::standard(),
            &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            (
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            ),
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                (
                    "webhook-signature",
                    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ),
            ],
        );
    }

    #[test]
    fn rfc_4231_case_2_holds_for_sha_512() {
        let scheme = SignatureScheme {
            algorithm: Algorithm::HmacSha512,
            ..SignatureScheme::vos3000()
        };
        let expected = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                        9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        check(
            scheme,
            &["Jefe"],
            ("", 0, b"what do ya want for nothing?"),
            &[("X-VOS3000-Signature", expected)],
        );
    }

    #[test]
    fn two_secrets_give_two_signatures_and_no_secret_gives_none() {
        let second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let scheme = SignatureScheme {
            id_header: None,
            timestamp_header: None,
            ..SignatureScheme::standard()
        };
        check(
            scheme.clone(),
            &["whsec_AAAA", second],
            (
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            ),
            &[(
                "webhook-signature",
                "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            )],
        );
        check(scheme, &[], ("id", 1, b"{}"), &[]);
    }

    #[test]
    fn the_schemes_of_others_come_out() {
        // openssl dgst -sha256 -hmac your-secret-key-here, over "1614265330.{}" and "{}"
        check(
            SignatureScheme::stripe(),
            &[GUIDE_SECRET],
            ("", 1_614_265_330, b"{}"),
            &[(
                "Stripe-Signature",
                "t=1614265330,v1=6044b0958d24defa1be781e917b4bb18660e13138990f4a80836282416a78959",
            )],
        );
        check(
            SignatureScheme::github(),
            &[GUIDE_SECRET],
            ("", 0, b"{}"),
            &[(
                "X-Hub-Signature-256",
                "sha256=bb1b57b1527cb63bc3015f0c9a319155344f59a8c3c51a040653f5ed588ac584",
            )],
        );
    }

    #[test]
    fn ed25519_signs_as_rfc_8032_has_it() {
        // RFC 8032, section 7.1, test 2: the message is the byte 0x72.
        let seed = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
        let scheme = SignatureScheme {
            algorithm: Algorithm::Ed25519,
            encoding: Encoding::Hex,
            ..SignatureScheme::plain("X-Signature")
        };
        let signer = Signer::new(scheme, [&Secret::ed25519(seed).unwrap()]);
        let mut headers = Vec::new();
        let message = Message {
            id: "",
            unix_secs: 0,
            method: "POST",
            url: "",
            body: &[0x72],
        };
        signer.sign(message, &message.id.into(), &mut headers);
        assert_eq!(
            headers[0].1,
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }

    #[test]
    fn a_private_key_is_told_from_a_secret() {
        let seed = "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
        assert!(Secret::parse(seed).unwrap().is_ed25519());
        let with_public = "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";
        assert_eq!(Secret::parse(with_public), Secret::parse(seed));
        for text in ["whsk_", "whsk_AAAA", "whsk_?"] {
            assert_eq!(Secret::parse(text).unwrap_err(), SecretError::NotEd25519);
        }
        let scheme = SignatureScheme::standard();
        let keys = [Secret::parse(seed).unwrap(), Secret::parse("x").unwrap()];
        let signer = Signer::new(scheme, &keys);
        let mut headers = Vec::new();
        let message = Message {
            id: "a",
            unix_secs: 1,
            method: "POST",
            url: "",
            body: b"",
        };
        signer.sign(message, &message.id.into(), &mut headers);
        let (_, value) = headers.last().unwrap();
        assert!(
            value.starts_with("v1a,") && value.contains(" v1,"),
            "{value}"
        );
    }

    #[test]
    fn a_secret_is_read_in_both_forms_and_never_printed() {
        let written = Secret::parse("whsec_eW91ci1zZWNyZXQta2V5LWhlcmU=").unwrap();
        assert_eq!(written, Secret::parse(GUIDE_SECRET).unwrap());
        assert_ne!(written, Secret::parse("another").unwrap());
        let verbatim = Secret::verbatim("whsec_AAAA").unwrap();
        assert_ne!(verbatim, Secret::parse("whsec_AAAA").unwrap());
        assert_eq!(Secret::verbatim("").unwrap_err(), SecretError::Empty);
        assert_eq!(format!("{written:?}"), "Secret(..)");
        assert_eq!(
            format!("{:?}", Key::new(Algorithm::HmacSha256, &written)),
            "Key(..)"
        );
        assert_eq!(Secret::parse("").unwrap_err(), SecretError::Empty);
        assert_eq!(Secret::parse("whsec_").unwrap_err(), SecretError::Empty);
        assert_eq!(
            Secret::parse("whsec_?").unwrap_err(),
            SecretError::NotBase64
        );
    }

    #[test]
    fn the_smallest_time_fits_its_buffer() {
        let mut buffer = [0; I64_DIGITS_MAX];
        assert_eq!(decimal(i64::MIN, &mut buffer), "-9223372036854775808");
    }
}
