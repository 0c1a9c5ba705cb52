//! Which of an upstream's livepatches to take. Pure.

use super::Upstream;
use livepatch_api::{Skip, SkippedLivepatch};
use livepatch_manifest::Digest;
use livepatch_schedule::Steering;
use livepatch_trust::{Origin, Published, endorser};

/// What is to be done about one livepatch of the upstream's.
#[derive(Debug, PartialEq)]
pub(crate) enum Choice {
    /// It is new here, and this site's own word for it: who published it.
    Take(Digest),
    /// It is here, as it should be.
    Present,
    /// It is here, and its publisher vouches for it anew, with another key.
    Renew(Digest),
    /// Not for us.
    Skip(Skip, String),
}

/// What of the upstream's is here: `ours` are the livepatches of this site.
pub(crate) fn choose(
    livepatch: &Published,
    upstream: &Upstream,
    steering: &Steering,
    origins: &[Origin],
    ours: &[Published],
) -> Choice {
    if let Some(why) = not_selected(livepatch, upstream) {
        return Choice::Skip(Skip::NotSelected, why);
    }
    if steering.denies(&livepatch.sha256) {
        return Choice::Skip(Skip::Withdrawn, "the upstream withdrew it".to_owned());
    }
    let tier = &upstream.selection.tier;
    if !livepatch.tiers.contains(tier) {
        return Choice::Skip(
            Skip::OtherTier,
            format!("it is not promoted to the upstream's tier {tier} yet"),
        );
    }
    if let Some(schedule) = &livepatch.schedule {
        let why = format!(
            "the upstream's rollout {} is under way; it is taken when that is through",
            schedule.release
        );
        return Choice::Skip(Skip::RollingOut, why);
    }
    let Some(origin) = endorser(origins, livepatch) else {
        let why =
            "no pinned site published it as it stands at the upstream: it was altered, or is of another site";
        return Choice::Skip(Skip::NotEndorsed, why.to_owned());
    };
    match ours.iter().find(|own| own.manifest.name == livepatch.manifest.name) {
        None => Choice::Take(origin.id.clone()),
        Some(own) if (&own.manifest, &own.sha256) != (&livepatch.manifest, &livepatch.sha256) => {
            Choice::Skip(Skip::NameTaken, "another livepatch of that name is here".to_owned())
        }
        Some(own) if own.origin.is_some() && own.endorsement != livepatch.endorsement => {
            Choice::Renew(origin.id.clone())
        }
        Some(_) => Choice::Present,
    }
}

fn not_selected(livepatch: &Published, upstream: &Upstream) -> Option<String> {
    let (kernel, selection) = (&livepatch.manifest.kernel, &upstream.selection);
    let asked = [
        ("series", kernel.release.series(), &selection.series),
        ("flavour", kernel.release.flavour(), &selection.flavours),
        ("architecture", kernel.arch.as_str(), &selection.architectures),
    ];
    let wrong =
        asked.into_iter().find(|(_, has, wanted)| !wanted.is_empty() && !wanted.iter().any(|w| w == has));
    wrong.map(|(what, has, _)| format!("its {what} {has} is not selected"))
}

/// A skip as the report shows it.
pub(crate) fn skipped(target: &str, reason: Skip, message: String) -> SkippedLivepatch {
    SkippedLivepatch { target: target.to_owned(), reason, message }
}
