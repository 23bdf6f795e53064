//! Runs that differ in their seeds alone, as one curve with a band.

use toml::{Table, Value};

use super::Run;
use super::quantile::student_95;

/// Runs of one recipe.
pub(super) struct Group<'a> {
    pub(super) name: String,
    pub(super) runs: Vec<&'a Run>,
}

/// A tag over the steps that all runs of a group have.
pub(super) struct Curve {
    pub(super) steps: Vec<f64>,
    pub(super) mean: Vec<f64>,
    /// Half the width of the 95 % confidence interval of the mean over runs (Student's t); none for one run.
    pub(super) half_width: Option<Vec<f64>>,
}

/// What several runs must share to be of one recipe.
#[derive(PartialEq)]
enum Recipe {
    /// Their settings but for the seed.
    Settings(Table),
    /// Their names but for `-seed7`.
    Name(String),
}

/// Gathers the runs of one recipe, in the order of the first of each.
pub(super) fn groups(runs: &[Run]) -> Vec<Group<'_>> {
    let mut found: Vec<(Recipe, Vec<&Run>)> = vec![];
    for run in runs {
        let recipe = match &run.settings {
            Some(settings) => Recipe::Settings(without_seed(settings.clone())),
            None => Recipe::Name(without_suffix(&run.name).to_string()),
        };
        match found.iter_mut().find(|(known, _)| *known == recipe) {
            Some((_, members)) => members.push(run),
            None => found.push((recipe, vec![run])),
        }
    }
    found.into_iter().map(|(_, runs)| Group { name: name(&runs), runs }).collect()
}

fn without_seed(mut settings: Table) -> Table {
    if let Some(Value::Table(training)) = settings.get_mut("training") {
        training.remove("seed");
    }
    settings
}

/// `sam-seed3` becomes `sam`.
fn without_suffix(name: &str) -> &str {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match digits.strip_suffix("-seed") {
        Some(stem) if digits.len() < name.len() && !stem.is_empty() => stem,
        _ => name,
    }
}

/// What the names of all have in common, and how many they are.
fn name(runs: &[&Run]) -> String {
    let [first, rest @ ..] = runs else { return String::new() };
    if rest.is_empty() {
        return first.name.clone();
    }
    let mut stem = without_suffix(&first.name);
    for run in rest {
        let same = stem.char_indices().zip(run.name.chars()).take_while(|((_, a), b)| a == b);
        stem = &stem[..same.last().map_or(0, |((i, c), _)| i + c.len_utf8())];
    }
    let stem = stem.trim_end_matches(['-', '_', '.']);
    format!("{} ({} seeds)", if stem.is_empty() { &first.name } else { stem }, runs.len())
}

impl Group<'_> {
    /// A tag's curve; none where one of the runs lacks it.
    pub(super) fn curve(&self, tag: &str) -> Option<Curve> {
        let all = self.runs.iter().map(|run| run.numbers.get(tag)).collect::<Option<Vec<_>>>()?;
        let (first, rest) = all.split_first()?;
        let mut curve = Curve { steps: vec![], mean: vec![], half_width: None };
        let mut widths = vec![];
        for (step, value) in first.0.iter().zip(&first.1) {
            // Steps come in order, and exactly.
            let others = rest.iter().map(|(steps, values)| {
                steps.binary_search_by(|other| other.total_cmp(step)).ok().map(|place| values[place])
            });
            let Some(values) = std::iter::once(Some(*value)).chain(others).collect::<Option<Vec<f64>>>()
            else {
                continue;
            };
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            curve.steps.push(*step);
            curve.mean.push(mean);
            widths.push(student_95(values.len() - 1) * (variance / n).sqrt());
        }
        curve.half_width = (!rest.is_empty()).then_some(widths);
        Some(curve)
    }

    /// The tags that any run has, in their order.
    pub(super) fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> =
            self.runs.iter().flat_map(|run| run.numbers.keys()).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(name: &str, seed: Option<i64>, values: &[f64]) -> Run {
        let steps: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
        Run {
            name: name.into(),
            folder: PathBuf::new(),
            numbers: [("loss/train".to_string(), (steps, values.to_vec()))].into(),
            events: vec![],
            settings: seed
                .map(|seed| format!("a = 1\n[training]\neta = 0.1\nseed = {seed}").parse().unwrap()),
        }
    }

    #[test]
    fn runs_of_one_recipe_are_a_curve_with_its_interval() {
        let runs = [
            run("sam-seed1", None, &[1.0, 4.0, 9.0]),
            run("sgd", None, &[2.0]),
            run("sam-seed2", None, &[2.0, 4.0]),
            run("sam-seed10", None, &[3.0, 4.0]),
        ];
        let groups = groups(&runs);
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["sam (3 seeds)", "sgd"]);
        let curve = groups[0].curve("loss/train").unwrap();
        assert_eq!((curve.steps, curve.mean), (vec![0.0, 1.0], vec![2.0, 4.0]));
        let widths = curve.half_width.unwrap();
        // The mean of 1, 2, 3 has standard error 1/sqrt(3), and t is 4.303 for two degrees of freedom.
        assert!((widths[0] - 4.302_65 / 3.0f64.sqrt()).abs() < 1e-12 && widths[1] == 0.0, "{widths:?}");
        assert!(groups[1].curve("loss/train").unwrap().half_width.is_none());
        assert!(groups[1].curve("loss/test").is_none());
    }

    #[test]
    fn settings_say_more_than_names() {
        let runs = [run("a", Some(1), &[1.0]), run("b", Some(2), &[1.0]), run("c", None, &[1.0])];
        let names: Vec<String> = groups(&runs).into_iter().map(|group| group.name).collect();
        assert_eq!(names, ["a (2 seeds)", "c"]);
        assert_eq!(without_suffix("sam-seed12"), "sam");
        assert_eq!(without_suffix("-seed1"), "-seed1");
        assert_eq!(without_suffix("sam-seed"), "sam-seed");
    }
}
