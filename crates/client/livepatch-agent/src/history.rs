//! What happened on this machine, kept here whatever the server was told: the last [`History::KEPT`] events.

use crate::state_dir::Record;
use livepatch_api::Event;
use serde::{Deserialize, Serialize};

/// What `livepatch history --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// Always 1.
    pub schema: u32,
    /// Oldest first.
    pub events: Vec<Event>,
}

impl Record for History {
    const FILE: &'static str = "history.json";
}

impl Default for History {
    fn default() -> Self {
        Self { schema: 1, events: Vec::new() }
    }
}

impl History {
    /// How many events are kept; the oldest go first.
    pub const KEPT: usize = 500;

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
        let excess = self.events.len().saturating_sub(Self::KEPT);
        self.events.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepatch_api::EventKind;

    #[test]
    fn the_oldest_go_first() {
        let mut history = History::default();
        for number in 0..=History::KEPT {
            let event = Event { at: String::new(), kind: EventKind::Applied, detail: number.to_string() };
            history.push(event);
        }
        assert_eq!(history.events.len(), History::KEPT);
        assert_eq!(history.events[0].detail, "1");
    }
}
