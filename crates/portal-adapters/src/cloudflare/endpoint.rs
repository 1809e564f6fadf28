//! Calls of the API, on the `cloudflare` crate's endpoint trait with types of our own: its DNS types have no comment,
//! and one record of an unknown type makes it refuse a whole list.

use std::fmt;

use cloudflare::framework::endpoint::spec::EndpointSpec;
use cloudflare::framework::endpoint::{Method, RequestBody, serialize_query};
use cloudflare::framework::response::ApiSuccess;
use serde::Serialize;

/// The id of a zone or a record, as it appears in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireId(String);

impl WireId {
    /// Parses an id, refusing one that would change the path that it becomes part of.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for WireId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Body of a record of ours.
#[derive(Debug, Serialize)]
pub(super) struct RecordBody<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) content: String,
    pub(super) ttl: u32,
    pub(super) proxied: bool,
    pub(super) comment: &'a str,
}

/// A call.
#[derive(Debug)]
pub(super) enum Call<'a> {
    FindZone {
        name: &'a str,
    },
    ListAt {
        zone: &'a WireId,
        name: &'a str,
    },
    ListZone {
        zone: &'a WireId,
        page: u32,
        per_page: u32,
    },
    Create {
        zone: &'a WireId,
        record: &'a RecordBody<'a>,
    },
    Update {
        zone: &'a WireId,
        id: &'a WireId,
        record: &'a RecordBody<'a>,
    },
    /// Deletes one record and creates another in one transaction, for a record whose type changes.
    Replace {
        zone: &'a WireId,
        id: &'a WireId,
        record: &'a RecordBody<'a>,
    },
    Delete {
        zone: &'a WireId,
        id: &'a WireId,
    },
}

#[derive(Serialize)]
struct Batch<'a> {
    deletes: [Deleted; 1],
    posts: [&'a RecordBody<'a>; 1],
}

#[derive(Serialize)]
struct Deleted {
    id: String,
}

impl EndpointSpec for Call<'_> {
    // Responses are parsed by `Envelope`, which is more lenient.
    type JsonResponse = ();
    type ResponseType = ApiSuccess<()>;

    fn method(&self) -> Method {
        match self {
            Self::FindZone { .. } | Self::ListAt { .. } | Self::ListZone { .. } => Method::GET,
            Self::Create { .. } | Self::Replace { .. } => Method::POST,
            Self::Update { .. } => Method::PATCH,
            Self::Delete { .. } => Method::DELETE,
        }
    }

    fn path(&self) -> String {
        match self {
            Self::FindZone { .. } => "zones".to_owned(),
            Self::ListAt { zone, .. } | Self::ListZone { zone, .. } | Self::Create { zone, .. } => {
                format!("zones/{zone}/dns_records")
            }
            Self::Replace { zone, .. } => format!("zones/{zone}/dns_records/batch"),
            Self::Update { zone, id, .. } | Self::Delete { zone, id } => format!("zones/{zone}/dns_records/{id}"),
        }
    }

    fn query(&self) -> Option<String> {
        match self {
            Self::FindZone { name } => serialize_query(&[("name", *name)]),
            Self::ListAt { name, .. } => serialize_query(&[("name", *name), ("per_page", "100")]),
            Self::ListZone { page, per_page, .. } => {
                serialize_query(&[("page", &page.to_string()), ("per_page", &per_page.to_string())])
            }
            Self::Create { .. } | Self::Update { .. } | Self::Replace { .. } | Self::Delete { .. } => None,
        }
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        match self {
            Self::Create { record, .. } | Self::Update { record, .. } => {
                serde_json::to_string(record).ok().map(RequestBody::Json)
            }
            Self::Replace { id, record, .. } => {
                let batch = Batch { deletes: [Deleted { id: id.to_string() }], posts: [record] };
                serde_json::to_string(&batch).ok().map(RequestBody::Json)
            }
            Self::FindZone { .. } | Self::ListAt { .. } | Self::ListZone { .. } | Self::Delete { .. } => None,
        }
    }
}
