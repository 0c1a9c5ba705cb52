//! The GNU build id: the linker's hash of a kernel image, the only exact name of the code that runs.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `NT_GNU_BUILD_ID` in the ELF note whose owner is `GNU` (elf.h).
const NT_GNU_BUILD_ID: u32 = 3;

/// A GNU build id: 8 to 32 bytes, 20 on every distribution kernel (SHA-1 style). Written as lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(Vec<u8>);

/// Why bytes or text are no build id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildIdError {
    /// The text is not hexadecimal, or of the wrong length.
    #[error("'{0}' is not a build id: 16 to 64 hexadecimal digits expected")]
    NotHex(String),
    /// The notes hold no GNU build id, or are cut off.
    #[error("no GNU build id among the ELF notes")]
    NotFound,
}

impl BuildId {
    /// A build id from its raw bytes.
    ///
    /// # Errors
    /// [`BuildIdError::NotHex`] when there are fewer than 8 or more than 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildIdError> {
        if (8..=32).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(BuildIdError::NotHex(hex::encode(bytes)))
        }
    }

    /// Finds the build id in a sequence of ELF notes, as `/sys/kernel/notes` and the `.notes` section hold them
    /// (little-endian; name and descriptor padded to 4 bytes).
    ///
    /// # Errors
    /// [`BuildIdError::NotFound`] when there is none.
    pub fn from_notes(mut notes: &[u8]) -> Result<Self, BuildIdError> {
        let word = |bytes: &[u8], at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let padded = |size: u32| (size as usize).checked_next_multiple_of(4);
        loop {
            let header = (word(notes, 0), word(notes, 4), word(notes, 8));
            let (Some(name_size), Some(desc_size), Some(kind)) = header else {
                return Err(BuildIdError::NotFound);
            };
            let (Some(name_room), Some(desc_room)) = (padded(name_size), padded(desc_size)) else {
                return Err(BuildIdError::NotFound);
            };
            let name = notes.get(12..).and_then(|rest| rest.get(..name_size as usize));
            let desc_at = 12usize.saturating_add(name_room);
            let desc = notes.get(desc_at..).and_then(|rest| rest.get(..desc_size as usize));
            let (Some(name), Some(desc)) = (name, desc) else {
                return Err(BuildIdError::NotFound);
            };
            if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
                return Self::from_bytes(desc).map_err(|_| BuildIdError::NotFound);
            }
            notes = notes.get(desc_at.saturating_add(desc_room)..).unwrap_or_default();
        }
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).map_err(|_| BuildIdError::NotHex(text.to_owned()))?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for BuildId {
    type Error = BuildIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], desc: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, desc.len() as u32, kind] {
            bytes.extend(word.to_le_bytes());
        }
        for part in [name, desc] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn is_found_behind_other_notes() {
        let notes = [note(6, b"Xen\0", b"odd"), note(3, b"GNU\0", &[0xab; 20])].concat();
        assert_eq!(BuildId::from_notes(&notes).unwrap().to_string(), "ab".repeat(20));
    }

    #[test]
    fn cut_or_absurd_notes_have_none() {
        let whole = note(3, b"GNU\0", &[1; 20]);
        for end in 0..whole.len() {
            assert_eq!(BuildId::from_notes(&whole[..end]), Err(BuildIdError::NotFound));
        }
        assert_eq!(BuildId::from_notes(&[0xff; 64]), Err(BuildIdError::NotFound));
    }

    #[test]
    fn text_of_wrong_length_is_refused() {
        assert!("abcd".parse::<BuildId>().is_err());
        assert!("zz".repeat(20).parse::<BuildId>().is_err());
        assert!("3b43fad5".repeat(5).parse::<BuildId>().is_ok());
    }
}
