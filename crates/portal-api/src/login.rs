//! Login links as operations need them: who may make them, and what they begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::HttpRequest;
use portal_core::{Agent, AgentId, AgentStore, BackendError, Invalid, Logins, Token};

use crate::addresses::ClientAddresses;
use crate::error::ApiError;
use crate::limits::Limits;

/// Views of the page that a link may open.
const VIEWS: [&str; 8] = ["apps", "memory", "schedule", "activity", "devices", "settings", "help", ""];
/// Longest path that a link may open, in bytes.
const OPEN_MAX: usize = 512;

/// Everything that logging friends in needs.
pub struct LoginPorts {
    /// Makes links and exchanges their codes.
    pub logins: Arc<Logins>,
    /// The register of agents, by which agent tokens are authenticated.
    pub agents: Arc<dyn AgentStore>,
    /// Agents that may make links.
    pub may_login: BTreeSet<AgentId>,
    /// Beginning of every link, such as `https://portal.example.org`; never taken from a request.
    pub public_url: String,
}

impl LoginPorts {
    /// Returns the agent that this token belongs to, if that agent may make links.
    pub(crate) async fn authenticate(&self, token: Option<Token>, request: &HttpRequest) -> Result<Agent, ApiError> {
        let token = token.ok_or_else(ApiError::agent_token_invalid)?.hash();
        let agent = looked_up(request, self.agents.find_by_token(&token)).await?;
        let agent = agent.ok_or_else(ApiError::agent_token_invalid)?;
        // Last, so that only the owner of a token learns what its agent may do.
        if self.may_login.contains(&agent.id) { Ok(agent) } else { Err(ApiError::login_not_allowed()) }
    }
}

/// Looks up a code or a token that anybody may have sent; counts it against its address if there is none.
pub(crate) async fn looked_up<T>(
    request: &HttpRequest,
    lookup: impl Future<Output = Result<Option<T>, BackendError>>,
) -> Result<Option<T>, ApiError> {
    let limits = request.app_data::<Limits>().ok_or_else(|| ApiError::internal("the limits are not mounted"))?;
    // The turn ends with the lookup: counting needs none.
    let found = {
        let _turn = limits.lookup().await;
        lookup.await?
    };
    if found.is_none() {
        limits.count_guess(request.app_data::<ClientAddresses>().and_then(|clients| clients.of(request)))?;
    }
    Ok(found)
}

/// Reads the path of the page that a link opens.
///
/// # Errors
/// Refuses what is no path of the page: links lead nowhere else.
pub(crate) fn parse_open(text: &str) -> Result<String, Invalid> {
    let (path, _) = text.split_once('?').unwrap_or((text, ""));
    let view = path.strip_prefix("/portal/").or_else(|| path.strip_prefix("/portal")).or((path == "/").then_some(""));
    let is_known = view.is_some_and(|view| VIEWS.contains(&view.split('/').next().unwrap_or_default()));
    // Nothing that a browser could read as another host, a script or a second fragment.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\<>\"'`#{}|^".contains(&byte));
    if is_known && is_plain && text.len() <= OPEN_MAX && !path.contains("//") && !path.contains("..") {
        return Ok(text.to_owned());
    }
    Err(Invalid::new("open", "open must be a path of the page, such as /portal/apps/my-app or /portal/memory"))
}

#[cfg(test)]
mod tests {
    use super::parse_open;

    #[test]
    fn a_link_opens_a_path_of_the_page_and_nothing_else() {
        for (text, is_accepted) in [
            ("/", true),
            ("/portal", true),
            ("/portal/memory", true),
            ("/portal/apps/my-app/publish?name=photos", true),
            ("/portal/schedule/new?message=a%20b", true),
            ("/portal/enter", false),
            ("/portal/unknown", false),
            ("/portalx", false),
            ("//evil.example/portal/apps", false),
            ("https://evil.example/portal/apps", false),
            ("/portal/apps/../../api", false),
            ("/portal/apps//evil", false),
            ("/portal/apps#code", false),
            ("/portal/apps\\evil", false),
            ("/portal/apps/a b", false),
            ("", false),
        ] {
            assert_eq!(parse_open(text).is_ok(), is_accepted, "{text:?}");
        }
        assert!(parse_open(&format!("/portal/apps/{}", "a".repeat(600))).is_err());
    }
}
