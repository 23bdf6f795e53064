//! Fields and tables of values as PNG pictures.

use crate::{Grid, PlotError, Result, Rgb};

/// Pixels along the longer side of a smooth field.
const PIXELS: usize = 360;

/// A field in colours without steps, stretched to its grid's rectangle; transparent where nothing is known.
pub(crate) fn smooth(grid: &Grid, colour: impl Fn(f64) -> Rgb) -> Vec<u8> {
    let (x, y) = (grid.x(), grid.y());
    let along = |axis: &[f64], i: usize, n: usize| {
        let (first, last) = (axis[0], axis[axis.len() - 1]);
        first + (i as f64 + 0.5) / n as f64 * (last - first)
    };
    let mut pixels = Vec::with_capacity(4 * PIXELS * PIXELS);
    for row in 0..PIXELS {
        let v = along(y, PIXELS - 1 - row, PIXELS);
        for column in 0..PIXELS {
            let value = grid.sample(along(x, column, PIXELS), v);
            pixels.extend(pixel(value, &colour));
        }
    }
    png(&pixels, PIXELS, PIXELS).expect("a picture of known size can be encoded")
}

/// One block of pixels for every entry of a table, given row by row from the top.
pub(crate) fn blocks(values: &[f64], columns: usize, colour: impl Fn(f64) -> Rgb) -> Result<Vec<u8>> {
    // Large blocks, because viewers smooth between pixels.
    let rows = values.len() / columns.max(1);
    let block = (1200 / columns.max(rows).max(1)).clamp(1, 40);
    let mut pixels = Vec::with_capacity(4 * values.len() * block * block);
    for row in values.chunks_exact(columns) {
        let line: Vec<u8> =
            row.iter().flat_map(|v| std::iter::repeat_n(pixel(*v, &colour), block).flatten()).collect();
        (0..block).for_each(|_| pixels.extend(&line));
    }
    png(&pixels, columns * block, rows * block)
}

fn pixel(value: f64, colour: impl Fn(f64) -> Rgb) -> [u8; 4] {
    if value.is_nan() {
        return [255, 255, 255, 0];
    }
    let Rgb(r, g, b) = colour(value);
    [r, g, b, 255]
}

/// RGBA bytes as a PNG.
pub(crate) fn png(rgba: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
    let mut out = vec![];
    let mut encoder = png::Encoder::new(&mut out, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let failed = |e: png::EncodingError| PlotError::Picture(e.to_string());
    encoder.write_header().map_err(failed)?.write_image_data(rgba).map_err(failed)?;
    Ok(out)
}
