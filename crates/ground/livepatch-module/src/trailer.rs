//! Where a module ends and its appended signature begins (include/linux/module_signature.h).

/// `MODULE_SIG_STRING`: the last bytes of a signed module.
const MARKER: &[u8] = b"~Module signature appended~\n";

/// `sizeof(struct module_signature)`.
const TRAILER: usize = 12;

/// `PKEY_ID_PKCS7` of `enum pkey_id_type`, the only type that kernels since 4.3 take.
const PKEY_ID_PKCS7: u8 = 2;

/// Position of `id_type` in the trailer.
const ID_TYPE: usize = 2;

/// Position of `sig_len`, big-endian, in the trailer.
const SIG_LEN: usize = 8;

/// A module file, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// What the signature covers: the ELF file.
    pub body: &'a [u8],
    /// The PKCS#7 message in DER, unparsed; `None` when the module is not signed.
    pub pkcs7: Option<&'a [u8]>,
}

/// Why the end of a file is neither that of an unsigned nor that of a signed module.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The marker is there, the 12 bytes before it are not.
    #[error("the file ends in the module signature marker but is too short to hold a signature")]
    NoTrailer,
    /// The signature would begin before the file does.
    #[error("the signature is said to have {claimed} bytes, of a module that has {available}")]
    Length {
        /// Length in the trailer.
        claimed: u32,
        /// Bytes before the trailer.
        available: usize,
    },
    /// Another `id_type` than PKCS#7.
    #[error("the signature is of type {0}; kernels take type {PKEY_ID_PKCS7} (PKCS#7) only")]
    Kind(u8),
    /// A field that the kernel requires to be zero is not.
    #[error("the signature's trailer holds values that the kernel refuses")]
    Reserved,
}

/// Takes a module file apart as the kernel does (`module_sig_check` in kernel/module/signing.c).
///
/// # Errors
/// [`SignatureError`] when the file ends in the signature marker and the trailer before it is wrong.
pub fn split(bytes: &[u8]) -> Result<Split<'_>, SignatureError> {
    let Some(rest) = bytes.strip_suffix(MARKER) else {
        return Ok(Split { body: bytes, pkcs7: None });
    };
    let (rest, trailer) = rest.split_last_chunk::<TRAILER>().ok_or(SignatureError::NoTrailer)?;
    let [algo, hash, kind, signer_len, key_id_len, pad @ .., a, b, c, d] = trailer;
    if *kind != PKEY_ID_PKCS7 {
        return Err(SignatureError::Kind(*kind));
    }
    if [algo, hash, signer_len, key_id_len].into_iter().chain(pad).any(|byte| *byte != 0) {
        return Err(SignatureError::Reserved);
    }
    let claimed = u32::from_be_bytes([*a, *b, *c, *d]);
    let wrong = SignatureError::Length { claimed, available: rest.len() };
    let at = usize::try_from(claimed).ok().and_then(|length| rest.len().checked_sub(length));
    let (body, pkcs7) = at.and_then(|at| rest.split_at_checked(at)).ok_or(wrong)?;
    Ok(Split { body, pkcs7: Some(pkcs7) })
}

/// The signed module: body, message, trailer, marker. `None` when the message's length does not fit into 32 bits.
pub(crate) fn append(body: &[u8], pkcs7: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(pkcs7.len()).ok()?;
    let mut trailer = [0; TRAILER];
    trailer[ID_TYPE] = PKEY_ID_PKCS7;
    trailer[SIG_LEN..].copy_from_slice(&length.to_be_bytes());
    Some([body, pkcs7, &trailer, MARKER].concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_split_off() {
        let signed = append(b"body", b"message").unwrap();
        assert_eq!(split(&signed).unwrap(), Split { body: b"body", pkcs7: Some(b"message") });
        assert_eq!(split(b"body").unwrap(), Split { body: b"body", pkcs7: None });
        assert_eq!(split(b"").unwrap().pkcs7, None);
    }

    #[test]
    fn trailer_is_checked_as_the_kernel_checks_it() {
        let signed = append(b"body", b"message").unwrap();
        let trailer = signed.len() - MARKER.len() - TRAILER;
        let with = |at: usize, value: u8| {
            let mut bytes = signed.clone();
            bytes[trailer + at] = value;
            split(&bytes).map(|parts| parts.body.len())
        };
        assert_eq!(with(ID_TYPE, 1), Err(SignatureError::Kind(1)));
        for at in [0, 1, 3, 4, 5, 6, 7] {
            assert_eq!(with(at, 1), Err(SignatureError::Reserved), "byte {at}");
        }
        assert_eq!(with(11, 12), Err(SignatureError::Length { claimed: 12, available: 11 }));
        assert_eq!(with(8, 0xff), Err(SignatureError::Length { claimed: 0xff00_0007, available: 11 }));
    }

    #[test]
    fn marker_alone_is_no_signature() {
        assert_eq!(split(MARKER), Err(SignatureError::NoTrailer));
        assert_eq!(split(&[&[0; 11], MARKER].concat()), Err(SignatureError::NoTrailer));
    }
}
