//! The operator's side: a running `livepatch-server`, and `livepatch-admin` to steer it.

use crate::{Builder, Programs, programs::run_logged};
use anyhow::{Context as _, Result, bail};
use livepatch_api::{MachineDetail, MachineSummary, PublishAnswer, RolloutView, TokenCreated};
use serde::de::DeserializeOwned;
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const START_LIMIT: Duration = Duration::from_secs(60);

/// A server on loopback with its data in a directory. Dropping it ends the server.
pub struct Site {
    programs: Programs,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    server: Child,
}

impl Site {
    /// Starts a server on a free port of 127.0.0.1, with fresh keys when `data` is empty. Logs go to `log`. It tells machines
    /// of no news, so that they do only what they are told to.
    ///
    /// # Errors
    /// When it does not say within a minute that it listens.
    pub fn start(programs: &Programs, data: &Path, log: &Path) -> Result<Self> {
        Self::start_with(programs, data, log, &["--most-waiting", "0"])
    }

    /// The same with these arguments, as an operator may give them.
    ///
    /// # Errors
    /// When it does not say within a minute that it listens.
    pub fn start_with(programs: &Programs, data: &Path, log: &Path, more: &[&str]) -> Result<Self> {
        let file =
            File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let mut command = programs.command("livepatch-server");
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn()?;
        let line = first_line(&mut server);
        let port = line.as_deref().and_then(|line| line.trim().rsplit(':').next()?.parse().ok());
        let mut site =
            Self { programs: programs.clone(), data: data.to_owned(), log: log.to_owned(), port: 0, server };
        match port {
            Some(port) => site.port = port,
            None => bail!("livepatch-server did not start ({line:?}); log: {}", log.display()),
        }
        Ok(site)
    }

    /// The server's URL on this host.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The server's URL as a guest sees it.
    pub fn guest_url(&self) -> String {
        format!("http://10.0.2.2:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Lets machines that enrol from now on trust modules signed with this certificate.
    ///
    /// # Errors
    /// The command's own; so for all of them.
    pub fn add_certificate(&self, certificate: &Path) -> Result<()> {
        self.run(self.admin().args(["certificate", "add"]).arg(certificate)).map(drop)
    }

    /// Makes an enrolment token for a tier and gives its text.
    ///
    /// # Errors
    /// The command's own.
    pub fn create_token(&self, tier: &str) -> Result<String> {
        let created: TokenCreated = self.json(self.admin().args(["token", "create", "--tier", tier]))?;
        Ok(created.token)
    }

    /// Publishes a signed build's output directory to a tier.
    ///
    /// # Errors
    /// The command's own.
    pub fn publish(&self, build: &Path, tier: &str) -> Result<PublishAnswer> {
        let module = build.join(Builder::manifest(build)?.file_name());
        let mut command = self.admin();
        command
            .arg("publish")
            .arg(module)
            .arg("--manifest")
            .arg(build.join("manifest.json"))
            .args(["--tier", tier]);
        self.json(&mut command)
    }

    /// Makes a published livepatch available to another tier.
    ///
    /// # Errors
    /// The command's own.
    pub fn promote(&self, name: &str, tier: &str) -> Result<PublishAnswer> {
        self.json(self.admin().args(["promote", name, "--to", tier]))
    }

    /// Begins a rollout of a published livepatch to a tier, with one of the profiles.
    ///
    /// # Errors
    /// The command's own.
    pub fn begin_rollout(
        &self,
        release: &str,
        livepatch: &str,
        tier: &str,
        profile: &str,
    ) -> Result<RolloutView> {
        let mut command = self.admin();
        self.json(command.args(["rollout", "begin", release, livepatch, "--to", tier, "--profile", profile]))
    }

    /// A rollout as it stands.
    ///
    /// # Errors
    /// The command's own.
    pub fn rollout(&self, release: &str) -> Result<RolloutView> {
        self.json(self.admin().args(["rollout", "show", release]))
    }

    /// The machines as the server knows them.
    ///
    /// # Errors
    /// The command's own.
    pub fn machines(&self) -> Result<Vec<MachineSummary>> {
        self.json(self.admin().args(["machine", "list"]))
    }

    /// A machine with its history.
    ///
    /// # Errors
    /// The command's own.
    pub fn machine(&self, id: &str) -> Result<MachineDetail> {
        self.json(self.admin().args(["machine", "show", id]))
    }

    /// Any `livepatch-admin` command's answer.
    ///
    /// # Errors
    /// The command's own.
    pub fn admin_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        self.json(self.admin().args(arguments))
    }

    /// What `livepatch-admin machine list` shows to people.
    ///
    /// # Errors
    /// The command's own.
    pub fn machine_table(&self) -> Result<String> {
        self.run(self.admin().args(["machine", "list", "--format", "text"]))
    }

    /// An address of the dashboard that signs in once.
    ///
    /// # Errors
    /// The command's own.
    pub fn dashboard_login(&self) -> Result<String> {
        Ok(self.run(self.admin().args(["dashboard", "login"]))?.trim().to_owned())
    }

    /// Ends the server as an init system would.
    pub fn stop(mut self) {
        self.end();
    }

    /// Leaves the server running when this program ends, and gives its process id.
    pub fn leave_running(self) -> u32 {
        let id = self.server.id();
        std::mem::forget(self); // its end would be the server's
        id
    }

    fn admin(&self) -> Command {
        let mut command = self.programs.command("livepatch-admin");
        command.arg("--server").arg(self.url()).arg("--key-file").arg(self.data.join("admin.key"));
        command
    }

    fn json<T: DeserializeOwned>(&self, command: &mut Command) -> Result<T> {
        let text = self.run(command.args(["--format", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("unexpected answer of {command:?}: {text}"))
    }

    fn run(&self, command: &mut Command) -> Result<String> {
        run_logged(command, &self.log, &|_| {})
    }

    /// SIGTERM first: the server must write its database's log back.
    fn end(&mut self) {
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        for _ in 0..100 {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// The server's first line on standard output; none when it ends or is too slow. The rest is read and dropped, so that
/// a full pipe never stops the server.
fn first_line(server: &mut Child) -> Option<String> {
    let stdout = server.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line); // nobody waits for the later ones
        }
    });
    receiver.recv_timeout(START_LIMIT).ok()
}
