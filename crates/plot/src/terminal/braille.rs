//! A canvas of dots, eight to a character.

/// The bit of each dot in a Braille character, by row and column.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Dots in `columns` by `rows` characters, each 2 dots wide and 4 high; a character has the colour drawn last.
#[derive(Debug)]
pub(super) struct Canvas {
    columns: usize,
    rows: usize,
    cells: Vec<(u8, usize)>,
}

impl Canvas {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![(0, 0); columns * rows] }
    }

    /// The dot at a place in 0..1 from the left and from the bottom.
    pub(super) fn dot_at(&self, across: f64, up: f64) -> (usize, usize) {
        let nearest = |place: f64, dots: usize| (place * (dots - 1) as f64).round() as usize;
        (nearest(across, 2 * self.columns), nearest(1.0 - up, 4 * self.rows))
    }

    /// A straight line with both its ends.
    pub(super) fn line(&mut self, from: (usize, usize), to: (usize, usize), colour: usize) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        // The nearest dot to the point so many steps from `a` to `b`.
        let between =
            |a: usize, b: usize, step: usize| (2 * (a * (steps - step) + b * step) + steps) / (2 * steps);
        for step in 0..=steps {
            self.dot((between(from.0, to.0, step), between(from.1, to.1, step)), colour);
        }
    }

    fn dot(&mut self, (across, down): (usize, usize), colour: usize) {
        let cell = &mut self.cells[down / 4 * self.columns + across / 2];
        *cell = (cell.0 | BITS[down % 4][across % 2], colour);
    }

    /// Rows of characters with their colours, a space with none where there is no dot.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = (char, Option<usize>)>> {
        self.cells.chunks(self.columns).map(|row| {
            row.iter().map(|&(dots, colour)| match dots {
                0 => (' ', None),
                dots => (char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '), Some(colour)),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Canvas;

    fn drawn(canvas: &Canvas) -> Vec<String> {
        canvas.rows().map(|row| row.map(|(c, _)| c).collect()).collect()
    }

    #[test]
    fn every_dot_has_its_bit() {
        let mut canvas = Canvas::new(1, 1);
        for (dot, expected) in [
            ((0, 0), '⠁'),
            ((0, 1), '⠃'),
            ((0, 2), '⠇'),
            ((0, 3), '⡇'),
            ((1, 0), '⡏'),
            ((1, 1), '⡟'),
            ((1, 2), '⡿'),
            ((1, 3), '⣿'),
        ] {
            canvas.dot(dot, 0);
            assert_eq!(drawn(&canvas), [expected.to_string()]);
        }
    }

    #[test]
    fn lines_have_no_gaps() {
        let mut canvas = Canvas::new(2, 1);
        canvas.line((0, 3), (3, 0), 0);
        assert_eq!(drawn(&canvas), ["⡠⠊"]);
        let mut canvas = Canvas::new(2, 2);
        canvas.line((1, 7), (2, 0), 0);
        assert_eq!(drawn(&canvas), [" ⡇", "⢸ "]);
        let mut canvas = Canvas::new(2, 1);
        canvas.line((3, 1), (0, 1), 0);
        assert_eq!(drawn(&canvas), ["⠒⠒"]);
    }

    #[test]
    fn corners_are_on_the_canvas_and_the_last_colour_stays() {
        let mut canvas = Canvas::new(3, 2);
        let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)].map(|(x, y)| canvas.dot_at(x, y));
        assert_eq!(corners, [(0, 7), (0, 0), (5, 7), (5, 0)]);
        for (colour, corner) in corners.into_iter().enumerate() {
            canvas.line(corner, corner, colour);
        }
        canvas.line((0, 0), (0, 0), 7);
        assert_eq!(drawn(&canvas), ["⠁ ⠈", "⡀ ⢀"]);
        let colours: Vec<_> = canvas.rows().flatten().map(|(_, colour)| colour).collect();
        assert_eq!(colours, [Some(7), None, Some(3), Some(0), None, Some(2)]);
    }
}
