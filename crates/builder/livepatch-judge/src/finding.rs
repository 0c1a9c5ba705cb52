//! What a judgement consists of: findings, each with code, place, message and advice; and their acceptance.

use crate::layout::Change;
use crate::value::ValueChange;
use livepatch_diff::Refusal;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// To be looked at before the livepatch is used.
    Warn,
    /// No livepatch is made, unless the author accepts it.
    Refuse,
}

/// A rule, for whoever asks what its code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable code.
    pub code: &'static str,
    /// The most that a finding of it can weigh.
    pub severity: Severity,
    /// Whether the author may accept what it refuses.
    pub acceptable: bool,
    /// What it means.
    pub meaning: &'static str,
    /// A case of it.
    pub example: &'static str,
    /// What to do instead.
    pub advice: &'static str,
}

/// Something that the author must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The rule's code.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: a function, a variable, a type. With the code, it names the finding.
    pub subject: String,
    /// Source file, as a path within the kernel's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the patched file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// One sentence with names.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// C text to start from, such as a callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_to_use: Option<String>,
    /// What exactly becomes of a type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layout: Vec<Change>,
    /// What exactly becomes of a variable's initial value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueChange>,
    /// Whether the author may accept what it refuses.
    #[serde(skip)]
    pub acceptable: bool,
    /// The author has accepted it: it would refuse otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

impl Finding {
    /// A finding with nothing but what all have.
    pub fn new(
        rule: &Rule,
        subject: impl Into<String>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            code: rule.code,
            severity: rule.severity,
            subject: subject.into(),
            file: None,
            line: None,
            message: message.into(),
            advice: advice.into(),
            code_to_use: None,
            layout: Vec::new(),
            values: Vec::new(),
            acceptable: rule.acceptable,
            accepted: false,
        }
    }

    /// Whether it says what a refusal of the difference says, and more.
    pub fn tells(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::DataChanged { object: name, .. } | Refusal::InitCode { name, .. } => {
                self.code == refusal.code() && self.subject == *name
            }
            _ => false,
        }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, place: Option<(String, u32)>) -> Self {
        if let Some((file, line)) = place.filter(|(file, _)| !file.is_empty()) {
            self.file = Some(file);
            self.line = (line > 0).then_some(line);
        }
        self
    }

    /// The same with another weight.
    #[must_use]
    pub fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// What an author accepts: `CODE`, or `CODE:SUBJECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    code: String,
    subject: Option<String>,
}

/// Why an acceptance is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptanceError {
    /// No rule has the code, or what it refuses cannot be accepted.
    #[error("'{0}' is nothing that may be accepted; these are: {acceptable}", acceptable = acceptable_codes())]
    Code(String),
}

fn acceptable_codes() -> String {
    let codes: Vec<&str> =
        crate::rules::all().iter().filter(|rule| rule.acceptable).map(|rule| rule.code).collect();
    codes.join(", ")
}

/// As it is read.
impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{}:{subject}", self.code),
            None => f.write_str(&self.code),
        }
    }
}

impl FromStr for Acceptance {
    type Err = AcceptanceError;

    fn from_str(text: &str) -> Result<Self, AcceptanceError> {
        let (code, subject) = match text.split_once(':') {
            Some((code, subject)) => (code, Some(subject.to_owned())),
            None => (text, None),
        };
        if !crate::rules::all().iter().any(|rule| rule.code == code && rule.acceptable) {
            return Err(AcceptanceError::Code(code.to_owned()));
        }
        Ok(Self { code: code.to_owned(), subject })
    }
}

impl Acceptance {
    /// Whether it covers a finding. The subject of a type may be given without `struct`.
    pub fn covers(&self, finding: &Finding) -> bool {
        let bare = finding.subject.rsplit(' ').next().unwrap_or_default();
        self.code == finding.code
            && self.subject.as_ref().is_none_or(|subject| *subject == finding.subject || subject == bare)
    }

    /// Turns the refusals among findings that it covers into warnings.
    pub fn apply(&self, findings: &mut [Finding]) {
        for finding in findings {
            if finding.severity == Severity::Refuse && finding.acceptable && self.covers(finding) {
                finding.severity = Severity::Warn;
                finding.accepted = true;
            }
        }
    }
}
