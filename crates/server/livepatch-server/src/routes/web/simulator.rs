//! Simulations, one at a time, beside the server's other work.

use super::{WebRefusal, session::Person};
use crate::refusal::Refusal;
use axum::{extract::Query, response::Html};
use livepatch_dashboard::{self as dashboard, Curve, Point, Simulated, Wish};
use livepatch_rollout::{Fault, Moment, Profile, Simulation, simulate, simulate_watched, summarise};
use std::{collections::BTreeMap, str::FromStr};
use tokio::sync::Semaphore;

/// A simulation takes a processor for seconds; the machines' polls come first.
static TURN: Semaphore = Semaphore::const_new(1);
/// Points of a curve: one for every three pixels is enough.
const POINTS: usize = 240;

/// What the page's address says; a field that is no number counts as not given.
type Asked = BTreeMap<String, String>;

pub(super) async fn page(person: Person, Query(asked): Query<Asked>) -> Result<Html<String>, WebRefusal> {
    let is_asked = asked.contains_key("profile");
    let wish = wish(&asked);
    if !is_asked {
        return Ok(Html(dashboard::simulator(&person.frame(), &wish, None, false)));
    }
    let profile =
        Profile::named(&wish.profile).map_err(|error| person.refuse(Refusal::invalid(error.to_string())))?;
    let Ok(_turn) = TURN.try_acquire() else {
        return Ok(Html(dashboard::simulator(&person.frame(), &wish, None, true)));
    };
    let work = wish.clone();
    let result = tokio::task::spawn_blocking(move || run(&profile, &work)).await;
    let result = result.map_err(|error| person.refuse(Refusal::internal(&error)))?;
    Ok(Html(dashboard::simulator(&person.frame(), &wish, result.as_ref(), false)))
}

fn wish(asked: &Asked) -> Wish {
    let usual = Wish::default();
    let percent = |name: &str, usual: f64| {
        let value = number::<f64>(asked, name).filter(|value| value.is_finite());
        value.unwrap_or(usual).clamp(0.0, 100.0)
    };
    Wish {
        profile: asked.get("profile").cloned().unwrap_or(usual.profile),
        machines: number(asked, "machines").unwrap_or(usual.machines).clamp(1, Wish::MOST_MACHINES),
        crash: percent("crash", usual.crash),
        oops: percent("oops", usual.oops),
        stalled: percent("stalled", usual.stalled),
        failed_load: percent("failed_load", usual.failed_load),
        runs: number(asked, "runs").unwrap_or(usual.runs).clamp(1, Wish::MOST_RUNS),
    }
}

fn number<T: FromStr>(asked: &Asked, name: &str) -> Option<T> {
    asked.get(name)?.trim().parse().ok()
}

fn run(profile: &Profile, wish: &Wish) -> Option<Simulated> {
    let usual = Simulation::default();
    let simulation = Simulation {
        machines: wish.machines,
        fault: Fault {
            crash: wish.crash / 100.0,
            oops: wish.oops / 100.0,
            stalled: wish.stalled / 100.0,
            failed_load: wish.failed_load / 100.0,
            ..usual.fault
        },
        ..usual
    };
    let mut moments = Vec::new();
    let first = simulate_watched(profile, &simulation, |moment| moments.push(moment));
    let further =
        (2..=u64::from(wish.runs)).map(|seed| simulate(profile, &Simulation { seed, ..simulation.clone() }));
    let outcomes: Vec<_> = std::iter::once(first.clone()).chain(further).collect();
    Some(Simulated { summary: summarise(&outcomes)?, first, curve: curve(&moments) })
}

/// Some of the moments, the last among them.
fn curve(moments: &[Moment]) -> Curve {
    let every = moments.len().div_ceil(POINTS).max(1);
    let chosen = moments.iter().step_by(every).chain(moments.last());
    let point = |moment: &Moment| Point {
        hours: moment.after as f64 / 3600.0,
        given: moment.given,
        soaked: moment.soaked,
        hit: moment.hit,
    };
    Curve { points: chosen.map(point).collect() }
}
