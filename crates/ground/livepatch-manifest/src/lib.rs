//! What a published livepatch says about itself: the manifest that travels with the module.
//!
//! The builder writes it, the server publishes it inside the signed TUF targets metadata, the client reads it there.
//! Pure data with a versioned schema; the canonical bytes are compact JSON in the declared field order.

use livepatch_kernel::KernelIdentity;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The schema version that this crate writes and the only one that it reads.
pub const SCHEMA: u32 = 1;

/// A longer manifest is refused unread: a hostile one must not cost memory.
pub const LARGEST: usize = 1 << 20;

/// SHA-256 of a file's bytes, as lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a manifest or a part of it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A digest is not 64 hexadecimal digits.
    #[error("'{0}' is not a SHA-256 digest")]
    Digest(String),
    /// Not JSON, or not of this shape.
    #[error("the manifest is not of schema {SCHEMA}")]
    Shape(#[source] serde_json::Error),
    /// Another schema version.
    #[error("the manifest has schema {0}; this program reads schema {SCHEMA}: update it")]
    Schema(u32),
    /// Over [`LARGEST`] bytes.
    #[error("the manifest has {0} bytes, more than the {LARGEST} allowed")]
    TooLarge(usize),
    /// A field holds something impossible.
    #[error("the manifest's {field} is unusable: {value}")]
    Field {
        /// Dotted name of the field.
        field: &'static str,
        /// What it held.
        value: String,
    },
}

/// A livepatch: one module for one kernel, cumulative (version N replaces every earlier one).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Name of the kernel module, as it appears in `/sys/kernel/livepatch`: letters, digits, underscores; at most 55.
    pub name: String,
    /// Cumulative version for this kernel, from 1; a greater one replaces a smaller one.
    pub version: u32,
    /// The kernel that it was built for, and the only one that it may be loaded into.
    pub kernel: KernelIdentity,
    /// The module file.
    pub module: ModuleRecord,
    /// What it mends.
    pub fixes: Vec<Fix>,
    /// What it changes, by kernel object.
    pub objects: Vec<PatchedObject>,
    /// How it was made.
    pub provenance: Provenance,
}

/// The module file as it is published: signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleRecord {
    /// SHA-256 of the whole file, signature included.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
    /// The `vermagic` line of its modinfo.
    pub vermagic: String,
    /// SHA-256 of the signing certificate's DER form; absent while the module is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Digest>,
}

/// A problem that the livepatch mends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fix {
    /// `CVE-2026-93146`, or the distribution's bug, such as `debian-bug-1154101`.
    pub id: String,
    /// One line.
    pub summary: String,
    /// The notice that announces it, such as `LSN-0101-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Who made the livepatch of it, as `NAME <ADDRESS>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Where the fix comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FixSource>,
}

/// The two source packages whose difference is the fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FixSource {
    /// Package name, such as `linux-source-6.1`.
    pub package: String,
    /// Version without the fix.
    pub from: String,
    /// Version with the fix.
    pub to: String,
}

/// A kernel object (vmlinux or a module) and the functions in it that are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatchedObject {
    /// `vmlinux` or the module's name.
    pub name: String,
    /// Replaced functions, in symbol order.
    pub functions: Vec<PatchedFunction>,
}

/// A replaced function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatchedFunction {
    /// Symbol name.
    pub name: String,
    /// Position among the symbols of that name (struct klp_func, include/linux/livepatch.h): 0 when it is unique.
    pub sympos: u32,
    /// Source file, relative to the kernel tree.
    pub source: String,
}

/// How a livepatch was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Provenance {
    /// Version of the builder.
    pub builder: String,
    /// The compiler's own version line.
    pub compiler: String,
    /// The source package and version that was compiled.
    pub source: String,
    /// SHA-256 of the patch; of several, one behind the other in the order in which they apply.
    pub patch_sha256: Digest,
}

impl Fix {
    /// A fix of which no more is known.
    pub fn new(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { id: id.into(), summary: summary.into(), notice: None, author: None, source: None }
    }
}

impl Manifest {
    /// Compact JSON in field order: the same manifest always gives the same bytes.
    ///
    /// # Errors
    /// [`ManifestError::Shape`], which does not happen for a manifest that [`Manifest::parse`] would accept.
    pub fn to_canonical_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(ManifestError::Shape)
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// Every way in which foreign bytes can be wrong; never a panic.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        if bytes.len() > LARGEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let head: Head = serde_json::from_slice(bytes).map_err(ManifestError::Shape)?;
        if head.schema != SCHEMA {
            return Err(ManifestError::Schema(head.schema));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Shape)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The file name of the module: `NAME.ko`.
    pub fn file_name(&self) -> String {
        format!("{}.ko", self.name)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let wrong =
            |field, value: &dyn fmt::Display| Err(ManifestError::Field { field, value: value.to_string() });
        if !is_module_name(&self.name) {
            return wrong("name", &self.name);
        }
        if self.version == 0 {
            return wrong("version", &self.version);
        }
        if let Some(fix) = self.fixes.iter().find(|fix| fix.id.is_empty() || fix.id.len() > 64) {
            return wrong("fixes.id", &fix.id);
        }
        Ok(())
    }
}

/// Whether the kernel takes this as the name of a livepatch module: `MODULE_NAME_LEN` is 56 with the final zero
/// (include/linux/moduleparam.h), and the klp symbol format excludes dots.
pub fn is_module_name(name: &str) -> bool {
    (1..=55).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(hex::encode(sha2::Sha256::digest(bytes)))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Digest {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound =
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(ManifestError::Digest(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ManifestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            schema: SCHEMA,
            name: "livepatch_6_1_0_55_cloud_amd64_1".into(),
            version: 1,
            kernel: KernelIdentity {
                release: "6.1.0-55-cloud-amd64".parse().unwrap(),
                build_id: "ab".repeat(20).parse().unwrap(),
                arch: "x86_64".into(),
            },
            module: ModuleRecord {
                sha256: Digest::of(b"ko"),
                size: 2,
                vermagic: "6.1.0".into(),
                signer: None,
            },
            fixes: vec![Fix::new("CVE-2026-93146", "offsets")],
            objects: vec![],
            provenance: Provenance {
                builder: "0.1.0".into(),
                compiler: "gcc".into(),
                source: "linux-source-6.1 6.1.192-1".into(),
                patch_sha256: Digest::of(b"patch"),
            },
        }
    }

    #[test]
    fn canonical_bytes_read_back_and_are_stable() {
        let bytes = sample().to_canonical_bytes().unwrap();
        let again = Manifest::parse(&bytes).unwrap();
        assert_eq!(again, sample());
        assert_eq!(again.to_canonical_bytes().unwrap(), bytes);
    }

    #[test]
    fn later_schema_is_named_before_its_shape_is_judged() {
        assert!(matches!(Manifest::parse(br#"{"schema":2,"new":true}"#), Err(ManifestError::Schema(2))));
    }

    #[test]
    fn names_that_the_kernel_would_refuse_are_refused() {
        for name in ["", "a.b", "../x", "a b", &"x".repeat(56)] {
            let manifest = Manifest { name: name.into(), ..sample() };
            let bytes = manifest.to_canonical_bytes().unwrap();
            assert!(
                matches!(Manifest::parse(&bytes), Err(ManifestError::Field { field: "name", .. })),
                "{name}"
            );
        }
    }
}
