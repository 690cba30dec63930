//! Content: what a request says, whichever way it came: as JSON or form fields, in the body or in
//! the address, compressed or not.

use super::desk::{BODY_BYTES_MAX, PATH};
use flate2::read::GzDecoder;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value};
use std::fmt;
use std::io::Read as _;

/// Deepest nesting of a form field's name.
const DEPTH_MAX: usize = 8;

/// Most fields of a form.
const FIELDS_MAX: usize = 4_096;

/// A request's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What may have been signed, the likeliest first: the content; where it came compressed, also
    /// what came over the wire; of a `GET`, the address with either scheme.
    pub signed: Vec<Bytes>,
    /// What came over the wire, where the body came compressed.
    pub packed: Option<Bytes>,
    /// Whether it came in the address: a `GET`.
    pub is_address: bool,
    /// The content as it was written: unpacked; of a `GET` the query.
    pub text: Bytes,
    /// The same as JSON.
    pub json: Bytes,
}

/// Why a request's content cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is packed in another way than gzip.
    Encoding,
    /// It says gzip and is none.
    Gzip,
    /// Unpacked it is longer than [`BODY_BYTES_MAX`].
    Long,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("only gzip is unpacked here"),
            Self::Gzip => f.write_str("the body is not what its Content-Encoding says"),
            Self::Long => write!(
                f,
                "unpacked, the body is longer than {BODY_BYTES_MAX} bytes"
            ),
        }
    }
}

impl Content {
    /// Reads the content of a request with `head` and `body`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] says what is wrong with a packed body.
    pub fn of(head: &Parts, body: Bytes) -> Result<Content, Unreadable> {
        if head.method == Method::GET {
            let query = head.uri.query().unwrap_or_default();
            let host = text(&head.headers, HOST.as_str());
            let signed = ["http", "https"].map(|scheme| match query {
                "" => Bytes::from(format!("{scheme}://{host}{PATH}")),
                query => Bytes::from(format!("{scheme}://{host}{PATH}?{query}")),
            });
            return Ok(Content {
                signed: signed.to_vec(),
                packed: None,
                is_address: true,
                text: Bytes::copy_from_slice(query.as_bytes()),
                json: Bytes::from(json_of(query.as_bytes())),
            });
        }
        let (content, sent) = match text(&head.headers, CONTENT_ENCODING.as_str()) {
            "" | "identity" => (body, None),
            "gzip" => (unpacked(&body)?, Some(body)),
            _ => return Err(Unreadable::Encoding),
        };
        let media_type = text(&head.headers, CONTENT_TYPE.as_str());
        let json = match media_type.split(';').next().map(str::trim) {
            Some("application/x-www-form-urlencoded") => Bytes::from(json_of(&content)),
            _ => content.clone(),
        };
        Ok(Content {
            signed: std::iter::once(content.clone())
                .chain(sent.clone())
                .collect(),
            packed: sent,
            is_address: false,
            text: content,
            json,
        })
    }
}

