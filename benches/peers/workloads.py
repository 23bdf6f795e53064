"""The workloads of the comparison, and the files that every tool reads: weights, data and a direction.

`python workloads.py [NAME ...]` writes what is missing to .work/. Everything is random with fixed seeds.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

import networks

WORK = Path(__file__).parent / ".work"


@dataclass(frozen=True)
class Workload:
    spec: str
    shape: tuple  # of an example
    sizes: tuple  # numbers of examples: small and large first, then those of the growth figure
    classes: int = 10


WORKLOADS = {
    "mlp": Workload("mlp:widths=3072-512-512-10", (3072,), (128, 5000)),
    "cnn": Workload("cnn", (3, 32, 32), (32, 1024)),
    "resnet18": Workload("resnet18:stem=cifar,classes=10", (3, 32, 32), (8, 128)),
    "transformer": Workload("gpt:vocabulary=256,context=64,depth=2,width=128,heads=4", (64,), (8, 64), 256),
}

# Growth with the examples, and with the parameters: these grow with the square of the width, over a factor of 16.
GROWTH_SIZES = (128, 256, 512, 1024, 2048)
GROWTH_WIDTHS = (256, 384, 512, 768, 1024)
GROWTH = {f"width{d}": Workload(f"mlp:widths={d}-{d}-{d}-10", (d,), (512,)) for d in GROWTH_WIDTHS}

# Trained a little, on data with something to learn, so that the top of the spectrum stands apart.
EIGEN_EXAMPLES = 1000
EIGEN = {f"{name}-trained": WORKLOADS[name] for name in ("mlp", "cnn")}

ALL = {**WORKLOADS, **GROWTH, **EIGEN}


def weights_file(name):
    return WORK / f"{name}.safetensors"


def direction_file(name):
    return WORK / f"{name}-direction.safetensors"


def data_file(name, n):
    return WORK / f"{name}-{n}.safetensors"


def parameters(net):
    return dict(net.named_parameters())


def tensors(net):
    """Parameters and the buffers of batch norm, which a checkpoint holds too."""
    buffers = {name: b for name, b in net.named_buffers() if "running_" in name}
    return {name: t.detach().clone() for name, t in {**parameters(net), **buffers}.items()}


def network(workload):
    torch.manual_seed(1)
    net = networks.build(workload.spec)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0.0, 0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.8, 1.2)
    return net


def direction(net):
    """A random unit vector of all parameters; zeros for the buffers, so that it fits the model like a checkpoint."""
    generator = torch.Generator().manual_seed(2)
    parts = {name: torch.zeros_like(tensor) for name, tensor in tensors(net).items()}
    for name in parameters(net):
        parts[name].normal_(generator=generator)
    norm = sum(part.double().square().sum() for part in parts.values()).sqrt()
    return {name: (part / norm).float() for name, part in parts.items()}


def random_data(workload, n):
    generator = torch.Generator().manual_seed(3)
    if workload.spec.startswith("gpt"):
        tokens = torch.randint(workload.classes, (n, workload.shape[0] + 1), generator=generator)
        return {"x": tokens[:, :-1].contiguous(), "y": tokens[:, 1:].contiguous()}
    x = torch.randn(n, *workload.shape, generator=generator)
    y = torch.randint(workload.classes, (n,), generator=generator)
    y[-1] = workload.classes - 1  # the number of classes is told from the largest label
    return {"x": x, "y": y}


def structured_data(workload, n):
    """Every class has a mean, coarse for images; noise hides part of it, and every tenth label is wrong."""
    generator = torch.Generator().manual_seed(4)
    y = torch.arange(n) % workload.classes
    if len(workload.shape) == 3:
        coarse = torch.randn(workload.classes, 3, 8, 8, generator=generator)
        means = torch.nn.functional.interpolate(coarse, size=workload.shape[1:], mode="bilinear")
    else:
        means = torch.randn(workload.classes, *workload.shape, generator=generator)
        means *= 0.05 * torch.arange(1, workload.classes + 1)[:, None] ** 0.5
    x = means[y] + torch.randn(n, *workload.shape, generator=generator)
    wrong = torch.rand(n, generator=generator) < 0.1
    return {"x": x, "y": torch.where(wrong, (y + 3) % workload.classes, y)}


def train(net, data, rate, steps=60, batch=100):
    """A few steps only: the curvature vanishes where every example is fitted."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    order = torch.Generator().manual_seed(5)
    for _ in range(steps):
        chosen = torch.randperm(len(data["y"]), generator=order)[:batch]
        value = networks.loss(net(data["x"][chosen]), data["y"][chosen])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    print(f"trained to a loss of {value.item():.3f} on its last batch")


def export(name):
    workload, trained = ALL[name], name in EIGEN
    sizes = (EIGEN_EXAMPLES,) if trained else workload.sizes + (GROWTH_SIZES if name == "mlp" else ())
    for n in sizes:
        if not data_file(name, n).exists():
            data = structured_data(workload, n) if trained else random_data(workload, n)
            save_file(data, data_file(name, n))
    if weights_file(name).exists() and direction_file(name).exists():
        return
    net = network(workload)
    save_file(direction(net), direction_file(name))
    if trained:
        rate = 1e-4 if name.startswith("mlp") else 1e-3
        train(net, structured_data(workload, EIGEN_EXAMPLES), rate)
    save_file(tensors(net), weights_file(name), {"model": workload.spec})


def main():
    WORK.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ALL:
        export(name)


if __name__ == "__main__":
    main()
