//! Three real machines in one rollout: the livepatch of the first wave is bad, and the second wave never comes.

use crate::scene::{Scene, TIER, command_line};
use livepatch_api::EventKind;
use livepatch_e2e::{Client, Machine, Programs, Site};
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(120);
const MACHINES: usize = 3;
const RELEASE: &str = "example-fleet";
const CONFIGURATION: &str = "soak_seconds = 60\n";
/// What the kernel knows the process by.
const WARN_ME: &str = "#!/bin/sh\nread -r line < /proc/cmdline\n";

#[test]
fn a_bad_livepatch_is_halted_before_the_second_wave() {
    let scene = Scene::new();
    let start = |programs: &Programs, data: &Path, log: &Path| {
        Site::start_with(programs, data, log, &["--most-waiting", "0", "--look-every", "1"])
    };
    let site = scene.started(&scene.prepared.certificate(), start);
    let good = scene.prepared.manifest().unwrap();
    site.publish(&scene.prepared.build(), TIER).unwrap();
    let bad = scene.livepatch(&site, "complains.patch", 2);
    let fleet = fleet(&scene, &site);
    for machine in &fleet {
        assert_eq!(newest(machine), good.name);
    }

    site.publish(&bad.build(), "edge").unwrap();
    let bad = bad.manifest().unwrap();
    site.begin_rollout(RELEASE, &bad.name, TIER, "one-machine-first").unwrap();
    let first = wave_one(&fleet, &bad.name);
    for (number, machine) in fleet.iter().enumerate() {
        let expected = if number == first { &bad.name } else { &good.name };
        assert_eq!(&newest(machine), expected, "one machine first: {number}");
    }

    // It warns as soon as somebody uses what it replaced: the machine takes it back and tells.
    fleet[first].guest().check("warn-me", LIMIT).unwrap();
    let halt = wait_for_halt(&site, &fleet[first]);
    assert_eq!(halt.signal.as_deref(), Some("oops"), "{halt:?}");
    let id = fleet[first].status().unwrap()["machine_id"].as_str().unwrap().to_owned();
    assert_eq!((halt.count, halt.machines.as_slice()), (1, [id.clone()].as_slice()), "{halt:?}");
    let events = site.machine(&id).unwrap().events;
    let mut evidence = events.iter().filter(|event| event.kind != EventKind::Applied);
    let named = |text: &str| text.contains("cmdline_proc_show") && text.contains("WARNING: CPU:");
    assert!(evidence.any(|event| named(&event.detail)), "{events:?}");

    // Whoever asks now, and however often, gets what was there before.
    for machine in &fleet {
        let _ = machine.livepatch("refresh").unwrap();
        assert_eq!(newest(machine), good.name, "{}", machine.daemon_log());
        assert!(command_line(machine).ends_with(" livepatched"));
    }
    let rollout = site.rollout(RELEASE).unwrap();
    assert_eq!((rollout.state.as_str(), rollout.halts.len()), ("halted", 1), "{rollout:?}");
    let [build] = rollout.builds.as_slice() else { panic!("one kernel build: {rollout:?}") };
    assert_eq!((build.stage, build.machines, build.given), (1, 3, 1), "{build:?}");
}

/// All machines, enrolled, with what is offered to them. Booted one after the other: a guest ends with the thread that
/// started it.
fn fleet(scene: &Scene, site: &Site) -> Vec<Machine> {
    let boot = |number: usize| {
        let artefacts = scene.directory.path().join(format!("machine-{number}"));
        let builder = Machine::builder(&scene.prepared.kernel, artefacts)
            .contents("/etc/livepatch/livepatchd.toml", 0o644, CONFIGURATION)
            .contents("/bin/warn-me", 0o755, WARN_ME);
        let machine = Machine::boot(builder, Client::Programs(&scene.programs)).unwrap();
        let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
        assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
        machine
    };
    (0..MACHINES).map(boot).collect()
}

/// Asks for all machines until one of them has the livepatch.
fn wave_one(fleet: &[Machine], name: &str) -> usize {
    let start = Instant::now();
    loop {
        for machine in fleet {
            let _ = machine.livepatch("refresh").unwrap();
        }
        if let Some(first) = fleet.iter().position(|machine| newest(machine) == name) {
            return first;
        }
        assert!(start.elapsed() < PATIENCE, "no machine was let in: {}", fleet[0].daemon_log());
    }
}

fn wait_for_halt(site: &Site, machine: &Machine) -> livepatch_api::RolloutHalt {
    let start = Instant::now();
    loop {
        if let Some(halt) = site.rollout(RELEASE).unwrap().halts.pop() {
            return halt;
        }
        assert!(start.elapsed() < PATIENCE, "nothing halts it: {}", machine.daemon_log());
        thread::sleep(Duration::from_millis(500));
    }
}

/// The livepatch that is in the kernel.
#[track_caller]
fn newest(machine: &Machine) -> String {
    let state = machine.kernel_state().unwrap();
    let [livepatch] = state.livepatches.as_slice() else { panic!("one livepatch: {state:?}") };
    assert!(livepatch.enabled, "{state:?}");
    livepatch.name.clone()
}
