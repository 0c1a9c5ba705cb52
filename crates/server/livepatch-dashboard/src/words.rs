//! Every word that people read, in one place: English. A translation is another file like this one.

use crate::{Tone, frame::Done};
use livepatch_api::{EventKind, PatchState, Role};
use livepatch_rollout::{Scope, Signal, Stage};

macro_rules! words {
    ($($name:ident = $text:expr;)*) => { $(pub(crate) const $name: &str = $text;)* };
}

mod build;
mod fleet;
mod neighbours;
mod people;
mod security;

pub(crate) use build::*;
pub(crate) use fleet::*;
pub(crate) use neighbours::*;
pub(crate) use people::*;
pub(crate) use security::*;

words! {
    LANGUAGE = "en";
    PRODUCT = "Open Livepatch";

    // The frame.
    SKIP = "Skip to the content";
    SEARCH = "Search machines";
    NAVIGATION = "Pages";
    PAGES = "Parts of the list";
    SIGN_OUT = "Sign out";
    AS_OF = "As of";
    RELOAD = "Reload";
    STALE = "This page is old and may not be true any more.";
    CUT = "The connection to the server is lost: what you see is old.";
    COLOURS = "Colours:";
    AS_SYSTEM = "as the system";
    LIGHT = "light";
    DARK = "dark";
    TO_OVERVIEW = "To the overview";
    COPY = "Copy";
    COPIED = "Copied";
    EXPORT = "This table as";
    ANY = "any";
    NAMELESS = "(no name)";

    // Places.
    OVERVIEW = "Overview";
    MACHINES = "Machines";
    ROLLOUTS = "Rollouts";
    LIVEPATCHES = "Livepatches";
    SIMULATOR = "Simulator";
    TOKENS = "Enrolment tokens";
    KEYS = "API keys";
    AUDIT = "Audit log";

    // Signing in.
    SIGN_IN = "Sign in";
    SIGN_IN_TO = "Sign in to Open Livepatch";
    SIGNED_IN_ALREADY = "Signed in already? Continue to the page.";
    API_KEY = "API key";
    NO_KEY = "No key at hand?";
    NO_KEY_ADVICE = "Whoever has the operator's command can make an address that signs in once:";
    LOGIN_COMMAND = "livepatch-admin dashboard login";
    ONE_TIME = "This address signs you in once. Nobody can use it again after that.";

    // Confirming.
    REASON = "Reason";
    REASON_USE = "Others read it in the audit log, next to what happened.";
    NO = "No, go back";

    // First steps.
    FIRST_STEPS = "First steps";
    FIRST_STEPS_ROLE = "These commands need the key of an admin.";
    STEP_DONE = "Done:";
    STEP_CERTIFICATE = "Register the certificate whose key signs your modules. Tokens made after that carry it to the machines.";
    STEP_CERTIFICATE_COMMAND = "livepatch-admin certificate add cert.pem";
    STEP_PUBLISH = "Publish a livepatch.";
    STEP_PUBLISH_COMMAND = "livepatch-admin publish out/NAME.ko --manifest out/manifest.json --tier edge";
    STEP_TOKEN = "Make an enrolment token.";
    STEP_TOKEN_COMMAND = "livepatch-admin token create --tier edge";
    STEP_ENABLE = "Enable livepatching on a machine, with that token.";

    // The overview.
    FULLY_PROTECTED = "have the newest livepatch";
    IN_TROUBLE = "in trouble";
    ROLLOUTS_RUNNING = "rollouts running";
    ROLLOUTS_HALTED = "rollouts halted";
    PROTECTION = "Protection";
    PROTECTED = "newest livepatch applied";
    BEHIND = "a newer livepatch waits";
    UNCOVERED = "nothing published for the kernel";
    ROLLOUTS_IN_FLIGHT = "Rollouts in flight";
    NO_ROLLOUT_RUNS = "No rollout is running or halted.";
    EXPOSURE = "Published fixes that machines lack";
    NO_EXPOSURE = "Every machine has every fix that is published for its kernel.";
    STATES = "States";
    TROUBLE = "Newest crashes and failures";
    NO_TROUBLE = "No machine has reported a crash or a failure.";
    TIME_TO_PROTECT = "Time to protect";
    NO_FIX_YET = "No fix is published yet.";
    DEADLINES = "Deadlines";
    METADATA_EXPIRE = "The signed metadata are good until";
    NO_DEADLINE = "No kernel of the fleet is near the end of its support, as far as the catalogue knows.";
    FIX = "Fix";
    SUMMARY = "Summary";
    MACHINES_WITHOUT = "Machines without";

    // Machines.
    HOST = "Host";
    STATE = "State";
    TIER = "Tier";
    TIERS = "Tiers";
    KERNEL = "Kernel";
    APPLIED = "Applied";
    APPLIED_VERSION = "Version";
    LAST_SEEN = "Heard of";
    ID = "Id";
    BUILD_ID = "build id";
    TAINT = "Taint";
    FILTER_TEXT = "Host or id";
    APPLY_FILTER = "Show";
    SHOW_ALL = "show all machines";
    SILENT = "not heard of";
    FIRST_PAGE = "First page";
    NEXT_PAGE = "Next page";
    NO_MACHINE_FOUND = "No machine is like that;";
    NO_MACHINES = "No machine has enrolled yet. Make a token, and give it to a machine:";
    NOTHING_APPLIED = "nothing";
    REVOKED = "revoked";
    NEXT_UPDATE = "Next update";
    NO_UPDATE = "There is no newer livepatch for its kernel in its tier.";
    FIXES = "Fixes";
    NO_FIXES = "Nothing is published for its kernel.";
    LACKING = "Published for its kernel, and not applied here:";
    FIXED = "Fixed by what is applied:";
    HISTORY = "History";
    NO_EVENTS = "It has reported no event.";
    ADMINISTRATION = "Administration";
    REVOKE_MACHINE = "Revoke this machine";
    REVOKE_MACHINE_MEANING = "A revoked machine is not heard any more until it enrols again. What is applied on it stays applied.";

    // Rollouts.
    ROLLOUT = "Rollout";
    RELEASE = "Release";
    STAGE = "Stage";
    PROFILE = "Profile";
    STARTED = "Started";
    LIVEPATCH = "Livepatch";
    ADMITTED = "Let in";
    GIVEN = "Given it";
    SOAKED = "Soaked";
    OUT = "Will not take it";
    RUNNING = "running";
    HALTED = "halted";
    PARTLY_HALTED = "partly halted";
    WITHDRAWN = "withdrawn";
    COMPLETE = "complete";
    NO_ROLLOUTS = "There was no rollout yet. A published livepatch goes to a whole tier, stage by stage, with:";
    ROLLOUT_COMMAND = "livepatch-admin rollout begin RELEASE LIVEPATCH --to stable";
    SIMULATE_FIRST = "First see what a bad one would do, in the simulator";
    SAME_BY_COMMAND = "On the command line";
    HALT = "Halt";
    RESUME = "Resume";
    WITHDRAW = "Withdraw";
    VIEWER_HALT = "To halt it, sign in with the key of an operator.";
    ON_HALT = "On a halt";
    WITHDRAWS = "the release is withdrawn";
    WAVES = "Waves";
    WAVES_CAPTION = "Each lane is a kernel build. Pale: let in; full: soaked without trouble.";
    BUILDS = "Kernel builds";
    GATES = "What the next stage waits for";
    NO_GATES = "Nothing: no kernel build is under way.";
    SIGNALS = "Signals";
    SIGNALS_MEANING = "A halt comes when so many machines show a signal that the fleet's own background would hardly explain it.";
    SIGNAL = "Signal";
    SEEN = "Seen";
    HALTS_AT = "Halts at";
    STOPS = "Stops";
    HALTS = "Halts";
    LOOK_AT = "Machines to look at:";

    // Livepatches.
    MATRIX = "Kernels and tiers";
    MATRIX_MEANING = "The newest version in each tier.";
    ALL_LIVEPATCHES = "All livepatches";
    NO_LIVEPATCHES = "Nothing is published yet:";
    SUPPORT = "Kernel support";
    ALL_WINDOWS = "Every series on a time line";
    LAST_DAY = "Last day";
    ENDED = "ended";
    ENDS_SOON = "ends soon";
    SUPPORTED = "supported";
    NAME = "Name";
    VERSION = "Version";
    SIZE = "Bytes";
    DENIED = "This livepatch was withdrawn: no machine may load it.";
    PUBLISHED = "Published";
    CHANGED_FUNCTIONS = "Changed functions";
    NO_FUNCTIONS = "Its manifest names none.";
    OBJECT = "Object";
    FUNCTION = "Function";
    SYMPOS = "Position";
    SOURCE_FILE = "Source file";
    PROVENANCE = "Provenance";
    SOURCE = "Source";
    COMPILER = "Compiler";
    BUILDER = "Builder";
    PATCH = "Patch";
    MODULE = "Module";
    SIGNER = "Signer";
    PROMOTE = "Promote";
    PROMOTE_MEANING = "Makes it available to all machines of a tier at once. A rollout goes there stage by stage.";
    PROMOTE_BUTTON = "Promote";

    // Administration.
    NO_TOKENS = "There is no enrolment token yet. Machines enrol with one:";
    NEW_TOKEN = "A new token";
    USES = "Machines that may use it";
    USES_HINT = "Empty: any number.";
    DAYS = "Days until it expires";
    DAYS_HINT = "Empty: never.";
    NOTE = "Note";
    MAKE_TOKEN = "Make the token";
    VIEWER_TOKENS = "To make or revoke tokens, sign in with the key of an operator.";
    USED = "Used";
    HOLDS_UNTIL = "Holds until";
    ACT = "";
    REVOKE = "Revoke";
    KEYS_MEANING = "Each person and each program gets a key of its own; its name stands in the audit log. admin.key of the server's data directory always holds.";
    NO_KEYS = "There is no API key yet; admin.key is the only one:";
    KEY_COMMAND = "livepatch-admin key create NAME --role viewer";
    NEW_KEY = "A new key";
    ROLE = "Role";
    MAKE_KEY = "Make the key";
    LAST_USED = "Last used";
    TOKEN_MADE = "The token is made";
    KEY_MADE = "The key is made";
    SHOWN_ONCE = "It is shown this once: the server keeps only its hash.";
    ON_A_MACHINE = "On a machine:";
    TO_LIST = "To the list";
    FOR_EVER = "for ever";
    EXPIRED = "expired";
    AUDIT_MEANING = "Newest first. Each entry's hash covers the entry before it; this checks that nothing was altered or taken out:";
    NO_ACTS = "Nobody did anything yet.";
    NEWEST = "Newest";
    OLDER = "Older";
    ENTRY = "Entry";
    WHEN = "When";
    WHO = "Who";
    DID = "Did";
    TO_WHAT = "To";
    HOW = "How";

    // The simulator.
    SIMULATOR_MEANING = "What would a bad livepatch do before it is stopped? This is the engine that steers real rollouts, in virtual time, with machines that poll hourly. Same figures, same result.";
    SIMULATOR_BUSY = "Another simulation is under way; try again in a moment.";
    SIMULATE = "Simulate";
    CRASH_SHARE = "Crash, %";
    OOPS_SHARE = "Oops, %";
    STALLED_SHARE = "Stall, %";
    FAILED_LOAD_SHARE = "Fail to load, %";
    RUNS = "Runs";
    CRASHED_MACHINES = "Crashed by it";
    FIRST_RUN = "In the first run:";
    FIRST_RUN_CURVE = "Machines over time, first run";
    UNTIL_HALT = "Until the halt";
    UNTIL_COMPLETE = "Until complete";
    WHAT = "What";
    MEAN = "Mean";
    MEDIAN = "Median";
    P95 = "95 %";
    MAX = "Most";
}

