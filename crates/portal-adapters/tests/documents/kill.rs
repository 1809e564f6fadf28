//! A portal that is killed again and again while it writes, beside a careful agent.

use crate::concurrent_writers::verify;
use crate::fixture::Fixture;

/// More documents than a portal writes in one life, so that no life waits for the lease of the one before.
const DOCUMENTS: usize = 8;
/// After how many words each portal is killed, wherever it is in its next write by then.
const LIVES: [usize; 6] = [1, 3, 2, 5, 1, 4];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_portal_acknowledged_is_not_lost_and_the_rest_is_recovered() {
    let folders = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folders.path().join("portal.db").display());
    let folder = folders.path().join("main");
    std::fs::create_dir(&folder).unwrap();
    let fixture = Fixture::found(&folder, &url, DOCUMENTS).await;
    let mut said = Vec::new();
    for life in LIVES {
        let portal = fixture.start("portal:1");
        let agent = fixture.start("exchanging-agent:3");
        said.extend(portal.kill_after(life));
        said.extend(agent.hear());
    }
    let acknowledged = said.iter().filter(|said| said.what == "acknowledged").count();
    assert!(acknowledged >= LIVES.len(), "only {acknowledged} writes were acknowledged");
    fixture.recover(DOCUMENTS).await;
    verify(&fixture, &said).await;
}
