//! TLS: the system's certificate authorities and, if named, a private one.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::AriHttpError;

/// Trusts the system's authorities and those of `ca_file`.
pub(in crate::actors) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, AriHttpError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!("a certificate of the system can't be read: {error}");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(file) = ca_file {
        add_private(&mut roots, file)?;
    }
    if roots.is_empty() {
        return Err(AriHttpError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| AriHttpError::Tls(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_private(roots: &mut RootCertStore, file: &Path) -> Result<(), AriHttpError> {
    let unreadable = |reason: String| AriHttpError::CaFile { file: file.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| unreadable(e.to_string()))?;
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| unreadable(e.to_string()))?;
        roots.add(certificate).map_err(|e| unreadable(e.to_string()))?;
        added += 1;
    }
    if added == 0 { Err(unreadable("it holds no CERTIFICATE block".into())) } else { Ok(()) }
}
