//! The kernels that are installed: what the machine could boot next.

use crate::Host;
use livepatch_kernel::{KernelRelease, PackageVersion};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
};

/// An installed kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledKernel {
    /// Its `uname -r`.
    pub release: KernelRelease,
    /// The version of its package; absent when no package manager that is known owns it.
    pub version: Option<PackageVersion>,
    /// The source package without Debian's and Ubuntu's additions for signing, such as `linux`, `linux-aws`.
    pub source: Option<String>,
}

/// A package database is not read further: a desktop's has some 10 MiB.
const LARGEST: u64 = 64 << 20;
const PREFIXES: [&str; 2] = ["linux-image-unsigned-", "linux-image-"];

/// Every `/boot/vmlinuz-RELEASE`, with what dpkg knows about it; the newest first.
pub(crate) fn read(host: &Host) -> Vec<InstalledKernel> {
    let entries = fs::read_dir(host.path("boot")).into_iter().flatten().filter_map(Result::ok);
    let releases = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_prefix("vmlinuz-")?.parse::<KernelRelease>().ok()
    });
    let packages = packages(host);
    let mut found: Vec<InstalledKernel> = releases
        .map(|release| {
            let package = packages.iter().find(|package| package.release == release.as_str());
            InstalledKernel {
                version: package.map(|package| package.version.clone()),
                source: package.map(|package| package.source.clone()),
                release,
            }
        })
        .collect();
    found.sort_by_key(|kernel| std::cmp::Reverse(kernel.release.clone()));
    found
}

/// A kernel image's package.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    release: String,
    version: PackageVersion,
    source: String,
}

fn packages(host: &Host) -> Vec<Package> {
    let Ok(file) = fs::File::open(host.path("var/lib/dpkg/status")) else {
        return Vec::new();
    };
    let mut paragraph = String::new();
    let mut found = Vec::new();
    for line in BufReader::new(file.take(LARGEST)).lines().map_while(Result::ok) {
        if line.is_empty() {
            found.extend(package(&paragraph));
            paragraph.clear();
        } else if !line.starts_with(' ')
            && (!paragraph.is_empty() || line.starts_with("Package: linux-image-"))
        {
            paragraph.push_str(&line);
            paragraph.push('\n');
        }
    }
    found.extend(package(&paragraph));
    found
}

/// A paragraph of dpkg's status file (deb-control(5)) when it is an installed kernel's.
fn package(paragraph: &str) -> Option<Package> {
    let field = |name: &str| {
        let found = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::trim)
    };
    let name = field("Package")?;
    let release = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let installed = field("Status")?.ends_with(" installed");
    let of_release = release.starts_with(|first: char| first.is_ascii_digit());
    let source = field("Source").and_then(|source| source.split(' ').next()).unwrap_or(name);
    (installed && of_release).then_some(Package {
        release: release.to_owned(),
        version: field("Version")?.parse().ok()?,
        source: source_of(source),
    })
}

/// Kernels that are signed by the distribution come from sources of their own: `linux-signed-amd64`, `linux-signed-aws`.
fn source_of(signed: &str) -> String {
    let source = signed.replacen("-signed", "", 1);
    let plain = ["-amd64", "-arm64"].iter().find_map(|end| source.strip_suffix(end));
    plain.unwrap_or(&source).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.

Package: linux-image-6.1.0-54-cloud-amd64
Status: install ok installed
Priority: optional
Architecture: amd64
Source: linux-signed-amd64 (6.1.190+1)
Version: 6.1.190-1
Description: Linux 6.1 for x86-64 cloud (signed)
 The Linux kernel.

Package: linux-image-cloud-amd64
Status: install ok installed
Source: linux-signed-amd64 (6.1.192+1)
Version: 6.1.192-1

Package: linux-image-6.1.0-53-cloud-amd64
Status: deinstall ok config-files
Version: 6.1.187-1

Package: linux-image-6.1.0-55-cloud-amd64
Status: install ok installed
Source: linux-signed-amd64 (6.1.192+1)
Version: 6.1.192-1
";

    #[test]
    fn kernels_of_a_debian_machine() {
        let directory = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("var/lib/dpkg/status", STATUS);
        for release in ["6.1.0-54-cloud-amd64", "6.1.0-55-cloud-amd64", "6.9.3", "..bad"] {
            put(&format!("boot/vmlinuz-{release}"), "");
        }
        let kernels = read(&Host::new(directory.path()));
        let text = |kernel: &InstalledKernel| {
            let version = kernel.version.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {version} {}", kernel.release, kernel.source.clone().unwrap_or_default())
        };
        let texts: Vec<String> = kernels.iter().map(text).collect();
        assert_eq!(
            texts,
            ["6.9.3  ", "6.1.0-55-cloud-amd64 6.1.192-1 linux", "6.1.0-54-cloud-amd64 6.1.190-1 linux"]
        );
    }

    #[test]
    fn sources_without_what_signing_adds() {
        for (signed, source) in [
            ("linux-signed-amd64", "linux"),
            ("linux-signed-6.12-amd64", "linux-6.12"),
            ("linux-signed", "linux"),
            ("linux-signed-aws", "linux-aws"),
            ("linux", "linux"),
        ] {
            assert_eq!(source_of(signed), source);
        }
    }
}
