//! Characters with colours as ANSI codes.

use std::fmt::Write;

use crate::Rgb;

/// The colours of a character and of the cell behind it; the terminal's own where `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) ink: Option<Rgb>,
    pub(super) paper: Option<Rgb>,
}

impl Style {
    pub(super) fn ink(colour: Rgb) -> Self {
        Self { ink: Some(colour), paper: None }
    }
}

/// A line under construction, with a colour code only where the colours change.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    colour: bool,
    style: Style,
}

impl Line {
    /// An empty line, which leaves the styles out unless `colour`.
    pub(super) fn new(colour: bool) -> Self {
        Self { text: String::new(), colour, style: Style::default() }
    }

    pub(super) fn put(&mut self, c: char, style: Style) {
        if self.colour && style != self.style {
            self.change_to(style);
        }
        self.text.push(c);
    }

    /// The text, whose colours end with it.
    pub(super) fn finish(mut self) -> String {
        if self.style != Style::default() {
            self.change_to(Style::default());
        }
        self.text
    }

    fn change_to(&mut self, style: Style) {
        // The leading 0 takes back whatever held before.
        self.text.push_str("\x1b[0");
        for (kind, colour) in [(38, style.ink), (48, style.paper)] {
            if let Some(Rgb(r, g, b)) = colour {
                // Writing to a string cannot fail.
                let _ = write!(self.text, ";{kind};2;{r};{g};{b}");
            }
        }
        self.text.push('m');
        self.style = style;
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Style};
    use crate::Rgb;

    #[test]
    fn codes_stand_only_where_colours_change() {
        let red = Style::ink(Rgb(255, 0, 0));
        let both = Style { paper: Some(Rgb(1, 2, 3)), ..red };
        let drawn = |colour| {
            let mut line = Line::new(colour);
            for (c, style) in [('a', Style::default()), ('b', red), ('c', red), ('d', both)] {
                line.put(c, style);
            }
            line.finish()
        };
        assert_eq!(drawn(true), "a\x1b[0;38;2;255;0;0mbc\x1b[0;38;2;255;0;0;48;2;1;2;3md\x1b[0m");
        assert_eq!(drawn(false), "abcd");
    }
}
