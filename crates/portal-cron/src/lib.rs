//! Scheduled messages of friends to their agents: timings, session keys, jobs, and the runner that delivers them.
//!
//! This crate decides when a timing fires, clock changes included ([`Timing`], [`Schedule`]), whose conversation a
//! session key names ([`Claimant`]), what may be asked of a job ([`JobDraft`], [`JobPatch`]), and that no fire time
//! passes without a row ([`Runner`]). It knows no database, no HTTP and no agent gateway: stored jobs and runs
//! ([`JobStore`], [`RunQueue`]) and the way to a receiver ([`Delivery`]) are ports declared here; and an [`Engine`]
//! keeps jobs, [`EmbeddedEngine`] or one that the agent brings along.
//!
//! Start reading at [`Jobs`] (operations of a friend) and [`Runner`] (from a fire time to a delivery).

mod delivery;
mod engine;
mod error;
mod firing;
mod job;
mod jobs;
mod messages;
mod preview;
mod remote;
mod run;
mod runner;
mod schedule;
mod session_key;
mod shares;
mod store;
mod time_zone;
mod timing;

pub use delivery::{Delivery, Receipt};
pub use engine::{EmbeddedEngine, Engine, Engines, JobRemoved};
pub use error::{CronError, Unsupported};
pub use firing::{FiringPlan, plan_firing};
pub use job::{
    AnswerTo, Job, JobDraft, JobName, JobPatch, JobSpec, JobState, MESSAGE_MAX, RECENT_MAX, RecentRun, Thinking,
};
pub use jobs::Jobs;
pub use messages::{MessageStore, Messages};
pub use preview::{PREVIEW_MAX, Preview};
pub use remote::{
    ChangeBegun, ChangeEnd, HeldChange, NewChange, REMOTE_CHANGE_TIMEOUT, RemoteRun, RemoteRunEnd, RemoteStore,
};
pub use run::{MissedWindow, Run, RunStatus, Sent, Trigger};
pub use runner::{AttemptEnd, NoObserver, Runner, RunnerObserver, RunnerPorts, RunnerSettings};
pub use schedule::{Schedule, TimingDraft};
pub use session_key::{
    Claimant, ConversationScopes, DefaultConversation, Destination, OneConversation, SessionKey, SessionKeys,
};
pub use shares::FriendShares;
pub use store::{
    AttemptOutcome, Backlog, CompletedAttempt, DueJob, EngineRefusal, Firing, JOBS_PER_FRIEND, JobCreated, JobStore,
    JobUpdate, JobUpdated, LeasedRun, MANUAL_RUNS_PER_MINUTE, MessageQueued, ReleaseAnnounced, RunLease, RunQueue,
    RunRequested, RunsListed,
};
pub use time_zone::{Release, TimeZones};
pub use timing::{Interval, Moment, Timing, TimingKind};
