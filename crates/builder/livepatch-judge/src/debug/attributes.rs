//! The attributes of one debugging entry, of those that are used.

use super::DebugError;
use super::sections::place_of;
use gimli::{AttributeValue, EndianSlice, EntriesRaw, RunTimeEndian, Unit, constants as dw};

pub(super) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// What an entry says about itself.
#[derive(Default)]
pub(super) struct Attributes<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) of: Option<usize>,
    pub(super) origin: Option<usize>,
    pub(super) size: Option<u64>,
    pub(super) bits: Option<u64>,
    /// `DW_AT_data_bit_offset` (DWARF 4 and later).
    pub(super) bits_from_start: Option<u64>,
    /// `DW_AT_bit_offset` (up to DWARF 3): from the most significant bit of the storage unit.
    pub(super) bits_from_top: Option<u64>,
    pub(super) member_at: Option<u64>,
    pub(super) file: u64,
    pub(super) line: u32,
    pub(super) call_file: u64,
    pub(super) call_line: u32,
    pub(super) declaration: bool,
    pub(super) external: bool,
    pub(super) encoding: u8,
    pub(super) value: Option<i64>,
    /// Elements of an array's dimension.
    pub(super) count: Option<u64>,
    pub(super) address: Option<u64>,
    pub(super) ranges: Option<AttributeValue<Slice<'a>>>,
}

impl<'a> Attributes<'a> {
    /// Reads the attributes of the entry that `raw` stands at.
    pub(super) fn read(
        raw: &mut EntriesRaw<'_, Slice<'a>>,
        specifications: &[gimli::AttributeSpecification],
        dwarf: &gimli::Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
        base: usize,
    ) -> Result<Self, DebugError> {
        let mut found = Self::default();
        for &specification in specifications {
            let attribute = raw.read_attribute(specification)?;
            let value = attribute.raw_value();
            let line = || u32::try_from(value.udata_value().unwrap_or(0)).unwrap_or(0);
            match attribute.name() {
                dw::DW_AT_name => found.name = text(dwarf, unit, attribute.value()),
                dw::DW_AT_type => found.of = reference(&value, base),
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => found.origin = reference(&value, base),
                dw::DW_AT_byte_size => found.size = value.udata_value(),
                dw::DW_AT_bit_size => found.bits = value.udata_value(),
                dw::DW_AT_data_bit_offset => found.bits_from_start = value.udata_value(),
                dw::DW_AT_bit_offset => found.bits_from_top = value.udata_value(),
                dw::DW_AT_data_member_location => found.member_at = value.udata_value(),
                dw::DW_AT_decl_file => found.file = value.udata_value().unwrap_or(0),
                dw::DW_AT_decl_line => found.line = line(),
                dw::DW_AT_call_file => found.call_file = value.udata_value().unwrap_or(0),
                dw::DW_AT_call_line => found.call_line = line(),
                dw::DW_AT_declaration => found.declaration = true,
                dw::DW_AT_external => found.external = true,
                dw::DW_AT_encoding => found.encoding = value.udata_value().unwrap_or(0) as u8,
                dw::DW_AT_const_value => found.value = value.sdata_value().or(unsigned(&value)),
                dw::DW_AT_upper_bound => {
                    found.count = value.udata_value().and_then(|last| last.checked_add(1))
                }
                dw::DW_AT_count => found.count = value.udata_value(),
                dw::DW_AT_low_pc => found.address = address(&value),
                dw::DW_AT_location => found.address = location(&value, unit),
                dw::DW_AT_ranges => found.ranges = Some(attribute.value()),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Section and offset of the code: of the entry itself, or of the first of its ranges.
    pub(super) fn code(
        &self,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
    ) -> Option<(usize, u64)> {
        let address = match &self.ranges {
            Some(ranges) => dwarf.attr_ranges(unit, *ranges).ok()??.next().ok()??.begin,
            None => self.address?,
        };
        place_of(address)
    }
}

fn unsigned(value: &AttributeValue<Slice<'_>>) -> Option<i64> {
    value.udata_value().map(|value| value as i64)
}

fn text<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    value: AttributeValue<Slice<'a>>,
) -> Option<&'a str> {
    let text = dwarf.attr_string(unit, value).ok()?;
    std::str::from_utf8(text.slice()).ok().filter(|text| !text.is_empty())
}

/// Offset in `.debug_info` of the entry that is referred to; `base` is where the unit starts.
fn reference(value: &AttributeValue<Slice<'_>>, base: usize) -> Option<usize> {
    match value {
        AttributeValue::UnitRef(offset) => base.checked_add(offset.0),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
}

fn address(value: &AttributeValue<Slice<'_>>) -> Option<u64> {
    match value {
        AttributeValue::Addr(address) => Some(*address),
        _ => None,
    }
}

/// The fixed address of a variable: its location is that address and nothing else.
fn location(value: &AttributeValue<Slice<'_>>, unit: &Unit<Slice<'_>>) -> Option<u64> {
    let mut operations = value.exprloc_value()?.operations(unit.encoding());
    match (operations.next().ok()??, operations.next().ok()?) {
        (gimli::Operation::Address { address }, None) => Some(address),
        _ => None,
    }
}
