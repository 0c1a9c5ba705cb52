//! The verdict file: one family's verdicts, small enough for every machine of the family to fetch.
//!
//! ```text
//! "OLPV" 0x01           magic, format version
//! u32 little-endian     length of the content
//! zlib (RFC 1950)       the content
//! ```
//!
//! Content: numbers are LEB128 (seven bits a byte, the lowest first), texts a length and UTF-8 bytes, lists a count and items.
//! Like stands by like, so that it compresses well:
//!
//! 1. text: the family, `ubuntu/jammy/linux`;
//! 2. list of builds: three texts each, version, flavour, architecture; ordered by version;
//! 3. list of verdicts: JSON texts, each distinct verdict once, the most frequent first;
//! 4. number of CVEs; their years, each as the difference to the one before; their numbers, as the difference to the one before
//!    within a year;
//! 5. the number of runs of each CVE;
//! 6. the length of each run but the last of each CVE;
//! 7. the verdict of each run: 0 for none, else its place in the list of verdicts, from 1.

use super::{BuildNumber, Verdict, Verdicts};
use crate::{CveId, Family, Name};
use livepatch_kernel::PackageVersion;
use std::collections::HashMap;
use std::ops::Range;

const MAGIC: &[u8; 5] = b"OLPV\x01";

/// No content is longer: a hostile file must not cost memory.
pub const LARGEST_VERDICT_FILE: usize = 16 << 20;

/// A family's verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictFile {
    /// The family: distribution, release, package.
    pub family: String,
    /// The builds, ordered by version.
    pub builds: Vec<FileBuild>,
    /// The CVEs, in order, each with its runs.
    rows: Vec<(CveId, Runs)>,
    /// Every verdict, once.
    verdicts: Vec<Verdict>,
}

/// Runs of builds: how many builds, and the verdict's place in the list of verdicts.
type Runs = Vec<(u32, Option<u32>)>;

/// A build in a verdict file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBuild {
    /// The package's version.
    pub version: PackageVersion,
    /// The flavour; empty when there is only one.
    pub flavour: String,
    /// Debian's name of the architecture.
    pub architecture: String,
}

/// Why bytes are no verdict file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerdictFileError {
    /// Other bytes, or a later format.
    #[error("not a verdict file of format 1")]
    Magic,
    /// The content is longer than allowed.
    #[error("the content has {0} bytes, more than the {LARGEST_VERDICT_FILE} allowed")]
    TooLarge(u32),
    /// The compressed data is damaged.
    #[error("the compressed data is damaged")]
    Compression,
    /// The content ends early, or has something impossible.
    #[error("the content is damaged: {0}")]
    Content(&'static str),
}

