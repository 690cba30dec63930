//! Link: how an endpoint's connections are made beyond its address, and who must be at the other
//! end of them.

use super::login::Login;
use super::url::{Host, Url, UrlError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How connections are made. The default is: directly, from any address, over TLS 1.2 or 1.3, to
/// whoever has a certificate for the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Time to find the addresses; that to connect where there is none.
    pub resolve_timeout: Option<Duration>,
    /// Time for the TLS handshake; that to connect where there is none.
    pub tls_timeout: Option<Duration>,
    /// Time from the last byte sent to the first byte of the answer; what is left of the attempt
    /// where there is none.
    pub answer_timeout: Option<Duration>,
    /// The address of this machine that connections come from.
    pub source_address: Option<IpAddr>,
    /// What stands between this machine and the endpoint.
    pub proxy: Option<Proxy>,
    /// The oldest version of TLS that will do.
    pub tls_min: TlsMin,
    /// Keys of which the receiver's certificate must have one, beside being valid; none is any.
    pub pins: Vec<Pin>,
    /// Who the agent is, to a receiver that asks for a certificate.
    pub identity: Option<Identity>,
}

/// The oldest version of TLS that will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMin {
    /// 1.2 or 1.3.
    #[default]
    Tls12,
    /// 1.3 and nothing else.
    Tls13,
}

impl TlsMin {
    /// The versions as they are written.
    pub const ALL: [(&'static str, TlsMin); 2] = [("1.2", TlsMin::Tls12), ("1.3", TlsMin::Tls13)];

    /// The version as it is written.
    pub fn name(self) -> &'static str {
        match self {
            TlsMin::Tls12 => "1.2",
            TlsMin::Tls13 => "1.3",
        }
    }
}

/// An HTTP proxy (RFC 9110 section 9.3.6). Prints without its login.
///
/// An `https` endpoint is reached through a tunnel (`CONNECT`), so that the proxy sees its name
/// and nothing else; an `http` one by requests in absolute form. Either way it is the proxy that
/// resolves the endpoint's name, and the proxy's own address is the one that is dialled: an
/// operator wrote it down, so it may be private. The guard on addresses cannot see behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    url: Url,
    login: Option<Login>,
}

impl Proxy {
    /// Reads `http://user:password@host:port`, without path and query.
    ///
    /// # Errors
    ///
    /// [`UrlError`] says which part is wrong; [`UrlError::Scheme`] also for `https`, because TLS
    /// to the proxy itself is not spoken.
    pub fn parse(text: &str) -> Result<Proxy, UrlError> {
        let (url, login) = Url::parse_with_login(text)?;
        if url.is_tls() {
            return Err(UrlError::Scheme);
        }
        let after_scheme = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        if !matches!(after_scheme.split_once(['/', '?']), None | Some((_, ""))) {
            return Err(UrlError::Path);
        }
        Ok(Proxy { url, login })
    }

    /// Whom to dial.
    pub fn host(&self) -> &Host {
        self.url.host()
    }

    /// The address to dial, as a [`Url`].
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The value of `Proxy-Authorization`, where the proxy wants one.
    pub fn authorization(&self) -> Option<String> {
        self.login.as_ref().map(Login::header)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.url.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The SHA-256 of a certificate's public key (RFC 7469 section 2.4), which outlives the
/// certificate when it is renewed with the same key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

impl Pin {
    /// Reads it as it prints, with or without `sha256//` before the Base64.
    pub fn parse(text: &str) -> Option<Pin> {
        let text = text.strip_prefix("sha256//").unwrap_or(text);
        Some(Pin(STANDARD.decode(text).ok()?.try_into().ok()?))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256//{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A certificate of the agent's own, with those that vouch for it, and its key. The key is never
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those that lead to an authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates, ..)", self.chain.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_login() {
        let proxy = Proxy::parse("http://agent:hush@proxy.lan:3128/").unwrap();
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "http://proxy.lan:3128 http://proxy.lan:3128"
        );
        assert_eq!(proxy.authorization().unwrap(), "Basic YWdlbnQ6aHVzaA==");
        assert_eq!(
            Proxy::parse("http://10.0.0.1:3128")
                .unwrap()
                .authorization(),
            None
        );
    }

    #[test]
    fn what_is_no_http_proxy_is_refused() {
        assert_eq!(Proxy::parse("socks5://a:1080"), Err(UrlError::Scheme));
        assert_eq!(Proxy::parse("https://a:443"), Err(UrlError::Scheme));
        assert_eq!(Proxy::parse("http://a:3128/path"), Err(UrlError::Path));
        assert_eq!(Proxy::parse("http://a:3128?x"), Err(UrlError::Path));
        assert_eq!(Proxy::parse("http://a%0:b@c"), Err(UrlError::Login));
    }

    #[test]
    fn a_pin_reads_back_as_it_prints() {
        let pin = Pin([7; 32]);
        let text = pin.to_string();
        assert_eq!(Pin::parse(&text), Some(pin));
        assert_eq!(Pin::parse(text.trim_start_matches("sha256//")), Some(pin));
        for wrong in ["", "sha256//", "sha256//AAAA", "sha1//AAAA", &text[..40]] {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
    }
}
