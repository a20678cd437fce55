//! TLS, if the feature `tls` is on.

use decor::ConfigError;
use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{io, sync::Arc};

pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// The certificates that are trusted: those of the system, or others.
pub(crate) fn config(roots: Option<&[u8]>) -> Result<Arc<ClientConfig>, ConfigError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate.ok().and_then(|certificate| store.add(certificate).ok());
                added.ok_or_else(|| invalid("with an invalid certificate"))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(invalid("without a certificate"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| invalid("without a common version of TLS"))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn invalid(what: &str) -> ConfigError {
    ConfigError::new("root_certificates", what, "certificates in PEM form, or those of the system")
}

/// Begins TLS on a connection.
pub(crate) fn client(stream: TcpStream, config: Arc<ClientConfig>, host: &str) -> io::Result<Box<Stream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let client = ClientConnection::new(config, name).map_err(io::Error::other)?;
    Ok(Box::new(StreamOwned::new(client, stream)))
}
