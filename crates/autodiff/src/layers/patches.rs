//! Images as rows of patches.

use rayon::prelude::*;

use crate::kernels::convolution::Geometry;

/// A row for every output pixel of images [.., channels, height, width]: (channel, kernel row, kernel column), zeros in the
/// border, and a last 1 where asked for.
pub(super) fn unfold(geometry: &Geometry, images: &[f64], ones: bool) -> Vec<f64> {
    let ([height, width], [kh, kw]) = (geometry.input, geometry.kernel);
    let [rows, columns] = geometry.output();
    let (channels, taps) = (geometry.in_channels, geometry.in_channels * kh * kw);
    let length = taps + usize::from(ones);
    let image = channels * height * width;
    let mut out = vec![0.0; images.len() / image * rows * columns * length];
    out.par_chunks_mut(rows * columns * length).zip(images.par_chunks(image)).for_each(|(out, image)| {
        for (pixel, row) in out.chunks_exact_mut(length).enumerate() {
            let top = pixel / columns * geometry.stride[0];
            let left = pixel % columns * geometry.stride[1];
            for (tap, entry) in row[..taps].iter_mut().enumerate() {
                let (channel, ky, kx) = (tap / (kh * kw), tap / kw % kh, tap % kw);
                // Beyond the upper and left border the subtraction fails, beyond the others the comparison.
                let y = (top + ky * geometry.dilation[0]).checked_sub(geometry.padding[0]);
                let x = (left + kx * geometry.dilation[1]).checked_sub(geometry.padding[1]);
                if let (Some(y), Some(x)) = (y.filter(|y| *y < height), x.filter(|x| *x < width)) {
                    *entry = image[(channel * height + y) * width + x];
                }
            }
            if ones {
                row[taps] = 1.0;
            }
        }
    });
    out
}
