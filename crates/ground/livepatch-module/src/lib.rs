//! What a kernel module file is: its modinfo, its livepatch metadata and its appended signature.
//!
//! Pure: bytes in, bytes out. No file is opened and no clock is read; randomness is taken from the system only where a
//! key is generated. Nothing here runs OpenSSL: the builder signs and the client verifies with the same code, so that
//! a client can say *why* a module is refused where the kernel has only an errno.
//!
//! # The file
//!
//! A module (`.ko`) is a relocatable ELF file. [`Module`] reads the parts that this project decides by: the `.modinfo`
//! strings and the livepatch relocations and symbols (Documentation/livepatch/module-elf-format.rst). It takes the same
//! section that the kernel takes when there are several of a name (kernel/module/main.c, `find_sec`, and `get_modinfo`).
//!
//! # The signature
//!
//! ```text
//! ELF file | PKCS#7 message (DER) | trailer, 12 bytes | "~Module signature appended~\n"
//! ```
//!
//! The trailer is `struct module_signature` (include/linux/module_signature.h; checked in kernel/module_signature.c,
//! `mod_check_sig`): algo 0, hash 0, id_type 2 (`PKEY_ID_PKCS7`), signer_len 0, key_id_len 0, three zero bytes, and the
//! length of the message as a big-endian 32-bit number. What kernel/module/signing.c verifies is everything before the
//! message. The message is what `scripts/sign-file.c` writes, byte for byte:
//!
//! * `SignedData` version 1, detached, one signer named by issuer and serial number, no certificates but that of a
//!   signer whose key an authority certified;
//! * **no signed attributes**: the kernel refuses a module that has them (crypto/asymmetric_keys/pkcs7_verify.c,
//!   `VERIFYING_MODULE_SIGNATURE`);
//! * RSA, PKCS#1 v1.5, SHA-256, with the plain `rsaEncryption` algorithm identifier: the kernel's parser knows no other
//!   for RSA (pkcs7_parser.c, `pkcs7_sig_note_pkey_algo`). SHA-512 and ECDSA are not built into every supported kernel.
//!
//! [`verify`] accepts this form and no other; anything else that is well-formed is [`VerifyError::Unsupported`]. Chains
//! have two links at most: the signer's own certificate is among the trusted ones, or it travels inside the message and
//! one of the trusted ones is the authority that issued it, which is what the kernel makes of it too
//! (crypto/asymmetric_keys/pkcs7_trust.c, `pkcs7_validate_trust_one`). So one long-lived authority is enrolled on
//! machines, and the keys below it change. Validity dates are not judged, as the kernel does not either.

mod certificate;
mod issue;
mod klp;
mod module;
mod pkcs7;
mod replacements;
mod sign;
mod signing_key;
mod trailer;
mod verify;

pub use certificate::{Certificate, CertificateError};
pub use klp::{KlpRelocation, KlpRelocations, KlpSymbol};
pub use module::{Module, ModuleError};
pub use replacements::{Replacement, Replacements, TableForm};
pub use sign::{SignError, sign, sign_with};
pub use signing_key::{KeyError, KeySize, SigningKey};
pub use trailer::{SignatureError, Split, split};
pub use verify::{Signer, VerifyError, verify};
