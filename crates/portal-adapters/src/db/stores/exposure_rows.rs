//! Converts an exposure's rows into its intent and back.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{FriendId, Invalid};
use portal_dns::{
    Desired, DomainName, Exposure, ExposureId, ExposureName, ExposureSpec, Hostname, Intent, Progress, Reason,
    ServiceName, ServicePort, Status,
};

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::{exposures, hostnames};

/// Role of the hostname that an exposure wants.
pub(super) const WANTED: &str = "wanted";
/// Role of a hostname that an exposure is about to release.
pub(super) const LEAVING: &str = "leaving";

#[derive(Queryable, Selectable)]
#[diesel(table_name = exposures)]
pub(super) struct Row {
    id: String,
    friend_id: String,
    name: String,
    service: String,
    port: i32,
    domain: String,
    desired: String,
    status: String,
    reason: Option<String>,
    generation: i64,
    established: bool,
    attempts: i32,
    next_attempt_at: NaiveDateTime,
    lease_token: Option<String>,
    lease_until: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    changed_at: NaiveDateTime,
    route_done: bool,
    record_done: bool,
}

impl Row {
    /// Returns whether the exposure is leased at `now`, under another token than `token`.
    pub(super) fn is_leased_by_another(&self, token: &str, now: DateTime<Utc>) -> bool {
        let is_other = self.lease_token.as_deref().is_some_and(|holder| holder != token);
        is_other && self.lease_until.is_some_and(|until| until > now.naive_utc())
    }

    /// Returns whether `token` was the last to lease the exposure, expired or not.
    pub(super) fn was_last_leased_by(&self, token: &str) -> bool {
        self.lease_token.as_deref() == Some(token)
    }

    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    /// Returns the time of a change at `now`: later than every change before, whatever the clocks say.
    pub(super) fn time_of_change(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.changed_at.and_utc() + TimeDelta::milliseconds(1))
    }

    fn intent(self, owned: Vec<(String, String)>) -> Result<Intent, QueryError> {
        let mut wanted = None;
        let mut leaving = Vec::new();
        for (hostname, role) in owned {
            let hostname = Hostname::parse(&hostname)?;
            if role == WANTED {
                wanted = Some(hostname);
            } else {
                leaving.push(hostname);
            }
        }
        leaving.sort();
        let hostname = wanted.ok_or_else(|| Invalid::new("hostname", "hostname must be there for each exposure"))?;
        let exposure = Exposure {
            id: ExposureId::parse(&self.id)?,
            friend: FriendId::parse(&self.friend_id)?,
            name: ExposureName::parse(&self.name)?,
            spec: ExposureSpec {
                service: ServiceName::parse(&self.service)?,
                port: ServicePort::parse(self.port.into())?,
                domain: DomainName::parse(&self.domain)?,
                hostname,
            },
            status: Status::parse(&self.status)?,
            reason: self.reason.as_deref().map(Reason::parse).transpose()?,
            progress: Progress { route: self.route_done, record: self.record_done },
            created_at: self.created_at.and_utc(),
        };
        Ok(Intent {
            exposure,
            desired: if self.desired == "present" { Desired::Present } else { Desired::Absent },
            generation: self.generation,
            established: self.established,
            leaving,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            next_attempt_at: self.next_attempt_at.and_utc(),
        })
    }
}

/// An exposure's row with one of its hostnames and the hostname's role, read by one statement.
pub(super) type Joined = (Row, String, String);

/// Converts joined rows, which must be sorted so that those of one exposure are adjacent.
pub(super) fn intents(found: Vec<Joined>) -> Result<Vec<Intent>, QueryError> {
    let mut intents = Vec::new();
    let mut found = found.into_iter().peekable();
    while let Some((row, hostname, role)) = found.next() {
        let mut owned = vec![(hostname, role)];
        while let Some((_, hostname, role)) = found.next_if(|(next, ..)| next.id == row.id) {
            owned.push((hostname, role));
        }
        intents.push(row.intent(owned)?);
    }
    Ok(intents)
}

