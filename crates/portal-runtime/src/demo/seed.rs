//! Agent, friends, sessions and documents of the demo's first start. Later changes are left as they are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::TimeDelta;
use portal_adapters::db::Db;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, BackendError, ChannelId, Clock, Friend, FriendCreated, FriendId,
    Friendship, FriendshipKey, FriendshipStatus, Origin, SESSION_LIFETIME, Session, SessionState, Token,
};
use portal_workspace::Tag;

use crate::command_error::CommandError;

/// The demo's agent.
pub(super) const AGENT: &str = "main";
/// The demo's friends: id and channel.
const FRIENDS: [(&str, &str); 2] = [("alice", "signal"), ("bob", "discord")];
/// Alice's memory.
const MEMORY: &str = "# My Notes\n\nRemember to ask the agent about...";
/// Days of the agent's log that alice starts with.
const LOG_DAYS: i64 = 3;

/// Makes agent, friends, friendships and sessions that are not there yet; returns true at the first start.
pub(super) async fn people(db: &Db, clock: &dyn Clock) -> Result<bool, CommandError> {
    let mut is_first = false;
    let agent = AgentId::parse(AGENT)?;
    let now = clock.now();
    let entry = |action: Action, friend: Option<&FriendId>, subject: &str| {
        AuditEntry::new(now, Actor::Operator("demo".to_owned()), action)
            .with_friend(friend.cloned())
            .with_subject(subject)
    };
    let token = Token::presented("demo-agent").hash();
    let registered = Agent { id: agent.clone(), created_at: now };
    db.agents().create(registered, token, entry(Action::AgentCreate, None, AGENT)).await?;
    forget_revoked_sessions(db).await?;
    for (id, channel) in FRIENDS {
        let friend = FriendId::parse(id)?;
        let registered = Friend {
            id: friend.clone(),
            display_name: None,
            preferred_channel: Some(ChannelId::parse(channel)?),
            time_zone: None,
            created_at: now,
        };
        let created = db.friends().create(registered, entry(Action::FriendCreate, Some(&friend), id)).await?;
        is_first |= created == FriendCreated::New;
        let friendships = db.friendships();
        if friendships.find(&FriendshipKey::new(friend.clone(), agent.clone())).await?.is_none() {
            let friendship = Friendship {
                agent: agent.clone(),
                friend: friend.clone(),
                status: FriendshipStatus::Active,
                heartbeat_writable: Some(true),
                created_at: now,
            };
            friendships.set(friendship, entry(Action::FriendshipSet, Some(&friend), AGENT)).await?;
        }
        let audit = entry(Action::SessionIssue, Some(&friend), &session_id(id));
        session(
            db,
            clock,
            Session {
                id: session_id(id),
                friend,
                agent: agent.clone(),
                created_at: now,
                expires_at: now + SESSION_LIFETIME,
                origin: Some(Origin::Operator),
            },
            audit,
        )
        .await?;
    }
    Ok(is_first)
}

fn session_id(friend: &str) -> String {
    format!("demo-{friend}")
}

/// Deletes the sessions of the well-known tokens that were revoked: somebody who tried a logout still finds a demo with
/// the tokens that it prints.
async fn forget_revoked_sessions(db: &Db) -> Result<(), BackendError> {
    let store = db.sessions();
    for (id, _) in FRIENDS {
        let found = store.find(&Token::presented(session_id(id))).await?;
        if let Some(stored) = found.filter(|stored| stored.state == SessionState::Revoked) {
            // A store forgets sessions by their age only. Older ones are those of the other tokens, issued again below.
            store.sweep(stored.session.expires_at + TimeDelta::milliseconds(1)).await?;
        }
    }
    Ok(())
}

/// Opens the friend's session under its well-known token, unless there is one that is valid.
async fn session(db: &Db, clock: &dyn Clock, session: Session, audit: AuditEntry) -> Result<(), BackendError> {
    let store = db.sessions();
    let token = Token::presented(session_id(session.friend.as_str()));
    store.sweep(clock.now()).await?;
    if store.find(&token).await?.is_none() {
        store.issue(session, token.hash(), audit).await?;
    }
    Ok(())
}

/// Writes the agent's folder, unless there is one.
pub(super) fn documents(data: &Path, clock: &dyn Clock) -> Result<(), CommandError> {
    let root = roots(data).join(AGENT);
    // An agent, or the person who tries the demo, may have removed single files on purpose.
    if root.exists() {
        return Ok(());
    }
    // As the agent's hook records it: the text that stands there was in alice's last prompt.
    let read_at = (clock.now() - TimeDelta::minutes(25)).to_rfc3339();
    let receipt = format!(r#"{{"sha256":"{}","at":"{read_at}","chars":{}}}"#, Tag::of(MEMORY.as_bytes()), MEMORY.len());
    let mut files = vec![
        ("HEARTBEAT.md".to_owned(), "# Every morning\n\n- Look at the weather.\n".to_owned()),
        ("friends/alice/MEMORY.md".to_owned(), MEMORY.to_owned()),
        ("friends/alice/.portal-read.json".to_owned(), receipt),
        ("friends/alice/notes.md".to_owned(), "Alice likes short answers.\n".to_owned()),
    ];
    let days = (0..LOG_DAYS).filter_map(|back| clock.now().checked_sub_signed(TimeDelta::days(back)));
    files.extend(
        days.map(|day| (format!("friends/alice/memory/{}.md", day.format("%Y-%m-%d")), "A quiet day.\n".to_owned())),
    );
    // An empty folder, so that bob's logs count as zero and not as unknown.
    files.push(("friends/bob/memory/.keep".to_owned(), String::new()));
    // Before alice's was read.
    let written_at = clock.now() - TimeDelta::days(1);
    for (path, text) in files {
        write(&root.join(&path), &text, written_at.into())
            .map_err(|error| CommandError::other(format!("{path} cannot be written"), error))?;
    }
    Ok(())
}

/// The folder that holds the agents' folders.
pub(super) fn roots(data: &Path) -> PathBuf {
    data.join("agents")
}

fn write(path: &Path, text: &str, written_at: SystemTime) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)?;
    File::options().write(true).open(path)?.set_modified(written_at)
}
