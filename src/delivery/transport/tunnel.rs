//! Tunnel: the `CONNECT` that asks an HTTP proxy for a connection to an endpoint (RFC 9110 section
//! 9.3.6).

use super::wire::Socket;
use super::{Trouble, TroubleClass};
use crate::delivery::link::Proxy;
use crate::delivery::url::Url;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Most bytes of a proxy's answer. What it says beside its status is not used.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Asks `proxy`, at the other end of `socket`, for a connection to `target`. What goes over the
/// socket after this is between this machine and the target.
///
/// # Errors
///
/// Whatever came back that is no success, and `over` when nothing did in the socket's time.
pub(super) fn open(
    socket: &mut Socket,
    proxy: &Proxy,
    target: &Url,
    over: &dyn Fn(&str) -> Trouble,
) -> Result<(), Trouble> {
    let authority = target.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(authorization) = proxy.authorization() {
        request.push_str("Proxy-Authorization: ");
        request.push_str(&authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => over(&format!("{proxy} did not answer CONNECT {authority}")),
        _ => trouble(format!("{proxy} broke off at CONNECT {authority}: {error}")),
    };
    socket.write_all(request.as_bytes()).map_err(failed)?;
    let status = status(&read_head(socket).map_err(failed)?);
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(wants_login(proxy)),
        Some(status) => Err(trouble(format!(
            "{proxy} refuses CONNECT {authority}: status {status}"
        ))),
        None => Err(trouble(format!(
            "{proxy} does not answer as an HTTP proxy does"
        ))),
    }
}

/// The trouble of a proxy that answers 407.
pub(super) fn wants_login(proxy: &Proxy) -> Trouble {
    let what = match proxy.authorization() {
        Some(_) => "does not accept the user and password of the key proxy",
        None => "wants a user and password; write proxy = \"http://user:password@…\"",
    };
    trouble(format!("{proxy} {what}: status 407"))
}

/// Reads to the empty line and not beyond it: what follows is the target's.
fn read_head(socket: &mut Socket) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= ANSWER_BYTES_MAX {
            let text = format!("its answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if socket.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&byte);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?;
    let status = words.next().filter(|word| word.len() == 3)?;
    version
        .starts_with("HTTP/1.")
        .then(|| status.parse().ok())?
}

fn trouble(text: String) -> Trouble {
    Trouble {
        class: TroubleClass::Proxy,
        text,
        elapsed: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_of_http_is_understood() {
        assert_eq!(
            status(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some(200)
        );
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for wrong in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 2000 x\r\n",
            b"HTTP/2 200\r\n",
            b"\xff 200\r\n",
            b"",
        ] {
            assert_eq!(status(wrong), None, "{wrong:?}");
        }
    }
}
