//! Debian packages: what is installed, what the index offers, and how to get the rest. The only place that knows apt.

use crate::narrator::Step;
use anyhow::{Context as _, Result, bail};
use livepatch_e2e::run_logged;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const LISTS: &str = "/var/lib/apt/lists";
/// New kernels come every few days, and take the oldest one's place.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Boots guests: QEMU, the guest's programs, and depmod for unpacked kernels.
const VM: [&str; 4] = ["qemu-system-x86", "busybox-static", "kmod", "e2fsprogs"];
/// Guests with Debian and systemd on a disk: their root file system, their disks, and the definition of their package.
const SYSTEM: [&str; 6] = ["mmdebstrap", "qemu-utils", "systemd", "dpkg-dev", "ovmf", "mtools"];
/// Compiles parts of kernels: what Debian's kernel packages build with. Without pahole the kernel's configuration would
/// silently lose an option that changes the layout of its structures.
const BUILDER: [&str; 13] = [
    "gcc-12",
    "libc6-dev",
    "make",
    "binutils",
    "bc",
    "bison",
    "flex",
    "libelf-dev",
    "libssl-dev",
    "pahole",
    "patch",
    "python3",
    "xz-utils",
];

/// The oracles that signatures are compared with, byte for byte: OpenSSL and the kernel's own sign-file; and a token
/// without hardware that holds a key.
const ORACLES: [&str; 4] = ["openssl", "linux-kbuild-6.1", "softhsm2", "python3-aiosmtpd"];

/// Compilers for the other machines whose objects can be compared.
const CROSS: [&str; 3] = ["gcc-aarch64-linux-gnu", "gcc-powerpc64le-linux-gnu", "gcc-s390x-linux-gnu"];
/// What packages in Ubuntu's layout are compressed with.
const COMPRESSION: [&str; 2] = ["bzip2", "zstd"];

/// Watches the server, as those who run it do.
const MONITORING: [&str; 1] = ["prometheus"];

/// Loads the server, and the server to compare it with.
const LOAD: [&str; 2] = ["nginx-light", "wrk"];

/// Looks at the dashboard: a browser, its driver, and letters for it.
const BROWSER: [&str; 3] = ["chromium", "chromium-driver", "fonts-dejavu-core"];

/// What the demo needs.
pub(crate) fn needed() -> Vec<&'static str> {
    [VM.as_slice(), BUILDER.as_slice()].concat()
}

/// What the tests need.
pub(crate) fn needed_by_tests() -> Vec<&'static str> {
    let groups = [
        SYSTEM.as_slice(),
        ORACLES.as_slice(),
        CROSS.as_slice(),
        COMPRESSION.as_slice(),
        MONITORING.as_slice(),
    ]
    .concat();
    let mut packages = [needed(), groups, needed_by_browser()].concat();
    // It fetches the official schemas of documents. Python often comes from elsewhere, with a pip of its own.
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !pip.status().is_ok_and(|status| status.success()) {
        packages.push("python3-pip");
    }
    packages
}

/// What the server's bench needs.
pub(crate) fn needed_by_load() -> Vec<&'static str> {
    LOAD.to_vec()
}

/// What tests and pictures of the dashboard need.
pub(crate) fn needed_by_browser() -> Vec<&'static str> {
    let mut packages = BROWSER.to_vec();
    // It fetches the accessibility checker. Node.js often comes from elsewhere, with an npm of its own.
    if Command::new("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
        packages.push("npm");
    }
    packages
}

