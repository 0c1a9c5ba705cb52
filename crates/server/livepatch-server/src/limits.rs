//! How many requests whoever asks may make: for each bearer secret, for each address, and few where secrets are guessed.
//!
//! Each has a bucket of tokens that fills at the allowed rate up to ten seconds' worth. In memory, for each replica by
//! itself. The static plane is not limited: it is files, for caches to serve.

use crate::{refusal::Refusal, site::Site};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use livepatch_api::ErrorCode;
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A bucket holds so many seconds' worth of requests.
const SECONDS_WORTH: f64 = 10.0;
/// Buckets that are kept; full ones are thrown away first, and all of them when that is not enough.
const MOST_BUCKETS: usize = 200_000;

/// What is allowed a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// To whoever shows one secret; absent: anything.
    pub per_token: Option<NonZeroU32>,
    /// To one address; absent: anything.
    pub per_address: Option<NonZeroU32>,
    /// To one address that shows a secret which nobody has, or none where one is needed; absent: anything.
    pub guesses: Option<NonZeroU32>,
    /// Whether the address is the one that a proxy in front names (`X-Forwarded-For`, its last entry).
    pub behind_proxy: bool,
}

impl Default for Rates {
    /// Far more than a machine, an operator's script or a site behind one address needs.
    fn default() -> Self {
        Self {
            per_token: NonZeroU32::new(50),
            per_address: NonZeroU32::new(500),
            guesses: NonZeroU32::new(2),
            behind_proxy: false,
        }
    }
}

/// Who is counted. The secret itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Token(u64),
    Address(IpAddr),
    Guesser(IpAddr),
    /// A secret that was taken a while ago: whoever shares an address with a guesser is not held up.
    Known(u64),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of one program.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<Who, Bucket>>,
    /// So that who shares a bucket with whom cannot be chosen.
    hasher: RandomState,
}

