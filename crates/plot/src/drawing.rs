//! A picture under construction, as SVG with decimals; every text is remembered with its box, so that layouts (and
//! tests) know what is covered.

use std::fmt::Write;

use base64::Engine;

use crate::boxes::TextBox;
use crate::html::{HoverPanel, SurfaceView};
use crate::style::{INK, WHITE};
use crate::{Rgb, text};

/// A rectangle: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl Rect {
    pub(crate) fn right(&self) -> f64 {
        self.x + self.w
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.y + self.h
    }

    /// Smaller by so much on the left, the top, the right and the bottom.
    pub(crate) fn inside(&self, [left, top, right, bottom]: [f64; 4]) -> Rect {
        Rect {
            x: self.x + left,
            y: self.y + top,
            w: (self.w - left - right).max(1.0),
            h: (self.h - top - bottom).max(1.0),
        }
    }

    /// Whether another rectangle lies inside, up to what cannot be seen.
    pub(crate) fn covers(&self, other: Rect) -> bool {
        let Rect { x, y, .. } = self.inside([-0.01; 4]);
        x <= other.x
            && y <= other.y
            && self.right() + 0.01 >= other.right()
            && self.bottom() + 0.01 >= other.bottom()
    }

    pub(crate) fn contains(&self, p: [f64; 2]) -> bool {
        p[0] >= self.x && p[0] <= self.right() && p[1] >= self.y && p[1] <= self.bottom()
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    pub colour: Rgb,
    pub width: f64,
    pub opacity: f64,
    /// Lengths of dash and gap; solid where absent.
    pub dash: Option<[f64; 2]>,
}

impl Stroke {
    pub(crate) fn solid(colour: Rgb, width: f64) -> Self {
        Self { colour, width, opacity: 1.0, dash: None }
    }

    pub(crate) fn dashed(colour: Rgb, width: f64, dash: [f64; 2]) -> Self {
        Self { dash: Some(dash), ..Self::solid(colour, width) }
    }
}

/// Where the point given lies on a text's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    Start,
    Middle,
    End,
}

/// Where the point given lies on a text's height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Across {
    Top,
    Middle,
    Bottom,
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub size: f64,
    pub colour: Rgb,
    pub along: Along,
    pub across: Across,
    /// Degrees, clockwise.
    pub angle: f64,
    /// A white rim that keeps the text readable on lines.
    pub halo: bool,
}

impl Setting {
    pub(crate) fn new(size: f64, along: Along, across: Across) -> Self {
        Self { size, colour: INK, along, across, angle: 0.0, halo: false }
    }

    /// The box that a text covers when set at a point.
    pub(crate) fn covers(&self, content: &str, at: [f64; 2]) -> TextBox {
        let (w, up, down) =
            (text::width(content, self.size), text::CAPITALS * self.size, text::DESCENT * self.size);
        let left = match self.along {
            Along::Start => 0.0,
            Along::Middle => -w / 2.0,
            Along::End => -w,
        };
        let base = self.baseline();
        let centre = [left + w / 2.0, base + (down - up) / 2.0];
        let (sin, cos) = self.angle.to_radians().sin_cos();
        TextBox {
            centre: [at[0] + cos * centre[0] - sin * centre[1], at[1] + sin * centre[0] + cos * centre[1]],
            half: [w / 2.0, f64::midpoint(up, down)],
            angle: self.angle,
        }
    }

    /// The baseline below the point given, before any rotation.
    fn baseline(&self) -> f64 {
        match self.across {
            Across::Top => text::CAPITALS * self.size,
            Across::Middle => text::CAPITALS * self.size / 2.0,
            Across::Bottom => -text::DESCENT * self.size,
        }
    }
}

/// The picture.
#[derive(Debug)]
pub(crate) struct Drawing {
    pub(crate) size: [f64; 2],
    body: String,
    /// All texts so far and the boxes that they cover.
    pub(crate) texts: Vec<(String, TextBox)>,
    /// What a page can show of the panels of lines under the pointer.
    pub(crate) hover: Vec<HoverPanel>,
    /// The surfaces that a page can turn, with their titles.
    pub(crate) surfaces: Vec<(String, SurfaceView)>,
}

impl Drawing {
    pub(crate) fn new(size: [f64; 2]) -> Self {
        Self { size, body: String::new(), texts: vec![], hover: vec![], surfaces: vec![] }
    }

