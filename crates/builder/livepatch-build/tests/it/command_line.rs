//! Usage, exit codes, and what needs no kernel.

use crate::workplace::{RELEASE, Workplace, names_in};

#[test]
fn wrong_usage_is_exit_code_2() {
    let workplace = Workplace::new();
    let build = ["build", "--kernel", RELEASE, "--patch", "x", "--output", "out"];
    let wrong: [&[&str]; 8] = [
        &[],
        &["unheard-of"],
        &["build"],
        &["kernel", "add"],
        &["kernel", "list", "--format", "xml"],
        &["extract", "--package", "p", "--from", "1", "--to", "2"],
        &["sign", "folder"],
        &[&build[..], &["--livepatch-version", "0"]].concat(),
    ];
    for arguments in wrong {
        let answer = workplace.run(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {}", answer.stderr);
        assert!(answer.stdout.is_empty(), "{arguments:?}: {}", answer.stdout);
        let helps = answer.stderr.contains("Usage") || answer.stderr.contains("--help");
        assert!(helps, "{arguments:?}: {}", answer.stderr);
    }
}

#[test]
fn release_with_a_path_in_it_is_wrong_usage() {
    let answer = Workplace::new().run(&["kernel", "add", "../../etc"]);
    assert_eq!(answer.code, 2, "{}", answer.stderr);
}

#[test]
fn help_tells_the_exit_codes() {
    let answer = Workplace::new().run(&["--help"]);
    assert_eq!(answer.code, 0);
    for word in ["Exit status", "3  refused", "4  base mismatch", "5  toolchain", "no-functional-change"] {
        assert!(answer.stdout.replace('\n', " ").contains(word), "{word}: {}", answer.stdout);
    }
}

#[test]
fn completions_and_man_page_are_printed() {
    let workplace = Workplace::new();
    let bash = workplace.run(&["completions", "bash"]);
    assert!(bash.code == 0 && bash.stdout.contains("livepatch-build"));
    let man = workplace.run(&["man"]);
    assert!(man.code == 0 && man.stdout.contains(".TH"), "{}", man.stderr);
    assert!(man.stdout.contains("base mismatch"), "the exit status is documented: {}", man.stdout);
    assert_eq!(workplace.run(&["man", "--output", "pages"]).code, 0);
    let pages = names_in(&workplace.path("pages"));
    for page in ["livepatch-build.1", "livepatch-build-build.1", "livepatch-build-kernel-add.1"] {
        assert!(pages.contains(&page.to_owned()), "{page}: {pages:?}");
    }
}

#[test]
fn malformed_fix_tells_the_form() {
    let workplace = Workplace::new();
    workplace.prepare_kernel();
    let build = |more: &[&str]| {
        let all = ["build", "--kernel", RELEASE, "--patch", "x", "--output", "out"];
        workplace.run(&[&all[..], more].concat())
    };
    let answer = build(&["--fix", "CVE-2026-1"]);
    assert!(answer.code == 2 && answer.stderr.contains("ID=SUMMARY"), "{}", answer.stderr);
    let answer = build(&["--fix-source", "linux-source-6.1"]);
    assert!(answer.code == 2 && answer.stderr.contains("PACKAGE:FROM:TO"), "{}", answer.stderr);
}

#[test]
fn explain_lists_the_codes_and_knows_no_others() {
    let workplace = Workplace::new();
    let all = workplace.run(&["explain"]);
    assert_eq!(all.code, 0);
    for code in ["data-changed", "ambiguous-static", "file-removed", "no-functional-change"] {
        assert!(all.stdout.contains(code), "{code}: {}", all.stdout);
    }
    assert_ne!(workplace.run(&["explain", "unheard-of"]).code, 0);
}
