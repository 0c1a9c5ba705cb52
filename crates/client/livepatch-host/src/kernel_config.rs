//! The configuration of the running kernel, from where distributions put it.

use crate::Host;
use std::collections::HashMap;

/// A kernel's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    options: HashMap<String, String>,
}

/// `/boot/config-RELEASE` (Debian, Ubuntu), `/lib/modules/RELEASE/config` (Fedora), `/proc/config.gz` (CONFIG_IKCONFIG_PROC).
pub(crate) fn read(host: &Host, release: &str) -> Option<KernelConfig> {
    let plain = [
        format!("boot/config-{release}"),
        format!("lib/modules/{release}/config"),
        format!("usr/lib/modules/{release}/config"),
    ];
    let text = plain.iter().find_map(|path| host.bytes(path).ok());
    let text = text.or_else(|| gunzip(&host.bytes("proc/config.gz").ok()?));
    text.map(|bytes| KernelConfig::parse(&String::from_utf8_lossy(&bytes)))
}

/// A configuration has some 250 KiB.
const LARGEST: usize = 4 << 20;

/// A gzip file as the kernel's build writes it (RFC 1952), without optional fields: ten bytes, deflated data, eight bytes.
fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let plain_header = bytes.starts_with(&[0x1f, 0x8b, 8, 0]);
    let deflated = bytes.get(10..bytes.len().checked_sub(8)?).filter(|_| plain_header)?;
    miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, LARGEST).ok()
}

impl KernelConfig {
    /// Reads the text: `CONFIG_X=y`; options that are not set are comments.
    pub fn parse(text: &str) -> Self {
        let options = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self { options: options.collect() }
    }

    /// Whether the option, with its `CONFIG_`, is built in (`=y`).
    pub fn is_built_in(&self, option: &str) -> bool {
        option
            .strip_prefix("CONFIG_")
            .and_then(|name| self.options.get(name))
            .is_some_and(|value| value == "y")
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_are_set_or_not() {
        let config = KernelConfig::parse(
            "#\n# Automatically generated file\n#\nCONFIG_LIVEPATCH=y\n# CONFIG_KPROBES is not set\nCONFIG_EXT4_FS=m\n",
        );
        assert!(config.is_built_in("CONFIG_LIVEPATCH"));
        assert!(!config.is_built_in("CONFIG_KPROBES") && !config.is_built_in("CONFIG_EXT4_FS"));
    }

    #[test]
    fn a_packed_configuration_is_read() {
        let text = "CONFIG_LIVEPATCH=y\n".repeat(50);
        let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
        packed.extend(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 9));
        packed.extend([0; 8]);
        assert_eq!(gunzip(&packed).unwrap(), text.as_bytes());
        assert_eq!(gunzip(&packed[..20]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            gunzip(&bytes);
            gunzip(&[&[0x1f, 0x8b, 8, 0], bytes.as_slice()].concat());
            KernelConfig::parse(&text);
        }
    }
}
