//! Two people: nothing comes to a guarded tier by one person's word.
//!
//! One approves a livepatch for the tier, and somebody else takes it there, by promotion or in a rollout. Names are those of the audit
//! log: whoever has a user and an API key has two, so admins who want the rule make one for each person.

use crate::{refusal::Refusal, routes::Actor, site::Site};
use livepatch_api::{ApprovalSummary, ErrorCode};

/// What somebody may do by what others have approved.
pub(crate) struct Approved {
    guarded: Vec<String>,
    approvals: Vec<ApprovalSummary>,
    actor: String,
}

impl Approved {
    /// By everybody but this one.
    pub(crate) async fn for_actor(site: &Site, actor: &Actor) -> Result<Self, Refusal> {
        let guarded = site.settings.two_people_for.clone();
        let approvals = match guarded.is_empty() {
            true => Vec::new(),
            false => site.database.store().await?.approvals().await?,
        };
        Ok(Self { guarded, approvals, actor: actor.name.clone() })
    }

    /// Whether a livepatch may come to these tiers; the refusal says what is missing.
    pub(crate) fn check(&self, livepatch: &str, tiers: &[String]) -> Result<(), Refusal> {
        let is_approved = |tier: &String| {
            self.approvals.iter().any(|approval| {
                approval.livepatch == livepatch && approval.tier == *tier && approval.actor != self.actor
            })
        };
        let missing = self.guarded.iter().find(|tier| tiers.contains(tier) && !is_approved(tier));
        let Some(tier) = missing else { return Ok(()) };
        Err(Refusal::new(
            ErrorCode::Forbidden,
            format!(
                "nothing comes to {tier} by one person's word: once {livepatch} is published to an earlier tier, somebody else than {} approves \
                 it, with livepatch-admin approval add {livepatch} --tier {tier}",
                self.actor
            ),
        ))
    }
}
