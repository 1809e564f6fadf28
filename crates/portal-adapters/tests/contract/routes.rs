//! Routes and Services of a cluster, in memory. The same of a real one are in `kubernetes.rs`.

mod embedded;

mod memory {
    portal_testkit::routes_contract!(super::embedded::cluster());
}
