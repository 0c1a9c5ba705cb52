//! Tiers while the server runs, promotion of everything, and blocks.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod support;

use livepatch_api::{
    BlockKind, BlockRequest, BlockSummary, CheckInAnswer, CheckInRequest, EnrolAnswer, EnrolmentToken,
    ErrorCode, LivepatchSummary, MachineSummary, PatchState, PromoteAllRequest, PublishAnswer, RolloutView,
    TierChange, TierSummary, TokenCreated, TokenRequest, WithdrawRequest, paths,
};
use livepatch_kernel::Taint;
use livepatch_manifest::Manifest;
use livepatch_schedule::Steering;
use std::time::{Duration, Instant};
use support::{Answer, MACHINE, RELEASE, Server, livepatch, machine, name, refused, rollout};

const TIMESTAMP: &str = "/repository/metadata/timestamp.json";

fn change(server: &Server, change: &TierChange) -> Answer<Vec<TierSummary>> {
    server.admin_post(paths::ADMIN_TIERS, change)
}

fn names(tiers: &[TierSummary]) -> Vec<&str> {
    tiers.iter().map(|tier| tier.name.as_str()).collect()
}

fn publish(server: &Server, version: u32, tier: &str) -> Manifest {
    let (module, manifest) = livepatch(version);
    server.publish::<PublishAnswer>(&module, &manifest, tier).unwrap();
    manifest
}

fn token(server: &Server, tier: &str, tags: &[&str]) -> String {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let request =
        TokenRequest { tier: tier.into(), uses: None, expires_after: None, note: String::new(), tags };
    let created: TokenCreated = server.admin_post(paths::ADMIN_TOKENS, &request).unwrap();
    created.token.parse::<EnrolmentToken>().unwrap().secret
}

/// The tier that a machine is told of at its next check-in.
fn told(server: &Server, credential: &str, sequence: u64) -> String {
    let report = CheckInRequest {
        sequence,
        boot_id: "boot".into(),
        kernel: support::kernel(),
        state: PatchState::NothingToApply,
        applied: None,
        taint: Taint(0),
        events: vec![],
        client_version: "0.1.0".into(),
    };
    server.post::<CheckInAnswer>(paths::CHECK_IN, credential, &report).unwrap().tier
}

fn tiers_of(server: &Server, version: u32) -> Vec<String> {
    let list: Vec<LivepatchSummary> = server.admin_get(paths::ADMIN_LIVEPATCHES).unwrap();
    list.into_iter().find(|one| one.manifest.version == version).unwrap().tiers
}

fn steering(server: &Server) -> Steering {
    let document: serde_json::Value = serde_json::from_slice(&server.get_bytes(TIMESTAMP).1).unwrap();
    let ours = document["signed"].get("livepatch").cloned();
    ours.map_or_else(Steering::default, |ours| serde_json::from_value(ours).unwrap())
}

