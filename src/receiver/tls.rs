//! Tls: the receiver's certificate, from files or made on the spot.

use super::bad_tls::BadTls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Characters in a line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// Made at the start for these names and the listening address, signed by itself. Its key
    /// is only ever in memory.
    SelfSigned {
        /// Host names and addresses, such as `localhost`.
        names: Vec<String>,
    },
    /// Read from PEM files.
    Files {
        /// The certificate, with those that lead from it to a known root after it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read or holds no certificate or key.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: rustls::pki_types::pem::Error,
    },
    /// A certificate cannot be made for these names.
    Names(rcgen::Error),
    /// Certificate and key do not make a TLS server.
    Pair(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, cause } => write!(f, "cannot use {}: {cause:?}", path.display()),
            Self::Names(cause) => write!(f, "cannot make a certificate for these names: {cause}"),
            Self::Pair(cause) => write!(f, "certificate and key cannot be used: {cause}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// A certificate in use.
pub struct Tls {
    acceptors: Acceptors,
    certificate_pem: String,
}

/// What turns connections into TLS ones: one that is good, and those of faults.
#[derive(Clone)]
pub struct Acceptors {
    good: TlsAcceptor,
    /// Only beside a certificate made on the spot: others' keys issue nothing.
    bad: Vec<(BadTls, TlsAcceptor)>,
}

impl Acceptors {
    /// The one with the receiver's own certificate.
    pub fn good(&self) -> TlsAcceptor {
        self.good.clone()
    }

    /// The one with the certificate of `fault`; none where it has no certificate.
    pub fn bad(&self, fault: BadTls) -> Option<TlsAcceptor> {
        let found = self.bad.iter().find(|(kind, _)| *kind == fault)?;
        Some(found.1.clone())
    }
}

impl Tls {
    /// Loads or makes `certificate` for a receiver on `listen`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when a file is not usable, a name is none, or the two do not fit together.
    pub fn load(certificate: Certificate, listen: IpAddr) -> Result<Tls, TlsError> {
        let (pair, bad_pairs) = match certificate {
            Certificate::SelfSigned { names } => make(names, listen).map_err(TlsError::Names)?,
            Certificate::Files { certificate, key } => (read(&certificate, &key)?, Vec::new()),
        };
        let certificate_pem = pair.0.iter().map(pem).collect();
        let mut bad = Vec::new();
        for (kind, pair) in bad_pairs {
            bad.push((kind, acceptor(pair)?));
        }
        let good = acceptor(pair)?;
        Ok(Tls {
            acceptors: Acceptors { good, bad },
            certificate_pem,
        })
    }

    /// What turns connections into TLS ones.
    pub fn acceptors(&self) -> Acceptors {
        self.acceptors.clone()
    }

    /// The certificate and those after it, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn acceptor((chain, key): Pair) -> Result<TlsAcceptor, TlsError> {
    // The provider is named: a process-wide default would be a second place to set it.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A certificate signed by itself, and those of faults, which it vouches for.
fn make(
    mut names: Vec<String>,
    listen: IpAddr,
) -> Result<(Pair, Vec<(BadTls, Pair)>), rcgen::Error> {
    let listen = listen.to_string();
    if !names.contains(&listen) {
        names.push(listen);
    }
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(names.clone())?;
    let certificate = params.self_signed(&key)?;
    let issuer = Issuer::from_params(&params, &key);
    let mut bad = Vec::new();
    for (_, kind) in BadTls::ALL {
        if let Some((certificate, key)) = kind.certificate(&names, &issuer)? {
            bad.push((kind, (vec![certificate], key)));
        }
    }
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok(((vec![certificate.into()], der.into()), bad))
}

fn read(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let failed = |path: &Path, cause| TlsError::File {
        path: path.to_owned(),
        cause,
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|cause| failed(certificate, cause))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|cause| failed(key, cause))?;
    Ok((chain, key_der))
}

/// Written here because `rcgen`'s own costs a second Base64 library.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let encoded = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(PEM_LINE).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::Ipv4Addr;

    const LISTEN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_certificate_made_on_the_spot_reads_back_as_it_was() {
        let names = vec!["localhost".to_string()];
        let tls = Tls::load(Certificate::SelfSigned { names }, LISTEN).unwrap();
        let pem_text = tls.certificate_pem();
        let read_back = CertificateDer::from_pem_slice(pem_text.as_bytes()).unwrap();
        assert_eq!(pem(&read_back), pem_text);
        assert!(pem_text.lines().all(|line| line.len() <= PEM_LINE));
    }

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let certificate = directory.path().join("receiver.pem");
        let files = |certificate: &Path| Certificate::Files {
            certificate: certificate.to_owned(),
            key: directory.path().join("receiver.key"),
        };
        for text in [None, Some("no certificate")] {
            if let Some(text) = text {
                fs::write(&certificate, text).unwrap();
            }
            let error = Tls::load(files(&certificate), LISTEN)
                .unwrap_err()
                .to_string();
            assert!(error.contains("receiver."), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let names = vec!["naïve".to_string()];
        let refused = Tls::load(Certificate::SelfSigned { names }, LISTEN);
        assert!(matches!(refused, Err(TlsError::Names(_))), "{refused:?}");
    }
}
