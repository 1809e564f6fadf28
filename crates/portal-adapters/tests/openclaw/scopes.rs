//! The contract of the gateways that decide about conversations.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::openclaw::GatewayScopes;
use portal_core::{AgentId, Contact};
use portal_cron::DefaultConversation;
use portal_testkit::{ScopedGateway, ScopesFixture};
use serde_json::json;

use crate::fake::{Fake, Version};

mod of_a_gateway {
    portal_testkit::scopes_contract!(super::gateway());
}

struct FakeGateway(Fake);

async fn gateway() -> ScopesFixture {
    let fake = Fake::start(Version::New).await;
    let (agent, client) = (AgentId::parse("main").unwrap(), fake.client());
    let with_gateway = agent.clone();
    let gateway_of = Arc::new(move |agent: &AgentId| (*agent == with_gateway).then(|| client.clone()));
    ScopesFixture {
        scopes: Arc::new(GatewayScopes::new(gateway_of)),
        agent,
        other: AgentId::parse("other").unwrap(),
        gateway: Box::new(FakeGateway(fake)),
    }
}

#[async_trait]
impl ScopedGateway for FakeGateway {
    async fn configure(&self, conversation: DefaultConversation, contact: &Contact) -> bool {
        let address = format!("{}:{}", contact.channel, contact.address);
        let session = match conversation {
            DefaultConversation::OfFriend => json!({"dmScope": "per-peer"}),
            DefaultConversation::OnChannelOfFriend => {
                json!({"dmScope": "per-channel-peer", "identityLinks": {contact.friend.as_str(): [address]}})
            }
            DefaultConversation::OnChannelOfAddress => json!({"dmScope": "per-channel-peer"}),
        };
        self.0.with(|gateway| gateway.session = session);
        true
    }

    async fn stop(&self) -> bool {
        self.0.stop();
        true
    }
}
