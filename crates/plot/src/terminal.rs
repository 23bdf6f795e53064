//! Small pictures in Unicode characters, for people who look at a landscape over SSH.
//!
//! Both functions return lines that end in `\n`, none wider than asked for, colour codes not counted.
//!
//! ```
//! use relief_plot::{Grid, terminal};
//!
//! let grid = Grid::new(vec![-1.0, 0.0, 1.0], vec![0.0, 1.0], vec![1.0, 0.0, 1.0, 2.0, 1.0, 2.0])?;
//! let options = terminal::TerminalOptions { columns: 40, rows: 12, colour: true };
//! print!("{}", terminal::surface(&grid, false, &options));
//! print!("{}", terminal::lines(&[("loss", &[0.0, 1.0, 2.0], &[2.3, 0.4, 0.1])], true, &options));
//! # Ok::<(), relief_plot::PlotError>(())
//! ```

mod braille;
mod chart;
mod frame;
mod heat_map;
mod paint;
mod scale;
mod text;

pub use chart::lines;
pub use heat_map::surface;

/// How large a picture is and whether it has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalOptions {
    /// Characters a line, from 20 to 1000; numbers outside count as the nearer of the two.
    pub columns: usize,
    /// Lines with axes and legends, up to 500. What is too few is exceeded: a picture has three lines at least.
    pub rows: usize,
    /// Colours as 24-bit ANSI codes. Off by default: only the caller knows whether a terminal shows the text.
    pub colour: bool,
}

impl Default for TerminalOptions {
    fn default() -> Self {
        Self { columns: 60, rows: 20, colour: false }
    }
}

impl TerminalOptions {
    /// Columns and rows within bounds that can be laid out and held in memory.
    fn size(&self) -> (usize, usize) {
        (self.columns.clamp(20, 1000), self.rows.min(500))
    }
}

/// The lines as one text, without spaces nobody sees.
fn joined(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
