//! Makes module-signing keys and signs built livepatches.

use crate::pipeline::{MANIFEST, module_path};
use crate::provenance::{PROVENANCE, Statement};
use crate::token::{self, TokenUri};
use livepatch_manifest::{Digest, Manifest, ManifestError};
use livepatch_module::{Certificate, KeyError, KeySize, SignError, SigningKey};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";

/// Why a key cannot be made or a module not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key is unusable.
    #[error("the signing key cannot be used")]
    Key(#[from] KeyError),
    /// The module cannot be signed.
    #[error("the module cannot be signed")]
    Sign(#[from] SignError),
    /// Machines do not know the certificate of a key that an authority certified.
    #[error(
        "'{issuer}' issued the certificate '{subject}': say where its own certificate is, which machines trust \
         (--authority CERTIFICATE)"
    )]
    AuthorityMissing {
        /// Of the signing key's certificate.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// Machines that trust that authority would not take the module.
    #[error("'{authority}' is not the authority that issued the certificate '{subject}'")]
    OtherAuthority {
        /// Of the signing key's certificate.
        subject: String,
        /// The one that was given.
        authority: String,
    },
    /// The manifest cannot be read or written.
    #[error("the manifest beside the module cannot be used")]
    Manifest(#[from] ManifestError),
    /// The provenance cannot be read or written.
    #[error("the provenance beside the module cannot be used")]
    Provenance(#[from] serde_json::Error),
    /// The module is not the one that the manifest speaks of.
    #[error("{} is not the module that its manifest describes: build it again", .0.display())]
    OtherModule(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Where the signing key is.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// In a PEM file.
    Pem(&'a Path),
    /// In a PKCS#11 token.
    Token {
        /// Which.
        uri: &'a TokenUri,
        /// The library that speaks to the token, when not the usual one.
        library: Option<&'a Path>,
    },
}

/// A key with its certificate.
enum Signer<'a> {
    Pem(Box<SigningKey>),
    Token { uri: &'a TokenUri, library: Option<&'a Path>, certificate: Box<Certificate> },
}

impl<'a> Signer<'a> {
    fn read(key: &Key<'a>, certificate: &Path) -> Result<Self, SigningError> {
        Ok(match key {
            Key::Pem(key) => Self::Pem(Box::new(SigningKey::from_pem(&read(key)?, &read(certificate)?)?)),
            Key::Token { uri, library } => {
                let certificate = Certificate::from_pem(&read(certificate)?).map_err(KeyError::from)?;
                Self::Token { uri, library: *library, certificate: Box::new(certificate) }
            }
        })
    }

    fn certificate(&self) -> &Certificate {
        match self {
            Self::Pem(key) => key.certificate(),
            Self::Token { certificate, .. } => certificate,
        }
    }

    fn sign(&self, module: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Pem(key) => livepatch_module::sign(module, key),
            Self::Token { uri, library, certificate } => token::sign(module, certificate, uri, *library),
        }
    }
}

/// What a new key is for.
#[derive(Clone, Copy, Debug)]
pub enum NewKey<'a> {
    /// Signs modules by itself.
    Module,
    /// Signs modules; certified by the authority whose key.pem and cert.pem are in this folder.
    CertifiedBy(&'a Path),
    /// Certifies keys.
    Authority,
}

impl NewKey<'_> {
    fn make(self, common_name: &str) -> Result<SigningKey, SigningError> {
        let (size, now) = (KeySize::default(), SystemTime::now());
        Ok(match self {
            Self::Module => SigningKey::generate_sized(size, common_name, now)?,
            Self::Authority => SigningKey::authority(size, common_name, now)?,
            Self::CertifiedBy(folder) => {
                let read = |name: &str| read(&folder.join(name));
                let authority = SigningKey::from_pem(&read(KEY)?, &read(CERTIFICATE)?)?;
                authority.certify(size, common_name, now)?
            }
        })
    }
}

/// Makes a key pair and its certificate: `key.pem` (readable by its owner only) and `cert.pem` in a folder. An existing
/// key is not overwritten.
///
/// # Errors
/// [`SigningError`] when a file exists or cannot be written, or the authority is none.
pub fn generate(
    new: NewKey<'_>,
    common_name: &str,
    folder: &Path,
) -> Result<(PathBuf, PathBuf), SigningError> {
    let key = new.make(common_name)?;
    std::fs::create_dir_all(folder).map_err(file_error(folder))?;
    let (key_path, certificate_path) = (folder.join(KEY), folder.join(CERTIFICATE));
    // Half a pair would be in the way of the next attempt.
    if let Some(existing) = [&key_path, &certificate_path].into_iter().find(|path| path.exists()) {
        return Err(file_error(existing)(std::io::ErrorKind::AlreadyExists.into()));
    }
    let write = |path: &Path, mode: u32, text: &str| {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    };
    write(&key_path, 0o600, &key.key_pem()?).map_err(file_error(&key_path))?;
    write(&certificate_path, 0o644, key.certificate().to_pem()).map_err(file_error(&certificate_path))?;
    Ok((key_path, certificate_path))
}

/// The certificate by which machines know the signer: the authority's, or the signer's own where there is none.
fn vouching(signer: &Certificate, authority: Option<&Path>) -> Result<Certificate, SigningError> {
    let subject = signer.subject();
    match authority {
        None if signer.is_self_issued() => Ok(signer.clone()),
        None => Err(SigningError::AuthorityMissing { subject, issuer: signer.issuer() }),
        Some(path) => {
            let authority = Certificate::from_pem(&read(path)?).map_err(KeyError::from)?;
            // Machines may also know the signer itself, whoever issued its certificate.
            if authority.issued(signer) || authority == *signer {
                Ok(authority)
            } else {
                Err(SigningError::OtherAuthority { subject, authority: authority.subject() })
            }
        }
    }
}

/// Signs the module of a build folder in place and notes in the manifest beside it who vouches for it: the authority whose
/// certificate is in the file `authority`, which issued the signer's, or the signer itself.
///
/// # Errors
/// [`SigningError`]; the files are then as they were.
pub fn sign(
    folder: &Path,
    key: &Key<'_>,
    certificate: &Path,
    authority: Option<&Path>,
) -> Result<Manifest, SigningError> {
    let signer = Signer::read(key, certificate)?;
    let vouching = vouching(signer.certificate(), authority)?;
    let manifest_path = folder.join(MANIFEST);
    let bytes = std::fs::read(&manifest_path).map_err(file_error(&manifest_path))?;
    let mut manifest = Manifest::parse(&bytes)?;
    let module_path = module_path(folder, &manifest.name);
    let module = std::fs::read(&module_path).map_err(file_error(&module_path))?;
    if Digest::of(&module) != manifest.module.sha256 {
        return Err(SigningError::OtherModule(module_path));
    }
    let signed = signer.sign(&module)?;
    manifest.module.sha256 = Digest::of(&signed);
    manifest.module.size = signed.len() as u64;
    manifest.module.signer = Some(Digest::of(vouching.to_der()));
    let provenance = signed_provenance(folder, &manifest)?;
    replace(&module_path, &signed).map_err(file_error(&module_path))?;
    if let Some(bytes) = provenance {
        let path = folder.join(PROVENANCE);
        replace(&path, &bytes).map_err(file_error(&path))?;
    }
    replace(&manifest_path, &manifest.to_canonical_bytes()?).map_err(file_error(&manifest_path))?;
    Ok(manifest)
}

/// The provenance beside the module, when there is one, about the signed module.
fn signed_provenance(folder: &Path, manifest: &Manifest) -> Result<Option<Vec<u8>>, SigningError> {
    let path = folder.join(PROVENANCE);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(file_error(&path))?,
    };
    let statement: Statement = serde_json::from_slice(&bytes)?;
    Ok(Some(statement.signed(&manifest.file_name(), &manifest.module.sha256).to_bytes()?))
}

/// Writes a file so that it is whole or the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn read(path: &Path) -> Result<String, SigningError> {
    std::fs::read_to_string(path).map_err(file_error(path))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> SigningError + use<> {
    let path = path.to_owned();
    move |source| SigningError::File { path, source }
}
