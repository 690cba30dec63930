//! The TLS side of an endpoint: which authorities it trusts, which versions it speaks.

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// Sessions remembered per endpoint, to shake hands with half the work. The default of 256 is
/// for clients of many hosts.
const SESSIONS_MAX: usize = 8;

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
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for der in extra_roots {
        roots
            .add(CertificateDer::from(der.as_slice()))
            .map_err(TlsError)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring's provider has a cipher suite for each version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(config))
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
