//! `exposure list|show|repair`.

use clap::{Args, Subcommand};
use portal_core::{Action, FriendId, code};
use portal_dns::{Exposure, ExposureName, Reason, all_intents};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Fields, Output, plain, time};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// A friend's exposures, or everybody's
    List {
        #[arg(value_parser = FriendId::parse)]
        friend: Option<FriendId>,
    },
    /// One exposure, and what it waits for
    Show(Which),
    /// Have the running portal look at an exposure, whatever it waits for: within a second if it is pending or being
    /// removed, with the next pass over all exposures, within a minute, if it is not
    Repair(Which),
}

#[derive(Args)]
pub(crate) struct Which {
    #[arg(value_parser = FriendId::parse)]
    friend: FriendId,
    /// The exposure's name
    #[arg(value_parser = ExposureName::parse)]
    name: ExposureName,
}

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::List { friend: Some(friend) } => list(&friend, context).await,
        Verb::List { friend: None } => list_all(context).await,
        Verb::Show(which) => Ok(Output::Record(fields(&find(&which, context).await?))),
        Verb::Repair(which) => repair(&which, context).await,
    }
}

async fn list(friend: &FriendId, context: &AdminContext) -> Result<Output, Failure> {
    context.known(friend).await?;
    Ok(table(&context.exposures.list(friend).await?))
}

async fn list_all(context: &AdminContext) -> Result<Output, Failure> {
    let intents = all_intents(&*context.exposures).await?;
    let mut exposures: Vec<_> = intents.into_iter().map(|intent| intent.exposure).collect();
    exposures.sort_by(|one, other| (&one.friend, &one.name).cmp(&(&other.friend, &other.name)));
    Ok(table(&exposures))
}

async fn find(which: &Which, context: &AdminContext) -> Result<Exposure, Failure> {
    context.known(&which.friend).await?;
    let found = context.exposures.find(&which.friend, &which.name).await?;
    found.ok_or_else(|| unknown(which))
}

async fn repair(which: &Which, context: &AdminContext) -> Result<Output, Failure> {
    let exposure = find(which, context).await?;
    let audit = context.audit(Action::ExposureRepair, Some(&which.friend), which.name.as_str());
    // It may have gone since it was found.
    if !context.exposures.requeue_now(&exposure.id, audit).await? {
        return Err(unknown(which));
    }
    Ok(Output::Record(fields(&exposure)))
}

fn unknown(which: &Which) -> Failure {
    Failure::coded("NAME", code::EXPOSURE_NOT_FOUND, format!("{} has no exposure {}", which.friend, which.name))
}

fn table(exposures: &[Exposure]) -> Output {
    let row = |exposure: &Exposure| fields(exposure).into_iter().map(|(_, value)| value).collect();
    Output::list("exposures", COLUMNS, exposures.iter().map(row).collect())
}

const COLUMNS: &[&str] = &["friend", "name", "hostname", "service", "port", "status", "reason", "created_at", "id"];

fn fields(exposure: &Exposure) -> Fields {
    let values = [
        plain(exposure.friend.as_str()),
        plain(exposure.name.as_str()),
        plain(exposure.spec.hostname.to_string()),
        plain(exposure.spec.service.to_string()),
        plain(exposure.spec.port.number()),
        plain(exposure.status.as_str()),
        plain(exposure.reason.map(Reason::as_str)),
        time(exposure.created_at),
        plain(exposure.id.as_str()),
    ];
    COLUMNS.iter().copied().zip(values).collect()
}
