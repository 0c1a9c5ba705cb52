//! A machine with the agent on it.

use crate::{kernel::FakeKernel, site::Site};
use livepatch_agent::{
    Agent, Config, Environment, Failure, Hooks, HttpService, Refusal, StateDir, Status, Step,
};
use livepatch_host::Host;
use std::time::Duration;

pub(crate) const SOAK: Duration = Duration::from_secs(600);

pub(crate) struct Rig {
    directory: tempfile::TempDir,
    pub(crate) kernel: FakeKernel,
    pub(crate) site: Site,
    agent: Option<Agent>,
    boots: u32,
    pub(crate) steps: Vec<&'static str>,
    /// What the daemon finds when it starts.
    pub(crate) config: Config,
}

impl Rig {
    /// A machine that is not enabled, and a server that offers nothing.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kernel = FakeKernel::new(&directory.path().join("root"));
        let mut rig = Self {
            directory,
            kernel,
            site: Site::new(),
            agent: None,
            boots: 1,
            steps: Vec::new(),
            config: Config::default(),
        };
        rig.start();
        rig
    }

    /// The same, enabled.
    pub(crate) fn enabled() -> Self {
        let mut rig = Self::new();
        assert_eq!(rig.enable().unwrap(), None);
        rig
    }

    /// The daemon starts.
    pub(crate) fn start(&mut self) {
        let environment = Environment {
            host: Host::new(self.directory.path().join("root")),
            kernel: Box::new(self.kernel.clone()),
            service: Box::new(HttpService::with(&Config::default().connection()).unwrap()),
            clock: Box::new(self.kernel.clone()),
            hooks: Hooks::none(),
        };
        let agent = Agent::new(self.state(), environment, self.config.clone(), 1 << 31).unwrap();
        self.agent = Some(agent);
        self.settle();
    }

    /// The daemon is killed, and started again later.
    pub(crate) fn kill(&mut self) {
        self.agent = None;
    }

    /// The machine goes down without a word and comes up again; the daemon starts.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.boots += 1;
        self.kernel.boot(self.boots);
        self.start();
    }

    /// The machine is shut down properly and comes up again.
    pub(crate) fn reboot(&mut self) {
        Agent::mark_stop(&self.state()).unwrap();
        self.crash();
    }

    pub(crate) fn settle(&mut self) -> Duration {
        let steps = &mut self.steps;
        self.agent.as_mut().unwrap().settle(&mut |step: Step| steps.push(step.name)).unwrap()
    }

    /// Time passes as it does for the daemon: it wakes whenever it wanted to.
    pub(crate) fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let wait = self.settle().min(left);
            self.kernel.pass(wait);
            left -= wait;
        }
        self.settle();
    }

    pub(crate) fn enable(&mut self) -> Result<Option<Failure>, Refusal> {
        let token = self.site.token().to_string();
        self.enable_with(&token)
    }

    pub(crate) fn enable_with(&mut self, token: &str) -> Result<Option<Failure>, Refusal> {
        let url = self.site.url();
        self.agent().enable(token, Some(url), &mut |_: Step| {})
    }

    /// Enables with a directory as the server.
    pub(crate) fn enable_from_directory(&mut self) -> Result<Option<Failure>, Refusal> {
        let (token, url) = (self.site.token().to_string(), self.site.as_directory());
        self.agent().enable(&token, Some(url), &mut |_: Step| {})
    }

    pub(crate) fn refresh(&mut self) -> Option<Failure> {
        self.agent().refresh(false, &mut |_: Step| {}).unwrap()
    }

    /// The code of what a refresh gives.
    pub(crate) fn refused(&mut self) -> String {
        self.refresh().expect("this should have been refused").code
    }

    pub(crate) fn refresh_and_apply(&mut self) -> Option<Failure> {
        self.agent().refresh(true, &mut |_: Step| {}).unwrap()
    }

    pub(crate) fn undo(&mut self) -> Result<(), Refusal> {
        self.agent().undo(false, &mut |_: Step| {})
    }

    pub(crate) fn step_back(&mut self) -> Result<(), Refusal> {
        self.agent().undo(true, &mut |_: Step| {})
    }

    pub(crate) fn disable(&mut self) {
        self.agent().disable(&mut |_: Step| {}).unwrap();
    }

    pub(crate) fn clear_blocked(&mut self, digest: &str) -> Result<(), Refusal> {
        self.agent().clear_blocked(digest).map(|_| ())
    }

    pub(crate) fn status(&mut self) -> Status {
        self.agent().status().unwrap()
    }

    /// Kinds of the events that the server got, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let reports = self.site.reports();
        let events = reports.iter().flat_map(|report| &report.events);
        events.map(|event| serde_json::to_value(event.kind).unwrap().as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn state(&self) -> StateDir {
        StateDir::open(self.directory.path().join("state")).unwrap()
    }

    fn agent(&mut self) -> &mut Agent {
        self.agent.as_mut().unwrap()
    }
}
