//! A machine asks to be known.

use super::extract::{Document, EnrolmentSecret, text};
use crate::{clock, refusal::Refusal, secret::Secret, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{EnrolAnswer, EnrolRequest, ErrorCode};
use livepatch_store::Enrolment;
use std::sync::Arc;

pub(crate) async fn enrol(
    State(site): State<Arc<Site>>,
    EnrolmentSecret(token): EnrolmentSecret,
    Document(machine): Document<EnrolRequest>,
) -> Result<Json<EnrolAnswer>, Refusal> {
    check(&machine)?;
    let credential = Secret::generate()?;
    let store = site.database.store().await?;
    let refuse =
        |code, message: &str| Err(Refusal::new(code, format!("{message}; ask the operator for a new one")));
    match store.enrol(&token.digest(), &machine, &credential.digest(), clock::seconds()).await? {
        Enrolment::Enrolled { tier } => {
            tracing::info!(machine = %machine.machine_id, %tier, "enrolled a machine");
            Ok(Json(EnrolAnswer { credential: credential.reveal().to_owned(), tier }))
        }
        Enrolment::UnknownToken => refuse(ErrorCode::UnknownToken, "this enrolment token is unknown here"),
        Enrolment::Revoked => refuse(ErrorCode::TokenExpired, "this enrolment token was revoked"),
        Enrolment::Expired => refuse(ErrorCode::TokenExpired, "this enrolment token has expired"),
        Enrolment::Exhausted => {
            refuse(ErrorCode::TokenExhausted, "this enrolment token was used as often as it may be")
        }
    }
}

fn check(machine: &EnrolRequest) -> Result<(), Refusal> {
    // The canonical form only: two spellings of one id would be two machines.
    let canonical = uuid::Uuid::parse_str(&machine.machine_id).map(|id| id.hyphenated().to_string());
    if canonical.as_ref() != Ok(&machine.machine_id) {
        return Err(Refusal::invalid("machine_id must be a UUID in lower case with hyphens"));
    }
    text("hostname", &machine.hostname, 255)?;
    text("client_version", &machine.client_version, 64)?;
    text("kernel.arch", &machine.kernel.arch, 32)
}
