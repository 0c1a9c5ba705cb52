//! Bad days of an installed client, on a Debian system in its sandbox: a server that is dead, overloaded, slow, a liar or a
//! stranger; a wrong clock; somebody else's livepatch; tracing in the way; a transition that does not end; a container. Each
//! time there is a code and a sentence, and what protects the machine stays.

use crate::{
    bad_days::{a_wrong_clock_is_named, renamed},
    installed::{LIMIT, Stage, in_kernel, wait_for_state},
    proxy::{Answer, Delivery, Proxy},
    scene::{TIER, field},
};
use livepatch_e2e::{Machine, Site};
use livepatch_manifest::Manifest;
use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

const CONFIGURATION: &str = "soak_seconds = 3\ntransition_deadline_seconds = 8\ncanonical_sockets = true\n";
/// systemd makes what is there already writable for the daemon.
const PREPARE: &str = "mkdir -p /var/snap/canonical-livepatch/current";

#[test]
#[ignore = "long: cargo xtask test --long"]
fn an_installed_client_has_bad_days() {
    scenario(&Stage::new());
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn the_same_on_6_12() {
    scenario(&Stage::of_series("6.12"));
}

fn scenario(stage: &Stage) {
    let site = stage.scene.site();
    let stalls = stage.scene.livepatch(&site, "stalls.patch", 2);
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let good = stage.scene.prepared.manifest().unwrap();
    let old = fs::read(stage.scene.data().join("repository/metadata/timestamp.json")).unwrap();
    let machine = stage.install_configured(
        CONFIGURATION,
        |builder| builder.contents("/root/foreign.ko", 0o600, renamed(&stage.scene)),
        PREPARE,
    );
    a_server_that_is_dead_or_a_stranger(&machine, &site, stage);
    let proxy = Proxy::to(site.port());
    somebody_elses_livepatch(&machine, &proxy, &site, &good);
    site.publish(&stalls.build(), TIER).unwrap();
    a_server_that_does_its_work_badly(&machine, &proxy, &good);
    a_server_that_lies(&machine, &proxy, &good, old);
    proxy.be_honest();
    let stalls = stalls.manifest().unwrap();
    a_transition_that_does_not_end(&machine, &good, &stalls);
    desktop_tools_are_answered(&machine, &stalls);
    a_clock_far_ahead_asks_for_a_reboot(&machine);
    roots_hand_comes_when_the_daemon_asks(&machine);
    a_container_is_left_alone(&machine);
    assert_eq!(in_kernel(&machine), [stalls.name.as_str()], "after all that");
}

/// Enrolling fails with a reason, and works once the reason is gone.
fn a_server_that_is_dead_or_a_stranger(machine: &Machine, site: &Site, stage: &Stage) {
    let token = site.create_token(TIER).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let stranger = Stranger::new(stage);
    for (server, words) in [
        (format!("http://10.0.2.2:{closed}"), "refused"),
        (format!("https://10.0.2.2:{}", stranger.port), "ca_file"),
    ] {
        let output = machine.enable(&token, &server).unwrap();
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_ne!(output.status, 0, "{said}");
        assert!(said.contains("server-unreachable") && said.contains(words), "{said}");
        assert_eq!(machine.status().unwrap()["state"], "disabled");
    }
}

/// A server with TLS whose certificate nobody vouches for.
struct Stranger {
    port: u16,
    server: Child,
}

impl Stranger {
    fn new(stage: &Stage) -> Self {
        let directory = stage.scene.directory.path();
        let request = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 9 -subj /CN=10.0.2.2 \
                       -addext subjectAltName=IP:10.0.2.2 -addext basicConstraints=critical,CA:FALSE \
                       -keyout stranger.key -out stranger.pem";
        let made =
            Command::new("openssl").args(request.split_whitespace()).current_dir(directory).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-key", "stranger.key", "-cert", "stranger.pem"]).current_dir(directory);
        let server =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { port, server }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn somebody_elses_livepatch(machine: &Machine, proxy: &Proxy, site: &Site, good: &Manifest) {
    machine.guest().check("insmod /root/foreign.ko", LIMIT).unwrap();
    let output = machine.enable(&site.create_token(TIER).unwrap(), &proxy.guest_url()).unwrap();
    assert_ne!(output.status, 0, "{output:?}");
    assert_eq!(field(machine, "/last_failure/code"), "other-livepatch", "{output:?}");
    let foreign = in_kernel(machine);
    assert!(foreign.len() == 1 && foreign[0] != good.name, "{foreign:?}");

    let script = format!(
        "cd /sys/kernel/livepatch; echo 0 > {0}/enabled; for _ in $(seq 300); do [ -d {0} ] || break; sleep 0.1; done; rmmod {0}",
        foreign[0]
    );
    machine.guest().check(&script, LIMIT).unwrap();
    // A kprobe on the function is no obstacle by default; the owner is told.
    machine
        .guest()
        .check(
            "echo 'p:watching cmdline_proc_show' > /sys/kernel/tracing/kprobe_events; \
        echo 1 > /sys/kernel/tracing/events/kprobes/watching/enable",
            LIMIT,
        )
        .unwrap();
    let check = machine.livepatch("check").unwrap();
    assert!(check.stdout.contains("cmdline_proc_show"), "{check:?}");
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    wait_for_state(machine, "applied");
    assert_eq!(in_kernel(machine), [good.name.as_str()]);
}

fn a_server_that_does_its_work_badly(machine: &Machine, proxy: &Proxy, good: &Manifest) {
    proxy.alter(|_, _| Answer { status: 503, body: b"busy".to_vec() });
    assert_kept(machine, good, "repository-unreachable");
    proxy.be_honest();
    for delivery in [Delivery::CutOff, Delivery::ByteByByte] {
        proxy.deliver(delivery);
        assert_kept(machine, good, "repository-unreachable");
    }
    proxy.be_honest();
}

fn a_server_that_lies(machine: &Machine, proxy: &Proxy, good: &Manifest, old: Vec<u8>) {
    proxy.alter(|path, mut answer| {
        if path.ends_with(".ko") {
            let middle = answer.body.len() / 2;
            answer.body[middle] ^= 1;
        }
        answer
    });
    assert_kept(machine, good, "target-altered");
    // The machine has seen what came after these.
    proxy.alter(move |path, mut answer| {
        if path.ends_with("/timestamp.json") {
            answer.body.clone_from(&old);
        }
        answer
    });
    assert_kept(machine, good, "metadata-rolled-back");
    proxy.alter(|path, mut answer| {
        if path.ends_with(".json") {
            answer.body = br#"{"signed": {}, "signatures": []}"#.to_vec();
        }
        answer
    });
    assert_kept(machine, good, "metadata-malformed");
    proxy.be_honest();
    a_wrong_clock_is_named(machine);
}

/// The look fails with this code; what is applied stays, and the daemon lives.
#[track_caller]
fn assert_kept(machine: &Machine, good: &Manifest, code: &str) {
    let output = machine.livepatch("refresh").unwrap();
    assert_ne!(output.status, 0, "{code}: {output:?}");
    let status = machine.status().unwrap();
    let known = ["/last_check/code", "/last_failure/code"].map(|path| status.pointer(path).cloned());
    assert!(known.iter().flatten().any(|known| known == code), "{code}: {status:#}\n{output:?}");
    assert_eq!(in_kernel(machine), [good.name.as_str()], "{code}");
}

fn a_transition_that_does_not_end(machine: &Machine, good: &Manifest, stalls: &Manifest) {
    machine.guest().check("mkfifo /root/fifo", LIMIT).unwrap();
    machine.guest().spawn("exec cat /root/fifo", "/dev/null").unwrap();
    assert_kept(machine, good, "transition-stalled");
    let status = machine.status().unwrap();
    let message = status["last_failure"]["message"].as_str().unwrap();
    assert!(message.contains("cat (pid ") && message.contains("`cat /root/fifo`"), "{message}");
    machine.guest().check("echo > /root/fifo", LIMIT).unwrap();
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    assert_eq!(in_kernel(machine), [stalls.name.as_str()]);
    let back = machine.livepatch("undo --previous").unwrap();
    assert_eq!(back.status, 0, "{back:?}");
    assert_eq!(in_kernel(machine), [good.name.as_str()], "a step back");
    let output = machine.livepatch("refresh --apply").unwrap();
    assert_eq!(output.status, 0, "{output:?}");
    wait_for_state(machine, "applied");
}

/// The sockets of the Canonical client, from inside of the sandbox.
fn desktop_tools_are_answered(machine: &Machine, applied: &Manifest) {
    let ask = "perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(\"/var/snap/canonical-livepatch/current/livepatchd.sock\") or die; \
               print $s \"GET /status?format=json HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"; print <$s>'";
    let answer = machine.guest().check(ask, LIMIT).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&applied.version.to_string()), "{answer}");
    assert!(answer.contains("\"applied\""), "{answer}");
}

/// After the kernel's window is over, whatever boots next: desktops and upgrades hear of it as the owner does.
fn a_clock_far_ahead_asks_for_a_reboot(machine: &Machine) {
    let guest = machine.guest();
    let now = guest.check("date +%s", LIMIT).unwrap();
    let flag = |wanted: &str| {
        format!(
            "for _ in $(seq 200); do {wanted} && exit 0; sleep 0.1; done; ls -l /run /run/livepatch; exit 1"
        )
    };
    guest.check(&flag("[ ! -e /run/reboot-required ]"), LIMIT).unwrap();
    guest.check("date -s @2145916800", LIMIT).unwrap();
    // It fails: metadata have expired by then.
    let _ = machine.livepatch("refresh").unwrap();
    assert_eq!(machine.livepatch("kernel-upgrade-required").unwrap().status, 0);
    guest.check(&flag("grep -qx livepatch /run/reboot-required.pkgs"), LIMIT).unwrap();
    guest
        .check("[ -s /run/reboot-required ] && run-parts /etc/update-motd.d | grep -q 'Livepatch:'", LIMIT)
        .unwrap();
    guest.check(&format!("date -s @{}", now.trim()), LIMIT).unwrap();
    let output = machine.livepatch("refresh").unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
    guest.check(&flag("[ ! -e /run/reboot-required ]"), LIMIT).unwrap();
}

/// The unit that carries mitigations out is woken by the daemon's word, and may do its work in its sandbox.
fn roots_hand_comes_when_the_daemon_asks(machine: &Machine) {
    let guest = machine.guest();
    guest.check("[ -e /run/livepatch/mitigations ] && [ ! -s /run/livepatch/mitigations ]", LIMIT).unwrap();
    let before = runs(machine);
    guest.check("echo 'no-kettle: it waits' > /run/livepatch/mitigations", LIMIT).unwrap();
    let wait = format!(
        "for _ in $(seq 300); do {RUNS} && [ $runs -gt {before} ] && systemctl show -P Result livepatch-mitigations.service \
         | grep -qx success && exit 0; sleep 0.1; done; journalctl -q --no-pager -b -u livepatch-mitigations; exit 1"
    );
    guest.check(&wait, LIMIT).unwrap();
}

/// How often the unit has come to its end.
const RUNS: &str = "runs=$(journalctl -q -b --no-pager -o cat -u livepatch-mitigations.service | grep -c '^Finished' ; true)";

fn runs(machine: &Machine) -> u32 {
    machine.guest().check(&format!("{RUNS}; echo $runs"), LIMIT).unwrap().trim().parse().unwrap()
}

/// What systemd's container interface shows to those inside.
fn a_container_is_left_alone(machine: &Machine) {
    let inside = "mount -t tmpfs none /run/systemd && echo lxc > /run/systemd/container && mkdir /tmp/inside && \
                  { livepatchd --state-dir /tmp/inside/state --socket /tmp/inside/socket & } && \
                  for _ in $(seq 200); do [ -S /tmp/inside/socket ] && break; sleep 0.1; done; \
                  livepatch --socket /tmp/inside/socket check; echo status $?; kill %1 2> /dev/null || kill $!";
    let said = machine.guest().check(&format!("unshare --mount sh -c '{inside}'"), LIMIT).unwrap();
    assert!(said.contains("container") && said.contains("status 7"), "{said}");
}
