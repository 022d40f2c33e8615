//! Trust in certificates of one's own, beside the system's.

use databricks_zerobus_ingest_sdk::{TlsConfig, ZerobusError};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// The certificates, as PEM.
pub(super) struct OwnCa(pub String);

impl TlsConfig for OwnCa {
    fn configure_endpoint(&self, endpoint: Endpoint) -> Result<Endpoint, ZerobusError> {
        let config = ClientTlsConfig::new().with_native_roots().ca_certificate(Certificate::from_pem(&self.0));
        endpoint.tls_config(config).map_err(|_| ZerobusError::FailedToEstablishTlsConnectionError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_trusted() {
        let endpoint = || Endpoint::from_static("https://localhost");
        let empty = OwnCa("-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n".into());
        assert!(empty.configure_endpoint(endpoint()).is_err());
    }
}
