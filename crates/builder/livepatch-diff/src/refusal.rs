//! Why a difference cannot become a livepatch, each reason with its code and advice.

use serde::Serialize;

/// A reason to refuse. The `code` is stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Refusal {
    /// The initial value of existing data changes: the running kernel's copy has been in use since boot.
    #[error("the initial value of '{object}' changes ({section}): the running kernel holds the old one")]
    DataChanged {
        /// Symbol.
        object: String,
        /// Section.
        section: String,
    },
    /// Code or data that only exists during boot or module load.
    #[error("'{name}' is only used while the kernel or module starts ({section}), which is long past")]
    InitCode {
        /// Symbol.
        name: String,
        /// Section.
        section: String,
    },
    /// The function has no trace site, so it cannot be redirected.
    #[error("'{function}' cannot be traced ({section}), {why}")]
    Untraceable {
        /// Symbol.
        function: String,
        /// Section.
        section: String,
        /// Why its callers cannot be redirected instead, and which are known: the rest of the sentence.
        why: String,
    },
    /// The function moves between sections with a meaning of their own, such as `.noinstr.text`.
    #[error("'{function}' moves from section {from} to {to}")]
    SectionMoved {
        /// Symbol.
        function: String,
        /// Original section.
        from: String,
        /// Patched section.
        to: String,
    },
    /// A section that registers something at start (parameters, exports, init calls) changes.
    #[error(
        "section {section} changes: it takes effect when the kernel or module starts, which is long past"
    )]
    SectionChanged {
        /// Section.
        section: String,
    },
    /// Several statics share a name and it cannot be told which is which.
    #[error(
        "the static variable '{object}' has namesakes, and it cannot be told which of the running kernel's it is"
    )]
    AmbiguousStatic {
        /// Symbol.
        object: String,
    },
    /// A reference into writable memory that no symbol covers.
    #[error("'{from}' refers to unnamed writable data in {section}")]
    UnnamedData {
        /// The function or object that refers to it.
        from: String,
        /// Section.
        section: String,
    },
    /// A relocation kind that this program does not know.
    #[error("'{from}' has a relocation of kind {kind}, which is not supported")]
    UnknownRelocation {
        /// The function or object that has it.
        from: String,
        /// The machine's number for it, such as `R_X86_64_*`.
        kind: u32,
    },
    /// The compiled original differs from the distribution's binary in something that is replaced.
    #[error("the original '{function}' is not the code that runs: {difference}")]
    BaseMismatch {
        /// Symbol.
        function: String,
        /// What differs first.
        difference: String,
    },
    /// The changed definition is weak, and the kernel has another in its place.
    #[error(
        "'{function}' changes in a weak definition that this kernel overrides: this body is not in the running kernel"
    )]
    WeakOverridden {
        /// Symbol.
        function: String,
    },
    /// The patch takes the address of a function that this kernel does not let be called through a pointer.
    #[error(
        "'{from}' takes the address of '{function}', which this kernel does not let be called through a pointer"
    )]
    SealedFunction {
        /// The function whose address is taken.
        function: String,
        /// The function or object that takes it.
        from: String,
    },
    /// The kernel does not contain this translation unit.
    #[error("{source_file} is not part of this kernel: {detail}")]
    NotBuilt {
        /// Source path.
        source_file: String,
        /// How that shows.
        detail: String,
    },
    /// A needed symbol is nowhere to be found.
    #[error("'{symbol}', which '{from}' refers to, is neither in the running kernel nor in the patch")]
    UnknownSymbol {
        /// The symbol.
        symbol: String,
        /// The function or object that refers to it.
        from: String,
    },
    /// The author wants a function patched while tasks run it.
    #[error("'{function}' is to be patched while tasks run it (KPATCH_FORCE_UNSAFE), which is never done")]
    ForceUnsafe {
        /// The function.
        function: String,
    },
    /// A function of a livepatch source that cannot take the place of one of the unit.
    #[error("'{function}', which is to be replaced, {why}")]
    NothingToReplace {
        /// The function.
        function: String,
        /// The rest of the sentence.
        why: String,
    },
    /// Two callbacks of a kind for the same object.
    #[error("{object} would have two {kind} callbacks: '{first}' and '{second}'")]
    CallbackTwice {
        /// `vmlinux` or the module.
        object: String,
        /// The kind, as `struct klp_callbacks` names it.
        kind: String,
        /// One function.
        first: String,
        /// The other.
        second: String,
    },
    /// A static branch whose key belongs to a module that may load later.
    #[error(
        "'{function}' has a static branch on '{key}' of module {module}, which cannot be set up before that module loads"
    )]
    StaticKeyInModule {
        /// The function with the branch.
        function: String,
        /// The key.
        key: String,
        /// The module.
        module: String,
    },
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DataChanged { .. } => "data-changed",
            Self::InitCode { .. } => "init-code",
            Self::Untraceable { .. } => "untraceable",
            Self::SectionMoved { .. } => "section-moved",
            Self::SectionChanged { .. } => "section-changed",
            Self::AmbiguousStatic { .. } => "ambiguous-static",
            Self::UnnamedData { .. } => "unnamed-data",
            Self::UnknownRelocation { .. } => "unknown-relocation",
            Self::BaseMismatch { .. } => "base-mismatch",
            Self::WeakOverridden { .. } => "weak-overridden",
            Self::SealedFunction { .. } => "sealed-function",
            Self::NotBuilt { .. } => "not-built",
            Self::UnknownSymbol { .. } => "unknown-symbol",
            Self::ForceUnsafe { .. } => "force-unsafe",
            Self::NothingToReplace { .. } => "nothing-to-replace",
            Self::CallbackTwice { .. } => "callback-twice",
            Self::StaticKeyInModule { .. } => "static-key-in-module",
        }
    }

    /// What the code means, whoever has it.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::DataChanged { .. } => {
                "the initial value of existing data changes, but the running kernel's copy has been in use since it started"
            }
            Self::InitCode { .. } => {
                "code or data changes that is only used while the kernel or a module starts, and then freed"
            }
            Self::Untraceable { .. } => {
                "a changed function has no trace site (notrace, noinstr, exit code), so calls to it cannot be redirected, and neither can all of its callers: the function is global or its address is kept somewhere"
            }
            Self::SectionMoved { .. } => {
                "a function moves to a section with rules of its own, such as .noinstr.text, which a redirected copy would not obey"
            }
            Self::SectionChanged { .. } => {
                "something that is registered at start changes: a module parameter, an export, an init call"
            }
            Self::AmbiguousStatic { .. } => {
                "a changed function uses a static variable that has namesakes, and it cannot be told which of them it is"
            }
            Self::UnnamedData { .. } => {
                "a changed function refers to writable data that has no symbol, so the running kernel's cannot be found"
            }
            Self::UnknownRelocation { .. } => {
                "the object has a relocation of a kind that the builder does not know"
            }
            Self::BaseMismatch { .. } => {
                "a function to be replaced, compiled without the patch, is not the code that the running kernel has: something of source, compiler or configuration differs"
            }
            Self::WeakOverridden { .. } => {
                "the function that changes is a weak definition, and another unit (the architecture's, usually) defines it too: this body is not in the running kernel"
            }
            Self::SealedFunction { .. } => {
                "the patch takes the address of a function whose address nobody took before; with indirect branch tracking its entry does not accept calls through a pointer, and such a call is fatal"
            }
            Self::NotBuilt { .. } => "the running kernel does not contain this translation unit",
            Self::UnknownSymbol { .. } => {
                "the patched code refers to a symbol that neither the running kernel nor the patch has"
            }
            Self::ForceUnsafe { .. } => {
                "the patch asks for a function to be replaced while tasks are in it, which breaks the consistency that livepatching rests on"
            }
            Self::NothingToReplace { .. } => {
                "a livepatch source replaces a function that its unit does not have, or has in other forms too: inlined, or as clones of the compiler's"
            }
            Self::CallbackTwice { .. } => {
                "the kernel calls one callback of each kind for an object (vmlinux or a module), and the patch has two"
            }
            Self::StaticKeyInModule { .. } => {
                "a patched function of a module has a branch of the old kind (static_key_true, static_key_false) or of a livepatch source on a key that is in a module, and branches are set up before that module is there; other static branches are made to read their key (static-key-read)"
            }
        }
    }

    /// One of each kind, for lists of all codes.
    pub fn samples() -> Vec<Self> {
        let text = String::new;
        vec![
            Self::DataChanged { object: text(), section: text() },
            Self::InitCode { name: text(), section: text() },
            Self::Untraceable { function: text(), section: text(), why: text() },
            Self::SectionMoved { function: text(), from: text(), to: text() },
            Self::SectionChanged { section: text() },
            Self::AmbiguousStatic { object: text() },
            Self::UnnamedData { from: text(), section: text() },
            Self::UnknownRelocation { from: text(), kind: 0 },
            Self::BaseMismatch { function: text(), difference: text() },
            Self::WeakOverridden { function: text() },
            Self::SealedFunction { function: text(), from: text() },
            Self::NotBuilt { source_file: text(), detail: text() },
            Self::UnknownSymbol { symbol: text(), from: text() },
            Self::ForceUnsafe { function: text() },
            Self::NothingToReplace { function: text(), why: text() },
            Self::CallbackTwice { object: text(), kind: text(), first: text(), second: text() },
            Self::StaticKeyInModule { function: text(), key: text(), module: text() },
        ]
    }

    /// What to do instead.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::DataChanged { .. } => {
                "set the member at patch time in a callback, and set it back when the patch is undone; or reboot into the fixed kernel"
            }
            Self::InitCode { .. } | Self::SectionChanged { .. } => {
                "leave this part out if the rest stands alone; else reboot into the fixed kernel"
            }
            Self::Untraceable { .. } => {
                "change its traceable callers instead; else reboot into the fixed kernel"
            }
            Self::SectionMoved { .. } => {
                "drop the section attribute if the fix allows; else reboot into the fixed kernel"
            }
            Self::AmbiguousStatic { .. } => {
                "keep the order of the statics of that name in the source, or rename the new one"
            }
            Self::UnnamedData { .. } => "give the data a name in the source",
            Self::UnknownRelocation { .. } => {
                "report this with the translation unit's name: the builder must learn it"
            }
            Self::BaseMismatch { .. } => {
                "check that compiler, source package and configuration are those of the running kernel"
            }
            Self::WeakOverridden { .. } => {
                "leave this function out: the fix does not concern this kernel; if the definition that takes its place has the fault too, mend that one"
            }
            Self::SealedFunction { .. } => {
                "have the patch point to a new function of its own that calls this one directly"
            }
            Self::NotBuilt { .. } => "nothing to do: a kernel without this file is not affected through it",
            Self::UnknownSymbol { .. } => {
                "include the part of the fix that defines it, or use what the running kernel has"
            }
            Self::ForceUnsafe { .. } => {
                "leave the macro out; when the function sleeps for ever, patch what it calls instead"
            }
            Self::NothingToReplace { .. } => {
                "name the right unit with --source FILE=UNIT, and replace the functions that the compiler left"
            }
            Self::CallbackTwice { .. } => "call both from one callback",
            Self::StaticKeyInModule { .. } => {
                "test the key with static_key_enabled() in the patch instead of branching on it"
            }
        }
    }
}
