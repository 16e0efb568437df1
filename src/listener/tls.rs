//! TLS: the certificate and key of a listener, read and checked before anything is served.

use std::{fmt::Display, fs, path::Path, sync::Arc};

use pingora::listeners::tls::Acceptor;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

use super::{BindError, TlsFiles};

/// Makes aws-lc-rs the one TLS provider of the process. Without it the first use of TLS panics, because two
/// providers are linked in and neither is the default. Call it before anything else; again does no harm.
pub fn install_crypto_provider() {
    // An error means that one is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// Reads a certificate chain and its key, and offers `h2` and `http/1.1` (RFC 7301) with them.
pub(super) fn acceptor(files: &TlsFiles) -> Result<Arc<Acceptor>, BindError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&files.cert_file, error))?
        .with_no_client_auth()
        .with_single_cert(certificates(&files.cert_file)?, key(&files.key_file)?)
        .map_err(|error| mismatch(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Sealed tickets resume sessions without a memory of them here.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| unusable(&files.cert_file, error))?;
    Ok(Arc::new(Acceptor::from_server_config(Arc::new(config))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BindError> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(path, error))?;
    if chain.is_empty() {
        return Err(unusable(path, "it holds no PEM certificate"));
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, BindError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            unusable(path, "it holds no PEM private key (an encrypted key must be decrypted first)")
        }
        error => unusable(path, error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, BindError> {
    fs::read(path).map_err(|error| unusable(path, error))
}

fn mismatch(files: &TlsFiles, error: &rustls::Error) -> BindError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            unusable(&files.key_file, format!("it is not the key of the certificate in {}", files.cert_file.display()))
        }
        error => unusable(&files.cert_file, error),
    }
}

fn unusable(path: &Path, reason: impl Display) -> BindError {
    BindError::Tls { path: path.to_owned(), reason: reason.to_string() }
}
