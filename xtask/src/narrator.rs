//! Tells what happens: one line a step with its time, a spinner while it runs. On anything but a terminal, plain lines.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    cell::RefCell,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

const NAME_WIDTH: usize = 60;

/// A finished step.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    /// What was done.
    pub(crate) name: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// Prints steps and keeps their times.
pub(crate) struct Narrator {
    bars: bool,
    records: Vec<Record>,
}

/// A step that runs.
pub(crate) struct Step {
    bar: Option<ProgressBar>,
    note: RefCell<String>,
}

impl Narrator {
    /// With a spinner when standard error is a terminal and this is no CI.
    pub(crate) fn new() -> Self {
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        Self { bars: !ci && std::io::stderr().is_terminal(), records: Vec::new() }
    }

    /// Does something and prints its line: name, note, time.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let step = Step { bar: self.bars.then(|| spinner(name)), note: RefCell::default() };
        if !self.bars {
            eprintln!("… {name}");
        }
        let start = Instant::now();
        let result = work(&step);
        let seconds = start.elapsed().as_secs_f64();
        if let Some(bar) = step.bar {
            bar.finish_and_clear();
        }
        let mark = if result.is_ok() { '✓' } else { '✗' };
        eprintln!("{mark} {name:<NAME_WIDTH$} {seconds:>7.1} s");
        for line in step.note.into_inner().lines() {
            eprintln!("  {line}");
        }
        self.records.push(Record { name: name.to_owned(), seconds });
        result
    }

    /// Does something that talks by itself.
    pub(crate) fn open_step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let bars = std::mem::replace(&mut self.bars, false);
        let result = self.step(name, |_| work());
        self.bars = bars;
        result
    }

    /// Prints a heading.
    pub(crate) fn heading(&self, text: &str) {
        eprintln!("\n{text}");
    }

    /// Prints text that a program wrote, set off.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.trim_end().lines() {
            eprintln!("    │ {line}");
        }
    }

    /// The steps so far.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }
}

impl Step {
    /// Shows what is going on inside the step; only where there is a spinner.
    pub(crate) fn progress(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.trim().chars().take(80).collect::<String>());
        }
    }

    /// Adds a line under the step's line.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        let mut note = self.note.borrow_mut();
        note.push_str(line.as_ref());
        note.push('\n');
    }
}

fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4}  {wide_msg:.dim}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