    pub(crate) fn finish(&self) -> String {
        let [w, h] = self.size.map(number);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"{}\">\n<rect width=\"{w}\" height=\"{h}\" fill=\"{}\"/>\n{}</svg>\n",
            text::FAMILY,
            WHITE.hex(),
            self.body
        )
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.body, "{arguments}");
    }

    pub(crate) fn rect(&mut self, r: Rect, fill: Rgb, opacity: f64) {
        let [x, y, w, h] = [r.x, r.y, r.w, r.h].map(number);
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"{}/>",
            fill.hex(),
            attribute("fill-opacity", opacity)
        ));
    }

    pub(crate) fn outline(&mut self, r: Rect, stroke: Stroke) {
        let corners = [[r.x, r.y], [r.right(), r.y], [r.right(), r.bottom()], [r.x, r.bottom()]];
        self.path(&corners, true, stroke);
    }

    pub(crate) fn path(&mut self, points: &[[f64; 2]], closed: bool, stroke: Stroke) {
        if points.len() < 2 {
            return;
        }
        let dash = stroke
            .dash
            .map_or(String::new(), |[a, b]| format!(" stroke-dasharray=\"{},{}\"", number(a), number(b)));
        self.put(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\" stroke-linecap=\"{}\"{dash}{}/>",
            data(points, closed),
            stroke.colour.hex(),
            number(stroke.width),
            if stroke.dash.is_some() { "butt" } else { "round" },
            attribute("stroke-opacity", stroke.opacity)
        ));
    }

    /// Fills rings by the even-odd rule.
    pub(crate) fn region(&mut self, rings: &[Vec<[f64; 2]>], fill: Rgb, opacity: f64) {
        if rings.is_empty() {
            return;
        }
        let d: String = rings.iter().map(|ring| data(ring, true)).collect();
        self.put(format_args!(
            "<path d=\"{d}\" fill-rule=\"evenodd\" fill=\"{}\"{}/>",
            fill.hex(),
            attribute("fill-opacity", opacity)
        ));
    }

    /// Fills rings and draws a line around them.
    pub(crate) fn lined_region(&mut self, rings: &[Vec<[f64; 2]>], fill: Rgb, line: Stroke) {
        if rings.is_empty() {
            return;
        }
        let d: String = rings.iter().map(|ring| data(ring, true)).collect();
        self.put(format_args!(
            "<path d=\"{d}\" fill-rule=\"evenodd\" fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"{}/>",
            fill.hex(),
            line.colour.hex(),
            number(line.width),
            attribute("stroke-opacity", line.opacity)
        ));
    }

    /// Many separate lines in one path.
    pub(crate) fn segments(&mut self, lines: &[[[f64; 2]; 2]], stroke: Stroke) {
        let d: String = lines.iter().map(|line| data(line, false)).collect();
        self.put(format_args!(
            "<path d=\"{d}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"/>",
            stroke.colour.hex(),
            number(stroke.width)
        ));
    }

    pub(crate) fn circle(&mut self, centre: [f64; 2], radius: f64, fill: Rgb, rim: Option<Stroke>) {
        let rim = rim.map_or(String::new(), |s| {
            format!(" stroke=\"{}\" stroke-width=\"{}\"", s.colour.hex(), number(s.width))
        });
        self.put(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"{rim}/>",
            number(centre[0]),
            number(centre[1]),
            number(radius),
            fill.hex()
        ));
    }

    /// A PNG stretched over a rectangle.
    pub(crate) fn image(&mut self, r: Rect, png: &[u8]) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(png);
        let [x, y, w, h] = [r.x, r.y, r.w, r.h].map(number);
        self.put(format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{encoded}\"/>"
        ));
    }

    pub(crate) fn text(&mut self, content: &str, at: [f64; 2], setting: Setting) {
        if content.is_empty() {
            return;
        }
        self.texts.push((content.to_string(), setting.covers(content, at)));
        let anchor = match setting.along {
            Along::Start => "",
            Along::Middle => " text-anchor=\"middle\"",
            Along::End => " text-anchor=\"end\"",
        };
        let place = if setting.angle == 0.0 {
            format!("x=\"{}\" y=\"{}\"", number(at[0]), number(at[1] + setting.baseline()))
        } else {
            format!(
                "transform=\"translate({} {}) rotate({})\" y=\"{}\"",
                number(at[0]),
                number(at[1]),
                number(setting.angle),
                number(setting.baseline())
            )
        };
        let halo = if setting.halo {
            " stroke=\"#ffffff\" stroke-width=\"2.6\" stroke-linejoin=\"round\" paint-order=\"stroke\""
        } else {
            ""
        };
        self.put(format_args!(
            "<text {place} font-size=\"{}\" fill=\"{}\"{anchor}{halo}>{}</text>",
            number(setting.size),
            setting.colour.hex(),
            escape(content)
        ));
    }

    /// Draws with everything outside of a rectangle cut off. A nested `svg` cuts without an identifier, of which there
    /// could be two in one page.
    pub(crate) fn clipped(&mut self, r: Rect, draw: impl FnOnce(&mut Self)) {
        let [x, y, w, h] = [r.x, r.y, r.w, r.h].map(number);
        self.put(format_args!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" viewBox=\"{x} {y} {w} {h}\">"
        ));
        draw(self);
        self.put(format_args!("</svg>"));
    }
}

fn attribute(name: &str, opacity: f64) -> String {
    if opacity < 1.0 { format!(" {name}=\"{}\"", number(opacity)) } else { String::new() }
}

fn data(points: &[[f64; 2]], closed: bool) -> String {
    let mut d = String::new();
    for (i, p) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, number(p[0]), number(p[1]));
    }
    if closed {
        d.push('Z');
    }
    d
}

/// Hundredths of a unit are below what any printer shows.
pub(crate) fn number(v: f64) -> String {
    let mut s = format!("{v:.2}");
    s.truncate(s.trim_end_matches('0').trim_end_matches('.').len());
    if s == "-0" { "0".to_string() } else { s }
}

/// Text for use between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