/// What was just done.
pub(crate) fn done(done: Done) -> &'static str {
    match done {
        Done::Halted => "The rollout is halted: no further machine gets the release.",
        Done::HaltedBefore => "The rollout was halted before; nothing changed.",
        Done::Resumed => "The rollout goes on; what was seen until now is accepted.",
        Done::Withdrawn => "The release is withdrawn: no machine may load it any more.",
        Done::WithdrawnBefore => "The release was withdrawn before; nothing changed.",
        Done::TokenRevoked => "The token is revoked: no machine enrols with it any more.",
        Done::KeyRevoked => "The key is revoked, and its sessions are over.",
        Done::MachineRevoked => "The machine is revoked: it is not heard any more until it enrols again.",
        Done::Promoted => "The livepatch is available to the tier now.",
        Done::Rated => "The priority is decided.",
        Done::Refused => {
            "It is on the list of those that cannot be livepatched. Machines learn it when verdicts are published."
        }
        Done::NoticeBegun => "The notice is drafted. Read it, and correct its words.",
        Done::NoticeSaved => "The text is saved.",
        Done::NoticeReviewed => "The notice is reviewed as it is.",
        Done::NoticePublished => "The notice is published on every channel.",
        Done::UserMade => "The user is made. Hand the password over by a safe way.",
        Done::PasswordSet => "The password is set; sessions with the old one are over.",
        Done::UserRemoved => "The user is removed, and the sessions are over.",
        Done::UpstreamAdded => "The site is followed. Nothing is taken from it before the next sync.",
        Done::UpstreamRemoved => "The site is followed no more; what came from it stays.",
        Done::HookRemoved => "The hook is removed: it is told nothing more.",
    }
}

