//! Rollouts in signed metadata: the schedule by the targets key, the steering by the timestamp key.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_schedule::{Directive, Reach, Schedule, Steering, Wave, key_of};
use livepatch_trust::Publisher;
use std::{fs, time::SystemTime};
use support::{Site, alter, livepatch};

fn schedule() -> Schedule {
    Schedule {
        release: "2027-01".into(),
        tiers: vec!["stable".into()],
        start: 1_800_000_000,
        waves: vec![Wave { after: 0, share: 1000 }],
        windows: vec![],
    }
}

fn steering(halted: bool) -> Steering {
    let key = key_of(&livepatch(1).1.module.sha256);
    let reach = Reach::of_share(500_000);
    Steering { rollouts: [(key, Directive { reach, halted })].into(), ..Steering::default() }
}

#[test]
fn schedule_and_steering_arrive_at_the_machine() {
    let (site, mut publisher) = Site::published();
    let name = livepatch(1).1.name;
    assert_eq!(site.load().unwrap().livepatches().next().unwrap().schedule, None);
    publisher.set_schedule(&name, Some(schedule())).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().livepatches().next().unwrap().schedule, Some(schedule()));
    assert!(site.load().unwrap().steering().is_empty());

    let before = publisher.versions();
    let after = publisher.steer(&steering(false), SystemTime::now()).unwrap();
    assert_eq!((after.targets, after.snapshot), (before.targets, before.snapshot), "the online key alone");
    assert_eq!(after.timestamp, before.timestamp + 1);
    assert_eq!(site.load().unwrap().steering(), &steering(false));
    assert_eq!(
        publisher.steer(&steering(false), SystemTime::now()).unwrap(),
        after,
        "nothing new, nothing signed"
    );

    // Whatever is signed later carries it on, in this program and in the next.
    publisher.set_tiers(&name, &["edge".into()]).unwrap();
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().steering(), &steering(false));
    drop(publisher);
    let mut publisher = Publisher::open(&site.repository(), &site.keys(), site.lifetimes).unwrap();
    assert_eq!(publisher.steering(), &steering(false));
    publisher.commit(SystemTime::now()).unwrap();
    assert_eq!(site.load().unwrap().steering(), &steering(false));
}

#[test]
fn a_halt_is_one_file_and_cannot_be_taken_out_of_it() {
    let (site, mut publisher) = Site::published();
    publisher.steer(&steering(true), SystemTime::now()).unwrap();
    let timestamp = fs::read_to_string(site.metadata("timestamp.json")).unwrap();
    assert!(timestamp.contains("halted"), "the document that every poll reads says it");
    site.load().unwrap();
    alter(&site.metadata("timestamp.json"), "\"halted\": true", "\"halted\": false");
    let failure = site.load().unwrap_err();
    assert_eq!(failure.code(), "metadata-signature-invalid", "{failure}");
}
