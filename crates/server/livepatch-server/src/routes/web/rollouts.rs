//! Rollouts: the list, one of them as it goes, and the hand on the brake.

use super::{
    WebRefusal, export, overview, redirect,
    session::{self, Person, Posted},
};
use crate::{
    clock,
    refusal::Refusal,
    routes::rollouts::{give_order, unknown},
    site::Site,
};
use axum::{
    extract::{Path, State},
    response::{
        Html, IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use livepatch_api::{ErrorCode, Role, RolloutOrder, RolloutVerb};
use livepatch_dashboard::{self as dashboard, Done, Question, RolloutPage, paths};
use livepatch_kernel::BuildId;
use livepatch_rollout::{Rollout, State as RolloutState};
use livepatch_store::{Seconds, Store, StoreError, TRANSITION_BOUNDS};
use livepatch_trust::Published;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, Semaphore, watch};

/// As the engine counts: who was not heard of for so long is no machine any more.
const GONE_AFTER: Seconds = 14 * 86_400;
/// Rollouts in the list; the API has them all.
const LISTED: usize = 100;
/// Causes of stalls on a page.
const CAUSES: u32 = 20;
/// How often a page that is open looks for news.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pages that are open at one time.
static STREAMS: Semaphore = Semaphore::const_new(128);

/// A rollout with what came of it, by counts that the database makes.
pub(super) async fn gather(
    store: &Store,
    rollout: Rollout,
    published: &[Published],
    now: Seconds,
) -> Result<RolloutPage, StoreError> {
    let release = |id: &BuildId| published.iter().find(|entry| entry.manifest.kernel.build_id == *id);
    let kernels = rollout
        .builds
        .keys()
        .filter_map(|id| Some((id.clone(), release(id)?.manifest.kernel.release.to_string())));
    let shares = [50, 90];
    let times = store.given_times(&rollout.release, &shares.map(|share| f64::from(share) / 100.0)).await?;
    Ok(RolloutPage {
        kernels: kernels.collect(),
        populations: store.populations(&rollout.tiers, now - GONE_AFTER).await?,
        tallies: store.tallies(&rollout.release).await?,
        times: shares.into_iter().zip(times).collect(),
        rollout,
        transitions: Vec::new(),
        stall_causes: Vec::new(),
    })
}

async fn all(site: &Arc<Site>) -> Result<Vec<RolloutPage>, Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    let (published, ..) = overview::signed(site).await?;
    let mut pages = Vec::new();
    for stored in store.rollouts().await?.into_iter().take(LISTED) {
        pages.push(gather(store, stored.rollout, &published, now).await?);
    }
    Ok(pages)
}

async fn one(site: &Arc<Site>, release: &str) -> Result<RolloutPage, Refusal> {
    let store = site.database.store().await?;
    let stored = store.rollout(release).await?.ok_or_else(|| unknown(release))?;
    let (published, ..) = overview::signed(site).await?;
    let times = store.transition_times(release).await?;
    let bounds = TRANSITION_BOUNDS.into_iter().map(Some).zip(times.up_to);
    Ok(RolloutPage {
        transitions: bounds.chain([(None, times.longer)]).collect(),
        stall_causes: store.stall_causes(release, CAUSES).await?,
        ..gather(store, stored.rollout, &published, clock::seconds()).await?
    })
}

pub(super) async fn list(State(site): State<Arc<Site>>, person: Person) -> Result<Html<String>, WebRefusal> {
    let all = all(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::rollouts(&person.frame(), &all)))
}

pub(super) async fn csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = all(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::csv(&dashboard::rollout_table(&all, clock::seconds(), true)))
}

pub(super) async fn json(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let all = all(&site).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(export::json(&dashboard::rollout_table(&all, clock::seconds(), true)))
}

pub(super) async fn show(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(release): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let one = one(&site, &release).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::rollout(&person.frame(), &one)))
}

