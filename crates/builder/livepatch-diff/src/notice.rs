//! What a livepatch leaves out of a patch although nothing forbids the rest: never silently.

use serde::Serialize;

/// Something that does not come with the livepatch. The `code` is stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Notice {
    /// A new export: other units of the livepatch can use the symbol, other modules cannot.
    #[error(
        "'{symbol}' becomes exported, which a livepatch cannot do for other modules; its own units can use it"
    )]
    ExportAdded {
        /// The symbol.
        symbol: String,
    },
    /// An export that the patch takes away.
    #[error("'{symbol}' stays exported, since a livepatch takes no export away")]
    ExportRemoved {
        /// The symbol.
        symbol: String,
    },
    /// Built-in exit code, which no kernel ever runs.
    #[error("'{function}' changes, but built-in exit code never runs")]
    NeverRuns {
        /// The function.
        function: String,
    },
    /// The author says that the change does not matter.
    #[error("the change of '{name}' is passed over, as the patch says")]
    PassedOver {
        /// Function or section.
        name: String,
    },
    /// A function without a trace site is replaced through its callers.
    #[error("'{function}' cannot be traced, so its callers are redirected instead: {callers}")]
    ThroughCallers {
        /// The function.
        function: String,
        /// The redirected callers, as a sentence has them.
        callers: String,
    },
}

impl Notice {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ExportAdded { .. } => "export-added",
            Self::ExportRemoved { .. } => "export-removed",
            Self::NeverRuns { .. } => "never-runs",
            Self::PassedOver { .. } => "passed-over",
            Self::ThroughCallers { .. } => "through-callers",
        }
    }

    /// The symbol or section that it is about.
    pub fn subject(&self) -> &str {
        match self {
            Self::ExportAdded { symbol } | Self::ExportRemoved { symbol } => symbol,
            Self::NeverRuns { function } | Self::ThroughCallers { function, .. } => function,
            Self::PassedOver { name } => name,
        }
    }
}
