//! A guest's hardware, as QEMU's command line.

use crate::{Firmware, VmError, firmware::CODE, power_cut::SECTOR, root::require};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const QEMU: &str = "qemu-system-x86_64";

/// The machine, before it is switched on.
#[derive(Clone, Debug)]
pub(crate) struct Hardware {
    pub(crate) vmlinuz: PathBuf,
    pub(crate) memory: u32,
    pub(crate) processors: u32,
    pub(crate) processor: String,
    pub(crate) append: String,
    pub(crate) network: bool,
    pub(crate) drives: Vec<Drive>,
    pub(crate) firmware: Option<Firmware>,
    /// Whether a reboot is one, or the guest's end.
    pub(crate) reboots: bool,
}

/// The files of a guest that is about to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'a> {
    pub(crate) initramfs: &'a Path,
    /// An EFI system partition with kernel and initramfs on it; used when there is firmware.
    pub(crate) partition: &'a Path,
    pub(crate) control: &'a Path,
    pub(crate) console: &'a Path,
    /// The console's keyboard.
    pub(crate) keyboard: &'a Path,
    pub(crate) log: &'a Path,
}

/// A virtio disk, by the serial number that the guest sees.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    serial: String,
    medium: Medium,
}

#[derive(Clone, Debug)]
enum Medium {
    Qcow2(PathBuf),
    Logged { image: PathBuf, log: PathBuf },
}

impl Drive {
    pub(crate) fn qcow2(serial: &str, path: &Path) -> Self {
        Self { serial: serial.to_owned(), medium: Medium::Qcow2(path.to_owned()) }
    }

    pub(crate) fn logged(serial: &str, image: &Path, log: &Path) -> Self {
        let medium = Medium::Logged { image: image.to_owned(), log: log.to_owned() };
        Self { serial: serial.to_owned(), medium }
    }

    /// What the guest writes is in the file when its QEMU is killed, so the host's disk is spared the flushes.
    fn arguments(&self) -> [String; 4] {
        let serial = &self.serial;
        let [option, value] = match &self.medium {
            Medium::Qcow2(path) => {
                let path = path.display();
                ["-drive".to_owned(), format!("file={path},format=qcow2,if=none,id={serial},cache=unsafe")]
            }
            Medium::Logged { image, log } => {
                let file = |path: &Path| serde_json::json!({"driver": "file", "filename": path});
                let node = serde_json::json!({
                    "driver": "blklogwrites",
                    "node-name": serial,
                    "log-sector-size": SECTOR,
                    "file": file(image),
                    "log": file(log),
                });
                ["-blockdev".to_owned(), node.to_string()]
            }
        };
        [option, value, "-device".to_owned(), format!("virtio-blk-pci,drive={serial},serial={serial}")]
    }
}

impl Hardware {
    pub(crate) fn new(vmlinuz: PathBuf) -> Self {
        Self {
            vmlinuz,
            memory: 512,
            processors: 1,
            processor: "max".to_owned(),
            append: String::new(),
            network: false,
            drives: Vec::new(),
            firmware: None,
            reboots: false,
        }
    }

    /// What the kernel is told. On a busy host the emulated timer may be late at the one moment when the kernel tests whether
    /// it ticks at all, and panics if not; hence `no_timer_check`.
    pub(crate) fn command_line(&self) -> String {
        format!("console=ttyS0 panic=-1 loglevel=6 no_timer_check{}", self.append)
    }

    /// Switches it on: the console goes to a file, the control channel to a socket.
    pub(crate) fn start(&self, files: Files<'_>) -> Result<Child, VmError> {
        let log = files.log;
        let messages = || File::options().create(true).append(true).open(log).map_err(VmError::file(log));
        // setpriv: QEMU goes when this thread does, even when it is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", QEMU, "-accel", "tcg", "-cpu", &self.processor]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        if !self.reboots {
            command.arg("-no-reboot");
        }
        command.args(["-m", &self.memory.to_string(), "-smp", &self.processors.to_string()]);
        command.args(["-device", "pvpanic-pci", "-action", "panic=exit-failure"]);
        let (console, keyboard) = (files.console.display(), files.keyboard.display());
        command.arg("-chardev");
        command.arg(format!("socket,id=console,path={keyboard},server=on,wait=off,logfile={console}"));
        command.args(["-serial", "chardev:console"]);
        command.arg("-chardev").arg(format!("socket,id=control,path={}", files.control.display()));
        command.args(["-device", "isa-serial,chardev=control"]);
        if self.network {
            command.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
        }
        command.args(self.drives.iter().flat_map(Drive::arguments));
        match &self.firmware {
            Some(firmware) => secure(&mut command, firmware, files.partition),
            None => {
                command.arg("-kernel").arg(&self.vmlinuz).arg("-initrd").arg(files.initramfs);
                command.arg("-append").arg(self.command_line());
            }
        }
        command.stdin(Stdio::null()).stdout(messages()?).stderr(messages()?);
        // setpriv would report a missing QEMU only in the log.
        require(QEMU, "qemu-system-x86")?;
        command.spawn().map_err(|source| VmError::Spawn { program: "setpriv", source })
    }
}

/// A machine that boots by its firmware, whose variables only the firmware itself may write (System Management Mode).
fn secure(command: &mut Command, firmware: &Firmware, partition: &Path) {
    command.args(["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
    command.args(["-global", "ICH9-LPC.disable_s3=1"]);
    command.arg("-drive").arg(format!("if=pflash,format=raw,unit=0,readonly=on,file={CODE}"));
    let variables = firmware.variables.display();
    command.arg("-drive").arg(format!("if=pflash,format=raw,unit=1,file={variables}"));
    let partition = partition.display();
    command.arg("-drive").arg(format!("file={partition},format=raw,if=none,id=esp,readonly=on"));
    command.args(["-device", "virtio-blk-pci,drive=esp,bootindex=0"]);
}
