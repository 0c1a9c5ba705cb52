//! The builder's own boot test: what it passes, and that it fails when the effect is not there.

use livepatch_e2e::{Prepared, Programs, workspace_root};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const CHECK: &str = "#!/bin/sh
case $1 in
before) ! grep -q livepatched /proc/cmdline ;;
after) grep -q livepatched /proc/cmdline ;;
esac
";

#[test]
fn a_livepatch_lives_through_everything_and_a_check_that_is_not_met_is_told() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let release = Prepared::get(&programs).unwrap().kernel.release;
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    build(&programs, &release, &["proc-cmdline"], 1, &one);
    build(&programs, &release, &["proc-cmdline", "loop-dio"], 2, &two);
    let check = directory.path().join("check.sh");
    std::fs::write(&check, CHECK).unwrap();

    let (answer, report) = test(&programs, &two, &check, &["--previous", one.to_str().unwrap()]);
    assert!(answer.status.success(), "{report:#}");
    assert_eq!((&report["passed"], &report["warnings"]), (&true.into(), &Value::Array(vec![])));
    let steps: Vec<&str> =
        report["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    for step in [
        "load what it patches: loop",
        "the author's check: after",
        "undo version 2",
        "replace version 1 by version 2",
        "replace version 2 by version 1",
        "undo version 1",
    ] {
        assert!(steps.contains(&step), "{step}: {steps:?}");
    }
    assert!(std::fs::read_to_string(two.join("test/console.log")).unwrap().contains("Linux version"));
    assert!(two.join("test.json").is_file());

    // A check that asks for what the livepatch does not do.
    std::fs::write(&check, CHECK.replace("after) grep -q livepatched", "after) grep -q flying")).unwrap();
    let (answer, report) = test(&programs, &one, &check, &[]);
    assert_eq!(answer.status.code(), Some(3), "{report:#}");
    let last = report["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["step"], &last["passed"]), (&"the author's check: after".into(), &false.into()));
}

fn build(programs: &Programs, release: &str, examples: &[&str], version: u32, output: &Path) {
    let mut command = programs.command("livepatch-build");
    command.args(["build", "--kernel", release, "--fix", "example=an example of ours"]);
    command.arg("--livepatch-version").arg(version.to_string()).arg("--output").arg(output);
    for example in examples {
        let patch = format!("examples/patches/{example}.patch");
        command.arg("--patch").arg(workspace_root().join(patch));
    }
    run(&mut command, Some(0));
}

fn test(programs: &Programs, folder: &Path, check: &Path, more: &[&str]) -> (Output, Value) {
    let mut command = programs.command("livepatch-build");
    command.args(["test", "--format", "json", "--check"]).arg(check).args(more).arg(folder);
    let answer = run(&mut command, None);
    let report = serde_json::from_slice(&answer.stdout).unwrap();
    (answer, report)
}

fn run(command: &mut Command, wanted: Option<i32>) -> Output {
    let answer = command.output().unwrap();
    let right = wanted.is_none() || answer.status.code() == wanted;
    assert!(right, "{}", String::from_utf8_lossy(&answer.stderr));
    answer
}
