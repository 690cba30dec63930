//! Bad TLS: certificates that must not be believed, and handshakes that come to nothing.

use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How TLS is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTls {
    /// The certificate was valid until 2021.
    Expired,
    /// The certificate will be valid from 2090 on.
    NotYetValid,
    /// The certificate is another host's.
    WrongName,
    /// Nobody vouches for the certificate.
    UnknownCa,
    /// The newest version spoken is 1.1.
    Old,
    /// Nothing comes of the handshake.
    Stall,
}

impl BadTls {
    /// The kinds, as a fault is written.
    pub const ALL: [(&'static str, BadTls); 6] = [
        ("expired", BadTls::Expired),
        ("not-yet-valid", BadTls::NotYetValid),
        ("wrong-name", BadTls::WrongName),
        ("unknown-ca", BadTls::UnknownCa),
        ("1.1", BadTls::Old),
        ("stall", BadTls::Stall),
    ];

    /// The certificate it shows and its key: issued by the owner of `issuer`, so that nothing but
    /// the fault is wrong with it. None where it comes to no certificate.
    ///
    /// # Errors
    ///
    /// When no such certificate can be made.
    pub fn certificate(
        self,
        names: &[String],
        issuer: &Issuer<'_, &KeyPair>,
    ) -> Result<Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>, rcgen::Error> {
        let names = match self {
            BadTls::Old | BadTls::Stall => return Ok(None),
            BadTls::WrongName => vec!["elsewhere.invalid".to_string()],
            BadTls::Expired | BadTls::NotYetValid | BadTls::UnknownCa => names.to_vec(),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "a fault, as you asked for");
        match self {
            BadTls::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            BadTls::NotYetValid => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }
            _ => {}
        }
        let key = KeyPair::generate()?;
        let certificate = match self {
            BadTls::UnknownCa => params.self_signed(&key)?,
            _ => params.signed_by(&key, issuer)?,
        };
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Some((certificate.into(), der.into())))
    }

    /// Meets a handshake that is to come to nothing, until the sender leaves.
    pub async fn meet(self, mut stream: TcpStream) {
        let mut heard = [0; 4 << 10];
        if self == BadTls::Old {
            if !matches!(stream.read(&mut heard).await, Ok(1..)) {
                return;
            }
            if stream.write_all(&OLD_HELLO).await.is_err() {
                return;
            }
        }
        while matches!(stream.read(&mut heard).await, Ok(1..)) {}
    }
}

/// A ServerHello of TLS 1.1 (RFC 4346 section 7.4.1.3): a record of a handshake of 38 bytes, the
/// version, 32 bytes of a random number that is none, no session, the suite
/// `TLS_RSA_WITH_AES_128_CBC_SHA`, no compression.
#[rustfmt::skip]
const OLD_HELLO: [u8; 47] = [
    22, 3, 2, 0, 42,
    2, 0, 0, 38,
    3, 2,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    0,
    0, 0x2f,
    0,
];