/// A state's word, and how it fares.
pub(crate) fn state(state: PatchState) -> (&'static str, Tone) {
    match state {
        PatchState::Disabled => ("disabled", Tone::Quiet),
        PatchState::Unchecked => ("not checked yet", Tone::Quiet),
        PatchState::NothingToApply => ("nothing to apply", Tone::Quiet),
        PatchState::Unapplied => ("not applied", Tone::Warn),
        PatchState::Applying => ("applying", Tone::Quiet),
        PatchState::Soaking => ("soaking", Tone::Quiet),
        PatchState::Applied => ("applied", Tone::Good),
        PatchState::AppliedWithBug => ("applied, with trouble", Tone::Bad),
        PatchState::ApplyFailed => ("apply failed", Tone::Bad),
        PatchState::CheckFailed => ("check failed", Tone::Bad),
        PatchState::RebootNeeded => ("reboot needed", Tone::Warn),
    }
}

/// What a state means.
pub(crate) fn state_meaning(state: PatchState) -> &'static str {
    match state {
        PatchState::Disabled => "The machine is not enrolled.",
        PatchState::Unchecked => "It is enrolled, and has not checked yet.",
        PatchState::NothingToApply => "There is nothing for its kernel and tier.",
        PatchState::Unapplied => "There is a livepatch, and it is not applied.",
        PatchState::Applying => "A transition is running.",
        PatchState::Soaking => "It is watched for trouble until the soak ends.",
        PatchState::Applied => "Applied and confirmed.",
        PatchState::AppliedWithBug => "The kernel has reported trouble since it was applied.",
        PatchState::ApplyFailed => "The last attempt failed; the kernel is as it was.",
        PatchState::CheckFailed => {
            "The repository could not be read or trusted; what was applied stays applied."
        }
        PatchState::RebootNeeded => "What is applied is not enough: it must reboot.",
    }
}

