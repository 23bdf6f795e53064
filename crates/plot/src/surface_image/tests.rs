use super::*;

/// A field of `columns` x `rows` nodes with the heights of a function.
struct Sampled {
    u: Vec<f64>,
    v: Vec<f64>,
    height: Vec<f64>,
}

impl Sampled {
    fn new(columns: usize, rows: usize, height: impl Fn(f64, f64) -> f64) -> Self {
        let axis = |n: usize| (0..n).map(|i| i as f64 / (n - 1) as f64).collect::<Vec<_>>();
        let (u, v) = (axis(columns), axis(rows));
        let height =
            v.iter().flat_map(|&v| u.iter().map(move |&u| (u, v))).map(|(u, v)| height(u, v)).collect();
        Self { u, v, height }
    }

    fn field(&self) -> HeightField<'_> {
        HeightField { u: &self.u, v: &self.v, height: &self.height }
    }

    fn picture(&self, projection: &Projection, size: (usize, usize)) -> Picture {
        render(&self.field(), projection, size, &grey)
    }
}

fn grey(height: f64) -> Rgb {
    let byte = (height * 200.0) as u8;
    Rgb(byte, byte, byte)
}

fn projection(size: (usize, usize), azimuth: f64, elevation: f64) -> Projection {
    Camera { azimuth, elevation, height: 0.6 }.projection([size.0 as f64, size.1 as f64], [8.0; 4])
}

fn pixel(picture: &Picture, x: f64, y: f64) -> [u8; 4] {
    let at = (y as usize * picture.width + x as usize) * 4;
    picture.rgba[at..at + 4].try_into().unwrap()
}

/// Signed distance in pixels from a convex outline given in order; positive inside.
fn inside(outline: &[[f64; 3]], x: f64, y: f64) -> f64 {
    let edges = (0..outline.len()).map(|k| {
        let (a, b) = (outline[k], outline[(k + 1) % outline.len()]);
        let (ex, ey) = (b[0] - a[0], b[1] - a[1]);
        (ex * (y - a[1]) - ey * (x - a[0])) / ex.hypot(ey)
    });
    let (low, high) = edges.fold((f64::MAX, f64::MIN), |(low, high), d| (low.min(d), high.max(d)));
    // Either all distances are positive inside, or all are negative, depending on the direction of travel.
    low.max(-high)
}

#[test]
fn a_plane_fills_its_outline_and_nothing_else() {
    let size = (211, 173);
    let plane = |u: f64, v: f64| 0.2 + 0.3 * u + 0.2 * v;
    for (azimuth, elevation) in [(-60.0, 30.0), (-50.0, 12.0), (137.0, 65.0), (-90.0, 90.0), (-60.0, -20.0)] {
        for nodes in [2, 7, 150] {
            let projection = projection(size, azimuth, elevation);
            let picture = Sampled::new(nodes, nodes + 1, plane).picture(&projection, size);
            let outline = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
                .map(|[u, v]: [f64; 2]| projection.at([u, v, plane(u, v)]));
            for y in 0..size.1 {
                for x in 0..size.0 {
                    let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
                    let (distance, alpha) = (inside(&outline, x, y), pixel(&picture, x, y)[3]);
                    if distance > 1.0 {
                        assert_eq!(alpha, 255, "hole at {x}, {y} of {azimuth}, {elevation}, {nodes} nodes");
                    } else if distance < -1.0 {
                        assert_eq!(alpha, 0, "spill at {x}, {y} of {azimuth}, {elevation}, {nodes} nodes");
                    }
                }
            }
        }
    }
}