/// Returns the intent of a locked row.
pub(super) async fn intent(conn: &mut Conn, row: Row) -> Result<Intent, QueryError> {
    let owned = hostnames::table
        .filter(hostnames::exposure_id.eq(&row.id))
        .select((hostnames::hostname, hostnames::role))
        .load(conn)
        .await?;
    row.intent(owned)
}

/// Returns an exposure's row, locked until the transaction ends.
pub(super) async fn lock(conn: &mut Conn, id: &ExposureId) -> Result<Option<Row>, QueryError> {
    let row = for_update!(exposures::table.find(id.as_str()).select(Row::as_select()));
    Ok(row.first(conn).await.optional()?)
}

/// Inserts a new exposure, whose hostname is claimed already.
pub(super) async fn insert(conn: &mut Conn, intent: &Intent, at: DateTime<Utc>) -> Result<(), QueryError> {
    let Exposure { id, friend, name, created_at, .. } = &intent.exposure;
    diesel::insert_into(exposures::table)
        .values((
            exposures::id.eq(id.as_str()),
            exposures::friend_id.eq(friend.as_str()),
            exposures::name.eq(name.as_str()),
            exposures::created_at.eq(created_at.naive_utc()),
            changing(intent, at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Updates an exposure and the roles of its hostnames, all of which it owns already.
pub(super) async fn update(conn: &mut Conn, intent: &Intent, at: DateTime<Utc>) -> Result<(), QueryError> {
    let id = intent.exposure.id.as_str();
    diesel::update(exposures::table.find(id)).set(changing(intent, at)).execute(conn).await?;
    let wanted = intent.exposure.spec.hostname.as_str();
    let others = hostnames::table.filter(hostnames::exposure_id.eq(id)).filter(hostnames::hostname.ne(wanted));
    diesel::update(others).set(hostnames::role.eq(LEAVING)).execute(conn).await?;
    diesel::update(hostnames::table.find(wanted)).set(hostnames::role.eq(WANTED)).execute(conn).await?;
    Ok(())
}

/// Releases a lease.
pub(super) async fn release(conn: &mut Conn, id: &ExposureId) -> Result<(), QueryError> {
    let free = (exposures::lease_token.eq(None::<String>), exposures::lease_until.eq(None::<NaiveDateTime>));
    diesel::update(exposures::table.find(id.as_str())).set(free).execute(conn).await?;
    Ok(())
}

type Set<Column, Value> = diesel::dsl::Eq<Column, Value>;
type Changing<'a> = (
    Set<exposures::service, &'a str>,
    Set<exposures::port, i32>,
    Set<exposures::domain, &'a str>,
    Set<exposures::desired, &'a str>,
    Set<exposures::status, &'a str>,
    Set<exposures::reason, Option<&'a str>>,
    Set<exposures::generation, i64>,
    Set<exposures::established, bool>,
    Set<exposures::attempts, i32>,
    Set<exposures::next_attempt_at, NaiveDateTime>,
    Set<exposures::changed_at, NaiveDateTime>,
    Set<exposures::route_done, bool>,
    Set<exposures::record_done, bool>,
);

fn changing(intent: &Intent, at: DateTime<Utc>) -> Changing<'_> {
    let Exposure { spec, status, reason, progress, .. } = &intent.exposure;
    let desired = match intent.desired {
        Desired::Present => "present",
        Desired::Absent => "absent",
    };
    (
        exposures::service.eq(spec.service.as_str()),
        exposures::port.eq(i32::from(spec.port.number())),
        exposures::domain.eq(spec.domain.as_str()),
        exposures::desired.eq(desired),
        exposures::status.eq(status.as_str()),
        exposures::reason.eq(reason.map(Reason::as_str)),
        exposures::generation.eq(intent.generation),
        exposures::established.eq(intent.established),
        exposures::attempts.eq(i32::try_from(intent.attempts).unwrap_or(i32::MAX)),
        exposures::next_attempt_at.eq(intent.next_attempt_at.naive_utc()),
        exposures::changed_at.eq(at.naive_utc()),
        exposures::route_done.eq(progress.route),
        exposures::record_done.eq(progress.record),
    )
}
