//! `audit`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use portal_core::{AuditFilter, AuditRecord, FriendId};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain, time};

#[derive(Args)]
pub(crate) struct Search {
    /// Only what touched this friend's things
    #[arg(long, value_parser = FriendId::parse)]
    friend: Option<FriendId>,
    /// Only this action, such as job.create, or all of a noun, such as job
    #[arg(long)]
    action: Option<String>,
    /// Only since then: a time such as 2026-11-23T09:00:00Z, or so long ago, such as 90m, 12h or 7d
    #[arg(long)]
    since: Option<String>,
    /// At most so many lines
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(crate) async fn run(search: Search, context: &AdminContext) -> Result<Output, Failure> {
    let since = search.since.as_deref().map(|text| since(text, context.clock.now())).transpose()?;
    let Search { friend, action, limit, .. } = search;
    let filter = AuditFilter { friend, action, since, limit, ..AuditFilter::default() };
    let records = context.audit_log.list(filter).await?;
    let row = |record: &AuditRecord| {
        vec![
            plain(record.id),
            time(record.at),
            plain(record.actor.to_string()),
            plain(&record.action),
            plain(record.friend.as_ref().map(FriendId::as_str)),
            plain(&record.subject),
            plain(&record.detail),
        ]
    };
    let columns = &["id", "at", "actor", "action", "friend", "subject", "detail"];
    Ok(Output::list("lines", columns, records.iter().map(row).collect()))
}

/// Reads a time, or how long ago it was.
fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    ago(text).and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(|| {
        Failure::refused(
            "--since",
            "must be a time such as 2026-11-23T09:00:00Z, or so long ago, such as 90m, 12h or 7d",
        )
    })
}

fn ago(text: &str) -> Option<TimeDelta> {
    // The last byte may be in the middle of a letter: `split_at_checked` refuses that.
    let (amount, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u32 = amount.parse().ok()?;
    match unit {
        "m" => Some(TimeDelta::minutes(amount.into())),
        "h" => Some(TimeDelta::hours(amount.into())),
        "d" => Some(TimeDelta::days(amount.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::since;

    #[track_caller]
    fn check(text: &str, ago: Option<TimeDelta>) {
        let now = DateTime::parse_from_rfc3339("2026-11-23T09:00:00Z").unwrap().to_utc();
        assert_eq!(since(text, now).ok().map(|at| now - at), ago, "{text:?}");
    }

    #[test]
    fn a_time_is_a_time_or_how_long_ago_it_was() {
        check("2026-11-23T08:00:00Z", Some(TimeDelta::hours(1)));
        check("2026-11-23T10:00:00+02:00", Some(TimeDelta::hours(1)));
        check("90m", Some(TimeDelta::minutes(90)));
        check("12h", Some(TimeDelta::hours(12)));
        check("7d", Some(TimeDelta::days(7)));
        for text in ["", "m", "7", "7w", "-1d", "yesterday", "2026-11-23", "é", "4294967295d"] {
            check(text, None);
        }
    }
}
