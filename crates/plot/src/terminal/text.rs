//! Numbers in few characters, and text that keeps to a width.

/// `value` with so many significant digits, in at most `digits + 7` characters for up to six digits.
pub(super) fn number(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        // No "-0".
        return (value + 0.0).to_string();
    }
    let rounded = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = rounded.split_once('e') else { return rounded };
    match exponent.parse::<i32>() {
        Ok(exponent @ -3..6) => {
            let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
            without_zeros(&format!("{value:.decimals$}")).to_owned()
        }
        _ => format!("{}e{exponent}", without_zeros(mantissa)),
    }
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Rising or falling values with four digits, or with more where those do not tell them apart and there is room.
pub(super) fn labels(values: &[f64], widest: usize) -> Vec<String> {
    let with = |digits| values.iter().map(|v| number(*v, digits)).collect::<Vec<_>>();
    let mut labels = with(4);
    for digits in 5..=9 {
        let finer = with(digits);
        if labels.windows(2).all(|pair| pair[0] != pair[1]) || finer.iter().any(|label| label.len() > widest)
        {
            break;
        }
        labels = finer;
    }
    labels
}

/// Columns that a terminal gives `text`, colour codes not counted; too many rather than too few.
pub(super) fn width(text: &str) -> usize {
    let mut code = false;
    let mut columns = 0;
    for c in text.chars() {
        match c {
            '\x1b' => code = true,
            'm' if code => code = false,
            _ if code => {}
            // Hangul, symbols that may be pictures, and all from the radicals on: mostly two columns each.
            '\u{1100}'..='\u{11FF}' | '\u{2600}'..='\u{27BF}' | '\u{2E80}'.. => columns += 2,
            _ => columns += 1,
        }
    }
    columns
}

/// A name that can neither break a line nor steer the terminal, cut to `widest` columns.
pub(super) fn clean(name: &str, widest: usize) -> String {
    let harmless = |c: char| match c {
        // Invisible characters, some of which turn the direction of what follows.
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => '?',
        c if c.is_control() => '?',
        c => c,
    };
    let name: String = name.chars().map(harmless).collect();
    if width(&name) <= widest {
        return name;
    }
    let mut cut = String::new();
    for c in name.chars() {
        cut.push(c);
        if width(&cut) >= widest {
            cut.pop();
            break;
        }
    }
    cut + "…"
}

/// The words in as few lines as hold them, all but the first line indented.
pub(super) fn wrapped(words: &[String], columns: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            None => lines.push(word.clone()),
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(" ".repeat(indent) + word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{clean, labels, number, width, wrapped};

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.001_234_56, "0.001235"),
            (0.000_123_456, "1.235e-4"),
            (1.302_585, "1.303"),
            (99_999.96, "100000"),
            (123_456.7, "123457"),
            (999_999.9, "1e6"),
            (1_234_567.0, "1.235e6"),
            (-f64::MAX, "-1.798e308"),
            (5e-324, "4.941e-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value, 4), expected);
        }
    }

    #[test]
    fn close_values_get_more_digits_while_there_is_room() {
        assert_eq!(labels(&[1.0, 0.5, 0.0], 12), ["1", "0.5", "0"]);
        assert_eq!(labels(&[2.300_02, 2.300_01], 12), ["2.30002", "2.30001"]);
        assert_eq!(labels(&[2.300_02, 2.300_01], 6), ["2.3", "2.3"]);
        assert_eq!(labels(&[1.0, 1.0_f64.next_up()], 30), ["1", "1"]);
    }

    #[test]
    fn names_are_harmless_and_cut() {
        assert_eq!(clean("loss/train", 10), "loss/train");
        assert_eq!(clean("loss/train", 9), "loss/tra…");
        assert_eq!(clean("a\nb\x1b[31mc\u{202E}", 20), "a?b?[31mc?");
        for widest in 1..12 {
            assert!(width(&clean("損失の地形", widest)) <= widest);
        }
        assert_eq!(clean("損失", 4), "損失");
    }

    #[test]
    fn widths_leave_colour_codes_out() {
        assert_eq!(width("\x1b[0;38;2;1;2;3m▀▀\x1b[0m m"), 4);
    }

    #[test]
    fn words_wrap() {
        let words = ["aa", "bb", "cccc"].map(String::from);
        assert_eq!(wrapped(&words, 10, 1), ["aa bb cccc"]);
        assert_eq!(wrapped(&words, 9, 1), ["aa bb", " cccc"]);
        assert_eq!(wrapped(&[], 9, 1), [""; 0]);
    }
}
