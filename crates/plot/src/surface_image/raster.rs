//! Triangles to samples: a z-buffer over a band of the picture's rows.

use super::mesh::Vertex;

/// Samples per pixel and axis.
pub(super) const OVER: usize = 3;
/// Vertices lie on a grid this fine (per sample): edges are then computed without rounding, and neighbours neither
/// leave a gap nor depend on the order they are drawn in.
const SNAP: f64 = 64.0;

/// What a sample sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Infinite where there is no surface.
    pub(super) depth: f32,
    pub(super) height: f32,
    pub(super) diffuse: f32,
    pub(super) gloss: f32,
    /// Whether the lower side is seen.
    pub(super) below: bool,
}

const NOTHING: Sample = Sample { depth: f32::INFINITY, height: 0.0, diffuse: 0.0, gloss: 0.0, below: false };

/// Some rows of the picture, in samples.
pub(super) struct Band {
    width: usize,
    first_row: usize,
    samples: Vec<Sample>,
}

/// A triangle's corner in samples.
#[derive(Clone, Copy)]
struct Corner {
    x: f64,
    y: f64,
    /// depth, height, diffuse, gloss
    values: [f64; 4],
}

impl Band {
    /// `width` in pixels.
    pub(super) fn new(width: usize) -> Self {
        Self { width: width * OVER, first_row: 0, samples: Vec::new() }
    }

    /// Begins with the pixel rows `rows`, empty.
    pub(super) fn clear(&mut self, rows: std::ops::Range<usize>) {
        self.first_row = rows.start * OVER;
        self.samples.clear();
        self.samples.resize(self.width * rows.len() * OVER, NOTHING);
    }

    /// The samples of a pixel: `row` counts from the band's first one.
    pub(super) fn pixel(&self, column: usize, row: usize) -> impl Iterator<Item = &Sample> {
        let start = row * OVER * self.width + column * OVER;
        (0..OVER).flat_map(move |line| &self.samples[start + line * self.width..][..OVER])
    }

    /// Draws a facet as two triangles.
    pub(super) fn facet(&mut self, corners: [&Vertex; 4]) {
        let [a, b, c, d] = corners;
        // The diagonal with the smaller rise follows a ridge; the other one would notch it.
        let halves = if (a.height - d.height).abs() <= (b.height - c.height).abs() {
            [[a, b, d], [a, d, c]]
        } else {
            [[a, b, c], [b, d, c]]
        };
        for half in halves {
            self.triangle(half);
        }
    }

    /// Corners turn counterclockwise seen from above, so clockwise ones in the picture (y down) show the lower side.
    fn triangle(&mut self, vertices: [&Vertex; 3]) {
        let snapped = vertices.map(|v| {
            let over = OVER as f64;
            ((v.at[0] * over * SNAP).round() / SNAP, (v.at[1] * over * SNAP).round() / SNAP)
        });
        let [(ax, ay), (bx, by), (cx, cy)] = snapped;
        let area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
        if area == 0.0 || !area.is_finite() {
            return;
        }
        let below = area > 0.0;
        let corners: [Corner; 3] = std::array::from_fn(|k| {
            let shade = if below { vertices[k].below } else { vertices[k].above };
            let values = [vertices[k].at[2], vertices[k].height, shade.diffuse, shade.gloss];
            Corner { x: snapped[k].0, y: snapped[k].1, values }
        });
        self.fill(&corners, area, below);
    }

    fn fill(&mut self, corners: &[Corner; 3], area: f64, below: bool) {
        let [a, b, c] = corners;
        let across = (b.x - a.x, b.y - a.y, c.x - a.x, c.y - a.y);
        let by_x: [f64; 4] = std::array::from_fn(|k| {
            ((b.values[k] - a.values[k]) * across.3 - (c.values[k] - a.values[k]) * across.1) / area
        });
        let by_y: [f64; 4] = std::array::from_fn(|k| {
            ((c.values[k] - a.values[k]) * across.0 - (b.values[k] - a.values[k]) * across.2) / area
        });
        let by_x_narrow = by_x.map(|slope| slope as f32);

        let rows = self.samples.len() / self.width.max(1);
        let top = a.y.min(b.y).min(c.y) - 0.5 - self.first_row as f64;
        let bottom = a.y.max(b.y).max(c.y) - 0.5 - self.first_row as f64;
        if bottom < 0.0 || self.width == 0 {
            return;
        }
        for row in (top.ceil().max(0.0) as usize)..rows.min((bottom.floor() as usize).saturating_add(1)) {
            let y = (self.first_row + row) as f64 + 0.5;
            let Some((first, last)) = self.span(corners, area, y) else { continue };
            let (dx, dy) = (first as f64 + 0.5 - a.x, y - a.y);
            let start: [f32; 4] = std::array::from_fn(|k| (a.values[k] + by_x[k] * dx + by_y[k] * dy) as f32);
            let line = &mut self.samples[row * self.width + first..=row * self.width + last];
            for (step, sample) in line.iter_mut().enumerate() {
                let value = |k: usize| start[k] + by_x_narrow[k] * step as f32;
                let depth = value(0);
                if depth < sample.depth {
                    *sample = Sample { depth, height: value(1), diffuse: value(2), gloss: value(3), below };
                }
            }
        }
    }

    /// First and last sample whose centre lies in the triangle (border included) in the row with centre `y`.
    fn span(&self, corners: &[Corner; 3], area: f64, y: f64) -> Option<(usize, usize)> {
        let (mut first, mut last) = (0.0_f64, self.width as f64 - 1.0);
        for k in 0..3 {
            let (from, to) = (corners[k], corners[(k + 1) % 3]);
            // Inside is where `at + slope * x >= 0`, x the number of a sample.
            let slope = -(to.y - from.y) * area.signum();
            let at = (to.x - from.x) * area.signum() * (y - from.y) + slope * (0.5 - from.x);
            if slope > 0.0 {
                first = first.max((-at / slope).ceil());
            } else if slope < 0.0 {
                last = last.min((-at / slope).floor());
            } else if at < 0.0 {
                return None;
            }
        }
        (first <= last).then_some((first as usize, last as usize))
    }
}
