//! An upstream as the operator named it, and what follows for the trust anchor of this site.

use crate::refusal::Refusal;
use livepatch_api::{AnchoredOrigin, Selection, TrustAnchor, UpstreamRequest, UpstreamSummary};
use livepatch_manifest::Digest;
use livepatch_module::Certificate;
use livepatch_store::{Store, StoredUpstream};
use livepatch_trust::{PinnedOrigin, TrustedRoot};
use std::collections::BTreeMap;
use url::Url;

/// An upstream that is followed.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) url: Option<Url>,
    pub(crate) selection: Selection,
    pub(crate) into: Option<String>,
    pub(crate) every: Option<u32>,
    /// The anchor's digest, as it was pinned.
    pub(crate) pinned: Digest,
    pub(crate) anchor: TrustAnchor,
    /// The upstream's own id.
    pub(crate) id: Digest,
    pub(crate) certificates: Vec<Certificate>,
    document: String,
    stored: Option<StoredUpstream>,
}

impl Upstream {
    /// Checks what an operator said; `anchor` are the bytes of the trust anchor.
    pub(crate) fn new(request: &UpstreamRequest, anchor: &str) -> Result<Self, Refusal> {
        let UpstreamRequest { name, selection, into, every, .. } = request;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return Err(Refusal::invalid(
                "an upstream's name has lower-case letters, digits and dashes, at most 32",
            ));
        }
        let url = request.url.as_deref().map(server_url).transpose()?;
        if Digest::of(anchor.as_bytes()) != request.anchor {
            return Err(Refusal::invalid(format!(
                "the trust anchor is not the one that was pinned: its digest is {}, not {}; compare it with what \
                 livepatch-admin trust-anchor prints at the upstream",
                Digest::of(anchor.as_bytes()),
                request.anchor
            )));
        }
        let parsed: TrustAnchor = serde_json::from_str(anchor)
            .map_err(|error| Refusal::invalid(format!("the trust anchor cannot be read: {error}")))?;
        let unusable =
            |reason: String| Refusal::invalid(format!("the trust anchor cannot be used: {reason}"));
        let id = parsed.site.clone();
        let id = id.ok_or_else(|| unusable("its server is too old to be followed: update it".to_owned()))?;
        TrustedRoot::parse(parsed.tuf_root.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        for origin in &parsed.origins {
            TrustedRoot::parse(origin.tuf_root.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        }
        let certificates = parsed.module_certificates.iter().map(|pem| Certificate::from_pem(pem));
        let certificates = certificates.collect::<Result<_, _>>().map_err(|e| unusable(e.to_string()))?;
        let stored = UpstreamRequest { anchor_document: Some(anchor.to_owned()), ..request.clone() };
        let document = serde_json::to_string(&stored).map_err(|error| Refusal::internal(&error))?;
        Ok(Self {
            name: name.clone(),
            url,
            selection: selection.clone(),
            into: into.clone(),
            every: *every,
            pinned: request.anchor.clone(),
            anchor: parsed,
            id,
            certificates,
            document,
            stored: None,
        })
    }

    fn read(stored: StoredUpstream) -> Result<Self, Refusal> {
        let request: UpstreamRequest =
            serde_json::from_str(&stored.document).map_err(|error| Refusal::internal(&error))?;
        let anchor = request.anchor_document.clone().unwrap_or_default();
        Ok(Self { stored: Some(stored), ..Self::new(&request, &anchor)? })
    }

    /// What is kept of it.
    pub(crate) fn document(&self) -> &str {
        &self.document
    }

    /// Whether it is to be synced now.
    pub(crate) fn is_due(&self, now: livepatch_store::Seconds) -> bool {
        let Some(every) = self.every.filter(|_| self.url.is_some()) else { return false };
        let tried = self.stored.as_ref().and_then(|stored| stored.tried);
        tried.is_none_or(|tried| now.saturating_sub(tried) >= i64::from(every) || tried > now)
    }

    /// Itself as a site whose livepatches come from it.
    pub(crate) fn own(&self) -> PinnedOrigin {
        let claimed =
            |digest: &Digest| self.anchor.origins.iter().any(|origin| origin.certificates.contains(digest));
        let fingerprints = self.certificates.iter().map(|certificate| Digest::of(certificate.to_der()));
        PinnedOrigin {
            id: self.id.clone(),
            root: self.anchor.tuf_root.clone().into_bytes(),
            certificates: fingerprints.filter(|digest| !claimed(digest)).collect(),
        }
    }

    /// The sites whose livepatches it passes on.
    pub(crate) fn others(&self) -> Vec<PinnedOrigin> {
        let pinned = |origin: &AnchoredOrigin| PinnedOrigin {
            id: origin.site.clone(),
            root: origin.tuf_root.clone().into_bytes(),
            certificates: origin.certificates.clone(),
        };
        self.anchor.origins.iter().filter(|origin| origin.site != self.id).map(pinned).collect()
    }

    /// For a list.
    pub(crate) fn summary(&self) -> UpstreamSummary {
        let others = self.others().into_iter().map(|origin| origin.id);
        let stored = self.stored.as_ref();
        UpstreamSummary {
            name: self.name.clone(),
            url: self.url.as_ref().map(Url::to_string),
            anchor: self.pinned.clone(),
            sites: std::iter::once(self.id.clone()).chain(others).collect(),
            selection: self.selection.clone(),
            into: self.into.clone(),
            every: self.every,
            synced: stored.and_then(|stored| stored.synced).and_then(livepatch_store::moment),
            failure: stored.and_then(|stored| stored.failure.clone()),
        }
    }
}

/// Every upstream, by name.
pub(crate) async fn upstreams(store: &Store) -> Result<Vec<Upstream>, Refusal> {
    store.upstreams().await?.into_iter().map(Upstream::read).collect()
}

/// What upstreams add to this site's trust anchor: certificates (PEM), and sites with their keys.
pub(crate) fn anchor_parts(upstreams: &[Upstream]) -> (Vec<String>, Vec<AnchoredOrigin>) {
    let (mut certificates, mut origins) = (Vec::new(), BTreeMap::new());
    for upstream in upstreams {
        for pem in &upstream.anchor.module_certificates {
            if !certificates.contains(pem) {
                certificates.push(pem.clone());
            }
        }
        for origin in std::iter::once(upstream.own()).chain(upstream.others()) {
            let tuf_root = String::from_utf8_lossy(&origin.root).into_owned();
            let site = origin.id.clone();
            let anchored = AnchoredOrigin { site, tuf_root, certificates: origin.certificates };
            if !anchored.certificates.is_empty() {
                origins.entry(origin.id).or_insert(anchored);
            }
        }
    }
    (certificates, origins.into_values().collect())
}

fn server_url(text: &str) -> Result<Url, Refusal> {
    let url: Url = text.parse().map_err(|error| Refusal::invalid(format!("{text} is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Refusal::invalid(format!(
            "{text} is no server's URL: http://HOST or https://HOST expected"
        )));
    }
    Ok(url)
}
