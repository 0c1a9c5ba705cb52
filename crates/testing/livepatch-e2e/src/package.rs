//! The Debian packages, packed by cargo-deb from the programs as they are built.

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

/// The release of cargo-deb that the packages' definitions are written for.
const CARGO_DEB: &str = "3.8.0";

/// What goes into a package besides what its definition (`package.metadata.deb`) names in the workspace.
struct Contents {
    /// The package, and the directory that its definition finds the staged files in.
    name: &'static str,
    /// The crate with the definition.
    definition: &'static str,
    /// The programs, and what those that have them are asked for man pages with.
    programs: [(&'static str, Option<&'static str>); 2],
}

const CLIENT: Contents = Contents {
    name: "livepatch",
    definition: "crates/client/livepatch/Cargo.toml",
    programs: [("livepatchd", None), ("livepatch", Some("man"))],
};

const SERVER: Contents = Contents {
    name: "livepatch-server",
    definition: "crates/server/livepatch-server/Cargo.toml",
    programs: [("livepatch-server", Some("man-pages")), ("livepatch-admin", Some("man-pages"))],
};

/// Packs the client from the programs in `binaries`; gives the path of the .deb in `output`. What the tools say goes to
/// `log`. Concurrent callers wait for one another.
///
/// # Errors
/// When a program is missing, cargo-deb is neither there nor to be had, or it fails; with its log's path.
pub fn client_package(binaries: &Path, output: &Path, log: &Path) -> Result<PathBuf> {
    CLIENT.pack(binaries, output, log)
}

/// The same for the server, with the operator's command.
///
/// # Errors
/// As [`client_package`].
pub fn server_package(binaries: &Path, output: &Path, log: &Path) -> Result<PathBuf> {
    SERVER.pack(binaries, output, log)
}

impl Contents {
    fn pack(&self, binaries: &Path, output: &Path, log: &Path) -> Result<PathBuf> {
        let tool = cargo_deb(log)?;
        let stage = workspace_root().join("target/dist").join(self.name);
        fs::create_dir_all(&stage).with_context(|| stage.display().to_string())?;
        let lock = fs::File::create(stage.with_extension("lock"))?;
        lock.lock()?;
        for (program, man) in self.programs {
            let binary = binaries.join(program);
            // Debug information is for who builds, and twenty times the program's size.
            let mut strip = Command::new("strip");
            run_logged(strip.arg("-o").arg(stage.join(program)).arg(&binary), log, &|_| {})?;
            if let Some(verb) = man {
                write_documents(&binary, program, verb, &stage, log)?;
            }
        }
        let package = output.join(format!("{}_{}_amd64.deb", self.name, env!("CARGO_PKG_VERSION")));
        let mut deb = Command::new(tool);
        deb.args(["deb", "--no-build", "--no-strip", "--offline", "--compress-system", "--manifest-path"]);
        deb.arg(workspace_root().join(self.definition)).arg("--output").arg(&package);
        run_logged(&mut deb, log, &|_| {})?;
        ensure!(package.is_file(), "cargo-deb left no {}; log: {}", package.display(), log.display());
        Ok(package)
    }
}

/// Man pages and completions, as the program itself makes them.
fn write_documents(binary: &Path, program: &str, man: &str, stage: &Path, log: &Path) -> Result<()> {
    run_logged(Command::new(binary).arg(man).arg(stage.join("man")), log, &|_| {})?;
    for (shell, file) in [
        ("bash", format!("{program}.bash")),
        ("zsh", format!("_{program}")),
        ("fish", format!("{program}.fish")),
    ] {
        let script = run_logged(Command::new(binary).args(["completions", shell]), log, &|_| {})?;
        fs::write(stage.join(file), script)?;
    }
    Ok(())
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
