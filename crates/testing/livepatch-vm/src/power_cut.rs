//! What a disk holds when the power goes: every write and every flush of a guest is logged, and the disk is rebuilt as it
//! was at any of them.
//!
//! QEMU's `blklogwrites` driver writes the log in the format of the kernel's dm-log-writes target
//! (Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then entries of one sector each, followed by
//! their data; all numbers little endian.

use crate::VmError;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// `WRITE_LOG_MAGIC` and `WRITE_LOG_VERSION` of drivers/md/dm-log-writes.c.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// The log's sector; QEMU is told to use it.
pub(crate) const SECTOR: u64 = 512;
/// `LOG_FLUSH_FLAG`, `LOG_FUA_FLAG`, `LOG_DISCARD_FLAG`.
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
/// QEMU does not let the log grow. Sparse; more than any test writes.
const ROOM: u64 = 256 << 20;

/// A raw disk whose writes are logged.
#[derive(Clone, Debug)]
pub struct LoggedDisk {
    image: PathBuf,
    log: PathBuf,
    before: PathBuf,
}

/// The moments at which a guest could count on what it had written.
#[derive(Debug)]
pub struct WriteLog {
    log: PathBuf,
    before: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// First sector on the disk.
    sector: u64,
    sectors: u64,
    flags: u64,
    /// Where its data are in the log.
    data: u64,
}

impl LoggedDisk {
    /// Takes over a raw disk image; the log and a copy of the image as it is now go beside it.
    ///
    /// # Errors
    /// [`VmError::File`].
    pub fn new(image: impl Into<PathBuf>) -> Result<Self, VmError> {
        let image = image.into();
        let this = Self { log: image.with_extension("log"), before: image.with_extension("before"), image };
        fs::copy(&this.image, &this.before).map_err(VmError::file(&this.before))?;
        let log = File::create(&this.log).map_err(VmError::file(&this.log))?;
        log.set_len(ROOM).map_err(VmError::file(&this.log))?;
        Ok(this)
    }

    pub(crate) fn image(&self) -> &Path {
        &self.image
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// What was logged so far. Its guest should be off.
    ///
    /// # Errors
    /// [`VmError::File`], when it is no log too.
    pub fn read_log(&self) -> Result<WriteLog, VmError> {
        let mut log = File::open(&self.log).map_err(VmError::file(&self.log))?;
        let entries = entries(&mut log).map_err(VmError::file(&self.log))?;
        Ok(WriteLog { log: self.log.clone(), before: self.before.clone(), entries })
    }
}

impl WriteLog {
    /// How many moments there are: the beginning, and one for each time that the guest had written something and waited
    /// until it was durable.
    pub fn moments(&self) -> usize {
        1 + self.ends().len()
    }

