//! Sums over several cards through NCCL (feature `nccl`).
//!
//! The order in which NCCL adds follows from the number of entries and from how the cards are connected, not from timing.

use std::ffi::{c_int, c_void};

use super::library::functions;

type Opaque = *mut c_void;

/// `ncclFloat64`.
const DOUBLE: c_int = 8;
/// `ncclSum`.
const SUM: c_int = 0;

functions! {
    /// See NCCL's documentation for each.
    Functions {
        init_all = "ncclCommInitAll" (*mut Opaque, c_int, *const c_int),
        group_start = "ncclGroupStart" (),
        group_end = "ncclGroupEnd" (),
        reduce = "ncclReduce" (*const c_void, *mut c_void, usize, c_int, c_int, c_int, Opaque, Opaque),
    }
}

/// Communicators, one for each card.
pub(super) struct Nccl {
    functions: Functions,
    communicators: Vec<Opaque>,
}

// SAFETY: communicators may be used by any thread, by one at a time, as the lock around this sees to.
unsafe impl Send for Nccl {}

impl Nccl {
    /// For the cards of these numbers.
    pub(super) fn new(functions: Functions, ordinals: &[usize]) -> Result<Self, String> {
        let numbers: Vec<c_int> = ordinals.iter().map(|&ordinal| ordinal as c_int).collect();
        let mut communicators = vec![std::ptr::null_mut(); numbers.len()];
        // SAFETY: both arrays have as many entries as the call is told.
        let status = unsafe {
            (functions.init_all)(communicators.as_mut_ptr(), numbers.len() as c_int, numbers.as_ptr())
        };
        match status {
            0 => Ok(Self { functions, communicators }),
            _ => Err(format!(
                "NCCL does not connect the cards {ordinals:?} (status {status}): leave some of them out"
            )),
        }
    }

    /// Adds arrays of `count` doubles, one on each card, into one on the first card.
    ///
    /// # Safety
    ///
    /// The addresses are of as many doubles on their cards, and the streams are those on which they are used.
    pub(super) unsafe fn sum(
        &self,
        parts: &[u64],
        streams: &[u64],
        result: u64,
        count: usize,
    ) -> Result<(), String> {
        let f = &self.functions;
        // SAFETY: as the caller promises; only the first card writes a result.
        let status = unsafe {
            let mut status = (f.group_start)();
            for ((&part, &stream), &communicator) in parts.iter().zip(streams).zip(&self.communicators) {
                let (part, result, stream) = (part as *const c_void, result as Opaque, stream as Opaque);
                let one = (f.reduce)(part, result, count, DOUBLE, SUM, 0, communicator, stream);
                status = if status == 0 { one } else { status };
            }
            let end = (f.group_end)();
            if status == 0 { end } else { status }
        };
        if status == 0 { Ok(()) } else { Err(format!("NCCL failed at a sum over cards (status {status})")) }
    }
}

/// NCCL 2 for the cards of these numbers.
#[cfg(feature = "nccl")]
pub(super) fn start(ordinals: &[usize]) -> Result<Nccl, String> {
    let functions = super::library::open("NCCL", &["libnccl.so.2", "libnccl.so"], |lookup| {
        // SAFETY: as `find` asks: these are NCCL's, and stay.
        unsafe { Functions::find(lookup) }
    })?;
    Nccl::new(functions, ordinals)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::device::emulated::library;

    #[test]
    fn parts_are_added_into_one_on_the_first_card() {
        let functions = {
            let lookup = library("nccl", include_str!("../../tests/pretend/nccl.c"));
            // SAFETY: functions with the signatures of NCCL's, which is what is tested.
            unsafe { Functions::find(&lookup) }
        };
        let nccl = Nccl::new(functions.expect("all functions"), &[0, 2, 3]).expect("a group");
        let parts: Vec<Vec<f64>> =
            (0..3).map(|card| (0..5).map(|i| f64::from(10 * card + i)).collect()).collect();
        let mut sum = vec![f64::NAN; 5];
        let addresses: Vec<u64> = parts.iter().map(|part| part.as_ptr() as u64).collect();
        // SAFETY: five doubles everywhere.
        unsafe { nccl.sum(&addresses, &[1, 2, 3], sum.as_mut_ptr() as u64, 5) }.expect("a sum");
        assert_eq!(sum, [30.0, 33.0, 36.0, 39.0, 42.0]);
    }
}
