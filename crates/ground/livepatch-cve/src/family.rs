//! Kernel families: what one version order holds for.

use crate::Name;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Who builds the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
}

/// A source package in a release of a distribution, such as `linux-hwe` in `bionic`: its builds are ordered by version, and
/// a fix in one build is in every later one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Family {
    /// Who builds it.
    pub distribution: Distribution,
    /// The release's code name as trackers write it: `bookworm`, `bionic`, `trusty/esm`.
    pub release: Name,
    /// The source package: `linux`, `linux-hwe`.
    pub package: Name,
}

/// Code name, and the number that OSV ecosystems use (`Debian:12`, `Ubuntu:22.04:LTS`).
const RELEASES: [(Distribution, &str, &str); 22] = [
    (Distribution::Debian, "buster", "10"),
    (Distribution::Debian, "bullseye", "11"),
    (Distribution::Debian, "bookworm", "12"),
    (Distribution::Debian, "trixie", "13"),
    (Distribution::Debian, "forky", "14"),
    (Distribution::Ubuntu, "trusty", "14.04"),
    (Distribution::Ubuntu, "xenial", "16.04"),
    (Distribution::Ubuntu, "bionic", "18.04"),
    (Distribution::Ubuntu, "cosmic", "18.10"),
    (Distribution::Ubuntu, "disco", "19.04"),
    (Distribution::Ubuntu, "eoan", "19.10"),
    (Distribution::Ubuntu, "focal", "20.04"),
    (Distribution::Ubuntu, "groovy", "20.10"),
    (Distribution::Ubuntu, "hirsute", "21.04"),
    (Distribution::Ubuntu, "impish", "21.10"),
    (Distribution::Ubuntu, "jammy", "22.04"),
    (Distribution::Ubuntu, "kinetic", "22.10"),
    (Distribution::Ubuntu, "lunar", "23.04"),
    (Distribution::Ubuntu, "mantic", "23.10"),
    (Distribution::Ubuntu, "noble", "24.04"),
    (Distribution::Ubuntu, "oracular", "24.10"),
    (Distribution::Ubuntu, "plucky", "25.04"),
];

impl Distribution {
    /// The code name of a release number, as OSV writes it (`22.04`, `12`).
    pub fn code_name(self, number: &str) -> Option<&'static str> {
        RELEASES.iter().find(|(of, _, known)| *of == self && *known == number).map(|(_, name, _)| *name)
    }

    /// The number of a release by its code name, with or without a service behind a slash (`trusty/esm`).
    pub fn release_number(self, code_name: &str) -> Option<&'static str> {
        let plain = code_name.split('/').find(|part| RELEASES.iter().any(|(_, name, _)| name == part))?;
        RELEASES.iter().find(|(of, name, _)| *of == self && *name == plain).map(|(_, _, number)| *number)
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "debian",
            Self::Ubuntu => "ubuntu",
        })
    }
}

/// `ubuntu/bionic/linux-hwe`.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.distribution, self.release, self.package)
    }
}

/// The text names no family.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no family of kernels, such as debian/bookworm/linux")]
pub struct FamilyError(pub String);

/// The release may have a slash itself (`ubuntu/trusty/esm/linux`).
impl FromStr for Family {
    type Err = FamilyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (distribution, rest) = text.split_once('/')?;
            let (release, package) = rest.rsplit_once('/')?;
            let distribution = match distribution {
                "debian" => Distribution::Debian,
                "ubuntu" => Distribution::Ubuntu,
                _ => return None,
            };
            let sound = |part: &str| {
                let plain =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.+/".contains(&byte);
                part.starts_with(|first: char| first.is_ascii_alphanumeric())
                    && part.bytes().all(plain)
                    && !part.contains("..")
            };
            let family = Self { distribution, release: release.into(), package: package.into() };
            (sound(release) && sound(package)).then_some(family)
        };
        parse().ok_or_else(|| FamilyError(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn families_read_back() {
        for text in ["debian/bookworm/linux-6.12", "ubuntu/trusty/esm/linux-lts-xenial"] {
            assert_eq!(text.parse::<Family>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "debian",
            "debian/bookworm",
            "fedora/40/linux",
            "debian//linux",
            "debian/../linux",
            "debian/b m/linux",
        ] {
            assert!(text.parse::<Family>().is_err(), "{text}");
        }
    }
}
