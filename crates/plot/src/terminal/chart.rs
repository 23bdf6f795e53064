//! Curves over one axis.

use super::{
    TerminalOptions,
    braille::Canvas,
    frame::Frame,
    joined,
    paint::{Line, Style},
    scale::Scale,
    text::{clean, number, wrapped},
};
use crate::Rgb;

/// Okabe and Ito's colours that show on dark and on light ground alike; colour-blind readers tell them apart.
const COLOURS: [Rgb; 6] = [
    Rgb(230, 159, 0),
    Rgb(86, 180, 233),
    Rgb(0, 158, 115),
    Rgb(204, 121, 167),
    Rgb(213, 94, 0),
    Rgb(0, 114, 178),
];
/// Rows that the legend leaves to the picture and its axes, however many series there are.
const ROWS_KEPT: usize = 8;

/// Name, x and y.
type Series<'a> = (&'a str, &'a [f64], &'a [f64]);

/// Draws curves of (name, x, y) with Braille dots in one frame, y on a linear or a logarithmic scale.
///
/// Points follow each other as given. One that is not finite, or not positive on a logarithmic scale, breaks its curve
/// and is counted in the legend, as are entries of the longer of x and y that have no partner.
///
/// ```text
///   1 ┤⢣
///     │ ⢣
///     │  ⠣⡀
/// 0.5 ┤   ⠑⢄
///     │     ⠑⠤⡀
///     │       ⠈⠒⠤⣀
///   0 ┤           ⠉⠒⠒⠤⠤⠤⠤
///     └──────────────────
///      0               10
/// loss/train: min 0, max 1, last 0
/// ```
pub fn lines(series: &[(&str, &[f64], &[f64])], log_y: bool, options: &TerminalOptions) -> String {
    let (columns, rows) = options.size();
    let legend = |room| legend(series, log_y, options.colour, columns, room);
    let drawable = || series.iter().flat_map(|one| points(one, log_y)).flatten();
    let (Some(x), Some(y)) =
        (Scale::of(drawable().map(|p| p.0), false), Scale::of(drawable().map(|p| p.1), log_y))
    else {
        return joined(std::iter::once("no value to draw".to_owned()).chain(legend(rows.saturating_sub(1))));
    };

    let legend = legend(rows.saturating_sub(ROWS_KEPT));
    let frame = Frame::new(&x, &y, columns);
    let mut canvas = Canvas::new(frame.columns(), frame.rows(rows.saturating_sub(legend.len())));
    for (colour, one) in series.iter().enumerate() {
        let mut last = None;
        for point in points(one, log_y) {
            let dot = point.and_then(|(px, py)| Some(canvas.dot_at(x.place(px)?, y.place(py)?)));
            if let Some(dot) = dot {
                canvas.line(last.unwrap_or(dot), dot, colour);
            }
            last = dot;
        }
    }
    let picture = canvas.rows().map(|row| {
        let mut line = Line::new(options.colour);
        row.for_each(|(c, colour)| line.put(c, colour.map(ink).unwrap_or_default()));
        line.finish()
    });
    joined(frame.around(picture.collect()).into_iter().chain(legend))
}

/// The points of a curve, `None` for those that cannot be drawn.
fn points<'a>(&(_, x, y): &Series<'a>, log_y: bool) -> impl Iterator<Item = Option<(f64, f64)>> + use<'a> {
    let drawable = move |(&x, &y): (&f64, &f64)| {
        (Scale::has_place(x, false) && Scale::has_place(y, log_y)).then_some((x, y))
    };
    x.iter().zip(y).map(drawable)
}

fn ink(series: usize) -> Style {
    Style::ink(COLOURS[series % COLOURS.len()])
}

/// One entry for each series, as many as there is room for in so many rows.
fn legend(series: &[Series<'_>], log_y: bool, colour: bool, columns: usize, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if log_y {
        lines.push("y is logarithmic".to_owned());
    }
    for (index, one) in series.iter().enumerate() {
        let entry = wrapped(&entry(index, one, log_y, colour, columns), columns, 2);
        let left = series.len() - index;
        // The first is always there; the others leave a line to say how many are not.
        let reserved = usize::from(left > 1);
        if index > 0 && lines.len() + entry.len() + reserved > room {
            lines.push(format!("and {left} more"));
            break;
        }
        lines.extend(entry);
    }
    lines
}

fn entry(index: usize, one: &Series<'_>, log_y: bool, colour: bool, columns: usize) -> Vec<String> {
    let &(name, x, y) = one;
    let mut words = Vec::new();
    if colour {
        let mut line = Line::new(true);
        line.put('━', ink(index));
        words.push(line.finish());
    }
    // Two columns for the line's colour, one for the colon.
    let name = if name.is_empty() { format!("series {}", index + 1) } else { clean(name, columns - 3) };
    words.push(name + ":");
    if let Some(range) = Scale::of(y.iter().copied(), false) {
        words.push(format!("min {},", number(range.low, 4)));
        words.push(format!("max {},", number(range.high, 4)));
    }
    match y.last() {
        Some(last) => words.push(format!("last {}", number(*last, 4))),
        None => words.push("empty".to_owned()),
    }
    let missing = x.len().max(y.len()) - points(one, log_y).flatten().count();
    if missing > 0 {
        words.push(format!("({missing} not drawn)"));
    }
    words
}
