//! The gallery as one page: self-contained, the same from run to run, and read off where its lines are drawn.

// Its animation is no part of a page.
#[allow(dead_code)]
#[path = "../examples/gallery/figures.rs"]
mod figures;

use std::process::Command;

use relief_plot::Report;

fn page() -> String {
    let mut report = Report::new("Gallery").introduced("Every kind of figure.");
    for (name, figure) in figures::all() {
        report = report.with(name, "", &figure).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    report.html().unwrap()
}

#[test]
fn a_report_stands_alone() {
    let html = page();
    assert_eq!(html, page());
    let own = html.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "");
    assert!(!own.contains("http://") && !own.contains("https://"));
    assert!(html.contains("class=\"hover-data\"") && html.contains("class=\"surface-data\""));
    let ids: Vec<&str> =
        html.split(" id=\"").skip(1).map(|after| after.split_once('"').expect("a closing quote").0).collect();
    let distinct: std::collections::HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
}

/// `RELIEF_SCREENSHOTS` names a folder for what the browser showed.
#[test]
#[ignore = "needs Chromium: set RELIEF_BROWSER"]
fn a_browser_reads_the_gallery() {
    let browser = std::env::var_os("RELIEF_BROWSER").expect("RELIEF_BROWSER names no Chromium");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gallery.html");
    std::fs::write(&file, page()).unwrap();
    let screenshots =
        std::env::var_os("RELIEF_SCREENSHOTS").map_or_else(|| folder.path().join("shots"), Into::into);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/gallery.mjs");
    let status = Command::new("node").arg(script).arg(browser).arg(&file).arg(&screenshots).status();
    assert!(status.expect("node is on the path").success());
}