#[test]
fn tiers_are_created_renamed_reordered_and_removed_while_the_server_runs() {
    let server = Server::with_certificate();
    publish(&server, 1, "beta");
    let secret = token(&server, "beta", &[]);
    let enrolled: EnrolAnswer = server.post(paths::ENROL, &secret, &machine(MACHINE)).unwrap();

    let create = |name: &str, after: Option<&str>| TierChange::Create {
        name: name.into(),
        after: after.map(Into::into),
    };
    let list = change(&server, &create("canary", None)).unwrap();
    assert_eq!(names(&list), ["canary", "edge", "beta", "candidate", "stable"]);
    let list = change(&server, &create("late", Some("stable"))).unwrap();
    assert_eq!(names(&list).last(), Some(&"late"));
    for wrong in ["canary", "Not a name", "blocked", ""] {
        assert_eq!(refused(change(&server, &create(wrong, None))), (422, ErrorCode::Invalid), "{wrong}");
    }
    assert_eq!(tiers_of(&server, 1), ["edge", "beta"], "a new tier has nothing until it is promoted");

    let rename = TierChange::Rename { name: "beta".into(), to: "preview".into() };
    let list = change(&server, &rename).unwrap();
    let renamed = list.iter().find(|tier| tier.name == "preview").unwrap();
    assert_eq!((renamed.machines, renamed.tokens, renamed.livepatches), (1, 1, 1));
    let tiers = tiers_of(&server, 1);
    assert!(tiers.contains(&"preview".to_owned()), "no machine loses its livepatch: {tiers:?}");
    assert!(tiers.contains(&"beta".to_owned()), "nor one that has not heard of the new name: {tiers:?}");
    assert_eq!(told(&server, &enrolled.credential, 1), "preview");
    // The token works on, for the tier's new name.
    let other = "00000000-0000-4000-8000-000000000002";
    assert_eq!(server.post::<EnrolAnswer>(paths::ENROL, &secret, &machine(other)).unwrap().tier, "preview");

    let order = ["edge", "canary", "preview", "candidate", "stable", "late"].map(str::to_owned).to_vec();
    let list = change(&server, &TierChange::Reorder { names: order.clone() }).unwrap();
    assert_eq!(names(&list), order);
    let short = TierChange::Reorder { names: order[1..].to_vec() };
    assert_eq!(refused(change(&server, &short)), (422, ErrorCode::Invalid));

    let remove =
        |name: &str, to: Option<&str>| TierChange::Remove { name: name.into(), move_to: to.map(Into::into) };
    assert_eq!(refused(change(&server, &remove("preview", None))), (409, ErrorCode::Conflict));
    assert_eq!(refused(change(&server, &remove("preview", Some("nowhere")))), (422, ErrorCode::Invalid));
    let list = change(&server, &remove("preview", Some("edge"))).unwrap();
    assert_eq!(names(&list), ["edge", "canary", "candidate", "stable", "late"]);
    assert_eq!(told(&server, &enrolled.credential, 2), "edge");

    // Known by the next start too, whatever that is told.
    let (directory, _) = server.stop();
    let server = Server::start_in(directory);
    let list: Vec<TierSummary> = server.admin_get(paths::ADMIN_TIERS).unwrap();
    assert_eq!(names(&list), ["edge", "canary", "candidate", "stable", "late"]);
    assert_eq!(
        server.publish::<PublishAnswer>(&livepatch(2).0, &livepatch(2).1, "canary").unwrap().tiers,
        ["edge", "canary"]
    );
}

#[test]
fn a_tier_that_a_rollout_goes_to_stays() {
    let server = Server::with_certificate();
    publish(&server, 1, "edge");
    server.admin_post::<RolloutView>(paths::ADMIN_ROLLOUTS, &rollout("normal")).unwrap();
    for busy in [
        TierChange::Rename { name: "stable".into(), to: "calm".into() },
        TierChange::Remove { name: "stable".into(), move_to: None },
    ] {
        assert_eq!(refused(change(&server, &busy)), (409, ErrorCode::Conflict), "{busy:?}");
    }
}

#[test]
fn everything_that_one_tier_has_is_promoted_at_once() {
    let server = Server::with_certificate();
    for version in 1..=3 {
        publish(&server, version, if version == 3 { "beta" } else { "edge" });
    }
    let withdrawn = format!("{}/{}/withdraw", paths::ADMIN_LIVEPATCHES, name(2));
    server.admin_post::<LivepatchSummary>(&withdrawn, &WithdrawRequest { reason: "bad".into() }).unwrap();
    let wish = PromoteAllRequest { from: "edge".into(), tier: "beta".into() };
    let promoted: Vec<PublishAnswer> = server.admin_post(paths::ADMIN_PROMOTE_ALL, &wish).unwrap();
    let found: Vec<_> = promoted.iter().map(|answer| answer.version).collect();
    assert_eq!(found, [1], "what is there already, and what was withdrawn, is left out");
    assert_eq!(tiers_of(&server, 1), ["edge", "beta"]);
    assert!(server.admin_post::<Vec<PublishAnswer>>(paths::ADMIN_PROMOTE_ALL, &wish).unwrap().is_empty());
    let unknown = PromoteAllRequest { from: "edge".into(), tier: "nowhere".into() };
    assert_eq!(
        refused(server.admin_post::<Vec<PublishAnswer>>(paths::ADMIN_PROMOTE_ALL, &unknown)),
        (422, ErrorCode::Invalid)
    );
}

fn block(server: &Server, kind: BlockKind, subject: &str, life: Option<u64>) -> Answer<Vec<BlockSummary>> {
    let request =
        BlockRequest { kind, subject: subject.into(), reason: "looked bad".into(), expires_after: life };
    server.admin_post(paths::ADMIN_BLOCKS, &request)
}

fn lift(server: &Server, id: &str) -> Answer<Vec<BlockSummary>> {
    server.admin_post(&format!("{}/{id}/lift", paths::ADMIN_BLOCKS), &[(); 0])
}

