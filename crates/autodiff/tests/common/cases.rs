//! The list of operations. A new operation is one line in the family it belongs to, and every generic test picks it up.

use relief_autodiff::{ConvolutionOptions, PoolOptions, Result, Value};

use super::case::{Case, Numbers};

/// Every operation, at sizes small enough to differentiate along every axis.
pub(crate) fn cases() -> Vec<Case> {
    let families = [
        products(),
        convolutions(),
        poolings(),
        selections(),
        attentions(),
        normalisations(),
        functions(),
        layouts(),
        arithmetic(),
        reductions(),
        losses(),
        networks(),
    ];
    families.into_iter().flatten().collect()
}

/// Sizes at which kernels split their work into blocks and threads.
pub(crate) fn large_cases() -> Vec<Case> {
    let conv = |name: &str, x: [usize; 4], w: [usize; 4], options: ConvolutionOptions| {
        Case::new(name, &[("b", &[w[0]]), ("w", &w), ("x", &x)], move |t| {
            t.p("x")?
                .scale(0.1)?
                .conv2d(&t.p("w")?.scale(0.1)?, Some(&t.p("b")?), options)?
                .mean_keepdim(&[1])
        })
    };
    let plain = ConvolutionOptions::default();
    let padded = ConvolutionOptions { padding: [1, 1], ..plain };
    vec![
        conv("large conv2d, rows of one image at a time", [2, 8, 64, 64], [4, 8, 3, 3], padded),
        conv("large conv2d, several images at a time", [8, 8, 32, 32], [4, 8, 3, 3], padded),
        conv(
            "large conv2d, stride, dilation and groups",
            [5, 8, 40, 36],
            [6, 4, 3, 3],
            ConvolutionOptions { stride: [2, 2], padding: [2, 1], dilation: [2, 1], groups: 2 },
        ),
        conv("large pointwise conv2d", [2, 70, 64, 64], [2, 70, 1, 1], plain),
        Case::new("large matmul", &[("a", &[300, 130]), ("b", &[130, 120])], |t| {
            t.p("a")?.scale(0.1)?.matmul(&t.p("b")?)?.mean_keepdim(&[1])
        }),
        Case::new("large broadcast", &[("x", &[9, 40, 110]), ("s", &[40, 1]), ("r", &[110])], |t| {
            t.p("x")?.mul(&t.p("s")?)?.add(&t.p("r")?)?.tanh()?.mean_keepdim(&[2])
        }),
        Case::new(
            "large residual block",
            &[("x", &[3, 9, 40, 41]), ("w", &[9, 9, 3, 3]), ("s", &[9]), ("b", &[9])],
            move |t| {
                let x = t.p("x")?.scale(0.1)?;
                let y = x.conv2d(&t.p("w")?.scale(0.1)?, None, padded)?;
                let y = y.batch_norm(t.x(0), t.x(1), Some(&t.p("s")?), Some(&t.p("b")?), 1e-5)?;
                y.add(&x)?.tanh()?.mean_keepdim(&[1])
            },
        )
        .with(Numbers::Normal, &[9])
        .with(Numbers::Positive, &[9]),
        Case::new("large max_pool2d", &[("x", &[2, 3, 80, 80])], |t| {
            t.p("x")?.scale(0.05)?.add(t.x(0))?.max_pool2d(windows(3, 2, 1))
        })
        .with(Numbers::Apart(5e-4), &[2, 3, 80, 80]),
        Case::new("large rows", &[("x", &[340, 100])], |t| {
            let rows = t.p("x")?.layer_norm(1, None, None, 1e-3)?.softmax(1)?.scale(50.0)?;
            rows.rms_norm(None, 1e-3)?.mean_keepdim(&[1])
        }),
        Case::new("large avg_pool2d", &[("x", &[2, 3, 80, 80])], |t| t.p("x")?.avg_pool2d(windows(3, 2, 1))),
    ]
}

