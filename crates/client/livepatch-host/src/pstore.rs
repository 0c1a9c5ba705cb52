//! The last words of a kernel that went down, where the firmware keeps them: `/sys/fs/pstore` (Documentation/ABI/testing/pstore)
//! and the directory that systemd-pstore(8) moves them to while the machine boots.

use crate::Host;
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

const DIRECTORIES: [&str; 2] = ["sys/fs/pstore", "var/lib/systemd/pstore"];
/// The firmware's memory has some hundred KiB; systemd keeps what it moved for ever.
const MOST_FILES: usize = 512;
/// systemd-pstore makes `SECONDS/BOOT/dmesg.txt`.
const DEPTH: usize = 3;

/// The end of a kernel's log, from before a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashLog {
    /// When it was written, by the crashed kernel's clock.
    pub at: SystemTime,
    /// Its lines, in their order.
    pub text: String,
}

pub(crate) fn read(host: &Host) -> Vec<CrashLog> {
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        collect(&host.path(directory), DEPTH, &mut files);
    }
    let mut parts: Vec<Part> = files.iter().filter_map(|path| Part::read(host, path)).collect();
    parts.sort_by(|one, other| one.order().cmp(&other.order()));
    let mut logs: Vec<(String, CrashLog)> = Vec::new();
    for part in parts {
        match logs.last_mut() {
            Some((crash, log)) if *crash == part.crash => log.text.push_str(&part.text),
            _ => logs.push((part.crash, CrashLog { at: part.at, text: part.text })),
        }
    }
    logs.into_iter().map(|(_, log)| log).collect()
}

fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let kind = entry.file_type().ok();
        if kind.is_some_and(|kind| kind.is_dir()) && depth > 1 {
            collect(&entry.path(), depth - 1, files);
        } else if kind.is_some_and(|kind| kind.is_file()) && files.len() < MOST_FILES {
            let name = entry.file_name();
            // What is compressed could not be unpacked by the kernel either.
            let plain = !name.to_string_lossy().ends_with(".z");
            if plain && name.to_string_lossy().starts_with("dmesg") {
                files.push(entry.path());
            }
        }
    }
}

/// One record: a crash's log is cut into several, the last words first. Its first line is `REASON#CRASH PartNUMBER`.
struct Part {
    crash: String,
    number: u32,
    at: SystemTime,
    text: String,
}

impl Part {
    fn read(host: &Host, path: &Path) -> Option<Self> {
        let at = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        let whole = host.text(path.strip_prefix(host.root()).ok()?).ok()?;
        let directory = path.parent().unwrap_or(path).display().to_string();
        let header = whole.split_once('\n').and_then(|(first, rest)| {
            let (reason, number) = first.trim().rsplit_once(" Part")?;
            Some((format!("{directory} {reason}"), number.parse().ok()?, rest.to_owned()))
        });
        // systemd joins the parts of a crash by itself.
        let (crash, number, text) = header.unwrap_or_else(|| (path.display().to_string(), 0, whole));
        Some(Self { crash, number, at, text: text.trim_end().to_owned() + "\n" })
    }

    /// The parts of a crash together, the greatest number first.
    fn order(&self) -> (&str, std::cmp::Reverse<u32>) {
        (&self.crash, std::cmp::Reverse(self.number))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_crash_are_put_together() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/fs/pstore/dmesg-efi-170000000001001", "Panic#2 Part1\n<1>[ 9.0] CR2: 0\n");
        put("sys/fs/pstore/dmesg-efi-170000000002001", "Panic#2 Part2\n<1>[ 8.0] BUG: kernel NULL pointer");
        put("sys/fs/pstore/dmesg-efi-170000000101001.enc.z", "\u{1}");
        put("sys/fs/pstore/console-ramoops-0", "no");
        put("var/lib/systemd/pstore/1700000000/dmesg.txt", "<4>[ 1.0] old\n");
        let logs = read(&Host::new(root.path()));
        assert_eq!(logs.len(), 2, "{logs:?}");
        assert_eq!(logs[0].text, "<1>[ 8.0] BUG: kernel NULL pointer\n<1>[ 9.0] CR2: 0\n");
        assert_eq!(logs[1].text, "<4>[ 1.0] old\n");
        assert_eq!(read(&Host::new("/nonexistent")), []);
    }
}
