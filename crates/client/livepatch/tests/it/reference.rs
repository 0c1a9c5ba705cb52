//! The page `docs/client/reference.md` names a test for each row; every test that it names is there.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn functions(directory: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| {
                line.trim_start()
                    .trim_start_matches("pub(crate) ")
                    .strip_prefix("fn ")?
                    .split(['(', '<'])
                    .next()
            });
            found.extend(names.map(ToOwned::to_owned));
        }
    }
}

#[test]
fn every_row_names_a_test_that_is_there() {
    let mut known = HashSet::new();
    functions(&root().join("crates/ground"), &mut known);
    functions(&root().join("crates/client"), &mut known);
    functions(&root().join("crates/testing/livepatch-e2e/tests"), &mut known);
    let page = fs::read_to_string(root().join("docs/client/reference.md")).unwrap();
    let mut rows = 0;
    let mut in_table = false;
    for line in page.lines() {
        // A table with a column of tests.
        in_table = (in_table && line.starts_with('|')) || line.trim_end().ends_with("| test |");
        if !in_table || line.ends_with("| test |") || line.starts_with("|---") {
            continue;
        }
        rows += 1;
        let cell = line.trim_end().trim_end_matches('|').rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {line}");
        for test in tests {
            assert!(known.contains(test.rsplit("::").next().unwrap()), "there is no test {test}: {line}");
        }
    }
    assert!(rows > 40, "{rows}");
}

#[test]
fn the_login_hook_runs_nothing() {
    let hook = fs::read_to_string(root().join("packaging/update-motd.d/99-livepatch")).unwrap();
    let commands: Vec<&str> = hook.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(commands, ["[ -s /run/livepatch/motd ] && exec cat /run/livepatch/motd", "exit 0"]);
}

#[test]
fn the_flag_for_a_reboot_follows_the_verdict_and_leaves_others_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path();
    fs::create_dir(run.join("livepatch")).unwrap();
    let follow = |verdict: &str| {
        fs::write(run.join("livepatch/reboot-required"), verdict).unwrap();
        let script = root().join("packaging/libexec/reboot-required");
        assert!(Command::new(script).arg(run).status().unwrap().success());
        let read = |name: &str| fs::read_to_string(run.join(name)).ok();
        (read("reboot-required"), read("reboot-required.pkgs"))
    };
    assert_eq!(follow(""), (None, None));
    let (flag, packages) = follow("the kernel is old\n");
    assert!(flag.is_some_and(|text| text.contains("restart required")));
    assert_eq!(packages.as_deref(), Some("livepatch\n"));
    assert_eq!(follow("the kernel is older\n").1.as_deref(), Some("livepatch\n"), "once");
    assert_eq!(follow(""), (None, None), "taken back");

    // A library was upgraded, and says so as Debian's packages do.
    fs::write(run.join("reboot-required"), "*** System restart required ***\n").unwrap();
    fs::write(run.join("reboot-required.pkgs"), "libc6\n").unwrap();
    assert_eq!(follow("the kernel is old\n").1.as_deref(), Some("libc6\nlivepatch\n"));
    let (flag, packages) = follow("");
    assert_eq!(flag.as_deref(), Some("*** System restart required ***\n"));
    assert_eq!(packages.as_deref(), Some("libc6\n"));
}
