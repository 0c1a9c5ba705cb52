//! Words of upstreams and web-hooks.

use livepatch_api::{HookEvent, Skip};

words! {
    UPSTREAMS = "Upstreams";
    UPSTREAMS_MEANING = "Sites whose livepatches this one passes on, unchanged, with their publisher's endorsement.";
    NO_UPSTREAMS = "No site is followed. At the upstream, this prints the digest to pin; an admin then follows it here or with the second command:";
    ANCHOR_COMMAND = "livepatch-admin trust-anchor";
    UPSTREAM_COMMAND = "livepatch-admin upstream add NAME --url https://upstream.example.org --anchor DIGEST --tier stable";
    URL = "URL";
    BUNDLES = "by bundles";
    FOLLOWS = "Follows";
    INTO = "Into tier";
    HELD_BACK = "held back";
    EVERY = "Syncs";
    ON_ORDER = "on order";
    LAST_SYNC = "Last sync";
    RESULT = "Result";
    NEVER_SYNCED = "not yet";
    WENT_WELL = "went well";
    FAILED = "failed";
    SYNC_NOW = "Sync now";
    NEW_UPSTREAM = "Follow a site";
    ANCHOR = "Digest of its trust anchor";
    ANCHOR_HINT = "64 digits, as livepatch-admin trust-anchor prints them there. What comes from the URL is checked against it.";
    UPSTREAM_TIER = "Its tier";
    UPSTREAM_TIER_HINT = "What is promoted to this tier there is taken.";
    SELECTED_SERIES = "Only these kernel series";
    SELECTED_FLAVOURS = "Only these flavours";
    SELECTED_ARCHITECTURES = "Only these architectures";
    SELECTION_HINT = "With blanks between; empty: all.";
    INTO_TIER = "What is new becomes available to";
    HOURS = "Hours between two syncs";
    HOURS_HINT = "Empty: only on order.";
    FOLLOW = "Follow it";
    VIEWER_UPSTREAMS = "To follow sites, sign in with the key of an admin; a releaser may sync.";
    SYNCED = "Synced";
    NOTHING_TAKEN = "Nothing there was new.";
    TAKEN = "Taken";
    SKIPPED = "Not taken";
    WITHDRAWN_THERE = "Withdrawn there, and so here:";
    TARGET = "Livepatch";

    HOOKS = "Web-hooks";
    HOOKS_MEANING = "Programs that are told what happens, each message signed with the hook's secret. How to check a signature: docs/web-hooks.md.";
    NO_HOOKS = "There is no hook. An admin makes one here, or with:";
    HOOK_COMMAND = "livepatch-admin hook create NAME --url https://chat.example.org/livepatch --event halt";
    TOLD_OF = "Is told of";
    WAITING = "Waiting";
    GIVEN_UP = "Given up";
    NEW_HOOK = "A new hook";
    HOOK_URL_HINT = "http or https. Who is no admin sees only the host: there may be a secret in it.";
    HOOK_EVENTS = "What it is told of";
    HOOK_EVENTS_HINT = "None ticked: of everything.";
    MAKE_HOOK = "Make the hook";
    HOOK_MADE = "The hook is made";
    HOOK_SECRET = "Its messages are signed with this secret. It is shown this once:";
    VIEWER_HOOKS = "To make or remove hooks, sign in with the key of an admin.";
}

pub(crate) fn hook_event(event: HookEvent) -> &'static str {
    match event {
        HookEvent::Publish => "a livepatch is published",
        HookEvent::Promote => "a livepatch is promoted",
        HookEvent::Halt => "a rollout is halted",
        HookEvent::Resume => "a rollout goes on",
        HookEvent::MachineFailed => "a machine crashed, or could not take a livepatch",
    }
}

pub(crate) fn skip(reason: Skip) -> &'static str {
    match reason {
        Skip::NotSelected => "not selected",
        Skip::OtherTier => "not in the tier",
        Skip::RollingOut => "rolling out there",
        Skip::Withdrawn => "withdrawn",
        Skip::NotEndorsed => "not endorsed",
        Skip::ModuleRefused => "module refused",
        Skip::NameTaken => "name taken",
        Skip::Unreadable => "cannot be read",
    }
}

/// `every 6 h`.
pub(crate) fn every(seconds: u32) -> String {
    format!("every {}", crate::moment::length(seconds.into()))
}

pub(crate) fn synced(name: &str, version: u64) -> String {
    format!("{name}, version {version} of its targets")
}
