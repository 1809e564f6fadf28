//! Names of exposures and domains, and the hostnames that they make together.

use portal_core::{FriendId, Invalid};

use crate::marker::MARKER_LABEL;

/// Longest name of an exposure, in bytes.
const NAME_MAX: usize = 20;
/// Longest label of a DNS name, in bytes (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// Longest DNS name written with dots, in bytes: 255 on the wire less the root's and the first label's length byte.
const DNS_NAME_MAX: usize = 253;
/// Room for the marker's label and its dot in front of a hostname, in zones without record comments.
const MARKER_ROOM: usize = MARKER_LABEL.len() + 1;

portal_core::string_newtype!(ExposureName, DomainName, Hostname);

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// True if `text` is a DNS label as host names have them (RFC 1123, section 2.1), in lower case.
pub(crate) fn is_label(text: &str) -> bool {
    let edges_are_plain = !text.starts_with('-') && !text.ends_with('-');
    (1..=LABEL_MAX).contains(&text.len()) && edges_are_plain && text.bytes().all(is_plain)
}

/// The name of an exposure: 1 to 20 lower-case letters, digits and inner hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExposureName(String);

impl ExposureName {
    /// Parses the name of an exposure.
    ///
    /// # Errors
    /// Refuses what `^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$` does not match; nothing is folded or trimmed.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() <= NAME_MAX && is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "name",
            "name must be 1 to 20 lower-case letters, digits or hyphens, and neither begin nor end with a hyphen",
        ))
    }
}

/// The name of a DNS zone under which services are exposed, such as `your-domain.net`: in lower case, without a
/// closing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

impl DomainName {
    /// Parses a domain; capitals are folded, as DNS does not tell them apart.
    ///
    /// # Errors
    /// Refuses all but two or more labels of letters, digits and inner hyphens, and what is longer than 253 bytes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // DNS compares without case (RFC 4343); stored names are compared byte by byte.
        let folded = text.to_ascii_lowercase();
        if folded.len() <= DNS_NAME_MAX && folded.contains('.') && folded.split('.').all(is_label) {
            return Ok(Self(folded));
        }
        Err(Invalid::new(
            "domain",
            "domain must be a DNS name of at most 253 bytes with at least one dot, its parts 1 to 63 letters, digits or inner hyphens",
        ))
    }
}

/// The full DNS name of an exposure, `<name>-<friend>.<domain>`.
///
/// Two pairs of name and friend can give one hostname (`a-b` of friend `c`, `a` of friend `b-c`: both
/// `a-b-c.<domain>`). The first exposure that reserves a hostname owns it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(String);

impl Hostname {
    /// Makes the hostname of a friend's exposure in a domain.
    ///
    /// # Errors
    /// Refuses a `name` that makes the first label longer than 63 bytes together with the friend's id, and a
    /// `domain` that makes the whole longer than 253 bytes together with [`MARKER_LABEL`].
    pub fn of(name: &ExposureName, friend: &FriendId, domain: &DomainName) -> Result<Self, Invalid> {
        let label = format!("{name}-{friend}");
        if label.len() > LABEL_MAX {
            let message = format!("name must be short enough that {label} has at most {LABEL_MAX} bytes");
            return Err(Invalid::new("name", message));
        }
        let hostname = format!("{label}.{domain}");
        let longest = DNS_NAME_MAX - MARKER_ROOM;
        if hostname.len() > longest {
            let message = format!("domain must be short enough that {hostname} has at most {longest} bytes");
            return Err(Invalid::new("domain", message));
        }
        Ok(Self(hostname))
    }

    /// Parses a hostname that was stored or listed by a zone; capitals are folded and a closing dot is dropped.
    ///
    /// # Errors
    /// Refuses all but two or more plain labels of at most 253 bytes, which is what exposures have.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = |_| Invalid::new("hostname", "hostname must be a DNS name of plain labels, of at most 253 bytes");
        DomainName::parse(text.strip_suffix('.').unwrap_or(text)).map(|name| Self(name.0)).map_err(refused)
    }

    /// False if the first label has hyphens in its third and fourth place. Such labels are reserved (RFC 5890, section
    /// 2.3.1), and no certificate authority issues for them.
    #[must_use]
    pub fn is_certifiable(&self) -> bool {
        self.0.get(2..4) != Some("--")
    }

    /// Refuses a hostname that is not certifiable.
    pub(crate) fn check_certifiable(&self) -> Result<(), Invalid> {
        if self.is_certifiable() {
            return Ok(());
        }
        let message = "name must not have hyphens in both its third and fourth place: certificate authorities issue no certificate for such a hostname";
        Err(Invalid::new("name", message))
    }

    /// True if the hostname is one label below this domain.
    #[must_use]
    pub fn is_in(&self, domain: &DomainName) -> bool {
        self.0.split_once('.').is_some_and(|(_, rest)| rest == domain.as_str())
    }
}

#[cfg(test)]
mod tests;
