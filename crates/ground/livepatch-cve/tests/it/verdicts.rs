//! Verdicts: which evidence counts, runs over builds, and the file.

use livepatch_cve::record::{PackageState, PackageStatus};
use livepatch_cve::verdict::{
    BuildNumber, Engine, Exposure, FileBuild, KernelBuild, NotAffected, Pending, Stance, Verdict,
    VerdictFile, VerdictFileError, flavour_name,
};
use livepatch_cve::{CveId, Distribution, Family, Name, UpstreamRanges};
use livepatch_kernel::PackageVersion;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

fn family(distribution: Distribution, release: &str, package: &str) -> Family {
    Family { distribution, release: release.into(), package: package.into() }
}

fn bionic() -> Family {
    family(Distribution::Ubuntu, "bionic", "linux")
}

fn version(text: &str) -> PackageVersion {
    text.parse().unwrap()
}

fn id(number: u64) -> CveId {
    CveId { year: 2026, number }
}

fn exposure(number: u64, stances: &[(Family, Stance)]) -> Exposure {
    Exposure {
        cve: id(number),
        void: false,
        upstream: None,
        configuration: Vec::new(),
        files: Vec::new(),
        families: stances.iter().cloned().collect(),
    }
}

fn build(text: &str) -> KernelBuild {
    KernelBuild::new(bionic(), version(text))
}

fn verdict(exposure: Exposure, build: &KernelBuild) -> Option<Verdict> {
    let cve = exposure.cve;
    Engine::new(vec![build.clone()], vec![exposure]).verdict(cve, build)
}

fn pending(why: Pending, first_safe: Option<&str>) -> Option<Verdict> {
    Some(Verdict::Pending { why, first_safe: first_safe.map(version) })
}

#[test]
fn the_distributions_word() {
    let at = |stance: Stance, text| verdict(exposure(1, &[(bionic(), stance)]), &build(text));
    let fixed = || Stance::Fixed(version("4.15.0-65.74"));
    assert_eq!(at(fixed(), "4.15.0-64.73"), pending(Pending::FixAvailable, Some("4.15.0-65.74")));
    assert_eq!(at(fixed(), "4.15.0-65.74"), Some(Verdict::FixedInBuild { first: version("4.15.0-65.74") }));
    assert_eq!(at(fixed(), "4.15.0-65.74~16.04.1"), pending(Pending::FixAvailable, Some("4.15.0-65.74")));
    assert_eq!(at(Stance::Absent, "4.15.0-65.74"), None);
    let prepared = || Stance::Prepared { version: version("4.15.0-70.79"), otherwise: Pending::Planned };
    assert_eq!(at(prepared(), "4.15.0-65.74"), pending(Pending::Planned, None));
    assert_eq!(
        at(prepared(), "4.15.0-72.81"),
        Some(Verdict::FixedInBuild { first: version("4.15.0-70.79") })
    );
    let words = Name::from("CONFIG_TEAPOT is disabled");
    let off = Stance::NotAffected { from: None, why: NotAffected::Configuration, evidence: words.clone() };
    let why = NotAffected::Configuration;
    assert_eq!(at(off, "4.15.0-1.1"), Some(Verdict::NotAffected { why, evidence: words }));
}

#[test]
fn the_kernels_own_configuration_and_code() {
    let mut with = build("4.15.0-65.74");
    with.configuration = Some(Arc::new(["CONFIG_TEAPOT".into()].into()));
    with.files = Some(Arc::new(["drivers/tea/pot.c".into()].into()));
    let mut without = build("4.15.0-65.74");
    without.configuration = Some(Arc::new(["CONFIG_KETTLE".into()].into()));
    without.files = Some(Arc::new(["drivers/tea/cup.c".into()].into()));
    let needs = |configuration: &[&str], files: &[&str]| Exposure {
        configuration: configuration.iter().map(|option| Name::from(*option)).collect(),
        files: files.iter().map(|file| Name::from(*file)).collect(),
        ..exposure(1, &[(bionic(), Stance::Open(Pending::Planned))])
    };
    for (exposure, why, evidence) in [
        (needs(&["CONFIG_TEAPOT", "CONFIG_POT"], &[]), NotAffected::Configuration, "CONFIG_TEAPOT"),
        (needs(&[], &["drivers/tea/pot.c"]), NotAffected::NotBuilt, "drivers/tea/pot.c"),
    ] {
        assert_eq!(verdict(exposure.clone(), &with), pending(Pending::Planned, None));
        let expected = Verdict::NotAffected { why, evidence: evidence.into() };
        assert_eq!(verdict(exposure.clone(), &without), Some(expected));
        assert_eq!(verdict(exposure, &build("4.15.0-65.74")), pending(Pending::Planned, None));
    }
}

