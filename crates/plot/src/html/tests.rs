//! Pages as text here; as a browser shows them in `tests/browser/check.mjs`, which the last test runs.

use std::process::Command;

use proptest::prelude::*;
use serde_json::Value;

use super::{COMMON, HOVER, SURFACE, Section, SurfacePoint, SurfaceView, embedded, inline::inline, page};
use fixtures::{lines, lines_svg, wells};

mod fixtures;

fn section<'a>(heading: &'a str, svg: &'a str) -> Section<'a> {
    Section { heading, caption: "", svg, hover: Vec::new(), surface: None }
}

/// The text of the first element of this class.
fn data<'a>(html: &'a str, class: &str) -> &'a str {
    let (_, after) = html.split_once(&format!("class=\"{class}\">")).expect("data of this class");
    after.split_once("</script>").expect("an end").0
}

fn whole() -> String {
    let svg = lines_svg();
    let coarse = SurfaceView { log: false, cap: None, range: [0.0, 8.0], ..wells(21, fixtures::bands()) };
    let plain = |heading, svg| section(heading, svg);
    page(
        "Loss landscapes of a small network",
        "A page of figures for the test in a browser: lines to read off, and surfaces to turn.\n\nNothing on it is \
         loaded from elsewhere.",
        &[
            Section {
                caption: "Training and test loss (left axis, logarithmic) and accuracy (right axis).",
                hover: vec![lines()],
                ..plain("Training", &svg)
            },
            Section {
                caption: "The loss over two directions, on a logarithmic scale, with the path of the optimizer. \
                          Missing values are holes.",
                surface: Some(wells(65, fixtures::map())),
                ..plain("The surface", "")
            },
            Section {
                caption: "The same function on a coarse grid, linear, in bands.",
                surface: Some(SurfaceView { points: Vec::new(), path: Vec::new(), ..coarse }),
                ..plain("A coarse surface", "")
            },
            Section { hover: vec![lines()], ..plain("The same lines again", &svg) },
        ],
    )
}

#[test]
fn own_scripts_are_small() {
    let bytes = COMMON.len() + HOVER.len() + SURFACE.iter().map(|script| script.len()).sum::<usize>();
    assert!(bytes < 60 * 1024, "{bytes} bytes");
}

#[test]
fn nothing_comes_from_elsewhere() {
    let html = whole().replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http://", "https://", "src=", "@import", "import(", "fetch("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(
        html.matches("href=").count()
            == html.matches("href=\"#").count() + html.matches("href=\"data:,").count()
    );
}

#[test]
fn only_what_is_used_is_on_the_page() {
    let still = page("Still", "", &[section("One", "<svg></svg>")]);
    assert!(!still.contains("<script") && !still.contains("<noscript") && !still.contains("<nav"));
    let lines_only = page("Lines", "", &[Section { hover: vec![lines()], ..section("One", "<svg></svg>") }]);
    assert!(
        lines_only.contains(HOVER) && !lines_only.contains(SURFACE[0]) && !lines_only.contains("<noscript")
    );
    let surface_only =
        page("Surface", "", &[Section { surface: Some(wells(5, fixtures::map())), ..section("One", "") }]);
    assert!(
        surface_only.contains(SURFACE[0])
            && !surface_only.contains(HOVER)
            && surface_only.contains("<noscript")
    );
}

#[test]
fn contents_are_listed_from_four_figures_on() {
    let svg = "<svg></svg>";
    let three = [section("A", svg), section("B", svg), section("C", svg)];
    assert!(!page("", "", &three).contains("<nav"));
    let four = [&three[..], &[section("D & E", svg)]].concat();
    let html = page("", "", &four);
    assert!(html.contains("<li><a href=\"#section-4\">D &amp; E</a></li>"));
    assert!(html.contains("<section id=\"section-4\">"));
}

#[test]
fn texts_stay_texts() {
    let nasty = "</script><script>alert('x & \"y\"')</script><!--";
    let mut view = wells(5, fixtures::map());
    view.labels[2] = nasty.to_owned();
    view.points.push(SurfacePoint { at: [0.0, 0.0, f64::NAN], label: nasty.to_owned() });
    let one = Section { heading: nasty, caption: nasty, svg: "", hover: Vec::new(), surface: Some(view) };
    let html = page(nasty, nasty, &[one]);
    assert!(!html.contains("<script>alert") && !html.contains("<!--"));
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("</script>").count(), 2);
    let read: Value = serde_json::from_str(data(&html, "surface-data")).unwrap();
    assert_eq!(read["labels"][2], nasty);
    assert_eq!(read["points"].as_array().unwrap().last().unwrap()["at"][2], Value::Null);
    assert!(html.contains("<p>&lt;/script&gt;"));
}

