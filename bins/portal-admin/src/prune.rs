//! `prune`.

use clap::Args;
use portal_core::{Action, Retention, sweep};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain};

#[derive(Args)]
pub(crate) struct Prune {
    /// Only say how many rows would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(prune: &Prune, context: &AdminContext) -> Result<Output, Failure> {
    // With --database instead of a configuration, the defaults hold.
    let retention = context.loaded_settings().map_or_else(Retention::default, |settings| settings.retention);
    let mut rows = Vec::new();
    let mut total = 0;
    for expired in retention.expired(context.clock.now()) {
        let count = if prune.dry_run {
            context.retention.count(expired).await?
        } else {
            sweep(&*context.retention, expired).await?
        };
        total += count;
        rows.push(vec![plain(expired.kind()), plain(count)]);
    }
    if total > 0 && !prune.dry_run {
        let mut entry = context.audit(Action::PortalPrune, None, "database");
        entry.detail = format!("{total} rows");
        context.audit_log.append(entry).await?;
    }
    let columns = if prune.dry_run { &["kind", "expired"] } else { &["kind", "deleted"] };
    Ok(Output::list("pruned", columns, rows))
}
