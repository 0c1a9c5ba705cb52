//! Reads the kernel's log for the soak: keeps what the kernel said since the livepatch at hand was handed to it, and finds the
//! complaints in it.

use crate::soak::KernelWords;
use livepatch_host::{Host, Incident, KernelLog, LogRecord, find_incidents};
use std::collections::VecDeque;

/// Records that are kept: a report has some hundred lines, and a soak may see several.
const MOST_RECORDS: usize = 4000;

/// The watcher; without a log it sees nothing and says so.
#[derive(Debug)]
pub(crate) struct KernelWatch {
    log: Option<KernelLog>,
    since: u64,
    records: VecDeque<LogRecord>,
    incidents: Vec<Incident>,
}

impl KernelWatch {
    pub(crate) fn open(host: &Host) -> Self {
        let log = host.kernel_log();
        if let Err(error) = &log {
            tracing::warn!(%error, "the kernel's log cannot be read: the soak watches the taint mask alone");
        }
        Self { log: log.ok(), since: u64::MAX, records: VecDeque::new(), incidents: Vec::new() }
    }

    /// Reads what is new. `since`: number of the first record that concerns the livepatch at hand, if there is one. When an
    /// earlier one than before is asked for (the daemon started in the middle of a soak), the log is read from its beginning.
    pub(crate) fn look(&mut self, host: &Host, since: Option<u64>) {
        let since = since.unwrap_or(u64::MAX);
        if since < self.since {
            self.log = host.kernel_log().ok();
            self.records.clear();
        }
        let changed = since != self.since;
        self.since = since;
        self.records.retain(|record| record.sequence >= since);
        let new = self.read();
        let before = self.records.len();
        self.records.extend(new.into_iter().filter(|record| record.sequence >= since));
        let grown = self.records.len() > before;
        let excess = self.records.len().saturating_sub(MOST_RECORDS);
        self.records.drain(..excess);
        if changed || grown {
            let lines = self.records.iter().map(|record| (record.sequence, record.text.as_str()));
            self.incidents = find_incidents(lines);
        }
    }

    fn read(&mut self) -> Vec<LogRecord> {
        match self.log.as_mut().map(KernelLog::read) {
            None => Vec::new(),
            Some(Ok(part)) => part.records,
            Some(Err(error)) => {
                tracing::warn!(%error, "the kernel's log cannot be read any more");
                self.log = None;
                Vec::new()
            }
        }
    }

    /// The number that the next record will have at least, after everything before it was read.
    pub(crate) fn mark(&mut self) -> Option<u64> {
        let _ = self.read();
        self.log.as_ref().map(KernelLog::next_sequence)
    }

    pub(crate) fn words(&self) -> KernelWords<'_> {
        KernelWords { incidents: &self.incidents, log_is_read: self.log.is_some() }
    }
}
