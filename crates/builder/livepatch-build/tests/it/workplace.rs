//! A folder with a cache of its own, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The release of the pretended kernel.
pub(crate) const RELEASE: &str = "6.1.0-55-cloud-amd64";

pub(crate) struct Workplace {
    folder: TempDir,
}

/// What a run of the program gave.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file below the folder.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A kernel as `kernel add` leaves it, as far as the steps before compilation look.
    pub(crate) fn prepare_kernel(&self) -> PathBuf {
        let folder = format!("cache/kernels/{RELEASE}");
        self.write(&format!("{folder}/kernel.json"), kernel_json());
        let units = serde_json::json!({
            "schema": 1, "owners": { "kernel/sample.c": ["vmlinux"] }, "complete": true,
        });
        self.write(&format!("{folder}/units.json"), units.to_string());
        self.write(&format!("{folder}/source/kernel/absent.c"), "int absent;\n");
        self.write(&format!("{folder}/source/kernel/Makefile"), "obj-y := sample.o\n");
        self.write(&format!("{folder}/source/kernel/sample.c"), "int sample(int x)\n{\n\treturn x;\n}\n");
        self.write(&format!("{folder}/source/include/sample.h"), "int sample(int x);\n");
        self.write(&format!("{folder}/source/arch/entry.S"), "\tret\n");
        self.path(&folder)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        Answer::from(self.command(arguments).output().unwrap())
    }

    /// The program with these arguments, not started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepatch-build"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("LIVEPATCH_CACHE", self.path("cache"));
        command
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

fn kernel_json() -> String {
    serde_json::json!({
        "release": RELEASE,
        "build_id": "3b43fad53b43fad53b43fad53b43fad53b43fad5",
        "arch": "x86_64",
        "version": "6.1.174-1",
        "source_package": "linux-source-6.1",
        "compiler": "gcc-12",
        "compiler_version": "gcc-12 (Debian 12.2.0-14) 12.2.0",
        "entry_sizes": { "bug_entry": 12 },
    })
    .to_string()
}

/// Names in a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
