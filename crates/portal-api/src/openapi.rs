//! The OpenAPI document, from the same list of routes that is served.

use actix_web::App;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, Schema};
use utoipa_actix_web::AppExt;

use crate::error::{CODES, FieldError, Problem, add_examples};
use crate::routes;

/// The name of the scheme that operations behind a session refer to.
const SESSION: &str = "session";
/// Name of the scheme of operations for agents.
const AGENT: &str = "agent";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Friend Portal",
        description = "Self-service for the friends of OpenClaw agents on Kubernetes: see your namespace, put a \
            service on the internet, edit what the agent remembers, schedule messages to it.\n\n\
            Every failure is a problem document (RFC 9457) whose `code` is a stable word and whose `error` is a \
            sentence fit to be shown. Operations without a body ignore the content type and accept `{}`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This portal")),
    tags(
        (name = "friend", description = "Who the friend is, their agents and the domains on offer"),
        (name = "sessions", description = "The friend's logins"),
        (name = "namespace", description = "The friend's namespace, and services put on the internet"),
        (name = "workspace", description = "The documents that the agent and the friend share"),
        (name = "crons", description = "Scheduled messages to the agent"),
        (name = "health", description = "Whether the portal is there; for operators and load balancers"),
    ),
    components(schemas(Problem, FieldError)),
)]
struct Document;

/// The OpenAPI document of every operation; needs no state.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) =
        App::new().into_utoipa_app().openapi(Document::openapi()).configure(routes::configure).split_for_parts();
    let components = document.components.get_or_insert_default();
    let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("A friend's session token, `fps_..`"));
    let agent = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("The token of an agent, `fpa_..`"));
    components.add_security_scheme(AGENT, SecurityScheme::Http(agent.build()));
    components.add_security_scheme(SESSION, SecurityScheme::Http(scheme.build()));
    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem")
        && let Some(RefOr::T(Schema::Object(code))) = problem.properties.get_mut("code")
    {
        // Derived, it would be the doc comment of the member, which cannot list them.
        code.description = Some(describe_codes());
    }
    components.schemas.values_mut().for_each(merge_words);
    add_examples(&mut document);
    document
}

/// Merges the description of a member into its closed set of words. utoipa puts the two side by side in an `allOf`, where
/// the description comes with the type `object`: no value satisfies both.
fn merge_words(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for member in object.properties.values_mut() {
        let RefOr::T(Schema::AllOf(parts)) = &*member else { continue };
        let [RefOr::T(Schema::Object(words)), RefOr::T(Schema::Object(said))] = parts.items.as_slice() else {
            continue;
        };
        if words.enum_values.is_some() {
            let mut words = words.clone();
            words.description.clone_from(&said.description);
            *member = RefOr::T(Schema::Object(words));
        }
    }
}

/// The document as text, as `openapi/portal.json` holds it: indented, with a line end after it.
#[must_use]
pub fn openapi_text() -> String {
    // A tree of strings, lists and maps with string keys always has a text.
    openapi().to_pretty_json().unwrap_or_default() + "\n"
}

/// The list of codes: a plain string in the schema, so that a new one breaks no generated client.
fn describe_codes() -> String {
    let listed: Vec<_> =
        CODES.iter().map(|code| format!("- `{}` ({}): {}", code.word, code.status.as_u16(), code.title)).collect();
    format!("The kind of failure as a stable word. More may be added. So far:\n\n{}", listed.join("\n"))
}
