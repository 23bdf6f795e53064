//! The innermost loop of a matrix product: six rows by two registers of columns, whose sums stay in registers
//! in single precision. (In double precision the compiler's choice of registers left it slower than the `gemm` crate.)

use std::array::from_fn;

use super::{Real, vectorised};

/// Rows of a tile.
pub(super) const ROWS: usize = 6;
/// Inner entries that are packed in one piece: a panel is half of the first cache then.
pub(super) const DEPTH: usize = 256;

/// How the rows of a factor lie in a tile of `ROWS * DEPTH` entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `DEPTH` entries from one row to the next.
    Rows,
    /// `ROWS` entries from one column to the next.
    Columns,
}

/// Columns of a register of 32 bytes in single precision, and of a panel: two registers.
const LANES: usize = 8;
pub(super) const WIDTH: usize = 2 * LANES;
/// Inner entries of one turn of the loop.
const TURN: usize = 4;

/// The sums of a tile.
type Sums<T> = [[[T; LANES]; 2]; ROWS];

/// out = a b, or out += a b: out [rows, n] row-major; `a` lies in tiles, the last one filled up; `b` in panels of
/// [depth, `WIDTH`], the last one filled up.
pub(super) fn add_rows<T: Real>(
    out: &mut [T],
    n: usize,
    (a, order): (&[T], Order),
    b: &[T],
    depth: usize,
    accumulate: bool,
) {
    vectorised(
        #[inline(always)]
        || match order {
            Order::Rows => panels::<T, false>(out, n, a, b, depth, accumulate),
            Order::Columns => panels::<T, true>(out, n, a, b, depth, accumulate),
        },
    );
}

#[inline(always)]
fn panels<T: Real, const BY_COLUMNS: bool>(
    out: &mut [T],
    n: usize,
    a: &[T],
    b: &[T],
    depth: usize,
    accumulate: bool,
) {
    for (panel, b) in b.chunks_exact(WIDTH * depth).enumerate() {
        let first = panel * WIDTH;
        let columns = WIDTH.min(n - first);
        for (a, out) in a.chunks_exact(ROWS * DEPTH).zip(out.chunks_mut(ROWS * n)) {
            let sums = tile::<T, BY_COLUMNS>(a, b, depth);
            for (sums, out) in sums.iter().zip(out.chunks_exact_mut(n)) {
                // A constant length first: a variable one would keep the sums out of registers.
                if columns == WIDTH {
                    let (left, right) = out[first..][..WIDTH].split_at_mut(LANES);
                    store(left, sums[0], accumulate);
                    store(right, sums[1], accumulate);
                } else {
                    for (out, &sum) in out[first..].iter_mut().zip(sums.as_flattened()).take(columns) {
                        *out = if accumulate { *out + sum } else { sum };
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn tile<T: Real, const BY_COLUMNS: bool>(a: &[T], b: &[T], depth: usize) -> Sums<T> {
    assert!(
        a.len() >= ROWS * DEPTH && depth <= DEPTH && b.len() >= depth * WIDTH,
        "a tile leaves its factors"
    );
    let mut sums = [[[T::zero(); LANES]; 2]; ROWS];
    let whole = depth / TURN * TURN;
    for k in (0..whole).step_by(TURN) {
        for i in 0..TURN {
            // SAFETY: k + i < depth, and the assertion above shows that both factors reach as far.
            unsafe { step::<T, BY_COLUMNS>(a, b, k + i, &mut sums) };
        }
    }
    for k in whole..depth {
        // SAFETY: as above.
        unsafe { step::<T, BY_COLUMNS>(a, b, k, &mut sums) };
    }
    sums
}

/// Adds the products of inner entry k to all sums.
///
/// # Safety
/// `a` must be a whole tile of more than k columns, `b` must reach to the end of row k.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "iterators here double the time: the sums leave their registers"
)]
unsafe fn step<T: Real, const BY_COLUMNS: bool>(a: &[T], b: &[T], k: usize, sums: &mut Sums<T>) {
    // SAFETY: the caller's promise.
    let b: [[T; LANES]; 2] = unsafe { b.as_ptr().add(k * WIDTH).cast::<[[T; LANES]; 2]>().read() };
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let factor = unsafe { *a.get_unchecked(if BY_COLUMNS { k * ROWS + r } else { r * DEPTH + k }) };
        for h in 0..2 {
            sums[h] = from_fn(
                #[inline(always)]
                |l| factor.mul_add(b[h][l], sums[h][l]),
            );
        }
    }
}

#[inline(always)]
fn store<T: Real>(out: &mut [T], sums: [T; LANES], accumulate: bool) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = if accumulate { *out + sum } else { sum };
    }
}
