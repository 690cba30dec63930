//! Saved: a request as it lies in a file, to be spooled, looked at, or verified once more.
//!
//! Two forms, each readable with ordinary tools:
//!
//! * a line of JSON: `{"at","ids","headers":[[name,value],…],"body"}`, with `body_base64` in place of
//!   `body` where the bytes are no text;
//! * an HTTP request as it goes over the wire, with two headers of ours before the others:
//!   `switchhook-received-at` and `switchhook-received-ids`.

use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str;

/// Longest file that is read at once, in bytes: twice the largest spool file by default.
pub const SAVED_BYTES_MAX: u64 = 64 << 20;

/// When the request was received.
const AT: &str = "switchhook-received-at";

/// The ids of its callbacks, as a JSON array.
const IDS: &str = "switchhook-received-ids";

/// A request with what was known when it was received.
#[derive(Debug, Clone, Default)]
pub struct SavedRequest {
    /// When it was received, where the file says so.
    pub at: Option<UnixMs>,
    /// The ids of its callbacks, where the file says them.
    pub ids: Vec<String>,
    /// Its method; empty for `POST` where it is not known.
    pub method: String,
    /// The path and query it asked for; empty for that of callbacks where it is not known.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its raw body; of a `GET`, which has none, its whole address.
    pub body: Bytes,
}

/// Why a file holds no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for SavedError {}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    at: String,
    ids: Vec<String>,
    /// Left out where they are those that nearly every callback has.
    #[serde(default, skip_serializing_if = "is_post")]
    method: String,
    #[serde(default, skip_serializing_if = "is_path")]
    target: String,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl SavedRequest {
    /// The request as one line of JSON, its end included.
    pub fn to_line(&self) -> Vec<u8> {
        let text = str::from_utf8(&self.body).ok();
        let line = Line {
            at: self.time(),
            ids: self.ids.clone(),
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text_of(value)))
                .collect(),
            body: text.map(Into::into),
            body_base64: text.is_none().then(|| STANDARD.encode(&self.body)),
        };
        // A struct of texts has nothing that JSON could not say.
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The request as it goes over the wire.
    pub fn to_dump(&self) -> Vec<u8> {
        let ids = serde_json::to_string(&self.ids).unwrap_or_default();
        let head = format!(
            "{} {} HTTP/1.1\r\n{AT}: {}\r\n{IDS}: {ids}\r\n",
            self.method(),
            self.target(),
            self.time()
        );
        let mut dump = head.into_bytes();
        for (name, value) in &self.headers {
            if name != AT && name != IDS {
                dump.extend_from_slice(name.as_str().as_bytes());
                dump.extend_from_slice(b": ");
                dump.extend_from_slice(value.as_bytes());
                dump.extend_from_slice(b"\r\n");
            }
        }
        dump.extend_from_slice(b"\r\n");
        dump.extend_from_slice(&self.body);
        dump
    }

    fn time(&self) -> String {
        Timestamp::from_millis(self.at.unwrap_or_default().0).to_string()
    }

    /// Reads a line that [`SavedRequest::to_line`] wrote.
    ///
    /// # Errors
    ///
    /// When it is none; the text says where.
    pub fn from_line(line: &[u8]) -> Result<SavedRequest, String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let body = match (line.body, line.body_base64) {
            (Some(text), None) => text.into_owned().into_bytes(),
            (None, Some(encoded)) => STANDARD
                .decode(encoded)
                .map_err(|error| format!("body_base64: {error}"))?,
            _ => return Err("it needs either body or body_base64".to_string()),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in line.headers {
            add_header(&mut headers, name.as_bytes(), value.as_bytes())?;
        }
        for word in [&line.method, &line.target] {
            if !word.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{word:?} is no method and no target"));
            }
        }
        Ok(SavedRequest {
            at: instant(&line.at),
            ids: line.ids,
            method: line.method,
            target: line.target,
            headers,
            body: body.into(),
        })
    }

    /// Reads an HTTP request: an optional request line, headers, an empty line, the body. Line ends
    /// may be those of a text editor. What `Content-Length` says is beyond the body is left out.
    ///
    /// # Errors
    ///
    /// [`SavedError`] names the line that is no header.
    pub fn from_dump(dump: &[u8]) -> Result<SavedRequest, SavedError> {
        let mut saved = SavedRequest::default();
        let mut rest = dump;
        let mut number = 0;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            number += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                saved.body = Bytes::copy_from_slice(body_of(&saved.headers, rest));
                return Ok(saved);
            }
            if number == 1 && is_request_line(line) {
                let line = String::from_utf8_lossy(line);
                let mut words = line.split(' ').map(str::to_string);
                let is_word = |word: &String| word.bytes().all(|byte| byte.is_ascii_graphic());
                saved.method = words.next().filter(is_word).unwrap_or_default();
                saved.target = words.next().filter(is_word).unwrap_or_default();
                continue;
            }
            let failed = |what: String| SavedError { line: number, what };
            let (name, value) = match memchr::memchr(b':', line) {
                Some(colon) => line.split_at(colon),
                None => return Err(failed("no header; write Name: value".to_string())),
            };
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match name {
                name if name == AT.as_bytes() => {
                    saved.at = str::from_utf8(value).ok().and_then(instant);
                }
                name if name == IDS.as_bytes() => {
                    saved.ids = serde_json::from_slice(value).unwrap_or_default();
                }
                name => add_header(&mut saved.headers, name, value).map_err(failed)?,
            }
        }
        Err(SavedError {
            line: number + 1,
            what: "no empty line between the headers and the body".to_string(),
        })
    }

    /// Reads every request in a file of either form. A line that can not be read is left out and told.
    pub fn all(file: &[u8]) -> Vec<Result<SavedRequest, SavedError>> {
        if !file.trim_ascii_start().starts_with(b"{") {
            return vec![SavedRequest::from_dump(file)];
        }
        let lines = file.split(|byte| *byte == b'\n').enumerate();
        let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
        let read = |(place, line)| {
            SavedRequest::from_line(line).map_err(|what| SavedError {
                line: place + 1,
                what,
            })
        };
        lines.map(read).collect()
    }

    /// The method it was sent with.
    pub fn method(&self) -> &str {
        match self.method.as_str() {
            "" => "POST",
            method => method,
        }
    }

    /// The path and query it asked for.
    pub fn target(&self) -> &str {
        match self.target.as_str() {
            "" => super::PATH,
            target => target,
        }
    }

    /// How many bytes the sender said the body has, where that is not what is here.
    pub fn announced_bytes(&self) -> Option<usize> {
        announced(&self.headers).filter(|bytes| *bytes != self.body.len())
    }
}

