//! Bodies of exposures.

use portal_core::{Invalid, WordEnum as _};
use portal_dns::{OpenExposure, ReachHint, Reachable, Reached};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use super::{Word, time};

// An alias, since utoipa takes an argument of a generic type for a schema of its own.
type StatusWord = Word<portal_dns::Status>;

/// Options of a request to expose a Service.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExposeOptions {
    /// Checks the request and stores nothing.
    #[serde(default)]
    #[param(required = false)]
    pub(crate) dry_run: bool,
}

/// Headers of a request to expose a Service, for the OpenAPI document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the headers are read by `Conditions`")]
pub(crate) struct ExposeConditions {
    /// `*` refuses the request if an exposure of this name exists, even one that is being removed.
    #[param(rename = "If-None-Match", required = false, example = "*")]
    if_none_match: String,
}

/// A Service that is to be exposed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExposeService {
    /// Name of the exposure: 1 to 20 lower-case letters, digits and inner hyphens, without hyphens in both the third and
    /// the fourth place.
    #[schema(example = "my-app")]
    name: String,
    /// The Service of the friend's namespace that receives the requests.
    #[schema(example = "my-app")]
    service: String,
    /// The Service's TCP port; by default 80 if the Service has it, else its only one.
    #[schema(example = 80, minimum = 1, maximum = 65535)]
    port: Option<i64>,
    /// One of the domains on offer; by default the exposure's present one, else the first on offer.
    #[schema(example = "your-domain.net")]
    domain: Option<String>,
}

impl ExposeService {
    /// Parses the request.
    ///
    /// # Errors
    /// Refuses a value that breaks its rule.
    pub(crate) fn parse(self) -> Result<OpenExposure, Invalid> {
        OpenExposure::parse(&self.name, &self.service, self.port, self.domain.as_deref())
    }
}

/// A service under a hostname, with its status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exposure {
    /// True if the last request is done.
    #[schema(example = true)]
    ok: bool,
    #[schema(example = "my-app")]
    name: String,
    #[schema(example = "my-app-alice.your-domain.net")]
    hostname: String,
    #[schema(example = "https://my-app-alice.your-domain.net")]
    url: String,
    #[schema(example = "my-app")]
    service: String,
    #[schema(example = 80)]
    port: u16,
    #[schema(example = "your-domain.net")]
    domain: String,
    /// Progress of what was last asked for.
    #[schema(inline, example = "active")]
    status: StatusWord,
    /// Reason of a status that is not done: a word, a colon and a sentence.
    #[schema(example = json!(null), required)]
    reason: Option<String>,
    /// The same as `reason`, where pages look for it.
    #[schema(example = json!(null), required)]
    error: Option<String>,
    /// Time since which an exposure of this name exists.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
    /// The steps in their order: the route and then the record; while it is removed the record and then the route.
    steps: Vec<ExposureStep>,
    /// Whether the address answers from where its visitors ask. It is asked while somebody looks at the exposure, at most
    /// once a minute.
    reachable: Reachability,
}

/// Whether an address answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reachability {
    /// `unknown` until it was asked, and where the operator switched that off.
    #[schema(schema_with = reach_state)]
    state: &'static str,
    /// Time of the request.
    #[schema(example = "2026-03-01T10:00:05Z", format = DateTime, required)]
    checked_at: Option<String>,
    /// The likely cause, if it does not answer.
    #[schema(schema_with = reach_hint, required)]
    hint: Option<&'static str>,
}

fn reach_state() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["yes", "no", "unknown"])).build()
}

fn reach_hint() -> Object {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    let words = ReachHint::WORDS.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).build()
}

impl From<Reachable> for Reachability {
    fn from(reachable: Reachable) -> Self {
        let (state, hint) = match reachable.reached {
            Some(Reached::Yes) => ("yes", None),
            Some(Reached::No(hint)) => ("no", Some(hint.as_str())),
            None => ("unknown", None),
        };
        Self { state, checked_at: reachable.checked_at.map(time), hint }
    }
}

/// A step of exposing or removing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExposureStep {
    /// `route` (the ingress route) or `record` (the DNS record).
    #[schema(example = "route")]
    step: &'static str,
    /// True once the step is done.
    #[schema(example = true)]
    done: bool,
}

/// The friend's exposures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exposures {
    /// Sorted by name.
    pub(crate) exposures: Vec<Exposure>,
}

impl Exposure {
    /// Makes the body of a dry run: the request was checked, and no step was taken.
    pub(crate) fn preview(exposure: &portal_dns::Exposure) -> Self {
        Self { ok: true, ..Self::from(exposure) }
    }
}

impl From<&portal_dns::Exposure> for Exposure {
    fn from(exposure: &portal_dns::Exposure) -> Self {
        Self::new(exposure, Reachable::default())
    }
}

impl Exposure {
    /// Makes the body of an exposure and what is known about its address.
    pub(crate) fn new(exposure: &portal_dns::Exposure, reachable: Reachable) -> Self {
        let reason = exposure.explanation();
        let spec = &exposure.spec;
        let steps = exposure.steps().map(|portal_dns::ExposureStep { step, done }| ExposureStep { step, done });
        Self {
            ok: exposure.is_done(),
            name: exposure.name.to_string(),
            hostname: spec.hostname.to_string(),
            url: exposure.url(),
            service: spec.service.to_string(),
            port: spec.port.number(),
            domain: spec.domain.to_string(),
            status: Word(exposure.status),
            error: reason.clone().filter(|_| !exposure.is_done()),
            reason,
            created_at: time(exposure.created_at),
            steps: steps.into(),
            reachable: reachable.into(),
        }
    }
}
