//! The keys of the roles: Ed25519 in PKCS#8 PEM files, one a role, readable by their owner only.

use crate::{PublishError, Role, durable};
use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use der::pem::{self, LineEnding};
use std::{fmt, fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};
use tough::{key_source::KeySource, schema::key::Key, sign::Sign};

/// RFC 7468, section 10.
const LABEL: &str = "PRIVATE KEY";

/// An Ed25519 key is below 200 bytes of PEM; more is no key of ours.
const LARGEST_PEM: u64 = 4096;

/// The key of one role.
#[derive(Clone)]
pub(crate) struct RoleKey {
    role: Role,
    pkcs8: Arc<Vec<u8>>,
}

/// Where a role's key stands.
pub(crate) fn key_file(role: Role) -> String {
    format!("{role}.pem")
}

impl RoleKey {
    /// The key in `directory`, made afresh when there is none.
    pub(crate) fn load_or_generate(directory: &Path, role: Role) -> Result<Self, PublishError> {
        let path = directory.join(key_file(role));
        if path.exists() { Self::load(directory, role) } else { Self::generate(&path, role) }
    }

    /// The key in this file, made afresh when it is not there.
    pub(crate) fn load_or_generate_at(path: &Path, role: Role) -> Result<Self, PublishError> {
        if path.exists() { Self::load_file(path, role) } else { Self::generate(path, role) }
    }

    /// The key in `directory`.
    pub(crate) fn load(directory: &Path, role: Role) -> Result<Self, PublishError> {
        Self::load_file(&directory.join(key_file(role)), role)
    }

    fn load_file(path: &Path, role: Role) -> Result<Self, PublishError> {
        let wrong = |reason: String| PublishError::Key { role, reason };
        let text = durable::read(path, LARGEST_PEM)
            .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        let (label, pkcs8) =
            pem::decode_vec(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
        if label != LABEL {
            return Err(wrong(format!("{} holds a {label}, not a {LABEL}", path.display())));
        }
        let key = Self { role, pkcs8: Arc::new(pkcs8) };
        key.pair().map_err(wrong)?;
        Ok(key)
    }

    fn generate(path: &Path, role: Role) -> Result<Self, PublishError> {
        let wrong = |reason: String| PublishError::Key { role, reason };
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
            .map_err(|_| wrong("the system gives no randomness".to_owned()))?;
        let text = pem::encode_string(LABEL, LineEnding::LF, pkcs8.as_ref())
            .map_err(|error| wrong(error.to_string()))?;
        durable::write(path, text.as_bytes(), 0o600).map_err(|source| PublishError::File {
            action: "write",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { role, pkcs8: Arc::new(pkcs8.as_ref().to_vec()) })
    }

    /// The public half as the root names it.
    pub(crate) fn public(&self) -> Result<Key, PublishError> {
        let pair = self.pair().map_err(|reason| PublishError::Key { role: self.role, reason })?;
        Ok(pair.tuf_key())
    }

    fn pair(&self) -> Result<Ed25519KeyPair, String> {
        Ed25519KeyPair::from_pkcs8(&self.pkcs8).map_err(|error| format!("it is no Ed25519 key: {error}"))
    }
}

/// Makes the key directory, for its owner only.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

impl fmt::Debug for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoleKey({}, withheld)", self.role)
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[async_trait::async_trait]
impl KeySource for RoleKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, AnyError> {
        Ok(Box::new(self.pair()?))
    }

    /// Keys are written once, by [`RoleKey::load_or_generate`].
    async fn write(&self, _value: &str, _key_id_hex: &str) -> Result<(), AnyError> {
        Err("this key is read-only".into())
    }
}
