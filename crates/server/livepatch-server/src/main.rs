//! `livepatch-server`: the program.

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use livepatch_bucket::{Bucket, Keys};
use livepatch_server::{Mailbox, OpenIdSettings, Rates, RoleRule, Server, Settings, Tiers, TlsFiles};
use livepatch_trust::Lifetimes;
use std::{
    io::Write as _,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Serves livepatches to machines: enrolment, check-ins, and the signed repository.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 stopped by a signal, 1 failed, 2 usage.\n\
    The log goes to standard error; LIVEPATCH_LOG sets its level, such as 'debug'."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. Prints 'listening on URL' when it is ready, and 'metrics on URL' when they have an address of their own.
    Serve(Box<Serve>),
    /// Write the data directory's state into a file, also while the server runs. It holds every key: keep it as you keep them.
    /// A PostgreSQL database and a bucket have their own means and are not in it.
    Backup {
        /// The server's data directory.
        #[arg(long, value_name = "DIR", env = "LIVEPATCH_DATA")]
        data: PathBuf,
        /// The file, a tar archive; it must not exist.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Make a data directory from a backup.
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The data directory; it must be empty or absent.
        #[arg(long, value_name = "DIR", env = "LIVEPATCH_DATA")]
        data: PathBuf,
    },
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
    /// Print the API as a document, OpenAPI 3.1; the server has it at /v1/openapi.json.
    Openapi,
}

#[derive(clap::Args)]
struct Serve {
    /// Directory for database, repository and keys; made at the first start. Back it up.
    #[arg(long, value_name = "DIR", env = "LIVEPATCH_DATA")]
    data: PathBuf,
    /// Address to listen on; port 0 takes a free one. A socket that systemd hands over is taken instead.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", env = "LIVEPATCH_LISTEN")]
    listen: SocketAddr,
    /// Speak TLS on that address with this certificate (PEM, those between it and an authority below it). Renewed files are taken
    /// within half a minute, or at once on SIGHUP.
    #[arg(long, value_name = "FILE", env = "LIVEPATCH_TLS_CERTIFICATE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", env = "LIVEPATCH_TLS_KEY", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Serve /metrics at this address only, with /healthz and /readyz beside it; everything else stays at --listen.
    #[arg(long, value_name = "ADDRESS", env = "LIVEPATCH_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Tiers, first to get a livepatch first, until they are changed with livepatch-admin tier.
    #[arg(long, value_name = "NAMES", default_value = "edge,beta,candidate,stable", env = "LIVEPATCH_TIERS")]
    tiers: Tiers,
    /// Tiers that nothing comes to by one person's word: one approves a livepatch (livepatch-admin approval), another takes it there.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "LIVEPATCH_TWO_PEOPLE_FOR")]
    two_people_for: Vec<String>,
    /// How often to look whether metadata must be signed again, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    refresh_every: u64,
    /// How often to look at running rollouts, in seconds; trouble is looked at as it is reported.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    look_every: u64,
    /// How many machines may wait to be told of news at once; the others look every hour. 0 tells nobody.
    #[arg(long, value_name = "NUMBER", default_value_t = 4000, env = "LIVEPATCH_MOST_WAITING")]
    most_waiting: u32,
    /// Keep tokens, machines and reports in this PostgreSQL database, such as postgres://USER@HOST/NAME, and not in a
    /// file of the data directory.
    #[arg(long, value_name = "URL", env = "LIVEPATCH_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Keep repository and trust anchors in this bucket of an S3-compatible object store, https://HOST/BUCKET[/PREFIX]
    /// [?region=REGION], and not in the data directory. Keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.
    #[arg(long, value_name = "URL", env = "LIVEPATCH_OBJECTS")]
    objects: Option<url::Url>,
    /// Requests a second that whoever shows one secret may make; 0: any number.
    #[arg(long, value_name = "N", default_value_t = 50, env = "LIVEPATCH_RATE_PER_TOKEN")]
    rate_per_token: u32,
    /// Requests a second that one address may make; 0: any number.
    #[arg(long, value_name = "N", default_value_t = 500, env = "LIVEPATCH_RATE_PER_ADDRESS")]
    rate_per_address: u32,
    /// Requests a second with a wrong secret that one address may make; 0: any number.
    #[arg(long, value_name = "N", default_value_t = 2, env = "LIVEPATCH_GUESSES_PER_ADDRESS")]
    guesses_per_address: u32,
    /// A proxy stands in front and says in X-Forwarded-For who asks. Without one, everybody could say so.
    #[arg(long, env = "LIVEPATCH_BEHIND_PROXY")]
    behind_proxy: bool,
    /// The URL that people and scanners reach the server by, for links in notices and feeds.
    #[arg(long, value_name = "URL", env = "LIVEPATCH_PUBLIC_URL")]
    public_url: Option<String>,
    /// Send notices through this mail server, such as smtp://localhost or smtps://USER:PASSWORD@HOST.
    #[arg(long, value_name = "URL", env = "LIVEPATCH_SMTP", hide_env_values = true, requires = "mail_from")]
    smtp: Option<String>,
    /// Who the mails are from, such as 'Livepatch notices <notices@example.org>'.
    #[arg(long, value_name = "ADDRESS", env = "LIVEPATCH_MAIL_FROM")]
    mail_from: Option<Mailbox>,
    /// How long a message that a web-hook does not take waits the first time, in seconds; twice as long the next time, and so on.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=14_400))]
    hook_retry_after: u32,
    /// How long a mail that the mail server defers waits the first time, in seconds; twice as long the next time, and so on.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=14_400))]
    mail_retry_after: u32,
    #[command(flatten)]
    openid: OpenId,
}