#[test]
fn rough_surfaces_have_no_holes_from_above() {
    let size = (160, 160);
    let projection = projection(size, -77.0, 90.0);
    let rough = Sampled::new(90, 90, |u, v| ((u * 7919.0 + v * 104_729.0).sin() * 43_758.5).fract().abs());
    let picture = rough.picture(&projection, size);
    let outline = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].map(|[u, v]| projection.at([u, v, 0.0]));
    for (index, rgba) in picture.rgba.chunks(4).enumerate() {
        let (x, y) = ((index % size.0) as f64 + 0.5, (index / size.0) as f64 + 0.5);
        assert!(inside(&outline, x, y) < 1.0 || rgba[3] == 255, "hole at {x}, {y}");
    }
}

#[test]
fn a_ridge_hides_what_is_behind_it() {
    let size = (400, 300);
    let projection = projection(size, -90.0, 25.0);
    let ridge = |_: f64, v: f64| (-((v - 0.4) / 0.06).powi(2)).exp();
    let picture = Sampled::new(60, 200, ridge).picture(&projection, size);
    let hidden = |u: f64, v: f64, lift: f64| picture.hides(&projection, [u, v, ridge(u, v) + lift]);
    for u in [0.1, 0.5, 0.9] {
        assert!(!hidden(u, 0.1, 0.0), "before the ridge");
        assert!(!hidden(u, 0.36, 0.0), "on its near side");
        assert!(hidden(u, 0.46, 0.0), "on its far side");
        assert!(hidden(u, 0.6, 0.0), "behind it");
        assert!(!hidden(u, 0.6, 1.0), "high above");
        assert!(hidden(u, 0.3, -0.15), "below the surface");
    }
    assert!(!picture.hides(&projection, [0.5, 9.0, 0.5]), "outside the picture");
}

#[test]
fn every_point_of_a_slope_is_visible_on_it() {
    let size = (500, 400);
    for elevation in [8.0, 30.0, 60.0] {
        let projection = projection(size, -60.0, elevation);
        let slope = |u: f64, v: f64| 0.1 + 0.8 * (0.5 * (1.0 - u) + 0.5 * v).powi(2);
        let picture = Sampled::new(80, 80, slope).picture(&projection, size);
        for step in 0..=1000 {
            let t = f64::from(step) / 1000.0;
            let (u, v) = (0.5 + 0.5 * (9.0 * t).cos() * t, 0.5 + 0.5 * (9.0 * t).sin() * t);
            assert!(!picture.hides(&projection, [u, v, slope(u, v)]), "{u}, {v} from {elevation}");
        }
    }
}

#[test]
fn the_upper_side_is_hidden_where_the_lower_one_is_seen() {
    let size = (400, 300);
    let projection = projection(size, -90.0, 20.0);
    let bowl = |_: f64, v: f64| (2.0 * v - 1.0).powi(2);
    let picture = Sampled::new(40, 200, bowl).picture(&projection, size);
    assert!(picture.hides(&projection, [0.5, 0.1, bowl(0.5, 0.1)]), "inside of the near wall");
    assert!(!picture.hides(&projection, [0.5, 0.97, bowl(0.5, 0.97)]), "inside of the far wall");
}

#[test]
fn cells_with_unknown_corners_are_holes() {
    let size = (240, 200);
    let projection = projection(size, -60.0, 40.0);
    let mut flat = Sampled::new(11, 11, |_, _| 0.5);
    flat.height[5 * 11 + 5] = f64::NAN;
    let picture = flat.picture(&projection, size);
    let alpha = |u: f64, v: f64| {
        let [x, y, _] = projection.at([u, v, 0.5]);
        pixel(&picture, x, y)[3]
    };
    for (u, v) in [(0.5, 0.5), (0.45, 0.45), (0.55, 0.45), (0.45, 0.55), (0.55, 0.55), (0.42, 0.5)] {
        assert_eq!(alpha(u, v), 0, "{u}, {v}");
    }
    for (u, v) in [(0.36, 0.5), (0.64, 0.5), (0.5, 0.36), (0.5, 0.64), (0.38, 0.38), (0.05, 0.95)] {
        assert_eq!(alpha(u, v), 255, "{u}, {v}");
    }
    assert!(!picture.hides(&projection, [0.5, 0.5, 0.45]), "seen through the hole");
    assert!(picture.hides(&projection, [0.3, 0.3, 0.45]), "below the surface");
}

