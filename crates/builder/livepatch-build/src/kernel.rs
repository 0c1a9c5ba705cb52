//! A prepared kernel: fetched once from the distribution, ready to compile single translation units.
//!
//! Below `kernels/RELEASE/` of the cache: `kernel.json` (written last: a folder without it is not ready), `image/` (the image
//! package unpacked), `source/` (the tree, configured and prepared), `debug/vmlinux` (with symbols).

use crate::cache::Cache;
use crate::narrate::{say, step};
use crate::packages::{self, PackageError};
use crate::run::{self, RunError};
use livepatch_diff::{EntrySizes, Image, Object, ObjectError};
use livepatch_kernel::{BuildId, BuildIdError, KernelIdentity, KernelRelease};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel in the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// What it is.
    #[serde(flatten)]
    pub identity: KernelIdentity,
    /// Version of the image package.
    pub version: String,
    /// Name of the source package, such as `linux-source-6.1`.
    pub source_package: String,
    /// The compiler's program, as the kernel's configuration names it.
    pub compiler: String,
    /// The compiler's own version line.
    pub compiler_version: String,
    /// Sizes of the structures that the special sections consist of.
    pub entry_sizes: EntrySizes,
    /// Where it is; not written.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Why a kernel cannot be prepared or used.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It is not in the cache.
    #[error("kernel {0} is not prepared; run: livepatch-build kernel add {0}")]
    NotPrepared(KernelRelease),
    /// A package cannot be had.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's configuration rules livepatching or this builder out.
    #[error("kernel {release} cannot be livepatched by this builder: {reason}")]
    Unsupported {
        /// Release.
        release: KernelRelease,
        /// Why.
        reason: String,
    },
    /// The compiler is not the one that built the kernel.
    #[error(
        "the kernel was built by '{wanted}', but {program} says '{found}': install the distribution's compiler of that version"
    )]
    Compiler {
        /// Program.
        program: String,
        /// From the kernel's configuration.
        wanted: String,
        /// From the program.
        found: String,
    },
    /// The tools here change the configuration that the kernel was built with.
    #[error(
        "the configuration of {release} does not survive here: '{option}' changes; install the tools that the distribution builds with (pahole, the compiler)"
    )]
    Configuration {
        /// Release.
        release: KernelRelease,
        /// The first line that is lost or new.
        option: String,
    },
    /// vmlinux cannot be read.
    #[error("cannot read the kernel image")]
    Image(#[from] ObjectError),
    /// vmlinux has no build id.
    #[error("the kernel image has no build id")]
    BuildId(#[from] BuildIdError),
    /// `kernel.json` cannot be read or written.
    #[error("kernel.json is damaged; remove the folder and run kernel add again")]
    Json(#[from] serde_json::Error),
}

/// Configuration that must be so, and why.
const NEEDED: [(&str, &str); 4] = [
    ("CONFIG_LIVEPATCH=y", "it is built without CONFIG_LIVEPATCH"),
    ("CONFIG_KALLSYMS_ALL=y", "it is built without CONFIG_KALLSYMS_ALL"),
    ("CONFIG_X86_64=y", "only x86-64 is supported so far"),
    ("CONFIG_CC_IS_GCC=y", "it was not built by gcc"),
];

/// Configuration that must not be so, and why.
const FORBIDDEN: [(&str, &str); 4] = [
    ("CONFIG_LTO_CLANG=y", "link-time optimisation is not supported"),
    ("CONFIG_X86_KERNEL_IBT=y", "kernels with indirect branch tracking are not supported yet"),
    ("CONFIG_CALL_PADDING=y", "kernels with padded calls are not supported yet"),
    ("CONFIG_RANDSTRUCT=y", "randomised structures are not supported"),
];

/// Structures that special sections consist of, with the header that declares each (x86-64).
const STRUCTURES: [(&str, &str); 6] = [
    ("bug_entry", "linux/bug.h"),
    ("exception_table_entry", "linux/uaccess.h"),
    ("jump_entry", "linux/jump_label.h"),
    ("alt_instr", "asm/alternative.h"),
    ("paravirt_patch_site", "asm/paravirt_types.h"),
    ("unwind_hint", "linux/objtool.h"),
];

impl Kernel {
    /// A kernel of the cache.
    ///
    /// # Errors
    /// [`KernelError::NotPrepared`] when it is not there.
    pub fn open(cache: &Cache, release: &KernelRelease) -> Result<Self, KernelError> {
        let folder = cache.kernels().join(release.as_str());
        let path = folder.join("kernel.json");
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KernelError::NotPrepared(release.clone()));
            }
            other => other.map_err(|source| KernelError::File { path, source })?,
        };
        let kernel: Self = serde_json::from_slice(&text)?;
        Ok(Self { folder, ..kernel })
    }

    /// All kernels of the cache, by release.
    pub fn list(cache: &Cache) -> Vec<Self> {
        let entries = std::fs::read_dir(cache.kernels()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut kernels: Vec<Self> = names.filter_map(|release| Self::open(cache, &release).ok()).collect();
        kernels.sort_by(|one, other| one.identity.release.cmp(&other.identity.release));
        kernels
    }

    /// Fetches a Debian kernel and prepares it; at once when it is there already.
    ///
    /// # Errors
    /// [`KernelError`] with what is missing and what to do.
    pub fn add(cache: &Cache, release: &KernelRelease) -> Result<Self, KernelError> {
        let _lock = cache
            .lock(release.as_str())
            .map_err(|source| KernelError::File { path: cache.kernels(), source })?;
        if let Ok(ready) = Self::open(cache, release) {
            return Ok(ready);
        }
        let folder = cache.kernels().join(release.as_str());
        remove(&folder)?;
        create(&folder)?;
        Preparation { cache, release, log: folder.join("prepare.log"), folder }.run()
    }

    /// The prepared source tree.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// vmlinux with its symbols.
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("debug/vmlinux")
    }

    /// A module of the image, unpacked, by its name as the kernel knows it (underscores); `None` when this kernel has no
    /// such module.
    ///
    /// # Errors
    /// [`KernelError::File`] when the image cannot be read.
    pub fn module(&self, name: &str) -> Result<Option<Vec<u8>>, KernelError> {
        let folder = self.folder.join("image/lib/modules").join(self.identity.release.as_str());
        // depmod's list names every module file of the image (modules.dep(5)).
        let list = read_text(&folder.join("modules.dep"))?;
        let is_wanted = |path: &&str| {
            let file = path.rsplit('/').next().unwrap_or_default();
            file.split('.').next().unwrap_or_default().replace('-', "_") == name
        };
        let Some(path) = list.lines().filter_map(|line| line.split(':').next()).find(is_wanted) else {
            return Ok(None);
        };
        let path = folder.join(path);
        let bytes =
            std::fs::read(&path).map_err(|source| KernelError::File { path: path.clone(), source })?;
        if path.extension().is_none_or(|extension| extension != "xz") {
            return Ok(Some(bytes));
        }
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut liblzma::read::XzDecoder::new(bytes.as_slice()), &mut plain)
            .map_err(|source| KernelError::File { path, source })?;
        Ok(Some(plain))
    }

    /// Waits for, and then holds, the tree for a make that writes to it: two must not do so at once.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_tree(&self) -> std::io::Result<std::fs::File> {
        self.cache().lock(self.identity.release.as_str())
    }

    /// Holds the tree against writers while a make reads it; readers do not wait for one another.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_tree_shared(&self) -> std::io::Result<std::fs::File> {
        self.cache().lock_shared(self.identity.release.as_str())
    }

    /// The cache that the kernel is kept in: `ROOT/kernels/RELEASE`.
    fn cache(&self) -> Cache {
        Cache::at(self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder))
    }

    /// The variables that every call of the kernel's make must carry: without the distribution's release name, strings
    /// and version tests come out otherwise than in the running kernel.
    pub fn make_variables(&self) -> Vec<String> {
        make_variables(&self.identity.release, &self.compiler)
    }
}

