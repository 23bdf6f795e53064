"""A 51 x 51 surface of ResNet-20 on 1,000 CIFAR-10 images: Relief beside the usual way in PyTorch, on the same points.

The usual way (Li et al. 2018, as its authors' programs do it): for every point, write origin + x d1 + y d2 into the model, go
through a DataLoader in batches of 128 in eval mode, add up cross-entropy and right answers. It is timed twice: with images
converted one by one by a loader with two workers, as there, and with all images ready as tensors, which is as fast as it gets.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(__file__).resolve().parent / ".work"
RELIEF = ROOT / "target/release/relief"
MODEL = "resnet20"
IMAGES = 1000
GRID = 51
# Points of a row that are timed again and again; a whole surface takes them all.
SAMPLE = 11


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.border = stride, (channels - channels_in) // 2

    def forward(self, x):
        main = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.border, self.border))
        return F.relu(main + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        stage = lambda a, b, stride: nn.Sequential(Block(a, b, stride), Block(b, b, 1), Block(b, b, 1))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Images(torch.utils.data.Dataset):
    """Bytes that become tensors one by one."""

    def __init__(self, pixels, labels):
        self.pixels, self.labels = pixels, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return torch.from_numpy(self.pixels[index]).float().div_(255), self.labels[index]


def prepare(cifar):
    """Checkpoint, data and directions that both sides read."""
    WORK.mkdir(exist_ok=True)
    raw = np.fromfile(Path(cifar) / "data_batch_1.bin", np.uint8).reshape(-1, 3073)[:IMAGES]
    pixels, labels = raw[:, 1:].reshape(-1, 3, 32, 32).copy(), raw[:, 0].astype(np.int64)
    x = torch.from_numpy(pixels).float() / 255
    save_file({"x": x, "y": torch.from_numpy(labels)}, WORK / "images.safetensors")
    torch.manual_seed(0)
    net = ResNet20()
    # A few steps, so that losses and statistics are those of a network and not of noise.
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9)
    for step in range(60):
        chosen = torch.randint(IMAGES, (128,))
        optimiser.zero_grad()
        F.cross_entropy(net(x[chosen]), torch.from_numpy(labels)[chosen]).backward()
        optimiser.step()
    net.eval()
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file({k: v.contiguous() for k, v in state.items()}, WORK / "net.safetensors")
    for nth in (1, 2):
        direction = {}
        for name, w in net.named_parameters():
            d = torch.zeros_like(w)
            if w.dim() > 1:
                d = torch.randn_like(w)
                d *= (w.flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)).reshape(-1, *[1] * (w.dim() - 1))
            direction[name] = d.contiguous()
        save_file(direction, WORK / f"direction-{nth}.safetensors")
    return net, pixels, labels


def usual(net, points, batches):
    """Seconds per point, and the losses."""
    origin = {name: p.detach().clone() for name, p in net.named_parameters()}
    d1, d2 = (load_file(WORK / f"direction-{nth}.safetensors") for nth in (1, 2))
    losses, begun = [], time.perf_counter()
    with torch.no_grad():
        for a, b in points:
            for name, p in net.named_parameters():
                p.copy_(origin[name] + a * d1[name] + b * d2[name])
            total, right, count = 0.0, 0, 0
            for x, y in batches:
                out = net(x)
                total += F.cross_entropy(out, y).item() * len(y)
                right += (out.argmax(1) == y).sum().item()
                count += len(y)
            losses.append(total / count)
    seconds = (time.perf_counter() - begun) / len(points)
    for name, p in net.named_parameters():
        p.data.copy_(origin[name])
    return seconds, losses


def relief(grid, grid_y, threads):
    """Seconds per point of a whole process, and its result."""
    plane = f"along:{WORK / 'direction-1.safetensors'},{WORK / 'direction-2.safetensors'}"
    command = [RELIEF, "surface", WORK / "net.safetensors", "--model", MODEL, "--data", WORK / "images.safetensors"]
    command += ["--plane", plane, "--grid", str(grid), "--grid-y", str(grid_y), "--range", "-1:1", "--format", "json"]
    command += ["--threads", str(threads), "--state", WORK / "scan.state"]
    begun = time.perf_counter()
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return (time.perf_counter() - begun) / (grid * grid_y), json.loads(run.stdout)["result"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cifar", default=ROOT / "data/cifar-10-batches-bin")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="measure Relief's whole surface as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    net, pixels, labels = prepare(options.cifar)
    x, y = torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels)
    ready = list(zip(x.split(128), y.split(128)))
    loader = torch.utils.data.DataLoader(Images(pixels, labels), batch_size=128, num_workers=2)
    row = [(round(-1 + 2 * i / (SAMPLE - 1), 12), -1.0) for i in range(SAMPLE)]
    times = {"relief": [], "loader": [], "ready": []}
    for _ in range(options.rounds):
        seconds, found = relief(SAMPLE, 2, options.threads)
        times["relief"].append(seconds)
        for name, batches in (("loader", loader), ("ready", ready)):
            seconds, losses = usual(net, row, batches)
            times[name].append(seconds)
            ours = found["loss"][0]
            worst = max(abs(a - b) / b for a, b in zip(ours, losses))
            if worst > 1e-4:
                sys.exit(f"losses disagree by {worst:.1e}")
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"{MODEL}, {IMAGES} images, {GRID} x {GRID} points, {options.threads} threads, median of {options.rounds} rounds")
    print(f"largest relative difference of a loss in the last round: {worst:.1e}")
    for name, what in (("relief", "Relief"), ("loader", "PyTorch, loader"), ("ready", "PyTorch, tensors ready")):
        whole = median[name] * GRID * GRID
        print(f"{what:24} {median[name]:.3f} s a point   {whole / 60:6.1f} min in all   {median[name] / median['relief']:.2f}")
    if options.whole:
        seconds, _ = relief(GRID, GRID, options.threads)
        print(f"Relief's whole surface: {seconds * GRID * GRID / 60:.1f} min")


if __name__ == "__main__":
    main()
