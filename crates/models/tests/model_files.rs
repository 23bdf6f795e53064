//! Model files: every layer against PyTorch, and mistakes with their lines.

#[path = "common/mod.rs"]
mod common;

use common::{cases, logits, relative_error};
use relief_models::architecture::{Architecture, BatchNormMode, InputKind, Role};

/// The network `Parts` of the fixture's script: every kind of layer.
const PARTS: &str = r#"
input = [2, 6, 8]

[[layers]]
type = "conv2d"
name = "stem.0"
in_channels = 2
out_channels = 6
kernel_size = [3, 2]
stride = [1, 2]
padding = [1, 0]
dilation = [2, 1]

[[layers]]
type = "group_norm"
name = "stem.1"
num_groups = 3
num_channels = 6

[[layers]]
type = "leaky_relu"
negative_slope = 0.2

[[layers]]
type = "conv_transpose2d"
name = "up"
out_channels = 4
kernel_size = 3
stride = 2
padding = 1
output_padding = 1
groups = 2

[[layers]]
type = "elu"
alpha = 0.7

[[layers]]
type = "residual"

[[layers.layers]]
type = "conv2d"
name = "a"
out_channels = 4
kernel_size = 3
padding = 1
groups = 2
bias = false

[[layers.layers]]
type = "batch_norm2d"
name = "b"
eps = 1e-3

[[layers.layers]]
type = "gelu"
approximate = "tanh"

[[layers.shortcut]]
type = "conv2d"
name = "c"
out_channels = 4
kernel_size = 1

[[layers]]
type = "max_pool2d"
kernel_size = 3
stride = 1
padding = 1

[[layers]]
type = "avg_pool2d"
kernel_size = 2
padding = 1
count_include_pad = false

[[layers]]
type = "adaptive_avg_pool2d"
output_size = [2, 3]

[[layers]]
type = "flatten"

[[layers]]
type = "dropout"
p = 0.3

[[layers]]
type = "linear"
name = "hidden"
in_features = 24
out_features = 6

[[layers]]
type = "softplus"

[[layers]]
type = "layer_norm"
name = "norm"
normalized_shape = 6

[[layers]]
type = "batch_norm1d"
name = "bn"
affine = false

[[layers]]
type = "linear"
name = "out"
out_features = 3
bias = false

[[layers]]
type = "softmax"
dim = 1

[[layers]]
type = "log_softmax"
"#;

const LINE: &str = r#"
input = [2, 8]
[[layers]]
type = "conv1d"
name = "conv"
out_channels = 3
kernel_size = 3
stride = 2
padding = 1
[[layers]]
type = "batch_norm1d"
name = "bn"
[[layers]]
type = "tanh"
[[layers]]
type = "flatten"
[[layers]]
type = "linear"
name = "fc"
out_features = 2
"#;

fn file(text: &str) -> Architecture {
    Architecture::from_model_file("net.toml", text).unwrap()
}

#[test]
fn logits_equal_pytorchs() {
    let cases = cases();
    for (name, text) in [("parts", PARTS), ("line", LINE)] {
        let (architecture, case) = (file(text), &cases[name]);
        let wanted = architecture.wanted(&case.input.dims()[1..]).unwrap();
        let shapes = wanted.into_iter().map(|(name, shape, _)| (name, shape)).collect();
        assert_eq!(case.shapes(), shapes);
        for (mode, expected) in
            [(BatchNormMode::Eval, &case.eval), (BatchNormMode::Batch, case.train.as_ref().unwrap())]
        {
            let (found, notes) = logits(&architecture, &case.tensors, &case.input, mode);
            let error = relative_error(&found, expected);
            assert!(error < 1e-12, "{name}, {mode:?}: {error:e}");
            assert_eq!(notes, if name == "parts" { vec!["dropout is off"] } else { vec![] });
        }
    }
}

#[test]
fn flat_examples_are_folded() {
    let (architecture, case) = (file(PARTS), &cases()["parts"]);
    let flat = case.input.flatten_from(1).unwrap();
    let (found, _) = logits(&architecture, &case.tensors, &flat, BatchNormMode::Eval);
    assert!(relative_error(&found, &case.eval) < 1e-12);
    assert_eq!(
        architecture.wanted(&[95]).unwrap_err().to_string(),
        "`net.toml` wants examples of shape [2, 6, 8] or as many entries (its `input`), but an example has shape [95]"
    );
    assert_eq!(architecture.input_kind().unwrap(), InputKind::Shape(vec![2, 6, 8]));
}

