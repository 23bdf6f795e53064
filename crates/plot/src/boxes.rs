//! Boxes that texts cover, and whether two of them meet.

/// A rectangle around `centre`, turned by `angle` degrees clockwise (y grows downwards).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TextBox {
    pub(crate) centre: [f64; 2],
    /// Half its width and half its height.
    pub(crate) half: [f64; 2],
    pub(crate) angle: f64,
}

impl TextBox {
    pub(crate) fn upright(x0: f64, y0: f64, x1: f64, y1: f64) -> Self {
        Self {
            centre: [f64::midpoint(x0, x1), f64::midpoint(y0, y1)],
            half: [(x1 - x0) / 2.0, (y1 - y0) / 2.0],
            angle: 0.0,
        }
    }

    /// Larger by `margin` on every side.
    pub(crate) fn grown(self, margin: f64) -> Self {
        Self { half: self.half.map(|h| h + margin), ..self }
    }

    fn axes(&self) -> [[f64; 2]; 2] {
        let (sin, cos) = self.angle.to_radians().sin_cos();
        [[cos, sin], [-sin, cos]]
    }

    pub(crate) fn corners(&self) -> [[f64; 2]; 4] {
        let [a, b] = self.axes();
        [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
            .map(|[s, t]| [0, 1].map(|i| self.centre[i] + s * self.half[0] * a[i] + t * self.half[1] * b[i]))
    }

    /// Whether two boxes share more than a border (separating axis theorem).
    pub(crate) fn meets(&self, other: &TextBox) -> bool {
        let spread = |corners: &[[f64; 2]; 4], axis: [f64; 2]| {
            let along = corners.map(|c| c[0] * axis[0] + c[1] * axis[1]);
            (along.iter().copied().fold(f64::MAX, f64::min), along.iter().copied().fold(f64::MIN, f64::max))
        };
        let (ours, theirs) = (self.corners(), other.corners());
        self.axes().into_iter().chain(other.axes()).all(|axis| {
            let ((a0, a1), (b0, b1)) = (spread(&ours, axis), spread(&theirs, axis));
            a0 < b1 - 1e-9 && b0 < a1 - 1e-9
        })
    }

    /// Whether a segment has a point inside.
    pub(crate) fn cut_by(&self, p: [f64; 2], q: [f64; 2]) -> bool {
        let [a, b] = self.axes();
        let local = |p: [f64; 2]| {
            let d = [p[0] - self.centre[0], p[1] - self.centre[1]];
            [d[0] * a[0] + d[1] * a[1], d[0] * b[0] + d[1] * b[1]]
        };
        let (p, q) = (local(p), local(q));
        // What of 0..1 along the segment lies between both pairs of sides (Liang & Barsky 1984).
        let (mut from, mut to) = (0.0f64, 1.0f64);
        for i in 0..2 {
            let (d, h) = (q[i] - p[i], self.half[i]);
            if d == 0.0 {
                if p[i].abs() >= h {
                    return false;
                }
                continue;
            }
            let (s, t) = ((-h - p[i]) / d, (h - p[i]) / d);
            from = from.max(s.min(t));
            to = to.min(s.max(t));
        }
        from < to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_boxes_meet_where_they_share_an_area() {
        let a = TextBox::upright(0.0, 0.0, 10.0, 4.0);
        assert!(a.meets(&TextBox::upright(9.0, 3.0, 12.0, 9.0)));
        assert!(!a.meets(&TextBox::upright(10.0, 0.0, 12.0, 4.0)));
        // The upright hulls meet, the boxes do not.
        let slanted = TextBox { centre: [13.0, 7.0], half: [6.0, 0.5], angle: -45.0 };
        assert!(!a.meets(&slanted));
        assert!(a.meets(&TextBox { centre: [9.0, 5.0], ..slanted }));
    }

    #[test]
    fn segments_cut_what_they_pass_through() {
        let a = TextBox::upright(0.0, 0.0, 10.0, 4.0);
        assert!(a.cut_by([-5.0, 2.0], [15.0, 2.0]));
        assert!(a.cut_by([4.0, 1.0], [5.0, 2.0]));
        assert!(!a.cut_by([-5.0, 5.0], [15.0, 5.0]));
        assert!(!a.cut_by([-5.0, 2.0], [-1.0, 2.0]));
        assert!(!a.cut_by([9.0, 8.0], [14.0, 3.0]));
    }
}
