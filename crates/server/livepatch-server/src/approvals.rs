//! Two people: nothing comes to a guarded tier by one person's word.
//!
//! One approves a livepatch for the tier, and somebody else takes it there, by promotion or in a rollout. Names are those of the audit
//! log: whoever has a user and an API key has two, so admins who want the rule make one for each person.

use crate::{Tiers, refusal::Refusal, routes::Actor, site::Site};
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
        let mut approvals = Vec::new();
        if !guarded.is_empty() {
            check_names(&guarded, &site.tiers().await?)?;
            approvals = site.database.store().await?.approvals().await?;
        }
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

/// A guard on a tier that is not there guards nothing: until it is put right, nobody brings anything anywhere.
fn check_names(guarded: &[String], tiers: &Tiers) -> Result<(), Refusal> {
    match guarded.iter().find(|name| !tiers.names().contains(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal::conflict(format!(
            "the server was started with --two-people-for {name}, and there is no tier called {name} among {tiers}; start it with the right name"
        ))),
    }
}

/// Refuses to rename or to remove a guarded tier: its livepatches would be another tier's, by one person's word.
pub(crate) fn check_stays(site: &Site, tier: &str) -> Result<(), Refusal> {
    if !site.settings.two_people_for.iter().any(|guarded| guarded == tier) {
        return Ok(());
    }
    Err(Refusal::conflict(format!(
        "{tier} wants two people; start the server without --two-people-for {tier} before you rename or remove it"
    )))
}
