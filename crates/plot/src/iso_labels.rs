//! Where the numbers on iso-lines go.

use crate::boxes::TextBox;

/// A place for a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    pub(crate) centre: [f64; 2],
    /// Degrees clockwise where y grows downwards, from -90 up to but without 90: never upside down.
    pub(crate) angle: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Spot {
    fn area(&self) -> TextBox {
        TextBox { centre: self.centre, half: [self.width / 2.0, self.height / 2.0], angle: self.angle }
    }
}

/// A line must be longer than its number by this factor to have one.
const LENGTH: f64 = 2.2;
/// Shorter chords than this part of the stretch mean a line that winds under its number.
const CHORD: f64 = 0.8;
/// The line leaves the middle of its number by this part of the number's height at most.
const BEND: f64 = 0.5;
/// Space around numbers, as a part of their height.
const MARGIN: f64 = 0.25;
/// Lines longer than this many widths of the frame have one more number for every so many.
const LONG: f64 = 6.0;

/// Places for the numbers of one level on its lines, added to those `placed` before.
///
/// A closed line repeats its first point at its end. Numbers are `size` (width, height), stay inside `frame` (x0,
/// y0, x1, y1) and clear of the boxes `taken` and of each other. Those of one level keep half a frame's distance.
pub(crate) fn spots(
    lines: &[Vec<[f64; 2]>],
    size: [f64; 2],
    frame: [f64; 4],
    taken: &[[f64; 4]],
    placed: &mut Vec<Spot>,
) -> Vec<Spot> {
    let [width, height] = size;
    let [x0, y0, x1, y1] = frame;
    let apart = 0.5 * (x1 - x0).min(y1 - y0);
    let taken: Vec<TextBox> = taken.iter().map(|t| TextBox::upright(t[0], t[1], t[2], t[3])).collect();
    let mut found: Vec<Spot> = Vec::new();
    if !(width > 0.0 && height > 0.0) {
        return found;
    }
    for line in lines {
        let line = Measured::new(line);
        let most = 1 + (line.length() / (LONG * (x1 - x0))) as usize;
        let mut here = 0;
        for stretch in line.stretches(size) {
            if here == most {
                break;
            }
            let spot = stretch.spot;
            let roomy = spot.area().grown(MARGIN * height);
            let inside = roomy.corners().iter().all(|[x, y]| (x0..=x1).contains(x) && (y0..=y1).contains(y));
            if inside
                && found.iter().all(|other| distance(other.centre, spot.centre) >= apart)
                && !taken.iter().any(|other| roomy.meets(other))
                && !placed.iter().any(|other| roomy.meets(&other.area()))
            {
                found.push(spot);
                placed.push(spot);
                here += 1;
            }
        }
    }
    found
}

/// A line with the way from its start to each of its points.
struct Measured<'a> {
    points: &'a [[f64; 2]],
    way: Vec<f64>,
}

/// A piece of a line that a number may replace.
struct Stretch {
    spot: Spot,
    /// How far it is from straight, in steps that can be seen.
    bend: u32,
    /// How far it is from the middle of its line.
    off_middle: f64,
}

impl<'a> Measured<'a> {
    fn new(points: &'a [[f64; 2]]) -> Self {
        let mut way = Vec::with_capacity(points.len());
        let mut length = 0.0;
        for (k, point) in points.iter().enumerate() {
            length += k.checked_sub(1).map_or(0.0, |before| distance(points[before], *point));
            way.push(length);
        }
        Self { points, way }
    }

    fn length(&self) -> f64 {
        self.way.last().copied().unwrap_or(0.0)
    }