impl VerdictFile {
    /// The verdicts of one family of an engine; `builds` are the family's, numbered from `range.start`.
    pub fn new(family: &Family, builds: Vec<FileBuild>, range: Range<usize>, verdicts: &Verdicts) -> Self {
        let mut uses: HashMap<&Verdict, u32> = HashMap::new();
        for cve in verdicts.cves() {
            for verdict in verdicts.runs(*cve, range.clone()).filter_map(|(_, verdict)| verdict) {
                *uses.entry(verdict).or_default() += 1;
            }
        }
        let mut distinct: Vec<(&Verdict, u32)> = uses.into_iter().collect();
        distinct.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(two.0)));
        let places: HashMap<&Verdict, u32> = distinct.iter().map(|(verdict, _)| *verdict).zip(0..).collect();
        let row = |cve: &CveId| {
            let mut start = range.start;
            let runs = verdicts.runs(*cve, range.clone()).map(|(end, verdict)| {
                let length = u32::try_from(end - start).unwrap_or(u32::MAX);
                start = end;
                (length, verdict.and_then(|verdict| places.get(verdict).copied()))
            });
            let runs: Vec<_> = runs.collect();
            runs.iter().any(|(_, verdict)| verdict.is_some()).then_some((*cve, runs))
        };
        Self {
            family: family.to_string(),
            builds,
            rows: verdicts.cves().iter().filter_map(row).collect(),
            verdicts: distinct.iter().map(|(verdict, _)| (*verdict).clone()).collect(),
        }
    }

    /// The CVEs that the file knows.
    pub fn cves(&self) -> impl ExactSizeIterator<Item = CveId> + '_ {
        self.rows.iter().map(|(cve, _)| *cve)
    }

    /// A build's number in the file. With several flavours of one version, all must be named.
    pub fn build(&self, version: &PackageVersion, flavour: &str, architecture: &str) -> Option<BuildNumber> {
        let found = self.builds.iter().position(|build| {
            build.version == *version && build.flavour == flavour && build.architecture == architecture
        });
        found.and_then(|number| u32::try_from(number).ok()).map(BuildNumber)
    }

    /// A CVE's verdict for a build.
    pub fn get(&self, cve: CveId, build: BuildNumber) -> Option<&Verdict> {
        let (_, runs) = self.rows.get(self.rows.binary_search_by_key(&cve, |(id, _)| *id).ok()?)?;
        let mut end = 0_u32;
        let run = runs.iter().find(|(length, _)| {
            end = end.saturating_add(*length);
            build.0 < end
        })?;
        self.verdicts.get(run.1? as usize)
    }

    /// All verdicts for a build, by CVE.
    pub fn of_build(&self, build: BuildNumber) -> impl Iterator<Item = (CveId, &Verdict)> {
        self.rows.iter().filter_map(move |(cve, _)| Some((*cve, self.get(*cve, build)?)))
    }

    /// The file's bytes. The same verdicts give the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut content = Vec::new();
        put_text(&mut content, &self.family);
        put(&mut content, self.builds.len() as u64);
        for build in &self.builds {
            for text in [build.version.as_str(), &build.flavour, &build.architecture] {
                put_text(&mut content, text);
            }
        }
        put(&mut content, self.verdicts.len() as u64);
        for verdict in &self.verdicts {
            put_text(&mut content, &serde_json::to_string(verdict).unwrap_or_default());
        }
        put(&mut content, self.rows.len() as u64);
        put_ids(&mut content, &self.cves().collect::<Vec<_>>());
        let runs = || self.rows.iter().map(|(_, runs)| runs);
        runs().for_each(|runs| put(&mut content, runs.len() as u64));
        let all_but_last = runs().flat_map(|runs| runs.split_last().map_or(&[][..], |(_, rest)| rest));
        all_but_last.for_each(|(length, _)| put(&mut content, u64::from(*length)));
        runs()
            .flatten()
            .for_each(|(_, verdict)| put(&mut content, verdict.map_or(0, |at| u64::from(at) + 1)));
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(&content, 9));
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When the bytes are not what [`VerdictFile::encode`] writes, as far as that can be told.
    pub fn decode(bytes: &[u8]) -> Result<Self, VerdictFileError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(VerdictFileError::Magic)?;
        let (length, compressed) = rest.split_first_chunk::<4>().ok_or(VerdictFileError::Magic)?;
        let length = u32::from_le_bytes(*length);
        let limit = usize::try_from(length).unwrap_or(usize::MAX);
        if limit > LARGEST_VERDICT_FILE {
            return Err(VerdictFileError::TooLarge(length));
        }
        let content = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(compressed, limit)
            .map_err(|_| VerdictFileError::Compression)?;
        if content.len() != limit {
            return Err(VerdictFileError::Content("it is shorter than it says"));
        }
        let mut reader = Reader(&content);
        let file = reader.file()?;
        if reader.0.is_empty() {
            Ok(file)
        } else {
            Err(VerdictFileError::Content("something follows the end"))
        }
    }
}

fn put(content: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        content.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    content.push(number as u8);
}

fn put_text(content: &mut Vec<u8>, text: &str) {
    put(content, text.len() as u64);
    content.extend(text.as_bytes());
}

