//! Requests to exposed addresses.

use futures::future::join_all;
use portal_dns::Reached;

use crate::fixture::ReachFixture;

impl ReachFixture {
    async fn ask(&self) -> Reached {
        self.reach.ask(&self.exposure).await
    }
}

pub async fn an_app_that_answers_is_reached(fixture: &ReachFixture) {
    fixture.app.start().await;
    assert_eq!(fixture.ask().await, Reached::Yes);
}

pub async fn an_app_that_is_gone_is_not_reached_until_it_is_back(fixture: &ReachFixture) {
    for round in 0..2 {
        let reached = fixture.ask().await;
        assert!(matches!(reached, Reached::No(_)), "round {round}: nothing answers, and yet {reached:?}");
        fixture.app.start().await;
        assert_eq!(fixture.ask().await, Reached::Yes, "round {round}");
        fixture.app.stop().await;
    }
}

pub async fn an_address_says_nothing_about_another(fixture: &ReachFixture) {
    fixture.app.start().await;
    assert_eq!(fixture.ask().await, Reached::Yes);
    let reached = fixture.reach.ask(&fixture.other).await;
    assert!(matches!(reached, Reached::No(_)), "nothing answers there, and yet {reached:?}");
}

pub async fn many_that_ask_at_once_get_the_same_result(fixture: &ReachFixture) {
    fixture.app.start().await;
    assert_eq!(join_all((0..8).map(|_| fixture.ask())).await, [Reached::Yes; 8]);
}
