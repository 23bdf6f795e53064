//! Maxima and means over windows of a plane; inputs are runs of planes [h, w].

use rayon::prelude::*;

use super::{Real, SERIAL};

/// Half-open ranges of rows and of columns; every pair of them is a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) rows: Vec<(usize, usize)>,
    pub(crate) columns: Vec<(usize, usize)>,
}

impl Windows {
    fn count(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    fn each(&self) -> impl Iterator<Item = ((usize, usize), (usize, usize))> {
        self.rows.iter().flat_map(|&r| self.columns.iter().map(move |&c| (r, c)))
    }
}

/// Calls `f(plane, output plane)` for every plane.
fn by_plane<A: Sync, B: Send>(
    x: &[A],
    plane: usize,
    out: &mut [B],
    out_plane: usize,
    f: impl Fn(&[A], &mut [B]) + Sync,
) {
    if plane == 0 || out_plane == 0 {
        return;
    }
    if x.len().max(out.len()) < SERIAL {
        x.chunks_exact(plane).zip(out.chunks_exact_mut(out_plane)).for_each(|(x, out)| f(x, out));
    } else {
        x.par_chunks_exact(plane).zip(out.par_chunks_exact_mut(out_plane)).for_each(|(x, out)| f(x, out));
    }
}

/// The place in its plane of every window's first maximum.
pub(crate) fn first_maximum<T: Real>(windows: &Windows, [h, w]: [usize; 2], x: &[T]) -> Vec<u32> {
    let planes = x.len() / (h * w).max(1);
    let mut out = vec![0; planes * windows.count()];
    by_plane(x, h * w, &mut out, windows.count(), |x, out| {
        for ((rows, columns), out) in windows.each().zip(out) {
            let mut best = rows.0 * w + columns.0;
            for row in rows.0..rows.1 {
                for at in row * w + columns.0..row * w + columns.1 {
                    // A NaN wins, as in PyTorch: it must not get lost.
                    if x[at] > x[best] || x[at].is_nan() {
                        best = at;
                    }
                }
            }
            *out = best as u32;
        }
    });
    out
}

/// `out[i] = x[chosen[i]]`, plane by plane.
pub(crate) fn select<T: Real>([h, w]: [usize; 2], x: &[T], chosen: &[u32], out: &mut [T]) {
    let per_plane = chosen.len() * h * w / x.len().max(1);
    if per_plane == 0 {
        return;
    }
    let planes =
        x.chunks_exact(h * w).zip(chosen.chunks_exact(per_plane)).zip(out.chunks_exact_mut(per_plane));
    for ((x, chosen), out) in planes {
        out.iter_mut().zip(chosen).for_each(|(o, &at)| *o = x[at as usize]);
    }
}

/// `out[chosen[i]] += g[i]`, plane by plane.
pub(crate) fn scatter_add<T: Real>([h, w]: [usize; 2], g: &[T], chosen: &[u32], out: &mut [T]) {
    let per_plane = g.len() * h * w / out.len().max(1);
    if per_plane == 0 {
        return;
    }
    let planes =
        g.chunks_exact(per_plane).zip(chosen.chunks_exact(per_plane)).zip(out.chunks_exact_mut(h * w));
    for ((g, chosen), out) in planes {
        g.iter().zip(chosen).for_each(|(&g, &at)| out[at as usize] += g);
    }
}

/// The sum of every window over its divisor.
pub(crate) fn average<T: Real>(
    windows: &Windows,
    [h, w]: [usize; 2],
    divisors: &[f64],
    x: &[T],
    out: &mut [T],
) {
    by_plane(x, h * w, out, windows.count(), |x, out| {
        for (((rows, columns), out), divisor) in windows.each().zip(out).zip(divisors) {
            let sum: f64 = (rows.0..rows.1)
                .map(|row| x[row * w + columns.0..row * w + columns.1].iter().map(|&x| x.into()).sum::<f64>())
                .sum();
            *out = T::round_from(sum / divisor);
        }
    });
}

/// The adjoint of [`average`].
pub(crate) fn average_adjoint<T: Real>(
    windows: &Windows,
    [h, w]: [usize; 2],
    divisors: &[f64],
    g: &[T],
    out: &mut [T],
) {
    by_plane(g, windows.count(), out, h * w, |g, out| {
        for (((rows, columns), &g), &divisor) in windows.each().zip(g).zip(divisors) {
            let part = T::round_from(g.into() / divisor);
            for row in rows.0..rows.1 {
                out[row * w + columns.0..row * w + columns.1].iter_mut().for_each(|o| *o += part);
            }
        }
    });
}
