//! Names at the ends of curves, labels of reference lines, remarks.

use super::draw::in_sight;
use super::{Lines, Names};
use crate::drawing::{Across, Along, Drawing, Setting, Stroke};
use crate::frame::Frame;
use crate::placer::Placer;
use crate::style::{FAINT_INK, HAIR, NOTE};
use crate::{Rgb, text};

pub(super) fn draw(panel: &Lines, drawing: &mut Drawing, frame: &Frame, placer: &mut Placer) {
    if panel.names == Names::Direct {
        direct(panel, drawing, frame);
    }
    for reference in &panel.references {
        let ruler = if reference.upright { &frame.x } else { &frame.y };
        if in_sight(ruler, reference.at) && !reference.label.is_empty() {
            // The plot is the longest that a label can be.
            let label = text::fit(&reference.label, NOTE, frame.plot.w - 12.0);
            let places =
                if reference.upright { beside(frame, reference.at) } else { above(frame, reference.at) };
            placer.label(drawing, &label, &places);
        }
    }
    for note in &panel.notes {
        let [x, y] = frame.at(note.at[0], note.at[1]);
        let label = text::fit(&note.text, NOTE, frame.plot.w - 12.0);
        placer.label(drawing, &label, &around([x, y]));
    }
}

fn faint(along: Along, across: Across) -> Setting {
    Setting { colour: FAINT_INK, halo: true, ..Setting::new(NOTE, along, across) }
}

/// Places on both sides of a horizontal line, from the right to the left.
fn above(frame: &Frame, level: f64) -> Vec<([f64; 2], Setting)> {
    let plot = frame.plot;
    let [_, y] = frame.at(frame.x.low, level);
    [(plot.right() - 5.0, Along::End), (plot.x + 5.0, Along::Start), (plot.x + plot.w / 2.0, Along::Middle)]
        .into_iter()
        .flat_map(|(x, along)| {
            [([x, y - 3.0], faint(along, Across::Bottom)), ([x, y + 4.0], faint(along, Across::Top))]
        })
        .collect()
}

/// Places on both sides of a vertical line, from the top to the bottom.
fn beside(frame: &Frame, event: f64) -> Vec<([f64; 2], Setting)> {
    let plot = frame.plot;
    let [x, _] = frame.at(event, frame.y.low);
    let heights = (0..12).map(|i| plot.y + 5.0 + f64::from(i) * (plot.h - 10.0 - NOTE) / 11.0);
    heights
        .flat_map(|y| {
            [([x + 4.0, y], faint(Along::Start, Across::Top)), ([x - 4.0, y], faint(Along::End, Across::Top))]
        })
        .collect()
}

/// Places around a point, near ones first.
fn around([x, y]: [f64; 2]) -> Vec<([f64; 2], Setting)> {
    let ink = |along, across| Setting { halo: true, ..Setting::new(NOTE, along, across) };
    [5.0, 12.0, 22.0, 34.0]
        .into_iter()
        .flat_map(|d| {
            [
                ([x, y - d], ink(Along::Middle, Across::Bottom)),
                ([x + d, y], ink(Along::Start, Across::Middle)),
                ([x - d, y], ink(Along::End, Across::Middle)),
                ([x + d * 0.7, y - d * 0.7], ink(Along::Start, Across::Bottom)),
                ([x - d * 0.7, y - d * 0.7], ink(Along::End, Across::Bottom)),
                ([x, y + d], ink(Along::Middle, Across::Top)),
            ]
        })
        .collect()
}

/// Names beside the last points, pushed apart where they would meet, with a thread to the curve where they moved.
fn direct(panel: &Lines, drawing: &mut Drawing, frame: &Frame) {
    let plot = frame.plot;
    let room = drawing.size[0].min(plot.right() + 400.0);
    let mut names: Vec<(f64, f64, Rgb, &str)> = panel
        .series
        .iter()
        .zip(panel.looks())
        .filter(|(s, _)| !s.name.is_empty())
        .filter_map(|(s, (colour, _))| {
            let last = (0..s.x.len().min(s.y.len()))
                .rev()
                .find(|&i| in_sight(&frame.y, s.y[i]) && in_sight(&frame.x, s.x[i]))?;
            let [_, y] = frame.at(s.x[last], s.y[last]);
            Some((y, y, colour, s.name.as_str()))
        })
        .collect();
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let apart = 1.25 * NOTE;
    // Down where too close, then up again from the bottom where that left the plot.
    for i in 1..names.len() {
        names[i].1 = names[i].1.max(names[i - 1].1 + apart);
    }
    let mut limit = plot.bottom() - 1.0;
    for name in names.iter_mut().rev() {
        name.1 = name.1.min(limit);
        limit = name.1 - apart;
    }
    for (from, y, colour, name) in names {
        let x = plot.right() + 8.0;
        if (from - y).abs() > 1.0 {
            drawing.path(&[[plot.right() + 1.0, from], [x - 2.0, y]], false, Stroke::solid(colour, HAIR));
        }
        let setting = Setting { colour, ..Setting::new(NOTE, Along::Start, Across::Middle) };
        drawing.text(&text::fit(name, NOTE, (room - x).min(0.35 * drawing.size[0])), [x, y], setting);
    }
}
