//! The questions that anybody may ask of the daemon beside the status.

/// A question. Its answer is the document that the command of the same name prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `livepatch check`: [`crate::Eligibility`].
    Eligibility,
    /// `livepatch history`: [`crate::History`].
    History,
    /// `livepatch cves`: [`crate::CveList`].
    Cves,
    /// `livepatch mitigation list`: [`crate::MitigationList`].
    Mitigations,
    /// `livepatch kernel-upgrade-required`: [`crate::Upgrade`].
    KernelUpgrade,
    /// `livepatch secureboot status`: [`crate::SecureBootStatus`].
    SecureBoot,
    /// The certificates that sign livepatches, in PEM: a list of texts.
    Certificates,
    /// `livepatch check-in --show`: [`crate::CheckInPreview`].
    CheckIn,
    /// `canonical-livepatch status --format json`, as Ubuntu Pro and Landscape read it.
    Canonical,
}

impl Question {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Eligibility,
        Self::History,
        Self::Cves,
        Self::Mitigations,
        Self::KernelUpgrade,
        Self::SecureBoot,
        Self::Certificates,
        Self::CheckIn,
        Self::Canonical,
    ];

    /// The method of the daemon's interface.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Eligibility => "GetEligibility",
            Self::History => "GetHistory",
            Self::Cves => "GetCves",
            Self::Mitigations => "GetMitigations",
            Self::KernelUpgrade => "GetKernelUpgrade",
            Self::SecureBoot => "GetSecureBoot",
            Self::Certificates => "GetCertificates",
            Self::CheckIn => "GetCheckIn",
            Self::Canonical => "GetCanonicalStatus",
        }
    }

    pub(crate) fn from_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|question| question.method() == method)
    }
}
