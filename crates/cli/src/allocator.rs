//! The program's allocator: mimalloc, told to keep what it has.
//!
//! Every product asks for the same buffers again. Given back to the system in between, their pages would have to be
//! zeroed anew each time, which took a tenth to a quarter of a product's time.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed memory for the next request instead of giving it back; an environment variable `MIMALLOC_PURGE_DELAY`
/// (milliseconds) has the last word.
pub(crate) fn keep_memory() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets a number that the allocator reads; no memory is touched.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    }
}
