//! Answers connections: what anybody may ask at once, from the kernel and the records, while the worker works; what changes
//! something is handed to the worker.

use crate::{
    answers::Answers,
    canonical,
    canonical_socket::{HttpAnswer, HttpRequest},
    config::Config,
    daemon::{DaemonOptions, Job},
    http::HttpService,
    messages::{self, LOGIN_MESSAGE, MITIGATIONS, REBOOT_REQUIRED},
    metrics::prometheus,
    question::Question,
    records::Failure,
    refusal::Refusal,
    state_dir::StateDir,
    wire::{CallError, INTERFACE, INTERFACE_DESCRIPTION, Reply, Request},
};
use jiff::Timestamp;
use livepatch_api::PatchState;
use livepatch_host::Host;
use serde_json::{Value, json};
use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::AtomicUsize,
    mpsc::{self, Sender},
};

/// What a connection needs.
pub(crate) struct Desk {
    pub(crate) state: StateDir,
    pub(crate) options: DaemonOptions,
    /// The configuration as it was read last.
    pub(crate) config: Arc<RwLock<Config>>,
    /// The way to the server, by that configuration.
    pub(crate) service: RwLock<HttpService>,
    pub(crate) jobs: Sender<Job>,
    pub(crate) open: AtomicUsize,
}

impl Desk {
    /// Answers what anybody may ask.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        match request {
            Request::GetInfo => Reply::last(json!({
                "vendor": "Open Livepatch",
                "product": "livepatchd",
                "version": env!("CARGO_PKG_VERSION"),
                "url": env!("CARGO_PKG_REPOSITORY"),
                "interfaces": ["org.varlink.service", INTERFACE],
            })),
            Request::GetInterfaceDescription { interface } if interface == INTERFACE => {
                Reply::last(json!({"description": INTERFACE_DESCRIPTION}))
            }
            Request::GetInterfaceDescription { .. } => {
                Reply::not_understood(&CallError::Parameter("interface"))
            }
            Request::Ask(question) => match self.question(*question) {
                Ok(answer) => Reply::last(json!({"answer": answer})),
                Err(failure) => Reply::refused(&failure),
            },
            _ => match self.with_answers(|answers| Ok(json!({"status": answers.status()}))) {
                Ok(answer) => Reply::last(answer),
                Err(failure) => Reply::refused(&failure),
            },
        }
    }

    fn question(&self, question: Question) -> Result<Value, Failure> {
        self.with_answers(|answers| {
            let document = match question {
                Question::Eligibility => serde_json::to_value(answers.eligibility()),
                Question::History => serde_json::to_value(answers.history()?),
                Question::Cves => serde_json::to_value(answers.cves()),
                Question::Mitigations => serde_json::to_value(answers.mitigations()),
                Question::KernelUpgrade => serde_json::to_value(answers.upgrade()),
                Question::SecureBoot => serde_json::to_value(answers.secure_boot()),
                Question::Certificates => serde_json::to_value(answers.certificates()),
                Question::CheckIn => serde_json::to_value(answers.check_in()),
                Question::Canonical => Ok(canonical_status(&answers)),
            };
            Ok(document.unwrap_or_default())
        })
    }

    /// Renders the login message anew. What goes wrong is logged: no message is worth an error.
    pub(crate) fn publish_messages(&self) {
        let texts = self.with_answers(|answers| {
            let (status, upgrade) = (answers.status(), answers.upgrade());
            let login = messages::login_message(&status, &upgrade);
            let reboot = messages::reboot_message(&status, &upgrade);
            let mitigations = messages::mitigations_message(&answers.mitigations());
            Ok([(LOGIN_MESSAGE, login), (REBOOT_REQUIRED, reboot), (MITIGATIONS, mitigations)])
        });
        let (Ok(texts), Some(directory)) = (texts, self.options.socket.parent()) else { return };
        for (name, text) in texts {
            if let Err(error) = messages::publish(directory, name, &text) {
                tracing::warn!(%error, name, "a message for those who log in cannot be written");
            }
        }
    }

    /// Answers a request at the Canonical client's sockets.
    pub(crate) fn http(&self, request: HttpRequest, may_change: bool) -> HttpAnswer {
        match request {
            HttpRequest::Status { json } => self.http_status(json),
            HttpRequest::Metrics => {
                let page =
                    self.with_answers(|answers| Ok(prometheus(&answers.status(), Some(&answers.upgrade()))));
                page.map_or_else(
                    |failure| HttpAnswer::text(500, failure.message),
                    |page| HttpAnswer::text(200, page),
                )
            }
            _ if !may_change => HttpAnswer::text(401, "only root may do this\n"),
            HttpRequest::Enable { token } => self.http_change(Request::Enable { token, server: None }),
            HttpRequest::Disable => self.http_change(Request::Disable),
        }
    }

    fn http_status(&self, json: bool) -> HttpAnswer {
        let document = self.with_answers(|answers| {
            let enabled = answers.status().state != PatchState::Disabled;
            Ok((enabled, canonical_status(&answers)))
        });
        match document {
            Ok((false, _)) => HttpAnswer::text(400, canonical::NOT_ENABLED),
            Ok((true, document)) if json => HttpAnswer::json(&document),
            Ok((true, document)) => HttpAnswer::text(200, document.to_string()),
            Err(failure) => HttpAnswer::text(500, failure.message),
        }
    }

    fn http_change(&self, request: Request) -> HttpAnswer {
        let (replies, answers) = mpsc::channel();
        if self.jobs.send(Job::Do { request, replies }).is_err() {
            return HttpAnswer::text(503, "livepatchd is stopping\n");
        }
        let last = answers.into_iter().find(|reply| !reply.continues).unwrap_or_default();
        match last.as_refusal() {
            Some(failure) => HttpAnswer::text(400, failure.message),
            None => HttpAnswer::json(&json!({})),
        }
    }

    fn with_answers<T>(&self, ask: impl FnOnce(Answers<'_>) -> Result<T, Refusal>) -> Result<T, Failure> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let host = Host::new(&self.options.root);
        let answers = Answers::take(&self.state, &host, &config, Timestamp::now());
        answers.and_then(ask).map_err(|refusal| refusal.to_failure())
    }
}

fn canonical_status(answers: &Answers<'_>) -> Value {
    canonical::status(&answers.status(), answers.surroundings(), answers.uptime(), Timestamp::now())
}
