//! Who signed a module, if anybody did and if that is to be believed.

use crate::certificate::Certificate;
use crate::pkcs7::{Message, MessageError};
use crate::trailer::{SignatureError, split};
use rsa::sha2::Sha256;

/// The trusted certificate that vouches for a module: its key signed the module, or certified the key that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: [u8; 32],
    /// Subject of the certificate whose key signed the module, for people.
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

/// Checks that `bytes`, a whole module file, was signed by the key of one of the `trusted` certificates, or by a key that
/// one of them certified and whose certificate is in the signature, and not altered since.
///
/// # Errors
/// [`VerifyError`], whose variants a caller can tell apart.
pub fn verify(bytes: &[u8], trusted: &[Certificate]) -> Result<Signer, VerifyError> {
    let parts = split(bytes)?;
    let message = Message::from_der(parts.pkcs7.ok_or(VerifyError::Unsigned)?)?;
    let brought = brought(&message)?;
    let signed_by = |certificate: &Certificate| {
        certificate.key().pkcs1v15_verify::<Sha256>(parts.body, &message.signature).is_ok()
    };
    let mut named = None;
    for certificate in trusted.iter().filter(|certificate| certificate.signer_id() == message.signer) {
        if signed_by(certificate) {
            return Ok(signer(certificate, certificate));
        }
        named = Some(certificate);
    }
    if let Some(leaf) = &brought
        && let Some(authority) = trusted.iter().find(|certificate| certificate.issued(leaf))
    {
        if signed_by(leaf) {
            return Ok(signer(authority, leaf));
        }
        named = Some(leaf);
    }
    Err(match named {
        Some(certificate) => VerifyError::Tampered { signer: certificate.subject() },
        None => VerifyError::UnknownKey {
            issuer: message.signer.issuer.to_string(),
            serial: hex::encode(message.signer.serial_number.as_bytes()),
        },
    })
}

/// The certificate in the signature, which must be that of the signer.
fn brought(message: &Message) -> Result<Option<Certificate>, VerifyError> {
    let Some(der) = &message.certificate else { return Ok(None) };
    let certificate = Certificate::from_der(der)
        .map_err(|error| VerifyError::Malformed(format!("the certificate inside is unusable: {error}")))?;
    let unsupported = |what: &str| Err(VerifyError::Unsupported(what.to_owned()));
    if certificate.is_self_issued() {
        return unsupported("self-signed certificates inside the signature");
    }
    if certificate.signer_id() != message.signer {
        return unsupported("the certificate inside the signature is not the signer's");
    }
    Ok(Some(certificate))
}

fn signer(vouches: &Certificate, signed: &Certificate) -> Signer {
    Signer { fingerprint: vouches.fingerprint(), subject: signed.subject() }
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
