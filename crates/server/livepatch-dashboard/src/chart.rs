//! Pictures as SVG. Colours come from classes, so that the style sheet decides them; every picture has words that say the
//! same, and a table beside it holds its numbers.

use crate::{moment, table::Tone, words};
use maud::{Markup, html};

/// A part of a bar.
pub(crate) struct Part<'a> {
    pub(crate) word: &'a str,
    pub(crate) count: u32,
    pub(crate) tone: Tone,
    pub(crate) address: String,
}

const WIDTH: f64 = 720.0;

/// Parts of a whole, as one bar with a legend whose entries lead to the lists behind them.
pub(crate) fn bar(title: &str, parts: &[Part<'_>]) -> Markup {
    let total: u32 = parts.iter().map(|part| part.count).sum();
    let mut x = 0.0;
    let pieces: Vec<(f64, f64, &Part<'_>)> = parts
        .iter()
        .filter(|part| part.count > 0)
        .map(|part| {
            let width = f64::from(part.count) / f64::from(total.max(1)) * WIDTH;
            x += width;
            (x - width, width, part)
        })
        .collect();
    html! {
        figure.chart {
            svg viewBox="0 0 720 28" role="img" aria-label=(title) preserveAspectRatio="none" class="bar" {
                @for (at, width, part) in &pieces {
                    // A part of one machine among 100,000 must be seen.
                    rect x=(fixed(*at)) y="0" width=(fixed(width.max(2.0))) height="28" class=(part.tone.class()) {
                        title { (part.word) ": " (words::number(part.count.into())) }
                    }
                }
            }
            ul.legend {
                @for part in parts {
                    li {
                        span class={ "swatch " (part.tone.class()) } aria-hidden="true" {}
                        a href=(part.address) { (part.word) " " strong { (words::number(part.count.into())) } }
                    }
                }
            }
        }
    }
}

/// A kernel build's way through the stages.
pub(crate) struct Lane {
    pub(crate) label: String,
    /// From 0; as many as there are stages: through.
    pub(crate) stage: usize,
    /// How much of the stage's machines is let in, from 0 to 1.
    pub(crate) admitted: f64,
    /// On how much of them it soaked.
    pub(crate) soaked: f64,
    pub(crate) tone: Tone,
    pub(crate) words: String,
}

/// Stages from left to right, a lane for each kernel build: what is behind it is filled, the stage that it is in as far as it got.
pub(crate) fn waves(title: &str, stages: &[String], lanes: &[Lane]) -> Markup {
    const TOP: f64 = 30.0;
    const LANE: f64 = 44.0;
    let count = stages.len().max(1) as f64;
    let width = WIDTH / count;
    let height = TOP + LANE * lanes.len() as f64;
    html! {
        figure.chart {
            svg viewBox={ "0 0 720 " (fixed(height)) } role="img" aria-label=(title) class="waves" {
                @for (number, stage) in stages.iter().enumerate() {
                    text x=(fixed(width * number as f64 + 4.0)) y="18" class="axis" { (stage) }
                }
                @for (row, lane) in lanes.iter().enumerate() {
                    @let y = TOP + LANE * row as f64;
                    text x="4" y=(fixed(y + 12.0)) class="lane" { (lane.label) ": " (lane.words) }
                    @for number in 0..stages.len() {
                        @let x = width * number as f64;
                        @let (admitted, soaked) = share(lane, number);
                        rect x=(fixed(x + 1.0)) y=(fixed(y + 18.0)) width=(fixed(width - 2.0)) height="16" rx="3" class="groove" {}
                        @if admitted > 0.0 {
                            rect x=(fixed(x + 1.0)) y=(fixed(y + 18.0)) width=(fixed((width - 2.0) * admitted)) height="16" rx="3"
                                class={ "admitted " (lane.tone.class()) } {}
                        }
                        @if soaked > 0.0 {
                            rect x=(fixed(x + 1.0)) y=(fixed(y + 18.0)) width=(fixed((width - 2.0) * soaked)) height="16" rx="3"
                                class={ "soaked " (lane.tone.class()) } {}
                        }
                    }
                }
            }
            figcaption { (words::WAVES_CAPTION) }
        }
    }
}

/// How far a lane has filled a stage.
fn share(lane: &Lane, stage: usize) -> (f64, f64) {
    match stage.cmp(&lane.stage) {
        std::cmp::Ordering::Less => (1.0, 1.0),
        std::cmp::Ordering::Equal => (lane.admitted.clamp(0.0, 1.0), lane.soaked.clamp(0.0, 1.0)),
        std::cmp::Ordering::Greater => (0.0, 0.0),
    }
}

/// A line of a curve: hours and machines.
pub(crate) struct Line<'a> {
    pub(crate) word: &'a str,
    pub(crate) tone: Tone,
    pub(crate) points: Vec<(f64, u32)>,
}

/// Machines over time; the scale upwards is logarithmic, since three machines and a hundred thousand are both of interest.
pub(crate) fn curve(title: &str, most: u32, lines: &[Line<'_>]) -> Markup {
    const LEFT: f64 = 64.0;
    const HEIGHT: f64 = 240.0;
    let last = lines.iter().flat_map(|line| &line.points).map(|(hours, _)| *hours).fold(1.0, f64::max);
    let decades = f64::from(most.max(10)).log10().ceil();
    let x = |hours: f64| LEFT + hours / last * (WIDTH - LEFT - 12.0);
    let y = |machines: u32| {
        let level = if machines == 0 { 0.0 } else { (f64::from(machines).log10() + 0.3) / (decades + 0.3) };
        10.0 + (1.0 - level) * HEIGHT
    };
    let path = |line: &Line<'_>| {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|(hours, machines)| format!("{},{}", fixed(x(*hours)), fixed(y(*machines))))
            .collect();
        points.join(" ")
    };
    html! {
        figure.chart {
            svg viewBox="0 0 720 284" role="img" aria-label=(title) class="curve" {
                @for decade in 0..=(decades as u32) {
                    @let machines = 10u32.saturating_pow(decade);
                    line x1=(fixed(LEFT)) x2="708" y1=(fixed(y(machines))) y2=(fixed(y(machines))) class="grid" {}
                    text x=(fixed(LEFT - 6.0)) y=(fixed(y(machines) + 4.0)) class="axis end" { (words::number(machines.into())) }
                }
                @for quarter in 0..=4 {
                    @let hours = last * f64::from(quarter) / 4.0;
                    text x=(fixed(x(hours))) y="276" class={ "axis " (if quarter == 4 { "end" } else { "" }) } {
                        (moment::length((hours * 3600.0) as i64))
                    }
                }
                @for line in lines { polyline points=(path(line)) class={ "line " (line.tone.class()) } {} }
            }
            ul.legend {
                @for line in lines {
                    li { span class={ "swatch " (line.tone.class()) } aria-hidden="true" {} (line.word) }
                }
            }
        }
    }
}

/// A time with a beginning, in days since 1970.
pub(crate) struct Span {
    pub(crate) words: String,
    pub(crate) start: i64,
    /// Absent: no end is known.
    pub(crate) end: Option<i64>,
    pub(crate) tone: Tone,
}

/// Spans that belong together.
pub(crate) struct SpanLane {
    pub(crate) label: String,
    pub(crate) spans: Vec<Span>,
}

/// Spans along a line of time, a lane for each label, with marks at days and a line for today.
pub(crate) fn time_line(title: &str, today: i64, marks: &[(i64, String)], lanes: &[SpanLane]) -> Markup {
    const TOP: f64 = 26.0;
    const BAR: f64 = 9.0;
    let spans = || lanes.iter().flat_map(|lane| &lane.spans);
    let first = spans().map(|span| span.start).min().unwrap_or(today).min(today);
    let last = spans().filter_map(|span| span.end).max().unwrap_or(today).max(today + 30);
    let x = |day: i64| (day - first) as f64 / (last - first) as f64 * (WIDTH - 16.0) + 8.0;
    // A lane has a line of words above its bars.
    let heights: Vec<f64> = lanes.iter().map(|lane| 22.0 + (BAR + 2.0) * lane.spans.len() as f64).collect();
    let height = TOP + heights.iter().sum::<f64>() + 4.0;
    let shown = marks.len().div_ceil(10).max(1);
    html! {
        figure.chart {
            svg viewBox={ "0 0 720 " (fixed(height)) } role="img" aria-label=(title) class="waves" {
                @for (day, word) in marks.iter().step_by(shown) {
                    line x1=(fixed(x(*day))) x2=(fixed(x(*day))) y1="18" y2=(fixed(height)) class="grid" {}
                    text x=(fixed(x(*day).clamp(28.0, WIDTH - 28.0))) y="12" class="axis middle" { (word) }
                }
                @for (number, lane) in lanes.iter().enumerate() {
                    @let y = TOP + heights.iter().take(number).sum::<f64>();
                    text x="8" y=(fixed(y + 12.0)) class="lane" { (lane.label) }
                    @for (row, span) in lane.spans.iter().enumerate() {
                        @let (start, end) = (x(span.start), x(span.end.unwrap_or(last)));
                        rect x=(fixed(start)) y=(fixed(y + 17.0 + (BAR + 2.0) * row as f64)) width=(fixed((end - start).max(2.0)))
                            height=(fixed(BAR)) rx="2" class=(span.tone.class()) { title { (span.words) } }
                    }
                }
                line x1=(fixed(x(today))) x2=(fixed(x(today))) y1="16" y2=(fixed(height)) class="today" {}
            }
            figcaption { (words::TIME_LINE_CAPTION) }
        }
    }
}

/// How often each of some values came, from left to right.
pub(crate) fn histogram(title: &str, bars: &[(String, u32)]) -> Markup {
    const TOP: f64 = 22.0;
    const HEIGHT: f64 = 130.0;
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let width = WIDTH / bars.len().max(1) as f64;
    html! {
        figure.chart {
            svg viewBox="0 0 720 176" role="img" aria-label=(title) class="waves" {
                line x1="0" x2="720" y1=(fixed(TOP + HEIGHT)) y2=(fixed(TOP + HEIGHT)) class="grid" {}
                @for (number, (label, count)) in bars.iter().enumerate() {
                    @let x = width * number as f64;
                    // One among many thousand must be seen.
                    @let height = if *count == 0 { 0.0 } else { (f64::from(*count) / f64::from(most) * HEIGHT).max(2.0) };
                    rect x=(fixed(x + 4.0)) y=(fixed(TOP + HEIGHT - height)) width=(fixed(width - 8.0)) height=(fixed(height)) class="good" {}
                    @if *count > 0 {
                        text x=(fixed(x + width / 2.0)) y=(fixed(TOP + HEIGHT - height - 5.0)) class="middle" { (words::number((*count).into())) }
                    }
                    text x=(fixed(x + width / 2.0)) y="170" class="axis middle" { (label) }
                }
            }
        }
    }
}

/// How something went on, in seconds: a first part, and what followed from its end on.
pub(crate) struct Course<'a> {
    pub(crate) label: &'a str,
    pub(crate) first: i64,
    /// Counted from the end of the first part; the later steps may be missing.
    pub(crate) steps: [Option<i64>; 3],
}

