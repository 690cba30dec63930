//! The TLS side of an endpoint: which authorities it trusts, which versions it speaks.

use crate::clock::UnixMs;
use crate::delivery::link::{Link, Pin, TlsMin};
use crate::timestamp::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    PeerIncompatible, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Sessions remembered per endpoint, to shake hands with half the work. The default of 256 is
/// for clients of many hosts.
const SESSIONS_MAX: usize = 8;

/// Furthest time at which certificates are looked at.
const VALID_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The certificates of an endpoint cannot be used.
#[derive(Debug)]
pub enum TlsError {
    /// One of those to trust beside the built-in roots.
    ExtraRoots(rustls::Error),
    /// The agent's own, or its key.
    Identity(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExtraRoots(_) => "a certificate of the extra ca file cannot be used",
            Self::Identity(_) => "the client certificate and its key cannot be used",
        })
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ExtraRoots(error) | Self::Identity(error) => Some(error),
        }
    }
}

/// The versions of TLS that `link` wants, with the built-in roots and `extra_roots` (each in DER),
/// the pins and the certificate of the agent's own.
///
/// The roots are built in because those of the machines this runs on are years old.
///
/// # Errors
///
/// [`TlsError`] when one of `extra_roots` is no certificate, or certificate and key of the agent's
/// own do not belong together.
pub(super) fn config(extra_roots: &[Vec<u8>], link: &Link) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = Arc::new(trusted(extra_roots)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = match link.tls_min {
        TlsMin::Tls12 => &[&TLS13, &TLS12][..],
        TlsMin::Tls13 => &[&TLS13],
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .expect("there are built-in roots");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring's provider has a cipher suite for each version");
    let builder = match link.pins.as_slice() {
        [] => builder.with_webpki_verifier(verifier),
        pins => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned {
                verifier,
                pins: pins.to_vec(),
            })),
    };
    let mut config = match &link.identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(TlsError::Identity)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(config))
}

/// Verifies as ever, and then wants a pinned key: a pin can only take trust away.
///
/// It is the receiver's own certificate that must have the key. Those it sends along prove nothing
/// by being sent.
#[derive(Debug)]
struct Pinned {
    verifier: Arc<WebPkiServerVerifier>,
    pins: Vec<Pin>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .verifier
            .verify_server_cert(own, others, name, ocsp, now)?;
        let pin = pin(own).ok_or(CertificateError::BadEncoding)?;
        if !self.pins.contains(&pin) {
            let other = CertificateError::Other(OtherError(Arc::new(NotPinned(pin))));
            return Err(other.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, own, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, own, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// A valid certificate whose key nobody pinned.
#[derive(Debug)]
struct NotPinned(Pin);

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the certificate is valid, but its key is {}, which pin_sha256 does not name",
            self.0
        )
    }
}

impl std::error::Error for NotPinned {}

/// The pin of a certificate's key; none when it is no certificate.
pub(super) fn pin(certificate: &CertificateDer<'_>) -> Option<Pin> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Pin(Sha256::digest(parsed.subject_public_key_info()).into()))
}

/// Whether an error of a connection is one of TLS.
pub(super) fn is_of_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inside| inside.is::<rustls::Error>())
}

/// An error of a handshake, with what may be done about it.
pub(super) fn explained_io(error: &io::Error) -> String {
    let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
    match inside {
        Some(error) => explained(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "handshake: the other side closed the connection".to_string()
        }
        None => format!("handshake: {error}"),
    }
}

/// An error of TLS, with what may be done about it.
pub(super) fn explained(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(own))) = error {
        return own.to_string();
    }
    if let rustls::Error::InvalidCertificate(found) = error
        && let Some(what) = of_its_time(found)
    {
        return what;
    }
    let advice = match error {
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "; ca_file may hold another, or an older, authority of the same name"
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; if an authority of your own vouches for it, name that in ca_file"
        }
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "; it speaks no version of TLS that tls_min allows"
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => "; it wants another certificate than client_cert_file has, or wants one at all",
        rustls::Error::InvalidMessage(_) => "; perhaps it is not TLS that is spoken at this port",
        _ => "",
    };
    format!("{error}{advice}")
}

