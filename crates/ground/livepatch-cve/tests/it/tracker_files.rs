//! Tracker files: content, faults with their lines, and export.

use livepatch_cve::ubuntu_tracker::{Commit, TrackerFile, TrackerState, normal_form};
use livepatch_cve::{Fault, Priority, Problem};

const WHOLE: &str = include_str!("../data/CVE-2026-1001");
const BROKEN: &str = include_str!("../data/CVE-2026-1002.broken");

fn whole() -> TrackerFile {
    let (file, problems) = TrackerFile::read("CVE-2026-1001", WHOLE.as_bytes());
    assert_eq!(problems, []);
    file
}

#[test]
fn everything_in_a_file_is_read() {
    let file = whole();
    assert_eq!(file.candidate().unwrap().to_string(), "CVE-2026-1001");
    assert_eq!(file.priority(), Some((Priority::High, "Local root in a default installation".into())));
    assert_eq!(file.lines("References").len(), 2);
    assert_eq!(file.paragraph("Mitigation"), "blacklist the teapot module");
    assert_eq!(file.value("Tags_linux-tiny"), Some("not-ue"));
    let notes = file.notes();
    assert_eq!(notes[0], ("ann".into(), "only kernels with CONFIG_TEAPOT have it at all".into()));
    assert_eq!(notes[1], ("bob".into(), "also see the kettle".into()));
}

#[test]
fn break_fix_lines_are_lists_of_commits() {
    let found: Vec<_> = whole().break_fixes().collect();
    let hash = |digit: &str| Commit::Upstream(digit.repeat(40));
    assert_eq!(found[0].breaks, [hash("0")]);
    assert_eq!(found[0].fixes, [hash("1"), Commit::Local("local-2026-1001-fix".into())]);
    assert_eq!((found[1].breaks.len(), &found[1].fixes[..]), (0, &[hash("2")][..]));
}

#[test]
fn states_and_their_versions() {
    let file = whole();
    let state = |release: &str| {
        file.states().find(|line| line.release == release && line.package == "linux").unwrap()
    };
    assert_eq!(state("trusty/esm").state, TrackerState::Ignored);
    assert_eq!(state("xenial").note, None);
    assert_eq!(state("bionic").version().unwrap().unwrap().as_str(), "4.15.0-65.74");
    assert!(
        state("disco").version().is_none() && state("disco").note.as_deref().unwrap().contains(r"\[5.0.0")
    );
    let tiny = file.states().find(|line| line.package == "linux-tiny" && line.release == "bionic").unwrap();
    assert!(tiny.version().is_none());
}

#[test]
fn faults_have_lines_and_the_rest_is_read() {
    let (file, problems) = TrackerFile::read("active/CVE-2026-1002", BROKEN.as_bytes());
    let found: Vec<(usize, Fault)> =
        problems.iter().map(|problem| (problem.line, problem.fault.clone())).collect();
    assert_eq!(
        found,
        [
            (1, Fault::Unreadable(" a continuation of nothing".into())),
            (3, Fault::Priority("dire".into())),
            (4, Fault::Unreadable("this line means nothing".into())),
            (5, Fault::Repeated("Candidate".into())),
            (9, Fault::State("mended (4.15.0-1.1)".into())),
            (10, Fault::Version("5.4.0/20".into())),
            (11, Fault::State("released 5.15.0-1.1".into())),
        ]
    );
    assert_eq!(
        problems[4].to_string(),
        "active/CVE-2026-1002:9: 'mended (4.15.0-1.1)' is no state of a package"
    );
    assert_eq!(file.candidate().unwrap().number, 1002);
    assert_eq!(file.states().map(|line| line.release.as_str()).collect::<Vec<_>>(), ["focal", "noble"]);
}

#[test]
fn export_is_the_normal_form() {
    for text in [WHOLE, BROKEN, "", "\n\n", "#only\n", "a:\r\n\tb\r\n"] {
        let (file, _) = TrackerFile::read("file", text.as_bytes());
        assert_eq!(file.to_string(), normal_form(text));
        let (again, _) = TrackerFile::read("file", file.to_string().as_bytes());
        assert_eq!(again, file);
    }
}

#[test]
fn the_normal_form_changes_only_what_it_says() {
    let normal = normal_form(WHOLE);
    assert!(normal.starts_with("PublicDateAtUSN: 2026-03-02\nCandidate: CVE-2026-1001\n"));
    assert!(normal.contains("xenial_linux: not-affected\nbionic_linux: released (4.15.0-65.74)\n"));
    assert!(normal.contains(" blacklist the teapot module\n\nBugs:\n") && normal.contains("\nCVSS:\n nvd: "));
    assert!(normal.contains("   at all\n") && normal.ends_with("deferred (2026-03-03)\n"));
    let squeeze =
        |text: &str| text.split_whitespace().filter(|word| *word != "()").collect::<Vec<_>>().join(" ");
    assert_eq!(squeeze(&normal), squeeze(WHOLE));
}

#[test]
fn bytes_that_are_no_text_cost_a_line() {
    let (file, problems) =
        TrackerFile::read("file", b"Candidate: CVE-2026-1003\nNotes:\n \xff\xfe\nbionic_linux: needed\n");
    assert_eq!(problems, [Problem::new("file", 3, Fault::NotText)]);
    assert_eq!(file.states().count(), 1);
}
