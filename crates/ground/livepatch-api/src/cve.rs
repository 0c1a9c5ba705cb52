//! Vulnerabilities: what is imported, how they are rated, which cannot be livepatched, and the verdicts that are signed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Import documents of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveImport {
    /// `ubuntu-tracker`, `changelog`, `osv`, `cve-record`, `kev` or `epss`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["ubuntu-tracker", "changelog", "osv", "cve-record", "kev", "epss"])))]
    pub source: String,
    /// Of a changelog: whose it is, such as `debian/bookworm/linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The documents.
    pub documents: Vec<CveImportDocument>,
}

/// A document to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveImportDocument {
    /// A path or an address: the next import of the same name replaces what this one said.
    pub name: String,
    /// Its text; an empty one takes back what an earlier one said.
    pub text: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveImported {
    /// Documents that were new or different.
    pub imported: u32,
    /// Documents that were as before.
    pub unchanged: u32,
    /// What could not be understood, with document and line; the rest was imported.
    pub problems: Vec<String>,
}

/// A vulnerability in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveSummary {
    /// `CVE-2026-1234`.
    pub id: String,
    /// A line about it.
    pub title: String,
    /// `negligible`, `low`, `medium`, `high`, `critical`; absent: not rated.
    pub priority: Option<String>,
    /// Whether a person of this service decided the priority.
    pub decided: bool,
    /// Whether it is livepatched, by the policy.
    pub livepatch: bool,
    /// Whether it is used in attacks.
    pub exploited: bool,
    /// Whether the identifier stands for no vulnerability.
    pub rejected: bool,
}

/// A page of vulnerabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CvePage {
    /// The vulnerabilities, in order.
    pub cves: Vec<CveSummary>,
    /// What to ask for the next page with (`after`); absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// All about a vulnerability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveDetail {
    /// As in a list.
    pub summary: CveSummary,
    /// Every field with everything that is said about it, by whom (the schema of the register's records).
    pub record: Value,
    /// The documents that say so: number in the record, kind, name.
    pub documents: Vec<(u32, String, String)>,
    /// Fields about which sources differ.
    pub contested: Vec<String>,
    /// A priority that the rules propose, with the reason.
    pub proposal: Option<CveProposal>,
    /// What holds for kernels.
    pub verdicts: Vec<CveVerdict>,
}

/// A proposed priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveProposal {
    /// The priority.
    pub priority: String,
    /// The rule.
    pub rule: String,
    /// Why.
    pub reason: String,
}

/// The verdict for some builds of a family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveVerdict {
    /// `debian/bookworm/linux`.
    pub family: String,
    /// The first of these builds: version, flavour and architecture.
    pub first: String,
    /// The last of these builds.
    pub last: String,
    /// The verdict as verdict files carry it.
    pub verdict: Value,
    /// One sentence.
    pub sentence: String,
}

/// Decide a priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveRating {
    /// The priority.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["negligible", "low", "medium", "high", "critical"])))]
    pub priority: String,
    /// Why this one and no other.
    pub reason: String,
}

/// Say that a vulnerability cannot be livepatched in a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveRefusalRequest {
    /// `debian/bookworm/linux`.
    pub family: String,
    /// The builder's reason code.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub code: String,
    /// Why, in words.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub reason: String,
    /// What helps until the update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
}

/// A vulnerability that cannot be livepatched in a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveRefusal {
    /// The vulnerability.
    pub cve: String,
    /// The family.
    pub family: String,
    /// The builder's reason code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// What helps until the update.
    pub mitigation: Option<String>,
    /// Who said so.
    pub decided_by: String,
    /// When, in seconds since 1970.
    pub decided_at: i64,
}

/// A mitigation that is issued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MitigationView {
    /// As machines read it: an item of the signed document `documents/mitigations.json`.
    pub mitigation: Value,
    /// Who issued it.
    pub issued_by: String,
    /// When, in seconds since 1970.
    pub issued_at: i64,
}

/// How long it took from the news of a vulnerability until machines were protected. Steps that were not taken yet are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CveClock {
    /// `CVE-2026-1234`.
    pub cve: String,
    /// A line about it.
    pub title: String,
    /// Its priority; absent: not rated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// When it became public; absent: no record says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// The first mitigation was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<ClockStep>,
    /// The first livepatch that mends it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub livepatch: Option<ClockStep>,
    /// The first machine was protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_machine: Option<ClockStep>,
    /// Half of the machines that need it were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines_50: Option<ClockStep>,
    /// 95 % of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines_95: Option<ClockStep>,
    /// 99 % of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines_99: Option<ClockStep>,
    /// The part of the machines that need it which is protected, in percent, rounded down; absent: none needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected_percent: Option<u8>,
}

/// A step of a clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockStep {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// How many seconds after it became public; below zero: before. Absent when that day is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// A page of clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockPage {
    /// The clocks, newest vulnerability first.
    pub clocks: Vec<CveClock>,
    /// What to ask for the next page with (`before`); absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Publish verdicts for every kernel family of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerdictRequest {
    /// The kernel catalogue to publish with them; absent: the one that was published last, or the one that the server was
    /// built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<Value>,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerdictsPublished {
    /// Each family's file.
    pub families: Vec<FamilyVerdicts>,
    /// Version of the targets metadata.
    pub targets_version: u64,
    /// False when everything was published as it is already, so that nothing was signed.
    pub changed: bool,
}

/// A family's verdict file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FamilyVerdicts {
    /// `debian/bookworm/linux`.
    pub family: String,
    /// Name of the signed document.
    pub document: String,
    /// Builds in it.
    pub builds: usize,
    /// Vulnerabilities in it.
    pub cves: usize,
    /// Its size in bytes.
    pub bytes: usize,
}
