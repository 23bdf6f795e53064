//! Draws a panel of curves.

use super::labels;
use super::{Lines, Mark, Names, Series};
use crate::Rgb;
use crate::axis::Scale;
use crate::drawing::{Drawing, Rect, Stroke};
use crate::frame::{Frame, Margins};
use crate::html::{HoverAxis, HoverPanel, HoverSeries};
use crate::legend::{Legend, Swatch};
use crate::placer::Placer;
use crate::ruler::Ruler;
use crate::style::{CURVE, FAINT_INK, HAIR, WHITE};

/// Parts of the height that are left free at the top, one after another, until the legend covers no data.
const FREE: [f64; 5] = [0.0, 0.12, 0.22, 0.34, 0.48];

impl Lines {
    pub(crate) fn draw(&self, drawing: &mut Drawing, cell: Rect, margins: Margins, below: bool) {
        let plot = margins.plot(cell);
        let legend = self.legend(plot.w);
        let mut chosen = None;
        for free in FREE {
            let frame = self.plan(below, free).frame(cell, margins);
            let mut placer = Placer::new(plot);
            let curves: Vec<Vec<Vec<[f64; 2]>>> = self.series.iter().map(|s| pieces(s, &frame)).collect();
            curves.iter().flatten().for_each(|c| placer.curve(c));
            self.straight(&frame).iter().for_each(|line| placer.curve(line));
            let place = if legend.is_empty() { None } else { legend.place(plot, &placer) };
            let clear = legend.is_empty() || place.is_some_and(|(_, clear)| clear);
            chosen = Some((frame, placer, curves, place));
            if clear || self.y.range.is_some() {
                break;
            }
        }
        let (frame, mut placer, curves, place) = chosen.expect("there is at least one choice");
        frame.draw(drawing, true);
        drawing.clipped(plot, |drawing| {
            self.bands(drawing, &frame);
            for line in self.straight(&frame) {
                drawing.path(&line, false, Stroke::dashed(FAINT_INK, 1.1, [5.0, 3.0]));
            }
            for (look, pieces) in self.looks().into_iter().zip(&curves) {
                draw_series(drawing, &frame, look, pieces);
            }
        });
        if let Some((at, _)) = place {
            legend.draw(drawing, at);
            placer.take(crate::boxes::TextBox::upright(at.x, at.y, at.right(), at.bottom()));
        }
        labels::draw(self, drawing, &frame, &mut placer);
        drawing.hover.push(self.hover(&frame));
    }

    fn legend(&self, room: f64) -> Legend {
        let named = self.series.iter().zip(self.looks()).filter(|(s, _)| !s.name.is_empty());
        let entries = named.map(|(s, (colour, mark))| {
            let swatch = match mark {
                Mark::Dots | Mark::Stems => Swatch::Dot(colour),
                Mark::Area => Swatch::Block(colour, 0.45),
                mark => Swatch::Line(stroke(mark, colour)),
            };
            (swatch, s.name.clone())
        });
        let entries: Vec<_> = if self.names == Names::Direct { vec![] } else { entries.collect() };
        // A single curve is what the axis says.
        let entries = if entries.len() == 1 && self.series.len() == 1 { vec![] } else { entries };
        Legend::new(entries, room - 10.0)
    }

    /// The reference lines that are in sight.
    fn straight(&self, frame: &Frame) -> Vec<Vec<[f64; 2]>> {
        let plot = frame.plot;
        self.references
            .iter()
            .filter(|r| in_sight(if r.upright { &frame.x } else { &frame.y }, r.at))
            .map(|r| {
                if r.upright {
                    let [x, _] = frame.at(r.at, frame.y.low);
                    vec![[x, plot.bottom()], [x, plot.y]]
                } else {
                    let [_, y] = frame.at(frame.x.low, r.at);
                    vec![[plot.x, y], [plot.right(), y]]
                }
            })
            .collect()
    }

    fn bands(&self, drawing: &mut Drawing, frame: &Frame) {
        for (series, (colour, _)) in self.series.iter().zip(self.looks()) {
            let Some([low, high]) = &series.band else { continue };
            let ruler = ruler(series, frame);
            let shown = |&i: &usize| {
                let edges = [low, high].map(|edge| edge.get(i).copied().unwrap_or(f64::NAN));
                frame.x.scale.shows(series.x[i])
                    && edges.iter().all(|e| e.is_finite())
                    && ruler.scale.shows(edges[1])
            };
            let all: Vec<usize> = (0..series.x.len()).collect();
            for run in all.split(|i| !shown(i)).filter(|run| run.len() > 1) {
                // A band may reach below what a logarithmic axis can show.
                let edge = |edge: &[f64], i: usize| {
                    let y = if ruler.scale.shows(edge[i]) { edge[i] } else { ruler.low };
                    at(series, frame, series.x[i], y)
                };
                let mut ring: Vec<[f64; 2]> = run.iter().map(|&i| edge(high, i)).collect();
                ring.extend(run.iter().rev().map(|&i| edge(low, i)));
                drawing.region(&[ring], colour, 0.2);
            }
        }
    }

