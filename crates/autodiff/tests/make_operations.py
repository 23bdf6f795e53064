"""Writes fixtures/operations.safetensors: the cases of common/cases.rs in PyTorch, in double precision.

    python make_operations.py            (needs torch and safetensors)

For every case: parameters, tensors of the batch, a direction v, and PyTorch's loss, gradient and H v (by double
backward). Names are `case/parameter/name`, `case/input/position`, `case/direction/name`, `case/loss`,
`case/gradient/name`, `case/product/name`.
"""

import pathlib
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

CASES = {}
"""Name: (shapes of parameters, tensors of the batch, model, loss or None)."""


def case(name, parameters, model, inputs=(), loss=None):
    assert name not in CASES, name
    CASES[name] = (parameters, list(inputs), model, loss)


def normal(*shape):
    return lambda g: torch.randn(shape, generator=g)


def positive(*shape):
    return lambda g: 0.5 + torch.rand(shape, generator=g)


def unit(*shape):
    return lambda g: torch.rand(shape, generator=g)


def below(limit, *shape):
    return lambda g: torch.randint(limit, shape, generator=g)


def indices(values, *shape):
    return lambda g: torch.tensor(values).reshape(shape)


def weighted(outputs, weights):
    """The loss of cases without one of their own: convex, with a full Hessian."""
    return (weights * F.softplus(outputs, threshold=1e9)).sum() + ((weights - 1) * outputs).sum() ** 2 / 2


def above(x):
    """Something above 1/2."""
    return 0.4 * x**2 + 0.5


# Matrix products.
def product(name, a, b, f=torch.matmul):
    case(name, {"a": a, "b": b}, lambda p, x: f(p["a"], p["b"]))


product("matmul", (3, 4), (4, 2))
product("matmul of batches", (2, 3, 4), (2, 4, 2))
product("matmul of broadcast batches", (2, 1, 3, 4), (3, 4, 2))
product("matmul with a shared right side", (2, 3, 4), (4, 2))
product("matmul with a shared left side", (3, 4), (2, 4, 2))
product("matmul of transposed views", (4, 3), (2, 4), lambda a, b: a.T @ b.T)
product("matmul of permuted heads", (2, 3, 2, 4), (2, 5, 2, 4), lambda a, b: a.transpose(1, 2) @ b.transpose(1, 2).mT)
product("matmul of narrowed views", (3, 5), (6, 2), lambda a, b: a[:, 1:5] @ b[2:6])
case("matmul with itself transposed", {"a": (3, 4)}, lambda p, x: p["a"] @ p["a"].T)
case("matmul with itself", {"a": (3, 3)}, lambda p, x: p["a"] @ p["a"])
for name, shape in [("linear", (3, 4)), ("linear on tokens", (2, 3, 4)), ("linear on one vector", (4,))]:
    case(name, {"b": (2,), "w": (2, 4), "x": shape}, lambda p, x: F.linear(p["x"], p["w"], p["b"]))
case("linear without bias", {"w": (2, 4)}, lambda p, x: F.linear(x[0], p["w"]), [normal(3, 4)])


# Convolutions.
def convolution(name, x, w, f=F.conv2d, **options):
    case(name, {"b": (w[0],), "w": w, "x": x}, lambda p, x: f(p["x"], p["w"], p["b"], **options))


def transposed(name, x, w, groups=1, **options):
    def model(p, x):
        return F.conv_transpose2d(p["x"], p["w"], p["b"], groups=groups, **options)

    case(name, {"b": (w[1] * groups,), "w": w, "x": x}, model)