#[test]
fn paragraphs_are_kept() {
    let html = page("", "One\n\nTwo\nlines\n\n", &[]);
    assert!(html.contains(">One</p>") && html.contains(">Two\nlines</p>"));
}

#[test]
fn surfaces_come_through_unchanged() {
    let view = wells(65, fixtures::map());
    let html = page("", "", &[Section { surface: Some(view.clone()), ..section("", "") }]);
    let read: Value = serde_json::from_str(data(&html, "surface-data")).unwrap();
    for (name, sent) in [("x", &view.x), ("y", &view.y)] {
        for (a, b) in sent.iter().zip(read[name].as_array().unwrap()) {
            assert!((a - b.as_f64().unwrap()).abs() <= f64::EPSILON * a.abs());
        }
    }
    let z = read["z"].as_array().unwrap();
    assert_eq!(z.len(), 65 * 65);
    for (a, b) in view.z.iter().zip(z) {
        match a.filter(|value| value.is_finite()) {
            Some(a) => assert!((a - b.as_f64().unwrap()).abs() <= f64::EPSILON * a.abs()),
            None => assert!(b.is_null()),
        }
    }
    assert!(z.iter().any(Value::is_null));
}

#[test]
fn lines_come_through_unchanged() {
    let html = page("", "", &[Section { hover: vec![lines()], ..section("", "<svg></svg>") }]);
    let read: Value = serde_json::from_str(data(&html, "hover-data")).unwrap();
    assert_eq!(read[0]["frame"], serde_json::json!(lines().frame));
    assert_eq!(read[0]["y"]["log"], true);
    assert_eq!(read[0]["y2"]["range"], serde_json::json!([0.0, 1.0]));
    assert_eq!(read[0]["series"][2]["axis2"], true);
    assert_eq!(read[0]["series"][1]["y"][7], Value::Null);
}

#[test]
fn ids_of_two_figures_stay_apart() {
    let svg = "<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n<svg aria-labelledby='a b'><!-- isn't id=\"c\" -->\
               <clipPath id=\"clip\"/><g clip-path=\"url(#clip)\" data-x=\"a > b\"><use href=\"#mark\"/>\
               <a href=\"other\">id=\"text\" url(#text)</a></g></svg>\n";
    assert_eq!(
        inline(svg, "p-"),
        "<svg aria-labelledby='p-a p-b'><!-- isn't id=\"c\" -->\
         <clipPath id=\"p-clip\"/><g clip-path=\"url(#p-clip)\" data-x=\"a > b\"><use href=\"#p-mark\"/>\
         <a href=\"other\">id=\"text\" url(#text)</a></g></svg>"
    );
}

#[test]
fn half_a_figure_is_no_panic() {
    let svg = "<svg a=\"é\"><g id='x' b=\"<\"/>é<!-- \" --><t id=\"";
    for (end, _) in svg.char_indices() {
        let _ = inline(&svg[..end], "p-");
    }
}

proptest! {
    #[test]
    fn any_text_survives_its_script_element(text in any::<String>()) {
        let html = embedded("data", &text);
        let json = data(&html, "data");
        prop_assert!(!json.contains('<'));
        prop_assert_eq!(serde_json::from_str::<String>(json).unwrap(), text);
    }
}

/// `RELIEF_SCREENSHOTS` names a folder for what the browser showed.
#[test]
#[ignore = "needs Chromium: set RELIEF_BROWSER"]
fn a_browser_shows_it() {
    let browser = std::env::var_os("RELIEF_BROWSER").expect("RELIEF_BROWSER names no Chromium");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, whole()).unwrap();
    let screenshots =
        std::env::var_os("RELIEF_SCREENSHOTS").map_or_else(|| folder.path().join("shots"), Into::into);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/check.mjs");
    let status = Command::new("node").arg(script).arg(browser).arg(&file).arg(&screenshots).status();
    assert!(status.expect("node is on the path").success());
}
