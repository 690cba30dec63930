//! Echo: an endpoint's secrets in what its receiver says.
//!
//! A receiver that refuses a request likes to repeat what it did not like: a header, a token, the
//! address. What it says is kept with dead letters and shown to operators, so what is secret is
//! taken out of it as soon as it is here.

use super::endpoint::Endpoint;
use super::link::Proxy;
use super::login;
use super::transport::ANSWER_START_BYTES;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Shortest text that is taken out, in bytes: what is shorter is part of ordinary words too, and
/// no secret by which anything could be protected.
const SECRET_BYTES_MIN: usize = 4;

/// Shortest value in the clear of a configuration, in a query or a header of the operator's own,
/// that is taken for a token, in bytes: `call` and `json` are words that a receiver's answer is
/// read for.
const CLEAR_TOKEN_BYTES_MIN: usize = 8;

/// Shortest part of an address's path that is taken for a token, in bytes: names of routes are
/// shorter, and help whoever has mistyped one.
const PATH_TOKEN_BYTES_MIN: usize = 16;

/// Stands for what was taken out.
const HIDDEN: &[u8] = b"***";

/// Longest escape of JSON, in bytes: `\u002B`.
const ESCAPE_BYTES: usize = 6;

/// Takes the secrets of `endpoint` out of `answer`, the start of what its receiver said.
pub fn hide_secrets(endpoint: &Endpoint, answer: &mut Vec<u8>) {
    if answer.is_empty() {
        return;
    }
    let is_cut = answer.len() >= ANSWER_START_BYTES;
    // All is found before any is taken out: one secret may begin within another.
    let mut is_secret = vec![false; answer.len()];
    for secret in secrets(endpoint) {
        for begin in 0..answer.len() {
            let text = answer.get(begin..).unwrap_or_default();
            for reading in [Reading::Plain, Reading::Json] {
                let length = match spelled(text, &secret, reading) {
                    Spelled::Whole(length) => length,
                    // The rest of it was cut off.
                    Spelled::Begun(bytes) if is_cut && bytes >= SECRET_BYTES_MIN => text.len(),
                    Spelled::Begun(_) | Spelled::Not => 0,
                };
                let found = is_secret.iter_mut().skip(begin).take(length);
                found.for_each(|it| *it = true);
            }
        }
    }
    let mut shown = Vec::with_capacity(answer.len());
    let mut is_hidden = false;
    for (byte, is_secret) in answer.iter().zip(is_secret) {
        match (is_secret, is_hidden) {
            (true, false) => shown.extend_from_slice(HIDDEN),
            (true, true) => {}
            (false, _) => shown.push(*byte),
        }
        is_hidden = is_secret;
    }
    *answer = shown;
}

/// Puts the value of a header: a token or a login, behind the name of a scheme or alone.
fn put_header(value: &str, is_secret: bool, found: &mut Vec<Vec<u8>>) {
    let is_taken = |text: &str| is_secret || is_token(text, CLEAR_TOKEN_BYTES_MIN);
    if let Some((scheme, credentials)) = value.split_once(' ') {
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(login) = STANDARD.decode(credentials)
        {
            let password = login.splitn(2, |byte| *byte == b':').nth(1);
            found.extend(password.map(<[u8]>::to_vec));
            found.push(login);
            found.push(credentials.as_bytes().to_vec());
        } else if is_taken(credentials) {
            found.push(credentials.as_bytes().to_vec());
        }
    }
    if is_taken(value) {
        found.push(value.as_bytes().to_vec());
    }
}

/// Puts a part of an address, as it stands there and decoded, unless it is a word.
fn put_part(part: &str, bytes_min: usize, found: &mut Vec<Vec<u8>>) {
    let decoded = login::decoded(part).unwrap_or_else(|_| part.to_string());
    // The digits of `%20` make no token.
    if bytes_min == 0 || is_token(&decoded, bytes_min) {
        found.push(part.as_bytes().to_vec());
        found.push(decoded.into_bytes());
    }
}

/// Whether what somebody wrote in the clear may be a token and no word: a token of any strength
/// that was drawn by chance has a digit, and words of a path, a site's name, a media type have none.
fn is_token(text: &str, bytes_min: usize) -> bool {
    text.len() >= bytes_min && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether what goes by this name is a secret, whatever it looks like.
fn is_name_of_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = [
        "token",
        "key",
        "secret",
        "passw",
        "pwd",
        "auth",
        "signature",
    ];
    words.iter().any(|word| name.contains(word))
}

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As it stands there.
    Plain,
    /// As the inside of a string of JSON. What is written as an escape differs from one library
    /// to the next: PHP does so with `/`, Go with `&`, ASP.NET with `+`.
    Json,
}

/// Whether a text begins with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelled {
    /// With all of it, which takes so many bytes there.
    Whole(usize),
    /// The text ends within it, after so many bytes of the secret.
    Begun(usize),
    /// It does not.
    Not,
}