convolution("conv2d", (2, 2, 5, 5), (3, 2, 3, 3))
convolution("conv2d, stride", (2, 2, 6, 5), (3, 2, 3, 3), stride=2)
convolution("conv2d, padding", (2, 2, 4, 4), (2, 2, 3, 3), padding=1)
convolution("conv2d, dilation", (1, 2, 6, 6), (2, 2, 3, 3), dilation=2)
convolution("conv2d, groups", (2, 4, 4, 4), (4, 2, 3, 3), groups=2)
convolution("conv2d, depthwise", (2, 3, 4, 4), (6, 1, 3, 3), groups=3, padding=1)
convolution("conv2d, oblong kernel and image", (2, 2, 5, 4), (2, 2, 3, 2))
convolution("conv2d, pointwise", (2, 3, 3, 4), (2, 3, 1, 1))
convolution("conv2d, pointwise on one image", (1, 3, 3, 4), (2, 3, 1, 1))
convolution("conv2d, pointwise, stride", (2, 3, 4, 5), (2, 3, 1, 1), stride=2)
convolution("conv2d, even kernel beyond its padding", (2, 1, 3, 3), (2, 1, 4, 4), padding=(2, 1))
convolution(
    "conv2d, everything at once", (2, 4, 5, 6), (2, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2
)
convolution("conv1d", (2, 2, 7), (3, 2, 3), F.conv1d)
convolution("conv1d, everything at once", (2, 4, 8), (2, 2, 3), F.conv1d, stride=2, padding=2, dilation=2, groups=2)
transposed("conv_transpose2d", (2, 2, 3, 3), (2, 3, 3, 3))
transposed(
    "conv_transpose2d, stride and output padding", (2, 2, 3, 3), (2, 2, 3, 3), stride=2, padding=1, output_padding=1
)
transposed(
    "conv_transpose2d, everything at once",
    (1, 4, 3, 4),
    (4, 2, 3, 2),
    groups=2,
    stride=(2, 3),
    padding=(1, 0),
    dilation=(2, 1),
    output_padding=(1, 2),
)


# Operations of one trainable tensor.
def one(name, shape, f):
    case(name, {"x": shape}, lambda p, x: f(p["x"]))


one("max_pool2d", (2, 2, 4, 4), lambda x: F.max_pool2d(x, 2))
one("max_pool2d, border", (2, 1, 5, 6), lambda x: F.max_pool2d(x, 3, 2, 1))
one("max_pool2d, overlap", (1, 2, 5, 4), lambda x: F.max_pool2d(x, 3, 1))
one("max_pool2d, leftover rows", (1, 2, 5, 5), lambda x: F.max_pool2d(x, 2))
one("max_pool2d, oblong", (1, 2, 4, 6), lambda x: F.max_pool2d(x, (2, 3), (1, 2), (0, 1)))
one("adaptive_max_pool2d", (2, 1, 5, 7), lambda x: F.adaptive_max_pool2d(x, (3, 2)))
one("avg_pool2d", (2, 2, 4, 4), lambda x: F.avg_pool2d(x, 2))
one("avg_pool2d, border counted", (1, 2, 5, 6), lambda x: F.avg_pool2d(x, 3, 2, 1))
one("avg_pool2d, border left out", (1, 2, 5, 6), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
one(
    "avg_pool2d, oblong",
    (1, 2, 4, 6),
    lambda x: F.avg_pool2d(x, (2, 3), (1, 2), (0, 1), count_include_pad=False),
)
one("adaptive_avg_pool2d", (2, 1, 5, 7), lambda x: F.adaptive_avg_pool2d(x, (3, 2)))
one("adaptive_avg_pool2d, one", (2, 3, 3, 4), lambda x: F.adaptive_avg_pool2d(3 * x, 1))
one("adaptive_avg_pool2d, finer", (1, 2, 2, 3), lambda x: F.adaptive_avg_pool2d(x, (3, 5)))

# Selections.
case("embedding", {"table": (5, 3)}, lambda p, x: F.embedding(x[0], p["table"]), [indices([4, 0, 4, 4, 2, 0], 2, 3)])
case(
    "embedding tied to the output",
    {"table": (5, 3)},
    lambda p, x: F.linear(torch.tanh(F.embedding(x[0], p["table"])), p["table"]),
    [indices([1, 3, 1], 3)],
)
case("gather", {"x": (4, 3)}, lambda p, x: p["x"].gather(1, x[0][:, None])[:, 0], [below(3, 4)])


# Attention.
def attention(q, k, v, **options):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, **options)


qkv = {"k": (2, 4, 3), "q": (2, 3, 3), "v": (2, 4, 2)}
heads = {name: (1, 2, 4, 3) for name in "kqv"}
case("attention", qkv, lambda p, x: attention(p["q"], p["k"], p["v"]))
case("attention, scale", qkv, lambda p, x: attention(p["q"], p["k"], p["v"], scale=0.3))
case("attention, causal", heads, lambda p, x: attention(p["q"], p["k"], p["v"], is_causal=True))
case("attention of one value with itself", {"x": (2, 3, 4)}, lambda p, x: attention(p["x"], p["x"], p["x"]))

# Normalisations.
EPS = 1e-3
case(
    "layer_norm",
    {"b": (4,), "w": (4,), "x": (3, 4)},
    lambda p, x: F.layer_norm(p["x"], (4,), p["w"], p["b"], EPS),
)
case(
    "layer_norm over two axes",
    {"b": (2, 3), "w": (2, 3), "x": (2, 2, 3)},
    lambda p, x: F.layer_norm(p["x"], (2, 3), p["w"], p["b"], EPS),
)
one("layer_norm without weights", (3, 4), lambda x: F.layer_norm(x, (4,), eps=EPS))
case("rms_norm", {"w": (4,), "x": (2, 3, 4)}, lambda p, x: F.rms_norm(p["x"], (4,), p["w"], EPS))
for name, groups in [("group_norm", 2), ("group_norm, one group", 1), ("group_norm, one channel each", 4)]:
    case(
        name,
        {"b": (4,), "w": (4,), "x": (2, 4, 3)},
        lambda p, x, groups=groups: F.group_norm(p["x"], groups, p["w"], p["b"], EPS),
    )
for name, shape in [("batch_norm_train", (3, 3, 2, 2)), ("batch_norm_train on vectors", (5, 3))]:
    case(
        name,
        {"b": (3,), "w": (3,), "x": shape},
        lambda p, x: F.batch_norm(p["x"], None, None, p["w"], p["b"], training=True, eps=EPS),
    )
case(
    "batch_norm",
    {"b": (3,), "w": (3,), "x": (2, 3, 2, 2)},
    lambda p, x: F.batch_norm(p["x"], x[0], x[1], p["w"], p["b"], eps=EPS),
    [normal(3), positive(3)],
)
case(
    "batch_norm without weights",
    {"x": (4, 3)},
    lambda p, x: F.batch_norm(p["x"], x[0], x[1], eps=EPS),
    [normal(3), positive(3)],
)


# Functions of every entry.
def of_linear(name, f, inputs=(), loss=None):
    def model(p, x):
        return f(F.linear(x[0], p["w"], p["b"]))

    case(name, {"b": (4,), "w": (4, 3)}, model, [normal(5, 3), *inputs], loss)


of_linear("relu", F.relu)
of_linear("relu6", lambda x: F.relu6(3 * x))
of_linear("abs", torch.abs)
of_linear("hard_swish", lambda x: F.hardswish(2 * x))
# PyTorch has no second derivative of hardsigmoid.
of_linear("hard_sigmoid", lambda x: F.relu6(2 * x + 3) / 6)
of_linear("tanh", torch.tanh)
of_linear("sigmoid", torch.sigmoid)
of_linear("log_sigmoid", F.logsigmoid)
of_linear("softplus", lambda x: F.softplus(x, threshold=1e9))
of_linear("softsign", F.softsign)
of_linear("gelu_erf", F.gelu)
of_linear("gelu", lambda x: F.gelu(x, approximate="tanh"))
of_linear("silu", F.silu)
of_linear("mish", F.mish)
of_linear("selu", F.selu)
of_linear("elu", lambda x: F.elu(x, 0.7))
of_linear("leaky_relu", lambda x: F.leaky_relu(x, 0.1))
of_linear("clamp", lambda x: F.hardtanh(x, -0.8, 1.1))
of_linear("erf", torch.erf)
of_linear("exp", lambda x: torch.exp(x / 2))
of_linear("log", lambda x: torch.log(above(x)))
of_linear("sin", torch.sin)
of_linear("cos", torch.cos)
of_linear("sqr", torch.square)
of_linear("sqrt", lambda x: torch.sqrt(above(x)))
of_linear("rsqrt", lambda x: torch.rsqrt(above(x)))
of_linear("recip", lambda x: torch.reciprocal(above(x)))
of_linear("powf, cube", lambda x: x**3)
of_linear("powf, root", lambda x: above(x) ** 0.7)
of_linear("powf, negative", lambda x: above(x) ** -1.5)
of_linear("softmax, last axis", lambda x: F.softmax(x, 1))
of_linear("softmax, first axis", lambda x: F.softmax(x, 0))
of_linear("log_softmax, last axis", lambda x: F.log_softmax(x, 1))
of_linear("log_softmax, first axis", lambda x: F.log_softmax(x, 0))
one("softmax, middle axis", (2, 4, 3), lambda x: F.softmax(x, 1))

# Layout.
one("reshape", (2, 6), lambda x: x.reshape(3, 4) @ x.reshape(4, 3))
one("reshape of a transposed view", (3, 4), lambda x: x.T.reshape(2, 6))
one("flatten_from", (2, 2, 3), lambda x: F.softmax(x.flatten(1), 1))
one("permute", (2, 3, 4), lambda x: F.softmax(x.permute(2, 0, 1), 1))
one("narrow", (4, 5), lambda x: x[1:3] @ F.pad(x[:3, 2:], (0, 0, 2, 0)))
one("stride", (5, 6), lambda x: (x[::2] * x[1:4])[:, ::3])
one("pad_with_zeros", (2, 3), lambda x: F.softmax(F.pad(x, (1, 2, 0, 1)), 1))
one("broadcast_as, scattered axes", (2, 1, 3, 1), lambda x: x.expand(2, 2, 3, 2))
for name, axis, a, b in [
    ("cat, axis 0", 0, (2, 3), (1, 3)),
    ("cat, middle axis", 1, (2, 1, 3), (2, 2, 3)),
    ("cat, last axis", 2, (2, 2, 1), (2, 2, 3)),
]:
    case(name, {"a": a, "b": b}, lambda p, x, axis=axis: torch.cat([p["a"], p["b"]], axis))
case(
    "cat with itself and a constant",
    {"x": (2, 3)},
    lambda p, x: torch.cat([p["x"], x[0], p["x"], torch.tanh(p["x"])], 1),
    [normal(2, 2)],
)

# Arithmetic with broadcasting.
for name, f in [
    ("add", torch.add),
    ("sub", torch.sub),
    ("mul", torch.mul),
    ("div", lambda a, b: a / above(b)),
]:
    for kind, a, b in [
        ("same shape", (2, 3), (2, 3)),
        ("a row", (2, 3), (3,)),
        ("a column", (2, 3), (2, 1)),
        ("a larger right side", (3, 1), (2, 3, 4)),
        ("an outer product", (3, 1), (1, 4)),
        ("scattered axes", (2, 1, 3), (2, 4, 3)),
        ("a number", (2, 3), ()),
    ]:
        product(f"{name}, {kind}", a, b, f)
one("mul by itself", (2, 3), lambda x: x * x)

# Reductions.
for name, f in [
    ("sum, first axis", lambda x: x.sum(0)),
    ("sum, middle axis", lambda x: x.sum(1)),
    ("sum, last axis", lambda x: x.sum(2)),
    ("sum, separate axes", lambda x: x.sum((0, 2))),
    ("mean", lambda x: x.mean((0, 1))),
    ("mean_all", lambda x: 5 * x.mean()),
    ("var_keepdim, biased", lambda x: x.var(2, correction=0, keepdim=True)),
    ("var_keepdim, unbiased", lambda x: x.var((0, 1), correction=1, keepdim=True)),
]:
    one(name, (2, 3, 4), lambda x, f=f: f(torch.sin(x)))

# Losses.
of_linear("cross_entropy", lambda x: x, [below(4, 5)], lambda y, x: F.cross_entropy(y, x[1]))
of_linear(
    "cross_entropy, smoothing", lambda x: x, [below(4, 5)], lambda y, x: F.cross_entropy(y, x[1], label_smoothing=0.1)
)
for name, smoothing in [("token_cross_entropy", 0.0), ("token_cross_entropy, smoothing", 0.2)]:
    case(
        name,
        {"w": (4, 3)},
        lambda p, x: F.linear(x[0], p["w"]),
        [normal(2, 3, 3), below(4, 2, 3)],
        lambda y, x, s=smoothing: F.cross_entropy(y.flatten(0, 1), x[1].flatten(), label_smoothing=s),
    )
of_linear("mse", torch.tanh, [normal(5, 4)], lambda y, x: F.mse_loss(y, x[1]))
of_linear(
    "half_squared_error", torch.tanh, [normal(5, 4)], lambda y, x: F.mse_loss(y, x[1], reduction="sum") / (2 * len(y))
)
of_linear(
    "binary_cross_entropy_with_logits",
    lambda x: x,
    [unit(5, 4)],
    lambda y, x: F.binary_cross_entropy_with_logits(y, x[1]),
)


# Networks.
def perceptron(p, x):
    return F.linear(F.gelu(F.linear(x[0], p["w1"], p["b1"]), approximate="tanh"), p["w2"], p["b2"])


def residual(p, x):
    stem = F.conv2d(x[0], p["w1"], padding=1)
    normal = F.relu(F.batch_norm(stem, None, None, p["g"], p["s"], training=True, eps=EPS))
    joined = F.silu(F.conv2d(normal, p["w2"], padding=1) + normal)
    return F.linear(F.max_pool2d(joined, 2).mean((2, 3)), p["w3"])


def transformer(p, x):
    embedded = F.embedding(x[0], p["e"]) + p["p"]
    qkv = F.linear(F.layer_norm(embedded, (4,), p["g"], eps=EPS), p["qkv"])
    q, k, v = (part.reshape(2, 3, 2, 2).transpose(1, 2) for part in qkv.split(4, 2))
    mixed = attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 3, 4)
    return F.linear(embedded + F.linear(mixed, p["o"]), p["e"])


