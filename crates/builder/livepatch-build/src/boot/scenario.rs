//! The steps of the boot test, in the guest.

use super::{BootStep, CHECK, MODULE, PREVIOUS, log};
use livepatch_manifest::Manifest;
use livepatch_vm::{Guest, VmError};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// One command, the author's script included; emulated machines are slow.
const LIMIT: Duration = Duration::from_secs(180);

/// How long a transition may take: the kernel signals sleepers after 15 seconds
/// (kernel/livepatch/transition.c, `SIGNALS_TIMEOUT`).
const TRANSITION_SECONDS: u32 = 60;

/// What the guest lived through.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) steps: Vec<BootStep>,
    pub(super) warnings: Vec<String>,
}

/// A guest and what it is to go through.
pub(super) struct Scenario<'a> {
    guest: &'a Guest,
    manifest: &'a Manifest,
    previous: Option<&'a (Manifest, PathBuf)>,
    has_check: bool,
    outcome: Outcome,
    /// Warnings that were there before the livepatch.
    known: usize,
}

/// The first step that failed ends the scenario: what comes after it proves nothing.
struct Stop;

/// The modules that the livepatches patch.
pub(super) fn patched_modules(manifest: &Manifest, previous: Option<&Manifest>) -> BTreeSet<String> {
    let all = manifest.objects.iter().chain(previous.into_iter().flat_map(|previous| &previous.objects));
    all.map(|object| object.name.clone()).filter(|name| name != "vmlinux").collect()
}

impl<'a> Scenario<'a> {
    pub(super) fn new(
        guest: &'a Guest,
        manifest: &'a Manifest,
        previous: Option<&'a (Manifest, PathBuf)>,
        has_check: bool,
    ) -> Self {
        Self { guest, manifest, previous, has_check, outcome: Outcome::default(), known: 0 }
    }

    /// Goes through everything.
    pub(super) fn run(mut self) -> Outcome {
        // A step that failed is in the account.
        let _ = self.all();
        self.outcome
    }

    fn all(&mut self) -> Result<(), Stop> {
        self.known = self.guest.check("dmesg -r", LIMIT).map_or(0, |log| log::warnings(&log).len());
        let manifest = self.manifest;
        let modules = patched_modules(manifest, self.previous.map(|(previous, _)| previous));
        if !modules.is_empty() {
            // The livepatch first: it must patch each module as that comes.
            self.load(manifest, MODULE)?;
            self.load_modules(&modules)?;
            self.look(manifest)?;
            self.check("after")?;
            self.undo(manifest)?;
        }
        self.check("before")?;
        self.load(manifest, MODULE)?;
        self.look(manifest)?;
        self.check("after")?;
        self.undo(manifest)?;
        self.check("before")?;
        if let Some((previous, _)) = self.previous {
            self.load(previous, PREVIOUS)?;
            self.replace(previous, manifest, MODULE)?;
            self.check("after")?;
            self.replace(manifest, previous, PREVIOUS)?;
            self.undo(previous)?;
            self.check("before")?;
        }
        Ok(())
    }

    fn load(&mut self, manifest: &Manifest, file: &str) -> Result<(), Stop> {
        let step = format!("load version {}", manifest.version);
        self.step(&step, &format!("insmod {file} || exit 1\n{}", enabled(&manifest.name)))
    }

    fn load_modules(&mut self, modules: &BTreeSet<String>) -> Result<(), Stop> {
        let script: String =
            modules.iter().map(|name| format!("sh /etc/modules-later/{name} || exit 1\n")).collect();
        let names: Vec<&str> = modules.iter().map(String::as_str).collect();
        self.step(&format!("load what it patches: {}", names.join(", ")), &script)
    }

    /// Undoes a livepatch and takes its module out.
    fn undo(&mut self, manifest: &Manifest) -> Result<(), Stop> {
        let name = &manifest.name;
        let script = format!(
            "echo 0 > /sys/kernel/livepatch/{name}/enabled || exit 1\n{}{}",
            gone(name),
            remove(name)
        );
        self.step(&format!("undo version {}", manifest.version), &script)
    }

    /// Loads one livepatch over another and takes the replaced one's module out.
    fn replace(&mut self, old: &Manifest, new: &Manifest, file: &str) -> Result<(), Stop> {
        let script = format!(
            "insmod {file} || exit 1\n{}{}{}",
            enabled(&new.name),
            gone(&old.name),
            remove(&old.name)
        );
        self.step(&format!("replace version {} by version {}", old.version, new.version), &script)?;
        self.look(new)
    }

