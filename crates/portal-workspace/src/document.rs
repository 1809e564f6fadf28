//! Content of a document, and its tag.

use chrono::{DateTime, Utc};
use portal_core::Invalid;
use sha2::{Digest, Sha256};

/// Largest document, in bytes of UTF-8: 256 KiB. The agent gateway has no limit of its own for files on disk.
pub const DOCUMENT_MAX_BYTES: usize = 256 * 1024;
/// Number of characters of an injected file that the agent gateway shows to its model (`bootstrapMaxChars`). It cuts
/// the prompt, never the file.
pub const AGENT_READS_CHARS: u32 = 20_000;

/// SHA-256 of a content, in lower-case hexadecimal digits: the document's entity tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// Computes the tag of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// Reads a tag; `None` for anything but 64 lower-case hexadecimal digits, which was never a tag of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// Returns the first 12 digits, enough for a person to tell texts apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

portal_core::string_newtype!(write only: Tag);

/// Text fit to be a document. Its tag is computed once and travels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    text: String,
    tag: Tag,
}

impl Content {
    /// Accepts a text as it was sent; nothing is trimmed, folded or re-encoded.
    ///
    /// # Errors
    /// Refuses more than [`DOCUMENT_MAX_BYTES`], and U+0000, which no database and few editors store.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        if text.len() > DOCUMENT_MAX_BYTES {
            let message =
                format!("content must have at most {DOCUMENT_MAX_BYTES} bytes as UTF-8; it has {}", text.len());
            let max = DOCUMENT_MAX_BYTES.to_string();
            return Err(Invalid::new("content", message).with_rule("max-bytes", [("max", max)]));
        }
        if text.contains('\0') {
            return Err(Invalid::new("content", "content must not contain the character U+0000"));
        }
        let tag = Tag::of(text.as_bytes());
        Ok(Self { text, tag })
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the tag of the text.
    #[must_use]
    pub fn tag(&self) -> &Tag {
        &self.tag
    }
}

/// Document as read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text, written by friend or agent.
    pub text: String,
    /// Tag of the text.
    pub tag: Tag,
    /// Modification time that the file system gives, whoever wrote.
    pub updated_at: DateTime<Utc>,
}

impl Document {
    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// Refuses what is too large or not UTF-8, so that nobody edits a mangled copy and writes it back.
    pub fn decode(bytes: Vec<u8>, updated_at: DateTime<Utc>) -> Result<Self, Unreadable> {
        if bytes.len() > DOCUMENT_MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        // Before the bytes are moved into the text: they are the same, and hashed once.
        let tag = Tag::of(&bytes);
        let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
        Ok(Self { text, tag, updated_at })
    }
}

/// Reason why a file is no document. The file is left alone: whoever put it there has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes are not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// The file is longer than [`DOCUMENT_MAX_BYTES`].
    #[error("it is larger than 256 KiB")]
    TooLarge,
    /// A folder, a symbolic link, a pipe or a device has the document's name, or the name of its folder.
    #[error("its name is taken by something that is not a regular file")]
    NotAFile,
    /// Only a file whose name differs in case exists. A second file beside it would be read by nobody.
    #[error("its folder has `{0}`, whose name differs in upper and lower case only; it must be renamed to `{1}`")]
    OtherCase(String, &'static str),
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Content, DOCUMENT_MAX_BYTES, Document, Tag, Unreadable};

    #[track_caller]
    fn check_content(text: &str, accepted: bool) {
        let parsed = Content::parse(text.to_owned());
        assert_eq!(parsed.as_ref().map(Content::as_str).ok(), accepted.then_some(text), "{} bytes", text.len());
    }

    #[test]
    fn any_text_of_256_kib_is_taken_as_it_is() {
        check_content("", true);
        check_content("\u{feff}# Notes\r\n\tкот 🐈\u{1}", true);
        check_content(&"é".repeat(DOCUMENT_MAX_BYTES / 2), true);
        check_content(&"a".repeat(DOCUMENT_MAX_BYTES + 1), false);
        check_content("a\0b", false);
    }

    #[track_caller]
    fn check_decode(bytes: &[u8], expected: &Result<&str, Unreadable>) {
        let decoded = Document::decode(bytes.to_vec(), DateTime::UNIX_EPOCH);
        assert_eq!(decoded.as_ref().map(|document| document.text.as_str()), expected.as_ref().copied());
    }

    #[test]
    fn a_file_is_a_document_only_if_it_is_short_utf_8() {
        check_decode(b"caf\xc3\xa9", &Ok("café"));
        check_decode(b"caf\xe9", &Err(Unreadable::NotText));
        check_decode(b"\xed\xa0\x80", &Err(Unreadable::NotText));
        check_decode(&vec![b'a'; DOCUMENT_MAX_BYTES + 1], &Err(Unreadable::TooLarge));
    }

    #[test]
    fn a_tag_is_the_sha_256_and_nothing_else_is_a_tag() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Tag::of(b"abc").as_str(), abc);
        assert_eq!(Tag::parse(abc), Some(Tag::of(b"abc")));
        for text in ["", "abc", &abc.to_uppercase(), &format!("{abc}0")] {
            assert_eq!(Tag::parse(text), None, "{text:?}");
        }
    }
}