fn spelled(text: &[u8], secret: &[u8], reading: Reading) -> Spelled {
    let (mut rest, mut missing) = (text, secret);
    while !missing.is_empty() {
        let escape = match reading {
            Reading::Plain => None,
            Reading::Json => escape(rest),
        };
        let mut utf8 = [0; 4];
        let (spelled, length): (&[u8], usize) = match escape {
            Some((character, length)) => (character.encode_utf8(&mut utf8).as_bytes(), length),
            None => (rest.get(..1).unwrap_or_default(), 1),
        };
        let is_end = rest.is_empty()
            || reading == Reading::Json
                && escape.is_none()
                && rest.len() < ESCAPE_BYTES
                && rest.starts_with(b"\\");
        match missing.strip_prefix(spelled) {
            _ if is_end => return Spelled::Begun(secret.len() - missing.len()),
            Some(still_missing) => missing = still_missing,
            None => return Spelled::Not,
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Spelled::Whole(text.len() - rest.len())
}

/// The character that `text` begins with when that is an escape, and how many bytes it takes.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    match text {
        [b'\\', b'u', digits @ ..] => {
            let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
            let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((character, ESCAPE_BYTES))
        }
        [b'\\', byte @ (b'"' | b'\\' | b'/'), ..] => Some((char::from(*byte), 2)),
        _ => None,
    }
}

