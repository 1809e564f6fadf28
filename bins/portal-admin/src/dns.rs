//! `dns orphans`.

use clap::Subcommand;
use portal_core::Action;
use portal_dns::{DomainName, Orphan, OrphanRemoved, Orphans};
use portal_runtime::commands::CommandError;

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Records with this portal's marker that no exposure, not even a former one, is known for
    Orphans {
        /// Look through this domain only; may be given several times
        #[arg(long, value_name = "NAME", value_parser = DomainName::parse)]
        domain: Vec<DomainName>,
        /// Delete them. What does not carry the listed marker any more is left alone
        #[arg(long)]
        delete: bool,
    },
}

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    let Verb::Orphans { domain, delete } = verb;
    let orphans = context.orphans(context.settings()?).await.map_err(not_set_up)?;
    let found = find(&orphans, &chosen(&orphans, domain)?).await?;
    let mut rows = Vec::new();
    for orphan in found {
        let outcome = if delete { Some(remove(&orphans, &orphan, context).await?) } else { None };
        rows.push(vec![
            plain(orphan.domain.as_str()),
            plain(orphan.hostname.to_string()),
            plain(orphan.marker.exposure.as_str()),
            plain(outcome.map(word)),
        ]);
    }
    Ok(Output::list("orphans", &["domain", "hostname", "exposure", "outcome"], rows))
}

fn not_set_up(error: CommandError) -> Failure {
    match error {
        CommandError::Port(error) => error.into(),
        refused => Failure::Setup(Box::new(refused)),
    }
}

/// The domains to look through: all that are configured, unless some were named.
fn chosen(orphans: &Orphans, named: Vec<DomainName>) -> Result<Vec<DomainName>, Failure> {
    let configured: Vec<_> = orphans.domains().map(|domain| domain.name.clone()).collect();
    if named.is_empty() {
        return Ok(configured);
    }
    match named.iter().find(|name| !configured.contains(name)) {
        Some(unknown) => Err(Failure::refused("--domain", format!("{unknown} is not a configured domain"))),
        None => Ok(named),
    }
}

/// Looks through every zone before anything is deleted in one.
async fn find(orphans: &Orphans, domains: &[DomainName]) -> Result<Vec<Orphan>, Failure> {
    let mut found = Vec::new();
    for domain in domains {
        let listed = orphans.find(domain).await;
        found.extend(
            listed.map_err(|source| Failure::Zone { what: format!("{domain} was not looked through"), source })?,
        );
    }
    Ok(found)
}

async fn remove(orphans: &Orphans, orphan: &Orphan, context: &AdminContext) -> Result<OrphanRemoved, Failure> {
    // The exposure may be unknown by now; its id is all that says whose record this was.
    let audit = context
        .audit(Action::OrphanDelete, None, orphan.hostname.as_str())
        .with_detail(format!("exposure {}", orphan.marker.exposure));
    let removed = orphans.remove(orphan, audit).await;
    removed.map_err(|source| Failure::Zone { what: format!("{} may not have been deleted", orphan.hostname), source })
}

fn word(removed: OrphanRemoved) -> &'static str {
    match removed {
        OrphanRemoved::Done => "deleted",
        OrphanRemoved::Absent => "gone",
        OrphanRemoved::LeftAlone => "kept",
        OrphanRemoved::Busy => "busy",
    }
}
