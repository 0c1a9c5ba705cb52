//! What each command does.

use crate::{
    access, approval,
    arguments::{
        Arguments, CertificateCommand, Command, DashboardCommand, Format, LivepatchCommand, MachineCommand,
        Promote, Publish, RolloutCommand, TokenCommand, TokenCreate,
    },
    cve, generate, hook, mitigation, notice, old_verbs, output, profile, rollout,
    server::Server,
    status, tier, upstream, user,
};
use anyhow::{Context as _, Result, bail};
use livepatch_api::{
    BuildDocumentKind, BuildDocumentSummary, CertificateAdded, CertificateRequest, LARGEST_BUILD_DOCUMENT,
    LivepatchSummary, MachineSummary, PatchState, PromoteRequest, PublishAnswer, PublishHeader, TokenCreated,
    TokenRequest, TokenSummary, WithdrawRequest, paths,
};
use livepatch_manifest::{Digest, Manifest};
use std::{fs, path::Path};

/// A PEM certificate is a few KiB.
const LARGEST_CERTIFICATE: u64 = 1 << 20;

/// A larger module is refused by every server.
const LARGEST_MODULE: u64 = 64 << 20;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Completions { shell } => return generate::completions(*shell),
        Command::ManPages { directory } => return generate::man_pages(directory),
        Command::Rollout(RolloutCommand::Simulate(wish)) => return rollout::simulate(arguments.format, wish),
        Command::Rollout(RolloutCommand::Profile { name }) => return rollout::show_profile(name),
        Command::Profile(command) => return profile::run(arguments.format, command),
        _ => {}
    }
    let target = profile::target(arguments)?;
    let server = Server::new(&target.url, target.key_file.as_deref())?;
    let format = arguments.format;
    match &arguments.command {
        Command::Certificate(CertificateCommand::Add { file }) => add_certificate(&server, format, file),
        Command::Token(TokenCommand::Create(token)) => create_token(&server, format, token),
        Command::Token(TokenCommand::List) => list_tokens(format, server.get(paths::ADMIN_TOKENS)?),
        Command::Token(TokenCommand::Revoke { id }) => list_tokens(
            format,
            server.post(&access::act_on(paths::ADMIN_TOKENS, id, "revoke"), &access::NOTHING)?,
        ),
        Command::Key(command) => access::keys(&server, format, command),
        Command::Dashboard(DashboardCommand::Login) => access::login(&server, format),
        Command::User(command) => user::run(&server, format, command),
        Command::Server(command) => status::run(&server, format, command),
        Command::Audit(command) => access::audit(&server, format, command),
        Command::Publish(request) => publish(&server, format, request),
        Command::Promote(request) => promote_wish(&server, format, request),
        Command::Tier(command) => tier::tiers(&server, format, command),
        Command::Hook(command) => hook::run(&server, format, command),
        Command::Approval(command) => approval::run(&server, format, command),
        Command::Block(command) => tier::blocks(&server, format, command),
        Command::Login { .. } => old_verbs::login(&server),
        Command::AuthToken(wish) => old_verbs::auth_token(&server, format, wish),
        Command::Patch(command) => old_verbs::patch(&server, format, command),
        Command::Storage(command) => old_verbs::storage(&server, format, command),
        Command::Report(command) => old_verbs::report(&server, format, command),
        Command::SyncTokens(command) => old_verbs::sync_tokens(&server, format, command),
        Command::Livepatch(LivepatchCommand::List) => {
            list_livepatches(format, server.get(paths::ADMIN_LIVEPATCHES)?)
        }
        Command::Livepatch(LivepatchCommand::Documents { name }) => {
            let path = access::act_on(paths::ADMIN_LIVEPATCHES, name, "documents");
            list_documents(format, server.get(&path)?)
        }
        Command::Livepatch(LivepatchCommand::Document { name, kind }) => {
            let path =
                access::act_on(paths::ADMIN_LIVEPATCHES, name, &format!("documents/{}", kind.as_str()));
            output::line(server.text(&path)?.trim_end_matches('\n'))
        }
        Command::Livepatch(LivepatchCommand::Withdraw { name, reason }) => {
            let path = access::act_on(paths::ADMIN_LIVEPATCHES, name, "withdraw");
            let request = WithdrawRequest { reason: reason.clone() };
            list_livepatches(format, vec![server.post(&path, &request)?])
        }
        Command::Machine(MachineCommand::List) => list_machines(format, server.get(paths::ADMIN_MACHINES)?),
        Command::Machine(MachineCommand::Show { id }) => {
            access::machine(format, &server.get(&access::one_of(paths::ADMIN_MACHINES, id))?)
        }
        Command::Machine(MachineCommand::Revoke { id }) => {
            let path = access::act_on(paths::ADMIN_MACHINES, id, "revoke");
            access::machine(format, &server.post(&path, &access::NOTHING)?)
        }
        Command::Cve(command) => cve::run(&server, format, command),
        Command::Notice(command) => notice::run(&server, format, command),
        Command::Mitigation(command) => mitigation::run(&server, format, command),
        Command::Subscriber(command) => notice::subscribers(&server, format, command),
        Command::Verdicts(command) => cve::verdicts(&server, format, command),
        Command::Rollout(command) => rollout::run(&server, format, command),
        Command::Upstream(command) => upstream::upstreams(&server, format, command),
        Command::Bundle(command) => upstream::bundles(&server, format, command),
        Command::TrustAnchor(wish) => upstream::trust_anchor(&server, format, wish),
        // Done before: these need no server.
        Command::Completions { .. } | Command::ManPages { .. } | Command::Profile(_) => Ok(()),
    }
}

