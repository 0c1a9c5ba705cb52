//! The kernel that boots next, as far as the boot loader's files tell.

use crate::{
    Host, efi,
    grub::{self, Choice},
};
use livepatch_kernel::KernelRelease;
use serde::{Deserialize, Serialize};
use std::fs;

/// The kernel that boots next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum NextBoot {
    /// This one.
    Kernel {
        /// Its `uname -r`.
        release: KernelRelease,
        /// Why this one, in a sentence's end.
        why: String,
    },
    /// It cannot be told.
    Uncertain {
        /// Why not, in a sentence's end.
        why: String,
    },
}

/// The vendor GUID of systemd-boot's variables (systemd.io, "The Boot Loader Interface").
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const GRUB: [&str; 3] = ["boot/grub", "boot/grub2", "boot/efi/EFI/debian"];
const SYSTEMD_BOOT: [&str; 3] = ["boot", "efi", "boot/efi"];

pub(crate) fn read(host: &Host) -> NextBoot {
    let choice = grub(host).or_else(|| systemd_boot(host)).or_else(|| only_kernel(host));
    match choice {
        Some(Choice::Kernel { file, why }) => match release_of(&file) {
            Some(release) => NextBoot::Kernel { release, why },
            None => NextBoot::Uncertain {
                why: format!("the boot loader's kernel '{file}' does not name its release"),
            },
        },
        Some(Choice::Uncertain(why)) => NextBoot::Uncertain { why },
        None => NextBoot::Uncertain { why: "no boot loader that is known has its configuration here".into() },
    }
}

/// `vmlinuz-RELEASE`, or `linux` in a directory of that name.
fn release_of(file: &str) -> Option<KernelRelease> {
    file.strip_prefix("vmlinuz-").unwrap_or(file).trim_end_matches(".efi").parse().ok()
}

fn grub(host: &Host) -> Option<Choice> {
    let text = |path: String| host.bytes(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let folder = GRUB.iter().find(|folder| host.path(folder).join("grub.cfg").exists())?;
    let Some(configuration) = text(format!("{folder}/grub.cfg")) else {
        return Some(Choice::Uncertain(format!("{folder}/grub.cfg cannot be read")));
    };
    if host.path(folder).join("custom.cfg").exists() {
        return Some(Choice::Uncertain(format!("{folder}/custom.cfg may change GRUB's choice")));
    }
    let environment = text(format!("{folder}/grubenv")).unwrap_or_default();
    if configuration.lines().any(|line| line.trim() == "blscfg") {
        return Some(saved_boot_entry(host, &environment));
    }
    Some(grub::choice(&configuration, &environment))
}

/// With the boot loader specification GRUB's saved entry is the name of a file (Fedora, RHEL).
fn saved_boot_entry(host: &Host, environment: &str) -> Choice {
    let saved = |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let wanted = saved("next_entry").filter(|entry| !entry.is_empty()).or_else(|| saved("saved_entry"));
    let entry = wanted.and_then(|wanted| entries(host, "boot").into_iter().find(|entry| entry.id == wanted));
    match entry {
        Some(entry) => {
            Choice::Kernel { file: entry.kernel, why: format!("GRUB's saved entry ({})", entry.id) }
        }
        None => Choice::Uncertain("GRUB's saved entry names no boot entry".into()),
    }
}

/// An entry of the boot loader specification (uapi-group.org, "Type #1").
struct BootEntry {
    id: String,
    kernel: String,
}

fn entries(host: &Host, folder: &str) -> Vec<BootEntry> {
    let listed = fs::read_dir(host.path(folder).join("loader/entries")).into_iter().flatten();
    let mut found: Vec<BootEntry> = listed
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let id = entry.file_name().into_string().ok()?.strip_suffix(".conf")?.to_owned();
            let text = host.bytes(format!("{folder}/loader/entries/{id}.conf")).ok()?;
            let text = String::from_utf8_lossy(&text);
            let field = |name: &str| {
                let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
                values.find(|rest| rest.starts_with([' ', '\t'])).map(|rest| rest.trim().to_owned())
            };
            // A version beside a kernel that is just called `linux` is its release.
            let path = field("linux")?;
            let file = path.rsplit('/').next().unwrap_or_default().to_owned();
            let kernel = if file.starts_with("vmlinuz-") { file } else { field("version").unwrap_or(file) };
            Some(BootEntry { id, kernel })
        })
        .collect();
    found.sort_by_key(|entry| std::cmp::Reverse(release_of(&entry.kernel)));
    found
}