impl Content {
    /// What may have been signed by a sender that has us under `urls`: of a `GET` these addresses, with
    /// the query, come before what its `Host` makes likely.
    pub fn signed_under(&self, urls: &[String]) -> Vec<Bytes> {
        let with_query = |url: &String| {
            let sign = if url.contains('?') { '&' } else { '?' };
            let query = String::from_utf8_lossy(&self.text);
            Bytes::from(format!("{url}{sign}{query}"))
        };
        let known = urls.iter().filter(|_| self.is_address).map(with_query);
        known.chain(self.signed.iter().cloned()).collect()
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn unpacked(body: &[u8]) -> Result<Bytes, Unreadable> {
    let most = BODY_BYTES_MAX as u64 + 1;
    let mut content = Vec::new();
    let read = GzDecoder::new(body).take(most).read_to_end(&mut content);
    match read {
        Err(_) => Err(Unreadable::Gzip),
        Ok(_) if content.len() > BODY_BYTES_MAX => Err(Unreadable::Long),
        Ok(_) => Ok(Bytes::from(content)),
    }
}

/// Form fields as a JSON object whose values are all text: `data[call_id]=x` is inside `data`.
fn json_of(form: &[u8]) -> Vec<u8> {
    let mut object = Map::new();
    let fields = form.split(|byte| *byte == b'&');
    for field in fields.filter(|field| !field.is_empty()).take(FIELDS_MAX) {
        let end = field.iter().position(|byte| *byte == b'=');
        let (name, value) = field.split_at(end.unwrap_or(field.len()));
        let name = decoded(name);
        let value = decoded(value.strip_prefix(b"=").unwrap_or_default());
        let mut names = name.split('[').take(DEPTH_MAX);
        let first = names.next().unwrap_or_default();
        let inner: Vec<&str> = names.map(|name| name.trim_end_matches(']')).collect();
        put(&mut object, first, &inner, value);
    }
    Value::Object(object).to_string().into_bytes()
}

fn put(object: &mut Map<String, Value>, name: &str, inner: &[&str], value: String) {
    let Some((next, inner)) = inner.split_first() else {
        object.insert(name.to_string(), Value::String(value));
        return;
    };
    let place = object
        .entry(name)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(place) = place {
        put(place, next, inner, value);
    }
}

/// A name or value of a form field, with what is no UTF-8 replaced.
fn decoded(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        match (first, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hyper::Request;
    use std::io::Write as _;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn gzip(content: &[u8]) -> Bytes {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(content).unwrap();
        packer.finish().unwrap().into()
    }

    #[test]
    fn json_is_taken_as_it_is() {
        let body = Bytes::from_static(b"{\"a\":1}");
        let content = Content::of(&head("POST", PATH, &[]), body.clone()).unwrap();
        assert_eq!(content.signed, std::slice::from_ref(&body));
        assert_eq!((content.text, content.json), (body.clone(), body));
    }

    #[test]
    fn form_fields_are_put_where_their_names_say() {
        let form = "Event=Hangup&data%5Bcall_id%5D=a%26+b&data%5Bin%5D%5Bn%5D=%C3%A9&flag&%zz=%";
        let kind = (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        let content = Content::of(&head("PUT", PATH, &[kind]), form.into()).unwrap();
        assert_eq!(
            std::str::from_utf8(&content.json).unwrap(),
            r#"{"%zz":"%","Event":"Hangup","data":{"call_id":"a& b","in":{"n":"é"}},"flag":""}"#
        );
        assert_eq!(content.signed, [Bytes::from(form)]);
    }

    #[test]
    fn the_fields_of_a_get_are_in_its_address_and_that_is_what_is_signed() {
        let get = head("GET", "/webhook?id=evt_1&event=cdr", &[("host", "a:8080")]);
        let content = Content::of(&get, Bytes::new()).unwrap();
        assert_eq!(
            std::str::from_utf8(&content.json).unwrap(),
            r#"{"event":"cdr","id":"evt_1"}"#
        );
        let whole = "://a:8080/webhook?id=evt_1&event=cdr";
        assert_eq!(
            content.signed,
            [format!("http{whole}"), format!("https{whole}")]
        );
    }

    #[test]
    fn a_packed_body_is_unpacked_within_bounds() {
        let packed = ("content-encoding", "gzip");
        let post = head("POST", PATH, &[packed]);
        let sent = gzip(b"{}");
        let content = Content::of(&post, sent.clone()).unwrap();
        assert_eq!(content.signed, [Bytes::from_static(b"{}"), sent]);
        let bomb = gzip(&vec![b' '; BODY_BYTES_MAX + 1]);
        assert_eq!(Content::of(&post, bomb), Err(Unreadable::Long));
        let whole = gzip(&vec![b' '; BODY_BYTES_MAX]);
        assert!(Content::of(&post, whole).is_ok());
        let cut = gzip(b"{}").slice(..10);
        assert_eq!(Content::of(&post, cut), Err(Unreadable::Gzip));
        let other = head("POST", PATH, &[("content-encoding", "br")]);
        assert_eq!(Content::of(&other, Bytes::new()), Err(Unreadable::Encoding));
    }

    #[test]
    fn a_percent_sign_that_encodes_nothing_stays() {
        assert_eq!(json_of(b"a=%+1%zz%4"), br#"{"a":"% 1%zz%4"}"#);
        assert_eq!(json_of(b"a=%2B%E9"), "{\"a\":\"+\u{FFFD}\"}".as_bytes());
    }

    #[test]
    fn names_without_end_are_cut_off() {
        let deep = format!("a{}=x", "[b]".repeat(10_000));
        assert!(json_of(deep.as_bytes()).len() < 100);
        let many = "a=1&".repeat(FIELDS_MAX * 2);
        assert_eq!(json_of(many.as_bytes()), b"{\"a\":\"1\"}");
    }
}
