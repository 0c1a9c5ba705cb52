//! `livepatch-admin upstream`, `bundle`, `trust-anchor`: what other sites published, over the network or in bundles.

use crate::{access, arguments::Format, output, period::Period, server::Server};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use livepatch_api::{
    AnchorView, BundleImported, Selection, SyncReport, UpstreamRequest, UpstreamSummary, paths,
};
use livepatch_manifest::Digest;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Roots and certificates, a few KiB each.
const LARGEST_ANCHOR: u64 = 4 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum UpstreamCommand {
    /// Follow a site: what it published is verified, and comes under your own tiers. Again with the same name replaces.
    Add(Box<Add>),
    /// Show the upstreams, and how their last sync went.
    #[command(visible_alias = "reports", alias = "report")]
    List,
    /// Follow an upstream no more. What came from it stays.
    Remove(Named),
    /// Show what a sync would take, and what not, and why.
    Preview(Named),
    /// Take what is new, now.
    #[command(visible_alias = "trigger")]
    Sync(Sync),
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// What the upstream is called here.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// What the upstream is called here; all of them without one.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// As of the Canonical Livepatch admin tool; a sync is always waited for.
    #[arg(long, hide = true)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
#[group(id = "keys", required = true, multiple = false)]
pub(crate) struct Keys {
    /// SHA-256 of its trust anchor, as livepatch-admin trust-anchor prints it there; needs --url.
    #[arg(long, value_name = "SHA256", requires = "url")]
    pub(crate) anchor: Option<Digest>,
    /// Its trust anchor, as livepatch-admin trust-anchor --out wrote it there.
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to call it here.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where its server is; without one, it is behind an air gap and its bundles are imported.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// The upstream's tier to follow.
    #[arg(long, value_name = "TIER", default_value = "stable")]
    pub(crate) tier: String,
    /// Only these kernel series, such as 6.1; may be given again.
    #[arg(long, value_name = "SERIES")]
    pub(crate) series: Vec<String>,
    /// Only these kernel flavours, such as cloud-amd64; may be given again.
    #[arg(long, value_name = "FLAVOUR")]
    pub(crate) flavour: Vec<String>,
    /// Only these architectures, such as x86_64; may be given again.
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Vec<String>,
    /// Your tier that new livepatches become available to; without one they are held until you promote them.
    #[arg(long, value_name = "TIER")]
    pub(crate) into: Option<String>,
    /// Sync by itself, so often, such as 1h; only on order by default.
    #[arg(long, value_name = "PERIOD", requires = "url")]
    pub(crate) every: Option<Period>,
    /// Print the request and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write the server's whole state into a file, signed, to be carried to where no network goes.
    Export {
        /// The file; it must not exist.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Leave out what a bundle of this version of the targets metadata brought.
        #[arg(long, value_name = "VERSION")]
        since: Option<u64>,
        /// For how many days it may be imported.
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
    },
    /// Take a bundle of an upstream in.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The upstream that made it, by its name here.
        #[arg(long, value_name = "NAME")]
        from: String,
        /// Show what would be taken, and take nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TrustAnchor {
    /// Write the trust anchor into this file too, for a server behind an air gap.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn trust_anchor(server: &Server, format: Format, wish: &TrustAnchor) -> Result<()> {
    let anchor: AnchorView = server.get(paths::ADMIN_TRUST_ANCHOR)?;
    if let Some(file) = &wish.out {
        fs::write(file, &anchor.document).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match format {
        Format::Json => output::json(&anchor),
        Format::Text => {
            // The digest alone, so that it can go into a script.
            output::line(anchor.sha256.as_str())?;
            output::note(&format!("trust anchor of site {}", anchor.site));
            Ok(())
        }
    }
}

pub(crate) fn upstreams(server: &Server, format: Format, command: &UpstreamCommand) -> Result<()> {
    let at = |named: &Named, act| access::act_on(paths::ADMIN_UPSTREAMS, &named.name, act);
    match command {
        UpstreamCommand::Add(wish) => add(server, format, wish),
        UpstreamCommand::List => list(format, server.get(paths::ADMIN_UPSTREAMS)?),
        UpstreamCommand::Remove(named) => list(format, server.post(&at(named, "remove"), &access::NOTHING)?),
        UpstreamCommand::Preview(named) => {
            show(format, &server.post_patiently(&at(named, "preview"), &access::NOTHING)?)
        }
        UpstreamCommand::Sync(Sync { name: Some(name), .. }) => sync(server, format, name),
        UpstreamCommand::Sync(Sync { name: None, .. }) => {
            let all: Vec<UpstreamSummary> = server.get(paths::ADMIN_UPSTREAMS)?;
            let mut reachable = all.iter().filter(|upstream| upstream.url.is_some());
            reachable.try_for_each(|upstream| sync(server, format, &upstream.name))
        }
    }
}

fn sync(server: &Server, format: Format, name: &str) -> Result<()> {
    let path = access::act_on(paths::ADMIN_UPSTREAMS, name, "sync");
    show(format, &server.post_patiently(&path, &access::NOTHING)?)
}

fn add(server: &Server, format: Format, wish: &Add) -> Result<()> {
    let (anchor, anchor_document) = match (&wish.keys.anchor, &wish.keys.anchor_file) {
        (_, Some(file)) => {
            let document = read_anchor(file)?;
            (Digest::of(document.as_bytes()), Some(document))
        }
        (Some(digest), None) => (digest.clone(), None),
        (None, None) => bail!("give --anchor or --anchor-file"),
    };
    let request = UpstreamRequest {
        name: wish.name.clone(),
        url: wish.url.clone(),
        anchor,
        anchor_document,
        selection: Selection {
            tier: wish.tier.clone(),
            series: wish.series.clone(),
            flavours: wish.flavour.clone(),
            architectures: wish.arch.clone(),
        },
        into: wish.into.clone(),
        every: wish.every.map(Period::as_seconds).transpose()?,
    };
    if wish.dry_run {
        return output::json(&request);
    }
    let upstream: UpstreamSummary = server.post(paths::ADMIN_UPSTREAMS, &request)?;
    if format == Format::Json {
        return output::json(&upstream);
    }
    let sites: Vec<_> = upstream.sites.iter().map(Digest::short).collect();
    output::line(&format!(
        "following {}; its livepatches are of the sites {}; enrolment tokens made from now on pin their keys",
        upstream.name,
        sites.join(", ")
    ))
}

fn read_anchor(file: &Path) -> Result<String> {
    let size = fs::metadata(file).with_context(|| format!("{} cannot be read", file.display()))?.len();
    if size > LARGEST_ANCHOR {
        bail!("{} is no trust anchor: it has {size} bytes", file.display());
    }
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn list(format: Format, upstreams: Vec<UpstreamSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&upstreams);
    }
    let rows = upstreams.into_iter().map(|upstream| {
        let selection = upstream.selection;
        let kernels = [selection.series, selection.flavours, selection.architectures].concat();
        vec![
            upstream.name,
            upstream.url.unwrap_or_else(|| "air gap".to_owned()),
            selection.tier,
            if kernels.is_empty() { "all".to_owned() } else { kernels.join(", ") },
            upstream.into.unwrap_or_else(|| "held".to_owned()),
            upstream.synced.unwrap_or_else(|| "never".to_owned()),
            upstream.failure.unwrap_or_default(),
        ]
    });
    let header = ["name", "url", "follows", "kernels", "into", "synced", "failure"];
    output::table(&header, rows.collect(), "No upstream is followed.")
}

fn show(format: Format, report: &SyncReport) -> Result<()> {
    if format == Format::Json {
        return output::json(report);
    }
    let (verb, bytes) = if report.preview { ("would take", "to fetch") } else { ("took", "fetched") };
    output::line(&format!(
        "{verb} {} livepatches of {} (targets version {}); {} here already, {} skipped, {} KiB {bytes}",
        report.taken.len(),
        report.upstream,
        report.targets_version,
        report.present,
        report.skipped.len(),
        report.bytes.div_ceil(1024)
    ))?;
    for name in &report.denied {
        output::line(&format!("denied {name}: the upstream withdrew it; no machine loads it any more"))?;
    }
    let word = |reason| match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    };
    let taken = report.taken.iter().map(|taken| {
        let tiers = if taken.tiers.is_empty() { "held".to_owned() } else { taken.tiers.join(", ") };
        vec![taken.name.clone(), "taken".to_owned(), format!("{tiers}; {}", taken.fixes.join(", "))]
    });
    let skipped = report
        .skipped
        .iter()
        .map(|skipped| vec![skipped.target.clone(), word(skipped.reason), skipped.message.clone()]);
    output::table(
        &["livepatch", "outcome", "detail"],
        taken.chain(skipped).collect(),
        "There is nothing else.",
    )
}

