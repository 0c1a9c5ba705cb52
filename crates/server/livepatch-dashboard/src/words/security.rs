//! Words of the pages about vulnerabilities and notices.

use crate::Tone;
use jiff::civil::Date;
use livepatch_api::NoticeState;

words! {
    CVES = "CVEs";
    NOTICES = "Notices";

    // Vulnerabilities.
    MACHINE_VERDICTS = "Vulnerabilities of its kernel";
    MENDED = "mended here";
    OPEN = "open";
    CVE = "CVE";
    TITLE = "Title";
    PRIORITY = "Priority";
    FILTER_CVE = "CVE or words of its title";
    ONLY = "Only";
    WANTED = "to be livepatched";
    EXPLOITED = "used in attacks";
    UNRATED = "not rated";
    DECIDED = "decided here";
    BY_FEED = "as a feed says";
    REJECTED = "rejected";
    POLICY = "Policy";
    NOT_WANTED = "not livepatched";
    NO_CVES = "Nothing is known of any vulnerability yet. Take in a feed, such as the kernel's changelog:";
    IMPORT_COMMAND = "livepatch-admin cve import --source changelog --family debian/bookworm/linux changelog";
    NO_CVE_FOUND = "No vulnerability is like that;";
    SHOW_ALL_CVES = "show all";
    REASON_OF_RATING = "Why";
    DECIDED_BY = "Decided by";
    PROPOSAL = "Proposal";
    DESCRIPTION = "Description";
    CONTESTED = "Sources differ about";
    VERDICTS = "Verdict for each kernel";
    NO_VERDICT = "No kernel of the catalogue is known to be concerned.";
    FAMILY = "Kernel family";
    FROM_BUILD = "From build";
    TO_BUILD = "To build";
    VERDICT = "Verdict";
    SAYS_WHO = "Who says so";
    KIND = "Kind";
    DOCUMENT = "Document";
    RATE = "Decide the priority";
    PRIORITY_MEANINGS = "What the priorities mean";
    RATE_BUTTON = "Decide it";
    RATE_REASON = "Reason";
    RATE_REASON_HINT = "Why this one and no other; it stands beside the priority.";
    REFUSE = "Say that it cannot be livepatched";
    REFUSE_MEANING = "Readers of notices are told, and machines warn that an update and a reboot are necessary once the verdicts are published.";
    REFUSE_CODE = "The builder's reason code";
    REFUSE_REASON = "Why, in words";
    MITIGATION = "What helps until the update";
    REFUSE_BUTTON = "Say so";
    BEGIN_NOTICE_ABOUT = "Begin a notice about it";

    // For readers.
    NOT_LIVEPATCHABLE = "Not livepatchable";
    NOT_LIVEPATCHABLE_MEANING = "Vulnerabilities that no livepatch can mend in a kernel: there an update and a reboot are necessary. Also as";
    NOTHING_REFUSED = "There is none.";
    CODE = "Code";
    CLOCK = "Clock";
    CLOCK_MEANING = "How long it took from the day on which a vulnerability became public until its mitigation, its livepatch, and the protection of the machines that need it. Newest first.";
    NO_CLOCKS = "No clock runs yet: no livepatch and no mitigation is out, and no known vulnerability that shall be livepatched concerns a machine.";
    CLOCK_PICTURE = "Time from the news to protection";
    CLOCK_CAPTION = "Both scales widen what is short; the table below has the same figures, all of them from the news on.";
    FROM_NEWS = "From the news to the livepatch";
    FROM_LIVEPATCH = "From the livepatch to the machines";
    PUBLIC = "Public";
    TO_MITIGATION = "Mitigation";
    TO_LIVEPATCH = "Livepatch";
    TO_FIRST_MACHINE = "First machine";
    TO_HALF = "50 %";
    TO_MOST = "95 %";
    TO_NEARLY_ALL = "99 %";
    PROTECTED_SHARE = "Protected, %";
    BEFORE_NEWS = "before the news";
    ALL_CLOCKS = "All clocks";
    KERNELS = "Kernels";
    KERNELS_MEANING = "Kernels that get livepatches, each build until its last day.";
    TIME_LINE = "Series, what ends soon first";
    TIME_LINE_CAPTION = "A bar for each build, from its release to its last day. The line is today.";
    BUILDS_OF_KERNELS = "Builds, newest first";
    NO_BUILDS = "The kernel catalogue names no build yet, so no day is known.";
    TRACK = "Track";
    GA = "GA";
    HWE = "HWE";
    WINDOW = "Window";
    WITHOUT_END = "without a bound";
    AS_CALENDAR = "As a calendar";
    NO_KERNELS = "The kernel catalogue names no build.";
    DISTRIBUTION = "Distribution";
    SERIES = "Series";
    ARCHITECTURE = "Architecture";
    FLAVOURS = "Flavours";
    BUILD = "Build";
    RELEASED = "Released";

    // Notices.
    NUMBER = "Number";
    AUTHOR = "Written by";
    REVIEWER = "Reviewed by";
    PUBLISHED_AT = "Published";
    NO_NOTICES = "No notice was begun yet. One is drafted from what is known of its vulnerabilities.";
    NEW_NOTICE = "Begin a notice";
    NOTICE_CVES = "CVEs";
    NOTICE_CVES_HINT = "One or several, with blanks between. All of them livepatched, or all of them refused.";
    BEGIN_NOTICE = "Draft it";
    VIEWER_NOTICES = "To write notices, sign in with the key of an operator.";
    PROBLEM = "To be mended before it can be published:";
    ALERT = "no livepatch";
    FOR_READERS = "For readers";
    EDIT = "Text";
    SUMMARY_HINT = "What happened, in a sentence or two.";
    DETAIL_HINT = "For readers who are no kernel developers.";
    REFERENCES = "References";
    REFERENCES_HINT = "One address a line.";
    ALERT_REASON = "Why there is no livepatch";
    SAVE = "Save";
    SAVE_HINT = "A text that was reviewed must be reviewed again.";
    KERNELS_FROM_RECORDS = "Kernels, versions and instructions come from the verdicts. As a whole, the notice is edited with:";
    PREVIEW = "Preview";
    PREVIEW_CHANNELS = "Channels";
    REVIEW = "Review";
    REVIEW_MEANING = "Somebody else than its author says that it is right as it is.";
    REVIEW_BUTTON = "It is right as it is";
    REVIEW_OWN = "You wrote it last: somebody else must review it.";
    PUBLISH_NOTICE = "Publish";
    PUBLISH_MEANING = "It goes out on every channel, and never changes again; what is wrong then is corrected by a revision.";
    PUBLISH_BUTTON = "Publish it";
    PUBLISH_ROLE = "A releaser publishes it.";
    REVISE = "Correct it by a revision";
    REVISE_NOTE = "What the revision changes";
    REVISE_HINT = "Readers see it.";
    REVISE_BUTTON = "Begin the revision";
    MAILS = "Mails";
    NO_MAILS = "Nobody is on the mailing list, or no mail server is set.";
    ADDRESS = "Address";
    ATTEMPTS = "Attempts";
    ANSWER = "Last answer";
    SUBJECT = "Subject";
    PUBLISHER = "Livepatch service";
    NOTICE_FEED = "Livepatch Security Notices";
}

