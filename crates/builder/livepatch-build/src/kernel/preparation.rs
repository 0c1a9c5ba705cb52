//! From what a provider supplies to a prepared kernel: the steps that are the same for all of them.

use super::configuration::{check, check_compiler, first_change};
use super::error::{KernelError, file_error};
use super::provider::Provider;
use super::vmlinux::{self, Vmlinux};
use super::{Kernel, make_variables};
use crate::narrate::{say, step};
use crate::packages;
use crate::run;
use crate::units::Units;
use livepatch_diff::{EntrySizes, Object};
use livepatch_kernel::{BuildId, KernelIdentity, KernelRelease};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Structures that special sections consist of, with the header that declares each (x86-64).
const STRUCTURES: [(&str, &str); 6] = [
    ("bug_entry", "linux/bug.h"),
    ("exception_table_entry", "linux/uaccess.h"),
    ("jump_entry", "linux/jump_label.h"),
    ("alt_instr", "asm/alternative.h"),
    ("paravirt_patch_site", "asm/paravirt_types.h"),
    ("unwind_hint", "linux/objtool.h"),
];

/// The folder of a kernel that is being prepared.
pub(super) struct Place<'a> {
    pub(super) release: &'a KernelRelease,
    pub(super) folder: &'a Path,
    /// Where programs' output goes.
    pub(super) log: &'a Path,
}

impl Place<'_> {
    pub(super) fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    pub(super) fn debug(&self) -> PathBuf {
        self.folder.join("debug")
    }

    pub(super) fn vmlinux(&self) -> PathBuf {
        self.debug().join("vmlinux")
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.source().join(".config")
    }

    /// Takes `.config` and `Module.symvers` out of a package of headers.
    pub(super) fn take_configuration(&self, headers: &Path, inside: &str) -> Result<(), KernelError> {
        create(&self.source())?;
        for name in [".config", "Module.symvers"] {
            packages::take_file(headers, &format!("{inside}/{name}"), &self.source().join(name), self.log)?;
        }
        Ok(())
    }

    /// Notes which source files the kernel was built from, while the package with the debug files is at hand.
    pub(super) fn index_units(&self, package: &Path) -> Result<(), KernelError> {
        Ok(Units::make(self.release.as_str(), self.folder, Some(package)).map(drop)?)
    }

    /// Has depmod list the unpacked modules.
    pub(super) fn index_modules(&self) -> Result<(), KernelError> {
        let mut depmod = Command::new("depmod");
        depmod.arg("-b").arg(self.image()).arg(self.release.as_str());
        Ok(run::logged(&mut depmod, self.log)?)
    }
}

/// Prepares a kernel in an empty folder. `kernel.json` is written last: a folder without it is not ready.
pub(super) fn prepare(mut provider: Box<dyn Provider>, folder: &Path) -> Result<Kernel, KernelError> {
    let release = provider.release().clone();
    let log = folder.join("prepare.log");
    let place = Place { release: &release, folder, log: &log };
    let supplied = provider.begin(&place)?;
    let configuration = read_text(&place.configuration())?;
    check(&release, &configuration)?;
    let (compiler, compiler_version) = check_compiler(&configuration)?;
    provider.complete(&place)?;
    let build_id = place.examine_vmlinux(&supplied.debug_remedy)?;
    let mut variables = make_variables(&release, &compiler);
    variables.extend(supplied.make_variables.iter().cloned());
    if !provider.is_prepared() {
        place.prepare_tree(&variables)?;
    }
    let kernel = Kernel {
        identity: KernelIdentity { release: release.clone(), build_id, arch: "x86_64".into() },
        version: supplied.version,
        source_package: supplied.source_package,
        compiler,
        compiler_version,
        entry_sizes: place.measure_entries()?,
        objtool: place.late_objtool(&configuration, &variables)?,
        make_variables: supplied.make_variables,
        origin: supplied.origin,
        folder: folder.to_owned(),
    };
    place.write_record(&kernel)?;
    Ok(kernel)
}

