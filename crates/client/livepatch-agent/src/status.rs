//! The state of livepatching on this machine, derived from the kernel and the records, for people and programs.

use crate::{
    advice::{explain_taint, next_step, sentence},
    answers::Answers,
    coverage::{KernelState, KernelStatus},
    decide::{Facts, applied_version, best_offer, own_version},
    facts::Snapshot,
    http::origin,
    records::{BlockedDigest, Check, Complaint, Failure, Phase},
    refusal::Refusal,
    state_dir::StateDir,
};
use jiff::Timestamp;
use livepatch_api::{AppliedLivepatch, PatchState};
use livepatch_host::{Host, LoadedLivepatch};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::{Digest, Fix, Manifest};
use livepatch_trust::Versions;
use serde::{Deserialize, Serialize};

/// The schema of [`Status`] in JSON.
pub const STATUS_SCHEMA: u32 = 1;

/// What `livepatch status --format json` prints. Keys are added, never renamed, within a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// Always [`STATUS_SCHEMA`].
    pub schema: u32,
    /// Version of the daemon.
    pub client_version: String,
    /// The machine's id; absent while it is not enabled.
    pub machine_id: Option<String>,
    /// Scheme, host and port of the server.
    pub server: Option<String>,
    /// Tier.
    pub tier: Option<String>,
    /// The running kernel.
    pub kernel: KernelIdentity,
    /// Whether livepatches are made for it.
    pub kernel_status: KernelStatus,
    /// In a word.
    pub state: PatchState,
    /// In a sentence.
    pub sentence: String,
    /// What the kernel has applied.
    pub livepatch: Option<LivepatchStatus>,
    /// The taint mask explained.
    pub taint: TaintStatus,
    /// The last look at the repository.
    pub last_check: Option<CheckStatus>,
    /// When the next look is due.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub next_check: Option<Timestamp>,
    /// The last attempt to apply, when it failed.
    pub last_failure: Option<Failure>,
    /// Versions of the TUF metadata that were trusted last.
    #[cfg_attr(feature = "schema", schemars(with = "Option<std::collections::BTreeMap<String, u64>>"))]
    pub tuf: Option<Versions>,
    /// Digests that are not loaded on this machine.
    pub blocked: Vec<BlockedDigest>,
    /// What the machine's owner should do, if anything.
    pub next_step: String,
}

/// A livepatch that is in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LivepatchStatus {
    /// Module name.
    pub name: String,
    /// Cumulative version.
    pub version: Option<u32>,
    /// Digest of the signed module; absent when the client does not know where the livepatch comes from.
    pub sha256: Option<Digest>,
    /// What it mends.
    pub fixes: Vec<FixStatus>,
    /// The functions that the kernel says are replaced, `OBJECT:FUNCTION`.
    pub functions: Vec<String>,
    /// When it was applied.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub applied_at: Option<Timestamp>,
    /// Whether it soaked without trouble.
    pub confirmed: bool,
}

/// A problem that is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FixStatus {
    /// Id.
    pub id: String,
    /// One line.
    pub summary: String,
}

/// The taint mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaintStatus {
    /// The mask.
    pub value: Taint,
    /// Its letters.
    pub letters: String,
    /// Each set bit.
    pub flags: Vec<FlagStatus>,
    /// What it means here.
    pub explanation: String,
}

/// A set bit of the taint mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FlagStatus {
    /// Bit number.
    pub bit: u8,
    /// Letter.
    pub letter: char,
    /// What it means.
    pub meaning: String,
}

/// The last look at the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckStatus {
    /// When.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub at: Timestamp,
    /// `ok` or `failed`.
    pub result: String,
    /// Why it failed: a stable code.
    pub code: Option<String>,
    /// Why it failed: a sentence.
    pub message: Option<String>,
    /// Why the server did not take the last report; absent when it did.
    pub check_in: Option<Failure>,
}