#[test]
fn the_upstream_version() {
    let ranges = UpstreamRanges::fixed_in("6.1.100".parse().unwrap());
    let debian = family(Distribution::Debian, "bookworm", "linux");
    let exposure = Exposure { upstream: Some(ranges), ..exposure(1, &[]) };
    let at = |text| verdict(exposure.clone(), &KernelBuild::new(debian.clone(), version(text)));
    assert!(matches!(at("6.1.190-1"), Some(Verdict::NotAffected { why: NotAffected::Version, .. })));
    assert_eq!(at("6.1.99-1"), pending(Pending::NotTriaged, None));
    // The distribution's word that the fix is needed outweighs the version.
    let needed =
        Exposure { families: [(debian.clone(), Stance::Open(Pending::Planned))].into(), ..exposure.clone() };
    let verdict = verdict(needed, &KernelBuild::new(debian.clone(), version("6.1.190-1")));
    assert_eq!(verdict, pending(Pending::Planned, None));
}

#[test]
fn what_can_be_done() {
    let stance = Stance::Fixed(version("4.15.0-70.79"));
    let mut patched = build("4.15.0-65.74");
    patched.livepatched = [(id(1), 3)].into();
    let plain = build("4.15.0-66.75");
    let mut engine = Engine::new(
        vec![patched.clone(), plain.clone()],
        vec![exposure(1, &[(bionic(), stance.clone())]), exposure(2, &[(bionic(), stance)])],
    );
    assert_eq!(engine.verdict(id(1), &patched), Some(Verdict::Livepatched { version: 3 }));
    let first_safe = Some(version("4.15.0-70.79"));
    engine.mitigate(id(2), None, "deny-teapot".into());
    let mitigated = Verdict::Mitigated { mitigation: "deny-teapot".into(), first_safe: first_safe.clone() };
    assert_eq!(engine.verdict(id(2), &plain), Some(mitigated));
    let number = engine.family(&bionic()).unwrap();
    engine.refuse(id(2), number, "changed-data".into());
    let refused = engine.verdict(id(2), &plain).unwrap();
    let mitigation = Some("deny-teapot".into());
    assert_eq!(
        refused,
        Verdict::CannotBeLivepatched { reason: "changed-data".into(), first_safe, mitigation }
    );
    assert_eq!(
        refused.to_string(),
        "cannot be livepatched (changed-data): update and reboot; fixed from 4.15.0-70.79; until then: deny-teapot"
    );
    let void = Exposure { void: true, ..exposure(3, &[]) };
    assert!(matches!(
        verdict(void, &plain),
        Some(Verdict::NotAffected { why: NotAffected::NoVulnerability, .. })
    ));
}

/// Engines of a few families, builds and stances, whatever they be.
fn engines() -> impl Strategy<Value = Engine> {
    let stance = prop_oneof![
        Just(Stance::Absent),
        Just(Stance::Open(Pending::Planned)),
        Just(Stance::Open(Pending::NotTriaged)),
        (0..8_u32).prop_map(|number| Stance::Fixed(version(&format!("5.4.0-{number}.1")))),
        (0..8_u32).prop_map(|number| Stance::Prepared {
            version: version(&format!("5.4.0-{number}.1")),
            otherwise: Pending::WillNotBeFixed
        }),
        (0..8_u32).prop_map(|number| Stance::NotAffected {
            from: Some(version(&format!("5.4.0-{number}.1"))),
            why: NotAffected::Version,
            evidence: Name::from("")
        }),
    ];
    let release = || {
        (0..3_u8).prop_map(|number| {
            family(Distribution::Ubuntu, ["bionic", "focal", "jammy"][number as usize], "linux")
        })
    };
    let build = (release(), 0..8_u32, 4..7_u32, any::<Option<bool>>(), vec((1..9_u64, 1..5_u32), 0..2))
        .prop_map(|(family, number, series, has_option, livepatched)| KernelBuild {
            configuration: has_option
                .map(|has| Arc::new(has.then(|| Name::from("CONFIG_TEAPOT")).into_iter().collect())),
            livepatched: livepatched.into_iter().map(|(number, version)| (id(number), version)).collect(),
            ..KernelBuild::new(family, version(&format!("5.{series}.0-{number}.1")))
        });
    let cve = (1..9_u64, vec((release(), stance), 0..4), any::<bool>(), any::<bool>()).prop_map(
        |(number, stances, needs_option, by_version)| Exposure {
            configuration: needs_option.then(|| Name::from("CONFIG_TEAPOT")).into_iter().collect(),
            upstream: by_version.then(|| UpstreamRanges::fixed_in("5.5".parse().unwrap())),
            ..exposure(number, &stances)
        },
    );
    (vec(build, 0..20), vec(cve, 0..9)).prop_map(|(builds, exposures)| Engine::new(builds, exposures))
}

