//! Machines, a page at a time; one of them; and taking its credential back.

use super::{
    WebRefusal, cookies, export, fleet,
    held::{Rules, transitions},
    overview, redirect,
    session::{Person, Posted},
};
use crate::{
    blocks, clock, cves as knowledge,
    refusal::Refusal,
    routes::machines::{known, take_back_machine},
    site::Site,
};
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{Html, IntoResponse as _, Response},
};
use futures_util::{Stream, stream};
use livepatch_api::{ErrorCode, MachineDetail, PatchState, Role};
use livepatch_cve::{CveId, verdict::Verdict};
use livepatch_dashboard::{
    self as dashboard, Done, Grouping, MachineFilter, MachineGroup, MachineList, MachineVerdict, MachineView,
    Question, Table, paths,
};
use livepatch_store::{MachineOrder, MachineQuery, Seconds, StoreError};
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
    tag: String,
    lacks: String,
    sort: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> MachineFilter {
        let Self { q, state, tier, kernel, tag, lacks, sort, .. } = self.clone();
        let [q, lacks] = [q, lacks].map(|text| text.trim().to_owned());
        MachineFilter { q, state, tier, kernel, tag, lacks, sort }
    }

    /// The query, with the published livepatches, which say who lacks a fix.
    async fn query_of(&self, site: &Arc<Site>, now: Seconds) -> Result<MachineQuery, Refusal> {
        let mut query = self.query(now);
        if !self.lacks.trim().is_empty() {
            let (published, ..) = overview::signed(site).await?;
            query.below = Some(fleet::first_with(&published, self.lacks.trim()));
        }
        Ok(query)
    }

    fn query(&self, now: Seconds) -> MachineQuery {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let state = serde_json::from_value::<PatchState>(self.state.clone().into());
        let states = match (self.state.as_str(), state) {
            ("trouble", _) => fleet::TROUBLE.to_vec(),
            (_, Ok(state)) => vec![state],
            _ => vec![],
        };
        MachineQuery {
            search: given(&self.q),
            states,
            tier: given(&self.tier),
            kernel: given(&self.kernel),
            tag: given(&self.tag),
            below: None,
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
        let query = asked.query_of(&site, clock::seconds()).await?;
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
            tags: store.tags().await?.into_iter().collect(),
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
    let parts = parts(&site, asked).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv_parts(parts))
}

pub(super) async fn json(
    State(site): State<Arc<Site>>,
    person: Person,
    Query(asked): Query<Asked>,
) -> Result<Response, WebRefusal> {
    let parts = parts(&site, asked).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json_parts(parts))
}

/// All machines that were asked for, part by part.
async fn parts(
    site: &Arc<Site>,
    asked: Asked,
) -> Result<impl Stream<Item = Result<Table, StoreError>> + Send + 'static, Refusal> {
    let (now, store) = (clock::seconds(), site.database.store().await?.clone());
    let (filter, query) = (asked.filter(), asked.query_of(site, now).await?);
    Ok(stream::try_unfold(Some(query), move |query| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let Some(query) = query else { return Ok(None) };
            let page = store.machine_page(&query, PART).await?;
            let next = page.next.map(|after| MachineQuery { after: Some(after), ..query });
            Ok(Some((dashboard::machine_table(&page.machines, &filter, now), next)))
        }
    }))
}

/// Machines counted by what they have in common; the word stands in the address, for a file with its ending.
pub(super) async fn groups(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(word): Path<String>,
) -> Result<Response, WebRefusal> {
    let (word, ending) = word.split_once('.').unwrap_or((&word, ""));
    let grouping = Grouping::of(word).filter(|_| ["", "csv", "json"].contains(&ending));
    let missing = || {
        let message = "machines are counted by kernel, tier, state or tag";
        person.refuse(Refusal::new(ErrorCode::NotFound, message))
    };
    let grouping = grouping.ok_or_else(missing)?;
    let groups = counted(&site, grouping).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(match ending {
        "csv" => export::csv(&dashboard::machine_group_table(grouping, &groups)),
        "json" => export::json(&dashboard::machine_group_table(grouping, &groups)),
        _ => Html(dashboard::machine_groups(&person.frame(), grouping, &groups)).into_response(),
    })
}

async fn counted(site: &Arc<Site>, grouping: Grouping) -> Result<Vec<MachineGroup>, Refusal> {
    let store = site.database.store().await?;
    if grouping == Grouping::Tag {
        return Ok(fleet::by_tag(&store.machines_by_tags().await?));
    }
    let (published, ..) = overview::signed(site).await?;
    Ok(fleet::grouped(&store.groups().await?, &published, grouping))
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
    let events = store.events(id, HISTORY).await?;
    let blocks = blocks::holding(site).await?;
    let rules = Rules { published: &published, steering: &steering, blocks: &blocks, now: clock::seconds() };
    let verdicts = knowledge::of_kernel(site, &machine.kernel.release).await?;
    Ok(MachineView {
        verdicts: verdicts.iter().filter_map(|(cve, verdict)| standing(*cve, verdict, applied)).collect(),
        waiting: rules.waiting(&machine),
        blocks: rules.blocks_of(&machine),
        blocked: rules.blocked_by(&events),
        transitions: transitions(&events),
        fixed,
        lacking,
        detail: MachineDetail { events, machine },
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
