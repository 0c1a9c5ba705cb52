//! Log events as entries of systemd's journal, with a field for each value, so that `journalctl LIVEPATCH_STEP=applied` finds
//! them. The message has the values too, for people.
//!
//! The journal's own protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): a datagram an entry, `NAME=value` a line; a
//! value with line ends in it is written as `NAME`, a line end, its length in eight bytes (little endian), and itself.

use std::{
    fmt::{Debug, Write as _},
    io,
    os::unix::net::UnixDatagram,
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

const SOCKET: &str = "/run/systemd/journal/socket";
const IDENTIFIER: &str = "livepatchd";
const PREFIX: &str = "LIVEPATCH_";
/// A datagram that is larger than the socket's buffer would be lost; no message of ours comes near.
const LONGEST_VALUE: usize = 32 << 10;

/// Sends events to the journal.
pub(crate) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// # Errors
    /// When there is no journal.
    pub(crate) fn connect() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        // A journal that does not keep up must not stop the daemon.
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let entry = entry(*event.metadata().level(), values);
        // Nobody is left to be told.
        let _ = self.socket.send(&entry);
    }
}

/// An event's message and its other values, in order.
#[derive(Default)]
struct Values {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl tracing::field::Visit for Values {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.take(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }
}

impl Values {
    fn take(&mut self, name: &'static str, value: String) {
        if name == "message" { self.message = value } else { self.others.push((name, value)) }
    }
}

fn entry(level: tracing::Level, values: Values) -> Vec<u8> {
    let Values { mut message, others } = values;
    for (name, value) in &others {
        // As tracing's own format does it.
        let _ = write!(message, " {name}={value}");
    }
    let mut entry = Vec::new();
    field(&mut entry, "PRIORITY", priority(level));
    field(&mut entry, "SYSLOG_IDENTIFIER", IDENTIFIER);
    field(&mut entry, "MESSAGE", message.trim_start());
    for (name, value) in &others {
        field(&mut entry, &format!("{PREFIX}{}", name.to_uppercase().replace(['.', '-'], "_")), value);
    }
    entry
}

/// syslog(3): 3 error, 4 warning, 6 information, 7 debug.
fn priority(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "3",
        tracing::Level::WARN => "4",
        tracing::Level::INFO => "6",
        _ => "7",
    }
}

fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=LONGEST_VALUE.min(value.len())).rfind(|&end| value.is_char_boundary(end)).unwrap_or(0);
    let value = &value[..end];
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_machines_find_the_values() {
        let others = vec![("step", "applied".to_owned()), ("error", "two\nlines".to_owned())];
        let entry = entry(tracing::Level::WARN, Values { message: "it runs".to_owned(), others });
        let mut expected = b"PRIORITY=4\nSYSLOG_IDENTIFIER=livepatchd\nMESSAGE\n".to_vec();
        expected.extend_from_slice(b"\x24\0\0\0\0\0\0\0it runs step=applied error=two\nlines\n");
        expected
            .extend_from_slice(b"LIVEPATCH_STEP=applied\nLIVEPATCH_ERROR\n\x09\0\0\0\0\0\0\0two\nlines\n");
        assert_eq!(String::from_utf8_lossy(&entry), String::from_utf8_lossy(&expected));
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut entry = Vec::new();
        field(&mut entry, "A", &"ä".repeat(LONGEST_VALUE));
        assert!(std::str::from_utf8(&entry).is_ok());
        assert!(entry.len() <= LONGEST_VALUE + 3);
    }
}
