//! vmlinux with its symbols. Reading them out of 600 MB takes a while, so the first time an index is written beside it.

use super::error::{KernelError, file_error};
use livepatch_diff::{Binding, Image, IndexKey, ObjectError, Unit};
use livepatch_kernel::KernelRelease;
use std::fs::Metadata;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes of the banner that are looked at: the release comes first and has at most 64 (`__NEW_UTS_LEN`).
const LONGEST_BANNER: u64 = 256;

/// A mapped vmlinux, and the index file beside it if there is one.
#[derive(Debug)]
pub struct Vmlinux {
    map: memmap2::Mmap,
    key: IndexKey,
    index_path: PathBuf,
    /// Read when it is first asked for.
    index: OnceLock<Option<Vec<u8>>>,
}

impl Vmlinux {
    /// Maps a vmlinux.
    ///
    /// # Errors
    /// [`KernelError::File`] when it cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self, KernelError> {
        let map = map_file(path).map_err(file_error(path))?;
        let key = key(&std::fs::metadata(path).map_err(file_error(path))?);
        Ok(Self { map, key, index_path: path.with_extension("symbols"), index: OnceLock::new() })
    }

    /// The image: its symbols come from the index, which is made again when it is missing, damaged, or another vmlinux's.
    ///
    /// # Errors
    /// [`ObjectError`] when vmlinux is no x86-64 ELF image with symbols.
    pub fn image(&self) -> Result<Image<'_>, ObjectError> {
        let index = self.index.get_or_init(|| std::fs::read(&self.index_path).ok());
        if let Some(index) = index
            && let Some(image) = Image::read_indexed(&self.map, index, &self.key)?
        {
            return Ok(image);
        }
        let image = Image::read(&self.map)?;
        // The index only saves time: where the cache cannot be written to, it goes without.
        let _ = self.write(&image.index(&self.key));
        Ok(image)
    }

    /// All of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn write(&self, index: &[u8]) -> std::io::Result<()> {
        let folder = self.index_path.parent().unwrap_or(Path::new("."));
        let readable = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder)?;
        file.write_all(index)?;
        file.persist(&self.index_path)?;
        Ok(())
    }
}

/// The release that a kernel calls itself by (`linux_banner`, init/version.c); `None` when it has no banner.
pub(super) fn release(image: &Image<'_>) -> Option<KernelRelease> {
    let banner = image.find(Unit::NoLocals, "linux_banner", Binding::Global)?;
    let text = image.bytes_at(banner.address, banner.size.min(LONGEST_BANNER))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.strip_prefix("Linux version ")?.split(' ').next()?.parse().ok()
}

/// What tells one vmlinux from another at the same place: size and time of last change.
fn key(metadata: &Metadata) -> IndexKey {
    let mut key = IndexKey::default();
    key[..8].copy_from_slice(&metadata.size().to_le_bytes());
    key[8..16].copy_from_slice(&metadata.mtime().to_le_bytes());
    key[16..24].copy_from_slice(&metadata.mtime_nsec().to_le_bytes());
    key
}

/// A file as a memory map.
///
/// # Errors
/// When it cannot be opened or mapped.
#[allow(unsafe_code)] // a map may change under us when another process writes the file; nothing writes the cache's vmlinux
pub fn map_file(path: &Path) -> std::io::Result<memmap2::Mmap> {
    let file = std::fs::File::open(path)?;
    // SAFETY: read-only map of a file that is written once, before kernel.json exists, and never again.
    unsafe { memmap2::Mmap::map(&file) }
}
