//! The only place that changes the kernel: loading, disabling and removing livepatch modules.

use crate::{Host, livepatches};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
    system::{delete_module, finit_module},
};
use std::{ffi::CString, fs, io::Write, path::Path};

/// `O_NONBLOCK`: `delete_module` fails with EWOULDBLOCK instead of waiting for the reference count (man 2 delete_module).
const NONBLOCK: i32 = 0o4000;

/// Changes the kernel that runs this program.
#[derive(Clone, Debug)]
pub struct ModuleLoader {
    host: Host,
}

/// Why the kernel was not changed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The host is a recorded tree, not the machine that runs this program.
    #[error("{0} is not this machine's root directory: its kernel cannot be changed")]
    NotThisMachine(String),
    /// The name is no module name.
    #[error("'{0}' is not a module name")]
    Name(String),
    /// The kernel said no.
    #[error("the kernel refused to {operation} {module}: {}", describe(*.errno))]
    Kernel {
        /// `load`, `disable` or `remove`.
        operation: &'static str,
        /// Module name.
        module: String,
        /// Its errno.
        errno: i32,
    },
    /// The module could not be handed over.
    #[error("cannot hand {module} to the kernel")]
    HandOver {
        /// Module name.
        module: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl LoadError {
    /// The kernel's errno, if it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// Whether there is no such livepatch or module: ENOENT, or ENODEV when it vanished at this very moment.
    pub fn is_missing(&self) -> bool {
        self.errno()
            .is_some_and(|errno| [Errno::NOENT, Errno::NODEV].contains(&Errno::from_raw_os_error(errno)))
    }

    /// Whether trying again soon may work: EAGAIN (still referenced) or EBUSY (another transition runs).
    pub fn is_transient(&self) -> bool {
        self.errno()
            .is_some_and(|errno| [Errno::AGAIN, Errno::BUSY].contains(&Errno::from_raw_os_error(errno)))
    }
}

impl ModuleLoader {
    /// A loader for this host; its root must be `/`, or every call fails with [`LoadError::NotThisMachine`].
    pub fn new(host: Host) -> Self {
        Self { host }
    }

    /// Loads a module (`finit_module`) from memory, so that exactly the bytes that were verified are loaded. A
    /// livepatch enables itself while it loads; its transition may still run when this returns.
    ///
    /// # Errors
    /// [`LoadError::Kernel`] with the kernel's errno, such as EKEYREJECTED (signature), ENOEXEC (another kernel's
    /// module), EBUSY (a transition is running), EEXIST (loaded already).
    pub fn load(&self, name: &str, module: &[u8]) -> Result<(), LoadError> {
        self.check(name)?;
        let hand_over = |source| LoadError::HandOver { module: name.to_owned(), source };
        let sealed = || {
            let memory = memfd_create("livepatch", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
            let mut memory = fs::File::from(memory);
            memory.write_all(module)?;
            let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            fcntl_add_seals(&memory, seals)?;
            Ok(memory)
        };
        let memory = sealed().map_err(hand_over)?;
        finit_module(&memory, c"", 0).map_err(|errno| kernel("load", name, errno))
    }

    /// Starts the transition back to the unpatched functions (`0` to `enabled`); reverses a running transition. The
    /// livepatch's directory vanishes when the transition has ended.
    ///
    /// # Errors
    /// [`LoadError::Kernel`] with errno ENOENT when there is no such livepatch, EBUSY when another one is in transition.
    pub fn disable(&self, name: &str) -> Result<(), LoadError> {
        self.check(name)?;
        let path = self.host.path(livepatches::DIRECTORY).join(name).join("enabled");
        fs::write(&path, "0").map_err(|error| match error.raw_os_error() {
            Some(errno) => LoadError::Kernel { operation: "disable", module: name.to_owned(), errno },
            None => LoadError::HandOver { module: name.to_owned(), source: error },
        })
    }

    /// Removes a module (`delete_module`) that nothing uses any more.
    ///
    /// # Errors
    /// [`LoadError::Kernel`], [transient](LoadError::is_transient) with errno EAGAIN while the module is in use.
    pub fn remove(&self, name: &str) -> Result<(), LoadError> {
        self.check(name)?;
        let c_name = CString::new(name).map_err(|_| LoadError::Name(name.to_owned()))?;
        delete_module(&c_name, NONBLOCK).map_err(|errno| kernel("remove", name, errno))
    }

    fn check(&self, name: &str) -> Result<(), LoadError> {
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name.is_empty() {
            return Err(LoadError::Name(name.chars().take(64).collect()));
        }
        if self.host.root() != Path::new("/") {
            return Err(LoadError::NotThisMachine(self.host.root().display().to_string()));
        }
        Ok(())
    }
}

fn kernel(operation: &'static str, module: &str, errno: Errno) -> LoadError {
    LoadError::Kernel { operation, module: module.to_owned(), errno: errno.raw_os_error() }
}

/// The errno's name and what it means for a livepatch module, as measured on Debian kernels.
fn describe(errno: i32) -> String {
    let meaning = match Errno::from_raw_os_error(errno) {
        Errno::KEYREJECTED => "EKEYREJECTED, its signature is not accepted by this kernel's keys",
        Errno::NOEXEC => "ENOEXEC, it was built for another kernel or is damaged",
        Errno::INVAL => "EINVAL, a function that it replaces is not in this kernel, or it is no livepatch",
        Errno::BUSY => "EBUSY, another livepatch is in transition",
        Errno::EXIST => "EEXIST, a module of this name is loaded",
        Errno::AGAIN => "EAGAIN, it is still in use",
        Errno::PERM => "EPERM, module loading needs CAP_SYS_MODULE, or is switched off or locked down",
        Errno::NOENT => "ENOENT, there is no such module, or a symbol that it needs is missing",
        Errno::NOMEM => "ENOMEM, there is not enough memory",
        other => return other.to_string(),
    };
    meaning.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn a_recorded_tree_is_never_changed() {
        let loader = ModuleLoader::new(Host::new("/nonexistent"));
        assert!(matches!(loader.load("x", b"\x7fELF"), Err(LoadError::NotThisMachine(_))));
        assert!(matches!(loader.disable("x"), Err(LoadError::NotThisMachine(_))));
        assert!(matches!(loader.remove("x"), Err(LoadError::NotThisMachine(_))));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let loader = ModuleLoader::new(Host::new("/nonexistent"));
        for name in ["", "..", "a/b", "a\0b"] {
            assert!(matches!(loader.disable(name), Err(LoadError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn errnos_are_explained() {
        let text = kernel("load", "m", Errno::KEYREJECTED).to_string();
        assert_eq!(
            text,
            "the kernel refused to load m: EKEYREJECTED, its signature is not accepted by this kernel's keys"
        );
        assert!(kernel("remove", "m", Errno::AGAIN).is_transient());
        assert!(!kernel("load", "m", Errno::NOEXEC).is_transient());
    }
}