/// Sign-in to the dashboard at an OpenID provider. It sends browsers back to PUBLIC_URL/dashboard/login/openid/back.
#[derive(clap::Args)]
struct OpenId {
    /// Let people sign in to the dashboard at this OpenID provider, such as https://id.example.org.
    #[arg(
        long,
        value_name = "URL",
        env = "LIVEPATCH_OIDC_ISSUER",
        requires = "oidc_client_id",
        requires = "oidc_role"
    )]
    oidc_issuer: Option<String>,
    /// What the provider knows this server by.
    #[arg(long, value_name = "ID", env = "LIVEPATCH_OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// File with the secret that the provider gave to this server.
    #[arg(long, value_name = "FILE", env = "LIVEPATCH_OIDC_CLIENT_SECRET_FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// Scopes to ask for, beside openid.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "profile,email")]
    oidc_scopes: Vec<String>,
    /// The claim with a person's name for the audit log: one that people cannot change themselves.
    #[arg(long, value_name = "CLAIM", default_value = "preferred_username")]
    oidc_name_claim: String,
    /// The claim that roles follow from: a text or a list.
    #[arg(long, value_name = "CLAIM", default_value = "groups")]
    oidc_roles_claim: String,
    /// A value of that claim and its role, such as kernel-team=operator; can be given again and again. Who has none does not
    /// get in.
    #[arg(long, value_name = "GROUP=ROLE", env = "LIVEPATCH_OIDC_ROLES", value_delimiter = ',')]
    oidc_role: Vec<RoleRule>,
}

impl OpenId {
    fn settings(self) -> Option<OpenIdSettings> {
        Some(OpenIdSettings {
            issuer: self.oidc_issuer?,
            client_id: self.oidc_client_id?,
            client_secret_file: self.oidc_client_secret_file,
            scopes: self.oidc_scopes,
            name_claim: self.oidc_name_claim,
            roles_claim: self.oidc_roles_claim,
            roles: self.oidc_role,
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = std::env::var("LIVEPATCH_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| {
        Targets::new().with_default(tracing::Level::INFO).with_target("tough", tracing::Level::WARN)
    });
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(log).with(filter).init();
    let outcome = match arguments.command {
        Command::Serve(serve) => run(*serve),
        Command::Backup { data, file } => back_up(&data, &file),
        Command::Restore { file, data } => livepatch_server::restore(&file, &data)
            .map(|count| tracing::info!(count, data = %data.display(), "restored"))
            .map_err(anyhow::Error::from),
        Command::Completions { shell } => completions(shell),
        Command::ManPages { directory } => man_pages(&directory),
        Command::Openapi => print(livepatch_server::openapi()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Serve) -> anyhow::Result<()> {
    let settings = Settings {
        data: arguments.data,
        listen: arguments.listen,
        tls: arguments
            .tls_certificate
            .zip(arguments.tls_key)
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        metrics_listen: arguments.metrics_listen,
        tiers: arguments.tiers,
        two_people_for: arguments.two_people_for,
        rates: Rates {
            per_token: NonZeroU32::new(arguments.rate_per_token),
            per_address: NonZeroU32::new(arguments.rate_per_address),
            guesses: NonZeroU32::new(arguments.guesses_per_address),
            behind_proxy: arguments.behind_proxy,
        },
        lifetimes: Lifetimes::default(),
        refresh_every: Duration::from_secs(arguments.refresh_every),
        look_every: Duration::from_secs(arguments.look_every),
        most_waiting: arguments.most_waiting,
        database: arguments.database,
        objects: arguments.objects.map(|url| Bucket::at(&url, Keys::from_environment()?)).transpose()?,
        public_url: arguments.public_url,
        smtp: arguments.smtp,
        mail_from: arguments.mail_from,
        hook_retry: Duration::from_secs(arguments.hook_retry_after.into()),
        mail_retry: Duration::from_secs(arguments.mail_retry_after.into()),
        openid: arguments.openid.settings(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = Server::start(settings).await?;
        announce(&server)?;
        let stop = async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("stopping");
        };
        Ok(server.run(stop).await?)
    })
}

fn back_up(data: &Path, file: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let count = runtime.block_on(livepatch_server::backup(data, file))?;
    tracing::info!(count, file = %file.display(), "backed up");
    Ok(())
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "livepatch-server", &mut script);
    std::io::stdout().write_all(&script).context("cannot write to standard output")
}

/// `livepatch-server.1` and one page for each subcommand.
fn man_pages(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command().name("livepatch-server"), directory))
        .with_context(|| format!("cannot write man pages into {}", directory.display()))
}

fn announce(server: &Server) -> anyhow::Result<()> {
    let metrics = server.metrics_address().map(|address| format!("metrics on http://{address}\n"));
    // At once: whoever reads one line may not wait for another.
    print(&format!("listening on {}\n{}", server.url(), metrics.unwrap_or_default()))
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
