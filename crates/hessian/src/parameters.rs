//! A point in parameter space: named tensors in one order, seen as one vector of R^n.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use globset::{Glob, GlobSetBuilder};
use relief_autodiff::vectors::pairwise;
use std::ops::Range;
use std::sync::Arc;

use crate::lanczos::vectors;
use crate::{Error, Result};

/// Named float tensors, sorted by name, all of one type on one device. Cheap to clone; never changed in place, so that a
/// displaced copy can be evaluated beside the original and nothing has to be restored afterwards.
#[derive(Debug, Clone)]
pub struct Parameters {
    names: Arc<[String]>,
    tensors: Vec<Tensor>,
    len: usize,
}

impl Parameters {
    /// Sorts the tensors by name. They must be floats of one type, and no name may occur twice.
    pub fn new(named: impl IntoIterator<Item = (String, Tensor)>) -> Result<Self> {
        let mut named: Vec<(String, Tensor)> = named.into_iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::Input(format!("two parameters are named `{}`: names must differ", pair[0].0)));
        }
        let Some((_, first)) = named.first() else {
            return Err(Error::Input(
                "there are no parameters: name at least one tensor to differentiate in".into(),
            ));
        };
        let dtype = first.dtype();
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(Error::Input(format!(
                "parameters are {dtype:?}, but products need f32 or f64: convert them"
            )));
        }
        if let Some((name, t)) = named.iter().find(|(_, t)| t.dtype() != dtype) {
            let found = t.dtype();
            return Err(Error::Input(format!(
                "parameter `{name}` is {found:?}, others are {dtype:?}: convert to one type"
            )));
        }
        let len = named.iter().map(|(_, t)| t.elem_count()).sum();
        let (names, tensors): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        let tensors = tensors.iter().map(Tensor::contiguous).collect::<Result<_, _>>()?;
        Ok(Self { names: names.into(), tensors, len })
    }

    /// Number of entries n of all tensors together.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one tensor")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The tensors, in the order of the names.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Names with tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.tensors)
    }

    /// The kind of number.
    pub fn dtype(&self) -> DType {
        self.tensors[0].dtype()
    }

    /// Where the tensors live.
    pub fn device(&self) -> &Device {
        self.tensors[0].device()
    }

    /// Where each tensor lies in the flat vector.
    pub fn ranges(&self) -> Vec<(&str, Range<usize>)> {
        let mut start = 0;
        self.iter()
            .map(|(name, t)| {
                let range = start..start + t.elem_count();
                start = range.end;
                (name, range)
            })
            .collect()
    }

    /// The point as a vector of R^n.
    pub fn to_vec(&self) -> Result<Vec<f64>> {
        self.weighted(1.0, &self.tensors)
    }

    /// Writes tensors shaped like the parameters (a gradient, a product) into a flat vector.
    pub fn flatten(&self, tensors: &[Tensor], out: &mut [f64]) -> Result<()> {
        self.assign(1.0, tensors, out)
    }

    /// Writes weight * tensors, shaped like the parameters, into a flat vector, which is faster than adding them to zeros.
    pub fn assign(&self, weight: f64, tensors: &[Tensor], out: &mut [f64]) -> Result<()> {
        self.check_length(out.len())?;
        self.combine(tensors, out, |o, x| *o = weight * x)
    }

    /// Adds weight * tensors, shaped like the parameters, to a flat vector. Flat vectors lie on the host: what lies on a
    /// device is copied, all tensors at once.
    pub fn accumulate(&self, weight: f64, tensors: &[Tensor], out: &mut [f64]) -> Result<()> {
        self.check_length(out.len())?;
        self.combine(tensors, out, |o, x| *o += weight * x)
    }

    /// weight * tensors, shaped like the parameters, as a flat vector.
    pub(crate) fn weighted(&self, weight: f64, tensors: &[Tensor]) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(self.len);
        self.combine(tensors, &mut out.spare_capacity_mut()[..self.len], |o, x| {
            o.write(weight * x);
        })?;
        // SAFETY: `combine` has written an entry for each of the parameters', or failed.
        unsafe { out.set_len(self.len) };
        Ok(out)
    }

    /// Applies `f` to all entries of `out`, one for each parameter's entry, with those of the tensors.
    fn combine<A: Send>(
        &self,
        tensors: &[Tensor],
        out: &mut [A],
        f: impl Fn(&mut A, f64) + Sync,
    ) -> Result<()> {
        let joined;
        let tensors = if tensors.iter().all(|tensor| tensor.device().is_cpu()) {
            tensors
        } else {
            let flat = tensors.iter().map(Tensor::flatten_all).collect::<candle_core::Result<Vec<_>>>()?;
            joined = [Tensor::cat(&flat, 0)?.to_device(&Device::Cpu)?];
            &joined
        };
        let found = tensors.iter().map(Tensor::elem_count).sum::<usize>();
        if found != self.len {
            return Err(Error::Input(format!(
                "the tensors of a vector have {found} entries together, but there are {} parameters",
                self.len
            )));
        }
        let mut rest = out;
        for tensor in tensors {
            let (head, tail) = rest.split_at_mut(tensor.elem_count());
            rest = tail;
            let tensor = tensor.contiguous()?;
            let (storage, layout) = tensor.storage_and_layout();
            let range = layout.start_offset()..layout.start_offset() + head.len();
            match &*storage {
                Storage::Cpu(CpuStorage::F32(x)) => pairwise(head, &x[range], |o, x| f(o, f64::from(x))),
                Storage::Cpu(CpuStorage::F64(x)) => pairwise(head, &x[range], &f),
                _ => return Err(Error::Input("a derivative is neither f32 nor f64".into())),
            }
        }
        Ok(())
    }

    /// A flat vector as tensors shaped, typed and placed like the parameters: where they lie on a device, it is copied there.
    pub fn unflatten(&self, x: &[f64]) -> Result<Vec<Tensor>> {
        self.check_length(x.len())?;
        let mut rest = x;
        self.tensors
            .iter()
            .map(|like| {
                let (head, tail) = rest.split_at(like.elem_count());
                rest = tail;
                let tensor = if like.dtype() == DType::F32 {
                    Tensor::from_vec(converted(head, |x| x as f32), like.shape(), &Device::Cpu)?
                } else {
                    Tensor::from_vec(converted(head, |x| x), like.shape(), &Device::Cpu)?
                };
                Ok(tensor.to_device(like.device())?)
            })
            .collect()
    }

    /// The point theta + step * direction.
    pub fn displaced(&self, direction: &[f64], step: f64) -> Result<Self> {
        let mut x = self.to_vec()?;
        self.check_length(direction.len())?;
        vectors::subtract(&[direction], &[-step], &mut x);
        self.at(&x)
    }

    /// The point whose flat vector is `x`, with the same names, shapes and types.
    pub fn at(&self, x: &[f64]) -> Result<Self> {
        Ok(Self { names: self.names.clone(), tensors: self.unflatten(x)?, len: self.len })
    }

    /// The point with all tensors on a device.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let tensors = self.tensors.iter().map(|t| t.to_device(device)).collect::<Result<_, _>>()?;
        Ok(Self { names: self.names.clone(), tensors, len: self.len })
    }

    /// The point with all numbers of another type.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let tensors = self.tensors.iter().map(|t| t.to_dtype(dtype)).collect::<Result<_, _>>()?;
        Ok(Self { names: self.names.clone(), tensors, len: self.len })
    }

    fn check_length(&self, found: usize) -> Result<()> {
        if found == self.len {
            return Ok(());
        }
        Err(Error::Input(format!("a vector has {found} entries, but there are {} parameters", self.len)))
    }
}

