//! Vulnerabilities on a live site: documents become a register, the register and the catalogue become verdicts, and those
//! become signed documents.

mod clock;
mod detail;
mod register;
mod verdicts;

pub(crate) use clock::Clocks;
pub(crate) use detail::{detail, summary};
pub(crate) use register::{Registers, rating_document};
pub(crate) use verdicts::{
    Knowledge, catalogue, engine, family, follow, knowledge, mitigations, of_kernel, publish,
};
