//! The common ground of the portal's crates: ids, friends, friendships, sessions, the clock, errors of backends and the
//! audit log.
//!
//! This crate decides who may act (a session, [`Sessions`]) and nothing about namespaces, hostnames, documents or
//! jobs: those are decided in `portal-k8s`, `portal-dns`, `portal-workspace` and `portal-cron`, which depend on this
//! crate and not on each other. It knows no HTTP, no database and no cluster; what it needs from those it asks
//! through the ports declared here.
//!
//! Start reading at [`Sessions`] (authentication) and [`BackendError`] (the error of nearly every port).

mod accounts;
mod agent;
mod audit;
mod backend_error;
mod change;
mod change_log;
mod clock;
pub mod code;
mod contact;
mod error_text;
mod friend;
mod friend_settings;
mod friendship;
mod id;
mod invalid;
mod login;
mod probe;
mod prune;
mod retention;
mod session;
mod text;
mod token;

/// Crates whose types stand in signatures here.
pub use {async_trait, chrono};

pub use accounts::RegisteredAccounts;
pub use agent::{Agent, AgentStore};
pub use audit::{Action, Actor, AuditEntry, AuditFilter, AuditLog, AuditRecord};
pub use backend_error::{Backend, BackendError, BackendErrorKind, BoxError};
pub use change::Change;
pub use change_log::{CHANGE_RETENTION, ChangeLog, LoggedChange, RecentChanges, Topic};
pub use clock::{Clock, FixedClock, Ids, SeededIds};
pub use contact::{ChannelId, Contact, ContactAdded, ContactStore};
pub use error_text::error_text;
pub use friend::{Friend, FriendCreated, FriendPatch, FriendRemoved, FriendStore};
pub use friend_settings::FriendSettings;
pub use friendship::{Friendship, FriendshipKey, FriendshipStatus, FriendshipStore};
pub use id::{AgentId, FriendId};
pub use invalid::Invalid;
pub use login::{LINK_LIFETIME, Login, LoginCode, LoginLink, LoginStore, Logins, NewSession, Recipient};
pub use probe::Probe;
pub use prune::PruneThreshold;
pub use retention::{Expired, Retention, RetentionStore, SWEEP_BATCH, sweep};
pub use session::{
    IssuedSession, Origin, SESSION_LIFETIME, SESSION_LIFETIME_MAX, Session, SessionError, SessionState, SessionStore,
    Sessions, StoredSession,
};
pub use text::WordEnum;
pub use token::{Token, TokenHash, TokenKind};
