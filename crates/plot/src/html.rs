//! Self-contained HTML reports: figures as inline SVG, with read-off values and surfaces that turn where scripts may run.
//!
//! Nothing is loaded from elsewhere, and the page's content security policy holds it to that.

mod data;
mod inline;
#[cfg(test)]
mod tests;

pub(crate) use data::{HoverAxis, HoverPanel, HoverSeries, SurfacePoint, SurfaceView};

use serde::Serialize;

const STYLE: &str = include_str!("html/style.css");
const COMMON: &str = include_str!("html/common.js");
const HOVER: &str = include_str!("html/hover.js");
/// In the order in which they use each other.
const SURFACE: [&str; 4] = [
    include_str!("html/field.js"),
    include_str!("html/axes.js"),
    include_str!("html/scene.js"),
    include_str!("html/surface.js"),
];

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     img-src data:; font-src data:; base-uri 'none'; form-action 'none'";

/// One figure of a page, with what its scripts need.
#[derive(Debug, Clone)]
pub(crate) struct Section<'a> {
    /// The figure's title; plain text.
    pub heading: &'a str,
    /// What it shows; plain text, a blank line starts a paragraph.
    pub caption: &'a str,
    /// The figure, or nothing where there is only a surface.
    pub svg: &'a str,
    /// Panels whose lines can be read off.
    pub hover: Vec<HoverPanel>,
    /// A surface to turn.
    pub surface: Option<SurfaceView>,
}

/// The whole page. It shows its figures with scripts disabled, too.
pub(crate) fn page(title: &str, introduction: &str, sections: &[Section]) -> String {
    let title = escape(title);
    let introduction = paragraphs(introduction, " class=\"introduction\"");
    let contents = contents(sections);
    let body: String = sections.iter().zip(1..).map(|(one, number)| section(one, number)).collect();
    let script = script(sections);
    format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
<link rel=\"icon\" href=\"data:,\">
<style>
{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{title}</h1>
{introduction}{contents}</header>
{body}</main>
{script}</body>
</html>
"
    )
}

/// A table of contents where there is more than a reader sees at a glance.
fn contents(sections: &[Section]) -> String {
    if sections.len() <= 3 {
        return String::new();
    }
    let items: String = sections
        .iter()
        .zip(1..)
        .filter(|(section, _)| !section.heading.is_empty())
        .map(|(section, number)| {
            format!("<li><a href=\"#section-{number}\">{}</a></li>\n", escape(section.heading))
        })
        .collect();
    format!("<nav aria-label=\"Contents\">\n<ol>\n{items}</ol>\n</nav>\n")
}

fn section(section: &Section, number: usize) -> String {
    let mut parts = vec![format!("<section id=\"section-{number}\">\n")];
    if !section.heading.is_empty() {
        parts.push(format!("<h2>{}</h2>\n", escape(section.heading)));
    }
    parts.push("<figure>\n".to_owned());
    if !section.svg.is_empty() {
        let svg = inline::inline(section.svg, &format!("section-{number}-"));
        parts.push(format!("<div class=\"plot\">\n{svg}\n</div>\n"));
        if !section.hover.is_empty() {
            parts.push(embedded("hover-data", &section.hover));
        }
    }
    if let Some(surface) = &section.surface {
        parts.push(format!(
            "<div class=\"surface\">\n{}<noscript><p class=\"remark\">Where scripts are allowed to run, \
             a surface to turn and to read values from is shown here.</p></noscript>\n</div>\n",
            embedded("surface-data", surface)
        ));
    }
    if !section.caption.is_empty() {
        parts.push(format!("<figcaption>\n{}</figcaption>\n", paragraphs(section.caption, "")));
    }
    parts.push("</figure>\n</section>\n".to_owned());
    parts.concat()
}

/// Only what the page uses, as one module: its names are its own, and it runs once the page is read.
fn script(sections: &[Section]) -> String {
    let hover = sections.iter().any(|section| !section.hover.is_empty() && !section.svg.is_empty());
    let surface = sections.iter().any(|section| section.surface.is_some());
    let mut parts = Vec::new();
    if hover || surface {
        parts.push(COMMON);
    }
    if hover {
        parts.push(HOVER);
    }
    if surface {
        parts.extend(SURFACE);
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("<script type=\"module\">\n{}</script>\n", parts.join("\n"))
}

/// Data for a script. No `<` is left in them, so that no text can end the element or open a comment.
fn embedded(class: &str, data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).expect("numbers and texts always have a JSON form");
    format!("<script type=\"application/json\" class=\"{class}\">{}</script>\n", json.replace('<', "\\u003c"))
}

fn paragraphs(text: &str, attributes: &str) -> String {
    text.split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| format!("<p{attributes}>{}</p>\n", escape(paragraph)))
        .collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
