//! Reading an architecture off the names and shapes of a checkpoint's tensors.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Names and shapes of a checkpoint's tensors.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Length of one axis of a tensor, if it is there.
pub(super) fn dim(shapes: &Shapes, name: &str, axis: usize) -> Option<usize> {
    shapes.get(name)?.get(axis).copied()
}

/// How many consecutive numbers from 0 follow `prefix` in names such as `blocks.3.norm1.weight`.
pub(super) fn repeats(shapes: &Shapes, prefix: &str) -> usize {
    let present = |i: &usize| {
        let stem = format!("{prefix}{i}.");
        shapes.range(stem.clone()..).next().is_some_and(|(name, _)| name.starts_with(&stem))
    };
    (0..shapes.len()).take_while(present).count()
}

/// Compares names as people do: `layer2` before `layer10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, y) = (leading_digits(a), leading_digits(b));
        if x > 0 && y > 0 {
            let (m, n) = (a[..x].trim_start_matches('0'), b[..y].trim_start_matches('0'));
            // More digits, larger number; so nothing can overflow.
            let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[x..], &b[y..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (Some(c), Some(d)) if c == d => (a, b) = (rest_a.as_str(), rest_b.as_str()),
            (c, d) => return c.cmp(&d),
        }
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}
