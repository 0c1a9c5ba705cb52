//! A signed document beside the livepatches: the kernel catalogue, the verdicts of a kernel family.
//!
//! Documents are targets whose names begin with `documents/`, with `{"custom": {"livepatch-document": {}}}`. They carry no
//! code: a machine reads them and never runs them.

use crate::{LARGEST_DOCUMENT, entry::digest_bytes};
use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use tough::schema::{Hashes, Target};

/// The key under `custom` that is ours.
const CUSTOM: &str = "livepatch-document";

/// What every document's name begins with.
const FOLDER: &str = "documents/";

/// A document in a repository; covered by the signature of the targets metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDocument {
    /// TUF target name, such as `documents/verdicts/debian/bookworm/linux.olpv`.
    pub name: String,
    /// Size in bytes.
    pub length: u64,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

impl SignedDocument {
    /// The document of that name with this content.
    ///
    /// # Errors
    /// Why it can be none: its name or its size.
    pub(crate) fn new(name: &str, content: &[u8]) -> Result<Self, String> {
        let length = content.len() as u64;
        Self { name: name.to_owned(), length, sha256: Digest::of(content) }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if !is_name(&self.name) {
            return Err(format!("'{}' is no name of a document", self.name));
        }
        if self.length > LARGEST_DOCUMENT {
            let length = self.length;
            return Err(format!("it has {length} bytes, more than the {LARGEST_DOCUMENT} allowed"));
        }
        Ok(self)
    }

    /// Where its file is, relative to the targets directory or URL; the digest goes before the file name.
    pub(crate) fn location(&self) -> String {
        match self.name.rsplit_once('/') {
            Some((directory, file)) => format!("{directory}/{}.{file}", self.sha256),
            None => format!("{}.{}", self.sha256, self.name),
        }
    }

    /// The target as it goes into the metadata.
    pub(crate) fn to_target(&self) -> Target {
        let sha256 = digest_bytes(&self.sha256).into();
        Target {
            length: self.length,
            hashes: Hashes { sha256, _extra: HashMap::new() },
            custom: HashMap::from([(CUSTOM.to_owned(), json!({}))]),
            _extra: HashMap::new(),
        }
    }

    /// Reads a target. `None` when it is no document; an error says why this one cannot be used.
    pub(crate) fn from_target(name: &str, target: &Target) -> Option<Result<Self, String>> {
        let _: &Value = target.custom.get(CUSTOM)?;
        let digits: String = target.hashes.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let sha256 = digits.parse().map_err(|_| "its digest is no SHA-256".to_owned());
        let document =
            sha256.and_then(|sha256| Self { name: name.to_owned(), length: target.length, sha256 }.checked());
        Some(document)
    }
}

/// Some folders below `documents/` and a file, of letters, digits and `-._+`, none beginning with a dot: safe as a path
/// on every system.
fn is_name(name: &str) -> bool {
    let sound = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte))
    };
    name.len() <= 200 && name.strip_prefix(FOLDER).is_some_and(|rest| rest.split('/').all(sound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["documents/kernel-catalogue.json", "documents/verdicts/debian/bookworm/linux-6.12.olpv"]
        {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "documents/",
            "other/x",
            "documents/../x",
            "documents//x",
            "documents/a b",
            "documents/.x",
            "/documents/x",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
