//! The client on an idle machine: what it costs its owner and the network, and how well it is locked in.
//!
//! All but the command's time are taken on a Debian system with the package installed. That one is taken here: software
//! emulation would measure the emulator. The client is optimised, as it is shipped: most of the daemon's memory is pages of its
//! own program, which is larger without.

use super::Measurement;
use crate::{narrator::Narrator, workspace};
use anyhow::{Context as _, Result, ensure};
use livepatch_e2e::{Machine, Prepared, Programs, Site, System, client_package, run_logged};
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const MEMORY_BUDGET: f64 = 10.0;
/// How long the idle daemon is watched.
const IDLE: Duration = Duration::from_secs(30);
const WAKE_UPS_BUDGET: f64 = 0.0;
const WIRE_BUDGET: f64 = 4.0;
const STATUS_BUDGET: f64 = 20.0;
const STATUS_RUNS: usize = 21;
const EXPOSURE_BUDGET: f64 = 2.5;
/// From download to applied, less the kernel's transition.
const APPLY_BUDGET: f64 = 200.0;
const LIMIT: Duration = Duration::from_secs(180);
const TIER: &str = "stable";

/// All measurements.
pub(super) fn measure() -> Result<Vec<Measurement>> {
    let directory = workspace::fresh_directory("bench-client")?;
    let log = directory.join("bench.log");
    let mut narrator = Narrator::new();
    let programs = narrator.step("build the programs", |step| workspace::build_programs(&log, step))?;
    let binaries = narrator.step("build the client, optimised", |step| {
        let mut command = workspace::cargo();
        command.args([
            "build",
            "--release",
            "--bins",
            "--package",
            "livepatch",
            "--package",
            "livepatch-agent",
        ]);
        run_logged(&mut command, &log, &|line| step.progress(line))?;
        Ok(workspace::target_directory().join("release"))
    })?;
    let status =
        narrator.step("livepatch status, from a cold start", |_| status_time(&binaries, &directory))?;
    let mut results = vec![Measurement::absolute("client-status", status, "ms", STATUS_BUDGET)];
    results.extend(narrator.step("an idle machine", |step| {
        step.progress("boot, install, enable");
        idle_machine(&programs, &binaries, &directory)
    })?);
    Ok(results)
}

