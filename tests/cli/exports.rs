//! Saved results as data for other programs: every number to the last bit, in its place.

use std::collections::HashMap;
use std::fmt::Write;

use base64::Engine;
use candle_core::{DType, Tensor};
use roxmltree::{Document, Node};

use super::*;

const SGD: &str = "notebooks-data/digits-sgd.safetensors";

/// Four nodes along x, three along y.
const X: [&str; 4] = ["-1.0", "-0.5", "0.0", "0.5"];
const Y: [&str; 3] = ["-0.2", "0.1", "0.4"];
/// Rows of constant y. Readers that round more than once miss the last digit of some of these.
const LOSS: [[&str; 4]; 3] = [
    ["31.245270191439438", "121.48791951161945", "0.1", "5e-324"],
    ["2.5", "null", "100.78399658203125", "0.3"],
    ["7.0", "1e16", "9007199254740993e-7", "0.30000000000000004"],
];
const ACCURACY: [[&str; 4]; 3] =
    [["0.1", "0.2", "0.3", "0.4"], ["0.5", "0.6", "0.7", "0.8"], ["0.9", "1.0", "0.0", "null"]];

fn row(tokens: &[&str]) -> String {
    format!("[{}]", tokens.join(", "))
}

fn table(rows: &[[&str; 4]]) -> String {
    format!("[{}]", rows.iter().map(|tokens| row(tokens)).collect::<Vec<_>>().join(", "))
}

/// A document as relief saves them.
fn document(schema: &str, checkpoint: &str, result: &str) -> String {
    format!(
        "{{\"schema\": \"{schema}\", \"version\": \"0.1.0\", \"checkpoint\": {{\"path\": \"runs/{checkpoint}.safetensors\"}}, \
         \"model\": \"mlp\", \"data\": {{\"path\": \"digits\", \"examples\": 9, \"split\": \"train\"}}, \"dtype\": \"f64\", \
         \"result\": {{{result}}}}}"
    )
}

fn surface_with(checkpoint: &str, x: &[&str], loss: &str, more: &str) -> String {
    let plane = "\"plane\": {\"kind\": \"random\", \"labels\": [\"one\", \"two\"], \"orthonormal\": false, \"cosine\": 0.01}";
    let axes = format!("\"axes\": [{}, {}]", row(x), row(&Y));
    document("relief/surface/1", checkpoint, &format!("{plane}, {axes}, \"loss\": {loss}{more}"))
}

fn surface() -> String {
    surface_with("net", &X, &table(&LOSS), &format!(", \"accuracy\": {}", table(&ACCURACY)))
}

