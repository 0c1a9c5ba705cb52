//! Module-signing certificates, and the trust anchor that they are part of.

use super::extract::{Admin, Document};
use crate::{clock, refusal::Refusal, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{CertificateAdded, CertificateRequest};
use livepatch_manifest::Digest;
use livepatch_module::Certificate;
use livepatch_store::{Store, StoredCertificate};
use std::sync::Arc;

/// Registers a certificate. Again is allowed, and changes nothing.
pub(crate) async fn add(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(request): Document<CertificateRequest>,
) -> Result<Json<CertificateAdded>, Refusal> {
    let certificate = Certificate::from_pem(&request.pem).map_err(|error| {
        Refusal::invalid(format!("this is no certificate that can sign modules: {error}"))
    })?;
    let fingerprint = fingerprint(&certificate)?;
    let store = site.database.store().await?;
    let stored = StoredCertificate { fingerprint: fingerprint.clone(), pem: certificate.to_pem().to_owned() };
    let now = clock::seconds();
    if store.add_certificate(&stored, now).await? {
        store
            .record_act(&actor.name, "certificate-add", fingerprint.as_str(), &certificate.subject(), now)
            .await?;
        tracing::info!(%fingerprint, subject = certificate.subject(), "registered a module-signing certificate");
    }
    let trust_anchor = current_anchor(&site, store.certificates().await?).await?;
    Ok(Json(CertificateAdded { fingerprint, trust_anchor }))
}

/// The digest of the trust anchor as it is now; its file is there.
pub(crate) async fn current_anchor(
    site: &Arc<Site>,
    certificates: Vec<StoredCertificate>,
) -> Result<Digest, Refusal> {
    let kept = Arc::clone(site);
    site.with_publisher(move |publisher| {
        kept.anchors.keep(publisher.root_document(), &certificates).map_err(|error| Refusal::internal(&error))
    })
    .await
}

/// The registered certificates, ready to verify with.
pub(crate) async fn trusted(store: &Store) -> Result<Vec<Certificate>, Refusal> {
    let stored = store.certificates().await?;
    stored
        .iter()
        .map(|certificate| Certificate::from_pem(&certificate.pem).map_err(|error| Refusal::internal(&error)))
        .collect()
}

fn fingerprint(certificate: &Certificate) -> Result<Digest, Refusal> {
    hex::encode(certificate.fingerprint())
        .parse()
        .map_err(|error: livepatch_manifest::ManifestError| Refusal::internal(&error))
}
