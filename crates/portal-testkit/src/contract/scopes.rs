//! Gateways that decide in which conversation a friend's messages are.

use futures::future::join_all;
use portal_core::{Backend, BackendErrorKind, Contact};
use portal_cron::DefaultConversation;

use crate::fixture::{ScopesFixture, friend_id};

fn contact() -> Contact {
    Contact::parse(friend_id("alice"), "signal", "+4917012345").unwrap()
}

/// Configures the gateway, and fails unless that is what is found of it; a gateway that cannot be configured so is not
/// asked.
async fn assert_found(fixture: &ScopesFixture, conversation: DefaultConversation) {
    let contact = contact();
    if fixture.gateway.configure(conversation, &contact).await {
        assert_eq!(fixture.scopes.conversation(&fixture.agent, &contact).await.unwrap(), conversation);
    }
}

pub async fn a_conversation_across_channels_is_found(fixture: &ScopesFixture) {
    let contact = contact();
    assert!(fixture.gateway.configure(DefaultConversation::OfFriend, &contact).await, "every gateway can");
    assert_found(fixture, DefaultConversation::OfFriend).await;
}

pub async fn a_conversation_on_a_channel_under_the_friends_id_is_found(fixture: &ScopesFixture) {
    assert_found(fixture, DefaultConversation::OnChannelOfFriend).await;
}

pub async fn a_conversation_on_a_channel_under_the_address_is_found(fixture: &ScopesFixture) {
    assert_found(fixture, DefaultConversation::OnChannelOfAddress).await;
}

pub async fn many_that_ask_at_once_get_the_same_conversation(fixture: &ScopesFixture) {
    let contact = contact();
    let can_address = fixture.gateway.configure(DefaultConversation::OnChannelOfAddress, &contact).await;
    let expected = if can_address { DefaultConversation::OnChannelOfAddress } else { DefaultConversation::OfFriend };
    for found in join_all((0..8).map(|_| fixture.scopes.conversation(&fixture.agent, &contact))).await {
        assert_eq!(found.unwrap(), expected);
    }
}

pub async fn an_agent_without_a_gateway_has_one_conversation_across_channels(fixture: &ScopesFixture) {
    let contact = contact();
    // What another agent's gateway says is not for this one.
    fixture.gateway.configure(DefaultConversation::OnChannelOfAddress, &contact).await;
    let found = fixture.scopes.conversation(&fixture.other, &contact).await;
    assert_eq!(found.unwrap(), DefaultConversation::OfFriend);
}

pub async fn a_gateway_that_is_gone_is_an_error_and_not_a_guess(fixture: &ScopesFixture) {
    let can_stop = fixture.gateway.stop().await;
    match fixture.scopes.conversation(&fixture.agent, &contact()).await {
        Ok(found) => assert!(!can_stop, "the gateway is gone, and yet {found:?}"),
        Err(error) => {
            assert!(can_stop, "{error:?}");
            assert_eq!((error.backend, error.kind), (Backend::Gateway, BackendErrorKind::Unavailable), "{error:?}");
        }
    }
}
