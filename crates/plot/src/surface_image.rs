//! A height field as a lit picture, for figures whose axes, labels and paths are vectors drawn over it.
//!
//! The surface is the bilinear interpolant of the heights, so a path drawn at bilinearly interpolated heights lies on
//! it. Nothing here depends on threads, clocks or fonts: the same field is the same bytes.

mod camera;
mod light;
mod mesh;
mod raster;
#[cfg(test)]
mod tests;
mod tone;

pub(crate) use camera::{Camera, Projection};

use crate::{PlotError, Result, Rgb};
use light::Light;
use mesh::Mesh;
use raster::{Band, OVER};
use tone::Tones;

/// Rows of pixels drawn together: their samples stay in the processor's cache.
const BAND: usize = 16;
/// How far behind the surface a point may lie and still be on it, in sides of the unit square.
const TOLERANCE: f64 = 0.01;

/// Heights on nodes of the unit square.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeightField<'a> {
    /// Nodes along u, increasing, in 0..1.
    pub(crate) u: &'a [f64],
    /// Nodes along v, increasing, in 0..1.
    pub(crate) v: &'a [f64],
    /// `height[j * u.len() + i]` at (`u[i]`, `v[j]`), in 0..1; not finite where unknown. A cell with an unknown
    /// corner is a hole.
    pub(crate) height: &'a [f64],
}

/// A picture and what it knows of its depth.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// Columns of pixels.
    pub(crate) width: usize,
    /// Rows of pixels.
    pub(crate) height: usize,
    /// sRGB with straight alpha, row by row from the top; transparent where nothing is.
    pub(crate) rgba: Vec<u8>,
    depth: Vec<Depth>,
}

/// The surface in a pixel.
#[derive(Debug, Clone, Copy)]
struct Depth {
    nearest: f32,
    /// Infinite where the surface does not fill the pixel.
    farthest: f32,
    below: bool,
}

/// Draws the field. `projection` must be one for a picture of `size`. `colour` gives the colour of a height.
pub(crate) fn render(
    field: &HeightField<'_>,
    projection: &Projection,
    size: (usize, usize),
    colour: &dyn Fn(f64) -> Rgb,
) -> Picture {
    let (width, height) = size;
    let tones = Tones::new(colour);
    let mesh = Mesh::new(field, projection, &Light::new());
    let facets = by_band(&mesh, height);

    let mut band = Band::new(width);
    let mut picture = Picture { width, height, rgba: Vec::new(), depth: Vec::new() };
    picture.rgba.reserve_exact(width * height * 4);
    picture.depth.reserve_exact(width * height);
    for (facets, first_row) in facets.iter().zip((0..height).step_by(BAND)) {
        let rows = first_row..(first_row + BAND).min(height);
        band.clear(rows.clone());
        for corners in facets.iter().filter_map(|&facet| mesh.facet(facet)) {
            band.facet(corners);
        }
        for row in rows {
            for column in 0..width {
                picture.resolve(&band, (column, row - first_row), &tones);
            }
        }
    }
    picture
}

/// The facets that reach into each band of rows.
fn by_band(mesh: &Mesh, height: usize) -> Vec<Vec<usize>> {
    let mut bands = vec![Vec::new(); height.div_ceil(BAND)];
    for index in 0..mesh.facets() {
        let Some(corners) = mesh.facet(index) else { continue };
        let ys = corners.map(|vertex| vertex.at[1]);
        let top = ys.iter().copied().fold(f64::INFINITY, f64::min);
        let bottom = ys.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if bottom < -1.0 {
            continue;
        }
        // A pixel of slack: vertices are rounded later.
        let first = (top - 1.0).max(0.0) as usize / BAND;
        let last = (bottom + 1.0) as usize / BAND;
        for band in bands.iter_mut().take(last.saturating_add(1)).skip(first) {
            band.push(index);
        }
    }
    bands
}

impl Picture {
    /// Appends the pixel (column, row in the band) from its samples.
    fn resolve(&mut self, band: &Band, (column, row): (usize, usize), tones: &Tones) {
        let mut depth = Depth { nearest: f32::INFINITY, farthest: f32::NEG_INFINITY, below: false };
        let (mut sum, mut covered) = ([0.0_f32; 3], 0_u8);
        for sample in band.pixel(column, row) {
            if sample.depth < depth.nearest {
                depth.nearest = sample.depth;
                depth.below = sample.below;
            }
            depth.farthest = depth.farthest.max(sample.depth);
            if sample.depth == f32::INFINITY {
                continue;
            }
            let lit = |linear: f32| (linear * sample.diffuse + sample.gloss).min(1.0);
            let light = tones.at(sample.height).map(lit);
            covered += 1;
            for (sum, light) in sum.iter_mut().zip(light) {
                *sum += light;
            }
        }
        self.depth.push(depth);
        if covered == 0 {
            self.rgba.extend([0; 4]);
        } else {
            let [r, g, b] = sum.map(|sum| tones.byte(sum / f32::from(covered)));
            let alpha = f32::from(covered) / (OVER * OVER) as f32 * 255.0;
            self.rgba.extend([r, g, b, alpha.round() as u8]);
        }
    }

    /// Whether the surface hides a point of the scene. A point on the upper side is not hidden by the place it lies
    /// on, unless that place shows its lower side; nor by an edge that ends within a pixel.
    pub(crate) fn hides(&self, projection: &Projection, point: [f64; 3]) -> bool {
        let [x, y, depth] = projection.at(point);
        let (column, row) = (x.floor(), y.floor());
        if !(column >= 0.0 && column < self.width as f64 && row >= 0.0 && row < self.height as f64) {
            return false;
        }
        let (column, row) = (column as usize, row as usize);
        let tolerance = TOLERANCE * projection.scale();
        let here = self.depth[row * self.width + column];
        if here.below {
            return depth > f64::from(here.nearest) - tolerance;
        }
        // On a steep slope the surface is much deeper in the next pixel: only what is behind all of them is hidden.
        let rows = row.saturating_sub(1)..=(row + 1).min(self.height - 1);
        let columns = column.saturating_sub(1)..=(column + 1).min(self.width - 1);
        let farthest = rows
            .flat_map(|j| &self.depth[j * self.width..][columns.clone()])
            .fold(f32::NEG_INFINITY, |farthest, pixel| farthest.max(pixel.farthest));
        depth > f64::from(farthest) + tolerance
    }

    /// The picture as a PNG file.
    pub(crate) fn png(&self) -> Result<Vec<u8>> {
        let failed = |error: png::EncodingError| PlotError::Picture(error.to_string());
        let side = |pixels: usize| u32::try_from(pixels).map_err(|e| PlotError::Picture(e.to_string()));
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.rgba).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }
}
