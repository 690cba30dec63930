//! Packing: from an event's body to what goes out: the method, form fields, compression.
//!
//! The same body gives the same bytes at every attempt. What is signed is decided here too:
//!
//! * `POST` and `PUT`: the content, in the form the receiver's handler reads it, so before it is
//!   compressed. Frameworks unpack `Content-Encoding` before anything else sees the body (Express'
//!   `body-parser`, ASP.NET's request decompression, Spring's and tower's filters), so that is what a
//!   published verifier is given. A receiver that verifies what came over the wire can have that
//!   signed instead ([`SignedOver::Sent`]).
//! * `GET`: there is no body, and the fields are in the address; a scheme that names the body is
//!   over the address with its query instead ([`SignatureScheme::over_url`]).
//!
//! [`SignatureScheme::over_url`]: super::signer::SignatureScheme::over_url

use super::profile::urlencoded;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::io::Write as _;

/// Shortest body that is compressed, in bytes: with a head of some 500 bytes, a shorter one leaves in
/// one segment of 1,460 bytes anyhow.
pub const GZIP_BYTES_MIN: usize = 1_024;

/// The media type of form fields.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How an endpoint's requests carry their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packing {
    /// The method.
    pub method: Method,
    /// What the body is.
    pub content: Content,
    /// Whether it is compressed.
    pub compress: Compress,
    /// What of a compressed body is signed.
    pub signed: SignedOver,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `GET`: without a body, the fields in the query.
    Get,
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// JSON.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Whether a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// No.
    #[default]
    Off,
    /// With gzip (RFC 1952), from [`GZIP_BYTES_MIN`] on and where that makes it shorter.
    Gzip,
}

/// What of a compressed body is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignedOver {
    /// The body as it is before, which is what frameworks hand on.
    #[default]
    Content,
    /// The compressed bytes.
    Sent,
}

impl Method {
    /// Every method, by its name in the configuration.
    pub const ALL: [(&'static str, Method); 3] = [
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("GET", Method::Get),
    ];

    /// As it stands in the request.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Get => "GET",
        }
    }
}

/// What goes out for one body.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed<'b> {
    /// The whole address, where the fields are in it.
    pub url: Option<String>,
    /// The body.
    pub body: Cow<'b, [u8]>,
    /// What the body is before it was compressed; none where it was not.
    pub content: Option<Cow<'b, [u8]>>,
}

impl Packing {
    /// Packs the JSON of an event that goes to `url`.
    pub fn pack<'b>(&self, url: &str, json: &'b [u8]) -> Packed<'b> {
        let content = match (self.method, self.content) {
            (Method::Get, _) => {
                let joint = if url.contains('?') { '&' } else { '?' };
                return Packed {
                    url: Some(format!("{url}{joint}{}", urlencoded(json))),
                    body: Cow::Borrowed(&[]),
                    content: None,
                };
            }
            (_, Content::Json) => Cow::Borrowed(json),
            (_, Content::Form) => Cow::Owned(urlencoded(json).into_bytes()),
        };
        let shorter = match self.compress {
            Compress::Off => None,
            Compress::Gzip => gzip(&content),
        };
        match shorter {
            Some(sent) => Packed {
                url: None,
                body: Cow::Owned(sent),
                content: Some(content),
            },
            None => Packed {
                url: None,
                body: content,
                content: None,
            },
        }
    }
}

/// `content` compressed; none where that is not worth it.
fn gzip(content: &[u8]) -> Option<Vec<u8>> {
    if content.len() < GZIP_BYTES_MIN {
        return None;
    }
    // Without a time in its head: the same content gives the same bytes.
    let mut packer = GzEncoder::new(Vec::with_capacity(content.len() / 2), Level::default());
    let sent = packer.write_all(content).and_then(|()| packer.finish());
    sent.ok().filter(|sent| sent.len() < content.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    const URL: &str = "https://a.example/x";

    #[test]
    fn what_is_not_asked_for_is_not_done() {
        let packed = Packing::default().pack(URL, b"{}");
        let plain = Packed {
            url: None,
            body: Cow::Borrowed(b"{}"),
            content: None,
        };
        assert_eq!(packed, plain);
        assert!(matches!(packed.body, Cow::Borrowed(_)));
    }

    #[test]
    fn a_get_has_its_fields_behind_what_the_address_has_already() {
        let get = Packing {
            method: Method::Get,
            ..Packing::default()
        };
        let url = |url| get.pack(url, br#"{"event":"cdr","data":{"n":1}}"#).url;
        let query = "event=cdr&data%5Bn%5D=1";
        assert_eq!(url(URL).unwrap(), format!("{URL}?{query}"));
        assert_eq!(
            url("https://a/?b=c").unwrap(),
            format!("https://a/?b=c&{query}")
        );
        assert!(get.pack(URL, b"{}").body.is_empty());
    }

    #[test]
    fn a_long_body_is_compressed_to_the_same_bytes_each_time_and_a_short_one_is_not() {
        let gzip = Packing {
            compress: Compress::Gzip,
            ..Packing::default()
        };
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(GZIP_BYTES_MIN));
        let packed = gzip.pack(URL, long.as_bytes());
        assert_eq!(packed, gzip.pack(URL, long.as_bytes()));
        assert_eq!(packed.content.as_deref(), Some(long.as_bytes()));
        assert!(packed.body.len() < 100, "{}", packed.body.len());
        let mut unpacked = String::new();
        let mut reader = flate2::read::GzDecoder::new(&*packed.body);
        reader.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, long);
        let short = &long.as_bytes()[..GZIP_BYTES_MIN - 1];
        assert_eq!(gzip.pack(URL, short).content, None);
    }

    #[test]
    fn what_gzip_would_make_longer_goes_out_as_it_is() {
        let mut rng = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(4_096).collect();
        let gzip = Packing {
            compress: Compress::Gzip,
            ..Packing::default()
        };
        assert_eq!(gzip.pack(URL, &noise).content, None);
    }
}
