//! The keys of an object store.

use crate::BucketError;
use rusty_s3::Credentials;

/// An access key, its secret, and for temporary keys a session token.
pub struct Keys {
    access: String,
    secret: String,
    session: Option<String>,
}

impl Keys {
    /// Lasting keys.
    pub fn new(access: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { access: access.into(), secret: secret.into(), session: None }
    }

    /// From the variables that every S3 client reads: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// [`BucketError::Keys`].
    pub fn from_environment() -> Result<Self, BucketError> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(access), Some(secret)) => {
                Ok(Self { access, secret, session: variable("AWS_SESSION_TOKEN") })
            }
            _ => Err(BucketError::Keys),
        }
    }

    pub(crate) fn into_credentials(self) -> Credentials {
        match self.session {
            Some(session) => Credentials::new_with_token(self.access, self.secret, session),
            None => Credentials::new(self.access, self.secret),
        }
    }
}

/// Shows no key.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(withheld)")
    }
}
