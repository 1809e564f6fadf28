//! Names of service accounts.

use std::fmt;

use portal_core::Invalid;

/// Longest name of a namespace.
const NAMESPACE_MAX: usize = 63;
/// Longest name of a service account.
const NAME_MAX: usize = 253;

/// A service account of the cluster, written `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAccountName {
    /// The namespace in which it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl ServiceAccountName {
    /// Reads `namespace/name`.
    ///
    /// # Errors
    /// Refuses what is no name of a namespace (RFC 1123 label), a slash, and a name of an object (RFC 1123 subdomain).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let parts = text.split_once('/').filter(|(namespace, name)| {
            is_namespace(namespace) && name.len() <= NAME_MAX && name.split('.').all(is_label)
        });
        let (namespace, name) = parts.ok_or_else(|| {
            Invalid::new("service_account", "must be a service account as namespace/name, such as openclaw/main")
        })?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Returns true for a valid name of a namespace (RFC 1123 label).
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    name.len() <= NAMESPACE_MAX && is_label(name)
}

fn is_label(text: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    !text.is_empty() && text.chars().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::ServiceAccountName;

    #[test]
    fn an_account_is_named_by_its_namespace_and_its_name() {
        let account = ServiceAccountName::parse("openclaw/main.agent-1").unwrap();
        assert_eq!((account.namespace.as_str(), account.name.as_str()), ("openclaw", "main.agent-1"));
        assert_eq!(account.to_string(), "openclaw/main.agent-1");
        for text in ["", "main", "openclaw/", "/main", "openclaw/main/x", "Openclaw/main", "a.b/main", "a/-b", "a/b..c"]
        {
            assert!(ServiceAccountName::parse(text).is_err(), "{text}");
        }
    }
}
