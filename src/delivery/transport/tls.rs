//! The TLS side of an endpoint: which authorities it trusts, which versions it speaks.

use crate::clock::UnixMs;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Sessions remembered per endpoint, to shake hands with half the work. The default of 256 is
/// for clients of many hosts.
const SESSIONS_MAX: usize = 8;

/// Furthest time at which certificates are looked at.
const VALID_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The extra certificates of an endpoint cannot be used.
#[derive(Debug)]
pub struct TlsError(rustls::Error);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a certificate of the extra ca file cannot be used")
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// TLS 1.2 and 1.3 with the built-in roots and `extra_roots` (each in DER).
///
/// The roots are built in because those of the machines this runs on are years old.
///
/// # Errors
///
/// [`TlsError`] when one of `extra_roots` is no certificate.
pub(super) fn config(extra_roots: &[Vec<u8>]) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = trusted(extra_roots)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's provider has a cipher suite for each version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(config))
}

fn trusted(extra_roots: &[Vec<u8>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for der in extra_roots {
        roots
            .add(CertificateDer::from(der.as_slice()))
            .map_err(TlsError)?;
    }
    Ok(roots)
}

/// Until when a chain that verifies at `wall` will verify, to the second; `None` when it does not
/// verify then. At most [`VALID_MAX`] from then.
///
/// Found by asking the verifier itself about later times: its answer is the one that counts, and
/// no second reader of certificates is needed.
pub(super) fn valid_until(
    extra_roots: &[Vec<u8>],
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    wall: UnixMs,
) -> Option<UnixMs> {
    let roots = Arc::new(trusted(extra_roots).ok()?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .ok()?;
    let (first, others) = chain.split_first()?;
    let now = u64::try_from(wall.unix_secs()).ok()?;
    let verifies = |after: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now + after));
        verifier
            .verify_server_cert(first, others, name, &[], at)
            .is_ok()
    };
    if !verifies(0) {
        return None;
    }
    // It verifies `good` seconds from now, and not after `bad`.
    let (mut good, mut bad) = (0, VALID_MAX.as_secs());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if verifies(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(wall.after(Duration::from_secs(good)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_root_that_is_no_certificate_is_an_error() {
        assert!(config(&[]).is_ok());
        assert!(config(&[b"no certificate".to_vec()]).is_err());
    }
}
