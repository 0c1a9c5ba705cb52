//! Signs a module as `scripts/sign-file.c` of the kernel tree does.

use crate::pkcs7::Message;
use crate::signing_key::SigningKey;
use crate::trailer::{SignatureError, append, split};

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
    /// The message could not be written.
    #[error("the signature could not be encoded")]
    Encoding(#[source] der::Error),
    /// The message is longer than the trailer can say.
    #[error("the signature is too long for a module")]
    TooLong,
}

/// The module with a signature appended. The same module and key give the same bytes each time.
///
/// # Errors
/// [`SignError`]: the module is signed already, or the signature cannot be made.
pub fn sign(module: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignError> {
    let parts = split(module).map_err(SignError::Trailer)?;
    if parts.pkcs7.is_some() {
        return Err(SignError::AlreadySigned);
    }
    let signature = key.signature(module).map_err(SignError::Rsa)?;
    let message = Message { signer: key.certificate().signer_id(), signature };
    append(module, &message.to_der().map_err(SignError::Encoding)?).ok_or(SignError::TooLong)
}