fn systemd_boot(host: &Host) -> Option<Choice> {
    let folder = SYSTEMD_BOOT.iter().find(|folder| host.path(folder).join("loader/entries").is_dir())?;
    let entries = entries(host, folder);
    let variable = |name: &str| efi::variable(host, name, LOADER).ok().map(|value| utf16(&value));
    let configured = || {
        let text = host.bytes(format!("{folder}/loader/loader.conf")).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().find_map(|line| Some(line.strip_prefix("default")?.trim().to_owned()))
    };
    let wanted =
        variable("LoaderEntryOneShot").or_else(|| variable("LoaderEntryDefault")).or_else(configured);
    let (found, why) = match wanted.as_deref().filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => {
            let found = entries.iter().find(|entry| matches(wanted.trim_end_matches(".conf"), &entry.id));
            (found, format!("systemd-boot's choice ({wanted})"))
        }
        None => (entries.first(), "systemd-boot takes the newest".to_owned()),
    };
    Some(match found {
        Some(entry) => Choice::Kernel { file: entry.kernel.clone(), why },
        None => Choice::Uncertain("systemd-boot's choice names no boot entry".into()),
    })
}

/// Whether a name fits a pattern in which `*` stands for anything; enough for what loader.conf holds.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    String::from_utf16_lossy(&units.take_while(|unit| *unit != 0).collect::<Vec<_>>())
}

/// Without a loader's files, as in a machine that its host boots, one kernel leaves no choice.
fn only_kernel(host: &Host) -> Option<Choice> {
    let installed = host.installed_kernels();
    let [kernel] = installed.as_slice() else { return None };
    Some(Choice::Kernel {
        file: format!("vmlinuz-{}", kernel.release),
        why: "the only installed kernel".into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        directory
    }

    fn next(files: &[(&str, &[u8])]) -> String {
        let directory = tree(files);
        match read(&Host::new(directory.path())) {
            NextBoot::Kernel { release, .. } => release.to_string(),
            NextBoot::Uncertain { why } => format!("uncertain: {why}"),
        }
    }

    const GRUB_CFG: (&str, &[u8]) =
        ("boot/grub/grub.cfg", b"set default=\"0\"\nmenuentry 'x' {\n linux /vmlinuz-6.1.0-55-amd64 ro\n}\n");

    #[test]
    fn grub_says_it() {
        assert_eq!(next(&[GRUB_CFG]), "6.1.0-55-amd64");
        assert!(next(&[GRUB_CFG, ("boot/grub/custom.cfg", b"")]).starts_with("uncertain: "));
    }

    #[test]
    fn grub_with_boot_entries() {
        let entry: (&str, &[u8]) =
            ("boot/loader/entries/ab-6.9.3.conf", b"title Fedora\nlinux /vmlinuz-6.9.3\n");
        let files = [("boot/grub2/grub.cfg", b"blscfg\n".as_slice()), entry];
        assert!(next(&files).starts_with("uncertain: "));
        let env = ("boot/grub2/grubenv", b"saved_entry=ab-6.9.3\n".as_slice());
        assert_eq!(next(&[files[0], files[1], env]), "6.9.3");
    }

    #[test]
    fn systemd_boot_takes_the_newest_or_what_it_is_told() {
        let entries: [(&str, &[u8]); 2] = [
            ("efi/loader/entries/ab-6.1.0-9.conf", b"version 6.1.0-9-amd64\nlinux /ab/6.1.0-9-amd64/linux\n"),
            (
                "efi/loader/entries/ab-6.1.0-10.conf",
                b"version 6.1.0-10-amd64\nlinux /ab/6.1.0-10-amd64/linux\n",
            ),
        ];
        assert_eq!(next(&entries), "6.1.0-10-amd64");
        let conf: (&str, &[u8]) = ("efi/loader/loader.conf", b"timeout 3\ndefault ab-*-9.conf\n");
        assert_eq!(next(&[entries[0], entries[1], conf]), "6.1.0-9-amd64");
        let mut value = vec![7, 0, 0, 0];
        value.extend("ab-6.1.0-10.conf\0".encode_utf16().flat_map(u16::to_le_bytes));
        let path = format!("sys/firmware/efi/efivars/LoaderEntryOneShot-{LOADER}");
        assert_eq!(
            next(&[entries[0], entries[1], conf, (path.as_str(), value.as_slice())]),
            "6.1.0-10-amd64"
        );
    }

    #[test]
    fn without_a_loader_one_kernel_leaves_no_choice() {
        assert_eq!(next(&[("boot/vmlinuz-6.1.0-55-amd64", b"")]), "6.1.0-55-amd64");
        let two: [(&str, &[u8]); 2] =
            [("boot/vmlinuz-6.1.0-55-amd64", b""), ("boot/vmlinuz-6.1.0-54-amd64", b"")];
        assert!(next(&two).starts_with("uncertain: "));
        assert!(next(&[]).starts_with("uncertain: "));
    }
}