impl Place<'_> {
    fn prepare_tree(&self, variables: &[String]) -> Result<(), KernelError> {
        let step = step("prepare the tree");
        let configuration = self.configuration();
        let given = read_text(&configuration)?;
        self.make(variables, "olddefconfig")?;
        // Without some tool (pahole, say) an option may be dropped, and structures come out otherwise.
        if let Some(option) = first_change(&given, &read_text(&configuration)?) {
            return Err(KernelError::Configuration { release: self.release.clone(), option });
        }
        self.make(variables, "modules_prepare")?;
        step.done("");
        Ok(())
    }

    fn make(&self, variables: &[String], target: &str) -> Result<(), KernelError> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut make = Command::new("make");
        make.arg("-C").arg(self.source()).arg(format!("-j{jobs}"));
        make.args(variables).arg(target);
        Ok(run::logged(&mut make, self.log)?)
    }

    /// Has the kernel's own compiler say how large the structures of the special sections are.
    fn measure_entries(&self) -> Result<EntrySizes, KernelError> {
        let source = self.source();
        // An object that modules_prepare has just compiled tells the kernel's compiler command.
        let command = crate::compile::saved_command(&source, "scripts/mod/empty.o").map_err(|error| {
            KernelError::Unsupported {
                release: self.release.clone(),
                reason: format!("no compiler command: {error}"),
            }
        })?;
        let mut sizes = EntrySizes::new();
        for (structure, header) in STRUCTURES {
            let text = format!(
                "#include <{header}>\nconst char size_of_it[sizeof(struct {structure})] = {{ 1 }};\n"
            );
            let (file, object) = (self.folder.join("probe.c"), self.folder.join("probe.o"));
            std::fs::write(&file, text).map_err(file_error(&file))?;
            if command.compile(&source, &file, &object, &[], self.log).is_ok() {
                let bytes = std::fs::read(&object).map_err(file_error(&object))?;
                let object = Object::read(&bytes)?;
                let found = object.symbols.iter().find(|symbol| symbol.name == "size_of_it");
                sizes.extend(found.map(|symbol| (structure.to_owned(), symbol.size)));
            }
        }
        Ok(sizes)
    }

    /// kbuild's objtool command for a whole module, where single units do not tell it: with CONFIG_X86_KERNEL_IBT kbuild runs
    /// objtool only once the module is linked (scripts/Makefile.lib, `delay-objtool`), and only a module of one unit has
    /// it in that unit's note.
    fn late_objtool(&self, configuration: &str, variables: &[String]) -> Result<Option<String>, KernelError> {
        if !configuration.lines().any(|line| line == "CONFIG_X86_KERNEL_IBT=y") {
            return Ok(None);
        }
        let folder = self.folder.join("probe");
        create(&folder)?;
        for (name, text) in [("Kbuild", "obj-m := probe.o\n"), ("probe.c", "int livepatch_probe;\n")] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(file_error(&path))?;
        }
        let mut make = Command::new("make");
        make.arg("-C").arg(self.source()).arg(format!("M={}", folder.display()));
        make.args(variables).arg("probe.o");
        run::logged(&mut make, self.log)?;
        let object = folder.join("probe.o");
        let unsupported = |reason: String| KernelError::Unsupported { release: self.release.clone(), reason };
        let command = crate::compile::saved_command(&self.source(), &object.display().to_string());
        let command = command.map_err(|error| unsupported(format!("no objtool command: {error}")))?;
        match command.own_objtool() {
            Some(objtool) => Ok(Some(objtool.to_owned())),
            None => Err(unsupported("kbuild does not run objtool on its modules".into())),
        }
    }

    /// The build id of vmlinux, once it has proven to have symbols and debug information.
    fn examine_vmlinux(&self, remedy: &str) -> Result<BuildId, KernelError> {
        let vmlinux = self.vmlinux();
        let file = Vmlinux::open(&vmlinux)?;
        let lacks = |lacks| {
            let (vmlinux, remedy) = (vmlinux.clone(), remedy.to_owned());
            KernelError::NoDebugInformation { vmlinux, lacks, remedy }
        };
        let image = file.image()?;
        if !image.has_debug_information() {
            return Err(lacks("debug information (.debug_info)"));
        }
        match vmlinux::release(&image) {
            Some(found) if found != *self.release => Err(KernelError::OtherKernel {
                vmlinux: vmlinux.clone(),
                found,
                wanted: self.release.clone(),
            }),
            _ => Ok(()),
        }?;
        Ok(BuildId::from_notes(&image.notes().unwrap_or_default())?)
    }

    fn write_record(&self, kernel: &Kernel) -> Result<(), KernelError> {
        let path = self.folder.join("kernel.json");
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(self.folder)?;
            serde_json::to_writer_pretty(&mut file, kernel)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(file_error(&path))?;
        say(format!("kernel {} is ready, build id {}", self.release, kernel.identity.build_id));
        Ok(())
    }
}

pub(super) fn read_text(path: &Path) -> Result<String, KernelError> {
    std::fs::read_to_string(path).map_err(file_error(path))
}

pub(super) fn create(path: &Path) -> Result<(), KernelError> {
    std::fs::create_dir_all(path).map_err(file_error(path))
}
