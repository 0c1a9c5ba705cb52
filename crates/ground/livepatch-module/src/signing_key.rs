//! The private key that signs modules, with its certificate.

use crate::certificate::{Certificate, CertificateError};
use crate::issue;
use der::pem::LineEnding;
use getrandom::SysRng;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::{PrivateKey, sha2::Sha256};
use std::fmt;
use std::time::SystemTime;
use x509_cert::builder;
use zeroize::Zeroizing;

/// Size of an RSA modulus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySize {
    /// 2048 bits: quick to generate, for tests.
    Rsa2048,
    /// 3072 bits.
    Rsa3072,
    /// 4096 bits, the largest that kernels take (crypto/rsa.c).
    #[default]
    Rsa4096,
}

/// An RSA key and the certificate by which kernels and clients know it.
pub struct SigningKey {
    key: PrivateKey,
    certificate: Certificate,
}

/// Why a signing key cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The common name is empty, too long, or holds control characters.
    #[error("'{0}' cannot be a certificate's common name: 1 to 64 printable characters expected")]
    CommonName(String),
    /// The system has no random numbers to give.
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    /// The key could not be generated.
    #[error("the RSA key could not be generated")]
    Generate(#[source] rsa::Error),
    /// The certificate could not be built; also when `now` lies before 1970 or after 9989.
    #[error("the certificate could not be built")]
    Build(#[source] builder::Error),
    /// Not one PEM block with the label `PRIVATE KEY` that holds an RSA key.
    #[error(
        "not an unencrypted RSA private key in PKCS#8 PEM form (convert with: openssl pkcs8 -topk8 -nocrypt -in KEY)"
    )]
    PrivateKey(#[source] rsa::pkcs8::Error),
    /// The certificate is unusable.
    #[error("the signing key's certificate is unusable")]
    Certificate(#[from] CertificateError),
    /// Only an authority certifies keys.
    #[error(
        "the certificate '{0}' is not that of an authority: make one with `livepatch-build key authority`"
    )]
    NoAuthority(String),
    /// Key and certificate are not a pair.
    #[error("the private key is not the one that the certificate '{0}' certifies")]
    Mismatch(String),
}

impl SigningKey {
    /// A fresh RSA-4096 key with a self-signed certificate: subject `O=Open Livepatch, CN=common_name`, valid for ten
    /// years from `now`, for digital signatures only and no certificate authority (as certs/default_x509.genkey of the
    /// kernel tree asks for a module key). Takes seconds.
    ///
    /// # Errors
    /// [`KeyError`]: an unusable name or time, or no randomness.
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        Self::generate_sized(KeySize::default(), common_name, now)
    }

    /// As [`SigningKey::generate`], with a key of the given size.
    ///
    /// # Errors
    /// [`KeyError`]: an unusable name or time, or no randomness.
    pub fn generate_sized(size: KeySize, common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        Self::make(size, |key| issue::module_key(key, common_name, now))
    }

    /// A fresh key with a self-signed certificate, valid for thirty years from `now`, that certifies signing keys and
    /// signs nothing else: the one that machines trust while the keys below it change.
    ///
    /// # Errors
    /// [`KeyError`]: an unusable name or time, or no randomness.
    pub fn authority(size: KeySize, common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        Self::make(size, |key| issue::authority(key, common_name, now))
    }

    /// A fresh key for signing modules that this authority certifies, for two years from `now`.
    ///
    /// # Errors
    /// [`KeyError`]: this is no authority's key, an unusable name or time, or no randomness.
    pub fn certify(&self, size: KeySize, common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        if !self.certificate.is_authority() {
            return Err(KeyError::NoAuthority(self.certificate.subject()));
        }
        Self::make(size, |key| issue::certified(key, &self.key, &self.certificate, common_name, now))
    }

    fn make(
        size: KeySize,
        certify: impl FnOnce(&PrivateKey) -> Result<Certificate, KeyError>,
    ) -> Result<Self, KeyError> {
        let key = PrivateKey::new(&mut SysRng, size.bits()).map_err(KeyError::Generate)?;
        let certificate = certify(&key)?;
        Ok(Self { key, certificate })
    }

    /// Reads a key (PKCS#8, unencrypted) and its certificate, both in PEM form, and checks that they are a pair.
    ///
    /// # Errors
    /// [`KeyError`]: either is unreadable, or they do not belong together.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_pkcs8_pem(key_pem).map_err(KeyError::PrivateKey)?;
        let certificate = Certificate::from_pem(certificate_pem)?;
        if key.as_public_key() != certificate.key() {
            return Err(KeyError::Mismatch(certificate.subject()));
        }
        Ok(Self { key, certificate })
    }

    /// The private key as PKCS#8 in PEM form, not encrypted; wiped from memory when dropped.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`] when the key cannot be encoded, which a key made here can.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(KeyError::PrivateKey)
    }

    /// The certificate to enrol, register and trust.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// PKCS#1 v1.5 signature over SHA-256 of `message`.
    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, rsa::Error> {
        self.key.pkcs1v15_sign::<Sha256>(message)
    }
}

impl KeySize {
    fn bits(self) -> usize {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

/// Names the certificate and hides the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
