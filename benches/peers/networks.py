"""The networks of the comparison in PyTorch, with the parameter names that Relief reads.

Built from Relief's own model specifications, so that every tool takes the same arguments.
"""

import torch
import torch.nn.functional as F
from torch import nn


def build(spec):
    """The network of a specification such as `mlp:widths=3072-512-512-10`, in evaluation mode."""
    name, _, rest = spec.partition(":")
    settings = dict(pair.split("=") for pair in rest.split(",") if pair)
    if name == "mlp":
        net = mlp([int(width) for width in settings["widths"].split("-")])
    elif name == "cnn":
        net = cnn()
    elif name == "resnet18":
        net = resnet18()
    elif name.startswith("wrn-"):
        depth, widen = name.split("-")[1:]
        net = WideResNet(int(depth), int(widen))
    elif name == "gpt":
        net = GPT(**{key: int(value) for key, value in settings.items()})
    else:
        raise SystemExit(f"no network `{name}`: give mlp, cnn, resnet18, wrn-D-K or gpt")
    return net.eval()


def loss(outputs, targets):
    """Mean cross-entropy, over the tokens where the outputs are sequences."""
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def mlp(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn():
    layers, inputs = [], 3
    for i, channels in enumerate([32, 32, 64, 64, 128, 128]):
        layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
        if i % 2 == 1:
            layers.append(nn.MaxPool2d(2))
        inputs = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def resnet18():
    from torchvision.models import resnet18  # only here: the other workers need not load it

    net = resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


class WideBlock(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.convShortcut = None if inputs == channels else nn.Conv2d(inputs, channels, 1, stride, bias=False)

    def forward(self, x):
        normal = F.relu(self.bn1(x))
        main = self.conv2(F.relu(self.bn2(self.conv1(normal))))
        return main + (x if self.convShortcut is None else self.convShortcut(normal))


class WideStage(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, widen, classes=10):
        super().__init__()
        self.conv1, inputs = nn.Conv2d(3, 16, 3, padding=1, bias=False), 16
        for stage in range(3):
            channels, blocks = 16 * widen << stage, []
            for block in range((depth - 4) // 6):
                blocks.append(WideBlock(inputs, channels, 2 if stage and not block else 1))
                inputs = channels
            setattr(self, f"block{stage + 1}", WideStage(blocks))
        self.bn1, self.fc = nn.BatchNorm2d(inputs), nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class GPT(nn.Module):
    def __init__(self, vocabulary, context, depth, width, heads):
        super().__init__()
        blocks = nn.ModuleList(Block(width, heads, context) for _ in range(depth))
        table, positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.transformer = nn.ModuleDict(dict(wte=table, wpe=positions, h=blocks, ln_f=nn.LayerNorm(width)))
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = table.weight  # tied: one parameter, named transformer.wte.weight
        nn.init.normal_(table.weight, std=0.02)
        nn.init.normal_(positions.weight, std=0.02)

    def forward(self, tokens):
        parts = self.transformer
        x = parts.wte(tokens) + parts.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in parts.h:
            x = block(x)
        return self.lm_head(parts.ln_f(x))


class Block(nn.Module):
    def __init__(self, width, heads, context):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads, context)
        names = {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        self.mlp = nn.ModuleDict(names)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class Attention(nn.Module):
    """Written out, because the fused kernels of PyTorch have no second derivative."""

    def __init__(self, width, heads, context):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        future = torch.ones(context, context, dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = self.c_attn(x).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
        weights = scores.masked_fill(self.future[:t, :t], float("-inf")).softmax(-1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(n, t, width))


def multiply_adds(net, example):
    """Multiply-adds of one example's forward pass: of the first layer, and of all others.

    Convolutions, linear layers and the products of attention count; the rest is small and is left out, for every tool
    alike. The first layer of a network on real inputs is apart because nothing is differentiated in its input.
    """
    counts = []

    def count(module, inputs, output):
        if isinstance(module, Attention):
            n, t, width = inputs[0].shape
            counts.append(2 * n * t * t * width)
        elif isinstance(module, nn.Conv2d):
            counts.append(output.numel() * module.weight[0].numel())
        else:
            counts.append(output.numel() * module.in_features)

    kinds = (nn.Linear, nn.Conv2d, Attention)
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        net(example)
    for hook in hooks:
        hook.remove()
    first = counts[0] if example.is_floating_point() else 0
    return first, sum(counts) - first
