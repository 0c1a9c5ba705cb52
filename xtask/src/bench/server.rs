//! The server under load, on one processor with SQLite, against nginx on the same processor in the same run.
//!
//! `wrk` measures throughput from the other processor. Latency at half the peak and the fleet's day are ours: they need a pace, and
//! they count that nothing is lost.

use super::{
    Measurement,
    fleet::{self, CONNECTIONS, Machine, Server, client, each},
};
use crate::{
    apt,
    narrator::{Narrator, Step},
    workspace,
};
use anyhow::{Context as _, Result, ensure};
use livepatch_api::{BlockKind, BlockRequest, BlockSummary, Event, EventKind, PatchState, paths};
use livepatch_e2e::run_logged;
use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// nginx's requests a second over ours, at most: half of nginx's for check-ins, seven tenths for polls.
const CHECK_IN_BUDGET: f64 = 2.0;
const POLL_BUDGET: f64 = 1.0 / 0.7;
const MEMORY_BUDGET: f64 = 256.0;
const LATENCY_BUDGET: f64 = 50.0;
const VISIBLE_BUDGET: f64 = 1.0;
/// How long each load lasts.
const SECONDS: u64 = 10;
const POLLS_A_DAY: u64 = 24;
const TIMESTAMP: &str = "/repository/metadata/timestamp.json";
/// What machines say of the word that reached them.
const EMERGENCY: &str = "denied: livepatch_emergency";
/// A sequence that stands for the script's counter.
const COUNTER: u64 = 4_242_424_242;

/// All measurements, with a fleet of so many machines.
pub(super) fn measure(machines: usize) -> Result<Vec<Measurement>> {
    let directory = workspace::fresh_directory("bench-server")?;
    let mut narrator = Narrator::new();
    let binaries = prepare(&mut narrator, &directory)?;
    let server = Server::start(&binaries, &directory)?;
    let mut fleet =
        narrator.step(&format!("enrol {machines} machines"), |step| fleet::enrol(&server, machines, step))?;
    let mut results = vec![Measurement::absolute("server-memory", server.memory()?, "MiB", MEMORY_BUDGET)];
    let (check_ins, nginx) = narrator
        .step("check-ins, and nginx with as many bytes", |_| check_ins(&server, &mut fleet, &directory))?;
    results.push(Measurement::new("nginx vs check-ins", nginx, "req/s", check_ins, CHECK_IN_BUDGET));
    let (polls, nginx) =
        narrator.step("polls, and nginx with the same file", |_| polls(&server, &directory))?;
    results.push(Measurement::new("nginx vs idle polls", nginx, "req/s", polls, POLL_BUDGET));
    let p99 =
        narrator.step("check-ins at half the peak", |_| latency(&server, &mut fleet, check_ins / 2.0))?;
    results.push(Measurement::absolute("check-in p99 at half the peak", p99, "ms", LATENCY_BUDGET));
    let visible = narrator.step("a word for all machines", |_| visible(&server, "first"))?;
    results.push(Measurement::absolute("published to visible", visible, "s", VISIBLE_BUDGET));
    let lost = narrator.step("a day with an emergency", |step| day(&server, &mut fleet, step))?;
    results.push(Measurement::absolute("reports lost in a day", lost, "reports", 0.0));
    results.push(Measurement::absolute(
        "server-memory after the day",
        server.memory()?,
        "MiB",
        MEMORY_BUDGET,
    ));
    Ok(results)
}

/// The tools, and the server as it is shipped.
pub(super) fn prepare(narrator: &mut Narrator, directory: &Path) -> Result<PathBuf> {
    let log = directory.join("bench.log");
    narrator.step("Debian packages", |step| apt::ensure(&apt::needed_by_load(), &log, step))?;
    narrator.step("build the server, optimised", |step| {
        let mut command = workspace::cargo();
        command.args(["build", "--release", "--bins", "--package", "livepatch-server"]);
        run_logged(&mut command, &log, &|line| step.progress(line))?;
        Ok(workspace::target_directory().join("release"))
    })
}

