//! The numbers of runs as a table for other programs.

use super::Run;

/// Comma-separated values: a row for every run and step, a column for every tag, empty where nothing was recorded.
pub(crate) fn csv(runs: &[Run]) -> String {
    let mut tags: Vec<&String> = runs.iter().flat_map(|run| run.numbers.keys()).collect();
    tags.sort_unstable();
    tags.dedup();
    let head = ["run".to_string(), "step".to_string()].into_iter().chain(tags.iter().map(|tag| quoted(tag)));
    let mut lines = vec![head.collect::<Vec<_>>().join(",")];
    for run in runs {
        let mut steps: Vec<f64> = run.numbers.values().flat_map(|(steps, _)| steps.iter().copied()).collect();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        for step in steps {
            let cells = tags.iter().map(|tag| {
                let (steps, values) = run.numbers.get(*tag)?;
                let place = steps.iter().position(|other| other.total_cmp(&step).is_eq())?;
                Some(values[place]).filter(|value| value.is_finite())
            });
            let cells = cells.map(|value| value.map_or(String::new(), |value| value.to_string()));
            let head = [quoted(&run.name), step.to_string()];
            lines.push(head.into_iter().chain(cells).collect::<Vec<_>>().join(","));
        }
    }
    lines.join("\n") + "\n"
}

/// A cell as RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}
