//! What is shipped for those who watch the server: alert rules and a dashboard, taken by a real Prometheus that reads a real server.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{EnrolAnswer, paths};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use support::{MACHINE, Server, machine};
use tempfile::TempDir;

fn shipped(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../packaging/server")).join(file)
}

#[test]
fn alerts_come_when_they_should_and_not_otherwise() {
    for verb in
        [["check", "rules", "prometheus-alerts.yaml"], ["test", "rules", "prometheus-alerts.test.yaml"]]
    {
        let output = Command::new("promtool").args(verb).current_dir(shipped("")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn prometheus_takes_every_query_of_the_dashboard() {
    let server = Server::with_certificate();
    let enrolled = server.post::<EnrolAnswer>(paths::ENROL, &server.token(None, None), &machine(MACHINE));
    enrolled.unwrap();
    server.get_bytes("/repository/metadata/timestamp.json");
    let prometheus = Prometheus::watching(&server);
    prometheus.wait_for("livepatch_machines{tier=\"edge\"} == 1");

    let dashboard: Value =
        serde_json::from_slice(&fs::read(shipped("grafana-dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() >= panels.len() && !panels.is_empty());
    for query in &queries {
        let query = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
        let answer = prometheus.query(&query);
        assert_eq!(answer["status"], "success", "{query}: {answer}");
    }

    let rules = fs::read_to_string(shipped("prometheus-alerts.yaml")).unwrap();
    let page = String::from_utf8(server.get_bytes(paths::METRICS).1).unwrap();
    let counted = names(&page);
    for text in queries.iter().map(String::as_str).chain(rules.lines().filter(|line| line.contains("expr:")))
    {
        let unknown: Vec<_> = names(text).difference(&counted).cloned().collect();
        assert!(unknown.is_empty(), "the server counts no {unknown:?}, which is asked for by {text}");
    }
}

/// The metrics that a text names.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("livepatch_")).map(str::to_owned).collect()
}

/// A real Prometheus that reads one server.
struct Prometheus {
    _directory: TempDir,
    url: String,
    program: Child,
    agent: ureq::Agent,
}

impl Prometheus {
    fn watching(server: &Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let target = server.url.strip_prefix("http://").unwrap();
        let rules = shipped("prometheus-alerts.yaml");
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n  - job_name: livepatch\n    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n",
            rules.display()
        );
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, configuration).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let program = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { _directory: directory, url: format!("http://{address}"), program, agent }
    }

    fn query(&self, query: &str) -> Value {
        self.try_query(query).unwrap()
    }

    fn try_query(&self, query: &str) -> Option<Value> {
        let request = self.agent.get(format!("{}/api/v1/query", self.url)).query("query", query);
        request.call().ok()?.body_mut().read_json().ok()
    }

    /// Waits until a query has an answer.
    fn wait_for(&self, query: &str) {
        let limit = Instant::now() + Duration::from_secs(60);
        while !self.try_query(query).is_some_and(|answer| answer["data"]["result"][0].is_object()) {
            assert!(Instant::now() < limit, "{query} is not seen");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