fn add_certificate(server: &Server, format: Format, file: &Path) -> Result<()> {
    let pem = String::from_utf8(read(file, LARGEST_CERTIFICATE)?)
        .with_context(|| format!("{} is no PEM file", file.display()))?;
    let added: CertificateAdded = server.post(paths::ADMIN_CERTIFICATES, &CertificateRequest { pem })?;
    match format {
        Format::Json => output::json(&added),
        Format::Text => output::line(&format!(
            "registered certificate {}; tokens made from now on carry it (trust anchor {})",
            added.fingerprint.short(),
            added.trust_anchor.short()
        )),
    }
}

pub(crate) fn create_token(server: &Server, format: Format, token: &TokenCreate) -> Result<()> {
    let request = TokenRequest {
        tier: token.tier.clone(),
        uses: token.uses,
        expires_after: token.expires.map(|period| period.0),
        note: token.note.clone(),
        tags: token.tags.clone(),
    };
    let created: TokenCreated = server.post(paths::ADMIN_TOKENS, &request)?;
    match format {
        Format::Json => output::json(&created),
        Format::Text => {
            // The token alone, so that TOKEN=$(livepatch-admin token create ...) works.
            output::line(&created.token)?;
            output::note(&format!(
                "token {} for tier {}, shown this once; on a machine: livepatch enable TOKEN --server {}",
                created.id,
                created.tier,
                server.url()
            ));
            Ok(())
        }
    }
}

fn list_tokens(format: Format, tokens: Vec<TokenSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&tokens);
    }
    let rows = tokens.into_iter().map(|token| {
        let limit = token.uses.map_or_else(|| "any".to_owned(), |uses| uses.to_string());
        let used = format!("{} of {limit}", token.used);
        let expires = match token.revoked {
            Some(_) => "revoked".to_owned(),
            None => token.expires.unwrap_or_else(|| "never".into()),
        };
        vec![token.id, token.tier, used, expires, token.note]
    });
    output::table(&["id", "tier", "used", "expires", "note"], rows.collect(), "There are no tokens.")
}

fn publish(server: &Server, format: Format, request: &Publish) -> Result<()> {
    let manifest = read(&request.manifest, livepatch_manifest::LARGEST as u64)?;
    let manifest = Manifest::parse(&manifest).with_context(|| request.manifest.display().to_string())?;
    let module = read(&request.module, LARGEST_MODULE)?;
    check_locally(&module, &manifest, request)?;
    let documents = build_documents(request)?;
    if format == Format::Text {
        output::note(&format!(
            "publishing {} ({} KiB) to {} ...",
            manifest.name,
            module.len() >> 10,
            request.tier
        ));
    }
    let mut body = serde_json::to_vec(&PublishHeader { manifest, tier: request.tier.clone() })?;
    body.push(b'\n');
    body.extend_from_slice(&module);
    let answer: PublishAnswer = server.send(paths::ADMIN_LIVEPATCHES, "application/octet-stream", &body)?;
    for (kind, text) in &documents {
        let path =
            access::act_on(paths::ADMIN_LIVEPATCHES, &answer.name, &format!("documents/{}", kind.as_str()));
        let kept = server.send::<Vec<BuildDocumentSummary>>(&path, "text/plain; charset=utf-8", text);
        kept.with_context(|| format!("{} is published; its {} was not taken", answer.name, kind.as_str()))?;
    }
    show(format, "published", &answer)
}

