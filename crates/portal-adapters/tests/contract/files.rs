//! Agents' folders, in memory and on a file system.

use std::sync::Arc;

use chrono::DateTime;
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::memory::MemoryFiles;
use portal_core::{AgentId, FixedClock};
use portal_testkit::FilesFixture;

mod memory {
    portal_testkit::files_contract!(super::in_memory());
}

mod disk {
    portal_testkit::files_contract!(super::on_disk());
}

#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
async fn in_memory() -> FilesFixture {
    let files = MemoryFiles::new(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)));
    FilesFixture { files: Arc::new(files), guard: Box::new(()) }
}

#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
async fn on_disk() -> FilesFixture {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("AGENTS.md"), "an agent lives here").unwrap();
    let files = DiskFiles::new(AgentRoots::default().with(AgentId::parse("main").unwrap(), folder.path()));
    FilesFixture { files: Arc::new(files), guard: Box::new(folder) }
}