fn products() -> Vec<Case> {
    let ab = |name: &str, a: &[usize], b: &[usize], f: fn(&Value, &Value) -> Result<Value>| {
        Case::new(name, &[("a", a), ("b", b)], move |t| f(&t.p("a")?, &t.p("b")?))
    };
    vec![
        ab("matmul", &[3, 4], &[4, 2], Value::matmul),
        ab("matmul of batches", &[2, 3, 4], &[2, 4, 2], Value::matmul),
        ab("matmul of broadcast batches", &[2, 1, 3, 4], &[3, 4, 2], Value::matmul),
        ab("matmul with a shared right side", &[2, 3, 4], &[4, 2], Value::matmul),
        ab("matmul with a shared left side", &[3, 4], &[2, 4, 2], Value::matmul),
        ab("matmul of transposed views", &[4, 3], &[2, 4], |a, b| a.t()?.matmul(&b.t()?)),
        ab("matmul of permuted heads", &[2, 3, 2, 4], &[2, 5, 2, 4], |a, b| {
            a.transpose(1, 2)?.matmul(&b.transpose(1, 2)?.t()?)
        }),
        ab("matmul of narrowed views", &[3, 5], &[6, 2], |a, b| {
            a.narrow(1, 1, 4)?.matmul(&b.narrow(0, 2, 4)?)
        }),
        Case::new("matmul with itself transposed", &[("a", &[3, 4])], |t| t.p("a")?.matmul(&t.p("a")?.t()?)),
        Case::new("matmul with itself", &[("a", &[3, 3])], |t| t.p("a")?.matmul(&t.p("a")?)),
        linear("linear", &[3, 4]),
        linear("linear on tokens", &[2, 3, 4]),
        linear("linear on one vector", &[4]),
        Case::new("linear without bias", &[("w", &[2, 4])], |t| t.x(0).linear(&t.p("w")?, None))
            .with(Numbers::Normal, &[3, 4]),
    ]
}

fn linear(name: &str, x: &[usize]) -> Case {
    Case::new(name, &[("b", &[2]), ("w", &[2, 4]), ("x", x)], |t| {
        t.p("x")?.linear(&t.p("w")?, Some(&t.p("b")?))
    })
}

fn convolutions() -> Vec<Case> {
    let plain = ConvolutionOptions::default();
    let mixed = ConvolutionOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
    let row = |stride, padding, dilation, groups| ConvolutionOptions {
        stride: [1, stride],
        padding: [0, padding],
        dilation: [1, dilation],
        groups,
    };
    vec![
        conv2d("conv2d", [2, 2, 5, 5], [3, 2, 3, 3], plain),
        conv2d("conv2d, stride", [2, 2, 6, 5], [3, 2, 3, 3], ConvolutionOptions { stride: [2, 2], ..plain }),
        conv2d(
            "conv2d, padding",
            [2, 2, 4, 4],
            [2, 2, 3, 3],
            ConvolutionOptions { padding: [1, 1], ..plain },
        ),
        conv2d(
            "conv2d, dilation",
            [1, 2, 6, 6],
            [2, 2, 3, 3],
            ConvolutionOptions { dilation: [2, 2], ..plain },
        ),
        conv2d("conv2d, groups", [2, 4, 4, 4], [4, 2, 3, 3], ConvolutionOptions { groups: 2, ..plain }),
        conv2d(
            "conv2d, depthwise",
            [2, 3, 4, 4],
            [6, 1, 3, 3],
            ConvolutionOptions { groups: 3, padding: [1, 1], ..plain },
        ),
        conv2d("conv2d, oblong kernel and image", [2, 2, 5, 4], [2, 2, 3, 2], plain),
        conv2d("conv2d, pointwise", [2, 3, 3, 4], [2, 3, 1, 1], plain),
        conv2d("conv2d, pointwise on one image", [1, 3, 3, 4], [2, 3, 1, 1], plain),
        conv2d(
            "conv2d, pointwise, stride",
            [2, 3, 4, 5],
            [2, 3, 1, 1],
            ConvolutionOptions { stride: [2, 2], ..plain },
        ),
        conv2d(
            "conv2d, even kernel beyond its padding",
            [2, 1, 3, 3],
            [2, 1, 4, 4],
            ConvolutionOptions { padding: [2, 1], ..plain },
        ),
        conv2d("conv2d, everything at once", [2, 4, 5, 6], [2, 2, 3, 2], mixed),
        conv1d("conv1d", [2, 2, 7], [3, 2, 3], plain),
        conv1d("conv1d, everything at once", [2, 4, 8], [2, 2, 3], row(2, 2, 2, 2)),
        conv_transpose2d("conv_transpose2d", [2, 2, 3, 3], [2, 3, 3, 3], plain, [0, 0]),
        conv_transpose2d(
            "conv_transpose2d, stride and output padding",
            [2, 2, 3, 3],
            [2, 2, 3, 3],
            ConvolutionOptions { stride: [2, 2], padding: [1, 1], ..plain },
            [1, 1],
        ),
        conv_transpose2d(
            "conv_transpose2d, everything at once",
            [1, 4, 3, 4],
            [4, 2, 3, 2],
            ConvolutionOptions { stride: [2, 3], padding: [1, 0], dilation: [2, 1], groups: 2 },
            [1, 2],
        ),
    ]
}

