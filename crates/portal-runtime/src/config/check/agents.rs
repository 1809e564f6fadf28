//! The agents, each with its folder and its gateway.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use config::Config;
use portal_core::AgentId;
use portal_k8s::ServiceAccountName;
use url::Url;

use super::Check;
use crate::config::sections::{AgentSection, GatewaySection, HookSection};
use crate::config::{AgentSettings, EngineKind, GatewayTarget, HookTarget};
use crate::signing::DeviceKey;

impl Check {
    pub(super) fn agents(&mut self, raw: &Config) -> Option<Vec<AgentSettings>> {
        let sections: Vec<AgentSection> = self.items(raw, "agents")?;
        let mut seen = HashSet::new();
        let mut agents = Vec::new();
        for (index, section) in sections.into_iter().enumerate() {
            let key = |member: &str| format!("agents[{index}].{member}");
            let engine = self.engine(&key("engine"), &section);
            if !section.workspace.is_absolute() {
                self.problem(key("workspace"), "must be an absolute path");
            }
            let hook = section.hook.as_ref().and_then(|hook| self.hook(&key("hook"), hook));
            let gateway = section.gateway.as_ref().and_then(|gateway| self.gateway(&key("gateway"), gateway));
            let Some(id) = self.accepted(key("id"), AgentId::parse(&section.id)) else { continue };
            if !seen.insert(id.clone()) {
                self.problem(key("id"), format!("there are two agents `{id}`"));
            }
            let AgentSection { workspace, may_login, reads_heartbeat, service_account, .. } = section;
            let service_account = service_account
                .and_then(|text| self.accepted(key("service_account"), ServiceAccountName::parse(&text)));
            let settings =
                AgentSettings { id, workspace, engine, may_login, reads_heartbeat, service_account, hook, gateway };
            agents.push(settings);
        }
        Some(agents)
    }

    fn engine(&mut self, key: &str, section: &AgentSection) -> EngineKind {
        match section.engine.as_str() {
            "embedded" => return EngineKind::Embedded,
            "openclaw" if section.gateway.is_some() => {}
            "openclaw" => self.problem(key, "openclaw needs agents.gateway, where the jobs are kept"),
            other => {
                self.problem(key, format!("`{other}` is not an engine; there are embedded and openclaw"));
                return EngineKind::Embedded;
            }
        }
        EngineKind::Openclaw
    }

    fn hook(&mut self, key: &str, section: &HookSection) -> Option<HookTarget> {
        let url = self.plain_url(&format!("{key}.url"), &section.url, "http", "http://127.0.0.1:18789/hooks");
        let token = self.secret(&format!("{key}.token"), None, Some(&section.token_file));
        Some(HookTarget { url: url?, token: token?, fresh_session: section.fresh_session })
    }

    fn gateway(&mut self, key: &str, section: &GatewaySection) -> Option<GatewayTarget> {
        let url = self.plain_url(&format!("{key}.url"), &section.url, "ws", "ws://127.0.0.1:18789/");
        let token = self.secret(&format!("{key}.token"), None, Some(&section.token_file));
        let device_key = match &section.device_key_file {
            Some(file) => Some(self.device_key(&format!("{key}.device_key"), file)?),
            None => None,
        };
        Some(GatewayTarget { url: url?, token: token?, device_key })
    }

    fn device_key(&mut self, key: &str, file: &Path) -> Option<Arc<DeviceKey>> {
        let secret = self.secret(key, None, Some(file))?;
        self.accepted(format!("{key}_file"), DeviceKey::parse(&secret.value)).map(Arc::new)
    }

    /// An address of the scheme, encrypted or not, that holds nothing but host, port and path: secrets have files.
    fn plain_url(&mut self, key: &str, text: &str, scheme: &str, example: &str) -> Option<Url> {
        let is_plain = |url: &Url| {
            url.scheme().strip_prefix(scheme).is_some_and(|rest| matches!(rest, "" | "s"))
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        };
        let url = Url::parse(text).ok().filter(is_plain);
        if url.is_none() {
            // The text is not repeated: it may hold a token.
            self.problem(key, format!("must be an address such as {example}, without a user, `?` and `#`"));
        }
        url
    }
}
