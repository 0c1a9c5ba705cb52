//! What a guest is made of, and its boot.

use crate::{
    CachedKernel, Disk, Firmware, Guest, LoggedDisk, VmError,
    channel::Channel,
    firmware,
    guest::State,
    initramfs::Initramfs,
    libraries, modules,
    qemu::{Drive, Files, Hardware},
};
use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::{Duration, Instant},
};

const BUSYBOX: &str = "/bin/busybox";
/// Software emulation on a busy machine is slow; a boot normally takes two to five seconds, with systemd and firmware
/// twenty.
const BOOT_LIMIT: Duration = Duration::from_secs(240);
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Describes a guest; [`GuestBuilder::boot`] makes it.
#[derive(Clone, Debug)]
pub struct GuestBuilder {
    hardware: Hardware,
    modules: PathBuf,
    root_disk: bool,
    password: Option<String>,
    module_names: Vec<String>,
    later_modules: Vec<String>,
    files: Vec<(PathBuf, String, u32)>,
    contents: Vec<(String, u32, Vec<u8>)>,
    artefacts: Option<PathBuf>,
}

impl GuestBuilder {
    /// A guest with this kernel image and its module tree (`…/lib/modules/RELEASE`, described by depmod).
    pub fn new(vmlinuz: impl Into<PathBuf>, modules: impl Into<PathBuf>) -> Self {
        Self {
            hardware: Hardware::new(vmlinuz.into()),
            modules: modules.into(),
            root_disk: false,
            password: None,
            module_names: Vec::new(),
            later_modules: Vec::new(),
            files: Vec::new(),
            contents: Vec::new(),
            artefacts: None,
        }
    }

    /// A guest with a kernel of the cache.
    pub fn for_kernel(kernel: &CachedKernel) -> Self {
        Self::new(kernel.vmlinuz(), kernel.modules())
    }

    /// Boots the Debian system on this disk, with systemd as its first program. The guest takes commands once
    /// `multi-user.target` is reached; its shell has Debian's programs, and the caller's files are copied to the disk.
    pub fn root_disk(mut self, disk: &Disk) -> Self {
        self.root_disk = true;
        self.hardware.memory = self.hardware.memory.max(768);
        self.disk("root", disk)
    }

    /// Adds a disk; the guest finds it as the `/sys/block/vd*` whose `serial` is this name.
    pub fn disk(mut self, serial: &str, disk: &Disk) -> Self {
        self.hardware.drives.push(Drive::qcow2(serial, disk.path()));
        self
    }

    /// Adds a disk whose writes are logged.
    pub fn logged_disk(mut self, serial: &str, disk: &LoggedDisk) -> Self {
        self.hardware.drives.push(Drive::logged(serial, disk.image(), disk.log()));
        self
    }

    /// Boots by this firmware, with Secure Boot: shim, GRUB, and the kernel if it is signed; the kernel then is locked down.
    pub fn firmware(mut self, firmware: &Firmware) -> Self {
        self.hardware.firmware = Some(firmware.clone());
        self.module("efivarfs")
    }

    /// Expects that MokManager asks about a key at this boot, and lets it be enrolled with the password of the request.
    pub fn enrol_key(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        // MokManager ends with a reboot.
        self.hardware.reboots = true;
        self
    }

    /// Memory in MiB; 512 unless told, 768 with a root disk.
    pub fn memory(mut self, mebibytes: u32) -> Self {
        self.hardware.memory = mebibytes;
        self
    }

    /// Processors; 1 unless told.
    pub fn processors(mut self, count: u32) -> Self {
        self.hardware.processors = count;
        self
    }

    /// The model of processor (`qemu-system-x86_64 -cpu help`); `max` unless told. The kernel works around a model's faults.
    pub fn processor(mut self, model: &str) -> Self {
        model.clone_into(&mut self.hardware.processor);
        self
    }

    /// Loads this module, and what it needs, at boot. A built-in one is no error.
    pub fn module(mut self, name: &str) -> Self {
        self.module_names.push(name.to_owned());
        self
    }

    /// Brings this module, and what it needs, without loading it: `sh /etc/modules-later/NAME` in the guest does. A
    /// built-in one is no error.
    pub fn later_module(mut self, name: &str) -> Self {
        self.later_modules.push(name.to_owned());
        self
    }

    /// Copies a file of the host to an absolute path in the guest, with these permission bits.
    pub fn file(mut self, host: impl Into<PathBuf>, guest: &str, mode: u32) -> Self {
        self.files.push((host.into(), guest.to_owned(), mode));
        self
    }

    /// Puts a file with these contents at an absolute path in the guest.
    pub fn contents(mut self, guest: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.contents.push((guest.to_owned(), mode, bytes.into()));
        self
    }

    /// Copies a program of the host; at boot time its shared libraries come along, unless the guest has a Debian system.
    pub fn program(self, host: impl Into<PathBuf>, guest: &str) -> Self {
        self.file(host, guest, 0o755)
    }

