//! A livepatch as the targets metadata hold it.

use crate::{Endorsement, LARGEST_MODULE, Signed};
use livepatch_manifest::{Digest, Manifest};
use livepatch_schedule::Schedule;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use tough::schema::{Hashes, Target};

/// The key under `custom` that is ours.
const CUSTOM: &str = "livepatch";

/// A livepatch in a repository: everything here is covered by the signature of the targets metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// What it says about itself.
    pub manifest: Manifest,
    /// The tiers that it is available to, in the operator's order.
    pub tiers: Vec<String>,
    /// TUF target name, `RELEASE/NAME.ko`.
    pub target: String,
    /// Size of the signed module in bytes.
    pub length: u64,
    /// SHA-256 of the signed module.
    pub sha256: Digest,
    /// When it was published first, in seconds since 1970; absent in metadata of older publishers.
    pub published_at: Option<i64>,
    /// The earliest times at which parts of the fleet may have it; absent: everybody may have it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The site that published it, where this one only passes it on: SHA-256 of that site's first root document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Digest>,
    /// The publishing site's word for it; absent in metadata of older publishers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement: Option<Signed<Endorsement>>,
}

/// The custom part of a target.
#[derive(Serialize, Deserialize)]
struct Custom {
    manifest: Value,
    tiers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endorsement: Option<Signed<Endorsement>>,
}

impl Published {
    /// A livepatch whose module is described by its manifest.
    pub(crate) fn new(manifest: Manifest, tiers: Vec<String>) -> Self {
        Self {
            target: target_name(&manifest),
            length: manifest.module.size,
            sha256: manifest.module.sha256.clone(),
            manifest,
            tiers,
            published_at: None,
            schedule: None,
            origin: None,
            endorsement: None,
        }
    }

    /// Where the module's file is, relative to the targets directory or URL: `RELEASE/DIGEST.NAME.ko`
    /// (specification 6.2: the digest goes before the file name).
    pub fn location(&self) -> String {
        match self.target.rsplit_once('/') {
            Some((directory, file)) => format!("{directory}/{}.{file}", self.sha256),
            None => format!("{}.{}", self.sha256, self.target),
        }
    }

    /// The target as it goes into the metadata.
    pub(crate) fn to_target(&self) -> Result<Target, serde_json::Error> {
        let custom = Custom {
            manifest: serde_json::to_value(&self.manifest)?,
            tiers: self.tiers.clone(),
            published_at: self.published_at,
            schedule: self.schedule.clone(),
            origin: self.origin.clone(),
            endorsement: self.endorsement.clone(),
        };
        Ok(Target {
            length: self.length,
            hashes: Hashes { sha256: digest_bytes(&self.sha256).into(), _extra: HashMap::new() },
            custom: HashMap::from([(CUSTOM.to_owned(), serde_json::to_value(custom)?)]),
            _extra: HashMap::new(),
        })
    }

    /// Reads a target. `None` when it is not ours; an error says why ours cannot be used.
    pub(crate) fn from_target(name: &str, target: &Target) -> Option<Result<Self, String>> {
        let custom = target.custom.get(CUSTOM)?;
        Some(Self::read(name, target, custom))
    }

    fn read(name: &str, target: &Target, custom: &Value) -> Result<Self, String> {
        let custom = Custom::deserialize(custom).map_err(|error| error.to_string())?;
        let bytes = serde_json::to_vec(&custom.manifest).map_err(|error| error.to_string())?;
        let manifest = Manifest::parse(&bytes).map_err(|error| error.to_string())?;
        if let Some(schedule) = &custom.schedule {
            schedule.check().map_err(|error| error.to_string())?;
        }
        let Custom { tiers, published_at, schedule, origin, endorsement, .. } = custom;
        let published = Self { published_at, schedule, origin, endorsement, ..Self::new(manifest, tiers) };
        if published.target != name {
            return Err(format!("its manifest is that of {}", published.target));
        }
        if digest_bytes(&published.sha256) != target.hashes.sha256.as_ref()
            || published.length != target.length
        {
            return Err("its manifest describes another file".to_owned());
        }
        if published.length > LARGEST_MODULE {
            return Err(format!("it has {} bytes, more than the {LARGEST_MODULE} allowed", published.length));
        }
        Ok(published)
    }
}

/// `RELEASE/NAME.ko`. Neither part can hold a slash: their types see to it.
fn target_name(manifest: &Manifest) -> String {
    format!("{}/{}", manifest.kernel.release, manifest.file_name())
}

/// The 32 bytes that the 64 digits stand for.
pub(crate) fn digest_bytes(digest: &Digest) -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    digest
        .as_str()
        .as_bytes()
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | nibble(*digit)))
        .collect()
}
