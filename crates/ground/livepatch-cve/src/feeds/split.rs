//! A feed of JSON records, taken apart piece by piece: one a line, an array, or one after the other.

use crate::{Fault, Problem};

/// A longer record is skipped unread: it would cost memory, and no real one comes near.
pub const LARGEST_RECORD: usize = 8 << 20;

/// Finds the records in a feed that arrives in pieces. Holds at most one record.
///
/// A record is an object at the top level or in the top level's array. A record that is broken off is noticed when the next one
/// begins at the start of a line: nested objects never do in any of the feeds.
#[derive(Debug)]
pub struct RecordSplitter {
    document: String,
    /// The record so far; empty between records.
    record: Vec<u8>,
    /// Line of the current byte, and of the record's start.
    line: usize,
    start: usize,
    /// Open braces and brackets within the record.
    depth: usize,
    in_text: bool,
    escaped: bool,
    at_line_start: bool,
    /// The record is over the limit: it is read on, but not kept.
    skipping: bool,
    problems: Vec<Problem>,
}

impl RecordSplitter {
    /// For a feed with this name.
    pub fn new(document: &str) -> Self {
        Self {
            document: document.to_owned(),
            record: Vec::new(),
            line: 1,
            start: 1,
            depth: 0,
            in_text: false,
            escaped: false,
            at_line_start: true,
            skipping: false,
            problems: Vec::new(),
        }
    }

    /// Reads the next piece; `found` gets each finished record and the line of its start.
    pub fn push(&mut self, piece: &[u8], found: &mut dyn FnMut(usize, &[u8])) {
        // Where the part of the piece begins that belongs to the record and is not copied yet.
        let mut kept = 0;
        let mut at = 0;
        while let Some(byte) = piece.get(at).copied() {
            let at_line_start = std::mem::replace(&mut self.at_line_start, byte == b'\n');
            self.line += usize::from(byte == b'\n');
            if self.depth > 0 && byte == b'{' && at_line_start {
                self.break_off(self.start, Fault::CutOff);
            }
            match self.step(byte) {
                Step::Start => (kept, self.start) = (at, self.line),
                Step::End => self.finish_record(&piece[kept..=at], found),
                Step::Inside => {}
            }
            at += 1;
            if self.in_text && !self.escaped && !self.at_line_start {
                at += plain(&piece[at..]);
            }
        }
        if self.depth > 0 {
            self.keep(&piece[kept..]);
        }
    }

    /// Follows the JSON by one byte.
    fn step(&mut self, byte: u8) -> Step {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return Step::Inside;
        }
        match (self.depth, byte) {
            (0, b'{') => {
                self.depth = 1;
                return Step::Start;
            }
            (0, _) => {}
            (_, b'"') => self.in_text = true,
            (_, b'{' | b'[') => self.depth += 1,
            (depth, b'}' | b']') => {
                self.depth -= 1;
                if depth == 1 {
                    return Step::End;
                }
            }
            _ => {}
        }
        Step::Inside
    }

    /// Ends the feed: what is wrong with it as a whole.
    pub fn finish(mut self) -> Vec<Problem> {
        if self.depth > 0 {
            self.break_off(self.start, Fault::CutOff);
        }
        self.problems
    }

    fn finish_record(&mut self, rest: &[u8], found: &mut dyn FnMut(usize, &[u8])) {
        if self.record.is_empty() && !self.skipping && rest.len() <= LARGEST_RECORD {
            return found(self.start, rest);
        }
        self.keep(rest);
        if self.skipping {
            self.break_off(self.start, Fault::TooLarge(LARGEST_RECORD));
        } else {
            found(self.start, &self.record);
        }
        self.record.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.skipping |= self.record.len().saturating_add(bytes.len()) > LARGEST_RECORD;
        if self.skipping {
            self.record = Vec::new();
        } else {
            self.record.extend_from_slice(bytes);
        }
    }

    /// Forgets the record.
    fn break_off(&mut self, line: usize, fault: Fault) {
        self.problems.push(Problem::new(&self.document, line, fault));
        self.record.clear();
        (self.depth, self.in_text, self.escaped, self.skipping) = (0, false, false, false);
    }
}

/// What a byte means for the record.
enum Step {
    Start,
    Inside,
    End,
}

/// How many bytes of a text follow that mean nothing: most of a feed is texts.
fn plain(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n')).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, piece: usize) -> (Vec<(usize, String)>, Vec<Problem>) {
        let mut splitter = RecordSplitter::new("feed");
        let mut found = Vec::new();
        for part in text.as_bytes().chunks(piece) {
            splitter.push(part, &mut |line, bytes| {
                found.push((line, String::from_utf8_lossy(bytes).into_owned()))
            });
        }
        (found, splitter.finish())
    }

    #[test]
    fn lines_arrays_and_sequences() {
        let records = [r#"{"a":"}\"{","b":[{}]}"#, "{}", r#"{"c":{"d":1}}"#];
        for (open, between, close) in
            [("", "\n", "\n"), ("[", ",", "]"), ("[\n  ", ",\n  ", "\n]"), ("", " ", "")]
        {
            let text = format!("{open}{}{close}", records.join(between));
            for piece in [1, 2, 3, 7, 1000] {
                let (found, problems) = split(&text, piece);
                let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
                assert_eq!((texts.as_slice(), problems.len()), (&records[..], 0), "{text} by {piece}");
            }
        }
    }

    #[test]
    fn a_broken_record_costs_only_itself() {
        let text = "{\"a\":1}\n{\"b\":\"never ends\n{\"c\":3}\n{\"d\":{\n";
        for piece in [1, 5, 1000] {
            let (found, problems) = split(text, piece);
            assert_eq!(found, [(1, "{\"a\":1}".into()), (3, "{\"c\":3}".into())]);
            assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 4]);
        }
    }

    #[test]
    fn a_huge_record_is_not_held() {
        let mut splitter = RecordSplitter::new("feed");
        let mut count = 0;
        splitter.push(b"{\"a\":\"", &mut |_, _| count += 1);
        for _ in 0..20 {
            splitter.push(&vec![b'x'; 1 << 20], &mut |_, _| count += 1);
        }
        assert!(splitter.record.capacity() <= 2 * LARGEST_RECORD);
        splitter.push(b"\"}\n{}", &mut |_, _| count += 1);
        assert_eq!(count, 1);
        assert_eq!(splitter.finish(), [Problem::new("feed", 1, Fault::TooLarge(LARGEST_RECORD))]);
    }
}
