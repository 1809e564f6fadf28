//! Ownership markers: the proof that a record or a route is ours.

use std::fmt;

use portal_core::{Ids, Invalid};

/// Label below which zones without record comments store the marker of a hostname, as a TXT record.
pub const MARKER_LABEL: &str = "_friend-portal";
/// First part of every marker.
const PREFIX: &str = "friend-portal";

portal_core::string_newtype!(ExposureId, InstanceId);

/// True for 128 bits written as 32 lower-case hexadecimal digits.
fn is_random_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Id of an exposure: 128 random bits, unique across all portals. A name that is exposed again within a day keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExposureId(String);

impl ExposureId {
    /// Parses an id.
    ///
    /// # Errors
    /// Refuses all but 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_random_id(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new("id", "id must be 32 lower-case hexadecimal digits"))
    }

    /// Draws a new id.
    pub fn random(ids: &dyn Ids) -> Self {
        Self(ids.id())
    }
}

/// Id of a portal: 128 random bits, drawn when a portal first asks its database after the migrations. It is the middle
/// part of the portal's markers, so that portals can share a zone or a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// Parses an instance.
    ///
    /// # Errors
    /// Refuses all but 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_random_id(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new("instance", "instance must be 32 lower-case hexadecimal digits"))
    }
}

/// Text on every record and route of an exposure: `friend-portal/<instance>/<exposure id>`.
///
/// A marker alone proves little, since anybody can copy it. An object is *ours* if it carries a marker of our instance
/// and our database ties that exposure to the very place of the object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnershipMarker {
    /// The portal that wrote it.
    pub instance: InstanceId,
    /// The exposure that the object belongs to.
    pub exposure: ExposureId,
}

impl OwnershipMarker {
    /// Parses a marker; `None` for any other text, which is then somebody else's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?.strip_prefix('/')?;
        let (instance, exposure) = rest.split_once('/')?;
        Some(Self { instance: InstanceId::parse(instance).ok()?, exposure: ExposureId::parse(exposure).ok()? })
    }
}

/// 79 bytes: a Cloudflare comment holds 100.
impl fmt::Display for OwnershipMarker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}/{}/{}", self.instance, self.exposure)
    }
}

#[cfg(test)]
mod tests {
    use super::{ExposureId, InstanceId, OwnershipMarker};

    const INSTANCE: &str = "00112233445566778899aabbccddeeff";
    const EXPOSURE: &str = "ffeeddccbbaa99887766554433221100";

    #[test]
    fn a_mark_is_read_as_it_was_written_and_fits_a_comment() {
        let marker = OwnershipMarker {
            instance: InstanceId::parse(INSTANCE).unwrap(),
            exposure: ExposureId::parse(EXPOSURE).unwrap(),
        };
        let text = marker.to_string();
        assert_eq!(text, format!("friend-portal/{INSTANCE}/{EXPOSURE}"));
        assert!(text.len() <= 100);
        assert_eq!(OwnershipMarker::parse(&text), Some(marker));
    }

    #[test]
    fn any_other_text_is_somebody_elses() {
        let whole = format!("friend-portal/{INSTANCE}/{EXPOSURE}");
        for text in [
            "",
            "friend-portal",
            "friend-portal//",
            "made by hand",
            &whole.to_uppercase(),
            &format!("{whole} "),
            &format!(" {whole}"),
            &format!("{whole}/"),
            &whole.replace('/', ":"),
        ] {
            assert_eq!(OwnershipMarker::parse(text), None, "{text:?}");
        }
    }
}
