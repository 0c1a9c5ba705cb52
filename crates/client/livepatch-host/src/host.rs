//! The machine's identity and its global state.

use crate::{
    Enforcement, Firmware, HostError, InstalledKernel, KernelConfig, KernelKeys, KernelPackage,
    LoadedLivepatch, LoadedModule, NextBoot, Surroundings, efi, enforcement, installed, kernel_config,
    kernel_package, livepatches, modules, next_boot, surroundings, tasks,
};
use livepatch_kernel::{BuildId, KernelIdentity, Taint};
use rustix::io::Errno;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// No file that is read here is larger: `/proc/modules` of a machine with hundreds of modules has some 20 KiB.
const LARGEST: u64 = 4 << 20;

/// A machine, seen through the file system below a root directory.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The machine whose `proc` and `sys` are mounted below `root`; `/` is the machine that runs this program.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The running kernel: build id of `/sys/kernel/notes`, release of `/proc/sys/kernel/osrelease`, and the
    /// architecture of `/proc/sys/kernel/arch` (there since Linux 6.1) or, before that, of `uname`.
    ///
    /// # Errors
    /// [`HostError`] when one of them is missing or malformed.
    pub fn kernel(&self) -> Result<KernelIdentity, HostError> {
        let notes = self.bytes("sys/kernel/notes")?;
        let build_id =
            BuildId::from_notes(&notes).map_err(|_| self.content("sys/kernel/notes", "GNU build id"))?;
        let release = self.line("proc/sys/kernel/osrelease")?;
        let release =
            release.parse().map_err(|_| self.content("proc/sys/kernel/osrelease", "kernel release"))?;
        let arch = self.line("proc/sys/kernel/arch").unwrap_or_else(|_| uname_machine());
        Ok(KernelIdentity { release, build_id, arch })
    }

    /// `/proc/sys/kernel/tainted`.
    ///
    /// # Errors
    /// [`HostError`] when it is missing or no number.
    pub fn taint(&self) -> Result<Taint, HostError> {
        let path = "proc/sys/kernel/tainted";
        self.line(path)?.parse().map(Taint).map_err(|_| self.content(path, "taint mask"))
    }

    /// `/proc/sys/kernel/random/boot_id`: a UUID that differs from boot to boot.
    ///
    /// # Errors
    /// [`HostError`] when it is missing or empty.
    pub fn boot_id(&self) -> Result<String, HostError> {
        let path = "proc/sys/kernel/random/boot_id";
        let id = self.line(path)?;
        let sound = (32..=36).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if sound { Ok(id) } else { Err(self.content(path, "boot id")) }
    }

    /// Time since boot, of `/proc/uptime`: unlike the clock it never jumps.
    ///
    /// # Errors
    /// [`HostError`] when it is missing or malformed.
    pub fn uptime(&self) -> Result<Duration, HostError> {
        let path = "proc/uptime";
        let line = self.line(path)?;
        let seconds = line.split(' ').next().and_then(|first| first.parse::<f64>().ok());
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| self.content(path, "time since boot"))
    }

    /// `/proc/sys/kernel/hostname`.
    ///
    /// # Errors
    /// [`HostError`] when it is missing.
    pub fn hostname(&self) -> Result<String, HostError> {
        self.line("proc/sys/kernel/hostname")
    }

    /// Whether this kernel can be livepatched at all: `/sys/kernel/livepatch` exists with `CONFIG_LIVEPATCH`.
    pub fn supports_livepatch(&self) -> bool {
        self.path(livepatches::DIRECTORY).is_dir()
    }

    /// The livepatches that the kernel has, by name; none when it cannot be livepatched.
    ///
    /// # Errors
    /// [`HostError::Read`] when sysfs cannot be read.
    pub fn livepatches(&self) -> Result<Vec<LoadedLivepatch>, HostError> {
        livepatches::read(self)
    }

    /// The livepatch of this name, if the kernel has it.
    ///
    /// # Errors
    /// [`HostError::Read`] when sysfs cannot be read.
    pub fn livepatch(&self, name: &str) -> Result<Option<LoadedLivepatch>, HostError> {
        livepatches::read_one(self, name)
    }

    /// The kernel modules of `/proc/modules`; none when the kernel has no modules.
    ///
    /// # Errors
    /// [`HostError::Read`] when it is unreadable.
    pub fn modules(&self) -> Result<Vec<LoadedModule>, HostError> {
        match self.bytes("proc/modules") {
            Ok(bytes) => Ok(modules::parse_modules(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.is_missing() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Tasks that a running transition waits for, at most `limit`; see [`crate::BlockingTask`]. `patching`: towards
    /// the patched state (true) or back (false).
    pub fn blocking_tasks(&self, patching: bool, limit: usize) -> Vec<crate::BlockingTask> {
        tasks::blocking(self, patching, limit)
    }

    /// The package that the running kernel comes from, as the kernel says it.
    ///
    /// # Errors
    /// [`HostError`] when `/proc/version` is missing.
    pub fn kernel_package(&self) -> Result<KernelPackage, HostError> {
        kernel_package::read(self)
    }

    /// The configuration of the kernel with this release; none when the distribution does not ship it.
    pub fn kernel_config(&self, release: &str) -> Option<KernelConfig> {
        kernel_config::read(self, release)
    }

    /// What the kernel asks of modules. `config`: its configuration, where it is known.
    pub fn enforcement(&self, config: Option<&KernelConfig>) -> Enforcement {
        enforcement::read(self, config)
    }

    /// The certificates that the kernel knows, of `/proc/keys`; none when it shows no keys.
    pub fn kernel_keys(&self) -> KernelKeys {
        let text = self.bytes("proc/keys").unwrap_or_default();
        KernelKeys::parse(&String::from_utf8_lossy(&text))
    }

    /// What the firmware and the loader's variables say.
    pub fn firmware(&self) -> Firmware {
        efi::read(self)
    }

    /// The installed kernels, newest first.
    pub fn installed_kernels(&self) -> Vec<InstalledKernel> {
        installed::read(self)
    }

    /// The kernel that boots next.
    pub fn next_boot(&self) -> NextBoot {
        next_boot::read(self)
    }

    /// Where the kernel runs.
    pub fn surroundings(&self) -> Surroundings {
        surroundings::read(self)
    }

    /// What earlier kernels left in the firmware's memory when they went down; none where there is no such memory.
    pub fn crash_logs(&self) -> Vec<crate::CrashLog> {
        crate::pstore::read(self)
    }

    /// A task as it is now: what it is and where in the kernel it waits; `None` when it has ended.
    pub fn task(&self, pid: u32, tid: u32) -> Option<crate::BlockingTask> {
        tasks::look(self, pid, tid)
    }

    /// Whether some route leaves this machine; true where that is not known.
    pub fn has_network(&self) -> bool {
        crate::network::is_reachable(self)
    }

    /// Who traces these functions, as far as tracefs and debugfs show it; none where they are not mounted.
    pub fn tracing_users(&self, functions: &[&str]) -> Vec<crate::TracingUser> {
        crate::tracing_users::read(self, functions)
    }

    /// The emergency switch, as it is set now.
    pub fn mode(&self) -> crate::ModeSetting {
        crate::mode::read(self)
    }

    /// Opens the kernel's log.
    ///
    /// # Errors
    /// [`HostError::Read`] when there is none, or this process may not read it.
    pub fn kernel_log(&self) -> Result<crate::KernelLog, HostError> {
        crate::KernelLog::open(self)
    }

    /// `relative` below the root.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The first line of a small file, without blanks around it.
    pub(crate) fn line(&self, relative: impl AsRef<Path>) -> Result<String, HostError> {
        let bytes = self.bytes(&relative)?;
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() { Err(self.content(relative, "text")) } else { Ok(line.to_owned()) }
    }

    /// A small file's text.
    pub(crate) fn text(&self, relative: impl AsRef<Path>) -> Result<String, HostError> {
        Ok(String::from_utf8_lossy(&self.bytes(relative)?).into_owned())
    }

    pub(crate) fn bytes(&self, relative: impl AsRef<Path>) -> Result<Vec<u8>, HostError> {
        let path = self.path(relative);
        let read = || {
            let mut bytes = Vec::new();
            fs::File::open(&path)?.take(LARGEST).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| HostError::Read { path: path.clone(), source })
    }

    fn content(&self, relative: impl AsRef<Path>, expected: &'static str) -> HostError {
        HostError::Content { path: self.path(relative), expected }
    }
}

impl HostError {
    /// Whether the file does not exist, which for sysfs and proc means: there is no such thing in the kernel. ENODEV is
    /// what sysfs answers when the thing vanishes while its file is being opened or read (fs/kernfs/file.c), and ESRCH
    /// what proc answers for a task that is gone.
    pub fn is_missing(&self) -> bool {
        let Self::Read { source, .. } = self else {
            return false;
        };
        let errno = source.raw_os_error().map(Errno::from_raw_os_error);
        errno.is_some_and(|errno| [Errno::NOENT, Errno::NODEV, Errno::SRCH].contains(&errno))
    }
}

fn uname_machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}
