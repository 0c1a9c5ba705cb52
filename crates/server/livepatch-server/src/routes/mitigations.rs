//! Mitigations: issued and retired by a releaser, read by everybody. Machines read the signed document.

use super::extract::{Document, Releaser, Segment, Viewer};
use crate::{clock, cves, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{ErrorCode, MitigationView};
use livepatch_cve::Mitigation;
use std::sync::Arc;

/// Issues a mitigation, in the place of one with the same name; on a site that publishes verdicts it is signed at once.
pub(crate) async fn issue(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Document(wish): Document<serde_json::Value>,
) -> Result<Json<Vec<MitigationView>>, Refusal> {
    let mitigation: Mitigation = serde_json::from_value(wish)
        .map_err(|error| Refusal::invalid(format!("this is no mitigation: {error}")))?;
    mitigation.check().map_err(|error| Refusal::invalid(error.to_string()))?;
    let document = serde_json::to_string(&mitigation).map_err(|error| Refusal::internal(&error))?;
    let store = site.database.store().await?;
    let now = clock::seconds();
    let cves: Vec<String> = mitigation.cves.iter().map(ToString::to_string).collect();
    store.issue_mitigation(&mitigation.name, &cves, &document, &actor.name, now).await?;
    store.record_act(&actor.name, "mitigation-issue", &mitigation.name, &cves.join(", "), now).await?;
    cves::follow(&site).await;
    Ok(Json(store.mitigations().await?))
}

/// Takes a mitigation back: machines end it.
pub(crate) async fn retire(
    State(site): State<Arc<Site>>,
    Releaser(actor): Releaser,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<MitigationView>>, Refusal> {
    let store = site.database.store().await?;
    if !store.retire_mitigation(&name).await? {
        return Err(Refusal::new(
            ErrorCode::NotFound,
            "there is no such mitigation; livepatch-admin mitigation list",
        ));
    }
    store.record_act(&actor.name, "mitigation-retire", &name, "", clock::seconds()).await?;
    cves::follow(&site).await;
    Ok(Json(store.mitigations().await?))
}

/// What is issued.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    _: Viewer,
) -> Result<Json<Vec<MitigationView>>, Refusal> {
    Ok(Json(site.database.store().await?.mitigations().await?))
}

/// The same, without who issued it.
pub(crate) async fn for_everybody(State(site): State<Arc<Site>>) -> Result<Json<serde_json::Value>, Refusal> {
    let issued = site.database.store().await?.mitigations().await?;
    let document = serde_json::to_value(cves::mitigations(issued)?);
    Ok(Json(document.map_err(|error| Refusal::internal(&error))?))
}