/// Check-ins a second, and what nginx does with a file of the answer's size.
fn check_ins(server: &Server, fleet: &mut [Machine], directory: &Path) -> Result<(f64, f64)> {
    let credentials = directory.join("credentials");
    let all: Vec<&str> = fleet.iter().map(|machine| machine.credential.as_str()).collect();
    fs::write(&credentials, all.join("\n"))?;
    let report = fleet.first().context("no machine")?.check_in(PatchState::NothingToApply, vec![]);
    let report = serde_json::to_string(&livepatch_api::CheckInRequest { sequence: COUNTER, ..report })?;
    let (before, after) = report.split_once(&COUNTER.to_string()).context("no sequence")?;
    let script = directory.join("check-in.lua");
    // Each machine's next report has a greater number.
    fs::write(
        &script,
        format!(
            "local known = {{}}\nfor line in io.lines('{}') do known[#known + 1] = line end\nlocal n = 0\n\
             request = function()\n n = n + 1\n local who = known[n % #known + 1]\n \
             return wrk.format('POST', '{}', {{ ['authorization'] = 'Bearer ' .. who, ['content-type'] = 'application/json' }}, \
             '{before}' .. (1000 + n) .. '{after}')\nend\n",
            credentials.display(),
            paths::CHECK_IN
        ),
    )?;
    let ours = wrk(&server.url, Some(&script))?;
    fleet.iter_mut().for_each(|machine| machine.skip_to(1_000_000_000));
    let file = directory.join("answer.json");
    fs::write(&file, r#"{"tier":"stable"}"#)?;
    let nginx = Nginx::serving(&file, directory)?;
    Ok((ours, wrk(&format!("{}/answer.json", nginx.url), None)?))
}

fn polls(server: &Server, directory: &Path) -> Result<(f64, f64)> {
    let ours = wrk(&format!("{}{TIMESTAMP}", server.url), None)?;
    let nginx = Nginx::serving(&server.repository("metadata/timestamp.json"), directory)?;
    Ok((ours, wrk(&format!("{}/timestamp.json", nginx.url), None)?))
}

/// Requests a second from the second processor; an error when any is refused.
fn wrk(url: &str, script: Option<&Path>) -> Result<f64> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "wrk", "-t", "1", "-c", "64", "-d", &format!("{SECONDS}s")]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let output = command.arg(url).output().context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && !text.contains("Non-2xx"), "wrk {url}: {text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.with_context(|| format!("wrk says no rate: {text}"))?.trim().parse()?)
}

/// A real nginx with one worker on the server's processor.
struct Nginx {
    url: String,
    program: Child,
}

impl Nginx {
    fn serving(file: &Path, directory: &Path) -> Result<Self> {
        let root = directory.join("nginx");
        fs::create_dir_all(&root)?;
        let name = file.file_name().context("no name")?;
        fs::copy(file, root.join(name))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = root.join("nginx.conf");
        // nginx drops its rights when it may, and would not read below the operator's home.
        fs::write(
            &configuration,
            format!(
                "daemon off; worker_processes 1; user root; pid {0}/pid; error_log {0}/error.log;\nevents {{ worker_connections 1024; }}\n\
                 http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on; types {{ application/json json; }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ root {0}; }} }} }}\n",
                root.display()
            ),
        )?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "/usr/sbin/nginx", "-p"]).arg(&root).arg("-c").arg(&configuration);
        let program = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("nginx")?;
        let nginx = Self { url: format!("http://127.0.0.1:{port}"), program };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(10), "nginx does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    /// In order, so that its worker ends too.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-QUIT").arg(self.program.id().to_string()).status();
        let _ = self.program.wait();
    }
}