/// Reads the machine's status.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Machine`].
pub fn read_status(state: &StateDir, host: &Host, config: &crate::Config) -> Result<Status, Refusal> {
    Ok(Answers::take(state, host, config, Timestamp::now())?.status())
}

pub(crate) fn status_of(snapshot: &Snapshot, config: &crate::Config, kernel_status: KernelStatus) -> Status {
    let state = patch_state(&snapshot.facts(config), snapshot.check.as_ref());
    let state = with_complaints(with_kernel(state, &kernel_status), snapshot);
    let identity = snapshot.identity.as_ref();
    let livepatch = livepatch_status(snapshot);
    let last_check = snapshot.check.as_ref().map(check_status);
    let last_failure = snapshot.attempt.as_ref().map(|attempt| attempt.failure.clone());
    let mut status = Status {
        schema: STATUS_SCHEMA,
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        machine_id: identity.map(|identity| identity.machine_id.clone()),
        server: identity.map(|identity| origin(&identity.server)),
        tier: identity.map(|identity| identity.tier.clone()),
        kernel: snapshot.kernel.clone(),
        kernel_status,
        state,
        sentence: sentence(state).to_owned(),
        taint: taint_status(snapshot.taint, livepatch.is_some()),
        livepatch,
        last_check,
        next_check: identity.and(snapshot.schedule.as_ref()).map(|schedule| schedule.next_refresh),
        last_failure,
        tuf: snapshot.catalogue.as_ref().map(|catalogue| catalogue.versions),
        blocked: snapshot.blocked.entries.clone(),
        next_step: String::new(),
    };
    status.next_step = next_step(&status, snapshot);
    status
}

/// The kernel complained in this boot, after the soak, about a function of the livepatch that is applied.
fn with_complaints(state: PatchState, snapshot: &Snapshot) -> PatchState {
    let applied = applied(snapshot).map(|livepatch| livepatch.name.as_str());
    let about_it = |complaint: &Complaint| {
        complaint.boot_id == snapshot.boot_id
            && complaint.blame.is_some()
            && Some(complaint.livepatch.as_str()) == applied
    };
    match state {
        PatchState::Applied if snapshot.complaints.entries.iter().any(about_it) => PatchState::AppliedWithBug,
        state => state,
    }
}

/// A kernel that gets no more livepatches is not safe by what it has.
fn with_kernel(state: PatchState, kernel: &KernelStatus) -> PatchState {
    let over = matches!(kernel.state, KernelState::WindowOver | KernelState::SeriesEnded);
    match state {
        PatchState::NothingToApply | PatchState::Applied if over => PatchState::RebootNeeded,
        state => state,
    }
}

/// The state in a word. Pure.
pub fn patch_state(facts: &Facts<'_>, check: Option<&Check>) -> PatchState {
    if !facts.enabled {
        return PatchState::Disabled;
    }
    let here = facts.intent.filter(|intent| intent.boot_id == facts.boot_id).map(|intent| &intent.phase);
    if matches!(here, Some(Phase::Loading | Phase::Transition | Phase::Undoing { .. })) {
        return PatchState::Applying;
    }
    if facts.attempt.is_some_and(|attempt| !attempt.retry) {
        return PatchState::ApplyFailed;
    }
    match check {
        None if here.is_none() && applied_version(facts).is_none() => return PatchState::Unchecked,
        Some(check) if check.failure.is_some() => return PatchState::CheckFailed,
        _ => {}
    }
    match here {
        Some(Phase::Soaking) => PatchState::Soaking,
        Some(_) => PatchState::Applied,
        None if applied_version(facts).is_some() => PatchState::Applied,
        None => unapplied(facts),
    }
}

fn unapplied(facts: &Facts<'_>) -> PatchState {
    let offered = facts.catalogue.is_some_and(|catalogue| {
        catalogue.build_id == facts.kernel.build_id && !catalogue.livepatches.is_empty()
    });
    if offered { PatchState::Unapplied } else { PatchState::NothingToApply }
}