fn make_variables(release: &KernelRelease, compiler: &str) -> Vec<String> {
    vec![format!("KERNELRELEASE={release}"), format!("CC={compiler}"), format!("HOSTCC={compiler}")]
}

struct Preparation<'a> {
    cache: &'a Cache,
    release: &'a KernelRelease,
    folder: PathBuf,
    log: PathBuf,
}

impl Preparation<'_> {
    fn run(&self) -> Result<Kernel, KernelError> {
        let series = self.release.series();
        let image = self.fetch(&format!("linux-image-{}", self.release), None)?;
        let version = version_of(&image);
        let headers = self.fetch(&format!("linux-headers-{}", self.release), Some(&version))?;
        let debug = self.fetch(&format!("linux-image-{}-dbg", self.release), Some(&version))?;
        let source_package = format!("linux-source-{series}");
        let source = self.fetch(&source_package, Some(&version))?;

        self.unpack_image(&image)?;
        let configuration = self.unpack_headers(&headers)?;
        self.check_configuration(&configuration)?;
        let (compiler, compiler_version) = check_compiler(&configuration)?;
        self.unpack_source(&source, series)?;
        self.unpack_vmlinux(&debug)?;
        self.prepare_tree(&compiler)?;
        let entry_sizes = self.measure_entries()?;
        let identity = KernelIdentity {
            release: self.release.clone(),
            build_id: self.build_id()?,
            arch: "x86_64".into(),
        };
        let kernel = Kernel {
            identity,
            version,
            source_package,
            compiler,
            compiler_version,
            entry_sizes,
            folder: self.folder.clone(),
        };
        self.write_record(&kernel)?;
        Ok(kernel)
    }

    fn fetch(&self, name: &str, version: Option<&str>) -> Result<PathBuf, KernelError> {
        let step = step(format!("fetch {name}"));
        let file = packages::fetch(self.cache, name, version)?;
        let size = std::fs::metadata(&file).map(|file| file.len()).unwrap_or(0);
        step.done(format!("{}, {} MiB", version_of(&file), size >> 20));
        Ok(file)
    }

    fn unpack_image(&self, image: &Path) -> Result<(), KernelError> {
        let step = step("unpack the image");
        let folder = self.folder.join("image");
        packages::unpack(image, &folder, &self.log)?;
        let mut depmod = Command::new("depmod");
        depmod.arg("-b").arg(&folder).arg(self.release.as_str());
        run::logged(&mut depmod, &self.log)?;
        step.done("");
        Ok(())
    }

    /// Answers the kernel's configuration; puts `Module.symvers` in place.
    fn unpack_headers(&self, headers: &Path) -> Result<String, KernelError> {
        let source = self.folder.join("source");
        create(&source)?;
        let inside = format!("./usr/src/linux-headers-{}", self.release);
        for name in [".config", "Module.symvers"] {
            packages::take_file(headers, &format!("{inside}/{name}"), &source.join(name), &self.log)?;
        }
        read_text(&source.join(".config"))
    }

    fn check_configuration(&self, configuration: &str) -> Result<(), KernelError> {
        let has = |wanted: &str| configuration.lines().any(|line| line == wanted);
        let missing = NEEDED.iter().find(|(option, _)| !has(option));
        let present = FORBIDDEN.iter().find(|(option, _)| has(option));
        match missing.or(present) {
            Some((_, reason)) => {
                Err(KernelError::Unsupported { release: self.release.clone(), reason: (*reason).into() })
            }
            None => Ok(()),
        }
    }

    fn unpack_source(&self, package: &Path, series: &str) -> Result<(), KernelError> {
        let step = step("unpack the source");
        packages::unpack_source(package, series, None, &self.folder.join("source"), &self.log)?;
        step.done("");
        Ok(())
    }

    fn unpack_vmlinux(&self, package: &Path) -> Result<(), KernelError> {
        let step = step("unpack vmlinux");
        create(&self.folder.join("debug"))?;
        let inside = format!("./usr/lib/debug/boot/vmlinux-{}", self.release);
        packages::take_file(package, &inside, &self.folder.join("debug/vmlinux"), &self.log)?;
        step.done("");
        Ok(())
    }

    fn prepare_tree(&self, compiler: &str) -> Result<(), KernelError> {
        let step = step("prepare the tree");
        let configuration = self.folder.join("source/.config");
        let given = read_text(&configuration)?;
        self.make(compiler, "olddefconfig")?;
        // Without some tool (pahole, say) an option may be dropped, and structures come out otherwise.
        if let Some(option) = first_change(&given, &read_text(&configuration)?) {
            return Err(KernelError::Configuration { release: self.release.clone(), option });
        }
        self.make(compiler, "modules_prepare")?;
        step.done("");
        Ok(())
    }

    fn make(&self, compiler: &str, target: &str) -> Result<(), KernelError> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut make = Command::new("make");
        make.arg("-C").arg(self.folder.join("source")).arg(format!("-j{jobs}"));
        make.args(make_variables(self.release, compiler)).arg(target);
        Ok(run::logged(&mut make, &self.log)?)
    }

    /// Has the kernel's own compiler say how large the structures of the special sections are.
    fn measure_entries(&self) -> Result<EntrySizes, KernelError> {
        let source = self.folder.join("source");
        // An object that modules_prepare has just compiled tells the kernel's compiler command.
        let command = crate::compile::saved_command(&source, "scripts/mod/empty.o")
            .map_err(|error| unsupported(self.release, format!("no compiler command: {error}")))?;
        let mut sizes = EntrySizes::new();
        for (structure, header) in STRUCTURES {
            let text = format!(
                "#include <{header}>\nconst char size_of_it[sizeof(struct {structure})] = {{ 1 }};\n"
            );
            let (file, object) = (self.folder.join("probe.c"), self.folder.join("probe.o"));
            std::fs::write(&file, text).map_err(|source| KernelError::File { path: file.clone(), source })?;
            if command.compile(&source, &file, &object, &[], &self.log).is_ok() {
                let bytes =
                    std::fs::read(&object).map_err(|source| KernelError::File { path: object, source })?;
                let object = Object::read(&bytes)?;
                let found = object.symbols.iter().find(|symbol| symbol.name == "size_of_it");
                sizes.extend(found.map(|symbol| (structure.to_owned(), symbol.size)));
            }
        }
        Ok(sizes)
    }

    fn build_id(&self) -> Result<BuildId, KernelError> {
        let path = self.folder.join("debug/vmlinux");
        let map = map_file(&path).map_err(|source| KernelError::File { path, source })?;
        let notes = Image::read(&map)?.notes().unwrap_or_default();
        Ok(BuildId::from_notes(&notes)?)
    }

    fn write_record(&self, kernel: &Kernel) -> Result<(), KernelError> {
        let path = self.folder.join("kernel.json");
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer_pretty(&mut file, kernel)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source: std::io::Error| KernelError::File { path: path.clone(), source })?;
        say(format!("kernel {} is ready, build id {}", self.release, kernel.identity.build_id));
        Ok(())
    }
}

