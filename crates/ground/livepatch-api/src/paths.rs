//! Where things are, relative to the server's URL.

/// POST [`crate::EnrolRequest`] with an enrolment secret as bearer; answers [`crate::EnrolAnswer`].
pub const ENROL: &str = "/v1/enrol";
/// POST [`crate::CheckInRequest`] with a machine credential as bearer; answers [`crate::CheckInAnswer`].
pub const CHECK_IN: &str = "/v1/check-in";
/// GET `/v1/trust/SHA256`: the trust anchor with that digest ([`crate::TrustAnchor`]), a static file.
pub const TRUST: &str = "/v1/trust";
/// GET: TUF metadata, static files.
pub const METADATA: &str = "/repository/metadata";
/// GET: TUF targets, static files.
pub const TARGETS: &str = "/repository/targets";
/// GET: `…/SITE/N.root.json`, roots of the sites whose livepatches this one passes on; static files.
pub const ORIGINS: &str = "/repository/origins";
/// GET `/v1/news/VERSION`, VERSION that of the timestamp metadata that the machine has: [`crate::News`] as soon as the
/// repository has something that those do not know; 204 when it has not for an hour. Static plane: no secret, no database.
pub const NEWS: &str = "/v1/news";
/// GET: 200 when the server serves.
pub const HEALTH: &str = "/healthz";

