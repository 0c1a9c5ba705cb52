//! How the server says no: an [`ApiError`] with its status, and a line in the log where the fault is the server's.

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use livepatch_api::{ApiError, ErrorCode};
use livepatch_store::StoreError;
use livepatch_trust::PublishError;

/// Seconds after which a client may try again when the database does not answer.
const RETRY_AFTER: &str = "30";

/// An answer that is not the wanted one.
#[derive(Debug)]
pub(crate) struct Refusal(ApiError);

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError { code, message: message.into() })
    }

    /// What is wrong, for pages.
    pub(crate) fn error(&self) -> &ApiError {
        &self.0
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn module(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ModuleRefused, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's fault: the cause goes to the log, not to the client.
    pub(crate) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(cause = %chain(cause), "a request failed");
        Self::new(ErrorCode::Internal, "the server failed; its log says why")
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable, "the server's database does not answer; try again later")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let headers = response.headers_mut();
        match code {
            ErrorCode::Unavailable => {
                headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
            }
            ErrorCode::Unauthorized | ErrorCode::UnknownToken => {
                headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(_) | StoreError::Migration(_) | StoreError::Place(_) => {
                tracing::error!(cause = %chain(&error), "the database failed");
                Self::unavailable()
            }
            StoreError::Unusable { .. } => Self::internal(&error),
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::ModuleMismatch(_) => Self::module(error.to_string()),
            PublishError::NameTaken(_) => Self::conflict(error.to_string()),
            PublishError::UnknownName(_) => Self::new(
                ErrorCode::NotFound,
                format!("{error}; livepatch-admin livepatch list shows what is"),
            ),
            _ => Self::internal(&error),
        }
    }
}

impl From<getrandom::Error> for Refusal {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::BytesRejection(rejection) => rejection.into(),
            other => Self::invalid(other.body_text()),
        }
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::new(ErrorCode::TooLarge, "the request's body is larger than this address takes")
        } else {
            Self::invalid(rejection.body_text())
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
