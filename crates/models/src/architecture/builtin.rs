//! The built-in architectures and what each must supply.

use relief_autodiff::Value;
use serde::Serialize;

use super::error::{ArchitectureError, Result, nearest};
use super::input::InputKind;
use super::net::Net;
use super::settings::{Argument, Settings};
use super::shapes::Shapes;
use super::{cifar_resnet, cnn, gpt, lenet, mlp, resnet, vgg, vit, wide_resnet};

/// One built-in: its arguments, and the functions that read, build and recognise it.
#[derive(Debug)]
pub(super) struct Builtin {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Whose parameter names it has.
    pub(super) names: &'static str,
    pub(super) arguments: &'static [Argument],
    /// What its examples look like.
    pub(super) input: fn(&Settings) -> Result<InputKind>,
    /// Logits from a batch of examples.
    pub(super) build: fn(&Net, &Value, &Settings) -> Result<Value>,
    /// Proposes the arguments that a checkpoint's shapes tell; gives the shape of an example that this checkpoint
    /// could read, or nothing where it is of another architecture.
    pub(super) infer: fn(&Shapes, &mut Settings) -> Option<Vec<usize>>,
}

/// Every built-in, in the order in which they are listed.
pub(super) const BUILTINS: [&Builtin; 13] = [
    &mlp::MLP,
    &cnn::CNN,
    &lenet::LENET5,
    &resnet::RESNET18,
    &cifar_resnet::RESNET20,
    &cifar_resnet::RESNET56,
    &wide_resnet::WRN_28_10,
    &vgg::VGG11,
    &vgg::VGG11_BN,
    &vgg::VGG16,
    &vgg::VGG16_BN,
    &vit::VIT,
    &gpt::GPT,
];

/// The built-in of this name, and text that stands for arguments in the name itself (`wrn-16-4`).
pub(super) fn find(name: &str) -> Result<(&'static Builtin, Option<String>)> {
    if let Some(builtin) = BUILTINS.into_iter().find(|b| b.name == name) {
        return Ok((builtin, None));
    }
    if let Some(arguments) = wide_resnet::arguments_in_name(name) {
        return Ok((&wide_resnet::WRN_28_10, Some(arguments)));
    }
    let names = BUILTINS.map(|b| b.name);
    Err(ArchitectureError::UnknownArchitecture {
        name: name.into(),
        nearest: nearest(name, names).into(),
        all: names.join(", "),
    })
}

/// What `relief models` says of one built-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// The convention of its parameters' names.
    pub names: &'static str,
    /// Its arguments.
    pub arguments: Vec<ArgumentEntry>,
}

/// What `relief models` says of one argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArgumentEntry {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    /// The value it has when left out and not read off a checkpoint.
    pub default: &'static str,
}

/// The built-in architectures with their arguments.
pub fn list() -> Vec<Entry> {
    let argument = |a: &Argument| ArgumentEntry {
        name: a.name,
        description: a.description,
        default: if a.default.is_empty() { "from the checkpoint" } else { a.default },
    };
    let entry = |b: &Builtin| Entry {
        name: b.name,
        description: b.description,
        names: b.names,
        arguments: b.arguments.iter().map(argument).collect(),
    };
    BUILTINS.into_iter().map(entry).collect()
}
