//! Colours, and colour maps that colour-blind people and grey printers can read.

use colorous::{Color, Gradient};

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// As `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// Relative luminance (WCAG 2), 0 for black and 1 for white.
    pub(crate) fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

/// A map from 0..1 to colours whose lightness tells the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourMap {
    /// Dark blue to yellow.
    #[default]
    Viridis,
    /// Black through purple to cream.
    Magma,
    /// Blue to yellow, for colour-blind readers above all.
    Cividis,
    /// Blue through white to red, for signed values: 0.5 is white.
    BlueRed,
}

impl ColourMap {
    /// The colour of a number from 0 to 1; numbers outside count as the end they are beyond.
    pub fn at(self, t: f64) -> Rgb {
        let t = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) };
        let gradient: Gradient = match self {
            Self::Viridis => colorous::VIRIDIS,
            Self::Magma => colorous::MAGMA,
            Self::Cividis => colorous::CIVIDIS,
            Self::BlueRed => colorous::RED_BLUE,
        };
        let t = if self == Self::BlueRed { 1.0 - t } else { t };
        let Color { r, g, b } = gradient.eval_continuous(t);
        Rgb(r, g, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_maps_grow_lighter_all_the_way() {
        for map in [ColourMap::Viridis, ColourMap::Magma, ColourMap::Cividis] {
            let lightness: Vec<f64> = (0..=20).map(|i| map.at(f64::from(i) / 20.0).luminance()).collect();
            assert!(lightness.windows(2).all(|w| w[0] < w[1]), "{map:?}");
        }
        assert_eq!(Rgb(0, 16, 255).hex(), "#0010ff");
    }
}