fn line(checkpoint: &str, loss: &[&str; 5]) -> String {
    let t = row(&["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
    let list = format!("\"unit\": \"Gaussian units\", \"t\": {t}, \"loss\": {}", row(loss));
    document("relief/line/1", checkpoint, &list)
}

/// A number of JSON as the standard library reads it: the nearest one.
fn exact(token: &str) -> f64 {
    if token == "null" { f64::NAN } else { token.parse().unwrap() }
}

#[track_caller]
fn assert_same(found: &[f64], tokens: &[&str]) {
    assert_eq!(found.len(), tokens.len());
    for (found, token) in found.iter().zip(tokens) {
        let expected = exact(token);
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(same, "{token} became {found:?}");
    }
}

/// A folder with files in it, and what relief makes of them.
struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn save(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// `relief plot INPUTS -o NAME`, and where that is.
    fn plot(&self, inputs: &[&str], name: &str) -> String {
        let output = self.path(name);
        let arguments = [&["plot"][..], inputs, &["-o", &output]].concat();
        relief(&arguments).assert().success();
        output
    }

    fn npz(&self, inputs: &[&str]) -> HashMap<String, Tensor> {
        Tensor::read_npz(self.plot(inputs, "a.npz")).unwrap().into_iter().collect()
    }
}

fn reals(tensor: &Tensor) -> Vec<f64> {
    assert_eq!(tensor.dtype(), DType::F64);
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn metadata(tensor: &Tensor) -> Json {
    serde_json::from_slice(&tensor.to_vec1::<u8>().unwrap()).unwrap()
}

#[test]
fn a_surface_of_unequal_sides_becomes_arrays_with_rows_of_constant_y() {
    let shop = Workshop::new();
    let file = shop.npz(&[&shop.save("surface.json", &surface())]);
    assert_eq!(file.len(), 5);
    assert_same(&reals(&file["x"]), &X);
    assert_same(&reals(&file["y"]), &Y);
    assert_eq!((file["loss"].dims(), file["accuracy"].dims()), (&[3, 4][..], &[3, 4][..]));
    assert_same(&reals(&file["loss"]), &LOSS.concat());
    assert_same(&reals(&file["accuracy"]), &ACCURACY.concat());
    let about = metadata(&file["metadata"]);
    assert_eq!(about["checkpoint"]["path"], "runs/net.safetensors");
    assert_eq!(about["result"]["plane"]["labels"][0], "one");
    assert!(about["result"]["loss"].is_null(), "the numbers are there once");
}

#[test]
fn several_results_share_an_archive_under_their_names() {
    let shop = Workshop::new();
    let first = shop.save("a.json", &surface());
    let other = surface_with("other", &X, &table(&LOSS), "");
    let second = shop.save("b.json", &other);
    let file = shop.npz(&[&first, &second, &first]);
    assert_same(&reals(&file["net/x"]), &X);
    assert_eq!(file["net-2/accuracy"].dims(), &[3, 4]);
    assert_same(&reals(&file["other/loss"]), &LOSS.concat());
    assert!(!file.contains_key("other/accuracy"));
    assert_eq!(metadata(&file["other/metadata"])["checkpoint"]["path"], "runs/other.safetensors");
}

#[test]
fn a_table_has_a_row_for_every_point_and_nothing_where_nothing_is_known() {
    let shop = Workshop::new();
    let csv = shop.plot(&[&shop.save("surface.json", &surface())], "a.csv");
    let text = std::fs::read_to_string(csv).unwrap();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("x,y,loss,accuracy"));
    for (j, y) in Y.iter().enumerate() {
        for (i, x) in X.iter().enumerate() {
            let fields: Vec<&str> = rows.next().unwrap().split(',').collect();
            for (field, token) in fields.iter().zip([*x, *y, LOSS[j][i], ACCURACY[j][i]]) {
                match token {
                    "null" => assert_eq!(*field, ""),
                    token => assert_eq!(exact(field).to_bits(), exact(token).to_bits(), "{field} {token}"),
                }
            }
            assert_eq!(fields.len(), 4);
        }
    }
    assert_eq!(rows.next(), None);
    let csv = shop.plot(&[&shop.save("l.json", &line("net", &["2", "1", "null", "1", "0.125"]))], "l.csv");
    assert_eq!(
        std::fs::read_to_string(csv).unwrap(),
        "t,loss\n-1.0,2.0\n-0.5,1.0\n0.0,\n0.5,1.0\n1.0,0.125\n"
    );
}

/// The element of a kind, which must be the only one.
#[track_caller]
fn only<'a>(document: &'a Document<'_>, name: &str) -> Node<'a, 'a> {
    let mut found = document.descendants().filter(|node| node.has_tag_name(name));
    let one = found.next().unwrap_or_else(|| panic!("there is no {name}"));
    assert!(found.next().is_none(), "there are several of {name}");
    one
}

/// The bytes of the array of a name, as VTK packs them.
#[track_caller]
fn bytes(document: &Document<'_>, name: &str, kind: &str) -> Vec<u8> {
    let mut found = document.descendants().filter(|node| node.attribute("Name") == Some(name));
    let array = found.next().unwrap_or_else(|| panic!("there is no array {name}"));
    assert!(found.next().is_none());
    assert_eq!((array.attribute("type"), array.attribute("format")), (Some(kind), Some("binary")));
    let all = base64::engine::general_purpose::STANDARD.decode(array.text().unwrap()).unwrap();
    let (length, bytes) = all.split_at(8);
    assert_eq!(u64::from_le_bytes(length.try_into().unwrap()), bytes.len() as u64);
    bytes.to_vec()
}

fn words(bytes: &[u8]) -> Vec<[u8; 8]> {
    bytes.chunks(8).map(|word| word.try_into().unwrap()).collect()
}

#[track_caller]
fn doubles(document: &Document<'_>, name: &str) -> Vec<f64> {
    words(&bytes(document, name, "Float64")).into_iter().map(f64::from_le_bytes).collect()
}

#[track_caller]
fn integers(document: &Document<'_>, name: &str) -> Vec<usize> {
    let words = words(&bytes(document, name, "Int64"));
    words.into_iter().map(|word| usize::try_from(i64::from_le_bytes(word)).unwrap()).collect()
}

#[track_caller]
fn text(document: &Document<'_>, name: &str) -> String {
    let bytes = bytes(document, name, "String");
    let (zero, text) = bytes.split_last().unwrap();
    assert_eq!(*zero, 0);
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn an_image_has_the_surface_s_extent_and_order() {
    let shop = Workshop::new();
    let xml = std::fs::read_to_string(shop.plot(&[&shop.save("s.json", &surface())], "a.vti")).unwrap();
    let document = Document::parse(&xml).unwrap();
    let file = only(&document, "VTKFile");
    assert_eq!(
        ["type", "byte_order", "header_type"].map(|name| file.attribute(name).unwrap()),
        ["ImageData", "LittleEndian", "UInt64"]
    );
    let image = only(&document, "ImageData");
    // x varies fastest, and extents are of points, from the first to the last.
    assert_eq!(image.attribute("WholeExtent"), Some("0 3 0 2 0 0"));
    assert_eq!(only(&document, "Piece").attribute("Extent"), Some("0 3 0 2 0 0"));
    let three = |name| -> Vec<f64> { image.attribute(name).unwrap().split(' ').map(exact).collect() };
    let (origin, spacing) = (three("Origin"), three("Spacing"));
    for (i, x) in X.iter().enumerate() {
        assert!((origin[0] + i as f64 * spacing[0] - exact(x)).abs() < 1e-15);
    }
    for (j, y) in Y.iter().enumerate() {
        assert!((origin[1] + j as f64 * spacing[1] - exact(y)).abs() < 1e-15);
    }
    assert_same(&doubles(&document, "loss"), &LOSS.concat());
    assert_same(&doubles(&document, "accuracy"), &ACCURACY.concat());
    for (log, token) in doubles(&document, "log10_loss").iter().zip(LOSS.concat()) {
        assert_eq!(log.to_bits(), if token == "null" { f64::NAN } else { exact(token).log10() }.to_bits());
    }
    assert!(text(&document, "metadata").contains("runs/net.safetensors"));
}

#[test]
fn a_height_field_leaves_out_what_touches_an_unknown_corner() {
    let shop = Workshop::new();
    let xml = std::fs::read_to_string(shop.plot(&[&shop.save("s.json", &surface())], "a.vtp")).unwrap();
    let document = Document::parse(&xml).unwrap();
    let counts = ["NumberOfPoints", "NumberOfLines", "NumberOfPolys"];
    let piece = only(&document, "Piece");
    // The unknown point is a corner of four of the six quadrilaterals.
    assert_eq!(counts.map(|name| piece.attribute(name).unwrap()), ["11", "0", "2"]);
    let points = doubles(&document, "Points");
    assert!(points.iter().all(|v| v.is_finite()));
    let loss = doubles(&document, "loss");
    let log = doubles(&document, "log10_loss");
    let known = (0..12).filter(|k| LOSS.concat()[*k] != "null");
    for (point, k) in points.chunks(3).zip(known.clone()) {
        assert_eq!(point[0].to_bits(), exact(X[k % 4]).to_bits());
        assert_eq!(point[1].to_bits(), exact(Y[k / 4]).to_bits());
    }
    assert_same(&loss, &known.map(|k| LOSS.concat()[k]).collect::<Vec<_>>());
    let corners: Vec<Vec<[f64; 2]>> = piece
        .children()
        .find(|node| node.has_tag_name("Polys"))
        .map(|polys| {
            let inside = Document::parse(&xml[polys.range()]).unwrap();
            assert_eq!(integers(&inside, "offsets"), [4, 8]);
            let all = integers(&inside, "connectivity");
            all.chunks(4)
                .map(|quad| quad.iter().map(|k| [points[3 * k], points[3 * k + 1]]).collect())
                .collect()
        })
        .unwrap();
    let counterclockwise =
        |x: f64, y: f64, dx: f64, dy: f64| vec![[x, y], [x + dx, y], [x + dx, y + dy], [x, y + dy]];
    let expected = [counterclockwise(0.0, -0.2, 0.5, 0.3), counterclockwise(0.0, 0.1, 0.5, 0.3)];
    for (found, expected) in corners.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found[0] - expected[0]).hypot(found[1] - expected[1]) < 1e-12, "{corners:?}");
    }
    // The height is the one that the file states, from 0 to half of the wider side.
    let formula = text(&document, "height");
    let inner = formula.strip_prefix("z = ").unwrap().strip_suffix(')').unwrap();
    let (scale, lowest) = inner.split_once(" * (log10_loss - ").unwrap();
    for (point, log) in points.chunks(3).zip(&log) {
        assert!((point[2] - exact(scale) * (log - exact(lowest))).abs() < 1e-12);
    }
    let heights = || points.iter().skip(2).step_by(3).copied();
    assert!(heights().fold(f64::INFINITY, f64::min).abs() < 1e-12);
    assert!((heights().fold(0.0, f64::max) - 0.75).abs() < 1e-12);
}

