use k8s_openapi::api::core::v1::ResourceQuota;
use portal_k8s::QuotaSummary;

use crate::object;

/// Quotas given by their specification's and status's `hard` and the status's `used`, merged and written as
/// `resource=used/hard`.
#[track_caller]
fn check(quotas: &[&str], expected: &[&str]) {
    let quotas: Vec<_> = quotas
        .iter()
        .map(|quota| QuotaSummary::from(&object::<ResourceQuota>(&format!("{{metadata: {{name: q}}, {quota}}}"))))
        .collect();
    let merged = QuotaSummary::merged(&quotas).unwrap_or_default();
    let shown: Vec<_> = merged
        .hard
        .iter()
        .map(|(resource, hard)| format!("{resource}={}/{hard}", merged.used.get(resource).map_or("?", AsRef::as_ref)))
        .collect();
    assert_eq!(shown, expected);
    assert!(merged.used.keys().all(|resource| merged.hard.contains_key(resource)));
}

#[test]
fn what_is_enforced_is_shown_and_until_then_what_was_asked_for() {
    check(&["spec: {hard: {pods: 3}}, status: {hard: {pods: 2}, used: {pods: 1}}"], &["pods=1/2"]);
    check(&["spec: {hard: {pods: 3}}"], &["pods=?/3"]);
    check(&["spec: {hard: {pods: 3}}, status: {}"], &["pods=?/3"]);
    check(&["spec: {}"], &[]);
}

#[test]
fn of_several_quotas_the_smallest_limit_of_each_resource_is_shown() {
    check(
        &[
            "status: {hard: {cpu: \"1\", memory: 1Gi, pods: \"10\"}, used: {cpu: 100m, memory: 5Mi, pods: \"1\"}}",
            "status: {hard: {cpu: 500m, memory: 2000Mi, secrets: \"9\"}, used: {cpu: 200m, memory: 6Mi, secrets: \"4\"}}",
        ],
        &["cpu=200m/500m", "memory=5Mi/1Gi", "pods=1/10", "secrets=4/9"],
    );
}

#[test]
fn a_limit_that_was_not_counted_yet_shows_what_another_quota_counted() {
    let counted = "status: {hard: {pods: \"10\"}, used: {pods: \"4\"}}";
    let fresh = "spec: {hard: {pods: 3}}";
    check(&[counted, fresh], &["pods=4/3"]);
    check(&[fresh, counted], &["pods=4/3"]);
    check(&[fresh, "spec: {hard: {pods: 5}}"], &["pods=?/3"]);
    check(&[fresh, "status: {hard: {pods: \"3\"}, used: {pods: \"4\"}}"], &["pods=4/3"]);
}

#[test]
fn a_quota_that_counts_only_some_objects_lends_no_count_and_borrows_none() {
    let (counted, fresh) = ("status: {hard: {pods: \"10\"}, used: {pods: \"4\"}}", "spec: {hard: {pods: 3}}");
    for scope in
        ["scopes: [BestEffort]", "scopeSelector: {matchExpressions: [{operator: Exists, scopeName: PriorityClass}]}"]
    {
        let scoped = |rest: &str| format!("spec: {{{scope}, hard: {{pods: 3}}}}{rest}");
        check(&[counted, &scoped("")], &["pods=?/3"]);
        let wide = format!("spec: {{{scope}}}, {counted}");
        check(&[&wide, fresh], &["pods=?/3"]);
    }
}

#[test]
fn secrets_are_counted_where_a_quota_counts_them() {
    for (used, expected) in [
        ("{secrets: \"3\"}", Some(3)),
        ("{count/secrets: \"4\"}", Some(4)),
        ("{secrets: \"3\", count/secrets: \"4\"}", Some(3)),
        ("{pods: \"3\"}", None),
        ("{}", None),
    ] {
        let yaml =
            format!("metadata: {{name: q}}\nstatus: {{hard: {{secrets: 9, count/secrets: 9, pods: 9}}, used: {used}}}");
        assert_eq!(QuotaSummary::from(&object::<ResourceQuota>(&yaml)).secrets(), expected, "{used}");
    }
}
