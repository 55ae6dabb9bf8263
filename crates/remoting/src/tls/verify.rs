//! Whose certificate is believed.
//!
//! As with Java: a chain has to end at a trusted certificate, or be one; the name in it is not
//! compared, since brokers and name servers are called by address.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use super::{TlsError, provider, roots};

/// The signature of a handshake, which proves that the other side has the certificate's key.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &provider().signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Whether the only fault is that a trusted certificate was shown by its own holder: self-signed
/// certificates of the usual kind are authorities too. Its dates have been looked at before that.
fn is_trusted_itself(
    error: &Error,
    cert: &CertificateDer<'_>,
    trusted: &[CertificateDer<'_>],
) -> bool {
    let as_end = match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            cause.to_string().contains("CaUsedAsEndEntity")
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        _ => false,
    };
    as_end && trusted.iter().any(|of| of.as_ref() == cert.as_ref())
}

#[derive(Debug)]
pub struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

#[derive(Debug)]
pub struct KnownServers {
    trusted: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

impl KnownServers {
    pub fn new(trusted: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        Ok(Self { roots: roots(&trusted), trusted })
    }
}

impl ServerCertVerifier for KnownServers {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(cert)?;
        let algorithms = provider().signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            between,
            now,
            algorithms,
        ) {
            Err(error) if !is_trusted_itself(&error, cert, &self.trusted) => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    signatures!();
}

#[derive(Debug)]
pub struct AnyClient {
    pub mandatory: bool,
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

#[derive(Debug)]
pub struct KnownClients {
    trusted: Vec<CertificateDer<'static>>,
    chain: Arc<dyn ClientCertVerifier>,
    mandatory: bool,
}

impl KnownClients {
    pub fn new(trusted: Vec<CertificateDer<'static>>, mandatory: bool) -> Result<Self, TlsError> {
        let chain = WebPkiClientVerifier::builder_with_provider(roots(&trusted).into(), provider())
            .build()
            .map_err(|error| Error::General(format!("trusted certificates: {error}")))?;
        Ok(Self { trusted, chain, mandatory })
    }
}

impl ClientCertVerifier for KnownClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        cert: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.chain.verify_client_cert(cert, between, now) {
            Err(error) if is_trusted_itself(&error, cert, &self.trusted) => {
                Ok(ClientCertVerified::assertion())
            }
            other => other,
        }
    }

    signatures!();
}
