//! A Debian root file system with systemd, made once, and the disks that guests write to instead of it.

use crate::{VmError, cache_directory};
use livepatch_manifest::Digest;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SCRIPT: &str = include_str!("rootfs.sh");
/// What a machine has that takes the client's package, and `mokutil`, which asks the firmware to trust a key.
const PACKAGES: &str = "systemd-sysv,udev,kmod,dbus,ca-certificates,iproute2,mokutil,procps";
/// The oldest Debian that we support; its kernels of both series run with it.
const SUITE: &str = "bookworm";

/// A Debian system on an ext4 image in the cache. Nobody writes to it: guests get a [`Disk`] on top.
#[derive(Clone, Debug)]
pub struct RootFileSystem {
    image: PathBuf,
}

/// A disk that keeps what guests write, from one boot to the next; a file in qcow2 format that holds the differences to
/// what it was made on.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
}

impl RootFileSystem {
    /// Takes it from the cache, or makes it there with mmdebstrap, which takes a minute or two; needs root or sudo then.
    /// It is made anew when its recipe changes. Concurrent callers wait for one another.
    ///
    /// # Errors
    /// [`VmError::MissingProgram`], [`VmError::Host`] with what the recipe said, [`VmError::File`].
    pub fn get() -> Result<Self, VmError> {
        let recipe = Digest::of(format!("{SCRIPT}\n{PACKAGES}\n{SUITE}").as_bytes());
        let parent = cache_directory().join("roots");
        fs::create_dir_all(&parent).map_err(VmError::file(&parent))?;
        let image = parent.join(format!("{SUITE}-{}.ext4", recipe.short()));
        let lock = File::create(parent.join("lock")).map_err(VmError::file(&parent))?;
        lock.lock().map_err(VmError::file(&parent))?;
        if !image.exists() {
            for (program, package) in
                [("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"), ("systemctl", "systemd")]
            {
                require(program, package)?;
            }
            let script = parent.join("rootfs.sh");
            fs::write(&script, SCRIPT).map_err(VmError::file(&script))?;
            run(as_root().arg("sh").arg(&script).arg(&image).args([SUITE, PACKAGES]))?;
        }
        Ok(Self { image })
    }

    /// The image.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// A new disk at `path` that begins with this system.
    ///
    /// # Errors
    /// [`VmError::MissingProgram`], [`VmError::Host`].
    pub fn disk(&self, path: impl Into<PathBuf>) -> Result<Disk, VmError> {
        Disk::over(&self.image, "raw", path.into())
    }
}

impl Disk {
    /// A new disk at `path` that begins with what this one holds. Afterwards nobody may write to this one.
    ///
    /// # Errors
    /// [`VmError::Host`].
    pub fn fork(&self, path: impl Into<PathBuf>) -> Result<Self, VmError> {
        Self::over(&self.path, "qcow2", path.into())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn over(base: &Path, format: &str, path: PathBuf) -> Result<Self, VmError> {
        require("qemu-img", "qemu-utils")?;
        let mut command = Command::new("qemu-img");
        run(command.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(base).arg(&path))?;
        Ok(Self { path })
    }
}

/// Runs a host command to its end.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>, VmError> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.map_err(|source| VmError::Host { command: shown.clone(), said: source.to_string() })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(VmError::Host { command: shown, said: format!("{said}\n{}", output.status) })
}

/// Says which package a missing program is in; programs in sbin are there for root only, so those are looked for too.
pub(crate) fn require(program: &'static str, package: &'static str) -> Result<(), VmError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    if std::env::split_paths(&path).chain(sbin).any(|directory| directory.join(program).is_file()) {
        return Ok(());
    }
    Err(VmError::MissingProgram { program, package })
}

fn as_root() -> Command {
    if rustix::process::geteuid().is_root() { Command::new("env") } else { Command::new("sudo") }
}
