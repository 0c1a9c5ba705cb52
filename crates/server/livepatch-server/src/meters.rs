//! What the program counts of itself, in Prometheus's text form (version 0.0.4).

use crate::{
    clock,
    openapi::{File, Measures},
    site::Site,
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use livepatch_api::paths;
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

/// Upper bounds of the buckets of request times, in milliseconds.
const BOUNDS: [u64; 7] = [1, 5, 20, 50, 200, 1000, 5000];
/// A database that takes longer does not answer; Prometheus asks again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who a request is of.
#[derive(Clone, Copy)]
enum Plane {
    Static,
    Machines,
    Operators,
    Pages,
}

impl Plane {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Static, "static"),
        (Self::Machines, "machines"),
        (Self::Operators, "operators"),
        (Self::Pages, "pages"),
    ];

    fn of(path: &str) -> Self {
        let statics = [paths::METADATA, paths::TARGETS, paths::ORIGINS, paths::TRUST];
        if statics.iter().any(|prefix| path.starts_with(prefix)) {
            Self::Static
        } else if [paths::ENROL, paths::CHECK_IN].contains(&path) {
            Self::Machines
        } else if path.starts_with("/v1/") {
            Self::Operators
        } else {
            Self::Pages
        }
    }
}

/// Requests of one plane.
#[derive(Debug, Default)]
struct Meter {
    /// By the first digit of the status, from 1 to 5.
    answers: [AtomicU64; 5],
    /// By time; each bucket for itself, the last one for what took longer than all bounds.
    times: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    planes: [Meter; 4],
    limited: AtomicU64,
}

impl Meters {
    /// A request was refused since there were too many.
    pub(crate) fn count_limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, plane: Plane, status: u16, took: Duration) {
        let Some(meter) = self.planes.get(plane as usize) else { return };
        let class = usize::from(status / 100).saturating_sub(1).min(4);
        if let Some(answers) = meter.answers.get(class) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
        let milliseconds = took.as_secs_f64() * 1000.0;
        #[allow(clippy::cast_precision_loss)] // bounds are small
        let bucket = BOUNDS.iter().position(|bound| milliseconds <= *bound as f64).unwrap_or(BOUNDS.len());
        if let Some(times) = meter.times.get(bucket) {
            times.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        meter.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn write(&self, page: &mut Page) {
        page.begin("livepatch_requests_total", "counter", "Requests, by plane and class of the answer.");
        for (plane, name) in Plane::ALL {
            for (class, count) in (1..).zip(&self.planes[plane as usize].answers) {
                let labels = format!("plane=\"{name}\",status=\"{class}xx\"");
                page.value("livepatch_requests_total", &labels, count.load(Ordering::Relaxed));
            }
        }
        page.begin("livepatch_request_duration_seconds", "histogram", "Time until the head of the answer.");
        for (plane, name) in Plane::ALL {
            let meter = &self.planes[plane as usize];
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(&meter.times) {
                sum += count.load(Ordering::Relaxed);
                let bound = format!("{}.{:03}", bound / 1000, bound % 1000);
                let labels = format!("plane=\"{name}\",le=\"{bound}\"");
                page.value("livepatch_request_duration_seconds_bucket", &labels, sum);
            }
            sum += meter.times[BOUNDS.len()].load(Ordering::Relaxed);
            let labels = format!("plane=\"{name}\"");
            page.value("livepatch_request_duration_seconds_bucket", &format!("{labels},le=\"+Inf\""), sum);
            let micros = meter.microseconds.load(Ordering::Relaxed);
            let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            page.value("livepatch_request_duration_seconds_sum", &labels, seconds);
            page.value("livepatch_request_duration_seconds_count", &labels, sum);
        }
        page.one("livepatch_rate_limited_total", "counter", "Requests that were too many.", {
            self.limited.load(Ordering::Relaxed)
        });
    }
}

/// Counts every request.
pub(crate) async fn measure(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (plane, begin) = (Plane::of(request.uri().path()), Instant::now());
    let answer = next.run(request).await;
    site.meters.count(plane, answer.status().as_u16(), begin.elapsed());
    answer
}

/// The page that Prometheus reads. What the database would say is left out when it does not answer, and
/// `livepatch_database_up` says so.
pub(crate) async fn page(State(site): State<Arc<Site>>) -> File<Measures> {
    let mut page = Page::default();
    site.meters.write(&mut page);
    page.one("livepatch_leader", "gauge", "Whether this program leads among the replicas.", {
        u8::from(site.leader.leads())
    });
    let expires = site.with_publisher(|publisher| Ok(publisher.expires())).await;
    if let Ok(expires) = expires {
        let at = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let help = "When the first of the signed metadata expires, in seconds since 1970.";
        page.one("livepatch_metadata_expires_timestamp_seconds", "gauge", help, at);
    }
    let database = tokio::time::timeout(PATIENCE, from_database(&site, &mut page)).await;
    let is_up = matches!(database, Ok(Some(())));
    page.one("livepatch_database_up", "gauge", "Whether the database answers.", u8::from(is_up));
    File::new(page.0)
}

async fn from_database(site: &Arc<Site>, page: &mut Page) -> Option<()> {
    let store = site.database.quiet_store().await?;
    let machines = store.machines_by_state(clock::seconds() - 86_400).await.ok()?;
    let under_way = store.rollouts_under_way().await.ok()?;
    page.begin("livepatch_machines", "gauge", "Machines that are not revoked, by tier and state.");
    for group in &machines {
        let labels = format!("tier=\"{}\",state=\"{}\"", escaped(&group.tier), escaped(&group.state));
        page.value("livepatch_machines", &labels, group.machines);
    }
    page.begin(
        "livepatch_machines_silent",
        "gauge",
        "Those that were not heard of for a day, by tier and state.",
    );
    for group in &machines {
        let labels = format!("tier=\"{}\",state=\"{}\"", escaped(&group.tier), escaped(&group.state));
        page.value("livepatch_machines_silent", &labels, group.silent);
    }
    page.begin("livepatch_rollouts", "gauge", "Rollouts that are not through, by state.");
    for state in ["running", "halted"] {
        let count = under_way.iter().filter(|(_, found)| found == state).count();
        page.value("livepatch_rollouts", &format!("state=\"{state}\""), count);
    }
    Some(())
}

/// The text form.
#[derive(Default)]
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.begin(name, kind, help);
        self.value(name, "", value);
    }
}

/// A label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
