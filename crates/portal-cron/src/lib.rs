//! When the friends' messages to their agents are due, and getting each of them there: schedules, session keys, jobs
//! and the runner.
//!
//! This crate decides what a schedule means when clocks change ([`Schedule`]), whose conversation a session key names
//! ([`Claimant`]), what may be asked of a job ([`JobDraft`]), and that no instant passes without a row that says what
//! became of it ([`Runner`]). It knows no database, no HTTP and no agent gateway: it asks for stored jobs and runs
//! ([`JobStore`], [`RunQueue`]) and for a way to the receiver ([`Delivery`]) through the ports declared here; and an
//! [`Engine`] is what keeps jobs, be it [`EmbeddedEngine`] or one that the agent brings along.
//!
//! Start reading at [`Jobs`] (what a friend can do) and [`Runner`] (what happens at the time).

mod delivery;
mod embedded;
mod error;
mod firing;
mod job;
mod jobs;
mod run;
mod runner;
mod schedule;
mod session_key;
mod store;

pub use delivery::{Delivery, Receipt, ScheduledMessage};
pub use embedded::{EmbeddedEngine, JOBS_PER_FRIEND};
pub use error::{CronError, Unsupported};
pub use firing::{Plan, plan};
pub use job::{Job, JobDraft, JobName, JobSpec, JobState, Thinking};
pub use jobs::{Created, Engine, Engines, Jobs, Started, check_time_zone};
pub use run::{Run, RunStatus, Stretch, Trigger};
pub use runner::{Runner, RunnerSettings};
pub use schedule::Schedule;
pub use session_key::{Claimant, SessionKey, SessionKeys};
pub use store::{
    DueJob, Firing, JobCreated, JobStore, Lease, LeasedRun, RunQueue, RunRequested, Settled, Settlement, Switch,
    Switched, Verdict,
};
