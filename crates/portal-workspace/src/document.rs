//! A document: its name, its path below an agent's folder, its content, and the tag of that.

use std::fmt;

use chrono::{DateTime, Utc};
use portal_core::{AgentId, FriendId, FriendshipKey, Invalid};
use sha2::{Digest, Sha256};

/// Largest document, in bytes of UTF-8: 256 KiB. The agent gateway has no limit of its own for files on disk.
pub const DOCUMENT_MAX_BYTES: usize = 256 * 1024;
/// Number of characters of an injected file that the agent gateway shows to its model (`bootstrapMaxChars`). It cuts
/// the prompt, never the file.
pub const AGENT_READS_CHARS: u32 = 20_000;

portal_core::word_enum! {
    /// Documents that a friend sees.
    #[derive(PartialOrd, Ord)]
    pub enum DocumentName: "name" {
        /// Memory of the friend, written by friend and agent: `friends/<id>/MEMORY.md`.
        Memory = "memory",
        /// Agent's own notes about the friend, who may only read them: `friends/<id>/notes.md`.
        FriendNotes = "friend-notes",
        /// Tasks that the agent does unasked, one file for all its friends: `HEARTBEAT.md`.
        Heartbeat = "heartbeat",
    }
}

impl DocumentName {
    /// Returns `true` for a document that all friends of an agent share.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self == Self::Heartbeat
    }
}

/// File of a document: the agent, the document, and its friend unless it is shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentPath {
    agent: AgentId,
    friend: Option<FriendId>,
    name: DocumentName,
}

impl DocumentPath {
    /// Returns the path of the document `name` that `friend` has with `agent`.
    #[must_use]
    pub fn of(key: &FriendshipKey, name: DocumentName) -> Self {
        let friend = (!name.is_shared()).then(|| key.friend.clone());
        Self { agent: key.agent.clone(), friend, name }
    }

    /// Parses a path of `agent` as [`fmt::Display`] writes it; `None` for anything else.
    #[must_use]
    pub fn parse(agent: AgentId, text: &str) -> Option<Self> {
        if text == "HEARTBEAT.md" {
            return Some(Self { agent, friend: None, name: DocumentName::Heartbeat });
        }
        // The inverse of `Display`: rows of the database have these texts.
        let (friend, file) = text.strip_prefix("friends/")?.split_once('/')?;
        let name = match file {
            "MEMORY.md" => DocumentName::Memory,
            "notes.md" => DocumentName::FriendNotes,
            _ => return None,
        };
        Some(Self { agent, friend: Some(FriendId::parse(friend).ok()?), name })
    }

    /// Returns the agent that has the folder.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Returns the friend; `None` for a shared document.
    #[must_use]
    pub fn friend(&self) -> Option<&FriendId> {
        self.friend.as_ref()
    }

    /// Returns the document's name.
    #[must_use]
    pub fn name(&self) -> DocumentName {
        self.name
    }

    /// Returns the folders below the agent's, the outermost first. None of them is `..` or contains a `/`.
    #[must_use]
    pub fn folders(&self) -> Vec<&str> {
        self.friend.as_ref().map_or_else(Vec::new, |friend| vec!["friends", friend.as_str()])
    }

    /// Returns the file's name in the last of [`Self::folders`].
    #[must_use]
    pub fn file_name(&self) -> &'static str {
        match self.name {
            DocumentName::Memory => "MEMORY.md",
            DocumentName::FriendNotes => "notes.md",
            DocumentName::Heartbeat => "HEARTBEAT.md",
        }
    }
}

/// Path below the agent's folder.
impl fmt::Display for DocumentPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(friend) = &self.friend {
            write!(formatter, "friends/{friend}/")?;
        }
        formatter.write_str(self.file_name())
    }
}

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
    use portal_core::{AgentId, FriendId, FriendshipKey};

    use super::{Content, DOCUMENT_MAX_BYTES, Document, DocumentName, DocumentPath, Tag, Unreadable};

    #[track_caller]
    fn check_path(name: DocumentName, expected: &str) {
        let main = AgentId::parse("main").unwrap();
        let path = DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), main.clone()), name);
        assert_eq!(path.to_string(), expected);
        assert_eq!(DocumentPath::parse(main, expected), Some(path));
    }

    #[test]
    fn a_friend_has_a_folder_of_their_own_and_the_heartbeat_is_shared() {
        check_path(DocumentName::Memory, "friends/alice/MEMORY.md");
        check_path(DocumentName::FriendNotes, "friends/alice/notes.md");
        check_path(DocumentName::Heartbeat, "HEARTBEAT.md");
    }

    #[test]
    fn no_other_path_is_a_document() {
        let main = AgentId::parse("main").unwrap();
        for text in ["", "MEMORY.md", "friends/../MEMORY.md", "friends/a/b/MEMORY.md", "friends/alice/SOUL.md", "/etc"]
        {
            assert_eq!(DocumentPath::parse(main.clone(), text), None, "{text:?}");
        }
    }

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
