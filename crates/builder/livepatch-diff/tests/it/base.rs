//! Proof against linked binaries: an image with addresses, and a module, each with two units of one file name.

use crate::compile::{Workshop, entry_sizes, function};
use livepatch_diff::{Base, Image, Object, Proof, Unit, Unproven};
use object::{ObjectSection, ObjectSymbol};
use std::path::PathBuf;

const ONE: &str = r#"
int print(const char *format, ...);
extern int errors;
static int hits;
static const int weights[] = { 3, 1, 4, 1, 5, 9, 2, 6 };

static __attribute__((noinline)) int helper(int x)
{
	hits += x;
	return weights[hits & 7];
}

static __attribute__((noinline)) int only_in_one(int x)
{
	asm volatile("");
	return x * 3;
}

int one(int x)
{
	if (x < 0) {
		print("one: negative\n");
		errors++;
	}
	return helper(x) + only_in_one(x);
}
"#;

const TWO: &str = r#"
int print(const char *format, ...);
static int hits;

static __attribute__((noinline)) int helper(int x)
{
	hits ^= x;
	return hits;
}

static __attribute__((noinline)) int only_in_two(int x)
{
	asm volatile("");
	return x * 5;
}

int two(int x)
{
	print("two: negative\n");
	return helper(x) + only_in_two(x);
}
"#;

const THREE: &str = r#"
int helper(int x)
{
	return x;
}

int three(int x)
{
	return x + 3;
}
"#;

/// What vmlinux has and a module has not.
const KERNEL: &str = r#"
int errors;
asm(".text; .globl __fentry__; __fentry__: ret");

__attribute__((no_instrument_function)) int print(const char *format, ...)
{
	return 0;
}
"#;

/// `three` comes first, so that a global has the lowest address while the symbol table has it last.
pub(crate) fn units(workshop: &Workshop) -> Vec<PathBuf> {
    [("three.c", THREE), ("one/unit.c", ONE), ("two/unit.c", TWO)]
        .map(|(unit, text)| workshop.compile_for_base(unit, text))
        .into()
}

pub(crate) fn link_image(workshop: &Workshop, mut objects: Vec<PathBuf>) -> Vec<u8> {
    objects.push(workshop.compile_for_base("kernel.c", KERNEL));
    let files: Vec<_> = objects.iter().map(PathBuf::as_path).collect();
    let flags = ["-static", "-e", "0", "-Ttext=0xffffffff81000000", "-z", "noexecstack", "-o", "vmlinux"];
    workshop.binutils("ld", &flags, &files);
    std::fs::read(workshop.path("vmlinux")).unwrap()
}

fn link_module(workshop: &Workshop, objects: &[PathBuf]) -> Vec<u8> {
    let files: Vec<_> = objects.iter().map(PathBuf::as_path).collect();
    workshop.binutils("ld", &["-r", "-o", "module.ko"], &files);
    std::fs::read(workshop.path("module.ko")).unwrap()
}

/// As Debian strips its modules: the file names go too.
fn strip(workshop: &Workshop) -> Vec<u8> {
    workshop.binutils("strip", &["--strip-debug"], &[&workshop.path("module.ko")]);
    std::fs::read(workshop.path("module.ko")).unwrap()
}

fn original(workshop: &Workshop, text: &str) -> Object {
    Object::read(&workshop.compile("built/unit.c", text)).unwrap()
}

/// Every function's proof by name.
fn proofs(base: &Base<'_>, original: &Object) -> Vec<(String, Proof)> {
    let unit = base.unit(original).unwrap();
    let proofs = base.prove_all(unit, original, &entry_sizes()).unwrap();
    proofs.into_iter().map(|(index, proof)| (original.symbols[index].name.clone(), proof)).collect()
}

fn assert_identical(base: &Base<'_>, original: &Object) {
    let found = proofs(base, original);
    assert_eq!(found.len(), 3);
    for (name, proof) in found {
        assert!(matches!(proof, Proof::Identical { unchecked: 0, fields: 1.. }), "{name}: {proof:?}");
    }
}

/// The one function that is not identical.
fn only_difference(base: &Base<'_>, original: &Object) -> (String, Unproven) {
    let differs = |(name, proof)| match proof {
        Proof::Differs(unproven) => Some((name, unproven)),
        Proof::Identical { .. } => None,
    };
    let found: Vec<_> = proofs(base, original).into_iter().filter_map(differs).collect();
    let [one] = found.as_slice() else { panic!("not one difference: {found:?}") };
    one.clone()
}

