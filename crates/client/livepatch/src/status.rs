//! `livepatch status`, and what is blocked.

use crate::{
    arguments::{Arguments, Format, StatusArguments},
    exit::{Exit, Severity},
    output::{self, print},
    render,
};
use anyhow::Context as _;
use livepatch_agent::{Client, Question, Request, Status, Upgrade, prometheus};
use livepatch_api::PatchState;
use std::{
    thread,
    time::{Duration, Instant},
};

/// The daemon is asked this often while somebody waits.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn run(arguments: &Arguments, how: &StatusArguments) -> anyhow::Result<Exit> {
    let status = match how.wait {
        Some(seconds) => at_rest(arguments, Duration::from_secs(seconds))?,
        None => ask(arguments)?,
    };
    if how.check {
        let upgrade = upgrade(arguments)?;
        let severity = Severity::of(&status, &upgrade);
        print(&render::monitoring(&status, &upgrade, severity))?;
        return Ok(Exit::Severity(severity));
    }
    match arguments.format {
        Format::Prometheus => print(&prometheus(&status, Some(&upgrade(arguments)?)))?,
        format => output::document(format, &status, || {
            render::status(&status, how.verbose, jiff::Timestamp::now())
        })?,
    }
    Ok(Exit::of_state(status.state))
}

pub(crate) fn ask(arguments: &Arguments) -> anyhow::Result<Status> {
    let answer = Client::connect(&arguments.socket)?.ask(&Request::GetStatus, |_, _| {})?;
    answer.status.context("livepatchd sent no status")
}

fn upgrade(arguments: &Arguments) -> anyhow::Result<Upgrade> {
    Ok(Client::connect(&arguments.socket)?.question(Question::KernelUpgrade)?)
}

/// The status as soon as nothing is under way, or when the time is over.
fn at_rest(arguments: &Arguments, limit: Duration) -> anyhow::Result<Status> {
    let began = Instant::now();
    loop {
        let status = ask(arguments)?;
        let busy = matches!(status.state, PatchState::Unchecked | PatchState::Applying | PatchState::Soaking);
        if !busy || began.elapsed() >= limit {
            return Ok(status);
        }
        thread::sleep(PAUSE.min(limit.saturating_sub(began.elapsed())));
    }
}

pub(crate) fn blocked(arguments: &Arguments) -> anyhow::Result<Exit> {
    let status = ask(arguments)?;
    output::document(arguments.format, &status.blocked, || render::blocked(&status.blocked))?;
    Ok(Exit::Fine)
}

pub(crate) fn explain_blocked(arguments: &Arguments, digest: &str) -> anyhow::Result<Exit> {
    let status = ask(arguments)?;
    let fits = |entry: &&livepatch_agent::BlockedDigest| {
        digest.len() >= 8 && entry.sha256.as_str().starts_with(digest)
    };
    let Some(entry) = status.blocked.iter().find(fits) else {
        eprintln!(
            "error[not-blocked]: no blocked livepatch matches '{digest}': see `livepatch blocked list`"
        );
        return Ok(Exit::Refused);
    };
    output::document(arguments.format, entry, || render::explain_blocked(entry))?;
    Ok(Exit::Fine)
}
