//! Requests to exposed addresses, as their visitors send them.

use std::error::Error;

use async_trait::async_trait;
use portal_core::{Backend, BackendError};
use portal_dns::{Exposure, Reach, ReachHint, Reached};
use reqwest::Client;
use reqwest::redirect::Policy;

/// Name under which the requests are made, for the logs of those who get them.
const USER_AGENT: &str = concat!("friend-portal/", env!("CARGO_PKG_VERSION"), " (reachability)");

/// Asks addresses over HTTPS. It follows no redirect, sends no credentials and reads no body: an address leads where its
/// owner wants.
pub struct HttpReach {
    client: Client,
}

impl HttpReach {
    /// Prepares the client.
    ///
    /// # Errors
    /// The certificates of this machine cannot be loaded.
    pub fn new() -> Result<Self, BackendError> {
        let client = Client::builder().redirect(Policy::none()).user_agent(USER_AGENT).build();
        Ok(Self { client: client.map_err(|error| BackendError::failed(Backend::Dns, error))? })
    }

    async fn get(&self, url: &str) -> Reached {
        match self.client.get(url).send().await {
            Ok(response) => Reached::of_status(response.status().as_u16()),
            Err(error) => Reached::No(hint(&error)),
        }
    }
}

#[async_trait]
impl Reach for HttpReach {
    async fn ask(&self, exposure: &Exposure) -> Reached {
        let reached = self.get(&exposure.url()).await;
        tracing::debug!(host = %exposure.spec.hostname, ?reached, "asked an exposed address");
        reached
    }
}

/// Returns the likely cause of a request without an answer. The libraries below tell resolution and certificates by
/// their texts only.
fn hint(error: &(dyn Error + 'static)) -> ReachHint {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if text.contains("dns error") || text.contains("failed to lookup") {
            return ReachHint::NotResolved;
        }
        if text.contains("certificate") || text.contains("UnknownIssuer") {
            return ReachHint::Certificate;
        }
        cause = error.source();
    }
    ReachHint::NoAnswer
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use async_trait::async_trait;
    use portal_dns::{Exposure, Reach, ReachHint, Reached};
    use portal_testkit::{ReachFixture, ReachedApp};
    use wiremock::matchers::{any, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::{HttpReach, hint};

    mod contract {
        portal_testkit::reach_contract!(super::over_http());
    }

    /// Asks a server on loopback, where each hostname is a path: no certificate names a host there.
    struct OnLoopback {
        reach: HttpReach,
        server: Arc<MockServer>,
    }

    struct App(Arc<MockServer>);

    async fn over_http() -> ReachFixture {
        let server = Arc::new(MockServer::start().await);
        let reach = OnLoopback { reach: HttpReach::new().unwrap(), server: server.clone() };
        ReachFixture::new(Arc::new(reach), Box::new(App(server)))
    }

    #[async_trait]
    impl Reach for OnLoopback {
        async fn ask(&self, exposure: &Exposure) -> Reached {
            self.reach.get(&format!("{}/{}", self.server.uri(), exposure.spec.hostname)).await
        }
    }

    #[async_trait]
    impl ReachedApp for App {
        async fn start(&self) {
            let page = Mock::given(path("/web-alice.your-domain.net"));
            page.respond_with(ResponseTemplate::new(200)).mount(&self.0).await;
        }

        async fn stop(&self) {
            self.0.reset().await;
        }
    }

    #[tokio::test]
    async fn an_answer_is_judged_by_its_status_and_no_redirect_is_followed() {
        let server = MockServer::start().await;
        let reach = HttpReach::new().unwrap();
        for (status, expected) in [
            (200_u16, Reached::Yes),
            (302, Reached::Yes),
            (404, Reached::No(ReachHint::NotFound)),
            (502, Reached::No(ReachHint::AppUnavailable)),
        ] {
            server.reset().await;
            let answer = ResponseTemplate::new(status).insert_header("location", "http://127.0.0.1:1/");
            Mock::given(any()).respond_with(answer).expect(1).mount(&server).await;
            assert_eq!(reach.get(&server.uri()).await, expected, "{status}");
            server.verify().await;
        }
    }

    #[tokio::test]
    async fn an_address_where_nothing_listens_does_not_answer() {
        // A port of loopback that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let reach = HttpReach::new().unwrap();
        assert_eq!(reach.get(&format!("http://127.0.0.1:{port}/")).await, Reached::No(ReachHint::NoAnswer));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_told_from_silence() {
        let reach = HttpReach::new().unwrap();
        assert_eq!(reach.get("http://nothing.invalid/").await, Reached::No(ReachHint::NotResolved));
    }

    #[test]
    fn a_refused_certificate_is_told_from_silence() {
        let refused = io::Error::other("invalid peer certificate: UnknownIssuer");
        assert_eq!(hint(&refused), ReachHint::Certificate);
        assert_eq!(hint(&io::Error::other("connection reset")), ReachHint::NoAnswer);
    }
}
