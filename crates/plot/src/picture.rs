//! SVG to pixels, with the embedded font and nothing of the system's.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::{PlotError, Result, text};

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(text::FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// Pixels with straight alpha, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Pixels {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgba: Vec<u8>,
}

/// Draws an SVG with so many pixels per unit.
pub(crate) fn pixels(svg: &str, density: f64) -> Result<Pixels> {
    let failed = |what: &str| PlotError::Picture(what.to_string());
    let options = Options { fontdb: FONTS.clone(), font_family: "DejaVu Sans".into(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|e| PlotError::Picture(e.to_string()))?;
    let size = tree.size();
    let [width, height] =
        [size.width(), size.height()].map(|s| (f64::from(s) * density).round().max(1.0) as u32);
    let mut map = Pixmap::new(width, height).ok_or_else(|| failed("it has no pixel, or too many"))?;
    resvg::render(&tree, Transform::from_scale(density as f32, density as f32), &mut map.as_mut());
    Ok(Pixels { width: width as usize, height: height as usize, rgba: map.take_demultiplied() })
}