/// A convolution of a trainable image, with a bias.
pub(crate) fn conv2d(name: &str, x: [usize; 4], w: [usize; 4], options: ConvolutionOptions) -> Case {
    Case::new(name, &[("b", &[w[0]]), ("w", &w), ("x", &x)], move |t| {
        t.p("x")?.conv2d(&t.p("w")?, Some(&t.p("b")?), options)
    })
}

fn conv1d(name: &str, x: [usize; 3], w: [usize; 3], options: ConvolutionOptions) -> Case {
    Case::new(name, &[("b", &[w[0]]), ("w", &w), ("x", &x)], move |t| {
        t.p("x")?.conv1d(&t.p("w")?, Some(&t.p("b")?), options)
    })
}

/// A transposed convolution of a trainable image, with a bias.
pub(crate) fn conv_transpose2d(
    name: &str,
    x: [usize; 4],
    w: [usize; 4],
    options: ConvolutionOptions,
    output_padding: [usize; 2],
) -> Case {
    Case::new(name, &[("b", &[w[1] * options.groups]), ("w", &w), ("x", &x)], move |t| {
        t.p("x")?.conv_transpose2d(&t.p("w")?, Some(&t.p("b")?), options, output_padding)
    })
}

fn windows(kernel: usize, stride: usize, padding: usize) -> PoolOptions {
    PoolOptions { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], count_include_pad: true }
}

fn poolings() -> Vec<Case> {
    let pool = |name: &str, x: [usize; 4], f: fn(&Value) -> Result<Value>| {
        Case::new(name, &[("x", &x)], move |t| f(&t.p("x")?))
    };
    let oblong = PoolOptions { kernel: [2, 3], stride: [1, 2], padding: [0, 1], count_include_pad: false };
    vec![
        pool("max_pool2d", [2, 2, 4, 4], |x| x.max_pool2d(PoolOptions::square(2))),
        pool("max_pool2d, border", [2, 1, 5, 6], |x| x.max_pool2d(windows(3, 2, 1))),
        pool("max_pool2d, overlap", [1, 2, 5, 4], |x| x.max_pool2d(windows(3, 1, 0))),
        pool("max_pool2d, leftover rows", [1, 2, 5, 5], |x| x.max_pool2d(PoolOptions::square(2))),
        Case::new("max_pool2d, oblong", &[("x", &[1, 2, 4, 6])], move |t| t.p("x")?.max_pool2d(oblong)),
        pool("adaptive_max_pool2d", [2, 1, 5, 7], |x| x.adaptive_max_pool2d([3, 2])),
        pool("avg_pool2d", [2, 2, 4, 4], |x| x.avg_pool2d(PoolOptions::square(2))),
        pool("avg_pool2d, border counted", [1, 2, 5, 6], |x| x.avg_pool2d(windows(3, 2, 1))),
        pool("avg_pool2d, border left out", [1, 2, 5, 6], |x| {
            x.avg_pool2d(PoolOptions { count_include_pad: false, ..windows(3, 2, 1) })
        }),
        Case::new("avg_pool2d, oblong", &[("x", &[1, 2, 4, 6])], move |t| t.p("x")?.avg_pool2d(oblong)),
        pool("adaptive_avg_pool2d", [2, 1, 5, 7], |x| x.adaptive_avg_pool2d([3, 2])),
        pool("adaptive_avg_pool2d, one", [2, 3, 3, 4], |x| x.scale(3.0)?.adaptive_avg_pool2d([1, 1])),
        pool("adaptive_avg_pool2d, finer", [1, 2, 2, 3], |x| x.adaptive_avg_pool2d([3, 5])),
    ]
}

