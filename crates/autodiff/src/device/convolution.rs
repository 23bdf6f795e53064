//! The three maps of a convolution, by unfolding images into rows of taps and multiplying matrices; by cuDNN where it is
//! compiled in and takes the shape.
//!
//! Images are contiguous [n, h, w, c], weights as PyTorch has them. A sum over pairs is one product of longer rows: the
//! taps of all pairs stand side by side, and so do their weights. Groups are a batch of products.

use candle_core::{DType, Tensor};

#[cfg(any(feature = "cudnn", all(test, unix)))]
use super::cudnn::{self, Map};
use super::{Call, matmul};
use crate::Result;
use crate::kernels::convolution::Geometry;

/// Entries of unfolded images that are in memory at once: 1 GiB in single precision.
const LIMIT: usize = 1 << 28;

/// y = sum of x * w over the pairs (x, w).
pub(crate) fn forward(geometry: &Geometry, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    #[cfg(any(feature = "cudnn", all(test, unix)))]
    if let Some(result) = cudnn::convolve(Map::Forward, geometry, pairs)? {
        return Ok(result);
    }
    // [groups, pairs taps, channels out]
    let weights =
        pairs.iter().map(|(_, w)| by_taps(geometry, w)?.transpose(1, 2)?.contiguous().map_err(Into::into));
    let weights = Tensor::cat(&weights.collect::<Result<Vec<_>>>()?, 1)?;
    in_chunks(geometry, pairs, |part, pairs| {
        let images: Vec<_> = pairs.iter().map(|(x, _)| x).collect();
        let rows = unfolded(part, &images)?;
        let (groups, pixels) = (rows.dims()[0], rows.dims()[1]);
        let rows = rows.reshape((groups, pixels, ()))?;
        side_by_side(part, &matmul::product(&rows, &weights, &[groups])?)
    })
}

/// x = sum of the adjoint in x over the pairs (y, w).
pub(crate) fn input_adjoint(geometry: &Geometry, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    #[cfg(any(feature = "cudnn", all(test, unix)))]
    if let Some(result) = cudnn::convolve(Map::InputAdjoint, geometry, pairs)? {
        return Ok(result);
    }
    // [groups, pairs channels out, taps]
    let weights = pairs.iter().map(|(_, w)| by_taps(geometry, w)).collect::<Result<Vec<_>>>()?;
    let weights = Tensor::cat(&weights, 1)?;
    in_chunks(geometry, pairs, |part, pairs| {
        let cotangents = by_group(part, pairs)?;
        let (groups, pixels) = (cotangents.dims()[0], cotangents.dims()[1]);
        let cotangents = cotangents.reshape((groups, pixels, ()))?;
        folded(part, &matmul::product(&cotangents, &weights, &[groups])?)
    })
}

/// w = sum of the adjoint in w over the pairs (x, y).
pub(crate) fn weight_adjoint(geometry: &Geometry, pairs: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    #[cfg(any(feature = "cudnn", all(test, unix)))]
    if let Some(result) = cudnn::convolve(Map::WeightAdjoint, geometry, pairs)? {
        return Ok(result);
    }
    let mut sum = None;
    for (start, part) in chunks(geometry, pairs.len()) {
        let pairs = pairs
            .iter()
            .map(|(x, y)| Ok((x.narrow(0, start, part.batch)?, y.narrow(0, start, part.batch)?)))
            .collect::<Result<Vec<_>>>()?;
        let images: Vec<_> = pairs.iter().map(|(x, _)| x).collect();
        let rows = unfolded(&part, &images)?;
        let pairs: Vec<_> = pairs.iter().map(|(_, y)| (y.clone(), ())).collect();
        let cotangents = by_group(&part, &pairs)?;
        // A row for every pixel of every pair.
        let (groups, taps, channels) = (rows.dims()[0], rows.dims()[3], cotangents.dims()[3]);
        let (rows, cotangents) =
            (rows.reshape((groups, (), taps))?, cotangents.reshape((groups, (), channels))?);
        crate::pointwise::add(&mut sum, matmul::product(&cotangents.transpose(1, 2)?, &rows, &[groups])?)?;
    }
    let [h, w] = geometry.kernel;
    let per_group = geometry.in_channels / geometry.groups;
    let shape = (geometry.out_channels, per_group, h, w);
    match sum {
        Some(sum) => {
            let taps_last = sum.reshape((geometry.out_channels, h * w, per_group))?;
            Ok(taps_last.transpose(1, 2)?.contiguous()?.reshape(shape)?)
        }
        None => Ok(Tensor::zeros(shape, pairs[0].0.dtype(), pairs[0].0.device())?),
    }
}

