//! What would a bad livepatch do? The rollout engine in virtual time.

use crate::{
    Cell, Column, Frame, Table, Tone,
    chart::{self, Line},
    frame::{Place, command, page},
    moment, paths, words,
};
use livepatch_rollout::{Outcome, Profile, Spread, Summary};
use maud::{Markup, html};

/// What to simulate, as in the page's address; shares in percent.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The profile's name.
    pub profile: String,
    /// How many machines.
    pub machines: u32,
    /// Of those that apply it, so many crash.
    pub crash: f64,
    /// Report an oops.
    pub oops: f64,
    /// Stall.
    pub stalled: f64,
    /// Refuse to load it.
    pub failed_load: f64,
    /// How often.
    pub runs: u32,
}

/// The first run over time.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// In order.
    pub points: Vec<Point>,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Hours since the rollout began.
    pub hours: f64,
    /// Machines that were given the livepatch.
    pub given: u32,
    /// Machines on which it soaked.
    pub soaked: u32,
    /// Machines that its fault crashed.
    pub hit: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// All runs.
    pub summary: Summary,
    /// The first run's end.
    pub first: Outcome,
    /// The first run's way.
    pub curve: Curve,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            profile: "normal".to_owned(),
            machines: 10_000,
            crash: 1.0,
            oops: 0.0,
            stalled: 0.0,
            failed_load: 0.0,
            runs: 3,
        }
    }
}

impl Wish {
    /// No simulation from a page is larger: it takes seconds of a processor.
    pub const MOST_MACHINES: u32 = 100_000;
    /// Nor of more runs.
    pub const MOST_RUNS: u32 = 10;
}

/// The page; without a result it only asks. `busy` when another simulation is under way.
pub fn simulator(frame: &Frame, wish: &Wish, result: Option<&Simulated>, busy: bool) -> String {
    let body = html! {
        p { (words::SIMULATOR_MEANING) }
        (form(wish))
        @if busy { p.notice role="status" { (words::SIMULATOR_BUSY) } }
        @if let Some(result) = result { (answer(wish, result)) }
    };
    page(frame, Place::Simulator, words::SIMULATOR, &body)
}

fn form(wish: &Wish) -> Markup {
    let percent = |id: &'static str, word: &'static str, value: f64| {
        html! { label { (word) input type="number" name=(id) min="0" max="100" step="any" value=(value); } }
    };
    html! {
        form.filter action=(paths::SIMULATOR) method="get" {
            label { (words::PROFILE)
                select name="profile" { @for name in Profile::NAMES { option value=(name) selected[wish.profile == name] { (name) } } }
            }
            label { (words::MACHINES) input type="number" name="machines" min="1" max=(Wish::MOST_MACHINES) value=(wish.machines); }
            (percent("crash", words::CRASH_SHARE, wish.crash))
            (percent("oops", words::OOPS_SHARE, wish.oops))
            (percent("stalled", words::STALLED_SHARE, wish.stalled))
            (percent("failed_load", words::FAILED_LOAD_SHARE, wish.failed_load))
            label { (words::RUNS) input type="number" name="runs" min="1" max=(Wish::MOST_RUNS) value=(wish.runs); }
            button type="submit" { (words::SIMULATE) }
        }
    }
}

fn answer(wish: &Wish, result: &Simulated) -> Markup {
    let Simulated { summary, first, curve } = result;
    let line = |word, tone, of: &dyn Fn(&Point) -> u32| Line {
        word,
        tone,
        points: curve.points.iter().map(|point| (point.hours, of(point))).collect(),
    };
    let lines = [
        line(words::GIVEN, Tone::Quiet, &|point| point.given),
        line(words::SOAKED, Tone::Good, &|point| point.soaked),
        line(words::CRASHED_MACHINES, Tone::Bad, &|point| point.hit),
    ];
    html! {
        section {
            h2 { (words::simulated(summary.runs, summary.halted, summary.complete)) }
            @if let Some(halt) = &first.halt { p { (words::FIRST_RUN) " " (halt) } }
            (figures(summary).to_html())
        }
        section { h2 { (words::FIRST_RUN_CURVE) } (chart::curve(words::FIRST_RUN_CURVE, wish.machines, &lines)) }
        (command(&format!(
            "livepatch-admin rollout simulate --profile {} --machines {} --crash {} --oops {} --stalled {} --failed-load {} --runs {}",
            wish.profile, wish.machines, wish.crash / 100.0, wish.oops / 100.0, wish.stalled / 100.0, wish.failed_load / 100.0, wish.runs
        )))
    }
}

fn figures(summary: &Summary) -> Table {
    let counted = |word: &str, spread: Spread| {
        let number = |value: f64| Cell::text(words::number(value.round() as i64));
        vec![
            Cell::text(word),
            number(spread.mean),
            number(spread.median),
            number(spread.p95),
            number(spread.max),
        ]
    };
    let timed = |word: &str, spread: Spread| {
        let length = |value: f64| Cell::text(moment::length(value as i64));
        vec![
            Cell::text(word),
            length(spread.mean),
            length(spread.median),
            length(spread.p95),
            length(spread.max),
        ]
    };
    let mut rows = vec![counted(words::CRASHED_MACHINES, summary.hit), counted(words::GIVEN, summary.given)];
    rows.extend(summary.seconds_to_halt.map(|spread| timed(words::UNTIL_HALT, spread)));
    rows.extend(summary.seconds_to_complete.map(|spread| timed(words::UNTIL_COMPLETE, spread)));
    Table {
        caption: words::SIMULATOR.to_owned(),
        columns: vec![
            Column::text("what", words::WHAT),
            Column::number("mean", words::MEAN),
            Column::number("median", words::MEDIAN),
            Column::number("p95", words::P95),
            Column::number("max", words::MAX),
        ],
        rows,
        export: None,
    }
}