/// A state as it stands in addresses, CSV and JSON: as in the API.
pub(crate) fn state_key(state: PatchState) -> &'static str {
    match state {
        PatchState::Disabled => "disabled",
        PatchState::Unchecked => "unchecked",
        PatchState::NothingToApply => "nothing-to-apply",
        PatchState::Unapplied => "unapplied",
        PatchState::Applying => "applying",
        PatchState::Soaking => "soaking",
        PatchState::Applied => "applied",
        PatchState::AppliedWithBug => "applied-with-bug",
        PatchState::ApplyFailed => "apply-failed",
        PatchState::CheckFailed => "check-failed",
        PatchState::RebootNeeded => "reboot-needed",
    }
}

/// An event's kind as in the API.
pub(crate) fn event_key(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Applied => "applied",
        EventKind::Confirmed => "confirmed",
        EventKind::Undone => "undone",
        EventKind::Refused => "refused",
        EventKind::Failed => "failed",
        EventKind::Crashed => "crashed",
    }
}

/// An event's word, and how it fares.
pub(crate) fn event(key: &str) -> (&str, Tone) {
    match key {
        "applied" | "confirmed" => (key, Tone::Good),
        "failed" | "crashed" => (key, Tone::Bad),
        "refused" => (key, Tone::Warn),
        _ => (key, Tone::Quiet),
    }
}

