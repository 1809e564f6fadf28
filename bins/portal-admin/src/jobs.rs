//! `jobs move`.

use clap::Subcommand;
use portal_core::AgentId;
use portal_runtime::admin::{MoveJobs, MovedJob};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Move an agent's jobs from the portal into its gateway, as engine = "openclaw" wants it; may be repeated
    Move {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
        /// Move them out of the gateway to the portal again, as engine = "embedded" wants it
        #[arg(long)]
        back: bool,
        /// Only say which jobs would be moved
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    let Verb::Move { agent, back, dry_run } = verb;
    let command = MoveJobs { back, apply: !dry_run };
    let moved = context.move_jobs(context.settings()?, &agent, &context.operator, command).await;
    let moved = moved.map_err(|error| Failure::Setup(error.into()))?;
    let row = |MovedJob { friend, name, outcome }: MovedJob| vec![plain(friend.as_str()), plain(name), plain(outcome)];
    Ok(Output::list("jobs", &["friend", "name", "outcome"], moved.into_iter().map(row).collect()))
}
