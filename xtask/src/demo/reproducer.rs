//! Runs a reproducer in a guest and judges what it did.

use super::fixes::Fix;
use anyhow::{Context as _, Result, bail};
use livepatch_e2e::workspace_root;
use livepatch_vm::{Exit, Guest, GuestBuilder, VmError};
use std::{path::Path, process::Command, time::Duration};

const LIMIT: Duration = Duration::from_secs(90);
const SCRIPT: &str = "/root/reproducer.sh";
const IMAGE: &str = "/root/ext4.img";
/// The status by which a reproducer says that the kernel is vulnerable; see `examples/reproducers`.
const VULNERABLE: i32 = 10;

/// What a reproducer showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether the bug is there.
    pub(crate) vulnerable: bool,
    /// In the reproducer's words.
    pub(crate) words: String,
}

/// Puts the reproducer and what it needs into a guest. `scratch` takes the image.
pub(crate) fn install(mut builder: GuestBuilder, fix: &Fix, scratch: &Path) -> Result<GuestBuilder> {
    builder = builder.file(workspace_root().join("examples/reproducers").join(fix.reproducer), SCRIPT, 0o755);
    for module in fix.needs.modules {
        builder = builder.module(module);
    }
    for program in fix.needs.programs {
        builder = builder.program(program, program);
    }
    if fix.needs.ext4_image {
        builder = builder.file(ext4_image(scratch)?, IMAGE, 0o644);
    }
    Ok(builder)
}

/// Runs it. A guest that dies or hangs after an oops is a vulnerable one.
pub(crate) fn run(guest: &Guest) -> Result<Verdict> {
    let output = match guest.run(&format!("{SCRIPT} {IMAGE}"), LIMIT) {
        Ok(output) => output,
        Err(VmError::Gone { exit: Exit::Panicked, .. }) => return Ok(dead(guest, "kernel panic")),
        Err(VmError::TimedOut { .. }) if guest.oops().is_some() => return Ok(dead(guest, "the guest hangs")),
        Err(error) => return Err(error).context("the reproducer did not end"),
    };
    let words = output
        .stdout
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("verdict: "))
        .unwrap_or_default()
        .to_owned();
    match output.status {
        0 => Ok(Verdict { vulnerable: false, words }),
        VULNERABLE => Ok(Verdict { vulnerable: true, words }),
        status => bail!("the reproducer could not tell (status {status}): {words}\n{}", output.stderr),
    }
}

fn dead(guest: &Guest, how: &str) -> Verdict {
    let place = guest.oops().and_then(|oops| oops.location).unwrap_or_default();
    Verdict { vulnerable: true, words: format!("vulnerable ({how}, {place})") }
}

fn ext4_image(scratch: &Path) -> Result<std::path::PathBuf> {
    let image = scratch.join("ext4.img");
    let mut command = Command::new("mke2fs");
    // Not in every user's path.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    let output =
        command.args(["-q", "-F", "-t", "ext4"]).arg(&image).arg("16M").output().context("mke2fs")?;
    if !output.status.success() {
        bail!("mke2fs failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(image)
}