#[test]
fn normals_stand_upright_on_a_slope() {
    let shop = Workshop::new();
    // Three quarters of a unit up for every unit along x, none along y.
    let slope = "[[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]";
    let saved = shop.save("s.json", &surface_with("net", &X, slope, ""));
    let xml = std::fs::read_to_string(shop.plot(&[&saved], "a.vtp")).unwrap();
    let document = Document::parse(&xml).unwrap();
    assert!(text(&document, "height").contains("* (loss - 1.0)"));
    let normals = doubles(&document, "Normals");
    assert_eq!(normals.len(), 36);
    for normal in normals.chunks(3) {
        let expected = [-0.447_213_595_499_957_9, 0.0, 0.894_427_190_999_915_9];
        assert!(normal.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{normal:?}");
    }
    assert_eq!(only(&document, "PointData").attribute("Normals"), Some("Normals"));
}

#[test]
fn a_line_is_broken_where_it_is_unknown() {
    let shop = Workshop::new();
    let saved = shop.save("l.json", &line("net", &["2", "1", "null", "0.125", "1"]));
    let file = shop.npz(&[&saved]);
    assert_same(&reals(&file["loss"]), &["2", "1", "null", "0.125", "1"]);
    assert_eq!(file["t"].dims(), &[5]);
    let xml = std::fs::read_to_string(shop.plot(&[&saved], "a.vtp")).unwrap();
    let document = Document::parse(&xml).unwrap();
    let lines = &xml[only(&document, "Lines").range()];
    let inside = Document::parse(lines).unwrap();
    assert_eq!(integers(&inside, "connectivity"), [0, 1, 2, 3]);
    assert_eq!(integers(&inside, "offsets"), [2, 4]);
    let points = doubles(&document, "Points");
    let along: Vec<f64> = points.iter().step_by(3).copied().collect();
    assert_same(&along, &["-1.0", "-0.5", "0.5", "1.0"]);
    // A point between two unknown ones has nothing to be joined to.
    let saved = shop.save("lone.json", &line("net", &["null", "1", "null", "0.125", "3"]));
    let lone = std::fs::read_to_string(shop.plot(&[&saved], "lone.vtp")).unwrap();
    let lone = Document::parse(&lone).unwrap();
    assert_eq!(only(&lone, "Piece").attribute("NumberOfLines"), Some("1"));
    assert_eq!(only(&lone, "Piece").attribute("NumberOfPoints"), Some("3"));
    // Upright over the first axis, as high as half of its length.
    assert!(points.iter().skip(1).step_by(3).all(|y| y.abs() < 1e-15));
    let heights: Vec<f64> = points.iter().skip(2).step_by(3).copied().collect();
    assert!((heights[0] - 1.0).abs() < 1e-12 && heights[2].abs() < 1e-12, "{heights:?}");
}

/// What the numbers of a result are, in the order of the JSON's text.
fn tokens<'a>(json: &'a str, key: &str) -> Vec<&'a str> {
    let start = json.rfind(&format!("\"{key}\": [")).unwrap() + key.len() + 4;
    let mut depth = 0;
    let end = json[start..]
        .find(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        })
        .unwrap();
    let between = |c: char| matches!(c, '[' | ']' | ',') || c.is_whitespace();
    json[start..start + end].split(between).filter(|token| !token.is_empty()).collect()
}

