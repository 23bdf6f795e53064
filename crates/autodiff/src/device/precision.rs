//! How precisely a device multiplies matrices.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// What products of matrices and convolutions of f32 tensors read on a device; sums are in f32 in every case. f64 tensors are
/// always multiplied in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Precision {
    /// Factors as they are, with 24 binary digits.
    #[default]
    Full,
    /// TensorFloat-32: factors are rounded to 11 binary digits.
    Tf32,
    /// Factors are rounded to bfloat16, with 8 binary digits.
    Bf16,
}

impl Precision {
    /// Half the distance from 1 to the next number among those that factors are rounded to.
    pub fn unit_roundoff(self) -> f64 {
        match self {
            Self::Full => 0.5_f64.powi(24),
            Self::Tf32 => 0.5_f64.powi(11),
            Self::Bf16 => 0.5_f64.powi(8),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Full, Self::Tf32, Self::Bf16]
            .into_iter()
            .find(|precision| precision.to_string() == text)
            .ok_or_else(|| "give full, tf32 or bf16".to_owned())
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Chooses how precisely devices multiply f32 matrices, for the whole process. Choose before the first product: results of two
/// choices do not mix.
pub fn set_precision(precision: Precision) {
    CHOSEN.store(precision as u8, Ordering::Relaxed);
    #[cfg(feature = "cuda")]
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
}

/// What was chosen.
pub fn precision() -> Precision {
    #[cfg(all(test, unix))]
    if let Some(precision) = super::emulated::precision() {
        return precision;
    }
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Precision::Tf32,
        2 => Precision::Bf16,
        _ => Precision::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};

    #[test]
    fn precisions_are_named_as_they_are_asked_for() {
        for precision in [Precision::Full, Precision::Tf32, Precision::Bf16] {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("fp8".parse::<Precision>().is_err());
    }

    #[test]
    fn the_unit_roundoff_of_bf16_is_that_of_its_conversion() {
        let u = Precision::Bf16.unit_roundoff();
        let rounded = |x: f64| -> f64 {
            let x = Tensor::new(&[x as f32], &Device::Cpu).and_then(|x| x.to_dtype(DType::BF16));
            x.and_then(|x| x.to_dtype(DType::F64)?.to_vec1()).expect("a number")[0]
        };
        // Ties go to even: 1 + u to 1, and 1 + 3u to 1 + 4u.
        assert_eq!(
            vec![rounded(1.0 + u), rounded(1.0 + 1.01 * u), rounded(1.0 + 3.0 * u)],
            [1.0, 1.0 + 2.0 * u, 1.0 + 4.0 * u]
        );
    }
}
