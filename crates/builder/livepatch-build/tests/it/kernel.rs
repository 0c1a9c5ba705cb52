//! Kernels in the cache.

use crate::workplace::{RELEASE, Workplace};

#[test]
fn kernel_that_is_not_prepared_is_told_with_the_remedy() {
    let workplace = Workplace::new();
    let patch = workplace.write("fix.patch", "");
    let answer =
        workplace.run(&["build", "--kernel", RELEASE, "--patch", patch.to_str().unwrap(), "--output", "out"]);
    assert_eq!(answer.code, 1);
    let wanted = format!(
        "livepatch-build: kernel {RELEASE} is not prepared; run: livepatch-build kernel add {RELEASE}\n"
    );
    assert_eq!(answer.stderr, wanted);
    assert!(!workplace.path("out").exists());
}

#[test]
fn empty_cache_lists_nothing() {
    let workplace = Workplace::new();
    assert_eq!(
        workplace.run(&["kernel", "list"]).stdout,
        "no kernel is prepared; run: livepatch-build kernel add RELEASE\n"
    );
    assert_eq!(workplace.run(&["kernel", "list", "--format", "json"]).stdout, "[]\n");
}

#[test]
fn prepared_kernel_is_listed_and_half_prepared_is_not() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    workplace.write("cache/kernels/6.1.0-56-cloud-amd64/prepare.log", "broken off");
    let answer = workplace.run(&["kernel", "list", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    let releases: Vec<&str> =
        list.as_array().unwrap().iter().map(|kernel| kernel["release"].as_str().unwrap()).collect();
    assert_eq!(releases, [RELEASE]);
    assert_eq!(list[0]["build_id"], "3b43fad53b43fad53b43fad53b43fad53b43fad5");
    let text = workplace.run(&["kernel", "list"]).stdout;
    assert!(text.starts_with(&format!("{RELEASE}  6.1.174-1  3b43fad5")), "{text}");
}

#[test]
fn damaged_kernel_json_is_told_with_the_remedy() {
    let workplace = Workplace::new();
    workplace.write(&format!("cache/kernels/{RELEASE}/kernel.json"), "{");
    let answer = workplace.run(&["build", "--kernel", RELEASE, "--patch", "x", "--output", "out"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("kernel.json is damaged; remove the folder"), "{}", answer.stderr);
}
