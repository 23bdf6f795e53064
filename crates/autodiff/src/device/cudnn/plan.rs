//! How cuDNN computes one map of a convolution of one shape.

use candle_core::DType;
use std::ffi::{c_int, c_void};

use super::Map;
use super::functions::{Candidate, Functions, Opaque};
use crate::kernels::convolution::Geometry;

/// Bytes that an algorithm may work in: 1 GiB.
const ROOM: usize = 1 << 30;
/// More algorithms than there are.
const CANDIDATES: usize = 16;
const CHANNELS_LAST: c_int = 1;
/// What machine learning calls a convolution.
const CROSS_CORRELATION: c_int = 1;
const DETERMINISTIC: c_int = 1;
/// TensorFloat-32 where the card has it.
const ANY_MATHEMATICS: c_int = 0;
/// Every product in full.
const FULL_MATHEMATICS: c_int = 3;

/// Why cuDNN does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not this shape, or not without sums in random order: there is another way.
    Shape,
    /// It failed, with this status.
    Failure(c_int),
}

/// A status as a result. `CUDNN_STATUS_BAD_PARAM`, `_ARCH_MISMATCH` and `_NOT_SUPPORTED` with all its kinds, in the numbers of version 8
/// and of version 9, are about the shape.
fn accepted(status: c_int) -> Result<(), Refusal> {
    match status {
        0 => Ok(()),
        3 | 6 | 9 | 2000..4000 => Err(Refusal::Shape),
        other => Err(Refusal::Failure(other)),
    }
}

/// Descriptors, an algorithm and the memory it wants. Plans are kept as long as the program runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    map: Map,
    x: Opaque,
    w: Opaque,
    y: Opaque,
    convolution: Opaque,
    algorithm: c_int,
    double: bool,
    pub(super) room: usize,
}

// SAFETY: descriptors belong to no thread, and are only read once they are made.
unsafe impl Send for Plan {}

impl Plan {
    /// Chooses the fastest algorithm, by cuDNN's own estimate and not by trying, whose sums have a fixed order. `handle` is cuDNN's.
    pub(super) fn new(
        functions: &Functions,
        handle: Opaque,
        map: Map,
        geometry: &Geometry,
        dtype: DType,
        reduced: bool,
    ) -> Result<Self, Refusal> {
        let double = dtype == DType::F64;
        let kind = c_int::from(double);
        let g = Sizes::of(geometry)?;
        let made = |make: unsafe extern "C" fn(*mut Opaque) -> c_int| {
            let mut descriptor = std::ptr::null_mut();
            // SAFETY: a place for the answer.
            accepted(unsafe { make(&raw mut descriptor) }).map(|()| descriptor)
        };
        let f = functions;
        let [x, y] = [made(f.create_tensor)?, made(f.create_tensor)?];
        let (w, convolution) = (made(f.create_filter)?, made(f.create_convolution)?);
        let mathematics = if double || reduced { ANY_MATHEMATICS } else { FULL_MATHEMATICS };
        // SAFETY: descriptors of the kinds that these functions set.
        unsafe {
            let [n, c, height, width] = g.x;
            accepted((f.set_tensor)(x, CHANNELS_LAST, kind, n, c, height, width))?;
            let [n, c, height, width] = g.y;
            accepted((f.set_tensor)(y, CHANNELS_LAST, kind, n, c, height, width))?;
            let [out, per_group, height, width] = g.w;
            accepted((f.set_filter)(w, kind, CHANNELS_LAST, out, per_group, height, width))?;
            let ([py, px], [sy, sx], [dy, dx]) = (g.padding, g.stride, g.dilation);
            accepted((f.set_convolution)(convolution, py, px, sy, sx, dy, dx, CROSS_CORRELATION, kind))?;
            accepted((f.set_groups)(convolution, g.groups))?;
            accepted((f.set_mathematics)(convolution, mathematics))?;
        }
        let mut found = [Candidate::default(); CANDIDATES];
        let (mut count, list) = (0, found.as_mut_ptr());
        let most = CANDIDATES as c_int;
        let (candidates, first, second, written) = match map {
            Map::Forward => (f.forward_candidates, x, w, y),
            Map::InputAdjoint => (f.input_candidates, w, y, x),
            Map::WeightAdjoint => (f.weight_candidates, x, y, w),
        };
        // SAFETY: all descriptors are set, and the list has room for as many entries as it says.
        accepted(unsafe {
            candidates(handle, first, second, convolution, written, most, &raw mut count, list)
        })?;
        let usable = |c: &&Candidate| c.status == 0 && c.determinism == DETERMINISTIC && c.memory <= ROOM;
        let chosen = found.iter().take(count.max(0) as usize).find(usable).ok_or(Refusal::Shape)?;
        Ok(Self { map, x, w, y, convolution, algorithm: chosen.algorithm, double, room: chosen.memory })
    }

