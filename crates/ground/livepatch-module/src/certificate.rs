//! The certificate that names a module's signing key (RFC 5280).

use crate::pkcs7::{IssuerAndSerialNumber, RSA_ENCRYPTION};
use der::{Decode, Document, Encode, asn1::ObjectIdentifier, pem::LineEnding};
use rsa::sha2::{Digest, Sha256};
use rsa::{PublicKey, pkcs8::DecodePublicKey, traits::PublicKeyParts};
use std::fmt;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;

/// The label of a PEM block that holds a certificate (RFC 7468, section 5).
const LABEL: &str = "CERTIFICATE";

/// `sha256WithRSAEncryption` (RFC 4055, section 5).
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// RSA moduli, in bits, that every supported kernel takes (crypto/rsa.c, `rsa_check_key_length`) and that are not
/// too short to trust.
const MODULUS_BITS: [usize; 3] = [2048, 3072, 4096];

/// An X.509 certificate with an RSA key. Equal certificates have equal DER bytes.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    pem: String,
    parsed: x509_cert::Certificate,
    key: PublicKey,
}

/// Why bytes or text are no certificate that can vouch for a module.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not one PEM block with the label `CERTIFICATE`.
    #[error("not a certificate in PEM form")]
    Pem(#[source] der::Error),
    /// Not an X.509 certificate in DER.
    #[error("not an X.509 certificate")]
    Der(#[source] der::Error),
    /// The key is of another algorithm, or unreadable.
    #[error(
        "the certificate's key is not an RSA key, and only RSA signatures are taken by every supported kernel"
    )]
    Algorithm,
    /// An RSA key of a size that kernels refuse or that is too short.
    #[error("the certificate's RSA key has {0} bits; 2048, 3072 or 4096 expected")]
    KeySize(usize),
}

impl Certificate {
    /// Reads a certificate from one PEM block.
    ///
    /// # Errors
    /// [`CertificateError`]: not PEM, not a certificate, or not one with a usable RSA key.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let (label, document) = Document::from_pem(pem).map_err(CertificateError::Pem)?;
        if label != LABEL {
            let unexpected = der::pem::Error::UnexpectedTypeLabel { expected: LABEL };
            return Err(CertificateError::Pem(unexpected.into()));
        }
        Self::from_der(document.as_bytes())
    }

    /// Reads a certificate from DER; bytes behind it are refused.
    ///
    /// # Errors
    /// [`CertificateError`]: not a certificate, or not one with a usable RSA key.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(CertificateError::Der)?;
        let info = parsed.tbs_certificate().subject_public_key_info();
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(CertificateError::Algorithm);
        }
        let info = info.to_der().map_err(CertificateError::Der)?;
        let key = PublicKey::from_public_key_der(&info).map_err(|_| CertificateError::Algorithm)?;
        let bits = key.n().bit_width() as usize;
        if !MODULUS_BITS.contains(&bits) {
            return Err(CertificateError::KeySize(bits));
        }
        let pem = der::pem::encode_string(LABEL, LineEnding::LF, der)
            .map_err(|error| CertificateError::Pem(error.into()))?;
        Ok(Self { der: der.to_vec(), pem, parsed, key })
    }

    /// One PEM block, lines ended by `\n`.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The DER bytes, exactly as they were read.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER bytes.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// The subject's distinguished name as RFC 4514 writes it, such as `CN=Example,O=Open Livepatch`.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// How the kernel's keyrings name this certificate, in hexadecimal: its subject key identifier, or its serial number when
    /// it has none (crypto/asymmetric_keys/x509_public_key.c, `x509_key_preparse`).
    pub fn key_id(&self) -> String {
        let body = self.parsed.tbs_certificate();
        match body.get_extension::<SubjectKeyIdentifier>() {
            Ok(Some((_, identifier))) => hex::encode(identifier.0.as_bytes()),
            _ => hex::encode(body.serial_number().as_bytes()),
        }
    }

    /// SHA-256 of the part that is signed, in hexadecimal: how the kernel's list of refused certificates names it.
    pub fn signed_part_digest(&self) -> String {
        let signed = self.parsed.tbs_certificate().to_der().unwrap_or_default();
        hex::encode(Sha256::digest(signed))
    }

    /// Whether it may certify signing keys: an authority by its basic constraints, whose key may sign certificates
    /// (RFC 5280, sections 4.2.1.9 and 4.2.1.3).
    pub fn is_authority(&self) -> bool {
        let body = self.parsed.tbs_certificate();
        let authority =
            matches!(body.get_extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca);
        let may_certify = match body.get_extension::<KeyUsage>() {
            Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
            Err(_) => false,
        };
        authority && may_certify
    }

    /// Whether its subject issued it to itself.
    pub fn is_self_issued(&self) -> bool {
        let body = self.parsed.tbs_certificate();
        body.subject() == body.issuer()
    }

    /// The issuer's distinguished name, as [`Certificate::subject`] writes the subject's.
    pub fn issuer(&self) -> String {
        self.parsed.tbs_certificate().issuer().to_string()
    }

    /// Whether this authority issued `certificate`, to a key that is no authority itself: named as its issuer, with a
    /// signature of its key. Dates are not judged, as the kernel does not for modules.
    pub fn issued(&self, certificate: &Self) -> bool {
        let body = certificate.parsed.tbs_certificate();
        let named = self.is_authority()
            && !certificate.is_authority()
            && body.issuer() == self.parsed.tbs_certificate().subject()
            && certificate.parsed.signature_algorithm().oid == SHA256_WITH_RSA;
        let (Ok(signed), Some(signature)) = (body.to_der(), certificate.parsed.signature().as_bytes()) else {
            return false;
        };
        named && self.key.pkcs1v15_verify::<Sha256>(&signed, signature).is_ok()
    }

    /// The subject's distinguished name.
    pub(crate) fn name(&self) -> Name {
        self.parsed.tbs_certificate().subject().clone()
    }

    /// How a signature names this certificate.
    pub(crate) fn signer_id(&self) -> IssuerAndSerialNumber {
        let body = self.parsed.tbs_certificate();
        IssuerAndSerialNumber { issuer: body.issuer().clone(), serial_number: body.serial_number().clone() }
    }

    /// The certified key.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject(), hex::encode(self.fingerprint()))
    }
}