fn selections() -> Vec<Case> {
    vec![
        Case::new("embedding", &[("table", &[5, 3])], |t| t.p("table")?.embedding(t.x(0)))
            .with(Numbers::Indices(vec![4, 0, 4, 4, 2, 0]), &[2, 3]),
        Case::new("embedding tied to the output", &[("table", &[5, 3])], |t| {
            let table = t.p("table")?;
            table.embedding(t.x(0))?.tanh()?.linear(&table, None)
        })
        .with(Numbers::Indices(vec![1, 3, 1]), &[3]),
        Case::new("gather", &[("x", &[4, 3])], |t| t.p("x")?.gather(t.x(0))).with(Numbers::Below(3), &[4]),
    ]
}

fn attentions() -> Vec<Case> {
    let qkv: [(&str, &[usize]); 3] = [("k", &[2, 4, 3]), ("q", &[2, 3, 3]), ("v", &[2, 4, 2])];
    let heads: [(&str, &[usize]); 3] = [("k", &[1, 2, 4, 3]), ("q", &[1, 2, 4, 3]), ("v", &[1, 2, 4, 3])];
    vec![
        Case::new("attention", &qkv, |t| t.p("q")?.attention(&t.p("k")?, &t.p("v")?, None, None)),
        Case::new("attention, scale", &qkv, |t| t.p("q")?.attention(&t.p("k")?, &t.p("v")?, None, Some(0.3))),
        Case::new("attention, causal", &heads, |t| {
            let q = t.p("q")?;
            q.attention(&t.p("k")?, &t.p("v")?, Some(&q.causal_mask(4)?), None)
        }),
        Case::new("attention of one value with itself", &[("x", &[2, 3, 4])], |t| {
            let x = t.p("x")?;
            x.attention(&x, &x, None, None)
        }),
    ]
}