/// POST [`crate::TokenRequest`] → [`crate::TokenCreated`]; GET → list of [`crate::TokenSummary`].
/// `…/ID/revoke`: POST `{}` → list of [`crate::TokenSummary`].
pub const ADMIN_TOKENS: &str = "/v1/admin/tokens";
/// POST [`crate::CertificateRequest`] → [`crate::CertificateAdded`].
pub const ADMIN_CERTIFICATES: &str = "/v1/admin/certificates";
/// POST: body is [`crate::PublishHeader`] as one JSON line, then the module's bytes → [`crate::PublishAnswer`];
/// GET → list of [`crate::LivepatchSummary`]. `…/NAME/withdraw`: POST [`crate::WithdrawRequest`] →
/// [`crate::LivepatchSummary`]. `…/NAME/documents`: GET → list of [`crate::BuildDocumentSummary`].
/// `…/NAME/documents/KIND` ([`crate::BuildDocumentKind`]): POST the document's bytes → the same list; GET → the bytes.
pub const ADMIN_LIVEPATCHES: &str = "/v1/admin/livepatches";
/// POST [`crate::PromoteRequest`] → [`crate::PublishAnswer`].
pub const ADMIN_PROMOTE: &str = "/v1/admin/promote";
/// POST [`crate::PromoteAllRequest`] → list of [`crate::PublishAnswer`].
pub const ADMIN_PROMOTE_ALL: &str = "/v1/admin/promote-all";
/// GET → list of [`crate::TierSummary`], in order; POST [`crate::TierChange`] → the same.
pub const ADMIN_TIERS: &str = "/v1/admin/tiers";
/// POST [`crate::HookRequest`] → [`crate::HookCreated`]; GET → list of [`crate::HookSummary`]. `…/ID/remove`: POST `[]` →
/// the same list. What a hook gets: [`crate::HookMessage`].
pub const ADMIN_HOOKS: &str = "/v1/admin/hooks";
/// GET → list of [`crate::ApprovalSummary`]; POST [`crate::ApprovalRequest`] → the same. `…/take-back`: POST
/// [`crate::ApprovalTakeBack`] → the same.
pub const ADMIN_APPROVALS: &str = "/v1/admin/approvals";
/// GET → list of [`crate::BlockSummary`]; POST [`crate::BlockRequest`] → the same. `…/ID/lift`: POST `[]` → the same.
pub const ADMIN_BLOCKS: &str = "/v1/admin/blocks";
/// GET → list of [`crate::MachineSummary`]. `…/ID`: GET → [`crate::MachineDetail`].
/// `…/ID/revoke`: POST `{}` → [`crate::MachineDetail`]: its credential is worth nothing from then on.
pub const ADMIN_MACHINES: &str = "/v1/admin/machines";
/// POST [`crate::RolloutRequest`] → [`crate::RolloutView`]; GET → list of [`crate::RolloutView`], newest first.
/// `…/RELEASE`: GET → [`crate::RolloutView`]; POST [`crate::RolloutOrder`] → [`crate::RolloutView`].
pub const ADMIN_ROLLOUTS: &str = "/v1/admin/rollouts";
/// POST [`crate::ApiKeyRequest`] → [`crate::ApiKeyCreated`]; GET → list of [`crate::ApiKeySummary`].
/// `…/ID/revoke`: POST `{}` → list of [`crate::ApiKeySummary`].
pub const ADMIN_KEYS: &str = "/v1/admin/keys";
/// POST [`crate::UserRequest`] → [`crate::PasswordSet`]; GET → list of [`crate::UserSummary`]. `…/NAME/password`: POST
/// [`crate::PasswordRequest`] → [`crate::PasswordSet`]. `…/NAME/lock`, `…/NAME/unlock`, `…/NAME/remove`: POST `{}` → the list.
pub const ADMIN_USERS: &str = "/v1/admin/users";
/// POST `{}` → [`crate::LoginCreated`]: an address of the dashboard that signs in once, with the role of the key that asks.
pub const ADMIN_LOGINS: &str = "/v1/admin/logins";
/// GET `?after=ID` → the next [`crate::AuditEntry`]s, oldest first, at most 1000.
pub const ADMIN_AUDIT: &str = "/v1/admin/audit";
/// GET → [`crate::AnchorView`]: what tokens and downstream servers pin.
pub const ADMIN_TRUST_ANCHOR: &str = "/v1/admin/trust-anchor";
/// POST [`crate::UpstreamRequest`] → [`crate::UpstreamSummary`]; GET → list of [`crate::UpstreamSummary`].
/// `…/NAME/preview`: POST `{}` → [`crate::SyncReport`] of what a sync would do. `…/NAME/sync`: POST `{}` →
/// [`crate::SyncReport`]. `…/NAME/remove`: POST `{}` → list. `…/NAME/bundle`: POST a bundle → [`crate::BundleImported`].
pub const ADMIN_UPSTREAMS: &str = "/v1/admin/upstreams";
/// GET `?since=VERSION&days=N`: a bundle (a tar archive): the site's whole state, without the modules of that version of
/// the targets metadata.
pub const ADMIN_BUNDLE: &str = "/v1/admin/bundle";
/// GET: this API as a document, OpenAPI 3.1.
pub const OPENAPI: &str = "/v1/openapi.json";
/// GET: counters and gauges in Prometheus's text form.
pub const METRICS: &str = "/metrics";
/// GET: 200 when the database answers and the signed metadata are good; 503 otherwise.
pub const READY: &str = "/readyz";
/// POST [`crate::CveImport`] → [`crate::CveImported`].
pub const ADMIN_CVE_DOCUMENTS: &str = "/v1/admin/cve-documents";
/// GET `?after=CVE` → [`crate::CvePage`]. `…/CVE`: GET → [`crate::CveDetail`]. `…/CVE/rating`: POST [`crate::CveRating`] →
/// [`crate::CveDetail`]. `…/CVE/refusal`: POST [`crate::CveRefusalRequest`] → [`crate::CveDetail`].
pub const ADMIN_CVES: &str = "/v1/admin/cves";
/// POST a mitigation → list of [`crate::MitigationView`]; GET → the same list. `…/NAME/retire`: POST `[]` → the same list.
pub const ADMIN_MITIGATIONS: &str = "/v1/admin/mitigations";
/// POST [`crate::VerdictRequest`] → [`crate::VerdictsPublished`].
pub const ADMIN_VERDICTS: &str = "/v1/admin/verdicts";
/// POST [`crate::NoticeDraft`] → [`crate::NoticeView`]; GET → list of [`crate::NoticeView`], newest first.
/// `…/NUMBER`: GET → [`crate::NoticeView`]; POST the notice → [`crate::NoticeView`]. `…/NUMBER/review`, `…/NUMBER/publish`:
/// POST `[]` → [`crate::NoticeView`].
pub const ADMIN_NOTICES: &str = "/v1/admin/notices";
/// POST [`crate::SubscriberRequest`] → list of addresses; GET → the same.
pub const ADMIN_SUBSCRIBERS: &str = "/v1/admin/subscribers";
/// For everybody. GET `?cursor=…&limit=…` → [`crate::NoticePage`]. `…/NUMBER`: GET → the notice; `…/NUMBER/osv`, `…/csaf`,
/// `…/openvex`: GET → the same in that form.
pub const NOTICES: &str = "/v1/notices";
/// For everybody: pages. `…/NUMBER`: one notice. `….rss` and `….atom`: feeds.
pub const NOTICE_PAGES: &str = "/notices";
/// `…/TOKEN`: GET → a page with a button; POST: the holder gets no more mails (RFC 8058).
pub const UNSUBSCRIBE: &str = "/unsubscribe";
/// For everybody: GET `?matrix=NAME` → the last days of kernels, iCalendar.
pub const CALENDAR: &str = "/kernels.ics";
/// GET → what makes vulnerabilities harmless until they are mended, as in the signed document. Open to everybody.
pub const MITIGATIONS: &str = "/v1/mitigations";
/// GET → list of [`crate::CveRefusal`]: every vulnerability that cannot be livepatched. Open to everybody.
pub const NOT_LIVEPATCHABLE: &str = "/v1/not-livepatchable";
/// For everybody: GET `?before=CVE&limit=N` → [`crate::ClockPage`], newest vulnerability first.
pub const CLOCK: &str = "/v1/clock";
