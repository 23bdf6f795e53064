//! The 256 colours of a GIF's frame.

use std::collections::HashMap;

use color_quant::NeuQuant;

/// Colours that may keep themselves where a picture has more than a palette holds.
const KEPT: usize = 128;
/// What part of the picture such a colour covers at least: a band's stretch of a colour bar covers more.
const RARE: usize = 2000;

/// A palette of at most 256 colours, three bytes each, and every pixel's place in it. Colours that cover much, such as
/// those of bands, stay as they are, so that what is of one colour in one frame is of that colour in all; the shades
/// between them share what is left. Nothing is transparent.
pub(crate) fn indexed(rgba: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let pixels = || rgba.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
    let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
    for colour in pixels() {
        *counts.entry(colour).or_default() += 1;
    }
    let mut kept: Vec<([u8; 3], usize)> = counts.into_iter().collect();
    kept.sort_unstable_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
    if kept.len() > 256 {
        let frequent = kept.iter().take_while(|(_, count)| count * RARE >= rgba.len() / 4).count();
        kept.truncate(frequent.min(KEPT));
    }
    let mut places: HashMap<[u8; 3], u8> = kept.iter().map(|(colour, _)| *colour).zip(0..=255).collect();
    let mut palette: Vec<u8> = kept.iter().flat_map(|(colour, _)| *colour).collect();
    let opaque = |[r, g, b]: [u8; 3]| [r, g, b, 255];
    let rest: Vec<u8> = pixels().filter(|colour| !places.contains_key(colour)).flat_map(opaque).collect();
    if !rest.is_empty() {
        // 10 is the quantizer's usual balance between speed and colours.
        let quantizer = NeuQuant::new(10, 256 - kept.len(), &rest);
        for pixel in rest.chunks_exact(4) {
            places
                .entry([pixel[0], pixel[1], pixel[2]])
                .or_insert_with(|| (kept.len() + quantizer.index_of(pixel)) as u8);
        }
        palette.extend(quantizer.color_map_rgb());
    }
    let indices = pixels().map(|colour| places[&colour]).collect();
    (palette, indices)
}