fn normalisations() -> Vec<Case> {
    const EPS: f64 = 1e-3;
    vec![
        Case::new("layer_norm", &[("b", &[4]), ("w", &[4]), ("x", &[3, 4])], |t| {
            t.p("x")?.layer_norm(1, Some(&t.p("w")?), Some(&t.p("b")?), EPS)
        }),
        Case::new("layer_norm over two axes", &[("b", &[2, 3]), ("w", &[2, 3]), ("x", &[2, 2, 3])], |t| {
            t.p("x")?.layer_norm(2, Some(&t.p("w")?), Some(&t.p("b")?), EPS)
        }),
        Case::new("layer_norm without weights", &[("x", &[3, 4])], |t| {
            t.p("x")?.layer_norm(1, None, None, EPS)
        }),
        Case::new("rms_norm", &[("w", &[4]), ("x", &[2, 3, 4])], |t| {
            t.p("x")?.rms_norm(Some(&t.p("w")?), EPS)
        }),
        Case::new("layer_norm of wide rows", &[("x", &[2, 19])], |t| {
            t.p("x")?.layer_norm(1, None, None, EPS)
        }),
        Case::new("rms_norm of wide rows", &[("x", &[2, 19])], |t| t.p("x")?.rms_norm(None, EPS)),
        group_norm("group_norm", 2),
        group_norm("group_norm, one group", 1),
        group_norm("group_norm, one channel each", 4),
        Case::new("batch_norm_train", &[("b", &[3]), ("w", &[3]), ("x", &[3, 3, 2, 2])], |t| {
            t.p("x")?.batch_norm_train(Some(&t.p("w")?), Some(&t.p("b")?), EPS)
        }),
        Case::new("batch_norm_train on vectors", &[("b", &[3]), ("w", &[3]), ("x", &[5, 3])], |t| {
            t.p("x")?.batch_norm_train(Some(&t.p("w")?), Some(&t.p("b")?), EPS)
        }),
        Case::new("batch_norm", &[("b", &[3]), ("w", &[3]), ("x", &[2, 3, 2, 2])], |t| {
            t.p("x")?.batch_norm(t.x(0), t.x(1), Some(&t.p("w")?), Some(&t.p("b")?), EPS)
        })
        .with(Numbers::Normal, &[3])
        .with(Numbers::Positive, &[3]),
        Case::new("batch_norm without weights", &[("x", &[4, 3])], |t| {
            t.p("x")?.batch_norm(t.x(0), t.x(1), None, None, EPS)
        })
        .with(Numbers::Normal, &[3])
        .with(Numbers::Positive, &[3]),
        Case::new("batch_norm, trainable statistics", &[("m", &[3]), ("s", &[3]), ("x", &[4, 3])], |t| {
            t.p("x")?.batch_norm(&t.p("m")?, &positive(&t.p("s")?)?, None, None, EPS)
        }),
    ]
}

fn group_norm(name: &str, groups: usize) -> Case {
    Case::new(name, &[("b", &[4]), ("w", &[4]), ("x", &[2, 4, 3])], move |t| {
        t.p("x")?.group_norm(groups, Some(&t.p("w")?), Some(&t.p("b")?), 1e-3)
    })
}

/// Something above 1/2 that depends on x.
fn positive(x: &Value) -> Result<Value> {
    x.sqr()?.affine(0.4, 0.5)
}

/// A function of every entry of a linear layer's outputs, so that its curvature couples the parameters.
fn of_linear(name: &str, f: impl Fn(&Value) -> Result<Value> + 'static) -> Case {
    Case::new(name, &[("b", &[4]), ("w", &[4, 3])], move |t| {
        f(&t.x(0).linear(&t.p("w")?, Some(&t.p("b")?))?)
    })
    .with(Numbers::Normal, &[5, 3])
}

fn functions() -> Vec<Case> {
    vec![
        of_linear("relu", Value::relu),
        of_linear("relu6", |x| x.scale(3.0)?.relu6()),
        of_linear("abs", Value::abs),
        of_linear("hard_swish", |x| x.scale(2.0)?.hard_swish()),
        of_linear("hard_sigmoid", |x| x.scale(2.0)?.hard_sigmoid()),
        of_linear("tanh", Value::tanh),
        of_linear("sigmoid", Value::sigmoid),
        of_linear("log_sigmoid", Value::log_sigmoid),
        of_linear("softplus", Value::softplus),
        of_linear("softsign", Value::softsign),
        of_linear("gelu_erf", Value::gelu_erf),
        of_linear("gelu", Value::gelu),
        of_linear("silu", Value::silu),
        of_linear("mish", Value::mish),
        of_linear("selu", Value::selu),
        of_linear("elu", |x| x.elu(0.7)),
        of_linear("leaky_relu", |x| x.leaky_relu(0.1)),
        of_linear("clamp", |x| x.clamp(-0.8, 1.1)),
        of_linear("erf", Value::erf),
        of_linear("exp", |x| x.scale(0.5)?.exp()),
        of_linear("log", |x| positive(x)?.log()),
        of_linear("sin", Value::sin),
        of_linear("cos", Value::cos),
        of_linear("sqr", Value::sqr),
        of_linear("sqrt", |x| positive(x)?.sqrt()),
        of_linear("rsqrt", |x| positive(x)?.rsqrt()),
        of_linear("recip", |x| positive(x)?.recip()),
        of_linear("powf, cube", |x| x.powf(3.0)),
        of_linear("powf, root", |x| positive(x)?.powf(0.7)),
        of_linear("powf, negative", |x| positive(x)?.powf(-1.5)),
        of_linear("affine", |x| x.affine(-0.7, 0.2)),
        of_linear("neg", Value::neg),
        of_linear("softmax, last axis", |x| x.softmax(1)),
        of_linear("softmax, first axis", |x| x.softmax(0)),
        of_linear("log_softmax, last axis", |x| x.log_softmax(1)),
        of_linear("log_softmax, first axis", |x| x.log_softmax(0)),
        Case::new("softmax, middle axis", &[("x", &[2, 4, 3])], |t| t.p("x")?.softmax(1)),
        Case::new("softmax of wide rows", &[("x", &[2, 21])], |t| t.p("x")?.softmax(1)),
        Case::new("softmax of a row of one", &[("x", &[3, 1])], |t| t.p("x")?.softmax(1)?.add(&t.p("x")?)),
        of_linear("softmax of large logits", |x| x.affine(3.0, 800.0)?.softmax(1)),
    ]
}

