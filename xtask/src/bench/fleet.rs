//! A server of its own for a bench, and machines that enrol and report over HTTP as real ones do.

use crate::narrator::Step;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use livepatch_api::{
    CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolRequest, EnrolmentToken, Event, PatchState,
    TokenCreated, TokenRequest, paths,
};
use livepatch_kernel::{KernelIdentity, Taint};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};
use ureq::Agent;

/// Connections of those who load a server.
pub(super) const CONNECTIONS: usize = 32;
const RELEASES: [&str; 4] =
    ["6.1.0-52-cloud-amd64", "6.1.0-53-cloud-amd64", "6.1.0-55-cloud-amd64", "6.12.117+deb12-cloud-amd64"];

/// A running server that limits nobody, on one processor. Dropping it ends it.
pub(super) struct Server {
    pub(super) url: String,
    data: PathBuf,
    program: Child,
}

impl Server {
    /// On the first processor; whoever loads it takes another.
    pub(super) fn start(binaries: &Path, directory: &Path) -> Result<Self> {
        let data = directory.join("data");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(binaries.join("livepatch-server"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--most-waiting", "0", "--look-every", "86400"]);
        command.args(["--rate-per-token", "0", "--rate-per-address", "0", "--data"]).arg(&data);
        let log = File::create(directory.join("server.log"))?;
        let mut program = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(program.stdout.take().context("no output")?).read_line(&mut line)?;
        let mut server = Self { url: String::new(), data, program };
        let url = line.trim().strip_prefix("listening on ");
        server.url = url.with_context(|| format!("livepatch-server did not start: {line:?}"))?.to_owned();
        Ok(server)
    }

    /// Its operator's key.
    pub(super) fn key(&self) -> Result<String> {
        Ok(fs::read_to_string(self.data.join("admin.key"))?.trim().to_owned())
    }

    /// A file of its repository.
    pub(super) fn repository(&self, file: &str) -> PathBuf {
        self.data.join("repository").join(file)
    }

    /// Resident memory, in MiB.
    pub(super) fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().next().context("no VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// Sends a document with a bearer secret.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        agent: &Agent,
        path: &str,
        secret: &str,
        document: &impl Serialize,
    ) -> Result<T> {
        let request =
            agent.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {secret}"));
        let mut answer = request.send_json(document).with_context(|| path.to_owned())?;
        if !answer.status().is_success() {
            bail!("{path}: {} {}", answer.status(), answer.body_mut().read_to_string()?);
        }
        Ok(answer.body_mut().read_json()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A client with a connection of its own.
pub(super) fn client() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

/// A machine that is enrolled.
pub(super) struct Machine {
    pub(super) credential: String,
    kernel: KernelIdentity,
    sequence: u64,
}

/// Enrols so many machines, and each reports once.
pub(super) fn enrol(server: &Server, count: usize, step: &Step) -> Result<Vec<Machine>> {
    let request = TokenRequest {
        tier: "stable".into(),
        uses: None,
        expires_after: None,
        note: "bench".into(),
        tags: vec!["bench".into()],
    };
    let created: TokenCreated = server.post(&client(), paths::ADMIN_TOKENS, &server.key()?, &request)?;
    let token = created.token.parse::<EnrolmentToken>()?.secret;
    let done = AtomicUsize::new(0);
    let part = |first: usize| -> Result<Vec<Machine>> {
        let agent = client();
        let mut machines = Vec::new();
        for number in (first..count).step_by(CONNECTIONS) {
            let mut machine = Machine::enrol(server, &agent, &token, number)?;
            machine.report(server, &agent, state(number), vec![])?;
            machines.push(machine);
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(machines)
    };
    let parts = thread::scope(|scope| {
        let part = &part;
        let threads = (0..CONNECTIONS).map(|first| scope.spawn(move || part(first))).collect();
        joined(threads, &|| step.progress(&done.load(Ordering::Relaxed).to_string()))
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Does the same with each connection's part of a fleet, and tells meanwhile how far it is.
pub(super) fn each<T: Send>(
    fleet: &mut [Machine],
    tell: &dyn Fn(),
    work: impl Fn(usize, &mut [Machine]) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let share = fleet.len().div_ceil(CONNECTIONS).max(1);
    thread::scope(|scope| {
        let work = &work;
        let parts = fleet.chunks_mut(share).enumerate();
        let threads = parts.map(|(number, part)| scope.spawn(move || work(number, part))).collect();
        joined(threads, tell)
    })
}

fn joined<T>(threads: Vec<ScopedJoinHandle<'_, Result<T>>>, tell: &dyn Fn()) -> Result<Vec<T>> {
    while threads.iter().any(|thread| !thread.is_finished()) {
        tell();
        thread::sleep(Duration::from_millis(100));
    }
    let join = |thread: ScopedJoinHandle<'_, Result<T>>| {
        thread.join().map_err(|_| anyhow!("a connection's thread ended early"))?
    };
    threads.into_iter().map(join).collect()
}

/// One machine in a hundred is in trouble.
fn state(number: usize) -> PatchState {
    match number % 100 {
        0 => PatchState::ApplyFailed,
        1 => PatchState::CheckFailed,
        _ => PatchState::NothingToApply,
    }
}

impl Machine {
    fn enrol(server: &Server, agent: &Agent, token: &str, number: usize) -> Result<Self> {
        let kernel = kernel(number)?;
        let request = EnrolRequest {
            machine_id: format!("{number:08x}-0000-4000-8000-000000000000"),
            hostname: format!("host-{number:07}.example.org"),
            kernel: kernel.clone(),
            client_version: "0.1.0".into(),
        };
        let answer: EnrolAnswer = server.post(agent, paths::ENROL, token, &request)?;
        Ok(Self { credential: answer.credential, kernel, sequence: 0 })
    }

    /// Reports what happened; an error when the server does not take it.
    pub(super) fn report(
        &mut self,
        server: &Server,
        agent: &Agent,
        state: PatchState,
        events: Vec<Event>,
    ) -> Result<()> {
        self.sequence += 1;
        let answer: CheckInAnswer =
            server.post(agent, paths::CHECK_IN, &self.credential, &self.check_in(state, events))?;
        ensure!(answer.tier == "stable", "the answer is of the tier {}", answer.tier);
        Ok(())
    }

    /// The next report has a greater number than this.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The report that it would send now.
    pub(super) fn check_in(&self, state: PatchState, events: Vec<Event>) -> CheckInRequest {
        CheckInRequest {
            sequence: self.sequence,
            boot_id: "b7a0a5b8-5d0c-4f7f-9a3b-0f4e5c7d6e01".into(),
            kernel: self.kernel.clone(),
            state,
            applied: None,
            taint: Taint(0),
            events,
            client_version: "0.1.0".into(),
        }
    }
}

fn kernel(number: usize) -> Result<KernelIdentity> {
    let release = RELEASES[number % RELEASES.len()];
    let build_id = format!("{:040x}", 0x3b43_fad5_u64 + (number % RELEASES.len()) as u64);
    Ok(KernelIdentity { release: release.parse()?, build_id: build_id.parse()?, arch: "x86_64".into() })
}
