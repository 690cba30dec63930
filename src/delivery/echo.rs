//! Echo: an endpoint's secrets in what its receiver says.
//!
//! A receiver that refuses a request likes to repeat what it did not like: a header, a token, the
//! address. What it says is kept with dead letters and shown to operators, so what is secret is
//! taken out of it as soon as it is here.

use super::endpoint::Endpoint;
use super::login;
use super::transport::ANSWER_START_BYTES;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Shortest text that is taken out, in bytes: what is shorter is part of ordinary words too, and
/// no secret by which anything could be protected.
const SECRET_BYTES_MIN: usize = 4;

/// Shortest part of an address's path that is taken for a token, in bytes: names of routes are
/// shorter, and help whoever has mistyped one.
const PATH_TOKEN_BYTES_MIN: usize = 16;

/// Stands for what was taken out.
const HIDDEN: &[u8] = b"***";

/// Takes the secrets of `endpoint` out of `answer`, the start of what its receiver said.
pub fn hide_secrets(endpoint: &Endpoint, answer: &mut Vec<u8>) {
    if answer.is_empty() {
        return;
    }
    let is_cut = answer.len() >= ANSWER_START_BYTES;
    let secrets = secrets(endpoint);
    for secret in &secrets {
        while let Some(at) = find(answer, secret) {
            answer.splice(at..at + secret.len(), HIDDEN.iter().copied());
        }
    }
    if is_cut {
        hide_beginning(answer, &secrets);
    }
}

/// Takes out the beginning of a secret whose rest was cut off behind `answer`.
fn hide_beginning(answer: &mut Vec<u8>, secrets: &[Vec<u8>]) {
    for secret in secrets {
        let longest = secret.len().min(answer.len() + 1) - 1;
        let cut = (SECRET_BYTES_MIN..=longest)
            .rev()
            .find(|length| secret.get(..*length).is_some_and(|it| answer.ends_with(it)));
        if let Some(length) = cut {
            answer.truncate(answer.len() - length);
            answer.extend_from_slice(HIDDEN);
        }
    }
}

/// What requests carry or are signed with, in the forms in which it may come back, the longest
/// first. None is part of what stands for them.
fn secrets(endpoint: &Endpoint) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for secret in endpoint.secret.iter().chain(&endpoint.previous_secret) {
        found.push(secret.key().to_vec());
        found.push(STANDARD.encode(secret.key()).into_bytes());
    }
    let headers = endpoint.headers.iter().map(|it| it.value().to_string());
    let proxy = endpoint.link.proxy.as_ref();
    for value in headers.chain(proxy.and_then(|it| it.authorization())) {
        if let Some((scheme, credentials)) = value.split_once(' ') {
            if scheme.eq_ignore_ascii_case("basic")
                && let Ok(login) = STANDARD.decode(credentials)
            {
                let password = login.splitn(2, |byte| *byte == b':').nth(1);
                found.extend(password.map(<[u8]>::to_vec));
                found.push(login);
            }
            found.push(credentials.as_bytes().to_vec());
        }
        found.push(value.into_bytes());
    }
    let address = endpoint.url.as_str();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    for (_, value) in values {
        found.extend(login::decoded(value).map(String::into_bytes));
        found.push(value.as_bytes().to_vec());
    }
    let parts = path.split('/').skip(3).map(str::as_bytes);
    found.extend(
        parts
            .filter(|it| it.len() >= PATH_TOKEN_BYTES_MIN)
            .map(<[u8]>::to_vec),
    );
    // As PHP writes a slash in JSON.
    let slashed = found.iter().filter(|it| it.contains(&b'/'));
    let slashed: Vec<Vec<u8>> = slashed.map(|it| escaped(it)).collect();
    found.extend(slashed);
    found.retain(|it| it.len() >= SECRET_BYTES_MIN);
    found.sort_by_key(|it| std::cmp::Reverse(it.len()));
    found
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let bytes = text.iter().flat_map(|byte| match byte {
        b'/' => &b"\\/"[..],
        other => std::slice::from_ref(other),
    });
    bytes.copied().collect()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
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
        let url = "https://api.example.com/v1/T0123456789abcdefXYZ/calls?token=a%2Fb%20hush";
        let mut endpoint = Endpoint::new("billing", Url::parse(url).unwrap(), Profile::Vos3000);
        endpoint.secret = Some(Secret::verbatim("sign/with-this").unwrap());
        endpoint.previous_secret = Some(Secret::parse("whsec_c2lnbmVkIGJlZm9yZQ==").unwrap());
        let header = |name, value: &str| OwnHeader::new(name, value).unwrap();
        let login = Login::new("dhaka", "pass:word").unwrap();
        endpoint.headers = vec![
            header("Authorization", &login.header()),
            header("X-API-Key", "key-of-the-crm"),
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
    fn a_secret_that_is_cut_off_at_the_end_is_no_riddle() {
        let mut answer = vec![b'x'; ANSWER_START_BYTES - 9];
        answer.extend_from_slice(b"key-of-th");
        hide_secrets(&endpoint(), &mut answer);
        assert!(answer.ends_with(b"xxx***"), "{answer:?}");
    }
}
