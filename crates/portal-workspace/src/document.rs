//! What a document holds.

use chrono::{DateTime, Utc};
use portal_core::Invalid;
use sha2::{Digest, Sha256};

use crate::{DocumentName, Unreadable};

/// The longest document, in bytes of UTF-8: 256 KiB. The agent gateway has no limit of its own for files on disk.
pub const DOCUMENT_MAX_BYTES: usize = 256 * 1024;
/// How much of a document the agent gateway puts before its model: it cuts each injected file at so many characters
/// (`bootstrapMaxChars`), while the file itself is never cut.
pub const AGENT_READS_CHARS: u32 = 20_000;

impl DocumentName {
    /// How many characters of it the agent reads; `None` where no limit is known: the agent's own notes are not
    /// injected, it reads them with its tools.
    #[must_use]
    pub fn agent_reads_chars(self) -> Option<u32> {
        match self {
            Self::Memory | Self::Heartbeat => Some(AGENT_READS_CHARS),
            Self::FriendNotes => None,
        }
    }
}

/// The SHA-256 of a content, by which two people know whether they speak of the same text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// Reads a tag; `None` for what is not 64 lower-case hexadecimal digits, and so was never a tag of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The first digits: enough for a person to tell texts apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// A text fit to be a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(String);

portal_core::string_newtype!(write only: Tag, Content);

impl Content {
    /// Takes a text as it was sent; nothing is trimmed, folded or re-encoded.
    ///
    /// # Errors
    /// Refuses more than [`DOCUMENT_MAX_BYTES`], and U+0000, which no database and few editors keep.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        if text.len() > DOCUMENT_MAX_BYTES {
            let message =
                format!("content must have at most {DOCUMENT_MAX_BYTES} bytes as UTF-8; it has {}", text.len());
            return Err(Invalid::new("content", message));
        }
        if text.contains('\0') {
            return Err(Invalid::new("content", "content must not contain the character U+0000"));
        }
        Ok(Self(text))
    }

    /// The text, given away.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// Its tag.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::of(self.0.as_bytes())
    }
}

/// A document as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text, whoever wrote it.
    pub text: String,
    /// The text's tag.
    pub tag: Tag,
    /// When it was last changed, by anybody, as the file system says.
    pub updated_at: DateTime<Utc>,
}

impl Document {
    /// Reads what stood in a file.
    ///
    /// # Errors
    /// Refuses what is too large or not UTF-8, so that nobody edits a mangled copy and writes it back.
    pub fn decode(bytes: Vec<u8>, updated_at: DateTime<Utc>) -> Result<Self, Unreadable> {
        if bytes.len() > DOCUMENT_MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        let tag = Tag::of(&bytes);
        let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotText)?;
        Ok(Self { text, tag, updated_at })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Content, DOCUMENT_MAX_BYTES, Document, Tag};
    use crate::Unreadable;

    #[track_caller]
    fn check_content(text: &str, accepted: bool) {
        let taken = Content::parse(text.to_owned());
        assert_eq!(taken.as_ref().map(Content::as_str).ok(), accepted.then_some(text), "{} bytes", text.len());
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
    fn check_decode(bytes: &[u8], expected: Result<&str, Unreadable>) {
        let decoded = Document::decode(bytes.to_vec(), DateTime::UNIX_EPOCH);
        assert_eq!(decoded.as_ref().map(|document| document.text.as_str()), expected.as_ref().copied());
    }

    #[test]
    fn a_file_is_a_document_only_if_it_is_short_utf_8() {
        check_decode(b"caf\xc3\xa9", Ok("café"));
        check_decode(b"caf\xe9", Err(Unreadable::NotText));
        check_decode(b"\xed\xa0\x80", Err(Unreadable::NotText));
        check_decode(&vec![b'a'; DOCUMENT_MAX_BYTES + 1], Err(Unreadable::TooLarge));
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