/// A machine's name, when it has one.
pub(crate) fn name_of(hostname: &str) -> &str {
    if hostname.trim().is_empty() { NAMELESS } else { hostname }
}

pub(crate) fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Crash => "crash before the soak ended",
        Signal::Oops => "oops or warning during the soak",
        Signal::Taint => "new taint during the soak",
        Signal::Stalled => "transition stalled",
        Signal::FailedLoad => "kernel refused the module",
        Signal::Silence => "not heard of since",
    }
}

pub(crate) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Release => "the rollout",
        Scope::Build => "the kernel build",
    }
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "sees everything",
        Role::Operator => "cares for machines, halts rollouts",
        Role::Releaser => "decides what machines get",
        Role::Admin => "everything, keys too",
    }
}

/// `12,345`.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

pub(crate) fn machines(count: u32) -> String {
    if count == 1 { "1 machine".to_owned() } else { format!("{} machines", number(count.into())) }
}

pub(crate) fn silent_for(seconds: i64) -> String {
    format!("not heard of for {}", crate::moment::length(seconds))
}

pub(crate) fn rollout(release: &str) -> String {
    format!("Rollout {release}")
}

pub(crate) fn build(id: &str) -> String {
    format!("kernel build {}", id.get(..12).unwrap_or(id))
}

pub(crate) fn version(version: u32) -> String {
    format!("version {version}")
}

pub(crate) fn stage_of(stage: usize, stages: usize) -> String {
    format!("{} of {stages}", stage.min(stages))
}

pub(crate) fn share_had_it(percent: u8) -> String {
    format!("{percent} % had it after")
}

pub(crate) fn count_of(count: u32, all: u32) -> String {
    format!("{} of {} machines", number(count.into()), number(all.into()))
}

pub(crate) fn chance(chance: f64) -> String {
    format!(
        "once in {} times without the livepatch",
        number((1.0 / chance.max(1e-9)).round().max(1.0) as i64)
    )
}

pub(crate) fn waves_of(release: &str) -> String {
    format!("Waves of {release}; the table of kernel builds below has the same figures")
}

/// `0.1 %, 8 h`.
pub(crate) fn stage(stage: &Stage) -> String {
    let percent = f64::from(stage.share) / 10_000.0;
    let share = match stage.share {
        1_000_000 => "all".to_owned(),
        1 => "1 machine".to_owned(),
        _ => format!("{percent} %"),
    };
    format!("{share}, {}", crate::moment::length(stage.wait.into()))
}

pub(crate) fn lane(state: &str, stage: usize, stages: usize, admitted: u32, soaked: u32) -> String {
    format!(
        "{state}, stage {}, {} let in, {} soaked",
        stage_of(stage, stages),
        number(admitted.into()),
        number(soaked.into())
    )
}

pub(crate) fn gate_admitted(admitted: u32, wanted: u32, per_minute: u32) -> String {
    format!(
        "Machines: {} of {} are let in, at most {} a minute.",
        number(admitted.into()),
        number(wanted.into()),
        number(per_minute.into())
    )
}

pub(crate) fn gate_time(at: &str, relative: &str) -> String {
    format!("Time: not before {at} ({relative}).")
}

pub(crate) fn gate_soaked(soaked: u32, needed: u32) -> String {
    format!(
        "Evidence: it soaked on {} machines, {} are needed.",
        number(soaked.into()),
        number(needed.into())
    )
}

/// `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        ..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

pub(crate) fn simulated(runs: u32, halted: u32, complete: u32) -> String {
    format!("{halted} of {runs} runs were halted, {complete} went through")
}
