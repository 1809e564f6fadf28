//! The ways of due messages: to the hooks of the agent's gateway, or to the webhook.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::openclaw::{HookDelivery, HookFinding, HookSettings};
use portal_adapters::webhook::{WebhookDelivery, WebhookSettings};
use portal_core::{AgentId, Backend, BackendError, Clock, Contact, Invalid};
use portal_cron::{Delivery, LeasedRun, Receipt, SessionKey};

use super::rotation::Rotating;
use crate::check::{CheckStatus, Finding, with_timeout};
use crate::config::{HookTarget, Settings, WebhookTarget};

/// The way of each agent's messages.
pub(super) struct Deliveries {
    hooks: HashMap<AgentId, Rotating<HookDelivery>>,
    webhook: Option<WebhookDelivery>,
}

impl Deliveries {
    /// The ways of the configured agents.
    ///
    /// # Errors
    /// Settings that an adapter refuses.
    pub(super) fn new(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Self, Invalid> {
        let mut hooks = HashMap::new();
        for agent in &settings.agents {
            if let Some(target) = agent.hook.clone() {
                hooks.insert(agent.id.clone(), hook(target, clock)?);
            }
        }
        let webhook = settings.delivery.clone().map(|target| webhook(target, clock)).transpose()?;
        Ok(Self { hooks, webhook })
    }

    /// Asks each gateway's hooks what they would do with a message.
    pub(super) async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut hooks: Vec<_> = self.hooks.iter().collect();
        // A map has no order, and the table of `check` should not change from run to run.
        hooks.sort_by_key(|(agent, _)| *agent);
        for (agent, hook) in hooks {
            let hook = hook.current();
            let asked = async { hook.check().await.map(status) };
            findings.push(with_timeout(format!("hooks of {agent}"), asked).await);
        }
        findings
    }
}

fn status(finding: HookFinding) -> CheckStatus {
    match finding {
        HookFinding::Ready => CheckStatus::Ok,
        HookFinding::FreshSession => CheckStatus::Warning(
            "this gateway starts the friend's conversation anew for each message, as fresh_session allows".to_owned(),
        ),
        HookFinding::Refused(why) => CheckStatus::Failed(why),
    }
}

fn hook(target: HookTarget, clock: &Arc<dyn Clock>) -> Result<Rotating<HookDelivery>, Invalid> {
    let HookTarget { url, token, fresh_session } = target;
    let clock = clock.clone();
    Rotating::new(&token, move |token| {
        let settings = HookSettings { url: url.clone(), token: token.clone(), fresh_session };
        Ok(Arc::new(HookDelivery::new(settings, clock.clone())?))
    })
}

fn webhook(target: WebhookTarget, clock: &Arc<dyn Clock>) -> Result<WebhookDelivery, Invalid> {
    let WebhookTarget { url, key, bearer_token, timeout } = target;
    WebhookDelivery::new(WebhookSettings { url, key, bearer_token, timeout }, clock.clone())
}

#[async_trait]
impl Delivery for Deliveries {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        if let Some(hook) = self.hooks.get(&run.job.owner.agent) {
            return hook.current().deliver(run, session, answer).await;
        }
        match &self.webhook {
            Some(webhook) => webhook.deliver(run, session, answer).await,
            // Messages of agents that the configuration does not know wait, and are recorded as missed in the end.
            None => Err(BackendError::unavailable(Backend::Delivery, "no receiver is configured")),
        }
    }
}
