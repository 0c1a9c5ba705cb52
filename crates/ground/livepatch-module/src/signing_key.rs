//! The private key that signs modules, with its certificate.

use crate::certificate::{Certificate, CertificateError};
use der::asn1::{Any, ObjectIdentifier, Utf8StringRef};
use der::{Decode, Encode, pem::LineEnding};
use getrandom::{SysRng, rand_core::TryRng};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use rsa::{PrivateKey, pkcs1v15, sha2::Sha256};
use std::fmt;
use std::time::{Duration, SystemTime};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::{self, Builder, CertificateBuilder, profile::BuilderProfile};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};
use zeroize::Zeroizing;

/// The organisation in every certificate that is generated here.
const ORGANISATION: &str = "Open Livepatch";
/// `id-at-organizationName` (RFC 5280, appendix A.1).
const ORGANISATION_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
/// `id-at-commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// `ub-common-name` (RFC 5280, appendix A.1): characters in a common name.
const LONGEST_COMMON_NAME: usize = 64;
/// Ten years, of 365.25 days.
const VALIDITY: Duration = Duration::from_secs(3652 * 24 * 60 * 60 + 12 * 60 * 60);
/// Random bytes of a serial number: 127 bits, more than the 64 that the CA/Browser Forum asks for, and within the 20
/// bytes of RFC 5280.
const SERIAL_BYTES: usize = 16;

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
        let subject = subject(common_name)?;
        let validity = validity(now).map_err(|error| KeyError::Build(error.into()))?;
        let key = PrivateKey::new(&mut SysRng, size.bits()).map_err(KeyError::Generate)?;
        let certificate = self_sign(&key, subject, random_serial()?, validity).map_err(KeyError::Build)?;
        let der = certificate.to_der().map_err(|error| KeyError::Build(error.into()))?;
        Ok(Self { key, certificate: Certificate::from_der(&der)? })
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

/// What goes into a module key's certificate, and nothing more.
struct ModuleKey {
    subject: Name,
}

impl BuilderProfile for ModuleKey {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let subject = certificate.subject();
        let constraints = BasicConstraints { ca: false, path_len_constraint: None };
        let usage = KeyUsage(KeyUsages::DigitalSignature.into());
        Ok(vec![
            constraints.to_extension(subject, &[])?,
            usage.to_extension(subject, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &[])?,
        ])
    }
}

fn self_sign(
    key: &PrivateKey,
    subject: Name,
    serial: SerialNumber,
    validity: Validity,
) -> builder::Result<x509_cert::Certificate> {
    let public = key.as_public_key().to_public_key_der()?;
    let public = SubjectPublicKeyInfoOwned::try_from(public.as_bytes())?;
    let signer = pkcs1v15::SigningKey::<Sha256>::new(key.clone());
    CertificateBuilder::new(ModuleKey { subject }, serial, validity, public)?
        .build::<_, pkcs1v15::Signature>(&signer)
}

/// `O=Open Livepatch, CN=common_name`, built from its parts: parsing a string would give some characters a meaning.
fn subject(common_name: &str) -> Result<Name, KeyError> {
    let length = common_name.chars().count();
    if !(1..=LONGEST_COMMON_NAME).contains(&length) || common_name.chars().any(char::is_control) {
        return Err(KeyError::CommonName(common_name.escape_debug().take(LONGEST_COMMON_NAME * 2).collect()));
    }
    name(&[(ORGANISATION_NAME, ORGANISATION), (COMMON_NAME, common_name)])
        .map_err(|error| KeyError::Build(error.into()))
}

fn name(attributes: &[(ObjectIdentifier, &str)]) -> der::Result<Name> {
    let mut names = RdnSequence::default();
    for (oid, text) in attributes {
        let value = Any::from(Utf8StringRef::new(text)?);
        names.push(RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid: *oid, value }])?);
    }
    Name::from_der(&names.to_der()?)
}

fn validity(now: SystemTime) -> der::Result<Validity> {
    let end = now.checked_add(VALIDITY).ok_or(der::ErrorKind::DateTime)?;
    Ok(Validity::new(Time::try_from(now)?, Time::try_from(end)?))
}

fn random_serial() -> Result<SerialNumber, KeyError> {
    let mut bytes = [0; SERIAL_BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(KeyError::Random)?;
    // Positive, and never with a leading zero byte, so that every serial number has the same length.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes).map_err(|error| KeyError::Build(error.into()))
}
