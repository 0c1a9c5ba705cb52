//! One pass over all debugging entries.

use super::attributes::{Attributes, Slice};
use super::model::{
    Composite, Enumeration, Function, FunctionId, Inlined, Member, Place, Prototype, Shape, Type, TypeId,
    Variable,
};
use super::sections::place_of;
use super::{DebugError, DebugInfo, DebugSections};
use gimli::{DwTag, EndianSlice, RunTimeEndian, Unit, constants as dw};

/// What an entry with children is, for them.
#[derive(Clone, Copy)]
enum Open {
    /// A unit.
    Unit,
    /// Index in `types` of a composite, array, enumeration or function type.
    Type(usize),
    /// A function.
    Function(FunctionId),
    /// A call that was inlined: the function, and its index there.
    Inlined(FunctionId, usize),
    /// A block within a function, or within an inlined call of it.
    Block(Option<FunctionId>, Option<usize>),
}

impl Open {
    fn function(self) -> Option<FunctionId> {
        match self {
            Self::Function(function) | Self::Inlined(function, _) => Some(function),
            Self::Block(function, _) => function,
            _ => None,
        }
    }

    fn inlined(self) -> Option<usize> {
        match self {
            Self::Inlined(_, call) => Some(call),
            Self::Block(_, call) => call,
            _ => None,
        }
    }
}

pub(super) fn read(sections: &DebugSections) -> Result<DebugInfo<'_>, DebugError> {
    let endian = if sections.big_endian { RunTimeEndian::Big } else { RunTimeEndian::Little };
    let load =
        |id: gimli::SectionId| Ok::<_, gimli::Error>(EndianSlice::new(sections.bytes(id.name()), endian));
    let dwarf = gimli::Dwarf::load(load)?;
    let mut info = DebugInfo::default();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let base = header.debug_info_offset().map_or(0, |offset| offset.0);
        let unit = dwarf.unit(header)?;
        Pass {
            dwarf: &dwarf,
            unit: &unit,
            base,
            files: info.files.len(),
            info: &mut info,
            declared: Vec::new(),
        }
        .run()?;
    }
    Ok(info)
}

struct Pass<'p, 'a> {
    dwarf: &'p gimli::Dwarf<Slice<'a>>,
    unit: &'p Unit<Slice<'a>>,
    /// Where the unit starts in `.debug_info`.
    base: usize,
    /// Where its files start in the list of all.
    files: usize,
    info: &'p mut DebugInfo<'a>,
    /// Every variable met so far: a definition may refer to a declaration for name and type.
    declared: Vec<Declared<'a>>,
}

/// Offset in `.debug_info`, name, type and place of a variable.
type Declared<'a> = (usize, &'a str, Option<TypeId>, Place);

