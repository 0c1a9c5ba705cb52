//! Loading and unloading what was built, many to a virtual machine: with the modules that it patches there before, and
//! with those modules coming later.

use crate::{
    candidates::{Job, Plan},
    state::{Boot, Outcome, Record},
};
use anyhow::{Result, bail};
use livepatch_e2e::{Builder, KernelState};
use livepatch_manifest::Manifest;
use livepatch_vm::{Guest, GuestBuilder, VmError};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// Livepatches to one machine: their modules must fit its memory.
const BATCH: usize = 24;
const MEMORY: u32 = 1024;
const LIMIT: Duration = Duration::from_secs(90);

/// Words of a kernel log that stand for a problem (include/asm-generic/bug.h, kernel/panic.c, arch/x86/mm/fault.c,
/// kernel/rcu/tree_stall.h, kernel/hung_task.c, kernel/livepatch/).
const TROUBLE: [&str; 12] = [
    "WARNING:",
    "BUG:",
    "kernel BUG",
    "Oops",
    "Call Trace",
    "general protection",
    "unable to handle",
    "rcu: INFO",
    "blocked for more than",
    "livepatch: failed",
    "livepatch: error",
    "Unknown symbol",
];

/// Boots whatever was built and has not been booted yet.
pub(crate) fn all(plan: &Plan, jobs: &[&Job]) -> Result<()> {
    let mut open: Vec<(&Job, Record)> = Vec::new();
    for job in jobs.iter().copied() {
        let record = plan.state.record(&job.key);
        open.extend(
            record
                .filter(|record| record.outcome == Outcome::Built && record.boot.is_none())
                .map(|record| (job, record)),
        );
    }
    let count = open.len();
    let mut rest = open.as_slice();
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(BATCH)];
        let done = boot_batch(plan, batch)?;
        rest = &rest[done..];
        eprintln!("{} of {count} loaded", count - rest.len());
    }
    Ok(())
}

/// Answers how many were tried: after one that takes the machine down, the others want a new machine.
fn boot_batch(plan: &Plan, batch: &[(&Job, Record)]) -> Result<usize> {
    let artefacts = plan.state.folder().join("guest");
    let mut builder = GuestBuilder::for_kernel(&plan.kernel).memory(MEMORY).artefacts(&artefacts);
    let modules: BTreeSet<&String> = batch.iter().flat_map(|(_, record)| &record.modules).collect();
    for module in modules {
        builder = builder.later_module(module);
    }
    for (job, _) in batch {
        let output = output(plan, job)?;
        let file = output.join(Builder::manifest(&output)?.file_name());
        builder = builder.file(file, &format!("/livepatches/{}.ko", job.key), 0o600);
    }
    let guest = builder.boot()?;
    for (at, (job, record)) in batch.iter().enumerate() {
        let manifest = Builder::manifest(&output(plan, job)?)?;
        let trial = Trial { guest: &guest, key: &job.key, manifest: &manifest, modules: &record.modules };
        let (failure, notes, is_gone) = match trial.run() {
            Ok(notes) => (None, notes, false),
            Err(error) => (Some(format!("{error:#}")), Vec::new(), true),
        };
        if let Some(failure) = &failure {
            eprintln!("{} {}: {failure}", job.key, job.candidates[0].cve);
        }
        let record = Record { boot: Some(Boot { failure, notes }), ..record.clone() };
        plan.state.remember(&job.key, &record)?;
        if is_gone {
            return Ok(at + 1);
        }
    }
    Ok(batch.len())
}

fn output(plan: &Plan, job: &Job) -> Result<PathBuf> {
    Ok(plan.state.of(&job.key)?.join("build"))
}

struct Trial<'a> {
    guest: &'a Guest,
    key: &'a str,
    manifest: &'a Manifest,
    modules: &'a [String],
}

