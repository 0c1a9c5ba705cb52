//! The page between a button and its effect.

use crate::{
    Frame,
    frame::{Place, page},
    paths, words,
};
use maud::html;

/// An act that a person is asked about.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What would be done, as a title: `Halt 2026-11?`
    pub title: String,
    /// What that means.
    pub meaning: &'a str,
    /// What is to be known before: evidence, numbers.
    pub facts: Vec<String>,
    /// Where the form goes.
    pub action: String,
    /// Hidden fields.
    pub fields: Vec<(&'static str, String)>,
    /// Whether a reason is asked for.
    pub reason: bool,
    /// The words on the button.
    pub button: &'a str,
    /// Where 'no' leads.
    pub back: String,
    /// Whether it cannot be taken back.
    pub grave: bool,
}

/// Asks.
pub fn confirm(frame: &Frame, question: &Question<'_>) -> String {
    let body = html! {
        p { (question.meaning) }
        @if !question.facts.is_empty() {
            ul.facts { @for fact in &question.facts { li { (fact) } } }
        }
        form.stacked action=(question.action) method="post" {
            (frame.csrf_field())
            @for (name, value) in &question.fields { input type="hidden" name=(name) value=(value); }
            @if question.reason {
                label for="reason" { (words::REASON) }
                input #reason type="text" name="reason" required maxlength="255" autocomplete="off" aria-describedby="reason-use";
                p #reason-use.hint { (words::REASON_USE) }
            }
            div.buttons {
                button type="submit" class=[question.grave.then_some("grave")] { (question.button) }
                a.button href=(question.back) { (words::NO) }
            }
        }
    };
    page(frame, place_of(&question.back), &question.title, &body)
}

fn place_of(address: &str) -> Place {
    let places = [
        (paths::ROLLOUTS, Place::Rollouts),
        (paths::MACHINES, Place::Machines),
        (paths::LIVEPATCHES, Place::Livepatches),
        (paths::TOKENS, Place::Tokens),
        (paths::UPSTREAMS, Place::Upstreams),
        (paths::HOOKS, Place::Hooks),
        (paths::USERS, Place::Users),
        (paths::KEYS, Place::Keys),
        (paths::NOTICES, Place::Notices),
        (paths::CVES, Place::Cves),
    ];
    places.into_iter().find(|(path, _)| address.starts_with(path)).map_or(Place::Overview, |(_, place)| place)
}
