//! Secure Boot: OVMF's firmware, the distribution's signed boot loaders on an EFI system partition, and MokManager, which
//! asks the person at the console whether a key may be trusted.

use crate::{
    VmError, cache_directory, console,
    root::{require, run},
};
use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// With Microsoft's certificates and Secure Boot on (Debian's package ovmf).
pub(crate) const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.ms.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";
/// shim and MokManager, signed by Microsoft and Debian; GRUB, signed by Debian.
const LOADERS: [&str; 3] = ["shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed"];
/// Where they are in the packages, and where the firmware, shim and GRUB look for them.
const FILES: [(&str, &str); 3] = [
    ("usr/lib/shim/shimx64.efi.signed", "::/EFI/BOOT/BOOTX64.EFI"),
    ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "::/EFI/BOOT/grubx64.efi"),
    ("usr/lib/shim/mmx64.efi.signed", "::/EFI/BOOT/mmx64.efi"),
];
/// Kernel and initramfs take up to 40 MiB; sparse.
const PARTITION: u64 = 128 << 20;
/// Firmware, by software emulation on a busy host.
const PATIENCE: Duration = Duration::from_secs(240);
/// MokManager drops keys that come while it draws.
const PAUSE: Duration = Duration::from_millis(700);
const DOWN: &[u8] = b"\x1b[B";
const ENTER: &[u8] = b"\r";

/// A machine's firmware with Secure Boot on; its variables, such as the keys that were enrolled, outlive its boots.
#[derive(Clone, Debug)]
pub struct Firmware {
    pub(crate) variables: PathBuf,
}

impl Firmware {
    /// Firmware as it comes from the factory; `variables` is where its memory is kept.
    ///
    /// # Errors
    /// [`VmError::MissingProgram`] without OVMF.
    pub fn secure_boot(variables: impl Into<PathBuf>) -> Result<Self, VmError> {
        let variables = variables.into();
        let missing = |_| VmError::MissingProgram { program: "OVMF", package: "ovmf" };
        fs::copy(VARIABLES, &variables).map_err(missing)?;
        Ok(Self { variables })
    }
}

/// Makes an EFI system partition with this kernel and initramfs.
pub(crate) fn partition(
    path: &Path,
    vmlinuz: &Path,
    initramfs: &Path,
    command_line: &str,
) -> Result<(), VmError> {
    require("mformat", "mtools")?;
    let loaders = loaders()?;
    let configuration = path.with_extension("cfg");
    let text = format!("set timeout=0\nlinux /vmlinuz {command_line}\ninitrd /initrd\nboot\n");
    fs::write(&configuration, text).map_err(VmError::file(&configuration))?;
    let image = File::create(path).map_err(VmError::file(path))?;
    image.set_len(PARTITION).map_err(VmError::file(path))?;
    run(Command::new("mformat").arg("-i").arg(path).args(["-F", "-v", "ESP", "::"]))?;
    run(Command::new("mmd").arg("-i").arg(path).args(["::/EFI", "::/EFI/BOOT", "::/EFI/debian"]))?;
    let copy = |from: &Path, to: &str| run(Command::new("mcopy").arg("-i").arg(path).arg(from).arg(to));
    for (from, to) in FILES {
        copy(&loaders.join(from), to)?;
    }
    copy(&configuration, "::/EFI/debian/grub.cfg")?;
    copy(vmlinuz, "::/vmlinuz")?;
    copy(initramfs, "::/initrd")?;
    Ok(())
}

/// The boot loaders' packages, unpacked in the cache; nothing is installed on the host.
fn loaders() -> Result<PathBuf, VmError> {
    let directory = cache_directory().join("boot-loaders");
    let scratch = directory.with_extension("new");
    fs::create_dir_all(cache_directory()).map_err(VmError::file(cache_directory()))?;
    let lock = directory.with_extension("lock");
    let lock = File::create(&lock).map_err(VmError::file(&lock))?;
    lock.lock().map_err(VmError::file(&directory))?;
    if directory.is_dir() {
        return Ok(directory);
    }
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(VmError::file(&scratch))?;
    }
    fs::create_dir(&scratch).map_err(VmError::file(&scratch))?;
    // Root's apt would read as its own user, which may not write here; that is only a warning.
    run(Command::new("apt-get").current_dir(&scratch).args(["-q", "download"]).args(LOADERS))?;
    for entry in fs::read_dir(&scratch).map_err(VmError::file(&scratch))? {
        let package = entry.map_err(VmError::file(&scratch))?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&scratch))?;
        }
    }
    fs::rename(&scratch, &directory).map_err(VmError::file(&directory))?;
    Ok(directory)
}

/// Answers MokManager, which shim starts when a key waits to be enrolled, as its owner would: enrol it, with this password.
/// The machine then reboots.
pub(crate) fn enrol_key(console: &Path, socket: &Path, password: &str) -> Result<(), VmError> {
    let mut keyboard = UnixStream::connect(socket).map_err(VmError::Channel)?;
    // What it says is read from the file; the socket's copy must be taken away, or QEMU waits.
    let mut copy = keyboard.try_clone().map_err(VmError::Channel)?;
    thread::spawn(move || std::io::copy(&mut copy, &mut std::io::sink()));
    let typed = [password.as_bytes(), ENTER].concat();
    let dialogue: [(&str, &[&[u8]]); 6] = [
        ("Press any key", &[ENTER]),
        ("Continue boot", &[DOWN, ENTER]),  // Enroll MOK
        ("View key 0", &[DOWN, ENTER]),     // Continue
        ("Enroll the key", &[DOWN, ENTER]), // Yes
        ("assword:", &[&typed]),
        ("Reboot", &[ENTER]),
    ];
    let mut read = 0;
    for (words, keys) in dialogue {
        read = wait_for(console, read, words)?;
        for key in keys {
            thread::sleep(PAUSE);
            keyboard.write_all(key).map_err(VmError::Channel)?;
        }
    }
    Ok(())
}

/// Waits until the console says these words after its first `read` bytes; gives how much of it is read then.
fn wait_for(console: &Path, read: usize, words: &str) -> Result<usize, VmError> {
    let start = Instant::now();
    loop {
        let bytes = fs::read(console).unwrap_or_default();
        let text = console::plain(&String::from_utf8_lossy(bytes.get(read..).unwrap_or_default()));
        if text.contains(words) {
            return Ok(bytes.len());
        }
        if start.elapsed() > PATIENCE {
            return Err(VmError::TimedOut {
                what: format!("MokManager's '{words}'"),
                limit: PATIENCE,
                tail: console::tail(&text, 15),
                console: console.to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(50));
    }
}
