//! Boots real kernels in QEMU, for tests and for the demo.
//!
//! A [`GuestBuilder`] takes a distribution's kernel as it is (vmlinuz and module tree, see [`CachedKernel`]), packs an
//! initramfs around busybox (statically linked, from the host) with the modules, files and programs that the caller
//! names, and boots it by software emulation. The [`Guest`] then runs shell commands over a second serial port, tells an
//! oops and a panic from a clean power-off, and keeps the console as a file. Nothing of the host is touched: no mounts,
//! no root, no bridge; the guest reaches the host's `127.0.0.1:PORT` as `10.0.2.2:PORT`.
//!
//! ```no_run
//! # fn main() -> Result<(), livepatch_vm::VmError> {
//! use std::time::Duration;
//! let kernel = livepatch_vm::CachedKernel::find(None)?;
//! let guest = livepatch_vm::GuestBuilder::for_kernel(&kernel).module("loop").network(true).boot()?;
//! assert_eq!(guest.check("uname -r", Duration::from_secs(10))?.trim(), kernel.release);
//! guest.shutdown()?;
//! # Ok(()) }
//! ```
//!
//! With [`GuestBuilder::root_disk`] the guest is a Debian system with systemd, from a [`RootFileSystem`] that is made once; what
//! it writes stays on its [`Disk`], so that another boot finds it.
//!
//! With [`GuestBuilder::firmware`] it boots by the distribution's signed boot loaders under Secure Boot.
//!
//! Host programs: `qemu-system-x86_64`, `/bin/busybox` (static), `setpriv`, and `ldd` for dynamic programs; Debian has
//! them in qemu-system-x86, busybox-static, util-linux and libc-bin; a root file system wants mmdebstrap, e2fsprogs and
//! qemu-utils too.

mod builder;
mod channel;
mod console;
mod cpio;
mod error;
mod firmware;
mod guest;
mod initramfs;
mod kernel_cache;
mod libraries;
mod modules;
mod power_cut;
mod qemu;
mod root;

pub use builder::GuestBuilder;
pub use console::Oops;
pub use error::VmError;
pub use firmware::Firmware;
pub use guest::{Exit, Guest, Output};
pub use kernel_cache::{CachedKernel, cache_directory};
pub use power_cut::{LoggedDisk, WriteLog};
pub use root::{Disk, RootFileSystem};