/// Adds a header as typed or saved.
///
/// # Errors
///
/// When the name or the value can be none.
pub fn add_header(headers: &mut HeaderMap, name: &[u8], value: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(name);
    let parsed = HeaderName::from_bytes(name).map_err(|_| format!("{shown:?} is no header's name"));
    let value =
        HeaderValue::from_bytes(value).map_err(|_| format!("{shown}: this is no header's value"));
    headers.append(parsed?, value?);
    Ok(())
}

/// A header's value as text; what is no text is replaced.
pub fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn is_post(method: &str) -> bool {
    matches!(method, "" | "POST")
}

fn is_path(target: &str) -> bool {
    target.is_empty() || target == super::PATH
}

/// Reads a time as it is saved.
fn instant(text: &str) -> Option<UnixMs> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMs(instant.as_millisecond()))
}

fn is_request_line(line: &[u8]) -> bool {
    let last = line.rsplit(|byte| *byte == b' ').next();
    last.is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn body_of<'a>(headers: &HeaderMap, rest: &'a [u8]) -> &'a [u8] {
    let announced = announced(headers).unwrap_or(rest.len());
    rest.get(..announced).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> SavedRequest {
        let mut headers = HeaderMap::new();
        add_header(&mut headers, b"X-VOS3000-Signature", b"60df").unwrap();
        add_header(&mut headers, b"X-Name", "gr\u{fc}n".as_bytes()).unwrap();
        SavedRequest {
            at: Some(UnixMs(1_775_745_045_120)),
            ids: vec!["evt_1".to_string(), "a \"b\"".to_string()],
            method: "PUT".to_string(),
            target: "/webhook?a=1".to_string(),
            headers,
            body: Bytes::copy_from_slice(body),
        }
    }

    #[track_caller]
    fn check_same(found: &SavedRequest, expected: &SavedRequest) {
        assert_eq!(found.at, expected.at);
        assert_eq!(found.ids, expected.ids);
        assert_eq!(found.method(), expected.method());
        assert_eq!(found.target(), expected.target());
        assert_eq!(found.headers, expected.headers);
        assert_eq!(found.body, expected.body);
    }

    #[test]
    fn what_is_saved_is_read_back_byte_for_byte_in_either_form() {
        let bodies: [&[u8]; 5] = [
            b"{\"a\":\"\xc3\xa9\\n\"}",
            b"",
            b"\xff\xfe\x00",
            b"line\r\n\r\nline\n",
            b"\n",
        ];
        for body in bodies {
            let saved = request(body);
            let line = saved.to_line();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            check_same(&SavedRequest::from_line(&line).unwrap(), &saved);
            check_same(&SavedRequest::from_dump(&saved.to_dump()).unwrap(), &saved);
            let both = [line.clone(), b"torn\n".to_vec(), line].concat();
            let all = SavedRequest::all(&both);
            assert_eq!(all.len(), 3);
            assert_eq!(all[1].as_ref().unwrap_err().line, 2);
        }
    }

    #[test]
    fn a_request_typed_in_an_editor_is_read() {
        let typed = b"POST /hook HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}\n";
        let read = SavedRequest::from_dump(typed).unwrap();
        assert_eq!(&read.body[..], b"{}");
        assert_eq!(read.headers["host"], "x");
        assert_eq!((read.at, read.announced_bytes()), (None, None));
        let bare = SavedRequest::from_dump(b"a: b\r\n\r\n{}\n").unwrap();
        assert_eq!(&bare.body[..], b"{}\n");
        let cut = SavedRequest::from_dump(b"content-length: 9\n\n{}").unwrap();
        assert_eq!(cut.announced_bytes(), Some(9));
    }

    #[test]
    fn what_is_no_request_is_named_with_its_line() {
        let read = |dump: &[u8]| SavedRequest::from_dump(dump).unwrap_err().to_string();
        assert_eq!(
            read(b"a: b\nnonsense\n\n"),
            "line 2: no header; write Name: value"
        );
        assert_eq!(
            read(b"a: b\n"),
            "line 2: no empty line between the headers and the body"
        );
        assert_eq!(read(b"a b: c\n\n"), "line 1: \"a b\" is no header's name");
    }
}
