//! Parameters that several operations share, for the OpenAPI document.
//!
//! They are written out by hand: a derived optional parameter becomes nullable, and generated clients then send `null`
//! or do not compile.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident = $place:ident $parameter:literal: $description:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![optional_text($parameter, ParameterIn::$place, $description)]
            }
        }
    )+};
}

fn optional_text(name: &str, place: ParameterIn, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

parameters! {
    /// The agent that an operation is about.
    AgentQuery = Query "agent":
        "One of the friend's agents whose status is active, such as `main`; by default the agent of the session";
    /// Start of a further page of runs.
    BeforeRun = Query "before":
        "The `run_id` of the last run of the page before; by default the list begins with the newest run";
    /// Place at which an event stream resumes.
    LastEventId = Header "Last-Event-ID":
        "The last `id` of an earlier stream; what changed since then is told again";
    /// Condition of a read.
    IfNoneMatch = Header "If-None-Match":
        "The `ETag` of the answer that the caller has; 304 if it is still current";
    /// Condition of a write on what stands there.
    IfMatch = Header "If-Match":
        "The `ETag` of the text that is to be replaced; 412 if another text stands there. `*` for any text";
    /// Condition of a change of a job.
    IfRevision = Header "If-Match":
        "The `ETag` of the job that is to be changed; 412 if it was changed since";
    /// Condition of a write on there being nothing.
    IfAbsent = Header "If-None-Match":
        "`*` to write only if there is nothing; 412 otherwise. Not together with `If-Match`";
}
