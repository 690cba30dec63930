//! Url: where an endpoint's requests go, checked before anything is sent.

use super::login::Login;
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
    /// Where in `text` the secret in its query begins, which is its end.
    secret: Option<usize>,
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
        match Url::parse_with_login(text)? {
            (url, None) => Ok(url),
            (_, Some(_)) => Err(UrlError::User),
        }
    }

    /// Checks the form of `text`, which may have a user and a password before its host. They are
    /// taken out: a request's address never carries them.
    ///
    /// # Errors
    ///
    /// [`UrlError`] says which part is wrong.
    pub fn parse_with_login(text: &str) -> Result<(Url, Option<Login>), UrlError> {
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
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => {
                let login = Login::from_address(login).map_err(|_| UrlError::Login)?;
                (Some(login), authority)
            }
            None => (None, authority),
        };
        let (host, port) = split_port(authority)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let host = parse_host(host)?;
        if matches!(host, Host::Literal(address) if address.is_unspecified() || address.is_multicast())
        {
            return Err(UrlError::Nobody);
        }
        let text = format!("{scheme}://{authority}{path}");
        let url = Url {
            text,
            tls,
            host,
            port,
            secret: None,
        };
        Ok((url, login))
    }

    /// The same address with `name=value` added to its query, both percent-encoded; the value, a
    /// secret, is what [`Url::secret`] then returns.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Url {
        self.text
            .push(if self.text.contains('?') { '&' } else { '?' });
        encode(name, &mut self.text);
        self.text.push('=');
        self.secret = Some(self.text.len());
        encode(value, &mut self.text);
        self
    }

    /// The secret last added to its query, percent-encoded as it stands there.
    pub fn secret(&self) -> Option<&str> {
        self.text.get(self.secret?..)
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

    /// Host and port, as `CONNECT` names them.
    pub fn authority(&self) -> String {
        match &self.host {
            Host::Literal(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

/// Appends `text` with everything percent-encoded that is not unreserved (RFC 3986 section 2.3).
fn encode(text: &str, to: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
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
    /// A user or password before the host, where none may be.
    User,
    /// A user or password before the host that cannot be read or sent.
    Login,
    /// The host is missing, or neither a name nor an address.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// A `#`, which is never sent.
    Fragment,
    /// A path or query where only a host and a port may be.
    Path,
    /// The unspecified or a multicast address, which is no receiver's.
    Nobody,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "the address has a character that must be percent-encoded",
            Self::Scheme => "the address must begin with https:// (or http://)",
            Self::User => "the address must not hold a user or password; use basic_auth",
            Self::Login => {
                "the user and password before the @ must be percent-encoded, without line ends"
            }
            Self::Host => "the address has no valid host name or ip address",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Fragment => "the address must not have a # part: it is never sent",
            Self::Path => "the address must end after the host and port",
            Self::Nobody => "the address is unspecified or multicast: nobody can be reached there",
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
    fn no_other_spelling_of_an_address_passes_for_a_name() {
        for host in [
            "0",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.0.0.1",
            "017700000001",
            "2130706433",
            "127.0.0.1.",
            "127.0.0.01",
            "127.0.0.256",
            "1.2.3.4.5",
            "[::1%25lo]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[127.0.0.1]",
            "[::ffff:7f.0.0.1]",
            "%31%32%37.1",
            "127。0。0。1",
            "ⓛocalhost",
        ] {
            let refused = Url::parse(&format!("https://{host}/"));
            assert!(
                matches!(refused, Err(UrlError::Host | UrlError::Characters)),
                "{host}: {refused:?}"
            );
        }
        for host in ["0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]"] {
            refused(&format!("https://{host}/"), UrlError::Nobody);
        }
    }

    #[test]
    fn a_login_is_taken_out_of_the_address() {
        let (url, login) = Url::parse_with_login("https://a%40b:p%2Fw@host.example/x?y").unwrap();
        assert_eq!(url.as_str(), "https://host.example/x?y");
        assert_eq!(login, Some(Login::new("a@b", "p/w").unwrap()));
        // Everything before the last @ is the login, so no second host hides behind the first.
        let (url, _) = Url::parse_with_login("https://safe.example@evil.example/").unwrap();
        assert_eq!(url.host().to_string(), "evil.example");
        let wrong = Url::parse_with_login("https://a%0d:b@host.example/");
        assert_eq!(wrong, Err(UrlError::Login));
    }

    #[test]
    fn a_value_added_to_the_query_cannot_break_out_of_it() {
        let with = |text: &str| {
            Url::parse(text)
                .unwrap()
                .with_query("t&k", "a=b&c d\r\n\u{e9}/~")
        };
        assert_eq!(
            with("https://a/x").as_str(),
            "https://a/x?t%26k=a%3Db%26c%20d%0D%0A%C3%A9%2F~"
        );
        assert_eq!(with("https://a?q=1").to_string(), "https://a?..");
        let secret = "a%3Db%26c%20d%0D%0A%C3%A9%2F~";
        assert_eq!(with("https://a?q=1").secret(), Some(secret));
        assert!(Url::parse(with("https://a?q=1").as_str()).is_ok());
    }

    #[test]
    fn a_token_in_the_query_is_not_printed() {
        let url = Url::parse("https://a/hook?token=hush").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://a/hook?.. https://a/hook?.."
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_the_host_is_what_follows_the_last_at_sign(
            login in "[a-z0-9@:%.\\[\\]-]{0,12}",
            host in "[a-z0-9@:%.\\[\\]-]{0,12}",
            path in "[/?@:a-z%]{0,8}",
        ) {
            let text = format!("https://{login}@{host}{path}");
            if let Ok((url, Some(_))) = Url::parse_with_login(&text) {
                let rest = url.as_str().strip_prefix("https://").unwrap();
                let authority = rest.split(['/', '?']).next().unwrap();
                assert!(!authority.contains('@'), "{text}: {authority}");
                // The address that is sent to reads back as the same, and alone.
                assert_eq!(Url::parse(url.as_str()), Ok(url.clone()), "{text}");
            }
        }
    }
}
