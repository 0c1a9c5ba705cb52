//! A kernel made of files.

use jiff::Timestamp;
use livepatch_agent::{Clock, KernelControl};
use livepatch_host::LoadError;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) const RELEASE: &str = "6.1.0-55-cloud-amd64";
pub(crate) const BUILD_ID: [u8; 20] = [0xab; 20];

/// The pretended kernel; clones are the same one. Also the clock: time passes when somebody sleeps.
#[derive(Clone)]
pub(crate) struct FakeKernel {
    root: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    uptime: Duration,
    slept: Duration,
    /// Names that were handed over, refused or not.
    loads: Vec<String>,
    refuse: Option<i32>,
    stall: bool,
}

impl FakeKernel {
    pub(crate) fn new(root: &Path) -> Self {
        let kernel = Self {
            root: root.to_owned(),
            inner: Arc::new(Mutex::new(Inner {
                uptime: Duration::ZERO,
                slept: Duration::ZERO,
                loads: Vec::new(),
                refuse: None,
                stall: false,
            })),
        };
        let mut notes: Vec<u8> = [4u32, 20, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
        notes.extend(b"GNU\0");
        notes.extend(BUILD_ID);
        kernel.put("sys/kernel/notes", notes);
        kernel.put("proc/sys/kernel/osrelease", RELEASE);
        kernel.put("proc/sys/kernel/arch", "x86_64");
        kernel.put("proc/sys/kernel/hostname", "web1");
        kernel.boot(1);
        kernel
    }

    /// A fresh boot: nothing is loaded.
    pub(crate) fn boot(&self, number: u32) {
        let _ = fs::remove_dir_all(self.livepatches());
        fs::create_dir_all(self.livepatches()).unwrap();
        self.put("proc/modules", "");
        self.put("proc/sys/kernel/tainted", "0");
        let _ = fs::remove_file(self.root.join("dev/kmsg"));
        self.log("Linux version 6.1.0-55-cloud-amd64");
        let boot_id = format!("00000000-0000-0000-0000-{number:012}");
        self.put("proc/sys/kernel/random/boot_id", boot_id);
        self.inner.lock().unwrap().uptime = Duration::ZERO;
        self.pass(Duration::from_secs(30));
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let mut inner = self.inner.lock().unwrap();
        inner.uptime += time;
        inner.slept += time;
        let seconds = inner.uptime.as_secs_f64();
        drop(inner);
        self.put("proc/uptime", format!("{seconds:.2} 0.00"));
    }

    /// The next loads fail with this errno, or succeed.
    pub(crate) fn refuse(&self, errno: Option<i32>) {
        self.inner.lock().unwrap().refuse = errno;
    }

    /// Whether transitions of the next loads never end.
    pub(crate) fn stall(&self, stall: bool) {
        self.inner.lock().unwrap().stall = stall;
    }

    /// The kernel writes into its log.
    pub(crate) fn log(&self, text: &str) {
        let old = fs::read_to_string(self.root.join("dev/kmsg")).unwrap_or_default();
        let first = old.lines().count();
        let records = text.lines().enumerate();
        let new: String = records.map(|(at, line)| format!("4,{},1,-;{line}\n", first + at)).collect();
        self.put("dev/kmsg", old + &new);
    }

    /// The kernel's last words, which the firmware keeps over the next boot.
    pub(crate) fn last_words(&self, text: &str) {
        self.put("sys/fs/pstore/dmesg-efi-1", format!("Panic#1 Part1\n{text}"));
    }

    /// The owner's emergency switch.
    pub(crate) fn switch(&self, mode: &str) {
        self.put("etc/livepatch/mode", mode);
    }

    /// Whether there is a route that leaves the machine.
    pub(crate) fn set_routes(&self, any: bool) {
        let route = if any { "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" } else { "" };
        self.put("proc/net/route", format!("Iface\tDestination\tGateway\tFlags\n{route}"));
    }

    /// Sets a bit of the taint mask.
    pub(crate) fn taint(&self, bit: u8) {
        let mask = self.get("proc/sys/kernel/tainted").parse::<u64>().unwrap();
        self.put("proc/sys/kernel/tainted", (mask | 1 << bit).to_string());
    }

    /// What was handed to the kernel.
    pub(crate) fn loads(&self) -> Vec<String> {
        self.inner.lock().unwrap().loads.clone()
    }

    /// Names in `/sys/kernel/livepatch`.
    pub(crate) fn active(&self) -> Vec<String> {
        let entries = fs::read_dir(self.livepatches()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Names in `/proc/modules`.
    pub(crate) fn modules(&self) -> Vec<String> {
        let text = self.get("proc/modules");
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// Somebody else's livepatch.
    pub(crate) fn insert(&self, name: &str) {
        self.activate(name, false);
    }

    /// Nothing was handed over, nothing is active, nothing is tainted.
    pub(crate) fn is_untouched(&self) -> bool {
        self.loads().is_empty() && self.active().is_empty() && self.get("proc/sys/kernel/tainted") == "0"
    }

    fn activate(&self, name: &str, transition: bool) {
        let base = format!("sys/kernel/livepatch/{name}");
        self.put(&format!("{base}/enabled"), "1");
        self.put(&format!("{base}/transition"), u8::from(transition).to_string());
        fs::create_dir_all(self.root.join(base).join("vmlinux/ext4_mb_load_buddy_gfp,0")).unwrap();
        let modules = self.get("proc/modules");
        self.put("proc/modules", format!("{modules}{name} 16384 1 - Live 0xffffffffc0393000 (OEK)\n"));
        for bit in [12, 13, 15] {
            self.taint(bit);
        }
    }

    /// What the kernel does to others when a cumulative livepatch is in place: gone from sysfs, unused but loaded.
    fn replace_others(&self, name: &str) {
        for other in self.active().into_iter().filter(|other| other != name) {
            self.deactivate(&other);
        }
    }

    fn deactivate(&self, name: &str) {
        fs::remove_dir_all(self.livepatches().join(name)).unwrap();
        let modules = self.get("proc/modules");
        self.put("proc/modules", modules.replace(&format!("{name} 16384 1"), &format!("{name} 16384 0")));
    }

    fn livepatches(&self) -> PathBuf {
        self.root.join("sys/kernel/livepatch")
    }

    /// As a kernel without CONFIG_LIVEPATCH is.
    pub(crate) fn lose_livepatch_support(&self) {
        fs::remove_dir_all(self.livepatches()).unwrap();
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }
}

fn errno(operation: &'static str, module: &str, errno: i32) -> LoadError {
    LoadError::Kernel { operation, module: module.to_owned(), errno }
}

const ENOENT: i32 = 2;
const EAGAIN: i32 = 11;
const EEXIST: i32 = 17;

impl KernelControl for FakeKernel {
    fn load(&self, name: &str, _module: &[u8]) -> Result<(), LoadError> {
        let (refuse, stall) = {
            let mut inner = self.inner.lock().unwrap();
            inner.loads.push(name.to_owned());
            (inner.refuse, inner.stall)
        };
        if let Some(number) = refuse {
            return Err(errno("load", name, number));
        }
        if self.modules().iter().any(|module| module == name) {
            return Err(errno("load", name, EEXIST));
        }
        self.activate(name, stall);
        if !stall {
            self.replace_others(name);
        }
        Ok(())
    }

    fn disable(&self, name: &str) -> Result<(), LoadError> {
        if !self.active().iter().any(|active| active == name) {
            return Err(errno("disable", name, ENOENT));
        }
        self.deactivate(name);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), LoadError> {
        if self.active().iter().any(|active| active == name) {
            return Err(errno("remove", name, EAGAIN));
        }
        let kept: Vec<String> = self
            .get("proc/modules")
            .lines()
            .filter(|line| !line.starts_with(&format!("{name} ")))
            .map(|line| format!("{line}\n"))
            .collect();
        self.put("proc/modules", kept.concat());
        Ok(())
    }
}

impl Clock for FakeKernel {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_795_478_400).unwrap();
        start + jiff::SignedDuration::try_from(self.inner.lock().unwrap().slept).unwrap()
    }

    fn sleep(&self, time: Duration) {
        self.pass(time);
    }
}
