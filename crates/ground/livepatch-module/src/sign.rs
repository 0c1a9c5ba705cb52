//! Signs a module as `scripts/sign-file.c` of the kernel tree does.

use crate::certificate::Certificate;
use crate::pkcs7::Message;
use crate::signing_key::SigningKey;
use crate::trailer::{SignatureError, append, split};
use rsa::sha2::Sha256;
use std::error::Error;

/// Why a module cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It carries a signature already: a second one would cover the first and hide who signed.
    #[error("the module is signed already; sign the file that the build wrote")]
    AlreadySigned,
    /// Its end is neither that of a signed nor that of an unsigned module.
    #[error("the module's end cannot be understood")]
    Trailer(#[source] SignatureError),
    /// The RSA operation failed.
    #[error("the signature could not be computed")]
    Rsa(#[source] rsa::Error),
    /// The key that is elsewhere gave no signature.
    #[error("the key gave no signature")]
    Elsewhere(#[source] Box<dyn Error + Send + Sync>),
    /// The key that is elsewhere is another one.
    #[error("the key is not the one that the certificate '{0}' certifies")]
    OtherKey(String),
    /// The message could not be written.
    #[error("the signature could not be encoded")]
    Encoding(#[source] der::Error),
    /// The message is longer than the trailer can say.
    #[error("the signature is too long for a module")]
    TooLong,
}

/// The module with a signature appended. The same module and key give the same bytes each time. A certificate that an
/// authority issued goes into the signature, so that whoever trusts the authority can verify it.
///
/// # Errors
/// [`SignError`]: the module is signed already, or the signature cannot be made.
pub fn sign(module: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignError> {
    unsigned(module)?;
    let signature = key.signature(module).map_err(SignError::Rsa)?;
    appended(module, key.certificate(), signature)
}

/// As [`sign`], with a key that is elsewhere: `make` gives the PKCS#1 v1.5 signature over SHA-256 of the bytes that it is
/// given, and is called once. What it gives is checked against the certificate.
///
/// # Errors
/// [`SignError`]: the module is signed already, `make` failed, or its key is not the certificate's.
pub fn sign_with(
    module: &[u8],
    certificate: &Certificate,
    make: impl FnOnce(&[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>,
) -> Result<Vec<u8>, SignError> {
    unsigned(module)?;
    let signature = make(module).map_err(SignError::Elsewhere)?;
    if certificate.key().pkcs1v15_verify::<Sha256>(module, &signature).is_err() {
        return Err(SignError::OtherKey(certificate.subject()));
    }
    appended(module, certificate, signature)
}

fn unsigned(module: &[u8]) -> Result<(), SignError> {
    match split(module).map_err(SignError::Trailer)?.pkcs7 {
        Some(_) => Err(SignError::AlreadySigned),
        None => Ok(()),
    }
}

fn appended(module: &[u8], certificate: &Certificate, signature: Vec<u8>) -> Result<Vec<u8>, SignError> {
    // The kernel finds the issuer of a key that it does not know by the certificate in the signature.
    let embedded = (!certificate.is_self_issued()).then(|| certificate.to_der().to_vec());
    let message = Message { signer: certificate.signer_id(), signature, certificate: embedded };
    append(module, &message.to_der().map_err(SignError::Encoding)?).ok_or(SignError::TooLong)
}
