//! Names: of exposures, of domains, and of what the two make together.

use portal_core::{FriendId, Invalid};

/// Longest name of an exposure, in bytes.
const NAME_MAX: usize = 20;
/// Longest label of a DNS name, in bytes (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;
/// Longest DNS name written with dots, in bytes: 255 on the wire less the root's and the first label's length byte.
const DNS_NAME_MAX: usize = 253;
/// Room that a hostname leaves for the label under which a zone without comments keeps its marker.
const MARK_LABEL: usize = "_friend-portal.".len();

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Whether `text` is a DNS label as host names have them (RFC 1123, section 2.1), in lower case.
pub(crate) fn is_label(text: &str) -> bool {
    let edges_are_plain = !text.starts_with('-') && !text.ends_with('-');
    (1..=LABEL_MAX).contains(&text.len()) && edges_are_plain && text.bytes().all(is_plain)
}

/// The name of an exposure: 1 to 20 lower-case letters, digits and inner hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExposureName(String);

impl ExposureName {
    /// Reads the name of an exposure.
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
    /// Reads a domain; capitals are folded, as DNS does not tell them apart.
    ///
    /// # Errors
    /// Refuses all but two or more labels of letters, digits and inner hyphens, and what is longer than 253 bytes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
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
/// Two pairs of name and friend can give one hostname (`c` of `a-b`, `b-c` of `a`), so a hostname is owned by
/// whoever reserved it first, never by who could have made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(String);

portal_core::string_newtype!(ExposureName, DomainName, Hostname);

impl Hostname {
    /// The hostname of a friend's exposure in a domain.
    ///
    /// # Errors
    /// Refuses a `name` that makes the first label longer than 63 bytes together with the friend's id, and a
    /// `domain` that makes the whole longer than 253 bytes with the label under which some zones keep our marker.
    pub fn of(name: &ExposureName, friend: &FriendId, domain: &DomainName) -> Result<Self, Invalid> {
        let label = format!("{name}-{friend}");
        if label.len() > LABEL_MAX {
            let message = format!("name must be short enough that {label} has at most {LABEL_MAX} bytes");
            return Err(Invalid::new("name", message));
        }
        let hostname = format!("{label}.{domain}");
        let longest = DNS_NAME_MAX - MARK_LABEL;
        if hostname.len() > longest {
            let message = format!("domain must be short enough that {hostname} has at most {longest} bytes");
            return Err(Invalid::new("domain", message));
        }
        Ok(Self(hostname))
    }

    /// Reads a hostname that was stored or listed by a zone; capitals are folded and a closing dot is dropped.
    ///
    /// # Errors
    /// Refuses what no exposure could have: other than two or more plain labels, or more than 253 bytes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = |_| Invalid::new("hostname", "hostname must be a DNS name of plain labels, of at most 253 bytes");
        DomainName::parse(text.strip_suffix('.').unwrap_or(text)).map(|name| Self(name.0)).map_err(refused)
    }

    /// Whether the hostname stands directly in this zone, one label below it.
    #[must_use]
    pub fn is_in(&self, domain: &DomainName) -> bool {
        self.0.split_once('.').is_some_and(|(_, rest)| rest == domain.as_str())
    }
}

#[cfg(test)]
mod tests;
