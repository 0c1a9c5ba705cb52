//! What the person sees while it works: a line a step on standard error, a spinner for what takes long on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::time::{Duration, Instant};

thread_local! {
    /// What this thread's lines are about, when several things go on at once.
    static SUBJECT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on each line of this thread begins with `subject`.
pub fn speak_of(subject: &str) {
    SUBJECT.with_borrow_mut(|own| *own = format!("{subject}: "));
}

fn subject() -> String {
    SUBJECT.with_borrow(Clone::clone)
}

/// A running step. Ends with a line when it is dropped or [`Step::done`].
pub struct Step {
    bar: ProgressBar,
    text: String,
    start: Instant,
}

/// Starts a step; `text` says what happens.
pub fn step(text: impl Into<String>) -> Step {
    let text = subject() + &text.into();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(text.clone());
    bar.enable_steady_tick(Duration::from_millis(120));
    Step { bar, text, start: Instant::now() }
}

/// A line of its own.
pub fn say(text: impl AsRef<str>) {
    eprintln!("{}{}", subject(), text.as_ref());
}

impl Step {
    /// Ends the step with what came of it.
    pub fn done(self, result: impl AsRef<str>) -> Duration {
        let took = self.start.elapsed();
        self.bar.finish_and_clear();
        let result = result.as_ref();
        let gap = if result.is_empty() { "" } else { ": " };
        eprintln!("{}{gap}{result} [{:.1} s]", self.text, took.as_secs_f64());
        took
    }
}

/// A running step of so many parts.
pub struct Progress {
    bar: ProgressBar,
    text: String,
    start: Instant,
}

/// Starts a step of `parts` parts.
pub fn progress(text: impl Into<String>, parts: usize) -> Progress {
    let text = text.into();
    let bar = ProgressBar::new(parts as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} ({eta})") {
        bar.set_style(style);
    }
    bar.set_message(text.clone());
    Progress { bar, text, start: Instant::now() }
}

impl Progress {
    /// One part more is done.
    pub fn advance(&self) {
        self.bar.inc(1);
    }

    /// Ends the step with what came of it.
    pub fn done(self, result: impl AsRef<str>) {
        self.bar.finish_and_clear();
        eprintln!("{}: {} [{:.1} s]", self.text, result.as_ref(), self.start.elapsed().as_secs_f64());
    }
}
