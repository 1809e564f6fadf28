use chrono::{DateTime, TimeDelta};
use portal_core::FriendId;

use super::{Desired, Intent, Outcome, Reservation};
use crate::{
    DomainName, ExposureId, ExposureName, ExposureSpec, Hostname, Progress, Reason, ReleaseReason, ServiceName,
    ServicePort, Status, Tombstone,
};

fn wanted(service: &str, port: i64, domain: &str) -> Reservation {
    let friend = FriendId::parse("alice").unwrap();
    let name = ExposureName::parse("my-app").unwrap();
    let domain = DomainName::parse(domain).unwrap();
    let hostname = Hostname::of(&name, &friend, &domain).unwrap();
    let (service, port) = (ServiceName::parse(service).unwrap(), ServicePort::parse(port).unwrap());
    Reservation {
        id: ExposureId::parse(&"1".repeat(32)).unwrap(),
        friend,
        name,
        spec: ExposureSpec { service, port, domain, hostname },
        only_if_absent: false,
    }
}

fn active(domain: &str) -> Intent {
    let intent = Intent::new(wanted("web", 80, domain), None, DateTime::UNIX_EPOCH);
    intent.with_outcome(stays(Status::Active, None, true)).0.unwrap()
}

fn stays(status: Status, reason: Option<Reason>, leaving_is_free: bool) -> Outcome {
    Outcome::Stays {
        status,
        reason,
        progress: Progress { route: true, record: true },
        established: status == Status::Active,
        leaving_is_free,
        attempts: 0,
        next_attempt_at: DateTime::UNIX_EPOCH,
    }
}

fn host(domain: &str) -> Hostname {
    wanted("web", 80, domain).spec.hostname
}

#[test]
fn only_the_very_same_wish_is_the_same() {
    let intent = active("a.net");
    assert!(intent.is_wanted_as(&wanted("web", 80, "a.net").spec));
    assert!(!intent.is_wanted_as(&wanted("api", 80, "a.net").spec));
    assert!(!intent.is_wanted_as(&wanted("web", 81, "a.net").spec));
    assert!(!intent.is_wanted_as(&wanted("web", 80, "b.net").spec));
    assert!(!intent.closed(DateTime::UNIX_EPOCH).is_wanted_as(&wanted("web", 80, "a.net").spec));
}

#[test]
fn another_service_is_another_generation_at_the_same_hostname() {
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
    let changed = active("a.net").changed(&wanted("api", 81, "a.net").spec, at);
    assert_eq!((changed.generation, changed.established, changed.next_attempt_at), (2, true, at));
    assert_eq!((changed.exposure.status, changed.exposure.reason), (Status::Pending, Some(Reason::InProgress)));
    assert_eq!(changed.exposure.created_at, DateTime::UNIX_EPOCH);
    assert!(changed.leaving.is_empty());
}

#[test]
fn an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_free() {
    let moving = active("a.net").changed(&wanted("web", 80, "b.net").spec, DateTime::UNIX_EPOCH);
    assert_eq!((&moving.exposure.spec.hostname, &*moving.leaving), (&host("b.net"), &[host("a.net")][..]));
    assert!(!moving.established);
    let (held, freed) = moving.clone().with_outcome(stays(Status::Pending, None, false));
    assert_eq!((held.unwrap().leaving, freed), (vec![host("a.net")], vec![]));
    let (moved, freed) = moving.with_outcome(stays(Status::Active, None, true));
    assert_eq!((moved.unwrap().leaving, freed), (vec![], vec![host("a.net")]));
}

#[test]
fn an_exposure_that_turns_back_wants_its_old_hostname_again() {
    let there = active("a.net").changed(&wanted("web", 80, "b.net").spec, DateTime::UNIX_EPOCH);
    let on = there.changed(&wanted("web", 80, "c.net").spec, DateTime::UNIX_EPOCH);
    assert_eq!(on.leaving, [host("a.net"), host("b.net")]);
    let back = on.changed(&wanted("web", 80, "a.net").spec, DateTime::UNIX_EPOCH);
    assert_eq!((back.exposure.spec.hostname, back.leaving), (host("a.net"), vec![host("b.net"), host("c.net")]));
}

#[test]
fn a_refused_exposure_goes_and_a_refused_change_is_undone() {
    let at = DateTime::UNIX_EPOCH;
    let new = Intent::new(wanted("web", 80, "a.net"), None, at).withdrawn(None, at);
    assert_eq!((new.desired, new.exposure.status), (Desired::Absent, Status::Removing));
    let previous = active("a.net").previous();
    let moved = active("a.net").changed(&wanted("web", 80, "b.net").spec, at).withdrawn(Some(previous), at);
    assert_eq!((moved.desired, &moved.exposure.spec.hostname), (Desired::Present, &host("a.net")));
    assert_eq!((moved.leaving, moved.generation), (vec![host("b.net")], 3));
    let going = active("a.net").closed(at);
    let previous = going.previous();
    let revived = going.changed(&wanted("web", 80, "a.net").spec, at).withdrawn(Some(previous), at);
    assert_eq!(revived.desired, Desired::Absent);
}

#[test]
fn an_exposure_that_is_gone_frees_all_it_had() {
    let moving = active("a.net").changed(&wanted("web", 80, "b.net").spec, DateTime::UNIX_EPOCH);
    let (rest, freed) = moving.closed(DateTime::UNIX_EPOCH).with_outcome(Outcome::Gone);
    assert_eq!((rest, freed), (None, vec![host("b.net"), host("a.net")]));
}

#[test]
fn a_name_that_was_removed_continues_with_its_id_and_generation() {
    let wanted = wanted("web", 80, "a.net");
    let former = Tombstone {
        exposure: ExposureId::parse(&"2".repeat(32)).unwrap(),
        friend: wanted.friend.clone(),
        name: wanted.name.clone(),
        hostname: wanted.spec.hostname.clone(),
        released_by: ReleaseReason::Deleted,
        generation: 7,
        at: DateTime::UNIX_EPOCH,
    };
    let again = Intent::new(wanted, Some(&former), DateTime::UNIX_EPOCH);
    assert_eq!((&again.exposure.id, again.generation, again.established), (&former.exposure, 8, false));
}

#[test]
fn a_record_stays_in_place_while_only_the_service_changes() {
    let at = DateTime::UNIX_EPOCH;
    let progress = |intent: Intent| (intent.exposure.progress.route, intent.exposure.progress.record);
    assert_eq!(progress(active("a.net").changed(&wanted("api", 80, "a.net").spec, at)), (false, true));
    assert_eq!(progress(active("a.net").changed(&wanted("web", 80, "b.net").spec, at)), (false, false));
    assert_eq!(progress(active("a.net").closed(at)), (false, false));
}
