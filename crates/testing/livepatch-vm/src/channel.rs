//! The control channel: how commands reach the guest's first program and how answers come back (see init.sh).

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

/// How long one read waits, so that the caller can look at the guest in between.
const SLICE: Duration = Duration::from_millis(100);

/// The host's end of the second serial port.
pub(crate) struct Channel {
    stream: UnixStream,
    buffer: Vec<u8>,
}

/// What one look at the channel gave.
pub(crate) enum Heard {
    /// A line, without its end.
    Line(String),
    /// Nothing yet.
    Silence,
    /// QEMU is gone.
    Closed,
}

/// A command's answer, as it is put together line by line.
pub(crate) struct Answer {
    id: u64,
    status: Option<i32>,
    in_stderr: bool,
    stdout: String,
    stderr: String,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SLICE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(line.as_bytes())
    }

    pub(crate) fn hear(&mut self) -> io::Result<Heard> {
        let mut chunk = [0; 16384];
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Heard::Line(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Heard::Closed),
                Ok(count) => self.buffer.extend(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(Heard::Silence);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Heard::Closed),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Answer {
    pub(crate) fn to(id: u64) -> Self {
        Self { id, status: None, in_stderr: false, stdout: String::new(), stderr: String::new() }
    }

    /// Takes a line; gives (status, stdout, stderr) when the answer is complete. Lines of the answers to earlier
    /// commands, which nobody waits for any more, are skipped.
    pub(crate) fn take(&mut self, line: &str) -> Option<(i32, Vec<u8>, Vec<u8>)> {
        let mut words = line.split(' ');
        let (verb, id) = (words.next().unwrap_or(""), words.next().and_then(|id| id.parse::<u64>().ok()));
        match (verb, id) {
            ("begin", Some(id)) if id == self.id => {
                self.status = words.next().and_then(|status| status.parse().ok())
            }
            ("stderr", Some(id)) if id == self.id => self.in_stderr = true,
            ("end", Some(id)) if id == self.id => {
                return self.status.map(|status| (status, decode(&self.stdout), decode(&self.stderr)));
            }
            _ if self.status.is_none() => {}
            _ if self.in_stderr => self.stderr.push_str(line),
            _ => self.stdout.push_str(line),
        }
        None
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648, section 4), which keeps a command in one line and its bytes from the tty.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().enumerate().fold(0_u32, |word, (at, &byte)| word | u32::from(byte) << (16 - 8 * at));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { char::from(ALPHABET[value as usize]) } else { '=' });
        }
    }
    text
}

/// Bytes that are no base64 digits are skipped.
fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut word, mut bits) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for value in text.bytes().filter_map(|byte| ALPHABET.iter().position(|&digit| digit == byte)) {
        (word, bits) = (word << 6 | value as u32, bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded), plain.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), all);
    }

    #[test]
    fn an_answer_is_complete_at_its_end_and_strangers_are_skipped() {
        let mut answer = Answer::to(2);
        for line in
            ["begin 1 0", "Zm9v", "stderr 1", "end 1", "begin 2 3", "Zm9v", "YmFy", "stderr 2", "Zg=="]
        {
            assert!(answer.take(line).is_none(), "{line}");
        }
        assert_eq!(answer.take("end 2"), Some((3, b"foobar".to_vec(), b"f".to_vec())));
    }
}
