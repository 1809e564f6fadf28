use std::slice;

use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};
use portal_dns::{DomainName, Hostname, Observed, OwnershipMarker, RecordState, Target, Ttl};

use super::{NameState, RecordNames, host_of, marker_record, name, record};

const MARKER: &str = "friend-portal/00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100";

fn names() -> RecordNames {
    RecordNames::of(&Hostname::parse("app-alice.example.org").unwrap()).unwrap()
}

fn marker() -> OwnershipMarker {
    OwnershipMarker::parse(MARKER).unwrap()
}

fn record_state(target: Target) -> RecordState {
    RecordState { marker: marker(), target, ttl: Ttl::parse(600).unwrap(), proxied: false }
}

fn address(last: u8) -> Target {
    Target::A([192, 0, 2, last].into())
}

fn tunnel() -> Target {
    Target::Cname(DomainName::parse("tunnel.example.net").unwrap())
}

fn stands(target: Target) -> Record {
    record(&names(), &record_state(target)).unwrap()
}

fn txt(strings: &[&str]) -> Record {
    let strings = strings.iter().map(|&text| text.to_owned()).collect();
    Record::from_rdata(names().host, 600, RData::TXT(TXT::new(strings)))
}

fn moved(record: Record) -> Record {
    Record::from_rdata(names().marker, record.ttl, record.data)
}

fn at_mark(strings: &[&str]) -> Record {
    moved(txt(strings))
}

#[track_caller]
fn check(host: &[Record], markers: &[Record], expected: &Observed) {
    assert_eq!(NameState::read(&names(), host, markers).observed(), *expected, "{host:?} {markers:?}");
}

#[test]
fn a_record_is_marked_by_the_mark_that_names_it() {
    for target in [tunnel(), address(7), Target::Aaaa("2001:db8::7".parse().unwrap())] {
        let ours = stands(target.clone());
        let markers = [marker_record(&names(), &marker(), &ours)];
        check(slice::from_ref(&ours), &markers, &Observed::Marked(record_state(target.clone())));
        check(&[txt(&["beside"]), ours], &markers, &Observed::Marked(record_state(target)));
    }
}

#[test]
fn an_edited_record_is_still_ours_if_it_is_the_only_one_of_its_type() {
    let markers = [marker_record(&names(), &marker(), &stands(address(7)))];
    check(&[stands(address(9))], &markers, &Observed::Marked(record_state(address(9))));
    check(&[stands(address(7)), stands(address(9))], &markers, &Observed::Marked(record_state(address(7))));
    check(&[stands(address(8)), stands(address(9))], &markers, &Observed::Foreign);
    check(&[stands(tunnel())], &markers, &Observed::Foreign);
}

#[test]
fn a_mark_without_its_record_is_told_with_an_address_that_nobody_wants() {
    let markers = [marker_record(&names(), &marker(), &stands(address(7)))];
    let Observed::Marked(told) = NameState::read(&names(), &[], &markers).observed() else { panic!("not told") };
    assert_eq!((told.marker, told.target), (marker(), Target::A([0, 0, 0, 0].into())));
    check(&[txt(&["somebody else's"])], &markers, &Observed::Foreign);
}

#[test]
fn what_is_no_mark_marks_nothing() {
    let ours = stands(address(7));
    for markers in [
        vec![],
        vec![at_mark(&["hello", "A 192.0.2.7"])],
        vec![at_mark(&[])],
        vec![at_mark(&[MARKER, "A 192.0.2.7"]), at_mark(&[&MARKER.replace("00", "11"), "A 192.0.2.7"])],
        vec![txt(&[MARKER, "A 192.0.2.7"])],
        vec![moved(stands(tunnel()))],
    ] {
        check(slice::from_ref(&ours), &markers, &Observed::Foreign);
        let is_taken = markers.iter().any(|record| record.name == names().marker);
        check(&[], &markers, if is_taken { &Observed::Foreign } else { &Observed::Absent });
    }
    check(&[txt(&["beside"])], &[at_mark(&[MARKER])], &Observed::Foreign);
}

#[test]
fn a_name_of_a_zone_is_a_hostname_or_the_name_of_its_mark() {
    for (text, expected) in [
        ("app-alice.example.org", Some("app-alice.example.org")),
        ("App-Alice.Example.ORG", Some("app-alice.example.org")),
        ("_friend-portal.app-alice.example.org", Some("app-alice.example.org")),
        ("_dmarc.example.org", None),
        ("*.example.org", None),
    ] {
        let host = host_of(&name(text).unwrap());
        assert_eq!(host.as_ref().map(Hostname::as_str), expected, "{text}");
    }
}
