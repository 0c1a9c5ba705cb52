//! The commands that only ask.

use crate::{
    arguments::{Arguments, Format},
    exit::Exit,
    output::{self, print},
    render, status, vex, yaml,
};
use livepatch_agent::{
    CheckInPreview, Client, CveList, CveState, DEFAULT_SOCKET, Eligibility, History, Prediction, Question,
    SecureBootStatus, Upgrade, look_at_secure_boot,
};
use livepatch_host::Host;
use livepatch_module::Certificate;
use serde::de::DeserializeOwned;
use std::path::Path;

fn ask<T: DeserializeOwned>(arguments: &Arguments, question: Question) -> anyhow::Result<T> {
    Ok(Client::connect(&arguments.socket)?.question(question)?)
}

pub(crate) fn check(arguments: &Arguments) -> anyhow::Result<Exit> {
    let found: Eligibility = ask(arguments, Question::Eligibility)?;
    output::document(arguments.format, &found, || render::eligibility(&found))?;
    Ok(if found.eligible { Exit::Fine } else { Exit::Attention })
}

pub(crate) fn history(arguments: &Arguments, lines: usize) -> anyhow::Result<Exit> {
    let history: History = ask(arguments, Question::History)?;
    output::document(arguments.format, &history, || render::history(&history, lines))?;
    Ok(Exit::Fine)
}

pub(crate) fn cves(arguments: &Arguments, open: bool, all: bool) -> anyhow::Result<Exit> {
    let mut list: CveList = ask(arguments, Question::Cves)?;
    list.cves.retain(|cve| match cve.state {
        CveState::NotAffected | CveState::FixedInKernel => all && !open,
        state => !open || state.is_open(),
    });
    output::document(arguments.format, &list, || render::cves(&list))?;
    Ok(Exit::Fine)
}

/// Both are JSON; as YAML it is the same document.
pub(crate) fn vex(arguments: &Arguments) -> anyhow::Result<Exit> {
    let list: CveList = ask(arguments, Question::Cves)?;
    let (status, now) = (status::ask(arguments)?, jiff::Timestamp::now());
    let document = match arguments.format {
        Format::Csaf if list.cves.is_empty() => anyhow::bail!(
            "no vulnerability is known here, and CSAF has no document without one; `livepatch vex` gives an empty OpenVEX one"
        ),
        Format::Csaf => vex::csaf(&list, &status, now),
        Format::Prometheus => anyhow::bail!("--format prometheus is for `livepatch status` only"),
        _ => vex::openvex(&list, &status, now),
    };
    match arguments.format {
        Format::Yaml => print(&yaml::from_json(&document))?,
        _ => print(&serde_json::to_string_pretty(&document)?)?,
    }
    Ok(Exit::Fine)
}

pub(crate) fn upgrade(arguments: &Arguments) -> anyhow::Result<Exit> {
    let upgrade: Upgrade = ask(arguments, Question::KernelUpgrade)?;
    if !arguments.quiet {
        output::document(arguments.format, &upgrade, || render::upgrade(&upgrade))?;
    }
    Ok(Exit::Upgrade(upgrade.answer))
}

pub(crate) fn check_in(arguments: &Arguments) -> anyhow::Result<Exit> {
    let preview: CheckInPreview = ask(arguments, Question::CheckIn)?;
    output::document(arguments.format, &preview, || render::check_in(&preview))?;
    Ok(Exit::Fine)
}

pub(crate) fn secure_boot(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut status: SecureBootStatus = ask(arguments, Question::SecureBoot)?;
    if status.prediction == Prediction::Uncertain && arguments.socket == Path::new(DEFAULT_SOCKET) {
        status = with_own_eyes(arguments)?.unwrap_or(status);
    }
    output::document(arguments.format, &status, || render::secure_boot(&status))?;
    Ok(Exit::Fine)
}

/// The kernel shows its keys to root, and the daemon is not root: whoever runs this may see more. For anybody else the answer is the
/// same again.
fn with_own_eyes(arguments: &Arguments) -> anyhow::Result<Option<SecureBootStatus>> {
    let certificates: Vec<String> = ask(arguments, Question::Certificates)?;
    let certificates: Vec<Certificate> =
        certificates.iter().map(|pem| Certificate::from_pem(pem)).collect::<Result<_, _>>()?;
    let host = Host::new("/");
    let kernel = host.kernel().ok().filter(|_| !certificates.is_empty());
    Ok(kernel.map(|kernel| look_at_secure_boot(&host, &kernel, &certificates)))
}
