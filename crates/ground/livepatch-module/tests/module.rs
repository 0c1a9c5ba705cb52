//! Reading modules: modinfo, names, livepatch relocations and symbols.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod fixture;

use fixture::{KEY, MODINFO, MODULE, compile, source};
use livepatch_module::{KlpSymbol, Module, ModuleError, sign};
use object::build::elf::{Builder, SectionData};
use object::elf::{SHF_ALLOC, SectionFlags, SymbolSection};

#[test]
fn modinfo_is_read_as_the_kernel_reads_it() {
    let module = Module::parse(&MODULE).unwrap();
    assert_eq!(module.name().unwrap(), "livepatch_6_1_0_55_cloud_amd64_1");
    assert_eq!(module.vermagic(), Some(MODINFO[5].1));
    assert_eq!(module.modinfo_all("vermagic").collect::<Vec<_>>(), [MODINFO[5].1, MODINFO[6].1]);
    assert!(module.is_livepatch());
    assert_eq!(module.build_id().unwrap().to_string(), MODINFO[3].1);
    assert_eq!(module.release().unwrap().as_str(), "6.1.0-55-cloud-amd64");
    assert_eq!(module.modinfo("livepatc"), None);
    assert_eq!(module.modinfo("depends"), None);
}

#[test]
fn a_signature_changes_nothing_of_what_is_read() {
    let signed = sign(&MODULE, &KEY).unwrap();
    let module = Module::parse(&signed).unwrap();
    assert_eq!(module.name().unwrap(), Module::parse(&MODULE).unwrap().name().unwrap());
    assert!(matches!(
        Module::parse(&signed[signed.len() - 28..]),
        Err(ModuleError::Signature(_)) // the marker, and nothing before it
    ));
}

#[test]
fn a_module_that_is_no_livepatch_says_so() {
    let bytes = compile(&source(&[("name", "ext4"), ("livepatch_build_id", "xyz")], ""));
    let module = Module::parse(&bytes).unwrap();
    assert!(!module.is_livepatch());
    assert_eq!((module.build_id(), module.release(), module.vermagic()), (None, None, None));
    assert_eq!(module.klp_symbols().unwrap(), []);
    assert_eq!(module.klp_relocations().unwrap(), []);
}

#[test]
fn the_name_must_be_the_one_that_the_kernel_will_use() {
    let this_module = |name: &str| {
        format!(
            "__attribute__((section(\".gnu.linkonce.this_module\"), used))\n\
             struct {{ long state, list[2]; char name[56], rest[800]; }} this_module = {{ .name = \"{name}\" }};"
        )
    };
    let named = |modinfo: &str, inner: &str| compile(&source(&[("name", modinfo)], &this_module(inner)));
    assert_eq!(Module::parse(&named("one", "one")).unwrap().name().unwrap(), "one");
    for (modinfo, inner) in [("one", "two"), ("one", "one1"), ("one", "")] {
        let bytes = named(modinfo, inner);
        let result = Module::parse(&bytes).unwrap().name().map(str::to_owned);
        assert!(matches!(result, Err(ModuleError::Unusable { part: "name", .. })), "{inner}: {result:?}");
    }
    let nameless = compile(&source(&[("license", "GPL")], ""));
    assert!(matches!(Module::parse(&nameless).unwrap().name(), Err(ModuleError::Missing(_))));
}

#[test]
fn other_files_are_no_modules() {
    let error = |bytes: &[u8]| Module::parse(bytes).map(|module| module.name().map(str::to_owned));
    assert!(matches!(error(b""), Err(ModuleError::NotElf(_))));
    assert!(matches!(error(b"#!/bin/sh\n"), Err(ModuleError::NotElf(_))));
    assert!(matches!(error(&compile("int x;")), Err(ModuleError::Missing(_))));
    let mut bytes = MODULE.clone();
    bytes[16] = 2; // e_type: ET_EXEC
    assert!(matches!(error(&bytes), Err(ModuleError::Kind(_))));
    let mut bytes = MODULE.clone();
    bytes[18] = 183; // e_machine: EM_AARCH64
    assert!(matches!(error(&bytes), Err(ModuleError::Kind(_))));
    let mut bytes = MODULE.clone();
    bytes[5] = 2; // EI_DATA: big-endian
    assert!(matches!(error(&bytes), Err(ModuleError::NotElf(_))));
}

/// The module with its call turned into a livepatch relocation against a symbol of this name.
fn livepatch(section: &str, symbol: &str) -> Vec<u8> {
    let mut builder = Builder::read(MODULE.as_slice()).unwrap();
    let mut called = None;
    for entry in &mut builder.symbols {
        if entry.name.as_slice() == b"snprintf_of_vmlinux" {
            entry.name = symbol.as_bytes().to_vec().into();
            entry.st_shndx = SymbolSection(0xff20);
            called = Some(entry.id());
        }
    }
    let mut moved = 0;
    for entry in &mut builder.sections {
        if let SectionData::Relocation(relocations) = &entry.data
            && relocations.iter().any(|relocation| relocation.symbol == called)
        {
            entry.name = section.as_bytes().to_vec().into();
            entry.sh_flags = SectionFlags(entry.sh_flags.0 | SHF_ALLOC.0 | 0x0010_0000);
            moved += 1;
        }
    }
    assert_eq!(moved, 1);
    let mut bytes = Vec::new();
    builder.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn livepatch_relocations_and_symbols_are_listed() {
    let bytes = livepatch(".klp.rela.ext4..text", ".klp.sym.vmlinux.snprintf,2");
    let module = Module::parse(&bytes).unwrap();
    let symbol = KlpSymbol { object: "vmlinux", name: "snprintf", position: 2 };
    assert_eq!(module.klp_symbols().unwrap(), [symbol]);
    let [section] = module.klp_relocations().unwrap().try_into().unwrap();
    assert_eq!((section.object, section.section), ("ext4", ".text"));
    let [entry] = section.entries.as_slice() else { panic!("one call, one relocation") };
    assert_eq!((entry.kind, entry.addend, entry.symbol), (4, -4, symbol)); // R_X86_64_PLT32
}

#[test]
fn livepatch_names_of_another_form_are_refused() {
    let bytes = livepatch(".klp.rela.ext4..text", "snprintf");
    let module = Module::parse(&bytes).unwrap();
    assert!(matches!(module.klp_symbols(), Err(ModuleError::Unusable { .. })));
    assert!(matches!(module.klp_relocations(), Err(ModuleError::Unusable { .. })));
    let bytes = livepatch(".rela.text", ".klp.sym.vmlinux.snprintf,0");
    assert!(matches!(Module::parse(&bytes).unwrap().klp_relocations(), Err(ModuleError::Unusable { .. })));
}
