//! TLS to PostgreSQL: certificate and name of the server are checked.

use std::path::Path;
use std::sync::Arc;

use portal_core::Invalid;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// TLS with a server whose certificate is checked.
#[derive(Debug, Clone)]
pub(super) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts the authorities in a PEM file, or the public ones.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, Invalid> {
        let roots = match authorities {
            Some(file) => read_authorities(file)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Invalid::new("database.url", format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// A connector for one connection.
    pub(super) fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(ClientConfig::clone(&self.0))
    }
}

fn read_authorities(file: &Path) -> Result<RootCertStore, Invalid> {
    let refuse = |reason: &dyn std::fmt::Display| {
        let message = format!("sslrootcert in database.url must be a PEM file of certificates: {reason}");
        Invalid::new("database.url", message)
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refuse(&error))? {
        let certificate = certificate.map_err(|error| refuse(&error))?;
        roots.add(certificate).map_err(|error| refuse(&error))?;
    }
    if roots.is_empty() {
        return Err(refuse(&"it holds none"));
    }
    Ok(roots)
}