    /// The point after some way along the line.
    fn at(&self, way: f64) -> [f64; 2] {
        let after = self.way.partition_point(|w| *w <= way).clamp(1, self.way.len() - 1);
        let (from, to) = (self.way[after - 1], self.way[after]);
        let fraction = if to > from { ((way - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
        let [p, q] = [self.points[after - 1], self.points[after]];
        [0, 1].map(|i| p[i] + fraction * (q[i] - p[i]))
    }

    /// Stretches for a number, the best first: the straightest, and of equally straight ones the most central.
    fn stretches(&self, size: [f64; 2]) -> Vec<Stretch> {
        let room = self.length() - size[0];
        // Coordinates that are not finite make a length that is not.
        if !(self.length().is_finite() && self.length() > LENGTH * size[0]) {
            return vec![];
        }
        let count = (4.0 * room / size[0]).clamp(1.0, 400.0).ceil() as usize;
        let starts = (0..=count).map(|k| room * k as f64 / count as f64);
        let mut stretches: Vec<Stretch> = starts.filter_map(|start| self.stretch(start, size)).collect();
        stretches.sort_by(|a, b| a.bend.cmp(&b.bend).then(a.off_middle.total_cmp(&b.off_middle)));
        stretches
    }

    fn stretch(&self, start: f64, [width, height]: [f64; 2]) -> Option<Stretch> {
        let end = start + width;
        let (p, q) = (self.at(start), self.at(end));
        let chord = distance(p, q);
        if chord < CHORD * width {
            return None;
        }
        let along = [(q[0] - p[0]) / chord, (q[1] - p[1]) / chord];
        let inner = self.way.partition_point(|w| *w <= start)..self.way.partition_point(|w| *w < end);
        let sides = self.points[inner].iter().map(|v| (v[1] - p[1]) * along[0] - (v[0] - p[0]) * along[1]);
        let (least, most) =
            sides.fold((0.0f64, 0.0f64), |(least, most), side| (least.min(side), most.max(side)));
        // The text's middle runs between the outermost points on both sides of the chord.
        let (shift, bend) = (f64::midpoint(least, most), (most - least) / 2.0);
        if bend > BEND * height {
            return None;
        }
        let centre =
            [f64::midpoint(p[0], q[0]) - shift * along[1], f64::midpoint(p[1], q[1]) + shift * along[0]];
        let spot = Spot { centre, angle: upright(along[1].atan2(along[0]).to_degrees()), width, height };
        let off_middle = (start + width / 2.0 - self.length() / 2.0).abs();
        Some(Stretch { spot, bend: (20.0 * bend / height) as u32, off_middle })
    }
}

/// The direction along the same line in which text can be read.
fn upright(angle: f64) -> f64 {
    if angle >= 90.0 {
        angle - 180.0
    } else if angle < -90.0 {
        angle + 180.0
    } else {
        angle
    }
}

fn distance(p: [f64; 2], q: [f64; 2]) -> f64 {
    (q[0] - p[0]).hypot(q[1] - p[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: [f64; 4] = [40.0, 10.0, 440.0, 310.0];

    fn ring(centre: [f64; 2], radius: f64) -> Vec<[f64; 2]> {
        (0..=90)
            .map(|k| f64::from(k * 4).to_radians())
            .map(|a| [centre[0] + radius * a.cos(), centre[1] + radius * a.sin()])
            .collect()
    }

    #[test]
    fn numbers_follow_their_line_and_are_never_upside_down() {
        for degrees in [-170.0f64, -90.0, -60.0, 0.0, 30.0, 90.0, 135.0, 180.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let line =
                [-1.0, -0.2, 0.3, 1.0].map(|t| [240.0 + 120.0 * t * cos, 160.0 + 120.0 * t * sin]).to_vec();
            let found = spots(&[line], [30.0, 8.0], FRAME, &[], &mut vec![]);
            let [spot] = found[..] else { panic!("{degrees}: {found:?}") };
            assert!((-90.0..90.0).contains(&spot.angle), "{degrees}: {spot:?}");
            assert!(spot.angle.to_radians().tan().mul_add(-cos, sin).abs() < 1e-6 || cos.abs() < 1e-9);
            // The middle of a straight line is as good as any place.
            assert!(distance(spot.centre, [240.0, 160.0]) < 1e-9, "{degrees}: {spot:?}");
        }
    }

    #[test]
    fn the_straight_part_of_a_line_has_the_number() {
        let mut line: Vec<[f64; 2]> =
            (0..40).map(|k| [60.0 + f64::from(k), 100.0 + f64::from(k % 2) * 6.0]).collect();
        line.push([220.0, 100.0]);
        let found = spots(&[line], [40.0, 8.0], FRAME, &[], &mut vec![]);
        let [spot] = found[..] else { panic!("{found:?}") };
        assert!(spot.centre[0] > 115.0 && (spot.centre[1] - 100.0).abs() < 8.0, "{spot:?}");
    }

    #[test]
    fn short_lines_small_rings_and_points_have_none() {
        let lines =
            [vec![[100.0, 100.0], [160.0, 100.0]], ring([200.0, 200.0], 11.0), vec![[99.0, 99.0]], vec![]];
        assert_eq!(spots(&lines, [30.0, 8.0], FRAME, &[], &mut vec![]), []);
        let unknown = vec![[100.0, 100.0], [f64::NAN, 100.0], [300.0, 100.0]];
        assert_eq!(spots(&[unknown], [30.0, 8.0], FRAME, &[], &mut vec![]), []);
    }

    #[test]
    fn lines_that_wind_under_their_number_have_none() {
        let to_and_fro: Vec<_> = (0..50).map(|k| [100.0 + f64::from(k % 2) * 10.0, 100.0]).collect();
        let zigzag: Vec<_> =
            (0..20).map(|k| [60.0 + 12.4 * f64::from(k), 100.0 + f64::from(k % 2) * 8.6]).collect();
        assert_eq!(spots(&[to_and_fro, zigzag], [30.0, 8.0], FRAME, &[], &mut vec![]), []);
    }

    #[test]
    fn on_a_bend_the_number_lies_between_line_and_chord() {
        let found = spots(&[ring([240.0, 160.0], 40.0)], [30.0, 8.0], FRAME, &[], &mut vec![]);
        let [spot] = found[..] else { panic!("{found:?}") };
        let chord = 40.0 * (15.0f64 / 40.0).cos();
        assert!((distance(spot.centre, [240.0, 160.0]) - f64::midpoint(chord, 40.0)).abs() < 0.1, "{spot:?}");
    }

    #[test]
    fn numbers_keep_clear_of_what_is_taken() {
        let line = vec![[40.0, 160.0], [440.0, 160.0]];
        let taken = [[100.0, 140.0, 380.0, 170.0]];
        let found = spots(std::slice::from_ref(&line), [30.0, 8.0], FRAME, &taken, &mut vec![]);
        assert!(found.len() == 1 && !(85.0..395.0).contains(&found[0].centre[0]), "{found:?}");
        assert_eq!(spots(&[line], [30.0, 8.0], FRAME, &[FRAME], &mut vec![]), []);
    }

    #[test]
    fn long_lines_have_more_numbers_far_from_each_other() {
        let turns = (0..18).map(|k| [if k / 2 % 2 == 0 { 60.0 } else { 420.0 }, 20.0 + 15.0 * f64::from(k)]);
        let line: Vec<[f64; 2]> = turns.collect();
        let back: Vec<_> = line.iter().map(|[x, y]| [*x, y + 5.0]).rev().collect();
        for (lines, count) in [(vec![line.clone()], 2..3), (vec![line, back], 2..5)] {
            let found = spots(&lines, [30.0, 8.0], FRAME, &[], &mut vec![]);
            assert!(count.contains(&found.len()), "{found:?}");
            for (k, a) in found.iter().enumerate() {
                assert!(found[..k].iter().all(|b| distance(a.centre, b.centre) >= 150.0), "{found:?}");
            }
        }
    }

    /// Two convex boxes share a point if sides cross or one has the other's centre inside.
    fn overlap(a: &Spot, b: &Spot) -> bool {
        let [p, q] = [a.area().corners(), b.area().corners()];
        let side = |a: [f64; 2], b: [f64; 2], c: [f64; 2]| {
            (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        };
        let holds = |box_: &[[f64; 2]; 4], c| (0..4).all(|k| side(box_[k], box_[(k + 1) % 4], c) >= 0.0);
        let cross = |k: usize, l: usize| {
            let (p0, p1, q0, q1) = (p[k], p[(k + 1) % 4], q[l], q[(l + 1) % 4]);
            side(p0, p1, q0) * side(p0, p1, q1) < 0.0 && side(q0, q1, p0) * side(q0, q1, p1) < 0.0
        };
        holds(&p, b.centre) || holds(&q, a.centre) || (0..4).any(|k| (0..4).any(|l| cross(k, l)))
    }

    proptest! {
        #[test]
        fn numbers_never_overlap(
            levels in prop::collection::vec(
                (
                    prop::collection::vec(
                        ((60.0..420.0, 30.0..290.0), prop::collection::vec((-40.0..40.0, -40.0..40.0), 1..20)),
                        1..6,
                    ),
                    12.0..50.0,
                ),
                1..5,
            ),
        ) {
            let mut placed = vec![];
            let mut returned = vec![];
            for (lines, width) in levels {
                let lines: Vec<Vec<[f64; 2]>> = lines
                    .into_iter()
                    .map(|((x, y), steps)| {
                        let mut at = [x, y];
                        steps
                            .into_iter()
                            .map(|(dx, dy): (f64, f64)| {
                                at = [at[0] + dx, at[1] + dy];
                                at
                            })
                            .collect()
                    })
                    .collect();
                let mut again = placed.clone();
                let found = spots(&lines, [width, 9.0], FRAME, &[], &mut placed);
                prop_assert_eq!(&spots(&lines, [width, 9.0], FRAME, &[], &mut again), &found);
                returned.extend(found);
            }
            prop_assert_eq!(&returned, &placed);
            for (k, a) in placed.iter().enumerate() {
                prop_assert!((-90.0..90.0).contains(&a.angle));
                for [x, y] in a.area().corners() {
                    prop_assert!((FRAME[0]..=FRAME[2]).contains(&x) && (FRAME[1]..=FRAME[3]).contains(&y));
                }
                for b in &placed[..k] {
                    prop_assert!(!overlap(a, b), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
