//! A machine reports.

use super::extract::{Document, MachineSecret, text};
use crate::{hooks, refusal::Refusal, rollouts, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{CheckInAnswer, CheckInRequest, ErrorCode, Event, EventKind, HookEvent};
use livepatch_store::{CheckIn, Reported};
use std::sync::Arc;

/// More events come in several reports.
const MOST_EVENTS: usize = 1000;

pub(crate) async fn check_in(
    State(site): State<Arc<Site>>,
    MachineSecret(credential): MachineSecret,
    Document(report): Document<CheckInRequest>,
) -> Result<Json<CheckInAnswer>, Refusal> {
    let store = site.database.store().await?;
    let machine = store.machine_by_credential(&credential.digest()).await?;
    let machine = machine.filter(|machine| credential.matches(&machine.credential)).ok_or_else(|| {
        Refusal::new(
            ErrorCode::Unauthorized,
            "this machine is not known here; enable livepatching with a new token",
        )
    })?;
    check(&report)?;
    let modules = rollouts::running_modules(&site).await?;
    let results = rollouts::results(&report, machine.taint, &modules);
    let is_trouble = results.iter().any(|result| !result.signals.is_empty());
    let failed = |event: &&Event| matches!(event.kind, EventKind::Crashed | EventKind::Failed);
    let failure = report.events.iter().find(failed).map(|event| event.detail.clone());
    let sequence = report.sequence;
    let check_in = CheckIn { machine_id: machine.id.clone(), report, results };
    let reported = site.reports.record(store, check_in).await?;
    if is_trouble {
        site.looks.trouble.notify_one();
    }
    if let (Reported::New, Some(detail)) = (reported, failure) {
        hooks::tell(&site, HookEvent::MachineFailed, &machine.id, &detail).await;
    }
    tracing::debug!(machine = %machine.id, sequence, ?reported, "check-in");
    let blocks = crate::blocks::holding(&site).await?;
    let tier = match crate::blocks::of_machine(&blocks, &machine.id, &machine.tags) {
        None => machine.tier,
        Some(block) => {
            tracing::info!(machine = %machine.id, block = block.id, "a blocked machine is offered nothing");
            super::tiers::NO_TIER.to_owned()
        }
    };
    Ok(Json(CheckInAnswer { tier, refresh_after: None }))
}

fn check(report: &CheckInRequest) -> Result<(), Refusal> {
    if report.sequence == 0 || i64::try_from(report.sequence).is_err() {
        return Err(Refusal::invalid("sequence must be from 1 to 2^63-1"));
    }
    if report.events.len() > MOST_EVENTS {
        return Err(Refusal::invalid(format!(
            "a report may bring {MOST_EVENTS} events at most; send the rest in the next"
        )));
    }
    text("boot_id", &report.boot_id, 64)?;
    text("client_version", &report.client_version, 64)?;
    text("kernel.arch", &report.kernel.arch, 32)?;
    if let Some(applied) = &report.applied {
        text("applied.name", &applied.name, 64)?;
    }
    for event in &report.events {
        text("events.at", &event.at, 40)?;
        // Kernel messages may come in several lines.
        if event.detail.len() > 4096 {
            return Err(Refusal::invalid("events.detail must be at most 4096 bytes"));
        }
    }
    Ok(())
}
