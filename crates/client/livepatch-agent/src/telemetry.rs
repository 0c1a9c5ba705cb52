//! What this machine tells the server, and how much of it the owner allows.

use crate::{facts::Snapshot, records::Identity, status::applied_livepatch};
use livepatch_api::{CheckInRequest, Event, PatchState, paths};
use livepatch_kernel::Taint;
use serde::{Deserialize, Serialize};

/// How much the machine tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Telemetry {
    /// Nothing after the enrolment: livepatches still come from the signed repository. The operator does not see whether
    /// this machine is protected, and a rollout does not hear of its trouble.
    Off,
    /// Kernel, state and what is applied. No host name, no taint, and of events only their kind and time.
    Minimal,
    /// Also the host name (at enrolment), the taint mask and a sentence for each event.
    #[default]
    Full,
}

/// What `livepatch check-in --show --format json` prints: the next report, as it would be sent now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckInPreview {
    /// Always 1.
    pub schema: u32,
    /// The configured level.
    pub telemetry: Telemetry,
    /// Where it would go; absent when nothing would be sent.
    pub url: Option<String>,
    /// The names of the headers that carry something of this machine. The credential itself is never shown.
    pub headers: Vec<String>,
    /// The body; absent when nothing would be sent.
    pub body: Option<CheckInRequest>,
}

impl Telemetry {
    /// The report of a machine in this state; `sequence` is its number. Whether it is sent at all is the caller's to ask.
    pub(crate) fn report(self, snapshot: &Snapshot, state: PatchState, sequence: u64) -> CheckInRequest {
        let full = self == Self::Full;
        let event = |event: &Event| Event {
            detail: if full { event.detail.clone() } else { String::new() },
            ..event.clone()
        };
        CheckInRequest {
            sequence,
            boot_id: snapshot.boot_id.clone(),
            kernel: snapshot.kernel.clone(),
            state,
            applied: applied_livepatch(snapshot),
            taint: if full { snapshot.taint } else { Taint(0) },
            events: snapshot.spool.events.iter().map(event).collect(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The next report, as it would be sent now.
    pub(crate) fn preview(self, snapshot: &Snapshot, state: PatchState) -> CheckInPreview {
        let identity = snapshot.identity.as_ref().filter(|_| self != Self::Off);
        let url = |identity: &Identity| crate::http::shown_endpoint(&identity.server, paths::CHECK_IN);
        let headers = identity.map(|_| vec!["Authorization: Bearer (this machine's credential)".to_owned()]);
        CheckInPreview {
            schema: 1,
            telemetry: self,
            url: identity.map(url),
            headers: headers.unwrap_or_default(),
            body: identity.map(|_| self.report(snapshot, state, snapshot.spool.sequence + 1)),
        }
    }
}
