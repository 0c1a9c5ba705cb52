//! A build that is killed at any point leaves nothing that the next one trips over.

use livepatch_e2e::{Prepared, Programs, workspace_root};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn what_a_killed_build_leaves_behind_does_not_change_the_next_one() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let release = Prepared::get(&programs).unwrap().kernel.release;
    let build = |name: &str| {
        let output = directory.path().join(name);
        let mut command = programs.command("livepatch-build");
        command.args(["build", "--kernel", &release, "--fix", "example=an example of ours", "--patch"]);
        command.arg(workspace_root().join("examples/patches/proc-cmdline.patch"));
        command.arg("--output").arg(output).stdout(Stdio::null());
        command
    };
    let start = Instant::now();
    assert!(build("whole").status().unwrap().success());
    let whole = start.elapsed();
    // The whole group, as Ctrl-C or a power cut would; and the program alone, whose compilers and make then go on.
    for (percent, group) in [(10, true), (40, true), (80, true), (25, false), (70, false)] {
        let mut child = build("killed").process_group(0).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * percent / 100);
        let target = if group { format!("-{}", child.id()) } else { child.id().to_string() };
        // It may have ended by itself already on a machine that has become faster.
        let _ = Command::new("kill").args(["-KILL", "--", &target]).stderr(Stdio::null()).status();
        child.wait().unwrap();
    }
    let limit = Instant::now() + whole * 10 + Duration::from_secs(60);
    assert!(build("killed").status().unwrap().success());
    assert!(Instant::now() < limit, "the build waited for something that never came");
    let read = |folder: &str| {
        let folder = directory.path().join(folder);
        ["manifest.json", "provenance.json"].map(|name| std::fs::read(folder.join(name)).unwrap())
    };
    assert!(read("whole") == read("killed"));
    assert!(!Path::new(&directory.path().join("killed/work")).exists());
}
