//! How large text is: measured in the embedded font, so that layouts need no font of the system.

use std::sync::LazyLock;

use ttf_parser::Face;

/// DejaVu Sans, reduced to Latin, Greek and mathematical signs (licence in `fonts/`).
pub(crate) static FONT: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");
/// The family as SVG viewers know it; the others have similar widths.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, Geneva, sans-serif";

/// Height of capitals above the baseline, and depth of descenders below it, per unit of font size.
pub(crate) const CAPITALS: f64 = 0.73;
pub(crate) const DESCENT: f64 = 0.22;
/// Distance of lines per unit of font size.
pub(crate) const LINE: f64 = 1.3;

static FACE: LazyLock<Face<'static>> =
    LazyLock::new(|| Face::parse(FONT, 0).expect("the embedded font can be read"));

/// Width of a line of text at a font size; signs that the font lacks count like an m.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let face = &*FACE;
    let units = f64::from(face.units_per_em());
    let advance = |c: char| {
        let glyph = face.glyph_index(c).or_else(|| face.glyph_index('m'));
        glyph.and_then(|g| face.glyph_hor_advance(g)).map_or(0.6 * units, f64::from)
    };
    text.chars().map(advance).sum::<f64>() / units * size
}

/// Whether the embedded font has every sign of a text.
pub(crate) fn drawable(text: &str) -> bool {
    text.chars().all(|c| FACE.glyph_index(c).is_some())
}

/// A text cut so that it is not wider than `room`, with an ellipsis where something is missing.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_string();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if width(&kept, size) + width(&format!("{c}…"), size) > room {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// A text broken into at most `lines` lines of width `room`; the last one is cut where it is still too long.
pub(crate) fn wrap(text: &str, size: f64, room: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for word in text.split_whitespace() {
        let full = out.len() >= lines;
        match out.last_mut() {
            Some(line) if full || width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_string()),
        }
    }
    out.into_iter().map(|line| fit(&line, size, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_text_is_not_wider_than_its_room() {
        let long = "layer4.1.conv2.weight and forty more letters";
        for room in [5.0, 30.0, 100.0, 1000.0] {
            assert!(width(&fit(long, 11.0, room), 11.0) <= room.max(width("…", 11.0)));
        }
        assert_eq!(fit(long, 11.0, 1000.0), long);
    }

    #[test]
    fn wrapped_text_keeps_its_words_where_there_is_room() {
        let lines = wrap("one two three four five six", 10.0, 60.0, 9);
        assert_eq!(lines.join(" "), "one two three four five six");
        assert!(lines.len() > 1 && lines.iter().all(|l| width(l, 10.0) <= 60.0));
        assert_eq!(wrap("one two three four five six", 10.0, 60.0, 2).len(), 2);
    }

    #[test]
    fn signs_of_the_field_can_be_drawn() {
        assert!(drawable("λ₁ = 2/η, ρ‖∇L‖, 10⁻³ ± 0.5 %, θ + αv₁ → ≤ ≥ × · ∈ ℝⁿ … – ″ ⟨u, v⟩ ∞ ² ∂ ε"));
    }
}
