use chrono::{DateTime, TimeDelta};
use portal_core::FriendId;

use super::{Desired, Intent, Reservation, Settlement};
use crate::{DomainName, ExposureId, ExposureName, Hostname, Reason, ServiceName, ServicePort, Status};

fn wanted(service: &str, port: i64, domain: &str) -> Reservation {
    let friend = FriendId::parse("alice").unwrap();
    let name = ExposureName::parse("my-app").unwrap();
    let domain = DomainName::parse(domain).unwrap();
    Reservation {
        id: ExposureId::parse(&"1".repeat(32)).unwrap(),
        hostname: Hostname::of(&name, &friend, &domain).unwrap(),
        friend,
        name,
        service: ServiceName::parse(service).unwrap(),
        port: ServicePort::parse(port).unwrap(),
        domain,
    }
}

fn active(domain: &str) -> Intent {
    let intent = Intent::new(wanted("web", 80, domain), DateTime::UNIX_EPOCH);
    intent.settled(stays(Status::Active, None, true)).0.unwrap()
}

fn stays(status: Status, reason: Option<Reason>, leaving_is_free: bool) -> Settlement {
    Settlement::Stays {
        status,
        reason,
        established: status == Status::Active,
        leaving_is_free,
        attempts: 0,
        next_attempt_at: DateTime::UNIX_EPOCH,
    }
}

fn host(domain: &str) -> Hostname {
    wanted("web", 80, domain).hostname
}

#[test]
fn only_the_very_same_wish_is_the_same() {
    let intent = active("a.net");
    assert!(intent.is_wanted_as(&wanted("web", 80, "a.net")));
    assert!(!intent.is_wanted_as(&wanted("api", 80, "a.net")));
    assert!(!intent.is_wanted_as(&wanted("web", 81, "a.net")));
    assert!(!intent.is_wanted_as(&wanted("web", 80, "b.net")));
    assert!(!intent.closed(DateTime::UNIX_EPOCH).is_wanted_as(&wanted("web", 80, "a.net")));
}

#[test]
fn another_service_is_another_generation_at_the_same_hostname() {
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
    let changed = active("a.net").changed(&wanted("api", 81, "a.net"), at);
    assert_eq!((changed.generation, changed.established, changed.next_attempt_at), (2, true, at));
    assert_eq!((changed.exposure.status, changed.exposure.reason), (Status::Pending, Some(Reason::InProgress)));
    assert_eq!(changed.exposure.created_at, DateTime::UNIX_EPOCH);
    assert!(changed.leaving.is_empty());
}

#[test]
fn an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_free() {
    let moving = active("a.net").changed(&wanted("web", 80, "b.net"), DateTime::UNIX_EPOCH);
    assert_eq!((&moving.exposure.hostname, &*moving.leaving), (&host("b.net"), &[host("a.net")][..]));
    assert!(!moving.established);
    let (held, freed) = moving.clone().settled(stays(Status::Pending, None, false));
    assert_eq!((held.unwrap().leaving, freed), (vec![host("a.net")], vec![]));
    let (moved, freed) = moving.settled(stays(Status::Active, None, true));
    assert_eq!((moved.unwrap().leaving, freed), (vec![], vec![host("a.net")]));
}

#[test]
fn an_exposure_that_turns_back_wants_its_old_hostname_again() {
    let there = active("a.net").changed(&wanted("web", 80, "b.net"), DateTime::UNIX_EPOCH);
    let on = there.changed(&wanted("web", 80, "c.net"), DateTime::UNIX_EPOCH);
    assert_eq!(on.leaving, [host("a.net"), host("b.net")]);
    let back = on.changed(&wanted("web", 80, "a.net"), DateTime::UNIX_EPOCH);
    assert_eq!((back.exposure.hostname, back.leaving), (host("a.net"), vec![host("b.net"), host("c.net")]));
}

#[test]
fn a_refused_exposure_goes_and_a_refused_change_is_undone() {
    let at = DateTime::UNIX_EPOCH;
    let new = Intent::new(wanted("web", 80, "a.net"), at).withdrawn(None, at);
    assert_eq!((new.desired, new.exposure.status), (Desired::Absent, Status::Removing));
    let before = active("a.net").before();
    let moved = active("a.net").changed(&wanted("web", 80, "b.net"), at).withdrawn(Some(before), at);
    assert_eq!((moved.desired, &moved.exposure.hostname), (Desired::Present, &host("a.net")));
    assert_eq!((moved.leaving, moved.generation), (vec![host("b.net")], 3));
    let going = active("a.net").closed(at);
    let before = going.before();
    let revived = going.changed(&wanted("web", 80, "a.net"), at).withdrawn(Some(before), at);
    assert_eq!(revived.desired, Desired::Absent);
}

#[test]
fn an_exposure_that_is_gone_frees_all_it_had() {
    let moving = active("a.net").changed(&wanted("web", 80, "b.net"), DateTime::UNIX_EPOCH);
    let (rest, freed) = moving.closed(DateTime::UNIX_EPOCH).settled(Settlement::Gone);
    assert_eq!((rest, freed), (None, vec![host("b.net"), host("a.net")]));
}
