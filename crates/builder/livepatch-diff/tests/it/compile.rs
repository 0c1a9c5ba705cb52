//! Makes objects of C text, as kbuild does and as the builder does.

use livepatch_diff::{Architecture, EntrySizes, Object, SymbolIndex, SymbolKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What matters of the kernel's own flags for x86-64.
const KERNEL_FLAGS: [&str; 20] = [
    "-O2",
    "-std=gnu11",
    "-w",
    "-fno-asynchronous-unwind-tables",
    "-fno-PIE",
    "-fno-common",
    "-fno-strict-aliasing",
    "-fno-stack-protector",
    "-ffreestanding",
    "-mcmodel=kernel",
    "-mno-red-zone",
    "-mno-sse",
    "-mno-80387",
    "-pg",
    "-mfentry",
    "-mrecord-mcount",
    "-fcf-protection=none",
    "-falign-functions=16",
    "-g0",
    "-c",
];

/// What matters of the kernel's own flags for every machine.
const PORTABLE_FLAGS: [&str; 11] = [
    "-O2",
    "-std=gnu11",
    "-w",
    "-fno-asynchronous-unwind-tables",
    "-fno-PIE",
    "-fno-common",
    "-fno-strict-aliasing",
    "-fno-stack-protector",
    "-ffreestanding",
    "-g0",
    "-c",
];

/// What the builder adds to them.
const SECTION_FLAGS: [&str; 2] = ["-ffunction-sections", "-fdata-sections"];

/// A folder with objects that goes when it is dropped.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Compiles as the builder does: every function and object in a section of its own.
    pub(crate) fn compile(&self, unit: &str, text: &str) -> Vec<u8> {
        std::fs::read(self.run_compiler(unit, text, &SECTION_FLAGS)).unwrap()
    }

    /// As [`Workshop::compile`], with further flags.
    pub(crate) fn compile_with(&self, unit: &str, text: &str, flags: &[&str]) -> Vec<u8> {
        std::fs::read(self.run_compiler(unit, text, &[&SECTION_FLAGS[..], flags].concat())).unwrap()
    }

    /// Compiles as kbuild does, with further flags.
    pub(crate) fn compile_plainly_with(&self, unit: &str, text: &str, flags: &[&str]) -> Vec<u8> {
        std::fs::read(self.run_compiler(unit, text, flags)).unwrap()
    }

    /// Compiles for another machine as its kernel's kbuild and the builder do; `None` when there is no such compiler
    /// here.
    pub(crate) fn cross_compile(&self, machine: Architecture, unit: &str, text: &str) -> Option<Vec<u8>> {
        let (compiler, flags) = cross_compiler(machine)?;
        let (mut gcc, object) = self.compiler(compiler, unit, text);
        run(gcc.args(PORTABLE_FLAGS).args(flags).args(SECTION_FLAGS));
        Some(std::fs::read(object).unwrap())
    }

    /// Compiles as kbuild does; answers the object's path.
    pub(crate) fn compile_for_base(&self, unit: &str, text: &str) -> PathBuf {
        self.run_compiler(unit, text, &[])
    }

    /// `unit` may have a folder; the compiler sees the file name only.
    fn run_compiler(&self, unit: &str, text: &str, flags: &[&str]) -> PathBuf {
        let (mut gcc, object) = self.compiler("gcc", unit, text);
        run(gcc.args(KERNEL_FLAGS).args(flags));
        object
    }

    fn compiler(&self, program: &str, unit: &str, text: &str) -> (Command, PathBuf) {
        let source = self.path(unit);
        let folder = source.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&source, text).unwrap();
        let object = source.with_extension("o");
        let mut gcc = Command::new(program);
        gcc.arg("-o").arg(&object).arg(source.file_name().unwrap()).current_dir(folder);
        (gcc, object)
    }

    /// Runs a program of binutils in the folder.
    pub(crate) fn binutils(&self, program: &str, arguments: &[&str], files: &[&Path]) {
        run(Command::new(program).args(arguments).args(files).current_dir(self.folder.path()));
    }
}

/// The cross compiler of Debian's package `gcc-MACHINE-linux-gnu`, with the flags by which that machine's kernel has
/// functions traced; `None` when it is not installed.
fn cross_compiler(machine: Architecture) -> Option<(&'static str, &'static [&'static str])> {
    let (program, flags): (_, &[&str]) = match machine {
        Architecture::X86_64 | Architecture::LoongArch64 => return None,
        Architecture::Aarch64 => (
            "aarch64-linux-gnu-gcc",
            &["-fpatchable-function-entry=2", "-mgeneral-regs-only", "-fno-section-anchors"],
        ),
        Architecture::Ppc64le => (
            "powerpc64le-linux-gnu-gcc",
            &["-pg", "-mprofile-kernel", "-fno-section-anchors", "-msoft-float"],
        ),
        Architecture::S390x => {
            let flags = &["-pg", "-mfentry", "-mrecord-mcount", "-mnop-mcount", "-fno-section-anchors"];
            ("s390x-linux-gnu-gcc", flags)
        }
    };
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    there.then_some((program, flags))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sizes of the structures in Linux 6.1 for x86-64.
pub(crate) fn entry_sizes() -> EntrySizes {
    let sizes = [
        ("alt_instr", 12),
        ("bug_entry", 12),
        ("exception_table_entry", 12),
        ("jump_entry", 16),
        ("paravirt_patch_site", 16),
        ("unwind_hint", 12),
    ];
    sizes.map(|(name, size)| (name.to_owned(), size)).into()
}

/// The function of that name.
pub(crate) fn function(object: &Object, name: &str) -> SymbolIndex {
    let wanted = |index: &usize| {
        object.symbols[*index].name == name
            && object.symbols[*index].kind == SymbolKind::Function
            && object.section_of(*index).is_some()
    };
    (0..object.symbols.len()).find(wanted).unwrap_or_else(|| panic!("no function {name}"))
}
