//! The client's agent: the state machine that keeps a machine livepatched, and the daemon `livepatchd` around it.
//!
//! [`decide`] is the pure core: the kernel's and the records' facts in, the next [`Action`] out. [`Agent`] does what it
//! says, one action at a time, through an [`Environment`] that tests replace. Applying is provisional: the intent is
//! durable before the kernel is touched, so a machine that goes down before confirmation blocks that digest on its next
//! boot. The state is always derived from the kernel, never from what was once done.
//!
//! Nothing is handed to the kernel that was not verified here against the pinned trust anchor: TUF metadata, digest,
//! module signature, and that the module was built for the build id that runs.
//!
//! Front door: [`run`] for the daemon, [`Client`] and [`Request`] for whoever talks to it, [`Status`] for what it says.

mod advice;
mod agent;
mod answers;
mod canonical;
mod canonical_socket;
mod check;
mod client;
mod commands;
mod complaints;
mod config;
mod connection;
mod coverage;
mod cves;
mod daemon;
mod decide;
mod desk;
mod documents;
mod effects;
mod environment;
mod facts;
mod history;
mod hooks;
mod http;
mod look;
mod messages;
mod metrics;
mod mitigations;
mod news;
mod policy;
mod question;
mod records;
mod refusal;
mod schedule;
mod secure_boot;
mod service;
mod settings;
mod soak;
mod state_dir;
mod status;
mod telemetry;
mod time_check;
mod traced;
mod upgrade;
mod verify;
mod wait;
mod watch;
mod waves;
mod window;
mod wire;

pub use agent::Agent;
pub use answers::look_at_secure_boot;
pub use canonical::{NOT_ENABLED, canonical_yaml};
pub use check::{Eligibility, Finding, FindingResult};
pub use client::{Answer, Client, ClientError};
pub use config::{Config, ConfigError, MitigationPolicy, TracingPolicy};
pub use connection::Connection;
pub use coverage::{KernelState, KernelStatus, debian_architecture};
pub use cves::{CveList, CveState, CveStatus};
pub use daemon::{DaemonError, DaemonOptions, run};
pub use decide::{Action, Facts, Forget, decide};
pub use environment::{Clock, Environment, KernelControl, Progress, Step, SystemClock};
pub use facts::Snapshot;
pub use history::History;
pub use hooks::Hooks;
pub use http::HttpService;
pub use messages::LOGIN_MESSAGE;
pub use metrics::prometheus;
pub use mitigations::{MeasureStatus, MitigationList, MitigationState, MitigationStatus};
pub use policy::{Circumstances, Policy, Postponed};
pub use question::Question;
pub use records::{
    Attempt, Blocked, BlockedDigest, Catalogue, Check, Complaint, Complaints, Confirmed, Failure, Identity,
    Intent, MachineId, MitigationDecisions, Phase, Schedule, Spool, Traced, UndoReason, Undone,
};
pub use refusal::Refusal;
pub use secure_boot::{CertificateStatus, Prediction, SecureBootStatus};
pub use service::{Repository, Service};
pub use settings::{SETTINGS, Setting, SettingError, SettingKind};
pub use soak::KernelWords;
pub use state_dir::{Record, StateDir, StateError};
pub use status::{
    CheckStatus, FixStatus, FlagStatus, LivepatchStatus, STATUS_SCHEMA, Status, TaintStatus, patch_state,
    read_status,
};
pub use telemetry::{CheckInPreview, Telemetry};
pub use upgrade::{Upgrade, UpgradeAnswer, UpgradeReason};
pub use verify::{Anchor, verify_module};
pub use window::{Window, WindowError};
pub use wire::{Call, CallError, INTERFACE, Reply, Request};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/livepatch/livepatchd.sock";
/// Where the daemon's configuration is unless told otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/livepatch/livepatchd.toml";
/// Where the daemon keeps its state unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/livepatch";
