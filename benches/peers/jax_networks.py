"""The networks of the comparison as functions of their parameters in JAX, with PyTorch's names and layouts."""

import jax
import jax.numpy as jnp


def build(spec):
    """The network of a specification, as a function of parameters and inputs (images with channels last)."""
    name, _, rest = spec.partition(":")
    settings = dict(pair.split("=") for pair in rest.split(",") if pair)
    if name == "gpt":
        return lambda p, x: gpt(p, x, int(settings["depth"]), int(settings["heads"]))
    return {"mlp": mlp, "cnn": cnn, "resnet18": resnet18}[name]


def loss(net, p, x, y):
    """Mean cross-entropy, over the tokens where the outputs are sequences."""
    logs = jax.nn.log_softmax(net(p, x))
    return -jnp.take_along_axis(logs, y[..., None], -1).mean()


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def conv(p, name, x, stride=1):
    weight = p[f"{name}.weight"]
    pad = (weight.shape[-1] // 2,) * 2
    layout = ("NHWC", "OIHW", "NHWC")
    return jax.lax.conv_general_dilated(x, weight, (stride,) * 2, (pad, pad), dimension_numbers=layout)


def mlp(p, x):
    last = max(int(name.split(".")[0]) for name in p)
    for i in range(0, last, 2):
        x = jax.nn.relu(linear(p, i, x))
    return linear(p, last, x)


def max_pool(x):
    """As a maximum over axes: XLA compiles that for CPUs far better than its window operation backwards."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def cnn(p, x):
    for first, second in ((0, 2), (5, 7), (10, 12)):
        for i in (first, second):
            x = jax.nn.relu(conv(p, i, x) + p[f"{i}.bias"])
        x = max_pool(x)
    return linear(p, 17, x.mean((1, 2)))


def batch_norm(p, name, x):
    """With running statistics, which are no parameters."""
    mean, var = (jax.lax.stop_gradient(p[f"{name}.running_{part}"]) for part in ("mean", "var"))
    return (x - mean) * (p[f"{name}.weight"] / jnp.sqrt(var + 1e-5)) + p[f"{name}.bias"]


def resnet18(p, x):
    x = jax.nn.relu(batch_norm(p, "bn1", conv(p, "conv1", x)))
    for stage in range(4):
        for block in range(2):
            name, stride = f"layer{stage + 1}.{block}", 2 if stage > 0 and block == 0 else 1
            y = jax.nn.relu(batch_norm(p, f"{name}.bn1", conv(p, f"{name}.conv1", x, stride)))
            y = batch_norm(p, f"{name}.bn2", conv(p, f"{name}.conv2", y))
            if stride > 1:
                x = batch_norm(p, f"{name}.downsample.1", conv(p, f"{name}.downsample.0", x, stride))
            x = jax.nn.relu(x + y)
    return linear(p, "fc", x.mean((1, 2)))


def layer_norm(p, name, x):
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def gpt(p, tokens, depth, heads):
    table = p["transformer.wte.weight"]
    n, t = tokens.shape
    x = table[tokens] + p["transformer.wpe.weight"][:t]
    future = jnp.triu(jnp.ones((t, t), bool), 1)
    for i in range(depth):
        name = f"transformer.h.{i}"
        joined = linear(p, f"{name}.attn.c_attn", layer_norm(p, f"{name}.ln_1", x))
        q, k, v = joined.reshape(n, t, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        scores = jnp.where(future, -jnp.inf, q @ k.swapaxes(-2, -1) * q.shape[-1] ** -0.5)
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = x + linear(p, f"{name}.attn.c_proj", mixed)
        y = linear(p, f"{name}.mlp.c_fc", layer_norm(p, f"{name}.ln_2", x))
        x = x + linear(p, f"{name}.mlp.c_proj", jax.nn.gelu(y, approximate=False))
    return layer_norm(p, "transformer.ln_f", x) @ table.T
