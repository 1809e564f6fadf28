//! Which documents there are, where they stand and who may write them.

use std::fmt;

use portal_core::{AgentId, FriendId, FriendshipKey};

portal_core::word_enum! {
    /// The documents that a friend sees.
    #[derive(PartialOrd, Ord)]
    pub enum DocumentName: "name" {
        /// What the agent is to remember of the friend, written by both: `friends/<id>/MEMORY.md`.
        Memory = "memory",
        /// The agent's own notes about the friend, who may only read them: `friends/<id>/notes.md`.
        FriendNotes = "friend-notes",
        /// What the agent looks after on its own, one file for all its friends: `HEARTBEAT.md`.
        Heartbeat = "heartbeat",
    }
}

impl DocumentName {
    /// Whether all friends of an agent share it.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self == Self::Heartbeat
    }
}

/// One file in one agent's folder: a document, and for those that are not shared the friend it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentPath {
    agent: AgentId,
    friend: Option<FriendId>,
    name: DocumentName,
}

impl DocumentPath {
    /// Returns the place where a friend finds the document `name` of an agent.
    #[must_use]
    pub fn of(key: &FriendshipKey, name: DocumentName) -> Self {
        let friend = (!name.is_shared()).then(|| key.friend.clone());
        Self { agent: key.agent.clone(), friend, name }
    }

    /// Reads a path of `agent` as [`fmt::Display`] writes it; `None` for anything else.
    #[must_use]
    pub fn parse(agent: AgentId, text: &str) -> Option<Self> {
        if text == "HEARTBEAT.md" {
            return Some(Self { agent, friend: None, name: DocumentName::Heartbeat });
        }
        let (friend, file) = text.strip_prefix("friends/")?.split_once('/')?;
        let name = match file {
            "MEMORY.md" => DocumentName::Memory,
            "notes.md" => DocumentName::FriendNotes,
            _ => return None,
        };
        Some(Self { agent, friend: Some(FriendId::parse(friend).ok()?), name })
    }

    /// The agent in whose folder it stands.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Whose it is; `None` for what all friends of the agent share.
    #[must_use]
    pub fn friend(&self) -> Option<&FriendId> {
        self.friend.as_ref()
    }

    /// Which document it is.
    #[must_use]
    pub fn name(&self) -> DocumentName {
        self.name
    }

    /// The folders to walk from the agent's folder, outermost first: none of them is `..` or holds a `/`.
    #[must_use]
    pub fn folders(&self) -> Vec<&str> {
        self.friend.as_ref().map_or_else(Vec::new, |friend| vec!["friends", friend.as_str()])
    }

    /// The file's name in the last of [`Self::folders`].
    #[must_use]
    pub fn file_name(&self) -> &'static str {
        match self.name {
            DocumentName::Memory => "MEMORY.md",
            DocumentName::FriendNotes => "notes.md",
            DocumentName::Heartbeat => "HEARTBEAT.md",
        }
    }
}

/// The path below the agent's folder.
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