/// Installs those of the packages that are missing; says which.
///
/// # Errors
/// When apt fails, with its log's path.
pub(crate) fn ensure(packages: &[&'static str], log: &Path, step: &Step) -> Result<()> {
    let needed = missing(packages)?;
    if needed.is_empty() {
        step.note(format!("all {} are installed", packages.len()));
        return Ok(());
    }
    step.note(format!("installing {}", needed.join(" ")));
    ensure_index(log, step)?;
    if install(&needed, log, step).is_err() {
        // The index may be older than what the mirrors still have.
        update(log, step)?;
        install(&needed, log, step)?;
    }
    // What was there already may be of another release, and apt has taken it away for what is new: backports' qemu-utils for QEMU.
    let pushed_out = missing(packages)?;
    if !pushed_out.is_empty() {
        step.note(format!("installing again {}", pushed_out.join(" ")));
        install(&pushed_out, log, step)?;
    }
    Ok(())
}

/// Fetches the package index.
///
/// # Errors
/// When apt fails, with its log's path.
pub(crate) fn update(log: &Path, step: &Step) -> Result<()> {
    step.progress("apt-get update");
    run_logged(as_root("apt-get")?.args(["update", "-q"]), log, &|line| step.progress(line)).map(drop)
}

/// Fetches the package index when there is none, or only an old one: it would offer kernels of long ago, and files that are
/// gone. Where an old one cannot be renewed, what it offers must do.
///
/// # Errors
/// When there is none and apt fails.
pub(crate) fn ensure_index(log: &Path, step: &Step) -> Result<()> {
    match index_age() {
        Some(age) if age < FRESH => Ok(()),
        Some(age) => {
            if update(log, step).is_err() {
                step.note(format!(
                    "the package index is {} days old, and cannot be renewed",
                    age.as_secs() / 86_400
                ));
            }
            Ok(())
        }
        None => update(log, step),
    }
}

/// The versions of a package that the index offers, newest first; none when it does not know the package.
///
/// # Errors
/// When apt-cache cannot be run.
pub(crate) fn versions(package: &str) -> Result<Vec<String>> {
    Ok(parse_madison(&query("apt-cache", &["madison", package])?))
}

/// Names of packages that begin with `prefix`.
///
/// # Errors
/// When apt-cache cannot be run.
pub(crate) fn names(prefix: &str) -> Result<Vec<String>> {
    Ok(query("apt-cache", &["pkgnames", prefix])?.lines().map(str::to_owned).collect())
}

/// Lines are `package | version | source`.
fn parse_madison(text: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for version in text.lines().filter_map(|line| line.split('|').nth(1)) {
        let version = version.trim().to_owned();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}

fn missing(packages: &[&'static str]) -> Result<Vec<&'static str>> {
    let known = query("dpkg-query", &[&["-W", "-f", "${Package} ${db:Status-Status}\n"], packages].concat())?;
    Ok(packages.iter().copied().filter(|package| !is_installed(&known, package)).collect())
}

fn is_installed(known: &str, package: &str) -> bool {
    known.lines().any(|line| line.split_once(' ') == Some((package, "installed")))
}

/// How long ago `apt-get update` last brought something; `None` if it never did, as in images of containers.
fn index_age() -> Option<Duration> {
    let mut entries = fs::read_dir(LISTS).ok()?.flatten();
    if !entries.any(|entry| entry.file_name().to_string_lossy().contains("_Packages")) {
        return None;
    }
    // The lists themselves have the time of their server; what comes and goes among them changes the directory.
    let changed = fs::metadata(LISTS).and_then(|metadata| metadata.modified()).ok()?;
    Some(changed.elapsed().unwrap_or_default())
}

fn install(packages: &[&'static str], log: &Path, step: &Step) -> Result<()> {
    let mut command = as_root("apt-get")?;
    command.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
    run_logged(&mut command, log, &|line| step.progress(line)).map(drop)
}

/// The command itself for root, else through sudo.
fn as_root(program: &str) -> Result<Command> {
    let uid = query("id", &["-u"])?;
    let mut command = if uid.trim() == "0" {
        Command::new(program)
    } else if Command::new("sudo").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        let mut sudo = Command::new("sudo");
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    } else {
        bail!("{program} needs root: run as root, or install sudo");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

/// Standard output; the status is not judged, since dpkg-query and apt-cache use it for "not known".
fn query(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}: is this Debian?"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn madison_lists_each_version_once_in_order() {
        let text = " linux-source-6.1 |  6.1.192-2 | http://x bookworm-security/main amd64 Packages\n\
                     linux-source-6.1 |  6.1.192-1 | http://x bookworm-security/main amd64 Packages\n\
                     linux-source-6.1 |  6.1.192-1 | http://y bookworm/main amd64 Packages\n";
        assert_eq!(parse_madison(text), ["6.1.192-2", "6.1.192-1"]);
        assert!(parse_madison("N: Unable to locate package x\n").is_empty());
    }

    #[test]
    fn removed_packages_are_not_installed() {
        assert!(is_installed("kmod installed\n", "kmod"));
        assert!(!is_installed("kmod config-files\nkmod-x installed\n", "kmod"));
    }
}
