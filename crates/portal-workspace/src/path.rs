//! Names of documents and their paths below an agent's folder.

use std::fmt;

use portal_core::{AgentId, FriendId, FriendshipKey};

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

#[cfg(test)]
mod tests {
    use portal_core::{AgentId, FriendId, FriendshipKey};

    use super::{DocumentName, DocumentPath};

    #[track_caller]
    fn check(name: DocumentName, expected: &str) {
        let main = AgentId::parse("main").unwrap();
        let path = DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), main.clone()), name);
        assert_eq!(path.to_string(), expected);
        assert_eq!(DocumentPath::parse(main, expected), Some(path));
    }

    #[test]
    fn a_friend_has_a_folder_of_their_own_and_the_heartbeat_is_shared() {
        check(DocumentName::Memory, "friends/alice/MEMORY.md");
        check(DocumentName::FriendNotes, "friends/alice/notes.md");
        check(DocumentName::Heartbeat, "HEARTBEAT.md");
    }

    #[test]
    fn no_other_path_is_a_document() {
        let main = AgentId::parse("main").unwrap();
        for text in ["", "MEMORY.md", "friends/../MEMORY.md", "friends/a/b/MEMORY.md", "friends/alice/SOUL.md", "/etc"]
        {
            assert_eq!(DocumentPath::parse(main.clone(), text), None, "{text:?}");
        }
    }
}
