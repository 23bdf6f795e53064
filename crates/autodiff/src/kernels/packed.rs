//! Matrix products of two factors that are copied into the order in which registers read them (Goto & van de Geijn 2008).
//!
//! One factor goes into panels, once for all threads. The other is copied by the thread that multiplies it, a block of
//! rows at a time, which stays in the second cache. Either factor may be the one in panels: what is copied as it lies
//! costs less than what has to be turned round.

use rayon::prelude::*;

use super::Real;
use super::matrix::Matrix;
use super::scratch::with_buffer;
use super::tile::{DEPTH, Order, ROWS, WIDTH, add_rows};

/// Entries of panels that are packed before they are multiplied.
const STAGE: usize = 1 << 20;
/// Rows that one task multiplies: many where there are many.
const FEW_ROWS: usize = 24;
const MANY_ROWS: usize = 48;
/// Panels that one task packs.
const PANELS: usize = 8;
/// Entries that are read in one piece where a factor is turned round.
const FEW: usize = 8;
/// What an entry costs that is turned round, where one copied as it lies costs 1.
const TURN: usize = 4;

/// out = lhs rhs, or out += lhs rhs: out [m, n] row-major, lhs [m, k], rhs [k, n]; in parallel if wanted, which does not
/// change digits.
pub(super) fn multiply_packed<T: Real>(
    out: &mut [T],
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    accumulate: bool,
    parallel: bool,
) {
    // Rows are copied as they lie in either order; panels must have their columns side by side.
    let cost = |lies: bool, entries: usize| if lies { entries } else { TURN * entries };
    let rows = m * k + cost(rhs.column_stride == 1, n * k);
    let columns = n * k + cost(lhs.row_stride == 1, m * k) + TURN * m * n;
    if rows <= columns {
        return by_panels(out, [m, n, k], lhs, rhs, accumulate, parallel);
    }
    with_buffer(m * n, |turned| {
        by_panels(turned, [n, m, k], rhs.transposed(), lhs.transposed(), false, parallel);
        in_blocks(out, ROWS * n, parallel, |i, out| {
            turn(out, n, &turned[i * ROWS..], m, accumulate);
        });
    });
}

/// Writes or adds a matrix whose columns lie `stride` entries apart to some rows.
fn turn<T: Real>(out: &mut [T], n: usize, turned: &[T], stride: usize, accumulate: bool) {
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        let column = turned[row..].iter().step_by(stride);
        if accumulate {
            out.iter_mut().zip(column).for_each(|(o, &x)| *o += x);
        } else {
            out.iter_mut().zip(column).for_each(|(o, &x)| *o = x);
        }
    }
}

/// The same with `rhs` in panels.
fn by_panels<T: Real>(
    out: &mut [T],
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    accumulate: bool,
    parallel: bool,
) {
    let padded = n.next_multiple_of(WIDTH);
    let stage = (STAGE / padded / DEPTH).max(1) * DEPTH;
    let rows = if m < 8 * MANY_ROWS { FEW_ROWS } else { MANY_ROWS };
    for start in (0..k).step_by(stage) {
        let depth = stage.min(k - start);
        with_buffer(padded * depth, |packed| {
            let rhs = rhs.skip_rows(start);
            in_blocks(packed, padded * DEPTH, parallel, |i, packed| {
                pack_panels(packed, packed.len() / padded, n, rhs.skip_rows(i * DEPTH), parallel);
            });
            in_blocks(out, rows * n, parallel, |i, out| {
                let lhs = lhs.skip_rows(i * rows).skip_columns(start);
                multiply_rows(out, n, lhs, packed, padded, accumulate || start > 0);
            });
        });
    }
}

/// Some rows of the result, for all of the inner entries that are packed.
fn multiply_rows<T: Real>(
    out: &mut [T],
    n: usize,
    lhs: Matrix<'_, T>,
    packed: &[T],
    padded: usize,
    accumulate: bool,
) {
    let rows = out.len() / n;
    with_buffer(rows.next_multiple_of(ROWS) * DEPTH, |block| {
        for (nth, panels) in packed.chunks(padded * DEPTH).enumerate() {
            let depth = panels.len() / padded;
            let lhs = lhs.skip_columns(nth * DEPTH);
            // Rows that are not there are multiplied, too, but not read: they must only be numbers of ordinary size.
            block[rows / ROWS * ROWS * DEPTH..].fill(T::zero());
            let order = if lhs.column_stride == 1 { Order::Rows } else { Order::Columns };
            match order {
                Order::Rows => pack_rows(&mut block[..rows * DEPTH], depth, lhs),
                Order::Columns => pack_columns(block, rows, depth, lhs),
            }
            add_rows(out, n, (block, order), panels, depth, accumulate || nth > 0);
        }
    });
}

/// Rows of a factor that lie in one piece each, `DEPTH` entries from one to the next.
fn pack_rows<T: Real>(block: &mut [T], depth: usize, from: Matrix<'_, T>) {
    for (i, row) in block.chunks_exact_mut(DEPTH).enumerate() {
        row[..depth].copy_from_slice(&from.data[i * from.row_stride..][..depth]);
    }
}

