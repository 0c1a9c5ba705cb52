//! What the dashboard asks the store: sessions, counts, pages of machines; on SQLite and on a real PostgreSQL.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

use livepatch_api::{
    AppliedLivepatch, CheckInRequest, EnrolRequest, Event, EventKind, PatchState, Role, UserSummary,
};
use livepatch_kernel::{KernelIdentity, Taint};
use livepatch_manifest::Digest;
use livepatch_store::{
    Attempt, CheckIn, KnownApiKey, LockOut, MachineOrder, MachineQuery, NewApiKey, NewSession, NewToken,
    OpenIdFlow, SessionHolder, SessionLife, Store,
};

const NOW: i64 = 1_800_000_000;
const LIFE: SessionLife = SessionLife { idle: 100, longest: 1000 };

/// Runs a story on both databases.
async fn on_both<F: AsyncFn(Store)>(story: F) {
    let directory = tempfile::tempdir().unwrap();
    story(Store::open_sqlite(&directory.path().join("livepatch.db")).await.unwrap()).await;
    let url = livepatch_services::Postgres::shared().unwrap().database().unwrap();
    story(Store::open_postgres(&url).await.unwrap()).await;
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[tokio::test]
async fn a_session_is_worth_what_its_key_is_worth() {
    on_both(async |store| {
        let key = NewApiKey {
            id: "1".into(),
            secret: digest("key"),
            name: "ada".into(),
            role: Role::Operator,
            expires: None,
        };
        store.add_api_key(&key, NOW).await.unwrap();
        store.add_login(&digest("code"), &digest("key"), NOW + 10).await.unwrap();
        store.add_login(&digest("late"), &digest("key"), NOW + 10).await.unwrap();
        assert_eq!(store.take_login(&digest("code"), NOW + 9).await.unwrap(), Some(digest("key")));
        assert_eq!(store.take_login(&digest("code"), NOW + 9).await.unwrap(), None, "once");
        assert_eq!(store.take_login(&digest("late"), NOW + 10).await.unwrap(), None, "too late");

        let of_key = NewSession::Key(digest("key"));
        store.add_session(&digest("one"), &of_key, LIFE, NOW).await.unwrap();
        let known = store.session(&digest("one"), LIFE, NOW + 99).await.unwrap().unwrap();
        let ada = KnownApiKey { name: "ada".into(), role: Role::Operator, secret: digest("key") };
        assert_eq!(known, SessionHolder::Key { digest: digest("key"), known: Some(ada) });
        assert!(store.session(&digest("one"), LIFE, NOW + 198).await.unwrap().is_some(), "used at 99");
        assert!(store.session(&digest("one"), LIFE, NOW + 298).await.unwrap().is_none(), "idle");
        for at in (NOW..NOW + 1000).step_by(90) {
            store.session(&digest("one"), LIFE, at).await.unwrap();
        }
        assert!(store.session(&digest("one"), LIFE, NOW + 1000).await.unwrap().is_none(), "long enough");

        store.add_session(&digest("two"), &of_key, LIFE, NOW).await.unwrap();
        store.revoke_api_key("1", NOW).await.unwrap();
        let nobody = SessionHolder::Key { digest: digest("key"), known: None };
        assert_eq!(store.session(&digest("two"), LIFE, NOW).await.unwrap(), Some(nobody));
        store.end_session(&digest("two")).await.unwrap();
        assert_eq!(store.session(&digest("two"), LIFE, NOW).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_lock_a_user_out_for_a_while() {
    on_both(async |store| {
        let lock = LockOut { failures: 3, length: 100 };
        assert!(store.add_user("ada", "hash", Role::Operator, NOW).await.unwrap());
        assert!(!store.add_user("ada", "other", Role::Admin, NOW).await.unwrap(), "the name is taken");
        assert_eq!(store.begin_attempt("bob", lock, NOW).await.unwrap(), None);
        let attempt = async |at| store.begin_attempt("ada", lock, at).await.unwrap();
        let right = Some(Attempt { password: "hash".into(), role: Role::Operator });
        assert_eq!(attempt(NOW).await, right);
        store.end_attempt("ada", NOW).await.unwrap();
        for _ in 0..3 {
            assert_eq!(attempt(NOW + 1).await, right, "what was before is forgotten");
        }
        assert_eq!(attempt(NOW + 1).await, None, "locked out, whatever the password");
        let locked = |users: Vec<UserSummary>| users[0].locked_until.is_some();
        assert!(locked(store.users(NOW + 100).await.unwrap()));
        assert_eq!(attempt(NOW + 100).await, None);
        assert!(!locked(store.users(NOW + 101).await.unwrap()));
        assert_eq!(attempt(NOW + 101).await, right);
        assert_eq!(attempt(NOW + 102).await, None, "one more, and it is locked again");
        assert!(store.set_password("ada", "new").await.unwrap());
        assert_eq!(attempt(NOW + 102).await.unwrap().password, "new", "an admin opens it");
    })
    .await;
}

#[tokio::test]
async fn a_users_session_ends_with_the_password_and_a_guests_has_the_role_of_then() {
    on_both(async |store| {
        store.add_user("ada", "hash", Role::Viewer, NOW).await.unwrap();
        let user = NewSession::User("ada".into());
        let holds = async |secret| store.session(&digest(secret), LIFE, NOW).await.unwrap();
        store.add_session(&digest("one"), &user, LIFE, NOW).await.unwrap();
        assert_eq!(holds("one").await, Some(SessionHolder::User { name: "ada".into(), role: Role::Viewer }));
        store.set_password("ada", "new").await.unwrap();
        assert_eq!(holds("one").await, None);
        store.add_session(&digest("two"), &user, LIFE, NOW).await.unwrap();
        assert!(store.remove_user("ada").await.unwrap() && !store.remove_user("ada").await.unwrap());
        assert_eq!(holds("two").await, None);
        let guest = NewSession::Guest("eve".into(), Role::Releaser);
        store.add_session(&digest("three"), &guest, LIFE, NOW).await.unwrap();
        assert_eq!(
            holds("three").await,
            Some(SessionHolder::Guest { name: "eve".into(), role: Role::Releaser })
        );
    })
    .await;
}

#[tokio::test]
async fn a_sign_in_elsewhere_is_used_once() {
    on_both(async |store| {
        let flow = OpenIdFlow { nonce: "n".into(), verifier: "v".into(), back: "/dashboard".into() };
        store.add_openid_flow(&digest("state"), &flow, NOW + 10, NOW).await.unwrap();
        store.add_openid_flow(&digest("late"), &flow, NOW + 10, NOW).await.unwrap();
        assert_eq!(store.take_openid_flow(&digest("state"), NOW + 9).await.unwrap(), Some(flow));
        assert_eq!(store.take_openid_flow(&digest("state"), NOW + 9).await.unwrap(), None);
        assert_eq!(store.take_openid_flow(&digest("late"), NOW + 10).await.unwrap(), None);
    })
    .await;
}

async fn enrol(store: &Store, number: u32, state: PatchState, at: i64) -> String {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let kernel = KernelIdentity {
        release: format!("6.1.0-{}-cloud-amd64", 50 + number % 2).parse().unwrap(),
        build_id: format!("{:02x}", number % 2).repeat(20).parse().unwrap(),
        arch: "x86_64".into(),
    };
    let request = EnrolRequest {
        machine_id: id.clone(),
        hostname: format!("web_{}", number / 2),
        kernel: kernel.clone(),
        client_version: "0.1.0".into(),
    };
    store.enrol(&digest("token"), &request, &digest(&id), NOW).await.unwrap();
    let kind = if state == PatchState::ApplyFailed { EventKind::Failed } else { EventKind::Refused };
    let report = CheckInRequest {
        sequence: 1,
        boot_id: "boot".into(),
        kernel,
        state,
        applied: None,
        taint: Taint(0),
        events: vec![Event { at: "2027-01-15T08:00:00Z".into(), kind, detail: format!("{number}") }],
        client_version: "0.1.0".into(),
    };
    store.record_check_in(&CheckIn { machine_id: id.clone(), report, results: vec![] }, at).await.unwrap();
    id
}

#[tokio::test]
async fn pages_hold_every_machine_once_and_counts_agree() {
    on_both(async |store| {
        let token = NewToken {
            id: "t".into(),
            secret: digest("token"),
            tier: "edge".into(),
            uses: None,
            expires: None,
            note: String::new(),
            tags: vec!["web".into(), "lab".into()],
        };
        store.add_token(&token, NOW).await.unwrap();
        let states = [PatchState::Applied, PatchState::ApplyFailed, PatchState::NothingToApply];
        for number in 0..23 {
            enrol(&store, number, states[number as usize % 3], NOW + i64::from(number / 4)).await;
        }
        let orders =
            [MachineOrder::Hostname, MachineOrder::Kernel, MachineOrder::State, MachineOrder::LastSeen];
        for order in orders {
            let mut seen = Vec::new();
            let mut query = MachineQuery { order, ..MachineQuery::default() };
            loop {
                let page = store.machine_page(&query, 5).await.unwrap();
                assert!(page.machines.len() <= 5);
                seen.extend(page.machines.into_iter().map(|machine| machine.machine_id));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), 23, "{order:?}");
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 23, "{order:?}");
        }
        let groups = store.groups().await.unwrap();
        assert_eq!(groups.iter().map(|group| group.machines).sum::<u32>(), 23);
        assert_eq!(groups.len(), 6, "two kernels, three states");
        let failed = MachineQuery { states: vec![PatchState::ApplyFailed], ..MachineQuery::default() };
        assert_eq!(store.machine_count(&failed).await.unwrap(), 8);
        let found = |search: &str| MachineQuery { search: Some(search.into()), ..MachineQuery::default() };
        assert_eq!(store.machine_count(&found("WEB_1")).await.unwrap(), 5, "web_1, web_10 and web_11");
        assert_eq!(store.machine_count(&found("w%1")).await.unwrap(), 0, "text, not a pattern");
        assert_eq!(store.machine_count(&found("000000022")).await.unwrap(), 1);
        assert_eq!(store.silent_machines(NOW + 2).await.unwrap(), 8);
        let tiers = ["edge".to_owned()];
        assert_eq!(store.populations(&tiers, NOW + 2).await.unwrap().values().sum::<u32>(), 15);
        let troubles = store.troubles(3).await.unwrap();
        let details: Vec<_> = troubles.iter().map(|event| event.detail.as_str()).collect();
        assert_eq!(details, ["22", "19", "16"]);
        let tagged = |tag: &str| MachineQuery { tag: Some(tag.into()), ..MachineQuery::default() };
        for (tag, machines) in [("web", 23), ("lab", 23), ("we", 0), ("web,lab", 0), ("'", 0), ("", 0)] {
            assert_eq!(store.machine_count(&tagged(tag)).await.unwrap(), machines, "{tag}");
        }
        let by_tags = store.machines_by_tags().await.unwrap();
        assert!(by_tags.iter().all(|(tags, ..)| tags == &["web", "lab"]), "{by_tags:?}");
        assert_eq!(by_tags.iter().map(|(.., machines)| machines).sum::<u32>(), 23);
        let below = |builds: &[(&str, u32)]| {
            let builds = builds.iter().map(|(byte, version)| (byte.repeat(20).parse().unwrap(), *version));
            MachineQuery { below: Some(builds.collect()), ..MachineQuery::default() }
        };
        assert_eq!(store.machine_count(&below(&[("00", 1)])).await.unwrap(), 12);
        assert_eq!(store.machine_page(&below(&[("00", 1), ("01", 2)]), 50).await.unwrap().machines.len(), 23);
        assert_eq!(store.machine_count(&below(&[])).await.unwrap(), 0);
        store.revoke_machine("00000000-0000-4000-8000-000000000022", NOW).await.unwrap();
        assert_eq!(store.groups().await.unwrap().iter().map(|group| group.machines).sum::<u32>(), 22);
    })
    .await;
}

#[tokio::test]
async fn each_machine_counts_once_for_every_version_that_it_came_to() {
    on_both(async |store| {
        let token = NewToken {
            id: "t".into(),
            secret: digest("token"),
            tier: "edge".into(),
            uses: None,
            expires: None,
            note: String::new(),
            tags: vec![],
        };
        store.add_token(&token, NOW).await.unwrap();
        let mut ids = Vec::new();
        for number in [0, 2, 4] {
            ids.push(enrol(&store, number, PatchState::Unapplied, NOW).await);
        }
        let came_to = async |id: &String, sequence, version, said: &str, at| {
            let name = format!("livepatch_{version}");
            let detail = format!("{name} is applied");
            let report = CheckInRequest {
                sequence,
                boot_id: "boot".into(),
                kernel: KernelIdentity {
                    release: "6.1.0-50-cloud-amd64".parse().unwrap(),
                    build_id: "00".repeat(20).parse().unwrap(),
                    arch: "x86_64".into(),
                },
                state: PatchState::Applied,
                applied: Some(AppliedLivepatch { name, version, sha256: digest("ko") }),
                taint: Taint(0),
                events: vec![Event { at: said.into(), kind: EventKind::Applied, detail }],
                client_version: "0.1.0".into(),
            };
            store
                .record_check_in(&CheckIn { machine_id: id.to_string(), report, results: vec![] }, at)
                .await
                .unwrap();
        };
        // NOW is 2027-01-15T08:00:00Z. The first says when; the second's clock is wrong; the third came to both at once.
        came_to(&ids[0], 2, 1, "2027-01-15T08:00:40Z", NOW + 90).await;
        came_to(&ids[1], 2, 1, "2001-01-01T00:00:00Z", NOW + 100).await;
        came_to(&ids[2], 2, 2, "never", NOW + 700).await;
        came_to(&ids[0], 3, 2, "2027-01-15T08:20:00Z", NOW + 1300).await;
        came_to(&ids[0], 3, 3, "2027-01-15T08:20:00Z", NOW + 1400).await; // an old report
        came_to(&ids[0], 4, 1, "2027-01-15T08:30:00Z", NOW + 1900).await; // a step back
        let times = async |since| {
            let times = store.protection_times(since).await.unwrap();
            let mut times: Vec<_> = times
                .iter()
                .map(|time| (time.above, time.version, time.first - NOW, time.last - NOW, time.machines))
                .collect();
            times.sort_unstable();
            times
        };
        let all = [(0, 1, 0, 40, 2), (0, 2, 700, 700, 1), (1, 2, 1200, 1200, 1)];
        assert_eq!(times(0).await, all);
        assert_eq!(times(NOW + 100).await, all, "the first row changed then");
        assert_eq!(times(NOW + 101).await, all[1..]);
        assert_eq!(times(NOW + 1301).await, []);
        let had = store.had_versions().await.unwrap();
        let mut had: Vec<_> = had.iter().map(|had| (had.version, had.machines)).collect();
        had.sort_unstable();
        assert_eq!(had, [(1, 1), (2, 2)]);

        // On another kernel a machine begins anew.
        let other = reboot_elsewhere(&store, &ids[2]).await;
        assert_eq!(other, [(1, 1), (2, 1), (0, 1)]);
    })
    .await;
}

/// The machine runs another kernel; what machines had, by kernel and version.
async fn reboot_elsewhere(store: &Store, id: &str) -> Vec<(u32, u32)> {
    let report = CheckInRequest {
        sequence: 9,
        boot_id: "next".into(),
        kernel: KernelIdentity {
            release: "6.1.0-51-cloud-amd64".parse().unwrap(),
            build_id: "01".repeat(20).parse().unwrap(),
            arch: "x86_64".into(),
        },
        state: PatchState::NothingToApply,
        applied: None,
        taint: Taint(0),
        events: vec![],
        client_version: "0.1.0".into(),
    };
    store
        .record_check_in(&CheckIn { machine_id: id.to_string(), report, results: vec![] }, NOW + 2000)
        .await
        .unwrap();
    let mut had = store.had_versions().await.unwrap();
    had.sort_by_key(|had| (had.build_id.to_string(), had.version));
    had.iter().map(|had| (had.version, had.machines)).collect()
}
