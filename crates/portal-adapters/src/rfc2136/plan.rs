//! From what stands at a name to the one update that makes it right.

use std::slice;

use hickory_proto::rr::{Name, Record};
use portal_core::BackendError;
use portal_dns::{OwnershipMarker, RecordState, Target};

use super::site::{MarkRecord, Place, Site, mark_record, record};
use super::update::Update;

/// What has to be done at a name.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// There is nothing: record and marker are made.
    Create(Update),
    /// Ours is not as it should be.
    Change(Update),
    /// Everything is as it should be.
    Nothing,
    /// Somebody else's stands there.
    Refuse,
}

/// What makes the record at a place as wanted.
pub(super) fn ensure(zone: &Name, place: &Place, site: &Site, wanted: &RecordState) -> Result<Step, BackendError> {
    let new = record(place, wanted)?;
    let new_mark = mark_record(place, &wanted.marker, &new);
    let Some(marker) = &site.marker else {
        let create = Update::of(zone).if_unused(&place.host).if_unused(&place.marker).add(new).add(new_mark);
        return Ok(if site.is_vacant() { Step::Create(create) } else { Step::Refuse });
    };
    if marker.marker != wanted.marker {
        return Ok(Step::Refuse);
    }
    let update = Update::of(zone).if_exactly(slice::from_ref(&marker.record));
    match &site.ours {
        Some(ours) if is_same(ours, &new) && is_same(&marker.record, &new_mark) => Ok(Step::Nothing),
        Some(_) if site.of_our_type.len() > 1 || (site.others && matches!(wanted.target, Target::Cname(_))) => {
            Ok(Step::Refuse)
        }
        Some(ours) => {
            let cleared = update.if_exactly(&site.of_our_type).delete(ours).delete(&marker.record);
            Ok(Step::Change(cleared.add(new).add(new_mark)))
        }
        None if site.others => Ok(Step::Refuse),
        None => Ok(Step::Change(update.if_unused(&place.host).delete(&marker.record).add(new).add(new_mark))),
    }
}

/// What removes the record that carries this marker; `None` if there is no such marker.
pub(super) fn remove(zone: &Name, site: &Site, marker: &OwnershipMarker) -> Option<Update> {
    let MarkRecord { record, .. } = site.marker.as_ref().filter(|it| it.marker == *marker)?;
    let unmarked = Update::of(zone).if_exactly(slice::from_ref(record)).if_exactly(&site.of_our_type).delete(record);
    Some(site.ours.iter().fold(unmarked, Update::delete))
}

/// Whether two records say the same for the same time.
fn is_same(one: &Record, other: &Record) -> bool {
    one.data == other.data && one.ttl == other.ttl
}