/// Milliseconds that 99 of 100 check-ins do not exceed, at this pace; counted from the moment at which each was due.
fn latency(server: &Server, fleet: &mut [Machine], a_second: f64) -> Result<f64> {
    let gap = Duration::from_secs_f64(CONNECTIONS as f64 / a_second);
    let begin = Instant::now();
    let times = each(fleet, &|| {}, |number, machines| {
        let agent = client();
        let (mut times, mut next) = (Vec::new(), 0);
        let mut due = gap.mul_f64(number as f64 / CONNECTIONS as f64);
        while due < Duration::from_secs(SECONDS) {
            thread::sleep(due.saturating_sub(begin.elapsed()));
            machines[next].report(server, &agent, PatchState::NothingToApply, vec![])?;
            times.push(begin.elapsed().saturating_sub(due));
            due += gap;
            next = (next + 1) % machines.len();
        }
        Ok(times)
    })?;
    let mut times: Vec<Duration> = times.into_iter().flatten().collect();
    times.sort();
    let at = times.len() * 99 / 100;
    Ok(times.get(at).context("nothing was sent")?.as_secs_f64() * 1000.0)
}

/// Seconds from giving an order until every poll is answered with it.
fn visible(server: &Server, subject: &str) -> Result<f64> {
    let agent = client();
    let before = version(server, &agent)?;
    let start = Instant::now();
    deny(server, &agent, subject)?;
    while version(server, &agent)? == before {
        ensure!(start.elapsed() < Duration::from_secs(60), "the order is not visible");
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The shortest word that reaches every machine: a denied livepatch.
fn deny(server: &Server, agent: &ureq::Agent, subject: &str) -> Result<()> {
    let request = BlockRequest {
        kind: BlockKind::Patch,
        subject: format!("livepatch_{subject}"),
        reason: "an emergency".into(),
        expires_after: None,
    };
    server.post::<BlockSummary>(agent, paths::ADMIN_BLOCKS, &server.key()?, &request).map(drop)
}

/// A poll: the version of the timestamp metadata.
fn version(server: &Server, agent: &ureq::Agent) -> Result<u64> {
    let mut answer = agent.get(format!("{}{TIMESTAMP}", server.url)).call()?;
    let metadata: Value = answer.body_mut().read_json()?;
    metadata["signed"]["version"].as_u64().context("no version")
}

/// A day in which every machine polls each hour, and in whose middle something is denied; whoever sees news reports. The number of
/// reports that the server does not have in the end.
fn day(server: &Server, fleet: &mut [Machine], step: &Step) -> Result<f64> {
    let (emergency, polls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let before = version(server, &client())?;
    let count = fleet.len();
    let tell = || step.progress(&format!("{} polls", polls.load(Ordering::Relaxed)));
    let reported = each(fleet, &tell, |_, machines| {
        let (agent, mut known) = (client(), vec![before; machines.len()]);
        for hour in 0..POLLS_A_DAY {
            for (machine, known) in machines.iter_mut().zip(&mut known) {
                // The first who comes at noon finds the operator at it.
                if hour == POLLS_A_DAY / 2 && !emergency.swap(true, Ordering::SeqCst) {
                    deny(server, &agent, "emergency")?;
                }
                let found = version(server, &agent)?;
                polls.fetch_add(1, Ordering::Relaxed);
                if found > *known {
                    *known = found;
                    let event = Event {
                        at: "2026-12-01T12:00:00Z".into(),
                        kind: EventKind::Refused,
                        detail: EMERGENCY.into(),
                    };
                    machine.report(server, &agent, PatchState::Unapplied, vec![event])?;
                }
            }
        }
        Ok(known.iter().filter(|known| **known > before).count())
    })?;
    let reported: usize = reported.iter().sum();
    ensure!(reported == count, "{reported} of {count} machines saw the news");
    let mut list = client()
        .get(format!("{}{}", server.url, paths::ADMIN_MACHINES))
        .header("authorization", format!("Bearer {}", server.key()?))
        .call()?;
    let list: Vec<Value> = serde_json::from_reader(list.body_mut().as_reader())?;
    let kept = list
        .iter()
        .filter(|machine| machine["last_event"].as_str().is_some_and(|event| event.contains(EMERGENCY)))
        .count();
    Ok((count - kept) as f64)
}
