//! Products of many small matrices with a factor that is packed once: out [rows, to] from a [rows, from] times b [from, to].
//!
//! For convolutions with few channels: a general product spends more on packing its factors than on multiplying. Here b
//! lies in panels of a few columns each, which the convolution's weights are written in once, and a is read where it lies.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{MOST, lanes, load, store};
use super::{Real, wide_registers};

/// Columns of a panel that is not a factor's last one: two of the widest registers.
pub(super) fn wide<T>() -> usize {
    let register = if wide_registers() { 64 } else { 32 };
    2 * register / size_of::<T>()
}

/// Rows whose sums fit into 16 registers together, with two a row, and those that fit with one or into 32.
const ROWS: usize = 6;
const MANY_ROWS: usize = 12;

/// Some columns of a factor, in as many as registers hold.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// The first column.
    pub(super) first: usize,
    /// Columns of the factor.
    pub(super) columns: usize,
    /// These and columns of zeros.
    pub(super) width: usize,
}

/// The panels of a factor with `to` columns: two registers wide as long as there are columns, then one.
pub(super) fn panels<T>(to: usize) -> impl Iterator<Item = Panel> {
    let wide = wide::<T>();
    (0..to).step_by(wide).map(move |first| {
        let left = to - first;
        let width = if left > wide / 2 { wide } else { wide / 2 };
        Panel { first, columns: width.min(left), width }
    })
}

/// Columns of all panels together.
pub(super) fn padded<T>(to: usize) -> usize {
    panels::<T>(to).map(|panel| panel.width).sum()
}

/// Where the rows of a factor lie: in strips, one after the other for the sum, but anywhere in memory.
#[derive(Clone, Copy)]
pub(super) struct Strips {
    pub(super) count: usize,
    /// Entries of a row in a strip.
    pub(super) length: usize,
    /// From one strip of a row to the next.
    pub(super) apart: usize,
    /// From one row to the next.
    pub(super) step: usize,
}

impl Strips {
    /// Row after row without gaps.
    pub(super) fn rows_of(length: usize) -> Self {
        Self { count: 1, length, apart: 0, step: length }
    }
}

/// The panel's columns of out = a b, or out += a b, for some rows: `out` starts at the panel's first column and has `stride`
/// entries a row, `b` has the panel alone, row after row.
pub(super) fn multiply<T: Real>(
    panel: Panel,
    rows: usize,
    (out, stride): (&mut [T], usize),
    (a, strips): (&[T], Strips),
    b: &[T],
    accumulate: bool,
) {
    Arch::new().dispatch(Product { panel, rows, out, stride, a, strips, b, accumulate });
}

struct Product<'a, T> {
    panel: Panel,
    rows: usize,
    out: &'a mut [T],
    stride: usize,
    a: &'a [T],
    strips: Strips,
    b: &'a [T],
    accumulate: bool,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.panel.width / lanes::<T, S>() {
            1 => self.by_rows::<S, 1>(simd, 0),
            2 => self.by_rows::<S, 2>(simd, 0),
            // Short registers (16 bytes on ARM): one after the other.
            many => (0..many).for_each(
                #[inline(always)]
                |nth| self.by_rows::<S, 1>(simd, nth * lanes::<T, S>()),
            ),
        }
    }
}

impl<T: Real> Product<'_, T> {
    /// `H` registers of the panel from a column on.
    #[inline(always)]
    fn by_rows<S: Simd, const H: usize>(&mut self, simd: S, first: usize) {
        let mut row = 0;
        // As many at a time as registers hold, then what is left.
        macro_rules! blocks {
            ($($at_once:expr),*) => {$(
                while self.rows - row >= $at_once {
                    self.block::<S, H, { $at_once }>(simd, row, first);
                    row += $at_once;
                }
            )*};
        }
        if H == 1 || size_of::<T::Register<S>>() == 64 {
            blocks!(MANY_ROWS);
        }
        blocks!(ROWS, 4, 2, 1);
    }

    /// `R` rows at once.
    #[inline(always)]
    fn block<S: Simd, const H: usize, const R: usize>(&mut self, simd: S, row: usize, first: usize) {
        let (strips, width, lanes) = (self.strips, self.panel.width, lanes::<T, S>());
        let mut sums = [[T::splat(simd, T::zero()); H]; R];
        for (nth, b) in self.b.chunks_exact(strips.length * width).enumerate().take(strips.count) {
            let from = &self.a[nth * strips.apart + row * strips.step..];
            assert!(
                from.len() >= (R - 1) * strips.step + strips.length && first + H * lanes <= width,
                "rows leave their factor"
            );
            let (from, b) = (from.as_ptr(), b[first..].as_ptr());
            for k in 0..strips.length {
                // SAFETY: row k of the panel is there, and so is entry k of the last row. (With a check in this loop the
                // sums would leave their registers.)
                unsafe {
                    let b = b.add(k * width).cast::<[T::Register<S>; H]>().read_unaligned();
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let factor = T::splat(simd, *from.add(r * strips.step + k));
                        for (sum, b) in sums.iter_mut().zip(b) {
                            *sum = T::multiply_add(simd, factor, b, *sum);
                        }
                    }
                }
            }
        }
        for (sums, out) in sums.iter().zip(self.out[row * self.stride..].chunks_mut(self.stride)) {
            for (h, &sum) in sums.iter().enumerate() {
                let first = first + h * lanes;
                let there = self.panel.columns.saturating_sub(first).min(lanes);
                write(simd, &mut out[first.min(self.panel.columns)..][..there], sum, self.accumulate);
            }
        }
    }
}

/// Writes the first entries of a register, or adds them.
#[inline(always)]
fn write<T: Real, S: Simd>(simd: S, out: &mut [T], sum: T::Register<S>, accumulate: bool) {
    if out.len() == lanes::<T, S>() {
        return store::<T, S>(if accumulate { T::sum(simd, load::<T, S>(out), sum) } else { sum }, out);
    }
    let mut entries = [T::zero(); MOST];
    store::<T, S>(sum, &mut entries);
    for (out, sum) in out.iter_mut().zip(entries) {
        *out = if accumulate { *out + sum } else { sum };
    }
}
