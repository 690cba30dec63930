//! Url: where an endpoint's requests go, checked before anything is sent.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An absolute `http` or `https` address with a host, and without user, password or fragment.
///
/// Prints without its query, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    tls: bool,
    host: Host,
    port: u16,
}

/// Whom an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, to be looked up.
    Name(String),
    /// The address itself.
    Literal(IpAddr),
}

impl Url {
    /// Checks the form of `text`.
    ///
    /// # Errors
    ///
    /// [`UrlError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
        {
            return Err(UrlError::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = split_port(authority)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok(Url {
            text: text.to_string(),
            tls,
            host: parse_host(host)?,
            port,
        })
    }

    /// The address as written, query included: for the request, not for the log.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whom it names.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, written or implied. Never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.split_once('?') {
            Some((shown, _)) => write!(f, "{shown}?.."),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Literal(address) => address.fmt(f),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    // The colons of an IPv6 literal are inside its brackets.
    let after_brackets = match authority.rfind(']') {
        Some(end) => end + 1,
        None if authority.starts_with('[') => return Err(UrlError::Host),
        None => 0,
    };
    let Some(colon) = authority
        .get(after_brackets..)
        .and_then(|rest| rest.find(':'))
    else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    let digits = port.trim_start_matches(':');
    if port.len() != digits.len() + 1 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

fn parse_host(host: &str) -> Result<Host, UrlError> {
    if let Some(inside) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        let address: Ipv6Addr = inside.parse().map_err(|_| UrlError::Host)?;
        return Ok(Host::Literal(address.into()));
    }
    if let Ok(address) = host.parse() {
        return Ok(Host::Literal(address));
    }
    let is_label = |label: &str| {
        // A certificate's name has no label with a hyphen at either end.
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    // `0x7f.1` and `2130706433` are addresses to some resolvers; a name's last label is no number.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if name.len() > 253 || last_is_number || !name.split('.').all(is_label) {
        return Err(UrlError::Host);
    }
    Ok(Host::Name(host.to_ascii_lowercase()))
}

/// Which part of an address is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// A character that must be written as `%` and two hexadecimal digits.
    Characters,
    /// It does not begin with `https://` or `http://`.
    Scheme,
    /// A user or password before the host.
    User,
    /// The host is missing, or neither a name nor an address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// A `#`, which is never sent.
    Fragment,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "the address has a character that must be percent-encoded",
            Self::Scheme => "the address must begin with https:// (or http://)",
            Self::User => "the address must not hold a user or password; use basic_auth",
            Self::Host => "the address has no valid host name or ip address",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Fragment => "the address must not have a # part: it is never sent",
        })
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16) {
        let url = Url::parse(text).unwrap();
        assert_eq!(
            (url.host().to_string().as_str(), url.port()),
            (host, port),
            "{text}"
        );
        assert_eq!(url.as_str(), text);
    }

    #[test]
    fn host_and_port_are_found() {
        check("https://api.example.com/webhook", "api.example.com", 443);
        check("http://127.0.0.1:8080", "127.0.0.1", 8080);
        check("https://[2001:db8::1]:8443/a?b=[c]:9", "2001:db8::1", 8443);
        check("http://[::1]", "::1", 80);
        check("https://LOCALHOST?x", "localhost", 443);
    }

    #[track_caller]
    fn refused(text: &str, expected: UrlError) {
        assert_eq!(Url::parse(text), Err(expected), "{text}");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        refused("ftp://a", UrlError::Scheme);
        refused("//a", UrlError::Scheme);
        refused("https://user:pass@a/", UrlError::User);
        refused("https://a/#b", UrlError::Fragment);
        refused("https://a b/", UrlError::Characters);
        refused("https://a\r\n/", UrlError::Characters);
        refused("https://", UrlError::Host);
        refused("https://:443", UrlError::Host);
        refused("https://[::1", UrlError::Host);
        refused("https://a..b", UrlError::Host);
        refused("https://-a.example/", UrlError::Host);
        refused("https://a-.example/", UrlError::Host);
        refused("https://2130706433/", UrlError::Host);
        refused("https://0x7f.1/", UrlError::Host);
        refused("https://a:0", UrlError::Port);
        refused("https://a:65536", UrlError::Port);
        refused("https://a::1", UrlError::Port);
        refused("https://a:+1", UrlError::Port);
    }

    #[test]
    fn a_token_in_the_query_is_not_printed() {
        let url = Url::parse("https://a/hook?token=hush").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://a/hook?.. https://a/hook?.."
        );
    }
}
