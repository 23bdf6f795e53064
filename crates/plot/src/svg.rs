//! plotters draws into a [`Drawing`]: lines, rectangles and text with hundredths of a unit.

use std::convert::Infallible;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use crate::Rgb;
use crate::drawing::{Across, Along, Drawing, Rect, Setting, Stroke};
use crate::text;

/// plotters counts in whole pixels; so many of them make one unit.
pub(crate) const SCALE: f64 = 100.0;

/// Units as plotters' pixels.
pub(crate) fn pixels(units: f64) -> i32 {
    (units * SCALE).round() as i32
}

fn units(pixels: i32) -> f64 {
    f64::from(pixels) / SCALE
}

fn point((x, y): BackendCoord) -> [f64; 2] {
    [units(x), units(y)]
}

/// The backend.
pub(crate) struct Svg<'a>(pub(crate) &'a mut Drawing);

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

fn colour(c: BackendColor) -> Rgb {
    Rgb(c.rgb.0, c.rgb.1, c.rgb.2)
}

fn stroke<S: BackendStyle>(style: &S) -> Stroke {
    let c = style.color();
    Stroke { opacity: c.alpha, ..Stroke::solid(colour(c), f64::from(style.stroke_width()) / SCALE) }
}

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (pixels(self.0.size[0]) as u32, pixels(self.0.size[1]) as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, c: BackendColor) -> Drawn {
        let [x, y] = point(at);
        self.0.rect(Rect { x, y, w: 1.0 / SCALE, h: 1.0 / SCALE }, colour(c), c.alpha);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if style.color().alpha > 0.0 {
            let points: Vec<[f64; 2]> = path.into_iter().map(point).collect();
            self.0.path(&points, false, stroke(style));
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        a: BackendCoord,
        b: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let ([x, y], [right, bottom]) = (point(a), point(b));
        let rect = Rect { x, y, w: right - x, h: bottom - y };
        let c = style.color();
        match c.alpha {
            0.0 => {}
            alpha if fill => self.0.rect(rect, colour(c), alpha),
            _ => self.0.outline(rect, stroke(style)),
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        let c = colour(style.color());
        let rim = (!fill).then(|| stroke(style));
        self.0.circle(point(centre), f64::from(radius) / SCALE, c, rim);
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        ring: I,
        style: &S,
    ) -> Drawn {
        let c = style.color();
        self.0.region(&[ring.into_iter().map(point).collect()], colour(c), c.alpha);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, content: &str, style: &S, at: BackendCoord) -> Drawn {
        let anchor = style.anchor();
        let along = match anchor.h_pos {
            HPos::Left => Along::Start,
            HPos::Center => Along::Middle,
            HPos::Right => Along::End,
        };
        let across = match anchor.v_pos {
            VPos::Top => Across::Top,
            VPos::Center => Across::Middle,
            VPos::Bottom => Across::Bottom,
        };
        let angle = match style.transform() {
            FontTransform::None => 0.0,
            FontTransform::Rotate90 => 90.0,
            FontTransform::Rotate180 => 180.0,
            FontTransform::Rotate270 => -90.0,
        };
        let setting = Setting {
            colour: colour(style.color()),
            angle,
            ..Setting::new(style.size() / SCALE, along, across)
        };
        self.0.text(content, point(at), setting);
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        content: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        Ok((text::width(content, style.size()) as u32, (text::LINE * style.size()) as u32))
    }
}
