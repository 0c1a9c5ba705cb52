//! Machines, a page at a time; one of them; and taking its credential back.

use super::{
    WebRefusal, cookies, export, fleet, overview, redirect,
    session::{Person, Posted},
};
use crate::{
    clock, cves as knowledge,
    refusal::Refusal,
    routes::machines::{known, take_back_machine},
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{Html, Response},
};
use futures_util::{Stream, stream};
use livepatch_api::{MachineDetail, MachineSummary, PatchState, Role};
use livepatch_cve::{CveId, verdict::Verdict};
use livepatch_dashboard::{
    self as dashboard, Done, MachineFilter, MachineList, MachineVerdict, MachineView, Question, Table,
    Waiting, paths,
};
use livepatch_schedule::{Hold, Request, Steering, hold};
use livepatch_store::{MachineOrder, MachineQuery, Seconds, Store, StoreError};
use livepatch_trust::Published;
use std::sync::Arc;

/// Machines on a page: with their markup, some 40 KiB.
const PAGE: u32 = 50;
/// Machines in a part of a file.
const PART: u32 = 1000;
/// Events on a machine's page.
const HISTORY: u32 = 100;

/// What the list's address says.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    state: String,
    tier: String,
    kernel: String,
    sort: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> MachineFilter {
        let Self { q, state, tier, kernel, sort, .. } = self.clone();
        MachineFilter { q: q.trim().to_owned(), state, tier, kernel, sort }
    }

    fn query(&self, now: Seconds) -> MachineQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = serde_json::from_value::<PatchState>(self.state.clone().into());
        let states = match (self.state.as_str(), state) {
            ("trouble", _) => {
                vec![PatchState::AppliedWithBug, PatchState::ApplyFailed, PatchState::CheckFailed]
            }
            (_, Ok(state)) => vec![state],
            _ => vec![],
        };
        MachineQuery {
            search: given(&self.q),
            states,
            tier: given(&self.tier),
            kernel: given(&self.kernel),
            silent_since: (self.state == "silent").then_some(now - overview::SILENT_AFTER),
            order: match self.sort.as_str() {
                "kernel" => MachineOrder::Kernel,
                "state" => MachineOrder::State,
                "seen" => MachineOrder::LastSeen,
                _ => MachineOrder::Hostname,
            },
            after: self.after.rsplit_once(' ').map(|(value, id)| (value.to_owned(), id.to_owned())),
        }
    }
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    person: Person,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, WebRefusal> {
    let gathered = async {
        let store = site.database.store().await?;
        let query = asked.query(clock::seconds());
        let page = store.machine_page(&query, PAGE).await?;
        let total = store.machine_count(&MachineQuery { after: None, ..query.clone() }).await?;
        let kernels = fleet::kernels(&store.groups().await?);
        Ok::<_, Refusal>(MachineList {
            filter: asked.filter(),
            machines: page.machines,
            total,
            is_first: query.after.is_none(),
            // An id holds no blank, so the last one divides.
            next: page.next.map(|(value, id)| format!("{value} {id}")),
            tiers: site.tiers().await?.names().to_vec(),
            kernels: kernels.into_iter().map(|(release, count)| (release.to_string(), count)).collect(),
            server: cookies::server(&headers),
        })
    };
    let list = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::machines(&person.frame(), &list)))
}

pub(super) async fn csv(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    let store = site.database.store().await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv_parts(parts(store.clone(), asked)))
}

pub(super) async fn json(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    let store = site.database.store().await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json_parts(parts(store.clone(), asked)))
}

/// All machines that were asked for, part by part.
fn parts(store: Store, asked: Asked) -> impl Stream<Item = Result<Table, StoreError>> {
    let now = clock::seconds();
    let (filter, query) = (asked.filter(), asked.query(now));
    stream::try_unfold(Some(query), move |query| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let Some(query) = query else { return Ok(None) };
            let page = store.machine_page(&query, PART).await?;
            let next = page.next.map(|after| MachineQuery { after: Some(after), ..query });
            Ok(Some((dashboard::machine_table(&page.machines, &filter, now), next)))
        }
    })
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let view = view(&site, &id).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::machine(&person.frame(), &view)))
}