fn layouts() -> Vec<Case> {
    let one = |name: &str, shape: &[usize], f: fn(&Value) -> Result<Value>| {
        Case::new(name, &[("x", shape)], move |t| f(&t.p("x")?))
    };
    let two = |name: &str, axis: usize, a: &[usize], b: &[usize]| {
        Case::new(name, &[("a", a), ("b", b)], move |t| Value::cat(&[&t.p("a")?, &t.p("b")?], axis))
    };
    vec![
        one("reshape", &[2, 6], |x| x.reshape(&[3, 4])?.matmul(&x.reshape(&[4, 3])?)),
        one("reshape of a transposed view", &[3, 4], |x| x.t()?.reshape(&[2, 6])),
        one("flatten_from", &[2, 2, 3], |x| x.flatten_from(1)?.softmax(1)),
        one("unsqueeze and squeeze", &[2, 3], |x| {
            x.unsqueeze(1)?.add(&x.unsqueeze(0)?)?.narrow(0, 1, 1)?.squeeze(0)
        }),
        one("permute", &[2, 3, 4], |x| x.permute(&[2, 0, 1])?.softmax(1)),
        one("transpose", &[2, 3, 4], |x| x.transpose(0, 2)?.softmax(2)),
        one("narrow", &[4, 5], |x| {
            x.narrow(0, 1, 2)?.matmul(&x.narrow(1, 2, 3)?.narrow(0, 0, 3)?.pad_with_zeros(0, 2, 0)?)
        }),
        one("stride", &[5, 6], |x| x.stride(0, 2)?.mul(&x.narrow(0, 1, 3)?)?.stride(1, 3)),
        one("pad_with_zeros", &[2, 3], |x| x.pad_with_zeros(1, 1, 2)?.pad_with_zeros(0, 0, 1)?.softmax(1)),
        one("broadcast_as, leading axis", &[3], |x| x.broadcast_as(&[2, 3])?.softmax(1)),
        one("broadcast_as, inner axis", &[2, 1, 3], |x| x.broadcast_as(&[2, 4, 3])),
        one("broadcast_as, scattered axes", &[2, 1, 3, 1], |x| x.broadcast_as(&[2, 2, 3, 2])),
        two("cat, axis 0", 0, &[2, 3], &[1, 3]),
        two("cat, middle axis", 1, &[2, 1, 3], &[2, 2, 3]),
        two("cat, last axis", 2, &[2, 2, 1], &[2, 2, 3]),
        Case::new("cat with itself and a constant", &[("x", &[2, 3])], |t| {
            let x = t.p("x")?;
            Value::cat(&[&x, t.x(0), &x, &x.tanh()?], 1)
        })
        .with(Numbers::Normal, &[2, 2]),
    ]
}

