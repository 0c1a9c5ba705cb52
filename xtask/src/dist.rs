//! Builds what is shipped: for now the client's Debian package.

use crate::{narrator::Narrator, workspace};
use anyhow::{Context as _, Result};
use clap::Args;
use livepatch_e2e::{Programs, run_logged, workspace_root};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

const UNIT: &str = "packaging/systemd/livepatchd.service";
const CONFIGURATION: &str = "packaging/livepatchd.toml";

/// What to build.
#[derive(Args)]
pub(crate) struct Options {
    /// Package optimised programs; the default are those of the dev profile, which demo and tests use
    #[arg(long)]
    release: bool,
}

/// `cargo xtask dist`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut narrator = Narrator::new();
    let logs = workspace::fresh_directory("dist")?;
    let log = logs.join("dist.log");
    let programs = narrator.step("build the programs", |step| {
        let programs = workspace::build_programs(&log, step)?;
        if options.release {
            let mut command = workspace::cargo();
            command.args(["build", "--release", "--package", "livepatch", "--package", "livepatch-agent"]);
            run_logged(&mut command, &log, &|line| step.progress(line))?;
        }
        Ok(programs)
    })?;
    narrator.step("pack the client", |step| {
        let binaries = if options.release {
            workspace::target_directory().join("release")
        } else {
            directory(&programs)
        };
        let package = client_package(&binaries, &logs)?;
        step.note(package.display().to_string());
        Ok(())
    })
}

/// Packs the client from the programs in `binaries`; gives the .deb's path in `output`.
///
/// # Errors
/// When a file is missing or dpkg-deb fails, with its log's path.
pub(crate) fn client_package(binaries: &Path, output: &Path) -> Result<PathBuf> {
    let log = output.join("dist.log");
    let tree = tempfile::tempdir_in(output)?;
    let root = tree.path();
    for (program, place) in [("livepatchd", "usr/sbin/livepatchd"), ("livepatch", "usr/bin/livepatch")] {
        install(&binaries.join(program), &root.join(place), 0o755)?;
        run_logged(Command::new("strip").arg(root.join(place)), &log, &|_| {})?;
    }
    install(&workspace_root().join(UNIT), &root.join("lib/systemd/system/livepatchd.service"), 0o644)?;
    let configuration = workspace_root().join(CONFIGURATION);
    if configuration.is_file() {
        install(&configuration, &root.join("etc/livepatch/livepatchd.toml"), 0o644)?;
        write(&root.join("DEBIAN/conffiles"), "/etc/livepatch/livepatchd.toml\n", 0o644)?;
    }
    write(&root.join("DEBIAN/control"), &control(), 0o644)?;
    write(&root.join("DEBIAN/postinst"), POSTINST, 0o755)?;
    write(&root.join("DEBIAN/prerm"), PRERM, 0o755)?;
    write(&root.join("DEBIAN/postrm"), POSTRM, 0o755)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;

    let package = output.join(format!("livepatch_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zxz", "-z2", "--build"]).arg(root).arg(&package);
    run_logged(&mut command, &log, &|_| {})?;
    Ok(package)
}

/// The directory of the dev profile's programs.
pub(crate) fn directory(programs: &Programs) -> PathBuf {
    programs.path("")
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    write_bytes(to, &bytes, mode)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    write_bytes(path, text.as_bytes(), mode)
}

fn write_bytes(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// The dependencies are what the programs are linked with; everything else is inside them.
fn control() -> String {
    format!(
        "Package: livepatch\nVersion: {}\nArchitecture: amd64\nMaintainer: Open Livepatch <maintainers@openlivepatch.invalid>\n\
         Depends: libc6 (>= 2.36), libgcc-s1, ca-certificates\nSection: admin\nPriority: optional\n\
         Description: kernel fixes without a reboot\n \
         The daemon livepatchd fetches signed livepatches for the running kernel, verifies and applies them;\n \
         the command livepatch enrols the machine, shows its state, and undoes a livepatch.\n",
        env!("CARGO_PKG_VERSION")
    )
}

const POSTINST: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now livepatchd.service
    systemctl try-restart livepatchd.service
fi
";

const PRERM: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now livepatchd.service
fi
";

const POSTRM: &str = "#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
if [ \"$1\" = purge ]; then
    rm -rf /var/lib/livepatch
fi
";
