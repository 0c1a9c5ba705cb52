//! Certificates for new keys (RFC 5280): a module key by itself, an authority, and a module key below an authority.

use crate::certificate::Certificate;
use crate::signing_key::KeyError;
use der::asn1::{Any, ObjectIdentifier, Utf8StringRef};
use der::{Decode, Encode};
use getrandom::{SysRng, rand_core::TryRng};
use rsa::pkcs8::EncodePublicKey;
use rsa::{PrivateKey, pkcs1v15, sha2::Sha256};
use std::time::{Duration, SystemTime};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::{self, Builder, CertificateBuilder, profile::BuilderProfile};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

/// The organisation in every certificate that is generated here.
const ORGANISATION: &str = "Open Livepatch";
/// `id-at-organizationName` (RFC 5280, appendix A.1).
const ORGANISATION_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
/// `id-at-commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// `ub-common-name` (RFC 5280, appendix A.1): characters in a common name.
const LONGEST_COMMON_NAME: usize = 64;
/// Random bytes of a serial number: 127 bits, more than the 64 that the CA/Browser Forum asks for, and within the 20
/// bytes of RFC 5280.
const SERIAL_BYTES: usize = 16;
/// Of 365.25 days.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60 + 6 * 60 * 60);
const MODULE_KEY_YEARS: u32 = 10;
const AUTHORITY_YEARS: u32 = 30;
const CERTIFIED_YEARS: u32 = 2;

/// The self-signed certificate of a key that signs modules.
pub(crate) fn module_key(
    key: &PrivateKey,
    common_name: &str,
    now: SystemTime,
) -> Result<Certificate, KeyError> {
    let purpose = Purpose { subject: subject(common_name)?, issuer: None, authority: false };
    issue(key, key, purpose, now, MODULE_KEY_YEARS)
}

/// The self-signed certificate of an authority.
pub(crate) fn authority(
    key: &PrivateKey,
    common_name: &str,
    now: SystemTime,
) -> Result<Certificate, KeyError> {
    let purpose = Purpose { subject: subject(common_name)?, issuer: None, authority: true };
    issue(key, key, purpose, now, AUTHORITY_YEARS)
}

/// The certificate of a key that signs modules, by an authority.
pub(crate) fn certified(
    key: &PrivateKey,
    authority_key: &PrivateKey,
    authority: &Certificate,
    common_name: &str,
    now: SystemTime,
) -> Result<Certificate, KeyError> {
    let (subject, issuer) = (subject(common_name)?, authority.name());
    // By its names alone it would be taken for a self-signed one.
    if subject == issuer {
        return Err(KeyError::CommonName(common_name.to_owned()));
    }
    let purpose = Purpose { subject, issuer: Some(issuer), authority: false };
    issue(key, authority_key, purpose, now, CERTIFIED_YEARS)
}

fn issue(
    key: &PrivateKey,
    issuer_key: &PrivateKey,
    purpose: Purpose,
    now: SystemTime,
    years: u32,
) -> Result<Certificate, KeyError> {
    let serial = random_serial()?;
    let build = || -> builder::Result<Vec<u8>> {
        let public = key.as_public_key().to_public_key_der()?;
        let public = SubjectPublicKeyInfoOwned::try_from(public.as_bytes())?;
        let signer = pkcs1v15::SigningKey::<Sha256>::new(issuer_key.clone());
        let certificate = CertificateBuilder::new(purpose, serial, validity(now, years)?, public)?
            .build::<_, pkcs1v15::Signature>(&signer)?;
        Ok(certificate.to_der()?)
    };
    Ok(Certificate::from_der(&build().map_err(KeyError::Build)?)?)
}

/// What a certificate is for, and nothing more goes into it.
struct Purpose {
    subject: Name,
    /// None for a self-signed one.
    issuer: Option<Name>,
    authority: bool,
}

impl BuilderProfile for Purpose {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.issuer.clone().unwrap_or_else(|| subject.clone())
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let subject = certificate.subject();
        // Certified keys certify nothing further.
        let constraints =
            BasicConstraints { ca: self.authority, path_len_constraint: self.authority.then_some(0) };
        let usage = if self.authority { KeyUsages::KeyCertSign } else { KeyUsages::DigitalSignature };
        let mut extensions = vec![
            constraints.to_extension(subject, &[])?,
            KeyUsage(usage.into()).to_extension(subject, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &[])?,
        ];
        if self.issuer.is_some() {
            // By this the kernel finds the issuer in its keyring.
            extensions.push(AuthorityKeyIdentifier::try_from(issuer_key)?.to_extension(subject, &[])?);
        }
        Ok(extensions)
    }
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

fn validity(now: SystemTime, years: u32) -> der::Result<Validity> {
    let end = now.checked_add(YEAR * years).ok_or(der::ErrorKind::DateTime)?;
    Ok(Validity::new(Time::try_from(now)?, Time::try_from(end)?))
}

fn random_serial() -> Result<SerialNumber, KeyError> {
    let mut bytes = [0; SERIAL_BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(KeyError::Random)?;
    // Positive, and never with a leading zero byte, so that every serial number has the same length.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes).map_err(|error| KeyError::Build(error.into()))
}
