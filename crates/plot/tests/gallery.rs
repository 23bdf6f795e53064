//! Every figure of the gallery: nothing overlaps, nothing leaves the figure, files stay small and come out the same.

#[path = "../examples/gallery/figures.rs"]
mod figures;
#[path = "../examples/gallery/hostile.rs"]
mod hostile;

use relief_plot::Figure;

fn gallery() -> Vec<(&'static str, Figure)> {
    let all: Vec<_> = figures::all().into_iter().chain(hostile::all()).collect();
    assert!(all.len() >= 30, "{} figures", all.len());
    all
}

#[test]
fn text_never_meets_text_nor_leaves_the_figure() {
    let problems: Vec<String> = gallery()
        .into_iter()
        .flat_map(|(name, figure)| {
            let found = figure.collisions().unwrap_or_else(|e| panic!("{name}: {e}"));
            found.into_iter().map(move |c| format!("{name}: {c}"))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The check above can fail: where there is no room for what is asked, and where the font lacks a sign.
#[test]
fn a_figure_with_too_little_room_says_so() {
    let (_, figure) = hostile::all().into_iter().find(|(name, _)| *name == "hostile-long-labels").unwrap();
    let tiny = Figure { panel_size: Some([60.0, 40.0]), ..figure };
    let found = tiny.collisions().unwrap();
    assert!(found.iter().any(|c| c.contains("cover each other")), "{found:?}");
    assert!(found.iter().any(|c| c.contains("leaves the figure")), "{found:?}");
    let mut foreign = figures::all().remove(0).1;
    foreign.title = "损失".into();
    assert!(foreign.collisions().unwrap().iter().any(|c| c.contains("lacks")));
}

#[test]
fn files_are_small_and_the_same_from_run_to_run() {
    for (name, figure) in gallery() {
        let svg = figure.svg().unwrap();
        assert!(svg.len() < 500_000, "{name} has {} bytes", svg.len());
        assert_eq!(svg, figure.svg().unwrap(), "{name}");
        // Pictures inside are letters of all kinds.
        let drawn: String =
            svg.split("base64,").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest)).collect();
        assert!(
            !drawn.contains("NaN") && !drawn.contains("inf ") && !drawn.contains("inf\""),
            "{name} has numbers that are none"
        );
    }
}

#[test]
fn every_figure_becomes_a_picture() {
    for (name, figure) in gallery() {
        let png = figure.png(0.5).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(&png[1..4], b"PNG", "{name}");
    }
}

#[test]
fn animations_hold_every_frame() {
    let animation = figures::growing();
    let gif = animation.gif().unwrap();
    let mut decoder = gif::DecodeOptions::new().read_info(gif.as_slice()).unwrap();
    let mut delays = vec![];
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(frame.delay);
    }
    assert_eq!(delays, vec![25; animation.frames.len()]);
    let apng = animation.apng().unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(apng)).read_info().unwrap();
    assert_eq!(reader.info().animation_control.unwrap().num_frames as usize, animation.frames.len());
}

/// Every frame of a GIF has a palette of its own, but bands must not change their colours from one to the next.
#[test]
fn colours_that_cover_much_are_exact_in_every_frame() {
    let animation = figures::growing();
    let gif = animation.gif().unwrap();
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(gif.as_slice()).unwrap();
    let apng = animation.apng().unwrap();
    let mut truth = png::Decoder::new(std::io::Cursor::new(apng)).read_info().unwrap();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        let mut exact = vec![0; truth.output_buffer_size().unwrap()];
        truth.next_frame(&mut exact).unwrap();
        let mut covered = std::collections::HashMap::new();
        for (shown, wanted) in frame.buffer.chunks(4).zip(exact.chunks(4)) {
            let (count, right) = covered.entry(&wanted[..3]).or_insert((0, 0));
            *count += 1;
            *right += usize::from(shown[..3] == wanted[..3]);
        }
        let large: Vec<_> = covered.values().filter(|(count, _)| count * 1000 >= exact.len() / 4).collect();
        assert!(large.len() >= 14, "{} colours cover much", large.len());
        assert!(large.iter().all(|(count, right)| count == right), "{large:?}");
    }
}
