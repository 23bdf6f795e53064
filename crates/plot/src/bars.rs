//! Bars with error bars, one group for every name.

use serde::{Deserialize, Serialize};

use crate::axis::{Axis, Scale};
use crate::drawing::{Drawing, Rect, Stroke};
use crate::frame::{Extent, Margins, Plan};
use crate::legend::{Legend, Swatch};
use crate::placer::Placer;
use crate::style::{INK, SERIES};

/// Values of one kind, one for every name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Group {
    /// The name in the legend.
    pub name: String,
    /// The values; NaN leaves a gap.
    pub values: Vec<f64>,
    /// Half the length of each error bar; none if empty.
    pub errors: Vec<f64>,
}

/// A panel of horizontal bars, which leaves room for long names.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bars {
    /// What the panel shows.
    pub title: String,
    /// The values' axis.
    pub value: Axis,
    /// The names, from the top.
    pub names: Vec<String>,
    /// The groups, from the top within each name.
    pub groups: Vec<Group>,
}

impl Bars {
    /// The height that all names need.
    pub(crate) fn height(&self) -> f64 {
        90.0 + self.names.len() as f64 * (8.0 + 10.0 * self.groups.len().max(1) as f64)
    }

    fn plan(&self, free: f64) -> Plan {
        let ends = self.groups.iter().flat_map(|g| {
            g.values.iter().enumerate().flat_map(|(i, v)| {
                let e = g.errors.get(i).copied().filter(|e| e.is_finite()).unwrap_or(0.0);
                [v - e, *v, v + e]
            })
        });
        let ground = (self.value.scale == Scale::Linear && self.value.range.is_none()).then_some(0.0);
        let mut range = self.value.extent(ends.chain(ground), 0.05);
        // Bars start at zero, which a margin would hide.
        if ground.is_some()
            && range[0] < 0.0
            && self.groups.iter().flat_map(|g| &g.values).all(|v| v.is_nan() || *v >= 0.0)
        {
            range[0] = 0.0;
        }
        if self.value.range.is_none() {
            let [low, high] = range.map(|v| self.value.scale.length(v));
            range[1] = self.value.scale.value_at(low + (high - low) / (1.0 - free));
        }
        let names = self.names.iter().rev().cloned().collect();
        Plan {
            title: self.title.clone(),
            x: Extent::numbers(self.value.clone(), range),
            y: Extent::names("", names),
            right: None,
            below: true,
        }
    }

    pub(crate) fn margins(&self, cell: [f64; 2]) -> Margins {
        self.plan(0.0).margins(cell, 0.0)
    }

    pub(crate) fn draw(&self, drawing: &mut Drawing, cell: Rect, margins: Margins) {
        let plot = margins.plot(cell);
        let entries =
            self.groups.iter().enumerate().filter(|(_, g)| !g.name.is_empty() && self.groups.len() > 1);
        let entries =
            entries.map(|(k, g)| (Swatch::Block(SERIES[k % SERIES.len()], 1.0), g.name.clone())).collect();
        let legend = Legend::new(entries, plot.w - 10.0);
        let mut chosen = None;
        for free in [0.0, 0.15, 0.3, 0.45] {
            let frame = self.plan(free).frame(cell, margins);
            let mut placer = Placer::new(plot);
            for (_, r, _) in self.rects(&frame) {
                for i in 0..=4 {
                    let y = r.y + f64::from(i) / 4.0 * r.h;
                    placer.curve(&[[r.x, y], [r.right(), y]]);
                }
            }
            let place = if legend.is_empty() { None } else { legend.place(plot, &placer) };
            let clear = legend.is_empty() || place.is_some_and(|(_, clear)| clear);
            chosen = Some((frame, place));
            if clear {
                break;
            }
        }
        let (frame, place) = chosen.expect("there is at least one choice");
        frame.draw(drawing, true);
        drawing.clipped(plot, |drawing| {
            for (k, r, whisker) in self.rects(&frame) {
                drawing.rect(r, SERIES[k % SERIES.len()], 1.0);
                // A bound that is shorter than its line is wide would only look like a smudge.
                if let Some([from, to]) = whisker.filter(|[from, to]| to - from > 1.5) {
                    let y = r.y + r.h / 2.0;
                    let lines = [
                        [[from, y], [to, y]],
                        [[from, y - 2.5], [from, y + 2.5]],
                        [[to, y - 2.5], [to, y + 2.5]],
                    ];
                    drawing.segments(&lines, Stroke::solid(INK, 1.1));
                }
            }
        });
        if let Some((at, _)) = place {
            legend.draw(drawing, at);
        }
    }

    /// Each bar with its group's place and the ends of its error bar.
    fn rects(&self, frame: &crate::frame::Frame) -> Vec<(usize, Rect, Option<[f64; 2]>)> {
        let n = self.names.len();
        let ground = if self.value.scale == Scale::Log { frame.x.low } else { 0.0 };
        let thick = 0.78 / self.groups.len().max(1) as f64;
        let mut out = vec![];
        for (k, group) in self.groups.iter().enumerate() {
            for (i, &v) in
                group.values.iter().enumerate().take(n).filter(|(_, v)| self.value.scale.shows(**v))
            {
                let top = (n - i) as f64 - 0.11 - k as f64 * thick;
                let ([a, y], [b, bottom]) = (frame.at(ground, top), frame.at(v, top - thick));
                let rect = Rect { x: a.min(b), y, w: (b - a).abs(), h: bottom - y };
                let whisker = group.errors.get(i).filter(|e| **e > 0.0 && e.is_finite()).map(|e| {
                    let low = if self.value.scale.shows(v - e) { v - e } else { frame.x.low };
                    [frame.at(low, top)[0], frame.at(v + e, top)[0]]
                });
                out.push((k, rect, whisker));
            }
        }
        out
    }
}
