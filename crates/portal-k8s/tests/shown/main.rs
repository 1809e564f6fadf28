//! Summaries of Kubernetes objects, written as people and API servers write them.

mod deployments;
mod overview;
mod pods;
mod provisioning;
mod quotas;
mod routes;
mod services;

/// The object that a YAML document holds.
#[track_caller]
#[expect(clippy::expect_used, reason = "a test's own text")]
fn object<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(yaml).expect("a well-formed object")
}

/// Plain texts of shared ones.
fn texts<'a>(texts: impl IntoIterator<Item = &'a std::sync::Arc<str>>) -> Vec<&'a str> {
    texts.into_iter().map(AsRef::as_ref).collect()
}
