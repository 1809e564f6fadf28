//! `[provisioning]`: what friends' namespaces are to be made of, checked before the cluster sees it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use config::Config;
use portal_k8s::{Provisioning, quantity};

use super::super::sections::ProvisioningSection;
use super::Check;

/// Longest name of a namespace.
const NAMESPACE_MAX: usize = 63;

impl Check {
    pub(super) fn provisioning(&mut self, raw: &Config) -> Option<Provisioning> {
        let section: ProvisioningSection = self.section(raw, "provisioning")?;
        let ProvisioningSection { ingress_namespace, quota, container_default, container_max } = section;
        if !is_namespace(&ingress_namespace) {
            self.problem(
                "provisioning.ingress_namespace",
                format!("`{ingress_namespace}` is not the name of a namespace: lower-case letters, digits and hyphens"),
            );
        }
        self.quantities("provisioning.quota", &quota);
        self.quantities("provisioning.container_default", &container_default);
        self.quantities("provisioning.container_max", &container_max);
        for (resource, value) in &container_default {
            let max = container_max.get(resource);
            if max.is_some_and(|max| quantity::compare(value, max) == Ordering::Greater) {
                self.problem(
                    format!("provisioning.container_default.{resource}"),
                    format!("must not be more than provisioning.container_max.{resource}"),
                );
            }
        }
        Some(Provisioning { ingress_namespace, quota, container_default, container_max })
    }

    fn quantities(&mut self, key: &str, values: &BTreeMap<String, String>) {
        for (resource, value) in values {
            if !quantity::is_amount(value) {
                self.problem(
                    format!("{key}.{resource}"),
                    format!("`{value}` is not an amount such as 3, 500m or 256Mi"),
                );
            }
        }
    }
}

/// Returns true for a valid name of a namespace (RFC 1123 label).
fn is_namespace(name: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (1..=NAMESPACE_MAX).contains(&name.len())
        && name.chars().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
