//! The overview's figures.

use super::{WebRefusal, cookies, fleet, rollouts, session::Person};
use crate::{clock, refusal::Refusal, site::Site};
use axum::{extract::State, http::HeaderMap, response::Html};
use livepatch_api::CveClock;
use livepatch_dashboard::{self as dashboard, Overview, Trouble};
use livepatch_rollout::State as RolloutState;
use livepatch_schedule::Steering;
use livepatch_store::{Group, Seconds, StoredRollout};
use livepatch_trust::Published;
use std::{sync::Arc, time::UNIX_EPOCH};

/// A machine that polls hourly and was not heard of for a day is silent.
pub(super) const SILENT_AFTER: Seconds = 86_400;
/// Events of trouble on the page.
const TROUBLES: u32 = 8;
/// Fixes whose clock is shown.
const FIXES: usize = 5;
/// Rollouts in flight at one time; nobody has more.
const IN_FLIGHT: usize = 20;

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    person: Person,
    headers: HeaderMap,
) -> Result<Html<String>, WebRefusal> {
    let fleet = gather(&site, cookies::server(&headers)).await.map_err(|refusal| person.refuse(refusal))?;
    Ok(Html(dashboard::overview(&person.frame(), &fleet)))
}

async fn gather(site: &Arc<Site>, server: String) -> Result<Overview, Refusal> {
    let (store, now) = (site.database.store().await?, clock::seconds());
    let (published, _, metadata_expire) = signed(site).await?;
    let groups = store.groups().await?;
    let stored = store.rollouts().await?;
    let troubles = store.troubles(TROUBLES).await?.into_iter().map(|event| Trouble {
        machine_id: event.machine_id,
        hostname: event.hostname,
        at: event.received,
        kind: event.kind,
        detail: event.detail,
    });
    let mut in_flight = Vec::new();
    for one in stored.iter().filter(|one| is_in_flight(one)).take(IN_FLIGHT) {
        in_flight.push(rollouts::gather(store, one.rollout.clone(), &published, now).await?);
    }
    let clocks = site.clocks.read(site).await?;
    // The last ones are those whose livepatch came last, whatever their numbers.
    let mut fixes: Vec<CveClock> = clocks.iter().filter(|clock| clock.livepatch.is_some()).cloned().collect();
    fixes.sort_by(|one, other| published_at(other).cmp(&published_at(one)));
    fixes.truncate(FIXES);
    Ok(Overview {
        machines: count(&groups),
        states: fleet::states(&groups),
        protection: fleet::protection(&groups, &published),
        exposures: fleet::exposures(&groups, &published),
        rollouts: in_flight,
        silent: store.silent_machines(now - SILENT_AFTER).await?,
        silent_after: SILENT_AFTER,
        troubles: troubles.collect(),
        clocks: fixes,
        support: fleet::support(&groups, today(now), false),
        metadata_expire,
        livepatches: published.len(),
        certificates: store.certificates().await?.len(),
        server,
    })
}

fn is_in_flight(one: &StoredRollout) -> bool {
    matches!(one.rollout.state, RolloutState::Running | RolloutState::Halted)
}

fn published_at(clock: &CveClock) -> Option<&str> {
    clock.livepatch.as_ref().map(|step| step.at.as_str())
}

fn count(groups: &[Group]) -> u32 {
    groups.iter().map(|group| group.machines).sum()
}

/// What the signed metadata say: livepatches, steering, and when the first document expires.
pub(super) async fn signed(site: &Site) -> Result<(Vec<Published>, Steering, Seconds), Refusal> {
    site.with_publisher(|publisher| {
        let expires = publisher.expires().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let published = publisher.published().cloned().collect();
        Ok((published, publisher.steering().clone(), Seconds::try_from(expires).unwrap_or(Seconds::MAX)))
    })
    .await
}

/// The day, UTC.
pub(super) fn today(now: Seconds) -> jiff::civil::Date {
    let moment = jiff::Timestamp::from_second(now).unwrap_or_default();
    jiff::tz::TimeZone::UTC.to_datetime(moment).date()
}