/// The first option that two configurations do not share.
fn first_change(one: &str, other: &str) -> Option<String> {
    let options = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| line.starts_with("CONFIG_")).map(str::to_owned).collect()
    };
    options(one).symmetric_difference(&options(other)).next().cloned()
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

/// The version in a package's file name, `NAME_VERSION_ARCH.deb`.
fn version_of(package: &Path) -> String {
    let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('_').nth(1).unwrap_or_default().replace("%3a", ":")
}

fn unsupported(release: &KernelRelease, reason: String) -> KernelError {
    KernelError::Unsupported { release: release.clone(), reason }
}

/// The compiler that the configuration names, once it has proven to be that very version.
fn check_compiler(configuration: &str) -> Result<(String, String), KernelError> {
    let wanted = configuration
        .lines()
        .find_map(|line| line.strip_prefix("CONFIG_CC_VERSION_TEXT=\""))
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned();
    let program = wanted.split(' ').next().unwrap_or("gcc");
    let program = program.trim_start_matches("x86_64-linux-gnu-").to_owned();
    let (_, text) = run::output(Command::new(&program).arg("--version"))?;
    let found = text.lines().next().unwrap_or_default().to_owned();
    let version = |line: &str| line.split_once(' ').map(|(_, version)| version.to_owned());
    if version(&wanted).is_none() || version(&wanted) != version(&found) {
        return Err(KernelError::Compiler { program, wanted, found });
    }
    Ok((program, found))
}

fn read_text(path: &Path) -> Result<String, KernelError> {
    std::fs::read_to_string(path).map_err(|source| KernelError::File { path: path.to_owned(), source })
}

fn create(path: &Path) -> Result<(), KernelError> {
    std::fs::create_dir_all(path).map_err(|source| KernelError::File { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), KernelError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(KernelError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_option_is_found_and_comments_do_not_count() {
        let given = "# Linux\nCONFIG_A=y\nCONFIG_DEBUG_INFO_BTF=y\n";
        assert_eq!(first_change(given, "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_A=y\n# other\n"), None);
        assert_eq!(first_change(given, "CONFIG_A=y\n").as_deref(), Some("CONFIG_DEBUG_INFO_BTF=y"));
    }
}