    /// result = map(left, right), or result += map(left, right), on the device: (x, w), (y, w) or (x, y), as the map says.
    ///
    /// # Safety
    ///
    /// The addresses are of memory of the plan's shapes on the handle's device, `room` of as many bytes as the plan wants.
    pub(super) unsafe fn run(
        &self,
        functions: &Functions,
        handle: Opaque,
        [left, right]: [u64; 2],
        result: u64,
        room: u64,
        add: bool,
    ) -> Result<(), Refusal> {
        let (f, kept) = (functions, if add { 1.0 } else { 0.0 });
        let (double, single) = ([1.0_f64, kept], [1.0_f32, kept as f32]);
        let [one, kept] = [0, 1].map(|i: usize| {
            if self.double { (&raw const double[i]).cast::<c_void>() } else { (&raw const single[i]).cast() }
        });
        let (left, right) = (left as *const c_void, right as *const c_void);
        let (result, room) = (result as Opaque, room as Opaque);
        let &Self { x, w, y, convolution, algorithm, room: bytes, .. } = self;
        // cuDNN's three functions differ in their names, and in what comes first.
        let (call, first, second, written) = match self.map {
            Map::Forward => (f.forward, (x, left), (w, right), y),
            Map::InputAdjoint => (f.input_adjoint, (w, right), (y, left), x),
            Map::WeightAdjoint => (f.weight_adjoint, (x, left), (y, right), w),
        };
        // SAFETY: as the caller promises.
        accepted(unsafe {
            call(
                handle,
                one,
                first.0,
                first.1,
                second.0,
                second.1,
                convolution,
                algorithm,
                room,
                bytes,
                kept,
                written,
                result,
            )
        })
    }
}

/// A geometry in C's numbers; shapes in the order n, c, h, w.
struct Sizes {
    x: [c_int; 4],
    y: [c_int; 4],
    w: [c_int; 4],
    padding: [c_int; 2],
    stride: [c_int; 2],
    dilation: [c_int; 2],
    groups: c_int,
}

impl Sizes {
    fn of(g: &Geometry) -> Result<Self, Refusal> {
        let number = |n: usize| c_int::try_from(n).map_err(|_| Refusal::Shape);
        let two = |[a, b]: [usize; 2]| Ok([number(a)?, number(b)?]);
        let four =
            |n: usize, c: usize, [h, w]: [usize; 2]| Ok([number(n)?, number(c)?, number(h)?, number(w)?]);
        Ok(Self {
            x: four(g.batch, g.in_channels, g.input)?,
            y: four(g.batch, g.out_channels, g.output())?,
            w: four(g.out_channels, g.in_channels / g.groups, g.kernel)?,
            padding: two(g.padding)?,
            stride: two(g.stride)?,
            dilation: two(g.dilation)?,
            groups: number(g.groups)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_about_shapes_are_told_from_failures() {
        assert_eq!(accepted(0), Ok(()));
        for about_shapes in [3, 9, 2000, 2002, 3000, 3014] {
            assert_eq!(accepted(about_shapes), Err(Refusal::Shape), "{about_shapes}");
        }
        for failure in [1, 4, 8, 1001, 4000, 5000] {
            assert_eq!(accepted(failure), Err(Refusal::Failure(failure)));
        }
    }
}