pub(crate) fn bundles(server: &Server, format: Format, command: &BundleCommand) -> Result<()> {
    match command {
        BundleCommand::Export { file, since, days } => export(server, format, file, *since, *days),
        BundleCommand::Import { file, from, dry_run } => {
            let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let path = access::act_on(paths::ADMIN_UPSTREAMS, from, "bundle");
            let imported: BundleImported = server.upload(&format!("{path}?preview={dry_run}"), &opened)?;
            if format == Format::Json {
                return output::json(&imported);
            }
            output::note(&format!("the bundle was made {}", imported.made));
            show(format, &imported.report)
        }
    }
}

fn export(server: &Server, format: Format, file: &Path, since: Option<u64>, days: u32) -> Result<()> {
    let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
    // Beside the file, so that what broke off is not taken for a bundle.
    let part = file.with_added_extension("part");
    if file.exists() {
        bail!("{} exists; choose another name", file.display());
    }
    let mut opened = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let outcome = server.download(&format!("{}?days={days}{since}", paths::ADMIN_BUNDLE), &mut opened);
    let outcome = outcome.and_then(|size| {
        opened.sync_all().and_then(|()| fs::rename(&part, file)).context("cannot write the bundle")?;
        Ok(size)
    });
    let size = match outcome {
        Ok(size) => size,
        Err(error) => {
            let _ = fs::remove_file(&part); // it is worth nothing, and the first error says more
            return Err(error);
        }
    };
    match format {
        Format::Json => output::json(&serde_json::json!({"file": file, "bytes": size})),
        Format::Text => output::line(&format!("wrote {} ({} KiB)", file.display(), size.div_ceil(1024))),
    }
}
