//! The kernel's log as `/dev/kmsg` serves it (Documentation/ABI/testing/dev-kmsg): one record a read,
//! `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT`, with lines that begin with a blank for its properties.

use crate::{Host, HostError};
use rustix::{fs::OFlags, io::Errno};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    time::Duration,
};

const DEVICE: &str = "dev/kmsg";
/// The kernel fails with EINVAL when a record does not fit; its longest has 8 KiB (CONSOLE_EXT_LOG_MAX in
/// kernel/printk/printk.c) before 6.x and 2 KiB since.
const LONGEST_RECORD: usize = 16 << 10;
/// The ring of a default kernel holds 128 KiB to 1 MiB; more in one go means that somebody floods the log.
const MOST_RECORDS: usize = 50_000;

/// One record that the kernel itself wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number; the next one's is greater by one.
    pub sequence: u64,
    /// Time since boot.
    pub time: Duration,
    /// 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The message.
    pub text: String,
}

/// An open `/dev/kmsg`: each look gives what came since the one before.
#[derive(Debug)]
pub struct KernelLog {
    file: fs::File,
    /// A line that is not whole yet; the device gives whole ones, a recorded file may not.
    partial: Vec<u8>,
    next: u64,
}

/// What a look at the log gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Oldest first.
    pub records: Vec<LogRecord>,
    /// Whether records were overwritten before they were read.
    pub lost: bool,
}

impl KernelLog {
    /// The descriptor that whoever started us opened for us on standard input, else the device by its name, which wants
    /// CAP_SYSLOG on most kernels. Only one log at a time: those of standard input share their position.
    pub(crate) fn open(host: &Host) -> Result<Self, HostError> {
        if let Some(file) = (host.root() == Path::new("/")).then(inherited).flatten() {
            return Ok(Self { file, partial: Vec::new(), next: 0 });
        }
        let path = host.path(DEVICE);
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let open = fs::OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = open.map_err(|source| HostError::Read { path, source })?;
        Ok(Self { file, partial: Vec::new(), next: 0 })
    }

    /// The number of the next record, by what was read so far.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    /// [`HostError::Read`].
    pub fn read(&mut self) -> Result<LogPart, HostError> {
        let mut part = LogPart::default();
        let mut buffer = vec![0; LONGEST_RECORD];
        for _ in 0..MOST_RECORDS {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.take(&buffer[..length], &mut part),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was to be read next was overwritten: the next read gives the oldest that is left.
                Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => part.lost = true,
                Err(source) => return Err(HostError::Read { path: DEVICE.into(), source }),
            }
        }
        Ok(part)
    }

    fn take(&mut self, bytes: &[u8], part: &mut LogPart) {
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            self.partial.truncate(LONGEST_RECORD);
            return;
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let records = parse_log(&String::from_utf8_lossy(&whole));
        if let Some(last) = records.last() {
            self.next = last.sequence.saturating_add(1);
        }
        part.records.extend(records);
    }
}

/// Standard input, when it is the kernel's log (character device 1:11, Documentation/admin-guide/devices.txt), from the
/// oldest record on. The kernel asks for powers when the log is opened, not when it is read.
fn inherited() -> Option<fs::File> {
    let input = io::stdin();
    let status = rustix::fs::fstat(&input).ok()?;
    let is_device = rustix::fs::FileType::from_raw_mode(status.st_mode).is_char_device();
    if !is_device || status.st_rdev != rustix::fs::makedev(1, 11) {
        return None;
    }
    let own = input.as_fd().try_clone_to_owned().ok()?;
    rustix::fs::fcntl_setfl(&own, OFlags::NONBLOCK).ok()?;
    rustix::fs::seek(&own, rustix::fs::SeekFrom::Start(0)).ok()?;
    Some(own.into())
}

/// Reads records; what does not have the shape is left out, and so is what a program wrote into the log: the kernel gives
/// such records another facility than its own 0, so nobody can make the kernel seem to complain.
pub fn parse_log(text: &str) -> Vec<LogRecord> {
    text.lines().filter_map(parse_record).collect()
}

fn parse_record(line: &str) -> Option<LogRecord> {
    let (head, text) = line.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let microseconds = fields.next()?.parse().ok()?;
    let (facility, level) = (priority >> 3, (priority & 7) as u8);
    let record = LogRecord {
        sequence,
        time: Duration::from_micros(microseconds),
        level,
        text: text.trim_end().to_owned(),
    };
    (facility == 0).then_some(record)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    #[test]
    fn recorded_records() {
        let text = "6,339,5140900,-;NET: Registered PF_INET protocol family\n\
                    30,340,5690716,-;udevd[80]: starting version 181\n\
                    1,341,5690800,c,caller=T99;BUG: kernel NULL pointer dereference, address: 0\n SUBSYSTEM=acpi\n";
        let records = parse_log(text);
        assert_eq!(records.len(), 2, "facility 3 is a program's");
        assert_eq!((records[0].sequence, records[0].level), (339, 6));
        assert_eq!(records[1].time, Duration::from_micros(5_690_800));
        assert!(records[1].text.starts_with("BUG: "));
    }

    #[test]
    fn each_look_gives_what_is_new() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        let path = root.path().join(DEVICE);
        fs::write(&path, "6,0,1,-;one\n6,1,2,-;tw").unwrap();
        let mut log = Host::new(root.path()).kernel_log().unwrap();
        let texts = |log: &mut KernelLog| -> Vec<String> {
            log.read().unwrap().records.into_iter().map(|record| record.text).collect()
        };
        assert_eq!(texts(&mut log), ["one"]);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"o\n6,7,3,-;three\n").unwrap();
        assert_eq!(texts(&mut log), ["two", "three"]);
        assert_eq!(log.next_sequence(), 8);
        assert!(log.read().unwrap().records.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,400}") {
            parse_log(&text);
        }
    }
}