/// The changing part of the page, sent again whenever it is another (server-sent events). Ends with the session and with
/// the server.
pub(super) async fn live(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(release): Path<String>,
) -> Result<Response, WebRefusal> {
    one(&site, &release).await.map_err(|refusal| person.refuse(refusal))?;
    let Ok(place) = STREAMS.try_acquire() else {
        let message = "so many pages are open that this one is not kept up to date; reload it to see more";
        return Err(person.refuse(Refusal::new(ErrorCode::Unavailable, message)));
    };
    let watcher = Watcher {
        stopping: site.streams.subscribe(),
        site,
        person,
        release,
        sent: String::new(),
        is_first: true,
    };
    let events = stream::unfold((watcher, place), |(mut watcher, place)| async move {
        let html = watcher.news().await?;
        Some((Ok::<_, Infallible>(Event::default().data(html)), (watcher, place)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// Rollouts as somebody saw them a moment ago, so that many open pages ask the database once.
pub(crate) type Glances = Mutex<BTreeMap<String, (Instant, RolloutPage)>>;

async fn lately(site: &Arc<Site>, release: &str) -> Result<RolloutPage, Refusal> {
    let mut glances = site.glances.lock().await;
    glances.retain(|_, (at, _)| at.elapsed() < LOOK_EVERY);
    if let Some((_, page)) = glances.get(release) {
        return Ok(page.clone());
    }
    let page = one(site, release).await?;
    glances.insert(release.to_owned(), (Instant::now(), page.clone()));
    Ok(page)
}

/// Somebody who has the page open.
struct Watcher {
    stopping: watch::Receiver<bool>,
    site: Arc<Site>,
    person: Person,
    release: String,
    sent: String,
    is_first: bool,
}

impl Watcher {
    /// The part as it is, when it has changed; `None`: there will be no more.
    async fn news(&mut self) -> Option<String> {
        loop {
            if !std::mem::take(&mut self.is_first) {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = self.stopping.wait_for(|is_stopping| *is_stopping) => return None,
                }
            }
            session::holder(&self.site, self.person.secret()).await.ok()??;
            let one = lately(&self.site, &self.release).await.ok()?;
            let html = dashboard::rollout_live(&one, clock::seconds());
            if html != self.sent {
                self.sent.clone_from(&html);
                return Some(html);
            }
        }
    }
}

pub(super) async fn ask_halt(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(release): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let meaning =
        "No further machine gets the release. Machines that have it keep it. A releaser can resume it.";
    ask(&site, &person, &release, RolloutVerb::Halt, meaning).await
}

pub(super) async fn ask_resume(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(release): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let meaning =
        "It goes on where it was. What was seen until now counts as accepted and halts nothing any more.";
    ask(&site, &person, &release, RolloutVerb::Resume, meaning).await
}

pub(super) async fn ask_withdraw(
    State(site): State<Arc<Site>>,
    person: Person,
    Path(release): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    let meaning = "No machine may load it any more. That cannot be undone: to go on, publish a new version.";
    ask(&site, &person, &release, RolloutVerb::Withdraw, meaning).await
}

/// The words of an order: its path, its button, and who may give it.
fn words(verb: RolloutVerb) -> (&'static str, &'static str, Role) {
    match verb {
        RolloutVerb::Halt => ("halt", "Halt", Role::Operator),
        RolloutVerb::Resume => ("resume", "Resume", Role::Releaser),
        RolloutVerb::Withdraw => ("withdraw", "Withdraw", Role::Releaser),
    }
}

async fn ask(
    site: &Arc<Site>,
    person: &Person,
    release: &str,
    verb: RolloutVerb,
    meaning: &str,
) -> Result<Html<String>, WebRefusal> {
    let (path, word, role) = words(verb);
    person.must_be(role)?;
    let one = one(site, release).await.map_err(|refusal| person.refuse(refusal))?;
    let given: u32 = one.tallies.values().map(|tally| tally.given).sum();
    let soaked: u32 = one.tallies.values().map(|tally| tally.soaked).sum();
    let mut facts =
        vec![format!("It was given to {given} machines, and soaked without trouble on {soaked}.")];
    facts.extend(one.rollout.halts.last().map(|halt| format!("Its last halt: {}", halt.summary)));
    let back = paths::one(paths::ROLLOUTS, release);
    let question = Question {
        title: format!("{word} {release}?"),
        meaning,
        facts,
        action: format!("{back}/{path}"),
        fields: vec![("seen", one.seen())],
        reason: true,
        button: word,
        back,
        grave: verb != RolloutVerb::Resume,
    };
    Ok(Html(dashboard::confirm(&person.frame(), &question)))
}

pub(super) async fn halt(
    State(site): State<Arc<Site>>,
    Path(release): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    order(&site, &release, &posted, RolloutVerb::Halt).await
}

pub(super) async fn resume(
    State(site): State<Arc<Site>>,
    Path(release): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    order(&site, &release, &posted, RolloutVerb::Resume).await
}

pub(super) async fn withdraw(
    State(site): State<Arc<Site>>,
    Path(release): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    order(&site, &release, &posted, RolloutVerb::Withdraw).await
}

async fn order(
    site: &Arc<Site>,
    release: &str,
    posted: &Posted,
    verb: RolloutVerb,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(words(verb).2)?;
    let act = async {
        let one = one(site, release).await?;
        if let Some(done) = done_before(&one.rollout, verb) {
            return Ok::<_, Refusal>(done);
        }
        // To let go on what one has not seen would accept it unseen. To stop needs no such care.
        if verb == RolloutVerb::Resume && posted.field("seen") != one.seen() {
            let message =
                "something has happened to the rollout since that page was made; look at it again first";
            return Err(Refusal::conflict(message));
        }
        let order = RolloutOrder { order: verb, reason: posted.field("reason").to_owned() };
        give_order(site, &person.actor, release, &order).await?;
        Ok(match verb {
            RolloutVerb::Halt => Done::Halted,
            RolloutVerb::Resume => Done::Resumed,
            RolloutVerb::Withdraw => Done::Withdrawn,
        })
    };
    let done = act.await.map_err(|refusal| person.refuse(refusal))?;
    let back = paths::one(paths::ROLLOUTS, release);
    Ok(redirect(&format!("{back}?done={}", done.as_str())))
}

/// Whether somebody has done it already: a second click does no harm.
fn done_before(rollout: &Rollout, verb: RolloutVerb) -> Option<Done> {
    match (verb, rollout.state) {
        (RolloutVerb::Halt, RolloutState::Halted) => Some(Done::HaltedBefore),
        (RolloutVerb::Halt | RolloutVerb::Withdraw, RolloutState::Withdrawn) => Some(Done::WithdrawnBefore),
        _ => None,
    }
}
