//! The client's Debian package, packed by cargo-deb from the programs as they are built.

use crate::{programs::run_logged, workspace_root};
use anyhow::{Context as _, Result, ensure};
use livepatch_vm::cache_directory;
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The release of cargo-deb that the package's definition is written for.
const CARGO_DEB: &str = "3.8.0";
/// The crate with the definition (`package.metadata.deb`), which names the staged files by this place.
const DEFINITION: &str = "crates/client/livepatch/Cargo.toml";
const STAGE: &str = "target/dist/client";
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "livepatch.bash"), ("zsh", "_livepatch"), ("fish", "livepatch.fish")];

/// Packs the client from the programs in `binaries`; gives the path of the .deb in `output`. What the tools say goes to
/// `log`. Concurrent callers wait for one another.
///
/// # Errors
/// When a program is missing, cargo-deb is neither there nor to be had, or it fails; with its log's path.
pub fn client_package(binaries: &Path, output: &Path, log: &Path) -> Result<PathBuf> {
    let tool = cargo_deb(log)?;
    let stage = workspace_root().join(STAGE);
    fs::create_dir_all(&stage).with_context(|| stage.display().to_string())?;
    let lock = fs::File::create(stage.with_extension("lock"))?;
    lock.lock()?;
    for program in ["livepatchd", "livepatch"] {
        // Debug information is for who builds, and twenty times the program's size.
        run_logged(
            Command::new("strip").arg("-o").arg(stage.join(program)).arg(binaries.join(program)),
            log,
            &|_| {},
        )?;
    }
    let command = || Command::new(binaries.join("livepatch"));
    run_logged(command().arg("man").arg(stage.join("man")), log, &|_| {})?;
    for (shell, file) in COMPLETIONS {
        let script = run_logged(command().args(["completions", shell]), log, &|_| {})?;
        fs::write(stage.join(file), script)?;
    }
    let package = output.join(format!("livepatch_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    let mut deb = Command::new(tool);
    deb.args(["deb", "--no-build", "--no-strip", "--offline", "--compress-system", "--manifest-path"]);
    deb.arg(workspace_root().join(DEFINITION)).arg("--output").arg(&package);
    run_logged(&mut deb, log, &|_| {})?;
    ensure!(package.is_file(), "cargo-deb left no {}; log: {}", package.display(), log.display());
    Ok(package)
}

/// The program `cargo-deb`: the user's own, else one that is installed into the cache, which takes a minute or two once.
fn cargo_deb(log: &Path) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let own = env::split_paths(&path).map(|directory| directory.join("cargo-deb"));
    if let Some(own) = own.into_iter().find(|program| program.is_file()) {
        return Ok(own);
    }
    let tools = cache_directory().join("tools").join(format!("cargo-deb-{CARGO_DEB}"));
    let program = tools.join("bin/cargo-deb");
    if !program.is_file() {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        cargo
            .args(["install", "cargo-deb", "--locked", "--debug", "--version", CARGO_DEB, "--root"])
            .arg(&tools);
        run_logged(&mut cargo, log, &|_| {})?;
    }
    Ok(program)
}
