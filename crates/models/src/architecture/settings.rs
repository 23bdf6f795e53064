//! The arguments of a built-in architecture: what it takes, what was given, what was read off a checkpoint.

use std::collections::BTreeMap;
use std::fmt;

use super::activation::Activation;
use super::error::{ArchitectureError, Result, nearest};

/// Larger counts are taken for typing mistakes: their products would not be numbers of bytes any more.
pub(super) const LARGEST: usize = 1 << 24;

/// What an argument's value looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A whole number, not below this and not above [`LARGEST`].
    Count(usize),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Whole numbers joined by `-`.
    Widths,
    /// Names joined by `+`.
    Names,
}

/// An argument that an architecture takes.
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As it would be given; empty where there is none.
    pub(super) default: &'static str,
    pub(super) description: &'static str,
}

/// The argument `classes`, which most networks have.
pub(super) const fn classes(default: &'static str) -> Argument {
    Argument { name: "classes", kind: Kind::Count(1), default, description: "number of outputs" }
}

/// The argument `activation`.
pub(super) const ACTIVATION: Argument = Argument {
    name: "activation",
    kind: Kind::Choice(&Activation::NAMES),
    default: "relu",
    description: "function after every hidden layer: relu, tanh, gelu, silu, sigmoid, elu, softplus, ...",
};

/// The value of an argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Setting {
    Count(usize),
    Flag(bool),
    Word(&'static str),
    Widths(Vec<usize>),
    Names(Vec<String>),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Word(word) => word.fmt(f),
            Self::Widths(widths) => {
                f.write_str(&widths.iter().map(ToString::to_string).collect::<Vec<_>>().join("-"))
            }
            Self::Names(names) => f.write_str(&names.join("+")),
        }
    }
}

impl Argument {
    fn parse(&self, architecture: &str, text: &str) -> Result<Setting> {
        let expected = |expected: String| ArchitectureError::BadValue {
            architecture: architecture.into(),
            argument: self.name.into(),
            value: text.into(),
            expected,
        };
        match self.kind {
            Kind::Count(least) => match text.parse() {
                Ok(count) if (least..=LARGEST).contains(&count) => Ok(Setting::Count(count)),
                _ => Err(expected(format!("a whole number from {least} to {LARGEST}"))),
            },
            Kind::Flag => text.parse().map(Setting::Flag).map_err(|_| expected("true or false".into())),
            Kind::Choice(words) => {
                let found = words.iter().find(|word| **word == text);
                found.map(|word| Setting::Word(word)).ok_or_else(|| {
                    let near = nearest(text, words.iter().copied());
                    expected(format!("one of {} (perhaps {near})", words.join(", ")))
                })
            }
            Kind::Widths => {
                let widths: Result<Vec<usize>, _> = text.split('-').map(str::parse).collect();
                match widths {
                    Ok(widths) if widths.iter().all(|width| (1..=LARGEST).contains(width)) => {
                        Ok(Setting::Widths(widths))
                    }
                    _ => Err(expected("whole numbers joined as in 64-20-10".into())),
                }
            }
            Kind::Names if text.split('+').any(str::is_empty) => {
                Err(expected("names joined as in fc1+fc2".into()))
            }
            Kind::Names => Ok(Setting::Names(text.split('+').map(Into::into).collect())),
        }
    }
}

/// The arguments of one architecture: those given or read off a checkpoint, and defaults for the others.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) architecture: &'static str,
    arguments: &'static [Argument],
    values: BTreeMap<&'static str, Setting>,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.architecture == other.architecture && self.values == other.values
    }
}

impl Settings {
    /// Nothing given yet.
    pub(super) fn new(architecture: &'static str, arguments: &'static [Argument]) -> Self {
        Self { architecture, arguments, values: BTreeMap::new() }
    }

