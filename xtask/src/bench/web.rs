//! The dashboard's pages with a large fleet: how long the server works on each, how large it is, and when a browser shows it.

use super::{
    Measurement,
    fleet::{self, Server, client},
    server::prepare,
};
use crate::{apt, narrator::Narrator, workspace};
use anyhow::{Context as _, Result, ensure};
use livepatch_api::{LoginCreated, paths};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use ureq::Agent;

const TIME_BUDGET: f64 = 100.0;
const SIZE_BUDGET: f64 = 100.0;
const PAINT_BUDGET: f64 = 300.0;
/// How often each page is asked for.
const RUNS: usize = 40;
/// The pages that have to do with the number of machines, and what the rest costs.
const PAGES: [(&str, &str); 12] = [
    ("overview", "/dashboard"),
    ("machines", "/dashboard/machines"),
    ("machines in trouble", "/dashboard/machines?state=trouble"),
    ("machines by host name", "/dashboard/machines?sort=hostname"),
    ("machines by kernel, last", "/dashboard/machines?sort=-kernel"),
    ("machines, found", "/dashboard/machines?q=host-0000042"),
    ("machines, many found", "/dashboard/machines?q=example"),
    ("machines, none found", "/dashboard/machines?q=nobody"),
    ("a machine", "/dashboard/machines/0000002a-0000-4000-8000-000000000000"),
    ("rollouts", "/dashboard/rollouts"),
    ("livepatches", "/dashboard/livepatches"),
    ("audit log", "/dashboard/audit"),
];

/// All measurements, with a fleet of so many machines.
pub(super) fn measure(machines: usize) -> Result<Vec<Measurement>> {
    let directory = workspace::fresh_directory("bench-web")?;
    let mut narrator = Narrator::new();
    let log = directory.join("bench.log");
    narrator.step("Debian packages", |step| apt::ensure(&apt::needed_by_browser(), &log, step))?;
    let binaries = prepare(&mut narrator, &directory)?;
    let server = Server::start(&binaries, &directory)?;
    narrator.step(&format!("enrol {machines} machines"), |step| {
        fleet::enrol(&server, machines, step).map(drop)
    })?;
    let agent = client();
    let cookie = sign_in(&server, &agent)?;
    let mut results = Vec::new();
    for (name, path) in PAGES {
        let (p95, kib) = narrator.step(name, |_| page(&server, &agent, &cookie, path))?;
        results.push(Measurement::absolute(&format!("{name}: p95"), p95, "ms", TIME_BUDGET));
        results.push(Measurement::absolute(&format!("{name}: size"), kib, "KiB", SIZE_BUDGET));
    }
    let paint = narrator.step("first paint in Chromium", |_| first_paint(&server, &cookie))?;
    results.push(Measurement::absolute("machines: first paint", paint, "ms", PAINT_BUDGET));
    Ok(results)
}

/// The session's cookie, by a one-time address.
fn sign_in(server: &Server, agent: &Agent) -> Result<String> {
    let created: LoginCreated = server.post(agent, paths::ADMIN_LOGINS, &server.key()?, &json!({}))?;
    let (_, code) = created.path.split_once("code=").context("no code")?;
    let own: Agent = Agent::config_builder().max_redirects(0).build().into();
    let answer = own.post(format!("{}/dashboard/login", server.url)).send_form([("code", code)])?;
    let cookie = answer.headers().get("set-cookie").context("no cookie")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Milliseconds that 95 of 100 answers do not exceed, and the page's size in KiB before compression.
fn page(server: &Server, agent: &Agent, cookie: &str, path: &str) -> Result<(f64, f64)> {
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut answer = agent.get(format!("{}{path}", server.url)).header("cookie", cookie).call()?;
        ensure!(answer.status() == 200, "{path}: {}", answer.status());
        size = answer.body_mut().read_to_vec()?.len();
        times.push(start.elapsed());
    }
    times.sort();
    let p95 = times.get(RUNS * 95 / 100).context("no run")?;
    Ok((p95.as_secs_f64() * 1000.0, size as f64 / 1024.0))
}

/// Milliseconds from going to the list of machines until something is on the screen; the median of some visits.
fn first_paint(server: &Server, cookie: &str) -> Result<f64> {
    let browser = Browser::start()?;
    let (name, value) = cookie.split_once('=').context("no cookie")?;
    browser.tell("url", &json!({ "url": format!("{}/dashboard/login", server.url) }))?;
    browser.tell("cookie", &json!({ "cookie": { "name": name, "value": value, "path": "/dashboard" } }))?;
    let mut times = Vec::new();
    for _ in 0..9 {
        browser.tell("url", &json!({ "url": format!("{}/dashboard/machines", server.url) }))?;
        let script =
            "return performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]";
        let found = browser.tell("execute/sync", &json!({ "script": script, "args": [] }))?;
        times.push(found.as_f64().context("nothing was painted")?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Chromium without a window, by way of its driver (WebDriver, W3C).
struct Browser {
    session: String,
    driver: Child,
    agent: Agent,
}

impl Browser {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("chromedriver");
        let driver =
            command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut browser = Self {
            session: format!("http://127.0.0.1:{port}"),
            driver: driver.context("chromedriver")?,
            agent: client(),
        };
        let start = Instant::now();
        while browser.agent.get(format!("{}/status", browser.session)).call().is_err() {
            ensure!(start.elapsed() < Duration::from_secs(30), "chromedriver does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ];
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } } });
        let made = browser.tell("session", &wanted)?;
        let id = made["sessionId"].as_str().context("no session")?.to_owned();
        browser.session = format!("{}/session/{id}", browser.session);
        Ok(browser)
    }

    fn tell(&self, what: &str, document: &Value) -> Result<Value> {
        let mut answer = self.agent.post(format!("{}/{what}", self.session)).send_json(document)?;
        let mut answer: Value = answer.body_mut().read_json()?;
        let value = answer["value"].take();
        ensure!(value["error"].is_null(), "the browser: {value}");
        Ok(value)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends the browser with its session.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
