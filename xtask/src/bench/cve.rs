//! Importing CVE data and giving verdicts, against the bounds of issue "CVEs, verdicts and notices".
//!
//! The data is made here, in the form and size of the real feeds, so that the bench runs anywhere; the tracker's real files
//! take the place of made ones when `LIVEPATCH_CVE_DATA` names the folder that has `ubuntu-cve-tracker/`.

use super::Measurement;
use crate::{narrator::Narrator, workspace};
use anyhow::{Context as _, Result, bail, ensure};
use livepatch_cve::feeds::{RecordSplitter, cve_json, ubuntu_tracker};
use livepatch_cve::record::Source;
use livepatch_cve::verdict::{Engine, Exposure, FileBuild, KernelBuild, Pending, Stance, VerdictFile};
use livepatch_cve::{CveId, Distribution, Family, FeedOutcome, Register, UpstreamRanges};
use std::fmt::Write as _;
use std::{
    env, fs,
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

const TRACKER_FILES: usize = 375;
const TRACKER_BUDGET: f64 = 1.0;
const RECORDS: usize = 100_000;
const RECORDS_BUDGET: f64 = 60.0;
const AGAIN_BUDGET: f64 = 2.0;
const CVES: u64 = 10_000;
const BUILDS: usize = 1_000;
/// A distribution release has about as many kernel packages.
const FAMILIES: usize = 40;
const VERDICTS_BUDGET: f64 = 1.0;
const MEMORY_BUDGET: f64 = 200.0;
const FILE_BUDGET: f64 = 64.0;

/// All measurements. Verdicts first: their memory is read off the whole process.
pub(super) fn measure() -> Result<Vec<Measurement>> {
    let mut narrator = Narrator::new();
    let mut results = narrator.step("verdicts for 10,000 CVEs and 1,000 builds", |_| verdicts())?;
    results.extend(narrator.step("import tracker files", |_| tracker())?);
    let directory = workspace::fresh_directory("bench-cve")?;
    results.extend(narrator.step("import 100,000 CVE records, twice", |_| records(&directory))?);
    fs::remove_dir_all(&directory).context("bench-cve")?;
    Ok(results)
}

fn verdicts() -> Result<Vec<Measurement>> {
    // Linux sets the peak back to the present use (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")?;
    let before = memory("VmRSS")?;
    let engine = Engine::new(builds()?, exposures()?);
    let start = cpu_seconds()?;
    let verdicts = engine.verdicts();
    let seconds = cpu_seconds()? - start;
    let peak = memory("VmHWM")? - before;
    ensure!(verdicts.cves().len() as u64 == CVES && engine.builds().len() == BUILDS, "not all were judged");
    let (family, range) = engine.families().next().context("no family")?;
    let of_file = engine.builds()[range.clone()].iter().map(FileBuild::from).collect();
    let file = VerdictFile::new(family, of_file, range, &verdicts).encode();
    Ok(vec![
        Measurement::absolute("cve-verdicts", seconds, "s", VERDICTS_BUDGET),
        Measurement::absolute("cve-verdicts-memory", peak, "MiB", MEMORY_BUDGET),
        Measurement::absolute("cve-verdict-file", file.len() as f64 / 1024.0, "KiB", FILE_BUDGET),
    ])
}

/// A field of `/proc/self/status`, in MiB.
fn memory(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("/proc/self/status")?;
    let kib = line.split_whitespace().nth(1).context("/proc/self/status")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Processor time of this process so far. All that is measured here computes in one thread, and so the time does not depend on
/// what else the machine does.
fn cpu_seconds() -> Result<f64> {
    /// `USER_HZ`, the unit of `/proc/PID/stat`, on every architecture that Linux runs on here.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Fields 14 and 15 (proc_pid_stat(5)), counted behind the program's name, which may hold blanks.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat")?;
    let ticks = |at: usize| {
        fields.split(' ').nth(at).and_then(|field| field.parse::<f64>().ok()).context("/proc/self/stat")
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn family(number: usize) -> Family {
    let package = if number == 0 { "linux".to_owned() } else { format!("linux-{number}") };
    Family { distribution: Distribution::Ubuntu, release: "jammy".into(), package: package.as_str().into() }
}

fn builds() -> Result<Vec<KernelBuild>> {
    let build = |number: usize| -> Result<KernelBuild> {
        let version = format!("5.15.0-{}.{}", 25 + number / FAMILIES, 26 + number / FAMILIES).parse()?;
        let mut build = KernelBuild::new(family(number % FAMILIES), version);
        // Half of the builds have a livepatch, which mends each twentieth CVE.
        if number.is_multiple_of(2) {
            build.livepatched = (0..CVES).step_by(20).map(|cve| (id(cve), 1 + (cve % 90) as u32)).collect();
        }
        Ok(build)
    };
    (0..BUILDS).map(build).collect()
}

fn id(number: u64) -> CveId {
    CveId {
        year: 2017 + (number / 1_000) as u16,
        number: 1_000 + (number % 1_000) * 37 + scattered(number) % 37,
    }
}

/// Numbers without a pattern, always the same: data with one would compress better than real data (the mixer of SplitMix64).
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The distribution's word on every family, in the proportions of the real tracker; all know their upstream versions.
fn exposures() -> Result<Vec<Exposure>> {
    let exposure = |number: u64| {
        let stance = |family_number: usize| -> Result<Stance> {
            let seed = scattered(number * FAMILIES as u64 + family_number as u64);
            Ok(match seed % 100 {
                0..55 => {
                    let step = 25 + seed / 100 % 26;
                    Stance::Fixed(format!("5.15.0-{step}.{}", step + 1).parse()?)
                }
                55..75 => Stance::NotAffected {
                    from: None,
                    why: livepatch_cve::verdict::NotAffected::Version,
                    evidence: "code not present".into(),
                },
                75..85 => Stance::Open(Pending::Planned),
                85..95 => Stance::Open(Pending::NotTriaged),
                _ => Stance::Absent,
            })
        };
        let families: Result<_> = (0..FAMILIES).map(|number| Ok((family(number), stance(number)?))).collect();
        let fixed = format!("{}.{}", 5 + number % 2, 10 + number % 9).parse()?;
        Ok(Exposure {
            cve: id(number),
            void: number.is_multiple_of(200),
            upstream: Some(UpstreamRanges::fixed_in(fixed)),
            configuration: Vec::new(),
            files: Vec::new(),
            families: families?,
        })
    };
    (0..CVES).map(exposure).collect()
}

fn tracker() -> Result<Vec<Measurement>> {
    let (name, files) = match env::var_os("LIVEPATCH_CVE_DATA") {
        Some(folder) => {
            ("cve-tracker-import", real_files(&PathBuf::from(folder).join("ubuntu-cve-tracker"))?)
        }
        None => ("cve-tracker-import-made", (0..TRACKER_FILES).map(tracker_file).collect()),
    };
    let mut register = Register::default();
    let start = cpu_seconds()?;
    for (name, bytes) in &files {
        register.import(Source::UbuntuTracker, name, bytes, ubuntu_tracker);
    }
    let seconds = cpu_seconds()? - start;
    if register.records().len() + 1 < files.len() {
        bail!("{} of {} files were imported", register.records().len(), files.len());
    }
    Ok(vec![Measurement::absolute(name, seconds, "s", TRACKER_BUDGET)])
}

fn real_files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
    };
    entries.map(file).collect()
}

/// Of the real files' size: thirty packages in eight releases.
fn tracker_file(number: usize) -> (String, Vec<u8>) {
    let cve = format!("CVE-2026-{}", 1000 + number);
    let mut text = format!(
        "Candidate: {cve}\nPublicDate: 2026-03-02 09:15:00 UTC\nReferences:\n https://www.example.org/{cve}\n\
         Description:\n {}\nUbuntu-Description:\nNotes:\n ann> a note\nPriority: medium\n\
         Discovered-by:\nAssigned-to:\nCVSS:\n nvd: CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H\n",
        "The teapot pours before it has looked at the lid.\n ".repeat(8).trim_end()
    );
    for package in 0..30 {
        let _ = writeln!(text, "\nPatches_linux-{package}:\n break-fix: - {:040x}", number * 31 + package);
        for release in
            ["upstream", "precise/esm", "trusty", "trusty/esm", "xenial", "bionic", "eoan", "devel"]
        {
            let state = match (package + number) % 4 {
                0 => "DNE".to_owned(),
                1 => format!("released (4.15.0-{package}.{number})"),
                2 => "ignored (out of standard support)".to_owned(),
                _ => "needed".to_owned(),
            };
            let _ = writeln!(text, "{release}_linux-{package}: {state}");
        }
    }
    (cve, text.into_bytes())
}

fn records(directory: &Path) -> Result<Vec<Measurement>> {
    let path = directory.join("records.jsonl");
    write_records(&path)?;
    let mut register = Register::default();
    let (first, imported) = timed_import(&mut register, &path)?;
    ensure!(imported.imported == RECORDS && imported.problems.is_empty(), "{:?}", imported.problems.first());
    let (second, again) = timed_import(&mut register, &path)?;
    ensure!(again.unchanged == RECORDS, "{} of {RECORDS} records were known", again.unchanged);
    Ok(vec![
        Measurement::absolute("cve-records-import", first, "s", RECORDS_BUDGET),
        Measurement::absolute("cve-records-again", second, "s", AGAIN_BUDGET),
    ])
}

fn timed_import(register: &mut Register, path: &Path) -> Result<(f64, FeedOutcome)> {
    let start = cpu_seconds()?;
    let mut file = fs::File::open(path)?;
    let mut outcome = FeedOutcome::default();
    let mut splitter = RecordSplitter::new("records.jsonl");
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        splitter.push(&piece[..read], &mut |line, record| {
            register.import_record(Source::CveRecord, "records.jsonl", line, record, cve_json, &mut outcome);
        });
    }
    outcome.problems.extend(splitter.finish());
    Ok((cpu_seconds()? - start, outcome))
}

/// In the form and of the size of the kernel's own records: about 4 KiB each.
fn write_records(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let prose =
        "The teapot driver pours before it has looked at the lid, so that tea goes where no tea should go. "
            .repeat(9);
    for number in 0..RECORDS {
        let cve = CveId { year: 2020 + (number / 20_000) as u16, number: 1_000 + (number % 20_000) as u64 };
        let hash = |step: usize| format!("{:040x}", number * 64 + step);
        let mut git = String::new();
        let mut versions = String::new();
        let mut references = String::new();
        for step in 0..8 {
            let _ = write!(
                git,
                r#"{{"version":"{}","lessThan":"{}","status":"affected","versionType":"git"}},"#,
                hash(0),
                hash(step)
            );
            let _ = write!(
                versions,
                r#"{{"version":"5.{}.{}","lessThanOrEqual":"5.{}.*","status":"unaffected","versionType":"semver"}},"#,
                4 + step,
                number % 300,
                4 + step
            );
            let _ = write!(references, r#"{{"url":"https://git.example.org/stable/c/{}"}},"#, hash(step));
        }
        let references = references.trim_end_matches(',');
        writeln!(
            file,
            r#"{{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{{"cveId":"{cve}","assignerOrgId":"416baaa9-dc9f-4396-8d5f-8c081fb06d67","state":"PUBLISHED","assignerShortName":"Linux","dateReserved":"2026-02-25T13:47:42.677Z","datePublished":"2026-02-27T18:40:28.551Z","dateUpdated":"2026-05-04T08:00:00.000Z"}},"containers":{{"cna":{{"title":"teapot: check the lid {number}","descriptions":[{{"lang":"en","value":"In the Linux kernel, the following vulnerability has been resolved:\n\n{prose}{number}"}}],"affected":[{{"product":"Linux","vendor":"Linux","defaultStatus":"unaffected","repo":"https://git.example.org","programFiles":["drivers/tea/pot.c"],"versions":[{}]}},{{"product":"Linux","vendor":"Linux","defaultStatus":"affected","programFiles":["drivers/tea/pot.c"],"versions":[{{"version":"4.10","status":"affected"}},{{"version":"0","lessThan":"4.10","status":"unaffected","versionType":"semver"}},{versions}{{"version":"6.8","lessThanOrEqual":"*","status":"unaffected","versionType":"original_commit_for_fix"}}]}}],"references":[{references}],"metrics":[{{"format":"CVSS","cvssV3_1":{{"version":"3.1","vectorString":"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H","baseScore":7.8,"baseSeverity":"HIGH"}}}}]}}}}}}"#,
            git.trim_end_matches(','),
        )?;
    }
    file.flush().context("records.jsonl")
}