#[test]
fn a_blocked_patch_and_a_blocked_kernel_are_denied_in_what_every_poll_reads() {
    let server = Server::with_certificate();
    let first = publish(&server, 1, "edge");
    assert_eq!(refused(block(&server, BlockKind::Patch, "no_such_patch", None)), (404, ErrorCode::NotFound));
    let blocks = block(&server, BlockKind::Patch, &first.name, None).unwrap();
    assert_eq!((blocks[0].subject.as_str(), blocks[0].reason.as_str()), (first.name.as_str(), "looked bad"));
    assert!(
        steering(&server).denies(&first.module.sha256) && !steering(&server).withdraws(&first.module.sha256)
    );
    assert_eq!(refused(block(&server, BlockKind::Patch, &first.name, None)), (409, ErrorCode::Conflict));
    assert!(lift(&server, &blocks[0].id).unwrap().is_empty());
    assert!(!steering(&server).denies(&first.module.sha256));
    assert_eq!(refused(lift(&server, &blocks[0].id)), (404, ErrorCode::NotFound));

    // A kernel is blocked with all that is there, and all that comes.
    let blocks = block(&server, BlockKind::Kernel, RELEASE, None).unwrap();
    let second = publish(&server, 2, "edge");
    assert!(
        steering(&server).denies(&first.module.sha256) && steering(&server).denies(&second.module.sha256)
    );
    // What is withdrawn meanwhile stays so when the block goes.
    let withdrawn = format!("{}/{}/withdraw", paths::ADMIN_LIVEPATCHES, first.name);
    server.admin_post::<LivepatchSummary>(&withdrawn, &WithdrawRequest { reason: "bad".into() }).unwrap();
    lift(&server, &blocks[0].id).unwrap();
    assert!(
        steering(&server).denies(&first.module.sha256) && !steering(&server).denies(&second.module.sha256)
    );
}

#[test]
fn a_block_ends_by_itself() {
    let server = Server::start_with(tempfile::tempdir().unwrap(), &["--look-every", "1"], &[]);
    let certificate =
        livepatch_api::CertificateRequest { pem: support::KEY.certificate().to_pem().to_owned() };
    server.admin_post::<livepatch_api::CertificateAdded>(paths::ADMIN_CERTIFICATES, &certificate).unwrap();
    let manifest = publish(&server, 1, "edge");
    block(&server, BlockKind::Patch, &manifest.name, Some(1)).unwrap();
    assert!(steering(&server).denies(&manifest.module.sha256));
    let limit = Instant::now() + Duration::from_secs(30);
    while steering(&server).denies(&manifest.module.sha256) {
        assert!(Instant::now() < limit, "the block does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.admin_get::<Vec<BlockSummary>>(paths::ADMIN_BLOCKS).unwrap().is_empty());
}

#[test]
fn blocked_machines_and_those_with_a_blocked_tag_are_offered_nothing() {
    let server = Server::with_certificate();
    let secret = token(&server, "stable", &["web", "paris"]);
    let tagged: EnrolAnswer = server.post(paths::ENROL, &secret, &machine(MACHINE)).unwrap();
    let other = "00000000-0000-4000-8000-000000000002";
    let plain: EnrolAnswer =
        server.post(paths::ENROL, &token(&server, "stable", &[]), &machine(other)).unwrap();
    let list: Vec<MachineSummary> = server.admin_get(paths::ADMIN_MACHINES).unwrap();
    assert_eq!(list.iter().find(|one| one.machine_id == MACHINE).unwrap().tags, ["web", "paris"]);

    let by_tag = block(&server, BlockKind::Tag, "paris", None).unwrap();
    assert_eq!(
        (told(&server, &tagged.credential, 1), told(&server, &plain.credential, 1)),
        ("blocked".into(), "stable".into())
    );
    lift(&server, &by_tag[0].id).unwrap();
    let unknown = "00000000-0000-4000-8000-000000000009";
    assert_eq!(refused(block(&server, BlockKind::Machine, unknown, None)), (404, ErrorCode::NotFound));
    block(&server, BlockKind::Machine, other, None).unwrap();
    assert_eq!(
        (told(&server, &tagged.credential, 2), told(&server, &plain.credential, 2)),
        ("stable".into(), "blocked".into())
    );
    // It goes on being heard, and is in its tier for everybody else.
    let list: Vec<MachineSummary> = server.admin_get(paths::ADMIN_MACHINES).unwrap();
    assert!(list.iter().all(|one| one.tier == "stable"));
}
