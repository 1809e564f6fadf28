//! Failures as the document lists them: one type per status (or per habit), named in an operation's `responses(..)`.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, HeaderBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{IntoResponses, ToSchema};

use super::problem::Problem;

/// The media type of a problem document (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

fn problem(description: &str, headers: &[(&str, &str)]) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let mut response = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content);
    for (name, meaning) in headers {
        let text = Object::with_type(Type::String);
        response = response.header(*name, HeaderBuilder::new().schema(Some(text)).description(Some(*meaning)).build());
    }
    response.build().into()
}

macro_rules! responses {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $description:literal $(, $header:literal: $meaning:literal)*;)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    let mut listed = BTreeMap::new();
                    $(listed.insert($status.to_owned(), problem($description, &[$(($header, $meaning)),*]));)+
                    listed
                }
            }
        )+
    };
}

responses! {
    /// Every operation behind a session: no valid session, a session that cannot be checked, a fault of ours.
    Guarded {
        "401": "No session token, or one that is not valid: unknown, expired, revoked, or the friendship is not active",
            "WWW-Authenticate": "`Bearer`; with `error=\"invalid_token\"` only when the database said that the token opens nothing";
        "429": "The friend sends more than the portal takes from one friend: too often, too many at once, or too much",
            "Retry-After": "Seconds after which to try again",
            "RateLimit": "The limit that was exceeded, what remains of it, and the seconds until that changes",
            "RateLimit-Policy": "The limit: its quota `q`, and for a rate the window `w` in seconds";
        "500": "A fault of the portal; its log tells more under the request id";
        "503": "Something behind the portal cannot be asked; nothing is known to have changed",
            "Retry-After": "Seconds after which to try again";
    }
    /// Operations that anybody may ask for.
    Open {
        "500": "A fault of the portal; its log tells more under the request id";
    }
    /// Operations that anybody may try with a code or a token.
    Guessed {
        "429": "The address sends too many wrong codes or tokens. A right one is never refused for that",
            "Retry-After": "Seconds after which to try again",
            "RateLimit": "The limit that was exceeded, what remains of it, and the seconds until that changes",
            "RateLimit-Policy": "The limit: its quota `q`, and for a rate the window `w` in seconds";
    }
    /// Operations that take a JSON body.
    TakesBody {
        "400": "Not JSON, a wrong type, or a missing or unknown member";
        "408": "The body did not come in time";
        "413": "The body is too large";
        "415": "The body is not `application/json`";
        "422": "A value was refused";
    }
    /// Operations whose path names something.
    NotFound { "404": "There is no such thing, or it is somebody else's"; }
    /// Operations with `?agent=`.
    TakesAgent {
        "400": "The query cannot be read";
        "404": "There is no such thing, or it is somebody else's; or there is no such agent for this friend";
    }
    /// Operations that change, run or delete a job.
    ChangesJob {
        "403": "The agent made the job for itself, in a way that friends cannot change";
        "409": "Another change of the job or a run of it is under way, or the agent's gateway is too old for this one";
    }
    /// Operations that show a document.
    ShowsDocument {
        "409": "What stands there is not UTF-8 text of at most 256 KiB";
    }
    /// Operations that write a document.
    WritesDocument {
        "403": "The friend may read the document and not write it";
        "409": "What stands there is not UTF-8 text of at most 256 KiB, and is left alone";
        "412": "Another text stands there than If-Match or If-None-Match says",
            "ETag": "The SHA-256 of the text that stands there; absent if there is none";
        "428": "Another friend wrote the shared document last, or the operator requires it: If-Match is needed",
            "ETag": "The SHA-256 of the text that stands there; absent if there is none";
    }
    /// Readiness.
    Unready { "503": "The portal should get no requests", "Retry-After": "Seconds after which to try again"; }
}
