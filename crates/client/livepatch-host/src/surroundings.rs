//! Where the kernel runs: on a machine of its own or in somebody's container, for which distribution, with how much memory.

use crate::Host;
use serde::{Deserialize, Serialize};

/// Where the kernel runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The container's kind, such as `docker`, `lxc`, `wsl`: the kernel is then its host's business.
    pub container: Option<String>,
    /// `ID` of os-release, such as `debian`.
    pub distribution: Option<String>,
    /// `VERSION_ID`, such as `12`.
    pub release: Option<String>,
    /// `VERSION_CODENAME`, such as `bookworm`.
    pub code_name: Option<String>,
    /// `MemAvailable` in KiB.
    pub memory_available_kib: Option<u64>,
    /// `model name` of the first processor.
    pub cpu_model: Option<String>,
}

pub(crate) fn read(host: &Host) -> Surroundings {
    let text = |path: &str| host.bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).ok();
    let os = text("etc/os-release").or_else(|| text("usr/lib/os-release")).unwrap_or_default();
    let memory =
        text("proc/meminfo").and_then(|text| field(&text, "MemAvailable:")?.split(' ').next()?.parse().ok());
    let cpu = text("proc/cpuinfo")
        .and_then(|text| Some(field(&text, "model name")?.trim_start_matches([':', ' ']).to_owned()));
    Surroundings {
        container: container(host),
        distribution: os_field(&os, "ID"),
        release: os_field(&os, "VERSION_ID"),
        code_name: os_field(&os, "VERSION_CODENAME"),
        memory_available_kib: memory,
        cpu_model: cpu,
    }
}

/// What systemd's container interface and the usual engines leave for those inside to see.
fn container(host: &Host) -> Option<String> {
    if let Ok(kind) = host.line("run/systemd/container") {
        return Some(kind);
    }
    let marks = [(".dockerenv", "docker"), ("run/.containerenv", "podman"), ("dev/lxd/sock", "lxd")];
    if let Some((_, kind)) = marks.iter().find(|(path, _)| host.path(path).exists()) {
        return Some((*kind).to_owned());
    }
    if let Some(kind) = host.bytes("proc/1/environ").ok().and_then(|environment| {
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(b"container="))?;
        Some(String::from_utf8_lossy(value).into_owned())
    }) {
        return Some(kind);
    }
    host.line("proc/sys/kernel/osrelease")
        .ok()
        .filter(|release| release.contains("icrosoft"))
        .map(|_| "wsl".into())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn os_field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Surroundings) {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let found = read(&Host::new(directory.path()));
        (directory, found)
    }

    #[test]
    fn a_debian_machine() {
        let (_keep, found) = tree(&[
            (
                "etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n",
            ),
            ("proc/meminfo", "MemTotal:         505000 kB\nMemAvailable:     400123 kB\n"),
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: QEMU Virtual CPU\n"),
        ]);
        assert_eq!((found.distribution.as_deref(), found.release.as_deref()), (Some("debian"), Some("12")));
        assert_eq!(found.memory_available_kib, Some(400_123));
        assert_eq!(found.cpu_model.as_deref(), Some("QEMU Virtual CPU"));
        assert_eq!(found.container, None);
    }

    #[test]
    fn containers_are_told() {
        for (path, content, kind) in [
            ("run/systemd/container", "lxc\n", "lxc"),
            (".dockerenv", "", "docker"),
            ("proc/1/environ", "A=b\0container=systemd-nspawn\0", "systemd-nspawn"),
            ("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n", "wsl"),
        ] {
            assert_eq!(tree(&[(path, content)]).1.container.as_deref(), Some(kind));
        }
    }
}
