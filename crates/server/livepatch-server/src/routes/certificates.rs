//! Module-signing certificates, and the trust anchor that they are part of.

use super::extract::{Admin, Document, Viewer};
use crate::{clock, refusal::Refusal, site::Site, upstream};
use axum::{Json, extract::State};
use livepatch_api::{AnchorView, CertificateAdded, CertificateRequest, TrustAnchor};
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
    let trust_anchor = current_anchor(&site, store).await?.sha256;
    Ok(Json(CertificateAdded { fingerprint, trust_anchor }))
}

/// The trust anchor as it is now: this site's root and certificates, and what the upstreams add. Its file is there.
pub(crate) async fn current_anchor(site: &Arc<Site>, store: &Store) -> Result<AnchorView, Refusal> {
    let mut module_certificates: Vec<String> =
        store.certificates().await?.into_iter().map(|certificate| certificate.pem).collect();
    let (others, origins) = upstream::anchor_parts(&upstream::upstreams(store).await?);
    for pem in others {
        if !module_certificates.contains(&pem) {
            module_certificates.push(pem);
        }
    }
    if module_certificates.is_empty() {
        return Err(Refusal::conflict(
            "no module-signing certificate is registered, so machines could trust no module; \
             run livepatch-admin certificate add FILE.pem first",
        ));
    }
    let kept = Arc::clone(site);
    site.with_publisher(move |publisher| {
        let (tuf_root, id) = (publisher.root_document().to_owned(), publisher.origin().clone());
        let anchor =
            TrustAnchor { schema: 1, tuf_root, module_certificates, site: Some(id.clone()), origins };
        let failed = |error: &dyn std::error::Error| Refusal::internal(error);
        let sha256 = kept.anchors.keep(&anchor).map_err(|error| failed(&error))?;
        let document = anchor.to_bytes().map_err(|error| failed(&error))?;
        let document = String::from_utf8(document).map_err(|error| failed(&error))?;
        Ok(AnchorView { sha256, site: id, document })
    })
    .await
}

/// The trust anchor, for operators of machines and of downstream servers.
pub(crate) async fn anchor(State(site): State<Arc<Site>>, _: Viewer) -> Result<Json<AnchorView>, Refusal> {
    let store = site.database.store().await?;
    Ok(Json(current_anchor(&site, store).await?))
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
