//! Hearing of news at once: a request that the server answers when the repository has something new, asked on a thread of its
//! own between the looks. It only makes the machine look sooner; without it, or without an answer, the next look comes as
//! ever. What is said is not signed and not believed: what counts is what the look finds.

use crate::{daemon::Job, http::HttpService};
use livepatch_api::News;
use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};
use url::Url;

/// Servers hold the question for an hour. One that says sooner that there is nothing is not asked again until the next look.
const SHORTEST_HOLD: Duration = Duration::from_secs(60);
/// A server that always has news makes the machine look this often at most.
const BETWEEN_NEWS: Duration = Duration::from_secs(60);

/// What the machine has, so that the server can tell what is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whom to ask.
    pub(crate) server: Url,
    /// The timestamp metadata that the last look found.
    pub(crate) timestamp: u64,
    /// When that was: after each look it is asked anew.
    pub(crate) looked_at: jiff::Timestamp,
}

/// The thread that asks; it ends with this, as soon as its question is answered.
pub(crate) struct Listening {
    questions: Sender<Known>,
    asked: Option<Known>,
}

impl Listening {
    /// None when there is no thread to be had.
    pub(crate) fn start(service: HttpService, jobs: Sender<Job>) -> Option<Self> {
        let (questions, queue) = mpsc::channel();
        let run = move || listen(&service, &queue, &jobs);
        match thread::Builder::new().name("news".into()).spawn(run) {
            Ok(_) => Some(Self { questions, asked: None }),
            Err(error) => {
                tracing::debug!(%error, "nobody listens for news");
                None
            }
        }
    }

    /// Asks for what is newer than this, unless that was asked.
    pub(crate) fn ask(&mut self, known: Known) {
        if self.asked.as_ref() != Some(&known) {
            // The thread only ends with this.
            let _ = self.questions.send(known.clone());
            self.asked = Some(known);
        }
    }
}

fn listen(service: &HttpService, queue: &Receiver<Known>, jobs: &Sender<Job>) {
    let mut heard = None;
    while let Ok(known) = queue.recv() {
        // What was asked in the meantime is old by now, but for the last.
        let known = queue.try_iter().last().unwrap_or(known);
        let Some(news) = wait_for_news(service, &known) else { continue };
        let wait =
            heard.map_or(Duration::ZERO, |heard: Instant| BETWEEN_NEWS.saturating_sub(heard.elapsed()));
        heard = Some(Instant::now());
        tracing::info!(timestamp = news.timestamp, "the server has news");
        let within = wait + Duration::from_secs(news.within_seconds);
        if jobs.send(Job::News { server: known.server, within }).is_err() {
            return;
        }
    }
}

/// None when there is nothing, or nobody who would say so.
fn wait_for_news(service: &HttpService, known: &Known) -> Option<News> {
    loop {
        let asked = Instant::now();
        match service.news(&known.server, known.timestamp) {
            Ok(Some(news)) => return (news.timestamp > known.timestamp).then_some(news),
            Ok(None) if asked.elapsed() >= SHORTEST_HOLD => {}
            Ok(None) => return None,
            Err(refusal) => {
                tracing::debug!(%refusal, "the server does not tell of news");
                return None;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A server that gives these answers, one a connection, and says what it was asked.
    fn server(answers: Vec<&'static str>) -> (Url, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (asked, questions) = mpsc::channel();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                asked.send(text.lines().next().unwrap_or_default().to_owned()).unwrap();
            }
        });
        (url, questions)
    }

    fn known(server: &Url, timestamp: u64) -> Known {
        Known {
            server: server.clone(),
            timestamp,
            looked_at: jiff::Timestamp::from_second(1_800_000_000 + timestamp as i64).unwrap(),
        }
    }

    fn answer(body: &str) -> &'static str {
        let length = body.len();
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        Box::leak(text.into_boxed_str())
    }

    #[test]
    fn news_reach_the_worker_once_and_questions_are_not_repeated() {
        let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let old = answer(r#"{"timestamp":7,"within_seconds":0}"#);
        let fresh = answer(r#"{"timestamp":9,"within_seconds":5}"#);
        let (url, questions) = server(vec![missing, old, fresh]);
        let (jobs, queue) = mpsc::channel();
        let mut listening = Listening::start(HttpService::new(), jobs).unwrap();
        for timestamp in [6, 7, 8] {
            listening.ask(known(&url, timestamp));
            listening.ask(known(&url, timestamp));
            let line = questions.recv_timeout(PATIENCE).unwrap();
            assert_eq!(line, format!("GET /v1/news/{timestamp} HTTP/1.1"));
        }
        let Job::News { server, within } = queue.recv_timeout(PATIENCE).unwrap() else {
            panic!("the worker was told something else")
        };
        assert_eq!((server, within), (url, Duration::from_secs(5)));
        assert!(queue.try_recv().is_err(), "neither a refusal nor what is known is news");
    }
}