/// Milliseconds that `livepatch status` takes from start to end; the median of some runs against a daemon that is not
/// enabled, so that it touches nothing of this host.
fn status_time(binaries: &Path, directory: &Path) -> Result<f64> {
    let socket = tempfile::tempdir()?;
    let socket = socket.path().join("socket");
    let mut command = Command::new(binaries.join("livepatchd"));
    command.arg("--state-dir").arg(directory.join("state")).arg("--socket").arg(&socket);
    command.arg("--config").arg(directory.join("none.toml")).stdin(Stdio::null()).stderr(Stdio::null());
    let _daemon = Daemon(command.spawn().context("livepatchd")?);
    let start = Instant::now();
    while !socket.exists() {
        ensure!(start.elapsed() < LIMIT, "livepatchd does not open its socket");
        thread::sleep(Duration::from_millis(20));
    }
    let mut times = Vec::new();
    for _ in 0..STATUS_RUNS {
        let mut status = Command::new(binaries.join("livepatch"));
        status.arg("--socket").arg(&socket).arg("status").stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let code = status.status()?.code();
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(
            code == Some(6),
            "livepatch status ended with {code:?}, not with that of a machine that is not enabled"
        );
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Memory, wake-ups, bytes, exposure: of the daemon on a machine whose livepatch is applied and confirmed.
fn idle_machine(programs: &Programs, binaries: &Path, directory: &Path) -> Result<Vec<Measurement>> {
    let prepared = Prepared::get(programs)?;
    let site = Site::start(programs, &directory.join("site"), &directory.join("server.log"))?;
    site.add_certificate(&prepared.certificate())?;
    site.publish(&prepared.build(), TIER)?;
    let meter = Meter::to(site.port())?;
    let package = client_package(binaries, directory, &directory.join("package.log"))?;
    let system = System::new(&prepared.kernel, &directory.join("system"))?;
    let configuration = "soak_seconds = 1\nrefresh_minutes = 10080\n";
    let machine = system.install_with(
        &package,
        |builder| builder.contents("/etc/livepatch/livepatchd.toml", 0o644, configuration),
        "true",
    )?;
    let enabled = machine.enable(&site.create_token(TIER)?, &meter.guest_url())?;
    ensure!(enabled.status == 0, "livepatch enable: {enabled:?}");
    let start = Instant::now();
    while machine.status()?["state"] != "applied" {
        ensure!(start.elapsed() < LIMIT, "the livepatch is not confirmed");
        thread::sleep(Duration::from_secs(1));
    }
    let overhead = apply_overhead(&machine)?;
    // A first poll after the news has been told; the second has nothing to tell and nothing to learn.
    refresh(&machine)?;
    let before = meter.bytes();
    refresh(&machine)?;
    let wire = meter.bytes() - before;
    let memory = number(
        &machine,
        "sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' /proc/$(pidof livepatchd)/status",
    )?;
    let wake_ups = {
        let before = switches(&machine)?;
        thread::sleep(IDLE);
        switches(&machine)? - before
    };
    let exposure = number(
        &machine,
        "systemd-analyze security --no-pager livepatchd | sed -n 's/.*Overall exposure.*: \\([0-9.]*\\) .*/\\1/p'",
    )?;
    Ok(vec![
        Measurement::absolute("client-apply-without-transition", overhead, "ms", APPLY_BUDGET),
        Measurement::absolute("client-memory", memory / 1024.0, "MiB", MEMORY_BUDGET),
        Measurement::absolute("client-wake-ups-in-30-s", wake_ups, "", WAKE_UPS_BUDGET),
        Measurement::absolute("client-poll-without-news", wire as f64 / 1024.0, "KiB", WIRE_BUDGET),
        Measurement::absolute("client-exposure", exposure, "", EXPOSURE_BUDGET),
    ])
}

/// Milliseconds from the last byte of the module to its being applied, without what the kernel's transition took.
fn apply_overhead(machine: &Machine) -> Result<f64> {
    let step = |name: &str| {
        number(
            machine,
            &format!("journalctl -q -b -o short-monotonic LIVEPATCH_STEP={name} | tail -n 1 | {STAMP}"),
        )
    };
    let kernel = |words: &str| number(machine, &format!("dmesg | grep '{words}' | tail -n 1 | {STAMP}"));
    let transition = kernel("patching complete")? - kernel("starting patching transition")?;
    Ok((step("applied")? - step("fetch")? - transition) * 1000.0)
}

/// The seconds since boot at the beginning of a line.
const STAMP: &str = r"sed 's/^\[ *\([0-9.]*\)\].*/\1/'";

fn refresh(machine: &Machine) -> Result<()> {
    let output = machine.livepatch("refresh")?;
    ensure!(output.status == 0, "livepatch refresh: {output:?}");
    Ok(())
}

/// How often the daemon's threads went to sleep so far: each wake-up ends so.
fn switches(machine: &Machine) -> Result<f64> {
    number(
        machine,
        "cat /proc/$(pidof livepatchd)/task/*/status | awk '/^voluntary_ctxt_switches/ { all += $2 } END { print all }'",
    )
}

fn number(machine: &Machine, command: &str) -> Result<f64> {
    let text = machine.guest().check(command, LIMIT)?;
    text.trim().parse().with_context(|| format!("no number: '{text}' of {command}"))
}

/// Passes connections on and counts the bytes of both directions.
struct Meter {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, bytes) = (listener.local_addr()?.port(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let (Ok(client2), Ok(upstream2)) = (client.try_clone(), upstream.try_clone()) else {
                    continue;
                };
                for (from, to) in [(client, upstream), (upstream2, client2)] {
                    let counter = Arc::clone(&counter);
                    thread::spawn(move || pass_on(from, to, &counter));
                }
            }
        });
        Ok(Self { port, bytes })
    }

    fn guest_url(&self) -> String {
        format!("http://10.0.2.2:{}", self.port)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Until either end has enough.
fn pass_on(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other direction may have closed it already.
    let _ = to.shutdown(Shutdown::Write);
}