fn put_ids(content: &mut Vec<u8>, cves: &[CveId]) {
    let mut year = 0;
    for cve in cves {
        put(content, u64::from(cve.year - year));
        year = cve.year;
    }
    let mut before = CveId { year: 0, number: 0 };
    for cve in cves {
        put(content, if cve.year == before.year { cve.number - before.number } else { cve.number });
        before = *cve;
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, VerdictFileError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(VerdictFileError::Content("it ends early"))?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(VerdictFileError::Content("a number is too large"))
    }

    /// A count of items that take at least one byte each, so that it cannot be greater than what is left.
    fn count(&mut self) -> Result<usize, VerdictFileError> {
        let count = self.number()?;
        let fits = usize::try_from(count).ok().filter(|count| *count <= self.0.len());
        fits.ok_or(VerdictFileError::Content("a count is too large"))
    }

    fn text(&mut self) -> Result<&str, VerdictFileError> {
        let length = self.count()?;
        let (text, rest) =
            self.0.split_at_checked(length).ok_or(VerdictFileError::Content("it ends early"))?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| VerdictFileError::Content("a text is not UTF-8"))
    }

    fn file(&mut self) -> Result<VerdictFile, VerdictFileError> {
        let family = self.text()?.to_owned();
        let builds: Vec<FileBuild> = (0..self.count()?).map(|_| self.build()).collect::<Result<_, _>>()?;
        if !builds.is_sorted_by(|one, two| one.version <= two.version) {
            return Err(VerdictFileError::Content("the builds are not in order"));
        }
        let verdicts: Vec<Verdict> = (0..self.count()?).map(|_| self.verdict()).collect::<Result<_, _>>()?;
        let cves = self.ids()?;
        let counts: Vec<usize> = cves.iter().map(|_| self.count()).collect::<Result<_, _>>()?;
        let total = u32::try_from(builds.len()).unwrap_or(u32::MAX);
        let lengths: Vec<Vec<u32>> =
            counts.iter().map(|count| self.lengths(*count, total)).collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for (cve, lengths) in cves.into_iter().zip(lengths) {
            let run = |length| Ok((length, self.place(verdicts.len())?));
            rows.push((cve, lengths.into_iter().map(run).collect::<Result<_, _>>()?));
        }
        Ok(VerdictFile { family, builds, rows, verdicts })
    }

    fn build(&mut self) -> Result<FileBuild, VerdictFileError> {
        let version =
            self.text()?.parse().map_err(|_| VerdictFileError::Content("a version is impossible"))?;
        Ok(FileBuild { version, flavour: self.text()?.to_owned(), architecture: self.text()?.to_owned() })
    }

    fn verdict(&mut self) -> Result<Verdict, VerdictFileError> {
        serde_json::from_str(self.text()?)
            .map_err(|_| VerdictFileError::Content("a verdict is of no known kind"))
    }

    fn ids(&mut self) -> Result<Vec<CveId>, VerdictFileError> {
        const WRONG: VerdictFileError = VerdictFileError::Content("the CVEs are not in order");
        let count = self.count()?;
        let mut years = Vec::new();
        let mut year = 0_u16;
        for _ in 0..count {
            let step = u16::try_from(self.number()?).map_err(|_| WRONG)?;
            year = year.checked_add(step).filter(|year| *year <= 9999).ok_or(WRONG)?;
            years.push(year);
        }
        let mut ids: Vec<CveId> = Vec::new();
        for year in years {
            let before = ids.last().filter(|before| before.year == year);
            let step = self.number()?;
            let number = match before {
                Some(before) if step > 0 => before.number.checked_add(step).ok_or(WRONG)?,
                Some(_) => return Err(WRONG),
                None => step,
            };
            ids.push(CveId { year, number });
        }
        Ok(ids)
    }

    /// The lengths of a CVE's runs: all but the last are written, together they cover all builds.
    fn lengths(&mut self, count: usize, total: u32) -> Result<Vec<u32>, VerdictFileError> {
        const WRONG: VerdictFileError = VerdictFileError::Content("runs do not cover the builds");
        let mut left = total;
        let mut lengths = Vec::new();
        for at in 0..count {
            let length =
                if at + 1 == count { left } else { u32::try_from(self.number()?).map_err(|_| WRONG)? };
            left = left.checked_sub(length).filter(|_| length > 0).ok_or(WRONG)?;
            lengths.push(length);
        }
        if left == 0 { Ok(lengths) } else { Err(WRONG) }
    }

    fn place(&mut self, verdicts: usize) -> Result<Option<u32>, VerdictFileError> {
        let place = u32::try_from(self.number()?).ok().filter(|place| *place as usize <= verdicts);
        let place = place.ok_or(VerdictFileError::Content("a run names a verdict that is not there"))?;
        Ok(place.checked_sub(1))
    }
}

impl From<&super::KernelBuild> for FileBuild {
    fn from(build: &super::KernelBuild) -> Self {
        let text = |name: &Name| name.to_string();
        Self {
            version: build.version.clone(),
            flavour: text(&build.flavour),
            architecture: text(&build.architecture),
        }
    }
}
