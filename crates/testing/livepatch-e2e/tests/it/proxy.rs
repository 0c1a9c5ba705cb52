//! A network that lies: an HTTP proxy between machine and server that alters what the server answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A server's answer, or what is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

type Change = dyn Fn(&str, Answer) -> Answer + Send;

/// Listens on a free port of loopback until the test's process ends.
pub(crate) struct Proxy {
    port: u16,
    change: Arc<Mutex<Box<Change>>>,
}

impl Proxy {
    /// Passes everything on to this port of loopback, unaltered at first.
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let change: Arc<Mutex<Box<Change>>> = Arc::new(Mutex::new(Box::new(|_, answer| answer)));
        let shared = Arc::clone(&change);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is no failure of the test.
                thread::spawn(move || drop(relay(client, server, &shared)));
            }
        });
        Self { port, change }
    }

    /// The URL as a guest sees it.
    pub(crate) fn guest_url(&self) -> String {
        format!("http://10.0.2.2:{}", self.port)
    }

    /// From now on answers go through this; the path comes with them.
    pub(crate) fn alter(&self, change: impl Fn(&str, Answer) -> Answer + Send + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }

    /// From now on answers are passed as they are.
    pub(crate) fn be_honest(&self) {
        self.alter(|_, answer| answer);
    }
}

/// One request a connection: `Connection: close` on both sides keeps this simple.
fn relay(mut client: TcpStream, server: u16, change: &Mutex<Box<Change>>) -> std::io::Result<()> {
    let (head, body) = read_message(&mut client)?;
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").to_owned();
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    write_message(&mut upstream, &head, &body)?;
    let (head, body) = read_message(&mut upstream)?;
    let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(502);
    let answer = change.lock().unwrap()(&path, Answer { status, body });
    let kept = |line: &&String| {
        let line = line.to_ascii_lowercase();
        line.starts_with("content-type:") || line.starts_with("date:")
    };
    let kept = head.iter().filter(kept).cloned();
    let head: Vec<String> =
        std::iter::once(format!("HTTP/1.1 {} altered", answer.status)).chain(kept).collect();
    write_message(&mut client, &head, &answer.body)
}

/// The head's lines, and the body by its length or up to the end.
fn read_message(stream: &mut TcpStream) -> std::io::Result<(Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let value = |name: &str| {
        head.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    assert_eq!(value("transfer-encoding"), None, "neither client nor server sends chunks");
    let mut body = Vec::new();
    match value("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => reader.take(length).read_to_end(&mut body)?,
        None if head.first().is_some_and(|line| line.starts_with("HTTP/")) => {
            reader.read_to_end(&mut body)?
        }
        None => 0,
    };
    Ok((head, body))
}

fn write_message(stream: &mut TcpStream, head: &[String], body: &[u8]) -> std::io::Result<()> {
    let kept = |line: &&String| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("content-length:") && !line.starts_with("connection:")
    };
    let mut text: String = head.iter().filter(kept).map(|line| format!("{line}\r\n")).collect();
    text += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(text.as_bytes())?;
    stream.write_all(body)
}
