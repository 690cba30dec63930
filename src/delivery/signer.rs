//! Signer: the bytes that go out, an id and a time in; signature headers out.
//!
//! A scheme is a template, so that a receiver's own published scheme is configuration and not
//! code. The presets are instances of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use subtle::ConstantTimeEq;

/// What the secret of a Standard Webhooks endpoint begins with.
const STANDARD_PREFIX: &str = "whsec_";

/// A header as it goes out: name and value.
pub type Header<'a> = (&'a str, Cow<'a, str>);

/// A signing key. Prints as `Secret(..)`, so a logged configuration cannot leak it.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Reads a secret as it is written down: `whsec_` and Base64 is the key in Base64 (Standard
    /// Webhooks, "Symmetric"); anything else is the key itself.
    ///
    /// # Errors
    ///
    /// [`SecretError`] when it is empty, or when what follows `whsec_` is not Base64.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        let key = match text.strip_prefix(STANDARD_PREFIX) {
            Some(base64) => STANDARD
                .decode(base64)
                .map_err(|_| SecretError::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            Err(SecretError::Empty)
        } else {
            Ok(Secret(key.into()))
        }
    }

    /// Takes a secret as it stands, whatever it looks like: the guides of the products that have
    /// no `whsec_` have their receivers do so.
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] when it is empty.
    pub fn verbatim(text: &str) -> Result<Secret, SecretError> {
        if text.is_empty() {
            Err(SecretError::Empty)
        } else {
            Ok(Secret(text.as_bytes().into()))
        }
    }
}

/// Takes the same time whatever the contents, so a comparison tells nothing about the key.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.ct_eq(&other.0).into()
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
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the secret is empty",
            Self::NotBase64 => "what follows whsec_ is not base64",
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
    /// What stands before each signature in the header, like `sha256=` or `v1,`.
    pub prefix: String,
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
    /// This text.
    Literal(String),
}

impl SignatureScheme {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `v1,<base64>` over
    /// `id.timestamp.body` in `webhook-signature`.
    pub fn standard() -> SignatureScheme {
        let dot = || Part::Literal(".".to_string());
        SignatureScheme {
            header: "webhook-signature".to_string(),
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Base64,
            prefix: "v1,".to_string(),
            signed: vec![Part::Id, dot(), Part::Timestamp, dot(), Part::Body],
            id_header: Some("webhook-id".to_string()),
            timestamp_header: Some("webhook-timestamp".to_string()),
        }
    }

    /// The VOS3000 guide: hexadecimal HMAC-SHA256 of the raw body in `X-VOS3000-Signature`.
    pub fn vos3000() -> SignatureScheme {
        SignatureScheme {
            header: "X-VOS3000-Signature".to_string(),
            algorithm: Algorithm::HmacSha256,
            encoding: Encoding::Hex,
            prefix: String::new(),
            signed: vec![Part::Body],
            id_header: None,
            timestamp_header: None,
        }
    }
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
    ///
    /// With two secrets the header carries both signatures with a space between (Standard
    /// Webhooks, "Multiple signatures"), so a receiver that knows either accepts the request.
    pub fn sign<'a>(
        &'a self,
        id: &str,
        unix_secs: i64,
        body: &[u8],
        headers: &mut Vec<Header<'a>>,
    ) {
        if self.keys.is_empty() {
            return;
        }
        let mut seconds = [0_u8; I64_DIGITS_MAX];
        let seconds = decimal(unix_secs, &mut seconds);
        let mut value = String::with_capacity(SIGNATURE_CAPACITY);
        for key in &self.keys {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(&self.scheme.prefix);
            let parts = self.scheme.signed.iter().map(|part| match part {
                Part::Id => id.as_bytes(),
                Part::Timestamp => seconds.as_bytes(),
                Part::Body => body,
                Part::Literal(text) => text.as_bytes(),
            });
            key.write_signature(parts, self.scheme.encoding, &mut value);
        }
        if let Some(name) = &self.scheme.id_header {
            headers.push((name, Cow::Owned(id.to_string())));
        }
        if let Some(name) = &self.scheme.timestamp_header {
            headers.push((name, Cow::Owned(seconds.to_string())));
        }
        headers.push((&self.scheme.header, Cow::Owned(value)));
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
            Algorithm::HmacSha256 => Key::Sha256(Hmac::new_from_slice(&secret.0).expect(taken)),
            Algorithm::HmacSha512 => Key::Sha512(Hmac::new_from_slice(&secret.0).expect(taken)),
        }
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
        }
    }
}

impl Encoding {
    fn write(self, hash: &[u8], out: &mut String) {
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

    fn vobiz() -> SignatureScheme {
        SignatureScheme {
            header: "X-Vobiz-Signature".to_string(),
            signed: vec![Part::Timestamp, Part::Literal(".".to_string()), Part::Body],
            timestamp_header: Some("X-Vobiz-Timestamp".to_string()),
            ..SignatureScheme::vos3000()
        }
    }

    fn voipbin() -> SignatureScheme {
        SignatureScheme {
            header: "X-VoIPBIN-Signature".to_string(),
            prefix: "sha256=".to_string(),
            ..SignatureScheme::vos3000()
        }
    }

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
        signer.sign(message.0, message.1, message.2, &mut headers);
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
            vobiz(),
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
            voipbin(),
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