/// Rows of any factor, column after column of as many as a tile has.
fn pack_columns<T: Real>(block: &mut [T], rows: usize, depth: usize, from: Matrix<'_, T>) {
    for k in 0..depth {
        let column = &from.data[k * from.column_stride..];
        for (i, tile) in block.chunks_exact_mut(ROWS * DEPTH).enumerate() {
            let to = &mut tile[k * ROWS..][..ROWS];
            let left = (rows - i * ROWS).min(ROWS);
            if from.row_stride == 1 && left == ROWS {
                to.copy_from_slice(&column[i * ROWS..][..ROWS]);
            } else {
                for (row, to) in to[..left].iter_mut().enumerate() {
                    *to = column[(i * ROWS + row) * from.row_stride];
                }
            }
        }
    }
}

/// `depth` rows of a factor with `n` columns, panel after panel.
fn pack_panels<T: Real>(packed: &mut [T], depth: usize, n: usize, from: Matrix<'_, T>, parallel: bool) {
    in_blocks(packed, PANELS * WIDTH * depth, parallel, |i, packed| {
        let first = i * PANELS * WIDTH;
        let whole = ((n - first) / WIDTH).min(PANELS);
        let (panels, edge) = packed.split_at_mut(whole * WIDTH * depth);
        let part = from.skip_columns(first);
        match (part.column_stride, part.row_stride) {
            _ if panels.is_empty() => {}
            (1, _) => copy(panels, depth, part),
            (_, 1) => turn_round(panels, depth, part),
            _ => panels.chunks_exact_mut(WIDTH * depth).enumerate().for_each(|(j, panel)| {
                gather(panel, WIDTH, part.skip_columns(j * WIDTH));
            }),
        }
        if !edge.is_empty() {
            let columns = n - first - whole * WIDTH;
            gather(edge, columns, part.skip_columns(whole * WIDTH));
        }
    });
}

/// Panels of a row-major matrix, row by row of all of them.
fn copy<T: Real>(panels: &mut [T], depth: usize, from: Matrix<'_, T>) {
    let columns = panels.len() / depth;
    for k in 0..depth {
        let row = &from.data[k * from.row_stride..][..columns];
        for (row, to) in row.chunks_exact(WIDTH).zip(panels[k * WIDTH..].chunks_mut(WIDTH * depth)) {
            to[..WIDTH].copy_from_slice(row);
        }
    }
}

/// Panels of a column-major matrix.
fn turn_round<T: Real>(panels: &mut [T], depth: usize, from: Matrix<'_, T>) {
    for (i, panel) in panels.chunks_exact_mut(WIDTH * depth).enumerate() {
        // A few rows at once, so that what is written stays in the first cache.
        for (j, rows) in panel.chunks_mut(FEW * WIDTH).enumerate() {
            for column in 0..WIDTH {
                let from = &from.data[(i * WIDTH + column) * from.column_stride + j * FEW..];
                if rows.len() == FEW * WIDTH {
                    for (row, &x) in from[..FEW].iter().enumerate() {
                        rows[row * WIDTH + column] = x;
                    }
                } else {
                    rows[column..].iter_mut().step_by(WIDTH).zip(from).for_each(|(to, &x)| *to = x);
                }
            }
        }
    }
}

/// A panel of any matrix, with zeros where it has fewer columns than it is wide.
fn gather<T: Real>(packed: &mut [T], columns: usize, from: Matrix<'_, T>) {
    for (k, row) in packed.chunks_exact_mut(WIDTH).enumerate() {
        row.fill(T::zero());
        for (column, to) in row[..columns].iter_mut().enumerate() {
            *to = from.data[k * from.row_stride + column * from.column_stride];
        }
    }
}

/// Works on pieces of `size` entries and the last, shorter one, with their numbers.
fn in_blocks<T: Real>(out: &mut [T], size: usize, parallel: bool, work: impl Fn(usize, &mut [T]) + Sync) {
    if parallel && out.len() > size {
        out.par_chunks_mut(size).enumerate().for_each(|(i, out)| work(i, out));
    } else {
        out.chunks_mut(size).enumerate().for_each(|(i, out)| work(i, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order of the factors, at sizes around those of tiles, panels and stages, whatever the processor at hand prefers.
    #[test]
    fn products_are_those_of_the_definition() {
        for [m, n, k] in [[1, 1, 1], [6, 16, 4], [7, 17, 5], [50, 33, 257], [100, 70, 513], [300, 40, 31]] {
            let [a, b] = [m * k, k * n]
                .map(|length| -> Vec<f64> { (0..length).map(|i| ((7 * i) % 23) as f64 - 11.0).collect() });
            for (turned, accumulate) in (0..4).flat_map(|turned| [(turned, false), (turned, true)]) {
                let lhs = if turned % 2 == 0 {
                    Matrix::rows_of(&a, k)
                } else {
                    Matrix::rows_of(&a, m).transposed()
                };
                let rhs =
                    if turned < 2 { Matrix::rows_of(&b, n) } else { Matrix::rows_of(&b, k).transposed() };
                let mut found = vec![2.0; m * n];
                multiply_packed(&mut found, [m, n, k], lhs, rhs, accumulate, true);
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let entry = |x: Matrix<'_, f64>, row, column| {
                        x.data[row * x.row_stride + column * x.column_stride]
                    };
                    let expected: f64 = (0..k).map(|l| entry(lhs, i, l) * entry(rhs, l, j)).sum();
                    let expected = expected + if accumulate { 2.0 } else { 0.0 };
                    // Sums of whole numbers are exact.
                    assert_eq!(found[i * n + j].to_bits(), expected.to_bits());
                }
            }
        }
    }
}