/// What goes along with the livepatch, for people to read; read before anything is published.
fn build_documents(request: &Publish) -> Result<Vec<(BuildDocumentKind, Vec<u8>)>> {
    use BuildDocumentKind as Kind;
    let single = [
        (Kind::Report, &request.report),
        (Kind::Provenance, &request.provenance),
        (Kind::BootTest, &request.boot_test),
        (Kind::Console, &request.console),
    ];
    let largest = LARGEST_BUILD_DOCUMENT as u64;
    let mut documents = Vec::new();
    for (kind, path) in single {
        if let Some(path) = path {
            documents.push((kind, read(path, largest)?));
        }
    }
    let patches = request.patch.iter().map(|path| read(path, largest)).collect::<Result<Vec<_>>>()?.concat();
    if patches.len() as u64 > largest {
        bail!("the patches have {} bytes, more than the {largest} allowed", patches.len());
    }
    if !request.patch.is_empty() {
        documents.push((Kind::Patch, patches));
    }
    Ok(documents)
}

fn list_documents(format: Format, documents: Vec<BuildDocumentSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&documents);
    }
    let rows = documents.into_iter().map(|one| {
        vec![
            one.kind.as_str().to_owned(),
            one.characters.to_string(),
            one.added,
            one.actor,
            one.sha256.to_string(),
        ]
    });
    let header = ["document", "characters", "added", "by", "SHA-256"];
    output::table(&header, rows.collect(), "Nothing was handed in; livepatch-admin publish --report does.")
}

/// What the server would say as well, before a module travels for nothing.
fn check_locally(module: &[u8], manifest: &Manifest, request: &Publish) -> Result<()> {
    if manifest.module.signer.is_none() {
        bail!("{} is not signed: run livepatch-build sign first", request.manifest.display());
    }
    if Digest::of(module) != manifest.module.sha256 {
        bail!(
            "{} is not the module that {} describes: build or sign again",
            request.module.display(),
            request.manifest.display()
        );
    }
    Ok(())
}

fn promote_wish(server: &Server, format: Format, request: &Promote) -> Result<()> {
    match (&request.name, &request.all_from) {
        (Some(name), _) => promote(server, format, name, &request.to),
        (None, Some(from)) => old_verbs::promote_all(server, format, from, &request.to),
        (None, None) => Ok(()), // refused by the command line
    }
}

pub(crate) fn promote(server: &Server, format: Format, name: &str, tier: &str) -> Result<()> {
    let wanted = PromoteRequest { name: name.to_owned(), tier: tier.to_owned() };
    let answer: PublishAnswer = server.post(paths::ADMIN_PROMOTE, &wanted)?;
    show(format, "promoted", &answer)
}

pub(crate) fn show(format: Format, done: &str, answer: &PublishAnswer) -> Result<()> {
    match format {
        Format::Json => output::json(answer),
        Format::Text => output::line(&format!(
            "{done} {} version {}: available to {} (targets version {})",
            answer.name,
            answer.version,
            answer.tiers.join(", "),
            answer.targets_version
        )),
    }
}

pub(crate) fn list_livepatches(format: Format, livepatches: Vec<LivepatchSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&livepatches);
    }
    let rows = livepatches.into_iter().map(|livepatch| {
        let manifest = livepatch.manifest;
        let fixes: Vec<_> = manifest.fixes.into_iter().map(|fix| fix.id).collect();
        vec![
            manifest.name,
            manifest.version.to_string(),
            manifest.kernel.release.to_string(),
            if livepatch.withdrawn { "withdrawn".to_owned() } else { livepatch.tiers.join(", ") },
            fixes.join(", "),
            manifest.module.sha256.short().to_owned(),
        ]
    });
    let header = ["name", "version", "kernel", "tiers", "fixes", "sha256"];
    output::table(&header, rows.collect(), "Nothing is published.")
}

pub(crate) fn list_machines(format: Format, machines: Vec<MachineSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&machines);
    }
    let rows = machines.into_iter().map(|machine| {
        let applied = machine.applied.map_or_else(|| "-".to_owned(), |applied| applied.name);
        vec![
            machine.machine_id,
            machine.hostname,
            machine.tier,
            machine.kernel.release.to_string(),
            machine.revoked.map_or_else(|| word(&machine.state), |_| "revoked".to_owned()),
            applied,
            machine.taint.0.to_string(),
            machine.last_seen,
            machine.last_event.unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let header = ["id", "host", "tier", "kernel", "state", "livepatch", "taint", "last seen", "last event"];
    output::table(&header, rows.collect(), "No machine has enrolled.")
}

fn read(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let size = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    if size > largest {
        bail!("{} has {size} bytes, more than the {largest} allowed", path.display());
    }
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A state as the API writes it.
pub(crate) fn word(state: &PatchState) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
