//! Short texts that an operator writes, and lines for the log.

use crate::config::value;
use crate::delivery::link::{Pin, Proxy};
use crate::delivery::login::Login;
use crate::delivery::rate::RateLimit;
use crate::delivery::signer::Secret;
use crate::delivery::url::Url;
use crate::derive::balance::Threshold;
use crate::listen::Network;
use crate::logging::one_line;
use crate::parser::encoding::Decoder;
use std::net::IpAddr;

/// Addresses, with logins and without, and networks: each is read again as it prints, and no login
/// and no query is printed.
pub(super) fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok((url, login)) = Url::parse_with_login(text) {
        assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(&url));
        let shown = format!("{url}");
        let (_, behind) = shown.split_once("://").expect("a scheme");
        let authority = behind.split(['/', '?']).next().unwrap_or_default();
        assert!(login.is_none() || !authority.contains('@'), "{shown}");
        assert!(
            !url.as_str().contains('?') || shown.ends_with("?.."),
            "{shown}"
        );
        let longer = url.clone().with_query("token", text);
        let again = Url::parse(longer.as_str()).expect("it is one still");
        assert_eq!(again.as_str(), longer.as_str());
        if let Some(login) = login {
            assert!(login.header().starts_with("Basic "));
            assert_eq!(format!("{login:?}"), "Login(..)");
        }
    }
    if let Ok(proxy) = Proxy::parse(text) {
        let shown = proxy.to_string();
        let again = Proxy::parse(&shown).expect("as it prints");
        assert_eq!((again.authorization(), again.host()), (None, proxy.host()));
    }
    let _ = (
        Login::parse(text).is_ok(),
        Login::from_address(text).is_ok(),
    );
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
        let own = text.split('/').next().unwrap_or_default();
        let own: IpAddr = own.parse().expect("it begins with an address");
        assert!(network.holds(own.to_canonical()) || own.to_canonical() != own);
    }
}

/// Times, sizes, rates, pins, thresholds, encodings and secrets: what prints is read again as the same.
pub(super) fn value(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match value::duration(text) {
        Ok(span) => assert_eq!(value::duration(&value::show_duration(span)), Ok(span)),
        Err(what) => assert!(!what.is_empty()),
    }
    match value::bytes(text) {
        Ok(size) => assert_eq!(value::bytes(&value::show_bytes(size)), Ok(size)),
        Err(what) => assert!(!what.is_empty()),
    }
    if let Some(rate) = RateLimit::parse(text) {
        assert_eq!(RateLimit::parse(&rate.to_string()), Some(rate));
    }
    if let Some(pin) = Pin::parse(text) {
        assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
    }
    if let Some(threshold) = Threshold::parse(text) {
        assert_eq!(Threshold::parse(&threshold.text), Some(threshold));
    }
    if let Ok(decoder) = Decoder::for_label(text) {
        assert_eq!(Decoder::for_label(decoder.name()), Ok(decoder));
    }
    for secret in [
        Secret::parse(text),
        Secret::verbatim(text),
        Secret::ed25519(text),
    ] {
        match secret {
            Ok(secret) => {
                let shown = format!("{secret:?}");
                let told = text.len() >= 24 && shown.contains(text);
                assert!(!told, "a secret was told");
            }
            // What is refused may be the very words of the refusal; it has no room for others.
            Err(error) => assert_eq!(size_of_val(&error), 1, "an error that can hold a secret"),
        }
    }
}

/// A text from anywhere is one line of the log, harmless and not too long.
pub(super) fn line(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for bytes_max in [3, 16, 400] {
        let line = one_line(&text, bytes_max);
        assert!(line.len() <= bytes_max);
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    crate::logging::fuzz::structured(&text);
}