    /// Calls `visit` with each moment's number and an image of the disk at that moment, in order. The image is a copy: it
    /// may be written to, and is gone afterwards.
    ///
    /// # Errors
    /// [`VmError::File`], and those of `visit`.
    pub fn visit<E: From<VmError>>(
        &self,
        mut visit: impl FnMut(usize, &Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let (current, copy) = (self.before.with_extension("current"), self.before.with_extension("moment"));
        fs::copy(&self.before, &current).map_err(VmError::file(&current))?;
        let mut done = 0;
        for (moment, end) in std::iter::once(0).chain(self.ends()).enumerate() {
            self.replay(&self.entries[done..end], &current)?;
            done = end;
            fs::copy(&current, &copy).map_err(VmError::file(&copy))?;
            visit(moment, &copy)?;
        }
        for path in [current, copy] {
            fs::remove_file(&path).map_err(VmError::file(&path))?;
        }
        Ok(())
    }

    /// Each flush, or write through, that has a write before it: the number of entries up to it.
    fn ends(&self) -> Vec<usize> {
        let (mut ends, mut written) = (Vec::new(), false);
        for (at, entry) in self.entries.iter().enumerate() {
            written |= entry.sectors > 0;
            if written && entry.flags & (FLUSH | FUA) != 0 {
                ends.push(at + 1);
                written = false;
            }
        }
        ends
    }

    fn replay(&self, entries: &[Entry], image: &Path) -> Result<(), VmError> {
        let mut log = File::open(&self.log).map_err(VmError::file(&self.log))?;
        let mut disk = File::options().write(true).open(image).map_err(VmError::file(image))?;
        for entry in entries.iter().filter(|entry| entry.sectors > 0) {
            write(entry, &mut log, &mut disk).map_err(VmError::file(image))?;
        }
        Ok(())
    }
}

fn write(entry: &Entry, log: &mut File, disk: &mut File) -> io::Result<()> {
    let length = entry.sectors * SECTOR;
    disk.seek(SeekFrom::Start(entry.sector * SECTOR))?;
    if entry.flags & DISCARD != 0 {
        return io::copy(&mut io::repeat(0).take(length), disk).map(drop);
    }
    log.seek(SeekFrom::Start(entry.data))?;
    io::copy(&mut log.take(length), disk)?;
    disk.flush()
}

/// Reads the superblock and all entries.
fn entries(log: &mut (impl Read + Seek)) -> io::Result<Vec<Entry>> {
    let invalid = |why: &str| io::Error::new(ErrorKind::InvalidData, format!("no write log: {why}"));
    let [magic, version, count, sector_size] = numbers(log)?;
    if magic != MAGIC || version != VERSION {
        return Err(invalid("its beginning is another"));
    }
    if sector_size & u64::from(u32::MAX) != SECTOR {
        return Err(invalid("another sector size than asked for"));
    }
    let (mut entries, mut at) = (Vec::new(), SECTOR);
    for _ in 0..count {
        log.seek(SeekFrom::Start(at))?;
        let [sector, sectors, flags, _] = numbers(log)?;
        let data = at + SECTOR;
        let stored = if flags & DISCARD == 0 { sectors } else { 0 };
        at = stored
            .checked_mul(SECTOR)
            .and_then(|length| data.checked_add(length))
            .ok_or_else(|| invalid("a length"))?;
        entries.push(Entry { sector, sectors, flags, data });
    }
    Ok(entries)
}

fn numbers(log: &mut impl Read) -> io::Result<[u64; 4]> {
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let mut bytes = [0; 8];
        log.read_exact(&mut bytes)?;
        *number = u64::from_le_bytes(bytes);
    }
    Ok(numbers)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    /// A log of these entries: sector, data, flags.
    fn log(entries: &[(u64, &[u8], u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sector = |numbers: [u64; 4]| {
            let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            bytes.resize(SECTOR as usize, 0);
            bytes
        };
        bytes.extend(sector([MAGIC, VERSION, entries.len() as u64, SECTOR]));
        for (at, data, flags) in entries {
            bytes.extend(sector([*at, data.len() as u64 / SECTOR, *flags, 0]));
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn the_disk_is_rebuilt_at_every_flush_that_had_something_to_flush() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("disk.img");
        fs::write(&image, [0; 4 * 512]).unwrap();
        let disk = LoggedDisk::new(&image).unwrap();
        let (a, b) = ([b'a'; 512], [b'b'; 1024]);
        fs::write(
            &disk.log,
            log(&[(0, &[], FLUSH), (1, &a, 0), (2, &b, 0), (0, &[], FLUSH), (1, &b, FUA), (3, &a, 0)]),
        )
        .unwrap();
        let log = disk.read_log().unwrap();
        assert_eq!(log.moments(), 3, "the beginning, one flush, one write through");
        let mut seen = Vec::new();
        log.visit(|moment, image| {
            let bytes = fs::read(image).unwrap();
            seen.push((moment, bytes.chunks(512).map(|sector| sector[0]).collect::<Vec<u8>>()));
            Ok::<(), VmError>(())
        })
        .unwrap();
        assert_eq!(
            seen,
            [(0, vec![0, 0, 0, 0]), (1, vec![0, b'a', b'b', b'b']), (2, vec![0, b'b', b'b', b'b'])]
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        assert!(entries(&mut io::Cursor::new(vec![0; 4096])).is_err());
        let mut cut = log(&[(0, &[0; 512], 0)]);
        cut.truncate(600);
        assert!(entries(&mut io::Cursor::new(&mut cut[..520])).is_err());
    }
}
