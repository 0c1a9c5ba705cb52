//! What requests carry: a bearer secret, and a JSON document.

use crate::{refusal::Refusal, secret::Secret, site::Site};
use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use livepatch_api::ErrorCode;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The secret of `Authorization: Bearer SECRET` (RFC 6750, 2.1).
pub(crate) struct Bearer(pub(crate) Secret);

/// The operator: showed the key of `admin.key`. Stands before the body among a handler's arguments, so that nothing
/// of a stranger's body is read.
pub(crate) struct Operator;

/// A JSON body; what is wrong with it is told as every other refusal is.
pub(crate) struct Document<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = header.and_then(|value| {
            let (scheme, secret) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
        });
        match secret {
            Some(secret) if !secret.is_empty() => Ok(Self(Secret::received(secret))),
            _ => Err(Refusal::new(
                ErrorCode::Unauthorized,
                "this address needs 'Authorization: Bearer SECRET'",
            )),
        }
    }
}

impl FromRequestParts<Arc<Site>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        let Bearer(key) = Bearer::from_request_parts(parts, site).await?;
        if key.matches(&site.admin) {
            return Ok(Self);
        }
        let message =
            "this is not the operator's key; the server keeps it in admin.key in its data directory";
        Err(Refusal::new(ErrorCode::Unauthorized, message))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(document) = Json::from_request(request, state).await?;
        Ok(Self(document))
    }
}

/// Text that a machine or an operator may send, of bounded length and without control characters.
pub(crate) fn text(what: &str, value: &str, longest: usize) -> Result<(), Refusal> {
    if value.len() > longest || value.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "{what} must be at most {longest} bytes, without control characters"
        )));
    }
    Ok(())
}
