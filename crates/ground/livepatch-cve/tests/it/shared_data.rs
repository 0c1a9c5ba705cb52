//! All files of a real tracker, when `LIVEPATCH_CVE_DATA` names the folder that has `ubuntu-cve-tracker/`.

use livepatch_cve::agreement::compare;
use livepatch_cve::feeds::ubuntu_tracker;
use livepatch_cve::record::Source;
use livepatch_cve::ubuntu_tracker::{TrackerFile, normal_form};
use livepatch_cve::{Fault, Register};
use std::{env, fs, path::PathBuf};

/// The tracker's files, or a word about why nothing is tested.
pub(crate) fn files() -> Option<Vec<(String, Vec<u8>)>> {
    let Some(folder) = env::var_os("LIVEPATCH_CVE_DATA") else {
        eprintln!("skipped: LIVEPATCH_CVE_DATA does not name a folder with ubuntu-cve-tracker/");
        return None;
    };
    let folder = PathBuf::from(folder).join("ubuntu-cve-tracker");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("LIVEPATCH_CVE_DATA/ubuntu-cve-tracker")
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    Some(files)
}

#[test]
fn every_file_is_exported_as_it_came() {
    let Some(files) = files() else { return };
    let mut differing = Vec::new();
    for (name, bytes) in &files {
        let (file, _) = TrackerFile::read(name, bytes);
        if file.to_string() != normal_form(str::from_utf8(bytes).unwrap()) {
            let (ours, theirs) = (file.to_string(), normal_form(str::from_utf8(bytes).unwrap()));
            let line = ours.lines().zip(theirs.lines()).find(|(one, two)| one != two);
            differing.push(format!("{name}: {line:?}"));
        }
    }
    assert_eq!(differing, Vec::<String>::new());
    eprintln!("{} files: export equals import in normal form", files.len());
}

#[test]
fn every_file_is_understood() {
    let Some(files) = files() else { return };
    let mut register = Register::default();
    let mut problems = Vec::new();
    for (name, bytes) in &files {
        problems.extend(register.import(Source::UbuntuTracker, name, bytes, ubuntu_tracker).problems);
    }
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    // The template names no CVE; everything else must mean something.
    assert!(problems.iter().all(|problem| problem.fault == Fault::NoIdentifier), "{problems:?}");
    let states: usize = register.records().map(|record| record.packages.len()).sum();
    eprintln!("{} files, {} CVEs, {states} states of packages", files.len(), register.records().len());
    for (name, bytes) in &files {
        assert!(
            name.starts_with("00")
                || register.import(Source::UbuntuTracker, name, bytes, ubuntu_tracker).unchanged
        );
    }
}

#[test]
fn verdicts_agree_with_the_tracker() {
    let Some(files) = files() else { return };
    let mut register = Register::default();
    for (name, bytes) in &files {
        register.import(Source::UbuntuTracker, name, bytes, ubuntu_tracker);
    }
    let agreement = compare(register.records());
    eprintln!("{} pairs of CVE and family; builds by the tracker's state and our verdict:", agreement.pairs);
    for ((status, kind), count) in &agreement.table {
        eprintln!("{status:?} | {} | {count}", kind.map_or("none".to_owned(), |kind| kind.to_string()));
    }
    eprintln!("explained differences:");
    for ((status, kind, explanation), count) in &agreement.explained {
        eprintln!("{status:?} | {kind:?} | {explanation:?} | {count}");
    }
    eprintln!("by the upstream version alone:");
    for ((status, answer), count) in &agreement.by_base {
        eprintln!("{status:?} | {answer:?} | {count}");
    }
    assert!(
        agreement.pairs > 0 && agreement.unexplained.is_empty(),
        "{:#?}",
        &agreement.unexplained[..5.min(agreement.unexplained.len())]
    );
}
