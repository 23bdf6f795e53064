//! SVG files as parts of a page.

/// The `svg` element of a file, its ids prefixed: in one page two figures would share what they both call `clip`.
pub(super) fn inline(svg: &str, prefix: &str) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    let mut rest = svg[start..].trim_end();
    let mut page = String::with_capacity(rest.len());
    while let Some(open) = rest.find('<') {
        page.push_str(&rest[..open]);
        let length = tag_length(&rest[open..]);
        let tag = &rest[open..open + length];
        if tag.contains('=') && !tag.starts_with("<!") {
            push_tag(&mut page, tag, prefix);
        } else {
            page.push_str(tag);
        }
        rest = &rest[open + length..];
    }
    page.push_str(rest);
    page
}

/// From `<` to the `>` that is in no quotes; quotes in comments and raw text mean nothing.
fn tag_length(text: &str) -> usize {
    for (start, end) in [("<!--", "-->"), ("<![CDATA[", "]]>")] {
        if text.starts_with(start) {
            return text.find(end).map_or(text.len(), |at| at + end.len());
        }
    }
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn push_tag(page: &mut String, tag: &str, prefix: &str) {
    let mut rest = tag;
    while let Some(open) = rest.find(['"', '\'']) {
        let (before, after) = (&rest[..=open], &rest[open + 1..]);
        let close = after.find(&rest[open..=open]).unwrap_or(after.len());
        let name = before.trim_end_matches(['"', '\'', '=', ' ']);
        let name = name.rsplit(char::is_whitespace).next().unwrap_or(name);
        page.push_str(before);
        page.push_str(&value_with(prefix, name, &after[..close]));
        rest = &after[close..];
        // The closing quote.
        if let Some(quote) = rest.chars().next() {
            page.push(quote);
            rest = &rest[1..];
        }
    }
    page.push_str(rest);
}

fn value_with(prefix: &str, name: &str, value: &str) -> String {
    match name {
        "id" => format!("{prefix}{value}"),
        "aria-labelledby" | "aria-describedby" => {
            let ids: Vec<_> = value.split_whitespace().map(|id| format!("{prefix}{id}")).collect();
            ids.join(" ")
        }
        "href" | "xlink:href" => match value.strip_prefix('#') {
            Some(id) => format!("#{prefix}{id}"),
            None => value.to_owned(),
        },
        _ => value.replace("url(#", &format!("url(#{prefix}")),
    }
}
