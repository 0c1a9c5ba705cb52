//! Passwords as hashes: argon2id with the parameters that OWASP's cheat sheet names (19 MiB, two passes).

use crate::refusal::Refusal;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use std::sync::LazyLock;
use tokio::sync::Semaphore;

/// Characters; NIST SP 800-63B asks for 8, and for no rules about their kinds.
const SHORTEST: usize = 12;
/// Bytes; a hash of more costs the server and protects nobody.
const LONGEST: usize = 1024;
/// RFC 9106, 3.1.
const SALT: usize = 16;
/// Hashes at one time: each takes 19 MiB and a processor.
const AT_ONCE: usize = 2;

/// What is compared with when there is no such user, so that the answer takes as long as for one that there is.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("a user that there is not").ok());

/// Hashes and compares, a few at a time.
#[derive(Debug)]
pub(crate) struct Passwords(Semaphore);

impl Default for Passwords {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Passwords {
    /// The hash to keep of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Refusal> {
        self.work(move || hash(&password)).await?
    }

    /// Whether a password is the one of this hash; without one it takes as long, and is not.
    pub(crate) async fn is_right(&self, password: String, known: Option<String>) -> Result<bool, Refusal> {
        self.work(move || {
            let is_known = known.is_some();
            let Some(stored) = known.or_else(|| NOBODY.clone()) else { return false };
            let Ok(stored) = PasswordHash::new(&stored) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &stored).is_ok() && is_known
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let _turn = self.0.acquire().await.map_err(|error| Refusal::internal(&error))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| Refusal::internal(&error))
    }
}

fn hash(password: &str) -> Result<String, Refusal> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt)?;
    let made = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(made.map_err(|error| Refusal::internal(&error))?.to_string())
}

/// Whether a password may be chosen.
pub(crate) fn check(password: &str) -> Result<(), Refusal> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Refusal::invalid(format!(
            "a password has {SHORTEST} characters or more, and at most {LONGEST} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_fits_its_hash() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let fits = async |password: &str, hash: Option<String>| {
            passwords.is_right(password.into(), hash).await.unwrap()
        };
        assert!(fits("correct horse battery", Some(hash.clone())).await);
        assert!(!fits("Correct horse battery", Some(hash)).await);
        assert!(!fits("a user that there is not", None).await, "nobody signs in as nobody");
        assert!(!fits("x", Some("damaged".into())).await);
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check("short").is_err() && check(&"x".repeat(1025)).is_err());
        assert!(check("twelve chars").is_ok());
    }
}
