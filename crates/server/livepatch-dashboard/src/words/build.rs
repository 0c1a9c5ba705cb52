//! Words of what publishers say of builds.

use livepatch_api::BuildDocumentKind as Kind;

words! {
    BUILD_DOCUMENTS = "The build, as its publisher says";
    BUILD_DOCUMENTS_MEANING = "Handed in with the livepatch, for people to read. The repository does not sign these documents, and machines do not ask for them.";
    NO_BUILD_DOCUMENTS = "Nothing was handed in about the build. To show the report, the provenance, the boot test and the patch here, publish again with them:";
    BUILD_DOCUMENTS_COMMAND = "livepatch-admin publish out/NAME.ko --manifest out/manifest.json --tier edge --report out/report.json --provenance out/provenance.json --boot-test out/test.json --console out/test/console.log --patch fix.patch";
    WHOLE_TEXT = "As it was handed in";
    FUNCTIONS_OF_UNITS = "Functions";
    PROOF_OF_BASE = "Proof of base: the originals against the distribution's binary";
    JUDGEMENT = "Judgement";
    NOTES = "Notes";
    CHANGED = "changed";
    ADDED = "new";
    REDIRECTED = "redirected";
    REMOVED = "gone";
    WHY = "Why";
    FUNCTIONS = "Functions";
    IDENTICAL = "Identical";
    FIELDS = "Fields";
    UNCHECKED = "Not compared";
    DIFFERS = "Differs";
    NONE_DIFFERS = "none differs";
    NO_FINDINGS = "Nothing to remark.";
    ACCEPTED = "accepted by the author";
    SEVERITY = "Weight";
    SUBJECT_OF_FINDING = "About";
    MESSAGE = "What";
    ADVICE = "Advice";
    STEP = "Step";
    STEPS = "Steps";
    PASSED = "passed";
    NEW_WARNINGS = "New warnings of the kernel";
    CONSOLE = "The console";
    PATCH_LINES = "The lines";
    DEPENDENCIES = "What went in";
    DIGEST = "Digest";
    NOTHING_SAID = "It says nothing of that.";
    CUT_TEXT = "There is more; the whole is behind the link above.";
}

pub(crate) fn build_document(kind: Kind) -> &'static str {
    match kind {
        Kind::Report => "Report",
        Kind::Provenance => "Provenance",
        Kind::BootTest => "Boot test",
        Kind::Console => "Console of the boot test",
        Kind::Patch => "Patch",
    }
}

/// What ties a document to the module.
pub(crate) fn binding(kind: Kind) -> &'static str {
    match kind {
        Kind::Report | Kind::Provenance | Kind::BootTest => "It names this module by digest.",
        Kind::Console => "Nothing ties it to this module.",
        Kind::Patch => "The signed manifest names it by digest.",
    }
}

pub(crate) fn handed_in(actor: &str) -> String {
    format!("Handed in by {actor},")
}