impl<'a> Pass<'_, 'a> {
    fn run(&mut self) -> Result<(), DebugError> {
        self.read_files();
        let mut open: Vec<Open> = Vec::new();
        let mut raw = self.unit.entries_raw(None)?;
        while !raw.is_empty() {
            let offset = self.base.saturating_add(raw.next_offset().0);
            let Some(abbreviation) = raw.read_abbreviation()? else {
                open.pop();
                continue;
            };
            let tag = abbreviation.tag();
            let parent = open.last().copied().unwrap_or(Open::Unit);
            let opened = if matches!(tag, dw::DW_TAG_lexical_block | dw::DW_TAG_label) {
                raw.skip_attributes(abbreviation.attributes())?;
                Open::Block(parent.function(), parent.inlined())
            } else {
                let found =
                    Attributes::read(&mut raw, abbreviation.attributes(), self.dwarf, self.unit, self.base)?;
                self.entry(tag, offset, &found, parent)
            };
            if abbreviation.has_children() {
                open.push(opened);
            }
        }
        Ok(())
    }

    fn read_files(&mut self) {
        let Some(program) = &self.unit.line_program else { return };
        let header = program.header();
        let text = |value| self.dwarf.attr_string(self.unit, value).ok().map(|text| text.to_string_lossy());
        // File numbers count from 1 up to DWARF 4, from 0 since.
        let first = u64::from(header.version() < 5);
        for number in 0..header.file_names().len() as u64 {
            let Some(file) = header.file(number + first) else { continue };
            let name = text(file.path_name()).unwrap_or_default();
            let folder = file.directory(header).and_then(text).unwrap_or_default();
            self.info.files.push(join(&folder, &name, file.directory_index() == 0));
        }
    }

    /// A line; `file` is a number in the unit's own list.
    fn place(&self, file: u64, line: u32) -> Place {
        let first =
            self.unit.line_program.as_ref().map_or(0, |program| u64::from(program.header().version() < 5));
        let index = file.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let file = index.and_then(|index| index.checked_add(self.files)?.checked_add(1)).unwrap_or(0);
        Place { file, line }
    }

    /// Takes an entry in, and says what it is for its children.
    fn entry(&mut self, tag: DwTag, offset: usize, found: &Attributes<'a>, parent: Open) -> Open {
        match tag {
            dw::DW_TAG_compile_unit | dw::DW_TAG_partial_unit => Open::Unit,
            dw::DW_TAG_subprogram => self.function(offset, found),
            dw::DW_TAG_inlined_subroutine => self.inlined(found, parent),
            dw::DW_TAG_formal_parameter | dw::DW_TAG_unspecified_parameters => {
                self.parameter(tag, found, parent);
                Open::Block(parent.function(), parent.inlined())
            }
            dw::DW_TAG_variable => {
                self.variable(offset, found, parent);
                Open::Block(parent.function(), parent.inlined())
            }
            dw::DW_TAG_member => {
                self.member(found, parent);
                Open::Block(None, None)
            }
            dw::DW_TAG_enumerator => {
                if let Open::Type(index) = parent
                    && let Some((_, Type::Enumeration(enumeration))) = self.info.types.get_mut(index)
                    && let (Some(name), Some(value)) = (found.name, found.value)
                {
                    enumeration.enumerators.push((name, value));
                }
                Open::Block(None, None)
            }
            dw::DW_TAG_subrange_type => {
                if let Open::Type(index) = parent
                    && let Some((_, Type::Array(_, dimensions))) = self.info.types.get_mut(index)
                {
                    dimensions.push(found.count);
                }
                Open::Block(None, None)
            }
            _ => match self.type_of(tag, found, parent) {
                Some(kind) => {
                    self.info.types.push((offset, kind));
                    Open::Type(self.info.types.len() - 1)
                }
                None => Open::Block(parent.function(), parent.inlined()),
            },
        }
    }

    fn type_of(&self, tag: DwTag, found: &Attributes<'a>, parent: Open) -> Option<Type<'a>> {
        let composite = |shape| {
            Type::Composite(Composite {
                shape,
                tag: found.name,
                size: found.size.filter(|_| !found.declaration),
                members: Vec::new(),
                place: self.place(found.file, found.line),
                at_file_scope: matches!(parent, Open::Unit),
            })
        };
        Some(match tag {
            dw::DW_TAG_base_type => base_type(found),
            dw::DW_TAG_pointer_type => Type::Pointer(found.of),
            dw::DW_TAG_const_type => Type::Qualified("const", found.of),
            dw::DW_TAG_volatile_type => Type::Qualified("volatile", found.of),
            dw::DW_TAG_restrict_type => Type::Qualified("restrict", found.of),
            dw::DW_TAG_atomic_type => Type::Qualified("_Atomic", found.of),
            dw::DW_TAG_typedef => Type::Typedef(found.name.unwrap_or(""), found.of),
            dw::DW_TAG_array_type => Type::Array(found.of, Vec::new()),
            dw::DW_TAG_structure_type => composite(Shape::Struct),
            dw::DW_TAG_union_type => composite(Shape::Union),
            dw::DW_TAG_enumeration_type => Type::Enumeration(Enumeration {
                tag: found.name,
                size: found.size.unwrap_or(0),
                enumerators: Vec::new(),
                place: self.place(found.file, found.line),
            }),
            dw::DW_TAG_subroutine_type => {
                Type::Function(Prototype { result: found.of, ..Prototype::default() })
            }
            _ => return None,
        })
    }

    fn function(&mut self, offset: usize, found: &Attributes<'a>) -> Open {
        self.info.functions.push(Function {
            offset,
            name: found.name,
            origin: found.origin,
            external: found.external,
            declaration: found.declaration,
            place: self.place(found.file, found.line),
            code: found.code(self.dwarf, self.unit),
            prototype: Prototype { result: found.of, ..Prototype::default() },
            ..Function::default()
        });
        Open::Function(self.info.functions.len() - 1)
    }

    fn inlined(&mut self, found: &Attributes<'a>, parent: Open) -> Open {
        let (Some(function), Some(origin)) = (parent.function(), found.origin) else {
            return Open::Block(parent.function(), parent.inlined());
        };
        let call = self.place(found.call_file, found.call_line);
        let list = &mut self.info.functions[function].inlined;
        list.push(Inlined { origin, call, parent: parent.inlined() });
        Open::Inlined(function, list.len() - 1)
    }

    fn parameter(&mut self, tag: DwTag, found: &Attributes<'a>, parent: Open) {
        let variadic = tag == dw::DW_TAG_unspecified_parameters;
        let prototype = match parent {
            Open::Type(index) => match self.info.types.get_mut(index) {
                Some((_, Type::Function(prototype))) => prototype,
                _ => return,
            },
            Open::Function(function) => {
                let function = &mut self.info.functions[function];
                function.mentions.extend(found.of);
                &mut function.prototype
            }
            _ => return,
        };
        if variadic {
            prototype.variadic = true;
        } else {
            prototype.parameters.push(found.of);
        }
    }

    fn variable(&mut self, offset: usize, found: &Attributes<'a>, parent: Open) {
        let declared = found.origin.and_then(|origin| {
            let at = self.declared.binary_search_by_key(&origin, |(offset, ..)| *offset).ok()?;
            Some(self.declared[at])
        });
        let (_, name, of, place) = declared.unwrap_or_default();
        let (name, of) = (found.name.unwrap_or(name), found.of.or(of));
        let place = if found.line > 0 { self.place(found.file, found.line) } else { place };
        self.declared.push((offset, name, of, place));
        let data = found.address.and_then(place_of);
        let function = parent.function();
        match function {
            Some(function) if data.is_none() => {
                let function = &mut self.info.functions[function];
                function.mentions.extend(of);
                function.locals.extend(of);
            }
            _ => self.info.variables.push(Variable { name, of, data, place, function }),
        }
    }

    fn member(&mut self, found: &Attributes<'a>, parent: Open) {
        let Open::Type(index) = parent else { return };
        let storage = found.size.or_else(|| self.info.size_of(found.of?, 8)).unwrap_or(0);
        let bytes = found.member_at.unwrap_or(0).saturating_mul(8);
        let offset = match (found.bits_from_start, found.bits_from_top, found.bits) {
            (Some(offset), _, _) => bytes.saturating_add(offset),
            (_, Some(top), Some(bits)) => {
                bytes.saturating_add(storage.saturating_mul(8)).saturating_sub(top).saturating_sub(bits)
            }
            _ => bytes,
        };
        let member = Member { name: found.name, of: found.of, offset, bits: found.bits, line: found.line };
        if let Some((_, Type::Composite(composite))) = self.info.types.get_mut(index) {
            composite.members.push(member);
        }
    }
}

fn base_type<'a>(found: &Attributes<'a>) -> Type<'a> {
    let encoding = gimli::DwAte(found.encoding);
    Type::Base {
        name: found.name.unwrap_or(""),
        size: found.size.unwrap_or(0),
        signed: matches!(encoding, dw::DW_ATE_signed | dw::DW_ATE_signed_char),
        character: matches!(encoding, dw::DW_ATE_signed_char | dw::DW_ATE_unsigned_char),
    }
}

/// The path as the kernel's tree knows it: `./include/x.h` and `include/x.h` are the same, and the folder that the
/// compiler ran in (number 0) is left out.
fn join(folder: &str, name: &str, own_folder: bool) -> String {
    let name = name.strip_prefix("./").unwrap_or(name);
    if own_folder || name.starts_with('/') || folder.is_empty() {
        return name.to_owned();
    }
    format!("{}/{name}", folder.strip_prefix("./").unwrap_or(folder).trim_end_matches('/'))
}
