//! How the API says no.

use serde::{Deserialize, Serialize};

/// The body of every answer with a status of 400 or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct ApiError {
    /// Stable, for programs.
    pub code: ErrorCode,
    /// One sentence for people, with what to do next.
    pub message: String,
}

/// The stable codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 401: no bearer, or one that is unknown.
    Unauthorized,
    /// 401: the enrolment token is unknown.
    UnknownToken,
    /// 403: the enrolment token has expired or was revoked.
    TokenExpired,
    /// 403: the enrolment token was used as often as it may be.
    TokenExhausted,
    /// 403: the key is known, and its role may not do this.
    Forbidden,
    /// 404: no such thing.
    NotFound,
    /// 409: it exists already, or contradicts what exists.
    Conflict,
    /// 413: the body is too large.
    TooLarge,
    /// 422: the request is understood and wrong.
    Invalid,
    /// 422: the module's bytes, signature, kernel or manifest disagree.
    ModuleRefused,
    /// 429: too many requests; `Retry-After` says when to come back.
    TooMany,
    /// 500: the server's fault; its log says more.
    Internal,
    /// 503: the server's database does not answer; what is published can still be fetched. Try again later.
    Unavailable,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::Unauthorized,
        Self::UnknownToken,
        Self::TokenExpired,
        Self::TokenExhausted,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Invalid,
        Self::ModuleRefused,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthorized | Self::UnknownToken => 401,
            Self::TokenExpired | Self::TokenExhausted | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Invalid | Self::ModuleRefused => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}