/// A named function of two values.
type Binary = (&'static str, fn(&Value, &Value) -> Result<Value>);

fn arithmetic() -> Vec<Case> {
    let operations: [Binary; 4] =
        [("add", Value::add), ("sub", Value::sub), ("mul", Value::mul), ("div", |a, b| a.div(&positive(b)?))];
    let shapes: [(&str, &[usize], &[usize]); 7] = [
        ("same shape", &[2, 3], &[2, 3]),
        ("a row", &[2, 3], &[3]),
        ("a column", &[2, 3], &[2, 1]),
        ("a larger right side", &[3, 1], &[2, 3, 4]),
        ("an outer product", &[3, 1], &[1, 4]),
        ("scattered axes", &[2, 1, 3], &[2, 4, 3]),
        ("a number", &[2, 3], &[]),
    ];
    let mut cases = vec![];
    for (name, f) in operations {
        for (kind, a, b) in shapes {
            let case = Case::new(format!("{name}, {kind}"), &[("a", a), ("b", b)], move |t| {
                f(&t.p("a")?, &t.p("b")?)
            });
            cases.push(case);
        }
    }
    let own = |name: &str, f: fn(&Value) -> Result<Value>| {
        Case::new(name, &[("x", &[2, 3])], move |t| f(&t.p("x")?))
    };
    cases.extend([
        own("add to itself", |x| x.add(x)),
        own("mul by itself", |x| x.mul(x)),
        own("mul by itself, twice", |x| x.tanh()?.mul(&x.tanh()?)?.mul(x)?.mul(x)),
        own("mul by an intermediate value itself", |x| {
            let y = x.tanh()?;
            y.mul(&y)
        }),
        Case::new("mul by a constant", &[("x", &[2, 3])], |t| t.p("x")?.mul(t.x(0)))
            .with(Numbers::Normal, &[3]),
        Case::new("sub from a constant", &[("x", &[2, 3])], |t| t.x(0).sub(&t.p("x")?))
            .with(Numbers::Normal, &[3]),
    ]);
    cases
}

fn reductions() -> Vec<Case> {
    let reduce = |name: &str, f: fn(&Value) -> Result<Value>| {
        // Curved before the sum, so that the sum's adjoint meets second-order terms.
        Case::new(name, &[("x", &[2, 3, 4])], move |t| f(&t.p("x")?.sin()?))
    };
    vec![
        reduce("sum, first axis", |x| x.sum(&[0])),
        reduce("sum, middle axis", |x| x.sum(&[1])),
        reduce("sum, last axis", |x| x.sum(&[2])),
        reduce("sum, separate axes", |x| x.sum(&[0, 2])),
        reduce("sum_keepdim", |x| x.sum_keepdim(&[1, 2])),
        reduce("sum_all", Value::sum_all),
        reduce("mean", |x| x.mean(&[0, 1])),
        reduce("mean_keepdim", |x| x.mean_keepdim(&[1])?.mul(x)),
        reduce("mean_all", |x| x.scale(5.0)?.mean_all()),
        reduce("var_keepdim, biased", |x| x.var_keepdim(&[2], 0)),
        reduce("var_keepdim, unbiased", |x| x.var_keepdim(&[0, 1], 1)),
    ]
}

fn losses() -> Vec<Case> {
    let logits = |name: &str| of_linear(name, |x| Ok(x.clone()));
    let tokens = |name: &str, smoothing: f64| {
        Case::new(name, &[("w", &[4, 3])], |t| t.x(0).linear(&t.p("w")?, None))
            .with(Numbers::Normal, &[2, 3, 3])
            .with(Numbers::Below(4), &[2, 3])
            .loss(move |t, y| y.token_cross_entropy(t.x(1), smoothing))
    };
    vec![
        logits("cross_entropy").with(Numbers::Below(4), &[5]).loss(|t, y| y.cross_entropy(t.x(1), 0.0)),
        logits("cross_entropy, smoothing")
            .with(Numbers::Below(4), &[5])
            .loss(|t, y| y.cross_entropy(t.x(1), 0.1)),
        of_linear("cross_entropy of large logits", |x| x.affine(1.0, -900.0))
            .with(Numbers::Below(4), &[5])
            .loss(|t, y| y.cross_entropy(t.x(1), 0.0)),
        Case::new("cross_entropy of wide rows", &[("x", &[2, 19])], |t| t.p("x"))
            .with(Numbers::Below(19), &[2])
            .loss(|t, y| y.cross_entropy(t.x(0), 0.1)),
        tokens("token_cross_entropy", 0.0),
        tokens("token_cross_entropy, smoothing", 0.2),
        of_linear("mse", Value::tanh).with(Numbers::Normal, &[5, 4]).loss(|t, y| y.mse(t.x(1))),
        of_linear("half_squared_error", Value::tanh)
            .with(Numbers::Normal, &[5, 4])
            .loss(|t, y| y.half_squared_error(t.x(1))),
        logits("binary_cross_entropy_with_logits")
            .with(Numbers::Unit, &[5, 4])
            .loss(|t, y| y.binary_cross_entropy_with_logits(t.x(1))),
    ]
}

/// Operations together, as models use them.
fn networks() -> Vec<Case> {
    let padded = ConvolutionOptions { padding: [1, 1], ..ConvolutionOptions::default() };
    vec![
        Case::new(
            "network: perceptron",
            &[("b1", &[4]), ("b2", &[3]), ("w1", &[4, 3]), ("w2", &[3, 4])],
            |t| {
                let hidden = t.x(0).linear(&t.p("w1")?, Some(&t.p("b1")?))?.gelu()?;
                hidden.linear(&t.p("w2")?, Some(&t.p("b2")?))
            },
        )
        .with(Numbers::Normal, &[5, 3])
        .with(Numbers::Below(3), &[5])
        .loss(|t, y| y.cross_entropy(t.x(1), 0.0)),
        Case::new(
            "network: residual convolutions",
            &[("g", &[2]), ("s", &[2]), ("w1", &[2, 1, 3, 3]), ("w2", &[2, 2, 3, 3]), ("w3", &[3, 2])],
            move |t| {
                let stem = t.x(0).conv2d(&t.p("w1")?, None, padded)?;
                let normal = stem.batch_norm_train(Some(&t.p("g")?), Some(&t.p("s")?), 1e-3)?.relu()?;
                let joined = normal.conv2d(&t.p("w2")?, None, padded)?.add(&normal)?.silu()?;
                joined.max_pool2d(PoolOptions::square(2))?.mean(&[2, 3])?.linear(&t.p("w3")?, None)
            },
        )
        .with(Numbers::Normal, &[2, 1, 4, 4])
        .with(Numbers::Below(3), &[2])
        .loss(|t, y| y.cross_entropy(t.x(1), 0.0)),
        Case::new(
            "network: transformer block",
            &[("e", &[5, 4]), ("g", &[4]), ("o", &[4, 4]), ("p", &[3, 4]), ("qkv", &[12, 4])],
            |t| {
                let embedded = t.p("e")?.embedding(t.x(0))?.add(&t.p("p")?)?;
                let normal = embedded.layer_norm(1, Some(&t.p("g")?), None, 1e-3)?;
                let qkv = normal.linear(&t.p("qkv")?, None)?;
                let head = |i: usize| qkv.narrow(2, 4 * i, 4)?.reshape(&[2, 3, 2, 2])?.transpose(1, 2);
                let mixed = head(0)?.attention(&head(1)?, &head(2)?, Some(&qkv.causal_mask(3)?), None)?;
                let mixed = mixed.transpose(1, 2)?.reshape(&[2, 3, 4])?.linear(&t.p("o")?, None)?;
                embedded.add(&mixed)?.linear(&t.p("e")?, None)
            },
        )
        .with(Numbers::Below(5), &[2, 3])
        .with(Numbers::Below(5), &[2, 3])
        .loss(|t, y| y.token_cross_entropy(t.x(1), 0.0)),
    ]
}
