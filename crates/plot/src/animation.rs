//! Figures one after another: GIF and APNG.

use std::path::Path;

use gif::{Encoder, Frame, Repeat};

use crate::palette::indexed;
use crate::picture::{Pixels, pixels};
use crate::report::write;
use crate::{Figure, PlotError, Result};

/// Figures of one size, shown one after another, again and again.
#[derive(Debug, Clone)]
pub struct Animation {
    /// The frames.
    pub frames: Vec<Figure>,
    /// Frames per second, at most 50.
    pub rate: f64,
    /// Pixels per unit of the figures.
    pub density: f64,
}

impl Animation {
    /// Ten frames a second at one and a half pixels per unit.
    pub fn new(frames: Vec<Figure>) -> Self {
        Self { frames, rate: 10.0, density: 1.5 }
    }

    /// The animation as a GIF.
    pub fn gif(&self) -> Result<Vec<u8>> {
        let frames = self.pixels()?;
        let failed = |e: gif::EncodingError| PlotError::Picture(e.to_string());
        let [width, height] =
            [frames[0].width, frames[0].height].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        let mut out = vec![];
        let mut encoder = Encoder::new(&mut out, width, height, &[]).map_err(failed)?;
        encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
        for Pixels { rgba, .. } in frames {
            let (palette, indices) = indexed(&rgba);
            let mut frame = Frame::from_palette_pixels(width, height, indices, palette, None);
            frame.delay = (100.0 / self.rate()).round() as u16;
            encoder.write_frame(&frame).map_err(failed)?;
        }
        drop(encoder);
        Ok(out)
    }

    /// The animation as an APNG, with all its colours.
    pub fn apng(&self) -> Result<Vec<u8>> {
        let frames = self.pixels()?;
        let failed = |e: png::EncodingError| PlotError::Picture(e.to_string());
        let mut out = vec![];
        let mut encoder = png::Encoder::new(&mut out, frames[0].width as u32, frames[0].height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_animated(frames.len() as u32, 0).map_err(failed)?;
        encoder.set_frame_delay((100.0 / self.rate()).round() as u16, 100).map_err(failed)?;
        let mut writer = encoder.write_header().map_err(failed)?;
        for frame in &frames {
            writer.write_image_data(&frame.rgba).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        Ok(out)
    }

    /// Writes a `.gif`, or an APNG where the name ends in `.png` or `.apng`.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("gif") => write(path, &self.gif()?),
            Some("png" | "apng") => write(path, &self.apng()?),
            _ => Err(PlotError::Data(format!(
                "{} ends in none of .gif, .apng and .png: give the animation's file one of them",
                path.display()
            ))),
        }
    }

    fn rate(&self) -> f64 {
        self.rate.clamp(0.1, 50.0)
    }

    fn pixels(&self) -> Result<Vec<Pixels>> {
        let frames: Vec<Pixels> =
            self.frames.iter().map(|figure| pixels(&figure.svg()?, self.density)).collect::<Result<_>>()?;
        match frames.split_first() {
            None => Err(PlotError::Data("an animation needs at least one figure".into())),
            Some((first, rest))
                if rest.iter().any(|f| (f.width, f.height) != (first.width, first.height)) =>
            {
                Err(PlotError::Data("the figures of an animation must all have the same size".into()))
            }
            _ => Ok(frames),
        }
    }
}
