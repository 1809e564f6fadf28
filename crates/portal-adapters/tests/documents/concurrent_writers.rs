//! Two portals and an agent, each a process of its own, write the same documents at once.

use std::io::Write;
use std::path::Path;

use portal_adapters::RandomIds;
use portal_core::Ids;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::fixture::{Fixture, Role, Said};

/// Number of documents; each portal writes them so seldom that no version expires.
const DOCUMENTS: usize = 8;
const ROUNDS: usize = 4;
/// Number of writes of each document by an agent.
const AGENTS_ROUNDS: usize = 40;

/// Writes every document `rounds` times.
pub(crate) async fn portal(fixture: &Fixture, rounds: usize, say: &mut impl Write) {
    for _ in 0..rounds {
        for number in 0..DOCUMENTS {
            fixture.write(number, say).await;
        }
    }
}

/// Installs texts as a careful agent does, and says what it thereby took out.
pub(crate) fn exchanging_agent(fixture: &Fixture, rounds: usize, say: &mut impl Write) {
    for _ in 0..rounds {
        for number in 0..DOCUMENTS {
            let (text, at) = (format!("agent {}", RandomIds.id()), fixture.file(number));
            let beside = at.with_extension("agent");
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(&beside, &text).unwrap();
            // Said before it is done: only what stands there by then can be lost.
            let placed = [RenameFlags::EXCHANGE, RenameFlags::NOREPLACE]
                .into_iter()
                .any(|how| renameat_with(CWD, &beside, CWD, &at, how).is_ok());
            if placed {
                writeln!(say, "put {number} {text}").unwrap();
            }
            if let Ok(out) = std::fs::read_to_string(&beside) {
                writeln!(say, "took {number} {out}").unwrap();
                std::fs::remove_file(&beside).unwrap();
            }
        }
    }
}

/// Writes into the files as a careless agent does.
pub(crate) fn writing_agent(fixture: &Fixture, rounds: usize) {
    for _ in 0..rounds {
        for number in 0..DOCUMENTS {
            std::fs::create_dir_all(fixture.file(number).parent().unwrap()).unwrap();
            std::fs::write(fixture.file(number), format!("agent {}", RandomIds.id())).unwrap();
        }
    }
}

async fn write_at_once(folder: &Path, url: &str, agent: &str) {
    let fixture = Fixture::found(folder, url, DOCUMENTS).await;
    let roles = [format!("portal:{ROUNDS}"), format!("portal:{ROUNDS}"), format!("{agent}:{AGENTS_ROUNDS}")];
    let running = roles.map(|role| fixture.start(&role)).map(|role| std::thread::spawn(|| Role::hear(role)));
    let said: Vec<Said> = running.into_iter().flat_map(|role| role.join().unwrap()).collect();
    fixture.recover(DOCUMENTS).await;
    verify(&fixture, &said).await;
    let acknowledged = said.iter().filter(|said| said.what == "acknowledged").count();
    assert!(acknowledged >= DOCUMENTS * ROUNDS, "only {acknowledged} writes were acknowledged");
}

/// Nothing that was acknowledged, or that a careful agent put in place and did not take out itself, is lost.
pub(crate) async fn verify(fixture: &Fixture, said: &[Said]) {
    for number in 0..DOCUMENTS {
        let safe = fixture.safe(number).await;
        let took: Vec<_> = said.iter().filter(|said| said.what == "took" && said.number == number).collect();
        for said in said.iter().filter(|said| said.number == number) {
            let is_safe = safe.contains(&said.text);
            match said.what.as_str() {
                "acknowledged" => assert!(is_safe, "{said:?} is lost; {safe:?}"),
                "put" => {
                    let is_taken = took.iter().any(|took| took.text == said.text);
                    assert!(is_safe || is_taken, "{said:?} is lost; {safe:?}");
                }
                "failed" => panic!("{said:?}"),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_portals_and_a_careful_agent_lose_nothing() {
    let fixture = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", fixture.path().join("portal.db").display());
    let folder = fixture.path().join("main");
    std::fs::create_dir(&folder).unwrap();
    write_at_once(&folder, &url, "exchanging-agent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_they_beside_an_agent_that_writes_into_the_files() {
    let fixture = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", fixture.path().join("portal.db").display());
    let folder = fixture.path().join("main");
    std::fs::create_dir(&folder).unwrap();
    write_at_once(&folder, &url, "writing-agent").await;
}

mod postgres {
    use crate::postgres::Database;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn two_portals_and_a_careful_agent_lose_nothing() {
        let (folder, database) = (tempfile::tempdir().unwrap(), Database::create().await);
        super::write_at_once(folder.path(), &database.url(), "exchanging-agent").await;
    }
}