/// A certificate that is not valid now, with its date and that of this machine.
fn of_its_time(error: &CertificateError) -> Option<String> {
    let at = |time: UnixTime| {
        i64::try_from(time.as_secs()).map_or_else(
            |_| "?".to_string(),
            |secs| Timestamp::from_secs(secs).to_string(),
        )
    };
    match *error {
        CertificateError::ExpiredContext { time, not_after } => Some(format!(
            "the receiver's certificate expired at {}; it is {} by this machine's clock",
            at(not_after),
            at(time)
        )),
        CertificateError::NotValidYetContext { time, not_before } => Some(format!(
            "the receiver's certificate is valid from {} only; it is {} by this machine's clock",
            at(not_before),
            at(time)
        )),
        _ => None,
    }
}

fn trusted(extra_roots: &[Vec<u8>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for der in extra_roots {
        roots
            .add(CertificateDer::from(der.as_slice()))
            .map_err(TlsError::ExtraRoots)?;
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

    use crate::delivery::link::Identity;
    use rcgen::{CertifiedKey, PublicKeyData, generate_simple_self_signed};
    use rustls::pki_types::PrivateKeyDer;

    fn made() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(vec!["localhost".to_string()]).unwrap()
    }

    #[test]
    fn an_extra_root_that_is_no_certificate_is_an_error() {
        assert!(config(&[], &Link::default()).is_ok());
        let none = config(&[b"no certificate".to_vec()], &Link::default());
        assert!(matches!(none, Err(TlsError::ExtraRoots(_))));
    }

    #[test]
    fn a_key_of_another_certificate_is_an_error() {
        let (one, other) = (made(), made());
        let identity = |key: &CertifiedKey<rcgen::KeyPair>| Link {
            identity: Some(Identity {
                chain: vec![one.cert.der().clone()],
                key: Arc::new(PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap()),
            }),
            ..Link::default()
        };
        assert!(config(&[], &identity(&one)).is_ok());
        let wrong = config(&[], &identity(&other));
        assert!(matches!(wrong, Err(TlsError::Identity(_))));
    }

    #[test]
    fn a_pin_is_the_hash_of_the_key_as_it_stands_in_the_certificate() {
        // openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
        let made = made();
        let spki = made.signing_key.subject_public_key_info();
        let expected = Pin(Sha256::digest(spki).into());
        assert_eq!(pin(made.cert.der()), Some(expected));
        assert_eq!(pin(&CertificateDer::from(&b"nothing"[..])), None);
    }

    #[test]
    fn a_pin_takes_trust_away_and_never_gives_it() {
        let made = made();
        let own = made.cert.der();
        let name = ServerName::try_from("localhost").unwrap();
        let verify = |roots: &[Vec<u8>], pins: Vec<Pin>| {
            let roots = Arc::new(trusted(roots).unwrap());
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider);
            let pinned = Pinned {
                verifier: verifier.build().unwrap(),
                pins,
            };
            pinned
                .verify_server_cert(own, &[], &name, &[], UnixTime::now())
                .map(|_| ())
        };
        let (right, wrong) = (pin(own).unwrap(), Pin([0; 32]));
        let root = [own.to_vec()];
        assert!(verify(&root, vec![wrong, right]).is_ok());
        let refused = verify(&root, vec![wrong]).unwrap_err();
        assert!(
            explained(&refused).contains(&right.to_string()),
            "{refused}"
        );
        let unknown = verify(&[], vec![right]).unwrap_err();
        assert!(
            explained(&unknown).contains("name that in ca_file"),
            "{unknown}"
        );
    }
}