    fn hover(&self, frame: &Frame) -> HoverPanel {
        let axis = |ruler: &Ruler, label: &str| HoverAxis {
            log: ruler.scale == Scale::Log,
            range: [ruler.low, ruler.high],
            label: label.to_string(),
        };
        let known = |values: &[f64]| values.iter().map(|v| v.is_finite().then_some(*v)).collect();
        let Rect { x, y, w, h } = frame.plot;
        HoverPanel {
            frame: [x, y, w, h],
            x: axis(&frame.x, &self.x.label),
            y: axis(&frame.y, &self.y.label),
            y2: frame.right.as_ref().zip(self.right.as_ref()).map(|(ruler, a)| axis(ruler, &a.label)),
            series: self
                .series
                .iter()
                .zip(self.looks())
                .map(|(s, (colour, _))| HoverSeries {
                    name: s.name.clone(),
                    colour: colour.hex(),
                    x: known(&s.x),
                    y: known(&s.y),
                    axis2: s.right && frame.right.is_some(),
                })
                .collect(),
        }
    }
}

pub(super) fn in_sight(ruler: &Ruler, v: f64) -> bool {
    ruler.scale.shows(v) && (-1e-9..=1.0 + 1e-9).contains(&ruler.fraction(v))
}

fn ruler<'a>(series: &Series, frame: &'a Frame) -> &'a Ruler {
    frame.right.as_ref().filter(|_| series.right).unwrap_or(&frame.y)
}

fn at(series: &Series, frame: &Frame, x: f64, y: f64) -> [f64; 2] {
    if series.right { frame.at_right(x, y) } else { frame.at(x, y) }
}

/// The pieces of a series between points that cannot be shown, in the picture.
fn pieces(series: &Series, frame: &Frame) -> Vec<Vec<[f64; 2]>> {
    let scale = ruler(series, frame).scale;
    let points: Vec<(f64, f64)> = series.x.iter().copied().zip(series.y.iter().copied()).collect();
    points
        .split(|(x, y)| !frame.x.scale.shows(*x) || !scale.shows(*y))
        .filter(|run| !run.is_empty())
        .map(|run| thin(run.iter().map(|&(x, y)| at(series, frame, x, y)).collect(), series.mark))
        .collect()
}

/// Keeps of a long curve the first, lowest, highest and last point of every half unit along x, which look the same.
fn thin(points: Vec<[f64; 2]>, mark: Mark) -> Vec<[f64; 2]> {
    const MOST: usize = 4000;
    let ordered = points.windows(2).all(|w| w[0][0] <= w[1][0]);
    if points.len() <= MOST || !ordered || matches!(mark, Mark::Dots | Mark::Stems) {
        return points;
    }
    let column = |p: &[f64; 2]| (p[0] * 2.0).floor() as i64;
    let mut out: Vec<[f64; 2]> = vec![];
    for run in points.chunk_by(|a, b| column(a) == column(b)) {
        let by = |pick: fn(f64, f64) -> bool| {
            (0..run.len()).reduce(|a, b| if pick(run[b][1], run[a][1]) { b } else { a })
        };
        let mut kept = vec![0, run.len() - 1];
        kept.extend(by(|b, a| b < a).into_iter().chain(by(|b, a| b > a)));
        kept.sort_unstable();
        kept.dedup();
        out.extend(kept.into_iter().map(|i| run[i]));
    }
    out
}

fn stroke(mark: Mark, colour: Rgb) -> Stroke {
    match mark {
        Mark::Dashed => Stroke::dashed(colour, CURVE, [6.0, 3.0]),
        Mark::Dotted => Stroke::dashed(colour, CURVE, [1.6, 2.4]),
        _ => Stroke::solid(colour, CURVE),
    }
}

fn draw_series(drawing: &mut Drawing, frame: &Frame, (colour, mark): (Rgb, Mark), pieces: &[Vec<[f64; 2]>]) {
    let ground = frame.plot.bottom();
    let dot = |drawing: &mut Drawing, p: [f64; 2], radius: f64| {
        drawing.circle(p, radius, colour, Some(Stroke::solid(WHITE, HAIR)));
    };
    for piece in pieces {
        match mark {
            Mark::Dots => piece.iter().for_each(|p| dot(drawing, *p, 3.0)),
            Mark::Stems => piece.iter().for_each(|&p| {
                drawing.path(&[[p[0], ground], p], false, Stroke::solid(colour, 1.1));
                dot(drawing, p, 2.6);
            }),
            mark => {
                if let (Mark::Area, [first, .., last]) = (mark, piece.as_slice()) {
                    let mut ring = piece.clone();
                    ring.extend([[last[0], ground], [first[0], ground]]);
                    drawing.region(&[ring], colour, 0.25);
                }
                match piece.as_slice() {
                    [lone] => dot(drawing, *lone, 2.6),
                    curve => drawing.path(curve, false, stroke(mark, colour)),
                }
            }
        }
    }
}
