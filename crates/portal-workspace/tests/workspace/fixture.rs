//! Agent, two friends, and the documents between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::DateTime;
use portal_adapters::db::Db;
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::memory::MemoryFiles;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, AuditFilter, Clock, FixedClock, Friend, FriendId, Friendship,
    FriendshipKey, FriendshipStatus, SeededIds, Token,
};
use portal_testkit::Stores;
use portal_workspace::{
    Content, DocumentFiles, DocumentName, DocumentPath, DocumentPorts, Documents, Precondition, Tag, WorkspaceError,
    Writer,
};
use tokio::runtime::Handle;

/// Agent's folder, and the ways in which an agent changes it past the portal.
pub(crate) enum AgentFolder {
    Memory(MemoryFiles),
    Disk(tempfile::TempDir),
}

pub(crate) struct Fixture {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) stores: Stores,
    pub(crate) folder: AgentFolder,
    pub(crate) ports: DocumentPorts,
    pub(crate) documents: Documents,
}

impl Fixture {
    pub(crate) async fn in_memory() -> Self {
        let clock = fixed_clock();
        let files = MemoryFiles::new(clock.clone());
        Self::on(clock, AgentFolder::Memory(files.clone()), Arc::new(files)).await
    }

    pub(crate) async fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("main")).unwrap();
        std::fs::write(folder.path().join("main/AGENTS.md"), "an agent lives here").unwrap();
        let files = DiskFiles::new(AgentRoots::under(folder.path()));
        Self::on(fixed_clock(), AgentFolder::Disk(folder), Arc::new(files)).await
    }

    async fn on(clock: Arc<FixedClock>, folder: AgentFolder, files: Arc<dyn DocumentFiles>) -> Self {
        let db = Db::in_memory(Handle::current()).unwrap().with_clock(clock.clone());
        let stores = portal_testkit::stores!(db);
        let ports = DocumentPorts {
            files,
            store: stores.documents.clone(),
            versions: stores.versions.clone(),
            friendships: stores.friendships.clone(),
            clock: clock.clone(),
            ids: Arc::new(SeededIds::from_seed(1)),
        };
        let documents = Documents::new(ports.clone());
        let fixture = Self { clock, stores, folder, ports, documents };
        fixture.add_people().await;
        fixture
    }

    async fn add_people(&self) {
        let (agents, friends) = (&self.stores.agents, &self.stores.friends);
        let agent = Agent { id: main(), created_at: self.clock.now() };
        agents.create(agent, Token::presented("agent").hash(), self.audit(Action::AgentCreate)).await.unwrap();
        for name in ["alice", "bob"] {
            let friend = Friend::new(friend(name), self.clock.now());
            friends.create(friend, self.audit(Action::FriendCreate)).await.unwrap();
            self.befriend(name, Some(true)).await;
        }
    }

    /// Sets an active friendship with the agent.
    pub(crate) async fn befriend(&self, name: &str, heartbeat_writable: Option<bool>) {
        self.befriend_as(name, FriendshipStatus::Active, heartbeat_writable).await;
    }

    /// Sets the friendship with the agent.
    pub(crate) async fn befriend_as(&self, name: &str, status: FriendshipStatus, heartbeat_writable: Option<bool>) {
        let friendship = Friendship {
            agent: main(),
            friend: friend(name),
            status,
            heartbeat_writable,
            created_at: self.clock.now(),
        };
        assert!(self.stores.friendships.set(friendship, self.audit(Action::FriendshipSet)).await.unwrap());
    }

    fn audit(&self, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), Actor::Operator("root".to_owned()), action)
    }

    /// Counts the audit entries about documents.
    pub(crate) async fn audited(&self) -> usize {
        let filter = AuditFilter { action: Some("document".to_owned()), limit: 1000, ..AuditFilter::default() };
        self.stores.audit.list(filter).await.unwrap().len()
    }

    /// Replaces a document of `name` in a session.
    pub(crate) async fn write(
        &self,
        name: &str,
        session: &str,
        document: DocumentName,
        text: &str,
    ) -> Result<Tag, WorkspaceError> {
        self.documents.replace(writer(name, session), document, content(text), Precondition::None).await
    }

    /// The texts of all versions, the newest first.
    pub(crate) async fn stored(&self, path: &DocumentPath) -> Vec<String> {
        let mut texts = Vec::new();
        for version in self.stores.versions.list(path, None).await.unwrap() {
            let (_, bytes) = self.stores.versions.find(path, None, &version.id).await.unwrap().unwrap();
            texts.push(String::from_utf8(bytes).unwrap());
        }
        texts
    }
}

impl AgentFolder {
    /// Replaces a document as a careful agent does: by renaming.
    pub(crate) fn agent_installs(&self, path: &DocumentPath, text: &str) {
        match self {
            Self::Memory(files) => files.write(path, text),
            Self::Disk(folder) => {
                let at = file(folder.path(), path);
                let beside = at.with_extension("agent");
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                std::fs::write(&beside, text).unwrap();
                std::fs::rename(beside, at).unwrap();
            }
        }
    }

    /// Removes a document as an agent does; nothing there is fine.
    pub(crate) fn agent_removes(&self, path: &DocumentPath) {
        match self {
            Self::Memory(files) => files.remove(path),
            Self::Disk(folder) => drop(std::fs::remove_file(file(folder.path(), path))),
        }
    }
}

pub(crate) fn file(folder: &Path, path: &DocumentPath) -> PathBuf {
    folder.join(path.agent().as_str()).join(path.to_string())
}

fn fixed_clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()))
}

pub(crate) fn main() -> AgentId {
    AgentId::parse("main").unwrap()
}

pub(crate) fn friend(name: &str) -> FriendId {
    FriendId::parse(name).unwrap()
}

pub(crate) fn content(text: &str) -> Content {
    Content::parse(text.to_owned()).unwrap()
}

pub(crate) fn reader(name: &str) -> FriendshipKey {
    FriendshipKey { friend: friend(name), agent: main() }
}

pub(crate) fn writer(name: &str, session: &str) -> Writer {
    Writer { reader: reader(name), session: session.to_owned() }
}

pub(crate) fn path(name: &str, document: DocumentName) -> DocumentPath {
    DocumentPath::of(&reader(name), document)
}
