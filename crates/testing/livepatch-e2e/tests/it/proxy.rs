//! A network that lies: an HTTP proxy between machine and server that alters what the server answers.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A server's answer, or what is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// How an answer reaches the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As it should.
    Whole,
    /// The connection ends in the middle.
    CutOff,
    /// A byte a second.
    ByteByByte,
}

type Change = dyn Fn(&str, Answer) -> Answer + Send;

/// Listens on a free port of loopback until the test's process ends.
pub(crate) struct Proxy {
    port: u16,
    change: Arc<Mutex<Box<Change>>>,
    delivery: Arc<Mutex<Delivery>>,
}

impl Proxy {
    /// Passes everything on to this port of loopback, unaltered at first.
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let change: Arc<Mutex<Box<Change>>> = Arc::new(Mutex::new(Box::new(|_, answer| answer)));
        let delivery = Arc::new(Mutex::new(Delivery::Whole));
        let shared = (Arc::clone(&change), Arc::clone(&delivery));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (change, delivery) = shared.clone();
                // A client that goes away in the middle is no failure of the test.
                thread::spawn(move || drop(relay(client, server, &change, &delivery)));
            }
        });
        Self { port, change, delivery }
    }

    /// The URL as a guest sees it.
    pub(crate) fn guest_url(&self) -> String {
        format!("http://10.0.2.2:{}", self.port)
    }

    /// From now on answers go through this; the path comes with them.
    pub(crate) fn alter(&self, change: impl Fn(&str, Answer) -> Answer + Send + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }

    /// From now on answers reach the machine so.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        *self.delivery.lock().unwrap() = delivery;
    }

    /// From now on answers are passed as they are.
    pub(crate) fn be_honest(&self) {
        self.alter(|_, answer| answer);
        self.deliver(Delivery::Whole);
    }
}

/// One request a connection: `Connection: close` on both sides keeps this simple.
fn relay(
    mut client: TcpStream,
    server: u16,
    change: &Mutex<Box<Change>>,
    delivery: &Mutex<Delivery>,
) -> std::io::Result<()> {
    let (head, body) = read_message(&mut client)?;
    let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").to_owned();
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    upstream.write_all(&message(&head, &body))?;
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
    let bytes = message(&head, &answer.body);
    let delivery = *delivery.lock().unwrap();
    match delivery {
        Delivery::Whole => client.write_all(&bytes),
        Delivery::CutOff => client.write_all(&bytes[..bytes.len() - answer.body.len() / 2 - 1]),
        Delivery::ByteByByte => {
            for byte in bytes {
                client.write_all(&[byte])?;
                thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
    }
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

fn message(head: &[String], body: &[u8]) -> Vec<u8> {
    let kept = |line: &&String| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("content-length:") && !line.starts_with("connection:")
    };
    let text: String = head.iter().filter(kept).map(|line| format!("{line}\r\n")).collect();
    let end = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [text.as_bytes(), end.as_bytes(), body].concat()
}