/// What the kernel has applied, for reports: only a livepatch whose digest is known.
pub(crate) fn applied_livepatch(snapshot: &Snapshot) -> Option<AppliedLivepatch> {
    let manifest = known_manifest(snapshot, applied(snapshot)?)?;
    Some(AppliedLivepatch {
        name: manifest.name.clone(),
        version: manifest.version,
        sha256: manifest.module.sha256.clone(),
    })
}

/// Whether there is an offer that is not blocked and not undone, and why the greatest offer is not applied.
pub(crate) fn offer(snapshot: &Snapshot) -> Option<&Manifest> {
    let catalogue =
        snapshot.catalogue.as_ref().filter(|catalogue| catalogue.build_id == snapshot.kernel.build_id)?;
    best_offer(catalogue, &snapshot.blocked)
}

/// The kernel's newest livepatch of ours, or else a foreign one.
fn applied(snapshot: &Snapshot) -> Option<&LoadedLivepatch> {
    let enabled = snapshot.livepatches.iter().filter(|livepatch| livepatch.enabled);
    enabled.max_by_key(|livepatch| own_version(&livepatch.name, &snapshot.kernel))
}

/// The manifest of a livepatch in the kernel: of the intent of this boot, or of the catalogue.
pub(crate) fn known_manifest<'a>(snapshot: &'a Snapshot, loaded: &LoadedLivepatch) -> Option<&'a Manifest> {
    let here = snapshot.intent.iter().filter(|intent| intent.boot_id == snapshot.boot_id);
    let offered = snapshot.catalogue.iter().flat_map(|catalogue| &catalogue.livepatches);
    let fits = |manifest: &&Manifest| {
        manifest.name == loaded.name && manifest.kernel.build_id == snapshot.kernel.build_id
    };
    here.map(|intent| &intent.manifest).chain(offered).find(fits)
}

fn livepatch_status(snapshot: &Snapshot) -> Option<LivepatchStatus> {
    let loaded = applied(snapshot)?;
    let manifest = known_manifest(snapshot, loaded);
    let intent = snapshot.intent.as_ref().filter(|intent| intent.manifest.name == loaded.name);
    let fixes = manifest.map(|manifest| manifest.fixes.iter().map(fix_status).collect());
    let functions = loaded.objects.iter().flat_map(|object| {
        object.functions.iter().map(move |function| format!("{}:{function}", object.name))
    });
    Some(LivepatchStatus {
        name: loaded.name.clone(),
        version: own_version(&loaded.name, &snapshot.kernel),
        sha256: manifest.map(|manifest| manifest.module.sha256.clone()),
        fixes: fixes.unwrap_or_default(),
        functions: functions.collect(),
        applied_at: intent.map(|intent| intent.began),
        confirmed: intent.is_some_and(|intent| intent.phase == Phase::Confirmed),
    })
}

fn fix_status(fix: &Fix) -> FixStatus {
    FixStatus { id: fix.id.clone(), summary: fix.summary.clone() }
}

fn taint_status(taint: Taint, livepatched: bool) -> TaintStatus {
    let flags = taint.flags().map(|flag| FlagStatus {
        bit: flag.bit,
        letter: flag.letter,
        meaning: flag.meaning.to_owned(),
    });
    TaintStatus {
        value: taint,
        letters: if taint.0 == 0 { String::new() } else { taint.to_string() },
        flags: flags.collect(),
        explanation: explain_taint(taint, livepatched),
    }
}

fn check_status(check: &Check) -> CheckStatus {
    let failure = check.failure.as_ref();
    CheckStatus {
        at: check.at,
        result: if failure.is_some() { "failed" } else { "ok" }.to_owned(),
        code: failure.map(|failure| failure.code.clone()),
        message: failure.map(|failure| failure.message.clone()),
        check_in: check.check_in.clone(),
    }
}
