//! The operator's commands: friends and what belongs to them, agents, exposures, orphaned records, the audit log.
//!
//! They work on the portal's database, whether or not a portal is running; what they change takes effect within a
//! second. Every change leaves a line in the audit log under the operator's login name.
//!
//! Exit codes: 0 done, 1 refused (nothing was changed; of `friend invite`, nothing from the refused step on), 2 not
//! understood, 3 the database, the cluster or a zone could not be asked, or did not do what it was asked.

mod agent;
mod audit;
mod contact;
mod context;
mod dns;
mod domain;
mod exposure;
mod failure;
mod friend;
mod friendship;
mod jobs;
mod output;
mod prune;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use context::AdminContext;
use failure::Failure;
use output::Output;

/// Works on the register of a Friend Portal.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Command {
    #[command(flatten)]
    location: PortalLocation,
    /// Output in JSON, refusals (on standard error) included
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    noun: Noun,
}

/// Which portal is meant.
#[derive(Args)]
struct PortalLocation {
    /// The portal's configuration
    #[arg(long, global = true, env = "PORTAL_CONFIG", value_name = "FILE", default_value = "portal.toml")]
    config: PathBuf,
    /// The portal's database instead: sqlite:PATH or postgres://..
    #[arg(long, global = true, env = "PORTAL_DATABASE__URL", hide_env_values = true, value_name = "URL")]
    database: Option<SecretString>,
}

#[derive(Subcommand)]
enum Noun {
    /// The people the portal serves
    #[command(subcommand)]
    Friend(friend::Verb),
    /// Addresses of friends on channels
    #[command(subcommand)]
    Contact(contact::Verb),
    /// The agents that work for friends
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Which agent works for which friend
    #[command(subcommand)]
    Friendship(friendship::Verb),
    /// Logins
    #[command(subcommand)]
    Session(session::Verb),
    /// Scheduled messages
    #[command(subcommand)]
    Jobs(jobs::Verb),
    /// Services that friends put on the internet
    #[command(subcommand)]
    Exposure(exposure::Verb),
    /// The domains on offer
    #[command(subcommand)]
    Domain(domain::Verb),
    /// The records that the portal made
    #[command(subcommand)]
    Dns(dns::Verb),
    /// Lines of the audit log, newest first
    Audit(audit::Search),
    /// Deletes rows that are older than the section retention allows
    Prune(prune::Prune),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let json = command.json;
    match Box::pin(run(command)).await.and_then(|answer| answer.print(json).map_err(Failure::Output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

async fn run(command: Command) -> Result<Output, Failure> {
    let Command { location, noun, .. } = command;
    match noun {
        Noun::Friend(verb) => friend::run(verb, &AdminContext::open(location).await?).await,
        Noun::Contact(verb) => contact::run(verb, &AdminContext::open(location).await?).await,
        // Before there is a portal: its configuration names the key.
        Noun::Agent(agent::Verb::DeviceKey { file }) => agent::device_key(&file),
        Noun::Agent(verb) => agent::run(verb, &AdminContext::open(location).await?).await,
        Noun::Friendship(verb) => friendship::run(verb, &AdminContext::open(location).await?).await,
        Noun::Session(verb) => session::run(verb, &AdminContext::open(location).await?).await,
        Noun::Jobs(verb) => jobs::run(verb, &AdminContext::open(location).await?).await,
        Noun::Exposure(verb) => exposure::run(verb, &AdminContext::open(location).await?).await,
        Noun::Domain(verb) => domain::run(&verb, &location.config),
        Noun::Dns(verb) => dns::run(verb, &AdminContext::open(location).await?).await,
        Noun::Audit(search) => audit::run(search, &AdminContext::open(location).await?).await,
        Noun::Prune(command) => prune::run(&command, &AdminContext::open(location).await?).await,
    }
}