#[test]
fn a_surface_is_the_same_at_once_and_converted() {
    let shop = Workshop::new();
    let arguments = |output: &str| {
        ["surface", SGD, "--grid", "5", "--range", "-1:0.5", "--range-y", "-0.3:0.4", "-o", output]
            .map(String::from)
    };
    let [json, npz, csv, vtp] = ["s.json", "s.npz", "s.csv", "s.vtp"].map(|name| shop.path(name));
    for output in [&json, &npz, &csv, &vtp] {
        relief(&strs(&arguments(output))).assert().success();
    }
    let text = std::fs::read_to_string(&json).unwrap();
    let at_once: HashMap<String, Tensor> = Tensor::read_npz(&npz).unwrap().into_iter().collect();
    let converted = shop.npz(&[&json]);
    for name in ["loss", "accuracy"] {
        assert_same(&reals(&at_once[name]), &tokens(&text, name));
        assert_same(&reals(&converted[name]), &tokens(&text, name));
    }
    let axes = [reals(&at_once["x"]), reals(&at_once["y"])].concat();
    assert_same(&axes, &tokens(&text, "axes"));
    let table = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(table, std::fs::read_to_string(shop.plot(&[&json], "again.csv")).unwrap());
    let column = |nth: usize| table.lines().skip(1).map(move |row| exact(row.split(',').nth(nth).unwrap()));
    assert_same(&column(2).collect::<Vec<_>>(), &tokens(&text, "loss"));
    assert_same(&column(3).collect::<Vec<_>>(), &tokens(&text, "accuracy"));
    assert!(std::fs::read_to_string(&vtp).unwrap().contains("NumberOfPolys=\"16\""));
}

