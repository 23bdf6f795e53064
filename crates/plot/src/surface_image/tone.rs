//! Colours in linear light, where averaging and lighting are sums and products.

use crate::Rgb;

/// Steps of the height's colours. A step is far below a pixel unless the surface is all but flat.
const STEPS: usize = 1 << 15;
/// Steps of linear light. The eye's curve is steepest at black, where one step is a fifth of a byte.
const LINEAR_STEPS: usize = 1 << 14;

/// Tables for both directions, and the colours of heights.
pub(super) struct Tones {
    of_byte: Vec<f32>,
    to_byte: Vec<u8>,
    of_height: Vec<[f32; 3]>,
}

impl Tones {
    pub(super) fn new(colour: &dyn Fn(f64) -> Rgb) -> Self {
        let of_byte: Vec<f32> = (0..=u8::MAX).map(|byte| decode(f64::from(byte) / 255.0) as f32).collect();
        let to_byte = (0..=LINEAR_STEPS)
            .map(|step| (encode(step as f64 / LINEAR_STEPS as f64) * 255.0).round() as u8)
            .collect();
        let mut tones = Self { of_byte, to_byte, of_height: Vec::new() };
        tones.of_height = (0..=STEPS).map(|step| tones.linear(colour(step as f64 / STEPS as f64))).collect();
        tones
    }

    /// A colour in linear light.
    pub(super) fn linear(&self, colour: Rgb) -> [f32; 3] {
        [colour.0, colour.1, colour.2].map(|byte| self.of_byte[usize::from(byte)])
    }

    /// The colour of a height in 0..1 (clamped), in linear light.
    pub(super) fn at(&self, height: f32) -> [f32; 3] {
        self.of_height[((height.clamp(0.0, 1.0) * STEPS as f32).round() as usize).min(STEPS)]
    }

    /// Linear light (clamped) as a byte of sRGB.
    pub(super) fn byte(&self, linear: f32) -> u8 {
        self.to_byte[((linear.clamp(0.0, 1.0) * LINEAR_STEPS as f32).round() as usize).min(LINEAR_STEPS)]
    }
}

/// sRGB's transfer function (IEC 61966-2-1).
fn decode(encoded: f64) -> f64 {
    if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

fn encode(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way_through_linear_light() {
        let tones = Tones::new(&|height| Rgb((height * 255.0).round() as u8, 0, 255));
        for byte in 0..=u8::MAX {
            assert_eq!(tones.linear(Rgb(byte, 0, 0)).map(|linear| tones.byte(linear)), [byte, 0, 0]);
            assert_eq!(tones.byte(tones.at(f32::from(byte) / 255.0)[0]), byte);
        }
        assert_eq!(tones.byte(2.0), 255);
        assert_eq!(tones.byte(-1.0), 0);
    }
}
