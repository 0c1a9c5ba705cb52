//! Bearer secrets: made here, shown once, kept as digests.

use livepatch_manifest::Digest;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// Characters of a secret: 43 of 62 kinds carry 256 bits.
const LENGTH: usize = 43;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A secret. Has no `Display`, and its `Debug` shows nothing.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// A fresh one from the system's randomness.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(LENGTH);
        while text.len() < LENGTH {
            let mut bytes = [0u8; 64];
            getrandom::fill(&mut bytes)?;
            // 248 is the greatest multiple of 62 in a byte: beyond it, some characters would come more often.
            let kept = bytes.into_iter().filter(|byte| *byte < 248).take(LENGTH - text.len());
            text.extend(kept.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])));
        }
        Ok(Self(text))
    }

    /// One that was received.
    pub(crate) fn received(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// For the answer that hands it out, and for the operator's key file.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Whether the stored digest is this secret's, in the same time whatever differs.
    pub(crate) fn matches(&self, stored: &Digest) -> bool {
        self.digest().as_str().as_bytes().ct_eq(stored.as_str().as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(withheld)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_alphanumeric() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!(one.reveal().len(), LENGTH);
        assert!(one.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.matches(&one.digest()) && !one.matches(&other.digest()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
