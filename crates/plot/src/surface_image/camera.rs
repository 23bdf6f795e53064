//! Where the viewer stands, and where a point of the scene appears in the picture.

/// The point of view: directions as in matplotlib's `view_init`, the distance infinite (orthographic).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Camera {
    /// Where the viewer stands around the vertical axis, in degrees counted from +u towards +v (matplotlib's
    /// `azim`). At -90 the u axis runs to the right and v away from the viewer; at -60 u runs to the lower right
    /// and v to the upper right; at 0 the viewer looks along -u and v runs to the right.
    pub(crate) azimuth: f64,
    /// How far the viewer stands above the horizon, in degrees (matplotlib's `elev`): 0 from the side, 90 from above.
    pub(crate) elevation: f64,
    /// Length of the height axis, in sides of the unit square.
    pub(crate) height: f64,
}

impl Camera {
    /// Scene (u, v, h) to pixels of a picture of `size` (width, height), the box [0, 1]^3 as large as it fits between
    /// `margins` (left, top, right, bottom) and centred there.
    pub(crate) fn projection(&self, size: [f64; 2], margins: [f64; 4]) -> Projection {
        let (sin_a, cos_a) = self.azimuth.to_radians().sin_cos();
        let (sin_e, cos_e) = self.elevation.to_radians().sin_cos();
        let mut projection = Projection {
            right: [-sin_a, cos_a, 0.0],
            up: [-sin_e * cos_a, -sin_e * sin_a, cos_e],
            toward: [cos_e * cos_a, cos_e * sin_a, sin_e],
            rise: self.height,
            scale: 1.0,
            centre: [0.0; 2],
        };

        // The box is symmetric about the origin of the projection, so half of its extent is enough.
        let mut half = [0.0_f64; 2];
        for corner in 0..8_u8 {
            let at = projection.at([0, 1, 2].map(|axis| f64::from(corner >> axis & 1)));
            half = [half[0].max(at[0].abs()), half[1].max(at[1].abs())];
        }
        let [left, top, right, bottom] = margins;
        let room = [size[0] - left - right, size[1] - top - bottom].map(|pixels| pixels.max(0.0) / 2.0);
        projection.scale = (room[0] / half[0].max(1e-9)).min(room[1] / half[1].max(1e-9));
        projection.centre = [f64::midpoint(left, size[0] - right), f64::midpoint(top, size[1] - bottom)];
        projection
    }
}

/// A camera's map from the scene to the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Projection {
    /// Unit vectors of the viewer in the scene: to the right and upwards in the picture, and out of it.
    right: [f64; 3],
    up: [f64; 3],
    toward: [f64; 3],
    rise: f64,
    scale: f64,
    centre: [f64; 2],
}

impl Projection {
    /// The point's x, y (downwards) and depth (larger is farther), all three in pixels.
    pub(crate) fn at(&self, point: [f64; 3]) -> [f64; 3] {
        let p = [point[0] - 0.5, point[1] - 0.5, (point[2] - 0.5) * self.rise];
        [
            self.centre[0] + self.scale * dot(self.right, p),
            self.centre[1] - self.scale * dot(self.up, p),
            -self.scale * dot(self.toward, p),
        ]
    }

    /// A horizontal side of the box, in pixels.
    pub(super) fn scale(&self) -> f64 {
        self.scale
    }

    /// Length of the height axis, in sides of the unit square.
    pub(super) fn rise(&self) -> f64 {
        self.rise
    }

    /// A direction of the scene in the viewer's frame: to the right, upwards, out of the picture.
    pub(super) fn as_seen(&self, direction: [f64; 3]) -> [f64; 3] {
        [self.right, self.up, self.toward].map(|axis| dot(axis, direction))
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_box_fills_the_room_between_the_margins(
            azimuth in -360.0..360.0_f64,
            elevation in -90.0..90.0_f64,
            height in 0.05..3.0_f64,
            size in [200.0..2000.0_f64, 200.0..2000.0_f64],
            margins in [0.0..90.0_f64, 0.0..90.0_f64, 0.0..90.0_f64, 0.0..90.0_f64],
        ) {
            let projection = Camera { azimuth, elevation, height }.projection(size, margins);
            let corners = (0..8_u8).map(|c| projection.at([0, 1, 2].map(|axis| f64::from(c >> axis & 1))));
            let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
            for corner in corners {
                for axis in 0..2 {
                    low[axis] = low[axis].min(corner[axis]);
                    high[axis] = high[axis].max(corner[axis]);
                }
            }
            let slack = [
                low[0] - margins[0],
                low[1] - margins[1],
                size[0] - margins[2] - high[0],
                size[1] - margins[3] - high[1],
            ];
            prop_assert!(slack.iter().all(|&s| s > -1e-6), "{slack:?}");
            prop_assert!((slack[0] - slack[2]).abs() < 1e-6 && (slack[1] - slack[3]).abs() < 1e-6, "{slack:?}");
            prop_assert!(slack[0].min(slack[1]) < 1e-6, "larger would fit: {slack:?}");
        }
    }

    fn seen(azimuth: f64, elevation: f64) -> impl Fn([f64; 3]) -> [f64; 3] {
        let projection = Camera { azimuth, elevation, height: 0.6 }.projection([600.0, 600.0], [10.0; 4]);
        move |direction| {
            let (from, to) = (projection.at([0.0; 3]), projection.at(direction));
            [to[0] - from[0], to[1] - from[1], to[2] - from[2]]
        }
    }

    #[test]
    fn axes_run_as_in_matplotlib() {
        for azimuth in [-60.0, -50.0] {
            let direction = seen(azimuth, 30.0);
            let [x, y, depth] = direction([1.0, 0.0, 0.0]);
            assert!(x > 100.0 && y > 50.0 && depth < 0.0, "u runs to the lower right, towards the viewer");
            let [x, y, depth] = direction([0.0, 1.0, 0.0]);
            assert!(x > 100.0 && y < -50.0 && depth > 0.0, "v runs to the upper right, away from the viewer");
            let [x, y, depth] = direction([0.0, 0.0, 1.0]);
            assert!(x.abs() < 1e-9 && y < -100.0 && depth < 0.0, "h runs upwards");
        }
        let [x, y, _] = seen(-90.0, 30.0)([1.0, 0.0, 0.0]);
        assert!(x > 100.0 && y.abs() < 1e-9);
        let [x, y, depth] = seen(-90.0, 90.0)([0.0, 1.0, 0.0]);
        assert!(x.abs() < 1e-9 && y < -100.0 && depth.abs() < 1e-9, "from above the plane is the usual one");
    }

    #[test]
    fn margins_without_room_are_no_panic() {
        let projection =
            Camera { azimuth: -60.0, elevation: 0.0, height: 0.0 }.projection([1.0, 1.0], [3.0; 4]);
        assert!(projection.at([1.0; 3]).iter().all(|v| v.is_finite()));
    }
}