impl Trial<'_> {
    /// Both orders; answers what could not be tried.
    fn run(&self) -> Result<Vec<String>> {
        self.guest.check("dmesg -c > /dev/null", LIMIT)?;
        let mut notes = Vec::new();
        if !self.modules.is_empty() {
            // Without the livepatch, to know which of them load on this machine at all, and again.
            self.load_modules(self.modules, &mut notes)?;
            let first = self.loaded()?;
            self.unload_modules()?;
            self.load_modules(&first, &mut notes)?;
            let able = self.loaded()?;
            self.unload_modules()?;
            if self.loaded()?.is_empty() {
                self.load(&[])?;
                self.load_modules(&able, &mut notes)?;
                self.compare(&self.loaded()?)?;
                self.take_out()?;
            } else {
                notes.push("a module stays loaded, so it did not come later".into());
            }
            self.load_modules(&able, &mut notes)?;
        }
        self.load(&self.loaded()?)?;
        self.take_out()?;
        self.look_at_log()?;
        notes.dedup();
        Ok(notes)
    }

    /// Loads the livepatch, waits for its transition, and compares what the kernel says with the manifest.
    fn load(&self, loaded: &[String]) -> Result<()> {
        let name = &self.manifest.name;
        let script = format!(
            "insmod /livepatches/{}.ko || exit 1
             for _ in $(seq 300); do [ \"$(cat /sys/kernel/livepatch/{name}/transition)\" = 0 ] && exit 0; usleep 100000; done
             echo 'the transition does not end' >&2; exit 2",
            self.key
        );
        self.script("load", &script)?;
        self.compare(loaded)
    }

    fn compare(&self, loaded: &[String]) -> Result<()> {
        let state = KernelState::read(self.guest)?;
        let Some(found) = state.livepatches.iter().find(|livepatch| livepatch.name == self.manifest.name)
        else {
            bail!("the kernel does not list the livepatch");
        };
        // The kernel shows position 1 for a name that is unique too (kernel/livepatch/core.c, klp_init_func), and the
        // functions of objects that are not there yet without theirs.
        let wanted: BTreeSet<String> =
            self.manifest
                .objects
                .iter()
                .filter(|object| object.name == "vmlinux" || loaded.contains(&object.name))
                .flat_map(|object| {
                    object.functions.iter().map(|function| {
                        format!("{}/{},{}", object.name, function.name, function.sympos.max(1))
                    })
                })
                .collect();
        let shown = |name: &&String| {
            let object = name.split('/').next().unwrap_or_default();
            object == "vmlinux" || loaded.iter().any(|module| module == object)
        };
        let found: BTreeSet<String> = found.functions.iter().filter(shown).cloned().collect();
        if found != wanted {
            bail!("the kernel lists {found:?}, the manifest {wanted:?}");
        }
        Ok(())
    }

    fn take_out(&self) -> Result<()> {
        let name = &self.manifest.name;
        let script = format!(
            "echo 0 > /sys/kernel/livepatch/{name}/enabled || exit 1
             for _ in $(seq 300); do [ -d /sys/kernel/livepatch/{name} ] || break; usleep 100000; done
             rmmod {name}"
        );
        self.script("take out", &script)
    }

    fn load_modules(&self, modules: &[String], notes: &mut Vec<String>) -> Result<()> {
        for module in modules {
            let script = format!("sh /etc/modules-later/{module}");
            if self.guest.run(&script, LIMIT)?.status != 0 {
                notes.push(format!("{module} does not load on this machine"));
            }
        }
        Ok(())
    }

    /// As far as they let themselves be unloaded.
    fn unload_modules(&self) -> Result<()> {
        for module in self.modules {
            self.guest.run(&format!("rmmod {module}"), LIMIT)?;
        }
        Ok(())
    }

    /// Those of the patched modules that are loaded.
    fn loaded(&self) -> Result<Vec<String>> {
        let text = self.guest.check("cat /proc/modules", LIMIT)?;
        let names: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        Ok(self.modules.iter().filter(|module| names.contains(module.as_str())).cloned().collect())
    }

    fn script(&self, what: &str, script: &str) -> Result<()> {
        match self.guest.check(script, LIMIT) {
            Ok(_) => Ok(()),
            Err(VmError::Failed { output, .. }) => {
                let log = self.guest.run("dmesg | tail -n 5", LIMIT)?.stdout;
                bail!("cannot {what}: {} | {}", output.trim(), log.trim().replace('\n', " | "))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn look_at_log(&self) -> Result<()> {
        let log = self.guest.check("dmesg -c", LIMIT)?;
        match log.lines().find(|line| TROUBLE.iter().any(|word| line.contains(word))) {
            Some(line) => bail!("the kernel log says: {line}"),
            None => Ok(()),
        }
    }
}