#[test]
fn layers_without_names_are_counted() {
    let text = r#"
input = 4
[[layers]]
type = "linear"
out_features = 4
[[layers]]
type = "tanh"
[[layers]]
type = "residual"
name = "block"
[[layers.layers]]
type = "linear"
out_features = 4
[[layers.layers]]
type = "batch_norm1d"
[[layers.shortcut]]
type = "linear"
out_features = 4
bias = false
[[layers]]
type = "linear"
name = "head"
out_features = 2
"#;
    let wanted = file(text).wanted(&[4]).unwrap();
    let named = |role| -> Vec<&str> { wanted.iter().filter(|w| w.2 == role).map(|w| w.0.as_str()).collect() };
    assert_eq!(
        named(Role::Parameter),
        [
            "0.bias",
            "0.weight",
            "block.0.bias",
            "block.0.weight",
            "block.1.bias",
            "block.1.weight",
            "block.shortcut.0.weight",
            "head.bias",
            "head.weight"
        ]
    );
    assert_eq!(named(Role::Buffer), ["block.1.running_mean", "block.1.running_var"]);
}

#[test]
fn a_path_is_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.toml");
    std::fs::write(&path, LINE).unwrap();
    let spec = path.to_str().unwrap();
    let architecture = Architecture::parse(spec).unwrap();
    assert_eq!(architecture.to_string(), spec);
    assert_eq!(architecture.name(), spec);
    assert_eq!(architecture, Architecture::from_model_file(spec, LINE).unwrap());
    assert_ne!(architecture, Architecture::from_model_file(spec, PARTS).unwrap());
}

#[test]
fn mistakes_in_a_file_are_located() {
    let layer = |text: &str| format!("input = [1, 8, 8]\n\n[[layers]]\n{text}\n");
    for (text, line, message) in [
        ("input = [1, 8, 8\n".into(), 1, "unclosed array, expected `]`"),
        ("input = 8\ninput = 9\n".into(), 2, "duplicate key"),
        (String::new(), 1, "model file needs the key `input`, as in `input = [1, 28, 28]`"),
        ("input = [8]\n".into(), 1, "there are no layers: add [[layers]] with a `type`"),
        (
            "layers = 3\ninput = [8]\n".into(),
            1,
            "`layers` of model file must be tables, written as [[layers]], but is 3",
        ),
        (
            "input = \"x\"\n".into(),
            1,
            "`input` of model file must be a list of whole numbers not below 1, but is the text \"x\"",
        ),
        (
            "input = 8\nlayer = 3\n".into(),
            2,
            "model file has no key `layer`: did you mean `layers`? (it has input, layers)",
        ),
        (layer("name = \"a\""), 3, "a layer needs the key `type`, as in `type = \"linear\"`"),
        (
            layer("type = \"linear\"\nout_features = 3\nbiass = true"),
            6,
            "a `linear` layer has no key `biass`: did you mean `bias`? (it has in_features, out_features, bias, name)",
        ),
        (
            layer("type = \"linear\""),
            3,
            "a `linear` layer needs the key `out_features`, as in `out_features = 10`",
        ),
        (
            layer("type = \"linear\"\n\nout_features = 2.5"),
            6,
            "`out_features` of a `linear` layer must be a whole number from 1 to 16777216, but is 2.5",
        ),
        (
            layer("type = \"linear\"\nout_features = 2\nbias = 1"),
            6,
            "`bias` of a `linear` layer must be true or false, but is 1",
        ),
        (
            layer("type = \"linear\"\nname = 3\nout_features = 2"),
            5,
            "`name` of a `linear` layer must be a text in quotes, but is 3",
        ),
        (
            layer("type = \"conv2d\"\nout_channels = 2\nkernel_size = [3, 3, 3]"),
            6,
            "`kernel_size` of a `conv2d` layer must be a whole number not below 1, or two of them [height, width], but is a list",
        ),
        (
            layer("type = \"conv2d\"\nout_channels = 2\nkernel_size = 0"),
            6,
            "`kernel_size` of a `conv2d` layer must be a whole number not below 1, or two of them [height, width], but is 0",
        ),
        (
            layer("type = \"conv2d\"\nout_channels = 3\nkernel_size = 1\ngroups = 2"),
            3,
            "3 `out_channels` do not divide into 2 `groups`",
        ),
        (
            layer("type = \"elu\"\nalpha = \"a\""),
            5,
            "`alpha` of a `elu` layer must be a number, but is the text \"a\"",
        ),
        (
            layer("type = \"gelu\"\napproximate = \"tan\""),
            3,
            "`approximate` of gelu must be \"none\" or \"tanh\", but is \"tan\"",
        ),
        (
            layer("type = \"conv1d\"\nout_channels = 3\nkernel_size = 3\nstride = [1, 2]"),
            3,
            "a `conv1d` layer has one axis: give one number instead of two",
        ),
        (
            layer("type = \"flatten\"\np = 1"),
            5,
            "a `flatten` layer has no key `p`: did you mean `name`? (it has name)",
        ),
        (layer("type = \"residual\""), 3, "a `residual` layer needs layers: add [[layers.layers]]"),
        (
            layer("type = \"residual\"\n[[layers.layers]]\ntype = \"linear\"\nout_features = 8"),
            5,
            "a `linear` layer needs a `name`, the prefix of its tensors in the checkpoint, because the `residual` layer \
             around it has none",
        ),
    ] {
        let error = Architecture::from_model_file("net.toml", &text).unwrap_err().to_string();
        assert_eq!(error, format!("net.toml: line {line}: {message}"));
    }
    let unknown =
        Architecture::from_model_file("net.toml", &layer("type = \"maxpool2d\"")).unwrap_err().to_string();
    assert!(
        unknown.starts_with(
            "net.toml: line 3: there is no layer `maxpool2d`: did you mean `max_pool2d`? (one of linear, "
        ),
        "{unknown}"
    );
}

