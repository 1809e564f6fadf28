//! Destinations of the agent's answers.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{Action, AgentId, BackendError, ChannelId, Contact, Friend};
use portal_cron::{ConversationScopes, DefaultConversation, JobDraft, OneConversation, SessionKeys};
use portal_testkit::{ScopedGateway, ScopesFixture};

use crate::fixture::{Fixture, TestResult, alice, audit, contact, draft, friend};

/// Runs a job of alice's for this session once; returns channel and address of its answer.
async fn answer_of(fixture: &Fixture, name: &str, draft: JobDraft) -> TestResult<Option<String>> {
    fixture.jobs.create(&alice(), draft, friend("alice")).await?;
    fixture.jobs.run(&alice(), name, friend("alice")).await?;
    fixture.pass_after(1).await?;
    assert_eq!(fixture.receiver.take().len(), 1, "{name}");
    let answer = fixture.receiver.answer.lock().take();
    Ok(answer.map(|contact| format!("{}:{}", contact.channel, contact.typed)))
}

/// A job at a time that does not come, for a session and a destination.
fn job(name: &str, session: Option<&str>, answer_to: Option<&str>) -> JobDraft {
    let (session, answer_to) = (session.map(str::to_owned), answer_to.map(str::to_owned));
    JobDraft { session, answer_to, ..draft(name, "0 0 1 12 *") }
}

async fn add(fixture: &Fixture, channel: &str, address: &str) -> TestResult<()> {
    let contact = Contact::parse(alice().friend, channel, address)?;
    fixture.stores.contacts.add(contact, audit(Action::ContactAdd)).await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_goes_to_the_friends_own_address_or_nowhere() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    assert_eq!(answer_of(&fixture, "chat", job("chat", None, None)).await?.as_deref(), Some("signal:+15550100"));
    assert_eq!(answer_of(&fixture, "silent", job("silent", None, Some("nowhere"))).await?, None);
    // A contact that is gone takes no answer, and the message is said all the same.
    fixture.stores.contacts.remove(&contact()?, audit(Action::ContactRemove)).await?;
    fixture.jobs.run(&alice(), "chat", friend("alice")).await?;
    fixture.pass_after(1).await?;
    assert_eq!((fixture.receiver.take().len(), fixture.receiver.answer.lock().take()), (1, None));
    Ok(())
}

#[tokio::test]
async fn of_several_addresses_the_sessions_own_then_the_preferred_one_is_taken() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for (channel, address) in [("signal", "+15550199"), ("discord", "Alice#1"), ("irc", "al")] {
        add(&fixture, channel, address).await?;
    }
    let session = |rest: &str| format!("agent:main:{rest}");
    for (name, session, expected) in [
        ("on-signal", Some(session("signal:direct:+15550199")), "signal:+15550199"),
        ("by-account", Some(session("signal:work:direct:+15550100")), "signal:+15550100"),
        // The friend's own id on a channel: an address there.
        ("by-name", Some(session("signal:direct:alice")), "signal:+15550100"),
        // The first, where nothing is preferred.
        ("across", None, "discord:Alice#1"),
    ] {
        let found = answer_of(&fixture, name, job(name, session.as_deref(), None)).await?;
        assert_eq!(found.as_deref(), Some(expected), "{name}");
    }
    let friends = &fixture.stores.friends;
    let found = friends.find(&alice().friend).await?.ok_or("no alice")?;
    let preferring = Friend { preferred_channel: Some(ChannelId::parse("irc")?), ..found };
    friends.update(preferring, audit(Action::FriendUpdate)).await?;
    assert_eq!(answer_of(&fixture, "preferred", job("preferred", None, None)).await?.as_deref(), Some("irc:al"));
    Ok(())
}

/// A gateway that has everybody's conversation like this.
struct Scope(DefaultConversation);

#[async_trait]
impl ConversationScopes for Scope {
    async fn conversation(&self, _: &AgentId, _: &Contact) -> Result<DefaultConversation, BackendError> {
        Ok(self.0)
    }
}

#[tokio::test]
async fn a_message_without_a_session_is_said_where_the_gateway_has_what_the_friend_writes() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let contacts = [contact()?];
    for (scope, expected) in [
        (DefaultConversation::OfFriend, "agent:main:direct:alice"),
        (DefaultConversation::OnChannelOfFriend, "agent:main:signal:direct:alice"),
        (DefaultConversation::OnChannelOfAddress, "agent:main:signal:direct:+15550100"),
    ] {
        let (stores, channels) = (&fixture.stores, vec![ChannelId::parse("signal")?]);
        let keys = SessionKeys::new(stores.contacts.clone(), stores.friends.clone(), channels);
        let keys = keys.with_scopes(Arc::new(Scope(scope)));
        let key = async |contacts: &[Contact], session: &str| -> TestResult<Option<String>> {
            Ok(keys.destination(&alice(), contacts, session).await?.map(|found| found.session.to_string()))
        };
        assert_eq!(key(&contacts, "isolated").await?.as_deref(), Some(expected));
        // Without a contact there is no channel, and whoever names a session gets that one or none.
        assert_eq!(key(&[], "isolated").await?.as_deref(), Some("agent:main:direct:alice"));
        let named = "agent:main:direct:alice";
        assert_eq!(key(&contacts, named).await?.as_deref(), Some(named));
        assert_eq!(key(&contacts, "agent:main:direct:bob").await?, None);
    }
    Ok(())
}

mod one_conversation {
    portal_testkit::scopes_contract!(super::one_conversation());
}

/// Gateways that are not asked.
struct Unasked;

#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
#[expect(clippy::unwrap_used, reason = "the names are written here")]
async fn one_conversation() -> ScopesFixture {
    let agent = |id| AgentId::parse(id).unwrap();
    ScopesFixture {
        scopes: Arc::new(OneConversation),
        agent: agent("main"),
        other: agent("other"),
        gateway: Box::new(Unasked),
    }
}

#[async_trait]
impl ScopedGateway for Unasked {
    async fn configure(&self, conversation: DefaultConversation, _: &Contact) -> bool {
        conversation == DefaultConversation::OfFriend
    }

    async fn stop(&self) -> bool {
        false
    }
}