/// The marks of a scale of time on which minutes and years have room.
const MARKS: [(i64, &str); 7] = [
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (86_400, "1 d"),
    (604_800, "1 w"),
    (2_592_000, "30 d"),
    (31_536_000, "1 y"),
];

/// A scale of time that widens what is short.
#[derive(Clone, Copy)]
struct Scale {
    left: f64,
    width: f64,
    last: i64,
}

impl Scale {
    fn new(left: f64, width: f64, longest: Option<i64>) -> Self {
        Self { left, width, last: longest.unwrap_or_default().clamp(3600, 100 * 31_536_000) }
    }

    fn x(self, seconds: i64) -> f64 {
        let level = |seconds: i64| (seconds.max(0) as f64 / 60.0 + 1.0).log2();
        self.left + (level(seconds) / level(self.last)).min(1.0) * self.width
    }

    /// Its marks, with lines down to `bottom`.
    fn marks(self, title: &str, bottom: f64) -> Markup {
        html! {
            text x=(fixed(self.left)) y="12" class="axis" { (title) }
            @for (seconds, word) in MARKS.into_iter().filter(|(seconds, _)| *seconds <= self.last) {
                line x1=(fixed(self.x(seconds))) x2=(fixed(self.x(seconds))) y1="36" y2=(fixed(bottom)) class="grid" {}
                text x=(fixed(self.x(seconds))) y="30" class="axis middle" { (word) }
            }
        }
    }
}