#[test]
fn layers_that_do_not_fit_are_located() {
    let conv = "[[layers]]\ntype = \"conv2d\"\nname = \"c\"\nout_channels = 4\nkernel_size = 3\n";
    for (layers, line, message) in [
        (
            format!("{conv}in_channels = 3"),
            3,
            "`conv2d` on values of shape [1, 8, 8]: `in_channels` is 3, but the layer gets 1: correct it or leave it out",
        ),
        (
            format!("{conv}[[layers]]\ntype = \"linear\"\nout_features = 2\nin_features = 5"),
            8,
            "`linear` on values of shape [4, 6, 6]: `in_features` is 5, but the layer gets 6: correct it or leave it out",
        ),
        (
            format!("{conv}[[layers]]\ntype = \"max_pool2d\"\nkernel_size = 7"),
            8,
            "`max_pool2d` on values of shape [4, 6, 6]: max_pool2d: windows of 7 every 7 with border 0 do not fit 6 entries",
        ),
        (
            format!("[[layers]]\ntype = \"flatten\"\n{conv}"),
            5,
            "`conv2d` on values of shape [64]: layer `c`: conv2d: inputs of shape [1, 64] do not fit a weight of shape [4, 64, 3, 3]",
        ),
        (
            "[[layers]]\ntype = \"batch_norm1d\"".into(),
            3,
            "`batch_norm1d` on values of shape [1, 8, 8]: it wants values of shape [features] or [channels, length]",
        ),
        (
            "[[layers]]\ntype = \"layer_norm\"\nnormalized_shape = [4, 8]".into(),
            3,
            "`layer_norm` on values of shape [1, 8, 8]: `normalized_shape` is [4, 8], which are not its last axes",
        ),
        (
            "[[layers]]\ntype = \"softmax\"\ndim = 0".into(),
            3,
            "`softmax` on values of shape [1, 8, 8]: `dim` is 0, but must be from 1 to 3 or negative: axis 0 is the batch",
        ),
        (
            format!("[[layers]]\ntype = \"residual\"\n{}", conv.replace("layers", "layers.layers")),
            3,
            "the layers give shape [4, 6, 6], but [1, 8, 8] passes around them: change strides and channels, or add \
             [[layers.shortcut]]",
        ),
        (
            format!(
                "[[layers]]\ntype = \"residual\"\n{}in_channels = 2",
                conv.replace("layers", "layers.layers")
            ),
            5,
            "`conv2d` on values of shape [1, 8, 8]: `in_channels` is 2, but the layer gets 1: correct it or leave it out",
        ),
    ] {
        let text = format!("input = [1, 8, 8]\n\n{layers}\n");
        let error = file(&text).wanted(&[1, 8, 8]).unwrap_err().to_string();
        assert_eq!(error, format!("net.toml: line {line}: {message}"));
    }
}
