//! `relief train`'s parts: settings, the problem, what is recorded, and the report.

pub(crate) mod arguments;
pub(crate) mod probing;
pub(crate) mod problem;
pub(crate) mod recorder;
pub(crate) mod report;
pub(crate) mod rules;
mod saved_state;
pub(crate) mod settings;
