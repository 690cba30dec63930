//! How an endpoint's connections are made: limits, proxy, source address, TLS.

use super::file::EndpointTable;
use super::place::Place;
use super::secret;
use super::value;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::link::{Identity, Link, Pin, Proxy, TlsMin};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Shortest and longest time a phase before sending may be given: one that is resolving or
/// connecting cannot be stopped before it is over.
const CONNECTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// Shortest and longest time to wait for an answer.
const ANSWERS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);

/// Most pins: a key in force, the next one, and one kept apart, for each of a few receivers.
const PINS_MAX: usize = 16;

/// Where the agent's own certificate comes from; for `check`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityFiles {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl IdentityFiles {
    /// The files there are.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.certificate.iter().chain(&self.key)
    }
}

/// Reads the keys of `table` that say how connections to a receiver are made, over TLS or not.
pub fn link(
    table: &EndpointTable,
    is_tls: bool,
    connect_timeout: Duration,
    timeout: Duration,
    place: &mut Place<'_>,
) -> (Link, IdentityFiles) {
    let mut span = |key, written: &super::written::Key<String>, default, range| {
        written
            .as_ref()
            .map(|_| place.duration(key, written, default, range))
    };
    let resolve_timeout = span(
        "resolve_timeout",
        &table.resolve_timeout,
        connect_timeout,
        CONNECTS,
    );
    let tls_timeout = span("tls_timeout", &table.tls_timeout, connect_timeout, CONNECTS);
    let answer_timeout = span("answer_timeout", &table.answer_timeout, timeout, ANSWERS);
    let source_address = place
        .given("source_address", &table.source_address, "\"192.0.2.7\"")
        .and_then(|text| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let what = format!(
                    "{text:?} is no address; write one that this machine has, like \"192.0.2.7\""
                );
                place.problem("source_address", &table.source_address, what);
                None
            }
        });
    let tls_min = place.choice("tls_min", &table.tls_min, TlsMin::default(), &TlsMin::ALL);
    let pins = pins(table, place);
    let (identity, files) = identity(table, place);
    if !is_tls {
        only_over_tls(table, place);
    }
    let link = Link {
        resolve_timeout,
        tls_timeout,
        answer_timeout,
        source_address,
        proxy: proxy(table, place),
        tls_min,
        pins,
        identity,
    };
    (link, files)
}

/// Adds the keys in force, without what is secret.
pub fn show(endpoint: &Endpoint, files: &IdentityFiles, table: &mut toml::Table) {
    let link = &endpoint.link;
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    let span = |own: Option<Duration>, other| value::show_duration(own.unwrap_or(other)).into();
    put(
        "resolve_timeout",
        span(link.resolve_timeout, endpoint.connect_timeout),
    );
    put(
        "answer_timeout",
        span(link.answer_timeout, endpoint.timeout),
    );
    if let Some(address) = link.source_address {
        put("source_address", address.to_string().into());
    }
    if let Some(proxy) = &link.proxy {
        let shown = proxy.to_string();
        let shown = match proxy.authorization() {
            Some(_) => shown.replacen("//", "//(hidden)@", 1),
            None => shown,
        };
        put("proxy", shown.into());
    }
    if endpoint.url.is_tls() {
        put(
            "tls_timeout",
            span(link.tls_timeout, endpoint.connect_timeout),
        );
        put("tls_min", link.tls_min.name().into());
    }
    if !link.pins.is_empty() {
        let pins = link.pins.iter().map(|pin| pin.to_string().into());
        put("pin_sha256", pins.collect::<Vec<toml::Value>>().into());
    }
    for (key, path) in [
        ("client_cert_file", &files.certificate),
        ("client_key_file", &files.key),
    ] {
        if let Some(path) = path {
            put(key, path.display().to_string().into());
        }
    }
}

/// Keys that promise what a plain connection would not keep.
fn only_over_tls(table: &EndpointTable, place: &mut Place<'_>) {
    let what = "it goes with https://; this endpoint has a plain http:// address";
    if table.pin_sha256.is_some() {
        place.problem("pin_sha256", &table.pin_sha256, what);
    }
    for (key, written) in [
        ("tls_min", &table.tls_min),
        ("tls_timeout", &table.tls_timeout),
        ("client_cert_file", &table.client_cert_file),
        ("client_key_file", &table.client_key_file),
    ] {
        if written.is_some() {
            place.problem(key, written, what);
        }
    }
}

