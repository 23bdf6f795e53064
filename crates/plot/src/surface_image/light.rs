//! How a surface is lit.

/// Light that falls evenly from everywhere, and light from the lamp at full incidence.
const AMBIENT: f64 = 0.48;
const DIRECT: f64 = 0.6;
/// The reflected lamp, mostly in the surface's own colour: enough to tell a dome from a dent without washing out a hue.
const SHEEN: f64 = 0.16;
const GLOSS: f64 = 0.012;
const SHARPNESS: i32 = 20;
/// Part of the light that reaches the lower side, so that it is not taken for the upper one.
const UNDERNEATH: f64 = 0.88;

/// What light does to a colour: `colour * diffuse + gloss`, in linear light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shade {
    pub(super) diffuse: f64,
    pub(super) gloss: f64,
}

/// A lamp that moves with the viewer: it is always at the upper left.
pub(super) struct Light {
    toward: [f64; 3],
    /// Halfway between the lamp and the viewer.
    halfway: [f64; 3],
}

impl Light {
    pub(super) fn new() -> Self {
        let toward = unit([-0.60, 0.66, 0.45]);
        Self { toward, halfway: unit([toward[0], toward[1], toward[2] + 1.0]) }
    }

    /// Light on a side whose unit normal is given in the viewer's frame (right, up, out of the picture).
    pub(super) fn on(&self, normal: [f64; 3]) -> Shade {
        let incidence = dot(normal, self.toward).max(0.0);
        let reflection = dot(normal, self.halfway).max(0.0).powi(SHARPNESS);
        Shade { diffuse: AMBIENT + DIRECT * incidence + SHEEN * reflection, gloss: GLOSS * reflection }
    }

    /// Light on the lower side of the surface: dimmer and matt.
    pub(super) fn underneath(&self, normal: [f64; 3]) -> Shade {
        let incidence = dot(normal, self.toward).max(0.0);
        Shade { diffuse: UNDERNEATH * (AMBIENT + DIRECT * incidence), gloss: 0.0 }
    }
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = dot(v, v).sqrt();
    v.map(|x| x / length)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lamp_is_at_the_upper_left() {
        let light = Light::new();
        let facing = |x: f64, y: f64| light.on(unit([x, y, 1.0])).diffuse;
        assert!(facing(-0.7, 0.0) > 1.2 * facing(0.7, 0.0));
        assert!(facing(0.0, 0.7) > 1.2 * facing(0.0, -0.7));
        assert!(light.underneath(unit([-1.0, 1.0, 1.0])).diffuse < facing(-1.0, 1.0));
    }

    #[test]
    fn colours_stay_near_those_of_the_colour_bar() {
        let light = Light::new();
        for elevation in [20.0_f64, 30.0, 45.0, 60.0] {
            let (sin, cos) = elevation.to_radians().sin_cos();
            let Shade { diffuse, gloss } = light.on([0.0, cos, sin]);
            assert!(
                (0.8..1.2).contains(&diffuse) && gloss < 0.02,
                "{diffuse} {gloss} on level ground from {elevation}"
            );
        }
    }
}
