//! The kernel's own keys, of `/proc/keys` (security/keys/proc.c): which certificates it knows, and which it has been told to
//! refuse. A line is `SERIAL FLAGS USAGE TIMEOUT PERM UID GID TYPE DESCRIPTION`, with the type cut to nine characters.

use serde::{Deserialize, Serialize};

/// The keys that this process may see; root sees those of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelKeys {
    /// The certificates.
    pub certificates: Vec<KernelKey>,
    /// The system's keyrings, such as `.builtin_trusted_keys`, and how many keys are in each.
    pub keyrings: Vec<(String, u32)>,
    /// What is refused: `bin:HASH` of a file, `tbs:HASH` of a certificate's signed part.
    pub refused: Vec<String>,
}

/// A certificate in a keyring of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelKey {
    /// The subject, as the kernel writes it: `Debian Secure Boot CA`, or `O: CN`.
    pub subject: String,
    /// The subject key identifier in hexadecimal, or the serial number where the certificate has none.
    pub key_id: String,
}

impl KernelKeys {
    /// Reads the text of `/proc/keys`; a line that does not have the shape is left out.
    pub fn parse(text: &str) -> Self {
        let mut keys = Self::default();
        for (kind, description) in text.lines().filter_map(kind_and_description) {
            match kind {
                "asymmetri" => keys.certificates.extend(certificate(description)),
                "keyring" if description.starts_with('.') => keys.keyrings.extend(keyring(description)),
                "blacklist" => keys.refused.push(first_word(description).trim_end_matches(':').to_owned()),
                _ => {}
            }
        }
        keys
    }

    /// Whether the kernel knows a certificate with this subject key identifier or serial number, in hexadecimal.
    pub fn knows(&self, key_id: &str) -> bool {
        self.certificates.iter().any(|key| key.key_id == key_id)
    }

    /// How many keys are in a keyring; none when there is no such keyring.
    pub fn count(&self, keyring: &str) -> Option<u32> {
        self.keyrings.iter().find(|(name, _)| name == keyring).map(|(_, count)| *count)
    }
}

fn kind_and_description(line: &str) -> Option<(&str, &str)> {
    let mut rest = line.trim_start();
    for _ in 0..7 {
        rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    }
    let (kind, description) = rest.split_once(char::is_whitespace)?;
    Some((kind, description.trim()))
}

/// `SUBJECT: KEYID: X509.rsa LASTDIGITS []` (crypto/asymmetric_keys/asymmetric_type.c, `asymmetric_key_describe`).
fn certificate(description: &str) -> Option<KernelKey> {
    let (name, kind) = description.rsplit_once(": ")?;
    let (subject, key_id) = name.rsplit_once(": ")?;
    let sound = kind.starts_with("X509.") && key_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| KernelKey { subject: subject.to_owned(), key_id: key_id.to_ascii_lowercase() })
}

/// `.builtin_trusted_keys: 2` or `: empty`.
fn keyring(description: &str) -> Option<(String, u32)> {
    let (name, count) = description.rsplit_once(": ")?;
    Some((name.to_owned(), first_word(count).parse().unwrap_or_default()))
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORDED: &str = "\
        0053a9c8 I------     1 perm 1f030000     0     0 asymmetri Debian Secure Boot CA: 6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1: X509.rsa bb419ea1 []\n\
        0cc6f5d4 I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: empty\n\
        19ebfa2a I------     1 perm 1f0f0000     0     0 keyring   .secondary_trusted_keys: 1\n\
        1a2b3c4d I------     1 perm 1f030000     0     0 asymmetri Example: Live: Patching: 00af01: X509.rsa 0000af01 []\n\
        282782f6 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 2\n\
        30ab9458 I------     1 perm 0f0b0000     0     0 keyring   .platform: empty\n\
        3f1a4b2c I------     1 perm 1f030000     0     0 blacklist tbs:1234abcd\n\
        damaged\n";

    #[test]
    fn recorded_keys() {
        let keys = KernelKeys::parse(RECORDED);
        assert!(keys.knows("6ccece7e4c6c0d1f6149f3dd27dfcc5cbb419ea1") && keys.knows("00af01"));
        assert_eq!(keys.certificates[1].subject, "Example: Live: Patching");
        assert_eq!(keys.count(".builtin_trusted_keys"), Some(2));
        assert_eq!((keys.count(".platform"), keys.count(".machine")), (Some(0), None));
        assert_eq!(keys.refused, ["tbs:1234abcd"]);
        assert_eq!(keys.keyrings.len(), 3, "users' keyrings are nobody's business");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,400}", description in ".{0,60}") {
            KernelKeys::parse(&text);
            KernelKeys::parse(&format!("0053a9c8 I--- 1 perm 1f 0 0 asymmetri {description}"));
        }
    }
}