    /// Reads `key=value,key=value`.
    pub(super) fn read(&mut self, text: &str) -> Result<()> {
        let architecture = self.architecture.to_string();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else {
                return Err(ArchitectureError::Malformed { architecture, found: part.into() });
            };
            let Some(argument) = self.arguments.iter().find(|a| a.name == key) else {
                let names: Vec<&str> = self.arguments.iter().map(|a| a.name).collect();
                return Err(ArchitectureError::UnknownArgument {
                    architecture,
                    argument: key.into(),
                    nearest: nearest(key, names.iter().copied()).into(),
                    all: names.join(", "),
                });
            };
            if self.values.contains_key(argument.name) {
                return Err(ArchitectureError::Repeated { architecture, argument: key.into() });
            }
            self.values.insert(argument.name, argument.parse(&architecture, value)?);
        }
        Ok(())
    }

    /// The same with every default as if it were given.
    pub(super) fn spelled_out(mut self) -> Result<Self> {
        for argument in self.arguments.iter().filter(|a| !a.default.is_empty()) {
            if !self.is_given(argument.name) {
                self.values.insert(argument.name, argument.parse(self.architecture, argument.default)?);
            }
        }
        Ok(self)
    }

    /// Takes what a checkpoint says, unless the argument was given or the checkpoint says the default.
    pub(super) fn propose(&mut self, name: &'static str, setting: Setting) {
        let is_default = self.arguments.iter().any(|a| a.name == name && a.default == setting.to_string());
        if !is_default {
            self.values.entry(name).or_insert(setting);
        }
    }

    /// [`propose`](Self::propose) for counts that may be unknown.
    pub(super) fn propose_count(&mut self, name: &'static str, count: Option<usize>) {
        if let Some(count) = count {
            self.propose(name, Setting::Count(count));
        }
    }

    /// Whether the argument was given, rather than left to its default.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The value, given or default; `None` where there is neither.
    fn get(&self, name: &str) -> Result<Option<Setting>> {
        if let Some(value) = self.values.get(name) {
            return Ok(Some(value.clone()));
        }
        match self.arguments.iter().find(|a| a.name == name) {
            Some(argument) if !argument.default.is_empty() => {
                argument.parse(self.architecture, argument.default).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn missing<T>(&self, argument: &str, example: &str) -> Result<T> {
        Err(ArchitectureError::MissingArgument {
            architecture: self.architecture.into(),
            argument: argument.into(),
            example: example.into(),
        })
    }

    pub(super) fn count(&self, name: &str) -> Result<usize> {
        self.optional_count(name)?.map_or_else(|| self.missing(name, "1"), Ok)
    }

    pub(super) fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        Ok(self.get(name)?.and_then(|s| if let Setting::Count(count) = s { Some(count) } else { None }))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        if let Some(Setting::Flag(flag)) = self.get(name)? { Ok(flag) } else { self.missing(name, "true") }
    }

    pub(super) fn word(&self, name: &str) -> Result<&'static str> {
        if let Some(Setting::Word(word)) = self.get(name)? { Ok(word) } else { self.missing(name, "WORD") }
    }

    pub(super) fn widths(&self, name: &str) -> Result<Vec<usize>> {
        match self.get(name)? {
            Some(Setting::Widths(widths)) => Ok(widths),
            _ => self.missing(name, "784-128-10"),
        }
    }

    pub(super) fn names(&self, name: &str) -> Result<Option<Vec<String>>> {
        Ok(self.get(name)?.and_then(|s| if let Setting::Names(names) = s { Some(names) } else { None }))
    }

    pub(super) fn activation(&self) -> Result<Activation> {
        Ok(Activation::named(self.word("activation")?).unwrap_or(Activation::Relu))
    }

    /// Arguments that do not go together.
    pub(super) fn inconsistent(&self, problem: impl Into<String>) -> ArchitectureError {
        ArchitectureError::Inconsistent { architecture: self.architecture.into(), problem: problem.into() }
    }
}

/// `name:key=value,...` with what was given or read off a checkpoint, which [`Settings::read`] takes back.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.architecture)?;
        let given = self.arguments.iter().filter_map(|a| Some((a.name, self.values.get(a.name)?)));
        for (i, (name, value)) in given.enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}
