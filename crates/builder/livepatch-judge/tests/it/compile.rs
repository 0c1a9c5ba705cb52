//! Makes objects of C text with the builder's flags.

use std::process::Command;

/// What matters of the kernel's flags for x86-64, and the builder's own (`SECTION_FLAGS` in livepatch-build).
const FLAGS: [&str; 21] = [
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
    "-pg",
    "-mfentry",
    "-mrecord-mcount",
    "-fcf-protection=none",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-var-tracking",
    "-gno-statement-frontiers",
    "-c",
];

/// The object of a unit `unit.c`; `debug` are the flags for debug information.
pub(crate) fn compile(text: &str, debug: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("unit.c"), text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(FLAGS).args(debug).args(["-o", "unit.o", "unit.c"]).current_dir(folder.path());
    let output = gcc.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(folder.path().join("unit.o")).unwrap()
}
