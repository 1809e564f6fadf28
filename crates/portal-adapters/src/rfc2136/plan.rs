//! Plans the one update from the observed to the desired records of a name.

use std::slice;

use hickory_proto::rr::{Name, Record};
use portal_core::BackendError;
use portal_dns::{OwnershipMarker, RecordState, Target};

use super::names::{MarkerRecord, NameState, RecordNames, marker_record, record};
use super::update::Update;

/// Decision about a name.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// There is nothing: record and marker are created.
    Create(Update),
    /// Our record or marker is not as desired.
    Change(Update),
    /// Everything is as desired.
    Nothing,
    /// The name is somebody else's.
    Refuse,
}

/// Plans the update that makes the record as wanted.
pub(super) fn ensure(
    zone: &Name,
    names: &RecordNames,
    state: &NameState,
    wanted: &RecordState,
) -> Result<Decision, BackendError> {
    let new = record(names, wanted)?;
    let new_marker = marker_record(names, &wanted.marker, &new);
    let Some(marker) = &state.marker else {
        let create = Update::of(zone).if_unused(&names.host).if_unused(&names.marker).add(new).add(new_marker);
        return Ok(if state.is_vacant() { Decision::Create(create) } else { Decision::Refuse });
    };
    // Another portal's, or another exposure's.
    if marker.marker != wanted.marker {
        return Ok(Decision::Refuse);
    }
    let update = Update::of(zone).if_exactly(slice::from_ref(&marker.record));
    match &state.ours {
        Some(ours) if is_same(ours, &new) && is_same(&marker.record, &new_marker) => Ok(Decision::Nothing),
        // Nothing is changed beside others' records of our type, and a CNAME cannot be beside other data (RFC 1034).
        Some(_) if state.of_our_type.len() > 1 || (state.others && matches!(wanted.target, Target::Cname(_))) => {
            Ok(Decision::Refuse)
        }
        Some(ours) => {
            let cleared = update.if_exactly(&state.of_our_type).delete(ours).delete(&marker.record);
            Ok(Decision::Change(cleared.add(new).add(new_marker)))
        }
        None if state.others => Ok(Decision::Refuse),
        None => Ok(Decision::Change(update.if_unused(&names.host).delete(&marker.record).add(new).add(new_marker))),
    }
}

/// Plans the update that removes the record with this marker; `None` if there is no such marker.
pub(super) fn remove(zone: &Name, state: &NameState, marker: &OwnershipMarker) -> Option<Update> {
    let MarkerRecord { record, .. } = state.marker.as_ref().filter(|it| it.marker == *marker)?;
    // The marker goes with the record in one update, so that none is left alone.
    let unmarked = Update::of(zone).if_exactly(slice::from_ref(record)).if_exactly(&state.of_our_type).delete(record);
    Some(state.ours.iter().fold(unmarked, Update::delete))
}

/// True if two records have the same data and time to live.
fn is_same(one: &Record, other: &Record) -> bool {
    one.data == other.data && one.ttl == other.ttl
}