#[test]
fn eigenvalues_become_arrays_and_a_table() {
    let shop = Workshop::new();
    let [json, csv] = ["e.json", "e.csv"].map(|name| shop.path(name));
    let arguments = ["eigenvalues", SGD, "-k", "3", "--which", "both", "--dtype", "f64", "-o"];
    relief(&[&arguments[..], &[&json]].concat()).assert().success();
    relief(&[&arguments[..], &[&csv]].concat()).assert().success();
    let table = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(table, std::fs::read_to_string(shop.plot(&[&json], "again.csv")).unwrap());
    let file = shop.npz(&[&json]);
    let result: Json = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let mut expected = "which,rank,value,residual,error_bound,angle_bound,converged\n".to_string();
    for (which, list, prefix) in [("largest", "pairs", ""), ("smallest", "smallest", "smallest_")] {
        let pairs = result["result"][list].as_array().unwrap();
        assert_eq!(pairs.len(), 3);
        let of = |key: &str| pairs.iter().map(|p| p[key].as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>();
        let names = [
            ("value", "eigenvalues"),
            ("residual", "residuals"),
            ("error_bound", "error_bounds"),
            ("angle_bound", "angle_bounds"),
        ];
        for (key, name) in names {
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&reals(&file[&format!("{prefix}{name}")])), bits(&of(key)), "{name}");
        }
        assert_eq!(file[&format!("{prefix}converged")].to_vec1::<u8>().unwrap(), [1, 1, 1]);
        for (i, pair) in pairs.iter().enumerate() {
            let field = |key: &str| pair[key].as_f64().map_or(String::new(), |v| format!("{v:?}"));
            let [value, residual, bound, angle] = names.map(|(key, _)| field(key));
            let _ = writeln!(expected, "{which},{},{value},{residual},{bound},{angle},true", i + 1);
        }
    }
    assert_eq!(table, expected);
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let shop = Workshop::new();
    let plane = shop.save("s.json", &surface());
    let curve = shop.save("l.json", &line("net", &["2", "1", "3", "0.1", "1"]));
    let unknown = shop.save("u.json", &line("net", &["null"; 5]));
    let uneven =
        shop.save("uneven.json", &surface_with("net", &["-1.0", "-0.5", "0.0", "0.6"], &table(&LOSS), ""));
    let before: Vec<_> = std::fs::read_dir(shop.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let to = |name: &str| shop.path(name);
    refuses(&["plot", &plane, &plane, "-o", &to("a.csv")], 2, &["a.csv", "one result", "2", ".npz"]);
    refuses(&["plot", &plane, &plane, "-o", &to("a.vtp")], 2, &["one result"]);
    refuses(&["plot", &plane, &curve, "-o", &to("a.npz")], 2, &["several kinds"]);
    refuses(&["plot", &curve, "-o", &to("a.vti")], 2, &["a line", ".npz, .csv and .vtp"]);
    refuses(&["plot", &uneven, "-o", &to("a.vti")], 2, &["not evenly spaced", ".vtp"]);
    refuses(&["plot", &unknown, "-o", &to("a.vtp")], 3, &["none of the losses is finite"]);
    refuses(&["plot", &plane, "-o", &to("a.xlsx")], 2, &["a.xlsx", ".npz, .csv, .vtp and .vti"]);
    refuses(&["plot", &plane, "-o", &to("nowhere/a.npz")], 2, &["cannot be written"]);
    // Before the work.
    refuses(&["line", SGD, "-o", &to("a.vti")], 2, &["a line"]);
    refuses(&["eigenvalues", SGD, "-o", &to("a.vtp")], 2, &["eigenvalues", ".npz and .csv"]);
    refuses(&["surface", SGD, "-o", &to("a.gif")], 2, &["a.gif", ".json"]);
    let after: Vec<_> = std::fs::read_dir(shop.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(before, after, "nothing is left behind");
}

#[cfg(unix)]
#[test]
fn results_are_as_readable_as_other_files() {
    use std::os::unix::fs::PermissionsExt;

    let shop = Workshop::new();
    let saved = shop.save("s.json", &surface());
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&shop.plot(&[&saved], "a.npz")), mode(&saved));
}

#[test]
fn damaged_tables_are_refused() {
    let shop = Workshop::new();
    for (name, loss) in [
        // As many numbers as there should be, in rows of other lengths.
        ("ragged.json", "[[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4]]"),
        ("turned.json", "[[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]]"),
        ("short.json", "[[1, 2, 3, 4], [1, 2, 3, 4]]"),
    ] {
        let saved = shop.save(name, &surface_with("net", &X, loss, ""));
        for output in ["a.npz", "a.csv", "a.vti", "a.png"] {
            refuses(&["plot", &saved, "-o", &shop.path(output)], 3, &[name, "differ in length"]);
        }
    }
    let saved = shop.save("l.json", &line("net", &["1"; 5]).replace("[-1.0, ", "["));
    refuses(&["plot", &saved, "-o", &shop.path("a.csv")], 3, &["differ in length"]);
    assert_only(shop.0.path(), &["l.json", "ragged.json", "short.json", "turned.json"]);
}
