//! A function of two variables as a heat map.

use super::{
    TerminalOptions,
    frame::Frame,
    joined,
    paint::{Line, Style},
    scale::Scale,
    text::{labels, number, wrapped},
};
use crate::{Grid, Rgb, colour::ColourMap};

/// From low to high, where there are no colours.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Where there is no value.
const BLANK: char = '·';
/// Where the lowest value is.
const MARK: char = '×';
/// Characters of the legend's colour bar.
const BAR: u8 = 10;

/// Draws a heat map with its axes, a legend and the place of the lowest node, on a linear or a logarithmic scale.
///
/// With colours a character is two pixels, one above the other; without, it is one of five shades from ` ` to `█`.
/// Where there is no finite value, or on a logarithmic scale no positive one, stands `·`.
///
/// ```text
///  2 ┤█▓▓▓▓▒▒▒▒▒▒▒░░░░░░░░▒▒▒▒▒▒▒▓▓▓▓█
///    │▓▒▒▒▒░░░░░░░        ░░░░░░░▒▒▒▒▓
///    │▒▒░░░░░                  ░░░░░▒▒
///  0 ┤▒▒░░░░          ×         ░░░░▒▒
///    │▒▒░░░░░                  ░░░░░▒▒
///    │▓▒▒▒▒░░░░░░░        ░░░░░░░▒▒▒▒▓
/// -2 ┤█▓▓▓▓▒▒▒▒▒▒▒░░░░░░░░▒▒▒▒▒▒▒▓▓▓▓█
///    └────────────────────────────────
///     -2                             2
/// 0.01 [ ░▒▓█] 8.01 (linear)
/// × minimum 0.01 at (0, 0)
/// ```
pub fn surface(grid: &Grid, log: bool, options: &TerminalOptions) -> String {
    let (columns, rows) = options.size();
    let (Some(x), Some(y)) = (axis(grid.x()), axis(grid.y())) else { return String::new() };
    let values = Scale::of(grid.values().iter().copied(), log);
    let lowest = lowest(grid);

    let mut legend = wrapped(&legend(grid, values.as_ref(), log, options.colour, columns), columns, 2);
    if let Some((i, j)) = lowest {
        let words = [
            format!("{MARK} minimum"),
            number(grid.at(i, j), 6),
            format!("at ({},", number(grid.x()[i], 4)),
            format!("{})", number(grid.y()[j], 4)),
        ];
        legend.extend(wrapped(&words, columns, 2));
    }

    let frame = Frame::new(&x, &y, columns);
    let (width, height) = (frame.columns(), frame.rows(rows.saturating_sub(legend.len())));
    // Twice as many pixels as characters down; the mark stands in the character that holds its pixel.
    let mark = lowest.and_then(|(i, j)| {
        let (across, down) = (x.place(grid.x()[i])?, 1.0 - y.place(grid.y()[j])?);
        Some((pixel(across, width), pixel(down, 2 * height)))
    });
    let place =
        |across: f64, down: f64| values.as_ref()?.place(grid.sample(x.value(across), y.value(1.0 - down)));
    let picture = (0..height).map(|row| {
        let mut line = Line::new(options.colour);
        for column in 0..width {
            let across = (column as f64 + 0.5) / width as f64;
            let down = |part: f64| (row as f64 + part) / height as f64;
            let marked = mark.filter(|&(c, r)| (c, r / 2) == (column, row)).map(|(_, r)| r % 2);
            let (c, style) = if options.colour {
                coloured([0.25, 0.75].map(|part| place(across, down(part))), marked)
            } else if marked.is_some() {
                (MARK, Style::default())
            } else {
                (place(across, down(0.5)).map_or(BLANK, shade), Style::default())
            };
            line.put(c, style);
        }
        line.finish()
    });
    joined(frame.around(picture.collect()).into_iter().chain(legend))
}

fn axis(nodes: &[f64]) -> Option<Scale> {
    Scale::of(nodes.iter().copied(), false)
}

/// The node with the lowest finite value, the first of equals.
fn lowest(grid: &Grid) -> Option<(usize, usize)> {
    let finite = grid.values().iter().enumerate().filter(|(_, value)| value.is_finite());
    let (index, _) = finite.min_by(|a, b| a.1.total_cmp(b.1))?;
    Some((index % grid.x().len(), index / grid.x().len()))
}

fn pixel(place: f64, pixels: usize) -> usize {
    ((place * pixels as f64) as usize).min(pixels - 1)
}

fn shade(place: f64) -> char {
    SHADES[pixel(place, SHADES.len())]
}

/// Two pixels as one character, with the mark in the upper (0) or the lower (1).
fn coloured(places: [Option<f64>; 2], marked: Option<usize>) -> (char, Style) {
    let [upper, lower] = places.map(|place| place.map(|place| ColourMap::Viridis.at(place)));
    if let Some(half) = marked {
        let paper = [upper, lower][half].or(upper).or(lower);
        let contrast = |paper: Rgb| if paper.luminance() < 0.3 { Rgb(255, 255, 255) } else { Rgb(0, 0, 0) };
        return (MARK, Style { ink: paper.map(contrast), paper });
    }
    match (upper, lower) {
        (Some(upper), lower) => ('▀', Style { ink: Some(upper), paper: lower }),
        (None, Some(lower)) => ('▄', Style::ink(lower)),
        (None, None) => (BLANK, Style::default()),
    }
}

fn legend(grid: &Grid, values: Option<&Scale>, log: bool, colour: bool, columns: usize) -> Vec<String> {
    let kind = if log { "(log)" } else { "(linear)" };
    let Some(values) = values else {
        return vec![if log { "no positive value" } else { "no finite value" }.to_owned()];
    };
    let mut words = if values.is_flat() {
        vec!["all".to_owned(), number(values.low, 4), kind.to_owned()]
    } else {
        let mut ends = labels(&[values.low, values.high], columns / 2);
        ends.insert(1, bar(colour));
        ends.push(kind.to_owned());
        ends
    };
    if !grid.values().iter().all(|v| Scale::has_place(*v, log)) {
        let missing = if log { "not positive" } else { "not finite" };
        words.push(format!("{BLANK} {missing}"));
    }
    words
}

fn bar(colour: bool) -> String {
    if !colour {
        return format!("[{}]", SHADES.iter().collect::<String>());
    }
    let mut line = Line::new(true);
    for i in 0..BAR {
        line.put('█', Style::ink(ColourMap::Viridis.at(f64::from(i) / f64::from(BAR - 1))));
    }
    line.finish()
}