    /// Compares what the kernel says it patches with what the manifest says.
    fn look(&mut self, manifest: &Manifest) -> Result<(), Stop> {
        let mut wanted: Vec<String> = manifest
            .objects
            .iter()
            .flat_map(|object| {
                // The kernel shows position 1 also for a name that is unique (kernel/livepatch/core.c, klp_init_func).
                let name = |function: &livepatch_manifest::PatchedFunction| {
                    format!("{}/{},{}", object.name, function.name, function.sympos.max(1))
                };
                object.functions.iter().map(name)
            })
            .collect();
        wanted.sort();
        let name = &manifest.name;
        let script = format!(
            "cd /sys/kernel/livepatch/{name} && for entry in */*,*/; do [ -d \"$entry\" ] && echo \"${{entry%/}}\"; done; \
             for object in */patched; do [ \"$(cat $object)\" = 1 ] || echo \"$object is not 1\"; done; true"
        );
        let start = Instant::now();
        let found = self.guest.check(&script, LIMIT).map(|text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        });
        let wrong = match found {
            Err(error) => Some(error.to_string()),
            Ok(found) if found == wanted => None,
            Ok(found) => Some(format!("the kernel patches {found:?}, the manifest says {wanted:?}")),
        };
        let step = format!("the kernel patches what version {} says", manifest.version);
        self.note(step, start, wrong)
    }

    /// Runs the author's script.
    fn check(&mut self, state: &str) -> Result<(), Stop> {
        if !self.has_check {
            return Ok(());
        }
        self.step(&format!("the author's check: {state}"), &format!("{CHECK} {state}"))
    }

    fn step(&mut self, step: &str, script: &str) -> Result<(), Stop> {
        let start = Instant::now();
        let wrong = self.guest.check(script, LIMIT).err().map(|error| detail(&error));
        self.note(step.to_owned(), start, wrong)
    }

    /// Writes a step down, together with what the kernel said about it.
    fn note(&mut self, step: String, start: Instant, wrong: Option<String>) -> Result<(), Stop> {
        let (passed, seconds) = (wrong.is_none(), start.elapsed().as_secs_f64());
        crate::narrate::say(format!("{step}: {} [{seconds:.1} s]", if passed { "ok" } else { "FAILED" }));
        self.outcome.steps.push(BootStep { step, passed, seconds, detail: wrong });
        if let Ok(log) = self.guest.check("dmesg -r", LIMIT) {
            self.outcome.warnings = log::warnings(&log).split_off(self.known.min(log::warnings(&log).len()));
        }
        if passed { Ok(()) } else { Err(Stop) }
    }
}

/// What a guest's end or a failed command comes down to.
fn detail(error: &VmError) -> String {
    match error {
        VmError::Failed { status, output, .. } => format!("status {status}: {}", output.trim()),
        other => other.to_string(),
    }
}

/// Waits until a livepatch's transition is over; then says who holds it up, if it is not.
fn enabled(name: &str) -> String {
    let folder = format!("/sys/kernel/livepatch/{name}");
    format!(
        "for _ in $(seq {tries}); do [ \"$(cat {folder}/transition 2>/dev/null)\" = 0 ] && break; usleep 100000; done
         [ \"$(cat {folder}/enabled)\" = 1 ] && [ \"$(cat {folder}/transition)\" = 0 ] || {{
             echo 'the transition did not end; tasks that it waits for:'
             grep -l -v '^-1$' /proc/[0-9]*/patch_state; exit 1; }}\n",
        tries = TRANSITION_SECONDS * 10
    )
}

/// Waits until a livepatch is no more.
fn gone(name: &str) -> String {
    let folder = format!("/sys/kernel/livepatch/{name}");
    format!(
        "for _ in $(seq {tries}); do [ -d {folder} ] || break; usleep 100000; done
         [ ! -d {folder} ] || {{ echo 'the transition did not end'; exit 1; }}\n",
        tries = TRANSITION_SECONDS * 10
    )
}

/// Takes a module out; right after a transition it may still be counted as used.
fn remove(name: &str) -> String {
    format!("for _ in $(seq 50); do rmmod {name} 2>/dev/null && exit 0; usleep 100000; done\nrmmod {name}\n")
}