/// Where the code of a function is in a file.
fn file_offset(bytes: &[u8], function: &str) -> usize {
    let file = object::read::elf::ElfFile64::<object::LittleEndian>::parse(bytes).unwrap();
    let symbol = object::Object::symbols(&file).find(|symbol| symbol.name() == Ok(function)).unwrap();
    let section = object::Object::section_by_index(&file, symbol.section_index().unwrap()).unwrap();
    (section.file_range().unwrap().0 + symbol.address() - section.address()) as usize
}

fn offset_of_text(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

/// Offset in a function of the field of the first reference to a symbol.
fn field_of(object: &Object, name: &str, target: &str) -> u64 {
    let index = function(object, name);
    let (section, symbol) = (object.section_of(index).unwrap(), &object.symbols[index]);
    let relocations = object.relocations_in(section, symbol.value, symbol.size);
    let wanted =
        relocations.iter().find(|relocation| object.symbols[relocation.symbol].name == target).unwrap();
    wanted.offset - symbol.value
}

#[test]
fn image_of_the_same_source_is_proven() {
    let workshop = Workshop::new();
    let bytes = link_image(&workshop, units(&workshop));
    let image = Image::read(&bytes).unwrap();
    assert_identical(&Base::Image(&image), &original(&workshop, ONE));
    assert_identical(&Base::Image(&image), &original(&workshop, TWO));
    let index = image.index(&[1; 32]);
    let indexed = Image::read_indexed(&bytes, &index, &[1; 32]).unwrap().unwrap();
    assert_eq!(indexed.len(), image.len());
    assert_identical(&Base::Image(&indexed), &original(&workshop, ONE));
    assert_identical(&Base::Image(&indexed), &original(&workshop, TWO));
    assert!(Image::read_indexed(&bytes, &index, &[2; 32]).unwrap().is_none());
}

#[test]
fn module_of_the_same_source_is_proven_with_and_without_file_names() {
    let workshop = Workshop::new();
    let full = link_module(&workshop, &units(&workshop));
    let stripped = strip(&workshop);
    for bytes in [full, stripped] {
        let base = Base::module("sample", &bytes).unwrap();
        assert_identical(&base, &original(&workshop, ONE));
        assert_identical(&base, &original(&workshop, TWO));
    }
}

#[test]
fn altered_byte_in_image_is_found() {
    let workshop = Workshop::new();
    let mut bytes = link_image(&workshop, units(&workshop));
    let original = original(&workshop, ONE);
    let size = original.symbols[function(&original, "only_in_one")].size;
    let last = file_offset(&bytes, "only_in_one") + size as usize - 1;
    bytes[last] ^= 1;
    let image = Image::read(&bytes).unwrap();
    let found = only_difference(&Base::Image(&image), &original);
    assert_eq!(found, ("only_in_one".into(), Unproven::Bytes(size - 1)));
}

#[test]
fn altered_string_in_image_is_found() {
    let workshop = Workshop::new();
    let mut bytes = link_image(&workshop, units(&workshop));
    let at = offset_of_text(&bytes, "one: negative");
    bytes[at + 5] = b'N';
    let image = Image::read(&bytes).unwrap();
    let (name, unproven) = only_difference(&Base::Image(&image), &original(&workshop, ONE));
    let Unproven::Target(_, what) = unproven else { panic!("{unproven:?}") };
    assert_eq!((name.as_str(), what.as_str()), ("one", "the string \"one: negative\\n\""));
}

#[test]
fn altered_call_in_image_is_found() {
    let workshop = Workshop::new();
    let mut bytes = link_image(&workshop, units(&workshop));
    let original = original(&workshop, ONE);
    let field = field_of(&original, "one", "print");
    let at = file_offset(&bytes, "one") + field as usize;
    bytes[at] = bytes[at].wrapping_add(16);
    let image = Image::read(&bytes).unwrap();
    let found = only_difference(&Base::Image(&image), &original);
    assert_eq!(found, ("one".into(), Unproven::Target(field, "print+0x0".into())));
}

#[test]
fn variable_of_the_namesake_unit_is_another_variable() {
    let workshop = Workshop::new();
    let bytes = link_image(&workshop, units(&workshop));
    let image = Image::read(&bytes).unwrap();
    let base = Base::Image(&image);
    // With unit two's variable in its place, helper would be the same bytes.
    let unit = base.unit(&original(&workshop, TWO)).unwrap();
    let text = ONE.replace("only_in_one", "only_in_two");
    let wrong = original(&workshop, &text);
    let tables = livepatch_diff::tables::Tables::read(&wrong, &entry_sizes()).unwrap();
    let proof = base.prove(unit, &wrong, &tables, function(&wrong, "helper"));
    assert!(matches!(proof, Proof::Differs(_)), "{proof:?}");
}

#[test]
fn altered_byte_string_and_call_in_module_are_found() {
    let workshop = Workshop::new();
    let bytes = link_module(&workshop, &units(&workshop));
    let original = original(&workshop, ONE);
    let size = original.symbols[function(&original, "only_in_one")].size;
    let differs = |bytes: &[u8]| only_difference(&Base::module("sample", bytes).unwrap(), &original);

    let mut altered = bytes.clone();
    altered[file_offset(&bytes, "only_in_one") + size as usize - 1] ^= 1;
    assert_eq!(differs(&altered), ("only_in_one".into(), Unproven::Bytes(size - 1)));

    let mut altered = bytes.clone();
    altered[offset_of_text(&bytes, "one: negative")] = b'O';
    let (name, unproven) = differs(&altered);
    let Unproven::Target(_, what) = unproven else { panic!("{unproven:?}") };
    assert_eq!((name.as_str(), what.as_str()), ("one", "the string \"one: negative\\n\""));

    let field = field_of(&original, "one", "print");
    let altered = with_addend(&bytes, "one", field, 12);
    assert_eq!(differs(&altered), ("one".into(), Unproven::Target(field, "print+0x0".into())));
}

/// The module with another addend in the relocation of a function's field.
fn with_addend(bytes: &[u8], name: &str, field: u64, addend: i64) -> Vec<u8> {
    let module = Object::read(bytes).unwrap();
    let place = module.symbols[function(&module, name)].value + field;
    let file = object::read::elf::ElfFile64::<object::LittleEndian>::parse(bytes).unwrap();
    let table = object::Object::section_by_name(&file, ".rela.text").unwrap().file_range().unwrap();
    let mut altered = bytes.to_vec();
    let entries = altered[table.0 as usize..(table.0 + table.1) as usize].chunks_exact_mut(24);
    for entry in entries.filter(|entry| entry[..8] == place.to_le_bytes()) {
        entry[16..].copy_from_slice(&addend.to_le_bytes());
    }
    assert_ne!(altered, bytes);
    altered
}

#[test]
fn other_size_and_missing_function_are_told() {
    let workshop = Workshop::new();
    let bytes = link_image(&workshop, units(&workshop));
    let image = Image::read(&bytes).unwrap();
    let longer = original(&workshop, &ONE.replace("return x * 3;", "return x * 1000003;"));
    let (name, unproven) = only_difference(&Base::Image(&image), &longer);
    assert_eq!(name, "only_in_one");
    assert!(matches!(unproven, Unproven::Size(compiled, running) if compiled > running), "{unproven:?}");
    let text = format!("{ONE}\nint unheard_of(void)\n{{\n\treturn 1;\n}}\n");
    let found = only_difference(&Base::Image(&image), &original(&workshop, &text));
    assert_eq!(found, ("unheard_of".into(), Unproven::Absent));
}

#[test]
fn static_branch_that_objtool_turned_into_a_no_op_is_the_same() {
    let branch = |code: &str| {
        format!(
            r#"
            extern int errors;
            static __attribute__((noinline)) int work(int x)
            {{
                asm goto("1:\t{code}\n"
                    "\t.pushsection __jump_table, \"aw\"\n\t.balign 8\n"
                    "\t.long 1b - ., %l[yes] - .\n\t.quad errors - .\n\t.popsection" : : : : yes);
                return x;
            yes:
                return x * 5;
            }}

            int call(int x)
            {{
                return work(x) + 1;
            }}
            "#
        )
    };
    let workshop = Workshop::new();
    // The far one leads to another section, as to a cold part, and has a field.
    let far = r".byte 0xe9\n\t.long errors - . - 4";
    for (jump, no_op, same) in [
        ("jmp %l[yes]", ".byte 0x66, 0x90", true),
        ("jmp %l[yes]", ".byte 0x89, 0xc0", false),
        (far, ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", true),
    ] {
        let jump = original(&workshop, &branch(jump));
        let object = workshop.compile_for_base("base/unit.c", &branch(no_op));
        let bytes = link_image(&workshop, vec![object]);
        let image = Image::read(&bytes).unwrap();
        let found = proofs(&Base::Image(&image), &jump);
        let differs = found.iter().any(|(_, proof)| matches!(proof, Proof::Differs(_)));
        assert_eq!(differs, !same, "{no_op}: {found:?}");
    }
}

#[test]
fn units_of_one_file_name_are_told_apart_by_their_statics() {
    let workshop = Workshop::new();
    let objects = units(&workshop);
    let image_bytes = link_image(&workshop, objects.clone());
    let image = Image::read(&image_bytes).unwrap();
    let full = link_module(&workshop, &objects);
    let stripped = strip(&workshop);
    let bases = [
        Base::Image(&image),
        Base::module("sample", &full).unwrap(),
        Base::module("sample", &stripped).unwrap(),
    ];
    for base in &bases {
        let one = base.unit(&original(&workshop, ONE)).unwrap();
        let two = base.unit(&original(&workshop, TWO)).unwrap();
        assert_ne!(one, two, "{}", base.name());
        let stranger = original(&workshop, "static int far; int *away(void) { return &far; }");
        assert!(base.unit(&stranger).is_err());
    }
    let unnamed = Object::read(&workshop.compile("elsewhere.c", TWO)).unwrap();
    assert!(bases[0].unit(&unnamed).is_err() && bases[1].unit(&unnamed).is_err());
}

#[test]
fn positions_count_locals_and_globals_alike() {
    let workshop = Workshop::new();
    let objects = units(&workshop);
    let image_bytes = link_image(&workshop, objects.clone());
    let image = Image::read(&image_bytes).unwrap();
    let full = link_module(&workshop, &objects);
    let stripped = strip(&workshop);
    let (one, two) = (original(&workshop, ONE), original(&workshop, TWO));
    // (base, [one's helper, two's helper, the global helper]): by address in an image, by symbol table in a module.
    let expected = [
        (Base::Image(&image), [Some(2), Some(3), Some(1)]),
        (Base::module("sample", &full).unwrap(), [Some(1), Some(2), Some(3)]),
        (Base::module("sample", &stripped).unwrap(), [Some(1), Some(2), Some(3)]),
    ];
    for (base, positions) in expected {
        let position = |original: &Object, name: &str| {
            base.position(base.unit(original).unwrap(), &original.symbols[function(original, name)])
        };
        let found = [position(&one, "helper"), position(&two, "helper"), base.position_of_global("helper")];
        assert_eq!(found, positions, "{}", base.name());
        assert_eq!(position(&one, "only_in_one"), Some(0));
        assert_eq!((base.position_of_global("two"), base.position_of_global("nowhere")), (Some(0), None));
    }
}

#[test]
fn unit_without_locals_is_found_by_its_globals() {
    let workshop = Workshop::new();
    let bytes = link_image(&workshop, units(&workshop));
    let image = Image::read(&bytes).unwrap();
    let three = Object::read(&workshop.compile("three.c", THREE)).unwrap();
    let base = Base::Image(&image);
    let unit = base.unit(&three).unwrap();
    assert_eq!(unit, Unit::NoLocals);
    let proofs = base.prove_all(unit, &three, &entry_sizes()).unwrap();
    assert!(proofs.iter().all(|(_, proof)| matches!(proof, Proof::Identical { .. })), "{proofs:?}");
}

#[test]
fn empty_variable_is_proven_whatever_shares_its_address() {
    const LOCKS: &str = r#"
struct lock_class_key { };
void init(void *lock, struct lock_class_key *key);
static int busy;

int prepare(void *one, void *other)
{
	static struct lock_class_key first_key;
	{
		static struct lock_class_key second_key;
		init(one, &second_key);
	}
	init(other, &first_key);
	return busy++;
}
"#;
    let workshop = Workshop::new();
    let objects = [workshop.compile_for_base("locks.c", LOCKS), workshop.compile_for_base("one/unit.c", ONE)];
    let bytes = link_module(&workshop, &objects);
    let base = Base::module("sample", &bytes).unwrap();
    let original = Object::read(&workshop.compile("built/locks.c", LOCKS)).unwrap();
    let found = proofs(&base, &original);
    assert!(matches!(found.as_slice(), [(_, Proof::Identical { .. })]), "{found:?}");
}

#[test]
fn namespaces_that_a_module_imports_are_read_from_its_notes() {
    let workshop = Workshop::new();
    let text = r#"
#define NOTE(name, text) static const char name[] \
	__attribute__((used, section(".modinfo"), aligned(1))) = text
NOTE(licence, "license=GPL");
NOTE(first, "import_ns=DMA_BUF");
NOTE(second, "import_ns=NVME_TARGET_PASSTHRU");
"#;
    let bytes = std::fs::read(workshop.compile_for_base("sample.c", text)).unwrap();
    let mut namespaces = Base::module("sample", &bytes).unwrap().imported_namespaces();
    namespaces.sort();
    assert_eq!(namespaces, ["DMA_BUF", "NVME_TARGET_PASSTHRU"]);
}