/// `f` of every entry, in parallel.
fn converted<A: Send>(x: &[f64], f: impl Fn(f64) -> A + Sync) -> Vec<A> {
    let mut out = Vec::with_capacity(x.len());
    pairwise(&mut out.spare_capacity_mut()[..x.len()], x, |o, x| {
        o.write(f(x));
    });
    // SAFETY: the pieces cover all entries, and each is written.
    unsafe { out.set_len(x.len()) };
    out
}

/// Which of `names` match any of the glob patterns, such as `layer4.*`; an error if a pattern matches none.
pub fn matching<'a>(names: impl IntoIterator<Item = &'a str>, patterns: &[String]) -> Result<Vec<String>> {
    let names: Vec<&str> = names.into_iter().collect();
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob =
            Glob::new(pattern).map_err(|e| Error::Input(format!("`{pattern}` is not a pattern: {e}")))?;
        let matcher = glob.compile_matcher();
        if !names.iter().any(|n| matcher.is_match(n)) {
            return Err(Error::Input(format!(
                "no parameter matches `{pattern}`; the names begin with {}",
                names.iter().take(5).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
            )));
        }
        set.add(glob);
    }
    let set = set.build().map_err(|e| Error::Input(format!("the patterns do not work together: {e}")))?;
    Ok(names.into_iter().filter(|n| set.is_match(n)).map(String::from).collect())
}
