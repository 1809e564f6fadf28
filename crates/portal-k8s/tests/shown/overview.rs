use chrono::DateTime;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use portal_k8s::{Contents, Kind, Overview, Phase, PodSummary, QuotaSummary, Summary};

use crate::object;

fn pod(name: &str) -> Summary {
    Summary::Pod(PodSummary::from(&object::<Pod>(&format!("metadata: {{name: {name}}}"))))
}

fn overview(contents: &Contents) -> Overview {
    contents.overview(DateTime::UNIX_EPOCH)
}

#[test]
fn lists_are_sorted_by_name_and_each_object_is_there_once() {
    let mut contents = Contents::default();
    contents.set_phase(Some(Phase::Active));
    for name in ["b", "c", "a", "b"] {
        contents.put(pod(name));
    }
    let names: Vec<_> = overview(&contents).pods.iter().map(|pod| pod.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn only_what_changes_what_is_shown_is_a_change() {
    let mut contents = Contents::default();
    assert!(contents.set_phase(Some(Phase::Active)));
    assert!(!contents.set_phase(Some(Phase::Active)));
    assert!(contents.put(pod("a")));
    assert!(!contents.put(pod("a")));
    assert!(contents.remove(Kind::Pod, "a"));
    assert!(!contents.remove(Kind::Pod, "a"));
    assert!(!contents.remove(Kind::Service, "a"));
    assert!(contents.set_phase(None));
    assert!(contents.is_empty());
}

#[test]
fn a_namespace_that_does_not_exist_is_empty_whatever_is_still_known_of_it() {
    let mut contents = Contents::default();
    contents.put(pod("a"));
    assert_eq!(overview(&contents), Overview::absent(DateTime::UNIX_EPOCH));
    assert_eq!(overview(&contents).secrets(), Some(0));
}

#[test]
fn the_phase_is_the_namespaces_own() {
    for (yaml, expected) in [
        ("metadata: {name: a}", Phase::Active),
        ("metadata: {name: a}\nstatus: {phase: Active}", Phase::Active),
        ("metadata: {name: a}\nstatus: {phase: Terminating}", Phase::Terminating),
        ("metadata: {name: a, deletionTimestamp: \"2026-03-01T10:00:00Z\"}", Phase::Terminating),
    ] {
        assert_eq!(Phase::from(&object::<Namespace>(yaml)), expected, "{yaml}");
    }
}

#[test]
fn quotas_are_shown_merged_and_tell_how_many_secrets_there_are() {
    let mut contents = Contents::default();
    contents.set_phase(Some(Phase::Active));
    assert_eq!((overview(&contents).quota, overview(&contents).secrets()), (None, None));
    for (name, hard) in [("small", "5"), ("large", "50")] {
        let yaml = format!("metadata: {{name: {name}}}\nstatus: {{hard: {{secrets: {hard}}}, used: {{secrets: 2}}}}");
        contents.put(Summary::Quota(name.into(), QuotaSummary::from(&object::<ResourceQuota>(&yaml))));
    }
    let shown = overview(&contents);
    assert_eq!(shown.secrets(), Some(2));
    assert_eq!(shown.quota.and_then(|quota| quota.hard.get("secrets").cloned()).as_deref(), Some("5"));
}