/// What requests carry or are signed with, in the forms in which it may come back.
fn secrets(endpoint: &Endpoint) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for secret in endpoint.secret.iter().chain(&endpoint.previous_secret) {
        found.push(secret.key().to_vec());
        found.push(STANDARD.encode(secret.key()).into_bytes());
    }
    for header in &endpoint.headers {
        let is_secret = header.is_secret() || is_name_of_secret(header.name());
        put_header(header.value(), is_secret, &mut found);
    }
    let proxy = endpoint.link.proxy.as_ref();
    if let Some(value) = proxy.and_then(Proxy::authorization) {
        put_header(&value, true, &mut found);
    }
    if let Some(token) = endpoint.url.secret() {
        put_part(token, 0, &mut found);
    }
    let address = endpoint.url.as_str();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    for pair in query.split('&') {
        // Of `?TOKEN` all is the token.
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let bytes_min = match is_name_of_secret(name) {
            true => 0,
            false => CLEAR_TOKEN_BYTES_MIN,
        };
        put_part(value, bytes_min, &mut found);
    }
    for part in path.split('/').skip(3) {
        put_part(part, PATH_TOKEN_BYTES_MIN, &mut found);
    }
    found.retain(|it| it.len() >= SECRET_BYTES_MIN);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::endpoint::OwnHeader;
    use crate::delivery::login::Login;
    use crate::delivery::profile::Profile;
    use crate::delivery::signer::Secret;
    use crate::delivery::url::Url;

    fn endpoint() -> Endpoint {
        let url = "https://api.example.com/v1/T0123456789abcdefXYZ/calls?action=call";
        let url = Url::parse(url).unwrap().with_query("token", "a/b hush");
        let mut endpoint = Endpoint::new("billing", url, Profile::Vos3000);
        endpoint.secret = Some(Secret::verbatim("sign/with-this").unwrap());
        endpoint.previous_secret = Some(Secret::parse("whsec_c2lnbmVkIGJlZm9yZQ==").unwrap());
        let header = |name, value: &str| OwnHeader::new(name, value).unwrap();
        let login = Login::new("dhaka", "pass:word").unwrap();
        endpoint.headers = vec![
            header("Authorization", &login.header()).secret(),
            header("X-API-Key", "key-of-the-crm").secret(),
        ];
        endpoint
    }

    #[track_caller]
    fn check(answer: &str, expected: &str) {
        let mut bytes = answer.as_bytes().to_vec();
        hide_secrets(&endpoint(), &mut bytes);
        assert_eq!(String::from_utf8_lossy(&bytes), expected, "{answer}");
    }

    #[test]
    fn what_goes_by_the_name_of_a_secret_is_one_in_the_clear_too() {
        let url = Url::parse("https://a/calls?Token=hush-hush&format=readable").unwrap();
        let mut endpoint = Endpoint::new("a", url, Profile::Vos3000);
        let header = |name, value| OwnHeader::new(name, value).unwrap();
        endpoint.headers = vec![
            header("X-Api-Key", "in the clear"),
            header("X-Site", "Dhaka-East"),
        ];
        let mut answer = b"hush-hush, in the clear: not readable in Dhaka-East".to_vec();
        hide_secrets(&endpoint, &mut answer);
        assert_eq!(answer, b"***, ***: not readable in Dhaka-East");
    }

    #[test]
    fn a_receiver_that_repeats_a_secret_does_not_show_it_to_an_operator() {
        check(
            "signed with sign/with-this, twice: sign/with-this",
            "signed with ***, twice: ***",
        );
        check(r#"{"secret":"sign\/with-this"}"#, r#"{"secret":"***"}"#);
        check("whsec_c2lnbmVkIGJlZm9yZQ== is old", "whsec_*** is old");
        check(
            "Authorization: Basic ZGhha2E6cGFzczp3b3Jk",
            "Authorization: ***",
        );
        check("got ZGhha2E6cGFzczp3b3Jk", "got ***");
        check(
            "wrong password pass:word of dhaka",
            "wrong password *** of dhaka",
        );
        check("X-API-Key: key-of-the-crm", "X-API-Key: ***");
        check("token a/b hush or a%2Fb%20hush", "token *** or ***");
        check(
            "Cannot POST /v1/T0123456789abcdefXYZ/calls",
            "Cannot POST /v1/***/calls",
        );
    }

    #[test]
    fn however_json_is_written_a_secret_in_it_is_found() {
        let secret = "a+b&c<d>'\"\\/=éz";
        for written in [
            secret,
            r#"a\u002Bb\u0026c\u003Cd\u003E\u0027\u0022\\/=\u00E9z"#,
            r#"a\u002bb\u0026c\u003cd\u003e\u0027\"\\/\u003d\u00e9z"#,
            r#"a+b&c<d>'\"\\\/=\u00e9z"#,
            r#"a+b\u0026c\u003cd\u003e'\"\\/=éz"#,
        ] {
            let url = Url::parse("https://api.example.com/").unwrap();
            let mut endpoint = Endpoint::new("billing", url, Profile::Vos3000);
            endpoint.secret = Some(Secret::verbatim(secret).unwrap());
            let mut answer = format!("{{\"key\":\"{written}\\n\"}}").into_bytes();
            hide_secrets(&endpoint, &mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(answer, r#"{"key":"***\n"}"#, "{written}");
        }
        for (text, reading, expected) in [
            (r"a\u002", Reading::Json, Spelled::Begun(1)),
            (r"a\u002", Reading::Plain, Spelled::Not),
            (r"a\u002Bb", Reading::Json, Spelled::Whole(8)),
            (r"a\u002Cb", Reading::Json, Spelled::Not),
            (r"a\ud83d", Reading::Json, Spelled::Not),
            ("a+", Reading::Json, Spelled::Begun(2)),
        ] {
            assert_eq!(
                spelled(text.as_bytes(), b"a+b", reading),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn two_secrets_that_share_their_middle_are_both_taken_out() {
        let url = Url::parse("https://api.example.com/?head-4711&4711-tail").unwrap();
        let endpoint = Endpoint::new("billing", url, Profile::Vos3000);
        let mut answer = b"got head-4711-tail?".to_vec();
        hide_secrets(&endpoint, &mut answer);
        assert_eq!(answer, b"got ***?");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for answer in [
            "",
            r#"{"error":"unknown account ACME"}"#,
            "key of sign with this",
        ] {
            check(answer, answer);
        }
    }

    #[test]
    fn words_of_an_address_and_of_headers_are_no_secrets_and_tokens_there_are() {
        let url = "https://api.example.com/switchhook-events/8f14e45fceea167a/api.php\
                   ?action=call&format=json&site=Dhaka%20north&key=4f2a99c1&caf%E9=x&tok3n-alone";
        let mut endpoint = Endpoint::new("billing", Url::parse(url).unwrap(), Profile::Vos3000);
        endpoint.headers = [
            ("X-Site", "Dhaka"),
            ("Accept", "application/json"),
            ("X-Tenant", "42"),
            ("X-Key", "Token 0123456789"),
            ("X-Login", "Basic ZGhha2E6aHVzaA=="),
        ]
        .map(|(name, value)| OwnHeader::new(name, value).unwrap())
        .into();
        for (answer, expected) in [
            ("no such call in json", "no such call in json"),
            (
                "Dhaka is no site, Dhaka%20north too",
                "Dhaka is no site, Dhaka%20north too",
            ),
            ("send application/json", "send application/json"),
            ("/switchhook-events/ for 42", "/switchhook-events/ for 42"),
            ("/8f14e45fceea167a/api.php", "/***/api.php"),
            ("key 4f2a99c1, tok3n-alone", "key ***, ***"),
            ("0123456789 or Token 0123456789", "*** or ***"),
            ("hush of dhaka:hush", "*** of ***"),
        ] {
            let mut bytes = answer.as_bytes().to_vec();
            hide_secrets(&endpoint, &mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), expected, "{answer}");
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_at_the_end_is_no_riddle() {
        let mut answer = vec![b'x'; ANSWER_START_BYTES - 9];
        answer.extend_from_slice(b"key-of-th");
        hide_secrets(&endpoint(), &mut answer);
        assert!(answer.ends_with(b"xxx***"), "{answer:?}");
    }
}