    /// Copies a whole directory of the host to the guest's root, as an unpacked package; links are followed.
    ///
    /// # Errors
    /// [`VmError::File`].
    pub fn tree(mut self, host: &Path) -> Result<Self, VmError> {
        let mut pending = vec![host.to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory).map_err(VmError::file(&directory))? {
                let path = entry.map_err(VmError::file(&directory))?.path();
                let metadata = fs::metadata(&path).map_err(VmError::file(&path))?;
                if metadata.is_dir() {
                    pending.push(path);
                } else if let Ok(inside) = path.strip_prefix(host) {
                    let guest = format!("/{}", inside.display());
                    self.files.push((path.clone(), guest, metadata.permissions().mode() & 0o7777));
                }
            }
        }
        Ok(self)
    }

    /// Adds to the kernel's command line.
    pub fn append(mut self, text: &str) -> Self {
        self.hardware.append.push(' ');
        self.hardware.append.push_str(text);
        self
    }

    /// Gives the guest a network card: 10.0.2.15, with the host's loopback at 10.0.2.2.
    pub fn network(mut self, wanted: bool) -> Self {
        self.hardware.network = wanted;
        self
    }

    /// Keeps the console and QEMU's messages in this directory; else they go with the guest.
    pub fn artefacts(mut self, directory: impl Into<PathBuf>) -> Self {
        self.artefacts = Some(directory.into());
        self
    }

    /// Boots the guest and waits until it takes commands.
    ///
    /// # Errors
    /// What is missing on the host, and [`VmError::Gone`] or [`VmError::TimedOut`] when the boot fails.
    pub fn boot(self) -> Result<Guest, VmError> {
        let scratch = tempfile::Builder::new()
            .prefix("livepatch-vm-")
            .tempdir()
            .map_err(VmError::file("temporary directory"))?;
        let artefacts = self.artefacts.clone().unwrap_or_else(|| scratch.path().to_owned());
        fs::create_dir_all(&artefacts).map_err(VmError::file(&artefacts))?;
        let initramfs = artefacts.join("initramfs.cpio");
        fs::write(&initramfs, self.initramfs()?).map_err(VmError::file(&initramfs))?;

        // Sockets' paths must be short (108 bytes), hence always in the temporary directory.
        let (control, keyboard) = (scratch.path().join("control"), scratch.path().join("keyboard"));
        let listener = UnixListener::bind(&control).map_err(VmError::file(&control))?;
        let console = artefacts.join("console.log");
        let partition = scratch.path().join("partition.img");
        if self.hardware.firmware.is_some() {
            let command_line = self.hardware.command_line();
            firmware::partition(&partition, &self.hardware.vmlinuz, &initramfs, &command_line)?;
        }
        let mut child = self.hardware.start(Files {
            initramfs: &initramfs,
            partition: &partition,
            control: &control,
            console: &console,
            keyboard: &keyboard,
            log: &artefacts.join("qemu.log"),
        })?;
        let channel = match accept(&listener, &mut child) {
            Ok(channel) => channel,
            Err(error) => {
                // Both fail only when it has ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let guest = Guest::new(State { child, channel, next_id: 0 }, console.clone(), artefacts, scratch);
        if let Some(password) = &self.password {
            firmware::enrol_key(&console, &keyboard, password)?;
        }
        guest.wait_until_ready(BOOT_LIMIT)?;
        // QEMU has read it, and it is large.
        fs::remove_file(&initramfs).map_err(VmError::file(&initramfs))?;
        Ok(guest)
    }

    fn initramfs(&self) -> Result<Vec<u8>, VmError> {
        let busybox = fs::read(BUSYBOX)
            .map_err(|_| VmError::MissingProgram { program: BUSYBOX, package: "busybox-static" })?;
        let mut tree = if self.root_disk { Initramfs::pivot(busybox) } else { Initramfs::new(busybox) };
        for module in modules::closure(&self.modules, &self.all_modules())? {
            tree.module(module);
        }
        for name in &self.later_modules {
            let files = modules::closure(&self.modules, std::slice::from_ref(name))?;
            tree.later_module(name, files);
        }
        for (host, guest, mode) in &self.files {
            let bytes = fs::read(host).map_err(VmError::file(host))?;
            if self.root_disk {
                tree.payload(guest, *mode, bytes);
                continue;
            }
            if *mode & 0o111 != 0 && bytes.starts_with(b"\x7fELF") {
                add_libraries(&mut tree, host)?;
            }
            tree.file(guest, *mode, bytes);
        }
        for (guest, mode, bytes) in &self.contents {
            if self.root_disk {
                tree.payload(guest, *mode, bytes.clone());
            } else {
                tree.file(guest, *mode, bytes.clone());
            }
        }
        Ok(tree.pack())
    }

    /// With the panic device's driver, without which a panic looks like a power-off.
    fn all_modules(&self) -> Vec<String> {
        let mut names = Vec::new();
        if modules::has(&self.modules, "pvpanic-pci") {
            names.push("pvpanic-pci".to_owned());
        }
        if self.hardware.network {
            names.extend(["virtio_pci".to_owned(), "virtio_net".to_owned()]);
        }
        if !self.hardware.drives.is_empty() {
            names.extend(["virtio_pci".to_owned(), "virtio_blk".to_owned(), "ext4".to_owned()]);
        }
        names.extend(self.module_names.iter().cloned());
        names
    }
}

/// What the dynamic loader would look for, at the same place as on the host.
fn add_libraries(tree: &mut Initramfs, program: &Path) -> Result<(), VmError> {
    for library in libraries::closure(program)? {
        let guest = library.to_string_lossy();
        if !tree.has(&guest) {
            tree.file(&guest, 0o755, fs::read(&library).map_err(VmError::file(&library))?);
        }
    }
    Ok(())
}

/// QEMU connects as it starts; when it does not, it has ended with a message in its log.
fn accept(listener: &UnixListener, child: &mut Child) -> Result<Channel, VmError> {
    listener.set_nonblocking(true).map_err(VmError::Channel)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Channel::new(stream).map_err(VmError::Channel),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(VmError::Channel(error)),
        }
        let ended = child.try_wait().map_err(VmError::Channel)?.is_some();
        if ended || start.elapsed() > CONNECT_LIMIT {
            let why = "QEMU did not connect to its control socket: see qemu.log among the artefacts";
            return Err(VmError::Channel(std::io::Error::new(ErrorKind::NotConnected, why)));
        }
        thread::sleep(Duration::from_millis(10));
    }
}
