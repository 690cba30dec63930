//! Login: a user and a password for Basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Longest user and password together, in bytes: with Base64 a header line of them stays far
/// below the 8 KiB that common servers accept for a whole head.
const LOGIN_BYTES_MAX: usize = 1 << 10;

/// A user and a password. Prints as `Login(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// Checks a user and a password, either of which may be empty.
    ///
    /// # Errors
    ///
    /// [`LoginError`] says what cannot be sent.
    pub fn new(user: &str, password: &str) -> Result<Login, LoginError> {
        if user.contains(':') {
            return Err(LoginError::Colon);
        }
        if user.len() + password.len() > LOGIN_BYTES_MAX {
            return Err(LoginError::Long);
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(LoginError::Control);
        }
        Ok(Login {
            user: user.to_string(),
            password: password.to_string(),
        })
    }

    /// Reads `user:password`; the password may hold further colons.
    ///
    /// # Errors
    ///
    /// [`LoginError`] says what is missing or cannot be sent.
    pub fn parse(text: &str) -> Result<Login, LoginError> {
        let (user, password) = text.split_once(':').ok_or(LoginError::NoColon)?;
        Login::new(user, password)
    }

    /// Reads the part of an address before its `@`, where what is special is percent-encoded.
    ///
    /// # Errors
    ///
    /// [`LoginError`] says what is wrong with it.
    pub fn from_address(text: &str) -> Result<Login, LoginError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Login::new(&decoded(user)?, &decoded(password)?)
    }

    /// The value of the header that carries it: `Basic …`.
    pub fn header(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Undoes percent-encoding.
pub(super) fn decoded(text: &str) -> Result<String, LoginError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(LoginError::Encoding);
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| LoginError::Encoding)?);
    }
    String::from_utf8(bytes).map_err(|_| LoginError::Encoding)
}

/// Why a user and password cannot be used. Shows neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginError {
    /// There is no colon between the two.
    NoColon,
    /// The user holds a colon, which Basic authentication has no way to send.
    Colon,
    /// A line end or another control character.
    Control,
    /// Longer than `LOGIN_BYTES_MAX`.
    Long,
    /// A `%` without two hexadecimal digits, or what they stand for is not UTF-8.
    Encoding,
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoColon => "there is no colon between user and password",
            Self::Colon => "the user must not hold a colon",
            Self::Control => "user and password must not hold a line end or control character",
            Self::Long => "user and password are longer than 1024 bytes",
            Self::Encoding => {
                "user and password in an address need each % followed by two hexadecimal digits"
            }
        })
    }
}

impl std::error::Error for LoginError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_written_as_there() {
        let login = Login::parse("Aladdin:open sesame").unwrap();
        assert_eq!(login.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{login:?}"), "Login(..)");
    }

    #[test]
    fn an_address_has_its_login_percent_encoded() {
        let plain = Login::new("a@b", "p:%/\u{e9}").unwrap();
        assert_eq!(Login::from_address("a%40b:p%3A%25%2f%C3%a9"), Ok(plain));
        assert_eq!(
            Login::from_address("only"),
            Ok(Login::new("only", "").unwrap())
        );
    }

    #[track_caller]
    fn refused(result: Result<Login, LoginError>, expected: LoginError) {
        assert_eq!(result, Err(expected));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        refused(Login::parse("nobody"), LoginError::NoColon);
        refused(Login::new("a:b", "c"), LoginError::Colon);
        refused(Login::parse("a:b\r\nHost: evil"), LoginError::Control);
        refused(Login::from_address("a%0d%0a:b"), LoginError::Control);
        refused(Login::from_address("a%3Ab:c"), LoginError::Colon);
        refused(Login::from_address("a%4:b"), LoginError::Encoding);
        refused(Login::from_address("a%ff:b"), LoginError::Encoding);
        refused(
            Login::parse(&format!("a:{}", "b".repeat(1_024))),
            LoginError::Long,
        );
    }
}