fn files(engine: &Engine) -> Vec<VerdictFile> {
    let verdicts = engine.verdicts();
    let file = |(family, range): (&Family, std::ops::Range<usize>)| {
        let builds = engine.builds()[range.clone()].iter().map(FileBuild::from).collect();
        VerdictFile::new(family, builds, range, &verdicts)
    };
    engine.families().map(file).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_at_once_equals_one_by_one(engine in engines()) {
        let verdicts = engine.verdicts();
        for (build, number) in engine.builds().iter().zip(0..) {
            for number_of_cve in 1..9 {
                let one = engine.verdict(id(number_of_cve), build);
                prop_assert_eq!(verdicts.get(id(number_of_cve), BuildNumber(number)), one.as_ref());
            }
        }
    }

    #[test]
    fn a_verdict_file_says_the_same(engine in engines()) {
        let verdicts = engine.verdicts();
        for (file, (_, range)) in files(&engine).iter().zip(engine.families()) {
            let read = VerdictFile::decode(&file.encode()).unwrap();
            prop_assert_eq!(&read, file);
            for (at, number) in range.enumerate() {
                for cve in 1..9 {
                    let whole = verdicts.get(id(cve), BuildNumber(number as u32));
                    prop_assert_eq!(read.get(id(cve), BuildNumber(at as u32)), whole);
                }
            }
        }
    }

    #[test]
    fn damaged_files_are_refused_or_harmless(
        engine in engines(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for file in files(&engine) {
            let whole = file.encode();
            let content = miniz_oxide::inflate::decompress_to_vec_zlib(&whole[9..]).unwrap();
            let mut damaged = content.clone();
            damaged[at.index(content.len())] = byte;
            for content in [damaged, content[..at.index(content.len())].to_vec()] {
                let mut bytes = whole[..5].to_vec();
                bytes.extend((content.len() as u32).to_le_bytes());
                bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(&content, 1));
                if let Ok(read) = VerdictFile::decode(&bytes) {
                    for cve in read.cves() {
                        (0..read.builds.len()).for_each(|build| drop(read.get(cve, BuildNumber(build as u32)).cloned()));
                    }
                }
            }
            prop_assert!(VerdictFile::decode(&whole[..at.index(whole.len())]).is_err());
        }
    }

    #[test]
    fn any_bytes_as_a_verdict_file(bytes in vec(any::<u8>(), 0..200)) {
        let _ = VerdictFile::decode(&bytes);
        let mut headed = b"OLPV\x01\x40\0\0\0".to_vec();
        headed.extend(bytes);
        let _ = VerdictFile::decode(&headed);
    }
}

#[test]
fn a_file_that_would_unpack_to_much_is_refused() {
    let mut bytes = b"OLPV\x01".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    assert_eq!(VerdictFile::decode(&bytes), Err(VerdictFileError::TooLarge(u32::MAX)));
    bytes.truncate(5);
    bytes.extend(10_u32.to_le_bytes());
    bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 1 << 20], 9));
    assert_eq!(VerdictFile::decode(&bytes), Err(VerdictFileError::Compression));
}

#[test]
fn states_become_stances() {
    let state = |status, version: Option<&str>, note: Option<&str>| {
        Stance::from_state(&PackageState {
            status,
            version: version.map(self::version),
            note: note.map(Name::from),
        })
    };
    assert_eq!(
        state(PackageStatus::Released, Some("4.15.0-1.1"), None),
        Stance::Fixed(version("4.15.0-1.1"))
    );
    assert_eq!(state(PackageStatus::Released, None, Some("soon")), Stance::FixedSomewhere);
    assert_eq!(
        state(PackageStatus::Ignored, None, Some("end-of-life")),
        Stance::Open(Pending::WillNotBeFixed)
    );
    let was = state(PackageStatus::Ignored, None, Some(r"was pending \[5.0.0-31.33\] now end-of-life"));
    assert_eq!(was, Stance::Prepared { version: version("5.0.0-31.33"), otherwise: Pending::WillNotBeFixed });
}

#[test]
fn flavours_as_verdict_files_name_them() {
    assert_eq!(flavour_name("cloud-amd64", "amd64"), "cloud");
    assert_eq!(flavour_name("amd64", "amd64"), "");
    assert_eq!(flavour_name("generic", "amd64"), "generic");
}