#[test]
fn a_flat_field_has_one_colour() {
    let size = (200, 160);
    let picture = Sampled::new(9, 9, |_, _| 0.5).picture(&projection(size, -55.0, 30.0), size);
    let mut colours = picture.rgba.chunks(4).filter(|p| p[3] > 0).map(|p| &p[..3]);
    let first = colours.next().unwrap();
    assert!(colours.all(|colour| colour == first));
}

#[test]
fn slopes_to_the_left_are_the_bright_ones() {
    let size = (300, 220);
    let projection = projection(size, -90.0, 30.0);
    let dome = |u: f64, v: f64| 0.9 - 0.8 * ((2.0 * u - 1.0).powi(2) + (2.0 * v - 1.0).powi(2)) / 2.0;
    let plain = |_| Rgb(120, 120, 120);
    let picture = render(&Sampled::new(60, 60, dome).field(), &projection, size, &plain);
    let at = |u: f64, v: f64| {
        let [x, y, _] = projection.at([u, v, dome(u, v)]);
        pixel(&picture, x, y)[0]
    };
    assert!(at(0.2, 0.4) > at(0.8, 0.4) + 20, "{} {}", at(0.2, 0.4), at(0.8, 0.4));
}

#[test]
fn bands_of_colour_end_where_their_height_does() {
    let size = (300, 220);
    let projection = projection(size, -90.0, 30.0);
    let bands = |height: f64| if height < 0.5 { Rgb(200, 0, 0) } else { Rgb(0, 0, 200) };
    let picture = render(&Sampled::new(3, 3, |u, _| u).field(), &projection, size, &bands);
    let [x, y, _] = projection.at([0.5, 0.5, 0.5]);
    assert_eq!(pixel(&picture, x - 2.0, y)[2], pixel(&picture, x - 20.0, y)[2]);
    assert_eq!(pixel(&picture, x + 2.0, y)[0], pixel(&picture, x + 20.0, y)[0]);
}

#[test]
fn the_same_field_is_the_same_bytes() {
    let size = (150, 120);
    let file = || {
        let field = Sampled::new(30, 30, |u, v| (u * 9.0).sin().abs() * v);
        field.picture(&projection(size, -60.0, 30.0), size).png().unwrap()
    };
    assert_eq!(file(), file());
}

#[test]
fn png_files_hold_the_picture() {
    let size = (90, 70);
    let picture = Sampled::new(5, 5, |u, v| u * v).picture(&projection(size, -60.0, 30.0), size);
    let file = picture.png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut rgba = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut rgba).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (90, 70, png::ColorType::Rgba));
    assert_eq!(rgba, picture.rgba);
}

#[test]
fn absurd_sizes_are_no_panic() {
    let fields = [
        Sampled::new(2, 2, |u, _| u),
        Sampled::new(2, 50, |_, v| v),
        Sampled::new(3, 3, |_, _| f64::NAN),
        Sampled::new(4, 4, |u, _| if u > 0.5 { f64::INFINITY } else { 1e300 }),
    ];
    for field in &fields {
        for size in [(1, 1), (1, 900), (900, 1), (33, 17)] {
            for elevation in [-90.0, 0.0, 30.0, 90.0] {
                let projection = projection(size, -60.0, elevation);
                let picture = render(&field.field(), &projection, size, &grey);
                assert_eq!(picture.rgba.len(), size.0 * size.1 * 4);
                picture.hides(&projection, [0.5; 3]);
                picture.hides(&projection, [f64::NAN; 3]);
                picture.png().unwrap();
            }
        }
    }
    let nothing = fields[0].picture(&projection((0, 0), -60.0, 30.0), (0, 0));
    assert!(nothing.rgba.is_empty() && nothing.png().is_err(), "a PNG file has at least one pixel");
}
