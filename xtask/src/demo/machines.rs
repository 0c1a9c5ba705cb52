//! Steps 5 and 6: the machine that crashes, and the one that does not.

use super::{
    Built, Demo, TIER,
    report::{Crash, MachineReport},
    reproducer,
};
use crate::dist;
use anyhow::{Context as _, Result, ensure};
use livepatch_api::MachineSummary;
use livepatch_e2e::{Client, KernelState, Machine, Site, client_package, run_logged};
use livepatch_manifest::Manifest;
use livepatch_vm::{CachedKernel, GuestBuilder};
use serde_json::Value;
use std::{fs, process::Command};

impl Demo {
    /// Step 5, first half: the stock kernel and the bug.
    pub(super) fn crash(&mut self, kernel: &CachedKernel) -> Result<Crash> {
        let artefacts = self.directory.join("unpatched");
        let fix = &self.choice.fix;
        self.narrator.step("5 boot the stock kernel and run the reproducer", |step| {
            fs::create_dir_all(&artefacts)?;
            let builder = GuestBuilder::for_kernel(kernel).artefacts(&artefacts);
            let guest = reproducer::install(builder, fix, &artefacts)?.boot()?;
            step.progress("reproducer");
            let verdict = reproducer::run(&guest)?;
            step.note(format!("the stock kernel is {}", verdict.words));
            let oops = guest.oops();
            if let Some(oops) = &oops {
                step.note(&oops.message);
            }
            ensure!(
                verdict.vulnerable,
                "the stock kernel should show the bug and does not; console: {}",
                guest.console_path().display()
            );
            Ok(Crash { verdict: verdict.words, oops })
        })
    }

    /// Steps 5, second half, and 6: the same kernel with the client in it.
    pub(super) fn protect(
        &mut self,
        kernel: &CachedKernel,
        built: &Built,
        site: &Site,
    ) -> Result<MachineReport> {
        let machine = self.boot_machine(kernel)?;
        let before = machine.kernel_state()?;
        ensure!(
            before.build_id == built.manifest.kernel.build_id,
            "the guest runs another kernel: {before:?}"
        );
        self.enable(&machine, site)?;
        let after_apply = machine.kernel_state()?;
        expect_applied(&after_apply, &built.manifest)?;

        let verdict = self.narrator.step("6 run the reproducer on the livepatched kernel", |step| {
            let verdict = reproducer::run(machine.guest())?;
            step.note(format!("the livepatched kernel is {}", verdict.words));
            ensure!(
                !verdict.vulnerable,
                "the livepatch does not help; console: {}",
                machine.guest().console_path().display()
            );
            Ok(verdict)
        })?;
        let after_reproducer = machine.kernel_state()?;
        let (status, server) = self.show(&machine, site)?;
        let after_undo = self.undo(&machine)?;
        Ok(MachineReport {
            before,
            after_apply,
            after_reproducer,
            after_undo,
            verdict: verdict.words,
            status,
            server,
        })
    }

    fn boot_machine(&mut self, kernel: &CachedKernel) -> Result<Machine> {
        let (directory, log, fix) = (&self.directory, &self.log, &self.choice.fix);
        let binaries = dist::directory(&self.programs);
        self.narrator.step("5 boot it again, with the client's package installed", |step| {
            let package = client_package(&binaries, directory, log)?;
            let root = directory.join("client");
            run_logged(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root), log, &|_| {})?;
            step.progress("boot");
            let artefacts = directory.join("protected");
            fs::create_dir_all(&artefacts)?;
            let builder = reproducer::install(Machine::builder(kernel, &artefacts), fix, &artefacts)?;
            let machine = Machine::boot(builder, Client::Package(&root))?;
            step.note(format!("{}, livepatchd runs", package.file_name().unwrap_or_default().display()));
            Ok(machine)
        })
    }

    fn enable(&mut self, machine: &Machine, site: &Site) -> Result<()> {
        let log = &self.directory;
        let said = self.narrator.step("5 livepatch enable TOKEN --server URL", |_| {
            let token = site.create_token(TIER)?;
            let output = machine.enable(&token, &site.guest_url())?;
            fs::write(log.join("livepatchd.log"), machine.daemon_log())?;
            ensure!(
                output.status == 0,
                "livepatch enable ended with status {}:\n{}{}\nlogs: {}",
                output.status,
                output.stdout,
                output.stderr,
                log.display()
            );
            Ok(output.stdout)
        })?;
        self.narrator.quote(&said);
        Ok(())
    }

    /// What owner and operator see.
    fn show(&mut self, machine: &Machine, site: &Site) -> Result<(Value, MachineSummary)> {
        let (text, table, status, server) = self.narrator.step("6 ask the client and the server", |_| {
            let text = machine.livepatch("status")?.stdout;
            let server = site.machines()?.into_iter().next().context("the server knows no machine")?;
            Ok((text, site.machine_table()?, machine.status()?, server))
        })?;
        eprintln!("    on the machine, livepatch status:");
        self.narrator.quote(&text);
        eprintln!("    on the server, livepatch-admin machine list:");
        self.narrator.quote(&table);
        Ok((status, server))
    }

    fn undo(&mut self, machine: &Machine) -> Result<KernelState> {
        let (said, state) = self.narrator.step("6 livepatch undo, without a reboot", |step| {
            let output = machine.livepatch("undo")?;
            ensure!(
                output.status == 0,
                "livepatch undo ended with status {}:\n{}{}",
                output.status,
                output.stdout,
                output.stderr
            );
            let state = machine.kernel_state()?;
            ensure!(
                state.livepatches.is_empty() && state.modules.is_empty(),
                "the kernel is still livepatched: {state:?}"
            );
            step.note(format!(
                "/sys/kernel/livepatch is empty, no livepatch module is loaded, taint {}",
                state.taint_letters
            ));
            Ok((output.stdout, state))
        })?;
        self.narrator.quote(&said);
        Ok(state)
    }
}

/// The kernel itself must say that the livepatch is in.
fn expect_applied(state: &KernelState, manifest: &Manifest) -> Result<()> {
    let livepatch = state.livepatches.iter().find(|livepatch| livepatch.name == manifest.name);
    let livepatch =
        livepatch.with_context(|| format!("{} is not in /sys/kernel/livepatch: {state:?}", manifest.name))?;
    ensure!(livepatch.enabled && !livepatch.transition, "the transition is not complete: {livepatch:?}");
    Ok(())
}
