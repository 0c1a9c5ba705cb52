//! The PKCS#7 message of a module signature: the part of RFC 5652 (CMS) that the kernel's parser reads
//! (crypto/asymmetric_keys/pkcs7.asn1).
//!
//! Derived here and not taken from a CMS library, since such a library always adds signed attributes, which the kernel
//! refuses in a module's signature.

use der::asn1::{Any, Null, ObjectIdentifier, OctetString, SetOfVec};
use der::{Choice, Decode, Encode, Sequence, ValueOrd};
use x509_cert::{name::Name, serial_number::SerialNumber, spki::AlgorithmIdentifierOwned};

/// `id-data` (RFC 5652, section 4).
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `id-signedData` (RFC 5652, section 5.1).
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `rsaEncryption` (RFC 8017, appendix A.1).
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-sha256` (RFC 5754, section 2.2).
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// `CMSVersion` of both structures when the signer is named by issuer and serial number.
const VERSION: u8 = 1;

/// `ContentInfo` (RFC 5652, section 3).
#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

/// `SignedData` (section 5.1).
#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    encap_content_info: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    crls: Option<SetOfVec<Any>>,
    signer_infos: SetOfVec<SignerInfo>,
}

/// `EncapsulatedContentInfo` (section 5.2).
#[derive(Sequence)]
struct EncapsulatedContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    content: Option<Any>,
}

/// `SignerInfo` (section 5.3).
#[derive(Clone, Sequence, ValueOrd)]
struct SignerInfo {
    version: u8,
    sid: SignerIdentifier,
    digest_algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    signed_attrs: Option<SetOfVec<Any>>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: OctetString,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    unsigned_attrs: Option<SetOfVec<Any>>,
}

/// `SignerIdentifier` (section 5.3).
#[derive(Clone, Choice, ValueOrd)]
enum SignerIdentifier {
    IssuerAndSerialNumber(IssuerAndSerialNumber),
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    SubjectKeyIdentifier(OctetString),
}

/// `IssuerAndSerialNumber` (section 10.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
pub(crate) struct IssuerAndSerialNumber {
    pub(crate) issuer: Name,
    pub(crate) serial_number: SerialNumber,
}

/// What a message says, once it is known to be of the one form that this crate reads.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) signer: IssuerAndSerialNumber,
    /// PKCS#1 v1.5 over SHA-256 of the module's body.
    pub(crate) signature: Vec<u8>,
    /// DER of the signer's certificate, when it travels with the signature: the kernel follows it to its issuer.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// Why a message is not of that form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("it is not DER: {0}")]
    Der(#[from] der::Error),
    #[error("it is not in the canonical encoding")]
    NotCanonical,
    #[error("it names no signer")]
    NoSigner,
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Message {
    /// The message in DER, as `scripts/sign-file.c` writes it, and with a certificate as `openssl cms -noattr` does.
    pub(crate) fn to_der(&self) -> der::Result<Vec<u8>> {
        // OpenSSL leaves the parameters of SHA-256 out (RFC 5754, section 2) and writes a NULL for RSA (RFC 3370).
        let digest_algorithm = AlgorithmIdentifierOwned { oid: SHA256, parameters: None };
        let signature_algorithm =
            AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Any::from(Null)) };
        let signer = SignerInfo {
            version: VERSION,
            sid: SignerIdentifier::IssuerAndSerialNumber(self.signer.clone()),
            digest_algorithm: digest_algorithm.clone(),
            signed_attrs: None,
            signature_algorithm,
            signature: OctetString::new(self.signature.as_slice())?,
            unsigned_attrs: None,
        };
        let signed = SignedData {
            version: VERSION,
            digest_algorithms: SetOfVec::try_from([digest_algorithm])?,
            encap_content_info: EncapsulatedContentInfo { content_type: DATA, content: None },
            certificates: self.certificate.as_deref().map(certificates).transpose()?,
            crls: None,
            signer_infos: SetOfVec::try_from([signer])?,
        };
        ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
    }

    /// Reads a message; bytes behind it and any encoding but DER are refused.
    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self, MessageError> {
        let info = ContentInfo::from_der(bytes)?;
        require(info.content_type == SIGNED_DATA, "the message is not signed data")?;
        let signed: SignedData = info.content.decode_as()?;
        let canonical =
            ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()?;
        // Two files with the same content would otherwise have different digests and both be "signed".
        if canonical != bytes {
            return Err(MessageError::NotCanonical);
        }
        signed.into_message()
    }
}

impl SignedData {
    fn into_message(self) -> Result<Message, MessageError> {
        require(self.version == VERSION, "signed data of another version than 1")?;
        require(self.encap_content_info.content_type == DATA, "content that is not plain data")?;
        require(self.encap_content_info.content.is_none(), "content inside the signature")?;
        let certificate = match self.certificates.as_ref().map(SetOfVec::as_slice) {
            None => None,
            Some([certificate]) => Some(certificate.to_der()?),
            Some(_) => return Err(MessageError::Unsupported("several certificates inside the signature")),
        };
        require(self.crls.is_none(), "revocation lists inside the signature")?;
        let [signer] = self.signer_infos.as_slice() else {
            require(self.signer_infos.is_empty(), "more than one signer")?;
            return Err(MessageError::NoSigner);
        };
        require(self.digest_algorithms.as_slice() == [signer.digest_algorithm.clone()], "several digests")?;
        signer.clone().into_message(certificate)
    }
}

impl SignerInfo {
    fn into_message(self, certificate: Option<Vec<u8>>) -> Result<Message, MessageError> {
        require(self.version == VERSION, "signer information of another version than 1")?;
        require(self.signed_attrs.is_none(), "signed attributes, which the kernel refuses in a module")?;
        require(self.unsigned_attrs.is_none(), "unsigned attributes")?;
        let null = |parameters: &Option<Any>| parameters.as_ref().is_some_and(|any| *any == Any::from(Null));
        let digest = &self.digest_algorithm;
        let plain = digest.parameters.is_none() || null(&digest.parameters);
        require(digest.oid == SHA256 && plain, "another digest than SHA-256")?;
        let algorithm = &self.signature_algorithm;
        let rsa = algorithm.oid == RSA_ENCRYPTION && null(&algorithm.parameters);
        require(rsa, "another signature algorithm than rsaEncryption")?;
        let SignerIdentifier::IssuerAndSerialNumber(signer) = self.sid else {
            return Err(MessageError::Unsupported("a signer named by its key identifier"));
        };
        Ok(Message { signer, signature: self.signature.into_bytes().into_vec(), certificate })
    }
}

/// `CertificateSet` (section 10.2.3) of one.
fn certificates(der: &[u8]) -> der::Result<SetOfVec<Any>> {
    SetOfVec::try_from([Any::from_der(der)?])
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), MessageError> {
    if holds { Ok(()) } else { Err(MessageError::Unsupported(otherwise)) }
}
