//! Whether the kernel is well with a new livepatch: what its log and its taint mask say since the livepatch came. Pure.

use crate::records::{Intent, Phase};
use livepatch_host::{Incident, IncidentKind};
use livepatch_kernel::Taint;

/// What the kernel said since the livepatch at hand was handed to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelWords<'a> {
    /// Complaints of its log, oldest first.
    pub incidents: &'a [Incident],
    /// Whether the log can be read. Else the taint mask alone has to do, which does not say who caused it.
    pub log_is_read: bool,
}

/// The reason to take the livepatch back, a sentence's end; `None` while all is well.
///
/// While it is new, anything that a function of the livepatch has a part in counts, and any severe complaint, since a
/// livepatch may do its harm elsewhere. Once it is confirmed only a severe complaint that names it counts. A warning that names
/// other functions is not its fault.
pub(crate) fn trouble(words: KernelWords<'_>, taint: Taint, intent: &Intent) -> Option<String> {
    let confirmed = intent.phase == Phase::Confirmed;
    let counts = |incident: &&Incident| match incident.blame(&intent.manifest.name) {
        Some(_) => !confirmed || incident.kind.is_severe(),
        None => !confirmed && incident.kind.is_severe(),
    };
    let worst = words.incidents.iter().filter(counts);
    // What names the livepatch says more than what does not, and what is worse says more than what is not.
    let worst = worst.max_by_key(|incident| (incident.blame(&intent.manifest.name).is_some(), incident.kind));
    match worst {
        Some(incident) => Some(describe(incident, &intent.manifest.name)),
        None if confirmed => None,
        None => new_taint(words, taint.since(intent.taint_before)),
    }
}

/// A complaint in a sentence's end, with the livepatch's part in it.
pub(crate) fn describe(incident: &Incident, module: &str) -> String {
    let Incident { kind, headline, .. } = incident;
    match incident.blame(module) {
        Some(blame) => format!("{kind} {blame}: {headline}"),
        None => format!("{kind}, in which no function of the livepatch is named: {headline}"),
    }
}

/// Bits of the mask that tell of trouble, when the log does not say more: it may have been overwritten.
fn new_taint(words: KernelWords<'_>, new: Taint) -> Option<String> {
    let warned_by_others =
        words.log_is_read && words.incidents.iter().any(|incident| incident.kind == IncidentKind::Warning);
    let counts = |bit: u8| match bit {
        Taint::DIED | Taint::LOCKUP => true,
        Taint::WARNED => !warned_by_others,
        _ => false,
    };
    let letters: String = new.flags().filter(|flag| counts(flag.bit)).map(|flag| flag.letter).collect();
    (!letters.is_empty()).then(|| format!("taint {letters}"))
}
