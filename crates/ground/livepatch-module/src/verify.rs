//! Who signed a module, if anybody did and if that is to be believed.

use crate::certificate::Certificate;
use crate::pkcs7::{Message, MessageError};
use crate::trailer::{SignatureError, split};
use rsa::sha2::Sha256;

/// The trusted certificate whose key signed a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: [u8; 32],
    /// Its subject, for people.
    pub subject: String,
}

/// Why a module's signature does not vouch for it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    /// There is no signature.
    #[error("the module is not signed")]
    Unsigned,
    /// The signer is none of the trusted ones.
    #[error("the module is signed by a key that is not trusted here ({issuer}, serial number {serial})")]
    UnknownKey {
        /// Issuer of the signer's certificate, in the form of RFC 4514.
        issuer: String,
        /// Its serial number, in hexadecimal.
        serial: String,
    },
    /// A trusted signer is named, and the signature is not that signer's over these bytes.
    #[error("the module is not what '{signer}' signed: it or its signature was altered")]
    Tampered {
        /// Subject of the certificate that the signature names.
        signer: String,
    },
    /// Well-formed, but of a form that not every supported kernel takes.
    #[error("the module's signature has a form that is not supported: {0}")]
    Unsupported(String),
    /// No signature can be read from the bytes that should be one.
    #[error("the module's signature is malformed: {0}")]
    Malformed(String),
}

/// Checks that `bytes`, a whole module file, was signed by one of the `trusted` certificates' keys and not altered since.
///
/// # Errors
/// [`VerifyError`], whose variants a caller can tell apart.
pub fn verify(bytes: &[u8], trusted: &[Certificate]) -> Result<Signer, VerifyError> {
    let parts = split(bytes)?;
    let message = Message::from_der(parts.pkcs7.ok_or(VerifyError::Unsigned)?)?;
    let mut named = None;
    for certificate in trusted.iter().filter(|certificate| certificate.signer_id() == message.signer) {
        if certificate.key().pkcs1v15_verify::<Sha256>(parts.body, &message.signature).is_ok() {
            return Ok(Signer { fingerprint: certificate.fingerprint(), subject: certificate.subject() });
        }
        named = Some(certificate);
    }
    Err(match named {
        Some(certificate) => VerifyError::Tampered { signer: certificate.subject() },
        None => VerifyError::UnknownKey {
            issuer: message.signer.issuer.to_string(),
            serial: hex::encode(message.signer.serial_number.as_bytes()),
        },
    })
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Kind(_) => Self::Unsupported(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}

impl From<MessageError> for VerifyError {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Unsupported(what) => Self::Unsupported(what.to_owned()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}
