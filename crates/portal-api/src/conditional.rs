//! Entity tags and the conditions that requests make of them (RFC 9110, sections 8.8.3 and 13.1).

use std::fmt;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest, Sha256};
use std::future::{Ready, ready};

use crate::error::ApiError;

/// Entity tag of a representation, without quotes. Strong unless made weak by [`EntityTag::weak`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    opaque: String,
    weak: bool,
}

impl EntityTag {
    /// Computes the tag of exactly this content: its SHA-256.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self::strong(hex::encode(Sha256::digest(content)))
    }

    /// Creates a strong tag with this text.
    pub fn strong(opaque: impl Into<String>) -> Self {
        Self { opaque: opaque.into(), weak: false }
    }

    /// Makes the tag weak, for a representation whose bytes may differ by compression.
    #[must_use]
    pub fn weak(self) -> Self {
        Self { weak: true, ..self }
    }

    /// Returns the value of an `ETag` header.
    ///
    /// # Errors
    /// A bug of ours: the tag has characters that no header can have.
    pub fn to_header(&self) -> Result<HeaderValue, ApiError> {
        HeaderValue::from_str(&self.to_string()).map_err(ApiError::internal)
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weak = if self.weak { "W/" } else { "" };
        write!(formatter, "{weak}\"{}\"", self.opaque)
    }
}

/// Endings that proxies give to a tag when they compress the representation (nginx and Apache `-gzip`, Apache `-br`,
/// Jetty and others `;gzip`). Our own tags are hexadecimal digits or a number, so none of them ends like this.
const PROXY_SUFFIXES: [&str; 3] = ["-gzip", "-br", ";gzip"];

/// Entity tags of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityTags {
    /// `*`: any representation, if there is one.
    Any,
    /// These, without quotes. A `W/` before one and a proxy's ending are dropped: proxies change the tags that we gave
    /// out.
    Listed(Vec<String>),
}

impl EntityTags {
    /// Returns `true` if the tag is among them, by weak comparison.
    #[must_use]
    pub fn hold(&self, tag: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            // Also for If-Match, where RFC 9110 asks for strong comparison: proxies weaken the strong tags that we gave out.
            Self::Listed(listed) => listed.contains(&tag.opaque),
        }
    }

    fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, ApiError> {
        let mut listed = Vec::new();
        let mut any = false;
        // Headers of one name are one list (RFC 9110, section 5.3).
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| malformed(name))?.trim();
            any |= text == "*";
            if text != "*" {
                parse_list(text, &mut listed).ok_or_else(|| malformed(name))?;
            }
        }
        match (any, listed.is_empty()) {
            (true, true) => Ok(Some(Self::Any)),
            // `*` beside tags says two things.
            (true, false) => Err(malformed(name)),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Self::Listed(listed))),
        }
    }
}

/// Conditions that a request sets for its effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<EntityTags>,
    /// `If-None-Match`.
    pub if_none_match: Option<EntityTags>,
}

impl Conditions {
    /// Returns `true` if the client has this representation already, so that 304 is the answer.
    #[must_use]
    pub fn has(&self, tag: &EntityTag) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.hold(tag))
    }
}

impl FromRequest for Conditions {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = |name| EntityTags::of(request.headers(), &name);
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
        // With commas: elements of a list may be empty (RFC 9110, section 5.6.1).
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
        let ours = PROXY_SUFFIXES.iter().find_map(|suffix| tag.strip_suffix(suffix)).unwrap_or(tag);
        tags.push(ours.to_owned());
        rest = parted;
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::{Conditions, EntityTag, EntityTags};

    fn read(name: &'static str, value: &'static str) -> Result<Conditions, u16> {
        let request = TestRequest::default().insert_header((name, value)).to_http_request();
        let read = Conditions::from_request(&request, &mut actix_web::dev::Payload::None).into_inner();
        read.map_err(|error| actix_web::ResponseError::status_code(&error).as_u16())
    }

    fn listed(tags: &[&str]) -> EntityTags {
        EntityTags::Listed(tags.iter().map(|&tag| tag.to_owned()).collect())
    }

    #[test]
    fn a_condition_is_a_star_or_a_list_of_tags_weakened_or_not() {
        for (text, tags) in [
            ("*", EntityTags::Any),
            ("\"a\"", listed(&["a"])),
            ("W/\"a\"", listed(&["a"])),
            ("\"a\" , W/\"b,c\",\"\"", listed(&["a", "b,c", ""])),
            ("\"a-gzip\", \"b-br\", W/\"c;gzip\", \"gzip\"", listed(&["a", "b", "c", "gzip"])),
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
        let tag = EntityTag::of(b"abc");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(tag.to_string(), format!("\"{hash}\""));
        assert_eq!(tag.clone().weak().to_string(), format!("W/\"{hash}\""));
        assert!(listed(&[hash]).hold(&tag.weak()));
    }
}
