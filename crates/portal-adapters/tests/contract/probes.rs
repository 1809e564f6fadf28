//! Probes of a database: a file that is there or not.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::db::{Db, DbSettings};
use portal_core::Probe;
use portal_testkit::{ProbeFixture, ProbedBackend};
use tokio::runtime::Handle;

mod database {
    portal_testkit::probes_contract!(super::on_file(portal_adapters::db::DbProbe::new));
}

mod migrations {
    portal_testkit::probes_contract!(super::on_file(portal_adapters::db::MigrationsProbe::new));
}

/// A database file that may be away.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn away(&self) -> PathBuf {
        self.path.with_extension("away")
    }
}

async fn on_file<P: Probe + 'static>(probe: fn(Db) -> P) -> ProbeFixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db");
    let db = Db::open(&DbSettings::new(format!("sqlite:{}", path.display())), Handle::current()).unwrap();
    db.migrate().await.unwrap();
    ProbeFixture { probe: Arc::new(probe(db)), backend: Box::new(File { path, _folder: folder }) }
}

#[async_trait]
impl ProbedBackend for File {
    async fn stop(&self) {
        std::fs::rename(&self.path, self.away()).unwrap();
    }

    async fn start(&self) {
        std::fs::rename(self.away(), &self.path).unwrap();
    }
}