async fn view(site: &Arc<Site>, id: &str) -> Result<MachineView, Refusal> {
    let store = site.database.store().await?;
    let machine = known(store, id).await?;
    let (published, steering, _) = overview::signed(site).await?;
    let applied = machine.applied.as_ref().map(|applied| applied.version);
    let has = fleet::fixed(&published, &machine.kernel.build_id, applied);
    let mut lacking: Vec<String> = published
        .iter()
        .filter(|entry| entry.manifest.kernel.build_id == machine.kernel.build_id)
        .flat_map(|entry| &entry.manifest.fixes)
        .filter(|fix| !has.contains(fix.id.as_str()))
        .map(|fix| fix.id.clone())
        .collect();
    lacking.sort();
    lacking.dedup();
    let fixed = has.into_iter().map(str::to_owned).collect();
    let waiting = waiting(&machine, &published, &steering, clock::seconds());
    let verdicts = knowledge::of_kernel(site, &machine.kernel.release).await?;
    Ok(MachineView {
        verdicts: verdicts.iter().filter_map(|(cve, verdict)| standing(*cve, verdict, applied)).collect(),
        waiting,
        fixed,
        lacking,
        detail: MachineDetail { events: store.events(id, HISTORY).await?, machine },
    })
}

/// How a vulnerability that the kernel itself does not mend stands on a machine.
fn standing(cve: CveId, verdict: &Verdict, applied: Option<u32>) -> Option<MachineVerdict> {
    let mended = match verdict {
        Verdict::Livepatched { version } => applied >= Some(*version),
        verdict if verdict.is_safe_unpatched() => return None,
        _ => false,
    };
    Some(MachineVerdict { cve: cve.to_string(), sentence: verdict.to_string(), mended })
}

/// The newer livepatch that a machine does not have, and why: the machine's own rule answers.
fn waiting(
    machine: &MachineSummary,
    published: &[Published],
    steering: &Steering,
    now: Seconds,
) -> Option<Waiting> {
    let applied = machine.applied.as_ref().map(|applied| applied.version);
    let newest = published
        .iter()
        .filter(|entry| entry.manifest.kernel.build_id == machine.kernel.build_id)
        .filter(|entry| entry.tiers.contains(&machine.tier) && Some(entry.manifest.version) > applied)
        .max_by_key(|entry| entry.manifest.version)?;
    let request = Request {
        machine_id: &machine.machine_id,
        tier: &machine.tier,
        sha256: &newest.sha256,
        confirmed: false,
        now,
    };
    let held = hold(newest.schedule.as_ref(), steering, request);
    let why = match held {
        None => {
            "it may have it now, and takes it at its next check, unless its owner says otherwise.".to_owned()
        }
        Some(Hold::NotYet) => match opens(newest, machine, now) {
            Some(minutes) => {
                format!(
                    "its wave has not come. By the signed schedule it opens in {} at the earliest.",
                    length(minutes)
                )
            }
            None => "its wave is open by the schedule, and waits for the evidence of the stages before it."
                .to_owned(),
        },
        Some(Hold::Halted) => "its rollout is halted; a person decides whether it goes on.".to_owned(),
        Some(hold) => format!("{hold}."),
    };
    let release = newest.schedule.as_ref().map(|schedule| schedule.release.clone());
    Some(Waiting { name: newest.manifest.name.clone(), version: newest.manifest.version, why, release })
}

/// Seconds until the schedule lets the machine in; `None` when it does already.
fn opens(entry: &Published, machine: &MachineSummary, now: Seconds) -> Option<Seconds> {
    let schedule = entry.schedule.as_ref()?;
    let position = livepatch_schedule::Position::of(&machine.machine_id, &schedule.release);
    let wave = schedule
        .waves
        .iter()
        .find(|wave| livepatch_schedule::Reach::of_share(wave.share).includes(position))?;
    let opens = schedule.start.saturating_add(Seconds::from(wave.after)) - now;
    (opens > 0).then_some(opens)
}

fn length(seconds: Seconds) -> String {
    let minutes = seconds / 60 + 1;
    if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
}

pub(super) async fn ask_revoke(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Operator)?;
    let gathered = async { known(site.database.store().await?, &id).await };
    let machine = gathered.await.map_err(|refusal| person.refuse(refusal))?;
    let back = paths::one(paths::MACHINES, &id);
    let question = Question {
        title: format!("Revoke {}?", machine.hostname),
        meaning: "It is not heard any more until it enrols again with a token. What is applied on it stays applied.",
        facts: vec![format!("Its id is {id}, its tier {}.", machine.tier)],
        action: format!("{back}/revoke"),
        fields: vec![],
        reason: false,
        button: "Revoke it",
        back,
        grave: true,
    };
    Ok(Html(dashboard::confirm(&person.frame(), &question)))
}

pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Operator)?;
    take_back_machine(&site, &person.actor, &id).await.map_err(|refusal| person.refuse(refusal))?;
    let back = paths::one(paths::MACHINES, &id);
    Ok(redirect(&format!("{back}?done={}", Done::MachineRevoked.as_str())))
}
