//! Reading the keys of a TOML table, with the line of everything that is wrong.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::architecture::error::{ArchitectureError, Result, nearest};
use crate::architecture::settings;

const LARGEST: i64 = settings::LARGEST as i64;

/// A model file's text, for finding lines.
pub(super) struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text }
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn error(&self, offset: usize, problem: String) -> ArchitectureError {
        ArchitectureError::File { path: self.path.into(), line: self.line(offset), problem }
    }
}

/// A table whose keys are asked for one by one; those never asked for are mistakes.
pub(super) struct Keys<'a> {
    pub(super) source: &'a Source<'a>,
    /// What the table is, in messages.
    pub(super) what: String,
    pub(super) offset: usize,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        what: impl Into<String>,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Self {
        Self { source, what: what.into(), offset, table, asked: RefCell::default() }
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, name: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(name);
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    /// An error at the table itself.
    pub(super) fn error(&self, problem: String) -> ArchitectureError {
        self.source.error(self.offset, problem)
    }

    /// An error at the value of a key.
    pub(super) fn error_at(&self, name: &'static str, problem: String) -> ArchitectureError {
        let offset = self.get(name).map_or(self.offset, |value| value.span().start);
        self.source.error(offset, problem)
    }

    fn wrong<T>(&self, name: &str, value: &Spanned<DeValue<'a>>, expected: &str) -> Result<T> {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("the text \"{text}\""),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Array(_) => "a list".into(),
            DeValue::Table(_) => "a table".into(),
            DeValue::Datetime(_) => "a date".into(),
        };
        let problem = format!("`{name}` of {} must be {expected}, but is {found}", self.what);
        Err(self.source.error(value.span().start, problem))
    }

    fn required<T>(&self, name: &str, example: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            // A key that looks like the missing one is the likelier mistake.
            let near = self.table.iter().find(|(key, _)| strsim::jaro_winkler(key.get_ref(), name) > 0.9);
            if let Some((key, _)) = near {
                let problem = format!("{} has no key `{}`: did you mean `{name}`?", self.what, key.get_ref());
                return self.source.error(key.span().start, problem);
            }
            self.error(format!("{} needs the key `{name}`, as in `{name} = {example}`", self.what))
        })
    }

    /// A whole number not below `least`.
    pub(super) fn count(&self, name: &'static str, least: i64) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match integer(value.get_ref()) {
            Some(count) if (least..=LARGEST).contains(&count) => Ok(Some(count as usize)),
            _ => self.wrong(name, value, &format!("a whole number from {least} to {LARGEST}")),
        }
    }

    pub(super) fn required_count(&self, name: &'static str, example: &str) -> Result<usize> {
        let count = self.count(name, 1)?;
        self.required(name, example, count)
    }

    /// A whole number of either sign.
    pub(super) fn integer_or(&self, name: &'static str, default: i64) -> Result<i64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        integer(value.get_ref()).map_or_else(|| self.wrong(name, value, "a whole number"), Ok)
    }

    /// A whole number, or a list of them, all at least 1.
    pub(super) fn counts(&self, name: &'static str) -> Result<Option<Vec<usize>>> {
        self.list(name, 1, "a list of whole numbers not below 1")
    }

    pub(super) fn required_counts(&self, name: &'static str, example: &str) -> Result<Vec<usize>> {
        let counts = self.counts(name)?;
        self.required(name, example, counts)
    }

    /// [height, width], or one number for both.
    pub(super) fn pair(&self, name: &'static str, least: i64) -> Result<Option<[usize; 2]>> {
        let expected = format!("a whole number not below {least}, or two of them [height, width]");
        match self.list(name, least, &expected)?.as_deref() {
            None => Ok(None),
            Some(&[both]) => Ok(Some([both; 2])),
            Some(&[height, width]) => Ok(Some([height, width])),
            Some(_) => match self.get(name) {
                Some(value) => self.wrong(name, value, &expected),
                None => Ok(None),
            },
        }
    }

    pub(super) fn required_pair(&self, name: &'static str, example: &str) -> Result<[usize; 2]> {
        let pair = self.pair(name, 1)?;
        self.required(name, example, pair)
    }

    fn list(&self, name: &'static str, least: i64, expected: &str) -> Result<Option<Vec<usize>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let numbers: Option<Vec<i64>> = match value.get_ref() {
            DeValue::Array(entries) => entries.iter().map(|entry| integer(entry.get_ref())).collect(),
            single => integer(single).map(|number| vec![number]),
        };
        match numbers {
            Some(numbers) if !numbers.is_empty() && numbers.iter().all(|n| (least..=LARGEST).contains(n)) => {
                Ok(Some(numbers.into_iter().map(|n| n as usize).collect()))
            }
            _ => self.wrong(name, value, expected),
        }
    }

    pub(super) fn flag_or(&self, name: &'static str, default: bool) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.get_ref().as_bool().map_or_else(|| self.wrong(name, value, "true or false"), Ok)
    }

    pub(super) fn number_or(&self, name: &'static str, default: f64) -> Result<f64> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            other => integer(other).map(|n| n as f64),
        };
        number.filter(|n: &f64| n.is_finite()).map_or_else(|| self.wrong(name, value, "a number"), Ok)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() => Ok(Some(text.into())),
            _ => self.wrong(name, value, "a text in quotes"),
        }
    }

    pub(super) fn required_text(&self, name: &'static str, example: &str) -> Result<String> {
        let text = self.text(name)?;
        self.required(name, example, text)
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&self, name: &'static str) -> Result<Vec<&'a Spanned<DeValue<'a>>>> {
        let Some(value) = self.get(name) else { return Ok(vec![]) };
        match value.get_ref().as_array() {
            Some(entries) if entries.iter().all(|entry| entry.get_ref().is_table()) => {
                Ok(entries.iter().collect())
            }
            _ => self.wrong(name, value, &format!("tables, written as [[{name}]]")),
        }
    }

    /// Refuses the first key that was never asked for.
    pub(super) fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        let unknown = self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let mut known: Vec<&str> = vec![];
        for name in asked.iter().filter(|name| **name != "type") {
            if !known.contains(name) {
                known.push(name);
            }
        }
        let name = key.get_ref();
        let advice = match known.as_slice() {
            [] => "leave it out".into(),
            known => format!(
                "did you mean `{}`? (it has {})",
                nearest(name, known.iter().copied()),
                known.join(", ")
            ),
        };
        Err(self.source.error(key.span().start, format!("{} has no key `{name}`: {advice}", self.what)))
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