case(
    "network: perceptron",
    {"b1": (4,), "b2": (3,), "w1": (4, 3), "w2": (3, 4)},
    perceptron,
    [normal(5, 3), below(3, 5)],
    lambda y, x: F.cross_entropy(y, x[1]),
)
case(
    "network: residual convolutions",
    {"g": (2,), "s": (2,), "w1": (2, 1, 3, 3), "w2": (2, 2, 3, 3), "w3": (3, 2)},
    residual,
    [normal(2, 1, 4, 4), below(3, 2)],
    lambda y, x: F.cross_entropy(y, x[1]),
)
case(
    "network: transformer block",
    {"e": (5, 4), "g": (4,), "o": (4, 4), "p": (3, 4), "qkv": (12, 4)},
    transformer,
    [below(5, 2, 3), below(5, 2, 3)],
    lambda y, x: F.cross_entropy(y.flatten(0, 1), x[1].flatten()),
)


def evaluate(name):
    shapes, inputs, model, loss = CASES[name]
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def draw():
        return {n: torch.randn(shape, generator=generator) for n, shape in shapes.items()}

    parameters, direction = draw(), draw()
    batch = [tensor(generator) for tensor in inputs]
    for tensor in parameters.values():
        tensor.requires_grad_()
    outputs = model(parameters, batch)
    if loss is None:
        batch.append(positive(*outputs.shape)(generator))
        value = weighted(outputs, batch[-1])
    else:
        value = loss(outputs, batch)
    variables = list(parameters.values())
    gradient = torch.autograd.grad(value, variables, create_graph=True)
    slope = sum((g * v).sum() for g, v in zip(gradient, direction.values()))
    # A case whose loss is linear in one parameter has no second derivative there.
    products = torch.autograd.grad(slope, variables, materialize_grads=True)
    tensors = {f"input/{i}": t.to(torch.uint32) if t.dtype == torch.int64 else t for i, t in enumerate(batch)}
    tensors["loss"] = value
    for n, g, p in zip(shapes, gradient, products):
        tensors |= {f"parameter/{n}": parameters[n], f"direction/{n}": direction[n], f"gradient/{n}": g, f"product/{n}": p}
    return {f"{name}/{key}": tensor.detach().clone().contiguous() for key, tensor in tensors.items()}


tensors = {key: tensor for name in CASES for key, tensor in evaluate(name).items()}
path = pathlib.Path(__file__).parent / "fixtures" / "operations.safetensors"
save_file(tensors, path, metadata={"torch": torch.__version__})
