//! Users of ftrace on functions that a livepatch replaces: found before it is applied, treated as the owner wants, and looked for again
//! afterwards.

use crate::{
    agent::{Agent, tell},
    config::TracingPolicy,
    environment::Progress,
    facts::Snapshot,
    records::{Attempt, Intent, Traced},
    refusal::Refusal,
};
use livepatch_host::TracingUser;
use livepatch_manifest::Manifest;

/// Looks after which `wait` does not wait any longer: a day of hourly ones.
const MOST_WAITS: u32 = 24;

impl Agent {
    /// Who traces what this livepatch replaces; refuses as the policy says.
    pub(crate) fn look_for_tracing(
        &self,
        now: &Snapshot,
        manifest: &Manifest,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let users = self.tracing_users(manifest);
        self.state.remove::<Traced>()?;
        if users.is_empty() {
            return Ok(());
        }
        let attempt =
            self.state.load::<Attempt>()?.filter(|attempt| attempt.sha256 == manifest.module.sha256);
        let waited = attempt.filter(|attempt| attempt.failure.code == Refusal::Traced(Vec::new()).code());
        let waits = waited.map_or(0, |attempt| attempt.count);
        if refuses(self.config.tracing_users, waits) {
            return Err(Refusal::Traced(users));
        }
        for user in &users {
            let fate = if user.survives_livepatching() { "still fires" } else { "does not fire any more" };
            tell(progress, "tracing", format!("{user}: it {fate} once the livepatch is applied"));
        }
        let (boot_id, livepatch) = (now.boot_id.clone(), manifest.name.clone());
        Ok(self.state.save(&Traced { boot_id, livepatch, users, still_firing: None })?)
    }

    /// After the transition: who is there still, and fires.
    pub(crate) fn look_for_tracing_again(
        &self,
        intent: &Intent,
        progress: &mut dyn Progress,
    ) -> Result<(), Refusal> {
        let traced = self.state.load::<Traced>()?;
        let Some(mut traced) = traced.filter(|traced| traced.livepatch == intent.manifest.name) else {
            return Ok(());
        };
        let now = self.tracing_users(&intent.manifest);
        let (firing, silent): (Vec<_>, Vec<_>) =
            traced.users.iter().cloned().partition(|user| user.survives_livepatching() && now.contains(user));
        for user in &silent {
            tell(progress, "tracing", format!("{user} does not fire any more: attach it again"));
        }
        traced.still_firing = Some(firing);
        Ok(self.state.save(&traced)?)
    }

    fn tracing_users(&self, manifest: &Manifest) -> Vec<TracingUser> {
        let functions = manifest.objects.iter().flat_map(|object| &object.functions);
        let names: Vec<&str> = functions.map(|function| function.name.as_str()).collect();
        self.environment.host.tracing_users(&names)
    }
}

/// `waits`: how often it was refused for this already.
fn refuses(policy: TracingPolicy, waits: u32) -> bool {
    match policy {
        TracingPolicy::Warn => false,
        TracingPolicy::Wait => waits < MOST_WAITS,
        TracingPolicy::Refuse => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert!(!refuses(TracingPolicy::Warn, 0));
        assert!(refuses(TracingPolicy::Wait, 0) && !refuses(TracingPolicy::Wait, MOST_WAITS));
        assert!(refuses(TracingPolicy::Refuse, u32::MAX));
    }
}
