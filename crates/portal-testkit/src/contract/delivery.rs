//! Ways of messages to their receivers.

use chrono::DateTime;
use futures::future::join_all;
use portal_core::{AgentId, BackendError, BackendErrorKind, Contact, FriendId, FriendshipKey, error_text};
use portal_cron::{
    AnswerTo, Claimant, Job, JobName, JobSpec, JobState, LeasedRun, Receipt, SessionKey, Timing, TimingKind, Trigger,
};

use crate::fixture::{DeliveryFixture, ReceivedMessage, ReceiverMode};

/// A run of alice's with a message that needs escaping in most formats.
fn run(id: &str) -> LeasedRun {
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let spec = JobSpec {
        name: JobName::parse("daily-check").unwrap(),
        description: None,
        message: "Say \"\u{fc}\u{1f980}\"\nand wait".to_owned(),
        timing: Timing { kind: TimingKind::Cron("0 9 * * *".to_owned()), tz: "Europe/Berlin".to_owned() },
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let created_at = DateTime::UNIX_EPOCH;
    let state = JobState::default();
    let job =
        Job { id: "9c4e".to_owned(), owner, spec, enabled: true, read_only: false, created_at, revision: 1, state };
    let due_at = DateTime::from_timestamp(1_772_438_400, 0).unwrap();
    LeasedRun { id: id.to_owned(), attempt: 1, trigger: Trigger::Schedule, due_at, job }
}

/// The default conversation of the run's friend.
fn session(run: &LeasedRun) -> SessionKey {
    let owner = &run.job.owner;
    let claimant = Claimant { agent: &owner.agent, friend: &owner.friend, contacts: &[], channels: &[] };
    claimant.own("isolated").unwrap()
}

fn message(run: &LeasedRun) -> ReceivedMessage {
    let session = session(run).as_str().to_owned();
    ReceivedMessage { run: run.id.clone(), session, text: run.job.spec.message.clone() }
}

/// Fails if a text for the log or for the friend holds what belongs to the receiver only.
#[track_caller]
fn assert_discreet(fixture: &DeliveryFixture, shown: &str) {
    assert!(!shown.contains("and wait"), "the message: {shown}");
    for secret in &fixture.secrets {
        assert!(!shown.contains(secret), "a secret: {shown}");
    }
}

impl DeliveryFixture {
    async fn deliver(&self, run: &LeasedRun) -> Result<Receipt, BackendError> {
        self.delivery.deliver(run, &session(run), None).await
    }
}

pub async fn an_accepted_message_is_with_the_receiver(fixture: &DeliveryFixture) {
    let run = run("one");
    assert_eq!(fixture.deliver(&run).await.unwrap(), Receipt::Accepted);
    assert_eq!(fixture.receiver.messages().await, [message(&run)]);
}

pub async fn a_message_arrives_whether_or_not_its_answer_goes_to_a_contact(fixture: &DeliveryFixture) {
    let run = run("one");
    let contact = Contact::parse(run.job.owner.friend.clone(), "slack", "U12AB").unwrap();
    let receipt = fixture.delivery.deliver(&run, &session(&run), Some(&contact)).await.unwrap();
    assert_eq!((receipt, fixture.receiver.messages().await), (Receipt::Accepted, vec![message(&run)]));
}

pub async fn a_message_that_is_handed_over_again_has_the_same_id(fixture: &DeliveryFixture) {
    let first = run("one");
    let again = LeasedRun { attempt: 2, ..first.clone() };
    for run in [&first, &again] {
        assert_eq!(fixture.deliver(run).await.unwrap(), Receipt::Accepted);
    }
    assert_eq!(fixture.receiver.messages().await, [message(&first), message(&first)]);
}

pub async fn messages_of_many_runs_at_once_all_arrive(fixture: &DeliveryFixture) {
    let runs: Vec<_> = (0..10).map(|number| run(&format!("run-{number}"))).collect();
    for receipt in join_all(runs.iter().map(|run| fixture.deliver(run))).await {
        assert_eq!(receipt.unwrap(), Receipt::Accepted);
    }
    let mut received = fixture.receiver.messages().await;
    received.sort_by(|one, other| one.run.cmp(&other.run));
    assert_eq!(received, runs.iter().map(message).collect::<Vec<_>>());
}

pub async fn a_receiver_that_fails_may_be_asked_again(fixture: &DeliveryFixture) {
    let run = run("one");
    assert!(fixture.receiver.set_mode(ReceiverMode::Fails).await);
    let error = fixture.deliver(&run).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error:?}");
    assert_eq!(fixture.receiver.messages().await, []);
    assert!(fixture.receiver.set_mode(ReceiverMode::Accepts).await);
    assert_eq!(fixture.deliver(&run).await.unwrap(), Receipt::Accepted);
    assert_eq!(fixture.receiver.messages().await, [message(&run)]);
}

pub async fn a_refusal_is_an_answer_for_the_friend(fixture: &DeliveryFixture) {
    let can_refuse = fixture.receiver.set_mode(ReceiverMode::Refuses).await;
    match fixture.deliver(&run("one")).await.unwrap() {
        Receipt::Refused(reason) => {
            assert!(can_refuse && !reason.is_empty(), "{reason}");
            assert_discreet(fixture, &reason);
            assert_eq!(fixture.receiver.messages().await, []);
        }
        Receipt::Accepted => assert!(!can_refuse, "the receiver refused it"),
    }
}

pub async fn no_error_names_the_message_or_a_secret(fixture: &DeliveryFixture) {
    assert!(fixture.receiver.set_mode(ReceiverMode::Fails).await);
    let error = fixture.deliver(&run("one")).await.unwrap_err();
    assert_discreet(fixture, &format!("{error:?} {}", error_text(&error)));
}
