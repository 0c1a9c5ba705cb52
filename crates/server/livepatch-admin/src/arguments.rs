//! The command line.

use crate::approval::ApprovalCommand;
use crate::hook::HookCommand;
use crate::notice::{NoticeCommand, SubscriberCommand};
use crate::old_verbs::{AuthToken, PatchCommand, ReportCommand, StorageCommand, SyncTokensCommand};
use crate::period::Period;
use crate::profile::ProfileCommand;
pub(crate) use crate::rollout::arguments::{RolloutCommand, Simulate};
use crate::status::ServerCommand;
use crate::tier::{BlockCommand, TierCommand};
use crate::upstream::{BundleCommand, TrustAnchor, UpstreamCommand};
use crate::user::UserCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use livepatch_api::{BuildDocumentKind, Role};
use std::path::PathBuf;
use url::Url;

/// Steers a livepatch server: tokens, certificates, publishing, machines.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 0 done, 1 failed, 2 usage.\n\n\
    First steps:\n  \
    livepatch-admin certificate add cert.pem\n  \
    livepatch-admin token create --tier edge\n  \
    livepatch-admin publish out/NAME.ko --manifest out/manifest.json --tier edge\n\n\
    Several servers, in ~/.config/livepatch/admin.toml, each with a name for --profile:\n  \
    [profiles.lab]\n  \
    server = \"https://livepatch.lab.example.org\"\n  \
    key-file = \"lab.key\""
)]
pub(crate) struct Arguments {
    /// The server's URL; http://127.0.0.1:8080, or that of the default profile, when nothing says so.
    #[arg(long, value_name = "URL", env = "LIVEPATCH_SERVER", global = true)]
    pub(crate) server: Option<Url>,
    /// File with the operator's key: admin.key of the server's data directory.
    #[arg(long, value_name = "FILE", env = "LIVEPATCH_ADMIN_KEY", global = true)]
    pub(crate) key_file: Option<PathBuf>,
    /// The server and the key file of this profile, from ~/.config/livepatch/admin.toml. Stands before the verb: behind
    /// 'rollout begin', --profile says how carefully.
    #[arg(long, value_name = "NAME", env = "LIVEPATCH_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) format: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: the API's own documents.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Certificates whose keys may sign modules.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Enrolment tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Publish a signed module to a tier and those before it.
    Publish(Publish),
    /// Make a published livepatch, or all that a tier has, available to another tier and those before it.
    Promote(Promote),
    /// Tiers: who gets a livepatch first.
    #[command(subcommand)]
    Tier(TierCommand),
    /// Web-hooks: programs that are told what happened.
    #[command(subcommand)]
    Hook(HookCommand),
    /// Approvals: one of the two people that some tiers want.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Blocks: what is kept from machines for a while.
    #[command(subcommand, visible_alias = "blocklist")]
    Block(BlockCommand),
    /// Published livepatches.
    #[command(subcommand)]
    Livepatch(LivepatchCommand),
    /// API keys: who may do what.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Users: people who sign in at the dashboard with a password.
    #[command(subcommand)]
    User(UserCommand),
    /// The web pages.
    #[command(subcommand)]
    Dashboard(DashboardCommand),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Rollouts: a release through the fleet, wave by wave.
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Sites whose livepatches this server passes on.
    #[command(subcommand, visible_alias = "sync")]
    Upstream(UpstreamCommand),
    /// The server's state in a file, for where no network goes.
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Print the digest of the trust anchor: what downstream servers pin.
    TrustAnchor(TrustAnchor),
    /// Machines.
    #[command(subcommand)]
    Machine(MachineCommand),
    /// Vulnerabilities: what is known, how they are rated, which cannot be livepatched.
    #[command(subcommand)]
    Cve(CveCommand),
    /// Verdicts: what holds for each vulnerability and kernel build, signed for every machine.
    #[command(subcommand)]
    Verdicts(VerdictsCommand),
    /// Mitigations: what makes vulnerabilities harmless until they are mended.
    #[command(subcommand)]
    Mitigation(MitigationCommand),
    /// Security notices: draft, review, publish.
    #[command(subcommand)]
    Notice(NoticeCommand),
    /// Who gets notices by mail.
    #[command(subcommand)]
    Subscriber(SubscriberCommand),
    /// The server itself: how it is, what it counts, its API.
    #[command(subcommand)]
    Server(ServerCommand),
    /// Named servers, for --profile.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// As of the Canonical Livepatch admin tool: whether the key is taken.
    #[command(hide = true)]
    Login {
        /// Taken, and without meaning.
        #[arg(short, long)]
        auth: Option<String>,
    },
    /// As of the Canonical Livepatch admin tool: `token create`.
    #[command(hide = true)]
    AuthToken(AuthToken),
    /// As of the Canonical Livepatch admin tool: `promote`, `livepatch list`.
    #[command(subcommand, hide = true)]
    Patch(PatchCommand),
    /// As of the Canonical Livepatch admin tool: `livepatch list`.
    #[command(subcommand, hide = true)]
    Storage(StorageCommand),
    /// As of the Canonical Livepatch admin tool: `machine list`.
    #[command(subcommand, hide = true)]
    Report(ReportCommand),
    /// As of the Canonical Livepatch admin tool: what a downstream server needs.
    #[command(subcommand, hide = true)]
    SyncTokens(SyncTokensCommand),
    /// Print a completion script.
    Completions {
        /// The shell to print it for.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory.
    #[command(hide = true)]
    ManPages {
        /// The directory; made when it is not there.
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Let machines that enrol from now on accept modules signed with this certificate's key.
    Add {
        /// The certificate, PEM.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is shown this once. It pins the keys that machines will trust.
    Create(TokenCreate),
    /// Show the tokens, without their secrets.
    List,
    /// Take a token back: no machine enrols with it any more; those that did stay.
    Revoke {
        /// The token's id.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an API key; it is shown this once.
    Create {
        /// Who or what holds it; stands in the audit log.
        #[arg(value_name = "NAME")]
        name: String,
        /// viewer, operator, releaser or admin.
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// When it expires, such as 30d; never by default.
        #[arg(long, value_name = "PERIOD")]
        expires: Option<Period>,
    },
    /// Show the API keys, without their secrets.
    List,
    /// Take an API key back, at once.
    Revoke {
        /// The key's id.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DashboardCommand {
    /// Print an address that signs in at the dashboard once, within ten minutes, with the role of this key.
    Login,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show who did what, oldest first.
    List,
    /// Check that nothing was altered or taken out. Prints the newest entry's hash: keep it elsewhere, and later logs
    /// can be held against it.
    Verify {
        /// The hash that an earlier check printed: the log must still hold it.
        #[arg(long, value_name = "HASH")]
        since: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// Machines that enrol with it get this tier.
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: String,
    /// How many machines may use it; any number by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: Option<u32>,
    /// When it expires, such as 45m, 12h, 30d or 8w; never by default.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) expires: Option<Period>,
    /// A note for the list.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// A word that machines which enrol with it carry, for blocks and searches; may be given again.
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The signed module, as livepatch-build sign left it.
    #[arg(value_name = "MODULE")]
    pub(crate) module: PathBuf,
    /// Its manifest.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// The last tier to publish to.
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: String,
    /// The builder's report.json, for people to read on the livepatch's page.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Its provenance.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
    /// The boot test's test.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) boot_test: Option<PathBuf>,
    /// The boot test's console.
    #[arg(long, value_name = "FILE")]
    pub(crate) console: Option<PathBuf>,
    /// The patch; of several, each in the order in which the build took them.
    #[arg(long, value_name = "FILE")]
    pub(crate) patch: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// Name of the livepatch.
    #[arg(value_name = "NAME", required_unless_present = "all_from")]
    pub(crate) name: Option<String>,
    /// Promote everything that this tier has.
    #[arg(long, value_name = "TIER", conflicts_with = "name")]
    pub(crate) all_from: Option<String>,
    /// The last tier that it shall be available to.
    #[arg(long, value_name = "TIER")]
    pub(crate) to: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LivepatchCommand {
    /// Show what is published, and where.
    #[command(visible_alias = "patches")]
    List,
    /// Show what was handed in about the build that a livepatch came from.
    Documents {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Print a document of the build that a livepatch came from, as it was handed in.
    Document {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// report, provenance, boot-test, console or patch.
        #[arg(value_name = "KIND")]
        kind: BuildDocumentKind,
    },
    /// Take a livepatch back for good: no machine loads it any more, here and downstream.
    Withdraw {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// Why; stands in the audit log.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MachineCommand {
    /// Show the machines and their state.
    List,
    /// Show a machine and what it reported.
    Show {
        /// The machine's id.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Take a machine's credential back: it is not heard any more until it enrols again. What it applied stays.
    Revoke {
        /// The machine's id.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CveCommand {
    /// Take documents in; those that are as before cost nothing, a fault costs only itself.
    Import(CveImportArguments),
    /// Show the known vulnerabilities.
    List {
        /// Only those that are livepatched by the policy.
        #[arg(long)]
        livepatched: bool,
    },
    /// Show all about one, with who says so and the verdict for each kernel.
    Show {
        /// Such as CVE-2026-1234.
        #[arg(value_name = "CVE")]
        cve: String,
    },
    /// Decide a priority; it goes before what any document says.
    Rate {
        /// Such as CVE-2026-1234.
        #[arg(value_name = "CVE")]
        cve: String,
        /// negligible, low, medium, high or critical.
        #[arg(long, value_name = "PRIORITY")]
        priority: String,
        /// Why this one and no other.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Say that one cannot be livepatched in a family of kernels: machines are told to update and reboot.
    Refuse {
        /// Such as CVE-2026-1234.
        #[arg(value_name = "CVE")]
        cve: String,
        /// Distribution, release and source package, such as debian/bookworm/linux.
        #[arg(long, value_name = "FAMILY")]
        family: String,
        /// The builder's reason code, such as changed-data.
        #[arg(long, value_name = "CODE")]
        code: String,
        /// Why, for people.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// What helps until the update.
        #[arg(long, value_name = "TEXT")]
        mitigation: Option<String>,
    },
    /// Show everything that cannot be livepatched.
    Refused,
    /// Show how long it took from the news of each until machines were protected.
    Clock,
}

#[derive(Debug, Args)]
pub(crate) struct CveImportArguments {
    /// ubuntu-tracker, changelog, osv, cve-record, kev or epss.
    #[arg(long, value_name = "KIND")]
    pub(crate) source: String,
    /// Of a changelog: distribution, release and source package, such as debian/bookworm/linux.
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: Option<String>,
    /// The files are feeds of many records (JSON lines, an array, or records one after the other); for cve-record and osv.
    #[arg(long)]
    pub(crate) records: bool,
    /// Files, or folders of files.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerdictsCommand {
    /// Sign the verdicts of now, a document for each kernel family of the catalogue.
    Publish {
        /// The kernel catalogue to publish with them; the one that was published last by default.
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MitigationCommand {
    /// Issue one: machines show it, and carry it out when their owners agree. One of the same name is replaced.
    Issue(MitigationIssue),
    /// Take one back: machines end it.
    Retire {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show those that are issued.
    List {
        /// As everybody reads them, without who issued them.
        #[arg(long)]
        public: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct MitigationIssue {
    /// Its name: small letters, digits and hyphens.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A vulnerability that it makes harmless.
    #[arg(long = "cve", value_name = "CVE", required = true)]
    pub(crate) cves: Vec<String>,
    /// A kernel family that it is for, such as debian/bookworm/linux.
    #[arg(long = "family", value_name = "FAMILY", required = true)]
    pub(crate) families: Vec<String>,
    /// What it does, and what stops working meanwhile.
    #[arg(long, value_name = "TEXT")]
    pub(crate) about: String,
    /// A module that is not loaded any more, and is taken out where it is.
    #[arg(long = "deny-module", value_name = "MODULE", required_unless_present = "sysctls")]
    pub(crate) modules: Vec<String>,
    /// A sysctl and the whole numbers that it is set to.
    #[arg(long = "sysctl", value_name = "KEY=VALUE")]
    pub(crate) sysctls: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
