//! Buffers that a thread keeps between kernels: fresh memory costs the system's zeroing of every page.

use std::cell::RefCell;
use std::thread::LocalKey;

use super::Real;

/// The idle buffers of a thread.
pub(crate) type Shelf<T> = LocalKey<RefCell<Vec<Vec<T>>>>;

/// Buffers that a thread keeps at most.
const KEPT: usize = 8;

/// Runs `work` on a buffer of `length` entries with arbitrary numbers in them.
pub(super) fn with_buffer<T: Real, R>(length: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    // The shelf is not borrowed meanwhile: `work` may wait for other tasks, which need buffers of their own.
    let mut buffer = T::shelf().with_borrow_mut(|shelf| {
        let fits = shelf.iter().enumerate().filter(|(_, b)| b.len() >= length).min_by_key(|(_, b)| b.len());
        fits.map(|(i, _)| i).map(|i| shelf.swap_remove(i)).unwrap_or_default()
    });
    if buffer.len() < length {
        buffer.resize(length, T::zero());
    }
    let result = work(&mut buffer[..length]);
    T::shelf().with_borrow_mut(|shelf| {
        shelf.push(buffer);
        if shelf.len() > KEPT {
            let smallest = shelf.iter().enumerate().min_by_key(|(_, b)| b.len()).map(|(i, _)| i);
            smallest.map(|i| shelf.swap_remove(i));
        }
    });
    result
}
