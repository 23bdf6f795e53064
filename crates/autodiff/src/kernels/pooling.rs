//! Maxima and means over windows of images that lie channels last, [n, h, w, c].

use rayon::prelude::*;

use super::{Real, SERIAL, vectorised};

/// Half-open ranges of rows and of columns; every pair of them is a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) rows: Vec<(usize, usize)>,
    pub(crate) columns: Vec<(usize, usize)>,
}

/// An image's size, and the windows over it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool<'a> {
    pub(crate) windows: &'a Windows,
    pub(crate) size: [usize; 2],
    pub(crate) channels: usize,
}

impl Pool<'_> {
    fn image(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    fn out_image(&self) -> usize {
        self.windows.rows.len() * self.windows.columns.len() * self.channels
    }

    /// Calls `visit(window's number, its entries' first channels)` for every window of an image.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        let mut nth = 0;
        for &(top, bottom) in &self.windows.rows {
            for &(left, right) in &self.windows.columns {
                let mut entries = (top..bottom)
                    .flat_map(|row| (left..right).map(move |column| (row, column)))
                    .map(|(row, column)| (row * self.size[1] + column) * self.channels);
                visit(nth, &mut entries);
                nth += 1;
            }
        }
    }
}

/// Calls `f(image, output image)` for every image.
fn by_image<A: Sync, B: Send>(
    (x, image): (&[A], usize),
    (out, out_image): (&mut [B], usize),
    f: impl Fn(&[A], &mut [B]) + Sync,
) {
    if image == 0 || out_image == 0 {
        return;
    }
    if x.len().max(out.len()) < SERIAL {
        x.chunks_exact(image).zip(out.chunks_exact_mut(out_image)).for_each(|(x, out)| f(x, out));
    } else {
        x.par_chunks_exact(image).zip(out.par_chunks_exact_mut(out_image)).for_each(|(x, out)| f(x, out));
    }
}

/// The place in its image of every window's first maximum.
pub(crate) fn first_maximum<T: Real>(pool: Pool<'_>, x: &[T]) -> Vec<u32> {
    let images = x.len() / pool.image().max(1);
    let mut out = vec![0; images * pool.out_image()];
    let channels = pool.channels;
    by_image((x, pool.image()), (&mut out, pool.out_image()), |x, out| {
        pool.each(|nth, entries| {
            let out = &mut out[nth * channels..][..channels];
            if let Some(first) = entries.next() {
                out.iter_mut().enumerate().for_each(|(c, o)| *o = (first + c) as u32);
            }
            for entry in entries {
                for (c, best) in out.iter_mut().enumerate() {
                    // A NaN wins, as in PyTorch: it must not get lost.
                    let here = x[entry + c];
                    if here > x[*best as usize] || here.is_nan() {
                        *best = (entry + c) as u32;
                    }
                }
            }
        });
    });
    out
}

/// `out[i] = x[chosen[i]]`, image by image.
pub(crate) fn select<T: Real>(pool: Pool<'_>, x: &[T], chosen: &[u32], out: &mut [T]) {
    let (image, out_image) = (pool.image().max(1), pool.out_image().max(1));
    let images =
        x.chunks_exact(image).zip(chosen.chunks_exact(out_image)).zip(out.chunks_exact_mut(out_image));
    for ((x, chosen), out) in images {
        out.iter_mut().zip(chosen).for_each(|(o, &at)| *o = x[at as usize]);
    }
}

/// `out[chosen[i]] += g[i]`, image by image.
pub(crate) fn scatter_add<T: Real>(pool: Pool<'_>, g: &[T], chosen: &[u32], out: &mut [T]) {
    let (image, out_image) = (pool.image().max(1), pool.out_image().max(1));
    let images =
        g.chunks_exact(out_image).zip(chosen.chunks_exact(out_image)).zip(out.chunks_exact_mut(image));
    for ((g, chosen), out) in images {
        g.iter().zip(chosen).for_each(|(&g, &at)| out[at as usize] += g);
    }
}

/// The sum of every window over its divisor.
pub(crate) fn average<T: Real>(pool: Pool<'_>, divisors: &[f64], x: &[T], out: &mut [T]) {
    let channels = pool.channels;
    by_image((x, pool.image()), (out, pool.out_image()), |x, out| {
        let mut sums = vec![0.0; channels];
        vectorised(
            #[inline(always)]
            || {
                pool.each(|nth, entries| {
                    sums.fill(0.0);
                    for entry in entries {
                        for (sum, &x) in sums.iter_mut().zip(&x[entry..]) {
                            *sum += x.into();
                        }
                    }
                    let out = &mut out[nth * channels..][..channels];
                    for (o, s) in out.iter_mut().zip(&sums) {
                        *o = T::round_from(s / divisors[nth]);
                    }
                });
            },
        );
    });
}

/// The adjoint of [`average`].
pub(crate) fn average_adjoint<T: Real>(pool: Pool<'_>, divisors: &[f64], g: &[T], out: &mut [T]) {
    let channels = pool.channels;
    by_image((g, pool.out_image()), (out, pool.image()), |g, out| {
        vectorised(
            #[inline(always)]
            || {
                pool.each(|nth, entries| {
                    let (share, g) = (T::round_from(1.0 / divisors[nth]), &g[nth * channels..][..channels]);
                    for entry in entries {
                        for (o, &g) in out[entry..entry + channels].iter_mut().zip(g) {
                            *o += g * share;
                        }
                    }
                });
            },
        );
    });
}
