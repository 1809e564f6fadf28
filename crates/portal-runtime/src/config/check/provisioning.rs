//! `[provisioning]`: what friends' namespaces are to be made of, checked before the cluster sees it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use config::Config;
use portal_k8s::{Provisioning, ServiceAccountName, is_namespace, quantity};

use super::super::AgentSettings;
use super::super::sections::ProvisioningSection;
use super::Check;

impl Check {
    /// Reads the section; the account that it names is given to the agent.
    pub(super) fn provisioning(&mut self, raw: &Config, agents: &mut [AgentSettings]) -> Option<Provisioning> {
        let section: ProvisioningSection = self.section(raw, "provisioning")?;
        let ProvisioningSection { ingress_namespace, agent_service_account, quota, container_default, container_max } =
            section;
        if let Some(account) = agent_service_account {
            self.agent_account(&account, agents);
        }
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

    fn agent_account(&mut self, account: &str, agents: &mut [AgentSettings]) {
        let key = "provisioning.agent_service_account";
        let Some(account) = self.accepted(key, ServiceAccountName::parse(account)) else { return };
        let mut without: Vec<_> = agents.iter_mut().filter(|agent| agent.service_account.is_none()).collect();
        match &mut without[..] {
            [] => {}
            [agent] => agent.service_account = Some(account),
            // Each has friends of its own: one account for all would let an agent deploy for the friends of another.
            [_, others @ ..] => {
                let ids: Vec<_> = others.iter().map(|agent| agent.id.as_str()).collect();
                let why =
                    format!("is for one agent: name the account of {} too, by agents.service_account", ids.join(", "));
                self.problem(key, why);
            }
        }
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
