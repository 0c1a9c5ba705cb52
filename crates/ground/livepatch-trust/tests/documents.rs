//! Documents beside the livepatches: signed, verified, replaced, and never anything that a machine would load.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_trust::{LARGEST_DOCUMENT, PublishError, Publisher, TrustError};
use std::{fs, time::SystemTime};
use support::Site;

const NAME: &str = "documents/verdicts/debian/bookworm/linux.olpv";

fn stage(publisher: &mut Publisher, content: &[u8]) {
    publisher.stage_document(NAME, content).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
}

fn read(site: &Site) -> Result<Vec<u8>, TrustError> {
    let repository = site.load().unwrap();
    let document = repository.documents().find(|document| document.name == NAME).unwrap().clone();
    repository.document(&document)
}

#[test]
fn a_document_is_published_beside_a_livepatch_and_replaced() {
    let (site, mut publisher) = Site::published();
    stage(&mut publisher, b"one");
    assert_eq!(read(&site).unwrap(), b"one");
    stage(&mut publisher, b"two");
    assert_eq!(read(&site).unwrap(), b"two");
    let repository = site.load().unwrap();
    assert_eq!((repository.livepatches().count(), repository.skipped().len()), (1, 0));
    drop(publisher);

    // It outlives the program, and what others publish.
    let mut publisher = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap();
    let (module, manifest) = support::livepatch(2);
    publisher.stage(&module, &manifest, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(publisher.documents().count(), 1);
    assert_eq!(publisher.document(NAME).unwrap().unwrap(), b"two");
    assert_eq!(publisher.document("documents/other").unwrap(), None);
    assert_eq!(read(&site).unwrap(), b"two");

    assert!(publisher.remove_document(NAME) && !publisher.remove_document(NAME));
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().documents().count(), 0);
}

#[test]
fn what_is_staged_and_discarded_is_not_published() {
    let (site, mut publisher) = Site::published();
    publisher.stage_document(NAME, b"x").unwrap();
    publisher.discard();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().documents().count(), 0);
}

#[test]
fn an_altered_or_missing_file_is_refused() {
    let (site, mut publisher) = Site::published();
    stage(&mut publisher, b"verdicts");
    let folder = site.repository().join("targets/documents/verdicts/debian/bookworm");
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    for wrong in [&b"verdictz"[..], b"verdicts and more", b"v"] {
        fs::write(&path, wrong).unwrap();
        assert!(matches!(read(&site), Err(TrustError::TargetAltered { .. })), "{wrong:?}");
    }
    fs::remove_file(path).unwrap();
    assert!(matches!(read(&site), Err(TrustError::TargetMissing { .. })));
}

#[test]
fn names_and_sizes_are_bounded() {
    let (_site, mut publisher) = Site::new();
    let large = vec![0; LARGEST_DOCUMENT as usize + 1];
    for (name, content) in [("documents/../../x", &b"x"[..]), ("6.1.0-55/x.ko", b"x"), (NAME, &large)] {
        let refused = publisher.stage_document(name, content);
        assert!(matches!(refused, Err(PublishError::Document { .. })), "{name}");
    }
}