impl Limits {
    /// Takes a token; else how many seconds until there is one.
    fn take(&self, who: Who, rate: f64, now: Instant) -> Result<(), u32> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&who) {
            // Whoever did not ask for ten seconds has a full bucket.
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs_f64() < SECONDS_WORTH);
            if buckets.len() >= MOST_BUCKETS {
                buckets.clear();
            }
        }
        let most = rate * SECONDS_WORTH;
        let bucket = buckets.entry(who).or_insert(Bucket { tokens: most, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * rate).min(most);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - bucket.tokens) / rate).ceil();
        // At least one, and a bucket is empty for one request: the cast is of a small number.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Err((wait as u32).max(1))
    }

    fn check(&self, rates: Rates, secret: Option<&str>, address: IpAddr) -> Result<(), u32> {
        let now = Instant::now();
        if let Some(allowed) = rates.per_address {
            self.take(Who::Address(address), rate(allowed), now)?;
        }
        if let (Some(allowed), Some(secret)) = (rates.per_token, secret) {
            self.take(Who::Token(self.hasher.hash_one(secret)), rate(allowed), now)?;
        }
        let Some(guesses) = rates.guesses else { return Ok(()) };
        // Looked at, and taken only when the guess was wrong.
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = secret.map(|secret| Who::Known(self.hasher.hash_one(secret)));
        if known.is_some_and(|known| buckets.contains_key(&known)) {
            return Ok(());
        }
        match buckets.get(&Who::Guesser(address)) {
            Some(bucket) => {
                let passed = now.duration_since(bucket.at).as_secs_f64();
                if bucket.tokens + passed * rate(guesses) < 1.0 { Err(1) } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    /// A request was answered: whether its secret was one that somebody has.
    fn note(&self, rates: Rates, secret: Option<&str>, address: IpAddr, known: bool) {
        let now = Instant::now();
        match secret {
            Some(secret) if known => {
                let _ = self.take(Who::Known(self.hasher.hash_one(secret)), 1.0, now);
            }
            _ if known => {}
            _ => {
                let _ = rates.guesses.map(|guesses| self.take(Who::Guesser(address), rate(guesses), now));
            }
        }
    }
}

/// Refuses who asks too often, before anything is done for them.
pub(crate) async fn hold_to(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let rates = site.settings.rates;
    let address = address(&request, rates.behind_proxy);
    let (Some(address), false) = (address, is_static(request.uri().path())) else {
        return next.run(request).await;
    };
    let secret = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = secret.map(str::to_owned);
    if let Err(seconds) = site.limits.check(rates, secret.as_deref(), address) {
        site.meters.count_limited();
        return too_many(seconds);
    }
    let is_guarded = is_guarded(request.uri().path());
    let answer = next.run(request).await;
    match answer.status() {
        StatusCode::UNAUTHORIZED => site.limits.note(rates, secret.as_deref(), address, false),
        status if status.is_success() && is_guarded => {
            site.limits.note(rates, secret.as_deref(), address, true);
        }
        _ => {}
    }
    answer
}

fn rate(allowed: NonZeroU32) -> f64 {
    f64::from(allowed.get())
}

fn too_many(seconds: u32) -> Response {
    let message = format!("too many requests; try again in {seconds} s");
    let mut answer = Refusal::new(ErrorCode::TooMany, message).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    answer
}

/// Where nothing succeeds without a secret that somebody has.
fn is_guarded(path: &str) -> bool {
    use livepatch_api::paths;
    path.starts_with("/v1/admin/") || [paths::ENROL, paths::CHECK_IN].contains(&path)
}

/// Files, and what watches the server.
fn is_static(path: &str) -> bool {
    use livepatch_api::paths;
    let statics = [paths::METADATA, paths::TARGETS, paths::ORIGINS, paths::TRUST];
    statics.iter().any(|prefix| path.starts_with(prefix)) || [paths::HEALTH, paths::READY].contains(&path)
}

fn address(request: &Request, behind_proxy: bool) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    // Only the last entry is the proxy's own word; those before it came with the request.
    let named = behind_proxy.then(|| forwarded(request.headers())).flatten();
    named.or(peer)
}

fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::time::Duration;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limits = Limits::default();
        let start = Instant::now();
        let take = |at: u64| limits.take(Who::Address(ONE), 2.0, start + Duration::from_millis(at));
        for _ in 0..20 {
            take(0).unwrap();
        }
        assert_eq!(take(0), Err(1), "ten seconds' worth are taken");
        assert_eq!(take(400), Err(1));
        take(500).unwrap();
        assert_eq!(take(500), Err(1));
        assert_eq!((0..100).filter(|_| take(60_000).is_ok()).count(), 20, "no more than full");
        limits.take(Who::Guesser(ONE), 2.0, start).unwrap();
    }

    #[test]
    fn a_guesser_holds_up_nobody_whose_secret_is_known() {
        let limits = Limits::default();
        let rates = Rates { per_token: None, per_address: None, ..Rates::default() };
        limits.note(rates, Some("good"), ONE, true);
        for _ in 0..50 {
            limits.note(rates, Some("guess"), ONE, false);
        }
        assert_eq!(limits.check(rates, Some("another guess"), ONE), Err(1));
        assert_eq!(limits.check(rates, Some("good"), ONE), Ok(()));
        assert_eq!(limits.check(rates, Some("good"), "192.0.2.1".parse().unwrap()), Ok(()));
        let any = Rates { guesses: None, ..rates };
        assert_eq!(limits.check(any, Some("another guess"), ONE), Ok(()));
    }

    #[test]
    fn slow_rates_say_how_long() {
        let limits = Limits::default();
        let start = Instant::now();
        let take = |rate| limits.take(Who::Address(ONE), rate, start);
        assert_eq!((take(0.1), take(0.1)), (Ok(()), Err(10)));
    }

    #[test]
    fn buckets_do_not_pile_up() {
        let limits = Limits::default();
        let start = Instant::now();
        for number in 0..(MOST_BUCKETS as u64 + 10) {
            limits.take(Who::Token(number), 1.0, start).unwrap();
        }
        assert!(limits.buckets.lock().unwrap().len() <= MOST_BUCKETS);
    }

    #[test]
    fn the_last_proxy_is_believed_and_no_other() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded(&headers), None);
        headers.append("x-forwarded-for", "10.0.0.1, 192.0.2.7".parse().unwrap());
        assert_eq!(forwarded(&headers), Some("192.0.2.7".parse().unwrap()));
        headers.append("x-forwarded-for", "2001:db8::1".parse().unwrap());
        assert_eq!(forwarded(&headers), Some("2001:db8::1".parse().unwrap()));
    }
}