/// A map's value for all images, computed for as many at a time as may be unfolded; the pairs' first tensors are cut.
fn in_chunks<'a>(
    geometry: &Geometry,
    pairs: &[(&Tensor, &'a Tensor)],
    map: impl Fn(&Geometry, &[(Tensor, &'a Tensor)]) -> Result<Tensor>,
) -> Result<Tensor> {
    let parts = chunks(geometry, pairs.len())
        .map(|(start, part)| {
            let cut = |(x, w): &(&Tensor, &'a Tensor)| Ok((x.narrow(0, start, part.batch)?, *w));
            map(&part, &pairs.iter().map(cut).collect::<Result<Vec<_>>>()?)
        })
        .collect::<Result<Vec<_>>>()?;
    if parts.len() == 1 { Ok(parts[0].clone()) } else { Ok(Tensor::cat(&parts, 0)?) }
}

/// The first image of every chunk, and the chunk's sizes.
fn chunks(geometry: &Geometry, pairs: usize) -> impl Iterator<Item = (usize, Geometry)> {
    let [rows, columns] = geometry.output();
    let [h, w] = geometry.kernel;
    let of_one = rows * columns * geometry.in_channels * h * w * pairs;
    let (whole, images) = (*geometry, (limit() / of_one.max(1)).max(1));
    (0..whole.batch.max(1))
        .step_by(images)
        .map(move |start| (start, Geometry { batch: images.min(whole.batch - start), ..whole }))
}

/// Weights [out, in / groups, kh, kw] as [groups, out / groups, taps], taps in the order of rows.
fn by_taps(geometry: &Geometry, w: &Tensor) -> Result<Tensor> {
    let [h, width] = geometry.kernel;
    let groups = geometry.groups;
    let per_channel = w.reshape((geometry.out_channels, geometry.in_channels / groups, h * width))?;
    let taps_last = per_channel.transpose(1, 2)?.contiguous()?;
    Ok(taps_last.reshape((groups, geometry.out_channels / groups, ()))?)
}

/// The rows of taps of these images: [groups, pixels, pairs, taps].
fn unfolded(geometry: &Geometry, images: &[&Tensor]) -> Result<Tensor> {
    let [rows, columns] = geometry.output();
    let [h, w] = geometry.kernel;
    let groups = geometry.groups;
    let shape =
        [groups, geometry.batch * rows * columns, images.len(), geometry.in_channels / groups * h * w];
    if geometry.is_pointwise() && groups == 1 && images.len() == 1 {
        return Ok(images[0].reshape(shape.as_slice())?);
    }
    // Where products round their factors, half as many bytes are to be unfolded.
    let images = images.iter().map(|image| matmul::as_multiplied(image)).collect::<Result<Vec<_>>>()?;
    let images: Vec<&Tensor> = images.iter().collect();
    let real = images[0].dtype();
    let call = Call {
        module: if real == DType::BF16 { "moves" } else { "kernels" },
        kernel: "unfold",
        inputs: &images,
        shape: &shape,
        outputs: &[real],
        sizes: &sizes(geometry, images.len()),
        numbers: &[],
        threads: 0,
    };
    call.one(real)
}

/// The adjoint of [`unfolded`] for one pair: images [n, h, w, c] from rows [groups, pixels, taps].
fn folded(geometry: &Geometry, rows: &Tensor) -> Result<Tensor> {
    let [h, w] = geometry.input;
    let shape = [geometry.batch, h, w, geometry.in_channels];
    if geometry.is_pointwise() && geometry.groups == 1 {
        return Ok(rows.reshape(shape.as_slice())?);
    }
    let call = Call {
        module: "kernels",
        kernel: "fold",
        inputs: &[rows],
        shape: &shape,
        outputs: &[rows.dtype()],
        sizes: &sizes(geometry, 1),
        numbers: &[],
        threads: 0,
    };
    call.one(rows.dtype())
}

/// What `unfold` and `fold` want to know.
fn sizes(geometry: &Geometry, pairs: usize) -> [usize; 16] {
    let Geometry { batch, groups, in_channels, input, kernel, stride, padding, dilation, .. } = *geometry;
    let [rows, columns] = geometry.output();
    [
        groups,
        in_channels,
        input[0],
        input[1],
        kernel[0],
        kernel[1],
        stride[0],
        stride[1],
        padding[0],
        padding[1],
        dilation[0],
        dilation[1],
        rows,
        columns,
        pairs,
        batch,
    ]
}

/// The output images of all pairs as [groups, pixels, pairs, channels of a group].
fn by_group<W>(geometry: &Geometry, pairs: &[(Tensor, W)]) -> Result<Tensor> {
    let [rows, columns] = geometry.output();
    let (pixels, groups) = (geometry.batch * rows * columns, geometry.groups);
    let flat = pairs.iter().map(|(y, _)| y.reshape((pixels, geometry.out_channels)));
    let flat = flat.collect::<candle_core::Result<Vec<_>>>()?;
    let joined = if flat.len() == 1 { flat[0].clone() } else { Tensor::cat(&flat, 1)? };
    let joined = joined.reshape((pixels, pairs.len(), groups, geometry.out_channels / groups))?;
    if groups == 1 {
        return Ok(joined.reshape((1, pixels, pairs.len(), geometry.out_channels))?);
    }
    Ok(joined.permute((2, 0, 1, 3))?.contiguous()?)
}

/// Output images [n, rows, columns, channels] from [groups, pixels, channels of a group].
fn side_by_side(geometry: &Geometry, y: &Tensor) -> Result<Tensor> {
    let [rows, columns] = geometry.output();
    let shape = (geometry.batch, rows, columns, geometry.out_channels);
    if geometry.groups == 1 {
        Ok(y.reshape(shape)?)
    } else {
        Ok(y.transpose(0, 1)?.contiguous()?.reshape(shape)?)
    }
}

/// [`LIMIT`], or little where a test wants several chunks.
fn limit() -> usize {
    #[cfg(all(test, unix))]
    if super::emulated::is_on() {
        return 1 << 15;
    }
    LIMIT
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::device::emulated::{on_the_device, with_precision};
    use crate::device::precision::Precision;
    use candle_core::Device;

    type Map = fn(&Geometry, &[(&Tensor, &Tensor)]) -> Result<Tensor>;

    #[test]
    fn convolutions_in_bf16_are_those_of_rounded_images_and_weights() {
        let geometry = Geometry::new(2, 2, 4, 6, [5, 6], [3, 2], [2, 1], [1, 0], [1, 2]).expect("sizes");
        let [rows, columns] = geometry.output();
        let tensor = |seed: f32, shape: &[usize]| {
            let entries: Vec<f32> =
                (0..shape.iter().product()).map(|k| (seed + k as f32 * 0.7311).sin()).collect();
            Tensor::from_vec(entries, shape, &Device::Cpu).expect("a tensor")
        };
        let rounded =
            |t: &Tensor| t.to_dtype(DType::BF16).and_then(|t| t.to_dtype(DType::F64)).expect("a tensor");
        let (x, w) = (tensor(0.1, &[2, 5, 6, 4]), tensor(0.2, &[6, 2, 3, 2]));
        let y = tensor(0.3, &[2, rows, columns, 6]);
        let maps: [(Map, &Tensor, &Tensor); 3] =
            [(forward, &x, &w), (input_adjoint, &y, &w), (weight_adjoint, &x, &y)];
        for (nth, (map, a, b)) in maps.into_iter().enumerate() {
            let (found, launched) =
                with_precision(Precision::Bf16, || on_the_device(|| map(&geometry, &[(a, b), (a, b)])));
            let (a, b) = (rounded(a), rounded(b));
            let exact = on_the_device(|| map(&geometry, &[(&a, &b), (&a, &b)])).0.expect("a result");
            let found = found.and_then(|found| Ok(found.to_dtype(DType::F64)?)).expect("a result");
            let error =
                (found - exact).and_then(|e| e.abs()?.max_all()?.to_scalar::<f64>()).expect("a number");
            assert!(error < 3e-5, "map {nth} is off by {error:.1e}");
            assert_eq!(launched.contains("unfold_bf16"), nth != 1, "{launched:?}");
        }
    }
}