fn proxy(table: &EndpointTable, place: &mut Place<'_>) -> Option<Proxy> {
    let text = place.given("proxy", &table.proxy, "\"http://proxy.example:3128\"")?;
    match Proxy::parse(text) {
        Ok(proxy) => Some(proxy),
        // What stands there may hold a password: it is not shown.
        Err(error) => {
            let what =
                format!("{error}; write it like \"http://user:password@proxy.example:3128\"");
            place.problem("proxy", &table.proxy, what);
            None
        }
    }
}

fn pins(table: &EndpointTable, place: &mut Place<'_>) -> Vec<Pin> {
    const LIKE: &str = "[\"sha256//…=\"]; `switchhook test NAME` shows the one in use";
    let Some(written) = place.given("pin_sha256", &table.pin_sha256, LIKE) else {
        return Vec::new();
    };
    if !(1..=PINS_MAX).contains(&written.len()) {
        let what = format!("write 1 to {PINS_MAX} pins, or leave the key out");
        place.problem("pin_sha256", &table.pin_sha256, what);
    }
    let mut pins = Vec::new();
    for text in written {
        match Pin::parse(text) {
            Some(pin) => pins.push(pin),
            None => {
                let what = format!("{text:?} is no SHA-256 in Base64; write pin_sha256 = {LIKE}");
                place.problem("pin_sha256", &table.pin_sha256, what);
            }
        }
    }
    pins
}

fn identity(table: &EndpointTable, place: &mut Place<'_>) -> (Option<Identity>, IdentityFiles) {
    let certificate = place.path(
        "client_cert_file",
        &table.client_cert_file,
        "\"/etc/switchhook/agent.pem\"",
    );
    let key = place.path(
        "client_key_file",
        &table.client_key_file,
        "\"/etc/switchhook/agent.key\"",
    );
    let identity = match (&certificate, &key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => pair(certificate, key, table, place),
        (Some(_), None) => {
            let what =
                "there is no key for it; write client_key_file = \"/etc/switchhook/agent.key\" too";
            place.problem("client_cert_file", &table.client_cert_file, what);
            None
        }
        (None, Some(_)) => {
            let what = "there is no certificate for it; write client_cert_file = \"/etc/switchhook/agent.pem\" too";
            place.problem("client_key_file", &table.client_key_file, what);
            None
        }
    };
    (identity, IdentityFiles { certificate, key })
}

fn pair(
    certificate: &Path,
    key: &Path,
    table: &EndpointTable,
    place: &mut Place<'_>,
) -> Option<Identity> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            let what = format!(
                "{} holds no certificate; it needs -----BEGIN CERTIFICATE----- blocks",
                certificate.display()
            );
            place.problem("client_cert_file", &table.client_cert_file, what);
            return None;
        }
        Err(error) => {
            let what = format!(
                "cannot read certificates from {}: {error}",
                certificate.display()
            );
            place.problem("client_cert_file", &table.client_cert_file, what);
            return None;
        }
    };
    let text = match secret::key_of(key) {
        Ok(text) => text,
        Err(what) => {
            place.problem("client_key_file", &table.client_key_file, what);
            return None;
        }
    };
    let Ok(private) = PrivateKeyDer::from_pem_slice(text.as_bytes()) else {
        let what = format!(
            "{} holds no key; it needs a -----BEGIN PRIVATE KEY----- block without a passphrase",
            key.display()
        );
        place.problem("client_key_file", &table.client_key_file, what);
        return None;
    };
    // The key says which certificate is its own, before a receiver has to.
    if let Err(error) = CertifiedKey::from_der(
        chain.clone(),
        private.clone_key(),
        &ring::default_provider(),
    ) {
        let what = format!("it does not go with {}: {error}", certificate.display());
        place.problem("client_key_file", &table.client_key_file, what);
        return None;
    }
    Some(Identity {
        chain,
        key: Arc::new(private),
    })
}
