//! Entity tags and the conditions that requests make of them (RFC 9110, sections 8.8.3 and 13.1).

use std::fmt;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest, Sha256};
use std::future::{Ready, ready};

use crate::error::ApiError;

/// The tag of a representation, without quotes. Written strong unless it is made [`Tag::weak`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    opaque: String,
    weak: bool,
}

impl Tag {
    /// The tag of exactly this content: its SHA-256.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self::strong(hex::encode(Sha256::digest(content)))
    }

    /// A strong tag with this text.
    pub fn strong(opaque: impl Into<String>) -> Self {
        Self { opaque: opaque.into(), weak: false }
    }

    /// The same tag, for a representation whose bytes may differ by compression.
    #[must_use]
    pub fn weak(self) -> Self {
        Self { weak: true, ..self }
    }

    /// The value of an `ETag` header.
    ///
    /// # Errors
    /// A fault of ours: the tag holds what no header can.
    pub fn to_header(&self) -> Result<HeaderValue, ApiError> {
        HeaderValue::from_str(&self.to_string()).map_err(ApiError::internal)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = if self.weak { "W/" } else { "" };
        write!(formatter, "{weak}\"{}\"", self.opaque)
    }
}

/// The tags of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: whatever there is.
    Any,
    /// These, without quotes. A `W/` before one is dropped: proxies weaken the tags that we gave out.
    Listed(Vec<String>),
}

impl Tags {
    /// Returns `true` if the tag is among them, by weak comparison.
    #[must_use]
    pub fn hold(&self, tag: &Tag) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.contains(&tag.opaque),
        }
    }

    fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, ApiError> {
        let mut listed = Vec::new();
        let mut any = false;
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| malformed(name))?.trim();
            any |= text == "*";
            if text != "*" {
                parse_list(text, &mut listed).ok_or_else(|| malformed(name))?;
            }
        }
        match (any, listed.is_empty()) {
            (true, true) => Ok(Some(Self::Any)),
            (true, false) => Err(malformed(name)),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Self::Listed(listed))),
        }
    }
}

/// Conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<Tags>,
    /// `If-None-Match`.
    pub if_none_match: Option<Tags>,
}

impl Conditions {
    /// Returns `true` if the reader has this already, so that 304 is the answer.
    #[must_use]
    pub fn has(&self, tag: &Tag) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.hold(tag))
    }
}

impl FromRequest for Conditions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = |name| Tags::of(request.headers(), &name);
        ready(
            read(header::IF_MATCH)
                .and_then(|if_match| read(header::IF_NONE_MATCH).map(|if_none_match| Self { if_match, if_none_match })),
        )
    }
}

fn malformed(name: &HeaderName) -> ApiError {
    let name = if *name == header::IF_MATCH { "If-Match" } else { "If-None-Match" };
    ApiError::header_malformed(
        name,
        format!("{name} must be `*` or entity tags in double quotes, separated by commas."),
    )
}

/// Adds the tags of a list such as `"a", W/"b"`, of which there is at least one; a tag holds neither quotes nor spaces
/// (RFC 9110, `etagc`).
fn parse_list(text: &str, tags: &mut Vec<String>) -> Option<()> {
    let before = tags.len();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (tags.len() > before).then_some(());
        }
        let opened = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
        let (tag, after) = opened.split_once('"')?;
        let plain = tag.bytes().all(|byte| byte == b'!' || (0x23..=0x7e).contains(&byte));
        let parted = after.trim_start_matches([' ', '\t']);
        if !plain || !(parted.is_empty() || parted.starts_with(',')) {
            return None;
        }
        tags.push(tag.to_owned());
        rest = parted;
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::{Conditions, Tag, Tags};

    fn read(name: &'static str, value: &'static str) -> Result<Conditions, u16> {
        let request = TestRequest::default().insert_header((name, value)).to_http_request();
        let read = Conditions::from_request(&request, &mut actix_web::dev::Payload::None).into_inner();
        read.map_err(|error| actix_web::ResponseError::status_code(&error).as_u16())
    }

    fn listed(tags: &[&str]) -> Tags {
        Tags::Listed(tags.iter().map(|&tag| tag.to_owned()).collect())
    }

    #[test]
    fn a_condition_is_a_star_or_a_list_of_tags_weakened_or_not() {
        for (text, tags) in [
            ("*", Tags::Any),
            ("\"a\"", listed(&["a"])),
            ("W/\"a\"", listed(&["a"])),
            ("\"a\" , W/\"b,c\",\"\"", listed(&["a", "b,c", ""])),
        ] {
            assert_eq!(read("if-match", text).map(|read| read.if_match), Ok(Some(tags.clone())), "{text}");
            assert_eq!(read("if-none-match", text).map(|read| read.if_none_match), Ok(Some(tags)), "{text}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_not_taken_for_none() {
        for text in ["a", "\"a", "\"a\"\"b\"", "w/\"a\"", "\"a b\"", "*, \"a\"", ","] {
            assert_eq!(read("if-match", text), Err(400), "{text}");
        }
    }

    #[test]
    fn a_tag_is_the_content_s_sha_256() {
        let tag = Tag::of(b"abc");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(tag.to_string(), format!("\"{hash}\""));
        assert_eq!(tag.clone().weak().to_string(), format!("W/\"{hash}\""));
        assert!(listed(&[hash]).hold(&tag.weak()));
    }
}