/// Two scales beside each other, a line for each course: how long the first part took, and how what followed went on.
pub(crate) fn courses(title: &str, courses: &[Course<'_>]) -> Markup {
    const TOP: f64 = 42.0;
    const LANE: f64 = 24.0;
    let followed = courses.iter().flat_map(|one| one.steps.into_iter().flatten()).max();
    let before = Scale::new(124.0, 270.0, courses.iter().map(|one| one.first).max());
    let after = Scale::new(424.0, 276.0, followed);
    let height = TOP + LANE * courses.len() as f64;
    html! {
        figure.chart {
            svg viewBox={ "0 0 720 " (fixed(height)) } role="img" aria-label=(title) class="waves" {
                (before.marks(words::FROM_NEWS, height))
                (after.marks(words::FROM_LIVEPATCH, height))
                @for (row, one) in courses.iter().enumerate() {
                    @let y = TOP + LANE * row as f64;
                    text x="4" y=(fixed(y + 13.0)) class="lane" { (one.label) }
                    (stretch(before.x(0), before.x(one.first), y, "quiet"))
                    @let ends = one.steps.map(|step| step.map(|step| after.x(step)));
                    @let starts = [Some(after.x(0)), ends[0], ends[1]];
                    @for ((start, end), tone) in starts.into_iter().zip(ends).zip(["good", "warn", "bad"]) {
                        @if let (Some(start), Some(end)) = (start, end) { (stretch(start, end, y, tone)) }
                    }
                }
            }
            ul.legend {
                @for (tone, word) in words::COURSE_PARTS { li { span class={ "swatch " (tone) } aria-hidden="true" {} (word) } }
            }
            figcaption { (words::CLOCK_CAPTION) }
        }
    }
}

/// A part of a course; even the shortest can be seen.
fn stretch(start: f64, end: f64, y: f64, class: &str) -> Markup {
    html! { rect x=(fixed(start)) y=(fixed(y + 3.0)) width=(fixed((end - start).max(2.0))) height="13" rx="2" class=(class) {} }
}

fn fixed(value: f64) -> String {
    format!("{value:.1}")
}
