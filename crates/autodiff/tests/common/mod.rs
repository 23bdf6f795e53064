//! What the tests of operations share: the list of cases, and the checks that every case must pass.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod case;
pub(crate) mod cases;
pub(crate) mod checks;
pub(crate) mod devices;
pub(crate) mod vectors;