/// The parts of a line of the clock, by colour.
pub(crate) const COURSE_PARTS: [(&str, &str); 4] = [
    ("quiet", "until the livepatch"),
    ("good", "until half of the machines had it"),
    ("warn", "until 95 %"),
    ("bad", "until 99 %"),
];

/// A priority's colour.
pub(crate) fn priority_tone(priority: &str) -> Tone {
    match priority {
        "critical" | "high" => Tone::Bad,
        "medium" => Tone::Warn,
        _ => Tone::Quiet,
    }
}

/// How a verdict fares, by its word in verdict files.
pub(crate) fn verdict_tone(kind: &str) -> Tone {
    match kind {
        "not-affected" | "fixed-in-build" | "livepatched" => Tone::Good,
        "cannot-be-livepatched" => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// How far a notice is.
pub(crate) fn notice_state(state: NoticeState) -> (&'static str, Tone) {
    match state {
        NoticeState::Draft => ("draft", Tone::Warn),
        NoticeState::Reviewed => ("reviewed", Tone::Quiet),
        NoticeState::Published => ("published", Tone::Good),
    }
}

/// `6.1.192-1, 2026-11-14 to 2027-12-14`.
pub(crate) fn build_span(version: &str, first: Date, last: Option<Date>) -> String {
    match last {
        Some(last) => format!("{version}, {first} to {last}"),
        None => format!("{version}, from {first}"),
    }
}

pub(crate) fn months_of_build(months: u8) -> String {
    format!("{months} months for each build")
}

pub(crate) fn text_of(cve: &str) -> String {
    format!("What {cve} is")
}

pub(crate) fn cves(count: usize) -> String {
    if count == 1 {
        "1 vulnerability".to_owned()
    } else {
        format!("{} vulnerabilities", super::number(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}
